// twilio.test.mjs - people who write by SMS and on WhatsApp through Twilio, and the running server
import assert from 'node:assert/strict';
import test from 'node:test';

import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openServer } from './scene.mjs';

const NUMBER = '+15551230000';

let lastPerson = 15557650000;
const newPerson = () => { lastPerson += 1; return `+${lastPerson}`; };

async function openTwilio(t, options) {
  const twilio = new TwilioDouble(options);
  await twilio.start();
  t.after(() => twilio.stop());
  return twilio;
}

async function addTwilio(server, twilio, source, settings = {}) {
  const channel = await server.addChannel(server.shop, source, {
    credentials: { account_sid: twilio.accountSid, auth_token: twilio.authToken },
    settings: { from: NUMBER, api_base: twilio.url, messaging_base: twilio.url, burst_window_ms: 0, ...settings },
  });
  return { ...channel, url: `${server.url}/webhooks/${source}/${channel.id}` };
}

async function conversationOf(server, chat) {
  const rows = await server.sql(server.shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}'`);
  return rows.length === 0 ? null : (await server.get(`/v1/conversations/${rows[0].id}`, server.shop.key)).body;
}

async function messagesOf(server, chat) {
  const conversation = await conversationOf(server, chat);
  return conversation ? server.list(`/v1/conversations/${conversation.id}/messages`, server.shop.key) : [];
}

// The last message of the chat once it is in one of these states.
const settled = (server, chat, ...states) => until(async () => {
  const last = (await messagesOf(server, chat)).at(-1);
  return last?.role === 'assistant' && states.includes(last.delivery) ? last : null;
}, `the last message of ${chat} to be ${states.join(' or ')}`);

const events = async (server, kind) => (await server.get(`/v1/channel-events?kind=${kind}&limit=100`, server.shop.key)).body.data;

test('twilio: SMS', async (t) => {
  const twilio = await openTwilio(t);
  const server = await openServer(t, { publicUrl: true });
  twilio.addNumber(NUMBER);
  const channel = await addTwilio(server, twilio, 'twilio_sms');
  const say = (person, text, more) => twilio.personSays(person, NUMBER, text, more);

  await t.test('/check asks about the account and enters the webhook at the number', async () => {
    const { status, body } = await server.post(`/v1/channels/${channel.id}/check`, server.shop.key, {});
    assert.equal(status, 200);
    assert.equal(body.account, `Harbour Cycles (${NUMBER})`);
    assert.equal(twilio.numbers.get(NUMBER).url, `${channel.url}#rc=3&rp=all`);
  });

  await t.test('a question is answered, and what became of the answer is told', async () => {
    const person = newPerson();
    const { result } = await say(person, PUNCTURE);
    assert.equal(result.status, 200);
    assert.match(result.headers['content-type'], /^text\/xml/);
    const [answer] = await twilio.waitForMessages(1, { to: person });
    assert.match(answer.body, /19 euros/);
    assert.equal(answer.from, NUMBER);
    assert.match(answer.callback, /^\S+\?reference=[0-9a-f-]{36}:0$/);
    assert.equal(answer.callback.split('?')[0], channel.url);
    await settled(server, person, 'delivered');
    await until(async () => (await events(server, 'delivery')).length === 2, 'both statuses');
    assert.deepEqual(twilio.alerts, []);
  });

  await t.test('what Twilio did not sign is refused', async () => {
    const person = newPerson();
    const { params } = { params: { AccountSid: twilio.accountSid, MessageSid: `SM${'0'.repeat(32)}`, From: person, To: NUMBER, Body: PUNCTURE } };
    const forged = await twilio.callWebhook(channel.url, params, { token: 'f'.repeat(32) });
    assert.ok(forged.status === 401 || forged.status === 403, `${forged.status}`);
    const elsewhere = await server.call('POST', `/webhooks/twilio_sms/${channel.id}?x=1`, {
      body: new URLSearchParams(params).toString(), headers: { 'x-twilio-signature': twilio.calls.at(-1).signature },
    });
    assert.equal(elsewhere.status, forged.status);
    assert.deepEqual(await messagesOf(server, person), []);
  });

  await t.test('STOP and START are events; who opted out elsewhere is found unreachable', async () => {
    const person = newPerson();
    await say(person, PUNCTURE);
    await twilio.waitForMessages(1, { to: person });
    await say(person, 'STOP');
    await say(person, 'START');
    await server.waitUntilIdle(server.shop);
    assert.equal(twilio.messages({ to: person }).length, 1);
    assert.equal((await events(server, 'blocked')).length, 1);
    assert.equal((await events(server, 'unblocked')).length, 1);
    twilio.optedOut.add(`${person}|${NUMBER}`);
    await say(person, DEPOSIT);
    const last = await settled(server, person, 'failed');
    assert.ok(last);
    assert.equal(twilio.messages({ to: person }).length, 1);
  });

  await t.test('refused credentials break the channel', async () => {
    const person = newPerson();
    twilio.fail({ match: (request) => request.path.endsWith('/Messages.json'), status: 401, headers: { 'content-type': 'application/json' }, body: '{"code":20003,"message":"Authenticate","status":401}' });
    await say(person, PUNCTURE);
    await until(async () => (await server.get(`/v1/channels/${channel.id}`, server.shop.key)).body.status === 'broken', 'the channel to be marked');
    assert.equal((await server.post(`/v1/channels/${channel.id}/check`, server.shop.key, {})).status, 200);
    assert.equal((await server.get(`/v1/channels/${channel.id}`, server.shop.key)).body.status, 'active');
  });
});

