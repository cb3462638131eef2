#!/usr/bin/env python3
"""lint.py - the project's own rules, checked on the text of the tree

Usage: lint.py [--root DIR] [--no-compile] [FILE...]

Prints "file:line: rule: message" for each finding and ends with a count line. A line may be excused by
a comment on it or just above it, with a reason:  lint-allow(rule): reason
Relies on .clang-format: function names, braces and file-scope declarations begin in column 0.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

# The order of docs and MAP.md: a folder may use only folders before it.
LAYERS = [
    "base", "net", "text", "store", "tenant", "queue", "live", "events", "channel", "model", "embed", "index",
    "blob", "knowledge", "conversation", "intelligence", "memory", "orchestrator", "eval", "operations",
    "access", "gateway", "api", "app",
]
# The sandboxed program parses untrusted documents: it must not be able to reach anything else.
EXTRACT_MAY_USE = {"base", "text", "knowledge", "extract"}

BANNED = {
    "strcpy": "buf or arena_str", "strcat": "buf", "strncat": "buf", "stpcpy": "buf",
    "strncpy": "memcpy with a length", "sprintf": "snprintf or buf_printf",
    "vsprintf": "vsnprintf", "strtok": "str_split", "strndup": "str_dup", "strtok_r": "str_split",
    "atoi": "str_to_i64", "atol": "str_to_i64", "atoll": "str_to_i64", "atof": "str_to_double",
    "sscanf": "str_split and str_to_i64", "gets": "read", "alloca": "an arena",
    "gmtime": "clock.h", "localtime": "ICU", "ctime": "clock.h", "asctime": "clock.h",
    "tzset": "ICU", "rand": "random_below", "srand": "random_bytes", "random": "random_below",
    "srandom": "random_bytes", "drand48": "random_below",
    "setlocale": "newlocale", "mktemp": "mkstemp", "tmpnam": "mkstemp", "system": "posix_spawn",
    "popen": "posix_spawn",
}
SQL = re.compile(
    r"^\s*(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|REPLACE\s+INTO\s|"
    r"CREATE\s+(TABLE|(UNIQUE\s+)?INDEX|VIRTUAL|TRIGGER|VIEW)\s|ALTER\s+TABLE\s|DROP\s+(TABLE|INDEX)\s|"
    r"WITH\s+(RECURSIVE\s+)?\w+\s*(\(|AS\s))", re.I)
ENGINE_SQL = re.compile(
    r"^\s*(PRAGMA\s|BEGIN(\s+IMMEDIATE)?\s*;?$|COMMIT\s*;?$|ROLLBACK\b|SAVEPOINT\s|RELEASE\s+\w|"
    r"ATTACH\s|VACUUM\b)")
SLEEPS = re.compile(r"\b(usleep|nanosleep|clock_nanosleep|sleep|waitForTimeout)\s*\(")
MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 80
ALLOW = re.compile(r"lint-allow\(([a-z-]+)\):\s*(?!\*/)(\S.*)")
CODE_SUFFIXES = {".c", ".h"}
SCRIPT_SUFFIXES = {".py", ".mjs", ".js", ".ts", ".sh"}


class Source:
    """A file, its lines, and the same text with comments and strings blanked out."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.is_c = Path(path).suffix in CODE_SUFFIXES
        self.is_test = path.startswith("tests/") or bool(
            re.search(r"_(test|test_support|conformance)\.[ch]$", path))
        self.strings = []  # (line number, content) of string literals
        self.bare = self._blank(text).split("\n") if self.is_c else self.lines

    def _blank(self, text):
        pattern = re.compile(
            r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

        def replace(match):
            found = match.group(0)
            if found[0] == '"':
                line = text.count("\n", 0, match.start()) + 1
                self.strings.append((line, found[1:-1]))
                return '"' + " " * (len(found) - 2) + '"'
            if found[0] == "'":
                return "'" + " " * (len(found) - 2) + "'"
            return re.sub(r"[^\n]", " ", found)

        return pattern.sub(replace, text)

    def folder(self):
        parts = Path(self.path).parts
        return parts[1] if len(parts) > 2 and parts[0] == "src" else None

    def functions(self):
        """(name, first line, last line), lines counted from 1; the head is name line to '{'."""
        start = None
        for number, line in enumerate(self.bare, 1):
            if start is None and line.startswith("{"):
                first = number - 1
                while first > 1 and self.bare[first - 1].startswith((" ", "\t")):
                    first -= 1
                name = re.match(r"(?:[\w\s*]*?)(\w+)\s*\(", self.bare[first - 1])
                if name:
                    start = (name.group(1), first)
            elif start is not None and line.startswith("}"):
                yield start[0], start[1], number
                start = None

    def comment_above(self, number):
        """The comment that ends on the line before the given one."""
        lines = []
        at = number - 2
        if at < 0 or not self.lines[at].rstrip().endswith("*/"):
            return ""
        while at >= 0:
            lines.insert(0, self.lines[at])
            if "/*" in self.lines[at]:
                break
            at -= 1
        return "\n".join(lines)


def rule_head(src):
    """Every .c and .h begins by saying what it is."""
    if not src.is_c:
        return
    name = Path(src.path).name
    if src.lines[0] != "/*" or len(src.lines) < 2 or not re.match(
            rf" \* {re.escape(name)} - \S", src.lines[1]):
        yield 1, f'must begin with "/*" and " * {name} - what it is"'


def rule_layers(src):
    """A folder may use only folders above it."""
    folder = src.folder()
    if not src.is_c or folder is None:
        return
    for number, line in enumerate(src.lines, 1):
        include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not include:
            continue
        target = include.group(1)
        used = target.split("/")[0] if "/" in target else None
        if used is None:
            if not target.endswith((".inc", "_gen.h")):
                yield number, f'include "{target}" by its path below src/'
        elif used not in LAYERS and used != "extract":
            yield number, f'"{used}" is no layer'
        elif folder == "extract":
            if used not in EXTRACT_MAY_USE:
                yield number, f"the sandboxed program must not use {used}/"
        elif used == "extract":
            yield number, "nobody may use extract/: it is another program"
        elif folder not in LAYERS:
            yield number, f'folder "{folder}" has no place among the layers'
        elif LAYERS.index(used) > LAYERS.index(folder):
            yield number, f"{folder}/ is below {used}/ and must not use it"


def rule_scope_driver(src):
    """Tenant scopes are made in src/tenant/ and opened in src/store/, nowhere else."""
    if src.folder() in ("tenant", "store") or src.is_test:
        return
    for number, line in enumerate(src.lines, 1):
        if re.match(r'\s*#\s*include\s+"[^"]*tenant_scope_driver\.h"', line):
            yield number, "tenant_scope_driver.h is for src/tenant/ and src/store/ only"


def rule_banned(src):
    """Functions that cannot be used safely, or that have a better one here."""
    if not src.is_c:
        return
    for number, line in enumerate(src.bare, 1):
        for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
            if match.group(1) in BANNED:
                yield number, f"{match.group(1)}: use {BANNED[match.group(1)]}"


def rule_sql(src):
    """SQL stands in statement tables only, so that all of it can be read and checked in one place."""
    if not src.is_c or src.is_test or src.path.endswith("_sql.h"):
        return
    if src.path.startswith("src/store/sql/"):
        return
    for number, text in src.strings:
        if SQL.match(text):
            yield number, "SQL belongs in a statement table (*_sql.h or src/store/sql/)"
        elif ENGINE_SQL.match(text) and not src.path.startswith("src/store/"):
            yield number, "transactions and pragmas belong to src/store/"


def rule_file_length(src):
    if len(src.lines) - 1 > MAX_FILE_LINES:
        yield len(src.lines) - 1, f"{len(src.lines) - 1} lines; at most {MAX_FILE_LINES}"


def rule_function_length(src):
    if not src.is_c:
        return
    for name, first, last in src.functions():
        if last - first + 1 > MAX_FUNCTION_LINES:
            yield first, f"{name} has {last - first + 1} lines; at most {MAX_FUNCTION_LINES}"


def rule_goto(src):
    """Forward, and to one label of a function at most."""
    if not src.is_c:
        return
    for name, first, last in src.functions():
        labels = {}
        gotos = []
        for number in range(first, last + 1):
            line = src.bare[number - 1]
            label = re.match(r"\s*(\w+):\s*$", line)
            if label and label.group(1) != "default":
                labels[label.group(1)] = number
            jump = re.search(r"\bgoto\s+(\w+)", line)
            if jump:
                gotos.append((number, jump.group(1)))
        for number, label in gotos:
            if labels.get(label, number + 1) < number:
                yield number, f"goto backwards to {label} in {name}"
        if len({label for _, label in gotos}) > 1:
            yield gotos[-1][0], f"goto to several labels in {name}"


def rule_ifdef_in_function(src):
    """Variants are whole functions or macros, never holes in a function."""
    if not src.is_c:
        return
    for name, first, last in src.functions():
        for number in range(first, last + 1):
            if re.match(r"\s*#\s*if", src.bare[number - 1]):
                yield number, f"#if inside {name}"


def declarations(src):
    """(line number, text) of file-scope declarations that are not functions or types."""
    depth = 0
    statement = ""
    start = 0
    for number, line in enumerate(src.bare, 1):
        if line.startswith("#") or (number > 1 and src.bare[number - 2].endswith("\\")):
            continue
        for char in line + "\n":
            if depth == 0 and not statement.strip():
                statement, start = "", number
            if char == "{":
                depth += 1
                if depth == 1:
                    statement += "{"
                    continue
            elif char == "}":
                depth -= 1
                if depth == 0:
                    statement += "}"
                    # A function's body ends its statement; an initialiser or a type goes on.
                    if re.search(r"\)\s*\{\}$", statement):
                        statement = ""
                    continue
            if depth > 0:
                continue
            if char == ";":
                yield start, statement.strip()
                statement = ""
            else:
                statement += char


def is_mutable(text):
    """Whether a declaration makes a variable that can change."""
    head = text.split("=")[0]
    if re.match(r"(typedef|extern)\b", head) or re.match(r"_Static_assert\b", head):
        return False
    if "=" not in text and ("(" in re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head)):
        # A prototype, unless it is a pointer to a function.
        return bool(re.match(r"[^()]*\(\s*\*(?!\s*const\b)", head))
    body = re.sub(r"\{\}", " ", head)
    if re.match(r"(static\s+)?(struct|enum|union)\s*\w*\s*$", body.strip()):
        return False  # a type, or its forward declaration
    if not re.search(r"\w\s+[*\s]*(const\s+|_Atomic\s+)?\w+\s*(\[[^\]]*\]\s*)*$", body.strip()):
        return False
    if "*" in body:
        return "const" not in body[body.rindex("*"):]
    return "const" not in body


