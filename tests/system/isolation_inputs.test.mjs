// isolation_inputs.test.mjs - an id of another organization in a body or a query is one that does not exist
//
// Generated from GET /openapi.json: each property of each request that names a thing is given another organization's id, and the
// answer must be the one that an id gets which nobody has, and nothing may change. What has the look of an id and is
// not known here, and a query parameter that is not known here, fail the test.
import assert from 'node:assert/strict';
import test from 'node:test';

import { zip } from '../support/zip.mjs';
import { openTwo, snapshot } from './two_organizations.mjs';

const NOWHERE = '01890000-0000-7000-8000-000000000000';
// Properties that name a thing of an organization, by the name of the thing in furnish().
const THINGS = {
  brand_id: 'brand_id', source_id: 'source_id', contact_id: 'contact_id', channel_id: 'channel_id', event_id: 'event_id', set_id: 'set_id',
  before: 'evaluation_id',
};
// What looks like an id, and names nothing of ours.
const OTHER_IDS = {
  client_message_id: "the visitor's own name of a message",
  'questions.id': "a set's own name of a question",
  last_event_id: 'a place in a stream, which is of one organization: live_test.c',
};
// Query parameters that name nothing. The cursor has a test of its own.
const PLAIN_PARAMETERS = ['limit', 'cursor', 'status', 'expires_in', 'kind', 'name', 'audience', 'category', 'tone', 'dated_at', 'draft', 'language', 'uri',
  'version', 'start', 'end', 'page', 'after_seq', 'token', 'account', 'state', 'q'];
// What a request has beside the id, so that the id is all that is wrong with it.
const REST = {
  'knowledge.upload': { content: '# Bells\n\nA bell costs 12 euros.\n', query: { name: 'bells.md' } },
  query: { body: { question: 'What does a puncture repair cost?', staff: true } },
  'sites.put': { body: { url: 'http://127.0.0.1:9/other' } },
};
// What is made without an id in the path, to be made twice under one Idempotency-Key: a body, or bytes of a type.
const pack = zip({ 'shop/brand.json': JSON.stringify({ name: 'The Shop' }), 'shop/bells.md': '# Bells\n\nA bell costs 12 euros.\n' });
const MAKES = {
  'channels.create': { source: 'web', name: 'made twice' },
  'keys.create': { name: 'made twice', scopes: 'query' },
  'event_endpoints.create': { url: 'http://127.0.0.1:9/events' },
  'evaluation_sets.put': { name: 'Made twice', questions: [{ question: 'Are you open?' }] },
  'sites.put': { url: 'http://127.0.0.1:9/twice' },
  query: { question: 'What does a puncture repair cost?' },
  'knowledge.upload': { bytes: '# Twice\n\nA bell costs 12 euros.\n', type: 'text/markdown', more: '?name=twice.md' },
  'brand.pack': {
    bytes: Buffer.concat([Buffer.from('--border\r\ncontent-disposition: form-data; name="file"; filename="pack.zip"\r\n\r\n'), Buffer.from(pack), Buffer.from('\r\n--border--\r\n')]),
    type: 'multipart/form-data; boundary=border',
  },
};

const looksLikeId = (name) => /(^|_)ids?$/.test(name);

// [path of names] of all properties of a schema, arrays looked through.
function properties(schema, at = []) {
  if (!schema) return [];
  const here = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [[...at, name], ...properties(inner, [...at, name])]);
  return [...here, ...properties(schema.items, at), ...['anyOf', 'oneOf', 'allOf'].flatMap((kind) => (schema[kind] ?? []).flatMap((one) => properties(one, at)))];
}

function put(object, [name, ...rest], value) {
  return { ...object, [name]: rest.length === 0 ? value : put(object?.[name] ?? {}, rest, value) };
}

// {where: 'query' | 'body' | 'form', path, thing} of each property that names a thing.
function idsOf(operation) {
  const found = [];
  for (const { name, in: where } of operation.parameters) {
    if (where !== 'query') continue;
    if (THINGS[name]) found.push({ where: 'query', path: [name], thing: THINGS[name] });
    else assert.ok(PLAIN_PARAMETERS.includes(name) || OTHER_IDS[name], `${operation.operationId}: what is ?${name}=? Say it in THINGS, OTHER_IDS or PLAIN_PARAMETERS`);
  }
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    for (const path of properties(schema)) {
      const name = path.at(-1);
      if (THINGS[name]) found.push({ where: type === 'application/json' ? 'body' : 'form', path, thing: THINGS[name] });
      else assert.ok(!looksLikeId(name) || OTHER_IDS[name] || OTHER_IDS[path.join('.')], `${operation.operationId}: what is ${path.join('.')}? Say it in THINGS or OTHER_IDS`);
    }
  }
  return found;
}

function request(operation, target, { where, path }, value) {
  const rest = REST[operation.operationId] ?? {};
  const query = new URLSearchParams({ ...rest.query, ...(where === 'query' ? { [path[0]]: value } : {}) });
  const words = query.size > 0 ? `?${query}` : '';
  if (where === 'form') {
    const form = new FormData();
    form.set(path[0], value);
    form.set('file', new Blob([rest.content], { type: 'text/markdown' }), 'bells.md');
    return [target, { body: form }];
  }
  if (rest.content) return [target + words, { body: rest.content, headers: { 'content-type': 'text/markdown' } }];
  return [target + words, { body: where === 'body' ? put(rest.body, path, value) : undefined }];
}

