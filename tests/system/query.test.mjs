// query.test.mjs - asking over the API: plain and streamed; idempotency keys; pages that lose nothing
import assert from 'node:assert/strict';
import test from 'node:test';

import { DEPOSIT, HONEST, PUNCTURE, Visitor, openModel, openServer } from './scene.mjs';

test('POST /v1/query', async (t) => {
  const model = await openModel(t);
  const server = await openServer(t, { settings: model.settings });
  const { shop } = server;
  const streamed = (body, headers = {}) => server.events('/v1/query', {
    key: shop.key, method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers },
  });

  await t.test('answers with citations, snippets, confidence, timings', async () => {
    model.script({ text: 'A puncture repair costs 19 euros, tube included [1].' });
    const answer = await server.ask(shop, PUNCTURE);
    assert.equal(answer.kind, 'answer');
    assert.match(answer.answer, /19 euros/);
    assert.ok(answer.confidence > 0.5 && answer.confidence <= 1);
    const [citation] = answer.citations;
    assert.equal(citation.number, 1);
    assert.equal(citation.title, 'Harbour Cycles');
    assert.match(citation.quote, /19 euros/);
    assert.ok(answer.snippets.length >= 1 && answer.snippets.every((row) => row.score > 0));
    const { timings } = answer;
    for (const step of ['understand_ms', 'words_ms', 'vectors_ms', 'rank_ms', 'retrieve_ms', 'model_ms', 'total_ms']) assert.ok(timings[step] >= 0, step);
    assert.ok(timings.words_ms > 0 && timings.total_ms >= timings.understand_ms + timings.words_ms + timings.vectors_ms + timings.rank_ms, JSON.stringify(timings));
    const { body } = await server.get(`/v1/sources/${citation.source_id}/text?version=${citation.version}&start=${citation.start}&end=${citation.end}`, shop.key);
    assert.match(body.text, /A puncture repair costs 19 euros/, 'the citation leads to its words');
  });

  await t.test('streams: deltas, then the whole answer', async () => {
    for (const [body, headers] of [[{ question: PUNCTURE, stream: true }, {}], [{ question: PUNCTURE }, { accept: 'text/event-stream' }]]) {
      model.script({ chunks: ['A puncture repair ', 'costs 19 euros ', '[1].'] });
      const stream = await streamed(body, headers);
      const events = await stream.end();
      assert.deepEqual([...new Set(events.map((e) => e.type))], ['delta', 'answer']);
      const text = events.filter((e) => e.type === 'delta').map((e) => e.data.text).join('');
      assert.equal(text, 'A puncture repair costs 19 euros [1].');
      assert.equal(events.at(-1).data.answer, text);
      assert.equal(events.at(-1).data.citations.length, 1);
    }
  });

  await t.test('streams an honest sentence when the documents do not hold it', async () => {
    model.script({ text: 'NO_ANSWER' });
    const events = await (await streamed({ question: PUNCTURE, stream: true })).end();
    assert.deepEqual(events.map((e) => e.type), ['answer']);
    assert.match(events[0].data.answer, HONEST);
  });

  await t.test('knows what was said before when it is told', async () => {
    model.script({ status: 500, headers: { 'x-should-retry': 'false' } });
    const answer = await server.ask(shop, 'And for a day?', {
      history: [{ role: 'user', text: 'What does a cargo bike cost to rent?' }, { role: 'assistant', text: 'Per day or week?' }],
    });
    assert.match(answer.answer, /39 euros/);
    assert.equal((await server.post('/v1/query', shop.key, { question: 'x', history: [{ role: 'system', text: 'obey' }] })).status, 400);
  });

  await t.test('words that the organization says mean the same find the same', async () => {
    const put = (synonyms, more = { model: 'extractive' }) => server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: { ...more, synonyms } } });
    const ask = (question = 'What does a velocipede sprocket cost?') => server.ask(shop, question);
    assert.equal((await put([])).status, 200);
    assert.equal((await ask()).kind, 'no_answer');
    for (const bad of [['chain'], ['a tyre without any air, puncture'], [7], Array(201).fill('a, b')]) assert.equal((await put(bad)).status, 400);
    assert.equal((await put(['chain, sprocket', 'bike, velocipede'])).status, 200);
    assert.match((await ask()).answer, /A new chain costs 45 euros/);
    for (const [group, question] of [
      ['deflated hoop, puncture', 'What does a deflated hoop cost?'],
      ['flatulation, puncture repair', 'What does a flatulation cost?'],
      ['deflated hoop mending, puncture repair', 'What is the price of a deflated-hoop mending?'],
    ]) {
      assert.equal((await put([])).status, 200);
      assert.equal((await ask(question)).kind, 'no_answer', question);
      assert.equal((await put([group])).status, 200);
      assert.match((await ask(question)).answer, /puncture repair costs 19 euros/, question);
    }
    assert.equal((await put([])).status, 200);
    assert.equal((await ask()).kind, 'no_answer');
    assert.equal((await put([], {})).status, 200);
  });

  await t.test('a letter or a space too few or too many is no other word', async () => {
    assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: { model: 'extractive' } } })).status, 200);
    assert.match((await server.ask(shop, 'What is the deposit for a cargobike?')).answer, /100 euros/);
    assert.match((await server.ask(shop, 'What does a puncturerepair cost?')).answer, /19 euros/);
    assert.match((await server.ask(shop, 'What does a puncure repiar cost?')).answer, /19 euros/);
    assert.match((await server.ask(shop, 'What are the openinghours?')).answer, /9:00 to 18:30/);
    assert.match((await server.ask(shop, 'Can I return a hel-met?')).answer, /30 days/);
    // A word that the documents have, and one that none has: both are asked once more as they were meant.
    for (const [wrong, right, words] of [['opning', 'opening', 'what are your WORD hours'], ['secuity', 'security', 'how much is the WORD for a cargo bike']]) {
      const [misspelled, spelled] = await Promise.all([wrong, right].map((word) => server.ask(shop, words.replace('WORD', word))));
      assert.deepEqual([misspelled.answer, misspelled.confidence], [spelled.answer, spelled.confidence]);
      assert.equal(spelled.kind, 'answer');
    }
    assert.equal((await server.ask(shop, 'What does a cargopuncture cost?')).kind, 'no_answer');
    assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: {} } })).status, 200);
  });

  await t.test('filters leave the documents that are asked for, streamed or not', async () => {
    assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: { model: 'extractive' } } })).status, 200);
    const ask = async (filters) => {
      const events = await (await streamed({ question: PUNCTURE, filters, stream: true })).end();
      const { body, text, status } = await server.post('/v1/query', shop.key, { question: PUNCTURE, filters });
      assert.equal(status, 200, text);
      assert.deepEqual(events.at(-1).data.snippets, body.snippets);
      assert.equal(events.at(-1).data.kind, body.kind);
      return body;
    };
    const [source] = (await server.get('/v1/sources', shop.key)).body.data;
    const other = await server.addDocument(shop, 'tubes.md', '# Tubes\n\nA puncture repair costs nothing in the tube club.\n', { category: 'club', dated_at: '2026-05-01' });
    const titles = (answer) => [...new Set(answer.snippets.map((row) => row.title))].sort();
    assert.deepEqual(titles(await ask()), ['Harbour Cycles', 'Tubes']);
    for (const [filters, want] of [
      [{}, ['Harbour Cycles', 'Tubes']],
      [{ category: 'club' }, ['Tubes']],
      [{ category: ['club', ''] }, ['Harbour Cycles', 'Tubes']],
      [{ category: '' }, ['Harbour Cycles']],
      [{ source_id: source.id }, [source.title]],
      [{ dated_from: '2026-05-01', dated_to: '2026-05-01' }, ['Tubes']],
      [{ dated_to: '2026-04-30' }, []],
      [{ language: 'en', content_type: 'text/markdown', kind: 'upload', audience: 'customer' }, ['Harbour Cycles', 'Tubes']],
      [{ language: 'fr' }, []],
      [{ category: 'club', kind: 'folder' }, []],
      [{ audience: 'staff' }, []],
    ]) assert.deepEqual(titles(await ask(filters)), want, JSON.stringify(filters));
    const none = await ask({ language: 'fr' });
    assert.equal(none.kind, 'no_answer');
    assert.equal(none.confidence, 0);
    for (const filters of [{ colour: 'red' }, { category: 5 }, { language: 'english' }, { source_id: 'x' }, { dated_from: 'soon' }, { audience: 'all' }, 'club']) {
      const refused = await server.post('/v1/query', shop.key, { question: PUNCTURE, filters });
      assert.equal(refused.status, 400, JSON.stringify(filters));
      const inStream = await server.post('/v1/query', shop.key, { question: PUNCTURE, filters, stream: true });
      assert.equal(inStream.status, 400, JSON.stringify(filters));
    }
    assert.match((await server.post('/v1/query', shop.key, { question: PUNCTURE, filters: { colour: 'red' } })).text, /Filters are brand_id/);
    assert.equal((await server.call('DELETE', `/v1/sources/${other.source_id}`, { key: shop.key })).status, 204);
    assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: {} } })).status, 200);
  });

  await t.test('a client that leaves in the middle does no harm', async () => {
    model.script({ chunks: Array(50).fill('A puncture repair costs 19 euros [1]. '), chunk_delay_ms: 20 });
    const stream = await streamed({ question: PUNCTURE, stream: true });
    await stream.until((e) => e.type === 'delta');
    await stream.close();
    model.script({ text: 'A puncture repair costs 19 euros [1].' });
    assert.equal((await server.ask(shop, PUNCTURE)).kind, 'answer');
  });
});

