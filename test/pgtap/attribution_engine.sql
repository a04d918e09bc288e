-- attribution_refresh(): after any changes the increments give the rows that
-- a run over everything gives, and these are those of plain SQL.
BEGIN;
SET client_min_messages = warning;
SELECT plan(83);

INSERT INTO iaros.customer (customer_id) SELECT 800000 + n FROM generate_series(1, 24) n;
SELECT iaros.campaign_create('ENGINE1', 'Test', 'email', 'winback-1', 'Champions', message_cost_base => 0.5) AS campaign \gset

-- Touchpoints of a round: about so many, in the ninety days before a time.
CREATE FUNCTION pg_temp.touch(r integer, how_many integer, before timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO iaros.touchpoint (customer_id, occurred_at, channel, kind, campaign_id, campaign, stage, cost_base, source)
    SELECT 800001 + iaros.chance_int(n, r, 1, 24),
        before - iaros.chance_int(n, r, 2, 180) * interval '12 hours' - (iaros.chance_int(n, r, 9, 3) * interval '11 minutes'),
        (ARRAY['email', 'direct', 'display', 'paid_search'])[1 + iaros.chance_int(n, r, 3, 4)],
        (ARRAY['impression', 'click', 'visit', 'open'])[1 + iaros.chance_int(n, r, 4, 4)],
        (SELECT c.campaign_id FROM iaros.campaign c WHERE c.name = 'Test' AND iaros.chance_int(n, r, 10, 8) = 0),
        (ARRAY['summer', 'winter', NULL])[1 + iaros.chance_int(n, r, 5, 3)],
        (ARRAY['lead', 'opportunity', NULL, NULL, NULL, NULL])[1 + iaros.chance_int(n, r, 6, 6)], 0.25, 'web'
    FROM generate_series(1, how_many) n
$$;
CREATE FUNCTION pg_temp.convert(r integer, how_many integer, before timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO iaros.conversion (customer_id, occurred_at, kind, value_base, source)
    SELECT 800001 + iaros.chance_int(n, r, 11, 24), before - iaros.chance_int(n, r, 12, 180) * interval '12 hours',
        (ARRAY['booking', 'booking', 'signup'])[1 + iaros.chance_int(n, r, 14, 3)], iaros.chance_int(n, r, 13, 100000) / 100.0, 'web'
    FROM generate_series(1, how_many) n
$$;
-- One change of some kind.
CREATE FUNCTION pg_temp.change(r integer, before timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    one bigint := 800001 + iaros.chance_int(r, 7, 1, 24);
    two bigint := 800001 + iaros.chance_int(r, 7, 2, 24);
BEGIN
    CASE iaros.chance_int(r, 7, 3, 10)
        WHEN 0 THEN
            PERFORM pg_temp.touch(1000 + r, 1 + iaros.chance_int(r, 7, 4, 5), before);
            RETURN 'late touchpoints';
        WHEN 1 THEN
            PERFORM pg_temp.convert(1000 + r, 1 + iaros.chance_int(r, 7, 4, 3), before);
            RETURN 'late conversions';
        WHEN 2 THEN
            DELETE FROM iaros.touchpoint t WHERE t.customer_id = one AND iaros.chance_int(t.touchpoint_id, r, 8, 3) = 0;
            RETURN 'deleted touchpoints';
        WHEN 3 THEN
            DELETE FROM iaros.conversion c WHERE c.customer_id = one AND iaros.chance_int(c.conversion_id, r, 8, 3) = 0;
            RETURN 'deleted conversions';
        WHEN 4 THEN
            UPDATE iaros.touchpoint t SET occurred_at = t.occurred_at - interval '20 days', channel = 'email' WHERE t.customer_id = one
                AND iaros.chance_int(t.touchpoint_id, r, 8, 3) = 0;
            UPDATE iaros.touchpoint t SET customer_id = two WHERE t.customer_id = one AND iaros.chance_int(t.touchpoint_id, r, 9, 5) = 0;
            RETURN 'moved touchpoints';
        WHEN 5 THEN
            UPDATE iaros.conversion c SET value_base = value_base + 0.01, occurred_at = occurred_at + interval '3 days' WHERE c.customer_id = one;
            RETURN 'changed conversions';
        WHEN 6 THEN
            IF one <> two AND one <> iaros.customer_resolve(two) THEN
                PERFORM iaros.customer_recognise(one, two);
            END IF;
            RETURN 'an alias';
        WHEN 7 THEN
            PERFORM iaros.customer_separate(a.customer_id) FROM iaros.customer_alias a ORDER BY a.customer_id LIMIT 1;
            RETURN 'an alias less';
        WHEN 8 THEN
            IF iaros.chance_int(r, 7, 5, 3) = 0 THEN
                DELETE FROM iaros.campaign c WHERE c.name = 'Test';
            ELSE
                UPDATE iaros.campaign c SET code = 'ENGINE' || r WHERE c.name = 'Test';
            END IF;
            RETURN 'another code';
        ELSE
            RETURN 'nothing but the clock';
    END CASE;
END $$;
-- What is stored, as one text; states and sets have one form.
CREATE FUNCTION pg_temp.stored() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(l.line, E'\n' ORDER BY l.line COLLATE "C")) FROM (
        SELECT p::text AS line FROM iaros.attribution_path p
        UNION ALL
        SELECT d::text FROM iaros.attribution_day d) l
$$;
-- The path of every conversion of a scheme that keeps repetitions, in SQL.
CREATE FUNCTION pg_temp.slow(days integer) RETURNS TABLE (conversion_id bigint, path text) LANGUAGE sql AS $$
    SELECT c.conversion_id, coalesce(string_agg(t.channel, ' > ' ORDER BY t.occurred_at, t.channel COLLATE "C", t.campaign COLLATE "C" NULLS FIRST), '')
    FROM iaros.conversion c
    LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
    LEFT JOIN (
        SELECT DISTINCT coalesce(b.master_id, x.customer_id) AS person, x.occurred_at, x.channel, x.kind, x.campaign, x.stage, x.touchpoint_id
        FROM iaros.touchpoint x LEFT JOIN iaros.customer_alias b ON b.customer_id = x.customer_id) t
        ON t.person = coalesce(a.master_id, c.customer_id)
        AND t.occurred_at >= c.occurred_at - make_interval(days => days) AND t.occurred_at < c.occurred_at
    GROUP BY c.conversion_id
$$;

INSERT INTO iaros.attribution_scheme (scheme, description, "window", models) VALUES ('plain', 'Ten days, all touchpoints', '10 days', '{linear,last}');
INSERT INTO iaros.attribution_scheme (scheme, description, "window", models) VALUES ('short', 'Forty minutes', '40 minutes', '{last}');
INSERT INTO iaros.attribution_scheme (scheme, description, "window", view_window, dedupe, click_over_view, restart, conversion_kinds, models)
VALUES ('strict', 'All rules', '20 days', '2 days', '1 day', true, true, '{booking}', '{w_shaped_stage}');
SELECT pg_temp.touch(1, 400, '2025-06-01');
SELECT pg_temp.convert(1, 60, '2025-06-01');
SELECT cmp_ok(iaros.attribution_refresh('2025-06-01'), '>', 180::bigint, 'the first run fills all schemes');
SELECT bag_eq($$SELECT scheme, whole FROM iaros.attribution_run$$, $$VALUES ('standard', true), ('plain', true), ('short', true), ('strict', true)$$, 'it was whole');
SELECT is(iaros.attribution_refresh('2025-06-01'), 0::bigint, 'the second one changes nothing');
SELECT is((SELECT bool_or(whole) FROM iaros.attribution_run), false, 'and is an increment');

-- Keep it an increment however few customers there are.
UPDATE pg_class SET reltuples = 100000 WHERE oid = 'iaros.customer'::regclass;
CREATE TEMP TABLE round (r integer PRIMARY KEY, what text, ok boolean, increment boolean);
DO $$
DECLARE
    n integer;
    did text;
    incremental text;
    at timestamptz;
    increment boolean;
BEGIN
    FOR n IN 1 .. 60 LOOP
        at := timestamptz '2025-06-01' + n * interval '17 hours';
        did := pg_temp.change(n, at);
        IF iaros.chance_int(n, 7, 20, 3) = 0 THEN
            did := did || ', ' || pg_temp.change(n + 500, at);
        END IF;
        PERFORM iaros.attribution_refresh(at);
        increment := NOT (SELECT bool_or(whole) FROM iaros.attribution_run);
        incremental := pg_temp.stored();
        PERFORM iaros.attribution_refresh(at, whole => true);
        INSERT INTO round VALUES (n, did, incremental = pg_temp.stored(), increment);
    END LOOP;
END $$;
SELECT is_empty('SELECT r, what FROM round WHERE NOT ok', 'sixty rounds of changes: increments give what a whole run gives');
SELECT is_empty('SELECT r FROM round WHERE NOT increment', 'all of them were increments');
SELECT cmp_ok((SELECT count(DISTINCT split_part(what, ',', 1)) FROM round), '=', 10::bigint, 'of every kind of change');
SELECT set_eq($$SELECT conversion_id, iaros.touch_path_text(path) FROM iaros.attribution_path WHERE scheme = 'plain' AND conversion_id <> 0$$,
    'SELECT * FROM pg_temp.slow(10)', 'the paths of conversions are those of plain SQL');
SELECT is((SELECT sum(iaros.touch_path_length(path)) FROM iaros.attribution_path WHERE scheme = 'plain' AND conversion_id = 0),
    (SELECT count(*) FROM iaros.touchpoint t
     LEFT JOIN iaros.customer_alias a ON a.customer_id = t.customer_id
     WHERE NOT EXISTS (SELECT FROM iaros.conversion c LEFT JOIN iaros.customer_alias b ON b.customer_id = c.customer_id
         WHERE coalesce(b.master_id, c.customer_id) = coalesce(a.master_id, t.customer_id)
           AND t.occurred_at >= c.occurred_at - interval '10 days' AND t.occurred_at < c.occurred_at)
       AND NOT EXISTS (
         -- Its journey is still open: from it, never ten days without a touch, to less than ten days ago.
         WITH RECURSIVE next AS (
             SELECT t.occurred_at AS at
             UNION
             SELECT x.occurred_at FROM next n JOIN iaros.touchpoint x ON x.occurred_at > n.at AND x.occurred_at <= n.at + interval '10 days'
             LEFT JOIN iaros.customer_alias y ON y.customer_id = x.customer_id
             WHERE coalesce(y.master_id, x.customer_id) = coalesce(a.master_id, t.customer_id)
               AND NOT EXISTS (SELECT FROM iaros.conversion c LEFT JOIN iaros.customer_alias b ON b.customer_id = c.customer_id
                   WHERE coalesce(b.master_id, c.customer_id) = coalesce(a.master_id, t.customer_id)
                     AND x.occurred_at >= c.occurred_at - interval '10 days' AND x.occurred_at < c.occurred_at))
         SELECT FROM next WHERE at + interval '10 days' > timestamptz '2025-06-01' + 60 * interval '17 hours')),
    'and each other touchpoint is in one journey that ended without');
SELECT is((SELECT count(*) FROM iaros.attribution_day), (SELECT 2 * count(DISTINCT (scheme, day)) FROM iaros.attribution_path), 'a day has its two rows');
SELECT is((SELECT count(*) FROM iaros.attribution_stale), 0::bigint, 'no day is left over');

-- Reports of the days and reports of the tables themselves agree.
SELECT set_eq(format($$SELECT key, conversions, credit FROM iaros.analytics_attribution(%L, '2025-04-01', '2025-05-01', %L, 'plain') WHERE conversions > 0$$, m.model, b.by),
    format($$SELECT key, conversions, credit FROM iaros.attribution_report(%L, '2025-04-01', '2025-05-01', '10 days', %L) WHERE conversions > 0$$, m.model, b.by),
    format('a month of %s by %s is the same of days and of tables', m.model, b.by))
FROM (VALUES ('linear'), ('last'), ('first'), ('time_decay(3 days)')) AS m(model) CROSS JOIN (VALUES ('channel')) AS b(by) ORDER BY 1;
-- From the beginning, since a report of the tables cuts journeys without a
-- conversion a window before it begins.
SELECT set_eq(format($$SELECT key, conversions, credit FROM iaros.analytics_attribution(%L, NULL, '2025-05-01', %L, 'plain')$$, m.model, b.by),
    format($$SELECT key, conversions, credit FROM iaros.attribution_report(%L, '-infinity', '2025-05-01', '10 days', %L)$$, m.model, b.by),
    format('what %s by %s makes of journeys without a conversion is the same of days and of tables', m.model, b.by))
FROM (VALUES ('markov'), ('markov(2)'), ('shapley(rate)'), ('shapley')) AS m(model) CROSS JOIN (VALUES ('channel'), ('campaign')) AS b(by) ORDER BY 1;
SELECT cmp_ok((SELECT sum(nulls) FROM iaros.path_top(iaros.analytics_journey_paths(NULL, '2025-05-01', scheme => 'plain'), NULL)), '>', 30::numeric, 'there are such journeys');
-- One that begins where no journey is cut.
SELECT set_eq($$SELECT key, conversions, credit FROM iaros.analytics_attribution('markov', '2025-04-20', '2025-05-01', 'channel', 'short')$$,
    $$SELECT key, conversions, credit FROM iaros.attribution_report('markov', '2025-04-20', '2025-05-01', '40 minutes', 'channel')$$,
    'also of some days');
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution(m.model, scheme => 'plain', by => b.by)), (SELECT round(sum(value_base), 4) FROM iaros.conversion),
    format('the credits of %s by %s add up to the value of all conversions', m.model, b.by))
