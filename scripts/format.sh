#!/bin/bash
# format.sh - clang-format over all C files; with --check only says which would change
. "$(dirname "$0")/lib.sh"

mode=(-i)
[ "${1:-}" = --check ] && mode=(--dry-run -Werror)
tree_files c h | xargs -P "$(nproc)" -n 16 -r clang-format "${mode[@]}"
