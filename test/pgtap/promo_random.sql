-- Promotions with random restrictions on random purchases: what qualifies, and
-- every reason against it, as worked out from the typed columns one by one.
BEGIN;
SELECT plan(12);
SELECT setseed(0.625);
SET LOCAL client_min_messages TO warning;
SELECT iaros.setting_set('brand_time_zone', 'America/New_York') \g /dev/null
\ir promo_stack_random.inc
\ir promo_random.inc
SET LOCAL search_path TO public;

SELECT iaros.promo_create('RND' || i || 'X', 'Random', pg_temp.definition(CASE WHEN i % 3 = 0 THEN 0.06 ELSE 0.14 END))
FROM generate_series(1, 240) AS i \g /dev/null
UPDATE iaros.promo SET is_active = false WHERE random() < 0.05;
CREATE TEMP TABLE p AS SELECT * FROM iaros.promo WHERE code::text LIKE 'RND%';
ANALYZE p;

-- Purchases, as columns; some are made in the first or the last instant of a
-- promotion.
CREATE TEMP TABLE purchase AS
SELECT i, CASE WHEN pg_temp.chance(0.9) THEN 900001 + pg_temp.pick(60) END AS customer_id,
    pg_temp.one('{USD,USD,EUR,JPY}'::text[]) AS currency,
    pg_temp.one('{web,mobile,agent,airport,NULL}'::text[]) AS channel,
    CASE WHEN pg_temp.chance(0.7) THEN 1 + pg_temp.pick(4) END AS party,
    CASE pg_temp.pick(8)
        WHEN 0 THEN (SELECT array_agg(b) FROM (SELECT lower(valid) AS b FROM p UNION SELECT upper(valid) FROM p) e WHERE isfinite(b))
        ELSE ARRAY[timestamptz '2026-05-25 00:00Z' + random() * interval '90 days'] END AS ats
FROM generate_series(1, 1000) AS i;
ALTER TABLE purchase ADD at timestamptz, ADD booking bigint;
UPDATE purchase SET at = pg_temp.one(ats) - CASE pg_temp.pick(3) WHEN 0 THEN interval '1 microsecond' ELSE '0' END;
UPDATE purchase u SET booking = (SELECT b.booking_id FROM iaros.booking b WHERE b.customer_id = u.customer_id ORDER BY b.booking_id LIMIT 1)
WHERE i % 3 = 0;
CREATE TEMP TABLE line AS
SELECT i, n, pg_temp.one('{fare,fare,ancillary}'::text[]) AS kind, 1 + pg_temp.pick(3) AS quantity, pg_temp.pick(300)::numeric AS price,
    CASE WHEN pg_temp.chance(0.9) THEN ARRAY(SELECT pg_temp.one('{JFK,EWR,LAX,LHR,FRA,NRT,SYD}'::text[]) FROM generate_series(1, 2 + pg_temp.pick(4)) WHERE n > 0) END AS points,
    CASE WHEN pg_temp.chance(0.9) THEN date '2026-06-15' + pg_temp.pick(90) END AS day,
    pg_temp.one('{Y,B,M,J,F,NULL}'::text[]) AS fare_class,
    pg_temp.one('{economy,premium_economy,business,first,NULL}'::text[]) AS cabin
FROM (SELECT i, generate_series(1, 1 + pg_temp.pick(4)) AS n FROM generate_series(1, 1000) AS i) q;
-- The same as carts; what they say of the customer themselves does not count.
CREATE TEMP TABLE cart AS
SELECT i, at, iaros.promo_cart(cart, at) AS cart
FROM (SELECT u.i, u.at, jsonb_strip_nulls(jsonb_build_object('customer', customer_id, 'currency', currency, 'channel', channel, 'party', party,
          'booking', booking, 'segments', '["test one"]'::jsonb, 'first_booking', true, 'lines', (
          SELECT jsonb_agg(jsonb_build_object('id', n, 'kind', kind, 'quantity', quantity, 'price', price, 'attributes', jsonb_build_object(
              'route', array_to_string(points, '-'), 'departure', day || CASE n % 2 WHEN 0 THEN 'T23:30:00' ELSE '' END, 'fare_class', fare_class, 'cabin', cabin)) ORDER BY n)
          FROM line l WHERE l.i = u.i))) AS cart
      FROM purchase u) q;

-- By hand -----------------------------------------------------------------

-- Who the customer is.
CREATE TEMP TABLE person AS
SELECT u.i, c.customer_id AS id
FROM purchase u
JOIN iaros.customer c ON coalesce((SELECT master_id FROM iaros.customer_alias a WHERE a.customer_id = c.customer_id), c.customer_id)
    = coalesce((SELECT master_id FROM iaros.customer_alias a WHERE a.customer_id = u.customer_id), u.customer_id);
