-- model: mutated documents and mutated compiled forms give a model or a
-- specific error, in bounded time. To run more, or others:
--   MODEL_FUZZ=20000 MODEL_FUZZ_SEED=7 test/run pgtap/model_fuzz
\set iterations 3000
\getenv iterations MODEL_FUZZ
\set seed 1
\getenv seed MODEL_FUZZ_SEED
BEGIN;
SELECT plan(9);
\ir model_pmml.inc
SET LOCAL client_min_messages = warning;

-- The models of the folder of cases are mutated, too, where there are any;
-- none is long.
CREATE TEMP TABLE line (n integer GENERATED ALWAYS AS IDENTITY, content text);
\copy line (content) from program 'for f in ../shared/pmml/cases/*/model.pmml; do [ ! -f "$f" ] || [ $(wc -c <"$f") -gt 20000 ] || { iconv -f UTF-8 -t UTF-8 -c "$f" | tr -d "\r"; printf "\n@@@@\n"; }; done' with (format csv, delimiter E'\x01', quote E'\x02')
INSERT INTO pmml
SELECT 'case ' || part, string_agg(content, E'\n' ORDER BY n)
FROM (SELECT *, count(*) FILTER (WHERE content = '@@@@') OVER (ORDER BY n) AS part FROM line) AS l
WHERE content <> '@@@@' GROUP BY part HAVING string_agg(content, E'\n' ORDER BY n) ~ '<PMML';

CREATE TEMP TABLE source AS
SELECT row_number() OVER (ORDER BY name) AS n, name, document, iaros.model_send(iaros.model_compile(document)) AS form FROM pmml;
CREATE TEMP TABLE outcome (kind text, k integer, source text, state text, message text, seconds float8);

