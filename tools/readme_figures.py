#!/usr/bin/env python3
"""readme_figures.py - writes what `make bench` measured (build/bench/results.json) into README.md

Usage: readme_figures.py [RESULTS]

Replaces what is between the two marks of README.md; everything else is left as it is.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN = "<!-- figures: tools/readme_figures.py writes what is between these marks -->\n"
END = "<!-- end of figures -->"


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(results):
    lines = ["| what | measured | beside | ratio |", "|---|---|---|---|"]
    for row in results:
        beside = ratio = ""
        if row.get("yardstick_value") is not None:
            beside = f"{row['yardstick']}: {number(row['yardstick_value'])}"
            ratio = f"{row['ratio']:.2f}"
        measured = f"{number(row['value'])} {row['unit']}".strip()
        lines.append(f"| {row['name']} | {measured} | {beside} | {ratio} |")
    return "\n".join(lines) + "\n"


def replace(text, results):
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("README.md has lost its marks")
    return head + begin + table(results) + end + tail


def main():
    results = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/bench/results.json"
    readme = ROOT / "README.md"
    if not results.exists():
        sys.exit(f"{results} is not there: make bench writes it")
    readme.write_text(replace(readme.read_text(), json.loads(results.read_text())))


if __name__ == "__main__":
    main()
