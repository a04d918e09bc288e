-- Properties of the best set: it is what trying every set finds, adds up, and
-- depends on nothing but the set. The same on every run.
BEGIN;
SELECT plan(17);
SELECT setseed(0.25);
SET LOCAL client_min_messages TO error;
SET LOCAL search_path TO iaros, public;
\ir promo_stack_random.inc

CREATE TEMP TABLE sample AS
SELECT i, pg_temp.promotions(1 + i % 6, (ARRAY[0, 0.1, 0.3])[1 + i % 3]) AS promotions, pg_temp.cart(1 + pg_temp.pick(5)) AS cart, pg_temp.policy() AS policy
FROM generate_series(1, 1200) AS i
UNION ALL
SELECT i, pg_temp.promotions(8 + i % 4, 0.2), pg_temp.cart(1 + pg_temp.pick(5)), pg_temp.policy() - 'max_promotions'
FROM generate_series(1201, 1300) AS i
UNION ALL
-- Each on one or two of four lines, where discounts on units meet.
SELECT i, (SELECT jsonb_agg(p || jsonb_build_object('applies_to', jsonb_build_object('id', jsonb_build_array((1 + pg_temp.pick(4))::text, (1 + pg_temp.pick(4))::text))))
           FROM jsonb_array_elements(pg_temp.promotions(7 + i % 3, 0.1)) AS p WHERE i > 0), pg_temp.cart(4), pg_temp.policy() - 'max_promotions'
FROM generate_series(1301, 1360) AS i;
CREATE TEMP TABLE found AS
SELECT s.i, o.objective, promo_best_set(s.promotions, s.cart, o.objective, s.policy) AS r
FROM sample s CROSS JOIN unnest('{customer,margin,priority}'::text[]) AS o(objective);

-- Every set --------------------------------------------------------------

-- The sets of promotions of a sample that are allowed, as the bits of their
-- places in the order of application, with what each gives.
CREATE TEMP TABLE every (i int, mask int, flags boolean[], benefit numeric, idle int);
CREATE TEMP TABLE placed (i int, bit int, id bigint, priority int, promotion jsonb);
DO $$
DECLARE
    s record;
    n int;
    chosen jsonb;
    r jsonb;
BEGIN
    FOR s IN SELECT * FROM sample LOOP
        n := 0;
        FOR chosen IN
            SELECT p FROM jsonb_array_elements(s.promotions) AS p
            ORDER BY coalesce(p ->> 'level', CASE WHEN p -> 'discount' ->> 'kind' ~ 'per_unit|get|est|free' THEN 'item' ELSE 'order' END),
                (SELECT min(coalesce((c ->> 'rank')::int, 0)) FROM jsonb_array_elements(s.policy -> 'categories') AS c WHERE p -> 'categories' ? (c ->> 'name')) NULLS LAST,
                (p ->> 'priority')::int, (p ->> 'id')::int
        LOOP
            BEGIN
                PERFORM promo_price(jsonb_build_array(chosen), s.cart, s.policy - 'max_promotions');
                INSERT INTO placed VALUES (s.i, n, (chosen ->> 'id')::bigint, (chosen ->> 'priority')::int, chosen);
                n := n + 1;
            EXCEPTION WHEN invalid_parameter_value THEN
                -- The cart does not qualify for it.
            END;
        END LOOP;
        FOR m IN 0 .. (1 << n) - 1 LOOP
            chosen := coalesce((SELECT jsonb_agg(promotion ORDER BY random()) FROM placed p WHERE p.i = s.i AND m & (1 << bit) <> 0), '[]');
            BEGIN
                r := promo_price(chosen, s.cart, s.policy);
                INSERT INTO every
                SELECT s.i, m, ARRAY(SELECT m & (1 << b) <> 0 FROM generate_series(0, n - 1) AS b ORDER BY b),
                    (r ->> 'discount')::numeric + coalesce(sum(round(coalesce((q ->> 'points')::numeric, 0) * coalesce((s.policy ->> 'point_value')::numeric, 0), 2)), 0),
                    coalesce(sum(1 << p.bit) FILTER (WHERE (q ->> 'discount')::numeric = 0 AND coalesce((q ->> 'points')::numeric, 0) = 0), 0)
                FROM jsonb_array_elements(r -> 'promotions') AS q
                JOIN placed p ON p.i = s.i AND p.id = (q ->> 'id')::bigint;
            EXCEPTION WHEN invalid_parameter_value THEN
                -- The set is not allowed.
            END;
        END LOOP;
    END LOOP;
