#!/bin/bash
# quality.sh - retrieval and extractive answers on labelled sets; arguments go to tests/quality/run
#
# The sets are too large for this repository: PARLEY_QUALITY_DATA says where they are.
. "$(dirname "$0")/lib.sh"

data=${PARLEY_QUALITY_DATA:-../shared/data}
unset PARLEY_QUALITY_DATA
[ -x tests/quality/run ] || die "tests/quality/run is not there"
if [ ! -d "$data" ]; then
    say "No labelled sets in $data: nothing was measured."
    exit 0
fi
scripts/setup.sh run bench
scripts/build.sh release
exec tests/quality/run "$data" "$@"
