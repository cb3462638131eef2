// tls_servers.test.mjs - PostgreSQL with TLS and client certificates, Redis with TLS: what is right works, and
// everything else is refused by the side that is to refuse it
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { Authority } from '../support/certificates.mjs';
import { Postgres } from '../support/postgres.mjs';
import { Redis } from '../support/redis.mjs';
import { Parley, filesOnly } from '../support/server.mjs';
import { PUNCTURE, SHOP, Visitor, openServer } from './scene.mjs';

const once = filesOnly('it starts servers of its own');
const ADDRESS = ['IP:127.0.0.1'];

test('PostgreSQL with TLS and client certificates', {
  skip: once || (await Postgres.isInstalled() ? false : 'PostgreSQL is not installed'),
}, async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  const authority = await Authority.make(path.join(server.folder, 'right'));
  const stranger = await Authority.make(path.join(server.folder, 'wrong'));
  await authority.issue('server', 'db.test', ADDRESS);
  const client = await authority.issue('client', 'parley_app');
  const postgres = await new Postgres().start(); // ends with this process
  const database = await postgres.makeDatabase();
  await postgres.command(`tls ${authority.folder}`);

  const address = ({ mode = 'verify-full', host = '127.0.0.1', ca = authority, shown = client } = {}) => {
    const url = new URL(`postgresql://parley_app@${host}:${postgres.port}${new URL(database.url).pathname}`);
    url.searchParams.set('sslmode', mode);
    url.searchParams.set('sslrootcert', ca.certificate);
    if (shown) url.searchParams.set('sslcert', shown.certificate);
    if (shown) url.searchParams.set('sslkey', shown.key);
    return url.href;
  };
  const trusted = `?sslmode=verify-full&sslrootcert=${encodeURIComponent(authority.certificate)}`;
  server.database = database;
  server.settings['database.url'] = address();
  server.settings['database.migration_url'] = database.migrationUrl + trusted;

  await t.test('serves over it, each connection with its certificate', async () => {
    const { code, stderr } = await server.run(['migrate']);
    assert.equal(code, 0, stderr);
    const shop = await server.addOrganization('shop');
    await server.start();
    await server.addDocument(shop, 'shop.md', SHOP);
    const channel = await server.addChannel(shop, 'web');
    assert.match((await (await Visitor.open(server, channel.id)).ask(PUNCTURE)).text, /19 euros/);
    const sessions = await database.rows(null, `SELECT s.ssl, s.client_dn AS name, count(*)::int AS n FROM pg_stat_ssl s
      JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'parley_app' GROUP BY 1, 2`);
    assert.deepEqual(sessions.map(({ ssl, name }) => [ssl, name]), [[true, '/CN=parley_app']]);
    assert.ok(sessions[0].n >= 2, 'the pool, and who listens');
    assert.equal((await server.stop()).code, 0);
  });

  const refused = [
    ['no certificate shown', { shown: null }, /certificate/],
    ['the certificate of another role', { shown: await authority.issue('other', 'parley_owner') }, /certificate authentication failed/],
    ['a certificate of another authority', { shown: await stranger.issue('client', 'parley_app') }, /unknown ca|alert|certificate/],
    ['a server of another authority', { ca: stranger }, /certificate verify failed/],
    ['a server of another name', { host: 'localhost' }, /does not match host name "localhost"/],
    ['no TLS', { mode: 'disable' }, /no encryption/],
  ];
  for (const [name, how, text] of refused) {
    await t.test(`${name}: refused`, async () => {
      const { code, stderr } = await server.run(['serve'], { settings: { 'database.url': address(how) } });
      assert.notEqual(code, 0);
      assert.match(stderr, text);
    });
  }
});

test('Redis with TLS', { skip: once || (Redis.installed() ? false : 'redis-server is not installed') }, async (t) => {
  const server = await openServer(t, { start: false });
  const authority = await Authority.make(path.join(server.folder, 'right'));
  const stranger = await Authority.make(path.join(server.folder, 'wrong'));
  await authority.issue('server', 'redis.test', ADDRESS);
  const redis = await Redis.start({ certificates: authority.folder });
  t.after(() => redis.stop());
  Object.assign(server.settings, {
    'queue.transport': 'redis', 'live.transport': 'redis', 'limits.shared': 'redis', 'redis.addresses': redis.tlsUrl,
    'redis.ca_file': authority.certificate,
  });

  await t.test('wake-ups travel over it', async () => {
    await server.start();
    await server.addDocument(server.shop, 'shop.md', SHOP);
    const channel = await server.addChannel(server.shop, 'web');
    assert.match((await (await Visitor.open(server, channel.id)).ask(PUNCTURE)).text, /19 euros/);
    assert.ok((await redis.do('KEYS', 'parley:wakeup*')).length >= 2);
    assert.deepEqual(server.log.filter(({ event }) => event === 'redis.unavailable'), []);
    await server.stop();
  });

  const refused = [
    ['a server of another authority', { 'redis.ca_file': stranger.certificate }, /certificate/i],
    ['a server of another name', { 'redis.addresses': redis.tlsUrl.replace('127.0.0.1', 'localhost') }, /certificate/i],
    ['TLS where there is none', { 'redis.addresses': redis.url.replace('redis:', 'rediss:') }, /TLS/],
  ];
  for (const [name, settings, text] of refused) {
    await t.test(`${name}: nothing is said to it, and the server goes on without`, async () => {
      await redis.do('FLUSHALL');
      await server.start({ settings });
      const { detail } = await server.waitForLog('redis.unavailable');
      assert.match(detail, text);
      assert.match(JSON.stringify(await server.ask(server.shop, PUNCTURE)), /19 euros/);
      assert.deepEqual(await redis.do('KEYS', '*'), []);
      await server.stop();
    });
  }

  await t.test('authorities that cannot be read: it does not start, and says so', async () => {
    await assert.rejects(server.start({ settings: { 'redis.ca_file': path.join(server.folder, 'missing.pem') } }), /missing\.pem/);
  });
});
