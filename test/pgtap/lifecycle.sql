-- Stages and values: boundaries to the microsecond against plain SQL, a
-- history that does not depend on when refreshes run, late data, merges,
-- cancellations, values against the formulas.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT plan(59);

-- The stage of scheme standard in plain SQL, straight from the bookings.
CREATE FUNCTION pg_temp.expected(id bigint, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN count(*) = 0 THEN 'prospect'
        WHEN at < min(t) + interval '30 days' THEN 'new'
        WHEN at >= max(t) + interval '180 days' THEN 'churned'
        WHEN at >= max(t) + interval '90 days' THEN 'at_risk'
        WHEN count(*) FILTER (WHERE at < t + interval '180 days') >= 5 THEN 'engaged'
        WHEN count(*) FILTER (WHERE at < t + interval '90 days') >= 2 THEN 'active'
        WHEN max(t) - (array_agg(t ORDER BY t DESC))[2] >= interval '4320 hours' THEN 'reactivated'
        ELSE 'occasional' END
    FROM (SELECT b.booked_at AS t FROM iaros.booking b
          WHERE b.booked_at <= at AND b.status IN ('confirmed', 'ticketed', 'flown', 'no_show')
            AND b.customer_id IN (SELECT iaros.customer_ids(id))) x
$$;
-- Rows of the history that contradict it, at their first and last moment,
-- overlap, or leave a hole.
CREATE FUNCTION pg_temp.wrong(since timestamptz) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT c.*, lag(c.exited_at) OVER w AS before, lead(c.entered_at) OVER w AS next, lag(c.stage) OVER w AS stage_before
        FROM iaros.customer_lifecycle_stage c WHERE c.scheme = 'standard'
        WINDOW w AS (PARTITION BY c.customer_id ORDER BY c.entered_at)) c
    WHERE c.entered_at >= since AND (
        c.stage <> pg_temp.expected(c.customer_id, c.entered_at)
        OR c.exited_at IS NOT NULL AND c.stage <> pg_temp.expected(c.customer_id, c.exited_at - interval '1 microsecond')
        OR c.before <> c.entered_at OR c.exited_at <> c.next OR c.stage = c.stage_before)
$$;
CREATE FUNCTION pg_temp.stages(id bigint, scheme text DEFAULT 'standard') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(c.stage || ' ' || to_char(c.entered_at, 'YYYY-MM-DD'), ', ' ORDER BY c.entered_at) || coalesce(' - ' || to_char(max(c.exited_at) FILTER (WHERE c.exited_at >= l.last_at), 'YYYY-MM-DD'), '')
    FROM iaros.customer_lifecycle_stage c, (SELECT max(coalesce(x.exited_at, 'infinity')) AS last_at FROM iaros.customer_lifecycle_stage x WHERE x.customer_id = stages.id AND x.scheme = stages.scheme) l
    WHERE c.customer_id = stages.id AND c.scheme = stages.scheme
$$;
CREATE FUNCTION pg_temp.book(id bigint, at timestamptz, amount numeric DEFAULT 100) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, amount, currency)
    VALUES (id, 'pss', 'life' || (SELECT count(*) FROM iaros.booking), at, amount, 'USD') RETURNING booking_id
$$;

