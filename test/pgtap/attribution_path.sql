-- attribution: paths and rule models against slow and plain SQL.
BEGIN;
SELECT plan(33);
SET LOCAL search_path = public, iaros;
CREATE TEMPORARY TABLE touch AS
SELECT iaros.chance_int(i, 3, 1, 400) AS customer, timestamptz '2026-01-01' + iaros.chance_int(i, 3, 2, 4000) * interval '7 minutes'
        + CASE WHEN i % 5 = 0 THEN iaros.chance_int(i, 3, 9, 1000000) * interval '1 microsecond' ELSE interval '0' END AS at,
    (ARRAY['email', 'direct', 'paid search', 'Display', 'Fernsehen ü', 'x'])[1 + iaros.chance_int(i, 3, 3, 6)] AS channel,
    CASE WHEN iaros.chance(i, 3, 4) < 0.4 THEN 'c' || iaros.chance_int(i, 3, 5, 3) END AS campaign,
    CASE WHEN iaros.chance(i, 3, 6) < 0.3 THEN iaros.chance_int(i, 3, 7, 5) / 2.0 END::float8 AS weight,
    (ARRAY['lead', 'opportunity'])[1 + iaros.chance_int(i, 3, 8, 20)] AS stage
FROM generate_series(1, 3000) AS i;
CREATE TEMPORARY TABLE path AS
SELECT customer, iaros.touch_path_agg(at, channel, campaign, weight, stage) AS path,
    (iaros.chance_int(customer, 4, 1, 200000) - 20000) / 100.0 AS value
FROM touch GROUP BY customer;

SELECT set_eq($$SELECT p.customer, t.position::bigint, t.at, t.channel, t.campaign, t.weight, t.stage FROM path p, iaros.touch_path_touches(p.path) t$$,
    $$SELECT customer, row_number() OVER (PARTITION BY customer ORDER BY at, channel COLLATE "C", campaign COLLATE "C" NULLS FIRST, stage NULLS FIRST, coalesce(weight, 1)),
        at, channel, campaign, coalesce(weight, 1), stage FROM touch$$, 'a path has the touches in order');
SELECT is((SELECT count(*) FROM path WHERE path::text::iaros.touch_path <> path), 0::bigint, 'text reads back to the same path');
SELECT is((SELECT count(*) FROM path p JOIN (SELECT customer, iaros.touch_path_agg(at, channel, campaign, weight, stage) AS path
        FROM (SELECT * FROM touch ORDER BY md5(at::text || channel)) t GROUP BY customer) q USING (customer) WHERE p.path <> q.path), 0::bigint,
    'the order of rows does not matter');
SELECT is((SELECT count(*) FROM path p JOIN (SELECT customer, iaros.touch_path_merge(part) AS path
        FROM (SELECT customer, iaros.touch_path_agg(at, channel, campaign, weight, stage) AS part FROM touch
              GROUP BY customer, iaros.chance_int(extract(epoch FROM at)::bigint, 1, 1, 3)) t GROUP BY customer) q USING (customer) WHERE p.path <> q.path), 0::bigint,
    'paths of parts merge to the whole');
SELECT is((SELECT count(DISTINCT path) FROM path), (SELECT count(DISTINCT path::text) FROM path), 'paths are equal when their text is');
SELECT is((SELECT array_agg(path ORDER BY path, customer) FROM path), (SELECT array_agg(path ORDER BY iaros.touch_path_send(path), customer) FROM path), 'paths are in the order of bytes');
SELECT is((SELECT count(*) FROM touch t, LATERAL (SELECT iaros.touch_path_length(iaros.touch_path_agg(at, channel) OVER (PARTITION BY customer ORDER BY at, channel ROWS UNBOUNDED PRECEDING)) AS n,
        row_number() OVER () AS i FROM touch w WHERE w.customer = t.customer) x WHERE x.n <> x.i AND t.customer < 20), 0::bigint, 'a window sees each path as it grows');

