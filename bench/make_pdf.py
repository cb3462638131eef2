#!/usr/bin/env python3
"""make_pdf.py - a PDF of many pages as an office writes them: headings, paragraphs, two columns, tables

usage: make_pdf.py PAGES SEED OUT.pdf

Words of the demo's documents, as often as they stand there; the same seed makes the same bytes. Every page has a
word of its own, "pageword" and its number in letters, by which a search can ask for it.
"""
import pathlib
import random
import re
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, MARGIN, SIZE, LEADING = 595, 842, 50, 10, 12
# Of Helvetica, a thousandth of the size each, from the space to the tilde.
WIDTHS = [278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278] + [556] * 10 + [
    278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667,
    778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584]


def page_word(number):
    return "pageword" + "".join(chr(ord("a") + int(digit)) for digit in str(number))


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "demo/documents").rglob("*.md"))]
        self.words = re.findall(r"[a-z]+", " ".join(texts).lower())

    def sentence(self):
        words = self.random.choices(self.words, k=self.random.randint(8, 22))
        return " ".join(words).capitalize() + "."

    def lines(self, text, width):
        """As many words a line as fit."""
        line, used = [], 0
        for word in text.split():
            long = sum(WIDTHS[ord(c) - 32] for c in word + " ") * SIZE / 1000
            if line and used + long > width:
                yield " ".join(line)
                line, used = [], 0
            line.append(word)
            used += long
        yield " ".join(line)

    def column(self, x, top, width):
        """Paragraphs down to the margin; the commands that draw them."""
        drawn, y = [], top
        while y > MARGIN + 4 * LEADING:
            for line in self.lines(" ".join(self.sentence() for _ in range(5)), width):
                if y < MARGIN:
                    break
                drawn.append("BT /R %d Tf %d %d Td (%s) Tj ET" % (SIZE, x, y, line))
                y -= LEADING
            y -= LEADING // 2
        return drawn

    def table(self, top, rows):
        drawn, rules = [], top + LEADING
        for row in range(rows):
            cells = [self.random.choice(self.words).capitalize(), self.random.choice(self.words)] + [
                "%d.%02d" % (self.random.randint(1, 9999), self.random.randint(0, 99)) for _ in range(2)]
            if row == 0:
                cells = ["Item", "Kind", "2025", "2026"]
            drawn += ["BT /%s %d Tf %d %d Td (%s) Tj ET" % ("B" if row == 0 else "R", SIZE, MARGIN + 130 * at,
                                                          top - LEADING * row, cell) for at, cell in enumerate(cells)]
        return ["%d %d m %d %d l S" % (MARGIN, rules, WIDTH - MARGIN, rules)] + drawn

    def page(self, number):
        top, whole = HEIGHT - MARGIN, WIDTH - 2 * MARGIN
        drawn = []
        if number % 10 == 1:
            drawn.append("BT /B 18 Tf %d %d Td (%s) Tj ET" % (MARGIN, top, "Chapter %d" % (number // 10 + 1)))
            top -= 30
        drawn.append("BT /B 13 Tf %d %d Td (%s) Tj ET" % (MARGIN, top, "Section %s" % page_word(number)))
        top -= 20
        if number % 3 == 0:  # a table, and text below it
            drawn += self.table(top, 20) + self.column(MARGIN, top - 21 * LEADING, whole)
        elif number % 3 == 1:
            drawn += self.column(MARGIN, top, whole)
        else:
            half = whole // 2 - 12
            drawn += self.column(MARGIN, top, half) + self.column(MARGIN + half + 24, top, half)
        return "\n".join(drawn).encode("latin-1")


def make(pages, seed, path):
    writer, objects = Writer(seed), []
    kids = " ".join("%d 0 R" % (5 + 2 * i) for i in range(pages))
    objects.append(b"<</Type/Catalog/Pages 2 0 R>>")
    objects.append(("<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages)).encode())
    objects += [b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>"]
    for i in range(pages):
        body = zlib.compress(writer.page(i + 1))
        objects.append(("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents %d 0 R"
                        "/Resources<</Font<</R 3 0 R/B 4 0 R>>>>>>" % (WIDTH, HEIGHT, 6 + 2 * i)).encode())
        objects.append(b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(body), body))
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    begin = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, begin)
    pathlib.Path(path).write_bytes(out)


if __name__ == "__main__":
    make(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
