-- promo_code: what is read and printed, comparison, check character, rules of
-- generation, patterns; every error.
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET search_path TO iaros, public;

-- Reading: any case, separators left out.
SELECT 'summer-20'::promo_code, ' S U.M_M-E R 2 0 '::promo_code, E'\tsummer\r\n20\x0b\f'::promo_code, 'a'::promo_code, '---0'::promo_code;
SELECT 'SUMMER20'::text::promo_code, 'summer 20'::varchar::promo_code, 'o'::char(3)::promo_code, 'OIL'::promo_code::text, 'x'::promo_code::varchar;
SELECT repeat('x', 64)::promo_code, length((repeat('-x', 64) || repeat(' ', 100000))::promo_code::text);
SELECT ''::promo_code;
SELECT ' - '::promo_code;
SELECT repeat('x', 65)::promo_code;
SELECT repeat('- x', 1000000)::promo_code;
SELECT 'SUMMER/20'::promo_code;
SELECT 'SÜMMER20'::promo_code;
SELECT U&'SUMMER\FF12'::promo_code;
SELECT U&'SUM\200BMER'::promo_code;
SELECT U&'SUMMER\201320'::promo_code;
SELECT E'SUMMER\x07'::promo_code;
SELECT E'SUMMER\x7f'::promo_code;
SELECT 'SUMMER{{x}}'::promo_code;
SELECT (repeat('ü', 100))::promo_code;
SELECT (repeat('A-', 60) || '!' || repeat('ü', 100000))::promo_code;
SELECT '%'::text::promo_code;
SELECT NULL::promo_code IS NULL, NULL::text::promo_code IS NULL;

-- Comparison by meaning: 0 O, 1 I L.
SELECT a, b, a = b, a <> b, a < b, a <= b, a > b, a >= b, promo_code_cmp(a, b), promo_code_hash(a) = promo_code_hash(b), promo_code_hash_extended(a, 7) = promo_code_hash_extended(b, 7)
FROM (VALUES ('SUMMER20', 'summer-2O'), ('OIL', '011'), ('OIL', '01L'), ('A', 'B'), ('A', 'AA'), ('Z', 'A'), ('9', 'A'), ('O', '1'), ('L', '2'), ('5', 'S'), ('2', 'Z'), ('8', 'B')) AS v(x, y),
    LATERAL (SELECT x::promo_code AS a, y::promo_code AS b) AS c;
SELECT string_agg(c::text, ' ' ORDER BY c, c::text) FROM (SELECT chr(i)::promo_code AS c FROM generate_series(48, 90) AS i WHERE chr(i) ~ '[0-9A-Z]') AS s;
SELECT count(DISTINCT chr(i)::promo_code) FROM generate_series(48, 90) AS i WHERE chr(i) ~ '[0-9A-Z]';
SELECT promo_code_normal('hello-illo'::promo_code), promo_code_normal(NULL::promo_code) IS NULL;
SELECT 'SUMMER20'::promo_code = 'summer-2o';
-- Texts are not compared by spelling unawares.
SELECT 'SUMMER20'::promo_code = 'SUMMER20'::text;

-- A column: assignment, unique, look-up.
CREATE TEMP TABLE code (c promo_code PRIMARY KEY, n integer);
INSERT INTO code SELECT 'code ' || i, i FROM generate_series(2, 9) AS i;
INSERT INTO code VALUES ('summer20'::varchar, 1);
INSERT INTO code VALUES ('SUMMER-2O', 2);
SELECT c, n FROM code WHERE c = 'Summer 2O';
PREPARE find(promo_code) AS SELECT n FROM code WHERE c = $1;
EXECUTE find('C0DE-7');
SELECT c FROM code WHERE c > 'CODE7' ORDER BY c;
CREATE TEMP TABLE spelled (spelling text);
INSERT INTO spelled SELECT c FROM code WHERE n = 1;
SELECT spelling FROM spelled;

