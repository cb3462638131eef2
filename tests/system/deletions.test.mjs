// deletions.test.mjs - what a person deletes at the provider is gone here too: words, files, former words, and
// what outgoing events would have said
import assert from 'node:assert/strict';
import test from 'node:test';

import { Receiver } from '../doubles/webhooks/receiver.mjs';
import { NETWORKS } from '../support/networks.mjs';
import { openServer } from './scene.mjs';

const SECRET = 'My card ends in 4711';
const FORMER = 'My card ended in 4711';
const PICTURE = Buffer.from('89504e470d0a1a0a4711', 'hex');

const whatsappChange = (value) => value.entry[0].changes[0].value;
const instagramEvent = (value) => value.entry[0].messaging[0];

// Of each source: how a message carries a picture, is edited and is deleted, as its provider tells it.
const PROVIDERS = {
  whatsapp_business: {
    withPicture(network, value) {
      const [message] = whatsappChange(value).messages;
      const media = network.double.addMedia(PICTURE, 'image/png');
      Object.assign(message, { type: 'image', image: { id: media, mime_type: 'image/png', caption: message.text.body } });
      delete message.text;
      return value;
    },
    edited(network, value, text) {
      return this.about(network, value, { type: 'edit', edit: { original_message_id: this.wamid(value), message: { type: 'image', image: { caption: text } } } });
    },
    deleted(network, value) {
      return this.about(network, value, { type: 'revoke', revoke: { original_message_id: this.wamid(value) } });
    },
    wamid: (value) => whatsappChange(value).messages[0].id,
    about(network, value, what) {
      const copy = structuredClone(value);
      const { from, from_user_id: userId, timestamp } = whatsappChange(value).messages[0];
      whatsappChange(copy).messages = [{ from, from_user_id: userId, timestamp, id: network.double.wamid(), ...what }];
      return copy;
    },
  },
  instagram: {
    withPicture(network, value) {
      instagramEvent(value).message.attachments = [{ type: 'image', payload: { url: network.double.addFile(PICTURE, 'image/png') } }];
      return value;
    },
    deleted(network, value) {
      const copy = structuredClone(value);
      instagramEvent(copy).message = { mid: instagramEvent(value).message.mid, is_deleted: true };
      return copy;
    },
  },
  slack: {
    withPicture(network, value) {
      Object.assign(value.event, { subtype: 'file_share', files: [network.double.fileObject(network.double.addFile('card.png', 'image/png', PICTURE))] });
      return value;
    },
    edited(network, value, text) {
      const { channel, channel_type: type, ts, user } = value.event;
      const now = network.double.nextTs();
      return network.double.envelope({
        type: 'message', subtype: 'message_changed', channel, channel_type: type, ts: now, event_ts: now,
        message: { type: 'message', user, text, ts, edited: { user, ts: now } }, previous_message: value.event,
      });
    },
    deleted(network, value) {
      const { channel, channel_type: type, ts } = value.event;
      const now = network.double.nextTs();
      return network.double.envelope({
        type: 'message', subtype: 'message_deleted', hidden: true, channel, channel_type: type, ts: now, event_ts: now, deleted_ts: ts,
        previous_message: value.event,
      });
    },
  },
  teams: {
    edited: (network, value, text) => ({ ...value, type: 'messageUpdate', channelData: { eventType: 'editMessage' }, text }),
    deleted: (network, { text, textFormat, attachments, ...value }) => ({ ...value, type: 'messageDelete', channelData: { eventType: 'softDeleteMessage' } }),
  },
};

async function open(t, source, settings = {}) {
  const receiver = new Receiver();
  await receiver.start();
  t.after(() => receiver.stop());
  const server = await openServer(t, { publicUrl: true, settings: { 'events.allow_private_addresses': true } });
  const network = new NETWORKS[source](1);
  await network.start();
  t.after(() => network.stop());
  await network.connect(server, server.shop, { burst_window_ms: 0, ...settings });
  return { receiver, server, network };
}

const messageWith = async (server, text) => (await server.sql(server.shop, `SELECT id FROM message WHERE role = 'user' AND body = '${text}'`))[0].id;

// Wherever words are kept, of the person or for those who are told of them.
async function assertForgotten(server) {
  const bytes = (column) => (server.database ? `encode(${column}, 'escape')` : `CAST(${column} AS TEXT)`);
  for (const [table, ...columns] of [['message', 'body', 'metadata', 'envelope'], ['channel_event', 'payload'], ['conversation', 'title'],
    ['event', 'body', 'body_with_text'], ['event_delivery', 'error', 'response'], ['escalation', 'draft'], ['job', 'payload', 'last_error'],
    ['intake', 'envelope', bytes('item')], ['quarantine', bytes('body')]])
    for (const column of columns) {
      const where = table === 'message' ? `role <> 'assistant' AND ` : '';
      const rows = await server.sql(server.shop, `SELECT ${column} AS kept FROM ${table} WHERE ${where}${column} LIKE '%My card end%'`);
      assert.deepEqual(rows, [], `${table}.${column}`);
    }
}

