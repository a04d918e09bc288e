#!/usr/bin/env bash
# pg_dump | psql into a fresh database restores everything: rows, and the
# columns, indexes, grants and partitions that users added.
set -euo pipefail
cd "$(dirname "$0")/../.."
eval "$(test/cluster env)"
from=iaros_dump_from to=iaros_dump_to reader=iaros_dump_reader

clean() {
	psql -qX -d postgres -c "DROP DATABASE IF EXISTS $from" \
		-c "DROP DATABASE IF EXISTS $to" -c "DROP ROLE IF EXISTS $reader"
}
run() {
	psql -qX -v ON_ERROR_STOP=1 "$@"
}
# Every table with its rows, every grant, index and trigger, one a line.
inventory() {
	run -At -d "$1" <<'SQL'
SELECT format('SELECT %L, count(*), md5(coalesce(string_agg(t::text, '','' ORDER BY t::text), '''')) FROM iaros.%I t', relname, relname)
FROM pg_class WHERE relnamespace = 'iaros'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname \gexec
SELECT 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'iaros'::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped ORDER BY c.relname, attname;
SELECT 'acl', relname, (SELECT array_agg(a ORDER BY a::text) FROM unnest(coalesce(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner))) a)
FROM pg_class WHERE relnamespace = 'iaros'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') ORDER BY 2;
SELECT 'acl', oid::regprocedure, (SELECT array_agg(a ORDER BY a::text) FROM unnest(coalesce(proacl, acldefault('f', proowner))) a)
FROM pg_proc WHERE pronamespace = 'iaros'::regnamespace ORDER BY oid::regprocedure::text;
SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'iaros' ORDER BY 2;
SELECT 'trigger', tgrelid::regclass, tgname, tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = 'iaros'::regnamespace AND NOT tgisinternal ORDER BY c.relname, tgname;
-- Parentheses around AND come and go when a constraint is parsed again.
SELECT 'constraint', conrelid::regclass, conname, translate(pg_get_constraintdef(oid), '()', ''), convalidated
FROM pg_constraint WHERE connamespace = 'iaros'::regnamespace ORDER BY conrelid::regclass::text, conname, pg_get_constraintdef(oid);
SELECT 'comment', objoid::regclass, objsubid, md5(description) FROM pg_description
WHERE classoid = 'pg_class'::regclass AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'iaros'::regnamespace) ORDER BY objoid::regclass::text, objsubid;
SELECT 'sequence', sequencename, last_value FROM pg_sequences WHERE schemaname = 'iaros' ORDER BY 2;
SQL
}

trap clean EXIT
clean 2>/dev/null
run -d postgres -c "CREATE DATABASE $from" -c "CREATE DATABASE $to" -c "CREATE ROLE $reader"
run -d "$from" <<SQL
SET client_min_messages TO warning;
CREATE EXTENSION iaros;
CALL iaros.install();
\o /dev/null
SELECT * FROM iaros.demo_generate(200, 7, '2026-06-30');
SELECT iaros.access_grant('$reader', 'read');
SELECT iaros.partition_ensure('2031-01-01', '2031-02-01');
SELECT iaros.setting_set('fx_max_age_days', '8');
\o
ALTER TABLE iaros.customer ADD COLUMN shoe_size integer DEFAULT 42;
ALTER TABLE iaros.booking ADD COLUMN note text;
CREATE INDEX user_index ON iaros.booking (note) WHERE note IS NOT NULL;
GRANT SELECT ON iaros.booking_item TO $reader;
GRANT EXECUTE ON FUNCTION iaros.customer_timeline(bigint, timestamptz, timestamptz, integer) TO $reader;
SQL
pg_dump "$from" | run -d "$to" >/dev/null
before=$(inventory "$from")
after=$(inventory "$to")
if [[ $before != "$after" ]]; then
	diff <(printf '%s\n' "$before") <(printf '%s\n' "$after") | head -40
	echo "the restored database differs"
	exit 1
fi
[[ $before == *shoe_size* && $before == *user_index* ]]
# The restored house works: it installs again, records, and stays protected.
run -d "$to" <<'SQL' >/dev/null
SET client_min_messages TO warning;
CALL iaros.install();
SELECT iaros.booking_record(iaros.customer_create(first_name => 'New'), 10, 'USD');
SELECT iaros.setting_set('fx_max_age_days', '9');
DO $$
BEGIN
    ASSERT iaros.setting_get('fx_max_age_days') = '9', 'the settings cache works after a restore';
    ASSERT (SELECT count(*) = 2 FROM iaros.audit_list('setting.update')), 'the audit trigger was restored';
    BEGIN
        DROP EXTENSION iaros;
        RAISE 'DROP EXTENSION went through';
    EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
    END;
END $$;
SQL
echo "restored: $(printf '%s\n' "$before" | wc -l) lines of inventory are equal"