-- Binary form.
SELECT promo_code_send('summer-2o');
CREATE TEMP TABLE back (LIKE code);
\set file `mktemp -u /tmp/iaros_promo_code.XXXXXXXX`
COPY code TO :'file' (FORMAT binary);
COPY back FROM :'file' (FORMAT binary);
\set gone `rm -f :'file'`
COPY (SELECT 'SUMMER!'::text, 1) TO :'file' (FORMAT binary);
COPY back FROM :'file' (FORMAT binary);
\set gone `rm -f :'file'`
SELECT count(*), bool_and(a.c::text = b.c::text) FROM code AS a JOIN back AS b USING (c);

-- Check character.
SELECT code, promo_code_check(code), promo_code_valid((code::text || promo_code_check(code))::promo_code), promo_code_valid(code)
FROM (VALUES ('SUMMER20'), ('summer2O'), ('A'), ('0'), ('1'), ('ZZZZZZZZ'), ('12345'), ('12354')) AS v(x), LATERAL (SELECT x::promo_code AS code) AS c;
SELECT promo_code_check(repeat('Z', 64)::promo_code), promo_code_valid('0'), promo_code_valid('00'), promo_code_check(NULL) IS NULL, promo_code_valid(NULL) IS NULL;

-- Generation: the rule of the seed, and each key.
SELECT promo_code_generate('{"prefix": "SUMMER", "suffix": "2024", "length": 8, "includeChecksum": true, "pattern": "ALPHANUMERIC", "excludeAmbiguous": true, "caseInsensitive": true}', 4, 1);
SELECT * FROM promo_code_generate('{"prefix": "SUMMER", "suffix": "2024", "length": 8, "includeChecksum": true, "pattern": "ALPHANUMERIC", "excludeAmbiguous": true, "caseInsensitive": true}', 4, 1);
SELECT c FROM promo_code_generate('{"length": 6}', 3, 42) AS c;
SELECT c FROM promo_code_generate('{"length": 6}', 3, -42) AS c;
SELECT c FROM promo_code_generate('{"length": 30, "pattern": "ALPHABETIC"}', 2, 42) AS c;
SELECT c FROM promo_code_generate('{"length": 12, "pattern": "NUMERIC", "includeChecksum": true}', 3, 42) AS c;
SELECT c FROM promo_code_generate('{"pattern": "fly-###-???-*", "prefix": null, "suffix": ""}', 3, 42) AS c;
SELECT c FROM promo_code_generate('{"pattern": "#?", "length": 2, "includeChecksum": true, "prefix": "oil "}', 3, 42) AS c;
SELECT c, promo_code_valid(c) FROM promo_code_generate('{"length": 63, "includeChecksum": true}', 1, 42) AS c;
SELECT count(*) FROM promo_code_generate('{"length": 6}', 0);
SELECT count(*) FROM promo_code_generate(NULL, 5);
SELECT count(*) FROM promo_code_generate('{"length": 6}', NULL);
-- All codes of a rule, and one more.
SELECT string_agg(c::text, ' ') FROM promo_code_generate('{"length": 1, "pattern": "NUMERIC"}', 10, 1) AS c;
SELECT string_agg(c::text, ' ' ORDER BY c) FROM promo_code_generate('{"length": 1}', 33, 1) AS c;
SELECT string_agg(c::text, ' ' ORDER BY c) FROM promo_code_generate('{"length": 1, "pattern": "ALPHABETIC"}', 25, 1) AS c;
SELECT string_agg(c::text, ' ' ORDER BY c) FROM promo_code_generate('{"length": 1, "pattern": "ALPHABETIC", "excludeAmbiguous": true}', 23, 1) AS c;
SELECT string_agg(c::text, ' ' ORDER BY c) FROM promo_code_generate('{"length": 1, "excludeAmbiguous": true}', 31, 1) AS c;
SELECT string_agg(c::text, ' ' ORDER BY c) FROM promo_code_generate('{"length": 1, "pattern": "NUMERIC", "includeChecksum": true}', 5, 1) AS c;
\set VERBOSITY default
SELECT promo_code_generate('{"length": 1, "pattern": "NUMERIC"}', 11);
SELECT promo_code_generate('{"length": 1, "pattern": "NUMERIC", "includeChecksum": true}', 6);
SELECT promo_code_generate('{"length": 4, "includeChecksum": true, "excludeAmbiguous": true}', 10000000);
SELECT promo_code_generate('{"length": 6}', -1);
SELECT promo_code_generate('{"length": 6}', 10000001);
SELECT promo_code_generate('[]', 1);
SELECT promo_code_generate('"x"', 1);
SELECT promo_code_generate('{}', 1);
SELECT promo_code_generate('{"Length": 6}', 1);
SELECT promo_code_generate('{"length": "6"}', 1);
SELECT promo_code_generate('{"length": 6.5}', 1);
SELECT promo_code_generate('{"length": 0}', 1);
SELECT promo_code_generate('{"length": 65}', 1);
SELECT promo_code_generate('{"length": 1e100}', 1);
SELECT promo_code_generate('{"length": {"a": [1, 2]}}', 1);
SELECT promo_code_generate('{"length": 60, "prefix": "SUMMER"}', 1);
SELECT promo_code_generate('{"length": 60, "suffix": "SUMMER"}', 1);
SELECT promo_code_generate('{"length": 64, "includeChecksum": true}', 1);
SELECT promo_code_generate('{"length": 6, "prefix": "SÜMMER"}', 1);
SELECT promo_code_generate('{"length": 6, "prefix": 6}', 1);
SELECT promo_code_generate('{"length": 6, "pattern": "alphanumeric"}', 1);
SELECT promo_code_generate('{"length": 6, "pattern": ""}', 1);
SELECT promo_code_generate('{"length": 6, "pattern": "###"}', 1);
SELECT promo_code_generate('{"pattern": "###/???"}', 1);
SELECT promo_code_generate(jsonb_build_object('pattern', repeat('#', 1000000)), 1);
SELECT promo_code_generate('{"length": 6, "includeChecksum": "yes"}', 1);
SELECT promo_code_generate('{"length": 6, "excludeAmbiguous": 1}', 1);
SELECT promo_code_generate('{"length": 6, "caseInsensitive": false}', 1);

