// isolation.test.mjs - every operation with an id in its path, called as the wrong organization, says 404
//
// Generated from GET /openapi.json, so that a new route cannot be forgotten: a path parameter that
// this test has no object for, or a public route with an id that is not listed here with its reason,
// fails it.
import assert from 'node:assert/strict';
import test from 'node:test';

import { openTwo, snapshot } from './two_organizations.mjs';

// Routes that nobody's key opens: what proves the caller instead.
const PUBLIC = {
  'webhooks.receive': 'the provider signs',
  'webhooks.email': 'the provider signs or shows the secret',
  'webhooks.email_shared': 'the provider signs or shows the secret',
  'webhooks.handshake': 'the provider shows the secret; without it nothing is told',
  'webchat.session': 'anybody may begin a chat',
  'blobs.get': 'the link is signed; a forged one is tried below',
  'blobs.text': 'the link is signed, as for blobs.get',
  'widget.page': 'anybody may open the page',
};

function bodyFor(operation) {
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  if (!schema) return undefined;
  return Object.fromEntries((schema.required ?? schema.anyOf?.[0].required ?? []).map((name) => [name, 'something']));
}

test('one organization never sees another', async (t) => {
  const { server, ours, theirs, us, them } = await openTwo(t);
  const { body: openapi } = await server.get('/openapi.json');
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
  const withId = operations.filter((operation) => operation.path.includes('{'));
  const schemeOf = (operation) => Object.keys(operation.security[0] ?? {})[0] ?? null;
  const fill = (path, ids) => path.replace(/\{(\w+)\}/g, (_, name) => {
    assert.ok(ids[name], `isolation.test.mjs has no object for {${name}} of ${path}: make one in furnish()`);
    return ids[name];
  });
  const before = await snapshot(server, ours);

  assert.ok(operations.length >= 30 && withId.length >= 20, `${operations.length} operations, ${withId.length} with ids`);

  for (const operation of withId) {
    const { operationId: id, method, path } = operation;
    await t.test(`${id}: ${method} ${path}`, async () => {
      const target = fill(path, us.ids);
      const scheme = schemeOf(operation);
      if (scheme === 'api_key') {
        const answer = await server.call(method, target, { key: theirs.key, body: bodyFor(operation) });
        assert.equal(answer.status, 404, `${answer.status} ${answer.text}`);
        const nothing = await server.call(method, path.replace(/\{\w+\}/g, '01890000-0000-7000-8000-000000000000'), { key: theirs.key, body: bodyFor(operation) });
        assert.deepEqual([nothing.status, nothing.body.detail], [404, answer.body.detail], 'as if it did not exist');
        assert.equal((await server.call(method, target, { body: bodyFor(operation) })).status, 401, 'without a key');
      } else if (scheme === 'visitor') {
        const answer = await server.call(method, target, { key: them.visitor.token, body: bodyFor(operation) });
        assert.ok([401, 404].includes(answer.status), `${answer.status} ${answer.text}`);
      } else {
        assert.ok(PUBLIC[id], `${id} is public although an id is in its path: say in PUBLIC why`);
      }
    });
  }

  await t.test('a link of one organization cannot be made into one of another', async () => {
    const { body } = await server.get(`/v1/sources/${us.ids.source_id}/link`, ours.key);
    const token = body.url.split('/v1/blobs/')[1];
    assert.equal((await server.get(`/v1/blobs/${token}`)).status, 200);
    const bytes = Buffer.from(token, 'base64url');
    bytes.write(theirs.id, bytes.indexOf(ours.id));
    assert.equal((await server.get(`/v1/blobs/${bytes.toString('base64url')}`)).status, 404);
  });

  await t.test('none of these calls changed anything', async () => {
    assert.equal(await snapshot(server, ours), before);
  });

  await t.test('no list holds an id of another organization', async () => {
    const lists = operations.filter((one) => one.method === 'GET' && !one.path.includes('{') && schemeOf(one) === 'api_key'
      && one.operationId !== 'inbox.watch'); // a stream: live topics are of one organization, as live_test.c has it
    assert.ok(lists.length >= 10);
    const foreign = [...Object.entries(us.ids).filter(([name]) => name !== 'source' && name !== 'number').map(([, id]) => id), ours.id];
    for (const { path } of lists) {
      const { status, text } = await server.get(path, theirs.key);
      assert.equal(status, 200, path);
      for (const id of foreign) assert.ok(!text.includes(id), `${path} shows ${id}`);
    }
  });

  await t.test('a filter by an id of another organization finds nothing', async () => {
    const contact = (await server.get('/v1/conversations', ours.key)).body.data[0].contact_id;
    assert.deepEqual((await server.get(`/v1/conversations?contact_id=${contact}`, theirs.key)).body.data, []);
    const theirRun = them.ids.evaluation_id;
    assert.deepEqual((await server.get(`/v1/evaluations?set_id=${us.ids.set_id}`, theirs.key)).body.data, []);
    for (const what of ['comparison', 'report']) {
      assert.equal((await server.get(`/v1/evaluations/${theirRun}/${what}?before=${theirRun}`, theirs.key)).status, 200, what);
      assert.equal((await server.get(`/v1/evaluations/${theirRun}/${what}?before=${us.ids.evaluation_id}`, theirs.key)).status, 404, what);
    }
    const foreign = await server.get(`/v1/ingestions?source_id=${us.ids.source_id}`, theirs.key);
    assert.ok(foreign.status === 404 || foreign.body.data.length === 0, foreign.text);
    assert.equal((await server.get(`/v1/conversations?contact_id=${contact}`, ours.key)).body.data.length, 1);
  });

  await t.test('a question finds only the documents of its own organization', async () => {
    await server.addDocument(ours, 'own.md', '# Own\n\nOur secret word is kaleidoscope. It is the word that opens the door of the office in the morning.\n');
    const question = 'What is the secret word that opens the door of the office?';
    assert.match((await server.ask(ours, question, { staff: true })).answer, /kaleidoscope/);
    assert.ok(!JSON.stringify(await server.ask(theirs, question, { staff: true })).includes('kaleidoscope'));
  });

  await t.test('an idempotency key of one says nothing to the other', async () => {
    const make = (organization) => server.post('/v1/channels', organization.key, { source: 'web', name: 'x' }, { 'idempotency-key': 'shared' });
    const [one, two] = [await make(ours), await make(theirs)];
    assert.equal(two.status, 201);
    assert.notEqual(one.body.id, two.body.id);
  });

  await t.test('a webhook proves itself to its own channel alone', async () => {
    const [mine] = (await server.get('/v1/channels', ours.key)).body.data.filter((channel) => channel.source === 'telegram');
    const answer = await server.call('POST', `/webhooks/telegram/${mine.id}`, {
      body: { update_id: 1 }, headers: { 'x-telegram-bot-api-secret-token': 'the-secret-of-another-bot' },
    });
    assert.equal(answer.status, 401);
  });

  await t.test('the same calls as the owner find their objects', async () => {
    // What takes an object away comes last.
    const order = (operation) => (operation.operationId === 'evaluation_sets.delete' ? 3 : operation.method === 'DELETE' ? 2 : operation.method === 'GET' ? 0 : 1);
    for (const operation of withId.filter((one) => schemeOf(one) === 'api_key').sort((a, b) => order(a) - order(b))) {
      if (operation.operationId === 'ingestions.watch') continue; // a stream; the same look-up as ingestions.get
      if (operation.operationId === 'messages.attachment') continue; // these have none: media.test.mjs
      if (operation.operationId === 'keys.revoke') continue; // it is the key that asks
      const answer = await server.call(operation.method, fill(operation.path, us.ids), { key: ours.key, body: bodyFor(operation) });
      const isGone = operation.operationId === 'dead_letters.discard' || operation.operationId.startsWith('conversations.archive');
      assert.ok(answer.status !== 401 && answer.status !== 403 && (answer.status !== 404 || isGone), `${operation.operationId}: ${answer.status} ${answer.text}`);
      await server.waitUntilIdle(ours);
    }
    assert.equal((await server.call('DELETE', `/v1/keys/${us.ids.key_id}`, { key: ours.key })).status, 204);
  });
});
