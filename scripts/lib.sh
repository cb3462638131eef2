# shellcheck shell=bash
# lib.sh - what the scripts share; sourced, never run

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Files of the tree with one of the given endings, tracked or about to be.
tree_files() {
    local patterns=()
    for ending in "$@"; do patterns+=("*.$ending"); done
    git ls-files -co --exclude-standard -- "${patterns[@]}" | while read -r file; do
        [ -f "$file" ] && printf '%s\n' "$file"
    done | sort -u
}
