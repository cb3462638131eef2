// qdrant-double.mjs - a Qdrant server in memory: collections, payload indexes, points, filters, queries
//
// Follows Qdrant 1.19's REST API for what a client of named dense and sparse vectors needs: envelopes
// ({result, status: "ok", time}, or status.error with the HTTP status and a null result), 404 without the
// collection, 409 when it exists, 400 for wrong input, 401 without the key. Stricter than the server: fields
// that it does not know are refused, as is a filter on a payload field without an index (its strict mode) and
// one without conditions, which would match everything.
// Searches are exact. Vectors are normalised (Cosine) and kept as float32. The modifier "idf" multiplies each
// number of the question with ln((N - n + 0.5) / (n + 0.5) + 1), in float32: N points and n points that have
// that number, of the whole collection with all its tenants, or of those that params.idf.corpus matches
// (1.19; an older version passes the parameter over).
import { HttpDouble } from '../http-double.mjs';

const KEYWORD = 'keyword', INTEGER = 'integer';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

class Refusal extends Error {
  constructor(status, text) { super(text); this.status = status; }
}
const wrong = (text) => new Refusal(400, `Wrong input: ${text}`);

function only(object, keys, what) {
  if (object === null || typeof object !== 'object' || Array.isArray(object)) throw new Refusal(400, `Format error in JSON body: ${what} is no object`);
  for (const key of Object.keys(object)) {
    if (!keys.includes(key)) throw new Refusal(400, `Format error in JSON body: unknown field \`${key}\` of ${what}`);
  }
  return object;
}

function numbers(list, what) {
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'number' && Number.isFinite(one))) throw wrong(`${what} is no list of numbers`);
  return list;
}

function sparse(vector, what) {
  only(vector, ['indices', 'values'], what);
  const { indices, values } = vector;
  numbers(values, what);
  if (!Array.isArray(indices) || !indices.every((one) => Number.isInteger(one) && one >= 0 && one <= 0xffffffff)) throw wrong(`indices of ${what} are no u32`);
  if (indices.length !== values.length) throw wrong(`${what}: indices and values have different lengths`);
  if (new Set(indices).size !== indices.length) throw wrong(`${what}: indices are not unique`);
  return vector;
}

function normal(vector) {
  const length = Math.sqrt(vector.reduce((sum, one) => sum + one * one, 0));
  return Float32Array.from(vector, (one) => (length > 0 ? one / length : 0));
}

class Collection {
  constructor(body) {
    only(body, ['vectors', 'sparse_vectors', 'hnsw_config', 'quantization_config', 'optimizers_config', 'replication_factor', 'strict_mode_config'], 'the collection');
    for (const [name, params] of Object.entries(body.vectors ?? {})) {
      only(params, ['size', 'distance', 'on_disk', 'memory', 'datatype'], `vector ${name}`);
      if (!Number.isInteger(params.size) || params.size < 1) throw wrong(`vector ${name} has no size`);
      if (!['Cosine', 'Dot', 'Euclid', 'Manhattan'].includes(params.distance)) throw wrong(`vector ${name}: unknown distance`);
    }
    for (const [name, params] of Object.entries(body.sparse_vectors ?? {})) {
      only(params, ['modifier', 'index'], `sparse vector ${name}`);
      if (!['none', 'idf'].includes(params.modifier ?? 'none')) throw wrong(`sparse vector ${name}: unknown modifier`);
    }
    if (body.quantization_config) only(only(body.quantization_config, ['scalar'], 'quantization').scalar, ['type', 'quantile', 'always_ram'], 'scalar quantization');
    this.body = body;
    this.fields = new Map(); // name -> schema
    this.points = new Map(); // id -> {vector, payload}
    this.postings = new Map(); // sparse vector's name -> number -> id -> value
  }

  info() {
    const { vectors = {}, sparse_vectors: sparseVectors = {}, hnsw_config: graph, quantization_config: quantization = null } = this.body;
    const schema = {};
    for (const [name, field] of this.fields) schema[name] = { data_type: field.type, params: field, points: this.points.size };
    return {
      status: 'green', optimizer_status: 'ok', points_count: this.points.size, segments_count: 1,
      config: { params: { vectors, sparse_vectors: sparseVectors, shard_number: 1, replication_factor: 1 }, hnsw_config: { ...graph }, quantization_config: quantization },
      payload_schema: schema,
    };
  }

  addField(body) {
    only(body, ['field_name', 'field_schema'], 'the index');
    const schema = typeof body.field_schema === 'string' ? { type: body.field_schema } : body.field_schema;
    only(schema, ['type', 'is_tenant', 'lookup', 'range', 'is_principal'], 'field_schema');
    if (typeof body.field_name !== 'string' || ![KEYWORD, INTEGER].includes(schema.type)) throw wrong('an index of an unknown type');
    if (schema.is_tenant && schema.type !== KEYWORD) throw wrong('is_tenant needs a keyword');
    this.fields.set(body.field_name, schema);
  }

