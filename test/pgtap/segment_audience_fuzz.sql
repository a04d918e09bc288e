-- Hostile input of type audience: thousands of mutated texts and binary
-- messages. Each is refused with an error of input, or taken as a set that
-- its text and its binary form give back. The same on every run.
BEGIN;
SELECT setseed(0.5);
SET LOCAL client_min_messages TO error;
SELECT plan(9);

-- Sets to start from: arrays, bits and runs, in the directory and not, of one
-- chunk and of several, at both ends of what ids can be.
CREATE TEMP TABLE fuzz_seed AS
SELECT row_number() OVER () AS n, s::text AS value, iaros.audience_send(s) AS message FROM (
    SELECT unnest('{"{}","{0}","{9223372036854775807}","{0,9223372036854775807}","{5,6}","{5-9}","{0-65535}","{0-65536}","{65535-65540,70000}",
        "{0,2,4,6,8,10}","{1-10,20-30,40-50}","{1,3,65536-131071,131073,200000-400000,9223372036854775805-9223372036854775807}"}'::iaros.audience[]) AS s
    UNION ALL SELECT iaros.audience_agg(i * i) FROM generate_series(1, 100) AS i
    UNION ALL SELECT iaros.audience_agg(i * 1000 + i % 7) FROM generate_series(1, 100) AS i
    UNION ALL SELECT iaros.audience_agg(i * 123456789) FROM generate_series(1, 10) AS i
    UNION ALL SELECT iaros.audience_agg(i + i / 5) FROM generate_series(0, 100) AS i
    UNION ALL SELECT iaros.audience_agg(i * 9) FROM generate_series(100, 7281) AS i
    UNION ALL SELECT iaros.audience_agg(i * 3) FROM generate_series(20000, 23000) AS i) AS u(s);

CREATE TEMP TABLE fuzz_outcome (form text, round integer, input bytea, state text, message text, detail text);
CREATE TEMP TABLE fuzz_in (value iaros.audience);
\set directory `mktemp -d /tmp/iaros_fuzz.XXXXXXXX`
\set opened `chmod 777 :'directory'`
SELECT set_config('fuzz.file', :'directory' || '/input', true) \g /dev/null

-- A number from 0 to below n.
CREATE FUNCTION pg_temp.pick(n integer) RETURNS integer LANGUAGE sql AS $$
    SELECT floor(random() * n)::integer $$;

