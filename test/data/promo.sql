-- cj_campaigns, cj_coupons and cj_coupon_redemptions: a year of coupons of a
-- grocer. Each coupon of a campaign is a promotion for the segment of those
-- who received it; what was redeemed is allowed, and what was not allowed is
-- refused with its reason.
\ir check.psql
INSERT INTO iaros.data_source (source, description) VALUES ('cj', 'Households of a grocer');
-- The hours of the baskets are those of New York.
SELECT iaros.setting_set('brand_time_zone', 'America/New_York') \g /dev/null

CREATE TEMP TABLE campaign (campaign_id integer PRIMARY KEY, campaign_type text, start_date date, end_date date);
CREATE TEMP TABLE receipt (campaign_id integer, household_id text);
CREATE TEMP TABLE coupon (coupon_upc text, product_id text, campaign_id integer);
CREATE TEMP TABLE redemption (line_no bigserial, household_id text, coupon_upc text, campaign_id integer, redemption_date date);
CREATE TEMP TABLE product (product_id text PRIMARY KEY, manufacturer_id text, department text, brand text, product_category text, product_type text, package_size text);
CREATE TEMP TABLE purchase (line_no bigserial, household_id text, store_id text, basket_id text, product_id text, quantity numeric,
    sales_value numeric, retail_disc numeric, coupon_disc numeric, coupon_match_disc numeric, week integer, bought_at timestamp);
\copy campaign from program 'cat "$IAROS_DATA/cj_campaign_descriptions.csv"' csv header
\copy receipt from program 'cat "$IAROS_DATA/cj_campaigns.csv"' csv header
\copy coupon from program 'gzip -dc "$IAROS_DATA/cj_coupons.csv.gz"' csv header
\copy redemption (household_id, coupon_upc, campaign_id, redemption_date) from program 'cat "$IAROS_DATA/cj_coupon_redemptions.csv"' csv header
\copy product from program 'gzip -dc "$IAROS_DATA/cj_products.csv.gz"' csv header
\copy purchase (household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc, coupon_match_disc, week, bought_at) from program 'gzip -dc "$IAROS_DATA/cj_transactions_sample.csv.gz"' csv header
ANALYZE campaign, receipt, coupon, redemption, product, purchase;

-- What the files say ------------------------------------------------------

SELECT pg_temp.check_equal('campaigns of type A, B, C', array_agg(n ORDER BY campaign_type), '{4,17,6}'::bigint[])
FROM (SELECT campaign_type, count(*) AS n FROM campaign GROUP BY 1) t \g /dev/null
SELECT pg_temp.check_equal('campaigns received', count(*), 6589::bigint),
    pg_temp.check_equal('households that received one', count(DISTINCT household_id), 1559::bigint),
    pg_temp.check_equal('received twice', count(*) - count(DISTINCT (campaign_id, household_id)), 0::bigint)
FROM receipt \g /dev/null
SELECT pg_temp.check_equal('rows of coupons', count(*), 116204::bigint),
    pg_temp.check_equal('exact repeats', count(*) - count(DISTINCT (coupon_upc, product_id, campaign_id)), 4872::bigint),
    pg_temp.check_equal('coupons', count(DISTINCT coupon_upc), 981::bigint),
    pg_temp.check_equal('coupons of campaigns', count(DISTINCT (coupon_upc, campaign_id)), 1197::bigint),
    pg_temp.check_equal('products that the catalogue lacks',
        count(DISTINCT product_id) FILTER (WHERE product_id NOT IN (SELECT product_id FROM product)), 6::bigint)
FROM coupon \g /dev/null
SELECT pg_temp.check_equal('products', count(*), 92331::bigint) FROM product \g /dev/null
SELECT pg_temp.check_equal('redemptions', count(*), 2102::bigint),
    pg_temp.check_equal('households that redeemed', count(DISTINCT household_id), 410::bigint),
    pg_temp.check_equal('campaigns redeemed', count(DISTINCT campaign_id), 26::bigint),
    pg_temp.check_equal('without having received the campaign',
        count(*) FILTER (WHERE (campaign_id, household_id) NOT IN (SELECT campaign_id, household_id FROM receipt)), 0::bigint),
    pg_temp.check_equal('of a coupon that the campaign lacks',
        count(*) FILTER (WHERE (campaign_id, coupon_upc) NOT IN (SELECT campaign_id, coupon_upc FROM coupon)), 0::bigint),
    pg_temp.check_equal('before the first or after the last day of the campaign', count(*) FILTER (WHERE redemption_date NOT BETWEEN start_date AND end_date), 0::bigint),
    pg_temp.check_equal('on its first day', count(*) FILTER (WHERE redemption_date = start_date), 17::bigint),
    pg_temp.check_equal('on its last day', count(*) FILTER (WHERE redemption_date = end_date), 28::bigint),
    pg_temp.check_equal('of a coupon that the household had redeemed before',
        count(*) - count(DISTINCT (household_id, coupon_upc, campaign_id)), 27::bigint),
    pg_temp.check_equal('on the same day', count(*) - count(DISTINCT (household_id, coupon_upc, campaign_id, redemption_date)), 0::bigint)
