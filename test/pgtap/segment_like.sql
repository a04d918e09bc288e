-- segment: planted groups are found by lookalikes and by clusters; how well
-- is printed.
BEGIN;
SELECT plan(27);
SET LOCAL client_min_messages = warning;

-- A normal number by chance, from a customer and a salt.
CREATE FUNCTION pg_temp.normal(id bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT sqrt(-2 * ln((1 + (hashint8extended(id, salt) & 1048575)) / 1048577.0)) * cos(2 * pi() * (hashint8extended(id, salt + 1000) & 1048575) / 1048576.0)
$$;

-- 20,000 people, of whom 1,000 are of a kind: they spend a little more, book
-- a little later and like one cabin. Two fields say the same, five nothing.
CREATE TEMP TABLE person AS
SELECT i AS customer_id, kind, kind AND i % 3 = 0 AS seed,
    exp(5 + pg_temp.normal(i, 1) + CASE WHEN kind THEN 1.5 ELSE 0 END)::numeric(16,4) AS spend,
    2 * exp(5 + pg_temp.normal(i, 1) + CASE WHEN kind THEN 1.5 ELSE 0 END)::numeric(16,4) AS spend_again,
    (20 + 5 * pg_temp.normal(i, 2) - CASE WHEN kind THEN 8 ELSE 0 END)::integer AS lead,
    CASE WHEN (hashint8extended(i, 3) & 1023) < CASE WHEN kind THEN 800 ELSE 200 END THEN 'business' ELSE 'economy' END AS cabin,
    CASE WHEN (hashint8extended(i, 4) & 1) = 0 THEN pg_temp.normal(i, 5) END AS noise1,
    (hashint8extended(i, 6) & 7) = 0 AS noise2, chr(97 + (hashint8extended(i, 7) & 15)::integer) AS noise3,
    timestamptz '2026-01-01Z' + pg_temp.normal(i, 8) * interval '9 days' AS noise4, (hashint8extended(i, 9) & 63)::smallint AS noise5
FROM (SELECT i::bigint, (hashint8extended(i, 10) & 1048575) < 52429 AS kind FROM generate_series(1, 20000) AS i) p;
CREATE TEMP TABLE found AS
SELECT f.*, p.kind FROM iaros.segment_similar('SELECT customer_id, seed, spend, spend_again, lead, cabin, noise1, noise2, noise3, noise4, noise5 FROM person',
    (SELECT count(*)::integer FROM person WHERE kind AND NOT seed)) WITH ORDINALITY AS f JOIN person p USING (customer_id);
SELECT diag(format('planted kind: %s of %s found among as many, precision and recall %s; by chance %s', count(*) FILTER (WHERE kind), count(*),
    round(avg(kind::integer), 3), (SELECT round(avg(kind::integer), 3) FROM person WHERE NOT seed))) FROM found;
-- What the best rule, the ratio of the densities that were planted, finds.
SELECT diag(format('the best possible rule finds %s', (SELECT round(avg(kind::integer), 3) FROM (SELECT kind FROM person WHERE NOT seed
    ORDER BY 1.5 * (ln(spend) - 5.75) - 8 / 25.0 * (lead - 16) + CASE cabin WHEN 'business' THEN ln(800 / 200.0) ELSE ln(224 / 824.0) END DESC
    LIMIT (SELECT count(*) FROM found)) b)));
SELECT cmp_ok((SELECT avg(kind::integer) FROM found), '>=', 0.95 * (SELECT avg(kind::integer) FROM (SELECT kind FROM person WHERE NOT seed
    ORDER BY 1.5 * (ln(spend) - 5.75) - 8 / 25.0 * (lead - 16) + CASE cabin WHEN 'business' THEN ln(800 / 200.0) ELSE ln(224 / 824.0) END DESC
    LIMIT (SELECT count(*) FROM found)) b), 'at most a twentieth less than the best rule finds');
SELECT is_empty('SELECT FROM found JOIN person p USING (customer_id) WHERE p.seed', 'nobody of the seed is returned');
SELECT is((SELECT count(*) FROM (SELECT similarity > lag(similarity) OVER (ORDER BY ordinality) AS rises FROM found) x WHERE rises), 0::bigint, 'the most similar come first');
SELECT cmp_ok((SELECT avg((reasons[1] = ANY ('{spend,spend_again,lead,cabin}'))::integer) FROM found), '>=', 0.99, 'the first reason is nearly always one that was planted');
SELECT is((SELECT count(*) FROM found WHERE cardinality(reasons) > 3), 0::bigint, 'there are up to three reasons');
SELECT cmp_ok((SELECT avg(similarity) FROM found WHERE kind), '>', (SELECT 2 * avg(similarity) FROM
    iaros.segment_similar('SELECT customer_id, seed, spend, lead, cabin FROM person', 20000) s JOIN person p USING (customer_id) WHERE NOT p.kind), 'they are more similar than others');

-- The same rows, the same digits: in another order, in parallel or not.
CREATE FUNCTION pg_temp.print(source text) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(f::text, ' ' ORDER BY f.customer_id)) FROM iaros.segment_similar(source, 500) f $$;
CREATE FUNCTION pg_temp.print_clusters(source text, seed bigint) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(f::text, ' ' ORDER BY f.customer_id)) FROM iaros.segment_kmeans(source, 4, seed) f $$;
CREATE TABLE public.person_stored AS SELECT customer_id, seed, spend, lead, noise1, noise2 FROM person;
ANALYZE public.person_stored;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT is(pg_temp.print('SELECT * FROM person ORDER BY lead'), pg_temp.print('SELECT * FROM person ORDER BY noise1'), 'lookalikes do not depend on the order of rows');
SELECT is(pg_temp.print_clusters('SELECT customer_id, spend, lead FROM person ORDER BY lead', 1), pg_temp.print_clusters('SELECT customer_id, spend, lead FROM person ORDER BY noise1', 1), 'nor do clusters');
CREATE TEMP TABLE alone AS SELECT pg_temp.print('public.person_stored') AS likes, pg_temp.print_clusters('SELECT customer_id, spend, lead FROM public.person_stored', 1) AS clusters;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT is(pg_temp.print('public.person_stored'), likes, 'lookalikes are the same in parallel') FROM alone;
SELECT is(pg_temp.print_clusters('SELECT customer_id, spend, lead FROM public.person_stored', 1), clusters, 'clusters are the same in parallel') FROM alone;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- Four clusters of unequal size, in five fields of unequal scale.
CREATE TEMP TABLE place AS
SELECT i AS customer_id, kind, 1000 * (kind / 2) + 200 * pg_temp.normal(i, 1) AS a, (kind % 2) + 0.2 * pg_temp.normal(i, 2) AS b,
    kind = 3 AS c, date '2026-01-01' + (30 * kind + 8 * pg_temp.normal(i, 3))::integer AS d,
    CASE WHEN (hashint8extended(i, 4) & 15) > 0 THEN (kind * 7 + 2 * pg_temp.normal(i, 5))::numeric(16,4) END AS e
