#!/bin/bash
# bench.sh - the release build against its yardsticks; arguments go to bench/run
. "$(dirname "$0")/lib.sh"

[ -x bench/run ] || die "bench/run is not there"
scripts/setup.sh run bench
scripts/build.sh release
mkdir -p build/bench
exec bench/run "$@"
