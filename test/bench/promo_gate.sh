#!/usr/bin/env bash
# Redemptions by 8 clients, and what they write by bare SQL without deciding
# anything, beside `pgbench -N` on the same server, in turns,
# with fsync and synchronous_commit on: the best of three runs of each. The
# ratio is the share of the rate of `pgbench -N`; times are for a transaction.
set -euo pipefail
SECONDS_EACH=${BENCH_SECONDS:-5}
CUSTOMERS=20000 PROMOTIONS=1000
dir=$(mktemp -d)
run() {
	psql -XqAt -v ON_ERROR_STOP=1 "$@"
}
clean() {
	run -c 'ALTER SYSTEM RESET fsync' -c 'ALTER SYSTEM RESET full_page_writes' \
		-c 'SELECT pg_reload_conf()' >/dev/null
	rm -rf -- "$dir"
}
trap clean EXIT

# Writes the script of purchases with the code $2, as $1.
purchase() {
	cat >"$dir/$1" <<-SQL
		\set customer random(1, $CUSTOMERS)
		\set promotion random(1, $PROMOTIONS)
		\set key random(1, 9000000000000000000)
		SELECT redeemed FROM iaros.promo_redeem('{"customer": :customer, "currency": "USD", "channel": "web", "lines": [
		    {"id": 1, "price": 240.50, "kind": "fare", "attributes": {"route": "JFK-LHR", "departure": "2027-07-04", "fare_class": "Y"}},
		    {"id": 2, "price": 30.00, "kind": "ancillary", "product": "bag"}]}', '{$2}', 'k:key');
	SQL
}

# Prints the transactions a second of one run of pgbench.
rate() {
	pgbench -n -c 8 -j 2 -T "$SECONDS_EACH" "$@" |
		awk '/^tps/ {print $3} /failed transactions: [^0]/ {exit 1}'
}

run >/dev/null <<-SQL
	SET client_min_messages = warning;
	ALTER SYSTEM SET fsync = on;
	ALTER SYSTEM SET full_page_writes = on;
	SELECT pg_reload_conf();
	INSERT INTO iaros.customer (customer_id, kind, source) SELECT i, 'known', 'manual' FROM generate_series(1, $CUSTOMERS) AS i;
	INSERT INTO iaros.promo (code, name, discount)
	SELECT c::iaros.promo_code, c, '{"kind": "percentage", "value": 10}'
	FROM (SELECT k || i AS c FROM unnest('{FREE,TOTAL,EACH}'::text[]) AS k, generate_series(1, $PROMOTIONS) AS i UNION ALL SELECT 'SHARED') AS p;
	INSERT INTO iaros.promo_limit (promo_id, scope, maximum)
	SELECT promo_id, CASE WHEN code::text ~ '^EACH' THEN 'customer' ELSE 'total' END::iaros.promo_limit_scope, 100000000
	FROM iaros.promo WHERE code::text ~ '^(TOTAL|EACH|SHARED)';
SQL
purchase 'separate promotions' 'FREE:promotion'
purchase 'separate, a limit each' 'TOTAL:promotion'
purchase 'separate, a limit of customer' 'EACH:promotion'
purchase 'one promotion, shared limit' 'SHARED'
cat >"$dir/what one writes, by bare SQL" <<-SQL
	\set customer random(2, $CUSTOMERS)
	\set promotion random(4, $PROMOTIONS)
	\set key random(1, 9000000000000000000)
	BEGIN;
	SELECT FROM iaros.customer WHERE customer_id = :customer FOR NO KEY UPDATE;
	INSERT INTO iaros.promo_redemption (customer_id, idempotency_key, state, currency, amount, discount, redeemed_at, codes, request, cart, promotions, policy, answers, result)
	SELECT :customer, 'b:key', state, currency, amount, discount, now(), codes, request, cart, promotions, policy, answers, result
	FROM iaros.promo_redemption WHERE customer_id = 1 AND idempotency_key = 'pattern';
	INSERT INTO iaros.promo_use (customer_id, redemption_id, promo_id, discount, points, discount_base, amount_base)
	VALUES (:customer, currval('iaros.promo_redemption_id_seq'), :promotion, 27.05, 0, 27.05, 270.50);
	INSERT INTO iaros.audit_log (actor, action, object, object_key, customer_id, detail)
	VALUES (current_user, 'promo.redeem', 'promo', 'FREE1', :customer, '{"amount": 270.50, "currency": "USD", "discount": 27.05, "redemption_id": 1}');
	COMMIT;
SQL
run >/dev/null <<-SQL
	SELECT iaros.promo_redeem('{"customer": 1, "currency": "USD", "channel": "web", "lines": [
	    {"id": 1, "price": 240.50, "kind": "fare", "attributes": {"route": "JFK-LHR", "departure": "2027-07-04", "fare_class": "Y"}},
	    {"id": 2, "price": 30.00, "kind": "ancillary", "product": "bag"}]}', '{FREE1}', 'pattern');
SQL
pgbench -i -q -s 10 2>/dev/null
run -c 'VACUUM ANALYZE' -c CHECKPOINT
declare -A best
for _ in 1 2 3; do
	for script in plain "$dir"/*; do
		name=$(basename "$script")
		if [[ $name == plain ]]; then
			tps=$(rate -N)
		else
			tps=$(rate -f "$script")
		fi
		best[$name]=$(awk -v a="${best[$name]-0}" -v b="$tps" 'BEGIN {print (a > b ? a : b)}')
	done
done
for name in "${!best[@]}"; do
	[[ $name != plain ]] || continue
	awk -v name="$name" -v ours="${best[$name]}" -v plain="${best[plain]}" 'BEGIN {
		printf "bench|%s|%.2f|%.2f|%.2f|%.0f\n", name, 8000 / ours, 8000 / plain, ours / plain, ours
	}'
done | sort