END $$;
CREATE INDEX ON every (i, mask);
ANALYZE every;

CREATE TEMP TABLE expected AS
SELECT i, 'customer' AS objective, mask, benefit, row_number() OVER (PARTITION BY i ORDER BY benefit DESC, flags DESC) AS n
FROM every WHERE idle = 0
UNION ALL
SELECT i, 'margin', mask, benefit, row_number() OVER (PARTITION BY i ORDER BY benefit, flags DESC)
FROM every e WHERE idle = 0
AND NOT EXISTS (SELECT FROM every f JOIN placed p USING (i)
                WHERE f.i = e.i AND e.mask & (1 << p.bit) = 0 AND f.mask = e.mask | (1 << p.bit) AND f.idle & (1 << p.bit) = 0);
DO $$
DECLARE
    s record;
    p record;
    m int;
BEGIN
    FOR s IN SELECT i FROM sample LOOP
        m := 0;
        FOR p IN SELECT d.bit FROM placed d
                 JOIN sample t USING (i)
                 CROSS JOIN LATERAL (SELECT promo_price(jsonb_build_array(d.promotion), t.cart, t.policy - 'max_promotions') AS r) q
                 WHERE d.i = s.i
                 ORDER BY d.priority, (r ->> 'discount')::numeric + (r ->> 'points_worth')::numeric DESC, d.id LOOP
            m := coalesce((SELECT e.mask FROM every e WHERE e.i = s.i AND e.mask = m | (1 << p.bit) AND e.idle = 0), m);
        END LOOP;
        INSERT INTO expected SELECT s.i, 'priority', m, benefit, 1 FROM every e WHERE e.i = s.i AND e.mask = m;
    END LOOP;
END $$;

CREATE TEMP TABLE actual AS
SELECT f.i, f.objective, coalesce((SELECT sum(1 << p.bit) FROM jsonb_array_elements(f.r -> 'promotions') AS q JOIN placed p ON p.i = f.i AND p.id = (q ->> 'id')::bigint), 0) AS mask,
    (f.r ->> 'discount')::numeric + (f.r ->> 'points_worth')::numeric AS benefit, (f.r ->> 'second_best')::numeric AS second, f.r
FROM found f;

SELECT cmp_ok((SELECT count(*) FROM every), '>', 8000::bigint, 'many sets were tried');
SELECT cmp_ok((SELECT count(DISTINCT mask) FROM actual), '>', 30::bigint, 'sets of many kinds win');
SELECT is_empty($$SELECT i, a.objective, a.mask, e.mask, a.benefit, e.benefit FROM actual a FULL JOIN (SELECT * FROM expected WHERE n = 1) e USING (i, objective)
    WHERE (a.mask, a.benefit) IS DISTINCT FROM (e.mask, e.benefit)$$, 'each objective finds the set that trying all of them finds');
SELECT is_empty($$SELECT i, a.objective, a.second, e.benefit FROM actual a LEFT JOIN (SELECT * FROM expected WHERE n = 2) e USING (i, objective)
    WHERE a.second IS DISTINCT FROM e.benefit$$, 'and the second best');
SELECT is_empty($$SELECT a.i, a.objective, l ->> 'id', w FROM actual a
    CROSS JOIN LATERAL jsonb_array_elements(a.r -> 'left_out') AS l
    CROSS JOIN LATERAL jsonb_array_elements(l -> 'reasons') AS w
    JOIN placed p ON p.i = a.i AND p.id = (l ->> 'id')::bigint
    LEFT JOIN every e ON e.i = a.i AND e.mask = 1 << p.bit | a.mask & ~(SELECT coalesce(bit_or(1 << o.bit), 0) FROM placed o WHERE o.i = a.i AND w -> 'without' @> to_jsonb(o.id))
    WHERE w ->> 'reason' = 'not_best' AND (w ->> 'with_it')::numeric IS DISTINCT FROM e.benefit$$,
    'not_best says what the set with the promotion gives');