test('twilio: WhatsApp', async (t) => {
  const twilio = await openTwilio(t, { statuses: ['sent', 'delivered', 'read'] });
  const server = await openServer(t, { publicUrl: true });
  const channel = await addTwilio(server, twilio, 'twilio_whatsapp');
  const sender = `whatsapp:${NUMBER}`;
  twilio.addNumber(sender, { url: channel.url });
  const say = (person, text, more) => twilio.personSays(`whatsapp:${person}`, sender, text, more);

  await t.test('a question is answered within the window, and read', async () => {
    const person = newPerson();
    twilio.holdCallbacks = true;
    await say(person, PUNCTURE);
    const [answer] = await twilio.waitForMessages(1, { to: `whatsapp:${person}` });
    assert.match(answer.body, /19 euros/);
    await settled(server, person, 'sent');
    /* Twilio promises no order. */
    await twilio.until(() => twilio.held.length === 3, 'three statuses');
    await twilio.releaseCallbacks({ reverse: true });
    await settled(server, person, 'read');
    assert.equal((await events(server, 'delivery')).length, 3);
    assert.equal((await conversationOf(server, person)).contact_name, 'Ada');
    assert.deepEqual(twilio.alerts, []);
  });

  await t.test('a pressed button is a message with its label', async () => {
    const person = newPerson();
    await say(person, PUNCTURE, { MessageType: 'interactive', ButtonText: PUNCTURE, ButtonPayload: 'puncture' });
    await twilio.waitForMessages(1, { to: `whatsapp:${person}` });
    const [first] = await messagesOf(server, person);
    assert.deepEqual(first.metadata.interactive, { type: 'button', data: 'puncture', label: PUNCTURE });
  });

  await t.test('a reaction is an event', async () => {
    const person = newPerson();
    await say(person, '👍', { MessageType: 'reaction', OriginalRepliedMessageSid: `SM${'0'.repeat(32)}` });
    await server.waitUntilIdle(server.shop);
    assert.equal((await events(server, 'reaction')).length, 1);
    assert.deepEqual(await messagesOf(server, person), []);
  });

  await t.test('a form that cannot be read is kept aside', async () => {
    const { result } = await say('+1', PUNCTURE, { From: 'messenger:1' });
    assert.equal(result.status, 400);
    assert.equal((await server.get('/v1/quarantine', server.shop.key)).body.data.length, 1);
  });
});
