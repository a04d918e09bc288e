-- Random purchases with random codes and limits are validated, redeemed,
-- reserved, released, timed out and returned: what is promised is what is
-- done, sums add up, and counters are what the ledger says.
BEGIN;
SELECT plan(21);
SELECT setseed(0.375);
SET LOCAL client_min_messages TO warning;
SELECT iaros.setting_set('brand_time_zone', 'America/New_York') \g /dev/null
INSERT INTO iaros.fx_rate (currency, day, rate)
SELECT currency, (now() AT TIME ZONE 'UTC')::date - day, rate + day * rate / 50 FROM (VALUES ('EUR', 1.1), ('JPY', 0.0070)) AS r(currency, rate), generate_series(0, 2) AS day;
\ir promo_stack_random.inc
\ir promo_random.inc
SET LOCAL search_path TO public;

-- Promotions --------------------------------------------------------------

CREATE FUNCTION pg_temp.limits() RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('scope', scope, 'measure', measure, 'period', period,
        'maximum', CASE measure WHEN 'uses' THEN 1 + pg_temp.pick(CASE scope WHEN 'total' THEN 30 ELSE 3 END)
            WHEN 'discount' THEN 30 + pg_temp.pick(300) ELSE 500 + pg_temp.pick(5000) END)), '[]')
    FROM (SELECT DISTINCT pg_temp.one('{total,code,customer,booking}'::text[]) AS scope, pg_temp.one('{uses,uses,discount,revenue}'::text[]) AS measure,
              pg_temp.one('{ever,day,week,month,year}'::text[]) AS period
          FROM generate_series(1, pg_temp.pick(4)) OFFSET 0) q $$;
CREATE TEMP TABLE made AS
SELECT i, iaros.promo_create('LIM' || i || 'X', 'Random',
    pg_temp.definition(0.03) - '{valid,booking_weekdays}'::text[] || CASE WHEN i % 2 = 0 THEN jsonb_build_object('discount', pg_temp.discount(), 'currency', 'USD') ELSE '{}' END
        || jsonb_strip_nulls(jsonb_build_object('limits', pg_temp.limits(),
        'products', CASE WHEN pg_temp.chance(0.2) THEN pg_temp.some('{a,b,c}'::text[], 3) END,
        'except_products', CASE WHEN pg_temp.chance(0.1) THEN '{d}'::text[] END,
        'stackable', CASE WHEN pg_temp.chance(0.1) THEN false END,
        'applied', pg_temp.one('{code,code,code,automatic}'::text[]),
        'excludes', CASE WHEN pg_temp.chance(0.3) THEN ARRAY['LIM' || 1 + pg_temp.pick(60) || 'X'] END))) AS promo_id
FROM generate_series(1, 60) AS i;
SELECT iaros.promo_issue('LIM' || i || 'X', '{"length": 8}', CASE WHEN i % 2 = 0 THEN 4 END,
    CASE WHEN i % 2 = 1 THEN ARRAY[900001, 900002, 900041, 900050] END, max_uses => 1 + i % 3, seed => i)
FROM made JOIN iaros.promo p USING (promo_id) WHERE i <= 12 AND p.applied <> 'automatic' \g /dev/null
-- Of one that became automatic later.
INSERT INTO iaros.promo_coupon (code, promo_id, customer_id)
SELECT ('OLD' || i || 'Y')::iaros.promo_code, promo_id, CASE WHEN i % 2 = 1 THEN 900001 END
FROM made JOIN iaros.promo p USING (promo_id) WHERE i <= 30 AND p.applied = 'automatic' \g /dev/null
CREATE TEMP TABLE code AS
SELECT code::text FROM iaros.promo WHERE code::text LIKE 'LIM%'
UNION ALL SELECT code::text FROM iaros.promo_coupon UNION ALL SELECT unnest('{NOSUCH,***,""}'::text[]);

-- Purchases ---------------------------------------------------------------

