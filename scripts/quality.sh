#!/bin/bash
# quality.sh - finding and answering on labelled sets; arguments go to tests/quality/run
#
# The demo's questions are here. The other sets are too large for this repository:
# PARLEY_QUALITY_DATA says where they are.
. "$(dirname "$0")/lib.sh"

data=${PARLEY_QUALITY_DATA:-../shared/data}
unset PARLEY_QUALITY_DATA
[ -x tests/quality/run ] || die "tests/quality/run is not there"
[ -d "$data" ] || say "No labelled sets in $data: only the demo is measured."
scripts/setup.sh run bench
exec tests/quality/run "$data" "$@"
