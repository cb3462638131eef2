#!/usr/bin/env python3
"""test_run.py - builds and runs every kind of test side by side, within a time, and counts

Usage: test_run.py [--list] [PART...]

Parts of which the tree has nothing are left out. Each ends with its own count line; the last lines are
the names of what failed and the sum. TEST_MINUTES bounds the whole (40); what still runs then is stopped and counts as failed.
A part's whole output is in build-test/logs/PART.log.

system-pgsql is system once more, each server on a database of its own in a PostgreSQL that it starts, with a Redis.

Tests find the server under PARLEY_TEST_BINARY (sanitizers and failpoints built in), the browser under
PARLEY_TEST_CHROMIUM, and CRASH_KILLS as `make torture` sets it.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import test_failures

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build-test/logs"
CPUS = os.cpu_count() or 2
SLOTS = CPUS + 2  # much of what a test does is waiting: for a lease to end, for a disk
FILES = 4  # of a part with servers, side by side; browsers work rather than wait


@dataclass
class Part:
    name: str
    command: list
    count: object = None  # of a log's text and the exit code; None for a build
    explain: object = None  # which tests failed, of a log's text
    after: tuple = ()
    cpus: int = 1
    seconds: int = 600
    # While it runs:
    process: object = None
    started: float = 0
    ended: float = 0
    worked: float = 0  # seconds of a processor; of a server that left its starter's side not
    result: tuple = None  # passed, failed, skipped
    state: str = "waiting"
    note: str = ""
    failures: list = field(default_factory=list)  # their names
    log: Path = field(init=False)

    def __post_init__(self):
        self.log = LOGS / f"{self.name}.log"


def count_line(text, code):
    """The last "N passed, N failed, N skipped"."""
    found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped", text, re.M)
    return tuple(map(int, found[-1])) if found else (0, 0, 0)


def count_node(text, code):
    """The summary of node --test, in its spec or TAP form."""
    numbers = dict(re.findall(r"^(?:#|\u2139) (pass|fail|cancelled|skipped|todo) (\d+)", text, re.M))
    number = {name: int(value) for name, value in numbers.items()}
    return (number.get("pass", 0), number.get("fail", 0) + number.get("cancelled", 0),
            number.get("skipped", 0) + number.get("todo", 0))


def count_vitest(text, code):
    line = re.findall(r"^\s+Tests\s+(.*)$", re.sub(r"\x1b\[[0-9;]*m", "", text), re.M)
    numbers = dict((word, int(n)) for n, word in re.findall(r"(\d+) (passed|failed|skipped)",
                                                             line[-1] if line else ""))
    return (numbers.get("passed", 0), numbers.get("failed", 0), numbers.get("skipped", 0))


def count_playwright(text, code):
    def last(word):
        found = re.findall(rf"^\s+(\d+) {word}\b", text, re.M)
        return int(found[-1]) if found else 0

    return (last("passed") + last("flaky"), last("failed") + last("interrupted") + last("did not run"),
            last("skipped"))


def count_meson(folder, logbase):
    """Sums cmocka's lines of all executables; one that died without them counts as one failure."""
    def count(text, code):
        passed = failed = skipped = 0
        log = ROOT / folder / f"meson-logs/{logbase}.json"
        for line in log.read_text().splitlines() if log.exists() else ():
            test = json.loads(line)
            output = (test.get("stdout") or "") + (test.get("stderr") or "")
            numbers = {word: sum(map(int, re.findall(rf"\[  {word} *\] (\d+) test", output)))
                       for word in ("PASSED", "FAILED", "SKIPPED")}
            good = test["result"] in ("OK", "EXPECTEDFAIL")
            if test["result"] == "SKIP":
                skipped += 1
                continue
            if sum(numbers.values()) == 0 and good:
                numbers["PASSED"] = 1  # not a cmocka program
            if not good and numbers["FAILED"] == 0:
                numbers["FAILED"] = 1
            passed += numbers["PASSED"]
            failed += numbers["FAILED"]
            skipped += numbers["SKIPPED"]
        return passed, failed, skipped

    return count


def explain_meson(folder, logbase):
    return lambda text: test_failures.of_meson(ROOT / folder / f"meson-logs/{logbase}.json")


