#!/bin/bash
# test.sh - all tests, about 14 minutes on 2 cores, 40 at most; test.sh --list, or test.sh PART... for some of them
. "$(dirname "$0")/lib.sh"

scripts/setup.sh run test
exec python3 tools/test_run.py "$@"
