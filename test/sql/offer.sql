-- offer: the catalogue, what it refuses and how it says so.
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
SELECT model_class, code, name, category, lifecycle_stage, target_segment,
    min_customer_value, item_kind, cabin, members_only, discount_percent, is_active
FROM iaros.offer_list() ORDER BY offer_id;
SELECT category FROM iaros.offer_category ORDER BY 1;

SELECT iaros.offer_create(' summer_sale ', 'Summer sale', 'discount',
    lifecycle_stage => 'growth', target_segment => 'leisure travelers',
    min_customer_value => 100, max_customer_value => 5000, channels => '{email,push,email}',
    discount_percent => 15, valid_from => '2026-06-01Z', valid_to => '2026-09-01Z', model_class => 8) > 0;
SELECT code, target_segment, min_customer_value, max_customer_value, channels, discount_percent,
    lower(valid) AT TIME ZONE 'UTC', upper(valid) AT TIME ZONE 'UTC', is_active, weight
FROM iaros.offer_get('Summer_Sale');
-- Valid from its first moment until before its last.
SELECT t.n, (SELECT count(*) FROM iaros.offer_list(as_of => t.at) o WHERE o.code = 'SUMMER_SALE')
FROM unnest('{2026-05-31T23:59:59Z,2026-06-01T00:00:00Z,2026-08-31T23:59:59Z,2026-09-01T00:00:00Z}'::timestamptz[]) WITH ORDINALITY AS t(at, n) ORDER BY n;
SELECT iaros.offer_activate('summer_sale', false), iaros.offer_activate('summer_sale', false);
SELECT count(*) FROM iaros.offer_list(as_of => '2026-07-01Z') WHERE code = 'SUMMER_SALE';
SELECT count(*) FROM iaros.offer_list(false, '2026-07-01Z') WHERE code = 'SUMMER_SALE';
SELECT iaros.offer_activate('summer_sale', true);
SELECT count(*) FROM iaros.offer_get(NULL);
-- A segment that is renamed keeps its offers.
UPDATE iaros.segment SET name = 'Holiday Makers' WHERE name = 'Leisure Travelers';
SELECT target_segment FROM iaros.offer_get('summer_sale');

-- Refused.
\set VERBOSITY default
SELECT iaros.offer_create('X1', 'X', 'discounts');
SELECT iaros.offer_create('X1', 'X', 'discount', target_segment => 'Family Traveler');
SELECT iaros.offer_get('xyzzy');
SELECT iaros.offer_activate('xyzzy', true);
SELECT iaros.offer_create('X1', 'X', 'discount', valid_from => '2026-02-01', valid_to => '2026-01-01');
\set VERBOSITY terse
SELECT iaros.offer_create('summer_sale', 'X', 'discount');
SELECT iaros.offer_create('X1', 'X', 'discount', model_class => 0);
SELECT iaros.offer_create('X1', 'X', 'discount', model_class => -1);
SELECT iaros.offer_create('X 1', 'X', 'discount');
SELECT iaros.offer_create('12', 'X', 'discount');
SELECT iaros.offer_create('X1', '', 'discount');
SELECT iaros.offer_create('X1', 'X', 'discount', discount_percent => 100.5);
SELECT iaros.offer_create('X1', 'X', 'discount', discount_percent => 0);
SELECT iaros.offer_create('X1', 'X', 'discount', min_customer_value => -1);
SELECT iaros.offer_create('X1', 'X', 'discount', min_customer_value => 5, max_customer_value => 5);
SELECT iaros.offer_create('X1', 'X', 'discount', channels => '{pigeon}');
SELECT iaros.offer_create('X1', 'X', 'discount', item_kind => 'pigeon');
SELECT iaros.offer_create('X1', 'X', 'discount', weight => 11);
SELECT iaros.offer_create('X1', 'X', 'discount', valid_from => '2026-01-01', valid_to => '2026-01-01');
SELECT count(*) FROM iaros.offer WHERE code LIKE 'X%';
ROLLBACK;