CREATE TEMP TABLE fact AS
SELECT u.i, u.currency, u.channel, coalesce(u.party, 1) AS party, u.at,
    extract(isodow FROM u.at AT TIME ZONE 'America/New_York')::smallint AS weekday,
    ARRAY(SELECT s.name FROM person JOIN iaros.segment_membership m ON m.customer_id = id JOIN iaros.segment s ON s.segment_id = ANY (m.segment_ids) WHERE person.i = u.i) AS segments,
    ARRAY(SELECT a.tier FROM person JOIN iaros.loyalty_account a ON a.customer_id = id WHERE person.i = u.i
          AND (u.at AT TIME ZONE 'UTC')::date >= a.enrolled_on AND NOT coalesce((u.at AT TIME ZONE 'UTC')::date >= a.cancelled_on, false)) AS tiers,
    u.customer_id IS NOT NULL AND NOT EXISTS (SELECT FROM person JOIN iaros.booking b ON b.customer_id = id WHERE person.i = u.i
        AND b.booked_at <= u.at AND b.status IN ('confirmed', 'ticketed', 'flown', 'no_show') AND b.booking_id IS DISTINCT FROM u.booking) AS is_first,
    (SELECT sum(l.price * l.quantity) FROM line l WHERE l.i = u.i) AS amount,
    (SELECT sum(l.quantity) FROM line l WHERE l.i = u.i) AS units
FROM purchase u;

-- Where a flight, or a journey, goes from and to, by every name.
CREATE TEMP TABLE place AS
SELECT airport::text, n.name
FROM iaros.airport a JOIN iaros.country c USING (country)
CROSS JOIN LATERAL unnest(ARRAY[airport::text, city, country::text, c.name, region, continent, '*'] || ARRAY(
    SELECT zone FROM iaros.promo_zone z WHERE z.place IN (airport, city, country, c.name, region, continent))) AS n(name)
WHERE airport IN ('JFK', 'EWR', 'LAX', 'LHR', 'FRA', 'NRT', 'SYD');
CREATE TEMP TABLE trip AS
SELECT i, n, true AS leg, points[k] AS origin, points[k + 1] AS destination FROM line CROSS JOIN LATERAL generate_series(1, cardinality(points) - 1) AS k
UNION
SELECT i, n, false, points[1], CASE WHEN points[1] = points[cardinality(points)] THEN points[cardinality(points) / 2 + 1] ELSE points[cardinality(points)] END
FROM line WHERE points IS NOT NULL;
CREATE TEMP TABLE route AS
SELECT DISTINCT promo_id, excluded, leg, m[CASE WHEN turned THEN 3 ELSE 1 END] AS origin, m[CASE WHEN turned THEN 1 ELSE 3 END] AS destination
FROM (SELECT promo_id, false AS excluded, unnest(routes) AS r FROM p UNION SELECT promo_id, true, unnest(except_routes) FROM p) q
CROSS JOIN LATERAL (SELECT r LIKE 'leg %' AS leg, regexp_match(regexp_replace(r, '^leg ', ''), '^([^<>-]+)(<>|>|-)([^<>-]+)$') AS m) s
CROSS JOIN unnest('{false,true}'::boolean[]) AS turned
WHERE NOT (turned AND m[2] = '>');
ANALYZE trip, place, route, line, fact;
CREATE TEMP TABLE hit AS
SELECT DISTINCT r.promo_id, r.excluded, t.i, t.n
FROM trip t
JOIN place f ON f.airport = t.origin
JOIN place d ON d.airport = t.destination
JOIN route r ON (r.leg, r.origin, r.destination) = (t.leg, f.name, d.name);
ANALYZE hit;

-- What keeps each line out, then each purchase.
CREATE TEMP TABLE line_fails AS
SELECT p.promo_id, l.i, coalesce(p.applies_to ->> 'kind' <> l.kind, false) AS other_kind, l.price * l.quantity AS amount, l.quantity,
    p.routes IS NOT NULL AND h.i IS NULL AS route,
    p.except_routes IS NOT NULL AND x.i IS NOT NULL AS except_route,
    p.fare_classes IS NOT NULL AND NOT coalesce(l.fare_class = ANY (p.fare_classes), false) AS fare_class,
    coalesce(l.fare_class = ANY (p.except_fare_classes), false) AS except_fare_class,
    p.cabins IS NOT NULL AND NOT coalesce(l.cabin = ANY (p.cabins::text[]), false) AS cabin,
    coalesce(l.cabin = ANY (p.except_cabins::text[]), false) AS except_cabin,
    p.travel IS NOT NULL AND NOT coalesce(l.day <@ p.travel, false) AS travel,
    coalesce(l.day <@ p.blackout, false) AS blackout,
    p.weekdays IS NOT NULL AND NOT coalesce(extract(isodow FROM l.day) = ANY (p.weekdays), false) AS weekday
