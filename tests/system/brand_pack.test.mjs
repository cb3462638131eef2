// brand_pack.test.mjs - one archive with persona and documents: taken whole, replaced by the next, refused before anything changes
import assert from 'node:assert/strict';
import test from 'node:test';

import { until } from '../support/server.mjs';
import { zip } from '../support/zip.mjs';
import { openServer } from './scene.mjs';

const page = (title, sentence) => `# ${title}\n\n${sentence} It is written here for everybody who visits the shop and wants to know.\n`;
const PERSONA = { greeting: 'Ahoy from the harbour!', voice: 'friendly', synonyms: ['pannier, saddlebag'] };

test('brand pack', async (t) => {
  const server = await openServer(t, { documents: false });
  const { shop } = server;
  const send = (key, files, name = 'pack.zip') => {
    const form = new FormData();
    form.set('file', new Blob([files instanceof Buffer ? files : zip(files)]), name);
    return server.call('POST', '/v1/brand/pack', { key, body: form });
  };
  const sources = async () => (await server.get('/v1/sources?limit=100', shop.key)).body.data;
  const members = async () => (await sources()).filter((source) => source.parent_id).sort((a, b) => (a.name < b.name ? -1 : 1));
  const read = async (files) => {
    const { status, body, text } = await send(shop.key, files);
    assert.equal(status, 202, text);
    if (body.ingestion_id) await server.waitForIngestion(shop, body.ingestion_id);
    await until(async () => (await members()).every((source) => source.status === 'done'), 'the documents to be read');
    return body;
  };
  const brand = async () => (await server.get('/v1/brand', shop.key)).body;

  await t.test('persona and documents are taken, the documents with what the manifest says of all', async () => {
    const body = await read({
      'harbour/brand.json': JSON.stringify({ name: 'Harbour Cycles', persona: PERSONA, category: 'shop', tone: 'plain', language: 'en' }),
      'harbour/bags.md': page('Bags', 'A pannier for the rear rack costs 87 euros.'),
      'harbour/lamps.md': page('Lamps', 'A dynamo lamp costs 64 euros.'),
    });
    assert.deepEqual([body.created, body.brand.name, body.brand.persona.greeting], [true, 'Harbour Cycles', 'Ahoy from the harbour!']);
    assert.deepEqual((await brand()).persona, PERSONA);
    assert.deepEqual((await members()).map((source) => [source.name, source.category, source.tone, source.language]),
      ['bags', 'lamps'].map((name) => [`Brand pack/harbour/${name}.md`, 'shop', 'plain', 'en']));
    assert.equal((await sources()).find((source) => !source.parent_id).kind, 'pack');
    assert.match((await server.ask(shop, 'What does a saddlebag for the rear rack cost?')).answer, /87 euros/, 'by the synonym');
  });

  await t.test('its passages are the organization\'s, and all its documents are cut so', async () => {
    const steps = Array.from({ length: 40 }, (_, i) => `Step ${i + 1} of the service is done by the mechanic of the day, who writes it down.`).join(' ');
    const chunks = async () => (await members()).map((source) => source.chunk_count);
    const lamps = { 'lamps.md': `# Lamps\n\n${steps}\n` };
    await read({ ...lamps, 'brand.json': '{}' });
    const [before] = await chunks();
    assert.deepEqual((await brand()).passages, { words: null, overlap: null });
    const body = await read({ ...lamps, 'brand.json': '{"passages": {"words": 80, "overlap": 20}}' });
    assert.deepEqual([body.unchanged, body.brand.passages], [false, { words: 80, overlap: 20 }]);
    await until(async () => (await brand()).documents_left === 0, 'the documents to be cut anew');
    const [after] = await chunks();
    assert.ok(after > before, `${after} passages, ${before} before`);
    assert.deepEqual((await read({ ...lamps, 'brand.json': '{"name": "Harbour Cycles"}' })).brand.passages, { words: 80, overlap: 20 }, 'not said: as they are');
    await read({ ...lamps, 'brand.json': '{"passages": {}}' });
    assert.deepEqual((await brand()).passages, { words: null, overlap: null });
  });

  await t.test('the next one replaces it: what is gone goes, a persona that it has not stays', async () => {
    const body = await read({ 'brand.json': '{"name": "Harbour"}', 'bags.md': page('Bags', 'A pannier for the rear rack costs 91 euros.') });
    assert.deepEqual([body.created, body.version], [false, 6]);
    assert.deepEqual([(await brand()).name, (await brand()).persona], ['Harbour', PERSONA]);
    assert.deepEqual((await members()).map((source) => source.name), ['Brand pack/bags.md']);
    assert.match((await server.ask(shop, 'What does a pannier for the rear rack cost?')).answer, /91 euros/);
  });

  await t.test('what is wrong with it is said, and nothing changed', async () => {
    const before = [await brand(), (await sources()).length];
    const document = { 'evil.md': page('Evil', 'A pannier for the rear rack costs nothing.') };
    for (const [files, says, name] of [
      [document, /no brand\.json at its root/],
      [{ ...document, 'a/b/brand.json': '{}' }, /no brand\.json at its root/],
      [{ ...document, 'brand.json': '{"name": ' }, /not a JSON object/],
      [{ ...document, 'brand.json': '[]' }, /not a JSON object/],
      [{ ...document, 'brand.json': '{"colour": "red"}' }, /colour/],
      [{ ...document, 'brand.json': '{"persona": {"model": "wild"}}' }, /persona\.model/],
      [{ ...document, 'brand.json': '{"passages": {"words": 5}}' }, /passages\.words: a number of words/],
      [{ ...document, 'brand.json': '{"passages": {"words": 80, "overlap": 60}}' }, /passages\.overlap: at most half/],
      [{ ...document, 'brand.json': '{"passages": {"size": 80}}' }, /passages: words and overlap/],
      [{ ...document, 'brand.json': '{"passages": 80}' }, /passages/],
      [{ ...document, 'brand.json': '{"audience": "everybody"}' }, /audience|customer/i],
      [{ ...document, 'brand.json': '{"language": "english"}' }, /language/],
      [Buffer.from('PK no archive'), /damaged|archive/i],
      [Buffer.from(page('Bags', 'No archive.')), /pack\.zip, pack\.tar/, 'bags.md'],
    ]) {
      const { status, text } = await send(shop.key, files, name);
      assert.equal(status, 400, text);
      assert.match(text, says);
      assert.deepEqual([await brand(), (await sources()).length], before);
    }
  });

  await t.test('it needs both scopes', async () => {
    for (const scopes of ['admin', 'knowledge:write']) {
      const { body } = await server.post('/v1/keys', shop.key, { name: scopes, scopes });
      assert.equal((await send(body.secret, { 'brand.json': '{}' })).status, 403, scopes);
    }
  });
});
