// observability.test.mjs - health, metrics, logs, the description of the API: what operators see
import assert from 'node:assert/strict';
import test from 'node:test';

import { engine } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, Visitor, addBot, openModel, openServer, openTelegram, postUpdate, textUpdate } from './scene.mjs';

test('logs', async (t) => {
  const telegram = await openTelegram(t, { strictChats: false });
  const model = await openModel(t);
  const server = await openServer(t, { publicUrl: true, settings: { ...model.settings, 'log.level': 'debug' } });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);
  const channel = await server.addChannel(shop, 'web');
  const word = 'Wolpertinger';

  // All that may go wrong or right with a text that nobody must find again.
  telegram.fail({ method: 'sendMessage', status: 500, times: 1 });
  model.script({ text: `A puncture repair costs 19 euros [1]. ${word}` }, { status: 400, error: 'bad request', headers: { 'x-should-retry': 'false' } });
  telegram.userSays(bot.token, { chatId: 1, text: `${PUNCTURE} ${word}` });
  await telegram.waitForMessages(1);
  const visitor = await Visitor.open(server, channel.id);
  await visitor.ask(`${DEPOSIT} ${word}`);
  await postUpdate(server, bot, `{"update_id": 1, "message": "${word}`);
  await postUpdate(server, bot, textUpdate(900, 1, word), { secret: 'not-that-secret' });
  await server.ask(shop, `Where is the ${word}?`);
  await server.post('/v1/query', shop.key, { question: word, [word]: 1 });
  await server.waitUntilIdle(shop);
  await server.stop();

  await t.test('are JSON lines with time, level and event', () => {
    assert.ok(server.stderr.length > 5);
    for (const line of server.stderr) {
      const entry = JSON.parse(line);
      assert.match(entry.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/, line);
      assert.ok(['debug', 'info', 'warn', 'error'].includes(entry.level), line);
      assert.match(entry.event, /^[a-z_]+(\.[a-z_]+)+$/, line);
    }
    assert.ok(server.log.some((entry) => entry.trace_id?.length === 32));
    assert.ok(server.log.some((entry) => entry.organization_id === shop.id));
  });

  await t.test('hold neither what people write nor secrets', () => {
    const secrets = [word, bot.token, bot.token.split(':')[1], bot.secret, 'not-that-secret', shop.key, 'sk-test', visitor.token];
    for (const line of server.stderr) {
      for (const secret of secrets) assert.ok(!line.includes(secret), `"${secret}" in ${line}`);
    }
  });
});

test('health and metrics', async (t) => {
  const server = await openServer(t, { settings: { 'http.trusted_proxies': '127.0.0.1' } });
  const { shop } = server;

  await t.test('alive and ready', async () => {
    const alive = await server.get('/healthz');
    assert.deepEqual([alive.status, alive.body.status], [200, 'alive']);
    const ready = await server.get('/readyz');
    assert.deepEqual([ready.status, ready.body.status], [200, 'ready']);
    assert.ok(engine === 'pgsql' ? ready.body.free_disk_bytes === undefined : ready.body.free_disk_bytes > 0);
  });

  await t.test('are Prometheus text: types, no series twice, buckets that grow', async () => {
    await server.ask(shop, PUNCTURE);
    const { text, headers } = await server.call('GET', '/metrics');
    assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    const series = new Set();
    const types = new Map();
    for (const line of text.trimEnd().split('\n')) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
      if (type) {
        assert.ok(!types.has(type[1]), line);
        types.set(type[1], type[2]);
      }
      if (line.startsWith('#')) continue;
      const match = /^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+-]+|\+Inf|NaN)$/.exec(line);
      assert.ok(match, line);
      assert.ok(!series.has(match[1] + (match[2] ?? '')), `twice: ${line}`);
      series.add(match[1] + (match[2] ?? ''));
      assert.ok(types.has(match[1]) || types.has(match[1].replace(/_(bucket|sum|count)$/, '')), `no type: ${line}`);
    }
    for (const name of ['parley_http_request_seconds', 'parley_answers_total', 'parley_answer_seconds']) assert.ok(types.has(name), name);
    const buckets = [...text.matchAll(/^parley_answer_seconds_bucket\{.*step="model".*\} (\d+)$/gm)].map((m) => Number(m[1]));
    assert.ok(buckets.length > 3);
    assert.deepEqual([...buckets].sort((a, b) => a - b), buckets);
  });

  await t.test('metrics are for this machine; a forwarded address counts when the proxy is trusted', async () => {
    assert.equal((await server.call('GET', '/metrics', { headers: { 'x-forwarded-for': '203.0.113.9' } })).status, 401);
    assert.equal((await server.call('GET', '/metrics', { headers: { 'x-forwarded-for': '127.0.0.1' } })).status, 200);
    await server.restart({ settings: { 'http.trusted_proxies': '' } });
    assert.equal((await server.call('GET', '/metrics', { headers: { 'x-forwarded-for': '203.0.113.9' } })).status, 200, 'a claim of anybody');
  });

  await t.test('or for whoever has the token', async () => {
    await server.restart({ settings: { 'http.metrics_token': 'scrape-me-please' } });
    assert.equal((await server.call('GET', '/metrics')).status, 401);
    assert.equal((await server.call('GET', '/metrics', { key: 'scrape-me-pleasE' })).status, 401);
    assert.equal((await server.call('GET', '/metrics', { key: 'scrape-me-please' })).status, 200);
  });
});

test('the OpenAPI document', async (t) => {
  const server = await openServer(t, { documents: false });
  const { body } = await server.get('/openapi.json');
  const operations = Object.entries(body.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, ...operation })));

  await t.test('is 3.1, every operation has an id of its own, a summary, answers', () => {
    assert.match(body.openapi, /^3\.1\./);
    assert.equal(new Set(operations.map((one) => one.operationId)).size, operations.length);
    for (const one of operations) {
      assert.ok(one.summary && one.tags.length === 1 && Object.keys(one.responses).some((code) => code.startsWith('2')), one.operationId);
      const inPath = [...one.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      assert.deepEqual(one.parameters.filter((p) => p.in === 'path').map((p) => p.name), inPath, one.operationId);
      assert.ok(one.parameters.every((p) => p.schema?.type), one.operationId);
    }
  });

  await t.test('every reference leads somewhere', () => {
    for (const [, ref] of JSON.stringify(body).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      assert.ok(ref.split('/').reduce((at, part) => at?.[part], body), ref);
    }
  });

  await t.test('every operation answers: nothing of it is 404 by route, 405 or 501', async () => {
    for (const one of operations.filter((each) => !each.path.includes('{'))) {
      const answer = await server.call(one.method.toUpperCase(), one.path, { body: one.method === 'post' ? {} : undefined });
      assert.ok(![405, 500, 501].includes(answer.status), `${one.operationId}: ${answer.status}`);
      if (one.security.length > 0) assert.equal(answer.status, 401, one.operationId);
    }
  });
});
