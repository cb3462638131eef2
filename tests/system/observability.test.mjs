// observability.test.mjs - health, metrics, logs, the description of the API: what operators see
import assert from 'node:assert/strict';
import test from 'node:test';

import { GraphError } from '../doubles/meta/graph.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { engine, until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, Visitor, addBot, openModel, openServer, openTelegram, postUpdate, textUpdate } from './scene.mjs';

// One exposition of text format 0.0.4, read strictly: {types, samples: {series: value}, series: [{name, labels, value}]}.
function readExposition(text) {
  const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
  const VALUE = /^([+-]?(\d+(\.\d+)?([eE][+-]?\d+)?)|\+Inf|-Inf|NaN)$/;
  const families = new Map(); // in order
  const samples = [];
  assert.ok(text.endsWith('\n'), 'the last line ends');
  let family = null;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      assert.match(name, NAME, line);
      if (!families.has(name)) families.set(name, { samples: 0 });
      family = name;
      const known = families.get(name);
      assert.ok(known[kind] === undefined && known.samples === 0, `twice, or after its samples: ${line}`);
      if (kind === 'TYPE') assert.match(rest, /^(counter|gauge|histogram)$/, line);
      else assert.ok(rest.length > 0, line);
      known[kind] = rest;
      continue;
    }
    const match = /^([^\s{]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    assert.ok(match, `neither a comment nor a sample: ${line}`);
    const [, name, inside = '', value] = match;
    assert.match(name, NAME, line);
    assert.match(value, VALUE, line);
    const labels = {};
    let rest = inside;
    while (rest !== '') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/.exec(rest);
      assert.ok(label, line);
      assert.ok(!(label[1] in labels), line);
      labels[label[1]] = label[2];
      rest = rest.slice(label[0].length);
      assert.ok(label[3] === '' || rest !== '', `a comma at the end: ${line}`);
    }
    const of = families.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    assert.equal(of, family, `outside of its family: ${line}`);
    const { TYPE, HELP } = families.get(of);
    assert.ok(TYPE && HELP, `no TYPE or HELP: ${line}`);
    assert.equal(name !== of, TYPE === 'histogram', line);
    if (TYPE === 'counter') assert.ok(name.endsWith('_total') && Number(value) >= 0, line);
    families.get(of).samples += 1;
    samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) });
  }
  const keys = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()]));
  assert.equal(new Set(keys).size, keys.length, 'no series twice');
  checkHistograms(families, samples);
  return { families, samples };
}

// Buckets grow up to +Inf, which is the count; each has a sum.
function checkHistograms(families, samples) {
  const groups = new Map();
  for (const { name, labels, value } of samples) {
    const of = name.replace(/_(bucket|sum|count)$/, '');
    if (families.get(of)?.TYPE !== 'histogram') continue;
    const { le, ...others } = labels;
    const key = JSON.stringify([of, others]);
    if (!groups.has(key)) groups.set(key, { buckets: [] });
    if (name.endsWith('_bucket')) groups.get(key).buckets.push([Number(le.replace('Inf', 'Infinity')), value]);
    else groups.get(key)[name.endsWith('_sum') ? 'sum' : 'count'] = value;
  }
  assert.ok(groups.size > 0);
  for (const [key, { buckets, sum, count }] of groups) {
    assert.ok(buckets.length > 1 && sum >= 0, key);
    assert.deepEqual(buckets.map(([le]) => le), [...new Set(buckets.map(([le]) => le))].sort((a, b) => a - b), key);
    assert.deepEqual(buckets.map(([, n]) => n), buckets.map(([, n]) => n).sort((a, b) => a - b), key);
    assert.deepEqual(buckets.at(-1), [Infinity, count], key);
  }
}

// Each step of a message's way, with the series that must move: a counter, and a histogram of how long it takes.
const STEPS = [
  ['a webhook is received', 'parley_http_request_seconds_count', { method: 'POST' }, 'parley_http_request_seconds'],
  ['verified', 'parley_channel_verify_seconds_count', { source: 'whatsapp_business', result: 'ok' }, 'parley_channel_verify_seconds'],
  ['refused', 'parley_gateway_received_total', { source: 'whatsapp_business', result: 'denied' }, 'parley_channel_verify_seconds'],
  ['known already', 'parley_gateway_received_total', { source: 'whatsapp_business', result: 'duplicate' }, 'parley_gateway_receive_seconds'],
  ['recorded', 'parley_gateway_received_total', { source: 'whatsapp_business', result: 'message' }, 'parley_gateway_receive_seconds'],
  ['its job is queued', 'parley_queue_put_total', { topic: 'inbound' }, 'parley_store_seconds'],
  ['claimed', 'parley_queue_wait_seconds_count', { topic: 'inbound' }, 'parley_queue_wait_seconds'],
  ['passages are looked for', 'parley_answer_seconds_count', { step: 'retrieve' }, 'parley_answer_seconds'],
  ['a model answers', 'parley_model_seconds_count', { result: 'ok' }, 'parley_model_seconds'],
  ['what it says is checked', 'parley_answer_sentences_total', {}, 'parley_answer_seconds'],
  ['an answer is there', 'parley_answers_total', { kind: 'grounded' }, 'parley_answer_seconds'],
  ['the job is done', 'parley_queue_jobs_total', { topic: 'inbound', result: 'done' }, 'parley_queue_run_seconds'],
  ['sent', 'parley_gateway_sent_total', { source: 'whatsapp_business', result: 'ok' }, 'parley_gateway_send_seconds'],
  ['its delivery is reported', 'parley_gateway_reports_total', { source: 'whatsapp_business', state: 'delivered' }, 'parley_gateway_receive_seconds'],
  ['what cannot be sent is a dead letter', 'parley_queue_jobs_total', { topic: 'outbound', result: 'dead' }, 'parley_queue_run_seconds'],
  ['a document is read', 'parley_ingestions_total', { outcome: 'done' }, 'parley_ingestion_seconds'],
  ['its text is taken', 'parley_ingestion_step_seconds_count', { step: 'extract' }, 'parley_ingestion_step_seconds'],
  ['it is cut', 'parley_ingestion_step_seconds_count', { step: 'chunk' }, 'parley_ingestion_step_seconds'],
  ['it is put into the index', 'parley_ingestion_step_seconds_count', { step: 'index' }, 'parley_ingestion_step_seconds'],
];

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

