-- campaign: the offer of the wizard becomes a promotion.
BEGIN;
SELECT plan(23);
INSERT INTO iaros.customer (customer_id, kind, source) VALUES (900001, 'known', 'manual'), (900002, 'known', 'manual');
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2024-06-01', 1.1);
SELECT iaros.campaign_create('SUMMER24', 'Summer Sale 2024', 'email', 'promotional', goal_kind => 'revenue', goal_value => 500000) > 0;
SELECT ok(iaros.campaign_set_offer('SUMMER24', '{"offerType": "DISCOUNT", "discountType": "PERCENTAGE", "discountPercentage": 20,
    "validFrom": "2024-06-01", "validTo": "2024-08-31", "minimumPurchase": 100,
    "applicableRoutes": ["JFK-LAX", "JFK-SFO", "JFK-SEA"],
    "blackoutDates": [{"start": "2024-07-04", "end": "2024-07-08"}, {"start": "2024-08-15", "end": "2024-08-25"}],
    "maxUsageTotal": 10000, "maxUsagePerCustomer": 2}') > 0, 'the offer of the wizard is taken');
SELECT is(c.detail ->> 'promo', 'SUMMER24', 'its promotion has the code of the campaign') FROM iaros.campaign_get('SUMMER24') c;
SELECT is(iaros.campaign_tokens((SELECT campaign_id FROM iaros.campaign WHERE code = 'SUMMER24')) #>> '{offer,discount}', '20 %',
    'messages tell its discount');
SELECT results_eq($$SELECT valid, min_purchase, currency::text, routes, blackout FROM iaros.promo p WHERE p.code::text = 'SUMMER24'$$,
    $$VALUES ('[2024-06-01Z,2024-09-01Z)'::tstzrange, 100.0000, 'USD', '{JFK-LAX,JFK-SFO,JFK-SEA}'::text[],
        '{[2024-07-04,2024-07-09),[2024-08-15,2024-08-26)}'::datemultirange)$$, 'days of the wizard include the last one');
SELECT bag_eq($$SELECT l.scope::text, l.maximum FROM iaros.promo_limit l JOIN iaros.promo p USING (promo_id) WHERE p.code::text = 'SUMMER24'$$,
    $$VALUES ('total', 10000.0000), ('customer', 2)$$, 'limits are rows');

-- What the customer meets.
CREATE FUNCTION pg_temp.asked(route text, departure text, price numeric, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT string_agg(r ->> 'reason', ',') FROM jsonb_array_elements(v.answers #> '{0,reasons}') AS r), v.discount::text)
    FROM iaros.promo_validate(jsonb_build_object('customer', 900001, 'currency', 'USD', 'lines', jsonb_build_array(jsonb_build_object(
        'id', 1, 'price', price, 'attributes', jsonb_build_object('route', route, 'departure', departure)))), '{summer24}', at) v $$;
SELECT is(pg_temp.asked('JFK-LAX', '2024-07-03', 250.55, '2024-06-01Z'), '50.11', 'from the first day on');
SELECT is(pg_temp.asked('LAX-JFK', '2024-07-09', 100, '2024-08-31 23:59:59Z'), '20.00', 'to the end of the last, in both directions');
SELECT is(pg_temp.asked('JFK-LAX', '2024-07-03', 250, '2024-09-01Z'), 'expired', 'not the day after');
SELECT is(pg_temp.asked('JFK-LHR', '2024-07-04', 99.99, '2024-05-31Z'), 'not_started,route,blackout,min_purchase', 'all reasons are told');
SELECT is(pg_temp.asked('JFK-SEA', '2024-08-25', 250, '2024-07-01Z'), 'blackout', 'the last day of a blackout is one');

-- Other kinds, and what is refused.
SELECT iaros.campaign_create('GIFT', 'Gift', 'email', 'abandoned-cart-1', trigger_kind => 'event', event_kind => 'cart_abandoned') > 0;
SELECT throws_ok($$SELECT iaros.campaign_set_offer('GIFT', '{"discountType": "FIXED", "discountPercentage": 20}')$$, '22023', NULL, 'a discount without its value');
SELECT throws_ok($$SELECT iaros.campaign_set_offer('GIFT', '{"discountType": "FIXED", "discountAmmount": 20}')$$, '22023', NULL, 'a key that is not known');
SELECT throws_ok($$SELECT iaros.campaign_set_offer('GIFT', '{"discountType": "PERCENTAGE", "discountPercentage": 20, "blackoutDates": ["soon"]}')$$, '22007', NULL, 'a day that is none');
SELECT throws_ok($$SELECT iaros.campaign_set_offer('NOGIFT', '{}')$$, '42704', NULL, 'no such campaign');
SELECT ok(iaros.campaign_set_offer('GIFT', '{"discountType": "FIXED", "discountAmount": 12.5, "currency": "EUR", "promoCode": "GIFT-12", "blackoutDates": ["2024-07-04"]}') > 0,
    'an amount off, under a code of its own');
SELECT is((SELECT iaros.promo_discount_text(p.discount, p.currency::text) FROM iaros.promo p WHERE p.code::text = 'GIFT12'), '12.50 EUR', 'in its currency');
UPDATE iaros.campaign SET status = 'approved' WHERE code = 'GIFT';
SELECT throws_ok($$SELECT iaros.campaign_set_offer('GIFT', '{"discountType": "FIXED", "discountAmount": 12}')$$, '55000', NULL, 'not once it is approved');

-- A second thought, while it is a draft.
SELECT iaros.campaign_set_offer('SUMMER24', '{"discountType": "PERCENTAGE", "discountPercentage": 25, "applicableRoutes": []}') > 0;
SELECT results_eq($$SELECT p.discount ->> 'value', p.routes, (SELECT count(*) FROM iaros.promo_limit l WHERE l.promo_id = p.promo_id)
    FROM iaros.promo p WHERE p.code::text = 'SUMMER24'$$, $$VALUES ('25', NULL::text[], 0::bigint)$$, 'takes the place of the first');
SELECT is((SELECT detail ->> 'promo' FROM iaros.campaign_get('SUMMER24')), 'SUMMER24', 'and is what the campaign offers');

-- Each customer gets the own coupon, who has none no message.
SELECT iaros.promo_create('WINB', 'Come back', '{"applied": "coupon", "discount": {"kind": "percentage", "value": 30}}') > 0;
SELECT iaros.segment_create('lost') > 0, iaros.segment_member_add('lost', ARRAY[900001, 900002]);
INSERT INTO iaros.customer_identifier (customer_id, kind, value) VALUES (900001, 'email', 'a@example.org'), (900002, 'email', 'b@example.org');
SELECT iaros.consent_record(c, 'email', 'marketing', true, 'form', recorded_at => '2024-01-01') > 0 FROM unnest(ARRAY[900001, 900002]) AS c;
SELECT iaros.promo_issue('WINB', '{"prefix": "WB", "length": 10}', customers => ARRAY[900001], seed => 3);
SELECT iaros.message_template_set('winback-code', 'email', 'Your code: {{offer.code}}', 'We miss you');
SELECT iaros.campaign_launch(iaros.campaign_create('WINBACKMAIL', 'Win back', 'email', 'winback-code', segment => 'lost', promo => 'WINB'));
SELECT is(iaros.campaign_tick(), 2::bigint, 'both customers are taken up');
SELECT is((SELECT o.body FROM iaros.outbox o WHERE o.customer_id = 900001), (SELECT 'Your code: ' || c.code::text FROM iaros.promo_coupon c WHERE c.customer_id = 900001),
    'the message has the customer''s own coupon');
SELECT is((SELECT valid FROM iaros.promo_validate('{"customer": 900001, "currency": "USD", "lines": [{"id": 1, "price": 10}]}',
    ARRAY[(SELECT substr(o.body, 12) FROM iaros.outbox o WHERE o.customer_id = 900001)])), true, 'which can be used');
SELECT is((SELECT s.reasons FROM iaros.campaign_send s WHERE s.customer_id = 900002), '{"no_coupon: the customer has no coupon of the promotion"}', 'who has none is told apart');
SELECT * FROM finish();
ROLLBACK;
