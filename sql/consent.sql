-- consent: consent ledger, do-not-contact, preferences, and the one check
-- that every message passes.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.consent_reasons(
    customer_id bigint,
    known boolean,
    stops text[],
    purpose text,
    channel text,
    needs_consent boolean,
    given boolean,
    said_on text,
    topic text,
    excluded boolean)
    RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN known THEN
        coalesce(stops, '{}')
        || CASE WHEN NOT given THEN ARRAY['consent_withdrawn: ' || purpose || ' by ' || channel || ' since ' || said_on]
            WHEN given IS NULL AND needs_consent THEN ARRAY['no_consent: none recorded for ' || purpose || ' by ' || channel]
            ELSE '{}' END
        || CASE WHEN excluded THEN ARRAY['topic_excluded: ' || topic] ELSE '{}' END
    ELSE ARRAY['unknown_customer: ' || coalesce('customer ' || customer_id::text || ' does not exist', 'customer_id is NULL')]
    END;
COMMENT ON FUNCTION @extschema@.consent_reasons(bigint, boolean, text[], text, text, boolean, boolean, text, text, boolean) IS
'The rule of consent_check() and consent_filter(): returns all reasons not to contact a customer, empty when there is none. known: the customer exists, else that is the only reason; stops: reasons out of do-not-contact; given: what the customer said last (NULL: nothing), said_on: the day of it; needs_consent: nothing said is a refusal; excluded: the topic was excluded. Inlined.';

-- Engine: terms -----------------------------------------------------------

