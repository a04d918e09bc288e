-- Hostile input of the types of rfm: thousands of mutated texts and binary
-- messages. Each is refused with an error of input, or taken as a value that
-- its text and its binary form give back. The same on every run.
BEGIN;
SELECT setseed(0.5);
SET LOCAL client_min_messages TO error;

-- The types, how many inputs of each form, and values to start from.
CREATE TEMP TABLE fuzz_type (type regtype PRIMARY KEY, rounds integer, seeds text[]);
INSERT INTO fuzz_type VALUES
    ('iaros.rfm', 1000, '{111,543,999}'),
    ('iaros.rfm_stat', 4000, ARRAY[
        '2025-06-01T00:00:00Z/2025-12-31T23:59:59.999999Z 2 501.5',
        '-infinity/infinity 9223372036854775807 -922337203685477.5808',
        '-4713-11-24T00:00:00Z/294276-12-31T23:59:59.999999Z 1 0.00001',
        '- 3 123456789012345678901234567890.123456789',
        '0000-02-29T12:30:00.25Z/infinity 70000 0']),
    ('iaros.rfm_state', 10000, ARRAY(SELECT iaros.rfm_agg(v.customer_id, v.at, v.amount, v.since, v.until)::text FROM (
        SELECT 1, n, timestamptz '2025-01-01Z' + n * interval '1 day', n::numeric, NULL::timestamptz, NULL::timestamptz FROM generate_series(1, 8) AS n
        UNION ALL SELECT 2, n * 987654321987, timestamptz '2025-01-01Z' + n * interval '1.234567 days', n * 12345678901234.0001, '2024-01-01Z', '2030-01-01Z' FROM generate_series(-5, 5) AS n
        UNION ALL SELECT 3, nullif(n % 3, 0), nullif(timestamptz '2025-01-01Z', timestamptz '2025-01-01Z' + n % 5 * interval '1 s'), n * 1e20 + 0.0000001, NULL, NULL FROM generate_series(1, 9) AS n
        UNION ALL SELECT 4, NULL, timestamptz '2025-01-01Z', 1.5, '2025-01-01Z', NULL
        UNION ALL VALUES (5, -9223372036854775808, timestamptz '4714-11-24 00:00:00Z BC', -922337203685477.5808, NULL::timestamptz, NULL::timestamptz),
            (5, 9223372036854775807, '294276-12-31 23:59:59.999999Z', 922337203685477.5807, NULL, NULL)) AS v(seed, customer_id, at, amount, since, until)
        GROUP BY v.seed ORDER BY v.seed));
SELECT plan(4 * count(*)::integer) FROM fuzz_type;

CREATE TEMP TABLE fuzz_outcome (type regtype, form text, round integer, input bytea, state text, message text);
\set directory `mktemp -d /tmp/iaros_fuzz.XXXXXXXX`
\set opened `chmod 777 :'directory'`
SELECT set_config('fuzz.file', :'directory' || '/input', true) \g /dev/null

-- A number from 0 to below n.
CREATE FUNCTION pg_temp.pick(n bigint) RETURNS integer LANGUAGE sql AS $$
    SELECT (random() * n)::integer % greatest(n, 1)::integer $$;

