// whatsapp.test.mjs - people on WhatsApp and the running server, both directions, through a faithful double
import assert from 'node:assert/strict';
import test from 'node:test';

import { GraphError } from '../doubles/meta/graph.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openModel, openServer } from './scene.mjs';

const NUMBER = '200100300400500';
const TOKEN = 'EAAtest0123456789abcdef';

let lastPerson = 5000;
const newPerson = () => { lastPerson += 1; return `DE.${lastPerson}`; };

async function open(t, { settings = {}, server: serverSettings = {} } = {}) {
  const whatsapp = new WhatsAppDouble({ timeScale: 0.001 });
  await whatsapp.start();
  t.after(() => whatsapp.stop());
  const server = await openServer(t, { publicUrl: true, settings: serverSettings });
  whatsapp.addNumber({ id: NUMBER, token: TOKEN });
  const channel = await server.addChannel(server.shop, 'whatsapp_business', {
    credentials: { phone_number_id: NUMBER, access_token: TOKEN, app_secret: whatsapp.options.appSecret },
    settings: { api_base: whatsapp.url, burst_window_ms: 0, waba_id: whatsapp.number().waba, appsecret_proof: true, ...settings },
  });
  const check = () => server.post(`/v1/channels/${channel.id}/check`, server.shop.key, {});
  const conversationOf = async (chat) => {
    const rows = await server.sql(server.shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}' ORDER BY created_at DESC`);
    return rows.length === 0 ? null : (await server.get(`/v1/conversations/${rows[0].id}`, server.shop.key)).body;
  };
  const messagesOf = async (chat) => {
    const conversation = await conversationOf(chat);
    return conversation ? server.list(`/v1/conversations/${conversation.id}/messages`, server.shop.key) : [];
  };
  const settled = (chat, delivery = 'sent') => until(async () => {
    const last = (await messagesOf(chat)).at(-1);
    return last?.delivery === delivery ? last : null;
  }, `the last message to ${chat} to be ${delivery}`);
  const answer = async (person, count = 1) => (await whatsapp.waitForMessages(count, person)).at(-1);
  const events = async (kind) => (await server.get(`/v1/channel-events?kind=${kind}`, server.shop.key)).body.data;
  return { whatsapp, server, channel, check, conversationOf, messagesOf, settled, answer, events };
}

