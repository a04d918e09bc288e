-- promo: discounts to the minor unit, all reasons of a refusal, redemption.
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
SELECT code, name, discount_kind, discount_value, max_uses_per_customer, uses, offer_code, is_active
FROM iaros.promo_list() ORDER BY promo_id;

-- Discounts: halves away from zero, in the minor unit, never above the amount.
SELECT k, v, a, c, iaros.promo_discount(k::iaros.promo_discount_kind, v, a, c)
FROM (VALUES
    ('percentage', 10, 99.99, 'EUR'), ('percentage', 10, 0.05, 'EUR'), ('percentage', 10, 0.04, 'EUR'),
    ('percentage', 15, 12345, 'JPY'), ('percentage', 10, 4, 'JPY'), ('percentage', 10, 5, 'JPY'),
    ('percentage', 7.5, 10.333, 'KWD'), ('percentage', 33.3333, 1.001, 'KWD'),
    ('percentage', 100, 12.345, 'KWD'), ('percentage', 0.0001, 1, 'USD'), ('percentage', 10, 0, 'USD'),
    ('fixed', 20, 19.99, 'EUR'), ('fixed', 20, 20, 'EUR'), ('fixed', 20, 100, 'EUR'),
    ('fixed', 500, 400, 'JPY'), ('fixed', 1.234, 2.500, 'KWD'), ('fixed', 20, 0, 'EUR'),
    ('percentage', 99.9999, 9999999999.99, 'USD')) AS t(k, v, a, c);
SELECT iaros.promo_discount(NULL, 1, 1, 'EUR') IS NULL, iaros.promo_discount('fixed', 1, NULL, 'EUR') IS NULL;
SELECT iaros.promo_discount('fixed', 1, 1, 'XXQ');
SELECT iaros.promo_code_normal('  summer20 '), iaros.promo_code_normal(NULL) IS NULL;

INSERT INTO iaros.customer (customer_id, kind, source) VALUES
    (900001, 'known', 'manual'), (900002, 'known', 'manual'), (900003, 'anonymous', 'manual');
SELECT iaros.promo_create('summer20', 'Summer', 'percentage', 20, 'EUR', '2026-06-01Z', '2026-09-01Z',
    min_purchase => 100, max_uses => 2, max_uses_per_customer => 1, offer => 'welcome_discount') > 0;
SELECT iaros.promo_create('MINUS500', 'Five hundred yen', 'fixed', 500, 'JPY') > 0;
SELECT iaros.promo_create('KWD', 'Dinar', 'percentage', 7.5) > 0;

-- Validation: every reason at once.
SELECT n, v.* FROM (VALUES
    (1, 'SUMMER20', 900001, 250.55, 'EUR', '2026-07-01Z'),
    (2, ' summer20', 900001, 100, 'EUR', '2026-06-01Z'),
    (3, 'SUMMER20', 900001, 99.99, 'EUR', '2026-05-31 23:59:59Z'),
    (4, 'SUMMER20', 900001, 99.99, 'EUR', '2026-09-01Z'),
    (5, 'SUMMER20', 900001, 250.00, 'USD', '2026-07-01Z'),
    (6, 'SUMMER20', 999999, 250.00, 'USD', '2027-07-01Z'),
    (7, 'SUMMER21', 900001, 250.00, 'EUR', '2026-07-01Z'),
    (8, 'SUMMER21', NULL, 250.00, 'EUR', '2026-07-01Z'),
    (9, NULL, 900001, 250.00, 'EUR', '2026-07-01Z'),
    (10, 'MINUS500', 900001, 400, 'JPY', '2026-07-01Z'),
    (11, 'MINUS500', 900001, 400, 'KWD', '2026-07-01Z'),
    (12, 'KWD', 900001, 10.333, 'KWD', '2026-07-01Z'),
    (13, 'WELCOME10', 900001, 12345, 'JPY', '2026-07-01Z'),
    (14, 'WELCOME10', 900001, 0, 'USD', '2026-07-01Z')) AS t(n, code, customer_id, amount, currency, at)
CROSS JOIN LATERAL iaros.promo_validate(t.code, t.customer_id, t.amount, t.currency, t.at::timestamptz) AS v
ORDER BY n;

