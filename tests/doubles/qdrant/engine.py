"""engine.py - Qdrant's own engine behind the part of its REST API that Parley uses, where no server is at hand

    engine.py       prints its address on a line of its own, and ends with its standard input, or by SIGTERM

Scores, filters, rarity (IDF, of a corpus too) and what is refused as a wrong vector are those of the Python package
qdrant-edge-py, which is the engine of the server as a library (scripts/qdrant.sh installs it). Only paths, envelopes and a
collection's description are written here. Nothing asks for a key: it listens on loopback, for a test.
"""
import http.server
import json
import shutil
import signal
import sys
import tempfile
import threading

import qdrant_edge as edge

VERSION = "1.19.0"  # whose IDF of a corpus the package has
OPTIMIZE_POINTS = 1000


class Refusal(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def condition(one):
    [(how, what)] = one["match"].items()
    match = {"value": edge.MatchValue, "any": edge.MatchAny, "except": edge.MatchExcept}[how](what)
    return edge.FieldCondition(one["key"], match=match)


def filter_of(body):
    return None if body is None else edge.Filter(must=[condition(one) for one in body["must"]])


def vector_of(vector):
    return edge.SparseVector(**vector) if isinstance(vector, dict) else vector


def search_params(params):
    params = dict(params or {})
    idf = params.pop("idf", None)
    if idf is not None:
        params["idf"] = edge.IdfParams(corpus=filter_of(idf["corpus"]))
    return edge.SearchParams(**params)


def request_of(search):
    return edge.QueryRequest(
        limit=search.get("limit", 10),
        query=edge.Query.Nearest(vector_of(search["query"]), using=search["using"]),
        filter=filter_of(search.get("filter")),
        params=search_params(search.get("params")),
        with_payload=search.get("with_payload", False),
    )


class Collection:
    def __init__(self, folder, body):
        self.body, self.fields, self.changed = body, {}, 0
        self.folder = tempfile.mkdtemp(dir=folder)
        dense = {
            name: edge.EdgeVectorParams(size=params["size"], distance=getattr(edge.Distance, params["distance"]))
            for name, params in body.get("vectors", {}).items()
        }
        rarity = {"idf": edge.Modifier.Idf, "none": None}
        sparse = {
            name: edge.EdgeSparseVectorParams(modifier=rarity[params.get("modifier", "none")])
            for name, params in body.get("sparse_vectors", {}).items()
        }
        config = edge.EdgeConfig(vectors=dense or None, sparse_vectors=sparse or None)
        self.shard = edge.EdgeShard.create(self.folder, config)

    def close(self):
        self.shard.close()
        shutil.rmtree(self.folder)

    def info(self):
        params = {name: self.body.get(name, {}) for name in ("vectors", "sparse_vectors")}
        return {
            "status": "green",
            "points_count": self.shard.count(edge.CountRequest(exact=True)),
            "config": {
                "params": params,
                "hnsw_config": self.body.get("hnsw_config", {}),
                "quantization_config": self.body.get("quantization_config"),
            },
            "payload_schema": {name: {"data_type": schema["type"], "params": schema} for name, schema in self.fields.items()},
        }

    def index(self, body):
        schema = body["field_schema"]
        schema = {"type": schema} if isinstance(schema, str) else schema
        kinds = {"keyword": edge.PayloadSchemaType.Keyword, "integer": edge.PayloadSchemaType.Integer}
        params = edge.KeywordIndexParams(is_tenant=True) if schema.get("is_tenant") else kinds[schema["type"]]
        self.shard.update(edge.UpdateOperation.create_field_index(body["field_name"], params))
        self.fields[body["field_name"]] = schema

    def put(self, points):
        points = [
            edge.Point(
                id=point["id"],
                vector={name: vector_of(vector) for name, vector in point["vector"].items()},
                payload=point.get("payload", {}),
            )
            for point in points
        ]
        self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.changed += len(points)
        if self.changed >= OPTIMIZE_POINTS:
            self.shard.optimize()
            self.changed = 0

    def remove(self, body):
        if "points" in body:
            operation = edge.UpdateOperation.delete_points(body["points"])
        else:
            operation = edge.UpdateOperation.delete_points_by_filter(filter_of(body["filter"]))
        self.shard.update(operation)

    def count(self, body):
        return self.shard.count(edge.CountRequest(exact=True, filter=filter_of(body.get("filter"))))

    def query(self, searches):
        found = self.shard.query_batch(edge.QueryBatchRequest([request_of(one) for one in searches]))
        return [
            {"points": [{"id": str(p.id), "version": p.version, "score": p.score, "payload": p.payload} for p in points]}
            for points in found
        ]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.collections, self.lock = folder, {}, threading.Lock()

    def route(self, method, path, body):
        if path == "/":
            return {"title": "qdrant - vector search engine", "version": VERSION}, True
        first, name, rest = (path.split("?")[0].removeprefix("/") + "//").split("/", 2)
        if first != "collections" or not name:
            raise Refusal(404, "")
        what, known = f"{method} {rest.strip('/')}".strip(), self.collections.get(name)
        if what == "PUT":
            if known:
                raise Refusal(409, f"Wrong input: Collection `{name}` already exists!")
            self.collections[name] = Collection(self.folder, body)
            return True, False
        if not known:
            raise Refusal(404, f"Not found: Collection `{name}` doesn't exist!")
        if what == "DELETE":
            self.collections.pop(name).close()
            return True, False
        return self.operate(what, known, body), False

    @staticmethod
    def operate(what, known, body):
        done = {"operation_id": 1, "status": "completed"}
        if what == "GET":
            return known.info()
        if what == "PUT index":
            known.index(body)
            return done
        if what == "PUT points":
            known.put(body["points"])
            return done
        if what == "POST points/delete":
            known.remove(body)
            return done
        if what == "POST points/count":
            return {"count": known.count(body)}
        if what == "POST points/query":
            return known.query([body])[0]
        if what == "POST points/query/batch":
            return known.query(body["searches"])
        raise Refusal(404, "")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: in two, the second waits for the client's acknowledgement of the first

    def answer(self):
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        status = 200
        try:
            with self.server.lock:
                result, bare = self.server.route(self.command, self.path, json.loads(text) if text else {})
            body = result if bare else {"result": result, "status": "ok", "time": 0.001}
        except Refusal as error:
            status, body = error.status, {"result": None, "status": {"error": str(error)}, "time": 0}
        except Exception as error:  # the engine's own, and a body that is not as expected
            status, body = 400, {"result": None, "status": {"error": f"Wrong input: {error}"}, "time": 0}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="parley-qdrant-") as folder:
        server = Server(folder)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
