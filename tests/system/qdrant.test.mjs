// qdrant.test.mjs - the server with Qdrant beside its database: documents, questions, outages, tenants
import assert from 'node:assert/strict';
import test from 'node:test';

import { QdrantDouble } from '../doubles/qdrant/qdrant-double.mjs';
import { filesOnly, until } from '../support/server.mjs';
import { DEPOSIT, HONEST, PUNCTURE, SHOP, openServer } from './scene.mjs';

const STAFF = '# Till\n\nThe code of the safe is written under the third puncture kit.\n';

async function openQdrant(t, options) {
  const qdrant = new QdrantDouble(options);
  await qdrant.start();
  t.after(() => qdrant.stop());
  return qdrant;
}

const settingsFor = (qdrant, more = {}) => ({
  'index.driver': 'qdrant', 'qdrant.url': qdrant.url, 'qdrant.allow_private_address': 'true', 'qdrant.timeout': '500ms', ...more,
});

// Every passage of the organization is a point, and nothing else is.
const inStep = (server, qdrant, organization, count) => qdrant.until(
  () => qdrant.points((payload) => payload.organization_id === organization.id).length === count,
  () => `${count} points, but ${qdrant.points((payload) => payload.organization_id === organization.id).length}`,
);

const passages = async (server, organization) => (await server.list('/v1/sources', organization.key))
  .reduce((sum, source) => sum + source.chunk_count, 0);

test('questions are answered from Qdrant, each organization from its own points', async (t) => {
  const qdrant = await openQdrant(t, { apiKey: 'a-key' });
  const server = await openServer(t, { settings: settingsFor(qdrant, { 'qdrant.api_key': 'a-key' }), organizations: ['shop', 'other'], documents: false });
  const { shop, other } = server.organizations;

  await server.addDocument(shop, 'shop.md', SHOP);
  await server.addDocument(shop, 'till.md', STAFF, { audience: 'staff' });
  await server.addDocument(other, 'other.md', '# Bakery\n\nA puncture repair is what bakers do not offer.\n');
  await inStep(server, qdrant, shop, await passages(server, shop));
  await inStep(server, qdrant, other, await passages(server, other));
  await until(async () => (await server.ask(shop, PUNCTURE)) && await server.metric('parley_index_questions_total', { outcome: 'whole' }) > 0, 'a question to Qdrant alone');

  await t.test('found, with its citation', async () => {
    const answer = await server.ask(shop, PUNCTURE);
    assert.match(answer.answer, /19 euros/);
    assert.equal(answer.citations[0].title, 'Harbour Cycles');
  });

  await t.test('every question that was sent is bound to its organization and audience', async () => {
    qdrant.requests.length = 0;
    await server.ask(shop, 'What does a puncture repair of the safe cost?');
    const searches = qdrant.requests.filter((one) => one.path.endsWith('/points/query/batch')).flatMap((one) => JSON.parse(one.body).searches);
    assert.ok(searches.length > 0);
    for (const { filter, params, using } of searches) {
      assert.deepEqual(filter.must[0], { key: 'organization_id', match: { value: shop.id } });
      assert.deepEqual(filter.must[1], { key: 'audience', match: { any: ['customer'] } });
      assert.equal(filter.must[2].key, 'partition');
      if (using === 'bm25') assert.deepEqual(params.idf.corpus, filter);
    }
    qdrant.requests.length = 0;
    const [till] = (await server.list('/v1/sources', shop.key)).filter((one) => one.name === 'till.md');
    assert.deepEqual((await server.ask(shop, 'What does a puncture repair of the safe cost?', { filters: { source_id: till.id } })).snippets, []);
    assert.equal((await server.ask(shop, PUNCTURE, { filters: { kind: 'upload', audience: 'customer' } })).citations[0].title, 'Harbour Cycles');
    const narrowed = qdrant.requests.filter((one) => one.path.endsWith('/points/query/batch')).flatMap((one) => JSON.parse(one.body).searches);
    assert.ok(narrowed.length > 0);
    for (const { filter, params, using } of narrowed) {
      assert.equal(filter.must[3].key, 'source_id');
      if (using === 'bm25') assert.deepEqual(params.idf.corpus.must, filter.must.slice(0, 3));
    }
    const sent = qdrant.requests.map((one) => one.body.toString()).join('\n');
    assert.doesNotMatch(sent, /safe/, 'no words leave');
  });

  await t.test('no text is kept there', () => {
    for (const { payload } of qdrant.points()) {
      assert.deepEqual(Object.keys(payload).sort(), ['audience', 'change', 'chunk', 'organization_id', 'partition', 'source_id']);
    }
  });

  await t.test('what staff may read is not for customers', async () => {
    const question = 'What is the code of the safe?';
    assert.match((await server.ask(shop, question)).answer, HONEST);
    assert.match(JSON.stringify(await server.ask(shop, question, { staff: true })), /third puncture kit/);
  });

  await t.test('a document that is deleted leaves no point', async () => {
    const [source] = (await server.list('/v1/sources', shop.key)).filter((one) => one.name === 'shop.md');
    assert.equal((await server.call('DELETE', `/v1/sources/${source.id}`, { key: shop.key })).status, 204);
    assert.match((await server.ask(shop, DEPOSIT)).answer, HONEST, 'at once');
    await inStep(server, qdrant, shop, 1);
  });
});

