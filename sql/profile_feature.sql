-- profile, features: numbers about customers as of a time, for models.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.feature_words_valid(words text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(array_ndims(words) = 1 AND array_position(words, NULL) IS NULL
        AND '(' || array_to_string(words, ')(') || ')' ~ '^([(][a-z0-9_]{1,40}([.][a-z0-9_]{1,40}){0,3}[)])+$', false);
COMMENT ON FUNCTION @extschema@.feature_words_valid(text[]) IS
'Tells whether each word is made of small letters, digits and underscores, in up to four parts joined by dots, as series and their members are. False for NULL and for an empty array. For CHECK constraints.';

-- Engine: computation -----------------------------------------------------

CREATE FUNCTION @extschema@.feature_compute(
    source text,
    requests text,
    features text[],
    aliases text DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, as_of timestamptz, "values" double precision[])
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100000
    SUPPORT @extschema@.source_support;
COMMENT ON FUNCTION @extschema@.feature_compute(text, text, text[], text) IS
'Returns features of customers at times, a row a request, in an order that depends on the customers alone. source: relation or query, run with the caller''s path and rights, of what customers did: customer_id (an integer type), at (timestamptz), series (text) and, where there are any, value (a number; NULL counts but adds nothing) and item (text: of the rows of a person and series with one item only the first counts, and its value is not read). requests: relation or query of customer_id and as_of (timestamptz). features: expressions [name =] series aggregate window [/ series aggregate window]; a series takes in all those whose names go on from it with a dot; aggregates are count, sum, mean, min, max, days (how many of the periods of 24 hours before as_of have a row), and, without window, recency and tenure (days of 24 hours since the last, the first row); a window of 30d is (as_of - 30 times 24 hours, as_of], lifetime all up to as_of. aliases: relation or query of customer_id and master_id; rows of all ids of a person count for each of them. Without rows count, sum and days are 0, all else is NULL; so is a division by 0. Rows after as_of never count; rows without customer, time or series belong to nobody. Sums are exact for values of up to four decimals while they fit 64 bits, else compensated sums of double precision in the order of time: the same whatever the plan. Errors: 42601 an expression that cannot be read, 42701 two features of one name, 42703, 42804 columns that are missing or of a type that does not fit, 22004 a NULL argument, customer_id or as_of of a request, 22008 a time that is not finite, 22003 a value that is not, 53200 more rows than iaros.group_memory holds (32 bytes each), 54000 more than 10,000 features or 64 windows. Linear in the rows and in requests times (features and rows of the customer).';

CREATE FUNCTION @extschema@.feature_records(
    source text,
    requests text,
    features text[],
    aliases text DEFAULT NULL)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100000
    SUPPORT @extschema@.source_support;
COMMENT ON FUNCTION @extschema@.feature_records(text, text, text[], text) IS
'As feature_compute(), with a column for each feature instead of an array: AS t(customer_id bigint, as_of timestamptz, name double precision, ...). feature_matrix_sql() writes such calls. Errors: those of feature_compute(), 42804 columns that do not fit the features.';

-- Engine: registry --------------------------------------------------------

CREATE FUNCTION @extschema@.feature_set_check(feature_set text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF NOT EXISTS (SELECT FROM iaros.feature_set s WHERE s.feature_set = feature_set_check.feature_set) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('feature set "%s" does not exist', feature_set),
            HINT = coalesce(iaros.name_hint(feature_set, ARRAY(
                    SELECT s.feature_set FROM iaros.feature_set s ORDER BY 1)),
                'List them with SELECT * FROM iaros.feature_set.');
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.feature_set_check(text) IS
'Raises 42704, with the nearest name as hint, unless there is a feature set of that name.';

CREATE FUNCTION @extschema@.feature_list(feature_set text DEFAULT 'standard')
    RETURNS TABLE ("position" integer, feature text, definition text, expression text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 600
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.feature_set_check(feature_set);
    RETURN QUERY
        SELECT (row_number() OVER (ORDER BY e.place, e.definition, e.member_no, e.aggregate_no, e.window_no))::integer,
            e.name, e.definition, concat(e.name, ' = ', e.what, ' / ' || e.divisor)
        FROM (
            SELECT d.position AS place, d.definition, m.no AS member_no, a.no AS aggregate_no, w.no AS window_no,
                concat_ws('_', d.prefix, replace(m.member, '.', '_'),
                    CASE WHEN d.share_of IS NULL THEN a.aggregate END,
                    CASE WHEN w.days > 0 THEN w.days || 'd' ELSE 'lifetime' END) AS name,
                concat_ws(' ', concat_ws('.', d.series, m.member), a.aggregate,
                    CASE WHEN w.days > 0 THEN w.days || 'd' ELSE 'lifetime' END) AS what,
                d.share_of || ' ' || concat_ws(' ', a.aggregate,
                    CASE WHEN w.days > 0 THEN w.days || 'd' ELSE 'lifetime' END) AS divisor
            FROM iaros.feature_definition d
            LEFT JOIN LATERAL unnest(d.members) WITH ORDINALITY AS m(member, no) ON true
            CROSS JOIN LATERAL unnest(d.aggregates) WITH ORDINALITY AS a(aggregate, no)
            CROSS JOIN LATERAL unnest(d.windows) WITH ORDINALITY AS w(days, no)
            WHERE d.feature_set = feature_list.feature_set AND a.aggregate NOT IN ('recency', 'tenure')
            UNION ALL
            SELECT d.position, d.definition, m.no, a.no, 1,
                concat_ws('_', d.prefix, replace(m.member, '.', '_'), a.aggregate),
                concat_ws(' ', concat_ws('.', d.series, m.member), a.aggregate), NULL
            FROM iaros.feature_definition d
            LEFT JOIN LATERAL unnest(d.members) WITH ORDINALITY AS m(member, no) ON true
            CROSS JOIN LATERAL unnest(d.aggregates) WITH ORDINALITY AS a(aggregate, no)
            WHERE d.feature_set = feature_list.feature_set AND a.aggregate IN ('recency', 'tenure')
        ) e
        ORDER BY 1;
END $$;
COMMENT ON FUNCTION @extschema@.feature_list(text) IS
'Returns what the definitions of a feature set expand to, in the order of feature_matrix(): definitions by position and name, then their members, aggregates and windows in the order of the arrays. expression is what feature_compute() takes. Error: 42704 no such set. O(features).';

CREATE FUNCTION @extschema@.feature_expressions(
    feature_set text DEFAULT 'standard',
    names text[] DEFAULT NULL)
    RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found record;
BEGIN
    PERFORM iaros.feature_set_check(feature_set);
    IF names IS NULL THEN
        RETURN ARRAY(SELECT l.expression FROM iaros.feature_list(feature_set) l ORDER BY l.position);
    END IF;
    SELECT array_agg(l.expression ORDER BY n.no) AS expressions,
        (array_agg(n.name ORDER BY n.no) FILTER (WHERE l.feature IS NULL))[1] AS missing,
        bool_or(n.name IS NULL) AS has_null INTO found
    FROM unnest(names) WITH ORDINALITY AS n(name, no)
    LEFT JOIN iaros.feature_list(feature_set) l ON l.feature = n.name;
    IF found.has_null THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'a name of a feature is NULL';
    ELSIF found.missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('feature "%s" does not exist in feature set "%s"', found.missing, feature_set),
            HINT = coalesce(iaros.name_hint(found.missing, ARRAY(
                    SELECT l.feature FROM iaros.feature_list(feature_set) l ORDER BY l.position)),
                'List them with SELECT * FROM iaros.feature_list().');
    END IF;
    RETURN coalesce(found.expressions, '{}');
END $$;
COMMENT ON FUNCTION @extschema@.feature_expressions(text, text[]) IS
'Returns the expressions of a feature set, or of the features named, in their order; what feature_compute() takes. NULL names: all. Errors: 42704 no such set or feature, with the nearest name as hint; 22004 a NULL name. O(features).';

CREATE FUNCTION @extschema@.feature_source(
    feature_set text DEFAULT 'standard',
    names text[] DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    query text;
    missing text;
BEGIN
    PERFORM iaros.feature_set_check(feature_set);
    SELECT string_agg(format(
            'SELECT q.customer_id::pg_catalog.int8 AS customer_id, q.at::pg_catalog.timestamptz AS at, q.series::pg_catalog.text AS series, q.value::pg_catalog.numeric AS value, q.item::pg_catalog.text AS item FROM (%s) q',
            s.query), ' UNION ALL ' ORDER BY u.series),
        min(u.series) FILTER (WHERE s.series IS NULL) INTO query, missing
    FROM (
        SELECT DISTINCT split_part(x.series, '.', 1) AS series
        FROM iaros.feature_definition d
        CROSS JOIN LATERAL (VALUES (d.series), (d.share_of)) AS x(series)
        WHERE d.feature_set = feature_source.feature_set AND x.series IS NOT NULL
          AND (names IS NULL OR d.definition IN (
              SELECT l.definition FROM iaros.feature_list(feature_source.feature_set) l WHERE l.feature = ANY (names)))
    ) u
    LEFT JOIN iaros.feature_series s ON s.series = u.series;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('series "%s" of feature set "%s" does not exist', missing, feature_set),
            HINT = coalesce(iaros.name_hint(missing, ARRAY(
                    SELECT s.series FROM iaros.feature_series s ORDER BY 1)),
                'Add it to iaros.feature_series.');
    END IF;
    RETURN coalesce(query, 'SELECT NULL::pg_catalog.int8 AS customer_id, NULL::pg_catalog.timestamptz AS at, NULL::pg_catalog.text AS series WHERE false');
END $$;
COMMENT ON FUNCTION @extschema@.feature_source(text, text[]) IS
'Returns the query of all rows that the features of a set, or the ones named, are made of: the queries of their series in feature_series, one behind the other. What feature_compute() takes as source. NULL names: all. Error: 42704 no such set, or a series that is not in feature_series.';

CREATE FUNCTION @extschema@.feature_matrix(
    requests text,
    feature_set text DEFAULT 'standard',
    names text[] DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, as_of timestamptz, "values" double precision[])
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100000
BEGIN ATOMIC
    SELECT c.customer_id, c.as_of, c."values"
    FROM @extschema@.feature_compute(@extschema@.feature_source(feature_set, names), requests,
        @extschema@.feature_expressions(feature_set, names), 'iaros.customer_alias') AS c;
END;
COMMENT ON FUNCTION @extschema@.feature_matrix(text, text, text[]) IS
'Returns the features of a set for each request, for training and scoring of models: values in the order of feature_list(), or of names where they are given. requests: relation or query of customer_id and as_of, run with the caller''s path and rights; ids that are aliases count for the person, duplicates come out as often. Nothing after as_of counts, so that a model is trained on what was known then; but what a row says is its present state: a booking that was cancelled since does not count at an earlier as_of either. Only the customers requested are read where there are at most 2,000, else the whole tables once. Errors: 42704 no such set or feature, and those of feature_compute(). Inlined: rows stream out as they are computed.';

CREATE FUNCTION @extschema@.feature_matrix_sql(
    requests text,
    feature_set text DEFAULT 'standard',
    names text[] DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    chosen text[];
BEGIN
    PERFORM iaros.feature_expressions(feature_set, names);
    IF requests IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'requests must not be NULL';
    END IF;
    chosen := coalesce(names, ARRAY(SELECT l.feature FROM iaros.feature_list(feature_set) l ORDER BY l.position));
    IF cardinality(chosen) > 1598 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'too_many_columns',
            MESSAGE = format('%s features do not fit a row', cardinality(chosen)),
            DETAIL = 'A row has at most 1,600 columns.',
            HINT = 'Name the features to take in names, or use feature_matrix().';
    END IF;
    RETURN format('SELECT * FROM iaros.feature_records(iaros.feature_source(%1$L, %2$L), %3$L, iaros.feature_expressions(%1$L, %2$L), ''iaros.customer_alias'') AS t(customer_id bigint, as_of timestamp with time zone%4$s)',
        feature_set, chosen, requests,
        (SELECT string_agg(format(', %I double precision', c.name), '' ORDER BY c.no)
         FROM unnest(chosen) WITH ORDINALITY AS c(name, no)));
END $$;
COMMENT ON FUNCTION @extschema@.feature_matrix_sql(text, text, text[]) IS
'Returns a statement that gives what feature_matrix() does with a column for each feature, named as it is: to be run by \gexec, COPY (...) TO, a data frame library, or made a view. It names its features, so that features added to the set later do not change it. Errors: 42704 no such set or feature, 22004 NULL requests, 54011 more than 1,598 features.';

CREATE FUNCTION @extschema@.feature_vector(
    customer_id bigint,
    as_of timestamptz DEFAULT now(),
    feature_set text DEFAULT 'standard',
    names text[] DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    chosen text[] := names;
    expressions text[];
    vector jsonb;
BEGIN
    PERFORM iaros.install_check();
    IF customer_id IS NULL THEN
        RETURN NULL;
    END IF;
    IF names IS NULL THEN
        SELECT array_agg(l.feature ORDER BY l.position), array_agg(l.expression ORDER BY l.position) INTO chosen, expressions
        FROM iaros.feature_list(feature_set) l;
    ELSE
        expressions := iaros.feature_expressions(feature_set, names);
    END IF;
    SELECT jsonb_object_agg(v.name, v.value) INTO vector
    FROM iaros.feature_compute(iaros.feature_source(feature_set, names),
        format('SELECT %s::pg_catalog.int8 AS customer_id, %L::pg_catalog.timestamptz AS as_of', customer_id, as_of),
        coalesce(expressions, '{}'), 'iaros.customer_alias') c
    CROSS JOIN LATERAL unnest(chosen, c."values") AS v(name, value);
    RETURN vector;
END $$;
COMMENT ON FUNCTION @extschema@.feature_vector(bigint, timestamptz, text, text[]) IS
'Returns the features of a customer at as_of as an object of names and values, JSON null where nothing is known: the input of a model. Any id of a person will do. NULL customer_id: NULL; a customer without rows: counts of 0. Errors: 22004 NULL as_of, and those of feature_matrix(). A few index look-ups a table and partition.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.profile_install_feature()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.feature_series (
        series text PRIMARY KEY CHECK (iaros.feature_words_valid(ARRAY[series]) AND position('.' IN series) = 0),
        query text NOT NULL,
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.feature_series IS
        'What features are made of: queries of customer_id, at, series (the name here, alone or with more behind a dot), value, item, run with the path and rights of who computes, so that every name must be qualified. Add your own over your own tables; only the owner can.';
    INSERT INTO iaros.feature_series (series, query, description, shipped_hash) VALUES
        ('event', $q$SELECT e.customer_id, e.occurred_at AS at, 'event.' OPERATOR(pg_catalog.||) e.kind AS series, NULL::pg_catalog.numeric AS value, NULL::pg_catalog.text AS item FROM iaros.event e$q$,
            'Events: event.<kind>', 'new'),
        ('session', $q$SELECT e.customer_id, e.occurred_at AS at, 'session'::pg_catalog.text AS series, NULL::pg_catalog.numeric AS value, e.session_id AS item FROM iaros.event e WHERE e.session_id IS NOT NULL$q$,
            'Sessions, at their first event', 'new'),
        ('nps', $q$SELECT n.customer_id, n.occurred_at AS at, 'nps'::pg_catalog.text AS series, n.score::pg_catalog.numeric AS value, NULL::pg_catalog.text AS item FROM iaros.nps_response n$q$,
            'Answers to the recommendation question; value is the score', 'new'),
        ('booking', $q$SELECT b.customer_id, b.booked_at AS at, 'booking.' OPERATOR(pg_catalog.||) coalesce(b.cabin::pg_catalog.text, 'none') AS series, b.amount_base AS value, NULL::pg_catalog.text AS item FROM iaros.booking b WHERE iaros.booking_counts(b.status)$q$,
            'Bookings that count: booking.<cabin>; value is the amount in the base currency', 'new'),
        ('sale', $q$SELECT b.customer_id, b.booked_at AS at, 'sale.' OPERATOR(pg_catalog.||) b.sales_channel AS series, b.amount_base AS value, NULL::pg_catalog.text AS item FROM iaros.booking b WHERE iaros.booking_counts(b.status) AND b.sales_channel IS NOT NULL$q$,
            'Bookings that count by where they were made: sale.<sales channel>; value is the amount in the base currency', 'new'),
        ('lead', $q$SELECT b.customer_id, b.booked_at AS at, 'lead'::pg_catalog.text AS series, pg_catalog.round((pg_catalog.date_part('epoch', b.departure_at OPERATOR(pg_catalog.-) b.booked_at) OPERATOR(pg_catalog./) 86400)::pg_catalog.numeric, 4) AS value, NULL::pg_catalog.text AS item FROM iaros.booking b WHERE iaros.booking_counts(b.status) AND b.departure_at OPERATOR(pg_catalog.>=) b.booked_at$q$,
            'Bookings that count; value is the days from booking to departure', 'new'),
        ('party', $q$SELECT b.customer_id, b.booked_at AS at, 'party'::pg_catalog.text AS series, b.party_size::pg_catalog.numeric AS value, NULL::pg_catalog.text AS item FROM iaros.booking b WHERE iaros.booking_counts(b.status)$q$,
            'Bookings that count; value is the size of the party', 'new'),
        ('trip', $q$SELECT b.customer_id, b.departure_at AS at, 'trip'::pg_catalog.text AS series, NULL::pg_catalog.numeric AS value, NULL::pg_catalog.text AS item FROM iaros.booking b WHERE iaros.booking_counts(b.status) AND b.departure_at IS NOT NULL$q$,
            'Departures of bookings that count', 'new'),
        ('item', $q$SELECT i.customer_id, b.booked_at AS at, 'item.' OPERATOR(pg_catalog.||) k.category OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) i.kind AS series, CASE WHEN b.amount OPERATOR(pg_catalog.=) 0 THEN 0 ELSE pg_catalog.round(i.amount OPERATOR(pg_catalog.*) b.amount_base OPERATOR(pg_catalog./) b.amount, 4) END AS value, NULL::pg_catalog.text AS item FROM iaros.booking b JOIN iaros.booking_item i ON i.customer_id OPERATOR(pg_catalog.=) b.customer_id AND i.booking_id OPERATOR(pg_catalog.=) b.booking_id JOIN iaros.item_kind k ON k.kind OPERATOR(pg_catalog.=) i.kind WHERE iaros.booking_counts(b.status)$q$,
            'Items of bookings that count: item.<category>.<kind>, at the time of booking; value is the amount in the base currency at the rate of the booking', 'new'),
        ('touch', $q$SELECT t.customer_id, t.occurred_at AS at, 'touch.' OPERATOR(pg_catalog.||) t.channel OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) t.kind AS series, t.cost_base AS value, NULL::pg_catalog.text AS item FROM iaros.touchpoint t$q$,
            'Touchpoints: touch.<channel>.<kind>; value is the cost in the base currency', 'new');
    PERFORM iaros.shipped_seal('iaros.feature_series');

    CREATE TABLE iaros.feature_set (
        feature_set text PRIMARY KEY CHECK (feature_set ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.feature_set IS 'Sets of features that models take together. Add your own.';
    INSERT INTO iaros.feature_set (feature_set, description, shipped_hash) VALUES
        ('standard', 'Behaviour in windows of 1 day to a lifetime: events, sessions, bookings, items, touchpoints, preferences', 'new');
    PERFORM iaros.shipped_seal('iaros.feature_set');

    CREATE TABLE iaros.feature_definition (
        feature_set text NOT NULL REFERENCES iaros.feature_set ON DELETE CASCADE,
        definition text NOT NULL CHECK (iaros.feature_words_valid(ARRAY[definition])),
        "position" integer NOT NULL DEFAULT 1000,
        series text NOT NULL CHECK (iaros.feature_words_valid(ARRAY[series])),
        members text[] CHECK (members IS NULL OR iaros.feature_words_valid(members)),
        prefix text CHECK (prefix ~ '^[a-z][a-z0-9_]{0,40}$'),
        aggregates text[] NOT NULL,
        windows integer[] NOT NULL DEFAULT '{}',
        share_of text CHECK (share_of IS NULL OR iaros.feature_words_valid(ARRAY[share_of])),
        description text NOT NULL,
        shipped_hash text,
        PRIMARY KEY (feature_set, definition),
        CONSTRAINT feature_definition_name CHECK (prefix IS NOT NULL OR members IS NOT NULL),
        CONSTRAINT feature_definition_aggregates CHECK (array_ndims(aggregates) = 1 AND array_position(aggregates, NULL) IS NULL
            AND aggregates <@ '{count,sum,mean,min,max,days,recency,tenure}'),
        CONSTRAINT feature_definition_windows CHECK (array_position(windows, NULL) IS NULL
            AND 0 <= ALL (windows) AND 36500 >= ALL (windows)
            AND (windows <> '{}' OR aggregates <@ '{recency,tenure}')),
        CONSTRAINT feature_definition_share CHECK (share_of IS NULL
            OR cardinality(aggregates) = 1 AND NOT aggregates && '{recency,tenure}')
    );
    COMMENT ON TABLE iaros.feature_definition IS
        'Definitions of features; feature_list() shows what they expand to: each member (or the series itself where there are none), times each aggregate, times each window. Add your own, with a position behind those there are.';
    COMMENT ON COLUMN iaros.feature_definition."position" IS 'Order of the definitions in the set, and so of the features.';
    COMMENT ON COLUMN iaros.feature_definition.members IS 'Parts of the series, each with features of its own: member email of series touch is series touch.email.';
    COMMENT ON COLUMN iaros.feature_definition.prefix IS 'Begins the names: prefix, member, aggregate, window, joined by underscores: booking_amount_sum_365d.';
    COMMENT ON COLUMN iaros.feature_definition.windows IS 'In days, 0 for lifetime. Aggregates recency and tenure have none.';
    COMMENT ON COLUMN iaros.feature_definition.share_of IS 'Series: each feature is divided by the same aggregate of it in the same window, and the name has no aggregate.';
    INSERT INTO iaros.feature_definition (feature_set, definition, "position", series, members, prefix, aggregates, windows, share_of, description, shipped_hash) VALUES
        ('standard', 'event', 10, 'event', NULL, 'event', '{count,days,recency,tenure}', '{1,7,30,90,180,365,0}', NULL, 'All events', 'new'),
        ('standard', 'event.kind', 20, 'event',
            '{page_view,search,cart_add,cart_abandoned,app_open,login,booking_completed,booking_cancelled,check_in,email_open,email_click,sms_click,push_open,complaint,support_contact,nps_response,feedback,referral}',
            NULL, '{count,recency}', '{1,7,30,90,180,365,0}', NULL, 'Events by kind', 'new'),
        ('standard', 'session', 30, 'session', NULL, 'session', '{count,recency}', '{1,7,30,90,180,365,0}', NULL, 'Sessions', 'new'),
        ('standard', 'booking', 40, 'booking', NULL, 'booking', '{count,recency,tenure}', '{1,7,30,90,180,365,0}', NULL, 'Bookings', 'new'),
        ('standard', 'booking.amount', 50, 'booking', NULL, 'booking_amount', '{sum,mean,min,max}', '{1,7,30,90,180,365,0}', NULL, 'Amounts of bookings in the base currency', 'new'),
        ('standard', 'booking.cabin', 60, 'booking', (SELECT array_agg(c::text ORDER BY c) FROM unnest(enum_range(NULL::iaros.cabin)) c),
            'booking', '{count}', '{30,90,180,365,0}', NULL, 'Bookings by cabin', 'new'),
        ('standard', 'sale', 70, 'sale', '{web,mobile,agent,call_center,airport,corporate,api}', 'sale', '{count}', '{90,365,0}', NULL, 'Bookings by where they were made', 'new'),
        ('standard', 'lead', 80, 'lead', NULL, 'lead', '{mean,min,max}', '{90,365,0}', NULL, 'Days from booking to departure', 'new'),
        ('standard', 'party', 90, 'party', NULL, 'party', '{mean,max}', '{90,365,0}', NULL, 'Sizes of parties', 'new'),
        ('standard', 'trip', 100, 'trip', NULL, 'trip', '{count,recency}', '{7,30,90,180,365,0}', NULL, 'Departures', 'new'),
        ('standard', 'item.category', 110, 'item', '{fare,ancillary,hotel,car,insurance,bundle,goods}', 'item', '{count,sum,recency}', '{7,30,90,180,365,0}', NULL, 'Items of bookings by category, and their amounts', 'new'),
        ('standard', 'item.kind', 120, 'item',
            '{ancillary.seat,ancillary.legroom,ancillary.bag,ancillary.meal,ancillary.upgrade,ancillary.lounge,ancillary.wifi,ancillary.priority,ancillary.fast_track}',
            'item', '{count}', '{90,365,0}', NULL, 'Ancillaries by kind', 'new'),
        ('standard', 'touch', 130, 'touch', NULL, 'touch', '{count,sum,recency}', '{1,7,30,90,180,365,0}', NULL, 'Touchpoints, and what they cost', 'new'),
        ('standard', 'touch.channel', 140, 'touch',
            '{email,sms,push,in_app,post,call,web_personal,paid_search,display,paid_social,affiliate,metasearch,organic_search,social,referral,direct}',
            'touch', '{count,recency}', '{1,7,30,90,180,365,0}', NULL, 'Touchpoints by channel', 'new'),
        ('standard', 'nps', 150, 'nps', NULL, 'nps', '{count,mean,min,max,recency}', '{365,0}', NULL, 'Answers to the recommendation question', 'new'),
        ('standard', 'channel.affinity', 160, 'touch',
            '{email,sms,push,in_app,post,call,web_personal,paid_search,display,paid_social,affiliate,metasearch,organic_search,social,referral,direct}',
            'channel_affinity', '{count}', '{90,365,0}', 'touch', 'Share of each channel in the touchpoints of a customer', 'new'),
        ('standard', 'product.affinity', 170, 'item', '{fare,ancillary,hotel,car,insurance,bundle,goods}', 'product_affinity', '{count}', '{90,365,0}', 'item', 'Share of each category in the items of a customer', 'new');
    PERFORM iaros.shipped_seal('iaros.feature_definition');
END $install$;
COMMENT ON PROCEDURE @extschema@.profile_install_feature() IS
'Makes the tables of features with the shipped series, set and definitions. Called by profile_install().';
