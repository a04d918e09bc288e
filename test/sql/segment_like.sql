-- segment: lookalikes and clusters over any source.
CREATE TEMP TABLE person AS
SELECT i AS customer_id, i <= 20 AS seed,
    CASE WHEN i <= 20 OR i BETWEEN 101 AND 110 THEN 50 + i % 5 ELSE i % 10 END AS trips,
    CASE WHEN i % 7 = 0 THEN NULL ELSE (i * 37 % 100)::numeric END AS age,
    CASE WHEN i <= 20 OR i BETWEEN 101 AND 115 THEN 'business' ELSE 'economy' END AS cabin
FROM generate_series(1, 400) AS i;
-- The ten who travel as the seed does, then who only sits as it does.
SELECT customer_id BETWEEN 101 AND 110 AS alike, count(*), min(round(similarity::numeric, 2)) > 0.5 AS near, array_agg(DISTINCT reasons[1] ORDER BY reasons[1]) AS reasons
FROM iaros.segment_similar('TABLE person', 10) GROUP BY 1;
SELECT count(*), bool_and(customer_id BETWEEN 101 AND 115) AS half_alike FROM iaros.segment_similar('TABLE person', 15);
SELECT count(*), count(DISTINCT customer_id), min(similarity) >= 0 AS from_zero FROM iaros.segment_similar('person', 1000);
SELECT count(*) FROM iaros.segment_similar('TABLE person', 0);
-- Rows come in order, and all of them are of the seed.
SELECT similarity = max(similarity) OVER () AS first FROM iaros.segment_similar('person', 3) LIMIT 1;
SELECT count(*) FROM iaros.segment_similar('SELECT * FROM person WHERE seed', 10);
-- Nothing tells the seed from the others: all are as alike as they are.
SELECT count(*), min(round(similarity::numeric, 6)), max(round(similarity::numeric, 6)), max(reasons)
FROM iaros.segment_similar('SELECT customer_id, seed, 1 AS one, NULL::text AS none FROM person', 1000);
-- Other names, other types.
SELECT count(*) FROM iaros.segment_similar('SELECT customer_id::integer AS "Id", seed AS "Known", customer_id::real AS a, trips::smallint AS b, seed AS c, current_date + trips::integer AS d,
    now()::timestamp AS e, now() AS f, cabin::char(20) AS g, cabin::varchar AS h, ''infinity''::float8 AS i, ''NaN''::numeric AS j, 1e300::float8 AS k, ''-infinity''::timestamptz AS l FROM person', 5, 'Id', 'Known');
SELECT count(*) FROM iaros.segment_similar(NULL, 5);
-- Errors.
SELECT * FROM iaros.segment_similar('TABLE person', -1);
SELECT * FROM iaros.segment_similar('SELECT * FROM person WHERE NOT seed', 5);
SELECT * FROM iaros.segment_similar('SELECT * FROM person', 5, 'id');
SELECT * FROM iaros.segment_similar('SELECT * FROM person', 5, 'customer_id', 'known');
SELECT * FROM iaros.segment_similar('SELECT * FROM person', 5, 'cabin');
SELECT * FROM iaros.segment_similar('SELECT * FROM person', 5, 'customer_id', 'cabin');
SELECT * FROM iaros.segment_similar('SELECT customer_id, seed, ''{}''::jsonb AS bag FROM person', 5);
SELECT * FROM iaros.segment_similar('SELECT customer_id, seed FROM person', 5);
SELECT * FROM iaros.segment_similar('SELECT NULL::bigint AS customer_id, true AS seed, 1 AS one', 5);
SELECT * FROM iaros.segment_similar('SELECT i % 3 AS customer_id, i = 1 AS seed, 1 AS one FROM generate_series(0, 6) AS i WHERE i <> 2 AND i <> 4', 5);
DO $$
BEGIN
    PERFORM * FROM iaros.segment_similar((SELECT 'SELECT 1 AS customer_id, true AS seed' || string_agg(', 1 AS f' || i, '' ORDER BY i) FROM generate_series(1, 201) AS i), 5);
END $$;
SELECT count(*) FROM iaros.segment_similar((SELECT 'SELECT i AS customer_id, i = 1 AS seed' || string_agg(', i AS f' || i, '' ORDER BY i) || ' FROM generate_series(1, 5) AS i' FROM generate_series(1, 200) AS i), 5);

-- Clusters.
CREATE TEMP TABLE place AS
SELECT i AS customer_id, CASE WHEN i <= 60 THEN 0 WHEN i <= 90 THEN 100 ELSE 200 END + i % 5 AS x,
    CASE WHEN i <= 60 THEN 0 ELSE 10 END + i % 3 AS y
FROM generate_series(1, 100) AS i;
SELECT cluster, count(*), min(customer_id), max(customer_id), round(max(distance)::numeric, 2) AS farthest, round(min(confidence)::numeric, 2) AS least
FROM iaros.segment_kmeans('place', 3) GROUP BY 1 ORDER BY 1;
SELECT cluster, count(*) FROM iaros.segment_kmeans('place', 1) GROUP BY 1;
-- No more clusters than different rows; what is not known is the mean.
SELECT cluster, count(*), max(distance), min(confidence) FROM iaros.segment_kmeans('SELECT i AS customer_id, i % 2 = 0 AS even, NULL::date AS never FROM generate_series(1, 9) AS i', 5) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM iaros.segment_kmeans('SELECT * FROM place WHERE false', 3);
SELECT customer_id, cluster, distance, confidence FROM iaros.segment_kmeans('SELECT 5 AS customer_id, 1 AS one', 2);
SELECT count(*) FROM iaros.segment_kmeans('place', NULL);
SELECT * FROM iaros.segment_kmeans('place', 0);
SELECT * FROM iaros.segment_kmeans('place', 257);
SELECT * FROM iaros.segment_kmeans('SELECT customer_id, ''a'' AS name FROM place', 2);
SELECT * FROM iaros.segment_kmeans('DELETE FROM place', 2);
SELECT count(DISTINCT cluster) <= 256 FROM iaros.segment_kmeans('SELECT i AS customer_id, sqrt(i) AS root FROM generate_series(1, 1000) AS i', 256);

-- Of customers.
\set SHOW_CONTEXT never
SELECT iaros.segment_lookalike('Champions', 5);
SELECT iaros.segment_lookalike('Champion', 5);
SELECT * FROM iaros.segment_cluster('{booking.count,booking.frequancy}', 2);
SELECT * FROM iaros.segment_cluster('{booking.count,booking.Route}', 2);
SELECT * FROM iaros.segment_cluster('{}', 2);
SELECT split_part(iaros.segment_like_source('{BOOKING.count,booking.daysSinceLast,booking.lastBookedAt,customer.region}', '{}', '2026-07-01Z', true), '(', 1);
