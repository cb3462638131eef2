// echo.test.mjs - somebody of the business answers in WhatsApp's or Instagram's own app: the conversation is theirs
//
// What Parley itself sent comes back in the same way, sometimes before the provider has answered the call, or although it
// never does: that is nobody's answer, and changes nothing.
import assert from 'node:assert/strict';
import test from 'node:test';

import { InstagramDouble } from '../doubles/meta/instagram-double.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openServer } from './scene.mjs';

const NETWORKS = {
  whatsapp_business: {
    Double: WhatsAppDouble,
    token: 'EAAtest0123456789abcdef',
    account: '200100300400500',
    credentials: (secret) => ({ phone_number_id: '200100300400500', access_token: 'EAAtest0123456789abcdef', app_secret: secret }),
    add: (double, more) => double.addNumber({ id: '200100300400500', token: 'EAAtest0123456789abcdef', ...more }),
    person: (n) => `DE.${n}`,
  },
  instagram: {
    Double: InstagramDouble,
    credentials: (secret) => ({ instagram_account_id: '17841400000000001', access_token: 'IGAAtest0123456789abcdef', app_secret: secret, verify_token: 'typed-into-the-dashboard' }),
    add: (double, more) => double.addAccount({ id: '17841400000000001', token: 'IGAAtest0123456789abcdef', ...more }),
    person: (n) => String(900_200_000 + n),
  },
};

let lastPerson = 0;

async function open(t, source, settings = {}) {
  const network = NETWORKS[source];
  const double = new network.Double({ timeScale: 0.001 });
  await double.start();
  t.after(() => double.stop());
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const channel = await server.addChannel(shop, source, {
    credentials: network.credentials(double.options.appSecret), settings: { api_base: double.url, burst_window_ms: 0, ...settings },
  });
  network.add(double, { callback: `${server.url}/webhooks/${source}/${channel.id}` });
  const stateOf = async (chat) => {
    const rows = await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}' ORDER BY created_at DESC`);
    if (rows.length === 0) return null; // nothing has come yet
    const conversation = (await server.get(`/v1/conversations/${rows[0].id}`, shop.key)).body;
    return { ...conversation, messages: await server.list(`/v1/conversations/${rows[0].id}/messages`, shop.key) };
  };
  const quiet = async () => {
    await double.waitUntilDelivered();
    await server.waitUntilIdle(shop);
    await double.waitUntilDelivered();
  };
  const settled = (chat, delivery) => until(async () => (await stateOf(chat))?.messages.at(-1).delivery === delivery, `the last message to ${chat} to be ${delivery}`);
  return { double, server, shop, channel, stateOf, quiet, settled, newPerson: () => { lastPerson += 1; return network.person(lastPerson); } };
}

const rolesOf = ({ messages }) => messages.map((one) => one.role).join();

for (const source of Object.keys(NETWORKS)) {
  test(`${source}: answered by hand`, async (t) => {
    const { double, server, shop, stateOf, quiet, newPerson } = await open(t, source);

    await t.test('the words are kept, and no machine speaks until it is handed back', async () => {
      const person = newPerson();
      double.says(person, PUNCTURE);
      await double.waitForMessages(1, person);
      await quiet();
      assert.equal((await stateOf(person)).hand_off_to_human, false, 'what came back of our own changes nothing');
      const { mid, id: wamid } = double.writesByHand(person, 'Ines here: bring it by today!');
      await quiet();
      let state = await stateOf(person);
      assert.deepEqual([rolesOf(state), state.hand_off_to_human, state.conversation_status], ['user,assistant,agent', true, 'handed_off']);
      const kept = state.messages.at(-1);
      assert.deepEqual([kept.text, kept.delivery], ['Ines here: bring it by today!', 'sent']);
      assert.ok(kept.external_message_id.endsWith(mid ?? wamid));

      double.says(person, DEPOSIT);
      await quiet();
      assert.equal(double.messagesTo(person).length, 1, 'the machine is silent');
      const { id } = state;
      assert.equal((await server.list('/v1/escalations?status=open', shop.key)).filter((one) => one.conversation_id === id).length, 1);

      await server.post(`/v1/conversations/${id}/hand-back`, shop.key, {});
      const [, answer] = await double.waitForMessages(2, person);
      assert.match(answer.text, /100 euros/);
      await quiet();
      state = await stateOf(person);
      assert.deepEqual([rolesOf(state), state.hand_off_to_human], ['user,assistant,agent,user,assistant', false]);
    });

    await t.test('told of twice, kept once', async () => {
      const person = newPerson();
      double.duplicates = true;
      double.writesByHand(person, 'Your bike is ready.');
      await double.waitUntilDelivered();
      double.duplicates = false;
      await quiet();
      const state = await stateOf(person);
      assert.deepEqual([rolesOf(state), state.hand_off_to_human], ['agent', true]);
    });
  });

  test(`${source}: answered by hand before the machine did`, async (t) => {
    const { double, stateOf, quiet, newPerson } = await open(t, source, { burst_window_ms: 1500 });
    const person = newPerson();
    double.says(person, PUNCTURE);
    await double.waitUntilDelivered();
    double.writesByHand(person, '19, tube included.');
    await quiet();
    assert.equal(rolesOf(await stateOf(person)), 'user,agent');
    assert.deepEqual(double.messagesTo(person), []);
  });

  test(`${source}: "ignore" keeps the words, and the machine goes on`, async (t) => {
    const { double, stateOf, quiet, newPerson } = await open(t, source, { on_person_echo: 'ignore' });
    const person = newPerson();
    double.writesByHand(person, 'Your bike is ready.');
    await quiet();
    assert.deepEqual([(await stateOf(person)).hand_off_to_human, (await stateOf(person)).conversation_status], [false, 'ai_response_sent']);
    double.says(person, PUNCTURE);
    await double.waitForMessages(1, person);
    await quiet();
    assert.equal(rolesOf(await stateOf(person)), 'agent,user,assistant');
  });
}

