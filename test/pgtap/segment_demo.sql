-- segment: the kinds of customers that the demo airline has planted are found
-- by segments; with which precision and recall is printed. Nobody can be told
-- who never booked, and some of a kind look like another one by chance. Then
-- five hundred segments live at once.
BEGIN;
SELECT plan(16);
SET LOCAL client_min_messages = warning;
\o /dev/null
SELECT * FROM iaros.demo_generate(3000, 42, '2026-07-01Z');
SELECT iaros.segment_create(name, rule::iaros.segment_rule) FROM (VALUES
    ('Premium Leisure', '{"logic": "AND", "rules": [{"field": "booking.premiumShare", "operator": ">", "value": 0.5}, {"logic": "NOT", "rules": [{"segment": "Corporate Account Travelers"}]},
        {"field": "booking.advanceDays", "operator": ">=", "value": 10}]}'),
    ('New This Quarter', '{"field": "booking.daysSinceFirst", "operator": "<", "value": 75}'),
    ('Lapsed Regulars', '{"logic": "AND", "rules": [{"segment": "Lapsed Customers"}, {"field": "booking.count", "operator": ">=", "value": 6}]}'),
    ('Families', '{"logic": "AND", "rules": [{"segment": "Family Travelers"}, {"field": "booking.advanceDays", "operator": ">=", "value": 20}]}'),
    ('Late and Often', '{"logic": "AND", "rules": [{"segment": "Last-Minute Bookers"}, {"field": "booking.advanceDays", "operator": "<", "value": 6},
        {"logic": "NOT", "rules": [{"segment": "Corporate Account Travelers"}]}]}')) AS s(name, rule);
SELECT iaros.segment_refresh('2026-07-01Z');
\o
CREATE TEMP TABLE person AS
SELECT t.customer_id, t.persona FROM iaros.demo_truth t JOIN iaros.profile_at('2026-07-01Z') p USING (customer_id)
WHERE t.duplicate_of IS NULL AND p.booking_count > 0;
CREATE TEMP TABLE measured AS
SELECT w.persona, w.segment, count(*) FILTER (WHERE m.found) AS found, count(*) FILTER (WHERE p.persona = w.persona) AS planted,
    count(*) FILTER (WHERE m.found AND p.persona = w.persona) AS hits, count(*) AS persons, w.precision_floor, w.recall_floor
FROM (VALUES ('business', 'Frequent Business Travelers', 0.77, 0.73), ('business', 'Corporate Account Travelers', 0.60, 0.83),
        ('premium', 'Premium Leisure', 0.83, 0.66), ('family', 'Family Travelers', 0.78, 0.96), ('family', 'Families', 0.80, 0.96),
        ('last_minute', 'Last-Minute Bookers', 0.67, 0.96), ('last_minute', 'Late and Often', 0.89, 0.92),
        ('lapsed', 'Lapsed Customers', 0.44, 0.97), ('lapsed', 'Lapsed Regulars', 0.63, 0.51), ('new', 'New This Quarter', 0.92, 0.97)) AS w(persona, segment, precision_floor, recall_floor)
JOIN iaros.segment s ON s.name = w.segment
CROSS JOIN person p
CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM iaros.segment_membership m WHERE m.customer_id = p.customer_id AND m.segment_ids @> ARRAY[s.segment_id])) AS m(found)
GROUP BY w.persona, w.segment, w.precision_floor, w.recall_floor;
SELECT ok(hits::numeric / found >= precision_floor AND hits::numeric / planted >= recall_floor,
    format('%s by "%s": precision %s, recall %s, of all they are %s', persona, segment, round(hits::numeric / found, 3),
        round(hits::numeric / planted, 3), round(planted::numeric / persons, 3)))
FROM measured ORDER BY persona, segment;

