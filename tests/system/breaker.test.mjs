// breaker.test.mjs - a provider that is away delays its own channel alone, and gets everything when it is back
import assert from 'node:assert/strict';
import test from 'node:test';

import { until } from '../support/server.mjs';
import { PUNCTURE, addBot, openServer, openTelegram } from './scene.mjs';

const CHATS = [7001, 7002, 7003, 7004, 7005, 7006];

test('a channel whose provider is away waits alone', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const dead = await addBot(server, telegram, shop);
  const well = await addBot(server, telegram, shop);
  const breaker = async (bot) => (await server.get(`/v1/channels/${bot.channel.id}`, shop.key)).body.breaker;
  const answer = async (bot, chatId) => (await telegram.waitForMessages(1, { bot: bot.token, chatId })).at(-1).text;

  assert.deepEqual(await breaker(dead), { state: 'closed' });
  telegram.fail({ method: 'sendMessage', bot: dead.token, status: 500, times: 3 });
  for (const chatId of CHATS.slice(0, 3)) telegram.userSays(dead.token, { chatId, text: PUNCTURE });
  const open = await until(async () => {
    const seen = await breaker(dead);
    return seen.state === 'open' ? seen : null;
  }, 'the breaker to open');
  assert.ok(new Date(open.until) > Date.now(), JSON.stringify(open));
  assert.match(open.reason, /./);
  // On a slow machine its time may be over before all this was looked at; when it was tried is looked at in the end.
  const whileOpen = (check) => { if (Date.now() < Date.parse(open.until)) check(); };
  for (const chatId of CHATS.slice(3)) telegram.userSays(dead.token, { chatId, text: PUNCTURE });
  const openCount = await server.metric('parley_gateway_breaker_channels', { source: 'telegram', state: 'open' });
  whileOpen(() => assert.equal(openCount, 1));
  assert.ok(!JSON.stringify(open).includes(dead.token));
  const remote = ['--url', server.url, '--key', shop.key];
  const stated = JSON.parse((await server.run(['status', '--channels', '--json', ...remote])).stdout);
  whileOpen(() => assert.deepEqual(stated.map((row) => [row.id, row.breaker.state]).sort(), [[dead.channel.id, 'open'], [well.channel.id, 'closed']].sort()));
  const { stdout } = await server.run(['status', '--channels', ...remote]);
  whileOpen(() => assert.match(stdout, /^telegram +telegram +active +open +2\d{3}-\S+Z .*\n/m));
  assert.match(stdout, /^telegram +telegram +active +closed /m);

  telegram.userSays(well.token, { chatId: 8001, text: PUNCTURE });
  assert.match(await answer(well, 8001), /19 euros/);
  const { state } = await breaker(dead);
  whileOpen(() => assert.equal(state, 'open', 'the other bot answered while this one waited'));
  await until(async () => await server.metric('parley_gateway_sent_total', { source: 'telegram', result: 'delayed' }) >= 3, 'the rest to wait');
  assert.deepEqual(await breaker(well), { state: 'closed' });

  for (const chatId of CHATS) assert.match(await answer(dead, chatId), /19 euros/);
  const tried = telegram.calls({ method: 'sendMessage', bot: dead.token }).map(({ at }) => at);
  assert.ok(tried[2] < Date.parse(open.until) && tried[3] >= Date.parse(open.until) - 50, `tried at ${tried}, though open until ${open.until}`);
  await until(async () => (await breaker(dead)).state === 'closed', 'the breaker to close');
  assert.equal(await server.metric('parley_gateway_breaker_channels', { source: 'telegram', state: 'open' }), 0);
  assert.deepEqual(await server.list('/v1/dead-letters', shop.key), []);
  await server.stop();
  const read = JSON.parse((await server.run(['status', '--channels', '--json'])).stdout);
  assert.deepEqual(read.map((row) => [row.organization, row.source, row.breaker.state]), Array(2).fill(['shop', 'telegram', 'closed']));
});