test('every step of a message has its counter and its histogram', async (t) => {
  const model = await openModel(t);
  const whatsapp = new WhatsAppDouble({ timeScale: 0.001 });
  await whatsapp.start();
  t.after(() => whatsapp.stop());
  const server = await openServer(t, { publicUrl: true, settings: model.settings });
  const { shop } = server;
  whatsapp.addNumber({ id: '200100300400500', token: 'EAAtest0123456789abcdef' });
  const channel = await server.addChannel(shop, 'whatsapp_business', {
    credentials: { phone_number_id: '200100300400500', access_token: 'EAAtest0123456789abcdef', app_secret: whatsapp.options.appSecret },
    settings: { api_base: whatsapp.url, burst_window_ms: 0, waba_id: whatsapp.number().waba },
  });
  assert.equal((await server.post(`/v1/channels/${channel.id}/check`, shop.key, {})).status, 200);
  const read = async () => readExposition((await server.call('GET', '/metrics')).text).samples;
  const sum = (samples, name, labels) => samples
    .filter((one) => one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value))
    .reduce((total, { value }) => total + value, 0);
  const beforeDocument = await read();

  await server.addDocument(shop, 'lamps.md', '# Lamps\n\nA lamp costs 27 euros, batteries included.\n');
  await server.waitUntilIdle(shop);
  const before = await read();
  model.script({ text: 'A puncture repair costs 19 euros [1].' }, { text: 'A puncture repair costs 19 euros [1].' });
  whatsapp.duplicates = true;
  whatsapp.says('DE.71', PUNCTURE);
  const [sent] = await whatsapp.waitForMessages(1, 'DE.71');
  await whatsapp.waitUntilDelivered();
  whatsapp.duplicates = false;
  whatsapp.reports(sent, 'delivered');
  whatsapp.says('DE.72', PUNCTURE, { deliver: { secret: 'of-somebody-else', retries: false } });
  await whatsapp.waitUntilDelivered();
  await server.waitUntilIdle(shop);
  whatsapp.fail({ match: (call) => call.body?.type === 'text', error: new GraphError(131026, 'Message undeliverable'), times: 1 });
  whatsapp.says('DE.73', PUNCTURE);
  await whatsapp.waitUntilDelivered();
  // Counted a moment after it is done.
  const after = await until(async () => {
    const samples = await read();
    return sum(samples, 'parley_queue_jobs_total', { topic: 'outbound', result: 'dead' }) > 0
      && sum(samples, 'parley_store_seconds_count', { name: 'instance_beat' }) > 0 && samples; // it comes by itself
  }, 'the dead letter to be counted');

  for (const [step, counter, labels, histogram] of STEPS) {
    await t.test(step, () => {
      const from = counter.startsWith('parley_ingestion') ? beforeDocument : before;
      assert.ok(sum(after, counter, labels) > sum(from, counter, labels), `${counter} ${JSON.stringify(labels)} has not moved`);
      for (const part of ['_count', '_bucket']) assert.ok(sum(after, histogram + part, {}) > sum(from, histogram + part, {}), `${histogram}${part} has not moved`);
      assert.ok(sum(after, `${histogram}_sum`, {}) > sum(from, `${histogram}_sum`, {}), `${histogram}_sum has not moved`);
    });
  }

  await t.test('no label has a value of its own for each organization, person, conversation or message', async () => {
    const ids = new Set([shop.id, shop.slug, shop.key, channel.id, 'DE.71', 'DE.72', 'DE.73', sent.id, ...(await server.sql(shop, 'SELECT id FROM message')).map(({ id }) => id)]);
    const known = new Set(['route', 'method', 'status', 'source', 'result', 'state', 'topic', 'step', 'model', 'kind', 'reason', 'name', 'outcome', 'operation', 'use', 'how', 'embedder', 'le']);
    for (const { name, labels } of after) {
      for (const [label, value] of Object.entries(labels)) {
        assert.ok(known.has(label), `${label} of ${name}: is its number of values bounded?`);
        assert.ok(!ids.has(value) && !/[0-9a-f]{8}-[0-9a-f]{4}-/.test(value), `${name}{${label}="${value}"}`);
      }
    }
    // The same once more makes no new series.
    const count = after.length;
    whatsapp.says('DE.74', PUNCTURE);
    model.script({ text: 'A puncture repair costs 19 euros [1].' });
    await whatsapp.waitForMessages(1, 'DE.74');
    await server.waitUntilIdle(shop);
    const more = (await read()).filter((one) => !after.some(({ name, labels }) => name === one.name && JSON.stringify(labels) === JSON.stringify(one.labels)));
    assert.deepEqual(more.map(({ name, labels }) => [name, labels]), [], `${count} series before`);
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
    readExposition(text);
    for (const name of ['parley_http_request_seconds', 'parley_answers_total', 'parley_answer_seconds']) assert.ok(text.includes(`# TYPE ${name} `), name);
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
