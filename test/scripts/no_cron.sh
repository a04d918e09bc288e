#!/usr/bin/env bash
# A server without pg_cron: everything installs, jobs_schedule() gives the
# commands to run by hand, and a job runs by hand.
set -euo pipefail
# shellcheck source=test/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"
dir=$(as_server mktemp -d /tmp/iaros-nocron.XXXXXX)
clean() {
	as_server "$PGBIN/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap clean EXIT
as_server "$PGBIN/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync >/dev/null
as_server "$PGBIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w \
	-o "-c port=5432 -c listen_addresses= -c unix_socket_directories=$dir -c fsync=off -c max_connections=10" start >/dev/null
export PGHOST=$dir PGPORT=5432 PGDATABASE=postgres
out=$(psql -qXAt -v ON_ERROR_STOP=1 2>&1 <<'SQL'
CREATE EXTENSION iaros;
CALL iaros.install();
SELECT iaros.jobs_place();
SELECT count(*) > 0 AND bool_and(outcome = 'run command by hand' AND command LIKE 'CALL iaros.job_execute(%') FROM iaros.jobs_schedule();
SELECT count(*) FROM iaros.jobs_unschedule();
CALL iaros.job_execute('campaigns');
SELECT job, error IS NULL, finished_at IS NOT NULL FROM iaros.job_run;
SQL
)
printf '%s\n' "$out"
want='nowhere
NOTICE:  pg_cron is not loaded in this server, so nothing was scheduled
HINT:  Install pg_cron, or run the commands from another scheduler.
t
0
campaigns|t|t'
[[ $out == "$want" ]] || {
	diff <(printf '%s\n' "$want") <(printf '%s\n' "$out")
	exit 1
}