def node_part(name, kills=False, engine=None):
    folder = ROOT / "tests" / name
    explain = None
    tests = sorted(str(p.relative_to(ROOT)) for p in folder.glob("**/*.test.mjs")
                   if "node_modules" not in p.parts)
    if (folder / "run").exists():
        command, count = [f"tests/{name}/run"], count_line
    elif list(folder.glob("playwright.config.*")):
        command = ["npx", "--prefix", "tests", "playwright", "test", "--config", f"tests/{name}"]
        count = count_playwright
    elif tests:
        command, count = ["node", "tests/support/run.mjs", str(2 if name == "browser" else FILES), *tests], count_node
        explain = test_failures.of_tap
    else:
        return []
    if engine:  # the same tests, another database under the servers
        command = ["env", f"PARLEY_TEST_DATABASE={engine}", "PARLEY_TEST_REDIS=1", *command]
        name = f"{name}-{engine}"
    return [Part(name, command, count, explain, after=("build-test",), seconds=14400 if kills else 1200)]


def meson_command(folder, name, *selection):
    # Timeouts in meson.build are meant for a quiet machine.
    return ["meson", "test", "-C", folder, "--no-rebuild", "--logbase", name, "--timeout-multiplier",
            "4", "--print-errorlogs", "--num-processes", "3", *selection]


def all_parts():
    # What mostly waits begins before what mostly works, and beside it; at the end stands what uses all processors.
    parts = [Part("build-test", ["scripts/build.sh", "test"], cpus=SLOTS, seconds=1800)]
    parts += node_part("system", engine="pgsql")
    parts += node_part("system")
    parts += node_part("faults")
    parts.append(Part("unit", meson_command("build-test", "unit", "--suite", "unit"), count_meson("build-test", "unit"),
                      explain_meson("build-test", "unit"), after=("build-test",), seconds=1200))
    parts += node_part("crash", kills="CRASH_KILLS" in os.environ)
    parts += [
        Part("build-tsan", [sys.executable, __file__, "--build-tsan"], after=("build-test",), seconds=1800),
        Part("tsan", meson_command("build-tsan", "tsan", "--suite", "tsan"),
             count_meson("build-tsan", "tsan"), explain_meson("build-tsan", "tsan"), after=("build-tsan",), seconds=1200),
    ]
    parts += node_part("browser")
    parts.append(Part("fuzz", meson_command("build-test", "fuzz", "--suite", "fuzz"),
                      count_meson("build-test", "fuzz"), explain_meson("build-test", "fuzz"), after=("build-test",), seconds=600))
    if (ROOT / "web/package.json").exists():
        parts.append(Part("web", ["npm", "--prefix", "web", "test"], count_vitest, seconds=120))
    return parts


def build_tsan():
    """Only the programs of the suite: the rest of the tree need not be built once more."""
    subprocess.run(["scripts/build.sh", "tsan", "build.ninja"], cwd=ROOT, check=True)
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", "build-tsan"], cwd=ROOT,
                                      check=True, capture_output=True).stdout)
    folder = str(ROOT / "build-tsan") + "/"
    targets = sorted({word[len(folder):] for test in tests
                      if any(s.split(":")[-1] == "tsan" for s in test["suite"])
                      for word in test["cmd"] if word.startswith(folder)})
    return subprocess.run(["ninja", "--quiet", "-C", "build-tsan", "-j1", *targets], cwd=ROOT,
                          check=False).returncode


def environment():
    env = dict(os.environ)
    env["PARLEY_TEST_BINARY"] = str(ROOT / "build-test/src/app/parley")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium:
        env["PARLEY_TEST_CHROMIUM"] = chromium
    # Of freed memory 256 MB are kept aside otherwise, all of which then comes anew from the kernel, and through the
    # processor's caches: with 2 MB a program that allocates much takes half the time.
    env.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=1:strict_string_checks=1:quarantine_size_mb=2"
                   ":malloc_context_size=8")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:abort_on_error=1:print_stacktrace=1")
    tsan = "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1"
    if (ROOT / "tests/tsan.supp").exists():
        tsan += f":suppressions={ROOT / 'tests/tsan.supp'}"
    env.setdefault("TSAN_OPTIONS", tsan)
    # Test processes are numbered by chance; what a server is told must come from the test.
    return {name: value for name, value in env.items()
            if not name.startswith("PARLEY_") or name.startswith("PARLEY_TEST_")}


