#!/usr/bin/env python3
"""Writes a C file with a table of struct embedded_file (see src/base/embedded.h).

usage: embed.py OUT.c TABLE_NAME [--strip FOLDER] FILE...

Names are file names, or with --strip the paths below FOLDER.
"""
import os
import sys


def c_string(data):
    out, line = [], '    "'
    for byte in data:
        if byte == 0x0A:
            piece = "\\n"
        elif byte in (0x22, 0x5C, 0x3F):
            piece = "\\%03o" % byte
        elif 0x20 <= byte < 0x7F:
            piece = chr(byte)
        else:
            piece = "\\%03o" % byte
        if len(line) + len(piece) > 96:
            out.append(line + '"')
            line = '    "'
        line += piece
    out.append(line + '"')
    return "\n".join(out)


def main(argv):
    out, table, files = argv[1], argv[2], argv[3:]
    strip = None
    if files and files[0] == "--strip":
        strip, files = files[1], files[2:]
    parts = ['#include "base/embedded.h"\n',
             "extern const struct embedded_file %s[];" % table]
    rows = []
    for i, path in enumerate(files):
        with open(path, "rb") as f:
            data = f.read()
        name = os.path.relpath(path, strip) if strip else os.path.basename(path)
        parts.append("static const char file_%d[] =\n%s;" % (i, c_string(data)))
        rows.append('    {"%s", (const unsigned char *)file_%d, %d},' % (name, i, len(data)))
    parts.append("const struct embedded_file %s[] = {\n%s\n    {NULL, NULL, 0},\n};" %
                 (table, "\n".join(rows)))
    with open(out, "w") as f:
        f.write("\n".join(parts) + "\n")


main(sys.argv)
