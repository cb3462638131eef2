// telegram.test.mjs - people on Telegram and the running server, both directions, through a faithful double
import assert from 'node:assert/strict';
import test from 'node:test';

import { until, within } from '../support/server.mjs';
import { DEPOSIT, HONEST, PUNCTURE, addBot, openModel, openServer, openTelegram } from './scene.mjs';

let lastChat = 5000;
const newChat = () => { lastChat += 1; return lastChat; };

async function conversationOf(server, chatId) {
  const rows = await server.sql(server.shop, `SELECT id FROM conversation WHERE external_chat_id = '${chatId}' ORDER BY created_at DESC`);
  return rows.length === 0 ? null : (await server.get(`/v1/conversations/${rows[0].id}`, server.shop.key)).body;
}

async function messagesOf(server, chatId) {
  const conversation = await conversationOf(server, chatId);
  return conversation ? server.list(`/v1/conversations/${conversation.id}/messages`, server.shop.key) : [];
}

// The last message of the chat once the provider has it and we know.
const settled = (server, chatId, delivery = 'sent') => until(async () => {
  const last = (await messagesOf(server, chatId)).at(-1);
  return last?.delivery === delivery ? last : null;
}, `the last message of chat ${chatId} to be ${delivery}`);

test('telegram, with a webhook', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop, { settings: { commands: [{ command: 'help', description: 'What I can do' }] } });
  const say = (chatId, text, more = {}) => telegram.userSays(bot.token, { chatId, text, ...more });
  const answer = async (chatId, count = 1) => (await telegram.waitForMessages(count, { bot: bot.token, chatId })).at(-1);

  await t.test('/check registers the webhook with its secret, the wanted updates and the commands', async () => {
    const { delivery, commands } = telegram.bot(bot.token);
    assert.equal(delivery.webhook.url, `${server.url}/webhooks/telegram/${bot.channel.id}`);
    assert.equal(delivery.webhook.secret_token, bot.secret);
    assert.ok(delivery.allowedUpdates.includes('message_reaction') && delivery.allowedUpdates.includes('callback_query'));
    assert.deepEqual(commands, [{ command: 'help', description: 'What I can do' }]);
    const { body } = await server.post(`/v1/channels/${bot.channel.id}/check`, shop.key, {});
    assert.equal(body.account, `@${bot.name}`);
    assert.equal(body.webhook_url, delivery.webhook.url);
  });

  await t.test('a question is answered from the documents, with citation, envelope and states', async () => {
    const chat = newChat();
    say(chat, PUNCTURE, { firstName: 'Ada' });
    assert.match((await answer(chat)).text, /19 euros/);
    const last = await settled(server, chat);
    const conversation = await conversationOf(server, chat);
    assert.equal(conversation.conversation_status, 'ai_response_sent');
    assert.equal(conversation.contact_name, 'Ada');
    assert.equal(conversation.title, PUNCTURE);
    assert.equal(last.metadata.citations[0].title, 'Harbour Cycles');
    assert.equal(last.metadata.citations[0].heading_path, 'Repairs');
    const { body } = await server.get(`/v1/messages/${last.id}`, shop.key);
    const { meta, message, processing, company } = body.envelope;
    assert.equal(meta.version, '1.0');
    assert.equal(meta.channel_type, 'telegram');
    assert.equal(company.company_id, shop.id);
    assert.match(processing.sent_response, /19 euros/);
    const stamps = processing.processing_timestamps;
    const inOrder = ['received', 'validated', 'queued', 'picked', 'answered', 'sent'].map((name) => stamps[name]);
    assert.ok(inOrder.every(Boolean), JSON.stringify(stamps));
    const microseconds = (stamp) => stamp.replace(/\.?(\d*)Z$/, (_, fraction) => `.${fraction.padEnd(6, '0')}`);
    assert.deepEqual(inOrder.map(microseconds).sort(), inOrder.map(microseconds));
    assert.equal(message.body, body.text);
    assert.equal(message.message_id, body.id);
    assert.equal(message.to, String(chat));
    assert.ok(!JSON.stringify(body).includes(bot.token) && !JSON.stringify(body).includes(bot.secret));
  });

  await t.test('a second question in the same chat goes into the same conversation', async () => {
    const chat = newChat();
    say(chat, DEPOSIT);
    await answer(chat, 1);
    say(chat, PUNCTURE);
    assert.match((await answer(chat, 2)).text, /19 euros/);
    await settled(server, chat);
    assert.deepEqual((await messagesOf(server, chat)).map((m) => [m.seq, m.role, m.answers_to_seq]),
      [[1, 'user', undefined], [2, 'assistant', 1], [3, 'user', undefined], [4, 'assistant', 3]]);
  });

  await t.test("a picture's caption is a question", async () => {
    const chat = newChat();
    telegram.userSends(bot.token, { chatId: chat }, {
      photo: [{ file_id: 'f1', file_unique_id: 'u1', width: 90, height: 90, file_size: 1000 }], caption: PUNCTURE,
    });
    assert.match((await answer(chat)).text, /19 euros/);
    const [first] = await messagesOf(server, chat);
    assert.equal(first.text, PUNCTURE);
    assert.equal(first.metadata.raw_kind, 'photo');
    assert.equal(first.metadata.attachments.length, 1);
  });

  await t.test('an edit changes the kept text and is not answered again', async () => {
    const chat = newChat();
    const { message } = say(chat, PUNCTURE);
    await answer(chat);
    telegram.userEdits(bot.token, { chatId: chat, messageId: message.message_id, text: 'What does a new chain cost?' });
    await telegram.waitUntilDelivered({ bot: bot.token });
    await server.waitUntilIdle(shop);
    const messages = await messagesOf(server, chat);
    assert.equal(messages.length, 2);
    assert.equal(messages[0].text, 'What does a new chain cost?');
    assert.equal(messages[0].metadata.edits[0].body, PUNCTURE);
    assert.equal((await server.get('/v1/channel-events?kind=edit', shop.key)).body.data.length, 1);
  });

  await t.test('a reaction is an event, never a message', async () => {
    const chat = newChat();
    say(chat, PUNCTURE);
    const sent = await answer(chat);
    telegram.userReacts(bot.token, { chatId: chat, messageId: sent.message_id, emoji: '👍' });
    await telegram.waitUntilDelivered({ bot: bot.token });
    assert.equal((await messagesOf(server, chat)).length, 2);
    assert.equal((await server.get('/v1/channel-events?kind=reaction', shop.key)).body.data.length, 1);
  });

  await t.test('a pressed button is acknowledged and answered', async () => {
    const chat = newChat();
    say(chat, DEPOSIT);
    const sent = await answer(chat);
    const { callback_query: query } = telegram.userPresses(bot.token, { chatId: chat, messageId: sent.message_id, data: PUNCTURE });
    assert.match((await answer(chat, 2)).text, /19 euros/);
    await until(() => telegram.callbackAnswered(bot.token, query.id), 'answerCallbackQuery');
    const pressed = (await messagesOf(server, chat))[2];
    assert.equal(pressed.metadata.interactive.data, PUNCTURE);
    assert.equal(pressed.text, PUNCTURE);
  });

  await t.test('location, contact and voice are kept; the customer is asked for words', async () => {
    const chat = newChat();
    telegram.userSends(bot.token, { chatId: chat }, { location: { latitude: 52.5, longitude: 13.4 } });
    assert.match((await answer(chat, 1)).text, /only read text/);
    telegram.userSends(bot.token, { chatId: chat }, { contact: { phone_number: '+4930123', first_name: 'Bo' } });
    await answer(chat, 2);
    telegram.userSends(bot.token, { chatId: chat }, { voice: { file_id: 'v', file_unique_id: 'vu', duration: 3 } });
    await answer(chat, 3);
    const inbound = (await messagesOf(server, chat)).filter((m) => m.role === 'user');
    assert.deepEqual(inbound.map((m) => m.metadata.raw_kind), ['location', 'contact', 'voice']);
    assert.deepEqual([inbound[0].metadata.location.latitude, inbound[0].metadata.location.longitude], [52.5, 13.4]);
    assert.equal(inbound[1].metadata.contact.phone_number, '+4930123');
  });

  await t.test('in a group only what is addressed to the bot is answered, as a reply', async () => {
    const group = -7001;
    say(group, 'What does a puncture repair cost, folks?', { userId: 31 });
    const addressed = say(group, `@${bot.name} ${PUNCTURE}`, { userId: 32 });
    const given = await answer(group);
    assert.equal(given.reply_to_message.message_id, addressed.message.message_id);
    await settled(server, group);
    assert.equal(telegram.messages({ bot: bot.token, chatId: group }).length, 1);
    assert.deepEqual((await messagesOf(server, group)).map((m) => [m.role, m.metadata.addressed]),
      [['user', false], ['user', true], ['assistant', undefined]]);
    say(group, DEPOSIT, { userId: 32, replyTo: given.message_id });
    assert.match((await answer(group, 2)).text, /100 euros/);
  });

  await t.test('a person who blocks the bot is unreachable, and reachable again by writing', async () => {
    const chat = newChat();
    const reachable = async () => (await server.sql(shop, `SELECT reachable FROM identity WHERE external_user_id = '${chat}'`))[0].reachable;
    say(chat, PUNCTURE);
    await answer(chat);
    telegram.userBlocks(bot.token, chat);
    await telegram.waitUntilDelivered({ bot: bot.token });
    assert.equal(await reachable(), 0);
    say(chat, DEPOSIT);
    await answer(chat, 2);
    assert.equal(await reachable(), 1);
  });

  await t.test('a send into a chat that blocks us fails for good, and says why', async () => {
    const chat = newChat();
    telegram.fail({ method: 'sendMessage', chatId: chat, status: 403 });
    say(chat, PUNCTURE);
    const last = await settled(server, chat, 'failed');
    const letters = (await server.get('/v1/dead-letters', shop.key)).body.data;
    const letter = letters.find((one) => one.payload.message_id === last.id);
    assert.equal(letter.attempts, 1);
    assert.match(letter.reason, /blocked|Forbidden/i);
    assert.equal((await conversationOf(server, chat)).conversation_status, 'failed');
    assert.equal((await server.sql(shop, `SELECT reachable FROM identity WHERE external_user_id = '${chat}'`))[0].reachable, 0);
    assert.equal((await server.call('DELETE', `/v1/dead-letters/${letter.id}`, { key: shop.key })).status, 204);
  });

  await t.test('a group that became a supergroup is followed', async () => {
    const [before, after] = [-7100, -1007100];
    say(before, `@${bot.name} ${PUNCTURE}`, { chatType: 'group', userId: 40 });
    await answer(before);
    await settled(server, before);
    telegram.migrateGroup(bot.token, { from: before, to: after });
    await telegram.waitUntilDelivered({ bot: bot.token });
    const moved = await conversationOf(server, after);
    say(after, `@${bot.name} ${DEPOSIT}`, { userId: 40 });
    assert.match((await answer(after)).text, /100 euros/);
    assert.equal((await conversationOf(server, after)).id, moved.id, 'the conversation goes on');
  });

  await t.test('a migration that only the send finds out is followed too', async () => {
    const [before, after] = [-7200, -1007200];
    say(before, `@${bot.name} hello`, { chatType: 'group', userId: 41 });
    await answer(before);
    await settled(server, before);
    const { id } = await conversationOf(server, before);
    telegram.migrateGroup(bot.token, { from: before, to: after, silent: true });
    const { status, text } = await server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'We moved with you.' });
    assert.equal(status, 201, text);
    assert.equal((await answer(after)).text, 'We moved with you.');
    await settled(server, after);
    assert.equal((await conversationOf(server, after)).id, id);
  });

  await t.test('an answer that got lost is uncertain: held, seen, and resent by a person', async () => {
    const chat = newChat();
    telegram.fail({ method: 'sendMessage', chatId: chat, mode: 'accept-hangup' });
    say(chat, PUNCTURE);
    const held = await settled(server, chat, 'uncertain');
    assert.equal(telegram.messages({ bot: bot.token, chatId: chat }).length, 1);
    assert.ok(await server.metric('parley_gateway_sent_total', { result: 'uncertain_held' }) >= 1);
    assert.equal((await server.post(`/v1/messages/${held.id}/resend`, shop.key, {})).status, 202);
    await settled(server, chat);
    assert.equal(telegram.messages({ bot: bot.token, chatId: chat }).length, 2);
    assert.equal((await server.post(`/v1/messages/${held.id}/resend`, shop.key, {})).status, 409);
  });

  await t.test('refused credentials break the channel; new ones mend it', async () => {
    const other = await addBot(server, telegram, shop);
    telegram.revoke(other.token);
    telegram.userSays(other.token, { chatId: 9, text: PUNCTURE });
    const channel = () => server.get(`/v1/channels/${other.channel.id}`, shop.key).then(({ body }) => body);
    await until(async () => (await channel()).status === 'broken', 'the channel to be marked');
    assert.ok((await channel()).status_reason.length > 0);
    telegram.revoke(other.token, false);
    assert.equal((await server.post(`/v1/channels/${other.channel.id}/check`, shop.key, {})).status, 200);
    assert.equal((await channel()).status, 'active');
    telegram.userSays(other.token, { chatId: 9, text: DEPOSIT });
    await telegram.waitForMessages(1, { bot: other.token });
  });

  await t.test('an account belongs to one channel only', async () => {
    const { status } = await server.post('/v1/channels', shop.key, { source: 'telegram', credentials: { bot_token: bot.token } });
    assert.equal(status, 409);
  });

  await t.test('a question beyond the documents gets the honest sentence and an escalation', async () => {
    const chat = newChat();
    say(chat, 'Do you sell unicycles for the circus?');
    assert.match((await answer(chat)).text, HONEST);
    await settled(server, chat);
    assert.equal((await conversationOf(server, chat)).conversation_status, 'awaiting_approval');
  });
});