-- Boundaries. 1: once; 2: twice; 3: five times; 4: again after long; 5: never.
INSERT INTO iaros.customer (customer_id) SELECT i FROM generate_series(1, 5) AS i;
SELECT pg_temp.book(1, '2025-01-01') IS NOT NULL AS booked \gset
SELECT count(pg_temp.book(2, t)) AS booked FROM unnest('{2024-11-01,2025-01-01}'::timestamptz[]) AS t \gset
SELECT count(pg_temp.book(3, t)) AS booked FROM unnest('{2024-10-01,2024-11-01,2024-11-11,2024-11-21,2025-01-01}'::timestamptz[]) AS t \gset
SELECT count(pg_temp.book(4, t)) AS booked FROM unnest('{2024-01-01,2024-06-29,2025-03-01,2025-08-27 23:59:59.999999}'::timestamptz[]) AS t \gset
SELECT is(iaros.lifecycle_stage(b.id, b.at + s.side), s.stage, format('%s: %s %s', b.what, b.id, s.stage))
FROM (VALUES
    (1, 'first booking 30 days ago', '2025-01-31'::timestamptz, ARRAY['new', 'occasional']),
    (1, 'last booking 90 days ago', '2025-04-01', ARRAY['occasional', 'at_risk']),
    (1, 'last booking 180 days ago', '2025-06-30', ARRAY['at_risk', 'churned']),
    (1, 'first booking', '2025-01-01', ARRAY['prospect', 'new']),
    (2, 'second last booking 90 days ago', '2025-01-30', ARRAY['active', 'occasional']),
    (3, 'fifth last booking 180 days ago', '2025-03-30', ARRAY['engaged', 'occasional']),
    (4, 'back after exactly 180 days', '2024-06-29', ARRAY['at_risk', 'reactivated'])
) AS b(id, what, at, stages)
CROSS JOIN LATERAL (VALUES (interval '-1 microsecond', b.stages[1]), (interval '0', b.stages[2])) AS s(side, stage);
SELECT is(iaros.lifecycle_stage(4, '2025-08-28'), 'occasional', 'back a microsecond before 180 days is not reactivated');
SELECT is(iaros.lifecycle_stage(5, '2025-01-01'), 'prospect', 'who never booked is a prospect');
SELECT is(iaros.lifecycle_stage(5, '2025-01-01', 'clm'), 'acquisition', 'and in acquisition');
SELECT is_empty(
    $$SELECT c, at FROM generate_series(1, 5) AS c, generate_series('2023-12-01'::timestamptz, '2026-05-01', '61 hours') AS at
      WHERE iaros.lifecycle_stage(c, at) IS DISTINCT FROM pg_temp.expected(c, at)$$,
    'every stage is that of plain SQL at any time');
SELECT is_empty(
    $$SELECT c, at FROM generate_series(1, 5) AS c, generate_series('2023-12-01'::timestamptz, '2026-05-01', '97 hours') AS at
      WHERE iaros.lifecycle_stage(c, at, 'clm') <> 'churn' AND iaros.lifecycle_stage(c, at, 'clm')
          IS DISTINCT FROM iaros.lifecycle_stage_translate(iaros.lifecycle_stage(c, at), 'standard', 'clm')$$,
    'but for churn the two schemes agree as they are mapped');
SELECT is(iaros.lifecycle_stage(4711), NULL, 'nobody is in no stage');

-- History: the same whenever the refreshes ran.
INSERT INTO iaros.customer (customer_id) SELECT i FROM generate_series(101, 130) AS i;
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, status, amount, currency)
SELECT 101 + i % 27, 'pss', 'random' || i, '2024-03-01'::timestamptz + iaros.chance(i, 3, 1) * interval '500 days',
    CASE WHEN i % 9 = 0 THEN 'cancelled' ELSE 'flown' END::iaros.booking_status, 100, 'USD'
FROM generate_series(1, 130) AS i;
SELECT cmp_ok(iaros.lifecycle_refresh('2024-01-15'), '=', 70::bigint, 'the first run puts everybody into a stage of each scheme');
SELECT cmp_ok(iaros.lifecycle_refresh('2025-11-01'), '>', 250::bigint, 'a run two years later makes up for all that happened');
SELECT is(pg_temp.wrong('2024-01-16'), 0::bigint, 'its history is that of plain SQL');
SELECT is(pg_temp.stages(4), 'new 2024-01-15, occasional 2024-01-31, at_risk 2024-03-31, reactivated 2024-06-29, at_risk 2024-09-27, churned 2024-12-26, reactivated 2025-03-01, at_risk 2025-05-30, occasional 2025-08-27',
    'all stages of one customer');
