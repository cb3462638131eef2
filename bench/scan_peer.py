#!/usr/bin/env python3
"""The exact scan's yardstick: flat indexes of faiss and hnswlib, and hnswlib's graph, on the same vectors, one thread.

usage: scan_peer.py VECTORS.f32 QUESTIONS.f32     one line of JSON: milliseconds a question, and what is nearest

Debian's python3-faiss, python3-hnswlib and python3-numpy: peers to measure beside, never a part of Parley.
"""
import json
import sys
import time

import faiss
import hnswlib
import numpy as np

DIMENSION, FIRST = 384, 10


def timed(search, questions):
    took = []
    for question in questions:
        wall, processor = time.perf_counter(), time.thread_time()
        found = search(question[None])
        took.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - processor), found))
    walls, processors = sorted(t[0] for t in took), sorted(t[1] for t in took)
    at = len(took) * 99 // 100
    return {"p50_ms": walls[len(took) // 2], "p99_ms": walls[at], "processor_p50_ms": processors[len(took) // 2],
            "processor_p99_ms": processors[at]}, [[int(i) for i in t[2][0]] for t in took]


def graph(vectors, questions, nearest):
    """Approximate: the share of the nearest that it finds is said; built with all processors."""
    began = time.monotonic()
    index = hnswlib.Index(space="ip", dim=DIMENSION)
    index.init_index(max_elements=len(vectors), M=16, ef_construction=100, random_seed=1)
    index.add_items(vectors)
    built = time.monotonic() - began
    index.set_ef(100)
    index.set_num_threads(1)
    times, found = timed(lambda q: index.knn_query(q, k=FIRST)[0], questions)
    same = sum(len(set(a) & set(b)) for a, b in zip(found, nearest)) / sum(map(len, nearest))
    return {**times, "recall": same, "built_s": built}


def main():
    faiss.omp_set_num_threads(1)
    vectors = np.fromfile(sys.argv[1], dtype=np.float32).reshape(-1, DIMENSION)
    questions = np.fromfile(sys.argv[2], dtype=np.float32).reshape(-1, DIMENSION)
    answer = {}
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(vectors)
    answer["faiss flat, float32"], answer["nearest"] = timed(lambda q: flat.search(q, FIRST)[1], questions)
    del flat
    answer["hnswlib graph, M 16, ef 100"] = graph(vectors, questions, answer["nearest"])
    if len(vectors) <= 200000:  # each of the others takes its memory again
        whole = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        whole.train(vectors[:20000])
        whole.add(vectors)
        answer["faiss flat, 8 bits"], _ = timed(lambda q: whole.search(q, FIRST)[1], questions)
        brute = hnswlib.BFIndex(space="ip", dim=DIMENSION)
        brute.init_index(max_elements=len(vectors))
        brute.add_items(vectors)
        answer["hnswlib flat"], _ = timed(lambda q: brute.knn_query(q, k=FIRST)[0], questions)
    print(json.dumps(answer))


main()