FROM redemption JOIN campaign USING (campaign_id) \g /dev/null

-- Loading -----------------------------------------------------------------

CREATE TEMP VIEW cj_household AS
SELECT DISTINCT household_id AS external_id FROM (SELECT household_id FROM receipt UNION ALL SELECT household_id FROM purchase) h ORDER BY 1;
SELECT pg_temp.check_load('households', $$SELECT * FROM iaros.customer_load('cj', 'cj_household')$$, '{2379,2379,0,0}') \g /dev/null
CREATE TEMP TABLE household AS
SELECT external_id AS household_id, customer_id FROM iaros.customer_key WHERE source = 'cj';
ALTER TABLE household ADD PRIMARY KEY (household_id);
ANALYZE household;

SELECT iaros.segment_create('cj ' || campaign_id) FROM campaign ORDER BY campaign_id \g /dev/null
SELECT pg_temp.check_equal('members added to the segments of the campaigns', sum(added), 6589::numeric)
FROM (SELECT iaros.segment_member_add('cj ' || campaign_id, array_agg(customer_id)) AS added
      FROM receipt JOIN household USING (household_id) GROUP BY campaign_id) s \g /dev/null

-- A dollar off the products of the coupon, once for each household; the last
-- day of the campaign counts.
CREATE TEMP TABLE loaded AS
SELECT coupon_upc, campaign_id, code, iaros.promo_create(code, format('Coupon %s of campaign %s', coupon_upc, campaign_id), definition) AS promo_id
FROM (SELECT c.coupon_upc, c.campaign_id, format('C%sX%s', c.campaign_id, c.coupon_upc) AS code, jsonb_build_object(
          'discount', '{"kind": "fixed_amount", "value": 1}'::jsonb, 'level', 'order', 'currency', 'USD',
          'valid', jsonb_build_object('from', k.start_date, 'to', k.end_date + 1),
          'segments', ARRAY['cj ' || c.campaign_id],
          'products', array_agg(DISTINCT c.product_id),
          'limits', '[{"scope": "customer", "maximum": 1}]'::jsonb) AS definition
      FROM coupon c JOIN campaign k USING (campaign_id)
      GROUP BY c.coupon_upc, c.campaign_id, k.start_date, k.end_date ORDER BY c.campaign_id, c.coupon_upc) d;
ALTER TABLE loaded ADD PRIMARY KEY (coupon_upc, campaign_id);
ANALYZE loaded;
ANALYZE iaros.promo, iaros.promo_product, iaros.promo_limit, iaros.segment_membership;
SELECT pg_temp.check_equal('promotions', count(*), 1197::bigint),
    pg_temp.check_equal('their products', (SELECT count(*) FROM iaros.promo_product JOIN loaded USING (promo_id)), 111332::bigint),
    pg_temp.check_equal('codes that are changed by being written as codes',
        count(*) FILTER (WHERE (SELECT p.code::text FROM iaros.promo p WHERE p.promo_id = l.promo_id) <> l.code), 0::bigint)
FROM loaded l \g /dev/null

-- Each real redemption ----------------------------------------------------

-- Its cart is what the sample has of the household's purchases of the day;
-- where nothing of the coupon is in it, one of its products is added.
CREATE TEMP TABLE bought AS
SELECT line_no, household_id, bought_at, bought_at::date AS day, basket_id, product_id, coupon_disc,
    jsonb_build_object('id', line_no, 'product', product_id, 'price', greatest(sales_value + retail_disc + coupon_match_disc, 0)) AS line