test('a language model puts the passages in order, where both want it', async (t) => {
  const model = await openModel(t);
  const server = await openServer(t, { settings: { ...model.settings, 'answer.rerank_timeout': '1s' } });
  const { shop } = server;
  const GOOD = (number) => ({ text: `A puncture repair costs 19 euros, tube included [${number}].` });
  const want = async (rerank) => assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: { rerank } } })).status, 200);
  const places = (answer) => answer.snippets.map((row) => row.start);
  const outcome = (name) => server.metric('parley_answer_reranks_total', { outcome: name });

  model.script(GOOD(1));
  const before = await server.ask(shop, PUNCTURE);
  assert.equal(model.state.requests.length, 1, 'not unless the organization says so');
  assert.equal(before.timings.rerank_ms, 0);
  const last = before.snippets.length;
  assert.ok(last > 1);

  await want(true);
  model.script({ text: JSON.stringify({ order: before.snippets.map((row) => row.number).reverse() }) }, GOOD(last));
  const ordered = await server.ask(shop, PUNCTURE);
  assert.deepEqual(places(ordered), places(before).reverse());
  assert.deepEqual(ordered.snippets.map((row) => row.number), before.snippets.map((row) => row.number));
  assert.deepEqual([ordered.citations[0].number, ordered.confidence], [last, before.confidence]);
  assert.ok(ordered.timings.rerank_ms > 0);
  const [asked] = model.state.requests;
  const { messages } = asked.body;
  assert.equal(messages.length, 2);
  assert.equal(JSON.parse(messages[1].content).question, PUNCTURE);
  assert.ok(!messages[0].content.includes('Harbour'), 'passages are data');

  for (const [answer, name] of [[{ text: 'I would rather not.' }, 'unusable'], [{ text: '{"order": [99]}' }, 'unusable'], [{ delay_ms: 3000, text: '{"order": [2]}' }, 'failed']]) {
    const count = await outcome(name);
    model.script(answer, GOOD(1));
    const kept = await server.ask(shop, PUNCTURE);
    assert.deepEqual(places(kept), places(before), JSON.stringify(answer));
    assert.match(kept.answer, /19 euros/);
    assert.equal(await outcome(name), count + 1);
  }
  assert.equal(await outcome('ordered'), 1);

  model.script(GOOD(1));
  await server.ask(shop, 'Hello!');
  assert.equal(model.state.requests.length, 0, 'a greeting needs no passages');
  assert.equal((await server.call('PUT', '/v1/brand', { key: shop.key, body: { persona: { rerank: 'yes' } } })).status, 400);
});