-- Redemption, once for each key, of now.
UPDATE iaros.promo SET valid = '(,)' WHERE code = 'SUMMER20';
SELECT redeemed, redemption_id > 0, discount, reasons FROM iaros.promo_redeem('summer20', 900001, 250.55, 'EUR', 'booking-1');
SELECT redeemed, redemption_id > 0, discount, reasons FROM iaros.promo_redeem('SUMMER20', 900001, 250.55, 'EUR', 'booking-1', as_of => '2026-10-01Z');
SELECT redeemed, redemption_id, discount, reasons FROM iaros.promo_redeem('SUMMER20', 900001, 250.55, 'EUR', 'booking-2');
SELECT redeemed, discount, reasons FROM iaros.promo_redeem('SUMMER20', 900002, 100, 'EUR', 'booking-1');
SELECT redeemed, discount, reasons FROM iaros.promo_redeem('SUMMER20', 900003, 100, 'EUR', 'booking-1');
SELECT redeemed, discount, reasons FROM iaros.promo_redeem('SUMMER20', 900001, 50, 'EUR', 'booking-3');
SELECT redeemed, discount, reasons FROM iaros.promo_redeem('KWD', 900001, 10.333, 'KWD', 'booking-4');
SELECT redeemed, discount, reasons FROM iaros.promo_redeem('MINUS500', 900001, 400, 'JPY', 'booking-5');
SELECT redeemed, discount, reasons FROM iaros.promo_redeem('NONE', 900001, 400, 'JPY', 'booking-6');
SELECT code, currency, redemptions, customers, amount, discount, average_discount, uses_left FROM iaros.promo_usage();
SELECT code, uses FROM iaros.promo_list(false) WHERE uses > 0 ORDER BY 1;
SELECT object_key, detail - 'redemption_id' FROM iaros.audit_list('promo.redeem', 900001) ORDER BY 1;

-- Refused as errors.
\set VERBOSITY default
SELECT iaros.promo_redeem('SUMMER20', 900001, 250.56, 'EUR', 'booking-1');
SELECT iaros.promo_redeem('WELCOME10', 900001, 250.55, 'EUR', 'booking-1');
SELECT iaros.promo_redeem('WELCOME10', 900001, 250.55, 'EUR', NULL);
SELECT iaros.promo_redeem('WELCOME10', 900001, 250.55, 'EUR', '');
SELECT iaros.promo_validate('WELCOME10', 900001, -1, 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 12.345, 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 1.5, 'JPY');
SELECT iaros.promo_validate('WELCOME10', 900001, 1.0005, 'KWD');
SELECT iaros.promo_validate('WELCOME10', 900001, 1e12, 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 1e12 - 0.01, 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 'NaN', 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 'Infinity', 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 10, 'XXQ');
SELECT iaros.promo_validate('WELCOME10', 900001, NULL, 'EUR');
SELECT iaros.promo_validate('WELCOME10', 900001, 10, NULL);
SELECT iaros.promo_redeem('WELCOME10', 900001, 10, 'EUR', 'booking-8', as_of => '2020-01-01Z');
SELECT iaros.promo_redeem('WELCOME10', 900001, 10, 'EUR', 'booking-8', as_of => '-infinity');
SELECT iaros.promo_redeem('WELCOME10', 900001, 10, 'EUR', 'booking-8', as_of => 'infinity');
SELECT iaros.promo_redeem('WELCOME10', 900001, 1e12, 'EUR', 'booking-8');
UPDATE iaros.promo_redemption SET discount = 0;
SELECT iaros.promo_create('P1', 'P', 'percentage', 10, offer => 'xyzzy');
SELECT iaros.promo_create('P1', 'P', 'fixed', 10.005, 'EUR');
SELECT iaros.promo_create('P1', 'P', 'fixed', 10, 'XXQ');
SELECT iaros.promo_create('P1', 'P', 'fixed', 10.5, 'JPY');
\set VERBOSITY terse
SELECT iaros.promo_redeem('WELCOME10', 900001, 250.55, 'EUR', 'booking-7', booking_id => -1);
SELECT iaros.promo_redeem('WELCOME10', 900001, 250.55, 'EUR', repeat('x', 201));
SELECT iaros.promo_create('summer20', 'P', 'percentage', 10);
SELECT iaros.promo_create('P1', 'P', 'percentage', 100.5);
SELECT iaros.promo_create('P1', 'P', 'percentage', 0);
SELECT iaros.promo_create('P1', 'P', 'fixed', -5, 'EUR');
SELECT iaros.promo_create('P1', 'P', 'fixed', 5);
SELECT iaros.promo_create('P1', 'P', 'percentage', 5, min_purchase => 10);
SELECT iaros.promo_create('P1', 'P', 'percentage', 5, max_uses => 0);
SELECT iaros.promo_create('P1', 'P', 'percentage', 5, max_uses_per_customer => -1);
SELECT iaros.promo_create('P 1', 'P', 'percentage', 5);
SELECT iaros.promo_create('P1', 'P', 'percentage', 5, valid_from => '2026-02-01', valid_to => '2026-01-01');
SELECT iaros.promo_create('P1', 'P', 'percentage', 5, valid_from => '2026-02-01', valid_to => '2026-02-01');
-- Nothing of all that was counted.
SELECT count(*) FROM iaros.promo WHERE code LIKE 'P%1';
SELECT code, uses FROM iaros.promo_list(false) WHERE uses > 0 ORDER BY 1;
ROLLBACK;
