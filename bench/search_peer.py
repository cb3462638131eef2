#!/usr/bin/env python3
"""A whole search's yardsticks: FTS5 alone and a flat index of faiss, on the passages and vectors of an organization.

usage: search_peer.py FOLDER     what retrieval_quality --scale left there; one line of JSON: milliseconds a question

FTS5: any of the question's words of four letters and more, the best 50 by rank. Debian's python3-faiss and python3-numpy:
peers to measure beside, never a part of Parley.
"""
import json
import pathlib
import re
import sqlite3
import sys
import time

import faiss
import numpy as np

DIMENSION, FIRST = 384, 20


def timed(search, questions):
    took = []
    for question in questions:
        began = time.thread_time()
        search(question)
        took.append(1e3 * (time.thread_time() - began))
    took.sort()
    return {"p50_ms": took[len(took) // 2], "p99_ms": took[(len(took) - 1) * 99 // 100]}


def main():
    folder = pathlib.Path(sys.argv[1])
    faiss.omp_set_num_threads(1)
    source = sqlite3.connect("file:%s?mode=ro" % next((folder / "tenants").glob("*.db")), uri=True)
    words = sqlite3.connect(str(folder / "fts5.db"))
    words.execute("CREATE VIRTUAL TABLE passage USING fts5(text, tokenize='porter unicode61')")
    words.executemany("INSERT INTO passage (rowid, text) VALUES (?, ?)", source.execute("SELECT id, text FROM chunk"))
    words.commit()

    flat = faiss.IndexFlatIP(DIMENSION)
    rows = source.execute("SELECT vector FROM index_vector ORDER BY chunk_id")
    while some := rows.fetchmany(10000):
        raw = np.frombuffer(b"".join(row[0] for row in some), dtype=np.uint8).reshape(len(some), -1)
        greatest = raw[:, :4].copy().view("<f4")
        flat.add(raw[:, 4:].copy().view("<i2").astype(np.float32) * (greatest / 32767))

    def by_words(text):
        asked = " OR ".join('"%s"' % word for word in re.findall(r"[^\W\d_]{4,}", text))
        return words.execute("SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY rank LIMIT 50", (asked,)).fetchall()

    texts = [text for text in (folder / "questions.txt").read_text(encoding="utf-8").splitlines() if re.search(r"[^\W\d_]{4,}", text)]
    vectors = np.fromfile(folder / "questions.f32", dtype=np.float32).reshape(-1, 1, DIMENSION)
    step = max(1, flat.ntotal // 100000)  # a million: every tenth question, or it takes a quarter of an hour
    texts, vectors = texts[::step], vectors[::step]
    print(json.dumps({"passages": flat.ntotal, "fts5": timed(by_words, texts), "faiss": timed(lambda v: flat.search(v, FIRST), vectors)}))


main()
