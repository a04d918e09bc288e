-- Last touch: windows, ties, aliases, costs, and sums to the cent.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
BEGIN;
CREATE FUNCTION pg_temp.id(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_create('crm', who) $$;
SELECT iaros.campaign_create('SPRING', 'Spring', 'email', 'promotional') AS spring \gset

-- a: a search, then a mail; the visit at the moment of the booking is no touch before it
SELECT count(t) FROM (
    SELECT iaros.touchpoint_record(pg_temp.id('a'), 'paid_search', '2026-01-10 10:00Z', cost_base => 1.50) AS t
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('a'), 'email', '2026-01-12 10:00Z', campaign_id => :spring)
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('a'), 'direct', '2026-01-13 10:00Z', kind => 'visit')
    -- b: the only touch is 30 days and a second before, c: 30 days before
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('b'), 'display', '2025-12-14 09:59:59Z', kind => 'impression', cost_base => 0.02)
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('c'), 'display', '2025-12-14 10:00Z', kind => 'impression', cost_base => 0.02)
    -- e: two at the same moment; the last by name counts
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('e'), 'social', '2026-01-12 10:00Z')
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('e'), 'paid_search', '2026-01-12 10:00Z', cost_base => 2.25)
    -- f was seen as an anonymous visitor g
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('g'), 'affiliate', '2026-01-12 10:00Z', cost_base => 10)) AS x;
SELECT iaros.customer_recognise(pg_temp.id('g'), pg_temp.id('f'));
SELECT count(c) FROM (
    SELECT iaros.conversion_record(pg_temp.id('a'), 100.01, '2026-01-13 10:00Z') AS c
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('b'), 200.02, '2026-01-13 10:00Z')
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('c'), 300.03, '2026-01-13 10:00Z')
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('d'), 0.33, '2026-01-13 10:00Z')
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('e'), 400.04, '2026-01-13 10:00Z')
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('f'), 500.05, '2026-01-13 10:00Z')
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('f'), 7, '2026-02-01 00:00Z')) AS x;

SELECT k.external_id AS who, l.occurred_at, l.value_base, l.channel, l.touched_at
FROM iaros.attribution_last_touch() l JOIN iaros.customer_key k USING (customer_id) ORDER BY 1, 2;
SELECT * FROM iaros.attribution_last();
SELECT * FROM iaros.attribution_last(by => 'campaign');
SELECT * FROM iaros.attribution_last('2026-01-01', '2026-02-01');
SELECT * FROM iaros.attribution_last("window" => '1 day');
SELECT * FROM iaros.attribution_last('2026-02-01', '2026-03-01', '60 days');
SELECT * FROM iaros.attribution_last('2030-01-01');
SELECT by, sum(l.credit) = (SELECT sum(value_base) FROM iaros.conversion) AS exact, sum(l.conversions)
FROM unnest('{channel,campaign}'::text[]) AS by, iaros.attribution_last(by => by) AS l GROUP BY by ORDER BY by;
SELECT iaros.customer_separate(pg_temp.id('g'));
SELECT key, conversions, credit FROM iaros.attribution_last() WHERE key IN ('none', 'affiliate');

SELECT * FROM iaros.attribution_last("window" => '0');
SELECT * FROM iaros.attribution_last("window" => NULL);
SELECT * FROM iaros.attribution_last(by => 'moon');
\set VERBOSITY sqlstate
SELECT * FROM iaros.attribution_last(by => NULL);
SELECT * FROM iaros.attribution_last_touch("window" => '-1 day');
ROLLBACK;
