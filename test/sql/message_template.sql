-- The template renderer: valid and malformed templates side by side.
\set VERBOSITY default
\set SHOW_CONTEXT never
\set customer '{"customer": {"firstName": "Ada", "points": 12.50, "vip": true, "note": null, "html": "<a href=\\"x\\">R&D''s</a>"}, "legs": ["FRA", "JFK"], "Ünï": "café"}'

-- values
SELECT iaros.template_render('Hello {{customer.firstName}}!', :'customer');
SELECT iaros.template_render('{{ customer.points }} {{customer.vip}} {{	legs.1
}}', :'customer');
SELECT iaros.template_render('{{legs.0}}-{{legs.1}} {{Ünï}}', :'customer');

-- escaping
SELECT iaros.template_render('{{customer.html}}', :'customer');
SELECT iaros.template_render('{{{customer.html}}} {{&customer.html}} {{{ customer.vip }}}', :'customer');
SELECT iaros.template_render_text('{{customer.html}}', :'customer');

-- comments go, with their line if it is theirs alone
SELECT iaros.template_render(E'a{{! b }}c\n  {{! alone }}  \nd\n{{! two\nlines }}\n{{! first }}\n{{!x}} e\n', '{}');

-- braces that are no tokens
SELECT iaros.template_render('a{b}c }} }}} {', '{}');
SELECT iaros.template_render('@media{.a{b:c}}', '{}');

-- what is inserted is not read again
SELECT iaros.template_render_text('{{a}}', '{"a": "{{b}}"}');

-- missing values
\set VERBOSITY default
SELECT iaros.template_render(E'Dear\n é {{customer.lastName}}', :'customer');
SELECT iaros.template_render('[{{customer.lastName}}]', :'customer', 'empty');
SELECT iaros.template_render('[{{ customer.lastName }}] {{{x}}}', :'customer', 'keep');
SELECT iaros.template_render('{{customer.note}}', :'customer');
SELECT iaros.template_render('[{{customer.note}}]', :'customer', 'empty');
SELECT iaros.template_render('[{{customer.firstName.x}}{{legs.2}}{{legs.x}}{{legs.99999999999}}]', :'customer', 'empty');
SELECT iaros.template_render('{{a}}', '{"a": 1}', 'Empty');
SELECT iaros.template_render(NULL, '{}'), iaros.template_render('a', NULL), iaros.template_render('a', '{}', NULL);

-- values that are no scalars, tokens that are no object
SELECT iaros.template_render('{{customer}}', :'customer');
SELECT iaros.template_render('{{legs}}', :'customer', 'empty');
SELECT iaros.template_render('a', '[1]');
SELECT iaros.template_render('a', '1');

-- malformed tokens
SELECT iaros.template_tokens('{{a');
SELECT iaros.template_tokens('{{');
SELECT iaros.template_tokens('{{a}');
SELECT iaros.template_tokens('{{}}');
SELECT iaros.template_tokens('{{ }}');
SELECT iaros.template_tokens('{{{}}}');
SELECT iaros.template_tokens('{{.a}}');
SELECT iaros.template_tokens('{{a..b}}');
SELECT iaros.template_tokens('{{a.}}');
SELECT iaros.template_tokens('{{.}}');
SELECT iaros.template_tokens('{{a b}}');
SELECT iaros.template_tokens(E'eins\nzweiß {{a}}}');
SELECT iaros.template_tokens('{{{a}}');
SELECT iaros.template_tokens('{{{{a}}}}');
SELECT iaros.template_tokens('{{a{{b}}}}');
SELECT iaros.template_tokens('{{! never closed }');
SELECT iaros.template_tokens(U&'{{\00A0a}}');
SELECT iaros.template_tokens(E'{{a\001}}');
SELECT iaros.template_tokens('{{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaéé b}}');

-- parts of Mustache that are refused
SELECT iaros.template_render('{{#vip}}x{{/vip}}', '{}');
SELECT iaros.template_render('{{ ^vip}}', '{}');
SELECT iaros.template_render('{{/vip}}', '{}');
SELECT iaros.template_render('{{> footer}}', '{}');
SELECT iaros.template_render('{{=<% %>=}}', '{}');
SELECT iaros.template_render('{{$block}}', '{}');

-- the tokens of a template
SELECT iaros.template_tokens('{{b}} {{a.b}} {{{b}}} {{! c }} {{& a }} {{a.b}}');
SELECT iaros.template_tokens('none'), iaros.template_tokens(''), iaros.template_tokens(NULL);
SELECT cardinality(t), t[1], t[5000]
FROM iaros.template_tokens((SELECT string_agg('{{t' || i % 5000 || '}}', '' ORDER BY i) FROM generate_series(0, 99999) i)) t;