FROM purchase;
CREATE INDEX ON bought (household_id, day);
CREATE INDEX ON bought (basket_id);
ANALYZE bought;
CREATE TEMP TABLE attempt AS
SELECT r.line_no, r.household_id, h.customer_id, l.code, l.promo_id, r.campaign_id, r.redemption_date,
    (r.redemption_date + time '12:00') AT TIME ZONE 'America/New_York' AS at,
    b.covered > 0 AS is_sampled,
    jsonb_build_object('customer', h.customer_id, 'currency', 'USD', 'lines', coalesce(b.lines, '[]')
        || CASE WHEN b.covered > 0 THEN '[]' ELSE jsonb_build_object('id', 'coupon', 'price', 5,
            'product', (SELECT min(p.product) FROM iaros.promo_product p WHERE p.promo_id = l.promo_id)) END) AS cart
FROM redemption r
JOIN household h USING (household_id)
JOIN loaded l USING (coupon_upc, campaign_id)
CROSS JOIN LATERAL (
    SELECT jsonb_agg(b.line ORDER BY b.line_no) AS lines,
        count(*) FILTER (WHERE EXISTS (SELECT FROM iaros.promo_product p WHERE (p.promo_id, p.product) = (l.promo_id, b.product_id))
            AND (b.line -> 'price')::numeric >= 1) AS covered
    FROM bought b WHERE b.household_id = r.household_id AND b.day = r.redemption_date) b
ORDER BY r.line_no;
CREATE TEMP TABLE answer AS
SELECT a.*, v.valid, v.discount, v.answers, v.result
FROM attempt a CROSS JOIN LATERAL iaros.promo_validate(a.cart, ARRAY[a.code], a.at) v;
SELECT pg_temp.check_equal('real redemptions that promo_validate allows', count(*) FILTER (WHERE valid), 2102::bigint),
    pg_temp.check_equal('that take off what the coupon says', count(*) FILTER (WHERE discount = 1), 2102::bigint),
    pg_temp.check_equal('on purchases of the sample', count(*) FILTER (WHERE is_sampled), 172::bigint)
