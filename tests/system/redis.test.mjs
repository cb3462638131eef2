// redis.test.mjs - a server whose wake-ups travel through a real Redis: it answers, it puts nothing there
// but ids, and it goes on without it
import assert from 'node:assert/strict';
import test from 'node:test';

import { Redis } from '../support/redis.mjs';
import { DEPOSIT, PUNCTURE, Visitor, openServer } from './scene.mjs';

test('wake-ups through Redis', { skip: Redis.installed() ? false : 'redis-server is not installed' }, async (t) => {
  const redis = await Redis.start();
  t.after(() => redis.stop());
  const server = await openServer(t, { settings: {
    'queue.transport': 'redis', 'live.transport': 'redis', 'limits.shared': 'redis', 'redis.addresses': redis.url,
  } });
  const channel = await server.addChannel(server.shop, 'web');
  const visitor = await Visitor.open(server, channel.id);

  await t.test('a question is answered', async () => {
    assert.match((await visitor.ask(PUNCTURE)).text, /19 euros/);
    const keys = await redis.do('KEYS', 'parley:wakeup*');
    assert.ok(keys.length >= 2, `${keys}`);
    const all = (await Promise.all(keys.map((key) => redis.do('XRANGE', key, '-', '+')))).flat();
    const text = JSON.stringify(all);
    assert.ok(text.includes(server.shop.id) && text.includes('"topic","ingest"'), text);
    for (const secret of ['puncture', 'euros', PUNCTURE, visitor.token, server.shop.key]) assert.ok(!text.includes(secret), secret);
    for (const [, fields] of all) {
      assert.deepEqual(fields.filter((_, i) => i % 2 === 0), ['organization_id', 'user_id', 'topic', 'lane', 'job_id', 'due_us']);
    }
  });

  await t.test('flushed, it goes on; browsers that may have missed something are told', async () => {
    const stream = await visitor.events();
    await redis.do('FLUSHALL');
    assert.equal((await visitor.say(DEPOSIT)).status, 202);
    await server.waitUntilIdle(server.shop);
    assert.match((await visitor.messages()).messages.at(-1).text, /100 euros/);
    await stream.until((e) => e.type === 'reset');
    await stream.close();
    assert.match((await visitor.ask(PUNCTURE)).text, /19 euros/);
  });

  await t.test('without Redis it answers; when it is back, browsers hear of it', async () => {
    const stream = await visitor.events();
    await redis.kill();
    assert.equal((await visitor.say(PUNCTURE)).status, 202);
    await server.waitUntilIdle(server.shop);
    assert.match((await visitor.messages()).messages.at(-1).text, /19 euros/);
    await redis.launch();
    await stream.until((e) => e.type === 'reset' || (e.type === 'message' && /19 euros/.test(e.data.text)));
    await stream.close();
    assert.match((await visitor.ask(DEPOSIT)).text, /100 euros/);
  });
});
