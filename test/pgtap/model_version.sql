-- Models by name: versions, the audit row, the file that sessions share, and
-- what is private to a session.
BEGIN;
SELECT plan(26);
SET client_min_messages TO warning;

-- A tree of that many leaves, large enough to be stored out of line.
CREATE FUNCTION pg_temp.tree(leaves integer, score float8) RETURNS text LANGUAGE sql AS $$
    SELECT format('<PMML version="4.4"><DataDictionary><DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<TreeModel functionName="regression"><MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
<Node><True/>%s<Node score="%s"><True/></Node></Node></TreeModel></PMML>',
        string_agg(format('<Node score="%s"><SimplePredicate field="x" operator="lessThan" value="%s"/></Node>', i, i), '' ORDER BY i), score)
    FROM generate_series(1, leaves) AS i
$$;

SELECT is(iaros.model_import('test_tree', pg_temp.tree(500, 1000)), 1, 'the first version is 1');
SELECT is(iaros.model_import('test_tree', pg_temp.tree(500, 1000)), 1, 'the same document is no new version');
SELECT is(iaros.model_import('test_tree', pg_temp.tree(500, 2000)), 2, 'another one is');
SELECT is(iaros.model_score('test_tree', '{"x": 1e6}'::jsonb), 2000::float8, 'the newest version serves');
SELECT is(iaros.model_score(iaros.model_get('test_tree', 1), '{"x": 1e6}'::jsonb), 1000::float8, 'an older one on demand');
SELECT is(iaros.model_score('test_tree', '{"x": 41.5}'::jsonb), 42::float8, 'the tree is walked');
SELECT throws_ok($$SELECT iaros.model_get('test_none')$$, 'P0002', 'there is no model "test_none"');
SELECT throws_ok($$SELECT iaros.model_get('test_tree', 3)$$, 'P0002', 'there is no version 3 of model "test_tree"');
SELECT throws_ok($$SELECT iaros.model_import(NULL, '<PMML/>')$$, '22004', NULL, 'a model has a name');
SELECT throws_ok($$SELECT iaros.model_import('Test Tree', pg_temp.tree(2, 1))$$, '23514', NULL, 'which is a word');
SELECT throws_ok($$SELECT iaros.model_import('test_bad', '<PMML version="4.4"/>')$$, '22023', NULL, 'what is no model is not stored');
SELECT results_eq(
    $$SELECT object_key, detail ->> 'hash' FROM iaros.audit_list('model_version.insert') WHERE object_key LIKE 'test_tree,%' ORDER BY 1$$,
    $$SELECT name || ',' || version, encode(hash, 'hex') FROM iaros.model_version WHERE name = 'test_tree' ORDER BY version$$,
    'audit rows tell of the versions');

-- The compiled form is always that of the document.
UPDATE iaros.model_version SET compiled = iaros.model_compile(pg_temp.tree(3, 7)) WHERE name = 'test_tree' AND version = 1;
SELECT is(iaros.model_score(iaros.model_get('test_tree', 1), '{"x": 1e6}'::jsonb), 1000::float8, 'nobody puts another compiled form beside a document');

-- Files.
SELECT is((SELECT count(*) FROM iaros.model_files() f JOIN iaros.model_version v USING (hash) WHERE v.name = 'test_tree'), 2::bigint, 'both versions that were used have files');
SELECT is((SELECT min(f.bytes - length(iaros.model_send(v.compiled))) FROM iaros.model_files() f JOIN iaros.model_version v USING (hash) WHERE v.name = 'test_tree'), 4::bigint, 'a file is the compiled form and a checksum');
CREATE TEMP TABLE private AS SELECT iaros.model_compile(pg_temp.tree(600, 3)) AS m;
SELECT is((SELECT iaros.model_score(m, '{"x": 1e6}'::jsonb) FROM private), 3::float8, 'a model of another table is used, too');
SELECT is((SELECT count(*) FROM iaros.model_files() f JOIN private p ON f.hash = iaros.model_hash(p.m)), 0::bigint, 'but has no file');
SELECT is((SELECT bool_and(iaros.model_file_remove(f.name)) FROM iaros.model_files() f JOIN iaros.model_version v USING (hash) WHERE v.name = 'test_tree' AND v.version = 2), true, 'a file is removed');
SELECT is(iaros.model_score('test_tree', '{"x": 1e6}'::jsonb), 2000::float8, 'who has it mapped keeps it');
SELECT throws_ok($$SELECT iaros.model_file_remove('../postgresql.conf')$$, '22023', '"../postgresql.conf" is not the file of a model');
SELECT throws_ok($$SELECT iaros.model_file_remove(repeat('a', 32) || './../x')$$, '22023', NULL, 'names of files stay in the directory');
CREATE TEMP TABLE kept AS SELECT f.name FROM iaros.model_files() f JOIN iaros.model_version v USING (hash) WHERE v.name = 'test_tree' AND v.version = 1;
SELECT is((SELECT count(*) FROM kept), 1::bigint, 'version 1 has a file');
-- A file of a model that no row has: named by another hash.
SELECT format($$COPY (SELECT 1) TO PROGRAM 'cp iaros_model/%1$s/%2$s iaros_model/%1$s/%3$s.1'$$, (SELECT oid FROM pg_database WHERE datname = current_database()), name, repeat('ab', 16)) FROM kept \gexec
SELECT iaros.model_file_prune() AS pruned \gset
SELECT is((SELECT count(*) FROM iaros.model_files() WHERE name LIKE 'abab%'), 1::bigint, 'a new file that no row has is left: its row may not be committed');
SELECT format($$COPY (SELECT 1) TO PROGRAM 'touch -d "2 days ago" iaros_model/%1$s/%2$s iaros_model/%1$s/%3$s.1'$$, (SELECT oid FROM pg_database WHERE datname = current_database()), name, repeat('ab', 16)) FROM kept \gexec
SELECT is(iaros.model_file_prune(), 1, 'an old one is removed');
SELECT is((SELECT count(*) FROM iaros.model_files() WHERE name LIKE 'abab%'), 0::bigint, 'it is gone');
SELECT is((SELECT count(*) FROM iaros.model_files() f JOIN kept USING (name)), 1::bigint, 'an old one that a row has is kept');
SELECT * FROM finish();
ROLLBACK;