FROM (SELECT i::bigint, CASE WHEN h < 500 THEN 0 WHEN h < 800 THEN 1 WHEN h < 950 THEN 2 ELSE 3 END AS kind
      FROM (SELECT i, hashint8extended(i, 6) & 1023 AS h FROM generate_series(1, 20000) AS i) x) p;
CREATE TEMP TABLE parted AS SELECT k.*, p.kind FROM iaros.segment_kmeans('SELECT customer_id, a, b, c, d, e FROM place', 4, 42) k JOIN place p USING (customer_id);
ALTER TABLE parted ADD best integer;
UPDATE parted SET best = m.kind FROM (SELECT cluster, mode() WITHIN GROUP (ORDER BY kind) AS kind FROM parted GROUP BY 1) m WHERE m.cluster = parted.cluster;
SELECT diag(format('planted clusters: purity %s, mean confidence %s; of the %s %% with a confidence of 0.95 or more %s %% are right', round(avg((kind = best)::integer), 4),
    round(avg(confidence)::numeric, 4), round(100 * avg((confidence >= 0.95)::integer), 1), round(100 * avg((kind = best)::integer) FILTER (WHERE confidence >= 0.95), 2))) FROM parted;
SELECT cmp_ok((SELECT avg((kind = best)::integer) FROM parted), '>=', 0.98, 'planted clusters are found');
SELECT is((SELECT array_agg(DISTINCT best ORDER BY best) FROM parted), '{0,1,2,3}', 'each of them');
SELECT is((SELECT array_agg(best ORDER BY cluster) FROM (SELECT DISTINCT cluster, best FROM parted) x), '{0,1,2,3}', 'clusters are numbered by size');
SELECT cmp_ok((SELECT avg((kind = best)::integer) FROM parted WHERE confidence >= 0.95), '>=', 0.95, 'who is confident is right so often');
SELECT ok((SELECT bool_and(confidence > 0.25 - 1e-6 AND confidence <= 1 AND distance >= 0) FROM parted), 'a confidence is at least one in k');
SELECT cmp_ok((SELECT corr(confidence, distance) FROM parted), '<', 0::float8, 'who is far is less confident');
SELECT is((SELECT count(DISTINCT x) FROM (SELECT array_agg(c.cluster ORDER BY c.customer_id) AS x FROM generate_series(1, 3) AS s,
    LATERAL iaros.segment_kmeans('SELECT customer_id, a, b, c, d, e FROM place', 4, s) c GROUP BY s) y), 1::bigint, 'clear clusters are the same whatever the seed');
