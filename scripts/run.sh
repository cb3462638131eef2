#!/bin/bash
# run.sh - from a fresh machine to a running demo: packages, release build, demo organization, server
#
# PARLEY_DATA names another data folder than data/. What is there already is kept.
. "$(dirname "$0")/lib.sh"

data=${PARLEY_DATA:-data}
unset PARLEY_DATA
scripts/setup.sh run
[ -f build/build.ninja ] || say "Building Parley; this takes a minute the first time."
scripts/build.sh release
exec build/src/app/parley demo --data "$data" "$@"
