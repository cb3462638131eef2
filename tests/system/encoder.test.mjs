// encoder.test.mjs - a server that finds by sentence vectors: documents in, questions answered, another
// encoder while it serves; with an OpenAI-compatible server, and with the weights computed here
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { HttpDouble } from '../doubles/http-double.mjs';
import { ROOT, until } from '../support/server.mjs';
import { DEPOSIT, SHOP, openServer } from './scene.mjs';

const DIMENSION = 16;
const OTHER_WORDS = 'My headgear is too small for me'; // shares no word with its passage
const CONCEPTS = [/refund|returned|bring.*back/i, /helmet|headgear/i, /repair|puncture|chain/i, /deposit|rental|cargo/i, /open|hours|closes/i];

// POST /v1/embeddings: a text's vector says which concepts it names. hold(test) keeps texts back until release().
class Embeddings extends HttpDouble {
  async handle({ method, path: target, headers, body }) {
    assert.deepEqual([method, target, headers.authorization], ['POST', '/v1/embeddings', 'Bearer sk-vectors']);
    const { model, input } = JSON.parse(body);
    if (model === this.gone) return { status: 404, headers: {}, body: '{"error":{"message":"no such model"}}' };
    if (this.held?.(model, input)) {
      this.waiting = (this.waiting ?? 0) + 1;
      await this.released;
    }
    const data = input.map((text, index) => {
      const vector = CONCEPTS.map((concept) => (concept.test(text) ? 1 : 0));
      while (vector.length < DIMENSION) vector.push(0);
      vector[DIMENSION - 1] = 0.1; // no text is without a direction
      if (model === 'concepts-2') vector.reverse(); // another space: the two cannot be compared
      return { object: 'embedding', index, embedding: vector };
    });
    return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ object: 'list', model, data, usage: { prompt_tokens: 1, total_tokens: 1 } }) };
  }

  hold(held) {
    this.held = held;
    this.released = new Promise((resolve) => { this.release = () => { this.held = null; resolve(); }; });
  }

  texts(model) {
    return this.requests.map((one) => JSON.parse(one.body)).filter((one) => one.model === model).flatMap((one) => one.input);
  }
}

const firstHeading = async (server, question) => (await server.ask(server.shop, question)).snippets[0]?.heading_path ?? null;