test('telegram: bursts and albums are answered together', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const bot = await addBot(server, telegram, server.shop, { settings: { burst_window_ms: 600 } });

  telegram.userSays(bot.token, { chatId: 70, text: 'Hello there' });
  telegram.userSays(bot.token, { chatId: 70, text: PUNCTURE });
  for (const caption of [DEPOSIT, undefined]) {
    telegram.userSends(bot.token, { chatId: 71 }, {
      media_group_id: 'album-1', photo: [{ file_id: 'f', file_unique_id: 'u', width: 9, height: 9 }], ...(caption ? { caption } : {}),
    });
  }
  assert.match((await telegram.waitForMessages(1, { chatId: 70 }))[0].text, /19 euros/);
  assert.match((await telegram.waitForMessages(1, { chatId: 71 }))[0].text, /100 euros/);
  await server.waitUntilIdle(server.shop);
  for (const chat of [70, 71]) {
    assert.equal(telegram.messages({ chatId: chat }).length, 1);
    const messages = await messagesOf(server, chat);
    assert.deepEqual(messages.map((m) => m.role), ['user', 'user', 'assistant']);
    assert.deepEqual([messages[2].answers_from_seq, messages[2].answers_to_seq], [1, 2]);
    assert.deepEqual(messages[2].metadata.answers, [messages[0].id, messages[1].id]);
  }
});

