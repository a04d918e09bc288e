-- Hostile input of type profile_state: thousands of mutated histories, as
-- text and as binary messages. Each is refused with an error of input, or
-- taken as a value that reads back to itself, whose columns can be read and
-- which can be changed. The same on every run.
BEGIN;
SELECT setseed(0.25);
SET LOCAL client_min_messages TO error;
SELECT plan(5);

-- Real histories: few and many bookings, times of every unit, at both ends.
CREATE TEMP TABLE fuzz_seed AS
SELECT row_number() OVER () AS n, decode(substr(s.state::text, 3), 'hex') AS bytes FROM (
    SELECT iaros.profile_booking_agg(1, i, timestamptz '2025-01-01Z' + i * interval '1 day', 'confirmed', i, 'economy', 'web', 'JFK', 'LHR',
        1, timestamptz '2025-03-01Z' + i * interval '1 day', '{1,0,2,0,0,1}') AS state FROM generate_series(1, 3) AS i
    UNION ALL SELECT iaros.profile_booking_agg(-i, 9223372036854775807 - i, timestamptz '2025-01-01Z' + i * interval '1.2345678 s',
        (ARRAY['refunded', 'cancelled', 'flown'])[1 + i % 3]::iaros.booking_status, 999999999999.9999 - i, 'first', 'c' || i % 5, 'SIN', 'SYD', 999, '2199-12-31Z', NULL)
        FROM generate_series(1, 30) AS i
    UNION ALL SELECT iaros.profile_booking_agg(9223372036854775807, (-9223372036854775808)::bigint, t, 'confirmed', 0, NULL, NULL, NULL, NULL, NULL, d, NULL)
        FROM (VALUES ('4714-11-24 00:00:00Z BC'::timestamptz, '294276-12-31 23:59:59.999999Z'::timestamptz), ('294276-12-31 23:59:59.999999Z', '4714-11-24 00:00:00Z BC')) AS v(t, d)
    UNION ALL SELECT iaros.profile_event_agg(k, timestamptz '2025-01-01Z' + i * interval '1 min', true, i, i - 5)
        FROM generate_series(1, 12) AS i, unnest('{nps_response,search,touch:email:open,consent:marketing:all,consent:marketing:email}'::text[]) AS k
    UNION ALL SELECT iaros.profile_event_agg('search', t, false, NULL, NULL)
        FROM unnest('{4714-11-24 00:00:00Z BC,294276-12-31 23:59:59.999999Z,2000-01-01Z}'::timestamptz[]) AS t
    UNION ALL SELECT '\x01000000') AS s;

CREATE TEMP TABLE fuzz_outcome (form text, round integer, input bytea, state text, message text);
CREATE TEMP TABLE fuzz_in (state iaros.profile_state);
\set directory `mktemp -d /tmp/iaros_fuzz.XXXXXXXX`
\set opened `chmod 777 :'directory'`
SELECT set_config('fuzz.file', :'directory' || '/input', true) \g /dev/null

-- A number from 0 to below n.
CREATE FUNCTION pg_temp.pick(n integer) RETURNS integer LANGUAGE sql AS $$
    SELECT floor(random() * n)::integer $$;

-- One random change: a byte, a bit, the length, or a part of another.
CREATE FUNCTION pg_temp.mutate(data bytea, other bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    at integer := pg_temp.pick(length(data));
    one bytea := set_byte('\x00', 0, CASE pg_temp.pick(3) WHEN 0 THEN 255 WHEN 1 THEN pg_temp.pick(4) ELSE pg_temp.pick(256) END);
BEGIN
    CASE pg_temp.pick(7)
        WHEN 0 THEN RETURN substr(data, 1, at) || one || substr(data, at + 1);
        WHEN 1 THEN RETURN substr(data, 1, at) || substr(data, at + 2);
        WHEN 2 THEN RETURN substr(data, 1, at) || substr(other, 1 + pg_temp.pick(length(other)));
        WHEN 3 THEN RETURN substr(data, 1, at) || decode(repeat(encode(one, 'hex'), 1 + pg_temp.pick(10)), 'hex') || substr(data, at + 1);
        WHEN 4 THEN RETURN CASE WHEN length(data) > 0 THEN set_byte(data, at, get_byte(one, 0)) ELSE one END;
        ELSE RETURN CASE WHEN length(data) > 0 THEN set_bit(data, pg_temp.pick(8 * length(data)), pg_temp.pick(2)) ELSE data END;
    END CASE;
END $$;

-- Notes what COPY read, so that nothing need be stored.
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fuzz.value', NEW.state::text, true);
    RETURN NULL;
END $$;
CREATE TRIGGER note BEFORE INSERT ON fuzz_in FOR EACH ROW EXECUTE FUNCTION pg_temp.note();

-- Takes an input in, as text or as the binary message of a client.
CREATE FUNCTION pg_temp.taken(form text, input bytea) RETURNS iaros.profile_state LANGUAGE plpgsql AS $$
DECLARE
    object oid;
BEGIN
    IF form <> 'binary' THEN
        RETURN ('\x' || encode(input, 'hex'))::iaros.profile_state;
    END IF;
    object := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'::bytea
        || int2send(1::smallint) || int4send(length(input)) || input || int2send((-1)::smallint));
    PERFORM lo_export(object, current_setting('fuzz.file')), lo_unlink(object);
    EXECUTE format('COPY fuzz_in FROM %L (FORMAT binary)', current_setting('fuzz.file'));
    RETURN current_setting('fuzz.value');