SELECT set_eq($$SELECT customer, t.channel, t.at FROM path, iaros.touch_path_touches(iaros.touch_path_unique(path)) t$$,
    $$SELECT customer, channel, min(at) FROM touch GROUP BY 1, 2$$, 'unique keeps the first touch of a channel');
SELECT set_eq($$SELECT customer, t.channel, t.at FROM path, iaros.touch_path_touches(iaros.touch_path_unique(path, 'last')) t$$,
    $$SELECT customer, channel, max(at) FROM touch GROUP BY 1, 2$$, 'or the last');
SELECT is((SELECT count(*) FROM path WHERE (iaros.touch_path_exposure(path))::text[] <> ARRAY(
        SELECT c FROM (SELECT c, lag(c) OVER (ORDER BY n) AS before, n FROM unnest(path::text[]) WITH ORDINALITY u(c, n)) x WHERE c IS DISTINCT FROM before ORDER BY n)), 0::bigint,
    'exposure leaves one touch of each run');
SELECT is((SELECT count(*) FROM path WHERE (iaros.touch_path_drop(path, '{direct,x}', false))::text[] <> ARRAY(
        SELECT c FROM unnest(path::text[]) WITH ORDINALITY u(c, n) WHERE c NOT IN ('direct', 'x') ORDER BY n)), 0::bigint, 'drop leaves out channels');

-- Models: an exact reference in numeric, formula by formula.
CREATE FUNCTION pg_temp.weights(model text, path iaros.touch_path) RETURNS TABLE (pos integer, channel text, w numeric) LANGUAGE sql AS $$
    SELECT t.position, t.channel, CASE model
        WHEN 'first' THEN (t.position = 1)::int
        WHEN 'last' THEN (t.position = n)::int
        WHEN 'last_non_direct' THEN (t.position = coalesce(nd, n))::int
        WHEN 'linear' THEN 1
        WHEN 'time_decay(2 days)' THEN power(2::numeric, (extract(epoch FROM t.at - last) / 172800)::numeric)
        WHEN 'u_shaped' THEN CASE WHEN n = 1 THEN 1 WHEN t.position IN (1, n) THEN 0.4 ELSE 0.2 / (n - 2) END
        WHEN 'w_shaped' THEN CASE WHEN n <= 2 THEN 1 WHEN t.position IN (1, (n + 1) / 2, n) THEN 0.3 ELSE 0.1 / (n - 3) END
        WHEN 'w_shaped_stage' THEN CASE WHEN t.position = 1 THEN 0.3 ELSE 0 END + CASE WHEN t.position = lead THEN 0.3 ELSE 0 END
            + CASE WHEN t.position = opp THEN 0.3 ELSE 0 END
            + CASE WHEN t.position = 1 OR t.position IS NOT DISTINCT FROM lead OR t.position IS NOT DISTINCT FROM opp THEN 0 ELSE 0.1 / (n - anchors) END
        WHEN 'custom(5, 3, 1)' THEN CASE t.position WHEN 1 THEN 5 WHEN 2 THEN 3 ELSE 1 END
        WHEN 'weight' THEN CASE WHEN total = 0 THEN 1 ELSE t.weight END
    END::numeric
    FROM (SELECT s.*, count(DISTINCT a) AS anchors FROM (SELECT count(*) AS n, max(at) AS last, sum(weight) AS total, max(position) FILTER (WHERE channel <> 'direct') AS nd,
              min(position) FILTER (WHERE stage = 'lead') AS lead, min(position) FILTER (WHERE stage = 'opportunity') AS opp FROM iaros.touch_path_touches(path)) s,
              unnest(ARRAY[1, s.lead, s.opp]) a GROUP BY 1, 2, 3, 4, 5, 6) s, iaros.touch_path_touches(path) t $$;
