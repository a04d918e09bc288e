#!/usr/bin/env bash
# Sixteen clients want more of each promotion than its limits allow, and the
# server is killed in the middle, twice. In the end just as many redemptions
# are in the ledger as the limits allow, everybody else was told that the limit
# is reached, what a client was told is in the ledger, the counters agree with
# it, and nobody ran into a deadlock. On a cluster of its own.
set -euo pipefail
# shellcheck source=test/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"
cd "$ROOT"

CLIENTS=16
# Code, how many redemptions its limits allow, customers that ask for it, share
# of the purchases in percent, limits. Each purchase costs 100 and gets 10 off.
PROMOTIONS=(
	'ONE|1|200|5|{"scope": "total", "maximum": 1}'
	'TEN|10|200|5|{"scope": "total", "maximum": 10}'
	'THOUSAND|1000|200|60|{"scope": "total", "maximum": 1000}'
	'BUDGET|50|200|10|{"scope": "total", "measure": "discount", "maximum": 505}'
	'EACH|30|10|10|{"scope": "customer", "maximum": 3}'
	'MIXED|100|10|10|{"scope": "customer", "maximum": 15}, {"scope": "total", "maximum": 100}, {"scope": "total", "measure": "revenue", "period": "year", "maximum": 100000}'
)
# Each finds what should not be.
CHECKS=(
	"SELECT * FROM iaros.promo_limit_check()"
	"SELECT t.* FROM own.told t WHERE t.redeemed <> EXISTS (SELECT FROM iaros.promo_redemption r WHERE r.idempotency_key = t.key) LIMIT 5"
	"SELECT r.idempotency_key FROM iaros.promo_redemption r WHERE NOT EXISTS (SELECT FROM own.told t WHERE t.key = r.idempotency_key) LIMIT 5"
	"SELECT t.* FROM own.told t WHERE NOT t.redeemed AND t.reasons <> '{limit}' LIMIT 5"
	"SELECT w.* FROM own.want w WHERE w.most < (SELECT count(*) FROM own.ledger l WHERE l.code = w.code)"
	"SELECT datname, deadlocks FROM pg_stat_database WHERE deadlocks > 0"
)

