// shared_routes.test.mjs - one address for all accounts of a provider: the account finds the channel
import assert from 'node:assert/strict';
import test from 'node:test';

import { metaJson, sign } from '../doubles/meta/graph.mjs';
import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { until } from '../support/server.mjs';
import { addBot, openServer, openTelegram, postUpdate, textUpdate } from './scene.mjs';

const NUMBER = '+15551230000';

for (const [source, route, prefix] of [['twilio_sms', 'sms', ''], ['twilio_whatsapp', 'whatsapp', 'whatsapp:']]) {
  test(`${source} by /webhook/${route}`, async (t) => {
    const twilio = new TwilioDouble();
    await twilio.start();
    t.after(() => twilio.stop());
    const server = await openServer(t, { publicUrl: true });
    const channel = await server.addChannel(server.shop, source, {
      credentials: { account_sid: twilio.accountSid, auth_token: twilio.authToken },
      settings: { from: NUMBER, api_base: twilio.url, messaging_base: twilio.url, burst_window_ms: 0 },
    });
    const account = encodeURIComponent((await server.get(`/v1/channels/${channel.id}`, server.shop.key)).body.account);
    const address = `${server.url}/webhook/${route}?account=${account}`;
    const received = async () => (await server.sql(server.shop, "SELECT id FROM message WHERE role = 'user'")).length;
    const params = { MessageSid: `SM${'0'.repeat(32)}`, AccountSid: twilio.accountSid, From: `${prefix}+15557650001`,
      To: `${prefix}${NUMBER}`, Body: 'Hello', NumMedia: '0' };

    await twilio.callWebhook(address, params);
    await until(async () => (await received()) === 1, 'the message');
    const post = (target) => fetch(target, { method: 'POST', body: new URLSearchParams(params) });
    assert.equal((await post(address)).status, 401, 'without a signature');
    assert.equal((await post(`${server.url}/webhook/${route}?account=4711`)).status, 404);
    assert.equal((await post(`${server.url}/webhook/${route}`)).status, 404);
    assert.equal(await received(), 1);
  });
}

test('a bot by /webhook/telegram', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { organizations: ['shop', 'cafe'], documents: false });
  const { shop, cafe } = server.organizations;
  const ours = await addBot(server, telegram, shop, { register: false });
  const theirs = await addBot(server, telegram, cafe, { register: false, secret: 'a-secret-of-somebody-else' });
  const told = async (organization) => (await server.sql(organization, "SELECT external_chat_id FROM message WHERE role = 'user'")).map((row) => row.external_chat_id);
  const post = (account, bot, chat) => postUpdate(server, bot, textUpdate(chat, chat, 'Hello'), { path: `/webhook/telegram?account=${account}` });

  assert.equal((await post(ours.id, ours, 501)).status, 200);
  assert.equal((await post(theirs.id, theirs, 502)).status, 200);
  assert.equal((await post(theirs.id, ours, 503)).status, 401, 'the secret of another organization');
  assert.equal((await postUpdate(server, ours, textUpdate(504, 504, 'Hello'), { path: '/webhook/telegram' })).status, 404);
  assert.deepEqual(await told(shop), ['501']);
  assert.deepEqual(await told(cafe), ['502']);
});

test('a mailbox by /webhook/email', async (t) => {
  const server = await openServer(t, { organizations: ['shop', 'cafe'], documents: false });
  const { shop, cafe } = server.organizations;
  const secrets = { 'help@shop.test': 'a-secret-for-the-webhook', 'help@cafe.test': 'a-secret-of-somebody-else' };
  for (const [address, organization] of [['help@shop.test', shop], ['help@cafe.test', cafe]]) {
    await server.addChannel(organization, 'email', {
      credentials: { webhook_secret: secrets[address] },
      settings: { address, inbound: 'postmark', smtp_host: '127.0.0.1', smtp_port: 9, smtp_security: 'none', burst_window_ms: 0 },
    });
  }
  const post = (address, secret, id) => fetch(`${server.url}/webhook/email?account=${address}&secret=${secret}`, {
    method: 'POST',
    body: JSON.stringify({ From: 'ada@customer.test', To: address, Subject: 'Hello', MessageID: id, Headers: [], TextBody: 'Hello' }),
  });
  const received = async (organization) => (await server.sql(organization, "SELECT id FROM message WHERE role = 'user'")).length;

  assert.equal((await post('help@shop.test', secrets['help@shop.test'], 'm1')).status, 200);
  assert.equal((await post('help@cafe.test', secrets['help@shop.test'], 'm2')).status, 401, 'the secret of another organization');
  assert.equal((await post('help@nowhere.test', secrets['help@shop.test'], 'm3')).status, 404);
  assert.deepEqual([await received(shop), await received(cafe)], [1, 0]);
  assert.equal((await post('help@cafe.test', secrets['help@cafe.test'], 'm4')).status, 200);
  assert.deepEqual([await received(shop), await received(cafe)], [1, 1]);
});

// --- one app of Meta's, many accounts: the payload says whose it is ---

const APP = 'secret-of-the-app-that-both-use';
const OTHER_APP = 'secret-of-the-app-of-somebody-else';
let last = 0;

