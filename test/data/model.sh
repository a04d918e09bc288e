#!/bin/bash
# Models of other people with inputs and expected results: each case that the
# manifest of the folder ../shared/pmml (or IAROS_PMML) lists, one TAP line
# each. Results of a table with a column for each field and of JSON objects
# are the same, and what is expected but for the tolerance of the manifest.
set -euo pipefail
# shellcheck source=test/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"
PMML=${IAROS_PMML:-$ROOT/../shared/pmml}
[[ -f $PMML/manifest.tsv ]] || {
	echo "there is no $PMML/manifest.tsv"
	exit 77
}
STAGE=$(mktemp -d)
trap 'rm -rf -- "$STAGE"' EXIT
COLUMNS=(case_id input_delimiter expected_delimiter missing_marker abs_tol
	rel_tol output_columns)

# Prints these columns of the manifest in this order.
manifest() {
	awk -F'\t' -v OFS='\t' -v names="${COLUMNS[*]}" '
		NR == 1 {
			n = split(names, name, " ")
			for (i = 1; i <= NF; i++) place[$i] = i
		}
		{
			for (i = 1; i <= n; i++)
				printf "%s%s", $place[name[i]], i < n ? OFS : "\n"
		}' "$PMML/manifest.tsv"
}

# Prints file $1 with the number of each record before it, but without byte
# order mark, carriage returns and blank lines outside of quotes; these are
# values where delimiter $2 is not in the header.
read_csv() {
	LC_ALL=C awk -v delimiter="$2" '
		NR == 1 {
			sub(/^\357\273\277/, "")
			single = !index($0, delimiter)
		}
		{
			sub(/\r$/, "")
			open = quotes % 2
			quotes += gsub(/"/, "&")
		}
		open { print }
		!open && ($0 != "" || single) { print n++ delimiter $0 }' "$1"
}

# Prints a PMML file in UTF-8, unpacked, whatever encoding it names.
read_pmml() {
	local encoding
	gzip -dcf "$1" >"$STAGE/pmml"
	encoding=$(head -c 200 "$STAGE/pmml" | LC_ALL=C tr -d '\0' |
		LC_ALL=C sed -n "s/.*<?xml[^>]*encoding=[\"']\([^\"']*\)[\"'].*/\1/p")
	iconv -f "${encoding:-UTF-8}" -t UTF-8 "$STAGE/pmml"
}

# Prints the commands for psql that load file $2 of case $1 with delimiter $3.
load_csv() {
	local file=$STAGE/$1.$2 delimiter=,
	[[ $3 != tab ]] || delimiter=$'\t'
	read_csv "$PMML/cases/$1/$2.csv" "$delimiter" >"$file"
	cat <<-PSQL
		\\set head \`head -n 1 '$file'\`
		SELECT pg_temp.make_raw('raw_$2', :'head', '$delimiter') \\g /dev/null
		\\copy raw_$2 from '$file' with (format csv, header, delimiter '$delimiter')
	PSQL
}

# Prints all that psql does.
script() {
	local id input expected rest
	manifest >"$STAGE/manifest"
	cat <<-PSQL
		\\i '$ROOT/test/data/model.psql'
		\\copy manifest from '$STAGE/manifest' with (format csv, header, delimiter E'\\t', quote E'\\x01')
	PSQL
	while IFS=$'\t' read -r id input expected rest; do
		load_csv "$id" input "$input"
		load_csv "$id" expected "$expected"
		read_pmml "$PMML/cases/$id/"model.pmml* >"$STAGE/$id.pmml"
		cat <<-PSQL
			\\set pmml \`cat '$STAGE/$id.pmml'\`
			SELECT pg_temp.run_case('$id', :'pmml');
		PSQL
	done < <(tail -n +2 "$STAGE/manifest")
	echo 'SELECT pg_temp.summary();'
}

script >"$STAGE/script"
psql -X -f "$STAGE/script" | tee "$STAGE/log"
[[ $(tail -n 1 "$STAGE/log") == '# all passed' ]]