FROM (VALUES ('linear'), ('u_shaped'), ('markov'), ('markov(2)')) AS m(model) CROSS JOIN (VALUES ('channel'), ('campaign')) AS b(by) ORDER BY 1;
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution('w_shaped_stage', scheme => 'strict')), (SELECT round(sum(value_base), 4) FROM iaros.conversion WHERE kind = 'booking'),
    'a scheme of some kinds of conversions adds up to these');
SELECT set_eq(format($$SELECT period, sum(credit) FROM iaros.analytics_attribution(%L, by => %L, scheme => 'plain', grain => %L) GROUP BY 1$$, m.model, b.by, g.grain),
    format($$SELECT date_trunc(%L, p.day::timestamp)::date, round(sum(p.value_base), 4) FROM iaros.attribution_path p WHERE p.scheme = 'plain' AND p.conversion_id <> 0 GROUP BY 1
        UNION SELECT date_trunc(%1$L, c.day::timestamp)::date, 0 FROM iaros.attribution_cost(daily => true) c
        WHERE date_trunc(%1$L, c.day::timestamp) NOT IN (SELECT date_trunc(%1$L, p.day::timestamp) FROM iaros.attribution_path p WHERE p.scheme = 'plain' AND p.conversion_id <> 0)$$, g.grain),
    format('%s by %s: each %s adds up to its conversions', m.model, b.by, g.grain))
