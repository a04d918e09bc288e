-- Money: exact scaling of numeric, currencies of ISO 4217, checks of amounts.
SET client_min_messages = warning;

-- numeric_scaled: exact, or NULL
SELECT iaros.numeric_scaled(12.34, 2);
SELECT iaros.numeric_scaled(12.3400::numeric(16,4), 2);
SELECT iaros.numeric_scaled(12.345, 2);
SELECT iaros.numeric_scaled(-0.0001, 4);
SELECT iaros.numeric_scaled(0, 2);
SELECT iaros.numeric_scaled(0.000, 1000);
SELECT iaros.numeric_scaled(120000, -4);
SELECT iaros.numeric_scaled(120000, -5);
SELECT iaros.numeric_scaled(9223372036854775807, 0);
SELECT iaros.numeric_scaled(9223372036854775808, 0);
SELECT iaros.numeric_scaled(-9223372036854775808, 0);
SELECT iaros.numeric_scaled(-9223372036854775809, 0);
SELECT iaros.numeric_scaled(92233720368547758.07, 2);
SELECT iaros.numeric_scaled(92233720368547758.08, 2);
SELECT iaros.numeric_scaled(1e18, 0);
SELECT iaros.numeric_scaled(1e19, 0);
SELECT iaros.numeric_scaled(1e130, 0);
SELECT iaros.numeric_scaled(1e130, -130);
SELECT iaros.numeric_scaled(1e-130, 130);
SELECT iaros.numeric_scaled('NaN', 2);
SELECT iaros.numeric_scaled('Infinity', 2);
SELECT iaros.numeric_scaled('-Infinity', 2);
SELECT iaros.numeric_scaled(NULL, 2) IS NULL, iaros.numeric_scaled(1, NULL) IS NULL;
SELECT iaros.numeric_scaled(1, 1001);
SELECT iaros.numeric_scaled(1, -1001);
SELECT iaros.numeric_scaled(0, 2147483647);

-- Values of every shape: signs, up to 18 digits, 10^-40 to 10^40, short and
-- long headers, trailing zeros, edges; held in a table, so also unaligned.
CREATE TEMP TABLE sample (pad "char", value numeric);
INSERT INTO sample
SELECT 'x', trim_scale((CASE WHEN g % 3 = 0 THEN -1 ELSE 1 END
       * (('x' || left(md5('m' || g), 15))::bit(60)::bigint % (10 ^ (g % 19))::bigint)
       * ('1e' || (('x' || left(md5('e' || g), 4))::bit(16)::int % 81 - 40))::numeric))
FROM generate_series(1, 6000) AS g;
INSERT INTO sample
SELECT 'x', (CASE WHEN g % 2 = 0 THEN -1 ELSE 1 END
       * (('x' || left(md5('c' || g), 7))::bit(28)::int / 10000.0))::numeric(16,4)
FROM generate_series(1, 2000) AS g;
INSERT INTO sample
SELECT 'x', s * (e + d)
FROM unnest(ARRAY[-1, 1]) AS s,
     unnest(ARRAY[9223372036854775807, 922337203685477580.7, 92233720368547758.07,
                  922337203685477.5807, 9223372036854775807e10, 1e130, 1e300]) AS e,
     unnest(ARRAY[-1, -0.0001, -1e-19, 0, 1e-19, 0.0001, 0.01, 1, 2]) AS d;
INSERT INTO sample
SELECT 'x', v::numeric
FROM unnest(ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0.0000', '1e-130', '1e-300',
                  '1.5' || repeat('0', 100), '10000', '9999.9999', '0.00010000',
                  '1e1000', '1.' || repeat('0', 900) || '1']) AS v;

-- Reference: multiplication of numeric, compared with its integer part.
CREATE FUNCTION pg_temp.scaled_slow(value numeric, scale integer) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN p = trunc(p) AND p BETWEEN -9223372036854775808 AND 9223372036854775807
            THEN p::bigint END
