// reconcile.test.mjs - killed while a message is on its way: what the provider tells of it afterwards settles it
//
// WhatsApp, Twilio and mail services give back the reference that a send carried. A message that had arrived is sent, not
// uncertain, and is not sent again; one that had not arrived stays uncertain and waits for a person. Slack can be
// asked: one that had not arrived is sent then.
import assert from 'node:assert/strict';
import test from 'node:test';

import { headerOf } from '../doubles/smtp/smtp-double.mjs';
import { NETWORKS } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from '../system/scene.mjs';
import { OR_KILLED } from './load.mjs';

// How each double keeps what it has to tell, and lets it go.
const TELLS = {
  whatsapp_business: {
    hold: ({ double }) => { double.tells = []; },
    release: ({ double }) => { for (const sent of double.sent.filter((one) => !one.told)) { sent.told = true; double.reports(sent, 'sent'); } },
  },
  twilio_sms: {
    hold: ({ double }) => { double.holdCallbacks = true; },
    release: ({ double }) => double.releaseCallbacks(),
  },
  // Postmark tells of a mail by what it was given along.
  email: {
    hold: () => {},
    release: async (network) => {
      for (const mail of network.double.mails.filter((one) => !one.told)) {
        mail.told = true;
        const parley = headerOf(mail, 'Message-I[Dd]').replace(/[<>]/g, '');
        const status = await network.post({ RecordType: 'Delivery', MessageID: `guid-${parley}`, Recipient: mail.to[0], DeliveredAt: new Date().toISOString(), Metadata: { parley } });
        assert.equal(status, 200);
      }
    },
  },
};

for (const [source, tells] of Object.entries(TELLS)) {
  test(`${source}: killed around the provider's call`, async (t) => {
    const server = await openServer(t, { publicUrl: true });
    const { shop } = server;
    const network = new NETWORKS[source](1);
    await network.start();
    t.after(() => network.stop());
    await network.connect(server, shop, { burst_window_ms: 0, on_uncertain: 'hold' });
    const answerOf = async (chatId) => (await server.sql(shop, `SELECT m.id, m.delivery, d.state, d.external_message_id, d.attempts FROM message m
      LEFT JOIN delivery d ON d.message_id = m.id WHERE m.role = 'assistant' AND m.external_chat_id = '${chatId}'`))[0];
    const settled = (chatId, ...states) => until(async () => {
      const answer = await answerOf(chatId);
      return states.includes(answer?.delivery) ? answer : null;
    }, `the answer to ${chatId} to be ${states.join(' or ')}`);
    let person = 100;

    const killedAt = async (step) => {
      tells.hold(network);
      await server.stop();
      await server.start({ failpoints: `${step}=crash:1` });
      const { chatId, send } = network.write(++person, PUNCTURE);
      assert.ok(OR_KILLED.includes(await send()));
      await server.killed();
      return chatId;
    };

    await t.test('it had arrived, and is told of once it was held', async () => {
      const chatId = await killedAt('send.called');
      await server.start();
      await settled(chatId, 'uncertain');
      await tells.release(network);
      const answer = await settled(chatId, 'sent', 'delivered');
      await server.waitUntilIdle(shop);
      assert.equal(network.got().filter((one) => one.chatId === chatId).length, 1);
      assert.equal(answer.external_message_id, network.got().at(-1).external);
      assert.equal(answer.attempts, 1);
      await server.waitForLog('send.reconciled');
      const [{ status }] = await server.sql(shop, `SELECT status FROM conversation WHERE external_chat_id = '${chatId}'`);
      assert.equal(status, 'ai_response_sent');
    });

    await t.test('it had not arrived: nobody tells of it, and it waits for a person', async () => {
      const chatId = await killedAt('send.intent_committed');
      await server.start();
      await settled(chatId, 'uncertain');
      await tells.release(network);
      await server.waitUntilIdle(shop);
      assert.equal((await answerOf(chatId)).delivery, 'uncertain');
      assert.deepEqual(network.got().filter((one) => one.chatId === chatId), []);
    });

    if (source === 'email') return; // SMTP's lost answers: email.test.mjs
    await t.test("the answer to the call is lost while the server lives", async () => {
      tells.hold(network);
      await server.restart();
      const { chatId, send } = network.write(++person, PUNCTURE);
      if (source === 'whatsapp_business') network.double.fail({ match: (call) => call.body?.type === 'text', hangup: 'after' });
      else network.double.fail({ match: (request) => request.path.endsWith('/Messages.json'), hang: true, accepted: true });
      assert.equal(await send(), 200);
      await settled(chatId, 'uncertain');
      await tells.release(network);
      await settled(chatId, 'sent', 'delivered');
      assert.equal(network.got().filter((one) => one.chatId === chatId).length, 1);
    });
  });
}