test('telegram: a provider that is down, dead letters, replay', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);

  // The back-off of all eight attempts takes minutes: the last ones are brought near by hand.
  async function exhaust(chat) {
    telegram.fail({ method: 'sendMessage', chatId: chat, status: 500, times: 3 });
    telegram.userSays(bot.token, { chatId: chat, text: PUNCTURE });
    await server.waitForLog('job.retried', { accept: (event) => event.topic === 'outbound' });
    await server.stop();
    await server.alter(shop, "UPDATE job SET attempts = 7, due_at = 0 WHERE topic = 'outbound'");
    await server.start();
    const letters = await until(async () => {
      const { data } = (await server.get('/v1/dead-letters', shop.key)).body;
      return data.length > 0 ? data : null;
    }, 'a dead letter');
    telegram.clearFaults();
    assert.equal(letters.length, 1);
    assert.equal(letters[0].topic, 'outbound');
    assert.equal(letters[0].attempts, 8);
    assert.equal((await conversationOf(server, chat)).conversation_status, 'failed');
    assert.equal(telegram.messages({ chatId: chat }).length, 0);
    return letters[0];
  }

  await t.test('replayed through the API', async () => {
    const letter = await exhaust(80);
    assert.equal((await server.post(`/v1/dead-letters/${letter.id}/replay`, shop.key, {})).status, 202);
    assert.match((await telegram.waitForMessages(1, { chatId: 80 }))[0].text, /19 euros/);
    await settled(server, 80);
    assert.equal((await conversationOf(server, 80)).conversation_status, 'ai_response_sent');
    assert.deepEqual((await server.get('/v1/dead-letters', shop.key)).body.data, []);
  });

  await t.test('replayed from the command line', async () => {
    const letter = await exhaust(81);
    await server.stop();
    const listed = await server.runJson(['dead-letters', 'list']);
    assert.deepEqual(listed.map((one) => one.id), [letter.id]);
    const { code, stdout } = await server.run(['dead-letters', 'replay', 'all']);
    assert.equal(code, 0);
    assert.match(stdout, /1 job/);
    await server.start();
    await telegram.waitForMessages(1, { chatId: 81 });
    await settled(server, 81);
  });
});

