-- Chance as a function of key, seed and draw.
SET extra_float_digits = 0;

-- fixed values; the same on every machine
SELECT k, s, d,
    round(iaros.chance(k, s, d)::numeric, 6) AS uniform,
    round(iaros.chance_normal(k, s, d)::numeric, 6) AS normal,
    round(iaros.chance_exponential(k, s, d, 2)::numeric, 6) AS exponential,
    round(iaros.chance_gamma(k, s, d, 2.5, 3)::numeric, 6) AS gamma,
    round(iaros.chance_gamma(k, s, d, 0.3, 1)::numeric, 6) AS gamma_small,
    iaros.chance_poisson(k, s, d, 3) AS poisson,
    iaros.chance_poisson(k, s, d, 500) AS poisson_large,
    iaros.chance_int(k, s, d, 1000) AS int,
    iaros.chance_pick(k, s, d, '{1,2,3,4}') AS pick
FROM (VALUES (1, 1, 1), (42, 7, 0), (-1, -5, -3)) v (k, s, d);
SELECT round(iaros.chance(1, 'welcome-2026')::numeric, 6), iaros.chance_seed('welcome-2026');

-- published test values of FNV-1a with 64 bits
SELECT to_hex(iaros.chance_seed('')), to_hex(iaros.chance_seed('a')), to_hex(iaros.chance_seed('foobar'));

-- the two forms agree
SELECT bool_and(iaros.chance(k, 'salt ' || k % 7) = iaros.chance(k, iaros.chance_seed('salt ' || k % 7), 0))
FROM generate_series(-1000, 1000) k;

-- ends of the ranges
SELECT iaros.chance(k, k, d) BETWEEN 0 AND 1 AS inside
FROM (VALUES (9223372036854775807, 2147483647), (-9223372036854775808, -2147483648)) v (k, d);
SELECT iaros.chance_int(1, 1, 1, 1), iaros.chance_poisson(1, 1, 1, 0), iaros.chance_pick(1, 1, 1, '{5}'),
    iaros.chance_gamma(1, 1, 1, 1e-300, 1) >= 0 AS tiny_shape;
SELECT iaros.chance(NULL, 1, 1), iaros.chance(1, NULL), iaros.chance_pick(1, 1, 1, NULL);

CREATE TEMP TABLE drawn AS
SELECT k, iaros.chance(k, 11, 0) AS u, iaros.chance(k, 'salt') AS salted,
    iaros.chance(k + 1, 11, 0) AS next_key, iaros.chance(k, 12, 0) AS next_seed, iaros.chance(k, 11, 1) AS next_draw,
    iaros.chance(k, 'salu') AS next_salt,
    iaros.chance_normal(k, 11, 0) AS normal, iaros.chance_exponential(k, 11, 0, 4) AS exponential,
    iaros.chance_gamma(k, 11, 0, 0.5, 2) AS gamma_small, iaros.chance_gamma(k, 11, 0, 1, 2) AS gamma_one,
    iaros.chance_gamma(k, 11, 0, 7.5, 2) AS gamma_large,
    iaros.chance_poisson(k, 11, 0, 0.7) AS poisson_small, iaros.chance_poisson(k, 11, 0, 9.9) AS poisson_below,
    iaros.chance_poisson(k, 11, 0, 10) AS poisson_from, iaros.chance_poisson(k, 11, 0, 1e6) AS poisson_large,
    iaros.chance_int(k, 11, 0, 100) AS die, iaros.chance_pick(k, 11, 0, '{1,0,3,0,6}') AS pick
FROM generate_series(1, 200000) k;

-- moments within five standard errors of what they should be
SELECT name,
    abs(mean - expected_mean) < 5 * sqrt(expected_variance / 200000) AS mean_fits,
    abs(variance - expected_variance) < 5 * expected_variance * sqrt((excess + 2) / 200000) AS variance_fits