-- Patterns.
SELECT promo_code_fill('{{SEGMENT}}{{DATE}}', '{"SEGMENT": "Champions", "DATE": "2026-07-04"}'),
    promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": 4711}}'),
    promo_code_fill('bday-{{ customer.id }}', '{"customer.id": 4711, "customer": {"id": 1}}'),
    promo_code_fill('{{a.b.c}}{{a.d.e}}', '{"a.b": {"c": 1}, "a": {"b": 2, "d.e": 3}}'),
    promo_code_fill('FLASH72', '{}'),
    promo_code_fill('X{{n}}', '{"n": 1.50e2}'),
    promo_code_fill('{{n}}', '{"n": 0}'),
    promo_code_fill(NULL, '{}') IS NULL, promo_code_fill('A', NULL) IS NULL;
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": null}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": null}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": [{"id": 1}]}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": ""}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": true}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": {}}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": -5}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": 1.5}}');
SELECT promo_code_fill('BDAY{{customer.id}}', '{"customer": {"id": 1e500}}');
SELECT promo_code_fill('{{name}}', '{"name": "Zoë"}');
SELECT promo_code_fill('{{name}}', jsonb_build_object('name', repeat('x', 65)));
SELECT promo_code_fill('HI {{name', '{"name": "x"}');
SELECT promo_code_fill('HI {{}}', '{"name": "x"}');
SELECT promo_code_fill('HI {{  }}', '{"name": "x"}');
SELECT promo_code_fill('HI {name}', '{"name": "x"}');
SELECT promo_code_fill('HI {{{name}}}', '{"name": "x"}');
SELECT promo_code_fill('HI {{.name.}}', '{"name": "x"}');
SELECT promo_code_fill('{{' || repeat('x', 201) || '}}', '{}');
SELECT promo_code_fill(repeat('-', 10001), '{}');
SELECT promo_code_fill('', '{}');
SELECT promo_code_fill('X', '[]');
