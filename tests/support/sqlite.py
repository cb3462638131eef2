"""sqlite.py - runs statements on SQLite files for sqlite.mjs: a request and an answer a line, as JSON, until its input ends

{"file": ..., "query": ..., "changes": bool} -> {"rows": [...]} or {"error": ...}. Each opens the file anew: what it
finds is what the server under test has committed by then.
"""
import json
import sqlite3
import sys


def run(request):
    mode = "rw" if request["changes"] else "ro"
    connection = sqlite3.connect(f"file:{request['file']}?mode={mode}", uri=True, timeout=20)
    try:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(request["query"])]
        connection.commit()
        return {"rows": rows}
    finally:
        connection.close()


for line in sys.stdin:
    try:
        answer = run(json.loads(line))
    except sqlite3.Error as error:
        answer = {"error": str(error)}
    print(json.dumps(answer, default=lambda value: value.decode("utf-8", "replace")), flush=True)
