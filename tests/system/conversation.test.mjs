// conversation.test.mjs - bursts, "/new", low confidence, a person who takes over and hands back
import assert from 'node:assert/strict';
import test from 'node:test';

import { until } from '../support/server.mjs';
import { DEPOSIT, HONEST, PUNCTURE, Visitor, addBot, openServer, openTelegram } from './scene.mjs';

test('conversations', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const channel = await server.addChannel(shop, 'web');
  const bot = await addBot(server, telegram, shop);
  const conversation = async (visitor) => {
    const { conversation_id: id } = await visitor.messages();
    return (await server.get(`/v1/conversations/${id}`, shop.key)).body;
  };
  const openEscalations = async (visitor) => {
    const { id } = await conversation(visitor);
    const { data } = (await server.get('/v1/escalations?status=open', shop.key)).body;
    return data.filter((one) => one.conversation_id === id);
  };

  await t.test('messages within the burst window are answered together', async () => {
    const slow = await server.addChannel(shop, 'web', { settings: { burst_window_ms: 2000 } });
    const visitor = await Visitor.open(server, slow.id);
    const stream = await visitor.events();
    await visitor.say('Hello');
    await visitor.say('I have a question about my bicycle.');
    await visitor.say(PUNCTURE);
    const answer = await stream.until((e) => e.type === 'message' && e.data.role === 'assistant');
    assert.match(answer.data.text, /19 euros/);
    await stream.close();
    await server.waitUntilIdle(shop);
    assert.deepEqual((await visitor.messages()).messages.map((m) => m.role), ['user', 'user', 'user', 'assistant']);
  });

  await t.test('who goes on writing is answered all the same', async () => {
    const slow = await server.addChannel(shop, 'web', { settings: { burst_window_ms: 300 } });
    const visitor = await Visitor.open(server, slow.id);
    const stream = await visitor.events();
    let answered = false;
    const answer = stream.until((e) => e.type === 'message' && e.data.role === 'assistant').then((e) => { answered = true; return e; });
    for (let i = 0; i < 100 && !answered; i++) {
      await visitor.say(PUNCTURE);
      await new Promise((resolve) => { setTimeout(resolve, 60); });
    }
    assert.ok(answered, 'the window has an end');
    await answer;
    await stream.close();
    await server.waitUntilIdle(shop);
  });

  await t.test('"/new" on Telegram begins a new conversation', async () => {
    telegram.userSays(bot.token, { chatId: 20, text: PUNCTURE });
    await telegram.waitForMessages(1, { chatId: 20 });
    telegram.userSays(bot.token, { chatId: 20, text: '/new' });
    await telegram.waitForMessages(2, { chatId: 20 });
    telegram.userSays(bot.token, { chatId: 20, text: DEPOSIT });
    await telegram.waitForMessages(3, { chatId: 20 });
    await server.waitUntilIdle(shop);
    const rows = await server.sql(shop, "SELECT id, status, archived_at FROM conversation WHERE external_chat_id = '20' ORDER BY created_at");
    assert.equal(rows.length, 2);
    assert.deepEqual(rows.map((row) => [row.status, row.archived_at !== null]), [['archived', true], ['ai_response_sent', false]]);
    const second = await server.list(`/v1/conversations/${rows[1].id}/messages`, shop.key);
    assert.deepEqual(second.map((m) => m.role), ['user', 'assistant', 'user', 'assistant']);
  });

  await t.test('what the documents do not hold: an honest sentence, then a person overrides', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const stream = await visitor.events();
    await visitor.say('Do you have a gondola for the carnival?');
    const honest = await stream.until((e) => e.type === 'message' && e.data.role === 'assistant');
    assert.match(honest.data.text, HONEST);
    assert.equal((await conversation(visitor)).conversation_status, 'awaiting_approval');
    const [escalation] = await openEscalations(visitor);
    assert.equal(escalation.reason, 'low_confidence');
    const act = (verb, body = {}) => server.post(`/v1/escalations/${escalation.id}/${verb}`, shop.key, body);
    assert.equal((await act('approve')).status, 400, 'there is no draft');
    assert.equal((await act('override')).status, 400, 'no text');
    const overridden = await act('override', { text: 'Yes, one, in the harbour.' });
    assert.equal(overridden.status, 200, overridden.text);
    assert.equal(overridden.body.status, 'overridden');
    const said = await stream.until((e) => e.type === 'message' && e.data.role === 'agent');
    assert.equal(said.data.text, 'Yes, one, in the harbour.');
    await stream.close();
    assert.equal((await act('close')).status, 409, 'once');
    assert.equal((await conversation(visitor)).conversation_status, 'ai_response_sent');
    assert.match((await visitor.ask(PUNCTURE)).text, /19 euros/, 'the assistant goes on');
  });

  await t.test('an escalation is closed without a word', async () => {
    const visitor = await Visitor.open(server, channel.id);
    await visitor.ask('Do you teach juggling?');
    const [escalation] = await openEscalations(visitor);
    const { body } = await server.post(`/v1/escalations/${escalation.id}/close`, shop.key, {});
    assert.equal(body.status, 'closed');
    assert.equal((await visitor.messages()).messages.length, 2);
    assert.deepEqual(await openEscalations(visitor), []);
  });

  await t.test('who asks for a person gets one, and no machine until it is handed back', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const stream = await visitor.events();
    await visitor.ask(PUNCTURE);
    assert.match((await visitor.ask('I would like to talk to a human, please')).text, /passing you on to a colleague/);
    let state = await conversation(visitor);
    assert.deepEqual([state.conversation_status, state.hand_off_to_human], ['handed_off', true]);
    assert.equal((await openEscalations(visitor))[0].reason, 'asked_for_person');

    await visitor.say(DEPOSIT);
    await server.waitUntilIdle(shop);
    assert.equal((await visitor.messages()).messages.at(-1).role, 'user', 'the machine is silent');

    const { status, body } = await server.post(`/v1/conversations/${state.id}/messages`, shop.key, { text: 'Ines here, how can I help?' });
    assert.equal(status, 201);
    assert.equal(body.role, 'agent');
    await stream.until((e) => e.type === 'message' && e.data.text === 'Ines here, how can I help?');

    assert.equal((await server.post(`/v1/conversations/${state.id}/hand-back`, shop.key, {})).status, 200);
    await server.waitUntilIdle(shop);
    state = await conversation(visitor);
    assert.equal(state.hand_off_to_human, false);
    assert.equal((await visitor.messages()).messages.at(-1).role, 'agent', 'what the person dealt with is not answered again');
    assert.match((await visitor.ask(DEPOSIT)).text, /100 euros/);
    await stream.close();
  });

  await t.test('a person takes over by themselves; on Telegram the reply is delivered', async () => {
    telegram.userSays(bot.token, { chatId: 21, text: PUNCTURE });
    await telegram.waitForMessages(1, { chatId: 21 });
    const [{ id }] = await server.sql(shop, "SELECT id FROM conversation WHERE external_chat_id = '21'");
    assert.equal((await server.post(`/v1/conversations/${id}/take-over`, shop.key, {})).body.hand_off_to_human, true);
    telegram.userSays(bot.token, { chatId: 21, text: DEPOSIT });
    await telegram.waitUntilDelivered({ bot: bot.token });
    await server.waitUntilIdle(shop);
    assert.equal(telegram.messages({ chatId: 21 }).length, 1);
    await server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'It is 100, bring a card.' });
    assert.equal((await telegram.waitForMessages(2, { chatId: 21 }))[1].text, 'It is 100, bring a card.');
    await server.post(`/v1/conversations/${id}/hand-back`, shop.key, {});
    telegram.userSays(bot.token, { chatId: 21, text: PUNCTURE });
    assert.match((await telegram.waitForMessages(3, { chatId: 21 }))[2].text, /19 euros/);
    await server.waitUntilIdle(shop);
  });

  await t.test('archived by staff, the next message begins anew', async () => {
    const visitor = await Visitor.open(server, channel.id);
    await visitor.ask(PUNCTURE);
    const { id } = await conversation(visitor);
    assert.equal((await server.post(`/v1/conversations/${id}/archive`, shop.key, {})).body.conversation_status, 'archived');
    await visitor.ask(DEPOSIT);
    assert.notEqual((await conversation(visitor)).id, id);
  });

  await t.test('after seven days of silence a new conversation begins', async () => {
    const visitor = await Visitor.open(server, channel.id);
    await visitor.ask(PUNCTURE);
    const { id } = await conversation(visitor);
    await server.stop();
    await server.alter(shop, `UPDATE conversation SET last_message_at = last_message_at - 691200000000 WHERE id = '${id}'`);
    await server.start();
    await visitor.ask(DEPOSIT);
    assert.notEqual((await conversation(visitor)).id, id);
    assert.equal((await server.get(`/v1/conversations/${id}`, shop.key)).body.conversation_status, 'archived');
  });

  await t.test('greeting and thanks are returned without a search', async () => {
    const visitor = await Visitor.open(server, channel.id);
    assert.match((await visitor.ask('Hello!')).text, /How can I help/);
    assert.match((await visitor.ask('Thank you very much!')).text, /welcome/i);
    assert.equal((await conversation(visitor)).conversation_status, 'ai_response_sent');
    await until(async () => (await openEscalations(visitor)).length === 0, 'no escalation');
  });
});
