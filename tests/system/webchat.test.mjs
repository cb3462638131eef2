// webchat.test.mjs - what the widget relies on: sessions, events that resume, messages that are said once
import assert from 'node:assert/strict';
import test from 'node:test';

import { engine } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, Visitor, openServer } from './scene.mjs';

test('web chat', async (t) => {
  const server = await openServer(t, { organizations: ['shop', 'other'] });
  const { shop } = server;
  const channel = await server.addChannel(shop, 'web', { settings: { title: 'Harbour Cycles', greeting: 'Hello!', color: '#0f6b5c' } });
  const elsewhere = await server.addChannel(server.organizations.other, 'web');

  await t.test('a session says how the chat looks; a good token keeps its visitor', async () => {
    const visitor = await Visitor.open(server, channel.id);
    assert.deepEqual([visitor.session.title, visitor.session.greeting, visitor.session.color, visitor.session.resumed],
      ['Harbour Cycles', 'Hello!', '#0f6b5c', false]);
    await visitor.ask(PUNCTURE);
    const again = await Visitor.open(server, channel.id, visitor.token);
    assert.equal(again.session.resumed, true);
    assert.equal((await again.messages()).messages.length, 2);
    const stranger = await Visitor.open(server, channel.id, `${visitor.token.slice(0, -2)}xx`);
    assert.equal(stranger.session.resumed, false);
    assert.deepEqual((await stranger.messages()).messages, []);
  });

  await t.test('without a token, or with one of another chat, nothing is shown', async () => {
    const other = await Visitor.open(server, elsewhere.id);
    for (const token of [undefined, 'x', other.token]) {
      for (const [method, path] of [['GET', 'messages'], ['GET', 'events'], ['POST', 'messages']]) {
        const answer = await server.call(method, `/v1/webchat/${channel.id}/${path}`, {
          key: token, body: method === 'POST' ? { client_message_id: 'a', text: 'hi' } : undefined,
        });
        assert.equal(answer.status, 401, `${method} ${path} ${token}: ${answer.text}`);
      }
    }
    assert.equal((await server.post('/v1/webchat/01890000-0000-7000-8000-000000000000/session', undefined, {})).status, 404);
  });

  await t.test('only pages that were let may use it', async () => {
    const closed = await server.addChannel(shop, 'web', { settings: { allowed_origins: ['https://shop.example'] } });
    const session = (origin) => server.call('POST', `/v1/webchat/${closed.id}/session`, { body: {}, headers: origin ? { origin } : {} });
    assert.equal((await session('https://evil.example')).status, 401);
    const good = await session('https://shop.example');
    assert.equal(good.status, 200);
    assert.match(good.headers.get('access-control-allow-origin'), /^(\*|https:\/\/shop\.example)$/);
  });

  await t.test('the same client_message_id is said once', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const stream = await visitor.events();
    const first = await visitor.say(PUNCTURE, { client_message_id: 'same' });
    const again = await Promise.all([1, 2, 3].map(() => visitor.say(PUNCTURE, { client_message_id: 'same' })));
    assert.equal(first.status, 202);
    for (const answer of again) assert.deepEqual([answer.status, answer.body.id, answer.body.duplicate], [202, first.body.id, true]);
    await stream.until((e) => e.data.role === 'assistant');
    await server.waitUntilIdle(shop);
    const { messages } = await visitor.messages();
    assert.deepEqual(messages.map((m) => [m.seq, m.role, m.client_message_id]), [[1, 'user', 'same'], [2, 'assistant', undefined]]);
    await stream.close();
    assert.deepEqual(stream.events.filter((e) => e.type === 'message').map((e) => e.data.seq), [1, 2]);
  });

  await t.test('two windows of one visitor see the same', async () => {
    const one = await Visitor.open(server, channel.id);
    const two = await Visitor.open(server, channel.id, one.token);
    const streams = [await one.events(), await two.events()];
    await one.say(PUNCTURE);
    for (const stream of streams) await stream.until((e) => e.type === 'message' && e.data.role === 'assistant');
    for (const stream of streams) await stream.close();
    assert.deepEqual(streams[0].events.map((e) => e.id), streams[1].events.map((e) => e.id));
    assert.deepEqual(streams[0].events.filter((e) => e.type === 'message').map((e) => e.data.role), ['user', 'assistant']);
  });

  await t.test('cut at any event, the stream goes on without loss or repetition', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const whole = await visitor.events();
    const seen = [];
    let last;
    for (let round = 0; round < 6; round++) {
      const stream = await visitor.events(last);
      if (round % 2 === 0) await visitor.say(round % 4 === 0 ? PUNCTURE : DEPOSIT);
      // Cut after the first event that comes; the rest must come on the next stream.
      const event = await stream.until((e) => e.type === 'message' || e.type === 'answer_delta');
      const upTo = stream.events.indexOf(event);
      seen.push(...stream.events.slice(0, upTo + 1));
      last = event.id;
      await stream.close();
    }
    // Two that waited together have one answer.
    const asked = () => whole.events.filter((e) => e.type === 'message' && e.data.role === 'user');
    await whole.until((e) => e.type === 'message' && e.data.role === 'assistant' && asked().length === 3 && e.data.answers_to_seq >= asked()[2].data.seq);
    const rest = await visitor.events(last);
    const end = whole.events.at(-1).id;
    if (last !== end) await rest.until((e) => e.id === end);
    seen.push(...rest.events);
    await rest.close();
    await whole.close();
    assert.deepEqual(seen.map((e) => e.id), whole.events.map((e) => e.id));
    assert.deepEqual(seen.map((e) => e.text), whole.events.map((e) => e.text));
  });

  await t.test('the query may carry token and last id, as browsers need it', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const stream = await visitor.events();
    await visitor.say(PUNCTURE);
    const answer = await stream.until((e) => e.type === 'message' && e.data.role === 'assistant');
    await stream.close();
    const first = stream.events[0];
    const resumed = await server.events(`${visitor.base}/events?token=${encodeURIComponent(visitor.token)}&last_event_id=${first.id}`);
    await resumed.until((e) => e.id === answer.id);
    await resumed.close();
    assert.deepEqual(resumed.events.map((e) => e.id), stream.events.slice(1).map((e) => e.id));
  });

  await t.test('after a restart: a reset, or on PostgreSQL what follows, and the history has everything once', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const stream = await visitor.events();
    await visitor.say(PUNCTURE);
    const answer = await stream.until((e) => e.type === 'message' && e.data.role === 'assistant');
    await server.restart();
    await stream.end();
    const again = await visitor.events(answer.id);
    if (engine === 'sqlite') assert.equal((await again.until(() => true)).type, 'reset');
    assert.deepEqual((await visitor.messages()).messages.map((m) => m.seq), [1, 2]);
    await visitor.ask(DEPOSIT);
    // There events outlive the process: the stream goes on where it was.
    if (engine !== 'sqlite') assert.equal((await again.until((e) => e.type !== 'typing')).data.seq, 3);
    await again.close();
    assert.deepEqual((await visitor.messages(2)).messages.map((m) => m.seq), [3, 4]);
  });

  await t.test('what was said right before a kill is answered after it', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const posted = await visitor.say(PUNCTURE);
    assert.equal(posted.status, 202);
    await server.kill();
    await server.start();
    await server.waitUntilIdle(shop);
    const { messages } = await visitor.messages();
    assert.deepEqual(messages.map((m) => m.role), ['user', 'assistant']);
    assert.match(messages[1].text, /19 euros/);
  });

  await t.test('a new conversation begins on request, and the old one is closed', async () => {
    const visitor = await Visitor.open(server, channel.id);
    await visitor.ask(PUNCTURE);
    const before = (await visitor.messages()).conversation_id;
    assert.equal((await server.post(`${visitor.base}/messages`, visitor.token, { new_conversation: true })).status, 202);
    assert.deepEqual((await visitor.messages()).messages, []);
    await visitor.ask(DEPOSIT);
    const after = await visitor.messages();
    assert.notEqual(after.conversation_id, before);
    assert.equal(after.messages.length, 2);
    assert.equal((await server.get(`/v1/conversations/${before}`, shop.key)).body.conversation_status, 'archived');
  });

  await t.test('messages that are wrong are refused and say why', async () => {
    const visitor = await Visitor.open(server, channel.id);
    for (const body of [{}, { text: 'x' }, { client_message_id: 'a', text: ' ' }, { client_message_id: 'no spaces', text: 'x' },
      { client_message_id: 'a', text: 'x', color: 'red' }, { client_message_id: 'a', text: 'x'.repeat(9000) }]) {
      const answer = await server.post(`${visitor.base}/messages`, visitor.token, body);
      assert.equal(answer.status, 400, JSON.stringify(body).slice(0, 60));
      assert.ok(answer.body.detail.length > 5);
    }
    assert.deepEqual((await visitor.messages()).messages, []);
  });

  await t.test('a chat that is switched off takes nothing more', async () => {
    const visitor = await Visitor.open(server, channel.id);
    assert.equal((await server.call('PATCH', `/v1/channels/${channel.id}`, { key: shop.key, body: { status: 'disabled' } })).status, 200);
    assert.equal((await visitor.say(PUNCTURE)).status, 404);
    assert.equal((await server.get(`${visitor.base}/messages`, visitor.token)).status, 404);
    assert.equal((await server.post(`${visitor.base}/session`, undefined, {})).status, 401);
    assert.equal((await server.call('PATCH', `/v1/channels/${channel.id}`, { key: shop.key, body: { status: 'active' } })).status, 200);
    assert.equal((await visitor.say(PUNCTURE)).status, 202);
    await server.waitUntilIdle(shop);
  });
});

test('a visitor who asks too much is asked to wait', async (t) => {
  const server = await openServer(t, { settings: { 'limits.external_per_minute': 4, 'limits.shared': 'local' } }); // shared ones are a share of it while Redis is slow
  const channel = await server.addChannel(server.shop, 'web');
  const visitor = await Visitor.open(server, channel.id);
  for (let i = 0; i < 4; i++) assert.equal((await server.get(`${visitor.base}/messages`, visitor.token)).status, 200);
  const refused = await visitor.say(PUNCTURE);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  const neighbour = await Visitor.open(server, channel.id);
  assert.equal((await neighbour.say(PUNCTURE)).status, 202);
  await server.waitUntilIdle(server.shop);
});
