// events.test.mjs - outgoing events at an organization's own systems, verified by the specification's own package
import assert from 'node:assert/strict';
import test from 'node:test';

import { Webhook } from 'standardwebhooks';

import { Receiver } from '../doubles/webhooks/receiver.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, Visitor, addBot, openServer, openTelegram, postUpdate, textUpdate } from './scene.mjs';

const SETTINGS = { 'events.allow_private_addresses': true };

async function openReceiver(t) {
  const receiver = new Receiver();
  await receiver.start();
  t.after(() => receiver.stop());
  return receiver;
}

async function addEndpoint(server, receiver, path, more = {}, organization = server.shop) {
  const { status, body, text } = await server.post('/v1/event-endpoints', organization.key, { url: receiver.address(path), ...more });
  assert.equal(status, 201, text);
  assert.match(body.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  receiver.secrets.set(path, body.secret);
  return body;
}

const endpointOf = async (server, id, organization = server.shop) => (await server.get(`/v1/event-endpoints/${id}`, organization.key)).body;
const deliveriesOf = async (server, id, state = '') => (await server.get(`/v1/event-endpoints/${id}/deliveries?limit=100&state=${state}`, server.shop.key)).body.data;
const postTo = (server, endpoint, what, body = {}) => server.post(`/v1/event-endpoints/${endpoint.id}/${what}`, server.shop.key, body);

test('events', async (t) => {
  const receiver = await openReceiver(t);
  const telegram = await openTelegram(t);
  const server = await openServer(t, { organizations: ['shop', 'other'], settings: SETTINGS, publicUrl: true });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);
  const web = await server.addChannel(shop, 'web');
  const all = await addEndpoint(server, receiver, '/all');
  const texts = await addEndpoint(server, receiver, '/texts', { events: ['message.*'], include_text: true });

  await t.test('a message, its answer and the status are told, signed; texts only where they are asked for', async () => {
    telegram.userSays(bot.token, { chatId: 41, text: PUNCTURE });
    const [sent] = await receiver.untilReceived('/texts', 'message.sent');
    const [received] = await receiver.untilReceived('/texts', 'message.received');
    await receiver.untilReceived('/all', 'message.sent');
    await receiver.untilReceived('/all', 'conversation.status');

    assert.equal(received.data.text, PUNCTURE);
    assert.equal(received.data.text_is_cut, false);
    assert.equal(received.data.organization_id, shop.id);
    assert.equal(received.data.source, 'telegram');
    assert.equal(received.data.role, 'user');
    assert.match(sent.data.text, /19 euros/);
    assert.equal(sent.data.conversation_id, received.data.conversation_id);
    assert.equal(sent.data.delivery, 'sent');
    assert.match(received.id, /^msg_[0-9a-f-]{36}$/);
    assert.match(received.timestamp.toString(), /^\d{10}$/);
    const { body: message } = await server.get(`/v1/conversations/${received.data.conversation_id}/messages`, shop.key);
    assert.deepEqual(message.data.map((m) => m.id), [received.data.message_id, sent.data.message_id]);

    const plain = receiver.at('/all');
    assert.ok(plain.every((event) => !('text' in event.data)), 'no text');
    assert.ok(plain.every((event) => !event.raw.includes('puncture')), 'nor anywhere else');
    assert.equal(plain.find((event) => event.type === 'message.received').id, received.id, 'one id for all who hear of it');
    assert.ok(receiver.at('/texts').every((event) => event.type.startsWith('message.')), 'only what was asked for');
    assert.deepEqual(receiver.refused, []);
  });

  await t.test('the web chat, a wish for a person, hand-over and back, escalations, documents', async () => {
    const visitor = await Visitor.open(server, web.id);
    await visitor.ask('Can I talk to a person please?');
    const [opened] = await receiver.untilReceived('/all', 'escalation.opened');
    const [handed] = await receiver.untilReceived('/all', 'conversation.handed_off');
    assert.equal(opened.data.reason, 'asked_for_person');
    assert.equal(handed.data.hand_off_to_human, true);
    assert.equal(handed.data.conversation_id, opened.data.conversation_id);
    assert.equal((await server.post(`/v1/conversations/${handed.data.conversation_id}/hand-back`, shop.key, {})).status, 200);
    await receiver.untilReceived('/all', 'conversation.handed_back');
    assert.equal((await server.post(`/v1/escalations/${opened.data.escalation_id}/close`, shop.key, {})).status, 200);
    const [resolved] = await receiver.untilReceived('/all', 'escalation.resolved');
    assert.equal(resolved.data.status, 'closed');
    await server.addDocument(shop, 'more.md', '# More\n\nA bell costs 9 euros.\n');
    const [ready] = await receiver.untilReceived('/all', 'document.ready');
    assert.ok(ready.data.chunk_count >= 1);
  });

  await t.test('a failure is tried again under the same id, with a new time and signature', async () => {
    const failing = await addEndpoint(server, receiver, '/flaky');
    receiver.answer('/flaky', () => (receiver.at('/flaky').length === 1 ? { status: 500, body: 'grüße, we are being deployed' } : null));
    const { status, body } = await postTo(server, failing, 'test');
    assert.equal(status, 202);
    await receiver.untilReceived('/flaky', 'endpoint.test', 1);
    const [waiting] = await until(async () => {
      const rows = await deliveriesOf(server, failing.id, 'pending');
      return rows[0]?.attempts === 1 ? rows : null;
    }, 'the failure to be recorded');
    assert.equal(waiting.http_status, 500);
    assert.equal(waiting.response, 'grüße, we are being deployed');
    assert.equal(waiting.event_id, body.event_id);
    assert.ok(Date.parse(waiting.next_attempt_at) - Date.parse(waiting.updated_at) >= 5000, 'five seconds, and a little');
    const known = await endpointOf(server, failing.id);
    assert.equal(known.failures, 1);
    assert.ok(known.failing_since);

    const [first, second] = await receiver.untilReceived('/flaky', 'endpoint.test', 2);
    assert.equal(first.id, second.id);
    assert.equal(first.raw, second.raw, 'the same bytes');
    assert.ok(second.timestamp > first.timestamp);
    assert.notEqual(first.signature, second.signature);
    await until(async () => (await endpointOf(server, failing.id)).failing_since === null, 'the endpoint to be well');
    assert.equal((await deliveriesOf(server, failing.id))[0].state, 'delivered');
  });

  await t.test('what asks for patience gets it, and a redirect is not followed', async () => {
    const endpoint = await addEndpoint(server, receiver, '/busy');
    receiver.answer('/busy', { status: 429, headers: { 'retry-after': '600' } });
    await postTo(server, endpoint, 'test');
    const wait = await until(async () => {
      const [row] = await deliveriesOf(server, endpoint.id);
      return row?.attempts === 1 ? Date.parse(row.next_attempt_at) - Date.parse(row.updated_at) : null;
    }, 'the answer to be recorded');
    assert.ok(wait >= 600_000, `${wait} ms`);
    const moved = await addEndpoint(server, receiver, '/moved');
    receiver.answer('/moved', { status: 302, headers: { location: receiver.address('/all') } });
    const before = receiver.at('/all', 'endpoint.test').length;
    await postTo(server, moved, 'test');
    await until(async () => (await deliveriesOf(server, moved.id))[0]?.http_status === 302, 'the redirect to be recorded');
    assert.equal(receiver.at('/all', 'endpoint.test').length, before);
  });

  await t.test('410 disables the endpoint, others are told, nothing more is sent; enabling sends what waited', async () => {
    const leaving = await addEndpoint(server, receiver, '/leaving', { description: 'an old CRM' });
    receiver.answer('/leaving', { status: 410 });
    await postTo(server, leaving, 'test');
    const [told] = await receiver.untilReceived('/all', 'endpoint.disabled');
    assert.equal(told.data.endpoint_id, leaving.id);
    assert.equal(told.data.reason, 'gone');
    const known = await endpointOf(server, leaving.id);
    assert.deepEqual([known.status, known.status_reason], ['disabled', 'gone']);
    assert.equal((await postTo(server, leaving, 'test')).status, 409);
    assert.equal((await postTo(server, leaving, 'replay', { since: '2020-01-01T00:00:00Z' })).status, 409);
    await postUpdate(server, bot, textUpdate(7001, 42, 'Hello?'));
    await receiver.untilReceived('/all', 'message.received', 3);
    assert.equal(receiver.at('/leaving').length, 1);
    receiver.answer('/leaving', null);
    assert.equal((await server.call('PATCH', `/v1/event-endpoints/${leaving.id}`, { key: shop.key, body: { status: 'enabled' } })).body.status, 'enabled');
    const [{ id }] = receiver.at('/leaving');
    await receiver.until(() => receiver.at('/leaving').filter((event) => event.id === id).length === 2, 'what waited');
  });

  await t.test('a rotated secret signs beside the one before', async () => {
    const endpoint = await addEndpoint(server, receiver, '/rotated');
    const { status, body } = await postTo(server, endpoint, 'rotate-secret');
    assert.equal(status, 200);
    assert.notEqual(body.secret, endpoint.secret);
    await postTo(server, endpoint, 'test');
    const [event] = await receiver.untilReceived('/rotated');
    assert.equal(event.signature.split(' ').length, 2);
    const headers = { 'webhook-id': event.id, 'webhook-timestamp': `${event.timestamp}`, 'webhook-signature': event.signature };
    for (const secret of [body.secret, endpoint.secret]) new Webhook(secret).verify(event.raw, headers);
    assert.throws(() => new Webhook(all.secret).verify(event.raw, headers), 'not with another endpoint\'s');
    assert.throws(() => new Webhook(body.secret).verify(`${event.raw} `, headers), 'not other bytes');
  });

  await t.test('one event, or all from a time on, is sent again; ids stay', async () => {
    const late = await addEndpoint(server, receiver, '/late', { events: ['message.received', 'message.sent'] });
    const known = receiver.at('/texts', 'message.received')[0];
    const { status, body } = await postTo(server, late, 'replay', { event_id: known.id });
    assert.deepEqual([status, body.queued], [202, 1]);
    assert.equal((await receiver.untilReceived('/late'))[0].id, known.id);
    assert.ok(!('text' in receiver.at('/late')[0].data));
    const { body: rest } = await postTo(server, late, 'replay', { since: known.timestamp ? new Date(Date.now() - 3_600_000).toISOString() : '' });
    const ids = new Set([...receiver.at('/all', 'message.received'), ...receiver.at('/all', 'message.sent')].map((event) => event.id));
    assert.equal(rest.queued, ids.size);
    assert.equal(rest.next_since, null);
    await receiver.until(() => new Set(receiver.at('/late').map((event) => event.id)).size === ids.size, 'all of them');
    assert.deepEqual(new Set(receiver.at('/late').map((event) => event.id)), ids);
    assert.equal((await postTo(server, late, 'replay', { event_id: '01890000-0000-7000-8000-000000000000' })).status, 404);
    assert.equal((await postTo(server, late, 'replay', {})).status, 400);
    assert.equal((await postTo(server, late, 'replay', { event_id: known.id, since: '2020-01-01T00:00:00Z' })).status, 400);
  });

  await t.test('an organization hears of its own alone; a removed endpoint of nothing', async () => {
    const others = await addEndpoint(server, receiver, '/others', {}, server.organizations.other);
    assert.ok(receiver.at('/all').length > 0);
    assert.deepEqual(receiver.at('/others'), []);
    for (const what of ['test', 'replay', 'rotate-secret']) {
      assert.equal((await server.post(`/v1/event-endpoints/${all.id}/${what}`, server.organizations.other.key, what === 'replay' ? { since: '2020-01-01T00:00:00Z' } : {})).status, 404);
    }
    assert.equal((await server.call('DELETE', `/v1/event-endpoints/${texts.id}`, { key: shop.key })).status, 204);
    const before = receiver.at('/texts').length;
    await postUpdate(server, bot, textUpdate(7002, 42, 'Anybody?'));
    await until(() => receiver.at('/all', 'message.received').some((event) => event.data.external_message_id?.includes('7002')), 'the message');
    await until(async () => (await server.sql(shop, `SELECT count(*) AS n FROM event_delivery WHERE endpoint_id = '${texts.id}'`))[0].n == 0, 'its deliveries to be gone');
    assert.equal(receiver.at('/texts').length, before);
    assert.deepEqual(await server.sql(shop, `SELECT id FROM credential WHERE owner_id = '${texts.id}'`), []);
    assert.ok(others.id);
  });

  await t.test('what cannot be an endpoint is refused with its reason, and secrets are shown once', async () => {
    for (const [body, why] of [
      [{ url: 'ftp://crm.example/in' }, /url/], [{ url: 'https://u:p@crm.example/' }, /user/], [{ url: 'nonsense' }, /url/], [{}, /url/],
      [{ url: 'https://crm.example/#x' }, /fragment/], [{ url: 'https://crm.example/', events: ['message.typed'] }, /message\.typed/],
      [{ url: 'https://crm.example/', more: 1 }, /more/],
    ]) {
      const { status, body: problem } = await server.post('/v1/event-endpoints', shop.key, body);
      assert.equal(status, 400, JSON.stringify(body));
      assert.match(problem.detail, why);
    }
    const { text } = await server.get('/v1/event-endpoints', shop.key);
    assert.ok(!text.includes('whsec_'));
    const stored = JSON.stringify(await server.sql(shop, 'SELECT * FROM event_endpoint'));
    assert.ok(!stored.includes('whsec_'));
    assert.ok(!server.stderr.some((line) => line.includes('whsec_')));
    const { body: key } = await server.post('/v1/keys', shop.key, { name: 'a reader', scopes: 'conversations:read operate' });
    assert.equal((await server.get('/v1/event-endpoints', key.secret)).status, 403);
    assert.equal((await server.get(`/v1/event-endpoints/${all.id}/deliveries`, key.secret)).status, 200);
  });
});