-- Five hundred at once, each tenth of the new ones real-time.
\o /dev/null
SELECT iaros.segment_create(format('Live %s', i), (CASE i % 5
    WHEN 0 THEN format('{"logic": "AND", "rules": [{"field": "customer.totalSpend", "operator": "BETWEEN", "value": [%s, %s]}, {"field": "booking.cabinClass", "operator": "IN", "value": ["economy", "business"]}]}', i * 10, i * 25)
    WHEN 1 THEN format('{"logic": "OR", "rules": [{"field": "booking.daysSinceLast", "operator": "<", "value": %s}, {"event": "search", "at_least": %s, "within": "30 days"}]}', i, 1 + i % 9)
    WHEN 2 THEN format('{"logic": "NOT", "rules": [{"logic": "OR", "rules": [{"field": "customer.age", "operator": ">=", "value": %s}, {"field": "booking.partySize", "operator": ">", "value": 2}]}]}', 18 + i % 60)
    WHEN 3 THEN format('{"logic": "AND", "rules": [{"segment": "Repeat Customers"}, {"field": "customer.city", "operator": "STARTS WITH", "value": "%s"}]}', chr((97 + i % 26)::integer))
    ELSE format('{"field": "customer.annualSpend", "operator": "TOP", "value": %s}', 1 + i % 90) END)::iaros.segment_rule, realtime => i % 10 = 0)
FROM generate_series(1, 500 - (SELECT count(*) FROM iaros.segment)) AS i;
SELECT iaros.segment_refresh('2026-07-02Z');
\o
SELECT is((SELECT count(*) FROM iaros.segment_list() WHERE enabled AND correct_as_of = '2026-07-02Z'), 500::bigint, 'five hundred segments are live');
SELECT cmp_ok((SELECT count(DISTINCT members) FROM iaros.segment_audience), '>', 250::bigint, 'many different ones');
CREATE FUNCTION pg_temp.plain(as_of timestamptz) RETURNS TABLE (segment_id bigint, customers bigint, ids numeric) LANGUAGE plpgsql AS $$
DECLARE
    source text := (SELECT iaros.segment_source_sql(array_agg(c.rule), as_of) FROM iaros.segment_compile() c);
BEGIN
    RETURN QUERY EXECUTE (SELECT format('SELECT unnest(%L::bigint[]), unnest(ARRAY[%s]), unnest(ARRAY[%s]) FROM (%s) s', array_agg(c.segment_id ORDER BY c.segment_id),
            string_agg(format('count(*) FILTER (WHERE %s)', k.sql), ', ' ORDER BY c.segment_id),
            string_agg(format('coalesce(sum(s.customer_id) FILTER (WHERE %s), 0)', k.sql), ', ' ORDER BY c.segment_id), source)
        FROM iaros.segment_compile() c, LATERAL iaros.segment_rule_sql(c.rule, source, as_of) AS k(sql));
END $$;
SELECT bag_eq($$SELECT a.segment_id, a.customers, (SELECT coalesce(sum(i.id), 0) FROM iaros.audience_ids(a.members) AS i(id)) FROM iaros.segment_audience a$$,
    $$SELECT * FROM pg_temp.plain('2026-07-02Z')$$, 'all of them hold who plain SQL finds');
SELECT set_eq($$SELECT segment_id FROM iaros.customer_segments((SELECT min(customer_id) FROM person), '2026-07-02Z')$$,
    $$SELECT unnest(m.segment_ids) FROM iaros.segment_membership m WHERE m.customer_id = (SELECT min(customer_id) FROM person)$$, 'one customer asked live is in the same');
SELECT iaros.booking_record((SELECT min(customer_id) FROM person), 2345, 'USD', now() - interval '1 hour', 'JFK', 'LHR', 'business') > 0 AS booked \g /dev/null
SELECT set_eq($$SELECT l.segment_id FROM iaros.customer_segments((SELECT min(customer_id) FROM person)) l JOIN iaros.segment s USING (segment_id) WHERE s.realtime$$,
    $$SELECT i.id FROM iaros.segment_membership m, unnest(m.segment_ids) AS i(id) JOIN iaros.segment s ON s.segment_id = i.id WHERE s.realtime AND m.customer_id = (SELECT min(customer_id) FROM person)$$,
    'a booking brings the real-time ones up to date at once');
SELECT throws_ok($$SELECT iaros.segment_create('One too many')$$, '54000', 'there are 500 segments already', 'the next one is refused, by setting max_segments');
SELECT * FROM finish();
ROLLBACK;
