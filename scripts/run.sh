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
# Sentence vectors find what words alone do not; without them everything works all the same.
weights=$data/all-minilm-l6-v2.bin
if [ ! -f "$weights" ]; then
    (umask 077 && mkdir -p "$data")
    scripts/encoder.sh "$weights" ||
        say "Going on without the sentence encoder: passages are found by their words. The next make run tries again."
fi
exec build/src/app/parley demo --data "$data" "$@"