def rule_globals(src):
    """State belongs to objects that src/app/ wires. Atomics and the like, and what is made once and then
    frozen, need a comment above that begins with "Process-wide:" and says why."""
    if not src.is_c or src.is_test or src.folder() in (None, "app") or src.path.endswith("testing.h"):
        return
    found = list(declarations(src))
    for name, first, last in src.functions():
        for number in range(first, last + 1):
            local = re.match(r"\s+(static\s[^;{]*)", src.bare[number - 1])
            if local and "(" not in local.group(1).split("=")[0]:
                found.append((number, local.group(1).strip()))
    for number, text in found:
        if not is_mutable(text) or re.match(r"(static\s+)?struct metric\s+\w", text):
            continue
        if re.match(r"static\s+struct metric\s+\*const\b", text):
            continue
        comment = src.comment_above(number)
        excuse = "Process-wide:" in comment
        kind = re.search(r"_Atomic|atomic_|pthread_once_t|pthread_key_t|_Thread_local", text)
        if excuse and (kind or "frozen" in comment or src.folder() == "base"):
            continue
        yield number, ("a variable that can change belongs to an object, wired in src/app/; atomics and "
                       'what is frozen once made may stay under a comment "Process-wide: why"')


def rule_sleep(src):
    """Tests wait for events. A double of a provider may answer late when it is told to."""
    if not src.is_test or src.path.startswith("tests/doubles/") or Path(src.path).suffix not in CODE_SUFFIXES | SCRIPT_SUFFIXES:
        return
    for number, line in enumerate(src.bare, 1):
        match = SLEEPS.search(line)
        if match:
            yield number, f"{match.group(1)}: wait for the event instead"


