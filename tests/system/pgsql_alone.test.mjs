// pgsql_alone.test.mjs - two servers on one PostgreSQL and nothing else: what is said at one is heard at
// the other, streams go on at either, and both go on when the server's sessions end
import assert from 'node:assert/strict';
import test from 'node:test';

import { Postgres } from '../support/postgres.mjs';
import { Parley } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, SHOP, Visitor } from './scene.mjs';

async function openPair(t) {
  const one = await Parley.create({
    'queue.transport': 'pgsql', 'live.transport': 'pgsql', 'limits.shared': 'pgsql', 'redis.addresses': '',
    'limits.staff_per_minute': 0, 'limits.external_per_minute': 0,
  });
  t.after(() => one.destroy());
  if (!one.database) await one.makeDatabase();
  const shop = await one.addOrganization('shop');
  const other = await Parley.create();
  t.after(() => other.destroy());
  Object.assign(other.settings, { ...one.settings, 'http.listen': other.settings['http.listen'] });
  await one.start();
  await other.start();
  await one.addDocument(shop, 'shop.md', SHOP);
  return { one, other, shop };
}

test('two servers on PostgreSQL alone', async (t) => {
  try {
    await Postgres.shared();
  } catch (error) {
    return t.skip(error.message);
  }
  const { one, other, shop } = await openPair(t);
  const channel = await one.addChannel(shop, 'web');
  const here = await Visitor.open(one, channel.id);
  const there = new Visitor(other, channel.id, here.token);
  const isAnswer = (about) => (e) => e.type === 'message' && e.data.role !== 'user' && about.test(e.data.text);
  let lastId;

  await t.test('said at one, heard at the other', async () => {
    for (const [says, hears] of [[here, there], [there, here]]) {
      const stream = await hears.events();
      says.count = Math.max(here.count, there.count);
      assert.equal((await says.say(PUNCTURE)).status, 202);
      lastId = (await stream.until(isAnswer(/19 euros/))).id;
      assert.ok(!stream.events.some((e) => e.type === 'reset'));
      await stream.close();
    }
  });

  await t.test('a stream goes on at the other, without a gap', async () => {
    here.count = Math.max(here.count, there.count);
    const heard = await here.events(lastId);
    assert.equal((await here.say(DEPOSIT)).status, 202);
    await heard.until(isAnswer(/100 euros/));
    await heard.close();
    const resumed = await there.events(lastId);
    await resumed.until(isAnswer(/100 euros/));
    await resumed.close();
    const ids = (stream) => stream.events.map((e) => e.id).filter(Boolean);
    assert.deepEqual(ids(resumed).slice(0, ids(heard).length), ids(heard));
    assert.ok(![...heard.events, ...resumed.events].some((e) => e.type === 'reset'));
  });

  await t.test('every session ended, both go on', async () => {
    const stream = await there.events();
    await one.database.run('SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
      + 'WHERE datname = current_database() AND pid <> pg_backend_pid()');
    here.count = Math.max(here.count, there.count);
    assert.equal((await here.say(PUNCTURE)).status, 202);
    await stream.until(isAnswer(/19 euros/));
    await stream.close();
  });
});