FROM p CROSS JOIN line l
LEFT JOIN hit h ON (h.promo_id, h.i, h.n, h.excluded) = (p.promo_id, l.i, l.n, false)
LEFT JOIN hit x ON (x.promo_id, x.i, x.n, x.excluded) = (p.promo_id, l.i, l.n, true);
CREATE TEMP TABLE lines_fail AS
SELECT promo_id, i, count(*) FILTER (WHERE fits) AS lines, coalesce(sum(amount) FILTER (WHERE fits), 0) AS amount, coalesce(sum(quantity) FILTER (WHERE fits), 0) AS units,
    array_remove(ARRAY[CASE WHEN bool_and(route) THEN 'route' END, CASE WHEN bool_and(except_route) THEN 'except_route' END,
        CASE WHEN bool_and(fare_class) THEN 'fare_class' END, CASE WHEN bool_and(except_fare_class) THEN 'except_fare_class' END,
        CASE WHEN bool_and(cabin) THEN 'cabin' END, CASE WHEN bool_and(except_cabin) THEN 'except_cabin' END,
        CASE WHEN bool_and(travel) THEN 'travel' END, CASE WHEN bool_and(blackout) THEN 'blackout' END,
        CASE WHEN bool_and(weekday) THEN 'weekday' END], NULL) AS all_fail
FROM (SELECT *, NOT (other_kind OR route OR except_route OR fare_class OR except_fare_class OR cabin OR except_cabin OR travel OR blackout OR weekday) AS fits
      FROM line_fails) f
GROUP BY 1, 2;
CREATE TEMP TABLE expected AS
SELECT p.promo_id, f.i, p.applied, p.is_active, p.priority, array_remove(ARRAY[
        CASE WHEN f.at < lower(p.valid) THEN 'not_started' WHEN f.at >= upper(p.valid) THEN 'expired' END,
        CASE WHEN NOT f.weekday = ANY (p.booking_weekdays) THEN 'booking_weekday' END,
        CASE WHEN p.channels IS NOT NULL AND NOT coalesce(f.channel = ANY (p.channels), false) THEN 'channel' END,
        CASE WHEN NOT f.currency = ANY (p.currencies) THEN 'currency' END,
        CASE WHEN NOT f.segments && p.segments THEN 'segment' END,
        CASE WHEN f.segments && p.except_segments THEN 'except_segment' END,
        CASE WHEN NOT f.tiers && p.tiers THEN 'tier' END,
        CASE WHEN NOT f.party <@ p.party THEN 'party' END,
        CASE WHEN p.first_booking AND NOT f.is_first THEN 'first_booking' END,
        CASE WHEN f.currency <> p.currency THEN 'currency' END,
        CASE WHEN l.lines = 0 AND l.all_fail = '{}' THEN 'no_line' END,
        CASE WHEN f.currency IS NOT DISTINCT FROM coalesce(p.currency, f.currency) AND p.min_purchase > CASE p.min_of WHEN 'lines' THEN l.amount ELSE f.amount END THEN 'min_purchase' END,
        CASE WHEN f.currency IS NOT DISTINCT FROM coalesce(p.currency, f.currency) AND p.min_quantity > CASE p.min_of WHEN 'lines' THEN l.units ELSE f.units END THEN 'min_quantity' END],
        NULL) || CASE WHEN l.lines = 0 THEN l.all_fail ELSE '{}' END AS reasons
FROM lines_fail l JOIN p USING (promo_id) JOIN fact f USING (i);
ANALYZE expected;

SELECT is((SELECT count(*) FROM expected), 240000::bigint, 'each purchase is compared with each promotion');
SELECT cmp_ok((SELECT count(*) FROM expected WHERE reasons = '{}'), '>', 15000::bigint, 'many of them qualify');
SELECT is((SELECT count(DISTINCT r) FROM expected CROSS JOIN unnest(reasons) AS r), 22::bigint, 'every reason is given');

-- The engine --------------------------------------------------------------

SELECT is_empty($$SELECT c.i, d.segments, d.tiers, d.is_first FROM cart c JOIN fact d USING (i)
    WHERE (SELECT customer_id FROM purchase u WHERE u.i = c.i) IS NOT NULL
      AND (NOT (c.cart -> 'segments' @> to_jsonb(d.segments) AND c.cart -> 'segments' <@ to_jsonb(d.segments))
        OR NOT (c.cart -> 'tiers' @> to_jsonb(d.tiers) AND c.cart -> 'tiers' <@ to_jsonb(d.tiers))
        OR (c.cart -> 'first_booking')::boolean <> d.is_first)
      OR (SELECT customer_id FROM purchase u WHERE u.i = c.i) IS NULL AND c.cart ?| '{segments,tiers,first_booking}'$$,
    'a cart knows the segments, tiers and first booking of the person, and nothing of nobody');
