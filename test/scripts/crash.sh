#!/usr/bin/env bash
# The server is killed in the middle of loads, again and again. What was
# committed is there, on both sides, and nothing else: after each start all
# checks below find nothing. On a cluster of its own, without pg_cron.
set -euo pipefail
# shellcheck source=test/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"
cd "$ROOT"

# Each finds what should not be. A line here checks another thing.
CHECKS=(
	"SELECT * FROM iaros.source_check('own') LIMIT 5"
	"SELECT * FROM iaros.source_doctor()"
	"SELECT s.id FROM own.sale s FULL JOIN iaros.booking b ON b.external_id = s.id::text AND b.source = 'own' WHERE s.price IS DISTINCT FROM b.amount LIMIT 5"
	"SELECT w.* FROM iaros.event_key w LEFT JOIN iaros.event e USING (customer_id, occurred_at, event_id) WHERE e.event_id IS NULL LIMIT 5"
	"SELECT k.* FROM iaros.customer_key k LEFT JOIN iaros.customer c USING (customer_id) WHERE c.customer_id IS NULL LIMIT 5"
	"SELECT * FROM iaros.load_reject LIMIT 5"
	"SELECT * FROM iaros.profile_check() LIMIT 5"
	"SELECT n FROM iaros.profile_rebuild() n WHERE n > 0"
)

where=$(as_server mktemp -d /tmp/iaros-crash.XXXXXX)
loaders=()
clean() {
	own_ctl -m immediate stop 2>/dev/null || true
	((${#loaders[@]} == 0)) || wait "${loaders[@]}" 2>/dev/null || true
	as_server rm -rf -- "$where"
}
trap clean EXIT

# Writes into the user's tables until the server goes; $1 keeps keys apart.
load() {
	local base
	for base in $(seq "$1" 100 $(($1 + 10000000))); do
		own_psql <<-SQL >/dev/null 2>&1 || return 0
			INSERT INTO own.client SELECT $base + i, 'n' || i FROM generate_series(1, 20) AS i;
			INSERT INTO own.sale SELECT $base + i, $base + 1 + i % 20, now() - interval '1 hour', i FROM generate_series(1, 50) AS i;
			INSERT INTO own.click SELECT $base + i, $base + 1 + i % 20, now() - interval '1 hour', 'login' FROM generate_series(1, 90) AS i;
			BEGIN;
			UPDATE own.sale SET price = price + 1, client = $base + 1 + (client - $base) % 20 WHERE id BETWEEN $base AND $base + 30;
			UPDATE own.click SET what = 'page_view', id = -id WHERE id BETWEEN $base AND $base + 45;
			DELETE FROM own.sale WHERE id % 7 = 0 AND id BETWEEN $base AND $base + 50;
			COMMIT;
		SQL
	done
}

own_server 'checkpoint_timeout = 30s'
own_psql >/dev/null <<-SQL
	SET client_min_messages = warning;
	CREATE EXTENSION iaros;
	CALL iaros.install();
	INSERT INTO iaros.data_source (source, description) VALUES ('own', 'Own tables');
	CREATE SCHEMA own;
	CREATE TABLE own.client (id bigint PRIMARY KEY, name text);
	CREATE TABLE own.sale (id bigint PRIMARY KEY, client bigint, at timestamptz, price numeric(16,4));
	CREATE TABLE own.click (id bigint PRIMARY KEY, client bigint, at timestamptz, what text);
	SELECT iaros.source_attach('customer', 'own.client', '{"external_id": "id", "first_name": "name"}', 'own');
	SELECT iaros.source_attach('booking', 'own.sale', '{"external_id": "id", "customer_external_id": "client", "booked_at": "at",
	    "amount": "price", "currency": {"value": "USD"}}', 'own');
	SELECT iaros.source_attach('event', 'own.click', '{"external_id": "id", "customer_external_id": "client", "occurred_at": "at", "kind": "what"}', 'own');
SQL

rows=0
for round in 1 2 3; do
	loaders=()
	for loader in 1 2; do
		load $((round * 1000000000 + loader * 100000000)) &
		loaders+=($!)
	done
	sleep 2.$((round * 3))
	own_ctl -m immediate stop
	wait "${loaders[@]}"
	own_ctl start
	for check in "${CHECKS[@]}"; do
		wrong=$(own_psql -c "$check")
		[[ -z $wrong ]] || {
			printf 'after crash %s: %s\n%s\n' "$round" "$check" "$wrong"
			exit 1
		}
	done
	was=$rows
	rows=$(own_psql -c 'SELECT count(*) FROM own.sale')
	((rows > was)) || {
		echo "nothing was committed before crash $round"
		exit 1
	}
done
as_server grep -q 'database system was not properly shut down' "$where/log"
echo "3 crashes, $rows bookings, ${#CHECKS[@]} checks: nothing is out of step"
