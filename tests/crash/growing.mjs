// growing.mjs - killed at every step of an answer that is shown while it is made: it is one message in the end,
// whole, and nothing half said stays. A file for each provider, so that they run side by side
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openModel, openServer } from '../system/scene.mjs';
import { OR_KILLED } from './load.mjs';

// Shown is what was checked: a sentence, as soon as the next one begins.
const WORDS = ['A puncture repair costs 19 euros, tube included [1].', ' A new', ' chain costs 45 euros [1].', ' The deposit', ' for a cargo bike is 100 euros [2].', ' A cargo',
  ' bike costs 39 euros a day [2].'];
const SLOW = { chunks: WORDS, chunk_delay_ms: 700 };
const ANSWER = WORDS.join('');
const STEPS = ['grow.intent_committed', 'grow.begun', 'grow.known', 'grow.grown', 'answer.modelled', 'answer.in_transaction', 'answer.committed',
  'send.loaded', 'send.called', 'send.outcome_committed'];
// Steps after which the provider has the message, and its id may have got lost.
const ASKS = ['grow.intent_committed', 'grow.begun'];

export function killedWhileGrowing(source) {
  test(`${source}: killed while an answer grows`, async (t) => {
    const model = await openModel(t);
    const server = await openServer(t, { publicUrl: true, settings: { ...model.settings, 'queue.sweep': '500ms' } });
    const { shop } = server;
    const network = new NETWORKS[source](1);
    await network.start();
    t.after(() => network.stop());
    await network.connect(server, shop, { burst_window_ms: 0, on_uncertain: 'hold' });
    const settled = (chatId) => until(async () => {
      const rows = await server.sql(shop, `SELECT m.id, m.delivery, m.body, d.external_message_id FROM message m
        LEFT JOIN delivery d ON d.message_id = m.id WHERE m.role = 'assistant' AND m.external_chat_id = '${chatId}'`);
      return rows[0]?.delivery === 'sent' ? rows : null;
    }, `the answer to ${chatId} to be sent`, 60_000);
    let person = 100;

    const killedAt = async (failpoints) => {
      await server.stop();
      await server.start({ failpoints });
      model.script(SLOW, SLOW, SLOW);
      const { chatId, send } = network.write(++person, PUNCTURE);
      assert.ok(OR_KILLED.includes(await send()));
      await server.killed();
      return chatId;
    };

    const assertOne = async (chatId) => {
      const rows = await settled(chatId);
      await server.waitUntilIdle(shop);
      const got = network.got().filter((one) => one.chatId === chatId);
      assert.deepEqual(got.map(({ text }) => text), [ANSWER]);
      assert.equal(rows.length, 1);
      assert.equal(rows[0].external_message_id, got[0].external);
      assert.deepEqual(await server.sql(shop, 'SELECT conversation_id FROM growing'), []);
    };

    for (const step of STEPS) {
      await t.test(step, async () => {
        const chatId = await killedAt(`${step}=crash:1`);
        const shown = network.got().filter((one) => one.chatId === chatId).length;
        if (source === 'slack') assert.equal(shown, step === 'grow.intent_committed' ? 0 : 1);
        await server.start();
        await assertOne(chatId);
        if (source === 'slack' && !ASKS.includes(step)) {
          assert.equal(network.double.requests.filter(({ path }) => /conversations\.(history|replies)/.test(path)).length, ASKS.length + 1, 'asked only where the id was lost');
        }
      });
    }

    await t.test('killed twice, in growing and in making it whole', async () => {
      const chatId = await killedAt('grow.known=crash:1');
      await server.start({ failpoints: 'send.called=crash:1' }).catch(() => {}); // it may die before it listens
      await server.killed();
      await server.start();
      await assertOne(chatId);
    });

    await t.test('a person takes the conversation between two kills: it is taken away', async () => {
      const chatId = await killedAt('grow.grown=crash:1');
      model.script({ ...SLOW, chunk_delay_ms: 2000 }); // time to take it, once the answer is begun
      await server.start({ failpoints: 'answer.modelled=crash:1' });
      await until(() => model.state.requests.length > 0, 'the model to be asked');
      const [{ id }] = await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${chatId}'`);
      assert.equal((await server.post(`/v1/conversations/${id}/take-over`, shop.key, {})).status, 200);
      await server.killed();
      await server.start();
      await until(async () => (await server.sql(shop, 'SELECT conversation_id FROM growing')).length === 0, 'what was shown to be taken away', 30_000);
      await server.waitUntilIdle(shop);
      assert.deepEqual(network.got().filter((one) => one.chatId === chatId), []);
      if (source === 'teams') assert.deepEqual([...network.chats.get(person).activities.values()].filter((one) => one.entities), [], 'no stream');
    });
  });
}