SELECT is_empty($$SELECT promo_id, e.i, e.reasons, p.definition, c.cart FROM expected e JOIN p USING (promo_id) JOIN cart c USING (i)
    WHERE iaros.promo_applies(p.definition, c.cart) <> (e.reasons = '{}') LIMIT 5$$, 'promo_applies is what the columns say');

CREATE TEMP TABLE found AS
SELECT c.i, iaros.promo_best_set((SELECT jsonb_agg(definition) FROM p), c.cart, 'customer', '{"max_promotions": 2, "candidates": 12}') AS r FROM cart c;
CREATE TEMP TABLE told AS
SELECT i, (l ->> 'id')::bigint AS promo_id, l -> 'reasons' AS reasons, ARRAY(SELECT x ->> 'reason' FROM jsonb_array_elements(l -> 'reasons') AS x) AS names
FROM found CROSS JOIN LATERAL jsonb_array_elements(r -> 'left_out') AS l
UNION ALL
SELECT i, (l ->> 'id')::bigint, '[]', '{}' FROM found CROSS JOIN LATERAL jsonb_array_elements(r -> 'promotions') AS l;
ANALYZE told;
SELECT is_empty($$SELECT * FROM expected e FULL JOIN told t USING (i, promo_id)
    WHERE ARRAY(SELECT unnest(e.reasons) ORDER BY 1) IS DISTINCT FROM ARRAY(SELECT x FROM unnest(t.names) AS x WHERE x NOT IN ('max_promotions', 'not_best', 'no_effect', 'too_many') ORDER BY 1) LIMIT 5$$,
    'promo_best_set gives all reasons that there are, and no other');
SELECT is_empty($$SELECT promo_id, i, x FROM told JOIN p USING (promo_id) CROSS JOIN LATERAL jsonb_array_elements(told.reasons) AS x
    WHERE i <= 100 AND (x ->> 'reason' = 'route' AND x -> 'routes' IS DISTINCT FROM to_jsonb(routes) OR x ->> 'reason' = 'weekday' AND x -> 'weekdays' IS DISTINCT FROM to_jsonb(weekdays)
       OR x ->> 'reason' = 'segment' AND x -> 'segments' IS DISTINCT FROM to_jsonb(segments) OR x ->> 'reason' = 'channel' AND x -> 'channels' IS DISTINCT FROM to_jsonb(channels)
       OR iaros.promo_reason_text(x) IS NULL OR iaros.promo_reason_text(x) = x ->> 'reason') LIMIT 5$$,
    'each reason says what was asked for, and has a sentence');
SELECT is_empty($$SELECT promo_id, i, x FROM told JOIN p USING (promo_id) JOIN fact USING (i) JOIN lines_fail l USING (promo_id, i) CROSS JOIN LATERAL jsonb_array_elements(told.reasons) AS x
    WHERE x ->> 'reason' = 'min_purchase' AND (x ->> 'missing')::numeric <> p.min_purchase - CASE p.min_of WHEN 'lines' THEN l.amount ELSE fact.amount END
       OR x ->> 'reason' = 'min_quantity' AND (x ->> 'missing')::numeric <> p.min_quantity - CASE p.min_of WHEN 'lines' THEN l.units ELSE fact.units END LIMIT 5$$,
    'and what is missing');

-- Automatic promotions, found by index and without.
CREATE TEMP VIEW automatic AS
SELECT c.i, ARRAY(SELECT promo_id FROM expected e WHERE e.i = c.i AND e.applied = 'automatic' AND e.is_active AND e.reasons = '{}' ORDER BY e.priority, e.promo_id) AS wanted,
    iaros.promo_automatic(c.cart, c.at) AS got
FROM cart c;
CREATE INDEX ON expected (i) WHERE reasons = '{}';
SELECT is_empty('SELECT * FROM automatic WHERE wanted <> got LIMIT 5', 'promo_automatic finds the automatic promotions that apply');
SELECT cmp_ok((SELECT sum(cardinality(got)) FROM automatic), '>', 8000::bigint, 'which are many');
SET LOCAL enable_seqscan TO off;
SET LOCAL enable_indexscan TO off;
DISCARD PLANS;
SELECT is((SELECT sum(cardinality(got)) FROM automatic), (SELECT sum(cardinality(wanted)) FROM automatic), 'by index as many');
SELECT is_empty('SELECT * FROM automatic WHERE wanted <> got LIMIT 5', 'and the same');
SELECT * FROM finish();
ROLLBACK;
