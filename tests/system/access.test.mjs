// access.test.mjs - whoever may not read a document meets no trace of it, by any route
//
// The routes come from GET /openapi.json, so that a new one cannot be forgotten: every operation is
// called by everybody who is not the document's reader, with its ids in the path. What the documents
// hold are words that stand nowhere else; no answer may hold one of them.
import assert from 'node:assert/strict';
import test from 'node:test';

import { ALL_SCOPES } from '../support/server.mjs';
import { PUNCTURE, SHOP, Visitor, openServer } from './scene.mjs';

const DOCUMENTS = {
  staff: { name: 'zimbergast.md', audience: 'staff', category: 'quorrel', words: ['zimbergast', 'quorrel', 'plimsole'],
    text: '# Zimbergast\n\nMembers of staff get a discount of 27 percent with the word plimsole.\n' },
  hr: { name: 'quendelbart.md', audience: 'staff:hr', category: 'vexilar', words: ['quendelbart', 'vexilar', 'harrumpf'],
    text: '# Quendelbart\n\nThe salary of a mechanic is 3100 euros, says harrumpf.\n' },
};
const QUESTIONS = [
  'What discount do members of staff get?', 'What is the word plimsole?', 'plimsloe', 'zimbergsat', 'What is the salary of a mechanic?',
  'harrumpff', 'Tell me about Zimbergast and Quendelbart.', PUNCTURE,
];
const WORDS = Object.values(DOCUMENTS).flatMap((document) => document.words);
// Without the words themselves: those would come back as what was asked.
const INNOCENT = QUESTIONS.filter((question) => !WORDS.some((word) => question.toLowerCase().includes(word)));
// Streams: what is done while they are read, and the event that ends that.
const STREAMS = ['inbox.watch', 'webchat.events', 'ingestions.watch', 'sites.watch'];

async function upload(server, key, { name, text, audience, category }) {
  const query = new URLSearchParams({ name, ...(audience && { audience }), ...(category && { category }) });
  return server.call('POST', `/v1/tenant/upload?${query}`, { key, body: text, headers: { 'content-type': 'text/markdown' } });
}

const timeless = (answer) => JSON.stringify({ ...answer.body, timings: undefined }, (key, value) => (key === 'url' ? '' : value));