-- limits
SELECT iaros.template_tokens('{{' || repeat('a.', 15) || 'a}}');
SELECT iaros.template_tokens('{{' || repeat('a.', 16) || 'a}}');
SELECT length((iaros.template_tokens('{{' || repeat('a', 255) || '}}'))[1]);
SELECT iaros.template_tokens('{{' || repeat('a', 256) || '}}');
SELECT iaros.template_tokens(repeat('{{', 524288));
SELECT iaros.template_tokens(repeat('{{a', 300000));
SELECT iaros.template_tokens('{{' || repeat(' ', 1048574));
SELECT iaros.template_tokens('{{!' || repeat('}', 1) || repeat(' ', 1048570));
SELECT iaros.template_tokens(repeat('x', 1048576) || 'x');
SELECT length(iaros.template_render(repeat('{', 1), '{}')), length(iaros.template_render(repeat('{ ', 524288), '{}'));
SELECT length(iaros.template_render(repeat('{{a}}', 209715), '{"a": 1}'));
SELECT length(iaros.template_render('{{a}}', jsonb_build_object('a', repeat('x', 16777216))));
SELECT iaros.template_render('{{a}}', jsonb_build_object('a', repeat('x', 16777217)));
SELECT iaros.template_render('{{a}}', jsonb_build_object('a', repeat('"', 3000000)));
SELECT iaros.template_render_text(repeat('{{a}}', 200000), jsonb_build_object('a', repeat('x', 1000)));

-- the codes of these errors
\set VERBOSITY sqlstate
SELECT iaros.template_tokens('{{a');
SELECT iaros.template_render('{{a}}', '{}');
SELECT iaros.template_render('{{a}}', '{"a": {}}');
SELECT iaros.template_render('a', '1');
SELECT iaros.template_render('a', '{}', 'drop');
SELECT iaros.template_tokens('{{#a}}');
SELECT iaros.template_tokens(repeat('x', 1048577));
SELECT iaros.template_tokens('{{' || repeat('a', 256) || '}}');
SELECT length(iaros.template_render('{{a}}', jsonb_build_object('a', repeat('x', 16777217))));
\set VERBOSITY default

-- a template without tokens is rendered as it is
SELECT count(*), bool_and(iaros.template_render(t, '{}') = t AND iaros.template_render_text(t, '{"a": 1}') = t)
FROM (SELECT string_agg(substr(U&'a{ }\000A"&<>''\00E9\4E2D\+01F600.', 1 + get_byte(decode(md5(i || ':' || j), 'hex'), 0) % 15, 1), '' ORDER BY j) AS t
      FROM generate_series(1, 2000) i, generate_series(1, i % 50 + 1) j
      GROUP BY i) s
WHERE t !~ '\{\{';

-- plain rendering is a chain of replace()
SELECT count(*), bool_and(iaros.template_render_text('{{a}}, {{ b.c }}{{a}}', jsonb_build_object('a', i, 'b', jsonb_build_object('c', md5(i::text))))
    = replace(replace('{{a}}, {{ b.c }}{{a}}', '{{a}}', i::text), '{{ b.c }}', md5(i::text)))
FROM generate_series(1, 2000) i;

-- one call, templates that change: the compiled one is never the wrong one
SELECT count(*), bool_and(iaros.template_render_text(CASE i % 3 WHEN 0 THEN '{{a}}' WHEN 1 THEN '{{b}}' ELSE '{{a}}{{b}}' END, '{"a": 1, "b": 2}')
    = CASE i % 3 WHEN 0 THEN '1' WHEN 1 THEN '2' ELSE '12' END)
FROM generate_series(1, 3000) i;
CREATE TEMP TABLE long_template (id integer, body text);
ALTER TABLE long_template ALTER body SET STORAGE EXTERNAL;
INSERT INTO long_template SELECT i, repeat(i || ' ', 3000) || '{{a}}' FROM generate_series(1, 2) i;
INSERT INTO long_template VALUES (3, repeat('3 ', 800) || '{{a}}');
SELECT id, count(*), bool_and(iaros.template_render(body, jsonb_build_object('a', j)) = replace(body, '{{a}}', j::text))
FROM long_template, generate_series(1, 300) j GROUP BY id ORDER BY id;

-- an error in a template leaves the call usable
DO $$
DECLARE
    body text;
    failed integer := 0;
BEGIN
    FOR i IN 1..100 LOOP
        body := CASE i % 2 WHEN 0 THEN '{{a}}' ELSE '{{a' END;
        BEGIN
            ASSERT iaros.template_render(body, '{"a": "x"}') = 'x';
        EXCEPTION WHEN invalid_text_representation THEN
            failed := failed + 1;
        END;
    END LOOP;
    RAISE NOTICE '% of 100 refused', failed;
END
$$;

-- no memory is kept per row
CREATE FUNCTION pg_temp.context_bytes() RETURNS bigint LANGUAGE sql AS
    'SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts';
SELECT max(pg_temp.context_bytes()) FILTER (WHERE i = 20000) - max(pg_temp.context_bytes()) FILTER (WHERE i = 100) < 1000000 AS bounded
FROM (SELECT i, length(iaros.template_render('{{a}}' || i % 2, jsonb_build_object('a', repeat('<', 2000)))) n
      FROM generate_series(1, 20000) i OFFSET 0) s WHERE n > 0;