CREATE FUNCTION pg_temp.purchase() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    person bigint := 900001 + pg_temp.pick(60);
    currency text := pg_temp.one('{USD,USD,USD,EUR,JPY}'::text[]);
BEGIN
    RETURN jsonb_strip_nulls(jsonb_build_object('customer', person, 'currency', currency,
        'channel', pg_temp.one('{web,mobile,agent}'::text[]), 'party', 1 + pg_temp.pick(3),
        'booking', CASE WHEN pg_temp.chance(0.5) THEN (SELECT min(booking_id) FROM iaros.booking b WHERE b.customer_id = person) END,
        'lines', (SELECT jsonb_agg(jsonb_build_object('id', CASE WHEN n % 2 = 0 THEN to_jsonb(n) ELSE to_jsonb('line ' || n) END,
                'product', pg_temp.one('{a,b,c,d}'::text[]), 'kind', pg_temp.one('{fare,fare,ancillary}'::text[]), 'quantity', 1 + pg_temp.pick(3),
                'price', round((random() * 300)::numeric, CASE currency WHEN 'JPY' THEN 0 ELSE 2 END),
                'attributes', jsonb_build_object('route', pg_temp.one('{JFK-LHR,LAX-JFK,JFK-FRA-JFK,NRT-SYD}'::text[]), 'departure', date '2026-06-15' + pg_temp.pick(90),
                    'fare_class', pg_temp.one('{Y,B,M}'::text[]), 'cabin', pg_temp.one('{economy,business}'::text[]))))
            FROM generate_series(1, 1 + pg_temp.pick(4)) AS n)));
END $$;

CREATE TEMP TABLE ask (i int, cart jsonb, codes text[], key text, partial boolean, at timestamptz, held boolean,
    promised jsonb, done jsonb, is_done boolean, to_pay numeric, stays text);
CREATE TEMP TABLE returned (i int, refund numeric, discount numeric, to_pay numeric, state text, result jsonb);
CREATE TEMP TABLE returns_again (i int);

