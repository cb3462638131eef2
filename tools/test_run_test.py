#!/usr/bin/env python3
"""test_run_test.py - what test_run.py counts in the output of each kind of runner, and when it fails"""
import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import test_failures  # noqa: E402
import test_run  # noqa: E402


class Counts(unittest.TestCase):
    def test_count_line(self):
        self.assertEqual(test_run.count_line("x\n1 passed, 2 failed, 3 skipped\n", 0), (1, 2, 3))
        self.assertEqual(test_run.count_line("1 passed, 0 failed, 0 skipped\n"
                                             "7 passed, 1 failed, 2 skipped\n", 0), (7, 1, 2))
        self.assertEqual(test_run.count_line("nothing", 0), (0, 0, 0))

    def test_node(self):
        tap = "# tests 9\n# pass 3\n# fail 1\n# cancelled 2\n# skipped 1\n# todo 2\n"
        self.assertEqual(test_run.count_node(tap, 1), (3, 3, 3))
        self.assertEqual(test_run.count_node(tap.replace("#", "\u2139"), 1), (3, 3, 3))
        self.assertEqual(test_run.count_node("# tests 1\n# pass 1\n# fail 0\n", 0), (1, 0, 0))

    def test_playwright(self):
        self.assertEqual(test_run.count_playwright(
            "  1 failed\n    a.spec.ts\n  2 flaky\n  1 skipped\n  3 did not run\n  9 passed (5.0s)\n", 1),
            (11, 4, 1))

    def test_meson(self):
        cmocka = "[  PASSED  ] 4 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"
        failed = "[  PASSED  ] 2 test(s).\n[  FAILED  ] 3 test(s), listed below:\n 3 FAILED TEST(S)\n"
        for tests, want in [([("OK", cmocka)], (4, 0, 1)), ([("FAIL", failed)], (2, 3, 0)),
                            ([("FAIL", cmocka)], (4, 1, 1)), ([("FAIL", "")], (0, 1, 0)),
                            ([("TIMEOUT", "")], (0, 1, 0)), ([("OK", "")], (1, 0, 0)),
                            ([("SKIP", "")], (0, 0, 1)),
                            ([("OK", cmocka), ("FAIL", failed)], (6, 3, 1))]:
            with self.subTest(tests=tests), tempfile.TemporaryDirectory() as folder:
                log = Path(folder) / "meson-logs/unit.json"
                log.parent.mkdir()
                log.write_text("".join(json.dumps({"result": r, "stderr": text}) + "\n"
                                       for r, text in tests))
                self.assertEqual(test_run.count_meson(folder, "unit")("", 0), want)


class Failures(unittest.TestCase):
    def test_tap(self):
        tap = ("# Subtest: a file\n    # Subtest: inner\n    not ok 1 - inner\n      ---\n      error: 'too late'\n"
               "      ...\n    ok 2 - other\nnot ok 1 - a file\n  ---\n  failureType: 'subtestsFailed'\n  ...\n"
               "not ok 2 - died\n  ---\n  signal: 'SIGTERM'\n  ...\n1..2\n")
        self.assertEqual(test_failures.of_tap(tap), [("inner", ["error: 'too late'"]),
                                                     ("died", ["signal: 'SIGTERM'"])])

    def test_meson(self):
        output = ("[==========] Running 2 test(s).\n[ RUN      ] good\n[       OK ] good\n[ RUN      ] bad\n"
                  "1 != 2\na_test.c:7: error: Failure!\n[  FAILED  ] bad\n")
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "unit.json"
            self.assertEqual(test_failures.of_meson(log), [])
            log.write_text("".join(json.dumps({"name": name, "result": result, "stderr": text}) + "\n" for
                                   name, result, text in [("a", "FAIL", output), ("b", "OK", output),
                                                          ("c", "TIMEOUT", "")]))
            self.assertEqual(test_failures.of_meson(log), [
                ("a (bad)", ["1 != 2", "a_test.c:7: error: Failure!", "[  FAILED  ] bad"]), ("c (timeout)", [])])

    def test_much_is_shortened(self):
        lines = test_failures.shorten([str(i) for i in range(1000)])
        self.assertEqual((lines[0], lines[-1], len(lines)), ("0", "999", test_failures.LINES + 1))


class Runs(unittest.TestCase):
    """Small shell commands stand for builds and runners."""

    def run_parts(self, *parts, seconds=20):
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stdout(io.StringIO()) as out:
            for part in parts:
                part.log = Path(folder) / part.name
            test_run.run(parts, seconds)
            self.out = out.getvalue()
        return [part.result for part in parts]

    def part(self, name, script, **more):
        return test_run.Part(name, ["sh", "-c", script], test_run.count_line, **more)

    def test_outcomes(self):
        for script, want in [("echo 2 passed, 0 failed, 1 skipped", (2, 0, 1)),
                             ("echo 2 passed, 1 failed, 0 skipped; exit 1", (2, 1, 0)),
                             ("echo 2 passed, 0 failed, 0 skipped; exit 1", (2, 1, 0)),
                             ("kill -9 $$", (0, 1, 0)), ("true", (0, 1, 0))]:
            with self.subTest(script=script):
                self.assertEqual(self.run_parts(self.part("a", script)), [want])

    def test_what_failed_is_named(self):
        part = self.part("a", "echo the end; echo 1 passed, 1 failed, 0 skipped; exit 1")
        self.run_parts(part)
        self.assertIn("the end", self.out)
        self.assertEqual(part.failures, ["a: see its log"])
        part = self.part("a", "printf 'not ok 1 - later\\n# pass 1\\n# fail 1\\n'; exit 1",
                         explain=test_failures.of_tap)
        part.count = test_run.count_node
        self.run_parts(part)
        self.assertEqual(part.failures, ["a: later"])

    def test_what_comes_after_a_failed_build_is_not_run(self):
        build = test_run.Part("build", ["sh", "-c", "exit 1"])
        after = self.part("after", "echo 1 passed, 0 failed, 0 skipped", after=("build",))
        self.assertEqual(self.run_parts(build, after), [(0, 1, 0), (0, 1, 0)])
        self.assertIn("not run", self.out)

    def test_time_ends_a_part_with_its_children(self):
        part = self.part("slow", "(exec tail -f /dev/null) & wait", seconds=0.3)
        self.assertEqual(self.run_parts(part), [(0, 1, 0)])
        self.assertIn("out of time", self.out)

    def test_time_ends_the_whole(self):
        first = self.part("first", "exec tail -f /dev/null")
        second = self.part("second", "echo 1 passed, 0 failed, 0 skipped", after=("first",))
        self.assertEqual(self.run_parts(first, second, seconds=0.3), [(0, 1, 0), (0, 1, 0)])


if __name__ == "__main__":
    unittest.main()