-- Clusters of the method done by hand: no row is nearer to another centroid.
SELECT is((SELECT count(*) FROM (SELECT customer_id, cluster, b FROM place JOIN iaros.segment_kmeans('SELECT customer_id, b FROM place', 3) USING (customer_id)) x
    JOIN LATERAL (SELECT c.cluster FROM (SELECT cluster, avg(least(greatest(b, l.low), l.high)) AS mean FROM place JOIN iaros.segment_kmeans('SELECT customer_id, b FROM place', 3) USING (customer_id),
        (SELECT percentile_disc(0.01) WITHIN GROUP (ORDER BY b) AS low, percentile_disc(0.99) WITHIN GROUP (ORDER BY b) AS high FROM place) l GROUP BY 1) c
        ORDER BY abs(c.mean - x.b) LIMIT 1) n ON n.cluster <> x.cluster WHERE x.customer_id < 500), 0::bigint, 'everybody is in the cluster whose mean is nearest');

-- The demo airline: half of each kind of customers is the seed.
\o /dev/null
SELECT * FROM iaros.demo_generate(3000, 42, '2026-07-01Z');
SELECT iaros.segment_refresh('2026-07-01Z');
\o
CREATE TEMP TABLE truth AS
SELECT t.customer_id, t.persona, hashint8extended(t.customer_id, 7) % 2 = 0 AS known
FROM iaros.demo_truth t JOIN iaros.profile p USING (customer_id)
WHERE t.duplicate_of IS NULL AND p.booking_count > 0;
CREATE TEMP TABLE persona AS SELECT x.persona, iaros.segment_create('like ' || x.persona) AS id, x.ids, x.hidden
FROM (SELECT t.persona, array_agg(t.customer_id) FILTER (WHERE t.known) AS ids, count(*) FILTER (WHERE NOT t.known)::integer AS hidden
      FROM truth t WHERE t.persona IN ('business', 'family', 'last_minute', 'premium') GROUP BY 1) x;
