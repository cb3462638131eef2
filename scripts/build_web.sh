#!/usr/bin/env bash
# Builds the web files and turns them into a C table: build_web.sh SOURCE_ROOT OUT.c OUT.d build|skip
set -eu
root=$1 out=$(realpath -m "$2") depfile=$(realpath -m "$3") mode=$4
web=$root/web dist=$(dirname "$out")/web_dist

rm -rf "$dist" && mkdir -p "$dist"
if [ "$mode" = build ]; then
    "$root/scripts/npm_ci.sh" "$web"
    (cd "$web" && PARLEY_WEB_DIST=$dist npm run --silent build)
fi
files=()
while IFS= read -r file; do files+=("$file"); done < <(find "$dist" -type f | sort)
python3 "$root/tools/embed.py" "$out" web_files --strip "$dist" "${files[@]}"
{
    printf '%s: ' "$2"
    find "$web" -path "$web/node_modules" -prune -o -type f -print | sed 's/ /\\ /g' | tr '\n' ' '
    printf '\n'
} >"$depfile"
