// reading_limits.test.mjs - a document that takes more memory than is allowed fails alone, and says so
//
// With the reader as it is released: AddressSanitizer reserves more than any limit, so the one that other tests run has none.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { binary } from '../support/server.mjs';
import { openServer } from './scene.mjs';

const released = path.resolve(path.dirname(binary), '../extract/parley-extract-as-released');
const page = (n) => `# Sheet ${n}\n\nThe bicycle number ${n} stands in row ${n + 100} of the hall.\n`;

// 700 bytes. Each of its eight predictors takes the memory for one line of the picture that it pretends to be: 200 MB.
const greedy = () => '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n'
  + '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>endobj\n'
  + `4 0 obj<</Length 1/Filter[${'/FlateDecode'.repeat(8)}]/DecodeParms[${'<</Predictor 12/Columns 200000000>>'.repeat(8)}]>>stream\nx\nendstream endobj\n`
  + 'trailer<</Root 1 0 R>>\n';

test('a document that takes too much memory', { skip: fs.existsSync(released.replace('-as-released', '-pdf')) ? false : 'built without what reads PDF' }, async (t) => {
  const server = await openServer(t, { documents: false, settings: { 'ingest.extractor': released, 'ingest.workers': 2 } });
  const { shop } = server;
  const upload = async (name, type, body) => (await server.call('POST', `/v1/tenant/upload?name=${name}`, {
    key: shop.key, body, headers: { 'content-type': type },
  })).body;

  // Between others, all waiting at once.
  const good = [];
  const bad = [];
  for (let n = 0; n < 4; n += 1) {
    good.push(await upload(`sheet-${n}.md`, 'text/markdown', page(n)));
    bad.push(await upload(`greedy-${n}.pdf`, 'application/pdf', greedy() + '%'.repeat(n)));
  }
  for (const { ingestion_id: id } of good) await server.waitForIngestion(shop, id);
  for (const { ingestion_id: id } of bad) {
    await assert.rejects(server.waitForIngestion(shop, id), /not read: The document could not be read safely: it is damaged, or takes too much memory\.$/);
    const { body } = await server.get(`/v1/ingestions/${id}`, shop.key);
    assert.deepEqual([body.status, body.error], ['failed', 'The document could not be read safely: it is damaged, or takes too much memory.']);
  }
  // It is no use trying again: nothing is left waiting, and nothing is dead.
  const queue = await server.waitUntilIdle(shop);
  assert.equal(queue.dead, 0);
  for (let n = 0; n < 4; n += 1) assert.match((await server.ask(shop, `Where does the bicycle number ${n} stand?`)).answer, new RegExp(`row ${n + 100}`));
  assert.equal((await server.get('/v1/sources?limit=100', shop.key)).body.data.length, 8);
});
