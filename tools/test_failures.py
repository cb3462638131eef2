"""test_failures.py - which tests failed, and what they said of it, from the output of each kind of runner"""
import json
import re

LINES = 30  # of one test; its whole output is in the part's log
NOISE = re.compile(r"^\[(=+|-+|  PASSED  | RUN      |       OK )\]")


def shorten(lines):
    """The first lines say what was expected, the last what happened."""
    half = LINES // 2
    return lines if len(lines) <= LINES else [*lines[:half], "[...]", *lines[-half:]]


def of_tap(text):
    """(name, lines) of each "not ok", of innermost tests alone."""
    found = []
    for match in re.finditer(r"^( *)not ok \d+ - (.*)\n((?:\1  .*\n)*)", text, re.M):
        indent, name, block = match.groups()
        if re.search(r"failureType: 'subtestsFailed'", block):
            continue
        lines = [line[len(indent) + 2:] for line in block.splitlines()]
        found.append((name, shorten([line for line in lines if line not in ("---", "...")])))
    return found


def of_meson(log):
    """(name, lines) of each program of a meson test log (JSON, one a line) that failed."""
    found = []
    for test in map(json.loads, log.read_text().splitlines() if log.exists() else ()):
        if test["result"] in ("OK", "EXPECTEDFAIL", "SKIP"):
            continue
        lines = ((test.get("stdout") or "") + (test.get("stderr") or "")).splitlines()
        cases = sorted(set(re.findall(r"^\[  FAILED  \] (\w+)$", "\n".join(lines), re.M)))
        name = f"{test['name']} ({', '.join(cases) or test['result'].lower()})"
        found.append((name, shorten([line for line in lines if not NOISE.match(line)])))
    return found


def of_lines(text):
    """Of any other runner: nothing by name, the end of what it printed."""
    return [("", text.rstrip().split("\n")[-2 * LINES:])]