FROM (VALUES ('linear', 'channel', 'day'), ('linear', 'campaign', 'week'), ('u_shaped', 'campaign', 'month'), ('markov', 'channel', 'month'), ('last', 'channel', 'quarter'), ('last', 'channel', 'year')) AS m(model, x, y)
CROSS JOIN LATERAL (SELECT m.x) AS b(by) CROSS JOIN LATERAL (SELECT m.y) AS g(grain);
SELECT set_eq($$SELECT key, conversions, credit, cost FROM iaros.analytics_attribution('markov', scheme => 'plain', grain => 'month') WHERE period = '2025-05-01'$$,
    $$SELECT key, conversions, credit, cost FROM iaros.analytics_attribution('markov', '2025-05-01', '2025-06-01', scheme => 'plain')$$, 'a month among others is that month alone');
SELECT is((SELECT sum(cost) FROM iaros.analytics_attribution(by => 'campaign', grain => 'week')), (SELECT sum(cost) FROM iaros.attribution_cost()), 'so do the costs');
SELECT throws_ok($$SELECT * FROM iaros.analytics_attribution(scheme => 'none')$$, '42704', NULL, 'a scheme that does not exist is refused');
SELECT throws_ok($$SELECT * FROM iaros.analytics_attribution('best')$$, '22023', NULL, 'so is a model');
SELECT throws_ok($$SELECT * FROM iaros.analytics_attribution(by => 'hour')$$, '22023', NULL, 'and what credit does not go by');
SELECT throws_ok($$SELECT * FROM iaros.analytics_attribution(grain => 'hour')$$, '22023', NULL, 'or no period');
INSERT INTO iaros.attribution_scheme (scheme, description, models) VALUES ('fresh', 'Never refreshed', '{last}'), ('off', 'Switched off', '{last}');
UPDATE iaros.attribution_scheme SET enabled = false WHERE scheme = 'off';
SELECT throws_ok(format($$SELECT * FROM %s(scheme => %L)$$, f.f, s.s), '55000', format('attribution scheme "%s" was never refreshed', s.s), format('%s of scheme %s is refused', f.f, s.s))
FROM unnest('{iaros.analytics_attribution,iaros.analytics_returns,iaros.analytics_journey,iaros.analytics_journey_steps,iaros.analytics_journey_paths}'::text[]) AS f(f)
CROSS JOIN unnest('{fresh,off}'::text[]) AS s(s);
SELECT results_eq($$SELECT subject, finding FROM iaros.attribution_doctor() WHERE subject ~ 'scheme'$$, $$VALUES ('attribution scheme fresh', 'it was never refreshed')$$, 'the doctor tells of the one that is on');
DELETE FROM iaros.attribution_scheme WHERE scheme IN ('fresh', 'off');
UPDATE iaros.attribution_run SET ran_at = ran_at - interval '4 hours' WHERE scheme = 'plain';
DELETE FROM iaros.attribution_change;
SELECT is_empty($$SELECT * FROM iaros.attribution_doctor() WHERE subject ~ 'scheme'$$, 'and of none that has nothing to do');
INSERT INTO iaros.attribution_change (customer_id) VALUES (800001);
SELECT results_eq($$SELECT subject FROM iaros.attribution_doctor() WHERE subject ~ 'scheme'$$, $$VALUES ('attribution scheme plain')$$, 'but of one that is late');
SELECT throws_ok($$SELECT iaros.attribution_refresh('infinity')$$, '22023', NULL, 'a run is as of a time');