FROM (
    SELECT 'uniform' AS name, avg(u) AS mean, variance(u) AS variance, 0.5 AS expected_mean, 1 / 12.0 AS expected_variance, -1.2 AS excess FROM drawn
    UNION ALL SELECT 'salted', avg(salted), variance(salted), 0.5, 1 / 12.0, -1.2 FROM drawn
    UNION ALL SELECT 'normal', avg(normal), variance(normal), 0, 1, 0 FROM drawn
    UNION ALL SELECT 'exponential', avg(exponential), variance(exponential), 0.25, 1 / 16.0, 6 FROM drawn
    UNION ALL SELECT 'gamma_small', avg(gamma_small), variance(gamma_small), 1, 2, 12 FROM drawn
    UNION ALL SELECT 'gamma_one', avg(gamma_one), variance(gamma_one), 2, 4, 6 FROM drawn
    UNION ALL SELECT 'gamma_large', avg(gamma_large), variance(gamma_large), 15, 30, 0.8 FROM drawn
    UNION ALL SELECT 'poisson_small', avg(poisson_small), variance(poisson_small), 0.7, 0.7, 1 / 0.7 FROM drawn
    UNION ALL SELECT 'poisson_below', avg(poisson_below), variance(poisson_below), 9.9, 9.9, 1 / 9.9 FROM drawn
    UNION ALL SELECT 'poisson_from', avg(poisson_from), variance(poisson_from), 10, 10, 0.1 FROM drawn
    UNION ALL SELECT 'poisson_large', avg(poisson_large), variance(poisson_large), 1e6, 1e6, 1e-6 FROM drawn
    UNION ALL SELECT 'die', avg(die), variance(die), 49.5, 9999 / 12.0, -1.2 FROM drawn
) m;

-- 100 bins: chi-square below its 0.999 quantile for 99 degrees, 148.23
SELECT name, count(*) AS bins, sum((n - 2000) ^ 2 / 2000) < 148.23 AS uniform
FROM (
    SELECT 'chance' AS name, floor(u * 100) AS bin, count(*) AS n FROM drawn GROUP BY 2
    UNION ALL SELECT 'salted', floor(salted * 100), count(*) FROM drawn GROUP BY 2
    UNION ALL SELECT 'die', die, count(*) FROM drawn GROUP BY 2
    UNION ALL SELECT 'exponential', floor(100 * exp(-4 * exponential)), count(*) FROM drawn GROUP BY 2
    UNION ALL SELECT 'gamma_one', floor(100 * exp(-gamma_one / 2)), count(*) FROM drawn GROUP BY 2
) b GROUP BY name ORDER BY name;

-- Poisson counts against their probabilities, 0.999 quantile for 20 degrees
SELECT sum((n - 200000 * p) ^ 2 / (200000 * p)) < 45.31 AS poisson
FROM (SELECT poisson_from AS k, count(*) AS n FROM drawn WHERE poisson_from BETWEEN 1 AND 21 GROUP BY 1) c,
    LATERAL (SELECT exp(-10 + k * ln(10::float8) - ln(factorial(k)::float8)) AS p) q;

-- weights: positions of weight 0 never, the others in proportion
SELECT pick, abs(count(*) - 200000 * w / 10.0) < 5 * sqrt(200000 * w / 10.0 * (1 - w / 10.0)) AS fits
FROM drawn, LATERAL (SELECT ('{1,0,3,0,6}'::integer[])[pick] AS w) x GROUP BY pick, w ORDER BY pick;

-- neighbours in key, seed, draw and salt are independent
SELECT abs(corr(u, next_key)) < 0.01 AS key, abs(corr(u, next_seed)) < 0.01 AS seed,
    abs(corr(u, next_draw)) < 0.01 AS draw, abs(corr(salted, next_salt)) < 0.01 AS salt,
    abs(corr(u, salted)) < 0.01 AS salted, count(DISTINCT u) = count(*) AS no_two_equal
FROM drawn;

-- errors
SELECT iaros.chance_exponential(1, 1, 1, 0);
SELECT iaros.chance_exponential(1, 1, 1, 'NaN');
SELECT iaros.chance_exponential(1, 1, 1, 1e-310);
SELECT iaros.chance_gamma(1, 1, 1, -1, 1);
SELECT iaros.chance_gamma(1, 1, 1, 1, 'Infinity');
SELECT iaros.chance_gamma(1, 1, 1, 1e300, 1e300);
SELECT iaros.chance_poisson(1, 1, 1, -0.5);
SELECT iaros.chance_poisson(1, 1, 1, 1000001);
SELECT iaros.chance_poisson(1, 1, 1, 'NaN');
SELECT iaros.chance_int(1, 1, 1, 0);
SELECT iaros.chance_int(1, 1, 1, -5);
SELECT iaros.chance_pick(1, 1, 1, '{}');
SELECT iaros.chance_pick(1, 1, 1, '{1,-1}');
SELECT iaros.chance_pick(1, 1, 1, '{1,NaN}');
SELECT iaros.chance_pick(1, 1, 1, '{1,Infinity}');
SELECT iaros.chance_pick(1, 1, 1, '{1,NULL}');
SELECT iaros.chance_pick(1, 1, 1, '{0,0}');
SELECT iaros.chance_pick(1, 1, 1, '{{1,2},{3,4}}');
SELECT iaros.chance_pick(1, 1, 1, '{1e308,1e308}');