SELECT is_empty($$SELECT i, objective, r -> 'left_out' FROM actual a CROSS JOIN LATERAL jsonb_array_elements(a.r -> 'left_out') AS l WHERE l -> 'reasons' = '[]'$$,
    'every promotion that is left out has a reason');
SELECT is_empty($$SELECT i, objective FROM actual a JOIN sample s USING (i)
    WHERE jsonb_array_length(a.r -> 'left_out') + jsonb_array_length(a.r -> 'promotions') <> jsonb_array_length(s.promotions)$$,
    'every promotion is either chosen or left out');

-- A cent that rounding decides, before a price that is not reached.
SELECT is(jsonb_path_query_array(promo_best_set('[
    {"id": 2, "except": {"product": "c"}, "priority": 1, "base": "initial", "discount": {"kind": "fixed_price", "value": 52}},
    {"id": 4, "priority": 0, "discount": {"kind": "free", "cap": 30}},
    {"id": 5, "priority": 1, "base": "initial", "applies_to": {"product": ["a", "b"]}, "discount": {"kind": "free", "cap": 20}},
    {"id": 6, "priority": 3, "base": "initial", "discount": {"kind": "fixed_price", "value": 246}},
    {"id": 9, "priority": 2, "base": "initial", "discount": {"kind": "percentage", "value": 10}},
    {"id": 10, "priority": 1, "level": "item", "base": "initial", "applies_to": {"product": ["a", "b"]}, "discount": {"kind": "percentage", "value": 7.5}},
    {"id": 11, "priority": 2, "discount": {"kind": "cheapest", "units": 2, "percentage": 50}},
    {"id": 12, "priority": 3, "level": "item", "discount": {"kind": "points", "points": 2, "per": 10}}]', '{"currency": "EUR", "lines": [
    {"id": 1, "product": "a", "price": 0.01}, {"id": 2, "product": "a", "price": 178.92},
    {"id": 3, "product": "b", "price": 41.65, "quantity": 3}, {"id": 4, "product": "d", "price": 39.79, "quantity": 3}]}',
    'customer', '{"point_value": 0.0005}'), '$.promotions[*].id'), '[4, 5, 10, 12, 2, 9]'::jsonb, 'a cent of rounding is not lost');

-- Sums -------------------------------------------------------------------

SELECT is_empty($$SELECT a.i, a.objective FROM actual a,
    LATERAL (SELECT coalesce(sum((p ->> 'discount')::numeric), 0) AS discount FROM jsonb_array_elements(a.r -> 'promotions') AS p) d,
    LATERAL (SELECT coalesce(sum((l ->> 'discount')::numeric), 0) AS discount, sum((l ->> 'to_pay')::numeric) AS to_pay, min((l ->> 'to_pay')::numeric) AS least, min((l ->> 'discount')::numeric) AS taken FROM jsonb_array_elements(a.r -> 'lines') AS l) l
    WHERE d.discount <> (a.r ->> 'discount')::numeric OR l.discount <> d.discount OR l.to_pay <> (a.r ->> 'to_pay')::numeric OR l.least < 0 OR l.taken < 0
       OR (a.r ->> 'amount')::numeric - d.discount <> l.to_pay$$,
    'lines and promotions sum to the totals, and nothing is below zero');
SELECT is_empty($$SELECT a.i, a.objective FROM actual a CROSS JOIN LATERAL jsonb_array_elements(a.r -> 'promotions') AS p
    WHERE (p ->> 'discount')::numeric <> (SELECT coalesce(sum((l ->> 'discount')::numeric), 0) FROM jsonb_array_elements(p -> 'lines') AS l)$$,
    'the lines of a promotion sum to it');