CREATE FUNCTION pg_temp.upto(n integer) RETURNS integer LANGUAGE sql VOLATILE AS $$ SELECT 1 + floor(random() * greatest(n, 1))::integer $$;
CREATE FUNCTION pg_temp.one(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT choices[pg_temp.upto(cardinality(choices))] $$;

-- Replaces one match of a pattern behind a random place.
CREATE FUNCTION pg_temp.once(document text, pattern text, replacement text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT regexp_replace(document, pattern, replacement, pg_temp.upto(length(document)), 1)
$$;

-- A value of some attribute or element of the document.
CREATE FUNCTION pg_temp.value_of(document text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT replace(coalesce((regexp_match(substr(document, pg_temp.upto(length(document))), '(?:="|>)([^"<>\n]*)["<]'))[1], ''), '\', '\\')
$$;

-- A document with one thing in it changed.
CREATE FUNCTION pg_temp.mutate(document text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    lines text[];
    a integer;
    b integer;
    element text;
BEGIN
    CASE pg_temp.upto(40)
    WHEN 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 THEN
        RETURN pg_temp.once(document, '="[^"]*"', format('="%s"', pg_temp.one('', '-1', '0', '1', '2', '99999999999', '-99999999999', 'NaN', 'INF', '-INF', '1e308', '1e-308',
            '2147483648', '0.1', 'x', 't', 'true', 'false', 'none', ' ', '1 2', '&#1;', '&lt;', '&#x1F600;', repeat('9', 400), repeat('x', 70000))));
    WHEN 11, 12, 13, 14, 15, 16, 17, 18 THEN
        RETURN pg_temp.once(document, '="[^"]*"', format('="%s"', pg_temp.value_of(document)));
    WHEN 19, 20, 21, 22 THEN
        RETURN pg_temp.once(document, '>[^<>\n]+<', format('>%s<', pg_temp.one('', '-1', '1e400', 'NaN', '1 2 3 4 5 6 7 8 9', '"', '\\', '$9', '((((((((((a+)+)+)+)+)+)+)+)+)+$', '%99999999d', '%s%s%n', '[', '(?', repeat('a+', 2000), pg_temp.value_of(document))));
    WHEN 23, 24, 25 THEN
        RETURN pg_temp.once(document, '\s\w+="[^"]*"', '');
    WHEN 26 THEN
        RETURN left(document, pg_temp.upto(length(document)));
    WHEN 27, 28 THEN
        RETURN overlay(document PLACING pg_temp.one('<', '>', '"', '&', '/', ' ', '', 'a', '9', '-', '.', chr(1), chr(127), 'é', '😀', ']]>', '<!--', '<![CDATA[') FROM pg_temp.upto(length(document)) FOR pg_temp.upto(2) - 1);
    WHEN 29, 30, 31, 32 THEN
        element := (regexp_match(substr(document, pg_temp.upto(length(document))), '<([A-Z]\w+)'))[1];
        RETURN CASE WHEN element IS NULL THEN document ELSE pg_temp.once(document, format('<%s\y[^>]*>(?:[^<]*|.*?</%1$s>)', element), pg_temp.one('', '\&\&', '<True/>', '<Extension/>', '<Constant>1</Constant>', '<FieldRef field="x"/>')) END;
    WHEN 33, 34 THEN
        element := (regexp_match(substr(document, pg_temp.upto(length(document))), '<([A-Z]\w+)'))[1];
        RETURN CASE WHEN element IS NULL THEN document ELSE replace(document, element, coalesce((regexp_match(substr(document, pg_temp.upto(length(document))), '<([A-Z]\w+)'))[1], 'x')) END;
    ELSE
        lines := string_to_array(document, E'\n');
        a := pg_temp.upto(cardinality(lines));
        b := least(cardinality(lines), a + pg_temp.upto(12));
        RETURN CASE pg_temp.upto(4)
            WHEN 1 THEN array_to_string(lines[:a - 1] || lines[a + 1:], E'\n')
            WHEN 2 THEN array_to_string(lines[:a] || lines[a:], E'\n')
            WHEN 3 THEN array_to_string(lines[:a - 1] || lines[b:], E'\n')
            ELSE array_to_string(lines[:a - 1] || lines[b] || lines[a + 1:b - 1] || lines[a] || lines[b + 1:], E'\n') END;
    END CASE;
END $$;

-- Bytes of a compiled form with something changed; the first four are not
-- part of it.
CREATE FUNCTION pg_temp.mutate_form(form bytea) RETURNS bytea LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    size integer := length(form);
    word integer := 4 * (floor(pg_temp.upto(size - 24) / 4)::integer + 5);
    from_word integer := 4 * floor(random() * (size / 4 - 1))::integer;
BEGIN
    IF size < 64 THEN
        RETURN form;
    END IF;
    word := least(word, size - 8);
    CASE pg_temp.upto(20)
    WHEN 1, 2 THEN
        RETURN set_byte(form, pg_temp.upto(size) - 1, pg_temp.upto(256) - 1);
    WHEN 3, 4 THEN
        RETURN set_bit(form, pg_temp.upto(size * 8)::bigint - 1, pg_temp.upto(2) - 1);
    WHEN 5, 6, 7, 8 THEN
        RETURN overlay(form PLACING decode(pg_temp.one('00000000', '01000000', '02000000', '03000000', 'ffffffff', 'feffffff', '00000080', 'ffffff7f', '00010000', '00000100', '0000f07f', '0000f0ff', '0000f8ff'), 'hex') FROM word + 1);
    WHEN 9, 10 THEN
        RETURN overlay(form PLACING decode(pg_temp.one('000000000000f07f', '000000000000f0ff', '000000000000f8ff', 'ffffffffffffef7f', '000000000000f03f', '000000000000f0bf', '0000c0ffffffdf41'), 'hex') FROM word + 1);
    WHEN 11, 12, 13, 14 THEN
        RETURN overlay(form PLACING substr(form, from_word + 1, 4) FROM word + 1);
    WHEN 15, 16, 17 THEN
        RETURN set_byte(form, word, (get_byte(form, word) + pg_temp.one('1', '255', '2', '254', '4')::integer) % 256);
    WHEN 18, 19 THEN
        RETURN overlay(form PLACING substr(form, from_word + 1, 4) || substr(form, word + 1, 4) FROM word + 1);
    ELSE
        RETURN CASE pg_temp.upto(2) WHEN 1 THEN substr(form, 1, pg_temp.upto(size)) ELSE form || substr(form, from_word + 1, pg_temp.upto(64)) END;
    END CASE;
END $$;

-- Sets the hash of a compiled form to what it has to be.
CREATE FUNCTION pg_temp.seal(form bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(form) > 24 THEN overlay(form PLACING substr(sha256(substr(form, 25)), 1, 16) FROM 9) ELSE form END
$$;

-- The model of a compiled form.
CREATE FUNCTION pg_temp.unsealed(form bytea) RETURNS iaros.model LANGUAGE sql AS $$
    SELECT replace(encode(form, 'base64'), E'\n', '')::iaros.model
$$;

-- Scores what there is to score with.
CREATE FUNCTION pg_temp.score(m iaros.model) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    PERFORM iaros.model_summary(m);
    FOR r IN SELECT * FROM sample_row LOOP
        PERFORM iaros.model_predict(m, r.inputs);
    END LOOP;
    BEGIN
        PERFORM iaros.model_score(m, inputs) FROM sample_row;
        PERFORM iaros.model_scores(m, inputs) FROM sample_row;
    EXCEPTION WHEN invalid_parameter_value THEN
        NULL;
    END;
END $$;

-- Attempt k: another seed for each, so that one can be repeated alone.
CREATE FUNCTION pg_temp.try(kind text, k integer, seed integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s source;
    document text;
    form bytea;
    m iaros.model;
    state text := 'scored';
    message text;
    start timestamptz := clock_timestamp();
BEGIN
    PERFORM setseed(hashint8extended(k, seed)::float8 / 9223372036854775808);
    SELECT * INTO s FROM source WHERE n = 1 + k % (SELECT count(*) FROM source);
    BEGIN
        IF kind = 'document' THEN
            document := s.document;
            FOR i IN 1..pg_temp.upto(3) LOOP
                document := pg_temp.mutate(document);
            END LOOP;
            m := iaros.model_compile(document);
        ELSE
            form := s.form;
            FOR i IN 1..pg_temp.upto(3) LOOP
                form := pg_temp.mutate_form(form);
            END LOOP;
            IF kind = 'unsealed' AND substr(form, 5) = substr(s.form, 5) THEN
                RETURN;
            END IF;
            m := pg_temp.unsealed(CASE WHEN kind = 'sealed' THEN pg_temp.seal(form) ELSE form END);
        END IF;
        state := 'taken';
        PERFORM pg_temp.score(m);
        state := 'scored';
    EXCEPTION WHEN OTHERS OR query_canceled OR assert_failure THEN
        state := concat(CASE WHEN state = 'taken' THEN 'scoring ' END, SQLSTATE);
        message := SQLERRM;
    END;
    INSERT INTO outcome VALUES (kind, k, s.name, state, message, extract(epoch FROM clock_timestamp() - start));
END $$;

\o /dev/null
SET LOCAL statement_timeout = '5s';
SELECT format('SELECT pg_temp.try(%L, %s, %s)', kind, k, :seed)
FROM (VALUES ('document', 1), ('sealed', 1), ('unsealed', 20)) AS v(kind, part), generate_series(1, :iterations / part) AS k ORDER BY k \gexec
\o
SELECT is((SELECT count(*) FROM outcome WHERE kind = 'document'), :iterations::bigint, 'all documents are tried');
SELECT is((SELECT count(*) FROM outcome WHERE kind = 'sealed'), :iterations::bigint, 'all compiled forms are');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE kind = 'document' AND state = 'scored'), '>', :iterations / 20::bigint, 'some documents are still models');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE kind = 'document' AND state IN ('22023', '2200M', '0A000')), '>', :iterations / 4::bigint, 'many are refused with their place');
SELECT is_empty($$SELECT state, message, count(*), min(k) FROM outcome WHERE kind = 'document' AND state NOT IN ('scored', '22023', '2200M', '0A000', '54000', '22000', '42704', '2201B', 'scoring 54000') GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20$$,
    'no other error comes of documents');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE kind = 'sealed' AND state = 'scored'), '>', :iterations / 20::bigint, 'some compiled forms are still models');
SELECT is_empty($$SELECT state, message, count(*), min(k) FROM outcome WHERE kind = 'sealed' AND state NOT IN ('scored', '22P03', 'scoring 0A000', 'scoring 22023', 'scoring 54000') GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20$$,
    'no other error comes of compiled forms');
SELECT is_empty($$SELECT o.state, o.message, count(*), min(o.k) FROM outcome AS o WHERE kind = 'unsealed' AND state NOT IN ('22P03', 'scoring 0A000') GROUP BY 1, 2$$,
    'one with a wrong hash is refused');
SELECT is_empty('SELECT kind, k, source, seconds FROM outcome WHERE seconds > 2', 'none takes long');
SELECT * FROM finish();
ROLLBACK;