CREATE TEMPORARY TABLE model AS SELECT m FROM unnest('{first,last,last_non_direct,linear,time_decay(2 days),u_shaped,w_shaped,w_shaped_stage,"custom(5, 3, 1)",weight}'::text[]) AS m;
CREATE TEMPORARY TABLE credit AS
SELECT p.customer, m.m, c.*, p.value FROM path p, model m, iaros.attribution_credit(p.path, p.value, m.m) c;
SELECT is((SELECT count(*) FROM (SELECT p.customer, m.m, w.pos, w.w / sum(w.w) OVER (PARTITION BY p.customer, m.m) AS share FROM path p, model m, pg_temp.weights(m.m, p.path) w) w
    FULL JOIN credit c ON c.customer = w.customer AND c.m = w.m AND c.position = w.pos
    WHERE (abs(c.share - w.share::float8) < 1e-9 AND abs(c.credit - c.value * w.share) <= 0.01) IS NOT TRUE), 0::bigint, 'shares and credits are those of the formulas');
SELECT is((SELECT count(*) FROM (SELECT customer, m, sum(credit) AS credit, min(value) AS value FROM credit GROUP BY 1, 2) c WHERE credit <> value), 0::bigint, 'credits of a conversion add up to its value');
SELECT is((SELECT count(*) FROM credit WHERE credit <> round(credit, 2)), 0::bigint, 'in whole cents');

CREATE TEMPORARY TABLE state AS SELECT iaros.attribution_agg(path, value, (SELECT array_agg(m) FROM model)) AS state FROM path;
SELECT set_eq($$SELECT replace(replace(r.model, '(0.4, 0.4)', ''), '(0.3, 0.3, 0.3)', ''), r.channel, r.credit FROM state, iaros.attribution_rows(state) r WHERE r.channel IS NOT NULL$$,
    $$SELECT m, channel, sum(credit) FROM credit GROUP BY 1, 2$$, 'the aggregate adds up the credits of each conversion');
SELECT set_eq($$SELECT DISTINCT sum(credit) AS credit, sum(conversions) AS n FROM state, iaros.attribution_rows(state) r GROUP BY r.model$$,
    $$SELECT sum(value) AS credit, count(*)::numeric AS n FROM path$$, 'credits and conversions of each model add up');
SELECT is((SELECT iaros.attribution_agg(path, value, (SELECT array_agg(m) FROM model)) FROM (SELECT * FROM path ORDER BY md5(customer::text)) p), (SELECT state FROM state), 'the order of conversions does not matter');
SELECT is((SELECT iaros.attribution_merge(s) FROM (SELECT iaros.attribution_agg(path, value, (SELECT array_agg(m) FROM model)) AS s FROM path GROUP BY customer % 7) t), (SELECT state FROM state), 'states of parts merge to the whole');
SELECT is((SELECT state::text::iaros.attribution_state FROM state), (SELECT state FROM state), 'the text of a state reads back');
CREATE TABLE attribution_path_parallel AS SELECT * FROM path;
ALTER TABLE attribution_path_parallel SET (parallel_workers = 2);
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SELECT is((SELECT iaros.attribution_agg(path, value, ARRAY['first', 'last', 'linear', 'time_decay(2 days)', 'u_shaped']) FROM attribution_path_parallel),
    (SELECT iaros.attribution_agg(path, value, ARRAY['first', 'last', 'linear', 'time_decay(2 days)', 'u_shaped']) FROM path), 'a parallel plan changes nothing');
RESET parallel_setup_cost;

SELECT is((SELECT count(*) FROM (SELECT iaros.attribution_agg(path, value, ARRAY['linear']) OVER (ORDER BY customer) AS s, sum(value) OVER (ORDER BY customer) AS v FROM path) w
    WHERE (SELECT sum(credit) FROM iaros.attribution_rows(w.s)) <> w.v), 0::bigint, 'a window sees each state as it grows');

