-- core: settings, rates, partitions, installation.
BEGIN;
SELECT plan(41);

-- Settings.
SELECT is(iaros.setting_get('base_currency'), 'USD', 'a setting has its default');
SELECT is(iaros.setting_set('fx_max_age_days', '3'), '3', 'setting_set returns the new value');
SELECT is(iaros.setting_get('fx_max_age_days'), '3', 'a change is seen in its own transaction');
SAVEPOINT a;
SELECT iaros.setting_set('fx_max_age_days', '5');
SELECT is(iaros.setting_get('fx_max_age_days'), '5', 'a later change is seen');
ROLLBACK TO a;
SELECT is(iaros.setting_get('fx_max_age_days'), '3', 'a change rolled back is forgotten');
SELECT is(iaros.setting_set('fx_max_age_days', NULL), '7', 'NULL sets the default');
SELECT throws_ok($$SELECT iaros.setting_get('no_such')$$, '42704', NULL, 'unknown setting: 42704');
SELECT throws_ok($$SELECT iaros.setting_set('no_such', '1')$$, '42704', NULL, 'unknown setting cannot be set');
SELECT throws_ok($$SELECT iaros.setting_set('fx_max_age_days', 'soon')$$, '22023', NULL, 'a value must read as its kind');
SELECT throws_ok($$SELECT iaros.setting_set('base_currency', 'XXQ')$$, '22023', NULL, 'base currency must be in ISO 4217');
SELECT throws_ok($$UPDATE iaros.setting SET value = 'x' WHERE name = 'fx_max_age_days'$$, '23514', NULL,
    'the table itself refuses a value of the wrong kind');
SELECT is((SELECT detail -> 'new' ->> 'value' FROM iaros.audit_list('setting.update') LIMIT 1), '7',
    'a change of a setting is audited');
SELECT throws_ok(format('SELECT iaros.setting_get(%L)', repeat('x', 100)), '42704', NULL, 'a name that is too long is unknown');

SELECT throws_ok($$SELECT iaros.setting_set('fx_max_age_days', '-1')$$, '22023', NULL, 'a number of days is not negative');
SELECT throws_ok($$SELECT iaros.setting_set('fx_max_age_days', '99999999999')$$, '22023', NULL, 'nor beyond integer');
SELECT throws_ok($$SELECT iaros.setting_set('brand_time_zone', 'nowhere/x')$$, '22023', NULL, 'a time zone must exist');
SELECT throws_ok($$SELECT iaros.setting_set('brand_time_zone', 'CET')$$, '22023', NULL, 'and be no abbreviation');
SELECT is(iaros.setting_set('brand_time_zone', 'Europe/Berlin'), 'Europe/Berlin', 'and is taken when it does');

-- In parallel workers, too.
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL force_parallel_mode = on;
SELECT results_eq(
    $$SELECT iaros.setting_get(name), count(*) FROM iaros.setting, generate_series(1, 1000) WHERE name = 'brand_time_zone' GROUP BY 1$$,
    $$VALUES ('Europe/Berlin', 1000::bigint)$$, 'a parallel plan reads the same value');
RESET force_parallel_mode;

-- A row that somebody broke on purpose is no setting, and no crash.
SAVEPOINT broken;
ALTER TABLE iaros.setting ALTER value DROP NOT NULL;
ALTER TABLE iaros.setting DROP CONSTRAINT setting_value_kind;
UPDATE iaros.setting SET value = NULL WHERE name = 'fx_max_age_days';
SELECT throws_ok($$SELECT iaros.setting_get('fx_max_age_days')$$, '42704', NULL, 'a setting without a value is none');
SELECT is(iaros.setting_get('base_currency'), 'USD', 'the others are there');
ROLLBACK TO broken;

-- Rates.
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES
    ('EUR', '2026-01-01', 1.10), ('EUR', '2026-01-05', 1.20), ('JPY', '2026-01-01', 0.0065);
