#!/usr/bin/env python3
"""readme_figures_test.py - figures between the marks, all else as it was; the README of the tree has them"""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import readme_figures  # noqa: E402

RESULTS = [
    {"name": "webhooks", "value": 48000.4, "unit": "per s", "yardstick": "nginx", "yardstick_value": 96000.0, "ratio": 0.5},
    {"name": "p99", "value": 3.214, "unit": "ms", "yardstick": "", "yardstick_value": None, "ratio": None},
]


class Figures(unittest.TestCase):
    def test_between_the_marks(self):
        text = "before\n" + readme_figures.BEGIN + "old\n" + readme_figures.END + "\nafter\n"
        new = readme_figures.replace(text, RESULTS)
        self.assertTrue(new.startswith("before\n") and new.endswith("\nafter\n"))
        self.assertNotIn("old", new)
        self.assertIn("| webhooks | 48,000 per s | nginx: 96,000 | 0.50 |", new)
        self.assertIn("| p99 | 3.21 ms |  |  |", new)
        self.assertEqual(readme_figures.replace(new, RESULTS), new)

    def test_marks_are_needed(self):
        self.assertRaises(ValueError, readme_figures.replace, "no marks", RESULTS)

    def test_the_readme_has_them(self):
        text = (readme_figures.ROOT / "README.md").read_text()
        self.assertIn("| p99 |", readme_figures.replace(text, RESULTS))


if __name__ == "__main__":
    unittest.main()
