-- Type touch_path: text, errors, transforms; models of one conversion.
SET search_path = iaros, public;
SELECT '[{"at": "2026-01-10", "channel": "email", "campaign": "spring \"x\"", "weight": 2.5}, {"at": "2026-01-09T10:00:00.5+02", "channel": "direct", "stage": "lead"}]'::touch_path;
SELECT '[]'::touch_path, '["b", "a", {"channel": "b", "campaign": "c"}]'::touch_path, '[{"channel": "a", "weight": -0.0}]'::touch_path;
SELECT '{"channel": "a"}'::touch_path;
SELECT '"a"'::touch_path;
SELECT '[1]'::touch_path;
SELECT '[["a"]]'::touch_path;
SELECT '["a", {"at": "2026-01-01", "channel": "b"}]'::touch_path;
SELECT '[{"at": "2026-01-01", "channel": "b"}, "a"]'::touch_path;
SELECT '[{"at": "yesterday", "channel": "b"}]'::touch_path;
SELECT '[{"at": 1, "channel": "b"}]'::touch_path;
SELECT '[{"at": "2026-01-01"}]'::touch_path;
SELECT '[{"channel": ""}]'::touch_path;
SELECT '[{"channel": 1}]'::touch_path;
SELECT '[{"channel": "a", "stage": "sale"}]'::touch_path;
SELECT '[{"channel": "a", "weight": -1}]'::touch_path;
SELECT '[{"channel": "a", "weight": "1"}]'::touch_path;
SELECT '[{"channel": "a", "colour": "red"}]'::touch_path;
SELECT touch_path_agg('2026-01-01', repeat('x', 1001));
SELECT touch_path_agg('infinity', 'a');
SELECT touch_path_agg('2026-01-01', 'a', NULL, 'NaN');
SELECT touch_path_agg('2026-01-01', 'a', '');
SELECT touch_path_agg('2026-01-01', 'a', NULL, 1, 'sale');
-- One moment: by channel, then campaign, whatever the order of rows.
SELECT touch_path_agg(at, channel, campaign)
FROM (VALUES (timestamptz '2026-01-02', 'b', NULL), ('2026-01-02', 'a', 'z'), ('2026-01-02', 'a', NULL), ('2026-01-01', 'c', 'y'), (NULL, 'x', NULL), ('2026-01-01', NULL, NULL)) AS t(at, channel, campaign);
SELECT touch_path_agg(at, channel) FROM (VALUES (NULL::timestamptz, NULL::text)) AS t(at, channel);
SELECT touch_path_agg(now(), 'a') FROM generate_series(1, 0);
SELECT touch_path_merge(p) FROM (VALUES ('[{"at": "2026-01-02", "channel": "b"}]'::touch_path), ('[{"at": "2026-01-01", "channel": "a"}]'), (NULL), ('[]')) AS t(p);
SELECT touch_path_merge(p) FROM (VALUES ('["a"]'::touch_path), ('["b"]')) AS t(p);
SELECT touch_path_parse('email > direct>email'), touch_path_parse('  '), touch_path_parse('a, b', ','), touch_path_parse('a b', ' ');
SELECT touch_path_parse('a > > b');
SELECT touch_path_parse('a', '');
SELECT touch_path_make('{a,b}'), touch_path_make('{a,b}', '{2026-01-02,2026-01-01}'), touch_path_make('{}'), touch_path_make(NULL);
SELECT touch_path_make('{a,NULL}');
SELECT touch_path_make('{a,b}', '{2026-01-02}');
SELECT touch_path_make('{{a},{b}}');
SELECT touch_path_unique(p), touch_path_unique(p, 'last'), touch_path_exposure(p), touch_path_exposure(p, 'last'), touch_path_drop(p, '{a,NULL}'), touch_path_drop(p, '{a,b,c}'), touch_path_drop(p, '{a,b,c}', false), touch_path_last(p, 2), touch_path_last(p, 0), touch_path_last(p, 99), touch_path_length(p), touch_path_text(p), p::text[]
FROM touch_path_parse('a > b > b > a > c > a') AS p \gx
SELECT touch_path_unique('["a"]', 'middle');
SELECT touch_path_last('["a"]', -1);
SELECT touch_path_within('[{"at": "2026-01-01", "channel": "a"}, {"at": "2026-01-02", "channel": "b"}, {"at": "2026-01-03", "channel": "c"}]', '2 days', '2026-01-03');
SELECT touch_path_within('["a"]', '2 days', '2026-01-03');
SELECT touch_path_within('[]', '1 month', '2026-01-03');
SELECT touch_path_by_campaign('[{"channel": "a", "campaign": "x"}, "b", {"channel": "c", "campaign": "x"}]'), touch_path_by_campaign('["b"]', 'other');
SELECT * FROM touch_path_touches('[{"at": "2026-01-10", "channel": "email", "campaign": "x", "weight": 2.5}, {"at": "2026-01-09", "channel": "direct", "stage": "lead"}]');
SELECT * FROM touch_path_touches('["a"]');

