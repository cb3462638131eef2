#!/usr/bin/env python3
"""Prints every SQL statement of the product as JSON: [{"symbol", "file", "name", "text", "sqlite", "pgsql", "pgsql_many"}].

Statements stand in headers alone (`make check`): the preprocessor joins their parts, and what is left is read here.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\.\s*[a-z_]+)\s*=|([{}])|([A-Za-z0-9_]+)|(\S)', re.S)
BEGIN = re.compile(r"static const struct store_sql\s+([A-Z0-9_]+)\s*=\s*")
ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\", "\\t": "\t"}


def unescape(text):
    return re.sub(r"\\.", lambda match: ESCAPES[match.group(0)], text)


def read_statement(source, at):
    """The fields of one initializer, which begins with a brace."""
    fields, field, depth = {}, None, 0
    for token in TOKEN.finditer(source, at):
        text, name, brace, word, _ = token.groups()
        if brace:
            depth += 1 if brace == "{" else -1
            if depth == 0:
                return fields
        elif name:
            field = name.lstrip(". ")
        elif text is not None:
            fields[field] = fields.get(field, "") + unescape(text)
        elif word:
            fields[field] = word
    raise SystemExit("a statement has no end")


def main():
    headers = sorted(path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*_sql.h") if "test" not in path.name)
    found = []
    for header in headers:
        done = subprocess.run(
            ["gcc", "-E", "-P", "-D_GNU_SOURCE", "-I", "src", "-include", "stddef.h", "-x", "c", "-"],
            cwd=ROOT, input=f'#include "{header}"\n', capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        for begin in BEGIN.finditer(done.stdout):
            found.append({"symbol": begin.group(1), "file": str(header)} | read_statement(done.stdout, begin.end()))
    own = {(one["symbol"], one["name"]): one for one in found}  # a header that another includes comes again
    json.dump(list(own.values()), sys.stdout, indent=1)


main()
