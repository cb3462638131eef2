#!/bin/bash
# qdrant.sh - Qdrant's own engine for the tests, in a Python environment of its own under .cache/qdrant
#
# There is no Debian or npm package of the server. The Python package qdrant-edge-py is its engine as a library, which
# tests/doubles/qdrant/engine.py puts behind the part of the REST API that Parley uses. With QDRANT_URL tests ask a
# server instead; with neither, index/index_real_qdrant is skipped.
. "$(dirname "$0")/lib.sh"

package=qdrant-edge-py==0.9.0
folder=.cache/qdrant

if [ -e $folder/installed-$package ]; then exit 0; fi
say "Installing $package in $folder"
rm -rf $folder
mkdir -p $folder
{ python3 -m venv $folder && $folder/bin/pip install --quiet --disable-pip-version-check $package; } >"$folder.log" 2>&1 || {
    tail -3 "$folder.log" >&2
    rm -rf $folder
    die "pip could not install $package"
}
touch $folder/installed-$package
