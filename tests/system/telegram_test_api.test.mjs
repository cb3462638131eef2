// telegram_test_api.test.mjs - Telegram as somebody else understood it: the package telegram-test-api as the Bot API server
// of a channel, in both directions. It is polled; by webhook it shows no secret, so that nothing of it would be believed
import assert from 'node:assert/strict';
import test from 'node:test';

import TelegramServer from 'telegram-test-api';

import { freePort, until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openServer } from './scene.mjs';

const TOKEN = '666:system-test-secret-of-a-bot'; // it knows one bot, whose id is 666
const EMPTY_POLL_MS = 200; // as src/gateway/poller.c has it

test('telegram-test-api', async (t) => {
  const telegram = new TelegramServer({ host: '127.0.0.1', port: await freePort(), storeTimeout: 600 });
  await telegram.start();
  t.after(() => telegram.stop());
  const polls = []; // when it was asked
  const getUpdates = telegram.getUpdates.bind(telegram);
  telegram.getUpdates = (token) => {
    polls.push(performance.now());
    return getUpdates(token);
  };
  const server = await openServer(t);
  const { shop } = server;
  const added = await server.post('/v1/channels', shop.key, {
    source: 'telegram', name: 'A bot', credentials: { bot_token: TOKEN }, settings: { api_base: telegram.config.apiURL, burst_window_ms: 0 },
  });
  assert.equal(added.status, 201, added.text);
  assert.equal(added.body.check.account, '@TestNameBot');
  const answers = (chatId) => telegram.getUpdatesHistory(TOKEN).filter(({ message }) => String(message.chat_id) === String(chatId)).map(({ message }) => message);

  for (const [chatId, question, answer] of [[71, PUNCTURE, /19 euros/], [72, DEPOSIT, /100 euros/]]) {
    await t.test(`a question of ${chatId} is answered`, async () => {
      const person = telegram.getClient(TOKEN, { userId: chatId, chatId, firstName: 'Ada' });
      await person.sendMessage(person.makeMessage(question));
      const [message] = await until(() => (answers(chatId).length > 0 ? answers(chatId) : null), `an answer to ${chatId}`);
      assert.match(message.text, answer);
      await server.waitUntilIdle(shop);
      assert.equal(answers(chatId).length, 1);
      const [{ delivery }] = await server.sql(shop, `SELECT delivery FROM message WHERE role = 'assistant' AND external_chat_id = '${chatId}'`);
      assert.equal(delivery, 'sent');
    });
  }

  await t.test('a command that it marks as such is understood', async () => {
    const person = telegram.getClient(TOKEN, { userId: 73, chatId: 73, firstName: 'Bo' });
    await person.sendCommand(person.makeCommand('/start'));
    await until(() => answers(73).length > 0, 'an answer to /start');
  });

  // It does not hold an empty answer back until there is news, as Telegram does.
  await t.test('a server that says at once that there is nothing new is not asked without a pause', async () => {
    const from = polls.length;
    await until(() => polls.length > from + 10, 'ten polls');
    const [first, ...later] = polls.slice(from, from + 11);
    assert.ok(later.at(-1) - first >= 9 * EMPTY_POLL_MS, `ten polls in ${later.at(-1) - first} ms`);
  });
});
