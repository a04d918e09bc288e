-- offer: the shipped catalogue, who may change it.
BEGIN;
SELECT plan(12);
SELECT is((SELECT array_agg(model_class ORDER BY model_class) FROM iaros.offer WHERE shipped_hash IS NOT NULL), '{0,1,2,3,4,5,6,7}',
    'eight offers are shipped, one for each class of the model');
SELECT is_empty($$SELECT code FROM iaros.offer o WHERE shipped_hash <> iaros.row_hash(to_jsonb(o))$$, 'the shipped offers are sealed');
SELECT bag_hasnt($$SELECT shipped_hash FROM iaros.offer_list(false) l JOIN iaros.offer o USING (offer_id)$$, $$VALUES ('new')$$, 'none waits for its seal');
SELECT is((SELECT count(*) FROM iaros.offer_list()), 8::bigint, 'all of them are active');
SELECT ok(iaros.offer_create('test_offer', 'Test', 'discount', channels => '{email,sms}') > 0, 'an offer is made');
SELECT is((SELECT channels FROM iaros.offer_get('TEST_OFFER')), '{email,sms}', 'with its channels');
SELECT is((SELECT code FROM iaros.offer_get((SELECT offer_id::text FROM iaros.offer WHERE code = 'TEST_OFFER'))), 'TEST_OFFER', 'and found by its number');
SELECT ok(iaros.offer_activate('TEST_OFFER', false), 'it is taken out of use');
SELECT is_empty($$SELECT * FROM iaros.offer_list() WHERE code = 'TEST_OFFER'$$, 'and not listed any more');
CREATE ROLE iaros_test_read;
CREATE ROLE iaros_test_operate;
SELECT iaros.access_grant('iaros_test_read', 'read');
SELECT iaros.access_grant('iaros_test_operate', 'operate');
SET ROLE iaros_test_operate;
SELECT lives_ok($$SELECT iaros.offer_create('test_role', 'Test', 'discount', target_segment => 'Champions', channels => '{email}')$$,
    'a role that operates makes offers');
SET ROLE iaros_test_read;
SELECT is((SELECT count(*) FROM iaros.offer_get('test_role')), 1::bigint, 'a role that reads sees them');
SELECT throws_ok($$SELECT iaros.offer_activate('test_role', false)$$, '42501', NULL, 'and does not change them');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
