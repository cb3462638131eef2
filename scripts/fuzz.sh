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

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

fuzz_one() { # NAME: its line, and the log's end when it failed; what came of it is a file of its name
    local name=$1 found=.cache/fuzz/$1
    local log=$found.log
    mkdir -p "$found"
    if build-fuzz/tests/fuzz/"${name}"_fuzz -timeout=10 -rss_limit_mb=1024 -max_len=65536 -verbosity=0 \
        -print_final_stats=1 -max_total_time="$seconds" -artifact_prefix="$found-" \
        "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        printf 'ok    %-20s %s inputs\n' "$name" "$(awk '/number_of_executed_units/ {print $2}' "$log")"
        : >"$results/$name.passed"
    else
        printf 'FAIL  %s\n%s\n' "$name" "$(tail -40 "$log")"
        : >"$results/$name.failed"
    fi
}

for name in "${names[@]}"; do
    while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
    fuzz_one "$name" &
done
wait
failed=$(find "$results" -name '*.failed' | wc -l)
passed=$(find "$results" -name '*.passed' | wc -l)
failed=$((failed + ${#names[@]} - passed - failed)) # one that left no word
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