test('what somebody may not read leaves no trace', async (t) => {
  const server = await openServer(t, { publicUrl: true, start: false });
  const { shop } = server;
  const owner = (await server.addKey(shop.slug, `${ALL_SCOPES} role:hr`)).secret;
  const staff = (await server.addKey(shop.slug, ALL_SCOPES)).secret;
  const outsider = (await server.addKey(shop.slug, ALL_SCOPES.replace('query:staff ', ''))).secret;
  await server.start();
  await server.addDocument(shop, 'shop.md', SHOP);
  const web = await server.addChannel(shop, 'web');
  const ask = (key, question, more = {}) => server.post('/v1/query', key, { question, ...more });

  const before = { outsider: [], staff: [] };
  for (const question of QUESTIONS) before.outsider.push(timeless(await ask(outsider, question)));

  const made = {}, sites = {};
  for (const [who, document] of Object.entries(DOCUMENTS)) {
    const answer = await upload(server, owner, document);
    assert.equal(answer.status, 202, answer.text);
    await server.waitForIngestion({ key: owner }, answer.body.ingestion_id);
    made[who] = answer.body;
    const site = await server.post('/v1/sites', owner, { url: `http://127.0.0.1:9/${document.words[0]}`, audience: document.audience, category: document.category });
    assert.equal(site.status, 202, site.text);
    sites[who] = site.body;
    await server.waitUntilIdle(shop);
    if (who === 'staff') for (const question of QUESTIONS) before.staff.push(timeless(await ask(staff, question, { staff: true })));
  }

  await t.test('its reader finds it by each route', async () => {
    for (const [who, { words }] of Object.entries(DOCUMENTS)) {
      const base = `/v1/sources/${made[who].source_id}`;
      for (const target of [base, `${base}/text`, `${base}/versions`, '/v1/sources', '/v1/sites', `/v1/sites/${sites[who].id}`, `/v1/sites/${sites[who].id}/pages`]) {
        assert.ok((await server.get(target, owner)).text.toLowerCase().includes(words[0]), target);
      }
      assert.equal((await server.get(`${base}/link`, owner)).status, 200);
      assert.ok((await server.get('/v1/ingestions', owner)).text.includes(made[who].ingestion_id));
      assert.ok((await ask(owner, QUESTIONS[who === 'staff' ? 0 : 4], { staff: true })).text.includes(words[2]));
      assert.ok(!(await ask(owner, QUESTIONS[who === 'staff' ? 0 : 4])).text.includes(words[2]), 'staff may ask as a customer');
    }
  });

  await t.test('scores, confidence and spelling are as if it were not there', async () => {
    for (const [i, question] of QUESTIONS.entries()) {
      assert.equal(timeless(await ask(outsider, question)), before.outsider[i], question);
      assert.equal(timeless(await ask(staff, question, { staff: true })), before.staff[i], question);
    }
    assert.equal((await ask(outsider, PUNCTURE, { staff: true })).status, 403);
  });

  // Everything else that an organization has, begun by a visitor who asks for what is hidden.
  const visitor = await Visitor.open(server, web.id);
  const seen = [];
  for (const question of [...INNOCENT, 'And what about on Sundays?']) seen.push(JSON.stringify(await visitor.ask(question)));
  seen.push(JSON.stringify(await visitor.messages()));
  await server.waitUntilIdle(shop);

  const questions = INNOCENT.map((question) => ({ question, staff: true }));
  const { body: set } = await server.post('/v1/evaluation-sets', staff, { name: 'Asked by staff', questions });
  const { body: evaluation } = await server.post(`/v1/evaluation-sets/${set.id}/evaluations`, staff, {});
  await server.waitUntilIdle(shop);
  assert.equal((await server.get(`/v1/evaluations/${evaluation.id}`, staff)).body.status, 'done');

  const { body: openapi } = await server.get('/openapi.json');
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
  const first = async (target) => (await server.get(target, owner)).body.data[0];
  const escalation = await first('/v1/escalations?status=open');
  const conversation = (await server.get(`/v1/conversations/${escalation.conversation_id}`, owner)).body;
  const idsOf = (who) => ({
    channel_id: web.id, conversation_id: escalation.conversation_id, escalation_id: escalation.id, contact_id: conversation.contact_id,
    message_id: conversation.id, number: '0', key_id: shop.keyId, job_id: conversation.id, endpoint_id: conversation.id,
    set_id: set.id, evaluation_id: evaluation.id, source: 'telegram', token: 'a-link-that-nobody-signed', source_id: made[who].source_id, site_id: sites[who].id, ingestion_id: made[who].ingestion_id,
  });
  const fill = (path, ids) => path.replace(/\{(\w+)\}/g, (_, name) => {
    assert.ok(ids[name], `access.test.mjs has nothing for {${name}} of ${path}: say in idsOf what stands there`);
    return ids[name];
  });
  const schemeOf = (operation) => Object.keys(operation.security[0] ?? {})[0] ?? null;
  const bodyFor = (operation) => {
    const schema = operation.requestBody?.content?.['application/json']?.schema;
    return schema ? Object.fromEntries((schema.required ?? []).map((name) => [name, QUESTIONS[0]])) : undefined;
  };

  async function callAs(operation, key, who) {
    const target = fill(operation.path, idsOf(who));
    const names = /\{(source_id|ingestion_id|site_id)\}/.test(operation.path);
    if (STREAMS.includes(operation.operationId) && !names) {
      const stream = await server.events(target, { key });
      const visitor2 = operation.operationId === 'webchat.events' ? visitor : await Visitor.open(server, web.id);
      if (operation.operationId === 'inbox.watch') await visitor2.ask('I want to talk to a person.');
      await visitor2.say(QUESTIONS[0]);
      await stream.until((event) => event.type === 'waiting_for_person' || event.data.text?.includes('could not find'));
      stream.close();
      return { names, text: JSON.stringify(stream.events) };
    }
    const body = bodyFor(operation);
    const response = await fetch(server.url + target, {
      method: operation.method, body: body && JSON.stringify(body),
      headers: { ...(key && { authorization: `Bearer ${key}` }), ...(body && { 'content-type': 'application/json' }) },
    });
    const type = response.headers.get('content-type') ?? '';
    if (type.includes('event-stream')) {
      await response.body.cancel();
      assert.fail(`${operation.operationId} is a stream: say in STREAMS what is done while it is read`);
    }
    return { names, status: response.status, text: await response.text() };
  }

  const called = { outsider: 0, staff: 0, hidden: 0 };
  for (const [asker, key, hidden] of [['outsider', outsider, ['staff', 'hr']], ['staff', staff, ['hr']]]) {
    for (const operation of operations) {
      const names = /\{(source_id|ingestion_id|site_id)\}/.test(operation.path);
      // What changes other things is another test's; what it answers is what GET answers.
      if (operation.method !== 'GET' && !names && operation.operationId !== 'query') continue;
      const scheme = schemeOf(operation);
      const token = scheme === 'visitor' ? visitor.token : scheme === 'api_key' ? key : undefined;
      for (const who of hidden) {
        await t.test(`${asker}, ${who}: ${operation.operationId}`, async () => {
          const answer = await callAs(operation, token, who);
          const small = answer.text.toLowerCase();
          for (const one of hidden) {
            for (const word of DOCUMENTS[one].words) assert.ok(!small.includes(word), `${operation.operationId} shows ${word}: ${answer.text}`);
            for (const id of [made[one].source_id, made[one].ingestion_id, sites[one].id]) {
              assert.ok(!answer.text.includes(id), `${operation.operationId} shows ${id}: ${answer.text}`);
            }
          }
          if (names) {
            assert.equal(answer.status, 404, `${operation.operationId}: ${answer.status} ${answer.text}`);
            called.hidden += 1;
          }
          called[asker] += 1;
        });
      }
    }
  }
  assert.ok(called.outsider >= 40 && called.staff >= 20 && called.hidden >= 20, JSON.stringify(called));

  await t.test('a conversation showed nothing of it, and changed nothing', async () => {
    for (const text of seen) for (const word of WORDS) assert.ok(!text.toLowerCase().includes(word), text);
    for (const who of Object.keys(DOCUMENTS)) assert.equal((await server.get(`/v1/sources/${made[who].source_id}`, owner)).status, 200);
  });

  await t.test('streamed, and with a history', async () => {
    const history = [{ role: 'user', text: 'What discount do members of staff get?' }, { role: 'assistant', text: 'I do not know.' }];
    for (const more of [{ stream: true }, { history }, { stream: true, history }]) {
      const { text } = await ask(outsider, 'And the word for it?', more);
      for (const word of DOCUMENTS.staff.words) assert.ok(!text.includes(word), text);
    }
  });

  await t.test('another key does not get a kept answer', async () => {
    const headers = { 'idempotency-key': 'the-same', 'content-type': 'application/json' };
    const body = JSON.stringify({ question: QUESTIONS[0], staff: true });
    const kept = await server.call('POST', '/v1/query', { key: owner, headers, body });
    assert.ok(kept.text.includes('plimsole'), kept.text);
    const stolen = await server.call('POST', '/v1/query', { key: outsider, headers, body });
    assert.equal(stolen.status, 409);
    assert.ok(!stolen.text.includes('plimsole'));
  });

  await t.test('nobody gives a document, a key or a name away that is not theirs', async () => {
    for (const [key, audience] of [[outsider, 'staff'], [outsider, 'staff:hr'], [staff, 'staff:hr']]) {
      const answer = await upload(server, key, { name: 'x.md', text: '# X\n\nWords.\n', audience });
      assert.equal(answer.status, 403, `${audience} ${answer.text}`);
      assert.equal((await server.post('/v1/sites', key, { url: 'http://127.0.0.1:9/', audience })).status, 403, audience);
    }
    for (const [key, who] of [[outsider, 'staff'], [outsider, 'hr'], [staff, 'hr']]) {
      const answer = await upload(server, key, { name: DOCUMENTS[who].name, text: '# Mine\n\nWords.\n' });
      assert.equal(answer.status, 409, answer.text);
      assert.equal((await server.post('/v1/sites', key, { url: sites[who].url })).status, 409, who);
    }
    for (const [key, scopes] of [[outsider, 'query query:staff'], [staff, 'query query:staff role:hr'], [staff, 'query role:*'], [owner, 'query role:*']]) {
      assert.equal((await server.post('/v1/keys', key, { name: 'more', scopes })).status, 400, scopes);
    }
    const given = await server.post('/v1/keys', owner, { name: 'hr', scopes: 'query query:staff role:hr' });
    assert.equal(given.body.scopes, 'query query:staff role:hr');
    assert.ok((await ask(given.body.secret, QUESTIONS[4], { staff: true })).text.includes('harrumpf'));
    assert.equal((await server.call('DELETE', `/v1/keys/${given.body.id}`, { key: owner })).status, 204);
  });

  await t.test('said anew, it counts at once and nothing is read again', async () => {
    const target = `/v1/sources/${made.staff.source_id}`;
    const patch = (key, body) => server.call('PATCH', target, { key, body });
    const finds = async (key, more) => (await ask(key, QUESTIONS[0], more)).text.includes('plimsole');
    const jobs = async () => (await server.get(`/v1/ingestions?source_id=${made.staff.source_id}`, owner)).body.data.length;
    const wider = await patch(owner, { audience: 'customer', category: 'prices', tone: 'warm', dated_at: '2026-02-03' });
    assert.equal(wider.status, 200, wider.text);
    assert.deepEqual([wider.body.audience, wider.body.category, wider.body.tone, wider.body.dated_at.slice(0, 10), wider.body.current_version],
      ['customer', 'prices', 'warm', '2026-02-03', 1]);
    assert.ok(await finds(outsider));
    assert.ok((await visitor.ask(QUESTIONS[0])).text.includes('plimsole'));
    assert.equal((await patch(owner, { audience: 'staff: hr,hr', tone: '' })).body.audience, 'staff:hr');
    assert.deepEqual([await finds(outsider), await finds(staff, { staff: true }), await finds(owner, { staff: true })], [false, false, true]);
    assert.equal((await server.get(target, owner)).body.tone, '');
    assert.equal((await server.get(target, owner)).body.category, 'prices');
    assert.equal(await jobs(), 1);
    for (const body of [{ audience: 'all' }, { audience: '' }, { dated_at: 'May' }, { category: 'a\nb' }, { brand_id: 'x' }, { name: 'y' }]) {
      assert.equal((await patch(owner, body)).status, 400, JSON.stringify(body));
    }
    assert.equal((await patch(owner, { brand_id: '01890000-0000-7000-8000-000000000000' })).status, 404);
  });

  await t.test('what a document says of itself counts where nobody said otherwise', async () => {
    const says = (more) => `---\ncategories: [Cutlery, Spoons]\ndate: 2026-05-01 10:00:00 +0200\naudience: customer\n${more}---\nThe spoon is brillig.\n`;
    const first = await upload(server, owner, { name: 'spoons.md', text: says('tone: dry\n'), audience: 'staff' });
    await server.waitForIngestion({ key: owner }, first.body.ingestion_id);
    const target = `/v1/sources/${first.body.source_id}`;
    const labels = ({ body }) => [body.category, body.tone, body.dated_at?.slice(0, 10), body.audience];
    const patch = async (body) => labels(await server.call('PATCH', target, { key: owner, body }));
    const finds = async (filters) => (await ask(owner, 'Is the spoon brillig?', { staff: true, filters })).body.snippets.length;
    assert.deepEqual(labels(await server.get(target, owner)), ['Cutlery', 'dry', '2026-05-01', 'staff']);
    assert.deepEqual([await finds({ category: 'Cutlery', tone: 'dry', dated_from: '2026-05-01' }), await finds({ category: 'Spoons' })], [1, 0]);
    assert.deepEqual(await patch({ category: 'kitchen', dated_at: '' }), ['kitchen', 'dry', undefined, 'staff']);
    const next = await upload(server, owner, { name: 'spoons.md', text: says('') });
    await server.waitForIngestion({ key: owner }, next.body.ingestion_id);
    assert.deepEqual(labels(await server.get(target, owner)), ['kitchen', '', undefined, 'staff']);
    assert.deepEqual([await finds({ category: 'kitchen' }), await finds({ category: 'Cutlery' })], [1, 0]);
    assert.deepEqual(await patch({ category: null, dated_at: null }), ['Cutlery', '', '2026-05-01', 'staff']);
    assert.equal((await server.call('PATCH', target, { key: owner, body: { audience: null } })).status, 400);
  });

  await t.test('of a document that became the customers\' only what is searched is theirs', async () => {
    const name = 'rates.md';
    const old = await upload(server, owner, { name, text: '# Rates\n\nThe dealer pays 31 euros (vorpal).\n', audience: 'staff' });
    await server.waitForIngestion({ key: owner }, old.body.ingestion_id);
    const now = await upload(server, owner, { name, text: '# Rates\n\nEverybody pays 62 euros.\n', audience: 'customer' });
    await server.waitForIngestion({ key: owner }, now.body.ingestion_id);
    const base = `/v1/sources/${old.body.source_id}`;
    assert.ok((await server.get(`${base}/text?version=1`, owner)).text.includes('vorpal'));
    assert.equal((await server.get(`${base}/text?version=1`, outsider)).status, 404);
    assert.equal((await server.get(`${base}/link?version=1`, outsider)).status, 404);
    assert.deepEqual((await server.get(`${base}/versions`, outsider)).body.data.map((one) => one.version), [2]);
    assert.ok((await server.get(`${base}/text`, outsider)).text.includes('62 euros'));
  });
});