SELECT results_eq(
    $$SELECT stage, exited_at, duration_days FROM iaros.customer_lifecycle_stage WHERE customer_id = 4 AND scheme = 'standard' AND entered_at = '2024-12-26'$$,
    $$VALUES ('churned', '2025-03-01'::timestamptz, 65.0000)$$, 'with duration');
CREATE TEMP TABLE once_key AS SELECT customer_id, stage, entered_at, exited_at FROM iaros.customer_lifecycle_stage WHERE scheme = 'standard';
DELETE FROM iaros.customer_lifecycle_stage;
DELETE FROM iaros.lifecycle_refreshed;
SELECT count(iaros.lifecycle_refresh('2024-01-15'::timestamptz + i * interval '23 days 5 hours')) AS runs FROM generate_series(0, 28) AS i \gset
SELECT count(iaros.lifecycle_apply(ARRAY[101 + i], '2025-10-26'::timestamptz + i * interval '1 hour')) AS runs FROM generate_series(0, 12) AS i \gset
SELECT iaros.lifecycle_refresh('2025-11-01') AS last_run \gset
SELECT is_empty(
    $$(SELECT customer_id, stage, entered_at, exited_at FROM iaros.customer_lifecycle_stage WHERE scheme = 'standard' EXCEPT TABLE once_key)
      UNION ALL (TABLE once_key EXCEPT SELECT customer_id, stage, entered_at, exited_at FROM iaros.customer_lifecycle_stage WHERE scheme = 'standard')$$,
    'fifteen runs and some of single customers give the history of one');
SELECT is(iaros.lifecycle_refresh('2025-11-01'), 0::bigint, 'a second run as of the same time changes nothing');
SELECT is(iaros.lifecycle_refresh('2025-11-01 00:00:01'), 0::bigint, 'nor does one a second later');

-- Late bookings, cancellations.
SELECT pg_temp.book(5, '2025-10-20') IS NOT NULL AS booked \gset
SELECT cmp_ok(iaros.lifecycle_refresh('2025-11-02'), '>=', 2::bigint, 'a booking that came late is found');
SELECT is(pg_temp.stages(5), 'prospect 2024-01-15, new 2025-11-02', 'and dated to the run that found it');
UPDATE iaros.booking SET status = 'cancelled' WHERE customer_id = 5;
SELECT is(iaros.lifecycle_refresh('2025-11-02'), 2::bigint, 'a cancellation before a second run as of the same time');
SELECT is(pg_temp.stages(5), 'prospect 2024-01-15', 'leaves no stage that lasted for no time');
SELECT pg_temp.book(5, '2025-11-02 06:00') IS NOT NULL AS booked \gset
SELECT is(iaros.lifecycle_apply('{5,5,4711,NULL}', '2025-11-03'), 2::bigint, 'lifecycle_apply() for some');
SELECT is(iaros.lifecycle_apply('{5}', '2025-11-04'), 0::bigint, 'leaves nothing to a second call');
SELECT iaros.lifecycle_refresh('2025-11-04') AS ran \gset
SELECT is(pg_temp.stages(5), 'prospect 2024-01-15, new 2025-11-02', 'a booking since the last run is dated to its moment');
SELECT is((SELECT max(entered_at) FROM iaros.customer_lifecycle_stage WHERE customer_id = 5), '2025-11-02 06:00'::timestamptz, 'to the hour');