test('whatsapp', async (t) => {
  const scene = await open(t);
  const { whatsapp, server, channel, conversationOf, messagesOf, settled, answer, events } = scene;
  const { shop } = server;

  await t.test('/check registers the address, which answers the challenge, and nobody else', async () => {
    whatsapp.options.requireProof = true;
    const { status, body, text } = await scene.check();
    assert.equal(status, 200, text);
    assert.equal(body.account, '+491700000001 (The Shop)');
    assert.equal(whatsapp.number().callback, `${server.url}/webhooks/whatsapp_business/${channel.id}`);
    assert.ok(whatsapp.number().subscribed);
    const get = (query) => server.get(`/webhooks/whatsapp_business/${channel.id}${query}`);
    assert.equal((await get('?hub.mode=subscribe&hub.challenge=1&hub.verify_token=guessed')).status, 401);
    assert.equal((await get('')).status, 401);
  });

  await t.test('a question is answered from the documents, the message marked as read', async () => {
    const person = newPerson();
    whatsapp.addPerson(person, { phone: '4915112345678', name: 'Ada', username: 'ada.l' });
    const said = whatsapp.says(person, PUNCTURE);
    const sent = await answer(person);
    assert.match(sent.text, /19 euros/);
    assert.equal(sent.request.recipient, person);
    assert.equal(sent.request.to, undefined);
    await settled(person);
    const conversation = await conversationOf(person);
    assert.equal(conversation.contact_name, 'Ada');
    const [first] = await messagesOf(person);
    assert.deepEqual([first.metadata.phone, first.metadata.username], ['4915112345678', 'ada.l']);
    await whatsapp.until(() => whatsapp.read.includes(said.id), 'the message to be marked as read');
  });

  await t.test('somebody with a username and no phone is answered, and goes on in one conversation', async () => {
    const person = newPerson();
    whatsapp.says(person, PUNCTURE);
    await answer(person, 1);
    whatsapp.says(person, DEPOSIT);
    assert.match((await answer(person, 2)).text, /100 euros/);
    await settled(person);
    assert.deepEqual((await messagesOf(person)).map((m) => m.role), ['user', 'assistant', 'user', 'assistant']);
  });

  await t.test('both app secrets count while one is being replaced', async () => {
    const before = whatsapp.options.appSecret;
    const patch = (credentials) => server.call('PATCH', `/v1/channels/${channel.id}`, { key: shop.key, body: { credentials, check: false } });
    assert.equal((await patch({ app_secret: 'the-secret-that-follows', previous_app_secret: before })).status, 200);
    const [one, two] = [newPerson(), newPerson()];
    whatsapp.options.requireProof = false;
    whatsapp.says(one, PUNCTURE, { deliver: { secret: 'the-secret-that-follows' } });
    whatsapp.says(two, PUNCTURE, { deliver: { secret: before } });
    await whatsapp.waitUntilDelivered();
    assert.ok((await conversationOf(one)) && (await conversationOf(two)));
    assert.equal((await patch({ app_secret: before })).status, 200);
  });

  await t.test('a message that Meta could not deliver is failed, with its reason', async () => {
    const person = newPerson();
    whatsapp.says(person, PUNCTURE);
    const sent = await answer(person);
    await settled(person);
    whatsapp.reports(sent, 'failed', { error: { code: 131026, title: 'Message undeliverable' } });
    const last = await settled(person, 'failed');
    const { body } = await server.get(`/v1/messages/${last.id}`, shop.key);
    assert.equal(body.parts[0].reason, 'Meta 131026: Message undeliverable');
  });

  await t.test('edit, reaction and deletion are events, never messages', async () => {
    const person = newPerson();
    const said = whatsapp.says(person, PUNCTURE);
    const sent = await answer(person);
    whatsapp.sends(person, { type: 'edit', edit: { original_message_id: said.id, message: { type: 'text', text: { body: 'And a chain?' } } } });
    whatsapp.sends(person, { type: 'reaction', reaction: { message_id: sent.id, emoji: '👍' } });
    await whatsapp.waitUntilDelivered();
    await server.waitUntilIdle(shop);
    const messages = await messagesOf(person);
    assert.equal(messages.length, 2);
    assert.equal(messages[0].text, 'And a chain?');
    whatsapp.sends(person, { type: 'revoke', revoke: { original_message_id: said.id } });
    await whatsapp.waitUntilDelivered();
    await server.waitUntilIdle(shop);
    assert.deepEqual((await messagesOf(person)).map((message) => message.text === ''), [true, false]);
    for (const kind of ['edit', 'reaction', 'deletion']) assert.equal((await events(kind)).length, 1, kind);
  });

  await t.test("a picture's caption is a question, and a voice note asks for words", async () => {
    const person = newPerson();
    const bytes = Buffer.from('89504e470d0a1a0a00', 'hex');
    whatsapp.sendsMedia(person, 'image', whatsapp.addMedia(bytes, 'image/png'), { caption: PUNCTURE });
    assert.match((await answer(person)).text, /19 euros/);
    await server.waitUntilIdle(shop);
    const [picture] = await messagesOf(person);
    const { body } = await server.get(`/v1/messages/${picture.id}/attachments/0/link`, shop.key);
    assert.deepEqual(Buffer.from(await (await fetch(`${server.url}${new URL(body.url, server.url).pathname}`)).arrayBuffer()), bytes);
    whatsapp.sendsMedia(person, 'audio', whatsapp.addMedia('a voice', 'audio/ogg'), { voice: true });
    assert.match((await answer(person, 2)).text, /only read text/);
    const inbound = (await messagesOf(person)).filter((m) => m.role === 'user');
    assert.deepEqual(inbound.map((m) => m.metadata.attachments[0].kind), ['image', 'voice']);
  });

  await t.test('a pressed button is what it says', async () => {
    const person = newPerson();
    whatsapp.says(person, DEPOSIT);
    const sent = await answer(person);
    whatsapp.presses(person, sent, { id: 'p', title: PUNCTURE });
    assert.match((await answer(person, 2)).text, /19 euros/);
    assert.equal((await messagesOf(person))[2].metadata.interactive.data, 'p');
  });

  await t.test('a new phone number goes on in the same conversation as the same contact', async () => {
    const [before, after] = [newPerson(), newPerson()];
    whatsapp.says(before, PUNCTURE);
    await answer(before);
    await settled(before);
    const { id } = await conversationOf(before);
    const update = { detail: 'x', user_id: { previous: before, current: after }, timestamp: String(Math.floor(Date.now() / 1000)) };
    whatsapp.deliver(whatsapp.number(), whatsapp.notification({ user_id_update: [update] }, { field: 'user_id_update' }));
    await whatsapp.waitUntilDelivered();
    whatsapp.says(after, DEPOSIT);
    assert.match((await answer(after)).text, /100 euros/);
    await settled(after);
    assert.equal((await conversationOf(after)).id, id);
    assert.equal((await server.sql(shop, `SELECT count(*) AS n FROM identity WHERE external_user_id IN ('${before}', '${after}')`))[0].n, 1);
  });

  await t.test('in a group only what is addressed to us is answered, as a reply', async () => {
    const person = newPerson();
    whatsapp.says(person, 'What does a puncture repair cost, folks?', { more: { group_id: 'G1' } });
    await whatsapp.waitUntilDelivered(); // two at once may arrive in any order
    const addressed = whatsapp.says(person, `@${whatsapp.number().display} ${PUNCTURE}`, { more: { group_id: 'G1' } });
    const given = await answer('group:G1');
    assert.equal(given.request.recipient_type, 'group');
    assert.equal(given.request.context.message_id, addressed.id);
    await server.waitUntilIdle(shop);
    assert.equal(whatsapp.messagesTo('group:G1').length, 1);
  });

  await t.test('who cannot be reached is known to be so, and the message is a dead letter at once', async () => {
    const person = newPerson();
    whatsapp.fail({ match: (call) => call.body?.recipient === person, error: new GraphError(131026, 'Message undeliverable'), times: 9 });
    whatsapp.says(person, PUNCTURE);
    await settled(person, 'failed');
    assert.equal((await server.sql(shop, `SELECT reachable FROM identity WHERE external_user_id = '${person}'`))[0].reachable, 0);
    const letter = (await server.get('/v1/dead-letters', shop.key)).body.data.find((one) => /131026/.test(one.reason));
    assert.equal(letter.attempts, 1);
  });

  await t.test('a message for another number of the business is nobody\'s here', async () => {
    const person = newPerson();
    const other = { ...whatsapp.number(), id: '999' };
    whatsapp.deliver(whatsapp.number(), whatsapp.notification({
      contacts: [{ profile: { name: 'Eve' }, user_id: person }],
      messages: [{ from_user_id: person, id: 'wamid.other', timestamp: '1750000000', type: 'text', text: { body: PUNCTURE } }],
    }, { account: other }));
    await whatsapp.waitUntilDelivered();
    await server.waitUntilIdle(shop);
    assert.equal(await conversationOf(person), null);
    const [kept] = await events('other_account');
    assert.ok(!JSON.stringify(kept).includes('puncture'));
  });

  await t.test('a refused token breaks the channel; /check mends it', async () => {
    const person = newPerson();
    const status = async () => (await server.get(`/v1/channels/${channel.id}`, shop.key)).body.status;
    whatsapp.number().revoked = true;
    whatsapp.says(person, PUNCTURE);
    await until(async () => (await status()) === 'broken', 'the channel to be marked');
    whatsapp.number().revoked = false;
    assert.equal((await scene.check()).status, 200);
    assert.equal(await status(), 'active');
  });
});