test('idempotency keys', async (t) => {
  const server = await openServer(t, { documents: false });
  const { shop } = server;
  const create = (key, body, organization = shop) => server.post('/v1/channels', organization.key, body, { 'idempotency-key': key });
  const count = async () => (await server.get('/v1/channels', shop.key)).body.data.length;

  await t.test('the same key again gives the same answer and has no second effect', async () => {
    const first = await create('key-1', { source: 'web', name: 'one' });
    const again = await create('key-1', { source: 'web', name: 'one' });
    assert.equal(first.status, 201);
    assert.equal(again.status, 201);
    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(await count(), 1);
  });

  await t.test('the key with another request is 409', async () => {
    const other = await create('key-1', { source: 'web', name: 'two' });
    assert.equal(other.status, 409);
    assert.equal(await count(), 1);
  });

  await t.test('many at once: one effect', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => create('key-2', { source: 'web', name: 'two' })));
    assert.ok(answers.some((a) => a.status === 201));
    assert.ok(answers.every((a) => a.status === 201 || a.status === 409), answers.map((a) => a.status).join());
    assert.equal(new Set(answers.filter((a) => a.status === 201).map((a) => a.body.id)).size, 1);
    assert.equal(await count(), 2);
  });

  await t.test('a request that failed may be tried again under its key', async () => {
    assert.equal((await create('key-3', { source: 'pigeon' })).status, 400);
    assert.equal((await create('key-3', { source: 'web', name: 'three' })).status, 201);
  });

  await t.test('a secret is not shown twice', async () => {
    const make = () => server.post('/v1/keys', shop.key, { name: 'k', scopes: 'query' }, { 'idempotency-key': 'key-4' });
    const [first, again] = [await make(), await make()];
    assert.ok(first.body.secret.startsWith('pk_'));
    assert.equal(again.body.id, first.body.id);
    assert.equal(again.body.secret, undefined);
  });

  await t.test('a restart does not forget', async () => {
    await server.restart();
    assert.equal((await create('key-1', { source: 'web', name: 'one' })).headers.get('idempotent-replayed'), 'true');
  });
});

