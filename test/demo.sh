#!/bin/sh
# Exports a month from the API simulator into ./out and shows what was written.
# "demo.sh clean" removes ./out. Nothing but ./bin/gcexport is needed.
set -eu

out=out
marker=$out/.gcexport-demo
gcexport=./bin/gcexport

# An out that somebody else made stays.
clear_out() {
	if [ -e "$out" ] && [ ! -e "$marker" ]; then
		echo "demo: ./$out is there and was not written by the demo: move it away" >&2
		return 1
	fi
	rm -rf "$out"
}

if [ "${1:-}" = clean ]; then
	clear_out || true
	exit 0
fi

simulator=
scratch=$(mktemp -d)
cleanup() {
	if [ -n "$simulator" ]; then
		kill "$simulator" 2>/dev/null || true
		wait "$simulator" 2>/dev/null || true
	fi
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# say prints a command as a person would type it, and runs it.
say() {
	echo "\$ $*"
	"$@"
}

clear_out
mkdir "$out"
: >"$marker"

# A fixed range gives the same conversations on every day; an allowance above the
# real one of 300 requests a minute, and more jobs at once, spare the onlooker.
simulate="--from 2024-01-01 --to 2024-04-01 --per-day 500 --allowance 6000"
echo "\$ $gcexport simulate $simulate &"
: >"$scratch/simulator" # the shell in the background may be late to create it
$gcexport simulate $simulate >"$scratch/simulator" 2>"$scratch/simulator.err" &
simulator=$!

url=
tries=0
while [ -z "$url" ]; do
	url=$(sed -n 's|.*listening on \(http://[^ ]*\).*|\1|p' "$scratch/simulator")
	[ -n "$url" ] && break
	tries=$((tries + 1))
	if [ "$tries" -gt 100 ] || ! kill -0 "$simulator" 2>/dev/null; then
		echo "demo: the simulator did not start" >&2
		cat "$scratch/simulator" "$scratch/simulator.err" >&2
		exit 1
	fi
	sleep 0.1
done
cat "$scratch/simulator"
echo

unset GENESYSCLOUD_REGION GENESYSCLOUD_OAUTHCLIENT_ID_FILE GENESYSCLOUD_OAUTHCLIENT_SECRET_FILE
export GENESYSCLOUD_OAUTHCLIENT_ID=demo GENESYSCLOUD_OAUTHCLIENT_SECRET=demo
export GCEXPORT_API_URL="$url" GCEXPORT_LOGIN_URL="$url"
say $gcexport export "./$out" --start 2024-03-01 --end 2024-04-01 --rate 6000 --jobs 8 --log-level warn
echo

objects=$scratch/objects
find "$out/conversations" -name '*.jsonl.gz' | LC_ALL=C sort >"$objects"
count=$(wc -l <"$objects" | tr -d ' ')
if [ "$count" = 0 ]; then
	echo "demo: no data object was written" >&2
	exit 1
fi

echo "The first three and the last of $count data objects:"
sed -n '1,3p;$p' "$objects" | while read -r object; do
	printf '  %9d bytes  %s\n' "$(wc -c <"$object")" "$object"
done

xargs gzip -dc <"$objects" >"$scratch/lines"
lines=$(wc -l <"$scratch/lines" | tr -d ' ')
distinct=$(LC_ALL=C awk 'match($0, /"conversationId":"[^"]*"/) { if (!seen[substr($0, RSTART, RLENGTH)]++) n++ } END { print n + 0 }' "$scratch/lines")
bytes=$(wc -c <"$scratch/lines" | tr -d ' ')
echo "They hold $lines lines ($bytes bytes of JSON) and $distinct distinct conversations."

echo "The first line begins:"
printf '  %.150s …\n' "$(head -n 1 "$scratch/lines")"

if [ "$lines" = 0 ] || [ "$lines" != "$distinct" ]; then
	echo "demo: each conversation should be there once" >&2
	exit 1
fi
