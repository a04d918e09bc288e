#!/usr/bin/env bash
# What models cost in memory when many connections use them: how much the
# proportional set sizes (PSS) of all of them grow, anonymous memory and mapped
# files, when they score with all models of iaros.model_version instead of one
# small one; the same for models in another table, which each connection copies.
# BENCH_MODELS models (50) of 1 MB, BENCH_CONNECTIONS connections (100), on a
# cluster of its own.
set -euo pipefail
# shellcheck source=test/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"
cd "$ROOT"
MODELS=${BENCH_MODELS:-50}
CONNECTIONS=${BENCH_CONNECTIONS:-100}
FEW=4
where=$(as_server mktemp -d /tmp/iaros-memory.XXXXXX)
clean() {
	own_ctl -m immediate stop 2>/dev/null || true
	wait
	as_server rm -rf -- "$where"
}
trap clean EXIT

# Prints the processes of the connections that have scored.
readers() {
	own_psql -c "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
}

# Prints the kB that $1 connections use after scoring 200 customers with the
# models of $2.
memory() {
	local pid i
	for ((i = 0; i < $1; i++)); do
		own_psql -c "SELECT sum(iaros.model_score(m.compiled, c)) FROM $2 AS m, bench.customer AS c" \
			-c 'SELECT pg_sleep(3600)' >/dev/null 2>&1 &
	done
	while (($(readers | wc -l) < $1)); do
		(($(jobs -r | wc -l) == $1)) || die 'a connection has failed'
		sleep 0.1
	done
	for pid in $(readers); do
		cat "/proc/$pid/smaps_rollup"
	done | awk '/^Pss_(Anon|File):/ {kb += $2} END {print kb}'
	own_psql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'" >/dev/null
	wait
}

# Compares what $1 connections use for the models of $2 and for one.
growth() {
	local few all
	few=$(memory "$1" "(SELECT * FROM bench.copy WHERE name = 'small')")
	all=$(memory "$1" "$2")
	awk -v n="$1" -v table="$2" -v kb="$((all - few))" -v size="$size" 'BEGIN {
		printf "%d connections, %s: %.1f MB more, %.2f times the models\n", n, table, kb / 1024, kb / size
	}'
}

own_server "max_connections = $((CONNECTIONS + 20))" 'shared_buffers = 256MB' \
	'fsync = off' 'max_wal_size = 4GB' 'jit = off' \
	'max_parallel_workers_per_gather = 0'
own_psql -c 'CREATE EXTENSION iaros' -c 'CALL iaros.install()' >/dev/null
own_psql -v rows=200 -v models="$MODELS" -f test/bench/lib/model.sql -f - >/dev/null <<-'SQL'
	SELECT bench.random_trees(400);
	SELECT bench.build_trees();
	CREATE TABLE bench.copy (name text, compiled iaros.model);
	INSERT INTO bench.copy SELECT 'small', iaros.model_compile(bench.trees_pmml(0, 100, true));
	SELECT (100 * 1e6 / pg_column_size(compiled))::integer AS trees FROM bench.copy \gset
	SELECT iaros.model_import('m' || i, bench.trees_pmml(i * 7, :trees, true)) FROM generate_series(1, :models) AS i;
	INSERT INTO bench.copy SELECT name, compiled FROM iaros.model_version;
	VACUUM ANALYZE;
SQL
size=$(own_psql -c 'SELECT sum(pg_column_size(compiled)) / 1024 FROM iaros.model_version')
echo "$MODELS models of $((size / MODELS)) kB"
# At first no model has a file, and all connections want one at once.
growth "$CONNECTIONS" iaros.model_version
growth "$CONNECTIONS" iaros.model_version
growth "$FEW" bench.copy