def rule_testing_header(src):
    if src.is_c and not src.is_test and any('include "base/testing.h"' in x for x in src.lines):
        yield 1, "base/testing.h is for tests"


FILE_RULES = {
    "head": rule_head, "layers": rule_layers, "scope-driver": rule_scope_driver,
    "banned": rule_banned, "sql": rule_sql, "file-length": rule_file_length,
    "function-length": rule_function_length, "goto": rule_goto,
    "ifdef": rule_ifdef_in_function, "globals": rule_globals, "sleep": rule_sleep,
    "testing-header": rule_testing_header,
}


def check_failpoints(sources):
    """The table and the code name the same failpoints."""
    table = {}
    used = {}
    for src in sources:
        if not src.is_c:
            continue
        if src.path == "src/base/failpoint.c":
            inside = False
            for number, line in enumerate(src.lines, 1):
                inside = inside or "names[] = {" in line
                for name in re.findall(r'"([\w.]+)"', line) if inside else ():
                    table[name] = (src.path, number)
                if inside and line.startswith("};"):
                    break
        elif src.folder() != "base":
            for number, line in enumerate(src.lines, 1):
                for match in re.finditer(r'\bFAILPOINT(?:_ERROR)?\("([^"]*)"', line):
                    used.setdefault(match.group(1), (src.path, number))
    for name, (path, number) in sorted(used.items()):
        if name not in table:
            yield path, number, "failpoint", f'"{name}" is not in the table of failpoint.c'
    for name, (path, number) in sorted(table.items()):
        if used and name not in used:
            yield path, number, "failpoint", f'nothing passes "{name}"'