FROM (SELECT CASE WHEN value NOT IN ('NaN', 'Infinity', '-Infinity')
                  THEN value * ('1e' || scale)::numeric END AS p) AS x
$$;
SELECT count(*) FILTER (WHERE fast IS NOT NULL) > 8000 AS many_fit,
       count(*) FILTER (WHERE fast IS NULL) > 8000 AS many_do_not,
       count(*) FILTER (WHERE fast IS DISTINCT FROM slow) AS differ
FROM (SELECT iaros.numeric_scaled(s.value, n) AS fast,
             pg_temp.scaled_slow(s.value, n) AS slow
      FROM sample AS s, unnest(ARRAY[-38, -9, -4, -1, 0, 1, 2, 3, 4, 5, 8, 17, 40]) AS n) AS x;
-- Back again: the integer over 10^scale is the value.
SELECT count(*) AS wrong_way_back
FROM (SELECT s.value, iaros.numeric_scaled(s.value, 4) AS scaled FROM sample AS s) AS x
WHERE scaled IS NOT NULL AND scaled * 0.0001 <> value;

-- Stored out of line and compressed
CREATE TEMP TABLE sample_large (value numeric);
INSERT INTO sample_large
VALUES (('1' || repeat('0', 60000) || '.25')::numeric), (('0.' || repeat('0', 9000) || '1')::numeric);
ALTER TABLE sample_large ALTER value SET STORAGE EXTERNAL;
INSERT INTO sample_large
SELECT string_agg(translate(md5('d' || g), 'abcdef', '123456'), '' ORDER BY g)::numeric * s
FROM generate_series(1, 900) AS g, unnest(ARRAY[1, 0.001]) AS s GROUP BY s ORDER BY s;
SELECT length(value::text), iaros.money_valid(value, 'EUR'), iaros.money_valid(value, 'KWD'), iaros.numeric_scaled(value, 2) FROM sample_large ORDER BY 1;
SELECT iaros.numeric_scaled(1e1000, -1000), iaros.numeric_scaled(1e-1000, 1000);

-- Currencies
SELECT * FROM iaros.currency_iso() WHERE code IN ('EUR', 'JPY', 'KWD', 'CLF', 'XAU', 'HRK', 'ZWG');
SELECT count(*), count(DISTINCT code) AS codes, count(*) FILTER (WHERE code !~ '^[A-Z]{3}$' OR name = '') AS malformed,
       bool_and(numeric_code BETWEEN 1 AND 999) AS numeric_ok
FROM iaros.currency_iso();
SELECT minor_unit, count(*), string_agg(code, ' ' ORDER BY code) FILTER (WHERE minor_unit IS DISTINCT FROM 2) AS codes
FROM iaros.currency_iso() GROUP BY minor_unit ORDER BY minor_unit;
SELECT string_agg(code, ' ' ORDER BY code) AS historic FROM iaros.currency_iso() WHERE historic;
-- One numeric code has one active currency.
SELECT numeric_code FROM iaros.currency_iso() WHERE NOT historic GROUP BY 1 HAVING count(*) > 1;
-- Binary search finds every entry.
SELECT count(*) FROM iaros.currency_iso() WHERE iaros.currency_minor_unit(code) IS DISTINCT FROM minor_unit;
SELECT iaros.currency_minor_unit('EUR'), iaros.currency_minor_unit('JPY'::char(3)), iaros.currency_minor_unit('KWD'), iaros.currency_minor_unit('XAU'), iaros.currency_minor_unit(NULL);
SELECT iaros.currency_minor_unit('XXQ');
SELECT iaros.currency_minor_unit('eur');
SELECT iaros.currency_minor_unit('');
SELECT iaros.currency_minor_unit('EU');
SELECT iaros.currency_minor_unit('EURO');
SELECT iaros.currency_minor_unit(repeat('€', 1000));