def start(part, env):
    part.started = time.monotonic()
    part.state = "running"
    with part.log.open("w") as log:
        part.process = subprocess.Popen(part.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def stop(part):
    """Ends the part with everything it started, by its own process group."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(part.process.pid, kind)
        except ProcessLookupError:
            break
        try:
            part.process.wait(5)
        except subprocess.TimeoutExpired:
            continue


def has_ended(part):
    if part.process.returncode is None:
        process, code, usage = os.wait4(part.process.pid, os.WNOHANG)
        if process != 0:
            part.process.returncode = os.waitstatus_to_exitcode(code)
            part.worked = usage.ru_utime + usage.ru_stime
    return part.process.returncode is not None


def finish(part, note=""):
    code = part.process.wait()
    part.ended = time.monotonic()
    text = part.log.read_text(errors="replace")
    passed, failed, skipped = part.count(text, code) if part.count else (0, 0, 0)
    if (code != 0 or note) and failed == 0:
        failed = 1
    if part.count and code == 0 and passed + failed == 0:
        failed, note = 1, "ran no test"
    part.result = (passed, failed, skipped)
    part.state = "failed" if failed else "passed"
    counts = f"{passed} passed, {failed} failed, {skipped} skipped" if part.count or failed else ""
    word = "FAIL" if failed else "ok"
    print(f"{word:5} {part.name:12} {part.ended - part.started:6.1f} s {part.worked:6.1f} s worked  {counts}"
          f"{'  (' + note + ')' if note else ''}", flush=True)
    if failed:
        for name, lines in (part.explain and part.explain(text)) or test_failures.of_lines(text):
            part.failures.append(f"{part.name}: {name or note or 'see its log'}")
            print("\n".join("      " + line for line in [f"--- {part.name}: {name}", *lines]))
        print(f"      (all of it: {os.path.relpath(part.log, ROOT)})", flush=True)


def with_needed(parts, names):
    """The named parts and whatever they come after."""
    by_name = {p.name: p for p in parts}
    unknown = [n for n in names if n not in by_name]
    if unknown:
        sys.exit(f"no part {', '.join(unknown)}; there are {', '.join(by_name)}")
    needed = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += by_name[name].after
    return [p for p in parts if p.name in needed]


def run(parts, seconds):
    by_name = {p.name: p for p in parts}
    env = environment()
    begin = time.monotonic()
    spoken = begin
    while any(p.state in ("waiting", "running") for p in parts):
        now = time.monotonic()
        for part in [p for p in parts if p.state == "running"]:
            if has_ended(part):
                finish(part)
            elif now - begin > seconds or now - part.started > part.seconds:
                stop(part)
                finish(part, "stopped: out of time")
        for part in [p for p in parts if p.state == "waiting"]:
            before = [by_name[n].state for n in part.after]
            busy = sum(p.cpus for p in parts if p.state == "running")
            if "failed" in before or "left out" in before or now - begin > seconds:
                part.state = "left out"
                part.result = (0, 1, 0)
                part.failures = [f"{part.name}: not run"]
                print(f"FAIL  {part.name:12}           not run: "
                      f"{'out of time' if now - begin > seconds else 'its build failed'}", flush=True)
            elif all(s == "passed" for s in before) and busy + part.cpus <= max(SLOTS, part.cpus):
                start(part, env)
        if now - spoken > 30:
            spoken = now
            running = ", ".join(p.name for p in parts if p.state == "running")
            print(f"      {now - begin:5.0f} s: {running}", flush=True)
        time.sleep(0.1)
    return time.monotonic() - begin


def main():
    os.chdir(ROOT)
    arguments = sys.argv[1:]
    if arguments == ["--build-tsan"]:
        return build_tsan()
    parts = all_parts()
    if arguments == ["--list"]:
        print("\n".join(p.name for p in parts))
        return 0
    if arguments:
        parts = with_needed(parts, arguments)
    LOGS.mkdir(parents=True, exist_ok=True)
    # The limit includes what the caller did before: installing packages is not counted.
    took = run(parts, float(os.environ.get("TEST_MINUTES", "40")) * 60 - 15)
    passed, failed, skipped = (sum(p.result[i] for p in parts) for i in range(3))
    print(f"took {took:.0f} s")
    for part in parts:
        for name in part.failures:
            print(f"failed: {name}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