-- Returns some units of some lines of a purchase, or all that is left of it.
CREATE FUNCTION pg_temp.give_back(a ask, everything boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    left_over jsonb;
    lines jsonb;
    r record;
    again record;
BEGIN
    SELECT cart -> 'lines' INTO left_over FROM iaros.promo_redemption
    WHERE customer_id = (a.cart ->> 'customer')::bigint AND idempotency_key = a.key AND state <> 'released';
    lines := (SELECT jsonb_agg(CASE WHEN (l ->> 'quantity')::int > 1 OR pg_temp.chance(0.5)
            THEN jsonb_build_object('id', l -> 'id', 'quantity', 1 + pg_temp.pick((l ->> 'quantity')::int)) ELSE jsonb_build_object('id', l -> 'id') END)
        FROM (SELECT l FROM jsonb_array_elements(left_over) AS l ORDER BY random() LIMIT 1 + pg_temp.pick(2)) q);
    IF everything THEN
        lines := NULL;
    END IF;
    SELECT * INTO r FROM iaros.promo_rollback((a.cart ->> 'customer')::bigint, a.key, lines, 'return ' || random(), pg_temp.chance(0.1));
    INSERT INTO returned VALUES (a.i, r.refund, r.discount, r.to_pay, r.state, r.result);
    RETURN r.state;
END $$;

-- What happens: a new purchase, or something to one of before.
CREATE PROCEDURE pg_temp.run(n int) LANGUAGE plpgsql AS $$
DECLARE
    a ask;
    v record;
    r record;
BEGIN
    FOR i IN 1 .. n LOOP
        IF i % 5 < 3 THEN
            a := NULL;
            a.i := i;
            a.cart := pg_temp.purchase();
            a.codes := ARRAY(SELECT code FROM code ORDER BY random() LIMIT pg_temp.pick(7));
            a.key := 'purchase ' || i;
            a.partial := pg_temp.chance(0.8);
            a.at := CASE WHEN pg_temp.chance(0.5) THEN now() ELSE now() + interval '4 minutes' - random() * interval '24 hours' END;
            a.held := pg_temp.chance(0.4);
            SELECT * INTO v FROM iaros.promo_validate(a.cart, a.codes, a.at);
            IF a.held THEN
                SELECT x.reserved AS ok, x.* INTO r FROM iaros.promo_reserve(a.cart, a.codes, a.key, '1 hour', a.partial, a.at) x;
            ELSE
                SELECT x.redeemed AS ok, x.* INTO r FROM iaros.promo_redeem(a.cart, a.codes, a.key, a.partial, a.at) x;
            END IF;
            a.promised := jsonb_build_object('ok', v.result -> 'promotions' <> '[]' AND (a.partial OR v.valid),
                'answers', v.answers, 'result', v.result, 'discount', v.discount, 'to_pay', v.to_pay);
            a.done := jsonb_build_object('ok', r.ok, 'answers', r.answers, 'result', r.result, 'discount', r.discount, 'to_pay', r.to_pay);
            a.is_done := r.ok;
            a.to_pay := r.to_pay;
            a.stays := CASE WHEN NOT r.ok THEN 'nothing' WHEN a.held THEN 'reserved' ELSE 'redeemed' END;
            INSERT INTO ask VALUES (a.*);
            CONTINUE;
        END IF;
        SELECT * INTO a FROM ask WHERE stays IN ('reserved', 'redeemed') ORDER BY random() LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        IF a.stays = 'redeemed' THEN
            a.stays := pg_temp.give_back(a, pg_temp.chance(0.2));
        ELSIF pg_temp.chance(0.3) THEN
            PERFORM iaros.promo_release((a.cart ->> 'customer')::bigint, a.key);
            a.stays := 'released';
        ELSIF pg_temp.chance(0.3) THEN
            UPDATE iaros.promo_redemption SET reserved_until = now() - interval '1 second'
            WHERE idempotency_key = a.key AND customer_id = (a.cart ->> 'customer')::bigint;
            PERFORM iaros.promo_expire();
            a.stays := 'released';
        ELSE
            -- Its booking may be known now.
            SELECT * INTO r FROM iaros.promo_redeem(a.cart || jsonb_strip_nulls(jsonb_build_object('booking', coalesce((a.cart ->> 'booking')::bigint,
                (SELECT min(booking_id) FROM iaros.booking b WHERE b.customer_id = (a.cart ->> 'customer')::bigint)))), a.codes, a.key, a.partial);
            a.stays := CASE WHEN r.redeemed THEN 'redeemed' ELSE 'reserved' END;
        END IF;
        UPDATE ask SET stays = a.stays WHERE ask.i = a.i;
    END LOOP;
END $$;
CALL pg_temp.run(1800);

SELECT cmp_ok((SELECT count(*) FROM ask WHERE is_done), '>', 300::bigint, 'many purchases have promotions');
SELECT cmp_ok((SELECT count(*) FROM ask WHERE NOT is_done), '>', 100::bigint, 'and many have none, or not all that was asked for');
SELECT cmp_ok((SELECT count(DISTINCT x ->> 'scope' || (x ->> 'measure')) FROM ask CROSS JOIN LATERAL jsonb_path_query(done, '$.result.left_out[*].reasons[*] ? (@.reason == "limit")') AS x),
    '>=', 8::bigint, 'limits of almost all kinds are reached');
SELECT is_empty($$SELECT i, promised, done FROM ask WHERE promised <> done$$, 'what promo_validate promises is what promo_redeem and promo_reserve do');

-- Sums --------------------------------------------------------------------

CREATE TEMP TABLE priced AS
SELECT i, done -> 'result' AS r FROM ask UNION ALL SELECT i, result FROM returned WHERE result IS NOT NULL;
SELECT is_empty($$SELECT i, r FROM priced,
    LATERAL (SELECT coalesce(sum((p ->> 'discount')::numeric), 0) AS discount, min((p ->> 'discount')::numeric) AS least FROM jsonb_array_elements(r -> 'promotions') AS p) d,
    LATERAL (SELECT coalesce(sum((l ->> 'discount')::numeric), 0) AS discount, coalesce(sum((l ->> 'to_pay')::numeric), 0) AS to_pay, coalesce(sum((l ->> 'amount')::numeric), 0) AS amount,
                 min(least((l ->> 'to_pay')::numeric, (l ->> 'discount')::numeric)) AS least FROM jsonb_array_elements(r -> 'lines') AS l) l
    WHERE d.discount <> (r ->> 'discount')::numeric OR l.discount <> d.discount OR l.to_pay <> (r ->> 'to_pay')::numeric OR l.amount <> (r ->> 'amount')::numeric
       OR l.amount - l.discount <> l.to_pay OR l.least < 0 OR d.least < 0$$,
    'lines and promotions sum to the totals, and nothing is below zero');
SELECT is_empty($$SELECT i FROM priced CROSS JOIN LATERAL jsonb_array_elements(r -> 'promotions') AS p
    WHERE (p ->> 'discount')::numeric <> (SELECT coalesce(sum((l ->> 'discount')::numeric), 0) FROM jsonb_array_elements(p -> 'lines') AS l)$$,
    'the lines of a promotion sum to it');
SELECT is_empty($$SELECT i, r.discount, r.result, u.discount FROM ask
    JOIN iaros.promo_redemption r ON r.idempotency_key = ask.key AND r.customer_id = (ask.cart ->> 'customer')::bigint
    LEFT JOIN LATERAL (SELECT coalesce(sum(u.discount), 0) AS discount FROM iaros.promo_use u WHERE (u.customer_id, u.redemption_id) = (r.customer_id, r.redemption_id)) u ON true
    WHERE u.discount > r.discount OR i NOT IN (SELECT i FROM returned) AND (u.discount <> r.discount OR r.discount <> (r.result ->> 'discount')::numeric)$$,
    'the uses in the ledger sum to the discount, or to less of it where a part was returned');

-- Counters ----------------------------------------------------------------

CREATE TEMP VIEW wrong_counter AS
SELECT c.*, l.scope, l.measure, l.period, p.code FROM iaros.promo_limit_check() c JOIN iaros.promo_limit l USING (promo_limit_id) JOIN iaros.promo p USING (promo_id);
SELECT is_empty('SELECT * FROM wrong_counter', 'counters say what the ledger says');
CREATE TEMP VIEW passed AS
SELECT l.promo_limit_id, l.scope, l.measure, l.maximum, c.period_start, c.code, sum(c.need) AS used
FROM iaros.promo_count c
JOIN iaros.promo_limit l USING (promo_limit_id)
LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
GROUP BY 1, c.period_start, c.code, c.booking_id, CASE WHEN l.scope IN ('customer', 'booking') THEN coalesce(a.master_id, c.customer_id) END
HAVING sum(c.need) > l.maximum;
SELECT is_empty('SELECT * FROM passed', 'no limit is passed');
SELECT is_empty($$SELECT c.promo_limit_id, c.code, c.period_start FROM iaros.promo_counter c JOIN iaros.promo_limit l USING (promo_limit_id)
    GROUP BY 1, 2, 3, l.maximum HAVING sum(c.capacity) <> l.maximum OR bool_or(c.value > c.capacity)$$,
    'the slots of a counter share its maximum, and none is above its share');
CREATE TEMP TABLE before AS
SELECT 0 AS customer_id, promo_limit_id, code, 0 AS booking_id, period_start, sum(value) AS value FROM iaros.promo_counter GROUP BY 2, 3, 5
UNION ALL SELECT customer_id, promo_limit_id, '', booking_id, period_start, value FROM iaros.promo_customer_counter;
UPDATE iaros.promo_limit SET maximum = maximum;
SELECT is_empty($$SELECT * FROM before FULL JOIN (
        SELECT 0 AS customer_id, promo_limit_id, code, 0 AS booking_id, period_start, sum(value) AS value FROM iaros.promo_counter GROUP BY 2, 3, 5
        UNION ALL SELECT customer_id, promo_limit_id, '', booking_id, period_start, value FROM iaros.promo_customer_counter) after
        USING (customer_id, promo_limit_id, code, booking_id, period_start)
    WHERE coalesce(before.value, 0) <> coalesce(after.value, 0)$$, 'counting again changes nothing');
SELECT is_empty($$SELECT stays, state, i FROM ask JOIN iaros.promo_redemption r ON r.idempotency_key = ask.key AND r.customer_id = (ask.cart ->> 'customer')::bigint
    WHERE stays <> state::text$$, 'each purchase is in the state that it was brought to');

-- Keys --------------------------------------------------------------------

CREATE TEMP TABLE again AS
SELECT a.i, a.done AS first, r.redeemed, r.discount, r.to_pay
FROM ask a CROSS JOIN LATERAL iaros.promo_redeem(a.cart, a.codes, a.key, a.partial, '2020-01-01') r
WHERE a.stays = 'redeemed' AND a.i NOT IN (SELECT i FROM returned);
SELECT is_empty($$SELECT * FROM again WHERE NOT redeemed OR discount <> (first ->> 'discount')::numeric OR to_pay <> (first ->> 'to_pay')::numeric$$,
    'a key of before returns what it gave');
SELECT is_empty('SELECT * FROM wrong_counter', 'and counts nothing');

-- Returns, down to nothing -------------------------------------------------

DO $$
DECLARE
    a ask;
    state text;
BEGIN
    FOR a IN SELECT * FROM ask WHERE stays = 'redeemed' LOOP
        LOOP
            EXIT WHEN pg_temp.give_back(a, false) = 'returned';
        END LOOP;
        UPDATE ask SET stays = 'returned' WHERE i = a.i;
    END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM returned), '>', 300::bigint, 'much is returned');