-- Merges and un-merges.
SELECT iaros.customer_recognise(5, 1) AS merged \gset
SELECT iaros.lifecycle_refresh('2025-11-05') > 0 AS ran \gset
SELECT is(pg_temp.stages(5), 'prospect 2024-01-15, new 2025-11-02 - 2025-11-05', 'an alias has no stage any more');
SELECT is(iaros.lifecycle_stage(5, '2025-11-05'), 'reactivated', 'its bookings are those of the master, by any id');
SELECT matches(pg_temp.stages(1), 'churned 2025-06-30, reactivated 2025-11-05$', 'who enters another stage at that run');
SELECT iaros.customer_separate(5) AS separated \gset
SELECT is(iaros.lifecycle_apply('{5,1}', '2025-11-06'), 4::bigint, 'an un-merge is found for both');
SELECT is(pg_temp.stages(5), 'prospect 2024-01-15, new 2025-11-02, new 2025-11-06', 'and the former alias enters its own stage again');
SELECT is_empty(
    $$SELECT p.customer_id FROM iaros.profile_at('2025-11-06') p
      LEFT JOIN iaros.customer_lifecycle_stage c ON c.customer_id = p.customer_id AND c.scheme = 'standard' AND c.exited_at IS NULL
      WHERE p.customer_id < 1000 AND c.stage IS DISTINCT FROM pg_temp.expected(p.customer_id, '2025-11-06')
        AND c.entered_at <= '2025-11-05' AND pg_temp.expected(p.customer_id, '2025-11-05') = pg_temp.expected(p.customer_id, '2025-11-06')$$,
    'who is in a stage is in the right one');

-- Rules of users, segments, deletion, pruning.
INSERT INTO iaros.lifecycle_scheme (scheme, description) VALUES ('mine', 'By spend');
INSERT INTO iaros.lifecycle_stage_def (scheme, stage, position, description, strategy) VALUES
    ('mine', 'big', 1, 'Spent 300 or more', '-'), ('mine', 'small', 2, 'The others', '-');
INSERT INTO iaros.lifecycle_rule (scheme, rank, stage, conditions) VALUES ('mine', 10, 'big', '{"spend_total": {"min": 300}}');
SELECT results_eq($$SELECT subject, finding FROM iaros.lifecycle_doctor()$$,
    $$VALUES ('scheme of stages mine', 'some customers may be in no stage')$$, 'doctor() knows of a scheme without remainder');
SELECT iaros.lifecycle_refresh('2025-11-07') > 0 AS ran \gset
SELECT results_eq($$SELECT customer_id FROM iaros.customer_lifecycle_stage WHERE scheme = 'mine' AND customer_id < 100 ORDER BY 1$$,
    $$VALUES (3::bigint), (4)$$, 'a scheme of users is kept too');
SELECT is_empty(
    $$SELECT l.measure FROM iaros.lifecycle_measures() l
      CROSS JOIN LATERAL (SELECT iaros.lifecycle_rule_sql(jsonb_build_object(l.measure, jsonb_build_object('min', 1, 'below', 2)), 180) AS condition) c
      WHERE c.condition IS NULL OR query_to_xml(format('SELECT count(*) FROM iaros.profile_at(now()) p CROSS JOIN (VALUES (now())) AS n(as_of) WHERE %s', c.condition), true, false, '') IS NULL$$,
    'every measure can be computed');
SELECT is_empty(
    $$SELECT a.reference FROM iaros.lifecycle_action a WHERE CASE a.kind
          WHEN 'offer' THEN NOT EXISTS (SELECT FROM iaros.offer o WHERE o.code = a.reference)
          WHEN 'campaign' THEN NOT EXISTS (SELECT FROM iaros.campaign_type t WHERE t.type = a.reference)
          WHEN 'message' THEN NOT EXISTS (SELECT FROM iaros.message_template t WHERE t.name = a.reference) END
      UNION ALL SELECT v.offer FROM iaros.value_offer v WHERE NOT EXISTS (SELECT FROM iaros.offer o WHERE o.code = v.offer)$$,
    'shipped actions and offers refer to what is shipped');
SELECT is_empty(
    $$SELECT d.scheme, d.stage FROM iaros.lifecycle_stage_def d WHERE d.scheme <> 'mine'
        AND NOT EXISTS (SELECT FROM iaros.lifecycle_action a WHERE a.scheme = d.scheme AND a.stage = d.stage)$$,
    'every shipped stage has an action');

