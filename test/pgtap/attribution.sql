-- attribution: the credits add up, and agree with a slow and plain way.
BEGIN;
SELECT plan(6);
INSERT INTO iaros.customer (customer_id, source) SELECT 1000000 + i, 'crm' FROM generate_series(1, 60) AS i;
INSERT INTO iaros.touchpoint (customer_id, occurred_at, channel, kind, cost_base, source)
SELECT 1000001 + iaros.chance_int(i, 7, 1, 60), timestamptz '2026-01-01' + iaros.chance_int(i, 7, 2, 200) * interval '11 hours',
    (ARRAY['email', 'paid_search', 'display', 'direct'])[1 + iaros.chance_int(i, 7, 3, 4)], 'click', iaros.chance_int(i, 7, 4, 300) / 100.0, 'web'
FROM generate_series(1, 600) AS i;
INSERT INTO iaros.conversion (customer_id, occurred_at, value_base, source)
SELECT 1000001 + iaros.chance_int(i, 8, 1, 60), timestamptz '2026-01-01' + iaros.chance_int(i, 8, 2, 200) * interval '11 hours',
    iaros.chance_int(i, 8, 3, 100000) / 100.0, 'web'
FROM generate_series(1, 300) AS i;
SELECT count(iaros.customer_recognise(1000000 + i, 1000001)) FROM generate_series(2, 6) AS i;
CREATE FUNCTION pg_temp.slow(from_time timestamptz, to_time timestamptz, span interval)
RETURNS TABLE (conversion_id bigint, channel text) LANGUAGE sql AS $$
    SELECT c.conversion_id, (
        SELECT t.channel FROM iaros.touchpoint t
        WHERE iaros.customer_resolve(t.customer_id) = iaros.customer_resolve(c.customer_id)
          AND t.occurred_at < c.occurred_at AND t.occurred_at >= c.occurred_at - span
        ORDER BY t.occurred_at DESC, t.channel COLLATE "C" DESC LIMIT 1)
    FROM iaros.conversion c WHERE c.occurred_at >= from_time AND c.occurred_at < to_time $$;

SELECT set_eq($$SELECT conversion_id, channel FROM iaros.attribution_last_touch()$$,
    $$SELECT * FROM pg_temp.slow('-infinity', 'infinity', '30 days')$$, 'the last touch of every conversion');
SELECT set_eq($$SELECT conversion_id, channel FROM iaros.attribution_last_touch('2026-02-01', '2026-03-01', '7 days')$$,
    $$SELECT * FROM pg_temp.slow('2026-02-01', '2026-03-01', '7 days')$$, 'touches before the period count for conversions in it');
SELECT is((SELECT count(*) FROM iaros.attribution_last_touch()), 300::bigint, 'each conversion comes once');
SELECT is((SELECT sum(credit) FROM iaros.attribution_last()), (SELECT sum(value_base) FROM iaros.conversion), 'the credits add up to the value of all conversions');
SELECT is((SELECT sum(cost) FROM iaros.attribution_last()), (SELECT sum(cost_base) FROM iaros.touchpoint), 'the costs add up to all costs');
SELECT is(
    (SELECT sum(l.credit) FROM generate_series(0, 11) AS i, iaros.attribution_last(timestamptz '2026-01-01' + i * interval '10 days', timestamptz '2026-01-11' + i * interval '10 days') l),
    (SELECT sum(value_base) FROM iaros.conversion), 'periods side by side add up too');
SELECT * FROM finish();
ROLLBACK;