SELECT throws_ok($$UPDATE iaros.attribution_scheme SET models = '{linear,markov}' WHERE scheme = 'plain'$$, '22023', NULL, 'a scheme keeps rules only');
SELECT throws_ok($$UPDATE iaros.attribution_scheme SET models = '{linear,best}' WHERE scheme = 'plain'$$, '22023', NULL, 'that exist');
SELECT throws_ok(format('UPDATE iaros.attribution_scheme SET %s WHERE scheme = %L', c.change, 'plain'), '23514', NULL, c.change || ' is refused')
FROM (VALUES ($$"window" = '400 days', view_window = '1 year'$$), ($$dedupe = '1 year'$$), ($$"window" = '1 mon'$$), ($$"window" = '40000 days'$$), ($$view_window = '11 days'$$)) AS c(change);
SET LOCAL intervalstyle = 'sql_standard';
SELECT iaros.attribution_refresh('2025-07-31 12:00') >= 0 AS refreshed;
SELECT is((SELECT count(*) FROM iaros.attribution_run r WHERE r.whole), 0::bigint, 'how intervals are shown does not matter');
RESET intervalstyle;

-- Journeys of some.
SELECT iaros.segment_create('Engine test') AS engine_test \gset
INSERT INTO iaros.segment_membership (customer_id, segment_ids) SELECT 800000 + n, ARRAY[:engine_test] FROM generate_series(11, 16) n
ON CONFLICT (customer_id) DO UPDATE SET segment_ids = excluded.segment_ids;
SELECT iaros.segment_refresh() >= 0 AS refreshed;
SELECT is((SELECT sum(journeys) FROM iaros.analytics_journey(segment => 'Engine test', top => NULL, scheme => 'plain')),
    (SELECT count(*)::numeric FROM iaros.attribution_path p WHERE p.scheme = 'plain'
        AND iaros.customer_resolve(p.customer_id) IN (SELECT iaros.customer_resolve(800000 + n) FROM generate_series(11, 16) n)), 'the journeys of a segment');
