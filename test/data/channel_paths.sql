-- channel_paths: first, last, linear and exact Markov attribution come out as
-- the table of the README says, to every printed digit, and so do the totals;
-- the same from the paths as touch_path.
\ir check.psql
SET search_path = public, iaros;

CREATE TEMP TABLE raw (path text, conversions bigint, value numeric, nulls bigint);
\copy raw from program 'cat "$IAROS_DATA/channel_paths.csv"' csv header
-- Values have up to 17 decimals of rounding; a set takes up to 12.
CREATE TEMP TABLE paths AS SELECT path_agg(path, conversions, round(value, 12), nulls) AS paths FROM raw;

SELECT pg_temp.check_equal('rows', count(*), 10000::bigint) FROM raw \g /dev/null
SELECT pg_temp.check_equal('distinct paths', count(*), 5408::bigint) FROM paths, path_top(paths, NULL) \g /dev/null
SELECT pg_temp.check_equal('conversions', sum(conversions), 19785::numeric) FROM paths, path_top(paths, NULL) \g /dev/null
SELECT pg_temp.check_equal('nulls', sum(nulls), 68602::numeric) FROM paths, path_top(paths, NULL) \g /dev/null
SELECT pg_temp.check_equal('value', round(sum(value), 3), 74802.972) FROM paths, path_top(paths, NULL) \g /dev/null
SELECT pg_temp.check_equal('chance of a conversion', round(sum(t.paths * 1.0 / 88387) FILTER (WHERE ending = 'conversion'), 12), 0.223845135597) FROM paths, path_transitions(paths.paths) t \g /dev/null
SELECT pg_temp.check_equal('paths as touch_path', (SELECT path_set_send(path_agg(touch_path_parse(path), conversions, round(value, 12), nulls)) FROM raw) = path_set_send(paths), true) FROM paths \g /dev/null

SELECT pg_temp.check_equal('Markov ' || m.channel, concat_ws(' ', round(removal_effect::numeric, 6), round(conversions, 3)), want)
FROM (VALUES ('alpha', '0.558399 5344.948'), ('beta', '0.264039 2527.352'), ('delta', '0.000482 4.614'), ('epsilon', '0.062639 599.571'),
    ('eta', '0.349026 3340.847'), ('gamma', '0.017880 171.145'), ('iota', '0.405835 3884.615'), ('kappa', '0.028663 274.363'),
    ('lambda', '0.134022 1282.847'), ('mi', '0.000180 1.722'), ('theta', '0.206010 1971.913'), ('zeta', '0.039811 381.063')) v(channel, want)
JOIN (SELECT m.* FROM paths, attribution_markov(paths) m) m USING (channel) \g /dev/null
SELECT pg_temp.check_equal('first, last, linear ' || r.channel, string_agg(CASE r.model WHEN 'linear' THEN round(r.conversions, 4) ELSE r.conversions END::text, ' ' ORDER BY r.model), want)
FROM (VALUES ('alpha', '6308 8447 7574.7186'), ('beta', '2831 989 2083.5001'), ('delta', '1 5 1.7250'), ('epsilon', '99 531 272.1704'),
    ('eta', '3164 4167 3539.9512'), ('gamma', '165 92 121.0416'), ('iota', '4606 3355 3857.0962'), ('kappa', '74 230 137.9641'),
    ('lambda', '902 1207 1035.2576'), ('mi', '2 2 2.2222'), ('theta', '1606 653 1022.8014'), ('zeta', '27 107 136.5515')) v(channel, want)
FULL JOIN (SELECT CASE model WHEN 'first' THEN 'a' WHEN 'last' THEN 'b' ELSE 'linear' END AS model, channel, conversions FROM attribution_rows((SELECT attribution_agg(touch_path_parse(path), value, '{first,last,linear}', conversions) FROM raw))
    WHERE channel IS NOT NULL) r USING (channel)
GROUP BY r.channel, want \g /dev/null
SELECT pg_temp.check_equal('order ' || k || ': conversions, value', concat_ws(' ', sum(m.conversions), sum(m.credit) = (SELECT sum(round(value, 12)) FROM raw)), '19785.000000 t')
FROM paths, generate_series(1, 4) k, attribution_markov(paths, k) m GROUP BY k \g /dev/null
SELECT pg_temp.check_equal('Shapley: conversions, value', concat_ws(' ', sum(m.conversions), sum(m.credit) = (SELECT sum(round(value, 12)) FROM raw)), '19785.000000 t')
FROM paths, attribution_shapley(paths) m \g /dev/null
-- Equal shares of each path among its distinct channels, by hand.
SELECT pg_temp.check_equal('Shapley ' || channel, round(m.conversions, 4), round(s.conversions, 4))
FROM paths, attribution_shapley(paths) m
JOIN (SELECT channel, sum(conversions * 1.0 / cardinality(distinct_channels)) AS conversions
      FROM (SELECT conversions, ARRAY(SELECT DISTINCT unnest(string_to_array(path, ' > '))) AS distinct_channels FROM raw) r, unnest(distinct_channels) channel GROUP BY channel) s USING (channel) \g /dev/null
SELECT pg_temp.check_equal('order by held-out likelihood', m."order", 4) FROM paths, attribution_markov_order(paths) m WHERE chosen \g /dev/null