SELECT is_empty($$SELECT a.i, l ->> 'id' FROM actual a CROSS JOIN LATERAL jsonb_array_elements(a.r -> 'lines') AS l
    WHERE (l ->> 'discount')::numeric <> (SELECT coalesce(sum((q ->> 'discount')::numeric), 0)
        FROM jsonb_array_elements(a.r -> 'promotions') AS p CROSS JOIN jsonb_array_elements(p -> 'lines') AS q WHERE q -> 'id' = l -> 'id')$$,
    'what promotions take off a line sums to its discount');
SELECT is_empty($$SELECT a.i FROM actual a JOIN sample s USING (i)
    WHERE (a.r ->> 'discount')::numeric > (s.policy ->> 'total_cap')::numeric
       OR (a.r ->> 'discount')::numeric > round((a.r ->> 'amount')::numeric * (s.policy ->> 'total_cap_percentage')::numeric / 100, 2)
       OR jsonb_array_length(a.r -> 'promotions') > (s.policy ->> 'max_promotions')::int$$,
    'no limit of the policy is passed');

-- What the result depends on ---------------------------------------------

SELECT is_empty($$SELECT a.i, a.objective FROM actual a JOIN sample s USING (i)
    WHERE a.r <> promo_best_set((SELECT jsonb_agg(p ORDER BY (p ->> 'id')::int * 7 % 11, p) FROM jsonb_array_elements(s.promotions) AS p), s.cart, a.objective, s.policy)$$,
    'the order of promotions does not matter');
SELECT is_empty($$SELECT a.i FROM actual a JOIN sample s USING (i) CROSS JOIN LATERAL jsonb_array_elements(s.promotions) WITH ORDINALITY AS p(value, n)
    CROSS JOIN LATERAL promo_best_set(s.promotions - (n - 1)::int, s.cart, 'customer', s.policy) AS less
    WHERE a.objective = 'customer' AND (less ->> 'discount')::numeric + (less ->> 'points_worth')::numeric > a.benefit$$,
    'a promotion more never lowers what the customer gets');
SELECT is_empty($$SELECT i FROM sample s
    CROSS JOIN LATERAL jsonb_array_elements(promotions) AS p CROSS JOIN LATERAL jsonb_array_elements(promotions) AS q
    WHERE p <> q AND promo_stackable(p, q, policy - 'max_promotions') = EXISTS (SELECT FROM promo_conflicts(promotions, policy) c
        WHERE least((p ->> 'id')::int, (q ->> 'id')::int) = c.promotion AND greatest((p ->> 'id')::int, (q ->> 'id')::int) = c.other)$$,
    'promo_conflicts lists the pairs that promo_stackable refuses');

-- Prices, worked out another way ------------------------------------------

-- Takes promotions off lines one after the other, in numeric.
CREATE FUNCTION pg_temp.reference(promotions jsonb, cart jsonb) RETURNS numeric[] LANGUAGE plpgsql AS $$
DECLARE
    amounts numeric[] := ARRAY(SELECT (l ->> 'price')::numeric * (l ->> 'quantity')::int FROM jsonb_array_elements(cart -> 'lines') WITH ORDINALITY AS u(l, n) ORDER BY n);
    payable numeric[] := amounts;
    weights numeric[];
    p jsonb;
    value numeric;
    total numeric;
    exact numeric[];