SELECT is((SELECT sum(journeys) FROM iaros.analytics_journey(customer_id => 800012, top => NULL, scheme => 'plain')),
    (SELECT count(*)::numeric FROM iaros.attribution_path p WHERE p.scheme = 'plain' AND iaros.customer_resolve(p.customer_id) = iaros.customer_resolve(800012)), 'and of a person');
SELECT is((SELECT sum(journeys) FROM iaros.analytics_journey_steps('2025-05-01', '2025-06-01', scheme => 'plain') WHERE step = 1),
    (SELECT count(*)::numeric FROM iaros.attribution_path p WHERE p.scheme = 'plain' AND p.day >= '2025-05-01' AND p.day < '2025-06-01'), 'every journey has a first step');

-- Other terms, less schemes, customers that go.
UPDATE iaros.attribution_scheme SET "window" = '5 days' WHERE scheme = 'plain';
SELECT iaros.attribution_refresh('2025-08-01');
SELECT set_eq($$SELECT conversion_id, iaros.touch_path_text(path) FROM iaros.attribution_path WHERE scheme = 'plain' AND conversion_id <> 0$$,
    'SELECT * FROM pg_temp.slow(5)', 'a scheme that changed is computed anew');
UPDATE iaros.attribution_scheme SET models = '{weight}' WHERE scheme = 'plain';
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution('weight', scheme => 'plain')), (SELECT round(sum(value_base), 4) FROM iaros.conversion),
    'until the refresh a model that is new to a scheme comes of the paths');