-- money_valid
SELECT amount, currency, iaros.money_valid(amount, currency)
FROM (VALUES (12.34, 'EUR'), (12.3400, 'EUR'), (12.345, 'EUR'), (-12.34, 'EUR'), (0.00, 'EUR'), (1e130, 'EUR'),
             (1000, 'JPY'), (1000.00, 'JPY'), (1000.5, 'JPY'), (1.234, 'KWD'), (1.2345, 'KWD'),
             (1.2345, 'CLF'), (1, 'XAU'), (1, 'XXQ'), (1, 'eur'), (1, ''),
             ('NaN', 'EUR'), ('Infinity', 'EUR'), ('-Infinity', 'JPY'), (NULL, 'EUR'), (1, NULL)) AS v(amount, currency);
SELECT iaros.money_valid(12.34, 'EUR'::char(3));
-- Valid means that rounding changes nothing, whatever the size.
SELECT count(*) FILTER (WHERE valid) > 5000 AS many_valid, count(*) FILTER (WHERE NOT valid) > 5000 AS many_not,
       count(*) FILTER (WHERE valid IS DISTINCT FROM (value = round(value, minor_unit) AND value NOT IN ('NaN', 'Infinity', '-Infinity'))) AS differ
FROM (SELECT s.value, c.minor_unit, iaros.money_valid(s.value, c.code) AS valid
      FROM sample AS s, iaros.currency_iso() AS c WHERE c.code IN ('JPY', 'EUR', 'KWD', 'CLF')) AS x;

-- money_check: as money_valid, but says what is wrong
CREATE TEMP TABLE price (amount numeric(16,4), currency char(3), CONSTRAINT price_amount CHECK (iaros.money_check(amount, currency)));
INSERT INTO price VALUES (12.34, 'EUR'), (1000, 'JPY'), (1.234, 'KWD'), (NULL, 'EUR'), (-1, 'USD');
INSERT INTO price VALUES (12.345, 'EUR');
INSERT INTO price VALUES (0.5, 'JPY');
INSERT INTO price VALUES (1, 'XXQ');
INSERT INTO price VALUES (1, 'XAU');
INSERT INTO price VALUES ('NaN', 'EUR');
SELECT count(*) FROM price;
SELECT iaros.money_check('-Infinity', 'EUR');
SELECT iaros.money_check(('0.' || repeat('1', 5000))::numeric, 'EUR');
SELECT iaros.money_check(NULL, 'XXQ') IS NULL, iaros.money_check(1, NULL) IS NULL;
-- The SQLSTATE of each refusal
CREATE FUNCTION pg_temp.state_of(amount numeric, currency text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN iaros.money_check(amount, currency)::text;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT pg_temp.state_of(1, 'EUR'), pg_temp.state_of(1.001, 'EUR'), pg_temp.state_of('NaN', 'EUR'), pg_temp.state_of(1, 'XXQ'), pg_temp.state_of(1, 'XXX');
SELECT count(*) AS differ FROM sample WHERE (pg_temp.state_of(value, 'EUR') = 'true') IS DISTINCT FROM iaros.money_valid(value, 'EUR');

-- money_round: halves away from zero, to the decimals of the currency
SELECT amount, currency, iaros.money_round(amount, currency)
FROM (VALUES (2.345, 'EUR'), (-2.345, 'EUR'), (2.5, 'JPY'), (-2.5, 'JPY'), (1.2345, 'KWD'), (1.23456, 'CLF'),
             (1, 'EUR'), (1e20, 'JPY'), ('NaN', 'EUR'), ('Infinity', 'EUR'), (NULL, 'EUR')) AS v(amount, currency);
SELECT iaros.money_round(1, 'XXQ');
SELECT iaros.money_round(1, 'XDR');
SELECT count(*) AS refused FROM sample WHERE value NOT IN ('NaN', 'Infinity', '-Infinity') AND NOT iaros.money_valid(iaros.money_round(value, 'EUR'), 'EUR');

-- What the planner may assume
SELECT proname, provolatile, proisstrict, proparallel FROM pg_proc
WHERE pronamespace = 'iaros'::regnamespace AND proname IN ('numeric_scaled', 'currency_iso', 'currency_minor_unit', 'money_valid', 'money_check', 'money_round') ORDER BY 1;