test('private addresses are refused unless the operator allows them', async (t) => {
  const receiver = await openReceiver(t);
  const server = await openServer(t, { documents: false });
  for (const url of [receiver.address('/x'), 'https://127.0.0.1/x', 'https://[::1]/x', 'https://10.1.2.3/x', 'https://169.254.169.254/latest', 'https://localhost/x',
    'https://crm.example:22/x', 'https://[::ffff:10.0.0.1]/']) {
    const { status, body } = await server.post('/v1/event-endpoints', server.shop.key, { url });
    assert.equal(status, 400, url);
    assert.match(body.detail, /^url: /);
  }
  // A name that leads to this machine is found out when it is looked up; after three tries it is given up.
  const endpoint = await server.post('/v1/event-endpoints', server.shop.key, { url: 'https://crm.example/x' });
  assert.equal(endpoint.status, 201, endpoint.text);
  await server.stop();
  await server.alter(server.shop, `UPDATE event_endpoint SET url = 'https://localhost:${receiver.port}/x'`);
  await server.start();
  for (let i = 0; i < 3; i++) await server.post(`/v1/event-endpoints/${endpoint.body.id}/test`, server.shop.key, {});
  await until(async () => (await endpointOf(server, endpoint.body.id)).failures >= 1, 'a refusal');
  assert.match((await deliveriesOf(server, endpoint.body.id)).find((row) => row.attempts === 1).error, /private/);
  await until(async () => (await endpointOf(server, endpoint.body.id)).status_reason === 'address', 'the endpoint to be given up', 60_000);
  assert.deepEqual(receiver.requests, []);
});