SELECT iaros.attribution_refresh('2025-08-01');
SELECT is((SELECT string_agg(DISTINCT r.model, ' ') FROM iaros.attribution_day d, iaros.attribution_rows(d.credits) r WHERE d.scheme = 'plain'), 'weight', 'so are its models');
UPDATE iaros.attribution_scheme SET enabled = false WHERE scheme = 'strict';
SELECT iaros.attribution_refresh('2025-08-01');
SELECT is((SELECT count(*) FROM iaros.attribution_path WHERE scheme = 'strict') + (SELECT count(*) FROM iaros.attribution_day WHERE scheme = 'strict')
    + (SELECT count(*) FROM iaros.attribution_stale WHERE scheme = 'strict') + (SELECT count(*) FROM iaros.attribution_run WHERE scheme = 'strict'), 0::bigint,
    'a scheme that is switched off leaves nothing');
DELETE FROM iaros.customer WHERE customer_id BETWEEN 800001 AND 800010;
SELECT is((SELECT count(*) FROM iaros.attribution_path WHERE customer_id BETWEEN 800001 AND 800010), 0::bigint, 'paths go with their customer');
SELECT iaros.attribution_refresh('2025-08-01');
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution('linear')), (SELECT round(sum(value_base), 4) FROM iaros.conversion), 'and the days follow');
-- A scheme that fails.
UPDATE iaros.conversion SET value_base = value_base + 1 WHERE conversion_id = (SELECT min(conversion_id) FROM iaros.conversion);
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = 'too much';
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON iaros.attribution_path FOR EACH ROW WHEN (NEW.scheme = 'plain') EXECUTE FUNCTION pg_temp.refuse();
SELECT iaros.attribution_refresh('2025-08-02');
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution('linear')), (SELECT round(sum(value_base), 4) FROM iaros.conversion), 'a scheme that fails does not hold up the others');
SELECT is((SELECT message FROM iaros.alert WHERE kind = 'attribution_failed' AND object = 'plain' AND resolved_at IS NULL), 'attribution scheme "plain" could not be refreshed: too much', 'it raises an alert');
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution('linear', scheme => 'plain')), (SELECT round(sum(value_base), 4) - 1 FROM iaros.conversion), 'and keeps its rows');
DROP TRIGGER refuse ON iaros.attribution_path;
SELECT iaros.attribution_refresh('2025-08-02');
SELECT is((SELECT sum(credit) FROM iaros.analytics_attribution('linear', scheme => 'plain')), (SELECT round(sum(value_base), 4) FROM iaros.conversion), 'the next refresh makes up for it');

-- Days of a window have 24 hours wherever the session is: clocks in Berlin
-- went forward on 2024-03-31.
INSERT INTO iaros.customer (customer_id) VALUES (800100);
INSERT INTO iaros.touchpoint (customer_id, occurred_at, channel, kind, source) VALUES (800100, '2024-03-30 12:30+00', 'post', 'click', 'web');
INSERT INTO iaros.conversion (customer_id, occurred_at, value_base, source) VALUES (800100, '2024-03-31 12:00+00', 100, 'web'), (800100, '2024-03-31 12:45+00', 1, 'web');
CREATE FUNCTION pg_temp.reports() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ',
        (SELECT string_agg(format('%s %s %s', r.key, r.conversions, r.credit), ', ' ORDER BY r.key)
         FROM iaros.attribution_report('last', '2024-03-31 12:00+00', '2024-03-31 13:00+00', '1 day') r),
        (SELECT string_agg(coalesce(l.channel, 'none') || ' ' || l.value_base, ', ' ORDER BY l.occurred_at)
         FROM iaros.attribution_last_touch('2024-03-31 12:00+00', '2024-03-31 13:00+00', '1 day') l))
$$;
SELECT is(pg_temp.reports(), 'none 1 1.0000, post 1 100.0000 post 100.0000, none 1.0000', 'a window of a day in UTC');
SET LOCAL timezone = 'Europe/Berlin';
SELECT is(pg_temp.reports(), 'none 1 1.0000, post 1 100.0000 post 100.0000, none 1.0000', 'and in Berlin when the clocks go forward');
SELECT * FROM finish();
ROLLBACK;