-- Values.
SELECT iaros.rfm_refresh('2025-11-07') IS NOT NULL AS ran \gset
SELECT iaros.value_refresh('2025-11-07') > 0 AS ran \gset
SELECT is_empty(
    $$SELECT v.customer_id FROM iaros.customer_value_segment v
      JOIN iaros.customer_rfm r ON r.customer_id = v.customer_id
      JOIN iaros.profile_at('2025-11-07') p ON p.customer_id = v.customer_id
      CROSS JOIN LATERAL (SELECT p.spend_12m * 0.75 / 0.35 * (power(
          (180 * 86400 + extract(epoch FROM p.last_booked_at - p.first_booked_at)::float8)
          / (180 * 86400 + extract(epoch FROM '2025-11-07' - p.first_booked_at)::float8), p.booking_count))::numeric AS ltv) l
      CROSS JOIN LATERAL (SELECT 0.4 * (r.m - 1) * 25 + 0.6 * least(l.ltv / 100, 100) AS score) s
      WHERE abs(v.predicted_ltv - l.ltv) > 0.001 OR abs(v.value_score - s.score) > 0.01 OR v.lifetime_value <> p.spend_total
        OR v.value_segment <> CASE WHEN s.score >= 70 THEN 'high_value' WHEN s.score >= 40 THEN 'medium_value' ELSE 'low_value' END$$,
    'values are those of the formulas');
SELECT is((SELECT count(*) FROM iaros.customer_value_segment WHERE customer_id < 1000),
    (SELECT count(*) FROM iaros.profile_at('2025-11-07') WHERE booking_count > 0 AND customer_id < 1000), 'everybody who booked has a value');
SELECT is(iaros.value_refresh('2025-11-07'), 0::bigint, 'a second run changes nothing');
SELECT is(iaros.value_apply('{4,5}', '2025-11-07'), 0::bigint, 'nor does one for some');
SELECT pg_temp.book(4, '2025-11-07 01:00', 20000) IS NOT NULL AS booked \gset
SELECT iaros.rfm_refresh('2025-11-08') IS NOT NULL AS ran \gset
SELECT is(iaros.value_apply('{4}', '2025-11-08'), 1::bigint, 'a booking changes a value');
SELECT results_eq($$SELECT since::date::text, segment FROM iaros.customer_value_history WHERE customer_id = 4 AND scheme = 'scaled' ORDER BY since$$,
    $$VALUES ('2025-11-07', 'low_value'), ('2025-11-08', 'high_value')$$, 'with its history');
SELECT results_eq($$SELECT from_segment, to_segment, moves FROM iaros.value_migration WHERE month = '2025-11-01'$$,
    $$VALUES ('low_value', 'high_value', 1::bigint)$$, 'and in the view of migration');
SELECT is((SELECT v.value_segment FROM iaros.customer_value(4, '2025-11-07') v), 'low_value', 'the value as of a day before is what it was');
DELETE FROM iaros.booking WHERE customer_id = 4;
DELETE FROM iaros.customer WHERE customer_id = 4;
SELECT is((SELECT count(*) FROM iaros.customer_lifecycle_stage WHERE customer_id = 4) + (SELECT count(*) FROM iaros.customer_value_history WHERE customer_id = 4)
    + (SELECT count(*) FROM iaros.customer_value_segment WHERE customer_id = 4), 0::bigint, 'who is deleted leaves nothing behind');
SELECT iaros.setting_set('lifecycle_history_keep_days', '0') AS kept \gset
SELECT cmp_ok(iaros.lifecycle_prune(), '>', 100::bigint, 'old stages are pruned');
SELECT is((SELECT count(*) FROM iaros.customer_lifecycle_stage WHERE exited_at IS NOT NULL), 0::bigint, 'but those that hold stay');
SELECT iaros.setting_set('clm_enabled', 'false'), iaros.setting_set('cvm_enabled', 'false') \gset off_
SELECT is(iaros.lifecycle_run() + iaros.value_run(), 0::bigint, 'the switches stop the jobs');

SELECT * FROM finish();
ROLLBACK;
