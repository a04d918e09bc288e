-- promo_validate: carts with 3 codes against 10,000 live promotions, beside
-- a query over plain tables that knows routes, fare classes, channels and
-- windows, and that one promotion is given: the best. Each cart is of a
-- customer, and half of the promotions have limits, which the query leaves out.
-- In microseconds: median and 95 % of single calls. Then what one cart could
-- get of all 10,000, and a million coupons.
SELECT setseed(0.3) \g /dev/null
SET search_path TO iaros, public;
SET client_min_messages TO warning;
SELECT setting_set('promo_max_promotions', '1') \g /dev/null

-- Routes between 60 airports, most of them of one promotion in two hundred.
CREATE TEMP TABLE bench_airport AS
SELECT row_number() OVER (ORDER BY md5(airport)) AS n, airport FROM airport ORDER BY 1 LIMIT 60;
CREATE FUNCTION pg_temp.pair() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(airport, '-' ORDER BY airport) FROM (SELECT airport FROM bench_airport ORDER BY random() LIMIT 2) AS a $$;
CREATE TEMP TABLE bench_promo AS
SELECT i, 'LIVE' || i AS code, i % 3 = 0 AS automatic, 5 + i % 20 AS percent,
    ARRAY(SELECT pg_temp.pair() FROM generate_series(1, 1 + i % 3)) AS routes,
    CASE WHEN i % 4 > 0 THEN (ARRAY['{Y,B}', '{Y,M,K}', '{J,C}'])[i % 4]::text[] END AS classes,
    CASE WHEN i % 5 = 0 THEN '{web,mobile}'::text[] END AS channels,
    tstzrange(now() - interval '1 day' * (i % 50 + 1), now() + interval '1 day' * (i % 70 + 1)) AS valid
FROM generate_series(1, 10000) AS i;
INSERT INTO promo (code, name, applied, discount, routes, fare_classes, channels, valid)
SELECT code::promo_code, code, CASE WHEN automatic THEN 'automatic' ELSE 'code' END,
    jsonb_build_object('kind', 'percentage', 'value', percent), routes, classes, channels, valid
FROM bench_promo;
INSERT INTO promo_limit (promo_id, scope, maximum)
SELECT p.promo_id, s.scope::promo_limit_scope, s.maximum FROM promo p, (VALUES ('total', 10000), ('customer', 2)) AS s(scope, maximum)
WHERE p.name LIKE 'LIVE%' AND p.promo_id % 2 = 0;
INSERT INTO customer (customer_id, kind, source) SELECT g, 'known', 'manual' FROM generate_series(1, 1000) AS g;
CREATE INDEX ON bench_promo (code);
CREATE INDEX ON bench_promo USING gin (routes) WHERE automatic;
CREATE TEMP TABLE bench_line AS
SELECT c AS cart, l AS line, pg_temp.pair() AS route, (ARRAY['Y', 'B', 'M', 'J', 'W'])[1 + (c + l) % 5] AS class, (100 * (1 + (c * l) % 7))::numeric AS price
FROM generate_series(1, 1000) AS c, generate_series(1, 4) AS l;
-- The fare there and back is one code's; the two other codes are anybody's.
CREATE TEMP TABLE bench_cart AS
SELECT c.cart, c.codes, (ARRAY['web', 'mobile', 'call_center'])[1 + c.cart % 3] AS channel, NULL::jsonb AS question
FROM (SELECT g AS cart, ARRAY[(SELECT p.code FROM bench_promo p, bench_line l WHERE l.cart = g AND NOT p.automatic AND l.route = ANY (p.routes) LIMIT 1),
        'LIVE' || (1 + g * 3 % 9999), 'LIVE' || (2 + g * 3 % 9997)] AS codes FROM generate_series(1, 1000) AS g) AS c;
UPDATE bench_cart SET codes = array_remove(codes, NULL);
UPDATE bench_cart c SET question = jsonb_build_object('customer', c.cart, 'currency', 'USD', 'channel', channel, 'lines', (
    SELECT jsonb_agg(jsonb_build_object('id', line, 'price', price, 'kind', 'fare', 'attributes', jsonb_build_object(
        'route', route, 'departure', current_date + 30, 'fare_class', class)) ORDER BY line) FROM bench_line l WHERE l.cart = c.cart));
CREATE INDEX ON bench_line (cart);
ANALYZE promo, promo_limit, customer, bench_promo, bench_line, bench_cart;

CREATE FUNCTION pg_temp.plain(cart bigint, codes text[], channel text) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(max(d.discount), 0) FROM (
        SELECT sum(l.price * p.percent / 100) AS discount
        FROM (SELECT * FROM bench_promo b WHERE b.code = ANY (plain.codes) AND NOT b.automatic
              UNION ALL
              SELECT * FROM bench_promo b WHERE b.automatic AND b.routes && ARRAY(SELECT x.route FROM bench_line x WHERE x.cart = plain.cart)) AS p
        JOIN bench_line l ON l.cart = plain.cart AND l.route = ANY (p.routes) AND (p.classes IS NULL OR l.class = ANY (p.classes))
        WHERE p.valid @> now() AND (p.channels IS NULL OR plain.channel = ANY (p.channels))
        GROUP BY p.i) AS d);
END $$;
SELECT pg_temp.bench('promo_validate, best of 10,000',
    'SELECT cart, (promo_validate(question, codes)).discount::numeric(16,2) FROM bench_cart',
    'SELECT cart, pg_temp.plain(cart, codes, channel)::numeric(16,2) AS discount FROM bench_cart', 1000);
CREATE TEMP TABLE bench_time (name text, us float8);
CREATE PROCEDURE pg_temp.each(name text, query text, carts integer DEFAULT 1000) LANGUAGE plpgsql AS $$
DECLARE
    c record;
    start timestamptz;
BEGIN
    FOR c IN SELECT * FROM bench_cart b WHERE b.cart <= carts LOOP
        start := clock_timestamp();
        EXECUTE query USING c.question, c.codes, c.cart, c.channel;
        INSERT INTO bench_time VALUES (name, extract(epoch FROM clock_timestamp() - start) * 1e6);
    END LOOP;
END $$;
CALL pg_temp.each('promo_validate, one promotion', 'SELECT iaros.promo_validate($1, $2)');
CALL pg_temp.each('plain tables, one promotion', 'SELECT pg_temp.plain($3, $2, $4)');
SELECT setting_set('promo_max_promotions', '10') \g /dev/null
CALL pg_temp.each('promo_validate, best set of up to 10', 'SELECT iaros.promo_validate($1, $2)');
CALL pg_temp.each('promo_qualify, of all 10,000', 'SELECT count(*) FROM iaros.promo_qualify($1)', 20);
SELECT format('%s: median %s us, 95%% %s us, worst %s us', name, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY us)),
    round(percentile_cont(0.95) WITHIN GROUP (ORDER BY us)), round(max(us)))
FROM bench_time GROUP BY name ORDER BY name;

SELECT promo_create('BENCHISSUE', 'Coupons', '{"applied": "coupon", "discount": {"kind": "percentage", "value": 10}}') \g /dev/null
\set rule '{"length": 12, "includeChecksum": true}'
CREATE TEMP TABLE bench_issue AS SELECT clock_timestamp() AS start;
SELECT promo_issue('BENCHISSUE', :'rule', 1000000) \g /dev/null
SELECT format('promo_issue, 1,000,000 coupons: %s s', round(extract(epoch FROM clock_timestamp() - start), 2)) FROM bench_issue;
