-- lifecycle, value: value scores and segments of customers, their history,
-- the estimates behind them, and offers by value.

CREATE TYPE @extschema@.value_scaling AS ENUM ('scaled', 'raw');
COMMENT ON TYPE @extschema@.value_scaling IS
'How the terms of a value score are added: scaled, each from 0 to 100 first; raw, as they are, a score and an amount of money.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.ltv_estimate(
    annual_spend numeric,
    churn double precision,
    retention numeric DEFAULT 0.75,
    discount numeric DEFAULT 0.10)
    RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(annual_spend * (1 - churn)::numeric * retention / (1 + discount - retention), 4);
COMMENT ON FUNCTION @extschema@.ltv_estimate(numeric, double precision, numeric, numeric) IS
'Estimates what a customer will still spend, discounted to now: annual_spend * (1 - churn) * r / (1 + i - r), with churn the chance that the customer has gone already (churn_estimate()), r = retention the share of customers kept from one year to the next (0 to below 1 + i) and i = discount a year: the sum over all years to come of a spend that stays as it is (Gupta and Lehmann 2003), in the currency of annual_spend, rounded to four decimals. Revenue, no margin; an estimate by one formula, not a trained model. NULL when an argument is NULL. Error: 22012 retention of 1 + discount. Inlined.';

CREATE FUNCTION @extschema@.value_score(
    m_score integer,
    predicted_ltv numeric,
    scaling @extschema@.value_scaling DEFAULT 'scaled',
    levels integer DEFAULT 5,
    ltv_full numeric DEFAULT 10000,
    m_weight numeric DEFAULT 0.4,
    ltv_weight numeric DEFAULT 0.6)
    RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(CASE scaling
        WHEN 'raw' THEN m_weight * m_score + ltv_weight * predicted_ltv
        ELSE 100 * (m_weight * (m_score - 1) / (levels - 1) + ltv_weight
            * CASE WHEN predicted_ltv < 0 THEN 0 WHEN predicted_ltv > ltv_full THEN 1 ELSE predicted_ltv / ltv_full END)
        END, 2);
COMMENT ON FUNCTION @extschema@.value_score(integer, numeric, @extschema@.value_scaling, integer, numeric, numeric, numeric) IS
'Returns the value score of a customer from the monetary score of RFM (1 to levels) and the predicted lifetime value. scaled: from 0 to 100 when the weights add to 1, m_weight * 100 * (m_score - 1) / (levels - 1) + ltv_weight * 100 * predicted_ltv / ltv_full, where predicted_ltv counts from 0 to ltv_full. raw: m_weight * m_score + ltv_weight * predicted_ltv. Rounded to two decimals. NULL when an argument is NULL. Error: 22012 levels 1 or ltv_full 0. Inlined.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.value_scheme_find(scheme text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted text;
BEGIN
    PERFORM iaros.install_check();
    wanted := coalesce(scheme, iaros.setting_get('value_scheme'));
    IF NOT EXISTS (SELECT FROM iaros.value_scheme s WHERE s.scheme = wanted) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('scheme of values "%s" does not exist', left(wanted, 64)),
            HINT = format('Schemes: %s.', (SELECT string_agg(s.scheme, ', ' ORDER BY s.scheme) FROM iaros.value_scheme s));
    END IF;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION @extschema@.value_scheme_find(text) IS
'Returns the scheme of values of a name; NULL: that of setting value_scheme. Error: 42704 no such scheme.';

