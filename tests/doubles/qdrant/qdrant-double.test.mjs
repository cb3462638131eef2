// qdrant-double.test.mjs - the double against figures worked out by hand, and what it refuses
import assert from 'node:assert/strict';
import test from 'node:test';

import { QdrantDouble } from './qdrant-double.mjs';

const SHAPE = { vectors: { dense: { size: 2, distance: 'Cosine' } }, sparse_vectors: { bm25: { modifier: 'idf' } } };
const mine = { must: [{ key: 'tenant', match: { value: 'a' } }] };

async function open(t, options) {
  const double = new QdrantDouble(options);
  await double.start();
  t.after(() => double.stop());
  const call = async (method, path, body, headers = {}) => {
    const answer = await fetch(`${double.url}${path}`, { method, headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : text };
  };
  return { double, call };
}

// Three points: two of tenant a, one of b; 5 is in all of a and in b, 6 in one of a, 7 in b.
async function fill(call) {
  assert.equal((await call('PUT', '/collections/c', SHAPE)).status, 200);
  assert.equal((await call('PUT', '/collections/c/index?wait=true', { field_name: 'tenant', field_schema: { type: 'keyword', is_tenant: true } })).status, 200);
  const point = (id, tenant, dense, indices) => ({ id, vector: { dense, bm25: { indices, values: indices.map(() => 2) } }, payload: { tenant, n: id } });
  const { status, body } = await call('PUT', '/collections/c/points?wait=true', { points: [point(1, 'a', [1, 0], [5, 6]), point(2, 'a', [3, 3], [5]), point(3, 'b', [0, 1], [5, 7])] });
  assert.equal(status, 200);
  assert.equal(body.result.status, 'completed');
}

const scores = ({ body }) => body.result.points.map((one) => [one.id, Number(one.score.toFixed(5))]);

test('scores', async (t) => {
  const { double, call } = await open(t);
  await fill(call);
  const sparse = (indices, more = {}) => call('POST', '/collections/c/points/query', { query: { indices, values: indices.map(() => 1) }, using: 'bm25', filter: mine, limit: 10, ...more });

  await t.test('IDF of the whole collection, though only a tenant is searched', async () => {
    const idf = (n, df) => Math.log((n - df + 0.5) / (df + 0.5) + 1);
    assert.deepEqual(scores(await sparse([5, 6])), [[1, Number((2 * (idf(3, 3) + idf(3, 1))).toFixed(5))], [2, Number((2 * idf(3, 3)).toFixed(5))]]);
  });
  await t.test('IDF of the corpus that the question names; an older version passes it over', async () => {
    const idf = (n, df) => Math.log((n - df + 0.5) / (df + 0.5) + 1);
    assert.deepEqual(scores(await sparse([6], { params: { idf: { corpus: mine } } })), [[1, Number((2 * idf(2, 1)).toFixed(5))]]);
    double.version = '1.18.2';
    assert.deepEqual(scores(await sparse([6], { params: { idf: { corpus: mine } } })), [[1, Number((2 * idf(3, 1)).toFixed(5))]]);
    double.version = '1.19.0';
  });
  await t.test('cosines, whatever the lengths', async () => {
    const found = await call('POST', '/collections/c/points/query', { query: [2, 0], using: 'dense', filter: mine, with_payload: ['n'] });
    assert.deepEqual(scores(found), [[1, 1], [2, 0.70711]]);
    assert.deepEqual(found.body.result.points.map((one) => one.payload), [{ n: 1 }, { n: 2 }]);
  });
  await t.test('removing by filter takes a point out of every search and every count', async () => {
    assert.equal((await call('POST', '/collections/c/points/delete?wait=true', { filter: mine })).status, 200);
    assert.deepEqual(scores(await sparse([5, 6])), []);
    assert.equal((await call('POST', '/collections/c/points/count', { exact: true })).body.result.count, 1);
  });
});

test('what it refuses', async (t) => {
  const { call } = await open(t);
  await fill(call);
  const put = (vector, id = 9) => ['PUT', '/collections/c/points?wait=true', { points: [{ id, vector, payload: {} }] }];
  for (const [status, says, method, path, body] of [
    [404, /doesn't exist/, 'GET', '/collections/none'],
    [409, /already exists/, 'PUT', '/collections/c', SHAPE],
    [400, /unknown field `vectros`/, 'PUT', '/collections/d', { vectros: {} }],
    [400, /dimension error/, ...put({ dense: [1] })],
    [400, /Not existing vector name/, ...put({ meaning: [1, 2] })],
    [400, /not unique/, ...put({ bm25: { indices: [1, 1], values: [1, 1] } })],
    [400, /no u32/, ...put({ bm25: { indices: [2 ** 32], values: [1] } })],
    [400, /no point id/, ...put({}, 'shop-1')],
    [400, /Index required but not found for "colour"/, 'POST', '/collections/c/points/count', { filter: { must: [{ key: 'colour', match: { value: 'red' } }] } }],
    [400, /without conditions/, 'POST', '/collections/c/points/delete', { filter: { must: [] } }],
    [400, /another type/, 'POST', '/collections/c/points/count', { filter: { must: [{ key: 'tenant', match: { value: 1 } }] } }],
    [400, /idf needs a sparse vector/, 'POST', '/collections/c/points/query', { query: [1, 0], using: 'dense', params: { idf: { corpus: mine } } }],
  ]) {
    const answer = await call(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}`);
    assert.match(answer.body.status.error, says);
    assert.equal(answer.body.result, null);
  }
});

test('the key', async (t) => {
  const { call } = await open(t, { apiKey: 'secret' });
  assert.equal((await call('GET', '/collections/c')).status, 401);
  assert.equal((await call('GET', '/collections/c', undefined, { 'api-key': 'secret' })).status, 404);
  assert.equal((await call('GET', '/collections/c', undefined, { authorization: 'Bearer secret' })).status, 404);
});
