-- profile, extremes: ends of time and of numbers, roles, tables that users
-- altered, statements of every form, and customers with very many bookings.
BEGIN;
SELECT plan(40);
SET LOCAL client_min_messages TO warning;
SET LOCAL timezone = 'UTC';
INSERT INTO iaros.customer (customer_id) SELECT 800000 + i FROM generate_series(1, 9) AS i;
CREATE FUNCTION pg_temp.book(customer bigint, booking bigint, at timestamptz DEFAULT '2025-01-01') RETURNS void LANGUAGE sql AS $$
    INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, amount, currency)
    VALUES (customer, booking, 'demo', 'x' || booking, at, 1, 'USD') $$;
CREATE FUNCTION pg_temp.bookings(customer bigint) RETURNS integer LANGUAGE sql AS $$
    SELECT booking_count FROM iaros.profile_at('2026-01-01') WHERE customer_id = customer $$;

-- Ends of time and of numbers.
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at) VALUES
    (800001, 'email', 'marketing', true, 'test', '4714-11-24 00:00Z BC'), (800001, 'email', 'marketing', false, 'test', '294276-12-31 23:59:59.999999Z');
SELECT ok(email_opt_in, 'consents at both ends of time') FROM iaros.customer_profile(800001, '2025-01-01');
SELECT pg_temp.book(800001, 9223372036854775807) \g /dev/null
SELECT pg_temp.book(800001, -9223372036854775808) \g /dev/null
SELECT is(booking_count, 2, 'and bookings at both ends of ids') FROM iaros.customer_profile(800001, '2026-01-01');
SELECT is(booking_count, 0, 'nothing as of the first time') FROM iaros.customer_profile(800001, '4714-11-24 00:00Z BC');
SELECT is(booking_count, 2, 'all as of the last time') FROM iaros.customer_profile(800001, '294276-12-31 23:59:59.999999Z');
SELECT throws_ok($$SELECT * FROM iaros.customer_profile(800001, '-infinity')$$, '22023', NULL, 'nor before all time');
CREATE TEMP VIEW edge AS SELECT iaros.profile_booking_agg(-1, n, t, 'confirmed', a, NULL, NULL, NULL, NULL, 2147483647, d, NULL) AS state
    FROM (VALUES (1, '4714-11-24Z BC'::timestamptz, 999999999999.9999, '294276-12-31Z'::timestamptz), (2, '294276-12-20Z', 999999999999.9999, '4714-11-24Z BC')) AS v(n, t, a, d);
SELECT results_eq($$SELECT booking_count, booking_count_180d, spend_total, party_size_avg, lead_days_avg, due_at FROM edge, iaros.profile_read(state, '294276-12-25Z')$$,
    $$VALUES (2, 1, 1999999999999.9998, 2147483647.00, 109203527.00, '294276-12-31Z'::timestamptz)$$, 'a window that ends after all time');