-- One random change: of a byte, a bit, the length, or with a part of another.
CREATE FUNCTION pg_temp.mutate(data bytea, other bytea, alphabet bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    size integer := length(data);
    at integer := pg_temp.pick(size);
    one bytea := substr(alphabet, 1 + pg_temp.pick(length(alphabet)), 1);
BEGIN
    CASE pg_temp.pick(9)
        WHEN 0 THEN RETURN CASE WHEN size > 0 THEN set_byte(data, at, get_byte(one, 0)) ELSE one END;
        WHEN 1 THEN RETURN substr(data, 1, at) || one || substr(data, at + 1);
        WHEN 2 THEN RETURN substr(data, 1, at) || substr(data, at + 2);
        WHEN 3 THEN RETURN substr(data, 1, at);
        WHEN 4 THEN RETURN data || one;
        WHEN 5 THEN RETURN substr(data, 1, at) || substr(other, 1 + pg_temp.pick(length(other)));
        WHEN 6 THEN RETURN substr(data, 1, at) || substr(other, 1 + at);
        WHEN 7 THEN RETURN substr(data, 1, at) || decode(repeat(encode(one, 'hex'), 1 + pg_temp.pick(8)), 'hex') || substr(data, at + 1 + pg_temp.pick(8));
        ELSE RETURN CASE WHEN size > 0 AND length(alphabet) = 256 THEN set_bit(data, pg_temp.pick(8::bigint * size), pg_temp.pick(2)) ELSE data END;
    END CASE;
END $$;

-- Notes what COPY read, so that nothing need be stored.
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fuzz.value', (SELECT e.value FROM jsonb_each_text(to_jsonb(NEW)) AS e WHERE e.value IS NOT NULL), true);
    RETURN NULL;
END $$;

-- Takes a binary message in through COPY, the way that a client has.
CREATE FUNCTION pg_temp.receive(type regtype, message bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    object oid;
BEGIN
    object := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'::bytea
        || int2send(1::smallint) || int4send(length(message)) || message || int2send((-1)::smallint));
    PERFORM lo_export(object, current_setting('fuzz.file')), lo_unlink(object);
    EXECUTE format('COPY fuzz_in (%I) FROM %L (FORMAT binary)', 'v_' || type::oid, current_setting('fuzz.file'));
    RETURN current_setting('fuzz.value');
END $$;

-- The binary form of a value that is given as text.
CREATE FUNCTION pg_temp.sent(type regtype, value text) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    result bytea;
BEGIN
    EXECUTE format('SELECT %s($1::%s)', (SELECT t.typsend FROM pg_type t WHERE t.oid = type), type) USING value INTO result;
    RETURN result;
END $$;

-- Tries an input; returns the text form of the value if it was taken.
CREATE FUNCTION pg_temp.taken(type regtype, form text, input bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    IF form = 'binary' THEN
        RETURN pg_temp.receive(type, input);
    END IF;
    EXECUTE format('SELECT %L::%s::text', convert_from(input, 'SQL_ASCII'), type) INTO result;
    RETURN result;
END $$;

-- Tries one input, and what comes back if it was taken.
CREATE FUNCTION pg_temp.try(type regtype, form text, round integer, input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    state text := 'taken';
    message text;
    value text;
BEGIN
    BEGIN
        value := pg_temp.taken(type, form, input);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    END;
    IF state = 'taken' THEN
        BEGIN
            IF pg_temp.taken(type, 'text', convert_to(value, 'SQL_ASCII')) IS DISTINCT FROM value
                OR pg_temp.receive(type, pg_temp.sent(type, value)) IS DISTINCT FROM value THEN
                state := 'changed';
                message := value;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            state := 'lost ' || state;
        END;
    END IF;
    INSERT INTO fuzz_outcome VALUES (type, form, round, input, state, message);
END $$;

CREATE FUNCTION pg_temp.fuzz(type regtype, form text, rounds integer, seeds text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- Any byte; or what texts are made of.
    alphabet bytea := CASE form WHEN 'text' THEN '0123456789-+/ TZ:.infty,eE()[]{}"'::bytea
        ELSE (SELECT string_agg(set_byte('\x00', 0, b), '' ORDER BY b) FROM generate_series(0, 255) AS b) END;
    starts bytea[];
    input bytea;
BEGIN
    SELECT array_agg(CASE form WHEN 'text' THEN convert_to(s, 'SQL_ASCII') ELSE pg_temp.sent(type, s) END ORDER BY n) INTO starts
    FROM unnest(seeds) WITH ORDINALITY AS u(s, n);
    FOR round IN 1..rounds LOOP
        input := starts[1 + pg_temp.pick(cardinality(starts))];
        FOR i IN 0..pg_temp.pick(4) LOOP
            input := pg_temp.mutate(input, starts[1 + pg_temp.pick(cardinality(starts))], alphabet);
        END LOOP;
        PERFORM pg_temp.try(type, form, round, input);
    END LOOP;
END $$;

DO $$
BEGIN
    EXECUTE (SELECT format('CREATE TEMP TABLE fuzz_in (%s)', string_agg(format('%I %s', 'v_' || f.type::oid, f.type), ', ')) FROM fuzz_type f);
END $$;
CREATE TRIGGER note BEFORE INSERT ON fuzz_in FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
SELECT pg_temp.fuzz(f.type, form, f.rounds, f.seeds) FROM fuzz_type f, unnest('{text,binary}'::text[]) AS form ORDER BY f.type::text, form \g /dev/null
\set gone `rm -rf :'directory'`

SELECT results_eq(
    format('SELECT count(*) FROM fuzz_outcome WHERE type = %L::regtype AND form = %L', type, form),
    format('SELECT %s::bigint', rounds), format('%s: all %s inputs were tried', type, form))
FROM fuzz_type, unnest('{text,binary}'::text[]) AS form;
SELECT is_empty(
    format($q$SELECT form, round, input, state, message FROM fuzz_outcome
      WHERE type = %L::regtype AND state <> 'taken' AND state !~ '^(22...|08P01|54000)$'$q$, type),
    format('%s: each input is refused as such or taken as a value that comes back', type))
FROM fuzz_type;
SELECT ok((SELECT min(n) > rounds / 100 AND count(*) = 4 FROM (
        SELECT count(*) AS n FROM fuzz_outcome o WHERE o.type = f.type GROUP BY o.form, o.state = 'taken') AS g),
    format('%s: some inputs of each form are taken, some refused', type))
FROM fuzz_type f;
SELECT * FROM finish();
ROLLBACK;
