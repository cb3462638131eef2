// slack.test.mjs - people in a Slack workspace and the running server, through a faithful double
import assert from 'node:assert/strict';
import test from 'node:test';

import { SlackDouble } from '../doubles/slack/slack-double.mjs';
import { until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openServer } from './scene.mjs';

let lastPerson = 100;
const newPerson = () => { lastPerson += 1; return `U${lastPerson}`; };

async function openSlack(t, options) {
  const slack = new SlackDouble(options);
  await slack.start();
  t.after(() => slack.stop());
  return slack;
}

async function addSlack(server, slack, settings = {}) {
  const channel = await server.addChannel(server.shop, 'slack', {
    credentials: { app_id: slack.appId, team_id: slack.teamId, bot_token: slack.token, signing_secret: slack.signingSecret },
    settings: { api_base: `${slack.url}/api`, files_base: `${slack.url}/files`, burst_window_ms: 0, ...settings },
  });
  return { ...channel, url: `${server.url}/webhooks/slack/${channel.id}` };
}

async function conversationOf(server, chat) {
  const rows = await server.sql(server.shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}'`);
  return rows.length === 0 ? null : (await server.get(`/v1/conversations/${rows[0].id}`, server.shop.key)).body;
}

async function messagesOf(server, chat) {
  const conversation = await conversationOf(server, chat);
  return conversation ? server.list(`/v1/conversations/${conversation.id}/messages`, server.shop.key) : [];
}

const settled = (server, chat, delivery = 'sent') => until(async () => {
  const last = (await messagesOf(server, chat)).at(-1);
  return last?.role === 'assistant' && last.delivery === delivery ? last : null;
}, `the last message of ${chat} to be ${delivery}`);

const events = async (server, kind) => (await server.get(`/v1/channel-events?kind=${kind}&limit=100`, server.shop.key)).body.data;