test('slack: killed around the call, and the workspace is asked', async (t) => {
  const server = await openServer(t, { publicUrl: true, settings: { 'queue.sweep': '500ms' } });
  const { shop } = server;
  const network = new NETWORKS.slack(1);
  await network.start();
  t.after(() => network.stop());
  await network.connect(server, shop, { burst_window_ms: 0, on_uncertain: 'hold' });
  const { double } = network;
  const settled = (chatId, state) => until(async () => {
    const [row] = await server.sql(shop, `SELECT m.id, m.delivery, d.external_message_id, d.attempts FROM message m
      LEFT JOIN delivery d ON d.message_id = m.id WHERE m.role = 'assistant' AND m.external_chat_id = '${chatId}'`);
    return row?.delivery === state ? row : null;
  }, `the answer to ${chatId} to be ${state}`, 30_000);
  const askedOf = (chatId) => double.requests.filter(({ path, body }) => path === '/api/conversations.history' && body.includes(`channel=${chatId}`)).length;
  let person = 100;

  const killedAt = async (step) => {
    await server.stop();
    await server.start({ failpoints: `${step}=crash:1` });
    const { chatId, send } = network.write(++person, PUNCTURE);
    assert.ok(OR_KILLED.includes(await send()));
    await server.killed();
    await server.start();
    return chatId;
  };
  const assertOnce = async (chatId, attempts, asked) => {
    const answer = await settled(chatId, 'sent');
    await server.waitUntilIdle(shop);
    const got = network.got().filter((one) => one.chatId === chatId);
    assert.equal(got.length, 1);
    assert.deepEqual([answer.external_message_id, answer.attempts, askedOf(chatId)], [got[0].external, attempts, asked]);
  };

  await t.test('it had arrived', async () => {
    await assertOnce(await killedAt('send.called'), 1, 1);
    await server.waitForLog('send.reconciled');
  });

  await t.test('it had not arrived: seen twice, some seconds apart, then sent', async () => {
    await assertOnce(await killedAt('send.intent_committed'), 2, 2);
  });

  await t.test('killed again while it asks', async () => {
    const chatId = await killedAt('send.called');
    await assertOnce(chatId, 1, 1);
    await server.stop();
    const next = network.write(++person, PUNCTURE);
    await server.start({ failpoints: 'send.called=crash:1' });
    assert.equal(await next.send(), 200);
    await server.killed();
    await server.start({ failpoints: 'send.asked=crash:1' }).catch(() => {}); // it may die before it listens
    await server.killed();
    await server.start();
    await assertOnce(next.chatId, 1, 2);
  });

  await t.test('the answer to the call is lost while the server lives', async () => {
    double.fail({ match: ({ path }) => path === '/api/chat.postMessage', hang: true, accepted: true });
    const { chatId, send } = network.write(++person, PUNCTURE);
    assert.equal(await send(), 200);
    await assertOnce(chatId, 1, 1);
  });

  await t.test('the bot may not read: nobody knows, and it waits for a person', async () => {
    double.scopes.delete('history');
    const chatId = await killedAt('send.called');
    await settled(chatId, 'uncertain');
    assert.equal(network.got().filter((one) => one.chatId === chatId).length, 1);
    assert.equal((await server.get(`/v1/channels/${network.channel.id}`, shop.key)).body.status, 'active');
    double.scopes.add('history');
  });
});