where=$(as_server mktemp -d /tmp/iaros-promo.XXXXXX)
said=$(mktemp -d)
clients=()
clean() {
	own_ctl -m immediate stop 2>/dev/null || true
	((${#clients[@]} == 0)) || wait "${clients[@]}" 2>/dev/null || true
	as_server rm -rf -- "$where"
	rm -rf -- "$said"
}
trap clean EXIT
fail() {
	printf '%s\n' "$@"
	exit 1
}

check() {
	local check wrong
	for check in "${CHECKS[@]}"; do
		wrong=$(own_psql -c "$check")
		[[ -z $wrong ]] || fail "$1: $check" "$wrong"
	done
	! as_server grep 'deadlock detected' "$where/log" || fail "$1: a deadlock"
}

# Prints a purchase of each promotion in turn, by its share, for pgbench.
pgbench_scripts() {
	local code most customers share limits
	while IFS='|' read -r code most customers share limits; do
		cat >"$said/$code.pgbench" <<-SQL
			\set customer random(1, $customers)
			\set key random(1, 9000000000000000000)
			SELECT own.buy('$code', :customer, :key::text);
		SQL
		printf '%s\n' -f "$said/$code.pgbench@$share"
	done < <(printf '%s\n' "${PROMOTIONS[@]}")
}

# Buys with pgbench, so many purchases for each client.
buy() {
	pgbench -h "$where" -p 54316 -n -c "$CLIENTS" -j 2 -t "$1" \
		"${scripts[@]}" postgres >"$said/pgbench" 2>&1 ||
		fail "pgbench failed" "$(tail -n 20 "$said/pgbench")"
}

# Purchases of client $1 for psql, the same ones each time.
purchases() {
	printf '%s\n' "${PROMOTIONS[@]}" | awk -F'|' -v client="$1" '
		{ code[NR] = $1; customers[NR] = $3; share[NR] = $4 }
		END {
			srand(client)
			for (i = 1; i <= 3000; i++) {
				pick = rand() * 100
				for (n = 1; n < NR && pick >= share[n]; n++) pick -= share[n]
				printf "SELECT own.buy(\047%s\047, %d, \047%d-%d\047);\n", \
					code[n], 1 + int(rand() * customers[n]), client, i
			}
		}'
}

own_server
own_psql >/dev/null <<-SQL
	SET client_min_messages = warning;
	CREATE EXTENSION iaros;
	CALL iaros.install();
	INSERT INTO iaros.customer (customer_id, kind, source) SELECT i, 'known', 'manual' FROM generate_series(1, 200) AS i;
	CREATE SCHEMA own;
	CREATE TABLE own.want (code text PRIMARY KEY, most bigint);
	CREATE TABLE own.told (key text PRIMARY KEY, code text, redeemed boolean, reasons text[]);
	CREATE VIEW own.ledger AS
	    SELECT p.code::text AS code, u.redemption_id FROM iaros.promo_use u JOIN iaros.promo p ON p.promo_id = u.promo_id WHERE u.counted;
	CREATE FUNCTION own.buy(code text, customer bigint, key text) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
	    r record;
	BEGIN
	    r := iaros.promo_redeem(jsonb_build_object('customer', customer, 'currency', 'USD',
	        'lines', '[{"id": 1, "price": 100.00}]'::jsonb), ARRAY[code], key);
	    INSERT INTO own.told VALUES (key, code, r.redeemed,
	        ARRAY(SELECT DISTINCT x ->> 'reason' FROM jsonb_path_query(r.answers, '\$[*].reasons[*]') AS x))
	    ON CONFLICT DO NOTHING;
	    RETURN CASE WHEN r.redeemed THEN key END;
	END \$\$;
SQL
while IFS='|' read -r code most _ _ limits; do
	own_psql -v code="$code" -v most="$most" -v limits="[$limits]" >/dev/null <<-'SQL'
		SELECT iaros.promo_create(:'code', :'code', jsonb_build_object('currency', 'USD', 'limits', :'limits'::jsonb,
		    'discount', '{"kind": "fixed_amount", "value": 10}'::jsonb));
		INSERT INTO own.want VALUES (:'code', :most);
	SQL
done < <(printf '%s\n' "${PROMOTIONS[@]}")
mapfile -t scripts < <(pgbench_scripts)

buy 10
check 'after the first purchases'
for client in $(seq "$CLIENTS"); do
	purchases "$client" >"$said/$client.sql"
done
# After a crash each client sends all its purchases again.
for stop_at in 300 600; do
	clients=()
	for client in $(seq "$CLIENTS"); do
		own_psql -f "$said/$client.sql" >>"$said/$client.told" \
			2>>"$said/$client.error" &
		clients+=($!)
	done
	until (($(own_psql -c "SELECT count(*) FROM own.ledger WHERE code = 'THOUSAND'") > stop_at)); do
		sleep 0.05
	done
	own_ctl -m immediate stop
	wait "${clients[@]}" || true
	own_ctl start
	! grep -h 'ERROR:' "$said"/*.error || fail "a client had an error"
	sort -u "$said"/*.told | sed '/^$/d' >"$said/told"
	lost=$(own_psql -c "CREATE TEMP TABLE told (key text)" -c "\\copy told FROM '$said/told'" \
		-c "SELECT t.key FROM told t WHERE NOT EXISTS (SELECT FROM iaros.promo_redemption r WHERE r.idempotency_key = t.key) LIMIT 5")
	[[ -z $lost ]] || fail "lost in the crash at $stop_at:" "$lost"
	check "after the crash at $stop_at"
	(($(own_psql -c "SELECT count(*) FROM own.ledger WHERE code = 'THOUSAND'") < 1000)) ||
		fail "the crash came too late"
done
as_server grep -q 'database system was not properly shut down' "$where/log"

buy 120
check 'in the end'
not_all=$(own_psql -c "SELECT w.code, w.most, count(l.code) FROM own.want w LEFT JOIN own.ledger l ON l.code = w.code GROUP BY w.code HAVING count(l.code) <> w.most")
[[ -z $not_all ]] || fail "not all that the limits allow, code, limit, ledger:" "$not_all"
told=$(own_psql -c "SELECT count(*) FILTER (WHERE NOT redeemed) FROM own.told")
((told > 500)) || fail "only $told were refused"
echo "${#PROMOTIONS[@]} promotions, 2 crashes: each was redeemed just as often as its limits allow"
