-- loyalty: what is shipped, what is refused and in which words.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO iaros.customer (customer_id) VALUES (1001), (1002);
SELECT programme, name, member_prefix FROM iaros.loyalty_programme;
SELECT programme, tier, name, rank FROM iaros.loyalty_tier ORDER BY rank;
SELECT iaros.loyalty_enrol(1001, member_no => 'AB12', tier => 'silver', enrolled_on => '2024-03-01', points => 500);
SELECT * FROM iaros.loyalty_account_get(1001, '2024-06-01');
SELECT iaros.loyalty_enrol(1001, member_no => 'ZZ99', tier => 'gold');
SELECT iaros.loyalty_enrol(1002, member_no => 'AB12');
SELECT iaros.loyalty_enrol(1002, 'hotel_points');
SELECT iaros.loyalty_enrol(1002, NULL);
SELECT iaros.loyalty_enrol(4711);
SELECT iaros.loyalty_enrol(NULL);
\set VERBOSITY terse
SELECT iaros.loyalty_enrol(1002, tier => 'tin');
SELECT iaros.loyalty_enrol(1002, member_no => ' ');
SELECT iaros.loyalty_enrol(1002, points => -1);
SELECT day, iaros.loyalty_active('2024-03-01', '2024-06-01', day) FROM unnest('{2024-02-29,2024-03-01,2024-05-31,2024-06-01}'::date[]) AS day;
SELECT iaros.loyalty_active('2024-03-01', NULL, '2099-01-01'), iaros.loyalty_active(NULL, NULL, '2099-01-01');
SELECT count(*) FROM iaros.loyalty_account;
ROLLBACK;
