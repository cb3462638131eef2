#!/usr/bin/env python3
"""lint_test.py - for each rule of lint.py a text that it must catch and one that it must let pass"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import lint  # noqa: E402


def head(path):
    return f"/*\n * {Path(path).name} - text of a test\n */\n"


def function(name, body):
    return f"static void\n{name}(void)\n{{\n{body}\n}}\n"


# rule: [(what, path, text below the head, caught)]
CASES = {
    "layers": [
        ("upwards", "src/queue/a.c", '#include "store/store.h"\n', False),
        ("own folder", "src/queue/a.c", '#include "queue/queue.h"\n', False),
        ("downwards", "src/store/a.c", '#include "queue/queue.h"\n', True),
        ("from base", "src/base/a.h", '#include "net/http.h"\n', True),
        ("unknown layer", "src/store/a.c", '#include "misc/a.h"\n', True),
        ("folder without a place", "src/misc/a.c", '#include "base/a.h"\n', True),
        ("no path", "src/store/a.c", '#include "store.h"\n', True),
        ("system header", "src/base/a.c", "#include <net/if.h>\n", False),
        ("sandboxed program uses text", "src/extract/a.c", '#include "text/text.h"\n', False),
        ("sandboxed program uses store", "src/extract/a.c", '#include "store/store.h"\n', True),
        ("using the sandboxed program", "src/app/a.c", '#include "extract/a.h"\n', True),
    ],
    "scope-driver": [
        ("store", "src/store/a.c", '#include "store/tenant_scope_driver.h"\n', False),
        ("tenant", "src/tenant/a.c", '#include "store/tenant_scope_driver.h"\n', False),
        ("gateway", "src/gateway/a.c", '#include "store/tenant_scope_driver.h"\n', True),
    ],
    "banned": [
        ("strcpy", "src/base/a.c", function("f", "    strcpy(a, b);"), True),
        ("sprintf", "src/base/a.c", function("f", "    n = sprintf(a, b);"), True),
        ("gmtime", "src/base/a.c", function("f", "    t = gmtime(&now);"), True),
        ("gmtime_r", "src/base/a.c", function("f", "    t = gmtime_r(&now, &tm);"), False),
        ("snprintf", "src/base/a.c", function("f", "    snprintf(a, 1, b);"), False),
        ("a member of that name", "src/base/a.c", function("f", "    a->system(b);"), False),
        ("in a comment", "src/base/a.c", "/* never strcpy(a, b) */\n", False),
        ("in a string", "src/base/a.c", 'static const char *const a = "atoi(x)";\n', False),
        ("part of a name", "src/base/a.c", function("f", "    my_rand(a);"), False),
    ],
    "head": [
        ("right", "src/base/a.c", "", False),
        ("wrong name", "src/base/a.c", None, True),
    ],
    "sql": [
        ("in code", "src/queue/a.c", 'static const char *const q = "SELECT 1";\n', True),
        ("lower case", "src/queue/a.c", 'static const char *const q = "select id from x";\n', True),
        ("delete", "src/queue/a.c", 'static const char *const q = "DELETE FROM x";\n', True),
        ("with", "src/queue/a.c", 'static const char *const q = "WITH a AS (SELECT 1)";\n', True),
        ("in a table", "src/queue/queue_sql.h", 'static const char *const q = "SELECT 1";\n', False),
        ("prose", "src/queue/a.c", 'static const char *const q = "update your browser";\n', False),
        ("prose with with", "src/queue/a.c", 'static const char *const q = "with care";\n', False),
        ("pragma in store", "src/store/a.c", 'static const char *const q = "PRAGMA x";\n', False),
        ("pragma elsewhere", "src/index/a.c", 'static const char *const q = "PRAGMA x";\n', True),
        ("begin elsewhere", "src/index/a.c", 'static const char *const q = "BEGIN";\n', True),
    ],
    "file-length": [
        ("800 lines", "src/base/a.c", "\n" * 797, False),
        ("801 lines", "src/base/a.c", "\n" * 798, True),
        ("a long script", "tools/a.py", "\n" * 801, True),
    ],
    "function-length": [
        # The line with the name, two braces, the body.
        ("80 lines", "src/base/a.c", function("f", "\n".join(["    x();"] * 77)), False),
        ("81 lines", "src/base/a.c", function("f", "\n".join(["    x();"] * 78)), True),
        ("head of two lines", "src/base/a.c",
         "void\nf(int a,\n  int b)\n{\n" + "    x();\n" * 77 + "}\n", True),
    ],
    "goto": [
        ("forwards", "src/base/a.c", function("f", "    goto out;\nout:\n    x();"), False),
        ("backwards", "src/base/a.c", function("f", "again:\n    x();\n    goto again;"), True),
        ("two labels", "src/base/a.c",
         function("f", "    goto a;\n    goto b;\na:\n    x();\nb:\n    x();"), True),
        ("switch", "src/base/a.c", function("f", "    switch (a) {\n    default:\n    }"), False),
    ],
    "ifdef": [
        ("around", "src/base/a.c", "#ifdef A\n" + function("f", "    x();") + "#endif\n", False),
        ("inside", "src/base/a.c", function("f", "#ifdef A\n    x();\n#endif"), True),
    ],
    "globals": [
        ("counter", "src/queue/a.c", "static int count;\n", True),
        ("pointer", "src/queue/a.c", "static const char *name;\n", True),
        ("array of pointers", "src/queue/a.c", 'static const char *names[] = {"a"};\n', True),
        ("initialised struct", "src/queue/a.c", "static struct a b = {\n    .c = 1,\n};\n", True),
        ("function pointer", "src/queue/a.c", "static void (*handler)(int a);\n", True),
        ("local static", "src/queue/a.c", function("f", "    static int count;"), True),
        ("without static", "src/queue/a.c", "int count = 5;\n", True),
        ("atomic without a reason", "src/queue/a.c", "static _Atomic int a;\n", True),
        ("atomic with a reason", "src/queue/a.c",
         "/* Process-wide: because. */\nstatic _Atomic int a;\n", False),
        ("reason does not help a plain one", "src/queue/a.c",
         "/* Process-wide: because. */\nstatic int a;\n", True),
        ("made once", "src/queue/a.c",
         "/* Process-wide: frozen after once. */\nstatic int a[5];\n", False),
        ("constant", "src/queue/a.c", "static const int count = 5;\n", False),
        ("constant pointers", "src/queue/a.c", 'static const char *const n[] = {"a"};\n', False),
        ("constant function pointer", "src/queue/a.c",
         "static void (*const handler)(int a) = f;\n", False),
        ("local constant", "src/queue/a.c", function("f", "    static const int a[] = {1};"), False),
        ("metric", "src/queue/a.c", 'static struct metric jobs = {.name = "a"};\n', False),
        ("prototype", "src/queue/a.h", "void f(int (*call)(void *), int b);\n", False),
        ("prototype with attribute", "src/queue/a.h", "MUST_USE enum status f(int a);\n", False),
        ("type", "src/queue/a.h", "struct a {\n    int b;\n};\nenum c { D, E };\nstruct f;\n", False),
        ("typedef", "src/queue/a.h", "typedef void (*task)(void *arg);\n", False),
        ("in app", "src/app/a.c", "static int count;\n", False),
        ("in a test", "src/queue/a_test.c", "static int count;\n", False),
        ("function", "src/queue/a.c", function("f", "    int a = 1;"), False),
    ],
    "sleep": [
        ("sleep in a test", "src/queue/a_test.c", function("f", "    sleep(1);"), True),
        ("usleep in a test", "tests/crash/a.c", function("f", "    usleep(1);"), True),
        ("in a browser test", "tests/browser/a.mjs", "await page.waitForTimeout(5);\n", True),
        ("in a system test", "tests/system/a.mjs", "await sleep(5);\n", True),
        ("in the product", "src/queue/a.c", function("f", "    nanosleep(&a, 0);"), False),
        ("in a slow double", "tests/doubles/a.mjs", "await sleep(5);\n", False),
        ("another word", "tests/system/a.mjs", "await asleep(5);\n", False),
    ],
    "testing-header": [
        ("in a test", "src/queue/a_test.c", '#include "base/testing.h"\n', False),
        ("in the product", "src/queue/a.c", '#include "base/testing.h"\n', True),
    ],
}

FAILPOINT_TABLE = 'static const char *const names[] = {\n    "a.one", "a.two", NULL,\n};\n'


class Rules(unittest.TestCase):
    def findings(self, path, text):
        return [(rule, number) for _, number, rule, _ in lint.check_source(lint.Source(path, text))]

    def test_every_case(self):
        for rule, cases in CASES.items():
            for what, path, text, caught in cases:
                with self.subTest(rule=rule, what=what):
                    text = head("src/other.c") if text is None else head(path) + text
                    rules = {r for r, _ in self.findings(path, text)}
                    self.assertEqual(rule in rules, caught)

    def test_every_rule_is_tried_both_ways(self):
        for rule in lint.FILE_RULES:
            outcomes = {caught for _, _, _, caught in CASES.get(rule, [])}
            self.assertEqual(outcomes, {True, False}, rule)

    def test_line_numbers(self):
        text = head("a.c") + "\n/* a\n * b */\n" + function("f", '    x("a");\n    atoi(a);')
        self.assertEqual(self.findings("src/base/a.c", text), [("banned", 11)])

    def test_an_excuse_counts_with_its_reason_only(self):
        for comment, excused in [("lint-allow(banned): measured", True), ("lint-allow(banned):", False),
                                 ("lint-allow(sql): measured", False), ("no reason", False)]:
            text = head("a.c") + function("f", f"    /* {comment} */\n    atoi(a);")
            src = lint.Source("src/base/a.c", text)
            (_, number, rule, _), = lint.check_source(src)
            self.assertEqual(lint.is_excused(src, number, rule), excused, comment)

    def test_failpoints(self):
        table = lint.Source("src/base/failpoint.c", FAILPOINT_TABLE)
        for text, want in [('FAILPOINT("a.one");\nFAILPOINT_ERROR("a.two", err);\n', []),
                           ('FAILPOINT("a.one");\nFAILPOINT("a.two");\nFAILPOINT("b");\n', ['"b"']),
                           ('FAILPOINT("a.one");\n', ['"a.two"']), ("", [])]:
            found = list(lint.check_failpoints([table, lint.Source("src/queue/a.c", text)]))
            self.assertEqual(len(found), len(want), text)
            for finding, name in zip(found, want):
                self.assertIn(name, finding[3])


class Trees(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def put(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return path

    def rules(self, *paths):
        findings, _, _ = lint.lint(self.root, list(paths))
        return [f[2] for f in findings]

    def test_headers_compile_alone(self):
        good = self.put("src/base/a.h", head("a.h") + "#include <stddef.h>\nsize_t f(void);\n")
        bad = self.put("src/base/b.h", head("b.h") + "size_t f(void);\n")
        self.assertEqual(self.rules(good), [])
        self.assertEqual(self.rules(bad), ["header"])

    def test_fuzzers_have_line_and_corpus(self):
        fuzzer = self.put("tests/fuzz/a_fuzz.c", head("a_fuzz.c"))
        self.assertEqual(self.rules(fuzzer), ["fuzzer", "fuzzer"])
        self.put("tests/fuzz/meson.build", "fuzzers = {\n  'a': [base_dep],\n}\n")
        self.assertEqual(self.rules(fuzzer), ["fuzzer"])
        self.put("tests/fuzz/corpus/a/one", "x")
        self.assertEqual(self.rules(fuzzer), [])

    def test_the_command_finds_new_files_and_says_so_by_its_exit(self):
        subprocess.run(["git", "init", "-q", self.root], check=True)
        command = [sys.executable, lint.__file__, "--root", self.root]
        self.put("src/base/a.c", head("a.c"))
        self.assertEqual(subprocess.run(command, capture_output=True, check=False).returncode, 0)
        self.put("src/base/b.c", "int a;\n")
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("src/base/b.c:1: head:", result.stdout)


if __name__ == "__main__":
    unittest.main()