test('Qdrant away', async (t) => {
  const qdrant = await openQdrant(t);
  const server = await openServer(t, { settings: settingsFor(qdrant), documents: false });
  const { shop } = server;

  await server.addDocument(shop, 'shop.md', SHOP);
  const count = await passages(server, shop);
  await inStep(server, qdrant, shop, count);
  await until(async () => (await server.ask(shop, PUNCTURE)) && await server.metric('parley_index_questions_total', { outcome: 'whole' }) > 0, 'a question to Qdrant alone');

  await t.test('questions are answered from the database', async () => {
    qdrant.requests.length = 0;
    qdrant.fail({ times: 1000, status: 503, body: '{}' });
    for (let i = 0; i < 5; i += 1) assert.match((await server.ask(shop, PUNCTURE)).answer, /19 euros/);
    assert.ok(await server.metric('parley_index_questions_total', { outcome: 'alone' }) >= 5);
    assert.ok(await server.metric('parley_index_engine_calls_total', { operation: 'find', outcome: 'skipped' }) > 0, 'left alone after a few');
  });

  await t.test('documents are searchable at once, and put when it is back', async () => {
    await server.addDocument(shop, 'tandem.md', '# Tandems\n\nA tandem costs 49 euros a day.\n');
    assert.match((await server.ask(shop, 'What does a tandem cost a day?')).answer, /49 euros/);
    await qdrant.until(() => qdrant.requests.filter((one) => one.path === '/').length >= 2, 'some tries of the job');
    qdrant.faults.length = 0;
    await inStep(server, qdrant, shop, count + 1);
  });

  await t.test('a server that starts without it says so and serves', async () => {
    qdrant.fail({ times: 1000, status: 503, body: '{}' });
    await server.restart();
    assert.match((await server.ask(shop, PUNCTURE)).answer, /19 euros/);
    assert.ok(server.log.some((line) => line.event === 'index.engine_away'));
    qdrant.faults.length = 0;
  });

  await t.test('a collection that somebody removed is filled again at the next start', async () => {
    qdrant.collections.clear();
    await server.restart();
    await inStep(server, qdrant, shop, count + 1);
  });
});

test('doctor and rebuild', { skip: filesOnly('the command does the work itself only with files') }, async (t) => {
  const qdrant = await openQdrant(t);
  const server = await openServer(t, { settings: settingsFor(qdrant), documents: false });
  const { shop } = server;

  await server.addDocument(shop, 'shop.md', SHOP);
  const count = await passages(server, shop);
  await inStep(server, qdrant, shop, count);
  await server.stop();

  const index = async () => JSON.parse((await server.run(['doctor', '--json'])).stdout).find((row) => row.check === 'index');
  assert.match((await index()).detail, new RegExp(`Qdrant has ${count} passages in its collection parley-`));
  for (const one of qdrant.collections.values()) {
    for (const id of [...one.points.keys()]) one.drop(id);
  }
  const rebuilt = await server.runJson(['index', 'rebuild']);
  assert.deepEqual(rebuilt.map((row) => row.state), ['rebuilt']);
  assert.equal(qdrant.points().length, count);

  for (const one of qdrant.collections.values()) one.body.sparse_vectors.bm25 = {};
  const found = await index();
  assert.equal(found.ok, false);
  assert.match(found.detail, /without the modifier idf: give qdrant.collection another name, or delete it there/);
});