test('vectors of an OpenAI-compatible server, and of another model while the server runs', async (t) => {
  const double = new Embeddings();
  await double.start();
  t.after(() => double.stop());
  const settings = {
    'embed.driver': 'openai', 'embed.base_url': `${double.url}/v1`, 'embed.model': 'concepts-1', 'embed.dimension': DIMENSION,
    'embed.api_key': 'sk-vectors', 'embed.allow_private_address': true, 'ingest.workers': 2, // one is held
  };
  const server = await openServer(t, { settings });
  const encoders = async () => [...new Set((await server.sql(server.shop, 'SELECT DISTINCT encoder FROM index_vector')).map((row) => row.encoder))];
  let first;

  await t.test('a passage is found that shares no word with the question', async () => {
    await server.waitUntilIdle(server.shop);
    assert.ok(double.texts('concepts-1').some((text) => text.includes('Helmets')));
    assert.match(await firstHeading(server, OTHER_WORDS), /Returns/);
    assert.match((await server.ask(server.shop, DEPOSIT)).answer, /100 euros/);
    first = await encoders();
    assert.equal(first.length, 1);
  });

  await t.test('a question about the organization is encoded with its name too, another is not', async () => {
    await server.ask(server.shop, 'Where are you?');
    const texts = double.texts('concepts-1');
    assert.deepEqual(texts.filter((text) => text.includes('Where are you?')), ['Where are you?', `${server.shop.slug}: Where are you?`]);
    assert.deepEqual(texts.filter((text) => text.includes(DEPOSIT)), [DEPOSIT]);
  });

  await t.test('another model: questions are answered while passages wait for their vectors, and nothing of the old is lost', async () => {
    await server.stop();
    double.hold((model, input) => model === 'concepts-2' && input.some((text) => text.includes('Harbour Cycles')));
    server.settings['embed.model'] = 'concepts-2';
    await server.start();
    await until(() => double.waiting > 0, 'passages on their way to the new model');
    assert.match((await server.ask(server.shop, DEPOSIT)).answer, /100 euros/);
    assert.doesNotMatch(String(await firstHeading(server, OTHER_WORDS)), /Returns/, 'words alone do not find it');
    assert.deepEqual(await encoders(), first);
  });

  await t.test('when they are there the new vectors serve, and the old ones are gone', async () => {
    double.release();
    await server.waitUntilIdle(server.shop);
    assert.match(await firstHeading(server, OTHER_WORDS), /Returns/);
    const now = await encoders();
    assert.equal(now.length, 1);
    assert.notDeepEqual(now, first);
  });

  await t.test('told of the encoder before, the server finds by its vectors meanwhile, in new documents too', async () => {
    await server.stop();
    double.waiting = 0;
    double.hold((model, input) => model === 'concepts-3' && input.some((text) => text.includes('Harbour Cycles')));
    Object.assign(server.settings, { 'embed.model': 'concepts-3', 'embed.previous': 'openai', 'embed.previous_model': 'concepts-2' });
    await server.start();
    await until(() => double.waiting > 0, 'passages on their way to the newest model');
    const late = await server.addDocument(server.shop, 'lids.md', '# Lids\n\nA hat of steel for the repair of a chain.\n');
    assert.deepEqual((await encoders()).sort(), ['openai/concepts-2/16', 'openai/concepts-3/16']);
    assert.match(await firstHeading(server, OTHER_WORDS), /Returns/);
    const answer = await server.ask(server.shop, 'My puncture is bad');
    assert.ok(answer.snippets.some((row) => row.source_id === late.source_id), 'the new one is among them');
  });

  await t.test('an encoder before that is gone leaves it to the words', async () => {
    double.gone = 'concepts-2';
    assert.match((await server.ask(server.shop, DEPOSIT)).answer, /100 euros/);
    assert.doesNotMatch(String(await firstHeading(server, OTHER_WORDS)), /Returns/);
    await server.addDocument(server.shop, 'more.md', '# More\n\nA bell costs nine euros.\n');
    assert.ok(server.log.some((line) => line.event === 'ingestion.old_vectors_end'), 'it is told');
    double.gone = null;
    assert.doesNotMatch(String(await firstHeading(server, OTHER_WORDS)), /Returns/, 'a passage without one would stand behind all others');
  });

  await t.test('and then the newest serve alone', async () => {
    double.release();
    await server.waitUntilIdle(server.shop);
    assert.match(await firstHeading(server, OTHER_WORDS), /Returns/);
    assert.deepEqual(await encoders(), ['openai/concepts-3/16']);
    const before = double.texts('concepts-2').length;
    await server.addDocument(server.shop, 'last.md', '# Last\n\nA pump costs ten euros.\n');
    assert.match(await firstHeading(server, OTHER_WORDS), /Returns/);
    assert.equal(double.texts('concepts-2').length, before, 'the one before is asked no more');
    assert.deepEqual(await encoders(), ['openai/concepts-3/16']);
  });

  await t.test('a server of vectors that is away costs its share of the answer, not the answer', async () => {
    double.fail({ times: 1000, status: 503, headers: { 'Retry-After': '60' } });
    assert.match((await server.ask(server.shop, DEPOSIT)).answer, /100 euros/);
    assert.ok(server.log.some((line) => line.event === 'answer.words_alone'), 'it is told');
  });
});

const WEIGHTS = path.join(ROOT, '.cache/encoder/all-minilm-l6-v2.bin');
const missing = await fs.access(WEIGHTS).then(() => false, () => 'the sentence encoder\'s weights are not there: scripts/encoder.sh');

test('vectors computed here, and switched off again', { skip: missing }, async (t) => {
  const server = await openServer(t, { settings: { 'embed.driver': 'minilm', 'embed.weights': WEIGHTS }, organizations: ['harbour'] });
  await server.addDocument(server.shop, 'bank.md', '# Branch\n\n## Lost cards\n\nIf your card was stolen, block it at once by telephone.\n\n## Parking\n\nCars may stand in the yard for two hours.\n');
  await server.waitUntilIdle(server.shop);
  const question = 'Somebody took my wallet, what should be done?';
  assert.match(await firstHeading(server, question), /Lost cards/);
  assert.match((await server.ask(server.shop, DEPOSIT)).answer, /100 euros/);
  await server.addDocument(server.shop, 'us.md', `# Contact\n\n## Where to find us\n\nHarbour Cycles, 14 Ropewalk Quay, Port Linden. Tram 3 stops in front of it.\n`);
  await server.waitUntilIdle(server.shop);
  const where = await server.ask(server.shop, 'where can I find you');
  assert.match(where.answer, /14 Ropewalk Quay/);
  assert.ok(where.confidence > 0.6, `${where.confidence}`);
  const count = async () => Number((await server.sql(server.shop, 'SELECT count(*) AS n FROM index_vector'))[0].n);
  const vectors = await count();
  assert.ok(vectors >= 6, `${vectors} vectors`);
  await server.stop();
  server.settings['embed.driver'] = 'none';
  await server.start();
  assert.doesNotMatch(String(await firstHeading(server, question)), /Lost cards/);
  assert.match((await server.ask(server.shop, DEPOSIT)).answer, /100 euros/);
  assert.equal(await count(), vectors, 'they are there when the encoder comes back');
});