SELECT is((SELECT booking_count_12m FROM iaros.profile_read((SELECT iaros.profile_booking_agg(1, n, t, 'confirmed', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    FROM (VALUES (1, '2024-02-28 23:00Z'::timestamptz), (2, '2024-02-29 01:00Z')) AS v(n, t)), '2025-02-28 12:00Z')), 1, '28 February is in the year, 29 no longer');
SELECT throws_ok($$SELECT replace(iaros.profile_event_agg('ab', '2025-01-01Z', NULL, NULL, NULL)::text, '6162', 'ffe2')::iaros.profile_state$$, '22P03', 'invalid profile_state', 'a name must be text');
SELECT throws_ok($$SELECT '\x01020161016100000'::iaros.profile_state$$, '22023', NULL, 'half a byte');
SELECT throws_ok($$SELECT '\x01020161016100000000'::iaros.profile_state$$, '22P03', NULL, 'names repeat');
SELECT throws_ok($$SELECT state FROM iaros.profile_build('SELECT 1::bigint, 1::bigint, 1::bigint, now(), ''flown''::iaros.booking_status, 1::numeric, NULL::iaros.cabin, NULL::text, NULL::bpchar, NULL::bpchar, 0, NULL::timestamptz',
    'SELECT 1::bigint, 1::bigint, 1::bigint, 1 WHERE false', 'SELECT 1::bigint, ''a'', now(), true, 1::bigint, 1::bigint WHERE false', '{}', now())$$, '22023', NULL, 'a party of nobody');

-- Statements of every form.
WITH c AS (INSERT INTO iaros.customer (customer_id) VALUES (800020))
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, amount, currency) VALUES (800020, 800020, 'demo', 'cte', '2025-01-01', 1, 'USD');
SELECT is(pg_temp.bookings(800020), 1, 'a booking and then its customer in one statement');
WITH c AS (INSERT INTO iaros.customer (customer_id) VALUES (800021))
INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES (800021, 'search', '2025-01-01', 'demo'), (800021, 'search', '2025-01-01', 'demo');
SELECT is_empty('SELECT * FROM iaros.profile_check(ARRAY[800020, 800021])', 'an event too');
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, amount, currency)
SELECT 800002, 8 + i, 'demo', 'x' || i, '2025-01-01', 1, 'USD' FROM generate_series(1, 3) AS i
ON CONFLICT ON CONSTRAINT booking_natural_key DO NOTHING;
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, amount, currency)
SELECT 800002, 8 + i, 'demo', 'x' || i, '2025-01-01', 1, 'USD' FROM generate_series(2, 5) AS i
ON CONFLICT ON CONSTRAINT booking_natural_key DO UPDATE SET status = 'cancelled';
SELECT results_eq($$SELECT booking_count, cancelled_count FROM iaros.customer_profile(800002, '2026-01-01')$$, 'VALUES (3, 2)', 'ON CONFLICT');
MERGE INTO iaros.booking b USING generate_series(4, 7) AS i ON b.customer_id = 800002 AND b.external_id = 'x' || i
WHEN MATCHED THEN DELETE
WHEN NOT MATCHED THEN INSERT (customer_id, booking_id, source, external_id, booked_at, amount, currency) VALUES (800002, 8 + i, 'demo', 'x' || i, '2025-01-01', 1, 'USD');
SELECT is(pg_temp.bookings(800002), 3, 'MERGE');
INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source) VALUES (800002, 8, 'nps_response', now(), 'demo');
UPDATE iaros.event SET occurred_at = '1950-01-01', properties = '{"score": 7}' WHERE customer_id = 800002 AND event_id = 8;
SELECT is(nps_score, 7, 'an event that moves to another partition') FROM iaros.customer_profile(800002);
DO $$
BEGIN
    PERFORM pg_temp.book(800003, 1);
    BEGIN
        PERFORM pg_temp.book(800003, 2), pg_temp.book(800003, 2);
    EXCEPTION WHEN unique_violation THEN
        PERFORM pg_temp.book(800003, 3);
    END;
END $$;
SELECT is(pg_temp.bookings(800003), 2, 'what an exception took back is not counted');
PREPARE book AS SELECT pg_temp.book(800003, $1);
EXECUTE book(10) \g /dev/null
EXECUTE book(11) \g /dev/null
SELECT is(pg_temp.bookings(800003), 4, 'prepared statements');
CREATE FUNCTION pg_temp.more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, amount, currency)
        SELECT r.customer_id, 'demo', 'more' || r.booking_id, r.booked_at, 1, 'USD' FROM rows r;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_more AFTER INSERT ON iaros.booking REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.more();
CREATE TRIGGER z_more AFTER INSERT ON iaros.booking REFERENCING NEW TABLE AS rows FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION pg_temp.more();
SELECT pg_temp.book(800004, 600001) \g /dev/null
SELECT is(pg_temp.bookings(800004), 2, 'a trigger that books, too');
DROP TRIGGER a_more ON iaros.booking;
DROP TRIGGER z_more ON iaros.booking;