SELECT is(iaros.fx_rate_get('EUR', '2026-01-04'), 1.10, 'the newest rate before the day serves');
SELECT is(iaros.fx_rate_get('EUR', '2026-01-05'), 1.20, 'the rate of the day itself serves');
SELECT is(iaros.fx_rate_get('USD', '1990-01-01'), 1::numeric, 'the base currency is worth 1');
SELECT throws_ok($$SELECT iaros.fx_rate_get('EUR', '2026-01-13')$$, 'P0002', NULL, 'a rate that is too old does not serve');
SELECT is(iaros.fx_rate_get('EUR', '2026-01-12'), 1.20, 'a rate of seven days ago serves');
SELECT throws_ok($$SELECT iaros.fx_rate_get('KWD', '2026-01-04')$$, 'P0002', NULL, 'a missing rate is an error, not a zero');
SELECT throws_ok($$SELECT iaros.fx_rate_get('XXQ', '2026-01-04')$$, '22023', NULL, 'an unknown currency is an error');
SELECT is(iaros.fx_convert(1001, 'JPY', '2026-01-02'), 6.51, 'converted amounts are rounded to the base currency');
SELECT throws_ok($$SELECT iaros.setting_set('base_currency', 'EUR')$$, '55000', NULL,
    'the base currency cannot change once there are rates');
SELECT throws_ok($$INSERT INTO iaros.fx_rate VALUES ('EUR', '2026-02-01', 0)$$, '23514', NULL, 'a rate is positive');

-- Partitions.
INSERT INTO iaros.customer (customer_id) VALUES (900001);
INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES
    (900001, 'login', '2011-03-05', 'web'), (900001, 'login', '2011-03-31 23:59:59+00', 'web'),
    (900001, 'login', '2011-04-01 00:00:00+00', 'web');
SELECT is((SELECT count(*) FROM iaros.event_default), 3::bigint, 'old events wait in the default partition');
SELECT isnt_empty($$SELECT FROM iaros.doctor() WHERE subject = 'table iaros.event_default'$$,
    'doctor() reports rows in the default partition');
SELECT iaros.partition_run();
SELECT results_eq(
    $$SELECT tableoid::regclass::text, count(*) FROM iaros.event WHERE customer_id = 900001 GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('iaros.event_201103', 2::bigint), ('iaros.event_201104', 1)$$,
    'the job moves them into partitions of their month');
SELECT is(iaros.partition_ensure('2011-03-01', '2011-04-30'),
    (SELECT count(*) * 2 FROM pg_class WHERE relnamespace = 'iaros'::regnamespace AND relkind = 'p') - 2,
    'partition_ensure makes only what is missing');
SELECT set_config(name, value, true) FROM (VALUES
    ('timezone', 'America/New_York'), ('datestyle', 'German'), ('intervalstyle', 'iso_8601')) AS v(name, value);
SELECT is(iaros.partition_ensure('2011-03-01', '2011-04-30'), 0::bigint, 'nothing is missing, whatever the session''s styles are');
SELECT is_empty($$SELECT FROM iaros.doctor() WHERE finding ~ 'no partition'$$, 'nor does doctor() think so');
SELECT iaros.partition_add('iaros.event', '2011-06-15');
SELECT set_config(name, value, true) FROM (VALUES
    ('timezone', 'UTC'), ('datestyle', 'ISO'), ('intervalstyle', 'postgres')) AS v(name, value);
SELECT is((SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'event_201106'),
    $$FOR VALUES FROM ('2011-06-01 00:00:00+00') TO ('2011-07-01 00:00:00+00')$$, 'begins and ends at midnight, UTC');
CREATE TABLE iaros.event_201107 (x integer);
SELECT throws_ok($$SELECT iaros.partition_add('iaros.event', '2011-07-01')$$, '42P07', NULL, 'a stranger in place of a partition is an error');
DROP TABLE iaros.event_201107;
SELECT throws_ok($$INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES (900001, 'login', 'infinity', 'web')$$,
    '23514', NULL, 'an event has a time that can be');
SELECT throws_ok($$SELECT iaros.partition_ensure('1900-01-01', '2100-01-01')$$, '54000', NULL,
    'too many partitions at once are refused');

SELECT * FROM finish();
ROLLBACK;
