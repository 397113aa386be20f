#!/bin/sh
# Runs every fuzz target of the root module for FUZZTIME, one after the other.
set -eu

go=${GO:-go}
time=${FUZZTIME:-30s}
count=0

for file in $(grep -rl --include='*_test.go' '^func Fuzz' cmd internal pkg test/endtoend); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*/\1/p' "$file"); do
		echo "== $target in $(dirname "$file")"
		"$go" test -tags="${TAGS:-}" -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
		count=$((count + 1))
	done
done

echo "$count fuzz targets ran for $time each"
test "$count" -gt 0
