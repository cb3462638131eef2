#!/bin/bash
# build.sh - configure once and build: build.sh release|test|tsan|fuzz|check [ninja arguments]
. "$(dirname "$0")/lib.sh"

kind=${1:?release, test, tsan, fuzz or check}
shift
compiler=gcc linker=
# Of debugging there are the lines alone, which is what a sanitizer's report shows: a fifth of the compiler's time
# less. gold links in half the time of what is usual.
quick="-Ddebug=false -Dc_args=-g1"
case $kind in
release) folder=build options="--buildtype=release -Dtests=false" ;;
# What it runs waits, allocates and is linked at its start rather than computes: without optimisation it is as fast, and
# compiled in two thirds of the time.
test) folder=build-test linker=gold options="-Doptimization=0 $quick -Db_sanitize=address,undefined -Dfailpoints=true" ;;
tsan) folder=build-tsan linker=gold options="-Doptimization=1 $quick -Db_sanitize=thread -Dfailpoints=true" ;;
fuzz)
    folder=build-fuzz compiler=clang
    options="-Doptimization=1 $quick -Db_sanitize=address,undefined -Db_lundef=false -Dfuzzers=true -Dtests=false"
    ;;
check) folder=build-check options="-Doptimization=0 -Dfailpoints=true" ;;
*) die "build.sh: no kind \"$kind\"" ;;
esac

# Not for "check": its compile commands are read by tools that know compilers only.
if [ $kind != check ] && command -v ccache >/dev/null; then compiler="ccache $compiler"; fi
if [ ! -f $folder/build.ninja ]; then
    log=$(mktemp)
    if [ -n "$linker" ] && command -v "ld.$linker" >/dev/null; then export CC_LD=$linker; fi
    if ! CC=$compiler meson setup $folder $options >"$log" 2>&1; then
        tail -20 "$log" >&2
        die "meson setup $folder failed; its whole output is in $log"
    fi
    rm -f "$log"
fi
# A person sees the build go on; a log keeps warnings and errors only.
quiet=--quiet
[ -t 1 ] && quiet=
ninja $quiet -C $folder "$@" | { grep -vE '^ninja: (no work to do|Entering directory)' || true; }
