// roles.test.mjs - one system of several processes on one PostgreSQL: who does what, who is there, and what
// happens when one of them goes
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';

import { Parley, filesOnly, freePort, until } from '../support/server.mjs';
import { PUNCTURE, SHOP, addBot, openTelegram, postUpdate, textUpdate } from './scene.mjs';

const installed = () => {
  try {
    execFileSync('psql', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const skip = installed() ? false : 'PostgreSQL is not installed: scripts/setup.sh test';
const WAKE_MS = 120_000; // a worker that nobody wakes looks for work by itself, twice a minute

// A process of the system with a port of its own; only the first makes the database.
async function join(t, first, roles, settings = {}) {
  const server = await Parley.create({ ...first.settings, ...settings });
  server.database = first.database;
  server.port = await freePort();
  server.settings['http.listen'] = `127.0.0.1:${server.port}`;
  server.settings['data.folder'] = first.data;
  server.settings['database.url'] = first.database.url;
  t.after(() => server.destroy());
  await server.start({ command: ['serve', '--roles', roles] });
  return server;
}

async function openDatabase(t, settings = {}) {
  const first = await Parley.create({ 'limits.staff_per_minute': 0, 'limits.external_per_minute': 0, ...settings });
  if (!first.database) await first.makeDatabase();
  t.after(() => first.destroy());
  first.shop = await first.addOrganization('shop');
  return first;
}

test('a subset of roles needs a database server', { skip: filesOnly('that is what this says') }, async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  const { code, stderr } = await server.run(['serve', '--roles', 'worker']);
  assert.equal(code, 2);
  assert.match(stderr, /serve\.roles: one process has the data folder.*database\.url/);
  const unknown = await server.run(['serve', '--roles', 'worker,cook']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /gateway, api, worker, scheduler; not "cook"/);
});

test('a gateway and a worker', { skip }, async (t) => {
  const telegram = await openTelegram(t, { strictChats: false });
  const first = await openDatabase(t, { 'http.public_url': 'https://chat.example.org' });
  const gateway = await join(t, first, 'gateway,api');
  const { shop } = first;
  const worker = await join(t, first, 'worker,scheduler');

  await t.test('each serves what its roles are, and says who serves the rest', async () => {
    assert.equal((await worker.get('/healthz')).status, 200);
    assert.equal((await worker.get('/readyz')).status, 200);
    assert.equal((await worker.get('/metrics')).status, 200);
    const elsewhere = await worker.get('/v1/organization', shop.key);
    assert.equal(elsewhere.status, 421);
    assert.match(elsewhere.body.detail, /another process serves this/);
    assert.equal((await worker.post('/webhooks/telegram/0190a000-0000-7000-8000-000000000000', undefined, {})).status, 421);
    assert.equal((await gateway.get('/v1/organization', shop.key)).status, 200);
  });

  await t.test('both are there, for the API and for parley status', async () => {
    const { status, body } = await gateway.get('/v1/instances', shop.key);
    assert.equal(status, 200);
    assert.deepEqual(body.data.map((i) => [i.roles, i.status]), [['gateway,api', 'running'], ['worker,scheduler', 'running']]);
    assert.deepEqual(Object.keys(body.data[0]).sort(),
      ['duties', 'heartbeat_at', 'host', 'id', 'pid', 'roles', 'started_at', 'status', 'version']);
    assert.deepEqual((await first.runJson(['status'])).map((i) => i.id), body.data.map((i) => i.id));
    const remote = await first.run(['status', '--url', gateway.url, '--key', shop.key]);
    assert.equal(remote.code, 0, remote.stderr);
    assert.match(remote.stdout, /^status .*\nrunning .* gateway,api .*\nrunning .* worker,scheduler/);
    const limited = await first.addKey('shop', 'query');
    assert.equal((await gateway.get('/v1/instances', limited.secret)).status, 403);
  });

  await t.test('what the gateway takes, the worker answers', async () => {
    const uploaded = await gateway.call('POST', '/v1/tenant/upload?name=shop.md', {
      key: shop.key, body: SHOP, headers: { 'content-type': 'text/markdown' },
    });
    assert.equal(uploaded.status, 202, uploaded.text);
    await until(async () => (await gateway.get(`/v1/ingestions/${uploaded.body.ingestion_id}`, shop.key)).body.status === 'done',
      'the document to be read by the worker', WAKE_MS);
    const bot = await addBot(gateway, telegram, shop, { register: false });
    const posted = await postUpdate(gateway, bot, textUpdate(1, 4711, PUNCTURE));
    assert.equal(posted.status, 200, posted.text);
    const [answer] = await telegram.waitForMessages(1, { bot: bot.token, chatId: 4711, timeoutMs: WAKE_MS });
    assert.match(answer.text, /19 euros/);
  });

  await t.test('a key revoked by one is refused by the other within two seconds', async () => {
    const api = await join(t, first, 'api');
    const key = await first.addKey('shop', 'admin');
    assert.equal((await api.get('/v1/organization', key.secret)).status, 200);
    assert.equal((await gateway.call('DELETE', `/v1/keys/${key.id}`, { key: shop.key })).status, 204);
    const revoked = performance.now();
    await until(async () => {
      const asked = performance.now();
      const { status } = await api.get('/v1/organization', key.secret);
      if (status === 200) assert.ok(asked < revoked + 2000, `admitted ${asked - revoked} ms after it was revoked`);
      return status === 401;
    }, 'the key to be refused');
    await api.stop();
  });

  await t.test('stopped, one takes leave; killed, it is gone', async () => {
    const scheduler = await join(t, first, 'scheduler');
    const roles = async () => (await gateway.get('/v1/instances', shop.key)).body.data.map((i) => `${i.roles} ${i.status}`);
    assert.ok((await roles()).includes('scheduler running'));
    assert.equal((await scheduler.stop()).code, 0);
    assert.ok(!(await roles()).some((row) => row.startsWith('scheduler')));
    await worker.kill();
    await until(async () => (await roles()).includes('worker,scheduler gone'), 'the killed worker to be gone', 60_000);
    assert.deepEqual((await roles()).filter((row) => row.endsWith('running')), ['gateway,api running']);
  });
});

test('one of two gateways polls a bot; the other takes over when it is killed', { skip }, async (t) => {
  const telegram = await openTelegram(t);
  const first = await openDatabase(t);
  const one = await join(t, first, 'gateway,api,worker');
  const bot = await addBot(one, telegram, first.shop, { register: false });
  const duties = async (server) => (await server.get('/v1/instances', first.shop.key)).body.data
    .filter((i) => i.status === 'running').map((i) => i.duties);
  await until(async () => (await duties(one)).includes(1), 'the bot to be polled');
  const other = await join(t, first, 'gateway,api,worker');
  telegram.userSays(bot.token, { chatId: 1, text: PUNCTURE });
  await telegram.waitForMessages(1, { bot: bot.token, chatId: 1, timeoutMs: WAKE_MS });
  assert.deepEqual(await duties(other), [1, 0]);
  await one.kill();
  telegram.userSays(bot.token, { chatId: 2, text: PUNCTURE });
  await telegram.waitForMessages(1, { bot: bot.token, chatId: 2, timeoutMs: WAKE_MS });
  assert.deepEqual(await duties(other), [1]);
});

test('told to stop, it says so before it stops to serve', { skip: filesOnly('one engine is enough') }, async (t) => {
  const server = await Parley.create({ 'stop.announce': '60s' });
  t.after(() => server.destroy());
  await server.start();
  assert.equal((await server.get('/readyz')).status, 200);
  server.process.kill('SIGTERM');
  await server.waitForLog('server.stopping');
  await until(async () => (await server.get('/readyz')).status === 503, 'not to be ready');
  assert.equal((await server.get('/healthz')).status, 200);
  const end = await server.stop(); // a second signal ends the wait
  assert.equal(end.code, 0);
});
