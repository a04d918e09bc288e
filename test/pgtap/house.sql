-- The rules of the house, checked in the catalogue: what table_roles(),
-- personal_columns(), trigger_roles() and access_functions() say is so, and
-- every table and function is made as the rules of distribution want it.
BEGIN;
SELECT plan(28);

CREATE TEMP VIEW house_table AS
SELECT c.oid, c.relname::text AS relation, c.relkind, r.role, r.access
FROM pg_class c
LEFT JOIN iaros.table_roles() r ON r.relation = c.relname
WHERE c.relnamespace = 'iaros'::regnamespace
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition;

CREATE TEMP VIEW house_function AS
SELECT p.*, p.oid::regprocedure::text AS signature
FROM pg_proc p
WHERE p.pronamespace = 'iaros'::regnamespace;

SELECT is_empty(
    $$SELECT relation FROM house_table WHERE role IS NULL$$,
    'every table has a role in table_roles()');
SELECT is_empty(
    $$SELECT relation FROM iaros.table_roles() WHERE to_regclass('iaros.' || relation) IS NULL$$,
    'every table of table_roles() exists');
SELECT is_empty(
    $$SELECT relation FROM iaros.table_roles()
      WHERE role NOT IN ('customer', 'reference', 'local') OR access NOT IN ('open', 'kept', 'config', 'ledger')$$,
    'roles and access are of the known kinds');
SELECT is_empty(
    $$SELECT relation, attribute FROM iaros.personal_columns() p
      WHERE NOT EXISTS (SELECT FROM pg_attribute a
          WHERE a.attrelid = to_regclass('iaros.' || p.relation) AND a.attname = p.attribute)$$,
    'every personal column exists');
SELECT is_empty(
    $$SELECT t.relation, t.trigger FROM iaros.trigger_roles() t
      WHERE NOT EXISTS (SELECT FROM pg_trigger g
          WHERE g.tgrelid = to_regclass('iaros.' || t.relation) AND g.tgname = t.trigger)$$,
    'every trigger of trigger_roles() exists');
SELECT is_empty(
    $$SELECT h.relation, g.tgname FROM house_table h
      JOIN pg_trigger g ON g.tgrelid = h.oid AND NOT g.tgisinternal
      WHERE NOT EXISTS (SELECT FROM iaros.trigger_roles() t
          WHERE t.relation = h.relation AND t.trigger = g.tgname)$$,
    'every trigger is in trigger_roles()');

-- Tables of customers (distributed.md section 9.1).
SELECT is_empty(
    $$SELECT h.relation FROM house_table h
      WHERE h.role = 'customer' AND NOT EXISTS (
          SELECT FROM pg_attribute a WHERE a.attrelid = h.oid AND a.attname = 'customer_id'
            AND a.atttypid = 'bigint'::regtype AND a.attnotnull)$$,
    'customer tables have customer_id bigint NOT NULL');
SELECT is_empty(
    $$SELECT h.relation FROM house_table h
      WHERE h.role = 'customer' AND NOT EXISTS (
          SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
          WHERE i.indrelid = h.oid AND i.indisprimary AND a.attname = 'customer_id')$$,
    'customer_id is the first column of the primary key of customer tables');
SELECT is_empty(
    $$SELECT i.indexrelid::regclass FROM house_table h
      JOIN pg_index i ON i.indrelid = h.oid AND (i.indisunique OR i.indisexclusion)
      WHERE h.role = 'customer' AND NOT EXISTS (
          SELECT FROM pg_attribute a WHERE a.attrelid = h.oid AND a.attname = 'customer_id'
            AND a.attnum = ANY (i.indkey::smallint[]))$$,
    'every unique constraint of a customer table contains customer_id');
SELECT is_empty(
    $$SELECT k.conrelid::regclass, k.conname FROM pg_constraint k
      JOIN house_table f ON f.oid = k.conrelid
      JOIN house_table t ON t.oid = k.confrelid
      WHERE k.contype = 'f' AND t.role = 'customer' AND (
          f.role <> 'customer'
          OR (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[1]) <> 'customer_id'
          OR (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1]) <> 'customer_id')$$,
    'a foreign key to a customer table comes from one and starts with customer_id on both sides');
SELECT is_empty(
    $$SELECT k.conrelid::regclass, k.conname FROM pg_constraint k
      JOIN house_table f ON f.oid = k.conrelid AND f.role = 'customer'
      JOIN house_table t ON t.oid = k.confrelid
      WHERE k.contype = 'f' AND t.role = 'local'$$,
    'no customer table refers to a local table');
SELECT is_empty(
    $$SELECT a.attrelid::regclass, a.attname FROM house_table h
      JOIN pg_attribute a ON a.attrelid = h.oid AND a.attidentity <> ''$$,
    'no identity columns');
SELECT is_empty(
    $$SELECT c.oid::regclass FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
      WHERE c.relnamespace = 'iaros'::regnamespace AND s.seqtypid <> 'bigint'::regtype$$,
    'every sequence is bigint');
SELECT is_empty(
    $$SELECT h.relation, pg_get_expr(d.adbin, d.adrelid) FROM house_table h
      JOIN pg_attrdef d ON d.adrelid = h.oid
      WHERE h.role = 'customer'
        AND pg_get_expr(d.adbin, d.adrelid) ~ '(random|gen_random_uuid|clock_timestamp)\('$$,
    'no volatile default on a customer table but nextval');