CREATE TEMPORARY TABLE long AS SELECT iaros.touch_path_agg(timestamptz '2026-01-01' + i * interval '1 minute', 'c' || i % 37, 'k' || i) AS path FROM generate_series(1, 100000) AS i;
SELECT is((SELECT array_agg(DISTINCT (SELECT sum(credit) FROM iaros.attribution_credit(path, 12345.67, m))) FROM long, model), ARRAY[12345.67], '100,000 touches share a value exactly');
SELECT is((SELECT array_agg(DISTINCT s) FROM (SELECT sum(credit) AS s FROM long, iaros.attribution_rows((SELECT iaros.attribution_agg(path, v, (SELECT array_agg(m) FROM model)) FROM (VALUES (12345.67), (-0.01), (0), (NULL)) x(v))) GROUP BY model) y),
    ARRAY[12345.66], 'and of zero, negative and missing values');

-- Bytes from outside: each truncation and change is refused or is a path.
CREATE TEMPORARY TABLE hostile (p iaros.touch_path);
CREATE FUNCTION pg_temp.hostile(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/attribution_path.bin';
    large oid := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || int2send(1::int2) || int4send(length(bytes)) || bytes || '\xffff'::bytea);
BEGIN
    PERFORM lo_export(large, file);
    PERFORM lo_unlink(large);
    TRUNCATE hostile;
    EXECUTE format('COPY hostile FROM %L (FORMAT binary)', file);
    RETURN CASE WHEN (SELECT p::text::iaros.touch_path = p AND iaros.touch_path_send(p) = bytes FROM hostile) THEN 'path' ELSE 'broken' END;
EXCEPTION WHEN invalid_binary_representation THEN
    RETURN 'refused';
END $$;
CREATE TEMPORARY TABLE seed AS SELECT iaros.touch_path_send(p) AS bytes FROM (VALUES ('[]'::iaros.touch_path), ('["b", "a"]'),
    ('[{"at": "2026-01-10", "channel": "e", "campaign": "x", "weight": 2.5}, {"at": "2026-01-09T10:00:00.5", "channel": "d", "stage": "lead"}]')) x(p);
SELECT is((SELECT array_agg(DISTINCT r ORDER BY r) FROM (
        SELECT pg_temp.hostile(substr(bytes, 1, n)) AS r FROM seed, generate_series(0, length(bytes) - 1) AS n
        UNION ALL SELECT pg_temp.hostile(set_byte(bytes, n, v)) FROM seed, generate_series(0, length(bytes) - 1) AS n, unnest('{0,1,2,5,7,9,63,100,127,128,192,254,255}'::int[]) AS v) x),
    ARRAY['path', 'refused'], 'changed bytes are refused or a path');
