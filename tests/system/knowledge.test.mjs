// knowledge.test.mjs - documents in, read, searched, replaced, gone; progress as events; who may see them
import assert from 'node:assert/strict';
import test from 'node:test';

import { zip } from '../support/zip.mjs';
import { HONEST, PUNCTURE, SHOP, Visitor, addBot, openServer, openTelegram } from './scene.mjs';

const page = (title, sentence) => `# ${title}\n\n${sentence} It is written here for everybody who visits the shop and wants to know.\n`;

test('knowledge', async (t) => {
  const server = await openServer(t, { documents: false });
  const { shop } = server;
  const upload = (query, body, headers = { 'content-type': 'text/markdown' }) => server.call('POST', `/v1/tenant/upload?${query}`, { key: shop.key, body, headers });
  const answers = async (question) => (await server.ask(shop, question)).answer;

  await t.test('a form with a file is read and searchable at once', async () => {
    const form = new FormData();
    form.set('file', new Blob([SHOP], { type: 'text/markdown' }), 'shop.md');
    const { status, body, text } = await server.call('POST', '/v1/tenant/upload', { key: shop.key, body: form });
    assert.equal(status, 202, text);
    assert.deepEqual([body.version, body.created, body.unchanged], [1, true, false]);
    await server.waitForIngestion(shop, body.ingestion_id);
    assert.match(await answers(PUNCTURE), /19 euros/);
    const source = (await server.get(`/v1/sources/${body.source_id}`, shop.key)).body;
    assert.deepEqual([source.name, source.title, source.current_version, source.audience, source.error],
      ['shop.md', 'Harbour Cycles', 1, 'customer', null]);
    assert.ok(source.chunk_count >= 4);
    const whole = (await server.get(`/v1/sources/${body.source_id}/text`, shop.key)).body.text;
    assert.ok(whole.startsWith('Harbour Cycles') && whole.includes('with the receipt.'), whole);
  });

  await t.test('the document as the body, HTML and plain text too', async () => {
    const html = '<!doctype html><title>Lights</title><body><nav>Home Shop Login</nav><h1>Lights</h1><p>A dynamo light costs 64 euros, and we mount it on every bicycle that you bring.</p><script>alert("evil")</script></body>';
    for (const [name, type, body, question, wanted] of [
      ['lights.html', 'text/html', html, 'What does a dynamo light cost?', /64 euros/],
      ['locks.txt', 'text/plain', 'LOCKS\n\nA folding lock costs 79 euros. The lock comes with two keys and with a holder for the frame.\n', 'What does a folding lock cost?', /79 euros/],
    ]) {
      const answer = await upload(`name=${name}`, body, { 'content-type': type });
      assert.equal(answer.status, 202, answer.text);
      await server.waitForIngestion(shop, answer.body.ingestion_id);
      assert.match(await answers(question), wanted);
    }
    assert.equal((await server.ask(shop, 'alert evil')).kind, 'no_answer');
  });

  await t.test('an archive: its documents are known by their paths, one that is bad fails alone, all go with it', async () => {
    const first = { 'bags/prices.md': page('Bags', 'A pannier for the rear rack costs 87 euros.'), 'bags/broken.pdf': 'no pdf', 'logo.png': 'x' };
    const { status, body, text } = await upload('name=bags.zip', Buffer.from(zip(first)), {});
    assert.equal(status, 202, text);
    await server.waitForIngestion(shop, body.ingestion_id);
    const members = async () => (await server.get('/v1/sources?limit=100', shop.key)).body.data.filter((source) => source.parent_id === body.source_id);
    const found = await members();
    assert.deepEqual(found.map((source) => source.name).sort(), ['bags.zip/bags/broken.pdf', 'bags.zip/bags/prices.md']);
    const reading = async (source) => (await server.get(`/v1/ingestions?source_id=${source.id}`, shop.key)).body.data[0].id;
    for (const source of found) {
      const read = server.waitForIngestion(shop, await reading(source));
      if (source.name.endsWith('.pdf')) await assert.rejects(read, /not read: It is damaged, or no PDF/);
      else await read;
    }
    assert.match(await answers('What does a pannier for the rear rack cost?'), /87 euros/);
    assert.equal((await server.call('DELETE', `/v1/sources/${body.source_id}`, { key: shop.key })).status, 204);
    assert.deepEqual(await members(), []);
    assert.equal((await server.ask(shop, 'What does a pannier for the rear rack cost?')).kind, 'no_answer');
  });

  await t.test('office documents, tables and JSON, told by their names', async () => {
    const W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
    const paragraph = (text) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;
    const word = zip({ 'word/document.xml': `<w:document ${W}><w:body>${paragraph('A child seat costs 119 euros, mounting included.')}</w:body></w:document>` });
    const pdf = '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n'
      + '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj\n'
      + '4 0 obj<<>>stream\nBT /F 10 Tf 50 500 Td (A trailer for two children costs 389 euros.) Tj ET\nendstream endobj\n'
      + '5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n';
    for (const [name, body, question, wanted] of [
      ['trailers.pdf', pdf, 'What does a trailer for two children cost?', /389 euros/],
      ['seats.docx', word, 'What does a child seat cost?', /119 euros/],
      ['pumps.csv', 'pump;price\nfloor pump with gauge;43 euros\nhand pump;18 euros\n', 'What does a floor pump with gauge cost?', /43 euros/],
      ['faq.json', '[{"question":"Do you repair scooters?","answer":"We repair scooters on Thursdays only."}]', 'Do you repair scooters?', /Thursdays/],
    ]) {
      const answer = await upload(`name=${name}`, Buffer.from(body), {});
      assert.equal(answer.status, 202, answer.text);
      await server.waitForIngestion(shop, answer.body.ingestion_id);
      const answered = await server.ask(shop, question);
      assert.match(answered.answer, wanted);
      assert.equal(answered.citations[0].page, name.endsWith('.pdf') ? 1 : undefined);
    }
    const bomb = zip({ 'word/document.xml': '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>' });
    const { body } = await upload('name=bomb.docx', bomb, {});
    await assert.rejects(server.waitForIngestion(shop, body.ingestion_id), /entities of its own/);
  });

  await t.test('a note of one line is found, too', async () => {
    await server.addDocument(shop, 'bells.md', '# Bells\n\nA bell costs 12 euros.\n');
    assert.match(await answers('What does a bell cost?'), /12 euros/);
    assert.match(await answers('How much is a bell?'), /12 euros/);
  });

  await t.test('progress is told as events that end with done', async () => {
    const { body } = await upload('name=long.md', Array.from({ length: 300 }, (_, i) => page(`Shelf ${i}`, `Shelf ${i} holds saddles of the maker number ${i}.`)).join('\n'));
    const events = await server.eventsToEnd(`/v1/ingestions/${body.ingestion_id}/events`, { key: shop.key });
    assert.equal(events.at(-1).type, 'done');
    assert.equal(events.at(-1).data.progress, 1);
    const progress = events.map((event) => event.data.progress);
    assert.deepEqual([...progress].sort((a, b) => a - b), progress);
    const late = await server.eventsToEnd(`/v1/ingestions/${body.ingestion_id}/events`, { key: shop.key });
    assert.deepEqual(late.map((event) => event.type), ['done'], 'who comes late sees the end');
  });

  await t.test('an upload again is a new version, and nothing of the old one is found', async () => {
    const question = 'What does a winter tyre cost?';
    const first = await server.addDocument(shop, 'tyres.md', page('Tyres', 'A winter tyre costs 42 euros.'));
    assert.match(await answers(question), /42 euros/);
    const second = await server.addDocument(shop, 'tyres.md', page('Tyres', 'A winter tyre costs 48 euros.'));
    assert.deepEqual([second.source_id, second.version, second.created], [first.source_id, 2, false]);
    assert.match(await answers(question), /48 euros/);
    assert.ok(!(await server.ask(shop, question)).snippets.some((s) => s.quote.includes('42')));
    const versions = (await server.get(`/v1/sources/${first.source_id}/versions`, shop.key)).body.data;
    assert.deepEqual(versions.map((v) => [v.version, v.is_current]), [[2, true], [1, false]]);
    const same = await upload('name=tyres.md', page('Tyres', 'A winter tyre costs 48 euros.'));
    assert.deepEqual([same.body.unchanged, same.body.version, same.body.ingestion_id], [true, 2, null]);
  });

  await t.test('a version that cannot be read leaves the one before in force', async () => {
    const bad = await upload('name=tyres.md', Buffer.from([0, 1, 2, 3, 0xff, 0xfe, 0x80, 0, 0, 7]));
    await assert.rejects(server.waitForIngestion(shop, bad.body.ingestion_id), /not read/);
    assert.match(await answers('What does a winter tyre cost?'), /48 euros/);
  });

  await t.test('reading again gives the same', async () => {
    const { data } = (await server.get('/v1/sources', shop.key)).body;
    const source = data.find((one) => one.name === 'shop.md');
    const { status, body } = await server.post(`/v1/sources/${source.id}/reprocess`, shop.key, {});
    assert.equal(status, 202);
    await server.waitForIngestion(shop, body.ingestion_id);
    assert.match(await answers(PUNCTURE), /19 euros/);
    assert.equal((await server.get(`/v1/sources/${source.id}`, shop.key)).body.chunk_count, source.chunk_count);
  });

  await t.test('the original comes back through a link, whole or in part', async () => {
    const text = page('Gr\u00f6\u00dfen', 'A frame of 58 cm fits whoever is 180 cm tall.');
    const { source_id: id } = await server.addDocument(shop, 'size "58"/gr\u00f6\u00dfen.md', text);
    const bytes = Buffer.from(text);
    const { status, body } = await server.get(`/v1/sources/${id}/link?expires_in=60`, shop.key);
    assert.equal(status, 200);
    assert.ok(new Date(body.expires_at) > new Date());
    const target = body.url.slice(body.url.indexOf('/v1/blobs/'));
    const fetchIt = async (headers = {}, method = 'GET') => {
      const response = await fetch(server.url + target, { method, headers });
      return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
    };
    const whole = await fetchIt();
    assert.equal(whole.status, 200);
    assert.deepEqual(whole.bytes, bytes);
    assert.equal(whole.headers.get('content-type'), 'text/markdown');
    assert.equal(whole.headers.get('content-disposition'), `attachment; filename="gr____en.md"; filename*=UTF-8''gr%C3%B6%C3%9Fen.md`);
    assert.equal(whole.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(whole.headers.get('set-cookie'), null);
    const etag = whole.headers.get('etag');
    const size = bytes.length;
    for (const [range, wantStatus, from, to] of [
      ['bytes=0-9', 206, 0, 10], ['bytes=5-5', 206, 5, 6], ['bytes=10-', 206, 10, size], ['bytes=-7', 206, size - 7, size],
      [`bytes=-${size + 100}`, 206, 0, size], [`bytes=3-${size + 100}`, 206, 3, size], [`bytes=${size - 1}-`, 206, size - 1, size],
      ['bytes=9-3', 200, 0, size], ['bytes=0-1,4-5', 200, 0, size], ['lines=1-2', 200, 0, size], ['bytes=-', 200, 0, size],
      ['bytes=0x1-2', 200, 0, size], ['bytes=99999999999999999999-', 200, 0, size],
    ]) {
      const part = await fetchIt({ range });
      assert.equal(part.status, wantStatus, range);
      assert.deepEqual(part.bytes, bytes.subarray(from, to), range);
      assert.equal(part.headers.get('content-range'), wantStatus === 206 ? `bytes ${from}-${to - 1}/${size}` : null, range);
    }
    for (const range of [`bytes=${size}-`, 'bytes=-0', `bytes=${size + 5}-${size + 9}`]) {
      const beyond = await fetchIt({ range });
      assert.equal(beyond.status, 416, range);
      assert.equal(beyond.headers.get('content-range'), `bytes */${size}`, range);
    }
    assert.equal((await fetchIt({ range: 'bytes=0-1', 'if-range': etag })).status, 206);
    assert.equal((await fetchIt({ range: 'bytes=0-1', 'if-range': '"other"' })).status, 200);
    const head = await fetchIt({}, 'HEAD');
    assert.deepEqual([head.status, head.bytes.length, head.headers.get('content-length')], [200, 0, String(size)]);

    const forged = `${target.slice(0, -1)}${target.endsWith('A') ? 'B' : 'A'}`;
    assert.equal((await server.get(forged)).status, 404);
    assert.equal((await server.get('/v1/blobs/x')).status, 404);
    assert.equal((await server.get(`/v1/sources/${id}/link?expires_in=604801`, shop.key)).status, 400);
    assert.equal((await server.get(`/v1/sources/${id}/link?expires_in=0`, shop.key)).status, 400);
    assert.equal((await server.get(`/v1/sources/${id}/link?version=7`, shop.key)).status, 404);
    assert.equal((await server.call('DELETE', `/v1/sources/${id}`, { key: shop.key })).status, 204);
    await server.waitUntilIdle(shop);
    assert.equal((await server.get(target)).status, 404, 'a link to what is gone');
  });

  await t.test('what is deleted leaves nothing', async () => {
    const { source_id: id } = await server.addDocument(shop, 'secret-sale.md', page('Sale', 'The zeppelin sale begins on the ninth of May.'));
    assert.match(await answers('When does the zeppelin sale begin?'), /ninth of May/);
    assert.equal((await server.call('DELETE', `/v1/sources/${id}`, { key: shop.key })).status, 204);
    assert.match(await answers('When does the zeppelin sale begin?'), HONEST);
    for (const target of [`/v1/sources/${id}`, `/v1/sources/${id}/text`, `/v1/sources/${id}/versions`]) {
      assert.equal((await server.get(target, shop.key)).status, 404, target);
    }
    for (const table of ['source', 'source_version', 'chunk', 'index_chunk', 'ingestion']) {
      const column = table === 'source' ? 'id' : 'source_id';
      assert.deepEqual(await server.sql(shop, `SELECT count(*) AS n FROM ${table} WHERE ${column} = '${id}'`), [{ n: 0 }], table);
    }
    assert.deepEqual(await server.sql(shop, "SELECT count(*) AS n FROM index_posting WHERE term LIKE 'zeppelin%'"), [{ n: 0 }]);
  });

  await t.test('an upload is under a name and within limits', async () => {
    assert.equal((await upload('', '# x')).status, 400);
    assert.equal((await upload('name=x.md&audience=everybody', '# x')).status, 400);
    const empty = new FormData();
    empty.set('name', 'x.md');
    assert.equal((await server.call('POST', '/v1/tenant/upload', { key: shop.key, body: empty })).status, 400);
  });

  await t.test('parley ask asks a running server', async () => {
    const ask = (question) => server.run(['ask', '--url', server.url, '--key', shop.key, question]);
    const asked = await ask(PUNCTURE);
    assert.equal(asked.code, 0, asked.stderr);
    assert.match(asked.stdout, /19 euros[^]*\[1\] Harbour Cycles > Repairs/);
    assert.equal((await ask('Who painted the Mona Lisa?')).code, 3);
  });
});

test('what is for staff never reaches a customer', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const question = 'How much discount do members of staff get on bicycles?';
  await server.addDocument(shop, 'staff.md', page('Staff', 'Members of staff get a discount of 27 percent on bicycles.'), { audience: 'staff' });
  const bot = await addBot(server, telegram, shop);
  const channel = await server.addChannel(shop, 'web');

  await t.test('asked by staff it is found', async () => {
    assert.match((await server.ask(shop, question, { staff: true })).answer, /27 percent/);
  });

  await t.test('asked as a customer it is not, anywhere', async () => {
    const asked = await server.ask(shop, question);
    assert.ok(!JSON.stringify(asked).includes('27 percent'), JSON.stringify(asked));
    const visitor = await Visitor.open(server, channel.id);
    const answered = await visitor.ask(question);
    assert.ok(!JSON.stringify(answered.events).includes('27 percent'));
    telegram.userSays(bot.token, { chatId: 5, text: question });
    const [sent] = await telegram.waitForMessages(1, { chatId: 5 });
    assert.ok(!sent.text.includes('27'));
  });

  await t.test('a key for questions alone can neither search nor read it', async () => {
    const { body: key } = await server.post('/v1/keys', shop.key, { name: 'site', scopes: 'query' });
    assert.equal((await server.post('/v1/query', key.secret, { question, staff: true })).status, 403);
    assert.ok(!(await server.post('/v1/query', key.secret, { question })).text.includes('27 percent'));
    const source = (await server.get('/v1/sources', shop.key)).body.data.find((one) => one.name === 'staff.md');
    assert.equal((await server.get(`/v1/sources/${source.id}/text`, key.secret)).status, 403);
    assert.equal((await server.get('/v1/sources', key.secret)).status, 403);
  });

  await t.test('made narrower, a document is hidden at once', async () => {
    await server.addDocument(shop, 'plans.md', page('Plans', 'The new branch opens in Quentinville.'));
    assert.match((await server.ask(shop, 'Where does the new branch open?')).answer, /Quentinville/);
    await server.addDocument(shop, 'plans.md', page('Plans', 'The new branch opens in Quentinville.'), { audience: 'staff' });
    assert.ok(!JSON.stringify(await server.ask(shop, 'Where does the new branch open?')).includes('Quentinville'));
  });
});
