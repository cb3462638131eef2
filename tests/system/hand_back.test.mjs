// hand_back.test.mjs - a person had the conversation and gives it back: the assistant goes on where the team stopped
//
// What the customer wrote after the team's last word is answered, together and once, by an assistant that has read all of it;
// what came before that word is dealt with.
import assert from 'node:assert/strict';
import test from 'node:test';

import { until } from '../support/server.mjs';
import { PUNCTURE, addBot, openModel, openServer, openTelegram } from './scene.mjs';

const ASIDE = 'My bike is the red one, by the way.';
const CHAIN = 'Would you look at its chain, too?';
const LOOKED = 'I looked at it: the chain is fine.';
const THANKS = 'Good to hear.';
const DEPOSIT = 'And what is the deposit for a cargo bike?';
const ANSWER = { text: 'The deposit for a cargo bike is 100 euros [1].' };

let lastChat = 500;

async function open(t) {
  const model = await openModel(t);
  const telegram = await openTelegram(t);
  const server = await openServer(t, { settings: model.settings, publicUrl: true });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);
  const said = (chatId, text) => telegram.userSays(bot.token, { chatId, text, ...(chatId < 0 ? { userId: 31 } : {}) });
  const quiet = async () => {
    await telegram.waitUntilDelivered({ bot: bot.token });
    await server.waitUntilIdle(shop);
  };
  const act = (id, verb, body = {}) => server.post(`/v1/conversations/${id}/${verb}`, shop.key, body);
  const messagesOf = (id) => server.list(`/v1/conversations/${id}/messages`, shop.key);
  // Somebody whose first question was answered, and whom a person of the team took over then.
  const takenOver = async (chatId = ++lastChat) => {
    model.script({ text: 'A puncture repair costs 19 euros, tube included [1].' });
    said(chatId, chatId < 0 ? `@${bot.name} ${PUNCTURE}` : PUNCTURE);
    await telegram.waitForMessages(1, { chatId });
    await quiet();
    const [{ id }] = await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${chatId}'`);
    assert.equal((await act(id, 'take-over')).status, 200);
    model.script(ANSWER);
    return { chatId, id };
  };
  const says = async (chatId, ...texts) => {
    for (const text of texts) {
      said(chatId, text);
      await quiet();
    }
  };
  // What the model was told of the conversation, from what the customer added on.
  const toldFrom = (text) => {
    assert.equal(model.state.requests.length, 1, 'asked once');
    const words = model.state.requests[0].body.messages.map((one) => one.content);
    const at = words.findIndex((one) => one.includes(text));
    assert.ok(at > 0, JSON.stringify(words));
    return words.slice(at).join('\n');
  };
  const assertOrder = (told, ...texts) => texts.reduce((from, text) => {
    const at = told.indexOf(text, from);
    assert.ok(at >= 0, `"${text}" after position ${from} of\n${told}`);
    return at + text.length;
  }, 0);
  return { bot, model, telegram, server, shop, quiet, act, messagesOf, takenOver, says, toldFrom, assertOrder };
}

test('handed back', async (t) => {
  const { bot, model, telegram, server, quiet, act, messagesOf, takenOver, says, toldFrom, assertOrder } = await open(t);

  await t.test('the team had the last word: nothing is said, and the next answer knows all of it', async () => {
    const { chatId, id } = await takenOver();
    await says(chatId, ASIDE, CHAIN);
    assert.equal((await act(id, 'messages', { text: LOOKED })).status, 201);
    await quiet();
    assert.equal((await act(id, 'hand-back')).body.hand_off_to_human, false);
    await quiet();
    assert.equal(model.state.requests.length, 0);
    assert.deepEqual((await messagesOf(id)).map((one) => one.role), ['user', 'assistant', 'user', 'user', 'agent']);

    await says(chatId, DEPOSIT);
    assertOrder(toldFrom(ASIDE), ASIDE, CHAIN, LOOKED, DEPOSIT);
    assert.match((await telegram.waitForMessages(3, { chatId }))[2].text, /100 euros/);
  });

  await t.test('the customer had it: what was missed is answered together, once', async () => {
    const { chatId, id } = await takenOver();
    await says(chatId, ASIDE, CHAIN);
    assert.equal((await act(id, 'messages', { text: LOOKED })).status, 201);
    await says(chatId, THANKS, DEPOSIT);
    assert.equal(model.state.requests.length, 0, 'no machine while a person has it');
    assert.equal((await act(id, 'hand-back')).status, 200);
    assert.equal((await act(id, 'hand-back')).status, 200);
    await quiet();
    assertOrder(toldFrom(ASIDE), ASIDE, CHAIN, LOOKED, THANKS, DEPOSIT);
    const messages = await messagesOf(id);
    assert.deepEqual(messages.map((one) => one.role), ['user', 'assistant', 'user', 'user', 'agent', 'user', 'user', 'assistant']);
    const answer = messages.at(-1);
    assert.deepEqual([answer.answers_from_seq, answer.answers_to_seq], [6, 7]);
    const sent = telegram.messages({ chatId });
    assert.equal(sent.length, 3);
    assert.match(sent[2].text, /100 euros/);
  });

  await t.test('the team said nothing: what waited for it is answered', async () => {
    const { chatId, id } = await takenOver();
    await says(chatId, DEPOSIT);
    await act(id, 'hand-back');
    assert.match((await telegram.waitForMessages(2, { chatId }))[1].text, /100 euros/);
    await quiet();
    assert.equal(telegram.messages({ chatId }).length, 2);
  });

  await t.test('in a group what was said among the others is not answered', async () => {
    const { chatId, id } = await takenOver(-7100);
    await says(chatId, DEPOSIT);
    await act(id, 'hand-back');
    await quiet();
    assert.equal(model.state.requests.length, 0);
    assert.equal(telegram.messages({ chatId }).length, 1);
    assert.equal((await act(id, 'take-over')).status, 200);
    await says(chatId, `@${bot.name} ${DEPOSIT}`);
    await act(id, 'hand-back');
    assert.match((await telegram.waitForMessages(2, { chatId }))[1].text, /100 euros/);
    await quiet();
  });

  await t.test('killed between that and its answer: answered once all the same', async () => {
    const { chatId, id } = await takenOver();
    await says(chatId, THANKS, DEPOSIT);
    await server.restart({ failpoints: 'answer.planned=crash:1' });
    await act(id, 'hand-back').catch(() => {});
    await server.killed();
    assert.equal(telegram.messages({ chatId }).length, 1);
    await server.start();
    await until(() => telegram.messages({ chatId }).length > 1, 'an answer'); // once the killed one's lease is over
    assert.match(telegram.messages({ chatId })[1].text, /100 euros/);
    await until(async () => (await messagesOf(id)).at(-1).delivery === 'sent', 'the answer to have left');
    await quiet();
    assert.equal(telegram.messages({ chatId }).length, 2);
    assertOrder(toldFrom(THANKS), THANKS, DEPOSIT);
    assert.deepEqual((await messagesOf(id)).map((one) => one.role), ['user', 'assistant', 'user', 'user', 'assistant']);
  });
});