  take(point) {
    only(point, ['id', 'vector', 'payload'], 'the point');
    if (!(Number.isInteger(point.id) && point.id >= 0) && !UUID.test(point.id)) throw wrong(`${point.id} is no point id`);
    const kept = {};
    for (const [name, vector] of Object.entries(point.vector)) {
      const dense = this.body.vectors?.[name];
      if (dense) {
        if (numbers(vector, name).length !== dense.size) throw wrong(`Vector dimension error: expected dim: ${dense.size}, got ${vector.length}`);
        kept[name] = normal(vector);
      } else if (this.body.sparse_vectors?.[name]) {
        kept[name] = sparse(vector, name);
      } else {
        throw wrong(`Not existing vector name error: ${name}`);
      }
    }
    return { id: point.id, vector: kept, payload: point.payload ?? {} };
  }

  drop(id) {
    const point = this.points.get(id);
    if (!point) return;
    this.points.delete(id);
    for (const [name, postings] of this.postings) for (const number of point.vector[name]?.indices ?? []) postings.get(number)?.delete(id);
  }

  put(points) {
    for (const point of points.map((one) => this.take(one))) {
      this.drop(point.id);
      this.points.set(point.id, point);
      for (const [name, { indices, values }] of Object.entries(point.vector)) {
        if (!indices) continue;
        if (!this.postings.has(name)) this.postings.set(name, new Map());
        const postings = this.postings.get(name);
        indices.forEach((number, i) => {
          if (!postings.has(number)) postings.set(number, new Map());
          postings.get(number).set(point.id, Math.fround(values[i]));
        });
      }
    }
  }

  condition(one) {
    only(one, ['key', 'match'], 'the condition');
    const field = this.fields.get(one.key);
    if (!field) throw new Refusal(400, `Bad request: Index required but not found for "${one.key}" of one of the following types: [keyword]. Help: Create an index for this key or use a different filter.`);
    only(one.match, ['value', 'any', 'except'], 'match');
    if (Object.keys(one.match).length !== 1) throw wrong('match has one of value, any, except');
    const [[how, what]] = Object.entries(one.match);
    const values = how === 'value' ? [what] : what;
    const type = field.type === KEYWORD ? 'string' : 'number';
    if (!Array.isArray(values) || !values.every((value) => typeof value === type)) throw wrong(`match of ${one.key} has values of another type`);
    const wanted = new Set(values);
    return ({ payload }) => {
      const has = [payload[one.key]].flat();
      return how === 'except' ? has.some((value) => value !== undefined && !wanted.has(value)) : has.some((value) => wanted.has(value));
    };
  }

  filter(filter) {
    if (filter === undefined) return () => true;
    only(filter, ['must'], 'the filter');
    if (!Array.isArray(filter.must) || filter.must.length === 0) throw wrong('a filter without conditions');
    const conditions = filter.must.map((one) => this.condition(one));
    return (point) => conditions.every((holds) => holds(point));
  }

  matching(filter) {
    const holds = this.filter(filter);
    return [...this.points.values()].filter(holds);
  }

  // number -> what the modifier multiplies it with.
  rarity(name, indices, params, hasCorpus) {
    if (this.body.sparse_vectors[name].modifier !== 'idf') return indices.map(() => 1);
    const corpus = hasCorpus ? params?.idf?.corpus : undefined;
    const among = corpus ? new Set(this.matching(corpus).map((point) => point.id)) : undefined;
    const total = among ? among.size : this.points.size;
    return indices.map((number) => {
      const ids = this.postings.get(name)?.get(number)?.keys() ?? [];
      let having = 0;
      for (const id of ids) having += !among || among.has(id) ? 1 : 0;
      return Math.fround(Math.log(Math.fround((total - having + 0.5) / (having + 0.5) + 1)));
    });
  }

  bySparse(search, hasCorpus) {
    const { indices, values } = sparse(search.query, 'the query');
    const rarity = this.rarity(search.using, indices, search.params, hasCorpus);
    const scores = new Map();
    indices.forEach((number, i) => {
      const weight = Math.fround(values[i] * rarity[i]);
      for (const [id, value] of this.postings.get(search.using)?.get(number) ?? []) scores.set(id, Math.fround((scores.get(id) ?? 0) + Math.fround(weight * value)));
    });
    return scores;
  }

  byDense(search, points) {
    const { size } = this.body.vectors[search.using];
    if (numbers(search.query, 'the query').length !== size) throw wrong(`Vector dimension error: expected dim: ${size}, got ${search.query.length}`);
    const query = normal(search.query), scores = new Map();
    for (const { id, vector } of points) {
      const dense = vector[search.using];
      if (!dense) continue;
      let sum = 0;
      for (let i = 0; i < size; i += 1) sum += query[i] * dense[i];
      scores.set(id, Math.fround(sum));
    }
    return scores;
  }

