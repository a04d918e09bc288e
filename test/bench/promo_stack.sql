-- promo_best_set: what a check-out asks, over a table of carts; beside trying
-- every set with promo_price; and sets that are hard to find, in microseconds:
-- median, 98th percentile, worst of some, and how many gave up (54000).
\ir ../pgtap/promo_stack_random.inc
SELECT setseed(0.1) \g /dev/null
SET search_path TO iaros, public;

CREATE TEMP TABLE bench_cart AS
SELECT i, jsonb_build_object('currency', 'EUR', 'lines', (
    SELECT jsonb_agg(jsonb_build_object('id', j::text, 'product', (ARRAY['JFK-LHR', 'LHR-JFK', 'seat', 'bag', 'meal'])[j], 'kind', CASE WHEN j < 3 THEN 'fare' ELSE 'ancillary' END,
        'quantity', 1 + (i + j) % 3, 'price', round((20 + (i * j * 37) % 200)::numeric * 1.01, 2))) FROM generate_series(1, 5) AS j)) AS cart
FROM generate_series(1, :rows / 10) AS i;
ANALYZE bench_cart;
\set five '[{"id": 1, "code": "SUMMER20", "priority": 1, "discount": {"kind": "percentage", "value": 20, "cap": 50}}, {"id": 2, "code": "LOYALTY10", "priority": 2, "discount": {"kind": "percentage", "value": 10}}, {"id": 3, "code": "BAG", "applies_to": {"product": "bag"}, "discount": {"kind": "free"}}, {"id": 4, "code": "PAIR", "applies_to": {"kind": "ancillary"}, "discount": {"kind": "cheapest", "percentage": 50}}, {"id": 5, "code": "FIXED", "discount": {"kind": "fixed_amount", "value": 60}}]'
SELECT pg_temp.bench('promo_best_set 5x5, every set',
    format($$SELECT i, (promo_best_set(%L, cart) ->> 'discount')::numeric AS discount FROM bench_cart$$, :'five'),
    format($$SELECT i, max((promo_price(s.promotions, cart) ->> 'discount')::numeric) AS discount
        FROM bench_cart CROSS JOIN (
            SELECT m, coalesce(jsonb_agg(p ORDER BY n) FILTER (WHERE m & (1 << n::int - 1) <> 0), '[]') AS promotions
            FROM generate_series(0, 31) AS m CROSS JOIN jsonb_array_elements(%L::jsonb) WITH ORDINALITY AS e(p, n) GROUP BY m) s
        GROUP BY i$$, :'five'),
    (SELECT count(*) FROM bench_cart));

CREATE TEMP TABLE bench_hard AS
SELECT '20 promotions, 5 lines' AS name, i, pg_temp.promotions(20, (ARRAY[0, 0.05, 0.1, 0.2, 0.3, 0.5])[1 + i % 6]) AS promotions, pg_temp.cart(5) AS cart, '{}'::jsonb AS policy
FROM generate_series(1, 1000) AS i;
INSERT INTO bench_hard
SELECT '60 promotions, 20 lines, sparse', i, (
    SELECT jsonb_agg(p || jsonb_build_object('applies_to', jsonb_build_object('id', jsonb_build_array((1 + pg_temp.pick(20))::text, (1 + pg_temp.pick(20))::text))))
    FROM jsonb_array_elements(pg_temp.promotions(60, 0.03)) AS p WHERE i > 0), pg_temp.cart(20), '{}'
FROM generate_series(1, 50) AS i;
INSERT INTO bench_hard SELECT name || ', at most 4', i, promotions, cart, '{"max_promotions": 4}' FROM bench_hard WHERE name ~ '^60';
CREATE TEMP TABLE bench_time (name text, us float8, gave_up boolean);
DO $$
DECLARE
    h record;
    start timestamptz;
    gave_up boolean;
BEGIN
    FOR h IN SELECT * FROM bench_hard LOOP
        gave_up := false;
        start := clock_timestamp();
        BEGIN
            PERFORM iaros.promo_best_set(h.promotions, h.cart, 'customer', h.policy);
        EXCEPTION WHEN program_limit_exceeded THEN
            gave_up := true;
        END;
        INSERT INTO bench_time VALUES (h.name, extract(epoch FROM clock_timestamp() - start) * 1e6, gave_up);
    END LOOP;
END $$;
SELECT format('%s: median %s us, 98%% %s us, worst %s us, gave up %s of %s', name, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY us)),
    round(percentile_cont(0.98) WITHIN GROUP (ORDER BY us)), round(max(us)), count(*) FILTER (WHERE gave_up), count(*))
FROM bench_time GROUP BY name ORDER BY name;