CREATE FUNCTION @extschema@.value_case_sql(scheme text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    chosen text := iaros.value_scheme_find(scheme);
BEGIN
    RETURN coalesce((
        SELECT format('CASE %s END', string_agg(format('WHEN y.score >= %L::numeric THEN %L', d.lower_bound, d.segment), ' ' ORDER BY d.lower_bound DESC))
        FROM iaros.value_segment_def d WHERE d.scheme = chosen), 'NULL::text');
END $$;
COMMENT ON FUNCTION @extschema@.value_case_sql(text) IS
'Returns the segments of a scheme of values (NULL: that of setting value_scheme) as one CASE expression over y.score. Error: 42704 no such scheme.';

CREATE FUNCTION @extschema@.value_source_sql(as_of timestamptz, scheme text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    scored record;
    schemes text;
BEGIN
    PERFORM iaros.install_check();
    SELECT r.as_of <= value_source_sql.as_of AS is_now, s.levels INTO scored
    FROM iaros.rfm_run r LEFT JOIN iaros.rfm_scheme s ON s.scheme = r.scheme
    WHERE r.is_last;
    SELECT string_agg(format('(%L::text, iaros.value_score(q.m, q.ltv, %L, %L, %L, %L, %L), %s)',
               s.scheme, s.scaling, coalesce(scored.levels, 5), s.ltv_full, s.m_weight, s.ltv_weight,
               replace(iaros.value_case_sql(s.scheme), 'y.score', format('iaros.value_score(q.m, q.ltv, %L, %L, %L, %L, %L)',
                   s.scaling, coalesce(scored.levels, 5), s.ltv_full, s.m_weight, s.ltv_weight))), ', ' ORDER BY s.scheme)
    INTO schemes
    FROM iaros.value_scheme s
    WHERE CASE WHEN value_source_sql.scheme IS NULL THEN s.enabled ELSE s.scheme = value_source_sql.scheme END;
    RETURN format($q$
        SELECT q.customer_id, x.scheme, q.rfm_segment, q.lifetime_value, q.ltv AS predicted_ltv, x.score AS value_score, x.segment AS value_segment
        FROM (SELECT p.customer_id, r.segment AS rfm_segment, p.spend_total AS lifetime_value,
                CASE WHEN p.booking_count > 0 THEN coalesce(iaros.rfm_m(r.score), 1) END AS m,
                iaros.ltv_estimate(p.spend_12m, iaros.churn_estimate(p.booking_count, p.first_booked_at, p.last_booked_at, $1, %L), %L, %L) AS ltv
              FROM iaros.profile_at($1) p
              LEFT JOIN %s r ON r.customer_id = p.customer_id
              WHERE $2 IS NULL OR p.customer_id = ANY ($2)
              OFFSET 0) q
        CROSS JOIN LATERAL (VALUES %s) AS x(scheme, score, segment)$q$,
        iaros.setting_get('churn_gap_days'), iaros.setting_get('ltv_retention'), iaros.setting_get('ltv_discount'),
        CASE WHEN scored.is_now THEN 'iaros.rfm_stored'
            ELSE '(SELECT DISTINCT ON (h.customer_id) h.customer_id, h.score, h.segment FROM iaros.rfm_history h
                   WHERE h.since <= $1 ORDER BY h.customer_id, h.since DESC)' END, schemes);
END $$;
COMMENT ON FUNCTION @extschema@.value_source_sql(timestamptz, text) IS
'Returns the query of the values of customers by a scheme, or by all enabled ones (NULL): $1 as_of, $2 customers or NULL. RFM is that of customer_rfm, or of rfm_history where as_of lies before its last run; who has no score of it counts as the lowest. NULL when there is no scheme.';

CREATE FUNCTION @extschema@.customer_value(
    INOUT customer_id bigint,
    as_of timestamptz DEFAULT now(),
    scheme text DEFAULT NULL,
    OUT rfm_segment text,
    OUT predicted_ltv numeric,
    OUT value_score numeric,
    OUT value_segment text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    chosen text := iaros.value_scheme_find(customer_value.scheme);
    until timestamptz := coalesce(customer_value.as_of, now());
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT v.customer_id, v.rfm_segment, v.predicted_ltv, v.value_score, v.value_segment FROM (%s) v',
        iaros.value_source_sql(until, chosen))
        USING until, ARRAY[iaros.customer_resolve(customer_value.customer_id)];
END $$;
COMMENT ON FUNCTION @extschema@.customer_value(bigint, timestamptz, text) IS
'Returns the value of a person, given any of the ids, as of a time (NULL: now) by a scheme (NULL: that of setting value_scheme), computed from the profile as of then: RFM segment as rfm_refresh() stored it for that time, ltv_estimate() in the base currency, value_score() and the segment it falls in; NULL but for the customer_id where the person never booked. No row for NULL or an unknown customer. Error: 42704 no such scheme. One profile.';

CREATE FUNCTION @extschema@.value_write(customer_ids bigint[], as_of timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    until timestamptz := as_of;
    newest timestamptz;
    source text;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    -- The last run: locked, so that an older snapshot fails here.
    PERFORM FROM iaros.lifecycle_refreshed r WHERE r.subject = 'value' ORDER BY r.scheme FOR SHARE;
    SELECT max(r.as_of) INTO newest
    FROM iaros.lifecycle_refreshed r JOIN iaros.value_scheme s ON s.scheme = r.scheme
    WHERE r.subject = 'value' AND s.enabled;
    IF until IS NULL OR until = now() THEN
        until := clock_timestamp();
    END IF;
    IF until < newest OR until > clock_timestamp() OR NOT iaros.time_valid(until) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('values cannot be kept as of "%s"', until),
            DETAIL = CASE WHEN until < newest THEN format('They are kept as of %s already.', newest)
                ELSE 'The history only has what has happened.' END,
            HINT = 'customer_value() computes the value of a customer as of any time.';
    END IF;
    source := iaros.value_source_sql(until);
    IF source IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format($q$
        WITH differs AS MATERIALIZED (
            SELECT customer_id, scheme, o.value_segment AS was, v.lifetime_value, v.predicted_ltv, v.value_score, v.value_segment
            FROM (SELECT * FROM (%s) s WHERE s.value_segment IS NOT NULL) AS v
            FULL JOIN (
                SELECT * FROM iaros.customer_value_segment c
                WHERE ($2 IS NULL OR c.customer_id = ANY ($2))
                  AND c.scheme IN (SELECT s.scheme FROM iaros.value_scheme s WHERE s.enabled)) AS o USING (customer_id, scheme)
            WHERE coalesce(o.calculated_at, '-infinity') <= $1
              AND (v.value_segment IS DISTINCT FROM o.value_segment OR v.lifetime_value <> o.lifetime_value
                  OR round(v.value_score, 1) <> round(o.value_score, 1))
        ), gone AS (
            DELETE FROM iaros.customer_value_segment c USING differs d
            WHERE d.value_segment IS NULL AND c.customer_id = d.customer_id AND c.scheme = d.scheme
        ), written AS (
            INSERT INTO iaros.customer_value_segment AS c (customer_id, scheme, value_segment, lifetime_value, predicted_ltv, value_score, calculated_at)
            SELECT d.customer_id, d.scheme, d.value_segment, d.lifetime_value, d.predicted_ltv, d.value_score, $1
            FROM differs d WHERE d.value_segment IS NOT NULL
            ON CONFLICT (customer_id, scheme) DO UPDATE SET value_segment = excluded.value_segment,
                lifetime_value = excluded.lifetime_value, predicted_ltv = excluded.predicted_ltv,
                value_score = excluded.value_score, calculated_at = excluded.calculated_at
        ), noted AS (
            INSERT INTO iaros.customer_value_history AS h (customer_id, scheme, since, segment)
            SELECT d.customer_id, d.scheme, $1, d.value_segment
            FROM differs d WHERE d.value_segment IS DISTINCT FROM d.was
            ON CONFLICT (customer_id, scheme, since) DO UPDATE SET segment = excluded.segment
        )
        SELECT count(*) FROM differs$q$, source) INTO done USING until, customer_ids;
    IF customer_ids IS NULL THEN
        INSERT INTO iaros.lifecycle_refreshed AS r (subject, scheme, as_of, ran_at, changed)
        SELECT 'value', s.scheme, until, clock_timestamp(), done
        FROM iaros.value_scheme s WHERE s.enabled
        ON CONFLICT (subject, scheme) DO UPDATE SET as_of = excluded.as_of, ran_at = excluded.ran_at, changed = excluded.changed;
    END IF;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.value_write(bigint[], timestamptz) IS
'Brings customer_value_segment, of the customers given or of all when the array is NULL, to what it should be at as_of, notes changes of segment in customer_value_history, and returns how many rows changed. For value_refresh() and value_apply(), which lock.';

CREATE FUNCTION @extschema@.value_refresh(as_of timestamptz DEFAULT now()) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.lifecycle_refresh', 0));
    RETURN iaros.value_write(NULL, as_of);
END $$;
COMMENT ON FUNCTION @extschema@.value_refresh(timestamptz) IS
'Brings the values of all customers who ever booked, in all enabled schemes, to what they are as of a time (NULL or now(): the moment at which no other refresh runs any more) and returns how many rows changed. A row is written when the segment, the lifetime value or the score, to one decimal, is another. Segments begin, in customer_value_history, at the as_of of the run that found them. Error: 22023 as_of in the future or before the last run. One scan of the profiles.';

CREATE FUNCTION @extschema@.value_apply(customer_ids bigint[], as_of timestamptz DEFAULT now()) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.lifecycle_refresh', 0));
    ids := iaros.customer_lock(customer_ids);
    RETURN iaros.value_write(ids, as_of);
END $$;
COMMENT ON FUNCTION @extschema@.value_apply(bigint[], timestamptz) IS
'As value_refresh(), for some customers: ids that are aliases count for their master, ids of nobody are passed over, a NULL array is none. Error: that of value_refresh(). A profile for each customer.';

CREATE FUNCTION @extschema@.value_run() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN CASE WHEN iaros.setting_get('cvm_enabled')::boolean THEN iaros.value_refresh() ELSE 0 END;
END $$;
COMMENT ON FUNCTION @extschema@.value_run() IS
'Body of the job iaros-value: value_refresh() as of now, unless setting cvm_enabled is false; returns how many rows changed.';

CREATE FUNCTION @extschema@.value_moves(from_at timestamptz, to_at timestamptz, scheme text DEFAULT NULL)
    RETURNS TABLE (from_segment text, to_segment text, customers bigint, share numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    chosen text := iaros.value_scheme_find(scheme);
BEGIN
    IF from_at IS NULL OR to_at IS NULL OR from_at > to_at THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a migration cannot go from "%s" to "%s"', coalesce(from_at::text, 'NULL'), coalesce(to_at::text, 'NULL')),
            HINT = 'Give two times, the earlier one first.';
    END IF;
    RETURN QUERY
        WITH moved AS (
            SELECT (array_agg(h.segment ORDER BY h.since DESC) FILTER (WHERE h.since <= from_at))[1] AS from_segment,
                (array_agg(h.segment ORDER BY h.since DESC))[1] AS to_segment
            FROM iaros.customer_value_history h
            WHERE h.scheme = chosen AND h.since <= to_at
            GROUP BY h.customer_id)
        SELECT m.from_segment, m.to_segment, count(*),
            round(count(*) / sum(count(*)) OVER (PARTITION BY m.from_segment), 4)
        FROM moved m
        WHERE m.from_segment IS NOT NULL OR m.to_segment IS NOT NULL
        GROUP BY m.from_segment, m.to_segment
        ORDER BY m.from_segment, m.to_segment;
END $$;
COMMENT ON FUNCTION @extschema@.value_moves(timestamptz, timestamptz, text) IS
'Returns how many customers went from which value segment of a scheme (NULL: that of setting value_scheme) to which between two times, and their share of those who were in the first; NULL on a side: in none then. Read from customer_value_history. Errors: 22023 times not in order, 42704 no such scheme. Linear in the history of the scheme.';

CREATE FUNCTION @extschema@.value_offers(
    customer_id bigint,
    as_of timestamptz DEFAULT now(),
    scheme text DEFAULT NULL)
    RETURNS TABLE (value_segment text, offer text, priority integer, description text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    chosen text := iaros.value_scheme_find(value_offers.scheme);
BEGIN
    RETURN QUERY
        SELECT o.segment, o.offer, o.priority, o.description
        FROM iaros.customer_value(value_offers.customer_id, value_offers.as_of, chosen) v
        JOIN iaros.value_offer o ON o.scheme = chosen AND o.segment = v.value_segment AND o.enabled
        ORDER BY o.priority, o.offer;
END $$;
COMMENT ON FUNCTION @extschema@.value_offers(bigint, timestamptz, text) IS
'Returns the codes of the offers that are meant for customers of such a value as customer_value() gives, by the enabled rows of value_offer, the strongest (lowest priority) first; whether they are live is for the domain offer to say. No row for NULL, an unknown customer, or one who never booked. Error: 42704 no such scheme. One profile.';

CREATE FUNCTION @extschema@.customer_scores(
    customer_id bigint,
    models text[] DEFAULT NULL,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (model text, score numeric, kind text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 3
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    stray text;
    until timestamptz := coalesce(customer_scores.as_of, now());
BEGIN
    PERFORM iaros.install_check();
    SELECT min(m) INTO stray FROM unnest(models) AS m WHERE m NOT IN ('churn', 'ltv', 'value');
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('model "%s" does not exist', left(stray, 64)),
            HINT = 'Models: churn, ltv, value.';
    END IF;
    RETURN QUERY
        SELECT s.model, s.score, 'estimate'::text
        FROM iaros.customer_value(customer_scores.customer_id, until) v
        JOIN iaros.profile_at(until) p ON p.customer_id = v.customer_id
        CROSS JOIN LATERAL (VALUES
            ('churn', round(iaros.churn_estimate(p.booking_count, p.first_booked_at, p.last_booked_at, until,
                iaros.setting_get('churn_gap_days')::float8)::numeric, 4)),
            ('ltv', v.predicted_ltv),
            ('value', v.value_score)) AS s(model, score)
        WHERE models IS NULL OR s.model = ANY (models)
        ORDER BY s.model;
END $$;
COMMENT ON FUNCTION @extschema@.customer_scores(bigint, text[], timestamptz) IS
'Returns scores of a person, given any of the ids, as of a time: churn (0 to 1, churn_estimate()), ltv (base currency, ltv_estimate()) and value (value_score() of the default scheme); models NULL: all of them. kind tells where a score comes from: estimate, by a stated formula. score is NULL where the person never booked. No row for NULL or an unknown customer. Error: 42704 no such model. One profile.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.lifecycle_install_value()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.value_scheme (
        scheme text PRIMARY KEY CHECK (scheme ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        scaling iaros.value_scaling NOT NULL DEFAULT 'scaled',
        m_weight numeric NOT NULL DEFAULT 0.4 CHECK (m_weight BETWEEN 0 AND 1),
        ltv_weight numeric NOT NULL DEFAULT 0.6 CHECK (ltv_weight BETWEEN 0 AND 1),
        ltv_full numeric(16,4) NOT NULL DEFAULT 10000 CHECK (ltv_full > 0),
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text,
        CONSTRAINT value_scheme_weights CHECK (scaling = 'raw' OR m_weight + ltv_weight = 1)
    );
    COMMENT ON TABLE iaros.value_scheme IS
        'Ways to score the value of customers, see value_score(); enabled: value_refresh() keeps its values. Add your own.';
    COMMENT ON COLUMN iaros.value_scheme.ltv_full IS 'Lifetime value, in the base currency, from which on its term is 100; not read where scaling is raw.';
    INSERT INTO iaros.value_scheme (scheme, description, scaling, enabled, shipped_hash) VALUES
        ('scaled', 'Both terms from 0 to 100 first', 'scaled', true, 'new'),
        ('raw', 'm_score x 0.4 + predicted_ltv x 0.6 as it stands: a score and an amount of money', 'raw', false, 'new');
    PERFORM iaros.shipped_seal('iaros.value_scheme');

    CREATE TABLE iaros.value_segment_def (
        scheme text NOT NULL REFERENCES iaros.value_scheme ON UPDATE CASCADE ON DELETE CASCADE,
        segment text NOT NULL CHECK (segment ~ '^[a-z][a-z0-9_]{0,40}$'),
        lower_bound numeric NOT NULL CHECK (lower_bound >= 0 AND lower_bound NOT IN ('NaN', 'Infinity')),
        description text NOT NULL,
        shipped_hash text,
        PRIMARY KEY (scheme, segment),
        CONSTRAINT value_segment_def_bound UNIQUE (scheme, lower_bound)
    );
    COMMENT ON TABLE iaros.value_segment_def IS
        'Segments of a scheme of values: from which value score on, until the next one begins.';
    INSERT INTO iaros.value_segment_def (scheme, segment, lower_bound, description, shipped_hash) VALUES
        ('scaled', 'high_value', 70, 'As who has the best monetary score and half of ltv_full to come', 'new'),
        ('scaled', 'medium_value', 40, 'As who has a middle monetary score and a third of ltv_full to come', 'new'),
        ('scaled', 'low_value', 0, 'The others who ever booked', 'new'),
        ('raw', 'high_value', 3000, 'About 5,000 of lifetime value', 'new'),
        ('raw', 'medium_value', 600, 'About 1,000 of lifetime value', 'new'),
        ('raw', 'low_value', 0, 'The others who ever booked', 'new');
    PERFORM iaros.shipped_seal('iaros.value_segment_def');

    CREATE TABLE iaros.value_offer (
        scheme text NOT NULL,
        segment text NOT NULL,
        offer text NOT NULL CHECK (offer <> ''),
        priority integer NOT NULL CHECK (priority > 0),
        description text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text,
        PRIMARY KEY (scheme, segment, offer),
        CONSTRAINT value_offer_segment FOREIGN KEY (scheme, segment)
            REFERENCES iaros.value_segment_def ON UPDATE CASCADE ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.value_offer IS
        'Offers, by their code, that are meant for customers of a value segment; lower priority is stronger.';
    INSERT INTO iaros.value_offer (scheme, segment, offer, priority, description, shipped_hash)
    SELECT s.scheme, o.segment, o.offer, o.priority, o.description, 'new'
    FROM (VALUES ('scaled'), ('raw')) AS s(scheme)
    CROSS JOIN (VALUES
        ('high_value', 'LOUNGE_ACCESS', 1, 'Service rather than discounts'),
        ('high_value', 'BUSINESS_UPGRADE', 2, 'Service rather than discounts'),
        ('medium_value', 'DOUBLE_POINTS', 1, 'A reason to book more'),
        ('medium_value', 'BUSINESS_UPGRADE', 2, 'A taste of more'),
        ('low_value', 'EXTRA_LEGROOM', 1, 'Small and cheap'),
        ('low_value', 'FAMILY_BUNDLE', 2, 'More in one booking')) AS o(segment, offer, priority, description);
    PERFORM iaros.shipped_seal('iaros.value_offer');

    CREATE TABLE iaros.customer_value_segment (
        customer_id bigint NOT NULL,
        scheme text NOT NULL,
        value_segment text NOT NULL,
        lifetime_value numeric(24,4) NOT NULL,
        predicted_ltv numeric(24,4) NOT NULL,
        value_score numeric NOT NULL,
        calculated_at timestamptz NOT NULL CHECK (iaros.time_valid(calculated_at)),
        PRIMARY KEY (customer_id, scheme)
    -- Rows change in place: no index on what changes, room for two versions.
    ) WITH (fillfactor = 75);
    COMMENT ON TABLE iaros.customer_value_segment IS
        'Value of each person who ever booked, by each scheme, as value_refresh() and value_apply() left it. Without a foreign key, for the reason of customer_lifecycle_stage.';
    COMMENT ON COLUMN iaros.customer_value_segment.lifetime_value IS 'Spend up to calculated_at, base currency.';
    COMMENT ON COLUMN iaros.customer_value_segment.predicted_ltv IS 'Spend still to come as of calculated_at, base currency: ltv_estimate().';
    COMMENT ON COLUMN iaros.customer_value_segment.calculated_at IS 'as_of of the run that last found something to change; small changes are not written, see value_refresh().';

    CREATE TABLE iaros.customer_value_history (
        customer_id bigint NOT NULL,
        scheme text NOT NULL,
        since timestamptz NOT NULL CHECK (iaros.time_valid(since)),
        segment text,
        PRIMARY KEY (customer_id, scheme, since)
    );
    COMMENT ON TABLE iaros.customer_value_history IS
        'Value segments of customers over time: a row holds from since until the next row of the customer and scheme; NULL: none. Written by value_refresh() and value_apply(), kept for lifecycle_history_keep_days. Without a foreign key, for the reason of customer_lifecycle_stage.';

    CREATE VIEW iaros.value_migration AS
        SELECT t.scheme, date_trunc('month', t.since AT TIME ZONE 'UTC')::date AS month,
            t.from_segment, t.segment AS to_segment, count(*) AS moves
        FROM (SELECT h.scheme, h.since, h.segment,
                  lag(h.segment) OVER (PARTITION BY h.customer_id, h.scheme ORDER BY h.since) AS from_segment
              FROM iaros.customer_value_history h) t
        WHERE t.from_segment <> t.segment
        GROUP BY t.scheme, 2, t.from_segment, t.segment;
    COMMENT ON VIEW iaros.value_migration IS
        'How many customers in each month (UTC) went from one value segment of a scheme to another.';

    PERFORM iaros.setting_define('cvm_enabled', 'boolean', 'true',
        'Whether the job value keeps the values of customers.');
    PERFORM iaros.setting_define('value_scheme', 'text', 'scaled',
        'The scheme of values where none is named.');
    PERFORM iaros.setting_define('ltv_retention', 'number', '0.75',
        'Share of customers kept from one year to the next that ltv_estimate() assumes, from 0 to 1.');
    PERFORM iaros.setting_define('ltv_discount', 'number', '0.10',
        'Discount a year that ltv_estimate() assumes, above 0.');
    PERFORM iaros.job_define('value', '35 * * * *', 'value_run', interval '3 hours', false,
        'Keeps the value of all customers who ever booked, with history of segments.');
END $install$;
COMMENT ON PROCEDURE @extschema@.lifecycle_install_value() IS
'Makes the tables of value. Called by lifecycle_install().';
