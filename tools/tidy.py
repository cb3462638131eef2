#!/usr/bin/env python3
"""tidy.py - clang-tidy over all C files, remembering by content what was found clean

Usage: tidy.py [FILE...]

A file's key is the hash of itself, of every header of the project it includes (also through others),
of .clang-tidy, the checks, its compile command and clang-tidy's version. Keys of clean files are kept under
build/.cache/tidy; findings are printed anew each time.

The static analyzer follows the paths of the product alone: nine tenths of the time are its, and tests take
their paths under sanitizers, all of them.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-check"
CACHE = ROOT / "build/.cache/tidy"
IS_TEST = re.compile(r"(^tests/|^bench/|_test\.c$|_test_support\.c$|_conformance\.c$|_double\.c$|_bench\.c$)")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


class Files:
    """Contents and includes, read once."""

    def __init__(self):
        self.known = {}

    def read(self, path):
        if path not in self.known:
            data = path.read_bytes()
            self.known[path] = (hashlib.sha256(data).hexdigest(),
                                INCLUDE.findall(data.decode(errors="replace")))
        return self.known[path]

    def closure(self, path, folders):
        seen = set()
        todo = [path]
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            for name in self.read(at)[1]:
                for folder in [at.parent, *folders]:
                    if (folder / name).is_file():
                        todo.append((folder / name).resolve())
                        break
        return sorted(seen)


def include_folders(entry):
    words = shlex.split(entry["command"])
    return [(Path(entry["directory"]) / w[2:]).resolve() for w in words
            if w.startswith("-I") and not w.startswith("-I/usr")]


def options_of(path):
    """Without the analyzer clang's own warnings would be errors, also those about libraries' headers; gcc's are."""
    return ["--checks=-clang-analyzer-*", "--extra-arg=-Wno-error"] if IS_TEST.search(str(path.relative_to(ROOT))) else []


def key_of(entry, path, files, base):
    digest = hashlib.sha256(base)
    digest.update(entry["command"].encode() + " ".join(options_of(path)).encode())
    for each in files.closure(path, include_folders(entry)):
        digest.update(f"{each.relative_to(ROOT)} {files.read(each)[0]}\n".encode())
    return digest.hexdigest()


def tidy(path):
    result = subprocess.run(
        ["clang-tidy", "-p", str(BUILD), "--quiet", "--warnings-as-errors=*",
         "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-ignored-optimization-argument", *options_of(path),
         str(path.relative_to(ROOT))],
        cwd=ROOT, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + (result.stderr if result.returncode else "")


def main():
    entries = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = (Path(entry["directory"]) / entry["file"]).resolve()
        if BUILD not in path.parents:
            entries[path] = entry
    if len(sys.argv) > 1:
        wanted = {Path(name).resolve() for name in sys.argv[1:]}
        entries = {path: entry for path, entry in entries.items() if path in wanted}
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    base = version + (ROOT / ".clang-tidy").read_bytes()
    files = Files()
    CACHE.mkdir(parents=True, exist_ok=True)
    keys = {path: key_of(entry, path, files, base) for path, entry in entries.items()}
    todo = [path for path in sorted(entries) if not (CACHE / keys[path]).exists()]
    # The largest first, so that none of them is left over for one processor at the end.
    todo.sort(key=lambda path: -path.stat().st_size)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (code, output) in zip(todo, pool.map(tidy, todo)):
            if code == 0:
                (CACHE / keys[path]).touch()
            else:
                failed += 1
                print(re.sub(r"(build-check/)?\.\./", "", output.replace(str(ROOT) + "/", "")).strip(), flush=True)
    # Keys of texts that are gone.
    if len(sys.argv) == 1:
        for old in set(p.name for p in CACHE.iterdir()) - set(keys.values()):
            (CACHE / old).unlink()
    print(f"{len(entries)} files, {len(todo)} looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