def check_fuzzers(root, paths):
    meson = root / "tests/fuzz/meson.build"
    text = meson.read_text() if meson.exists() else ""
    for path in paths:
        match = re.match(r"tests/fuzz/(\w+)_fuzz\.c$", path)
        if not match:
            continue
        if f"'{match.group(1)}':" not in text:
            yield path, 1, "fuzzer", "has no line in tests/fuzz/meson.build"
        corpus = root / "tests/fuzz/corpus" / match.group(1)
        if not corpus.is_dir() or not any(corpus.iterdir()):
            yield path, 1, "fuzzer", f"tests/fuzz/corpus/{match.group(1)}/ is empty"


def compile_header(root, path, flags):
    """A header compiles alone."""
    result = subprocess.run(
        ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Isrc", "-Wall", "-Wextra", "-Wno-unused", "-Werror",
         "-fsyntax-only", "-x", "c", *flags, "-include", path, "/dev/null"],
        cwd=root, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        first = next((x for x in result.stderr.split("\n") if "error:" in x), result.stderr[:200])
        yield path, 1, "header", "does not compile alone: " + first.split("error:")[-1].strip()


def package_flags():
    packages = ["jansson", "sqlite3", "libpq", "libcurl", "libmicrohttpd", "gnutls", "icu-uc", "libsodium",
                "gumbo", "cmocka"]
    result = subprocess.run(["pkg-config", "--cflags", *packages], capture_output=True, text=True,
                            check=False)
    return result.stdout.split() if result.returncode == 0 else []


def check_source(src):
    for rule, function in FILE_RULES.items():
        for number, message in function(src) or ():
            yield src.path, number, rule, message


def is_excused(src, number, rule):
    for line in src.lines[max(0, number - 3):number]:
        match = ALLOW.search(line)
        if match and match.group(1) == rule:
            return True
    return False


def tree(root):
    """Every file git knows or would add."""
    result = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root,
                            capture_output=True, text=True, check=True)
    for path in sorted(set(result.stdout.split("\n"))):
        if Path(path).suffix in CODE_SUFFIXES | SCRIPT_SUFFIXES and (root / path).is_file():
            yield path


def lint(root, paths, with_compile=True):
    sources = [Source(p, (root / p).read_text(errors="replace")) for p in paths]
    by_path = {s.path: s for s in sources}
    findings = []
    for src in sources:
        findings += check_source(src)
    findings += check_failpoints(sources)
    findings += check_fuzzers(root, paths)
    if with_compile:
        flags = package_flags()
        headers = [p for p in paths if p.startswith("src/") and p.endswith(".h")]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for found in pool.map(lambda p: list(compile_header(root, p, flags)), headers):
                findings += found
    excused = [f for f in findings if is_excused(by_path[f[0]], f[1], f[2])]
    return [f for f in findings if f not in excused], len(excused), len(sources)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, type=Path)
    parser.add_argument("--no-compile", action="store_true", help="leave out header compilation")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    paths = args.files or list(tree(args.root))
    findings, excused, count = lint(args.root, paths, not args.no_compile)
    for path, number, rule, message in findings:
        print(f"{path}:{number}: {rule}: {message}")
    note = f", {excused} excused in words" if excused else ""
    print(f"lint: {count} files, {len(findings)} findings{note}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