test('telegram: long answers are split, slow ones show typing', async (t) => {
  const telegram = await openTelegram(t);
  const model = await openModel(t);
  const server = await openServer(t, { publicUrl: true, settings: model.settings });
  const bot = await addBot(server, telegram, server.shop);

  await t.test('split at sentence borders, in order, each part in the ledger', async () => {
    const sentence = 'A puncture repair costs 19 euros, tube included [1]. ';
    model.script({ text: sentence.repeat(180).trim() });
    telegram.userSays(bot.token, { chatId: 90, text: PUNCTURE });
    const parts = await telegram.waitForMessages(3, { chatId: 90 });
    const last = await settled(server, 90);
    assert.equal(telegram.messages({ chatId: 90 }).length, 3);
    assert.ok(parts.every((part) => part.text.length <= 4096 && part.text.endsWith('.')), parts.map((p) => p.text.length).join());
    assert.equal(parts.map((part) => part.text).join(' '), last.text);
    const ledger = await server.sql(server.shop, `SELECT part, state FROM delivery WHERE message_id = '${last.id}' ORDER BY part`);
    assert.deepEqual(ledger.map((row) => row.state), ['sent', 'sent', 'sent']);
  });

  await t.test('typing now and every four seconds while the answer is made', async () => {
    model.script({ text: 'A puncture repair costs 19 euros [1].', delay_ms: 4800 });
    telegram.userSays(bot.token, { chatId: 91, text: PUNCTURE });
    await telegram.waitForMessages(1, { chatId: 91 });
    const typing = telegram.calls({ method: 'sendChatAction' }).filter((call) => call.params.chat_id === 91);
    assert.equal(typing.length, 2);
    const gap = typing[1].at - typing[0].at;
    assert.ok(gap >= 3800 && gap < 5000, `${gap} ms apart`);
    assert.ok(typing.every((call) => call.params.action === 'typing' && call.ok));
  });
});