SELECT is_empty($$SELECT i, a.to_pay, sum(r.refund), array_agg(r.refund) FROM ask a JOIN returned r USING (i) WHERE a.stays = 'returned'
    GROUP BY i, a.to_pay HAVING sum(r.refund) <> a.to_pay OR min(r.refund) < 0$$, 'refunds sum to what was paid');
SELECT is_empty($$SELECT * FROM returned WHERE discount < 0 OR to_pay < 0$$, 'nothing is below zero meanwhile');
SELECT is_empty($$SELECT r.redemption_id FROM iaros.promo_redemption r WHERE r.state = 'returned' AND (r.amount <> 0 OR r.discount <> 0)$$, 'of a returned purchase nothing is left');
SELECT is_empty('SELECT * FROM wrong_counter', 'counters follow');

-- Other promotions --------------------------------------------------------

-- With one code more the customer gets at least as much. (Where no amount is
-- limited: what one takes off depends on the others.)
DELETE FROM iaros.promo_limit WHERE measure <> 'uses';
CREATE TEMP TABLE more AS
SELECT i, cart, codes, more, at, a.discount AS without, b.discount AS with_it
FROM (SELECT i, cart, codes, at, (SELECT code FROM code WHERE i > 0 ORDER BY random() LIMIT 1) AS more FROM ask) q
CROSS JOIN LATERAL iaros.promo_validate(cart, codes, at) a
CROSS JOIN LATERAL iaros.promo_validate(cart, codes || more, at) b;
SELECT cmp_ok((SELECT count(*) FROM more WHERE with_it > without), '>', 20::bigint, 'one code more often gives more');
SELECT is_empty($$SELECT * FROM more WHERE with_it < without$$, 'and never less');
SELECT * FROM finish();
ROLLBACK;