SELECT is((SELECT sum(iaros.segment_member_add(p.id::text, p.ids)) FROM persona p), (SELECT sum(cardinality(ids)) FROM persona)::numeric, 'seeds are made');
CREATE TEMP TABLE guessed AS SELECT p.persona, p.hidden, l.customer_id, l.similarity, l.reasons, t.persona AS real, t.known
FROM persona p CROSS JOIN LATERAL iaros.segment_lookalike(p.id::text, p.hidden, '2026-07-01Z') l LEFT JOIN truth t ON t.customer_id = l.customer_id;
SELECT diag(format('demo, %s: %s of %s hidden ones among as many, %s; by chance %s', g.persona, count(*) FILTER (WHERE g.real = g.persona), g.hidden,
    round(avg((coalesce(g.real, '') = g.persona)::integer), 3), (SELECT round(avg((t.persona = g.persona)::integer), 3) FROM truth t WHERE NOT t.known))) FROM guessed g GROUP BY g.persona, g.hidden ORDER BY g.persona;
SELECT is_empty('SELECT FROM guessed WHERE known AND real = persona', 'nobody of the segment is returned');
SELECT is_empty('SELECT FROM guessed g JOIN iaros.customer_alias a USING (customer_id)', 'no alias is returned');
SELECT cmp_ok((SELECT min(share) FROM (SELECT avg((coalesce(real, '') = persona)::integer) AS share FROM guessed GROUP BY persona) x), '>=', 0.65,
    'at least two of three hidden customers of each kind are found');
SELECT is((SELECT count(*) FROM iaros.segment_lookalike((SELECT id FROM persona WHERE persona = 'family')::text, 10, '2026-07-01Z', fields => '{booking.partySize,customer.country}') l
    WHERE l.reasons <@ '{booking.partySize,customer.country}'), 10::bigint, 'fields can be chosen');

-- A dynamic segment: what its rule asks for is not looked at.
SELECT ok((SELECT count(*) = 20 AND NOT bool_or('customer.annualSpend' = ANY (l.reasons)) FROM iaros.segment_lookalike('High-Value Customers', 20, '2026-07-01Z') l),
    'what the rule names is no reason');

-- Segments of clusters.
CREATE TEMP TABLE made AS SELECT * FROM iaros.segment_from_cluster('Habit', '{booking.frequency,booking.partySize,booking.premiumShare}', 3, as_of => '2026-07-01Z', min_confidence => 0.6, segment => 'Repeat Customers');
SELECT results_eq('SELECT m.segment_name, m.customers FROM made m ORDER BY m.cluster',
    $$SELECT 'Habit ' || c.cluster, count(*) FILTER (WHERE c.confidence >= 0.6) FROM iaros.segment_cluster('{booking.frequency,booking.partySize,booking.premiumShare}', 3, as_of => '2026-07-01Z', segment => 'Repeat Customers') c
      GROUP BY c.cluster ORDER BY c.cluster$$, 'a segment of each cluster, with those who are confident');
SELECT results_eq('SELECT m.cluster, c.customer_id FROM made m, LATERAL iaros.segment_customers(m.segment_id::text) c ORDER BY 2',
    $$SELECT c.cluster, c.customer_id FROM iaros.segment_cluster('{booking.frequency,booking.partySize,booking.premiumShare}', 3, as_of => '2026-07-01Z', segment => 'Repeat Customers') c
      WHERE c.confidence >= 0.6 ORDER BY 2$$, 'and with the right ones');
SELECT results_eq($$SELECT m.cluster, s.confidence FROM (SELECT DISTINCT ON (m.cluster) m.cluster, m.segment_id, c.customer_id
        FROM made m, LATERAL iaros.segment_customers(m.segment_id::text) c ORDER BY m.cluster, c.customer_id) m,
        LATERAL iaros.customer_segments(m.customer_id, '2026-07-01Z') s WHERE s.segment_id = m.segment_id ORDER BY 1$$,
    $$SELECT DISTINCT ON (c.cluster) c.cluster, c.confidence FROM iaros.segment_cluster('{booking.frequency,booking.partySize,booking.premiumShare}', 3, as_of => '2026-07-01Z', segment => 'Repeat Customers') c
      WHERE c.confidence >= 0.6 ORDER BY c.cluster, c.customer_id$$, 'the confidence of each is kept');
SELECT * FROM finish();
ROLLBACK;
