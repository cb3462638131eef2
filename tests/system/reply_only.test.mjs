// reply_only.test.mjs - a channel that answers only those whom the organization wrote to first
//
// At every provider that takes a message out of the blue: a stranger is told so, once an hour and in the channel's
// words, and nothing else is answered; what they wrote is kept. Once somebody of the team has written to
// them, the next question is answered from the documents.
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openServer } from './scene.mjs';

const TOLD = 'Hello! Here we write first. Please call the shop.';

test('a channel that only replies', async (t) => {
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;

  for (const [i, source] of Object.keys(NETWORKS).entries()) {
    await t.test(source, async (s) => {
      const network = new NETWORKS[source](i + 1);
      await network.start();
      s.after(() => network.stop());
      await network.connect(server, shop, { burst_window_ms: 0, reply_only: true, reply_only_text: TOLD });
      const says = async (person, text) => {
        const { chatId, send } = network.write(person, text);
        if (send) assert.equal(await send(), 200);
        return chatId;
      };
      const got = (chatId) => network.got().filter((one) => one.chatId === chatId).map(({ text }) => text);
      const kept = (chatId) => server.sql(shop, `SELECT conversation_id, role, body FROM message
        WHERE channel_id = '${network.channel.id}' AND external_chat_id = '${chatId}' ORDER BY seq`);

      const chatId = await says(501, PUNCTURE);
      await until(() => got(chatId).length > 0, 'the sentence');
      await says(501, DEPOSIT);
      await until(async () => (await kept(chatId)).filter(({ role }) => role === 'user').length === 2, 'both to be kept');
      const other = await says(502, PUNCTURE);
      await until(() => got(other).length > 0, 'the sentence for another');
      await server.waitUntilIdle(shop);
      assert.deepEqual(got(chatId), [TOLD]);
      assert.deepEqual(got(other), [TOLD]);

      const [{ conversation_id: id }] = await kept(chatId);
      const { status } = await server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'We have your bike here.' });
      assert.equal(status, 201);
      await until(() => got(chatId).length === 2, 'what the team wrote');
      await server.post(`/v1/conversations/${id}/hand-back`, shop.key, {});
      await says(501, PUNCTURE);
      const answer = await until(() => got(chatId)[2], 'an answer');
      assert.match(answer, /19 euros/);
      await server.waitUntilIdle(shop);
      assert.equal(got(other).length, 1);
    });
  }
});
