// instagram.test.mjs - people on Instagram and the running server, both directions, through a faithful double
import assert from 'node:assert/strict';
import test from 'node:test';

import { InstagramDouble } from '../doubles/meta/instagram-double.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const ACCOUNT = '17841400000000001';
const TOKEN = 'IGAAtest0123456789abcdef';

let lastPerson = 900_100_000;
const newPerson = () => { lastPerson += 1; return String(lastPerson); };

test('instagram', async (t) => {
  const instagram = new InstagramDouble({ timeScale: 0.001 });
  await instagram.start();
  t.after(() => instagram.stop());
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const channel = await server.addChannel(shop, 'instagram', {
    credentials: { instagram_account_id: ACCOUNT, access_token: TOKEN, app_secret: instagram.options.appSecret, verify_token: 'typed-into-the-dashboard' },
    settings: { api_base: instagram.url, burst_window_ms: 0 },
  });
  const address = `${server.url}/webhooks/instagram/${channel.id}`;
  instagram.addAccount({ id: ACCOUNT, token: TOKEN, callback: address });
  const check = () => server.post(`/v1/channels/${channel.id}/check`, shop.key, {});
  const conversationOf = async (person) => {
    const rows = await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${person}'`);
    return rows.length === 0 ? null : (await server.get(`/v1/conversations/${rows[0].id}`, shop.key)).body;
  };
  const messagesOf = async (person) => {
    const conversation = await conversationOf(person);
    return conversation ? server.list(`/v1/conversations/${conversation.id}/messages`, shop.key) : [];
  };
  const settled = (person, delivery = 'sent') => until(async () => {
    const last = (await messagesOf(person)).at(-1);
    return last?.delivery === delivery ? last : null;
  }, `the last message to ${person} to be ${delivery}`);
  const answer = async (person, count = 1) => (await instagram.waitForMessages(count, person)).at(-1);
  const events = async (kind) => (await server.get(`/v1/channel-events?kind=${kind}`, shop.key)).body.data;

  await t.test('the address answers the dashboard, /check names the account', async () => {
    assert.ok(await instagram.checkCallback(address, 'typed-into-the-dashboard'));
    assert.ok(!(await instagram.checkCallback(address, 'guessed')));
    const { status, body, text } = await check();
    assert.equal(status, 200, text);
    assert.equal(body.account, '@the_shop');
  });

  await t.test('a question is answered once; the echo of the answer is not', async () => {
    const person = newPerson();
    instagram.says(person, PUNCTURE);
    assert.match((await answer(person)).text, /19 euros/);
    await settled(person);
    await instagram.waitUntilDelivered();
    await server.waitUntilIdle(shop);
    assert.equal(instagram.messagesTo(person).length, 1);
    assert.deepEqual((await messagesOf(person)).map((m) => m.role), ['user', 'assistant']);
    assert.equal((await events('echo')).length, 1);
    await instagram.until(() => instagram.actions.some((one) => one.person === person && one.action === 'mark_seen'), 'mark_seen');
  });

  await t.test('a pressed button is a question, a picture asks for words, an unsent message is an event', async () => {
    const person = newPerson();
    instagram.presses(person, { title: PUNCTURE, payload: 'puncture' });
    assert.match((await answer(person)).text, /19 euros/);
    const bytes = Buffer.from('89504e470d0a1a0a00', 'hex');
    const picture = instagram.sends(person, { attachments: [{ type: 'image', payload: { url: instagram.addFile(bytes, 'image/png') } }] });
    assert.match((await answer(person, 2)).text, /only read text/);
    await server.waitUntilIdle(shop);
    const inbound = (await messagesOf(person)).filter((m) => m.role === 'user');
    assert.deepEqual(inbound.map((m) => m.metadata.raw_kind), ['postback', 'image']);
    const { body } = await server.get(`/v1/messages/${inbound[1].id}/attachments/0/link`, shop.key);
    const address = `${server.url}${new URL(body.url, server.url).pathname}`;
    assert.deepEqual(Buffer.from(await (await fetch(address)).arrayBuffer()), bytes);
    instagram.event(person, { message: { mid: picture.mid, is_deleted: true } });
    await instagram.waitUntilDelivered();
    await server.waitUntilIdle(shop);
    assert.equal((await events('deletion')).length, 1);
    assert.equal((await fetch(address)).status, 404, 'the file of an unsent message');
  });

  await t.test('a refused token breaks the channel; /check mends it', async () => {
    const status = async () => (await server.get(`/v1/channels/${channel.id}`, shop.key)).body.status;
    instagram.account().revoked = true;
    instagram.says(newPerson(), PUNCTURE);
    await until(async () => (await status()) === 'broken', 'the channel to be marked');
    instagram.account().revoked = false;
    assert.equal((await check()).status, 200);
    assert.equal(await status(), 'active');
  });
});
