#!/usr/bin/env bash
# The examples of the documents: each ```sql block is run, and a ```text block
# that follows it is what psql -At must print. Every function of a domain has
# a heading on the domain's page.
set -euo pipefail
cd "$(dirname "$0")/../.."
eval "$(test/cluster env)"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; dropdb --if-exists -f iaros_docs' EXIT
failed=0

# Splits page $1 into $tmp/N.sql and $tmp/N.text.
split_page() {
	rm -f "$tmp"/*
	perl -ne '
		BEGIN { $n = 0; $dir = shift @ARGV }
		if (/^```(\w*)/) {
			if (defined $to) { close $to; undef $to; $after = $kind; next }
			$kind = $1;
			if ($kind eq "sql") { $n++; open $to, ">", sprintf("%s/%03d.sql", $dir, $n) }
			elsif ($kind eq "text" && $after eq "sql") { open $to, ">", sprintf("%s/%03d.text", $dir, $n) }
			else { open $to, ">", "/dev/null" }
			$after = "";
			next;
		}
		if (defined $to) { print $to $_ } elsif (/\S/) { $after = "" }
	' "$tmp" "$1"
}

for page in README.md docs/*.md; do
	split_page "$page"
	ls "$tmp"/*.sql >/dev/null 2>&1 || continue
	dropdb --if-exists -f iaros_docs
	createdb iaros_docs
	if ! grep -q '^CREATE EXTENSION iaros;' "$tmp"/*.sql; then
		psql -qX -d iaros_docs -c 'CREATE EXTENSION iaros' -c 'CALL iaros.install()'
	fi
	# One session a page, so that blocks may build on each other.
	for block in "$tmp"/*.sql; do
		printf '\\o %s\n' "${block%.sql}.out"
		cat "$block"
	done | PGTZ=UTC psql -qXAt -v ON_ERROR_STOP=1 -d iaros_docs >"$tmp/stderr" 2>&1 || {
		echo "$page: an example fails"
		tail -5 "$tmp/stderr"
		failed=1
		continue
	}
	for text in "$tmp"/*.text; do
		[[ -f $text ]] || continue
		if ! diff -u "$text" "${text%.text}.out"; then
			echo "$page: the output of an example differs"
			failed=1
		fi
	done
done

for file in sql/*.sql; do
	domain=$(basename "$file" .sql)
	domain=${domain%%_*} # customer_load.sql is part of customer
	[[ $domain != header && $domain != footer ]] || continue
	grep -oE 'CREATE (FUNCTION|PROCEDURE|AGGREGATE) (@extschema@|iaros)\.[a-z0-9_]+' "$file" |
		sed 's/.*\.//' | grep -v '_install$' | sort -u |
		while read -r name; do
			grep -q "^###* .*\b$name\b" "docs/$domain.md" ||
				echo "docs/$domain.md: no heading for $name"
		done
done | tee "$tmp/missing"
[[ ! -s $tmp/missing ]] || failed=1
exit "$failed"
