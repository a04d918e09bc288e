#!/usr/bin/env bash
# Models: boosted trees (50 and 300 of depth 6, 33 inputs) over a table and
# row by row, a logistic regression, many models for one row, importing. Beside
# them the same in plain SQL, or libxgboost with one thread where its header is
# (libxgboost-dev), which then trains the trees; else they are random. All on
# one core. Rows/s of libxgboost are of rows that lie in memory.
set -euo pipefail
ROWS=${BENCH_ROWS:-200000}
TREES=300
lib=$(dirname -- "${BASH_SOURCE[0]}")/lib
dir=$(mktemp -d)
run() {
	PGOPTIONS='-c jit=off -c max_parallel_workers_per_gather=0' \
		psql -XqAt -v ON_ERROR_STOP=1 -v rows="$ROWS" "$@"
}
clean() {
	run -c 'SET client_min_messages = warning' \
		-c 'DROP SCHEMA IF EXISTS bench CASCADE' || true
	rm -rf -- "$dir"
}
trap clean EXIT

# Compiles what calls libxgboost, if it is there.
build_xgboost() {
	echo '#include <xgboost/c_api.h>' |
		cc -E -x c - >/dev/null 2>&1 || return 1
	cc -O2 -o "$dir/xgboost" "$lib/model_xgboost.c" -lxgboost -lm
}

# Prints the times that libxgboost needs for $1 trees and the table $2; its
# scores are left in the table bench.xgboost.
xgboost_ms() {
	run -c "COPY (SELECT 0::real, $reals FROM bench.$2 ORDER BY id) TO STDOUT (FORMAT binary)" >"$dir/rows"
	"$dir/xgboost" predict "$dir/rows" "$1" "$dir/model.ubj" "$dir/scores"
	run -c "SET client_min_messages = warning" -c "DROP TABLE IF EXISTS bench.xgboost" \
		-c 'CREATE UNLOGGED TABLE bench.xgboost (id bigint, score real)' \
		-c '\copy bench.xgboost FROM '"'$dir/scores'"' CSV' -c 'ANALYZE bench.xgboost' >&2
}

# Compares a scan of table $2 by $1 trees with libxgboost.
xgboost_bench() {
	local by_array by_matrix times
	times=$(xgboost_ms "$1" "$2")
	read -r by_array by_matrix <<<"$times"
	run -f "$lib/bench.sql" -f - -v trees="$1" -v source="$2" -v by_array="$by_array" -v by_matrix="$by_matrix" <<-'SQL'
		SELECT bench.compare(format('model_scan %s trees, %s; xgboost', :trees, :'source'), q, 'TABLE bench.xgboost', :rows, 0, :by_array)
		FROM format('SELECT id, score FROM iaros.model_scan((SELECT model FROM bench.model WHERE name = ''%s trees''), ''bench.%s'', ''id'')', :trees, :'source') AS q;
		SELECT bench.line('  libxgboost from an array; its matrix', :by_array, :by_matrix, :rows);
	SQL
}

run -f "$lib/model.sql"
reals=$(run -c "SELECT bench.each('f%::real', 33)")
if build_xgboost; then
	run -c "COPY (SELECT y, $reals FROM bench.training ORDER BY id) TO STDOUT (FORMAT binary)" >"$dir/rows"
	"$dir/xgboost" train "$dir/rows" "$TREES" "$dir/model.ubj" "$dir/nodes"
	run -c '\copy bench.node FROM '"'$dir/nodes'"' CSV'
else
	echo 'no libxgboost: random trees'
	run -c "SELECT bench.random_trees($TREES)"
fi
run <<-'SQL'
	ANALYZE bench.node;
	SELECT bench.build_trees();
	INSERT INTO bench.model
	SELECT n || ' trees', iaros.model_compile(p), p FROM unnest('{50,300}'::integer[]) AS n, bench.trees_pmml(0, n) AS p
	UNION ALL SELECT n || ' trees, compact', iaros.model_compile(p), p FROM unnest('{50,300}'::integer[]) AS n, bench.trees_pmml(0, n, true) AS p;
	VACUUM ANALYZE bench.customer, bench.customer_real, bench.customer_gaps, bench.model, bench.tree;
	SELECT format('%s trees have %s nodes', count(*), sum(nodes)) FROM bench.tree;
	SELECT format('%s: PMML %s bytes, compiled %s, %s a Node of PMML, %s a node of the trees', m.name, length(m.pmml), pg_column_size(m.model),
	    round(pg_column_size(m.model)::numeric / regexp_count(m.pmml, '<Node'), 1), round(pg_column_size(m.model)::numeric / t.nodes, 1))
	FROM bench.model m, LATERAL (SELECT sum(nodes) AS nodes FROM bench.tree WHERE tree < split_part(m.name, ' ', 1)::integer) AS t;
SQL
if [[ -x $dir/xgboost ]]; then
	for source in customer customer_real customer_gaps; do
		xgboost_bench 50 "$source"
		xgboost_bench 300 "$source"
	done
fi
run -f "$lib/bench.sql" -f "$lib/model_rows.sql"
