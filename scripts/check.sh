#!/bin/bash
# check.sh - all that can be said about the code without running it
#
# Every part runs, also after one has failed. clang-tidy and cppcheck remember by content what they
# found clean, so that a second run looks at changed files only.
. "$(dirname "$0")/lib.sh"

scripts/setup.sh run check
mkdir -p build/.cache/cppcheck build/.cache/check
passed=0
failed=0

# part NAME COMMAND...: runs it, shows its output when it fails
part() {
    local name=$1 log=build/.cache/check/$1.log start=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        printf 'ok    %-12s %3d s  %s\n' "$name" $((SECONDS - start)) "$(tail -1 "$log")"
        passed=$((passed + 1))
    else
        printf 'FAIL  %-12s %3d s\n' "$name" $((SECONDS - start))
        tail -80 "$log" | sed 's/^/      /'
        failed=$((failed + 1))
    fi
}

# clang-tidy and cppcheck need compile commands, and the files that the build generates.
configure() {
    [ -f build-check/build.ninja ] || scripts/build.sh check build.ninja
    ninja --quiet -C build-check build.ninja
    local generated
    generated=$(meson introspect --targets build-check | python3 -c '
import json, os, sys
for target in json.load(sys.stdin):
    if target["type"] == "custom" and target["build_by_default"] is not None:
        for name in target["filename"]:
            if name.endswith((".c", ".h", ".inc")):
                print(os.path.relpath(name, os.path.abspath("build-check")))')
    [ -z "$generated" ] || ninja --quiet -C build-check $generated
    echo "compile commands are there"
}

cppcheck_all() {
    cppcheck --project=build-check/compile_commands.json --cppcheck-build-dir=build/.cache/cppcheck \
        --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --quiet -j "$(nproc)" \
        --suppressions-list=.cppcheck-suppressions --suppress='*:build-check/*' &&
        echo "nothing found"
}

part format scripts/format.sh --check
part lint python3 tools/lint.py
part tools python3 -m unittest discover -q -s tools -p '*_test.py'
part shellcheck bash -c "shellcheck -x -S warning scripts/*.sh .ci/run && echo nothing found"
part configure configure
part cppcheck cppcheck_all
part clang-tidy python3 tools/tidy.py

printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