test('an id of another organization in a request is one that does not exist', async (t) => {
  const { server, ours, theirs, us, them } = await openTwo(t);
  for (const [organization, { ids }] of [[ours, us], [theirs, them]]) {
    ids.brand_id = (await server.sql(organization, `SELECT id FROM brand WHERE organization_id = '${organization.id}'`))[0].id;
    await server.addDocument(organization, 'lamps.md', '# Lamps\n\nA lamp costs 27 euros, batteries included.\n');
    await server.post(`/v1/evaluation-sets/${ids.set_id}/evaluations`, organization.key, {});
    await server.waitUntilIdle(organization);
    await server.post(`/v1/event-endpoints/${ids.endpoint_id}/test`, organization.key, {});
    await server.waitUntilIdle(organization);
    ids.event_id = (await server.sql(organization, `SELECT id FROM event WHERE organization_id = '${organization.id}'`))[0].id;
  }
  const { body: openapi } = await server.get('/openapi.json');
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
  const byKey = operations.filter((one) => one.security[0] && 'api_key' in one.security[0]);
  const foreign = [...Object.entries(us.ids).filter(([name]) => !['source', 'number', 'token'].includes(name)).map(([, id]) => id), ours.id];
  const cases = operations.flatMap((operation) => idsOf(operation).map((place) => ({ operation, place })));
  const before = await snapshot(server, ours);
  const told = ({ status, body, text }) => [status, body?.detail ?? body?.data?.length ?? body?.kind ?? text];

  assert.ok(cases.length >= 12, `${cases.length} cases`);
  for (const { operation, place } of cases) {
    await t.test(`${operation.operationId}: ${place.where} ${place.path.join('.')}`, async () => {
      assert.ok('api_key' in (operation.security[0] ?? {}), 'who calls this, if not by a key?');
      const target = operation.path.replace(/\{(\w+)\}/g, (_, name) => them.ids[name]);
      const call = async (value) => {
        const [to, options] = request(operation, target, place, value);
        const answer = await server.call(operation.method, to, { key: theirs.key, ...options });
        await server.waitUntilIdle(theirs);
        return answer;
      };
      assert.ok(us.ids[place.thing] && us.ids[place.thing] !== them.ids[place.thing], `no ${place.thing}`);
      const answer = await call(us.ids[place.thing]);
      const nothing = await call(NOWHERE);
      assert.deepEqual(told(answer), told(nothing), 'as if it did not exist');
      for (const id of foreign.filter((one) => one !== us.ids[place.thing])) assert.ok(!answer.text.includes(id), `${id} in ${answer.text}`);
      assert.notDeepEqual(told(await call(them.ids[place.thing])), told(nothing), 'its own is another matter: the property is heeded');
      const isFilter = operation.method === 'GET' || place.path[0] === 'filters';
      if (!isFilter) assert.ok([400, 404, 422].includes(answer.status), `accepted: ${answer.status} ${answer.text}`);
    });
  }

  await t.test('a cursor of another organization opens none of its pages', async () => {
    let tried = 0;
    for (const { path, parameters, operationId } of byKey.filter((one) => one.method === 'GET' && one.parameters.some(({ name }) => name === 'cursor'))) {
      assert.ok(parameters.some(({ name }) => name === 'limit'), operationId);
      const page = await server.get(`${path.replace(/\{(\w+)\}/g, (_, name) => us.ids[name])}?limit=1`, ours.key);
      assert.equal(page.status, 200, `${operationId}: ${page.text}`);
      if (!page.body.next_cursor) continue;
      tried += 1;
      const theirPath = path.replace(/\{(\w+)\}/g, (_, name) => them.ids[name]);
      const answer = await server.get(`${theirPath}?limit=100&cursor=${page.body.next_cursor}`, theirs.key);
      assert.ok([200, 400].includes(answer.status), `${operationId}: ${answer.status}`);
      for (const id of foreign) assert.ok(!answer.text.includes(id), `${operationId} shows ${id}`);
    }
    assert.ok(tried >= 5, `${tried} lists had a second page`);
  });

  await t.test('none of these calls changed anything', async () => {
    assert.equal(await snapshot(server, ours), before);
  });

  const making = byKey.filter((one) => one.method === 'POST' && !one.path.includes('{') && one.parameters.some(({ name }) => name === 'Idempotency-Key'));
  assert.ok(making.length >= 6, `${making.length}`);
  for (const { operationId: id, path } of making) {
    await t.test(`${id}: one Idempotency-Key in two organizations are two`, async () => {
      assert.ok(id in MAKES, `${id} makes something: say in MAKES what`);
      const { bytes, type, more = '' } = MAKES[id];
      const make = (organization) => server.call('POST', path + more, {
        key: organization.key, body: bytes ?? MAKES[id], headers: { 'idempotency-key': `shared by two: ${id}`, ...(type ? { 'content-type': type } : {}) },
      });
      const [one, two] = [await make(ours), await make(theirs)];
      assert.ok(one.status < 300 && two.status === one.status, `${one.status} ${one.text}, ${two.status} ${two.text}`);
      const made = (answer) => answer.body.id ?? answer.body.source_id ?? answer.body.citations[0].source_id;
      assert.ok(made(one) && made(two), one.text);
      assert.notEqual(made(one), made(two));
      assert.equal(made(await make(ours)), made(one), 'and each is kept for its own');
      assert.equal(made(await make(theirs)), made(two));
    });
  }
});
