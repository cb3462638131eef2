// passages.test.mjs - how an organization has its documents cut: changed while people ask, after kill -9, from a shell
import assert from 'node:assert/strict';
import test from 'node:test';

import { engine, until } from '../support/server.mjs';
import { openServer } from './scene.mjs';

const story = (word) => `# Journey of the ${word}\n\nThe ${word} costs 19 euros. ${Array.from({ length: 60 }, (_, i) => `On day ${i} of it the boat stayed in the harbour of the town.`).join(' ')}\n`;
const WORDS = ['kettle', 'lantern', 'violin'];

test('passages', async (t) => {
  const server = await openServer(t, { organizations: ['shop', 'neighbour'], documents: false });
  const { shop, neighbour } = server.organizations;
  if (engine === 'pgsql') Object.assign(server.settings, { 'queue.lease': '2s', 'queue.sweep': '500ms' });
  for (const [i, word] of WORDS.entries()) await server.addDocument(shop, `${i}.md`, story(word));
  await server.addDocument(neighbour, '0.md', story(WORDS[0]));
  await server.restart();
  const put = (passages, key = shop.key) => server.call('PUT', '/v1/brand', { key, body: { passages } });
  const brand = async (key = shop.key) => (await server.get('/v1/brand', key)).body;
  const passages = async (organization) => (await server.get('/v1/sources?limit=100', organization.key)).body.data.map((source) => source.chunk_count);
  const cut = () => until(async () => (await brand()).documents_left === 0, 'the documents to be cut');
  const ingestions = async () => (await server.list('/v1/ingestions', shop.key)).length;
  const answers = async () => {
    for (const word of WORDS) assert.match((await server.ask(shop, `What does the ${word} cost?`)).answer, /19 euros/, word);
  };
  const usual = await passages(shop);

  await t.test('unset they are the server\'s; what cannot be is refused, and nothing changed', async () => {
    const before = await brand();
    assert.deepEqual([before.passages, before.documents_left], [{ words: null, overlap: null }, 0]);
    for (const [wrong, says] of [
      [{ words: 79 }, /passages\.words: a number of words, 80 to 400/], [{ words: 401 }, /80 to 400/], [{ words: '80' }, /a number of words, or null/],
      [{ words: -1 }, /a number of words, or null/], [{ overlap: 101 }, /passages\.overlap: a number of words, 0 to 100/],
      [{ words: 80, overlap: 41 }, /at most half of passages\.words/], [{ length: 80 }, /words and overlap/], [120, /passages/],
    ]) {
      const { status, body } = await put(wrong);
      assert.equal(status, 400, JSON.stringify(wrong));
      assert.match(body.detail, says);
    }
    assert.deepEqual(await brand(), before);
    const { secret } = (await server.post('/v1/keys', shop.key, { name: 'documents', scopes: 'query knowledge:read knowledge:write' })).body;
    assert.equal((await put({ words: 80 }, secret)).status, 403);
  });

  await t.test('changed: every document is found all the time, cut anew in the end, and read by nobody else', async () => {
    const read = await ingestions();
    const { status, body, text } = await put({ words: 80, overlap: 0 });
    assert.equal(status, 200, text);
    assert.deepEqual([body.passages, body.documents_left], [{ words: 80, overlap: 0 }, 3]);
    do await answers(); while ((await brand()).documents_left > 0);
    await answers();
    for (const [i, count] of (await passages(shop)).entries()) assert.ok(count > usual[i] + 2, `${count} passages, ${usual[i]} before`);
    assert.equal(await ingestions(), read);
    assert.deepEqual(await passages(neighbour), usual.slice(0, 1));
    assert.deepEqual((await brand(neighbour.key)).passages, { words: null, overlap: null });
    assert.equal((await put({ words: 80, overlap: 0 })).body.documents_left, 0);
    assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { name: 'Shop' } })).status, 200);
    assert.deepEqual((await brand()).passages, { words: 80, overlap: 0 }, 'what is not said stays');
  });

  await t.test('killed at the second document: the others are still found, and it goes on', async () => {
    const many = await passages(shop);
    await server.stop();
    await server.start({ failpoints: 'ingest.extracted=crash:2' });
    await put({}).catch(() => {});
    await server.killed();
    await server.start();
    await answers();
    await cut();
    assert.deepEqual(await passages(shop), usual);
    assert.notDeepEqual(many, usual);
    await answers();
    assert.deepEqual(await passages(neighbour), usual.slice(0, 1));
  });

  await t.test('from a shell, without a server; the next server cuts', async () => {
    const admin = async (...words) => {
      const end = await server.run(['admin', 'passages', ...words, '--org', 'shop']);
      return { ...end, said: end.stdout + end.stderr };
    };
    await server.stop();
    assert.match((await admin('show')).said, /words +as ingest\.passage_words of the server\noverlap +as ingest/);
    for (const wrong of ['12', '80,41', '80,', '80,20,3', 'few', '-1', '']) {
      const end = await admin('set', wrong);
      assert.notEqual(end.code, 0, wrong);
      assert.match(end.said, /passages/, wrong);
    }
    assert.match((await admin('set', '80,20')).said, /words +80\noverlap +20\n3 documents are cut otherwise/);
    assert.deepEqual(JSON.parse((await admin('show', '--json')).stdout), { words: 80, overlap: 20, documents_left: 3 });
    await server.start();
    await cut();
    for (const [i, count] of (await passages(shop)).entries()) assert.ok(count > usual[i] + 2);
    await server.stop();
    assert.equal((await admin('set', 'server')).code, 0);
    await server.start({ settings: { 'ingest.passage_words': 400 } });
    await cut();
    for (const [i, count] of (await passages(shop)).entries()) assert.ok(count < usual[i], `${count} passages of 400 words`);
    await answers();
  });
});