-- Tables that users altered.
ALTER TABLE iaros.booking ADD COLUMN mine text DEFAULT 'x', ADD COLUMN gone integer;
ALTER TABLE iaros.booking DROP COLUMN gone;
ALTER TABLE iaros.event ADD COLUMN mine text DEFAULT 'x';
ALTER TABLE iaros.event DROP COLUMN mine;
ALTER TABLE iaros.profile_stored REPLICA IDENTITY FULL, ADD COLUMN gone integer, ADD COLUMN twice integer GENERATED ALWAYS AS (booking_count * 2) STORED;
ALTER TABLE iaros.profile_stored DROP COLUMN gone;
CREATE INDEX profile_stored_mine ON iaros.profile_stored ((spend_total * 2)) WHERE booking_count > 0;
CREATE TEMP TABLE fired (booking_count integer);
CREATE FUNCTION pg_temp.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (NEW.booking_count); RETURN NULL; END $$;
CREATE TRIGGER mine AFTER UPDATE OF booking_count ON iaros.profile_stored FOR EACH ROW EXECUTE FUNCTION pg_temp.fire();
SELECT pg_temp.book(800005, 1) \g /dev/null
INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES (800005, 'search', '2025-01-01', 'demo');
SELECT is(twice, 2, 'generated columns follow') FROM iaros.profile_stored WHERE customer_id = 800005;
SELECT ok(count(*) > 0, 'triggers on columns fire') FROM fired;
SELECT is_empty('SELECT * FROM iaros.profile_check(ARRAY[800001, 800002, 800003, 800004, 800005])', 'and profiles are what rows say');
SAVEPOINT altered;
ALTER TABLE iaros.profile_stored DROP COLUMN twice;
DROP INDEX iaros.profile_stored_mine;
ALTER TABLE iaros.profile_stored ALTER spend_total TYPE double precision;
SELECT throws_ok('SELECT pg_temp.book(800005, 2)', '42804', NULL, 'a column of another type is refused');
ROLLBACK TO altered;

-- Who may only insert; policies on the table.
CREATE ROLE iaros_test_writer;
GRANT USAGE ON SCHEMA iaros TO iaros_test_writer;
GRANT INSERT ON iaros.booking, iaros.event TO iaros_test_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA iaros TO iaros_test_writer;
ALTER TABLE iaros.profile_stored ENABLE ROW LEVEL SECURITY;
UPDATE iaros.airport SET name = name WHERE airport = 'JFK';
UPDATE iaros.event_kind SET description = description WHERE kind = 'search';
SET LOCAL ROLE iaros_test_writer;
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, origin, destination, departure_at, amount, currency, amount_base)
VALUES (800006, 'demo', 'w', '2025-01-01', 'JFK', 'LHR', '2025-02-01', 1, 'USD', 1);
INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES (800006, 'search', '2025-06-01', 'demo');
SELECT is(current_user::text, 'iaros_test_writer', 'who writes stays who it is');
RESET ROLE;
SELECT results_eq($$SELECT booking_count, international_share, session_30d FROM iaros.customer_profile(800006, '2025-06-02')$$, 'VALUES (1, 1.0000, 1)', 'what a role wrote that may only insert');

-- Very many bookings, in one statement and one by one; then three merges.
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, origin, destination, cabin, sales_channel, departure_at, amount, currency)
SELECT 800007, 800000000 + i, 'demo', 'many' || i, timestamptz '2000-01-01' + i * interval '5 hours', 'JFK', (ARRAY['LHR', 'LAX', 'SIN'])[1 + i % 3], 'economy', 'web',
    timestamptz '2000-02-01' + i * interval '5 hours', i % 1000, 'USD' FROM generate_series(1, 20000) AS i;
SELECT pg_temp.book(800007, 1) \g /dev/null
UPDATE iaros.booking SET status = 'cancelled' WHERE customer_id = 800007 AND booking_id = 800000500;
SELECT results_eq($$SELECT booking_count, spend_total, cancelled_count, route_count FROM iaros.customer_profile(800007, '2026-01-01')$$,
    'VALUES (20000, 9989501.0000, 1, 3)', '20000 bookings of one customer');
SELECT ok(pg_column_size(state) < 20 * 20001, 'which take less than 20 bytes each') FROM iaros.profile_stored WHERE customer_id = 800007;
SELECT iaros.customer_recognise(800003, 800008) AS a, iaros.customer_recognise(800004, 800008) AS b, iaros.customer_recognise(800008, 800007) AS c \gset
SELECT is(pg_temp.bookings(800007), 20006, 'merged three times');
SELECT is(pg_temp.bookings(800009), 0, 'one who never booked');
SELECT is_empty('SELECT * FROM iaros.profile_check(ARRAY[800003, 800004, 800007, 800008, 800009])', 'all are what their rows say');