for (const [source, provider] of Object.entries(PROVIDERS)) {
  test(`${source}: a deleted message is gone, but for its row`, async (t) => {
    const { receiver, server, network } = await open(t, source);
    const { body: endpoint } = await server.post('/v1/event-endpoints', server.shop.key, {
      url: receiver.address('/texts'), events: ['message.received', 'message.deleted'], include_text: true,
    });
    receiver.secrets.set('/texts', endpoint.secret);
    const { value } = network.compose(7, provider.edited ? FORMER : SECRET);
    const said = provider.withPicture ? provider.withPicture(network, value) : value;

    assert.ok([200, 202].includes(await network.post(said)));
    if (provider.edited) assert.ok([200, 202].includes(await network.post(provider.edited(network, said, SECRET))));
    await server.waitUntilIdle(server.shop);
    await receiver.untilReceived('/texts', 'message.received');
    const id = await messageWith(server, SECRET);
    let picture;
    if (provider.withPicture) {
      const { body: link } = await server.get(`/v1/messages/${id}/attachments/0/link`, server.shop.key);
      picture = `${server.url}${new URL(link.url, server.url).pathname}`;
      assert.deepEqual(Buffer.from(await (await fetch(picture)).arrayBuffer()), PICTURE);
    }

    assert.ok([200, 202].includes(await network.post(provider.deleted(network, said))));
    await server.waitUntilIdle(server.shop);
    const { body: message } = await server.get(`/v1/messages/${id}`, server.shop.key);
    assert.equal(message.text, '');
    assert.equal(message.envelope.message.body, '');
    assert.ok(Math.abs(Date.parse(message.deleted_at) - Date.now()) < 600_000, message.deleted_at);
    const { body: openapi } = await server.get('/openapi.json');
    const described = openapi.paths['/v1/messages/{message_id}'].get.responses['200'].content['application/json'].schema.properties;
    assert.equal(described.deleted_at.format, 'date-time');
    assert.ok(!('attachments' in message.metadata) && !('edits' in message.metadata));
    if (picture) {
      assert.equal((await fetch(picture)).status, 404, 'the file');
      assert.equal((await server.get(`/v1/messages/${id}/attachments/0/link`, server.shop.key)).status, 404);
    }
    await assertForgotten(server);
    const [told] = await receiver.untilReceived('/texts', 'message.deleted');
    assert.equal(told.data.message_id, id);
    assert.ok(told.data.deleted_at && !('text' in told.data));
    const { body: events } = await server.get('/v1/channel-events?kind=deletion', server.shop.key);
    assert.equal(events.data.length, 1);

    if (provider.edited) {
      await network.post(provider.edited(network, said, FORMER));
      await server.waitUntilIdle(server.shop);
      await assertForgotten(server);
    }
  });
}

test('what is deleted before its turn is not answered', async (t) => {
  const { server, network } = await open(t, 'slack', { burst_window_ms: 1500 });
  const { value } = network.compose(7, SECRET);
  await network.post(value);
  await network.post(PROVIDERS.slack.deleted(network, value));
  await server.waitUntilIdle(server.shop);
  const [conversation] = await server.sql(server.shop, 'SELECT last_seq, answered_seq FROM conversation');
  assert.deepEqual([Number(conversation.last_seq), Number(conversation.answered_seq)], [1, 1]);
  assert.deepEqual(network.got(), []);
});

test('telegram: what a customer of a business deletes is no longer among the events, and the bot\'s own chat stays', async (t) => {
  const { server, network } = await open(t, 'telegram');
  const chat = { id: 42, type: 'private', first_name: 'Ann' };
  const from = { id: 42, is_bot: false, first_name: 'Ann' };
  const said = (message, text) => ({ message_id: message, date: 1_700_000_000, chat, from, text, business_connection_id: 'b' });
  // The chat with the bot has the numbers of the chat with the business.
  await network.post({ update_id: 9000, message: { message_id: 7, date: 1_700_000_000, chat, from, text: 'This stays with the bot' } });
  await network.post({ update_id: 9001, business_message: said(7, FORMER) });
  await network.post({ update_id: 9002, edited_business_message: said(7, SECRET) });
  await network.post({ update_id: 9003, business_message: said(8, 'This stays') });
  await network.post({ update_id: 9004, deleted_business_messages: { business_connection_id: 'b', chat, message_ids: [7] } });
  await server.waitUntilIdle(server.shop);
  await assertForgotten(server);
  const own = await server.sql(server.shop, "SELECT deleted_at FROM message WHERE body = 'This stays with the bot'");
  assert.deepEqual(own, [{ deleted_at: null }]);
  const { body: events } = await server.get('/v1/channel-events', server.shop.key);
  assert.deepEqual(events.data.map((event) => event.kind).sort(), ['business_message', 'business_message', 'deletion', 'edited_business_message']);
  assert.equal(events.data.filter((event) => JSON.stringify(event).includes('This stays')).length, 1);
});