test('telegram: without a public address the server asks for updates', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t);
  const bot = await addBot(server, telegram, server.shop, { register: false });
  const polling = () => within(new Promise((resolve) => { telegram.once('polling', resolve); }), 'getUpdates');

  await t.test('what was written before, and what is written meanwhile, is answered', async () => {
    telegram.userSays(bot.token, { chatId: 95, text: PUNCTURE });
    assert.match((await telegram.waitForMessages(1, { chatId: 95 }))[0].text, /19 euros/);
    await polling();
    telegram.userSays(bot.token, { chatId: 95, text: DEPOSIT });
    assert.match((await telegram.waitForMessages(2, { chatId: 95 }))[1].text, /100 euros/);
  });

  await t.test('it stops at once, and goes on where it was', async () => {
    await settled(server, 95);
    await polling();
    const begun = Date.now();
    await server.stop();
    assert.ok(Date.now() - begun < 20_000, `stopped in ${Date.now() - begun} ms`);
    telegram.userSays(bot.token, { chatId: 95, text: 'What does a new chain cost?' });
    await server.start();
    assert.match((await telegram.waitForMessages(3, { chatId: 95 }))[2].text, /45 euros/);
    await settled(server, 95);
    const messages = await messagesOf(server, 95);
    assert.deepEqual(messages.map((m) => m.role), ['user', 'assistant', 'user', 'assistant', 'user', 'assistant']);
    assert.equal(telegram.pendingCount(bot.token), 0);
  });

  await t.test('an update that cannot be read does not hold up the next', async () => {
    telegram.pushUpdate(bot.token, { message: { message_id: 7000, date: 'yesterday', text: 'x', chat: { id: 95, type: 'private' } } });
    telegram.userSays(bot.token, { chatId: 95, text: PUNCTURE });
    assert.match((await telegram.waitForMessages(4, { chatId: 95 }))[3].text, /19 euros/);
    assert.equal((await server.get('/v1/quarantine', server.shop.key)).body.data.length, 1);
  });
});