-- One random change: of a byte, a bit, the length, or with a part of another.
-- The head and the directory are short, so one change in two is made there.
CREATE FUNCTION pg_temp.mutate(data bytea, other bytea, alphabet bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    at integer := pg_temp.pick(CASE pg_temp.pick(2) WHEN 0 THEN least(length(data), 64) ELSE length(data) END);
    one bytea := substr(alphabet, 1 + pg_temp.pick(length(alphabet)), 1);
BEGIN
    CASE pg_temp.pick(10)
        WHEN 0 THEN RETURN substr(data, 1, at) || one || substr(data, at + 1);
        WHEN 1 THEN RETURN substr(data, 1, at) || substr(data, at + 2);
        WHEN 2 THEN RETURN substr(data, 1, at);
        WHEN 3 THEN RETURN data || one;
        WHEN 4 THEN RETURN substr(data, 1, at) || substr(other, 1 + pg_temp.pick(length(other)));
        WHEN 5 THEN RETURN substr(data, 1, at) || substr(other, 1 + at);
        WHEN 6 THEN RETURN substr(data, 1, at) || decode(repeat(encode(one, 'hex'), 1 + pg_temp.pick(8)), 'hex') || substr(data, at + 1 + pg_temp.pick(8));
        WHEN 7 THEN RETURN CASE WHEN length(data) > 0 AND length(alphabet) = 256 THEN set_bit(data, 8 * at + pg_temp.pick(8), pg_temp.pick(2)) ELSE data END;
        ELSE RETURN CASE WHEN length(data) > 0 THEN set_byte(data, at, get_byte(one, 0)) ELSE one END;
    END CASE;
END $$;

-- Notes what COPY read, so that nothing need be stored.
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fuzz.value', NEW.value::text, true);
    RETURN NULL;
END $$;
CREATE TRIGGER note BEFORE INSERT ON fuzz_in FOR EACH ROW EXECUTE FUNCTION pg_temp.note();

-- Takes a binary message in through COPY, the way that a client has.
CREATE FUNCTION pg_temp.receive(message bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    object oid;
BEGIN
    object := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'::bytea
        || int2send(1::smallint) || int4send(length(message)) || message || int2send((-1)::smallint));
    PERFORM lo_export(object, current_setting('fuzz.file')), lo_unlink(object);
    EXECUTE format('COPY fuzz_in FROM %L (FORMAT binary)', current_setting('fuzz.file'));
    RETURN current_setting('fuzz.value');
END $$;

-- Tries an input; returns the text form of the value if it was taken.
CREATE FUNCTION pg_temp.taken(form text, input bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF form = 'binary' THEN
        RETURN pg_temp.receive(input);
    END IF;
    RETURN convert_from(input, 'SQL_ASCII')::iaros.audience::text;
END $$;

-- Tries one input, and what comes back if it was taken.
CREATE FUNCTION pg_temp.try(form text, round integer, input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    state text := 'taken';
    message text;
    detail text;
    value text;
BEGIN
    BEGIN
        value := pg_temp.taken(form, input);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    END;
    IF state = 'taken' THEN
        BEGIN
            IF pg_temp.taken('text', convert_to(value, 'SQL_ASCII')) IS DISTINCT FROM value
                OR pg_temp.receive(iaros.audience_send(value::iaros.audience)) IS DISTINCT FROM value
                -- One form only: other bytes are another set.
                OR form = 'binary' AND iaros.audience_send(value::iaros.audience) IS DISTINCT FROM input THEN
                state := 'changed';
                message := left(value, 100);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            state := 'lost ' || state;
        END;
    END IF;
    INSERT INTO fuzz_outcome VALUES (form, round, input, state, message, detail);
END $$;

CREATE FUNCTION pg_temp.fuzz(form text, rounds integer, starts bytea[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- Any byte; or what texts are made of.
    alphabet bytea := CASE form WHEN 'text' THEN '0123456789-,, {}x'::bytea
        ELSE (SELECT string_agg(set_byte('\x00', 0, b), '' ORDER BY b) FROM generate_series(0, 255) AS b) END;
    input bytea;
BEGIN
    FOR round IN 1..rounds LOOP
        input := starts[1 + pg_temp.pick(cardinality(starts))];
        FOR i IN 0..pg_temp.pick(3) LOOP
            input := pg_temp.mutate(input, starts[1 + pg_temp.pick(cardinality(starts))], alphabet);
        END LOOP;
        -- A range of 10 to 1,000 billion ids is right but takes its time.
        CONTINUE WHEN form = 'text' AND convert_from(input, 'SQL_ASCII') ~ '- *[0-9]{10,18}([^0-9]|$)';
        PERFORM pg_temp.try(form, round, input);
    END LOOP;
END $$;

SELECT pg_temp.fuzz('text', 9000, array_agg(convert_to(value, 'SQL_ASCII') ORDER BY n)) FROM fuzz_seed WHERE length(value) < 300 \g /dev/null
SELECT pg_temp.fuzz('binary', 14000, array_agg(message ORDER BY n)) FROM fuzz_seed \g /dev/null

SELECT is((SELECT count(*) FROM fuzz_outcome WHERE form = 'binary'), 14000::bigint, 'all messages were tried');
SELECT cmp_ok((SELECT count(*) FROM fuzz_outcome WHERE form = 'text'), '>', 8000::bigint, 'thousands of texts were tried');
SELECT is_empty(
    $$SELECT form, round, input, state, message, detail FROM fuzz_outcome
      WHERE state <> 'taken' AND NOT (form = 'binary' AND state = '22P03' OR form = 'text' AND state IN ('22P02', '22003', '54000'))$$,
    'each input is refused as such or taken as a set that comes back');
SELECT ok((SELECT min(n) > 200 AND count(*) = 4 FROM (
        SELECT count(*) AS n FROM fuzz_outcome o GROUP BY o.form, o.state = 'taken') AS g),
    'some inputs of each form are taken, some refused');
SELECT is((SELECT count(DISTINCT detail) FROM fuzz_outcome WHERE state = '22P03'), 20::bigint,
    'each check of messages refused some');

-- Beyond what fuzzing meets by chance.
CREATE FUNCTION pg_temp.refusal(message bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM pg_temp.receive(message);
    RETURN 'taken';
EXCEPTION WHEN invalid_binary_representation THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;
SELECT is(pg_temp.refusal(v.message), v.refusal, v.description) FROM (VALUES
    (overlay(iaros.audience_send('{1,2}') PLACING '\xffffffff' FROM 21), 'It is shorter than its directory.', 'a directory of 2^32 - 1 containers'),
    (overlay(iaros.audience_send('{1,2}') PLACING '\x00000010' FROM 21), 'It is shorter than its directory.', 'a directory whose size is 2^32 bytes'),
    (overlay(iaros.audience_send('{5,6}') PLACING '\x0500010002000100' FROM 37), 'A container is not in its smallest form.', 'runs where an array is smaller'),
    (overlay(iaros.audience_send('{5-7}') PLACING '\x0000' FROM 41), 'The number of runs does not fit the container.', 'an array with runs')) AS v(message, refusal, description);
SELECT * FROM finish();

\set gone `rm -rf :'directory'`
ROLLBACK;