SELECT is_empty(
    $$SELECT k.conrelid::regclass, k.conname FROM pg_constraint k
      JOIN house_table h ON h.oid = k.conrelid
      WHERE k.contype = 'f' AND NOT EXISTS (
          SELECT FROM pg_index i
          WHERE i.indrelid = k.conrelid
            AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey)
        -- Catalogues of a few rows that are never deleted in bulk.
        AND NOT (h.role = 'reference')
        AND k.confrelid <> ALL (ARRAY['iaros.country', 'iaros.airport', 'iaros.currency',
            'iaros.data_source', 'iaros.channel', 'iaros.sales_channel', 'iaros.identifier_kind',
            'iaros.item_kind', 'iaros.event_kind']::regclass[])$$,
    'every foreign key that can be followed back has its index');
SELECT is_empty(
    $$SELECT a.attrelid::regclass, a.attname FROM house_table h
      JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
      WHERE t.typsend = 0 OR t.typreceive = 0$$,
    'every column type can be sent and received');
SELECT is_empty(
    $$SELECT a.attrelid::regclass, a.attname FROM house_table h
      JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE a.atttypid IN ('timestamp'::regtype, 'money'::regtype, 'real'::regtype)$$,
    'no timestamp without time zone, no money, no real');

-- Comments.
SELECT is_empty(
    $$SELECT relation FROM house_table WHERE obj_description(oid, 'pg_class') IS NULL
      UNION ALL
      SELECT c.relname FROM pg_class c
      WHERE c.relnamespace = 'iaros'::regnamespace AND c.relkind IN ('v', 'm')
        AND obj_description(c.oid, 'pg_class') IS NULL$$,
    'every table and view has a comment');
SELECT is_empty(
    $$SELECT signature FROM house_function WHERE obj_description(oid, 'pg_proc') IS NULL$$,
    'every function has a comment');
SELECT is_empty(
    $$SELECT t.oid::regtype FROM pg_type t
      WHERE t.typnamespace = 'iaros'::regnamespace AND t.typrelid = 0 AND t.typelem = 0
        AND obj_description(t.oid, 'pg_type') IS NULL$$,
    'every type has a comment');

-- Functions.
SELECT is_empty(
    $$SELECT signature FROM house_function p JOIN pg_language l ON l.oid = p.prolang
      WHERE l.lanname = 'plpgsql' AND NOT (p.prokind = 'p' AND p.prosrc ~ 'COMMIT')
        -- What runs a source named by the caller resolves it by the caller's path.
        AND p.proname <> 'source_query' AND p.prosrc !~ 'iaros\.source_query\('
        AND NOT coalesce(p.proconfig::text ~ 'search_path=pg_catalog, pg_temp', false)$$,
    'PL/pgSQL functions carry a pinned search_path');
SELECT is_empty(
    $$SELECT signature FROM house_function p JOIN pg_language l ON l.oid = p.prolang
      WHERE l.lanname = 'sql' AND p.prosqlbody IS NULL
        -- A SET clause would keep it from being inlined.
        AND p.proname NOT IN ('profile_at', 'segment_ids_moved')
        AND NOT coalesce(p.proconfig::text ~ 'search_path=pg_catalog, pg_temp', false)$$,
    'string-body SQL functions carry a pinned search_path');
SELECT is_empty(
    $$SELECT signature FROM house_function WHERE prosecdef AND (
          NOT coalesce(proconfig::text ~ 'search_path=pg_catalog, pg_temp', false)
          OR has_function_privilege('public', oid, 'EXECUTE')
          OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = house_function.oid AND d.deptype = 'e'))$$,
    'gates pin the search_path, are not for PUBLIC and belong to the owner of the tables');
SELECT is_empty(
    $$SELECT signature FROM house_function p
      WHERE EXISTS (SELECT FROM unnest(p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}') || p.prorettype) AS a(typ)
                    JOIN pg_type t ON t.oid = a.typ
                    JOIN pg_class c ON c.oid = t.typrelid AND c.relkind IN ('r', 'p', 'v'))$$,
    'no signature names the row type of a table');
SELECT is_empty(
    $$SELECT f.function FROM iaros.access_functions() f
      WHERE (f.level = 'public') <> has_function_privilege('public', f.function::oid, 'EXECUTE')$$,
    'PUBLIC may call the kernel functions and no other');
SELECT is_empty(
    $$SELECT p.signature FROM house_function p
      JOIN pg_aggregate a ON a.aggfnoid = p.oid
      JOIN pg_type t ON t.oid = a.aggtranstype
      WHERE a.aggcombinefn = 0 OR t.typtype = 'p'$$,
    'aggregates combine and have a real state type');
-- A backslash in an ordinary literal of a body means something else where a
-- session turns standard_conforming_strings off.
SELECT is_empty(
    $$SELECT signature FROM house_function p JOIN pg_language l ON l.oid = p.prolang
      WHERE l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL
        AND regexp_replace(regexp_replace(p.prosrc, '--[^\n]*', '', 'g'), 'E''[^'']*''', '', 'g') ~ '\\'$$,
    'no function body depends on standard_conforming_strings');
-- check_function_bodies is off while an extension is created: look now.
SELECT lives_ok(
    $lives$DO $do$
      DECLARE f oid;
      BEGIN
        PERFORM set_config('check_function_bodies', 'on', true);
        FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                 WHERE p.pronamespace = 'iaros'::regnamespace AND l.lanname = 'plpgsql' LOOP
            PERFORM plpgsql_validator(f);
        END LOOP;
        FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                 WHERE p.pronamespace = 'iaros'::regnamespace AND l.lanname = 'sql' LOOP
            PERFORM fmgr_sql_validator(f);
        END LOOP;
      END $do$$lives$,
    'every function body is valid');

SELECT * FROM finish();
ROLLBACK;