const platforms = {
  whatsapp: {
    source: 'whatsapp_business', object: 'whatsapp_business_account', key: 'phone_number_id', numbers: ['200100300400501', '200100300400502', '200100300400503'],
    entry: (account, from, text) => ({
      id: '300400500600700',
      changes: [{
        field: 'messages',
        value: {
          messaging_product: 'whatsapp', metadata: { display_phone_number: '4930123', phone_number_id: account },
          contacts: [{ profile: { name: 'Ada' }, wa_id: from, user_id: `DE.${from}` }],
          messages: [{ from, from_user_id: `DE.${from}`, id: `wamid.S${from}`, timestamp: '1750000000', type: 'text', text: { body: text } }],
        },
      }],
    }),
    chat: (from) => `DE.${from}`,
    // One business account has many numbers: both in one entry.
    merge: (entries) => [{ id: '300400500600700', changes: entries.flatMap((one) => one.changes) },
      { id: '300400500600700', changes: [{ field: 'message_template_status_update', value: { event: 'APPROVED', message_template_name: 'of-nobody-here' } }] }],
  },
  instagram: {
    source: 'instagram', object: 'instagram', key: 'instagram_account_id', numbers: ['17841400000000011', '17841400000000012', '17841400000000013'],
    entry: (account, from, text) => ({
      id: account, time: 1750000000123,
      messaging: [{ sender: { id: from }, recipient: { id: account }, timestamp: 1750000000123, message: { mid: `aWdfS${from}`, text } }],
    }),
    chat: (from) => from,
    merge: (entries) => entries,
  },
};

for (const [route, { source, object, key, numbers, entry, chat, merge }] of Object.entries(platforms)) {
  test(`${source} by /webhook/${route}`, async (t) => {
    const server = await openServer(t, { organizations: ['shop', 'cafe', 'rival'], documents: false });
    const { shop, cafe, rival } = server.organizations;
    for (const [i, organization] of [shop, cafe, rival].entries()) {
      await server.addChannel(organization, source, {
        credentials: { [key]: numbers[i], access_token: 'EAAtest0123456789abcdef', app_secret: organization === rival ? OTHER_APP : APP, verify_token: `typed-by-${organization.slug}` },
        settings: { api_base: 'http://127.0.0.1:9', burst_window_ms: 0 },
      });
    }
    const address = `${server.url}/webhook/${route}`;
    const post = async (entries, { secret = APP, query = '' } = {}) => {
      const body = metaJson({ object, entry: entries });
      const { status } = await fetch(address + query, { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-hub-signature-256': sign(secret, body) } });
      return status;
    };
    const person = () => { last += 1; return String(4_900_000_000 + last); };
    const kept = async (organization) => {
      const rows = await server.sql(organization, "SELECT external_chat_id FROM message WHERE role = 'user' ORDER BY id");
      const events = (await server.get('/v1/channel-events?limit=100', organization.key)).body.data;
      return { chats: rows.map((row) => row.external_chat_id), events: events.map((one) => one.kind) };
    };

    const challenge = async (token, query = '') => {
      const { status, text } = await server.call('GET', `/webhook/${route}?${query}hub.mode=subscribe&hub.challenge=4711&hub.verify_token=${encodeURIComponent(token)}`);
      return status === 200 ? text : status;
    };
    assert.equal(await challenge(`${numbers[0]}:typed-by-shop`), '4711');
    assert.equal(await challenge('typed-by-shop', `account=${numbers[0]}&`), '4711');
    assert.equal(await challenge(`${numbers[1]}:typed-by-shop`), 401, "another account's token");
    assert.equal(await challenge(`${numbers[0]}:${numbers[0]}:typed-by-shop`), 401);
    assert.equal(await challenge('typed-by-shop'), 404, 'a token that names no account');
    assert.equal(await challenge('999:typed-by-shop'), 404);

    const [a, b, c, d, e, f] = Array.from({ length: 6 }, person);
    assert.equal(await post([entry(numbers[0], a, 'Hello')]), 200);
    assert.equal(await post([entry(numbers[1], b, 'Hello')]), 200);
    assert.deepEqual(await kept(shop), { chats: [chat(a)], events: [] });
    assert.deepEqual(await kept(cafe), { chats: [chat(b)], events: [] });

    // Several in one POST: each reads its own, and nothing of the others is kept with it.
    const both = merge([entry(numbers[0], c, 'of the shop'), entry(numbers[1], d, 'of the cafe'), entry('999', person(), 'of nobody')]);
    assert.equal(await post(both), 200);
    assert.equal(await post(both), 200, 'repeated');
    assert.deepEqual(await kept(shop), { chats: [chat(a), chat(c)], events: [] });
    assert.deepEqual(await kept(cafe), { chats: [chat(b), chat(d)], events: [] });

    // Whose secret signed reaches its own accounts alone, whatever it names.
    assert.equal(await post([entry(numbers[2], e, 'forged')]), 401);
    assert.equal(await post([entry(numbers[0], e, 'forged')], { secret: OTHER_APP }), 401);
    assert.equal(await post([entry(numbers[0], e, 'forged'), entry(numbers[2], f, 'their own')], { secret: OTHER_APP }), 200);
    assert.equal(await post([entry(numbers[0], e, 'forged')], { secret: OTHER_APP, query: `?account=${numbers[2]}` }), 200);
    assert.deepEqual((await kept(shop)).chats, [chat(a), chat(c)]);
    assert.deepEqual((await kept(rival)), { chats: [chat(f)], events: ['other_account'] });

    assert.equal(await post([entry('999', e, 'of nobody')]), 404);
    assert.equal(await post([]), 404);
    const { status } = await fetch(address, { method: 'POST', body: '{"object"', headers: { 'content-type': 'application/json' } });
    assert.equal(status, 400);
    // More strangers than are looked for, with one of ours behind them.
    const strangers = Array.from({ length: 100 }, (_, i) => entry(String(5000 + i), person(), 'x'));
    assert.equal(await post([...strangers, entry(numbers[0], person(), 'late')]), 404);
    assert.deepEqual((await kept(shop)).chats, [chat(a), chat(c)]);
  });
}