test('slack', async (t) => {
  const slack = await openSlack(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const channel = await addSlack(server, slack);

  await t.test('the address answers its test, and no other', async () => {
    await slack.setRequestUrl(channel.url);
    const forged = await slack.post(channel.url, '{"type":"url_verification","challenge":"x"}', 'application/json', { secret: 'f'.repeat(32) });
    assert.ok(forged.status === 401 || forged.status === 403, `${forged.status}`);
  });

  await t.test('/check names the bot and the workspace', async () => {
    const { status, body } = await server.post(`/v1/channels/${channel.id}/check`, shop.key, {});
    assert.equal(status, 200);
    assert.equal(body.account, '@parley in Harbour Cycles');
  });

  await t.test('a direct message is answered; what the bot says itself is not', async () => {
    const person = newPerson();
    const chat = slack.direct(person);
    const { result } = await slack.personSays(person, chat, PUNCTURE);
    assert.equal(result.status, 200);
    assert.equal(result.text, '');
    const [answer] = await slack.waitForMessages(1, { channel: chat });
    assert.match(answer.text, /19 euros/);
    assert.equal(answer.thread_ts, undefined);
    const last = await settled(server, chat);
    assert.deepEqual(answer.metadata, { event_type: 'parley_message', event_payload: { id: last.id, part: 0 } });
    await until(async () => (await events(server, 'bot')).length === 1, 'our own message to be kept as an event');
    await server.waitUntilIdle(shop);
    assert.equal(slack.messages({ channel: chat }).length, 1);
  });

  await t.test('in a channel a mention is answered once, in its thread, and other talk is not', async () => {
    const person = newPerson();
    const room = slack.addChannel();
    await slack.personSays(person, room, 'Good morning');
    const { event } = await slack.personSays(person, room, `<@${slack.botUserId}> ${DEPOSIT}`);
    const [answer] = await slack.waitForMessages(1, { channel: room });
    assert.match(answer.text, /100 euros/);
    assert.equal(answer.thread_ts, event.ts);
    await settled(server, `${room}:${event.ts}`);
    await server.waitUntilIdle(shop);
    assert.equal(slack.messages({ channel: room }).length, 1);
    const [first] = await messagesOf(server, `${room}:${event.ts}`);
    assert.equal(first.text, DEPOSIT);
    await slack.personSays(person, room, `<@${slack.botUserId}> ${PUNCTURE}`, { thread_ts: event.ts });
    await slack.waitForMessages(2, { channel: room });
    await settled(server, `${room}:${event.ts}`);
    assert.deepEqual((await messagesOf(server, `${room}:${event.ts}`)).map((m) => m.role), ['user', 'assistant', 'user', 'assistant']);
  });

  await t.test('the same event again, and an old or forged one', async () => {
    const person = newPerson();
    const chat = slack.direct(person);
    await slack.personSays(person, chat, PUNCTURE);
    await slack.waitForMessages(1, { channel: chat });
    const { body } = slack.deliveries.find((one) => one.body.includes(chat));
    const again = await slack.post(channel.url, body, 'application/json', { headers: { 'x-slack-retry-num': '1', 'x-slack-retry-reason': 'http_timeout' } });
    assert.equal(again.status, 200);
    const changed = body.replaceAll(/"ts":"\d+/g, '"ts":"1700000000').replace(/"event_id":"Ev/, '"event_id":"Ew');
    for (const options of [{ secret: 'f'.repeat(32) }, { age: 400 }]) {
      const { status } = await slack.post(channel.url, changed, 'application/json', options);
      assert.ok(status === 401 || status === 403, `${status}`);
    }
    await server.waitUntilIdle(shop);
    assert.equal(slack.messages({ channel: chat }).length, 1);
    assert.equal((await messagesOf(server, chat)).length, 2);
  });

  await t.test('another workspace of the same app does not come in here', async () => {
    const person = newPerson();
    const chat = slack.direct(person);
    const foreign = { authorizations: [{ team_id: 'T0OTHER', user_id: 'U0', is_bot: true }], team_id: 'T0OTHER' };
    const { result } = await slack.deliver({ type: 'message', channel: chat, channel_type: 'im', user: person, text: PUNCTURE, ts: slack.nextTs() }, { envelope: foreign });
    assert.equal(result.status, 400);
    assert.deepEqual(await messagesOf(server, chat), []);
  });

  await t.test('edits, deletions and reactions are events', async () => {
    const person = newPerson();
    const chat = slack.direct(person);
    const { event } = await slack.personSays(person, chat, PUNCTURE);
    const [answer] = await slack.waitForMessages(1, { channel: chat });
    await settled(server, chat);
    await slack.personEdits(event, DEPOSIT);
    await slack.personReacts(person, chat, answer.ts, 'thumbsup');
    await server.waitUntilIdle(shop);
    const messages = await messagesOf(server, chat);
    assert.equal(messages.length, 2);
    assert.equal(messages[0].metadata.edits[0].body, PUNCTURE);
    await slack.personDeletes(event);
    await server.waitUntilIdle(shop);
    assert.deepEqual((await messagesOf(server, chat)).map((message) => message.text === ''), [true, false]);
    assert.equal((await events(server, 'reaction')).length, 1);
    assert.equal((await events(server, 'deletion')).length, 1);
  });

  await t.test('a file is fetched with the bot\'s token, also one that came by its id alone', async () => {
    const person = newPerson();
    const picture = Buffer.from('89504e470d0a1a0a00', 'hex');
    const whole = slack.fileObject(slack.addFile('a.png', 'image/png', picture));
    const { id, name, mimetype } = slack.fileObject(slack.addFile('b.png', 'image/png', picture));
    const chat = slack.direct(person);
    await slack.personSays(person, chat, PUNCTURE, { subtype: 'file_share', files: [whole, { id, name, mimetype, file_access: 'check_file_info' }] });
    await slack.waitForMessages(1, { channel: chat });
    await server.waitUntilIdle(shop);
    const [first] = await messagesOf(server, chat);
    assert.deepEqual(first.metadata.attachments.map((one) => [one.kind, one.size_bytes]), [['image', 9], ['image', 9]]);
    const { body } = await server.get(`/v1/messages/${first.id}/attachments/1/link`, shop.key);
    assert.deepEqual(Buffer.from(await (await fetch(`${server.url}${new URL(body.url, server.url).pathname}`)).arrayBuffer()), picture);
  });

  await t.test('a command in a channel is answered in private', async () => {
    const person = newPerson();
    const { status, text } = await slack.personCommands(person, slack.addChannel(), '/ask', PUNCTURE);
    assert.deepEqual([status, text], [200, '']);
    const [answer] = await slack.waitForMessages(1, { channel: slack.direct(person) });
    assert.match(answer.text, /19 euros/);
  });

  await t.test('a pressed button is a question', async () => {
    const person = newPerson();
    const chat = slack.direct(person);
    const message = { channel: chat, ts: slack.nextTs(), text: 'x', blocks: [{ type: 'actions', elements: [{ type: 'button', action_id: 'a', text: { type: 'plain_text', text: PUNCTURE }, value: 'p' }] }] };
    assert.equal((await slack.personPresses(person, message, PUNCTURE)).status, 200);
    const [answer] = await slack.waitForMessages(1, { channel: chat });
    assert.match(answer.text, /19 euros/);
    assert.equal((await messagesOf(server, chat))[0].metadata.interactive.data, 'p');
  });

  await t.test('a revoked token breaks the channel; mended, it answers again', async () => {
    const person = newPerson();
    slack.revoked = true;
    await slack.personSays(person, slack.direct(person), PUNCTURE);
    await until(async () => (await server.get(`/v1/channels/${channel.id}`, shop.key)).body.status === 'broken', 'the channel to be marked');
    slack.revoked = false;
    assert.equal((await server.post(`/v1/channels/${channel.id}/check`, shop.key, {})).status, 200);
    const other = newPerson();
    await slack.personSays(other, slack.direct(other), DEPOSIT);
    await slack.waitForMessages(1, { channel: slack.direct(other) });
  });
});