  query(search, hasCorpus) {
    only(search, ['query', 'using', 'filter', 'params', 'limit', 'with_payload', 'with_vector'], 'the search');
    if (search.params !== undefined) {
      only(search.params, ['idf', 'hnsw_ef', 'exact'], 'params');
      if (search.params.idf !== undefined && search.params.idf !== 'global') only(search.params.idf, ['corpus'], 'params.idf');
    }
    const limit = search.limit ?? 10, holds = this.filter(search.filter);
    if (!Number.isInteger(limit) || limit < 1) throw wrong('limit is less than 1');
    let scores;
    if (this.body.sparse_vectors?.[search.using]) scores = this.bySparse(search, hasCorpus);
    else if (this.body.vectors?.[search.using] && search.params?.idf !== undefined) throw wrong('idf needs a sparse vector with the modifier');
    else if (this.body.vectors?.[search.using]) scores = this.byDense(search, this.matching(search.filter));
    else throw wrong(`Not existing vector name error: ${search.using}`);
    const fields = search.with_payload;
    return [...scores].map(([id, score]) => ({ point: this.points.get(id), score })).filter(({ point }) => holds(point))
      .sort((a, b) => b.score - a.score || (a.point.id < b.point.id ? -1 : 1)).slice(0, limit)
      .map(({ point, score }) => ({
        id: point.id, version: 1, score,
        ...(fields ? { payload: Object.fromEntries(Object.entries(point.payload).filter(([key]) => fields === true || fields.includes(key))) } : {}),
      }));
  }
}

export class QdrantDouble extends HttpDouble {
  constructor({ apiKey, version = '1.19.0' } = {}) {
    super();
    this.apiKey = apiKey;
    this.version = version;
    this.collections = new Map();
    this.operations = 0;
  }

  // Points that match(payload), of all collections.
  points(match = () => true) {
    return [...this.collections.values()].flatMap((one) => [...one.points.values()]).filter(({ payload }) => match(payload));
  }

  reply(status, result, error) {
    const body = error === undefined ? { result, status: 'ok', time: 0.001 } : { result: null, status: { error }, time: 0.0 };
    return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  }

  applied(query) {
    this.operations += 1;
    return this.reply(200, { operation_id: this.operations, status: query.get('wait') === 'true' ? 'completed' : 'acknowledged' });
  }

  get hasCorpus() {
    const [major, minor] = this.version.split('.').map(Number);
    return major > 1 || minor >= 19;
  }

  handle(request) {
    if (this.apiKey && request.headers['api-key'] !== this.apiKey && request.headers.authorization !== `Bearer ${this.apiKey}`) {
      return { status: 401, headers: { 'content-type': 'text/plain' }, body: 'Invalid API key or JWT' };
    }
    if (request.method === 'GET' && request.path === '/') {
      return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ title: 'qdrant - vector search engine', version: this.version }) };
    }
    if (request.method === 'GET' && ['/healthz', '/livez', '/readyz'].includes(request.path)) return { status: 200, body: 'all shards are ready' };
    try {
      return this.route(request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return this.reply(error.status, null, error.message);
    }
  }

  route({ method, path, query, body: bytes }) {
    const [, collections, name, ...rest] = path.split('/').map(decodeURIComponent);
    if (collections !== 'collections' || !name) return { status: 404, body: '' };
    const what = `${method} ${rest.join('/')}`;
    const known = this.collections.get(name);
    const json = () => {
      try { return JSON.parse(bytes.toString('utf8')); } catch { throw new Refusal(400, 'Format error in JSON body'); }
    };
    if (what === 'PUT ') {
      if (known) throw new Refusal(409, `Wrong input: Collection \`${name}\` already exists!`);
      this.collections.set(name, new Collection(json()));
      return this.reply(200, true);
    }
    if (what === 'GET exists') return this.reply(200, { exists: known !== undefined });
    if (what === 'DELETE ') return this.reply(200, this.collections.delete(name));
    if (!known) throw new Refusal(404, `Not found: Collection \`${name}\` doesn't exist!`);
    switch (what) {
      case 'GET ': return this.reply(200, known.info());
      case 'PUT index': known.addField(json()); return this.applied(query);
      case 'PUT points': {
        const { points } = only(json(), ['points', 'update_mode'], 'the body');
        if (!Array.isArray(points) || points.length === 0) throw wrong('no points');
        known.put(points);
        return this.applied(query);
      }
      case 'POST points/delete': {
        const { filter, points } = only(json(), ['filter', 'points'], 'the body');
        if ((filter === undefined) === (points === undefined)) throw wrong('either a filter or points');
        for (const id of points ?? known.matching(filter).map((point) => point.id)) known.drop(id);
        return this.applied(query);
      }
      case 'POST points/count': {
        const { filter } = only(json(), ['filter', 'exact'], 'the body');
        return this.reply(200, { count: known.matching(filter).length });
      }
      case 'POST points/query': return this.reply(200, { points: known.query(json(), this.hasCorpus) });
      case 'POST points/query/batch': {
        const { searches } = only(json(), ['searches'], 'the body');
        return this.reply(200, searches.map((one) => ({ points: known.query(one, this.hasCorpus) })));
      }
      default: return { status: 404, body: '' };
    }
  }
}