test('whatsapp: what is changed or taken back by hand is no answer', async (t) => {
  const { double, server, shop, stateOf, quiet, newPerson } = await open(t, 'whatsapp_business');
  const person = newPerson();
  double.says(person, PUNCTURE);
  await double.waitForMessages(1, person);
  double.writesByHand(person, '', { type: 'revoke', text: undefined, revoke: { original_message_id: double.messagesTo(person)[0].id } });
  double.writesByHand(person, '', { type: 'reaction', text: undefined, reaction: { message_id: double.messagesTo(person)[0].id, emoji: '👍' } });
  await quiet();
  assert.deepEqual([rolesOf(await stateOf(person)), (await stateOf(person)).hand_off_to_human], ['user,assistant', false]);
  const kinds = (await server.get('/v1/channel-events', shop.key)).body.data.map((one) => one.kind);
  assert.deepEqual(kinds.filter((kind) => kind !== 'delivery').sort(), ['deletion', 'reaction']);
});

test('instagram: what Parley sent comes back in every way, and is nobody\'s answer', async (t) => {
  const { double, server, shop, stateOf, quiet, settled, newPerson } = await open(t, 'instagram');
  const assertOurs = async (person, roles) => {
    await quiet();
    const state = await stateOf(person);
    assert.deepEqual([rolesOf(state), state.hand_off_to_human], [roles, false]);
  };

  await t.test('before the call is answered', async () => {
    const person = newPerson();
    double.echoesFirst = true;
    double.says(person, PUNCTURE);
    await double.waitForMessages(1, person);
    await settled(person, 'sent');
    double.echoesFirst = false;
    await assertOurs(person, 'user,assistant');
  });

  await t.test('although the answer to the call was lost', async () => {
    const person = newPerson();
    double.fail({ match: ({ body }) => body?.recipient?.id === person && body.message, hangup: 'after' });
    double.says(person, PUNCTURE);
    await settled(person, 'uncertain');
    await assertOurs(person, 'user,assistant');
  });

  await t.test('in parts, one of which is short', async () => {
    const person = newPerson();
    double.says(person, PUNCTURE);
    await double.waitForMessages(1, person);
    await quiet();
    const { id } = await stateOf(person);
    double.echoesFirst = true;
    const text = `${'We open at nine, and the workshop at ten. '.repeat(40).trim()} Until soon, then!`;
    assert.equal((await server.post(`/v1/conversations/${id}/messages`, shop.key, { text })).status, 201);
    await settled(person, 'sent');
    double.echoesFirst = false;
    assert.ok(double.messagesTo(person).length > 2);
    await assertOurs(person, 'user,assistant,agent');
  });

  await t.test('with a file before the words', async () => {
    const person = newPerson();
    double.says(person, PUNCTURE);
    await double.waitForMessages(1, person);
    await quiet();
    const { id } = await stateOf(person);
    const picture = { name: 'bike.png', content: Buffer.from('89504e470d0a1a0a', 'hex').toString('base64') };
    double.echoesFirst = true;
    assert.equal((await server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'Here it is', attachments: [picture] })).status, 201);
    await settled(person, 'sent');
    double.echoesFirst = false;
    assert.equal(double.messagesTo(person).length, 3);
    await assertOurs(person, 'user,assistant,agent');
  });

  await t.test('killed while it was sent', async () => {
    const person = newPerson();
    await server.restart({ failpoints: 'send.called=crash:1' });
    double.says(person, PUNCTURE);
    await server.killed();
    await server.start();
    await settled(person, 'uncertain');
    await assertOurs(person, 'user,assistant');
  });
});