FROM answer \g /dev/null
SELECT pg_temp.check_equal('lines that one took something off and that are not of its coupon', count(*), 0::bigint)
FROM answer a
JOIN loaded l USING (promo_id)
CROSS JOIN LATERAL jsonb_array_elements(a.result #> '{promotions,0,lines}') AS x
JOIN LATERAL jsonb_array_elements(a.cart -> 'lines') AS n ON n ->> 'id' = x ->> 'id'
WHERE (l.coupon_upc, l.campaign_id, n ->> 'product') NOT IN (SELECT coupon_upc, campaign_id, product_id FROM coupon) \g /dev/null

-- A day too early, a day too late, and the instants at both ends.
SELECT pg_temp.check_equal('before the campaign', count(*) FILTER (WHERE reason = '["not_started"]'), 2102::bigint)
FROM (SELECT jsonb_path_query_array(v.answers, '$[*].reasons[*].reason')::text AS reason
      FROM attempt JOIN campaign USING (campaign_id)
      CROSS JOIN LATERAL iaros.promo_validate(cart, ARRAY[code], start_date::timestamp AT TIME ZONE 'America/New_York' - interval '1 microsecond') v) q \g /dev/null
SELECT pg_temp.check_equal('after it', count(*) FILTER (WHERE reason = '["expired"]'), 2102::bigint)
FROM (SELECT jsonb_path_query_array(v.answers, '$[*].reasons[*].reason')::text AS reason
      FROM attempt JOIN campaign USING (campaign_id)
      CROSS JOIN LATERAL iaros.promo_validate(cart, ARRAY[code], (end_date + 1)::timestamp AT TIME ZONE 'America/New_York') v) q \g /dev/null
SELECT pg_temp.check_equal('in the first and the last instant of it', count(*) FILTER (WHERE v.valid), 52::bigint)
FROM (SELECT DISTINCT ON (campaign_id) * FROM attempt JOIN campaign USING (campaign_id) ORDER BY campaign_id, line_no) a
CROSS JOIN unnest(ARRAY[start_date::timestamp AT TIME ZONE 'America/New_York',
    (end_date + 1)::timestamp AT TIME ZONE 'America/New_York' - interval '1 microsecond']) AS at_end
CROSS JOIN LATERAL iaros.promo_validate(cart, ARRAY[code], at_end) v \g /dev/null

-- Who did not receive the campaign ----------------------------------------

-- Each household asks for a coupon of each campaign on its first day.
CREATE TEMP TABLE asked AS
SELECT campaign_id, household_id, EXISTS (SELECT FROM receipt r WHERE (r.campaign_id, r.household_id) = (c.campaign_id, h.household_id)) AS received,
    iaros.promo_applies(p.definition, q.cart) AS applies,
    iaros.promo_best_set(jsonb_build_array(p.definition), q.cart) AS result
FROM (SELECT campaign_id, min(promo_id) AS promo_id, min(start_date) AS start_date FROM loaded JOIN campaign USING (campaign_id) GROUP BY 1) c
JOIN iaros.promo p USING (promo_id)
CROSS JOIN (SELECT household_id, iaros.promo_cart(jsonb_build_object('customer', customer_id, 'currency', 'USD', 'lines', '[{"id": "a", "price": 5}]'::jsonb)) AS cart
    FROM household WHERE household_id IN (SELECT household_id FROM receipt) OFFSET 0) h
CROSS JOIN LATERAL (SELECT jsonb_set(h.cart, '{at}', to_jsonb(start_date || 'T12:00:00Z')) AS cart) q;
SELECT pg_temp.check_equal('households that received a campaign and may use its coupon', count(*) FILTER (WHERE received AND applies), 6589::bigint),
    pg_temp.check_equal('to which it is given', count(*) FILTER (WHERE received AND (result ->> 'discount')::numeric = 1), 6589::bigint),
    pg_temp.check_equal('that did not receive it and may', count(*) FILTER (WHERE applies AND NOT received), 0::bigint),
    pg_temp.check_equal('that did not receive it and are told so', count(*) FILTER (WHERE NOT received
        AND result #> '{left_out,0,reasons}' = jsonb_build_array(jsonb_build_object('reason', 'segment', 'segments', ARRAY['cj ' || campaign_id]))),
        (27 * 1559 - 6589)::bigint)
FROM asked \g /dev/null

-- The same by the check-out: for each redemption the next household that did
-- not receive the campaign tries the code with that cart.
SELECT pg_temp.check_equal('redemptions by a household that did not receive the campaign', count(*) FILTER (WHERE reasons = '["segment"]'), 2102::bigint)
FROM (SELECT jsonb_path_query_array(v.answers, '$[*].reasons[*].reason')::text AS reasons
      FROM attempt a
      CROSS JOIN LATERAL (SELECT h.customer_id AS other FROM household h
          WHERE h.customer_id > a.customer_id % 1500 AND (a.campaign_id, h.household_id) NOT IN (SELECT campaign_id, household_id FROM receipt)
          ORDER BY h.customer_id LIMIT 1) o
      CROSS JOIN LATERAL iaros.promo_validate(a.cart || jsonb_build_object('customer', other), ARRAY[a.code], a.at) v) q \g /dev/null

-- Products that are not the coupon's --------------------------------------

CREATE TEMP TABLE other_basket AS
SELECT l.promo_id, l.code, l.at, l.customer_id, b.lines
FROM (SELECT DISTINCT ON (l.promo_id) l.promo_id, l.code, (c.start_date + time '12:00') AT TIME ZONE 'America/New_York' AS at, h.customer_id
      FROM loaded l JOIN campaign c USING (campaign_id) JOIN receipt USING (campaign_id) JOIN household h USING (household_id)
      ORDER BY l.promo_id, h.customer_id) l
CROSS JOIN LATERAL (
    SELECT jsonb_agg(line) AS lines
    FROM (SELECT line FROM bought b
          WHERE NOT EXISTS (SELECT FROM iaros.promo_product p WHERE (p.promo_id, p.product) = (l.promo_id, b.product_id)) LIMIT 5) b) b;
SELECT pg_temp.check_equal('coupons for a basket without their products', count(*) FILTER (WHERE reasons = '["no_line"]'), 1197::bigint)
FROM (SELECT jsonb_path_query_array(v.answers, '$[*].reasons[*].reason')::text AS reasons
      FROM other_basket o
      CROSS JOIN LATERAL iaros.promo_validate(jsonb_build_object('customer', o.customer_id, 'currency', 'USD', 'lines', o.lines), ARRAY[o.code], o.at) v) q \g /dev/null

-- Baskets with a coupon ---------------------------------------------------

SELECT pg_temp.check_equal('lines with a discount by coupon', count(*), 1135::bigint),
    pg_temp.check_equal('their baskets', count(DISTINCT basket_id), 1013::bigint),
    pg_temp.check_equal('the discounts', sum(coupon_disc), 1356.71)
FROM purchase WHERE coupon_disc > 0 \g /dev/null
-- What the files say: the coupons that the household had then, and that have
-- one of the products of the basket.
CREATE TEMP TABLE basket AS
SELECT basket_id, min(household_id) AS household_id, min(bought_at) AT TIME ZONE 'America/New_York' AS at, jsonb_agg(line ORDER BY line_no) AS lines
FROM bought WHERE basket_id IN (SELECT basket_id FROM purchase WHERE coupon_disc > 0) GROUP BY basket_id;
CREATE TEMP TABLE wanted AS
SELECT DISTINCT b.basket_id, l.promo_id, l.code
FROM bought b
JOIN basket USING (basket_id)
JOIN receipt r ON r.household_id = b.household_id
JOIN campaign c ON c.campaign_id = r.campaign_id AND b.day BETWEEN c.start_date AND c.end_date
JOIN coupon k ON k.campaign_id = c.campaign_id AND k.product_id = b.product_id
JOIN loaded l ON l.campaign_id = k.campaign_id AND l.coupon_upc = k.coupon_upc;
SELECT pg_temp.check_equal('coupons that fit a basket', count(*), 515::bigint),
    pg_temp.check_equal('baskets that one fits', count(DISTINCT basket_id), 284::bigint)
FROM wanted \g /dev/null
-- They are given, or others in their place: there is nothing else against them.
CREATE TEMP TABLE basket_answer AS
SELECT w.basket_id, x ->> 'code' AS code, (x ->> 'applied')::boolean AS applied, jsonb_path_query_array(x, '$.reasons[*].reason') AS reasons
FROM (SELECT basket_id, array_agg(code ORDER BY code) AS codes FROM wanted GROUP BY basket_id) w
JOIN basket b USING (basket_id)
JOIN household USING (household_id)
CROSS JOIN LATERAL iaros.promo_validate(jsonb_build_object('customer', customer_id, 'currency', 'USD', 'lines', b.lines), w.codes, b.at) v
CROSS JOIN LATERAL jsonb_array_elements(v.answers) AS x;
SELECT pg_temp.check_equal('coupons that are answered', count(*), 515::bigint),
    pg_temp.check_equal('that are given', count(*) FILTER (WHERE applied), 514::bigint),
    pg_temp.check_equal('that are not, for another reason than that others are', count(*) FILTER (WHERE NOT applied
        AND NOT reasons <@ '["no_effect", "max_promotions", "not_best"]'), 0::bigint)
FROM basket_answer \g /dev/null
-- And nothing else is: the baskets that most coupons fit, asked without codes.
CREATE TEMP TABLE qualified AS
SELECT b.basket_id, q.promo_id, q.qualifies, q.reasons
FROM (SELECT basket_id FROM wanted GROUP BY basket_id ORDER BY count(*) DESC, basket_id LIMIT 20) w
JOIN basket b USING (basket_id)
JOIN household USING (household_id)
CROSS JOIN LATERAL iaros.promo_qualify(jsonb_build_object('customer', customer_id, 'currency', 'USD', 'lines', b.lines), b.at, 2000) q;
SELECT pg_temp.check_equal('promotions asked about', count(*) > 10000, true),
    pg_temp.check_equal('coupons that qualify', count(*) FILTER (WHERE q.qualifies AND l.code IS NOT NULL), count(w.promo_id)),
    pg_temp.check_equal('that fit and do not qualify', count(*) FILTER (WHERE w.promo_id IS NOT NULL AND NOT q.qualifies), 0::bigint)
FROM qualified q
LEFT JOIN loaded l USING (promo_id)
LEFT JOIN wanted w USING (basket_id, promo_id) \g /dev/null

-- Redeeming ---------------------------------------------------------------

-- A redemption is of now: the campaigns are run once more, all at once.
UPDATE iaros.promo p SET valid = '(,)' FROM loaded l WHERE l.promo_id = p.promo_id;
CREATE TEMP TABLE redeemed (line_no bigint, redeemed boolean, discount numeric, answers jsonb, result jsonb);
CREATE PROCEDURE pg_temp.redeem_all() LANGUAGE plpgsql AS $$
DECLARE
    a record;
BEGIN
    FOR a IN SELECT * FROM attempt ORDER BY line_no LOOP
        INSERT INTO redeemed
        SELECT a.line_no, r.redeemed, r.discount, r.answers, r.result
        FROM iaros.promo_redeem(a.cart, ARRAY[a.code], 'line ' || a.line_no) r;
    END LOOP;
END $$;
CALL pg_temp.redeem_all();
SELECT pg_temp.check_equal('redemptions, once for each household and coupon', count(*) FILTER (WHERE redeemed), 2075::bigint),
    pg_temp.check_equal('that are as the dry run said', count(*) FILTER (WHERE redeemed AND r.result = a.result AND r.answers = a.answers), 2075::bigint),
    pg_temp.check_equal('refused for the limit', count(*) FILTER (WHERE NOT redeemed
        AND jsonb_path_query_array(r.answers, '$[*].reasons[*].reason') = '["limit"]'), 27::bigint)
FROM redeemed r JOIN answer a USING (line_no) \g /dev/null
-- Some households did redeem a coupon twice: with the limit of what happened
-- all are redeemed, and a third one is not. Keys of before redeem nothing anew.
UPDATE iaros.promo_limit l SET maximum = 2 FROM loaded d WHERE d.promo_id = l.promo_id;
TRUNCATE redeemed;
CALL pg_temp.redeem_all();
SELECT pg_temp.check_equal('redemptions, twice if need be', count(*) FILTER (WHERE redeemed), 2102::bigint) FROM redeemed \g /dev/null
SELECT pg_temp.check_equal('third redemptions that are refused', count(*) FILTER (WHERE NOT v.valid), 27::bigint),
    pg_temp.check_equal('second ones that are not', count(*) FILTER (WHERE v.valid), 2048::bigint)
FROM (SELECT DISTINCT ON (customer_id, promo_id) * FROM attempt ORDER BY customer_id, promo_id) a
CROSS JOIN LATERAL iaros.promo_validate(a.cart, ARRAY[a.code]) v \g /dev/null
SELECT pg_temp.check_equal('rows of the ledger', count(*), 2102::bigint),
    pg_temp.check_equal('dollars taken off', sum(discount), 2102.0000) FROM iaros.promo_redemption \g /dev/null
SELECT pg_temp.check_equal('redemptions by usage', sum(redemptions), 2102::numeric),
    pg_temp.check_equal('promotions redeemed', count(*), (SELECT count(DISTINCT (coupon_upc, campaign_id)) FROM redemption))
FROM iaros.promo_usage() \g /dev/null
SELECT pg_temp.check_equal('limits whose counters are wrong', count(*), 0::bigint) FROM iaros.promo_limit_check() \g /dev/null

-- Coupons of households ---------------------------------------------------

-- Where each household has a code of its own, that of another is refused.
SELECT iaros.promo_create('cj own', 'Campaign 24 with a code for each household',
    '{"applied": "coupon", "discount": {"kind": "percentage", "value": 10}}') \g /dev/null
SELECT pg_temp.check_equal('coupons issued', iaros.promo_issue('cj own', '{"length": 10}', customers => (
    SELECT array_agg(customer_id) FROM receipt JOIN household USING (household_id) WHERE campaign_id = 24), seed => 24),
    (SELECT count(*) FROM receipt WHERE campaign_id = 24)) \g /dev/null
SELECT pg_temp.check_equal('that their households may use', count(*) FILTER (WHERE own.valid), (SELECT count(*) FROM receipt WHERE campaign_id = 24)),
    pg_temp.check_equal('that the next household may not', count(*) FILTER (WHERE
        jsonb_path_query_array(next.answers, '$[*].reasons[*].reason') = '["other_customer"]'), (SELECT count(*) FROM receipt WHERE campaign_id = 24))
FROM (SELECT c.*, coalesce(lead(customer_id) OVER w, first_value(customer_id) OVER w) AS next_id
      FROM iaros.promo_coupon c WINDOW w AS (ORDER BY customer_id)) c
CROSS JOIN LATERAL iaros.promo_validate(jsonb_build_object('customer', customer_id, 'currency', 'USD', 'lines', '[{"id": "a", "price": 5}]'::jsonb), ARRAY[code::text]) own
CROSS JOIN LATERAL iaros.promo_validate(jsonb_build_object('customer', next_id, 'currency', 'USD', 'lines', '[{"id": "a", "price": 5}]'::jsonb), ARRAY[code::text]) next \g /dev/null