BEGIN
    FOR p IN SELECT q FROM jsonb_array_elements(promotions) AS q ORDER BY q ->> 'level', (q ->> 'priority')::int, (q ->> 'id')::int LOOP
        value := (p -> 'discount' ->> 'value')::numeric;
        weights := ARRAY(SELECT CASE
            WHEN NOT coalesce(l -> 'kind' <@ (p -> 'applies_to' -> 'kind'), true) THEN 0
            WHEN p ->> 'level' = 'order' THEN payable[n]
            ELSE CASE p -> 'discount' ->> 'kind'
                WHEN 'percentage' THEN CASE p ->> 'base' WHEN 'initial' THEN least(payable[n], amounts[n] * value / 100) ELSE payable[n] * value / 100 END
                WHEN 'fixed_amount' THEN least(payable[n], value)
                WHEN 'fixed_price' THEN greatest(payable[n] - value * (l ->> 'quantity')::int, 0)
                ELSE least(payable[n], value * (l ->> 'quantity')::int) END END
            FROM jsonb_array_elements(cart -> 'lines') WITH ORDINALITY AS u(l, n) ORDER BY n);
        total := (SELECT sum(w) FROM unnest(weights) AS w);
        IF p ->> 'level' = 'order' THEN
            total := CASE p -> 'discount' ->> 'kind'
                WHEN 'percentage' THEN least(total, CASE p ->> 'base' WHEN 'initial' THEN (SELECT sum(amount) FROM unnest(amounts, weights) WITH ORDINALITY AS u(amount, w, n)
                    WHERE coalesce(cart -> 'lines' -> (n - 1)::int -> 'kind' <@ (p -> 'applies_to' -> 'kind'), true)) ELSE total END * value / 100)
                WHEN 'fixed_amount' THEN least(total, value) ELSE greatest(total - value, 0) END;
        END IF;
        total := least(round(total, 2), coalesce((p -> 'discount' ->> 'cap')::numeric, total + 1));
        CONTINUE WHEN total = 0;
        exact := ARRAY(SELECT total * w / (SELECT sum(x) FROM unnest(weights) AS x) FROM unnest(weights) WITH ORDINALITY AS u(w, n) ORDER BY n);
        payable := ARRAY(
            SELECT payable[n] - least(trunc(e, 2), payable[n]) - CASE WHEN row_number() OVER (ORDER BY payable[n] - trunc(e, 2) <= 0 OR weights[n] = 0, round(e - trunc(e, 2), 12) DESC, n)
                <= 100 * (total - (SELECT sum(least(trunc(f, 2), payable[m])) FROM unnest(exact) WITH ORDINALITY AS v(f, m))) THEN 0.01 ELSE 0 END
            FROM unnest(exact) WITH ORDINALITY AS u(e, n) ORDER BY n);
    END LOOP;
    RETURN payable;
END $$;

CREATE TEMP TABLE priced AS
SELECT i, pg_temp.cart(1 + i % 5) AS cart, (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', j, 'priority', pg_temp.pick(3), 'level', level, 'base', pg_temp.one('{initial,discounted}'::text[]),
    'applies_to', pg_temp.one(ARRAY[NULL, '{"kind": ["fare"]}', '{"kind": ["fare", "ancillary"]}']::jsonb[]),
    'discount', jsonb_build_object('kind', kind, 'value', CASE kind WHEN 'percentage' THEN round((1 + random() * 60)::numeric, 2) ELSE round((0.01 + random() * 60)::numeric, 2) END, 'cap', CASE pg_temp.pick(3) WHEN 0 THEN 1 + pg_temp.pick(20) END))))
    FROM (SELECT j, k[1] AS kind, k[2] AS level FROM generate_series(1, 1 + i % 4) AS j
          CROSS JOIN LATERAL (SELECT string_to_array(pg_temp.one('{percentage item,percentage order,fixed_amount item,fixed_amount order,fixed_price item,fixed_price order,per_unit item}'::text[]), ' ') AS k WHERE j > 0) q) AS r) AS promotions
FROM generate_series(1, 2000) AS i;
SELECT is_empty($$SELECT i, cart, promotions, r.payable, b FROM (SELECT p.*, promo_best_set(promotions, cart) AS b FROM priced p) p
    CROSS JOIN LATERAL (SELECT pg_temp.reference(coalesce((SELECT jsonb_agg(q) FROM jsonb_array_elements(promotions) AS q WHERE b @> jsonb_build_object('promotions', jsonb_build_array(jsonb_build_object('id', q -> 'id')))), '[]'), cart) AS payable) r
    WHERE r.payable <> ARRAY(SELECT (l ->> 'to_pay')::numeric FROM jsonb_array_elements(b -> 'lines') WITH ORDINALITY AS u(l, n) ORDER BY n)$$,
    'lines are priced as by hand, to the cent');
SELECT is((SELECT count(*) FROM priced WHERE jsonb_array_length(promotions) > 0), 2000::bigint, 'of many promotions');
SELECT * FROM finish();
ROLLBACK;
