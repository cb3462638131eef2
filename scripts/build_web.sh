#!/bin/bash
# build_web.sh - build the web files and turn them into a C table: build_web.sh SOURCE_ROOT OUT.c OUT.d build|skip
#
# Writes into the build folder and, when packages are to be installed, into web/node_modules. Where web/
# cannot be written, it is copied into the build folder and built there.
set -euo pipefail
root=$1 out=$(realpath -m "$2") depfile=$(realpath -m "$3") mode=$4
web=$root/web dist=$(dirname "$out")/web_dist
source=$web

rm -rf "$dist" && mkdir -p "$dist"
if [ "$mode" = build ]; then
    if [ ! -w "$web" ] && [ ! -d "$web/node_modules" ]; then
        source=$(dirname "$out")/web_source
        mkdir -p "$source"
        cp -R --no-preserve=mode "$web/." "$source"
    fi
    "$root/scripts/npm_ci.sh" "$source"
    (cd "$source" && PARLEY_WEB_DIST=$dist node build.mjs)
fi
files=()
while IFS= read -r file; do files+=("$file"); done < <(find "$dist" -type f | sort)
python3 "$root/tools/embed.py" "$out" web_files --strip "$dist" "${files[@]}"
{
    printf '%s: ' "$2"
    find "$web" -path "$web/node_modules" -prune -o -path "$web/dist" -prune -o -type f -print |
        sed 's/ /\\ /g' | tr '\n' ' '
    printf '\n'
} >"$depfile"
