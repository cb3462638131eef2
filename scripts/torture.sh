#!/bin/bash
# torture.sh - the crash test with many more kills: torture.sh [KILLS]
. "$(dirname "$0")/lib.sh"

scripts/setup.sh run test
export CRASH_KILLS=${1:-1000} TEST_MINUTES=${TEST_MINUTES:-240}
exec python3 tools/test_run.py crash