test('whatsapp: typing and long answers, with a model', async (t) => {
  const model = await openModel(t);
  const { whatsapp, server, check, answer, settled } = await open(t, { server: model.settings, settings: { appsecret_proof: false } });
  assert.equal((await check()).status, 200);

  await t.test('typing is shown while the answer is made', async () => {
    model.script({ text: 'A puncture repair costs 19 euros [1].', delay_ms: 1500 });
    const said = whatsapp.says('DE.91', PUNCTURE);
    await answer('DE.91');
    assert.deepEqual(whatsapp.typing, [said.id]);
  });

  await t.test('a long answer leaves in parts of whole sentences, in order, each under the limit', async () => {
    const sentence = 'A **puncture** repair costs 19 euros, tube included [1]. ';
    model.script({ text: sentence.repeat(180).trim() });
    whatsapp.says('DE.92', PUNCTURE);
    await whatsapp.waitForMessages(3, 'DE.92');
    const last = await settled('DE.92');
    const parts = whatsapp.messagesTo('DE.92');
    assert.equal(parts.length, 3);
    assert.ok(parts.every((part) => part.text.length <= 4096 && part.text.endsWith('.')), parts.map((p) => p.text.length).join());
    assert.ok(parts.every((part) => part.text.includes('*puncture*') && !part.text.includes('**')));
    const ledger = await server.sql(server.shop, `SELECT part, state FROM delivery WHERE message_id = '${last.id}' ORDER BY part`);
    assert.deepEqual(ledger.map((row) => row.state), ['sent', 'sent', 'sent']);
    assert.deepEqual(parts.map((part) => part.request.biz_opaque_callback_data), [0, 1, 2].map((part) => `${last.id}:${part}`));
  });
});