-- Models of one conversion.
SELECT m AS model, string_agg(credit::text, ' ' ORDER BY "position") AS credits, sum(credit)
FROM unnest('{first,last,last_non_direct,linear,time_decay,time_decay(12 hours),u_shaped,"u_shaped(0.5, 0.25)",w_shaped,w_shaped_stage,"custom(1, 2, 3)",weight}'::text[]) WITH ORDINALITY AS t(m, n),
    attribution_credit('[{"at": "2026-01-01", "channel": "email", "weight": 0}, {"at": "2026-01-03", "channel": "search", "stage": "lead"}, {"at": "2026-01-08", "channel": "social", "stage": "opportunity", "weight": 3}, {"at": "2026-01-09", "channel": "direct"}]', 500, m)
GROUP BY n, m ORDER BY n;
SELECT k AS touches, m AS model, string_agg(credit::text, ' ' ORDER BY "position") AS credits
FROM generate_series(1, 3) AS k, unnest('{linear,u_shaped,w_shaped,w_shaped_stage}'::text[]) AS m,
    attribution_credit(touch_path_make((ARRAY['a', 'b', 'c'])[:k]), 100, m)
GROUP BY k, m ORDER BY m, k;
SELECT v AS value, string_agg(credit::text, ' ' ORDER BY "position") AS credits
FROM (VALUES (10.00), (0.01), (0), (-10.00), (1.2345), (NULL), (99999999999999.99)) AS t(v), attribution_credit('["a", "b", "c"]', v, 'linear')
GROUP BY v ORDER BY v;
SELECT credit FROM attribution_credit('["a", "b", "c"]', 100, 'linear', 0);
SELECT * FROM attribution_credit(NULL, 100, 'linear');
SELECT * FROM attribution_credit('[]', 100, 'linear');
SELECT * FROM attribution_credit('["a"]', 'NaN', 'linear');
SELECT * FROM attribution_credit('["a"]', 1e18, 'linear');
SELECT * FROM attribution_credit('["a"]', 1, 'linear', 13);
SELECT * FROM attribution_credit('["a", "b"]', 1, 'time_decay');
SELECT * FROM attribution_credit('["a"]', 1, 'middle');
SELECT * FROM attribution_credit('["a"]', 1, 'linear(1)');
SELECT * FROM attribution_credit('["a"]', 1, 'u_shaped(0.7, 0.5)');
SELECT * FROM attribution_credit('["a"]', 1, 'u_shaped(0.7)');
SELECT * FROM attribution_credit('["a"]', 1, 'u_shaped(-1, 1)');
SELECT * FROM attribution_credit('["a"]', 1, 'custom');
SELECT * FROM attribution_credit('["a"]', 1, 'custom(0, 0)');
SELECT * FROM attribution_credit('["a"]', 1, 'time_decay(7)');
SELECT * FROM attribution_credit('["a"]', 1, 'time_decay(0 days)');
SELECT * FROM attribution_credit('["a"]', 1, 'time_decay(7 days');
SELECT * FROM attribution_credit('["a"]', 1, 'first last');
SELECT * FROM attribution_credit('["a"]', 1, NULL);

-- Models of many conversions.
CREATE TEMPORARY TABLE conversion_paths (path touch_path, value numeric, n bigint);
INSERT INTO conversion_paths VALUES ('["a", "b", "c"]', 10, 1), ('["b"]', 5, 2), (NULL, 7.123, 1), ('[]', NULL, 1), ('["a"]', 1, 0), ('["c", "a"]', -3, 1);
SELECT r.* FROM (SELECT attribution_agg(path, value, '{first,linear}', n) AS state FROM conversion_paths) AS s, attribution_rows(s.state) AS r;
SELECT attribution_agg(path, value, '{first,linear}', n, 0) FROM conversion_paths WHERE value = 10;
SELECT attribution_agg(path, value, '{linear}') IS NULL AS no_rows FROM conversion_paths WHERE false;
SELECT * FROM attribution_rows(NULL);
SELECT attribution_agg(path, value, NULL) FROM conversion_paths;
SELECT attribution_agg(path, value, '{}') FROM conversion_paths;
SELECT attribution_agg(path, value, '{first,NULL}') FROM conversion_paths;
SELECT attribution_agg(path, value, '{linear,linear}') FROM conversion_paths;
SELECT attribution_agg(path, value, ARRAY[CASE n WHEN 1 THEN 'first' ELSE 'last' END]) FROM conversion_paths;
SELECT attribution_agg(path, value, '{first}', -1) FROM conversion_paths;
SELECT attribution_agg(path, value, '{first}', 1, -1) FROM conversion_paths;
SELECT attribution_merge(s) FROM (SELECT attribution_agg(path, value, '{first}') AS s FROM conversion_paths UNION ALL SELECT attribution_agg(path, value, '{last}') FROM conversion_paths) AS t;
SELECT '\x01'::attribution_state;
SELECT 'x'::attribution_state;
SELECT '\x010201066c696e656172020000016180a094a58d1d80a094a58d1d016280a094a58d1d80a094a58d1d'::attribution_state;