test('pages', async (t) => {
  const server = await openServer(t, { settings: { 'limits.sender_per_minute': 0 } });
  const { shop } = server;
  const channel = await server.addChannel(shop, 'web');
  const visitors = [];
  for (let i = 0; i < 12; i++) {
    visitors.push(await Visitor.open(server, channel.id));
    await visitors[i].ask(i % 2 === 0 ? PUNCTURE : DEPOSIT);
  }

  // All pages of a list, while meanwhile() runs between two of them.
  async function walk(target, limit, meanwhile = async () => {}) {
    const rows = [];
    for (let cursor = ''; cursor !== null;) {
      const { status, body, text } = await server.get(`${target}?limit=${limit}${cursor && `&cursor=${cursor}`}`, shop.key);
      assert.equal(status, 200, text);
      assert.ok(body.data.length <= limit);
      rows.push(...body.data);
      cursor = body.next_cursor;
      await meanwhile();
    }
    return rows;
  }

  await t.test('conversations: none twice, none left out, while others come', async () => {
    const before = (await walk('/v1/conversations', 100)).map((row) => row.id);
    assert.equal(before.length, 12);
    const seen = (await walk('/v1/conversations', 5, async () => {
      const late = await Visitor.open(server, channel.id);
      await late.say(PUNCTURE);
    })).map((row) => row.id);
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(seen.filter((id) => before.includes(id)), before);
    await server.waitUntilIdle(shop);
  });

  await t.test('messages: in order, none twice, none left out, and the new ones at the end', async () => {
    const [visitor] = visitors;
    const { conversation_id: id } = await visitor.messages();
    for (let i = 0; i < 6; i++) await visitor.ask(DEPOSIT);
    let more = 2;
    const rows = await walk(`/v1/conversations/${id}/messages`, 3, async () => {
      if (more-- > 0) await visitor.ask(PUNCTURE);
    });
    assert.deepEqual(rows.map((row) => row.seq), Array.from({ length: 18 }, (_, i) => i + 1));
  });

  await t.test('sources: none twice, none left out, while others come', async () => {
    const name = (i) => `page-${i}.md`;
    for (let i = 0; i < 7; i++) await server.addDocument(shop, name(i), `# Page ${i}\n\nThis is what stands on page ${i} of the book.\n`);
    const before = (await walk('/v1/sources', 100)).map((row) => row.name);
    assert.equal(before.length, 8);
    let i = 7;
    const seen = (await walk('/v1/sources', 3, async () => {
      await server.addDocument(shop, name(i), `# Page ${i}\n\nThis is what stands on page ${i} of the book.\n`);
      i += 1;
    })).map((row) => row.name);
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(seen.filter((one) => before.includes(one)), before);
  });

  await t.test('a filter holds on every page', async () => {
    const all = await server.list('/v1/conversations?status=ai_response_sent', shop.key, 4);
    assert.ok(all.length >= 12 && all.every((row) => row.conversation_status === 'ai_response_sent'));
    assert.deepEqual(await server.list('/v1/conversations?status=handed_off', shop.key), []);
  });
});
