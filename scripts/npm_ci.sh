#!/bin/bash
# npm_ci.sh - npm ci, only when the lock file is not the one that was installed: npm_ci.sh FOLDER
#
# Several builds may ask at once: the first installs, the others wait. Touches nothing, the network
# least of all, when node_modules is fresh.
folder=$(realpath "$1")
. "$(dirname "$0")/lib.sh"

stamp=$folder/node_modules/.installed
sum=$(sha256sum <"$folder/package-lock.json")
is_fresh() { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; }

is_fresh && exit 0
exec 9<"$folder" # a folder can be locked, and needs no lock file left behind
flock 9
is_fresh && exit 0

say "Installing npm packages of $(basename "$folder")/"
log=$(mktemp)
# Without the packages' own scripts: nothing here needs them, and others' code runs where it is asked to.
if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund) >"$log" 2>&1 9<&-; then
    tail -20 "$log" >&2
    die "npm ci failed in $folder; its whole output is in $log"
fi
rm -f "$log"
printf '%s\n' "$sum" >"$stamp"
