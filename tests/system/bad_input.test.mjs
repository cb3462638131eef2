// bad_input.test.mjs - bad input gets a clear answer, and nothing is lost: each promise of that kind once
import assert from 'node:assert/strict';
import test from 'node:test';

import { HONEST, PUNCTURE, addBot, openServer, openTelegram, postUpdate, textUpdate } from './scene.mjs';

const DUPLICATED = 'What is the deposit for a cargo bike?';

function assertProblem(answer, status, words) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  assert.equal(answer.body.status, status);
  assert.ok(answer.body.title.length > 0);
  assert.match(answer.body.detail, words);
}

test('bad input', async (t) => {
  const telegram = await openTelegram(t, { strictChats: false });
  const server = await openServer(t, {
    // Counted by itself: together, who is not answered within 5 ms has a share of its own, too.
    settings: { 'http.max_body': '64kB', 'limits.sender_per_minute': 20, 'limits.external_per_minute': 5, 'limits.shared': 'local' },
    publicUrl: true,
  });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);
  const inbound = () => server.sql(shop, "SELECT external_message_id, body FROM message WHERE role = 'user'");

  await t.test('a wrong or missing signature is 401 and counted', async () => {
    const before = await server.metric('parley_gateway_received_total', { source: 'telegram', result: 'denied' });
    assertProblem(await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { secret: null }), 401, /Secret-Token/);
    assertProblem(await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { secret: 'not-that-secret' }), 401, /Secret-Token/);
    assertProblem(await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { secret: '' }), 401, /Secret-Token/);
    assert.equal(await server.metric('parley_gateway_received_total', { source: 'telegram', result: 'denied' }), before + 3);
    assert.deepEqual(await inbound(), []);
  });

  await t.test('an unknown channel is 404', async () => {
    for (const id of ['01890000-0000-7000-8000-000000000000', 'x', '..', "' OR 1=1 --"]) {
      const answer = await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { path: `/webhooks/telegram/${encodeURIComponent(id)}` });
      assert.equal(answer.status, 404, `${id}: ${answer.text}`);
    }
    assert.equal((await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { path: `/webhooks/web/${bot.channel.id}` })).status, 404);
    assert.equal((await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { path: `/webhooks/smoke/${bot.channel.id}` })).status, 404);
    assert.equal((await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { path: '/webhook/telegram?account=4711' })).status, 404);
  });

  await t.test('the shared address finds the channel by the account', async () => {
    const path = `/webhook/telegram?account=${bot.id}`;
    assert.equal((await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { path, secret: 'not-that-secret' })).status, 401);
    assert.equal((await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE), { path })).status, 200);
    assert.equal((await inbound()).length, 1);
  });

  await t.test('a body over the limit is 413', async () => {
    const answer = await postUpdate(server, bot, textUpdate(2, 50, 'a'.repeat(100_000)));
    assert.equal(answer.status, 413, answer.text);
    assert.equal((await inbound()).length, 1);
  });

  await t.test('broken JSON is 400 and kept aside raw', async () => {
    const broken = '{"update_id": 3, "message": {"text": "hal';
    assertProblem(await postUpdate(server, bot, broken), 400, /./);
    assertProblem(await postUpdate(server, bot, '{"no_update_id": true}'), 400, /./);
    assertProblem(await postUpdate(server, bot, '[1, 2'), 400, /./);
    const { status, body } = await server.get('/v1/quarantine', shop.key);
    assert.equal(status, 200);
    assert.deepEqual(body.data.map((row) => row.raw), ['[1, 2', '{"no_update_id": true}', broken]);
    assert.ok(body.data.every((row) => row.channel_id === bot.channel.id && row.created_at));
    assert.equal(await server.metric('parley_gateway_received_total', { result: 'invalid' }), 3);
  });

  await t.test('bytes that are not UTF-8 are 400 and kept as well', async () => {
    const bytes = Buffer.concat([Buffer.from('{"update_id": 3, "x": "'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const answer = await server.call('POST', `/webhooks/telegram/${bot.channel.id}`, {
      body: bytes, headers: { 'x-telegram-bot-api-secret-token': bot.secret },
    });
    assert.equal(answer.status, 400, answer.text);
    assert.equal((await server.get('/v1/quarantine', shop.key)).body.data.length, 4);
  });

  await t.test('an update of an unknown kind is 200, counted, kept raw', async () => {
    const update = { update_id: 4, from_the_future: { chat: { id: 50 }, shape: 'unheard of' } };
    assert.equal((await postUpdate(server, bot, update)).status, 200);
    const { body } = await server.get('/v1/channel-events?kind=unknown', shop.key);
    assert.equal(body.data.length, 1);
    assert.deepEqual(JSON.parse(body.data[0].raw), update);
    assert.equal(await server.metric('parley_gateway_received_total', { source: 'telegram', result: 'unknown' }), 1);
  });

  await t.test('the same update again is 200 and has no effect', async () => {
    await server.waitUntilIdle(shop);
    const rows = await inbound();
    const sent = telegram.messages({ bot: bot.token }).length;
    for (let i = 0; i < 3; i++) assert.equal((await postUpdate(server, bot, textUpdate(1, 50, PUNCTURE))).status, 200);
    await Promise.all([1, 2, 3, 4].map(async () => assert.equal((await postUpdate(server, bot, textUpdate(5, 50, DUPLICATED))).status, 200)));
    await server.waitUntilIdle(shop);
    assert.deepEqual((await inbound()).map((row) => row.body), [...rows.map((row) => row.body), DUPLICATED]);
    assert.equal(telegram.messages({ bot: bot.token }).length, sent + 1);
    assert.equal(await server.metric('parley_gateway_received_total', { result: 'duplicate' }), 6);
  });

  await t.test('a repeated event has no effect', async () => {
    const update = { update_id: 6, edited_message: { ...textUpdate(6, 50, 'x').message, message_id: 999 } };
    assert.equal((await postUpdate(server, bot, update)).status, 200);
    assert.equal((await postUpdate(server, bot, update)).status, 200);
    assert.equal((await server.get('/v1/channel-events?kind=edit', shop.key)).body.data.length, 1);
  });

  await t.test('an expired or revoked key is 401', async () => {
    await server.stop();
    const expired = await server.addKey('shop', 'query', ['--expires', '2020-01-01T00:00:00Z']);
    await server.start();
    assertProblem(await server.get('/v1/organization', expired.secret), 401, /./);
    const fresh = await server.post('/v1/keys', shop.key, { name: 'short-lived', scopes: 'query' });
    assert.equal(fresh.status, 201, fresh.text);
    assert.equal((await server.get('/v1/organization', fresh.body.secret)).status, 200);
    assert.equal((await server.call('DELETE', `/v1/keys/${fresh.body.id}`, { key: shop.key })).status, 204);
    assertProblem(await server.get('/v1/organization', fresh.body.secret), 401, /./);
    const listed = (await server.get('/v1/keys', shop.key)).body.data.find((key) => key.id === fresh.body.id);
    assert.ok(listed.revoked_at && !JSON.stringify(listed).includes(fresh.body.secret));
  });

  await t.test('no key, and what is none, is 401', async () => {
    assertProblem(await server.get('/v1/organization'), 401, /API key/);
    for (const authorization of ['Bearer', 'Bearer ', 'Basic eDp5', 'Bearer pk_x_y', `Bearer ${shop.key.slice(0, -1)}`, `Bearer ${shop.key}x`]) {
      const answer = await server.call('GET', '/v1/organization', { headers: { authorization } });
      assert.equal(answer.status, 401, authorization);
      assert.ok(answer.headers.get('www-authenticate'));
    }
  });

  await t.test('a key without the scope is 403', async () => {
    const { body: reader } = await server.post('/v1/keys', shop.key, { name: 'reader', scopes: 'conversations:read' });
    assertProblem(await server.get('/v1/channels', reader.secret), 403, /scope admin/);
    assertProblem(await server.post('/v1/query', reader.secret, { question: PUNCTURE }), 403, /scope query/);
    assertProblem(await server.get('/v1/dead-letters', reader.secret), 403, /scope operate/);
    assert.equal((await server.get('/v1/conversations', reader.secret)).status, 200);
    const { body: asker } = await server.post('/v1/keys', shop.key, { name: 'asker', scopes: 'query' });
    assertProblem(await server.post('/v1/query', asker.secret, { question: PUNCTURE, staff: true }), 403, /query:staff/);
    const { body: clerk } = await server.post('/v1/keys', shop.key, { name: 'clerk', scopes: 'admin' });
    assertProblem(await server.post('/v1/keys', clerk.secret, { name: 'more', scopes: 'operate' }), 400, /scope/);
  });

  await t.test('too many requests are 429 with Retry-After', async () => {
    const { body: asker } = await server.post('/v1/keys', shop.key, { name: 'eager', scopes: 'query' });
    let refused = null;
    for (let i = 0; i < 5 || (refused.status === 200 && i < 50); i++) {
      refused = await server.get('/v1/organization', asker.secret);
      if (i < 5) assert.equal(refused.status, 200);
    }
    assertProblem(refused, 429, /./);
    assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    assert.equal((await server.get('/v1/organization', shop.key)).status, 200);
  });

  await t.test('one person who writes too much is 429, others go on', async () => {
    const answers = [];
    const began = Date.now();
    // One more is let in for each three seconds that this takes.
    for (let i = 0; i < 20 || (answers.at(-1).status === 200 && i < 60); i++) answers.push(await postUpdate(server, bot, textUpdate(100 + i, 60, `Line ${i}`)));
    const taken = answers.length - 1;
    assert.deepEqual(answers.map((a) => a.status), [...Array(taken).fill(200), 429]);
    assert.ok(taken >= 20 && taken <= 20 + (Date.now() - began) / 3000, `${taken} in ${Date.now() - began} ms`);
    assert.ok(Number(answers.at(-1).headers.get('retry-after')) >= 1);
    assert.equal((await postUpdate(server, bot, textUpdate(200, 61, PUNCTURE))).status, 200);
  });

  await t.test('a document that cannot be read fails alone, with a reason', async () => {
    const upload = (name, body, type) => server.call('POST', `/v1/tenant/upload?name=${name}`, {
      key: shop.key, body, headers: { 'content-type': type },
    });
    const bad = await upload('picture.md', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3, 0xff, 0xfe, 0, 0]), 'text/markdown');
    const good = await upload('good.md', '# Bells and horns\n\nA bell costs 12 euros. The workshop mounts it on your bike while you wait, and that is free of charge.\n\n## Horns\n\nA horn costs 20 euros, and it is not allowed in the old town during the night.\n', 'text/markdown');
    assert.equal(bad.status, 202, bad.text);
    await assert.rejects(server.waitForIngestion(shop, bad.body.ingestion_id), /not read/);
    await server.waitForIngestion(shop, good.body.ingestion_id);
    const ingestion = (await server.get(`/v1/ingestions/${bad.body.ingestion_id}`, shop.key)).body;
    assert.equal(ingestion.status, 'failed');
    assert.match(ingestion.error, /^[A-Z].*[a-z ]{10,}/, 'a sentence for a person');
    const source = (await server.get(`/v1/sources/${bad.body.source_id}`, shop.key)).body;
    assert.equal(source.error, ingestion.error);
    assert.match((await server.ask(shop, 'What does a bell cost?')).answer, /12 euros/);
  });

  await t.test('requests that are wrong in themselves say what to change', async () => {
    assertProblem(await server.post('/v1/query', shop.key, { question: '  ' }), 400, /question/);
    assertProblem(await server.post('/v1/query', shop.key, { q: 'x' }), 400, /question|"?q"?/);
    assertProblem(await server.call('POST', '/v1/query', { key: shop.key, body: '{"question": ' }), 400, /./);
    assertProblem(await server.post('/v1/channels', shop.key, { source: 'telegram', credentials: { bot_token: 'nonsense' } }), 400, /BotFather/);
    assertProblem(await server.post('/v1/channels', shop.key, { source: 'pigeon' }), 400, /./);
    assertProblem(await server.get('/v1/conversations?limit=1000', shop.key), 400, /limit/);
    assertProblem(await server.get('/v1/conversations?cursor=zz', shop.key), 400, /cursor/);
    assert.equal((await server.get('/v1/nothing-here', shop.key)).status, 404);
    const wrongMethod = await server.call('DELETE', '/v1/query', { key: shop.key });
    assert.equal(wrongMethod.status, 405, wrongMethod.text);
  });

  await t.test('a question beyond the documents gets the honest sentence', async () => {
    const answer = await server.ask(shop, 'Who won the chess tournament in Reykjavik?');
    assert.equal(answer.kind, 'no_answer');
    assert.match(answer.answer, HONEST);
    assert.deepEqual(answer.citations, []);
  });

  await t.test('an upload over the limit is 413', async () => {
    const { status, text } = await server.call('POST', '/v1/tenant/upload?name=huge.md', {
      key: shop.key, body: Buffer.alloc(17 * 1024 * 1024, 'a'), headers: { 'content-type': 'text/markdown' },
    }).catch((error) => ({ status: 413, text: String(error.cause) })); // cut off while sending is fine too
    assert.equal(status, 413, text);
    assert.match((await server.ask(shop, PUNCTURE)).answer, /19 euros/);
  });
});