test('nothing that was told is lost when the process is killed, and ids tell what came twice', async (t) => {
  const receiver = await openReceiver(t);
  const telegram = await openTelegram(t);
  const server = await openServer(t, { settings: SETTINGS, publicUrl: true });
  const bot = await addBot(server, telegram, server.shop);
  const endpoint = await addEndpoint(server, receiver, '/crm', { events: ['message.received', 'message.sent'] });
  const total = 60;

  // Killed after the call and before its record, again and again, while messages arrive.
  let posted = 0;
  let deaths = 0;
  const start = async () => {
    while (!(await server.start({ failpoints: 'event.called=crash:5' }).then(() => true, () => false))) deaths += 1;
  };
  await server.stop();
  await start();
  while (posted < total) {
    const { status } = await postUpdate(server, bot, textUpdate(9000 + posted, 50 + (posted % 5), 'Hello')).catch(() => ({ status: 0 }));
    if (status === 200) {
      posted += 1;
      continue;
    }
    await server.killed();
    deaths += 1;
    await start();
  }
  await server.kill();
  await server.start();
  const rows = await until(async () => {
    const [{ n }] = await server.sql(server.shop, "SELECT count(*) AS n FROM message WHERE role = 'user'");
    const pending = await deliveriesOf(server, endpoint.id, 'pending');
    const ids = new Set(receiver.at('/crm', 'message.received').map((event) => event.data.message_id));
    return Number(n) === ids.size && pending.length === 0 ? { n: Number(n), ids } : null;
  }, 'every message to be told', 60_000);
  assert.equal(rows.n, total);
  assert.ok(deaths >= 1, `${deaths} deaths`);
  const byMessage = new Map();
  for (const event of receiver.at('/crm', 'message.received')) {
    byMessage.set(event.data.message_id, (byMessage.get(event.data.message_id) ?? new Set()).add(event.id));
  }
  assert.ok([...byMessage.values()].every((ids) => ids.size === 1), 'one id for each message, however often it came');
  assert.ok(receiver.at('/crm').length > new Set(receiver.at('/crm').map((event) => event.id)).size, 'some came twice');
  assert.deepEqual(receiver.refused, []);
});