END $$;

-- Tries one input, and what can be done with it if it was taken.
CREATE FUNCTION pg_temp.try(form text, round integer, input bytea, other bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    outcome text := 'taken';
    said text;
    value iaros.profile_state;
    another iaros.profile_state := '\x' || encode(other, 'hex');
    merged iaros.profile_state;
    at timestamptz;
    shown text;
BEGIN
    BEGIN
        value := pg_temp.taken(form, input);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS outcome = RETURNED_SQLSTATE, said = MESSAGE_TEXT;
    END;
    IF outcome = 'taken' THEN
        BEGIN
            IF value::text::iaros.profile_state::text <> value::text OR pg_temp.taken('binary', iaros.profile_state_send(value))::text <> value::text THEN
                outcome := 'changed';
            END IF;
            FOREACH at IN ARRAY '{4714-11-24 00:00:00Z BC,2025-06-01Z,294276-12-31 23:59:59.999999Z}'::timestamptz[] LOOP
                SELECT r::text INTO shown FROM iaros.profile_read(value, at) r;
                SELECT c.changed INTO merged FROM iaros.profile_change(value, another, another, at) c;
                IF merged::text::iaros.profile_state::text <> merged::text THEN
                    outcome := 'changed by profile_change()';
                END IF;
                SELECT c.changed INTO merged FROM iaros.profile_change(another, value, value, at) c;
            END LOOP;
            PERFORM iaros.profile_state_merge(value, value)::text;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS outcome = RETURNED_SQLSTATE, said = MESSAGE_TEXT;
            outcome := 'lost ' || outcome;
        END;
    END IF;
    INSERT INTO fuzz_outcome VALUES (form, round, input, outcome, said);
END $$;

DO $$
DECLARE
    seeds bytea[] := ARRAY(SELECT s.bytes FROM fuzz_seed s ORDER BY s.n);
    input bytea;
BEGIN
    FOR round IN 1..6000 LOOP
        input := seeds[1 + pg_temp.pick(cardinality(seeds))];
        FOR i IN 0..pg_temp.pick(3) LOOP
            input := pg_temp.mutate(input, seeds[1 + pg_temp.pick(cardinality(seeds))]);
        END LOOP;
        PERFORM pg_temp.try(CASE WHEN round % 3 = 0 THEN 'binary' ELSE 'text' END, round, input, seeds[1 + pg_temp.pick(cardinality(seeds))]);
    END LOOP;
    -- Each real history as it is, and cut at every byte.
    FOR n IN 1..cardinality(seeds) LOOP
        PERFORM pg_temp.try('whole', n, seeds[n], seeds[n]);
        PERFORM pg_temp.try('cut', at, substr(seeds[n], 1, at), seeds[n]) FROM generate_series(0, length(seeds[n]) - 1) AS at;
    END LOOP;
END $$;
\set gone `rm -rf :'directory'`

SELECT is((SELECT count(*) FROM fuzz_outcome WHERE form IN ('text', 'binary')), 6000::bigint, 'all inputs were tried');
SELECT is_empty($$SELECT form, round, input, state, message FROM fuzz_outcome WHERE state NOT IN ('taken', '22P03', '22P02')$$,
    'each input is refused as such or taken as a value that comes back');
SELECT is_empty($$SELECT round, input, state, message FROM fuzz_outcome WHERE form = 'whole' AND state <> 'taken'$$, 'real histories are taken');
SELECT is_empty($$SELECT round, input, state, message FROM fuzz_outcome WHERE form = 'cut' AND state <> '22P03'$$, 'histories that are cut are not');
SELECT ok((SELECT min(n) > 100 AND count(*) = 4 FROM (SELECT count(*) AS n FROM fuzz_outcome o WHERE o.form IN ('text', 'binary') GROUP BY o.form, o.state = 'taken') AS g),
    'some inputs of each form are taken, some refused');
SELECT * FROM finish();
ROLLBACK;
