# Shared by the scripts under test/: where things are, who runs the server.
# shellcheck shell=bash
# Sourced, not run. Sets ROOT, CLUSTER, SOCKETS and the rest below.

PG_MAJOR=15
ROOT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
MY_UID=$(id -u)
KEY=$(id -u)-$(printf %s "$ROOT" | sha256sum | cut -c1-12)

# The server refuses to run as root: postgres does it then.
SERVER_USER=$(id -un)
[[ $MY_UID != 0 ]] || SERVER_USER=postgres

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "$(basename -- "$0"): $*"
	exit 1
}

# Runs a command as the user of the server, from a directory it can enter.
as_server() {
	if [[ $MY_UID == 0 ]]; then
		(cd / && runuser -u "$SERVER_USER" -- "$@")
	else
		(cd / && "$@")
	fi
}

# Prints the folder of the cluster: in the checkout if the server's user gets
# there, it is ours and make and the server cope with the name; else in /tmp.
find_cluster() {
	local inside=$ROOT/.cluster
	if [[ $inside =~ ^[A-Za-z0-9_./-]{1,150}$ && -w $ROOT ]] &&
		[[ ! -e $inside || -O $inside ]] &&
		as_server test -x "$ROOT" 2>/dev/null; then
		printf %s "$inside"
	else
		printf %s "/tmp/iaros-$KEY"
	fi
}

# Makes directory $1 as user $2 with mode $3, or checks that it is just that:
# names in /tmp can be guessed, so somebody else may have put a trap there.
own_directory() {
	local want
	want="$(id -u "$2") $3 directory"
	! mkdir -m "$3" -- "$1" 2>/dev/null || chown -h "$2" -- "$1"
	[[ $(stat -c '%u %a %F' -- "$1") == "$want" ]] ||
		die "$1 is not a directory of mode $3 owned by $2; remove it"
}

CLUSTER=$(find_cluster)
SOCKETS=/tmp/iaros-$KEY.s
PGTREE=$CLUSTER/pg
PGBIN=$PGTREE/lib/postgresql/$PG_MAJOR/bin
SERVER=$CLUSTER/server
PGDATA_DIR=$SERVER/data
PGLOG=$SERVER/log

# A port of its own: whoever loses PGHOST does not reach another server.
export PGHOST=$SOCKETS PGPORT=54315 PGUSER=postgres
# A test works in the database that test/run made for it.
export PGDATABASE=${IAROS_DATABASE:-postgres}
export PG_CONFIG=$PGBIN/pg_config
export PATH=$PGBIN:$PATH
unset PGDATA PGSERVICE PGOPTIONS PGPASSWORD PGHOSTADDR PGTZ PGDATESTYLE
unset PGSERVICEFILE PGCLIENTENCODING
# What make hands down would reach the builds started from here.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# A cluster that was copied together with the checkout is not ours: its
# postmaster.pid names the server of the other checkout.
is_ours() {
	[[ $(cat -- "$CLUSTER/origin" 2>/dev/null) == "$ROOT" ]]
}

is_running() {
	is_ours && as_server test -f "$PGDATA_DIR/postmaster.pid" &&
		as_server "$PGBIN/pg_ctl" -D "$PGDATA_DIR" status >/dev/null 2>&1
}

# Prints the domains of the Makefile in their order, one a line.
domains() {
	sed -n '/^DOMAINS *=/{:a;/\\$/{N;s/\\\n//;ba};s/.*= *//p}' \
		"$ROOT/Makefile" | tr -s ' \t' '\n'
}

# Prints the seconds since $1, a value of EPOCHREALTIME.
seconds_since() {
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'
}

# Waits for another run in this checkout; then builds with the given settings
# of make, installs and starts the cluster. Sets started if it was not up.
set_up() {
	started=''
	"$ROOT/test/cluster" make
	exec 8>"$CLUSTER/run.lock"
	flock -n 8 || {
		say "Waiting for another run in this checkout"
		flock 8
	}
	"$ROOT/test/cluster" install "$@" 8>&-
	if ! is_running; then
		started=1
		"$ROOT/test/cluster" start 8>&-
	fi
}

# Leaves no server behind that was not there. For a trap on EXIT.
stop_if_started() {
	if [[ -n ${started-} && ${KEEP-} != 1 ]]; then
		"$ROOT/test/cluster" stop || true
	fi
}

# Makes database $1 anew, with iaros installed.
fresh_database() {
	psql -Xq -v ON_ERROR_STOP=1 -v name="$1" >/dev/null <<-'SQL'
		SET client_min_messages = warning;
		DROP DATABASE IF EXISTS :"name" WITH (FORCE);
		CREATE DATABASE :"name" TEMPLATE template0;
		\connect :"name"
		SET client_min_messages = warning;
		CREATE EXTENSION iaros;
		CALL iaros.install();
	SQL
}

# A server of its own for a test that kills it: $where is its folder. psql
# there, and not where the tests run; pg_ctl for it; its start with $@ as
# further lines of its configuration.
own_psql() {
	psql -h "$where" -p 54316 -d postgres -XqAt -v ON_ERROR_STOP=1 "$@"
}
own_ctl() {
	as_server "$PGBIN/pg_ctl" -D "$where/data" -l "$where/log" -s -w "$@"
}
own_server() {
	as_server "$PGBIN/initdb" -D "$where/data" -U postgres -A trust -N \
		-E UTF8 --locale=C.UTF-8 >/dev/null
	printf '%s\n' "listen_addresses = ''" 'port = 54316' \
		"unix_socket_directories = '$where'" 'shared_buffers = 64MB' \
		"timezone = 'UTC'" "$@" |
		as_server tee -a "$where/data/postgresql.conf" >/dev/null
	own_ctl start
}
