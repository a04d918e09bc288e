-- rfm_refresh(): increments equal a plain computation whatever happened in
-- between; history, whole runs, looks back, rights.
BEGIN;
SET client_min_messages = warning;
SELECT plan(58);
SELECT setseed(0.42);

-- What customer_rfm must be: totals in plain SQL, scores by thresholds and
-- NTILE in plain SQL too, those of quantiles by rfm_compute() over the
-- bookings themselves, segments by the first rule that holds.
CREATE FUNCTION pg_temp.expected(as_of timestamptz)
    RETURNS TABLE (customer_id bigint, recency_days integer, frequency bigint, monetary numeric, score text, segment text)
    LANGUAGE plpgsql AS $$
DECLARE
    scheme record;
    since timestamptz;
    zone text := iaros.setting_get('brand_time_zone');
BEGIN
    SELECT s.* INTO scheme FROM iaros.rfm_scheme s WHERE s.scheme = iaros.setting_get('rfm_scheme');
    since := coalesce((as_of AT TIME ZONE 'UTC' - scheme.period) AT TIME ZONE 'UTC', '-infinity');
    RETURN QUERY
    WITH bought AS (
        SELECT coalesce(a.master_id, b.customer_id) AS id, b.booked_at, b.amount_base
        FROM iaros.booking b LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
        WHERE b.status IN ('confirmed', 'ticketed', 'flown', 'no_show') AND b.booked_at <= as_of
    ), total AS (
        SELECT b.id, (as_of AT TIME ZONE zone)::date - (max(b.booked_at) AT TIME ZONE zone)::date AS days,
            count(*) FILTER (WHERE b.booked_at > since) AS f,
            coalesce(sum(b.amount_base) FILTER (WHERE b.booked_at > since), 0) AS m
        FROM bought b GROUP BY b.id
    ), scored AS (
        SELECT t.id,
            (SELECT scheme.levels - count(*) FROM iaros.rfm_threshold h
             WHERE h.scheme = scheme.scheme AND h.dimension = 'recency' AND h.lower_bound <= t.days) * 100
            + (SELECT 1 + count(*) FROM iaros.rfm_threshold h
             WHERE h.scheme = scheme.scheme AND h.dimension = 'frequency' AND h.lower_bound <= t.f) * 10
            + (SELECT 1 + count(*) FROM iaros.rfm_threshold h
             WHERE h.scheme = scheme.scheme AND h.dimension = 'monetary' AND h.lower_bound <= t.m) AS score
        FROM total t WHERE scheme.kind = 'threshold' AND (scheme.lapsed OR t.f > 0)
        UNION ALL
        SELECT t.id, ntile(5) OVER (ORDER BY t.days DESC, t.id) * 100
            + ntile(5) OVER (ORDER BY t.f, t.id) * 10 + ntile(5) OVER (ORDER BY t.m, t.id)
        FROM total t WHERE scheme.kind = 'ntile' AND (scheme.lapsed OR t.f > 0)
        UNION ALL
        SELECT n.customer_id, n.score::integer
        FROM iaros.rfm_compute('SELECT coalesce(a.master_id, b.customer_id) AS customer_id, b.booked_at AS at, b.amount_base AS amount
            FROM iaros.booking b LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
            WHERE b.status IN (''confirmed'', ''ticketed'', ''flown'', ''no_show'')', as_of => expected.as_of) n
        WHERE scheme.kind = 'quantile' AND n.score IS NOT NULL
    )
    SELECT t.id, t.days, t.f, t.m, s.score::text,
        (SELECT u.segment FROM iaros.rfm_segment_rule u
         WHERE u.map = scheme.segment_map AND u.r @> (s.score / 100)::integer
           AND u.f @> (s.score / 10 % 10)::integer AND u.m @> (s.score % 10)::integer
         ORDER BY u.rank LIMIT 1)
    FROM total t LEFT JOIN scored s ON s.id = t.id;
END $$;

-- Raises an error where customer_rfm is not as it must be; what is wrong.
CREATE FUNCTION pg_temp.differences(as_of timestamptz, what text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT string_agg(d.line, E'\n') INTO wrong FROM (
        SELECT coalesce('stored ' || g::text, 'none') || ', expected ' || coalesce(e::text, 'none') AS line
        FROM (SELECT r.customer_id, r.recency_days, r.frequency, r.monetary, r.score::text, r.segment FROM iaros.customer_rfm r) g
        FULL JOIN pg_temp.expected(as_of) e ON e.customer_id = g.customer_id
        WHERE (g.customer_id, g.recency_days, g.frequency, g.monetary, g.score, g.segment)
            IS DISTINCT FROM (e.customer_id, e.recency_days, e.frequency, e.monetary, e.score, e.segment)
        LIMIT 5) d;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING MESSAGE = format('customer_rfm is wrong after: %s', what), DETAIL = wrong;
    END IF;
    RETURN (SELECT count(*) FROM iaros.customer_rfm);
END $$;

-- One booking at about a time.
CREATE FUNCTION pg_temp.book(at timestamptz, how_many integer DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, status, amount, currency)
    SELECT c.customer_id, 'pss', 'rfm-' || nextval('iaros.booking_id_seq'), at - c.n * random() * interval '3 days',
        (ARRAY['confirmed', 'confirmed', 'flown', 'ticketed', 'no_show', 'held', 'cancelled'])[1 + floor(random() * 7)]::iaros.booking_status,
        (floor(random() * random() * 3000))::numeric, 'USD'
    FROM (SELECT x.customer_id, row_number() OVER () - 1 AS n
          FROM (SELECT y.customer_id FROM (SELECT customer_id FROM iaros.customer ORDER BY 1 OFFSET 0) y ORDER BY random() LIMIT how_many) x) c
$$;

-- One change of some kind around a time; says which.
CREATE FUNCTION pg_temp.change(at timestamptz, kind integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    one record;
    two bigint;
BEGIN
    SELECT b.customer_id, b.booking_id, b.booked_at INTO one FROM iaros.booking b
    ORDER BY b.booking_id OFFSET floor(random() * (SELECT count(*) FROM iaros.booking)) LIMIT 1;
    SELECT c.customer_id INTO two FROM iaros.customer c
    ORDER BY 1 OFFSET floor(random() * (SELECT count(*) FROM iaros.customer)) LIMIT 1;
    CASE kind
        WHEN 0 THEN
            PERFORM pg_temp.book(at - random() * interval '2 hours');
            RETURN 'a booking of now';
        WHEN 1 THEN
            PERFORM pg_temp.book(at - random() * interval '800 days');
            RETURN 'a booking of long ago';
        WHEN 2 THEN
            PERFORM pg_temp.book(at + random() * random() * interval '60 days');
            RETURN 'a booking of the future';
        WHEN 3 THEN
            PERFORM pg_temp.book(at + random() * interval '5 days', 20);
            RETURN 'a batch';
        WHEN 4 THEN
            UPDATE iaros.booking SET amount = amount + 10 WHERE booking_id = one.booking_id;
            RETURN 'another amount';
        WHEN 5 THEN
            UPDATE iaros.booking SET status = (ARRAY['cancelled', 'flown', 'refunded', 'ticketed'])[1 + floor(random() * 4)]::iaros.booking_status
            WHERE booking_id = one.booking_id;
            RETURN 'another status';
        WHEN 6 THEN
            UPDATE iaros.booking SET booked_at = booked_at + (random() - 0.5) * interval '400 days' WHERE booking_id = one.booking_id;
            RETURN 'another time';
        WHEN 7 THEN
            UPDATE iaros.booking SET customer_id = two WHERE booking_id = one.booking_id;
            RETURN 'another customer';
        WHEN 8 THEN
            DELETE FROM iaros.booking WHERE booking_id = one.booking_id OR booking_id % 200 = one.booking_id % 200;
            RETURN 'a booking deleted';
        WHEN 9 THEN
            BEGIN
                PERFORM iaros.customer_recognise(one.customer_id, two);
            EXCEPTION WHEN invalid_parameter_value THEN
            END;
            RETURN 'a merge';
        WHEN 10 THEN
            PERFORM iaros.customer_separate((SELECT a.customer_id FROM iaros.customer_alias a
                ORDER BY 1 OFFSET floor(random() * (SELECT count(*) FROM iaros.customer_alias)) LIMIT 1));
            RETURN 'a merge undone';
        WHEN 11 THEN
            DELETE FROM iaros.booking WHERE customer_id = two;
            DELETE FROM iaros.customer WHERE customer_id = two;
            INSERT INTO iaros.customer DEFAULT VALUES;
            RETURN 'a customer deleted';
        WHEN 12 THEN
            PERFORM pg_temp.book(at + (random() - 0.5) * interval '3 days', 2);
            UPDATE iaros.booking SET amount = amount + 1, booked_at = booked_at + (random() - 0.5) * interval '2 days'
            WHERE booking_id > (SELECT max(booking_id) - 2 FROM iaros.booking);
            RETURN 'new bookings changed at once';
        WHEN 13 THEN
            UPDATE iaros.booking SET party_size = 3, status = CASE status WHEN 'confirmed' THEN 'ticketed' ELSE status END
            WHERE booking_id = one.booking_id;
            RETURN 'a change that does not matter';
        WHEN 14 THEN
            PERFORM iaros.setting_set('rfm_scheme', (ARRAY['threshold', 'quantile', 'ntile', 'ntile_12_months'])[1 + floor(random() * 4)]);
            RETURN 'scheme ' || iaros.setting_get('rfm_scheme');
        WHEN 15 THEN
            UPDATE iaros.rfm_threshold SET lower_bound = lower_bound + CASE WHEN random() < 0.5 THEN 1 ELSE -1 END
            WHERE scheme = 'threshold' AND (score + lower_bound)::integer % 2 = floor(random() * 2)::integer AND dimension <> 'frequency';
            RETURN 'other thresholds';
        WHEN 16 THEN
            UPDATE iaros.rfm_segment_rule SET segment = (SELECT s.segment FROM iaros.rfm_segment s ORDER BY s.rank OFFSET floor(random() * 11) LIMIT 1)
            WHERE rank = (SELECT u.rank FROM iaros.rfm_segment_rule u ORDER BY 1
                OFFSET floor(random() * (SELECT count(*) FROM iaros.rfm_segment_rule)) LIMIT 1);
            RETURN 'another segment';
        WHEN 17 THEN
            UPDATE iaros.rfm_scheme SET period = (ARRAY['12 months', '1 month', '100 days'])[1 + floor(random() * 3)]::interval
            WHERE scheme IN ('threshold', 'ntile_12_months');
            RETURN 'another period';
        WHEN 18 THEN
            PERFORM iaros.setting_set('brand_time_zone', (ARRAY['UTC', 'Pacific/Apia', 'America/New_York'])[1 + floor(random() * 3)]);
            RETURN 'another zone';
    END CASE;
END $$;

CREATE TEMP TABLE step (n integer, as_of timestamptz, what text);
CREATE TEMP TABLE seen (as_of timestamptz, customer_id bigint, score text, segment text);

-- Rounds of changes, each followed by a refresh that must leave what is
-- expected; kinds: of changes, the last seldom.
CREATE FUNCTION pg_temp.rounds(rounds integer, kinds integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := coalesce((SELECT max(s.as_of) FROM step s), '2024-02-27 22:10+00');
    target timestamptz;
    what text;
    checked bigint := 0;
BEGIN
    FOR i IN 1 .. rounds LOOP
        at := least(at + CASE floor(random() * 8)::integer
            WHEN 0 THEN interval '0' WHEN 1 THEN random() * interval '4 hours' WHEN 2 THEN random() * interval '1 day'
            WHEN 3 THEN random() * interval '10 days' ELSE random() * interval '40 minutes' END
            + CASE WHEN random() < 0.02 THEN interval '70 days' ELSE interval '0' END, '2025-11-30');
        what := '';
        FOR j IN 1 .. floor(random() * 8)::integer LOOP
            what := what || ', ' || pg_temp.change(at, floor(random() * kinds)::integer);
            IF random() < 0.05 THEN
                what := what || ', ' || pg_temp.change(at, 14 + floor(random() * 5)::integer);
            END IF;
        END LOOP;
        target := CASE WHEN random() < 0.03 THEN at - random() * interval '100 days' ELSE at END;
        what := format('round %s as of %s%s', i, target, what);
        IF random() < 0.1 THEN
            PERFORM iaros.rfm_refresh(target, whole => true);
        ELSE
            PERFORM iaros.rfm_refresh(target);
        END IF;
        checked := checked + pg_temp.differences(target, what);
        INSERT INTO step VALUES (i, at, what);
        IF target = at THEN
            DELETE FROM seen s WHERE s.as_of = at;
            INSERT INTO seen SELECT at, r.customer_id, r.score::text, r.segment FROM iaros.customer_rfm r;
        END IF;
    END LOOP;
    RETURN checked;
END $$;

-- No rows at all.
SELECT is(iaros.rfm_refresh('2024-01-01'), 0::bigint, 'nobody booked');
SELECT is(iaros.rfm_refresh('2024-01-02'), 0::bigint, 'nor since then');
SELECT is_empty('SELECT * FROM iaros.customer_rfm', 'so there are no rows');
SELECT is_empty('SELECT * FROM iaros.rfm_history', 'and no history');
SELECT results_eq('SELECT whole FROM iaros.rfm_run ORDER BY run_id', 'VALUES (true), (false)', 'the first run is whole, the next one is not');

-- Increments.
INSERT INTO iaros.customer (customer_id) SELECT 700000 + i FROM generate_series(1, 60) AS i;
DO $$ BEGIN FOR i IN 1 .. 40 LOOP PERFORM pg_temp.book('2024-02-27', 1); PERFORM pg_temp.change('2024-02-27', 1); END LOOP; END $$;
SELECT cmp_ok(pg_temp.rounds(120, 14), '>', 3000::bigint, 'increments by thresholds equal a plain computation');
SELECT iaros.setting_set('rfm_scheme', 'quantile') AS s \gset
SELECT cmp_ok(pg_temp.rounds(60, 14), '>', 1500::bigint, 'by quantiles too');
SELECT iaros.setting_set('rfm_scheme', 'ntile') AS s \gset
SELECT cmp_ok(pg_temp.rounds(60, 14), '>', 1500::bigint, 'and by NTILE');
SELECT iaros.setting_set('rfm_scheme', 'ntile_12_months') AS s \gset
SELECT cmp_ok(pg_temp.rounds(60, 14), '>', 1500::bigint, 'and by NTILE of a year');
SELECT cmp_ok(pg_temp.rounds(120, 19), '>', 3000::bigint, 'while schemes, maps, periods and the time zone change too');
SELECT cmp_ok((SELECT count(*) FROM iaros.rfm_run WHERE NOT whole), '>', 200::bigint, 'most of these runs were increments');
SELECT cmp_ok((SELECT count(*) FROM iaros.rfm_run WHERE whole), '>', 40::bigint, 'some were whole');
SELECT cmp_ok((SELECT count(*) FROM (SELECT as_of, lag(next_at) OVER (ORDER BY run_id) AS next_at, whole FROM iaros.rfm_run) r
    WHERE NOT whole AND next_at <= as_of), '>', 20::bigint, 'some met bookings that had been of the future, some did not');
SELECT cmp_ok((SELECT count(DISTINCT substr(what, 10)) FROM step), '>', 200::bigint, 'after changes of all kinds');
-- The history tells the cells at every run that went forward.
SELECT is_empty($$SELECT s.as_of, s.customer_id, s.score, h.score FROM (
        SELECT a.as_of, c.customer_id, s.score, s.segment
        FROM (SELECT DISTINCT as_of FROM seen) a CROSS JOIN iaros.customer c
        LEFT JOIN seen s ON s.as_of = a.as_of AND s.customer_id = c.customer_id) s
    LEFT JOIN LATERAL (SELECT h.score::text, h.segment FROM iaros.rfm_history h
        WHERE h.customer_id = s.customer_id AND h.since <= s.as_of ORDER BY h.since DESC LIMIT 1) h ON true
    WHERE (s.score, s.segment) IS DISTINCT FROM (h.score, h.segment)$$, 'the history tells the cell of each customer at each run');
SELECT cmp_ok((SELECT count(*) FROM seen), '>', 5000::bigint, 'of which there are many');
SELECT is_empty('SELECT FROM iaros.rfm_history h WHERE NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = h.customer_id)',
    'who was deleted has no history');
SELECT iaros.rfm_refresh((SELECT max(as_of) FROM step)) AS n \gset
SELECT is(iaros.rfm_refresh((SELECT max(as_of) FROM step), whole => true), 0::bigint, 'a whole run finds nothing to change');

-- What is logged.
SELECT iaros.setting_set('rfm_scheme', NULL) AS a, iaros.setting_set('brand_time_zone', NULL) AS b \gset
UPDATE iaros.rfm_scheme SET period = '12 months' WHERE scheme = 'threshold';
DELETE FROM iaros.booking;
SELECT iaros.rfm_refresh('2025-12-01') AS n \gset
SELECT is_empty('TABLE iaros.rfm_change', 'a run takes the log');
SELECT is_empty('TABLE iaros.rfm_stored', 'who has no booking left is gone');
SELECT iaros.customer_create() AS ada, iaros.customer_create() AS bob \gset
SELECT iaros.booking_record(:ada, 600, 'USD', '2025-11-30') AS one, iaros.booking_record(:ada, 600, 'USD', '2025-11-30', status => 'held') AS held \gset
SELECT results_eq('TABLE iaros.rfm_change', format($$VALUES (%s::bigint, '2025-11-30'::timestamptz, 600.0000::numeric(16,4))$$, :ada), 'a new booking is logged with time and amount, if it counts');
SELECT iaros.rfm_refresh('2025-12-02') AS n \gset
UPDATE iaros.booking SET party_size = 2, status = 'flown' WHERE booking_id = :one;
UPDATE iaros.booking SET status = 'cancelled' WHERE booking_id = :held;
DELETE FROM iaros.booking WHERE booking_id = :held;
SELECT is_empty('TABLE iaros.rfm_change', 'what does not matter is not');
UPDATE iaros.booking SET customer_id = :bob WHERE booking_id = :one;
SELECT results_eq('SELECT customer_id, booked_at FROM iaros.rfm_change ORDER BY 1', format('VALUES (%s::bigint, NULL::timestamptz), (%s, NULL)', :ada, :bob), 'a booking that goes to another customer changes both');
SELECT is(iaros.rfm_refresh('2025-12-02'), 2::bigint, 'two cells changed');
SELECT results_eq('SELECT customer_id, score::text FROM iaros.customer_rfm', format($$VALUES (%s::bigint, '512')$$, :bob), 'the booking is bob''s');
SELECT is((SELECT count(*) FROM iaros.rfm_history WHERE customer_id = :ada AND since = '2025-12-02'), 1::bigint, 'a second run as of the same time replaces the row of the history');

-- TRUNCATE.
TRUNCATE iaros.booking CASCADE;
SELECT results_eq('SELECT count(*), count(customer_id) FROM iaros.rfm_change', 'VALUES (1::bigint, 0::bigint)', 'a truncated table is one mark');
SELECT is(iaros.rfm_refresh('2025-12-03'), 1::bigint, 'all is computed anew');
SELECT is((SELECT whole FROM iaros.rfm_run WHERE is_last), true, 'in a whole run');
SELECT is_empty('TABLE iaros.customer_rfm', 'nobody is left');
TRUNCATE iaros.customer_alias;
SELECT is((SELECT count(*) FROM iaros.rfm_change WHERE customer_id IS NULL), 1::bigint, 'likewise for aliases');

-- Back in time, and ahead.
SELECT iaros.rfm_refresh('2025-12-03') AS n, iaros.booking_record(:ada, 600, 'USD', '2025-11-30') AS b \gset
SELECT iaros.rfm_refresh('2025-12-04') AS n \gset
CREATE TEMP TABLE before AS TABLE iaros.rfm_history;
SELECT is(iaros.rfm_refresh('2025-11-01'), 1::bigint, 'back in time there was no booking');
SELECT is_empty('TABLE iaros.customer_rfm', 'so there is no row');
SELECT is(iaros.rfm_refresh('2025-12-01'), 1::bigint, 'on the way forward there is');
SELECT is((SELECT whole FROM iaros.rfm_run WHERE is_last), false, 'by an increment');
SELECT lives_ok($$SELECT iaros.rfm_refresh(now() + interval '300 days')$$, 'the future');
SELECT results_eq('SELECT customer_id, since, score::text FROM iaros.rfm_history ORDER BY 1, 2',
    'SELECT customer_id, since, score::text FROM before ORDER BY 1, 2', 'neither writes history');
SELECT iaros.rfm_refresh('2025-12-05') AS n, iaros.rfm_refresh('2025-12-06') AS m \gset
SELECT results_eq('SELECT customer_id, since, score::text FROM iaros.rfm_history ORDER BY 1, 2',
    'SELECT customer_id, since, score::text FROM before ORDER BY 1, 2', 'which goes on where it was');
SELECT iaros.booking_record(:ada, 5000, 'USD', '2025-12-06 12:00+00') AS b, iaros.rfm_refresh('2025-12-01') AS n, iaros.rfm_refresh('2025-12-07') AS m \gset
SELECT is((SELECT count(*) FROM iaros.rfm_history WHERE customer_id = :ada AND since = '2025-12-07'), 1::bigint, 'with what a look back passed over');
SELECT iaros.rfm_refresh() AS n \gset
SELECT is((SELECT as_of BETWEEN now() AND clock_timestamp() FROM iaros.rfm_run WHERE is_last), true, 'now is when it is our turn');
SELECT throws_ok($$SELECT iaros.rfm_refresh('infinity')$$, '22023', 'RFM cannot be as of "infinity"', 'no time that cannot be');

-- The day on which the period begins.
SELECT iaros.booking_record(:bob, 600, 'USD', '2024-12-10 23:00+00') AS b, iaros.rfm_refresh('2025-12-10 06:00+00', whole => true) AS n,
    iaros.booking_record(:ada, 9, 'USD', '2025-12-10 06:00+00') AS c, iaros.rfm_refresh('2025-12-10 20:00+00') AS m \gset
SELECT is((SELECT m || ' ' || frequency FROM iaros.customer_rfm WHERE customer_id = :bob), '2 1', 'a booking later on that day counts');

-- Deleted customers, old rows.
SELECT cmp_ok((SELECT count(*) FROM iaros.rfm_history WHERE customer_id = :ada), '>', 0::bigint, 'ada has a history');
DELETE FROM iaros.booking WHERE customer_id = :ada;
DELETE FROM iaros.customer WHERE customer_id = :ada;
SELECT is_empty(format('SELECT customer_id FROM iaros.rfm_stored WHERE customer_id = %s UNION ALL SELECT customer_id FROM iaros.rfm_history WHERE customer_id = %1$s', :ada),
    'who is deleted has no rows');
DELETE FROM iaros.rfm_history;
INSERT INTO iaros.rfm_history (customer_id, since, score)
SELECT c, now() - d * interval '1 day', d % 5 * 100 + 111 FROM unnest(ARRAY[:bob, 700001]) AS c, unnest('{1300,1200,1101,1000}'::integer[]) AS d WHERE c = :bob OR d > 1101;
UPDATE iaros.rfm_run SET ran_at = now() - interval '40 days';
SELECT count(*) - 1 AS runs FROM iaros.rfm_run \gset
SELECT is(iaros.rfm_prune(), 3 + :runs::bigint, 'old rows go');
SELECT results_eq($$SELECT round(extract(epoch FROM now() - since) / 86400) FROM iaros.rfm_history ORDER BY customer_id = 700001, 1$$,
    'VALUES (1000::numeric), (1101), (1200)', 'but not the cell that held when the time kept began, nor the last');
SELECT is((SELECT count(*) FROM iaros.rfm_run WHERE is_last), 1::bigint, 'nor the last run');

-- The first run of all.
DELETE FROM iaros.rfm_run;
DELETE FROM iaros.rfm_history;
SELECT iaros.booking_record(:bob, 1, 'USD', '2025-12-24') AS b, iaros.rfm_refresh('2025-12-25') AS n \gset
SELECT results_eq('SELECT customer_id, since, score::text, segment FROM iaros.rfm_history ORDER BY 1',
    $$SELECT customer_id, '2025-12-25'::timestamptz, score::text, segment FROM iaros.customer_rfm ORDER BY 1$$, 'the first run writes the history of all');

-- Rights: who operates records bookings and refreshes, and no more.
CREATE ROLE iaros_t_operate;
CREATE ROLE iaros_t_read;
SELECT iaros.access_grant('iaros_t_operate', 'operate'), iaros.access_grant('iaros_t_read', 'read');
SET ROLE iaros_t_operate;
SELECT iaros.booking_record(:bob, 600, 'USD', '2025-11-30') AS b \gset
SELECT lives_ok('SELECT iaros.rfm_refresh()', 'a role that operates refreshes');
SELECT is((SELECT count(*) FROM iaros.customer_rfm WHERE customer_id = :bob), 1::bigint, 'what it recorded is there');
SELECT throws_ok(format('%s iaros.%I', x.verb, r.relation), '42501', NULL, format('it cannot %s %s', lower(x.verb), r.relation))
FROM unnest('{rfm_change,rfm_stored,rfm_history,rfm_run}'::text[]) AS r(relation), unnest('{DELETE FROM}'::text[]) AS x(verb);
SELECT throws_ok('INSERT INTO iaros.rfm_change VALUES (1, now(), 1)', '42501', NULL, 'nor add to the log');
SELECT throws_ok('SELECT iaros.rfm_fold_history(now())', '42501', NULL, 'nor run a part of a refresh');
RESET ROLE;
SET ROLE iaros_t_read;
SELECT throws_ok('SELECT iaros.rfm_refresh()', '42501', NULL, 'who reads does not refresh');
SELECT is((SELECT count(*) FROM iaros.customer_rfm WHERE customer_id = :bob), 1::bigint, 'but sees');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
