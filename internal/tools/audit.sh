#!/bin/sh
# Asks the Go vulnerability database about the code that Gatehouse calls: its own, its modules' and Go's.
#   audit.sh [PACKAGES]
# Ends with 0 when nothing is known against it, 1 when something is, and 2 when nothing was checked: the database could
# not be asked, or the code not be read. Where vuln.go.dev cannot be reached, GOVULNDB names a copy: https://… or file:///….
set -u

nothing() {
	echo "The vulnerability database ${GOVULNDB:-https://vuln.go.dev} could not be asked, or the code not be read, so NOTHING WAS CHECKED." >&2
	echo "Run this where it can be reached, or name a copy of it in GOVULNDB." >&2
	exit 2
}

# In a folder that holds no copy at all nothing would be found.
case ${GOVULNDB:-} in
file://*) [ -f "${GOVULNDB#file://}/index/modules.json" ] || nothing ;;
esac

out=$(mktemp)
trap 'rm -f "$out"' EXIT
CGO_ENABLED=0 go tool -modfile=internal/tools/go.mod govulncheck ${GOVULNDB:+-db "$GOVULNDB"} "${@:-./...}" >"$out" 2>&1
status=$?
cat "$out"
case $status in
0) exit 0 ;;
3)
	echo "Something above is reached from Gatehouse's code: update it, within seven days where it is of high severity." >&2
	exit 1
	;;
esac
nothing
