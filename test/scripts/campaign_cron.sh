#!/usr/bin/env bash
# pg_cron really fires campaigns, one on a schedule and one on an event, where
# iaros is installed beside pg_cron (case "here") and where it is in another
# database of the server (case "elsewhere": the statements that
# jobs_schedule() returns are run in pg_cron's database).
set -euo pipefail
cd "$(dirname "$0")/../.."
eval "${CLUSTER_ENV:-$(test/cluster env)}"
elsewhere=iaros_cron_test
here=$(psql -XAtq -d postgres -c 'SHOW cron.database_name')
patience=150 made_extension=''

run() {
	psql -XAtq -v ON_ERROR_STOP=1 "$@"
}

# Takes the jobs of database $1 out of pg_cron, whatever state it is in.
forget_jobs() {
	psql -XAtq -d "$here" -c "SELECT count(cron.unschedule(jobid)) FROM cron.job
		WHERE jobname LIKE 'iaros-%@$1'" >/dev/null 2>&1 || true
}

clean() {
	forget_jobs "$elsewhere"
	psql -Xq -d postgres -c "DROP DATABASE IF EXISTS $elsewhere (FORCE)" || true
	if [[ $made_extension == yes ]]; then
		forget_jobs "$here"
		psql -Xq -d "$here" -c 'SET client_min_messages = warning' \
			-c 'DROP EXTENSION IF EXISTS iaros CASCADE' \
			-c 'DROP SCHEMA IF EXISTS iaros CASCADE' || true
	fi
}

# Installs iaros into database $1, with two campaigns that are due now.
prepare() {
	run -d "$1" >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION iaros;
CALL iaros.install();
SELECT iaros.customer_create('crm', 'cron' || i, first_name => 'Ada', email => 'cron' || i || '@example.org')
FROM generate_series(1, 2) AS i;
SELECT iaros.consent_record(customer_id, 'email', 'marketing', true, 'form') FROM iaros.customer;
SELECT iaros.segment_create('cron');
SELECT iaros.segment_member_add('cron', array_agg(customer_id)) FROM iaros.customer;
SELECT iaros.campaign_launch(iaros.campaign_create('CRON-TIME', 'On a schedule', 'email', 'promotional',
    segment => 'cron', every => '1 day'));
SELECT iaros.campaign_launch(iaros.campaign_create('CRON-EVENT', 'On an event', 'email', 'abandoned-cart-1',
    trigger_kind => 'event', event_kind => 'cart_abandoned'));
SELECT iaros.event_record(min(customer_id), 'cart_abandoned') FROM iaros.customer;
SQL
}

# Prints what pg_cron has done so far in database $1: messages of both
# campaigns, runs of the job with rows and without an error.
progress() {
	run -d "$1" -c "SELECT
		(SELECT count(*) FROM iaros.outbox o JOIN iaros.campaign c USING (campaign_id) WHERE c.code = 'CRON-TIME'),
		(SELECT count(*) FROM iaros.outbox o JOIN iaros.campaign c USING (campaign_id) WHERE c.code = 'CRON-EVENT'),
		(SELECT count(*) FROM iaros.job_run WHERE job = 'campaigns' AND rows_done = 3 AND error IS NULL)"
}

trap clean EXIT
run -d "$here" -c 'SET client_min_messages = warning' \
	-c 'CREATE EXTENSION IF NOT EXISTS pg_cron' >/dev/null
if [[ $(run -d "$here" -c "SELECT count(*) FROM pg_namespace WHERE nspname = 'iaros'") != 0 ]]; then
	echo "database $here has a schema iaros already; drop it first"
	exit 1
fi
clean 2>/dev/null
made_extension=yes

run -d postgres -c "CREATE DATABASE $elsewhere"
prepare "$elsewhere"
prepare "$here"
[[ $(run -d "$elsewhere" -c 'SELECT iaros.jobs_place()') == elsewhere ]]
[[ $(run -d "$here" -c 'SELECT iaros.jobs_place()') == here ]]
run -d "$elsewhere" -c 'SET client_min_messages = warning' \
	-c 'SELECT command FROM iaros.jobs_schedule()' | run -d "$here" >/dev/null
run -d "$here" -c 'SELECT outcome FROM iaros.jobs_schedule()' | sort -u
[[ $(run -d "$here" -c "SELECT count(*) FROM cron.job
	WHERE jobname IN ('iaros-campaigns@$here', 'iaros-campaigns@$elsewhere')") == 2 ]]

until [[ $(progress "$elsewhere") == '2|1|1' && $(progress "$here") == '2|1|1' ]]; do
	if ((SECONDS > patience)); then
		echo "pg_cron did not fire within $patience seconds"
		echo "$elsewhere: $(progress "$elsewhere"), $here: $(progress "$here")"
		run -d "$here" -c "SELECT d.status, d.return_message, d.command FROM cron.job_run_details d
			WHERE d.database IN ('$here', '$elsewhere') ORDER BY d.runid DESC LIMIT 10"
		exit 1
	fi
	sleep 1
done
echo "fired after $SECONDS seconds: both campaigns, in both places"

# Nothing is sent twice by what runs from now on, and nothing stays behind.
run -d "$here" -c 'CALL iaros.job_execute('"'campaigns'"')'
run -d "$elsewhere" -c 'CALL iaros.job_execute('"'campaigns'"')'
[[ $(progress "$elsewhere") == '2|1|1' && $(progress "$here") == '2|1|1' ]]
run -d "$elsewhere" -c 'SELECT command FROM iaros.jobs_unschedule()' | run -d "$here" >/dev/null
run -d "$here" -c 'SELECT outcome FROM iaros.jobs_unschedule()' | sort -u
[[ $(run -d "$here" -c "SELECT count(*) FROM cron.job
	WHERE jobname LIKE 'iaros-%@$here' OR jobname LIKE 'iaros-%@$elsewhere'") == 0 ]]
echo 'unscheduled'