CREATE FUNCTION @extschema@.consent_channel_check(channel text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    sends boolean;
BEGIN
    PERFORM iaros.install_check();
    IF channel = 'all' THEN
        RETURN;
    END IF;
    SELECT c.sends INTO sends
    FROM iaros.channel c WHERE c.channel = consent_channel_check.channel;
    IF sends THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = CASE WHEN sends IS NULL THEN 'foreign_key_violation' ELSE 'invalid_parameter_value' END,
        MESSAGE = CASE WHEN sends IS NULL THEN format('channel "%s" does not exist', coalesce(channel, 'NULL'))
                       ELSE format('channel "%s" sends no messages', channel) END,
        DETAIL = 'Consent is asked for channels through which messages leave.',
        HINT = format('Channels: all, %s.',
            (SELECT string_agg(c.channel, ', ' ORDER BY c.channel) FROM iaros.channel c WHERE c.sends));
END $$;
COMMENT ON FUNCTION @extschema@.consent_channel_check(text) IS
'Raises an error unless the argument is all or a channel through which messages leave: 23503 no such channel (also NULL), 22023 a channel that sends nothing. The hint lists the channels.';

CREATE FUNCTION @extschema@.preference_topic_check(topic text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF NOT EXISTS (SELECT FROM iaros.topic t WHERE t.topic = preference_topic_check.topic) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('topic "%s" does not exist', coalesce(topic, 'NULL')),
            HINT = format('Topics: %s.', (SELECT string_agg(t.topic, ', ' ORDER BY t.topic) FROM iaros.topic t));
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.preference_topic_check(text) IS
'Raises 23503 when a topic does not exist (or is NULL); the hint lists the topics.';

CREATE FUNCTION @extschema@.consent_time(at timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF at > now() + interval '5 minutes' OR NOT isfinite(at) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('nothing can have been said at "%s"', at),
            DETAIL = 'A time to come would outlast what the customer says until then.',
            HINT = 'Give the time at which the customer said so.';
    END IF;
    -- Of two clocks, one ahead, the newer statement still holds.
    RETURN least(coalesce(at, now()), now());
END $$;
COMMENT ON FUNCTION @extschema@.consent_time(timestamptz) IS
'Returns the time at which something was said, as it is stored: no later than now(), which NULL also stands for. Clocks may be up to 5 minutes ahead; error: 22023 a time later than that, or infinite.';

CREATE FUNCTION @extschema@.consent_terms(
    purpose text,
    channel text,
    topic text,
    OUT needs_consent boolean,
    OUT service boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.consent_channel_check(channel);
    SELECT p.needs_consent, p.legal_basis IN ('contract', 'legal_obligation')
    INTO consent_terms.needs_consent, consent_terms.service
    FROM iaros.purpose p WHERE p.purpose = consent_terms.purpose;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('purpose "%s" does not exist', coalesce(purpose, 'NULL')),
            HINT = format('Purposes: %s.', (SELECT string_agg(p.purpose, ', ' ORDER BY p.purpose) FROM iaros.purpose p));
    END IF;
    PERFORM iaros.preference_topic_check(topic) WHERE topic IS NOT NULL;
END $$;
COMMENT ON FUNCTION @extschema@.consent_terms(text, text, text) IS
'Checks a purpose, a channel and a topic (NULL: none) and returns what holds for the purpose: needs_consent, and service (its legal basis is a contract or a legal obligation, so that only a do-not-contact that stops everything stops it). Errors: 23503 purpose, channel or topic that does not exist, 22023 a channel that sends nothing.';

-- Engine: check and filter ------------------------------------------------

CREATE FUNCTION @extschema@.consent_check(
    customer_id bigint,
    purpose text,
    channel text,
    topic text DEFAULT NULL,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (allowed boolean, reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    terms record;
    ids bigint[];
    said record;
    stops text[];
    excluded boolean;
BEGIN
    SELECT t.* INTO terms FROM iaros.consent_terms(purpose, channel, topic) t;
    as_of := coalesce(as_of, now());
    ids := ARRAY(SELECT iaros.customer_ids(customer_id));
    SELECT c.given, c.recorded_at INTO said
    FROM iaros.consent c
    WHERE c.customer_id = ANY (ids) AND c.purpose = consent_check.purpose
      AND c.channel IN (consent_check.channel, 'all') AND c.recorded_at <= as_of
    ORDER BY c.recorded_at DESC, c.consent_id DESC
    LIMIT 1;
    stops := ARRAY(
        SELECT format('do_not_contact: %s since %s', replace(d.reason, '_', ' '),
                      to_char(min(d.added_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD'))
        FROM iaros.dnc d
        JOIN iaros.dnc_reason r ON r.reason = d.reason
        WHERE d.customer_id = ANY (ids) AND d.channel IN (consent_check.channel, 'all')
          AND d.added_at <= as_of AND (d.removed_at IS NULL OR d.removed_at > as_of)
          AND (r.stops_all OR NOT terms.service)
        GROUP BY d.reason ORDER BY d.reason);
    IF topic IS NOT NULL THEN
        SELECT p.excluded INTO excluded
        FROM iaros.preference p
        WHERE p.customer_id = ANY (ids) AND p.topic = consent_check.topic
          AND p.channel IN (consent_check.channel, 'all')
        ORDER BY p.updated_at DESC, p.excluded DESC
        LIMIT 1;
    END IF;
    reasons := iaros.consent_reasons(customer_id,
        EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = consent_check.customer_id),
        stops, purpose, channel,
        terms.needs_consent AND iaros.setting_get('consent_required')::boolean,
        said.given, to_char(said.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), topic, excluded);
    allowed := reasons = '{}';
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION @extschema@.consent_check(bigint, text, text, text, timestamptz) IS
'Tells whether a customer may be contacted for a purpose by a channel about a topic (NULL: none) at a time, with all reasons if not: unknown_customer, do_not_contact, consent_withdrawn, no_consent, topic_excluded, each a code and a text. What was said under any id of the person counts; the newest statement about the channel or about all channels decides. Channel all asks what was said about all channels only. Preferences are those of today. Errors: 23503 purpose, channel or topic that does not exist, 22023 channel that sends nothing. A few index look-ups.';

CREATE FUNCTION @extschema@.consent_filter_ids(
    customer_ids bigint[],
    purpose text,
    channel text,
    topic text DEFAULT NULL,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (customer_id bigint, allowed boolean, reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    terms record;
    must boolean;
    ids bigint[];
BEGIN
    SELECT t.* INTO terms FROM iaros.consent_terms(purpose, channel, topic) t;
    must := terms.needs_consent AND iaros.setting_get('consent_required')::boolean;
    as_of := coalesce(as_of, now());
    -- Apart from the statement below, whose planner so knows how many they are.
    SELECT array_agg(d.id) INTO ids FROM (SELECT DISTINCT x.id FROM unnest(customer_ids) AS x(id)) d;
    RETURN QUERY
        WITH audience AS MATERIALIZED (
            SELECT u.id, coalesce(a.master_id, u.id) AS person, c.customer_id IS NOT NULL AS known
            FROM unnest(ids) AS u(id)
            LEFT JOIN iaros.customer c ON c.customer_id = u.id
            LEFT JOIN iaros.customer_alias a ON a.customer_id = u.id
        ), stored AS NOT MATERIALIZED (
            SELECT a.person, a.person AS id FROM audience a
            UNION ALL
            SELECT l.master_id, l.customer_id
            FROM audience a
            JOIN iaros.customer_alias l ON l.master_id = a.person
        ), said AS (
            SELECT DISTINCT ON (s.person) s.person, c.given, c.recorded_at
            FROM stored s
            JOIN iaros.consent c ON c.customer_id = s.id
            WHERE c.purpose = consent_filter_ids.purpose
              AND c.channel IN (consent_filter_ids.channel, 'all')
              AND c.recorded_at <= consent_filter_ids.as_of
            ORDER BY s.person, c.recorded_at DESC, c.consent_id DESC
        ), stop AS (
            SELECT d.person, array_agg(format('do_not_contact: %s since %s', replace(d.reason, '_', ' '),
                to_char(d.since AT TIME ZONE 'UTC', 'YYYY-MM-DD')) ORDER BY d.reason) AS stops
            FROM (
                SELECT s.person, d.reason, min(d.added_at) AS since
                FROM stored s
                JOIN iaros.dnc d ON d.customer_id = s.id
                JOIN iaros.dnc_reason r ON r.reason = d.reason
                WHERE d.channel IN (consent_filter_ids.channel, 'all')
                  AND d.added_at <= consent_filter_ids.as_of
                  AND (d.removed_at IS NULL OR d.removed_at > consent_filter_ids.as_of)
                  AND (r.stops_all OR NOT terms.service)
                GROUP BY s.person, d.reason) d
            GROUP BY d.person
        ), preferred AS (
            SELECT DISTINCT ON (s.person) s.person, p.excluded
            FROM stored s
            JOIN iaros.preference p ON p.customer_id = s.id
            WHERE p.topic = consent_filter_ids.topic
              AND p.channel IN (consent_filter_ids.channel, 'all')
            ORDER BY s.person, p.updated_at DESC, p.excluded DESC
        )
        SELECT v.id, v.reasons = '{}', v.reasons
        FROM (
            SELECT a.id, iaros.consent_reasons(a.id, a.known, t.stops,
                consent_filter_ids.purpose, consent_filter_ids.channel, must, s.given,
                to_char(s.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
                consent_filter_ids.topic, p.excluded) AS reasons
            FROM audience a
            LEFT JOIN said s ON s.person = a.person
            LEFT JOIN stop t ON t.person = a.person
            LEFT JOIN preferred p ON p.person = a.person
            -- Keeps the reasons from being worked out twice.
            OFFSET 0) v;
END $$;
COMMENT ON FUNCTION @extschema@.consent_filter_ids(bigint[], text, text, text, timestamptz) IS
'consent_check() for an array of customers in one statement: one row for each different element, in no order, refused ones with all reasons. NULL array: no rows; a NULL element is an unknown customer. Errors: those of consent_check().';

CREATE FUNCTION @extschema@.consent_filter(
    source text,
    purpose text,
    channel text,
    topic text DEFAULT NULL,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (customer_id bigint, allowed boolean, reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    ids bigint[];
BEGIN
    PERFORM iaros.consent_terms(purpose, channel, topic);
    EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(q.id::pg_catalog.int8) FROM (%s) AS q(id)',
        iaros.source_query(source))
    INTO ids;
    RETURN QUERY SELECT f.customer_id, f.allowed, f.reasons
        FROM iaros.consent_filter_ids(ids, purpose, channel, topic, as_of) f;
END $$;
COMMENT ON FUNCTION @extschema@.consent_filter(text, text, text, text, timestamptz) IS
'consent_check() for the customers of a source: the name of a relation or a query, run with the caller''s path and rights, whose first column is the customer_id. One row for each different customer_id, in no order, refused ones with all reasons. Errors: those of consent_check(), 42P01 no such relation, 22023 empty source, and those of the query. At most some 100 million customers at once.';

CREATE FUNCTION @extschema@.consent_state(
    customer_id bigint,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (purpose text, channel text, given boolean, recorded_at timestamptz, source text, stored_as bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    ids bigint[] := ARRAY(SELECT iaros.customer_ids(consent_state.customer_id));
BEGIN
    RETURN QUERY
        SELECT DISTINCT ON (c.purpose, c.channel)
            c.purpose, c.channel, c.given, c.recorded_at, c.source, c.customer_id
        FROM iaros.consent c
        WHERE c.customer_id = ANY (ids) AND c.recorded_at <= coalesce(as_of, now())
        ORDER BY c.purpose, c.channel, c.recorded_at DESC, c.consent_id DESC;
END $$;
COMMENT ON FUNCTION @extschema@.consent_state(bigint, timestamptz) IS
'Returns what a person said last, under any id, about each purpose and channel up to a time: given or withdrawn, when, where, and under which id it is stored. Of a channel''s own row and the row of channel all the newer one holds. No row for NULL or a customer who said nothing.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.consent_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'table ' || t.relation,
            format('%s rows name channel "%s", which sends nothing or does not exist', count(*), t.channel),
            'Add the channel to iaros.channel with sends, or delete those rows.'
        FROM (SELECT 'consent' AS relation, c.channel FROM iaros.consent c
              UNION ALL SELECT 'dnc', d.channel FROM iaros.dnc d
              UNION ALL SELECT 'preference', p.channel FROM iaros.preference p) t
        WHERE t.channel <> 'all'
          AND NOT EXISTS (SELECT FROM iaros.channel h WHERE h.channel = t.channel AND h.sends)
        GROUP BY t.relation, t.channel
        ORDER BY t.relation, t.channel;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'setting consent_required',
            'it is false: who said nothing is contacted', 'SELECT iaros.setting_set(''consent_required'', NULL).'
        WHERE NOT iaros.setting_get('consent_required')::boolean;
END $$;
COMMENT ON FUNCTION @extschema@.consent_doctor() IS
'Findings of doctor() about consent: rows for channels that do not exist or send nothing, consent that is not asked for.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.consent_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('consent', 1) THEN
    CREATE TABLE iaros.purpose (
        purpose text PRIMARY KEY CHECK (purpose ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        needs_consent boolean NOT NULL,
        legal_basis text NOT NULL CHECK (legal_basis IN ('consent', 'contract', 'legal_obligation', 'legitimate_interests')),
        shipped_hash text,
        CONSTRAINT purpose_consent CHECK (needs_consent OR legal_basis <> 'consent')
    );
    COMMENT ON TABLE iaros.purpose IS
        'What customers are contacted and their data used for, each with its legal basis (GDPR, article 6(1)). needs_consent: who said nothing is not contacted. Purposes that rest on a contract or a legal obligation go past a do-not-contact that does not stop everything.';
    INSERT INTO iaros.purpose (purpose, description, needs_consent, legal_basis, shipped_hash) VALUES
        ('transactional', 'Messages that a booking or an account needs', false, 'contract', 'new'),
        ('marketing', 'Offers and news', true, 'consent', 'new'),
        ('personalisation', 'Content and offers chosen by what is known of the customer', true, 'consent', 'new'),
        ('analytics', 'Analysis of what customers do', true, 'consent', 'new');
    PERFORM iaros.shipped_seal('iaros.purpose');

    CREATE TABLE iaros.topic (
        topic text PRIMARY KEY CHECK (topic ~ '^[a-z][a-z0-9_-]{0,40}$'),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.topic IS 'What messages are about; customers exclude topics. Add your own.';
    INSERT INTO iaros.topic (topic, description, shipped_hash) VALUES
        ('deals', 'Offers at a lower price', 'new'),
        ('new-routes', 'New routes', 'new'),
        ('loyalty-updates', 'News of the loyalty programme', 'new'),
        ('surveys', 'Surveys', 'new'),
        ('newsletters', 'Newsletters', 'new');
    PERFORM iaros.shipped_seal('iaros.topic');

    CREATE TABLE iaros.dnc_reason (
        reason text PRIMARY KEY CHECK (reason ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        automatic boolean NOT NULL,
        stops_all boolean NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.dnc_reason IS
        'Why customers are not contacted. automatic: added by what came back from a message; stops_all: also stops messages that a contract needs. Add your own.';
    INSERT INTO iaros.dnc_reason (reason, description, automatic, stops_all, shipped_hash) VALUES
        ('hard_bounce', 'The address does not exist', true, false, 'new'),
        ('unsubscribe', 'The customer unsubscribed', true, false, 'new'),
        ('spam_complaint', 'The customer reported a message as spam', true, false, 'new'),
        ('stop', 'The customer answered STOP', true, false, 'new'),
        ('customer_request', 'The customer asked customer service', false, false, 'new'),
        ('legal', 'A law or a court forbids it', false, true, 'new'),
        ('policy', 'A policy of ours forbids it', false, false, 'new');
    PERFORM iaros.shipped_seal('iaros.dnc_reason');

    CREATE SEQUENCE iaros.consent_id_seq;
    CREATE TABLE iaros.consent (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        consent_id bigint NOT NULL DEFAULT nextval('iaros.consent_id_seq'),
        channel text NOT NULL CHECK (channel ~ '^[a-z][a-z0-9_]{0,40}$'),
        purpose text NOT NULL REFERENCES iaros.purpose,
        given boolean NOT NULL,
        source text NOT NULL CHECK (source <> '' AND length(source) <= 200),
        ip inet,
        evidence jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(evidence) = 'object'),
        recorded_at timestamptz NOT NULL DEFAULT now() CHECK (isfinite(recorded_at)),
        received_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, consent_id)
    );
    COMMENT ON TABLE iaros.consent IS
        'Ledger of consents: each row is what a customer said about a purpose by a channel (all: by every channel), given or withdrawn. The newest by recorded_at, then consent_id, holds. Takes new rows only, through consent_record().';
    COMMENT ON COLUMN iaros.consent.source IS 'Where it was said: a form, a page, an answer to a message.';
    COMMENT ON COLUMN iaros.consent.recorded_at IS 'When the customer said so; received_at is when the row was written.';
    CREATE INDEX consent_purpose ON iaros.consent USING brin (purpose);
    CREATE TRIGGER consent_guard
        BEFORE UPDATE ON iaros.consent
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.ledger_guard();

    CREATE SEQUENCE iaros.dnc_id_seq;
    CREATE TABLE iaros.dnc (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        dnc_id bigint NOT NULL DEFAULT nextval('iaros.dnc_id_seq'),
        channel text NOT NULL CHECK (channel ~ '^[a-z][a-z0-9_]{0,40}$'),
        reason text NOT NULL REFERENCES iaros.dnc_reason,
        note text,
        added_at timestamptz NOT NULL DEFAULT now() CHECK (isfinite(added_at)),
        removed_at timestamptz CHECK (isfinite(removed_at)),
        PRIMARY KEY (customer_id, dnc_id),
        CONSTRAINT dnc_period CHECK (removed_at >= added_at)
    );
    COMMENT ON TABLE iaros.dnc IS
        'Customers who are not to be contacted by a channel (all: by any), for which reason, in [added_at, removed_at). Written by dnc_add() and dnc_remove().';
    CREATE UNIQUE INDEX dnc_open ON iaros.dnc (customer_id, channel, reason) WHERE removed_at IS NULL;
    CREATE INDEX dnc_by_reason ON iaros.dnc (reason);

    CREATE TABLE iaros.preference (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        channel text NOT NULL CHECK (channel ~ '^[a-z][a-z0-9_]{0,40}$'),
        topic text NOT NULL REFERENCES iaros.topic,
        excluded boolean NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now() CHECK (isfinite(updated_at)),
        PRIMARY KEY (customer_id, channel, topic)
    );
    COMMENT ON TABLE iaros.preference IS
        'Topics that a customer excluded, or wants again, by a channel (all: by any). The newest statement about a topic holds. Written by preference_set().';
    CREATE INDEX preference_topic ON iaros.preference (topic);

    CREATE FUNCTION iaros.consent_record(
        customer_id bigint,
        channel text,
        purpose text,
        given boolean,
        source text,
        ip inet DEFAULT NULL,
        recorded_at timestamptz DEFAULT now(),
        evidence jsonb DEFAULT '{}')
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        id bigint := nextval('iaros.consent_id_seq');
    BEGIN
        PERFORM iaros.consent_terms(purpose, channel, NULL);
        PERFORM iaros.customer_require(customer_id);
        INSERT INTO iaros.consent (customer_id, consent_id, channel, purpose, given, source, ip, recorded_at, evidence)
        VALUES (customer_id, id, channel, purpose, given, source, ip,
                iaros.consent_time(recorded_at), coalesce(evidence, '{}'));
        PERFORM iaros.audit_append(CASE WHEN given THEN 'consent.give' ELSE 'consent.withdraw' END,
            'consent', id::text, customer_id,
            jsonb_build_object('channel', channel, 'purpose', purpose, 'source', source));
        RETURN id;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.consent_record(bigint, text, text, boolean, text, inet, timestamptz, jsonb) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.consent_record(bigint, text, text, boolean, text, inet, timestamptz, jsonb) IS
        'Gate: records that a customer gave (given true) or withdrew consent for a purpose by a channel (all: by every channel), where, from which address and when, with evidence as a JSON object, and returns the consent_id. Adds a row, whatever was said before; a time up to 5 minutes ahead is stored as now(). Writes an audit row. SECURITY DEFINER, so that roles which operate can add to the ledger without the right to change it. Errors: 23503 customer, purpose or channel that does not exist, 22023 channel that sends nothing or a time to come, 23502 given or source is NULL, 23514 source empty or evidence no object.';

    CREATE FUNCTION iaros.dnc_add(
        customer_id bigint,
        channel text,
        reason text,
        added_at timestamptz DEFAULT now(),
        note text DEFAULT NULL)
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        fresh bigint := nextval('iaros.dnc_id_seq');
        id bigint;
    BEGIN
        PERFORM iaros.consent_channel_check(channel);
        PERFORM iaros.customer_require(dnc_add.customer_id);
        IF NOT EXISTS (SELECT FROM iaros.dnc_reason r WHERE r.reason = dnc_add.reason) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'foreign_key_violation',
                MESSAGE = format('reason "%s" does not exist', coalesce(dnc_add.reason, 'NULL')),
                HINT = format('Reasons: %s.', (SELECT string_agg(r.reason, ', ' ORDER BY r.reason) FROM iaros.dnc_reason r));
        END IF;
        INSERT INTO iaros.dnc AS d (customer_id, dnc_id, channel, reason, added_at, note)
        VALUES (dnc_add.customer_id, fresh, dnc_add.channel, dnc_add.reason,
                -- A clock that is ahead must not let messages through meanwhile.
                least(coalesce(dnc_add.added_at, now()), now()), dnc_add.note)
        ON CONFLICT (customer_id, channel, reason) WHERE removed_at IS NULL
        DO UPDATE SET added_at = least(d.added_at, excluded.added_at)
        RETURNING d.dnc_id INTO id;
        IF id = fresh THEN
            PERFORM iaros.audit_append('dnc.add', 'dnc', id::text, dnc_add.customer_id,
                jsonb_build_object('channel', dnc_add.channel, 'reason', dnc_add.reason));
        END IF;
        RETURN id;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.dnc_add(bigint, text, text, timestamptz, text) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.dnc_add(bigint, text, text, timestamptz, text) IS
        'Gate: puts a customer on the do-not-contact list of a channel (all: of every channel) for a reason from a time on (one to come: from now on), and returns the dnc_id. When that stands already, nothing is added; the earlier time is kept. Writes an audit row for a new entry. SECURITY DEFINER, so that roles which operate cannot change the list behind the log. Errors: 23503 customer, channel or reason that does not exist, 22023 channel that sends nothing, 23514 added_at is -infinity.';

    CREATE FUNCTION iaros.dnc_remove(
        customer_id bigint,
        channel text,
        reason text,
        removed_at timestamptz DEFAULT now())
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        ids bigint[] := ARRAY(SELECT iaros.customer_ids(dnc_remove.customer_id));
        until timestamptz := iaros.consent_time(dnc_remove.removed_at);
        done bigint;
    BEGIN
        PERFORM iaros.consent_channel_check(channel);
        -- One order of locks, so that two removals cannot deadlock.
        PERFORM FROM iaros.dnc d
        WHERE d.customer_id = ANY (ids) AND d.channel = dnc_remove.channel
          AND d.reason = dnc_remove.reason AND d.removed_at IS NULL
        ORDER BY d.customer_id, d.dnc_id FOR UPDATE;
        UPDATE iaros.dnc d SET removed_at = until
        WHERE d.customer_id = ANY (ids) AND d.channel = dnc_remove.channel
          AND d.reason = dnc_remove.reason AND d.removed_at IS NULL AND d.added_at <= until;
        GET DIAGNOSTICS done = ROW_COUNT;
        IF done > 0 THEN
            PERFORM iaros.audit_append('dnc.remove', 'dnc', NULL, dnc_remove.customer_id,
                jsonb_build_object('channel', dnc_remove.channel, 'reason', dnc_remove.reason, 'entries', done));
        END IF;
        RETURN done;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.dnc_remove(bigint, text, text, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.dnc_remove(bigint, text, text, timestamptz) IS
        'Gate: ends the do-not-contact entries of a person, under any id, for exactly this channel and reason, and returns how many ended; entries added after removed_at stay. Writes an audit row when any ended. SECURITY DEFINER, as dnc_add(). Errors: 23503 channel that does not exist, 22023 channel that sends nothing, or a removed_at more than 5 minutes ahead or infinite.';

    CREATE FUNCTION iaros.preference_set(
        customer_id bigint,
        channel text,
        topic text,
        excluded boolean,
        updated_at timestamptz DEFAULT now())
        RETURNS boolean
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        changed boolean;
    BEGIN
        PERFORM iaros.consent_channel_check(channel);
        PERFORM iaros.preference_topic_check(topic);
        PERFORM iaros.customer_require(preference_set.customer_id);
        INSERT INTO iaros.preference AS p (customer_id, channel, topic, excluded, updated_at)
        VALUES (preference_set.customer_id, preference_set.channel, preference_set.topic,
                preference_set.excluded, iaros.consent_time(preference_set.updated_at))
        ON CONFLICT ON CONSTRAINT preference_pkey DO UPDATE
            SET excluded = excluded.excluded, updated_at = excluded.updated_at
            WHERE p.updated_at <= excluded.updated_at;
        changed := FOUND;
        IF changed THEN
            PERFORM iaros.audit_append('preference.set', 'preference',
                concat_ws(',', preference_set.channel, preference_set.topic), preference_set.customer_id,
                jsonb_build_object('excluded', preference_set.excluded));
        END IF;
        RETURN changed;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.preference_set(bigint, text, text, boolean, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.preference_set(bigint, text, text, boolean, timestamptz) IS
        'Gate: records that a customer wants no messages about a topic by a channel (all: by any), or wants them again, with the time of saying so; returns false, and changes nothing, when something newer is recorded. A time up to 5 minutes ahead is stored as now(). Writes an audit row. SECURITY DEFINER, so that roles which operate cannot change preferences behind the log. Errors: 23503 customer, channel or topic that does not exist, 22023 channel that sends nothing or a time to come, 23502 excluded is NULL.';

    PERFORM iaros.setting_define('consent_required', 'boolean', 'true',
        'Whether a customer who said nothing is not contacted for purposes that need consent. A withdrawal holds in any case.');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.consent_install() IS
'Makes the tables and gates of the domain consent. Called by install().';