CREATE FUNCTION pg_temp.hostile_state(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s iaros.attribution_state;
BEGIN
    s := bytes::text::iaros.attribution_state;
    PERFORM count(*) FROM iaros.attribution_rows(s);
    RETURN CASE WHEN iaros.attribution_state_send(s) = bytes THEN 'state' ELSE 'broken' END;
EXCEPTION WHEN invalid_binary_representation OR invalid_parameter_value THEN
    RETURN 'refused';
END $$;
CREATE TEMPORARY TABLE state_seed AS
SELECT iaros.attribution_state_send(iaros.attribution_agg('["a", "b", "ü"]', 10.01, '{linear,custom(1.5)}')) AS bytes;
SELECT is((SELECT array_agg(DISTINCT r ORDER BY r) FROM (
        SELECT pg_temp.hostile_state(substr(bytes, 1, n)) AS r FROM state_seed, generate_series(0, length(bytes) - 1) AS n
        UNION ALL SELECT pg_temp.hostile_state(set_byte(bytes, n, v)) FROM state_seed, generate_series(0, length(bytes) - 1) AS n, generate_series(0, 255, 5) AS v) x),
    ARRAY['refused', 'state'], 'changed bytes are refused or a state');
-- What a state and a path say reads back, whatever the settings of numbers.
SET LOCAL extra_float_digits = -15;
CREATE TEMPORARY TABLE odd AS
SELECT format(f, x, y) AS model FROM (SELECT iaros.chance(i, 11, 1) * power(10, iaros.chance_int(i, 11, 2, 25) - 12) AS x, iaros.chance(i, 11, 3) / 2 AS y FROM generate_series(1, 60) AS i) n,
    unnest(ARRAY['custom(%s, %s)', 'u_shaped(%2$s, %2$s)', 'w_shaped(%2$s, 0.1, 0.1)']) AS f
UNION ALL SELECT format('time_decay(%s %s)', iaros.chance_int(i, 12, 1, 1000) / 1000.0 + 0.001, u) FROM generate_series(1, 60) AS i, unnest('{seconds,minutes,hours,days,weeks}'::text[]) AS u
UNION ALL SELECT unnest(ARRAY['custom(0.00001, 1)', 'custom(10000000000000000)', 'time_decay(0.00001 seconds)', 'custom(1e300, 1e-300)']);
SELECT is((SELECT count(*) FROM odd, LATERAL (SELECT iaros.attribution_agg_transition(NULL, '[{"at": "2026-01-01", "channel": "a"}, {"at": "2026-01-02", "channel": "b"}]', 10, ARRAY[model]) AS s) x WHERE s::text::iaros.attribution_state <> s), 0::bigint, 'a state reads back with any parameters');
SELECT is((SELECT count(*) FROM generate_series(1, 100) AS i, LATERAL (SELECT iaros.touch_path_agg_transition(NULL, '2026-01-01', 'a', NULL, iaros.chance(i, 13, 1) * power(10, i % 40 - 20)) AS p) x WHERE p::text::iaros.touch_path <> p), 0::bigint, 'a path reads back with any weight');
RESET extra_float_digits;
-- Amounts beyond what a double holds.
SELECT set_eq($$SELECT m, "position", credit FROM unnest('{first,"custom(1, 0)","custom(0, 1)","u_shaped(0.5, 0.5)"}'::text[]) AS m, iaros.attribution_credit('["a", "b"]', 12345.678901234567, m)$$,
    $$VALUES ('first', 1, 12345.678901234567), ('first', 2, 0), ('custom(1, 0)', 1, 12345.678901234567), ('custom(1, 0)', 2, 0), ('custom(0, 1)', 1, 0), ('custom(0, 1)', 2, 12345.678901234567),
        ('u_shaped(0.5, 0.5)', 1, 6172.839450617284), ('u_shaped(0.5, 0.5)', 2, 6172.839450617283)$$, 'large amounts are divided to the last unit, and nothing goes to a share of 0');
SELECT is((SELECT count(*) FROM generate_series(1, 200) AS i, LATERAL (SELECT sum(credit) AS total, min(credit) FILTER (WHERE position = 2) AS none
    FROM iaros.attribution_credit('["a", "b", "c"]', 9007199254740993 + i * 1000000007::bigint, 'custom(0.3, 0, 0.4)', 2)) c WHERE total <> 9007199254740993 + i * 1000000007::bigint OR none <> 0), 0::bigint, 'and add up');
SELECT is((SELECT conversions FROM iaros.attribution_rows((SELECT iaros.attribution_agg('["a", "b", "c", "d"]', 1, '{"custom(1, 1, 1, 0)"}', 10000000))) WHERE channel = 'd'), 0::numeric, 'a share of 0 has no conversions');
-- A path that an aggregate of somebody else's left unfinished is a value.
CREATE AGGREGATE pg_temp.unfinished(timestamptz, text) (SFUNC = iaros.touch_path_agg_transition, STYPE = iaros.touch_path);
CREATE TEMPORARY TABLE unfinished AS SELECT pg_temp.unfinished('2026-01-01', 'a') AS p;
SELECT is((SELECT iaros.touch_path_length(iaros.touch_path_agg_transition(p, '2026-01-02', 'b')) FROM unfinished), 2, 'it can be added to');
SELECT is((SELECT iaros.touch_path_length(iaros.touch_path_combine(p, p)) FROM unfinished), 2, 'and to itself');
SELECT is((SELECT p::text FROM unfinished), '[{"at": "2026-01-01T00:00:00Z", "channel": "a"}]', 'which does not change it');
SELECT * FROM finish();
ROLLBACK;
