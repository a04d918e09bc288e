-- recommend: which offers, in which order, and the reasons in words.
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
SELECT n, iaros.recommend_stage(f::timestamptz, l::timestamptz, '2026-07-01Z'),
    iaros.recommend_stage_text(f::timestamptz, l::timestamptz, '2026-07-01Z')
FROM (VALUES (1, NULL, NULL), (2, '2026-06-30Z', '2026-06-30Z'), (3, '2026-06-01 00:00:01Z', '2026-06-30Z'),
    (4, '2026-06-01Z', '2026-06-01Z'), (5, '2025-01-01Z', '2026-04-02 00:00:01Z'), (6, '2025-01-01Z', '2026-04-02Z'),
    (7, '2025-01-01Z', '2026-01-02 00:00:01Z'), (8, '2025-01-01Z', '2026-01-02Z'), (9, '2026-07-02Z', '2026-07-02Z')) AS t(n, f, l);
SELECT iaros.recommend_times(n) FROM unnest('{1,2,3}'::bigint[]) AS n;
SELECT round(segment, 2), round(stage, 2), round(value, 2), round(affinity, 2) FROM iaros.recommend_weights();

-- Four customers: nobody yet, a business flyer, one who is lapsed, a family.
INSERT INTO iaros.customer (customer_id, kind, source, country)
SELECT i, 'known', 'manual', 'US' FROM generate_series(900001, 900005) AS i;
SELECT count(iaros.booking_record(900002, 900, 'USD', '2026-06-01Z'::timestamptz - i * interval '10 days', 'JFK', 'LHR',
    CASE WHEN i < 6 THEN 'business' ELSE 'economy' END::iaros.cabin, departure_at => '2026-06-03Z',
    items => CASE WHEN i < 2 THEN '[{"kind": "upgrade", "amount": 50}, {"kind": "lounge", "amount": 30}]' ELSE '[]' END::jsonb))
FROM generate_series(0, 12) AS i;
SELECT count(iaros.booking_record(900003, 300, 'USD', '2025-11-30Z', 'JFK', 'LHR', 'economy'));
SELECT count(iaros.booking_record(900004, 2000, 'USD', '2026-05-01Z', 'JFK', 'LHR', 'economy', party_size => 4,
    items => '[{"kind": "legroom", "amount": 50}]'));
SELECT count(iaros.booking_record(900004, 2000, 'USD', '2026-06-01Z', 'JFK', 'LHR', 'economy', party_size => 4,
    status => 'cancelled', items => '[{"kind": "legroom", "amount": 50}]'));
SELECT iaros.rfm_refresh('2026-07-01Z') > 0, iaros.segment_refresh('2026-07-01Z') > 0;

SELECT c, o.code, o.score, o.reasons
FROM generate_series(900001, 900006) AS c CROSS JOIN LATERAL iaros.next_best_offer(c, 9, '2026-07-01Z') AS o;
SELECT * FROM iaros.recommend_explain(900003, '2026-07-01Z');
-- Over a channel: only what it carries, only with consent.
SELECT code, eligible, reasons FROM iaros.recommend_explain(900001, '2026-07-01Z', 'email') LIMIT 2;
INSERT INTO iaros.offer_channel SELECT offer_id, 'push' FROM iaros.offer WHERE code = 'EXTRA_LEGROOM';
SELECT code, eligible, reasons FROM iaros.recommend_explain(900001, '2026-07-01Z', 'web_personal');
SELECT * FROM iaros.next_best_offer(900001, 3, '2026-07-01Z', 'sms');
-- An offer that is out of use or out of time.
SELECT iaros.offer_activate('FAMILY_BUNDLE', false);
UPDATE iaros.offer SET valid = '[2026-08-01 00:00+00,)' WHERE code = 'EXTRA_LEGROOM';
SELECT code, eligible, reasons FROM iaros.recommend_explain(900004, '2026-07-01Z') WHERE code IN ('FAMILY_BUNDLE', 'EXTRA_LEGROOM') ORDER BY code;

SELECT count(*) FROM iaros.next_best_offer(NULL);
SELECT count(*) FROM iaros.next_best_offer(-1);
SELECT * FROM iaros.next_best_offer(900001, 0);
SELECT * FROM iaros.next_best_offer(900001, 3, '2026-07-01Z', 'pigeon');
SELECT * FROM iaros.recommend_offers('no_such_relation');
SELECT * FROM iaros.recommend_offers('');
SELECT * FROM iaros.recommend_offers('SELECT 900001', NULL);
SELECT iaros.setting_set('recommend_weight_stage', '-1');
SELECT * FROM iaros.next_best_offer(900001);
ROLLBACK;