-- A partition that is dropped leaves profiles, until they are made anew.
INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES (800009, 'complaint', '2025-03-05', 'demo');
SELECT partition AS month FROM (SELECT tableoid::regclass AS partition FROM iaros.event WHERE customer_id = 800009) AS p \gset
ALTER TABLE iaros.event DETACH PARTITION :month;
SELECT is(last_complaint_at, '2025-03-05', 'a partition that is gone stays in profiles') FROM iaros.customer_profile(800009);
SELECT iaros.profile_apply(ARRAY[800009]) \g /dev/null
SELECT is(last_complaint_at, NULL, 'until they are made anew') FROM iaros.customer_profile(800009);

-- Columns one by one: of histories that lie in the row, beside it, and are too
-- large to be kept; one after the other, and in turns.
CREATE TEMP TABLE single AS
SELECT n, iaros.profile_booking_agg(1, i, '2025-01-01Z'::timestamptz + i * interval '1 minute', 'confirmed', n, 'first', 'web', 'JFK', 'LHR', NULL, NULL, NULL) AS state
FROM (VALUES (3), (4), (300), (301), (90000)) AS v(n), generate_series(1, n) AS i GROUP BY n;
SELECT ok(min(length(iaros.profile_state_send(state))) < 100 AND max(length(iaros.profile_state_send(state))) > 1048576
    AND bool_or(length(iaros.profile_state_send(state)) BETWEEN 2500 AND 9000), 'small, middling and large histories') FROM single;
CREATE FUNCTION pg_temp.single(state iaros.profile_state, name text, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT CASE name WHEN 'booking_count' THEN iaros.profile_integer(state, name, at)::text
        WHEN 'spend_total' THEN iaros.profile_number(state, name, at)::text
        WHEN 'last_booked_at' THEN iaros.profile_time(state, name, at)::text
        WHEN 'route_top' THEN iaros.profile_text(state, name, at)
        ELSE iaros.profile_boolean(state, name, at)::text END $$;
CREATE TEMP VIEW singles AS
SELECT n, at, name, state FROM single, (VALUES ('2025-01-01 00:02:30Z'::timestamptz), ('2024-01-01Z'), ('2030-01-01Z')) AS t(at),
    (VALUES ('booking_count'), ('spend_total'), ('last_booked_at'), ('route_top'), ('app_opened')) AS c(name);
SELECT is_empty(format($$SELECT n, at, name FROM (SELECT * FROM singles ORDER BY %s OFFSET 0) AS s
    WHERE pg_temp.single(state, name, at) IS DISTINCT FROM (SELECT CASE name WHEN 'booking_count' THEN r.booking_count::text
        WHEN 'spend_total' THEN r.spend_total::text WHEN 'last_booked_at' THEN r.last_booked_at::text
        WHEN 'route_top' THEN r.route_top ELSE r.app_opened::text END FROM iaros.profile_read(state, at) AS r)$$, o), 'single columns ordered by ' || o)
FROM (VALUES ('n, at, name'), ('name, at, n'), ('at, n DESC, name'), ('n, name, at')) AS v(o);
DO $$
DECLARE seen text := '';
BEGIN
    FOR i IN 1..3 LOOP
        seen := seen || (SELECT iaros.profile_integer(state, 'booking_count', '2030-01-01Z') FROM single WHERE n = 300) || ' ';
        UPDATE single SET state = (SELECT iaros.profile_merge(s) FROM (SELECT state UNION ALL
            SELECT iaros.profile_booking_agg(2, i, '2025-01-01Z', 'confirmed', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) AS v(s))
        WHERE n = 300;
    END LOOP;
    PERFORM set_config('test.seen', seen, true);
END $$;
SELECT is(current_setting('test.seen'), '300 301 302 ', 'a history that changes in one statement');

-- TRUNCATE, and rows after it.
TRUNCATE iaros.booking CASCADE;
SELECT pg_temp.book(800007, 5) \g /dev/null
SELECT is(pg_temp.bookings(800007), 1, 'a booking after TRUNCATE');
SELECT is_empty('SELECT * FROM iaros.profile_check()', 'all profiles are what rows say');
SELECT * FROM finish();
ROLLBACK;
