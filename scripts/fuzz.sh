#!/bin/bash
# fuzz.sh - each fuzzer for so many seconds: fuzz.sh [SECONDS] [NAME...]
#
# Starts from tests/fuzz/corpus/NAME; what is found new stays in .cache/fuzz/NAME and is used the next
# time. An input that fails is kept there as well, and its path is printed.
. "$(dirname "$0")/lib.sh"

seconds=${1:-10}
shift || true
scripts/build.sh fuzz fuzzers

names=("$@")
if [ $# -eq 0 ]; then
    mapfile -t names < <(find build-fuzz/tests/fuzz -maxdepth 1 -name '*_fuzz' -type f -executable \
        -printf '%f\n' | sed 's/_fuzz$//' | sort)
fi
export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:quarantine_size_mb=16
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

passed=0
failed=0
for name in "${names[@]}"; do
    found=.cache/fuzz/$name
    log=$found.log
    mkdir -p "$found"
    if build-fuzz/tests/fuzz/"${name}"_fuzz -timeout=10 -rss_limit_mb=1024 -max_len=65536 -verbosity=0 \
        -print_final_stats=1 -max_total_time="$seconds" -artifact_prefix="$found-" \
        "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        runs=$(awk '/number_of_executed_units/ {print $2}' "$log")
        printf 'ok    %-20s %s inputs\n' "$name" "${runs:-0}"
        passed=$((passed + 1))
    else
        printf 'FAIL  %s\n' "$name"
        tail -40 "$log"
        failed=$((failed + 1))
    fi
done
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
