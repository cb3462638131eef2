// parts.test.mjs - an answer in three parts, killed at every step of every part
//
// Parts that were sent are never sent again; the one in flight is uncertain and its channel's policy
// decides; those behind it follow in order.
import assert from 'node:assert/strict';
import test from 'node:test';

import { until } from '../support/server.mjs';
import { PUNCTURE, addBot, openModel, openServer, openTelegram } from '../system/scene.mjs';

const STEPS = ['send.intent_committed', 'send.called', 'send.outcome_committed'];
const PARTS = 3;

test('a long answer, killed at every step of every part', async (t) => {
  const telegram = await openTelegram(t);
  const model = await openModel(t);
  const server = await openServer(t, { publicUrl: true, settings: model.settings });
  const { shop } = server;
  const bots = {
    hold: await addBot(server, telegram, shop, { settings: { on_uncertain: 'hold' } }),
    resend: await addBot(server, telegram, shop, { settings: { on_uncertain: 'resend' } }),
  };
  // Each with a word of its own, so that parts differ; the rest is what the document says.
  const word = (i) => [...String(i)].map((digit) => 'bdfgklmnpr'[digit]).join('a');
  const answer = Array.from({ length: 170 }, (_, i) => `A puncture repair, ${word(i)}, costs 19 euros, tube included [1].`).join(' ');
  let chatId = 100;

  for (const [policy, bot] of Object.entries(bots)) {
    for (const step of STEPS) {
      for (let pass = 1; pass <= PARTS; pass++) {
        await t.test(`${policy}, ${step} of part ${pass}`, async () => {
          const chat = ++chatId;
          await server.stop();
          await server.start({ failpoints: `${step}=crash:${pass}` });
          model.script({ text: answer });
          telegram.userSays(bot.token, { chatId: chat, text: PUNCTURE });
          await server.killed();
          const before = telegram.messages({ chatId: chat }).map((m) => m.text);
          await server.start();
          const message = () => server.sql(shop, `SELECT id, delivery, body FROM message WHERE role = 'assistant' AND external_chat_id = '${chat}'`).then(([row]) => row);
          const isSent = step === 'send.outcome_committed' && pass === PARTS;
          const isHeld = policy === 'hold' && !isSent;
          await until(async () => (await message())?.delivery === (isHeld ? 'uncertain' : 'sent'), `the answer to be ${isHeld ? 'uncertain' : 'sent'}`);
          await server.waitUntilIdle(shop);

          const calledBefore = step === 'send.intent_committed' ? pass - 1 : pass;
          assert.equal(before.length, calledBefore);
          if (isHeld) {
            assert.deepEqual(telegram.messages({ chatId: chat }).map((m) => m.text), before, 'nothing more by itself');
            const { id } = await message();
            assert.equal((await server.post(`/v1/messages/${id}/resend`, shop.key, {})).status, 202);
            await until(async () => (await message()).delivery === 'sent', 'the rest to be sent');
          }
          const got = telegram.messages({ chatId: chat }).map((m) => m.text);
          const twice = got.filter((text, i) => i > 0 && got[i - 1] === text);
          const once = got.filter((text, i) => i === 0 || got[i - 1] !== text);
          assert.equal(once.join(' '), (await message()).body, 'all parts, in order');
          assert.equal(once.length, PARTS);
          // Only a part that was called and whose outcome was not committed can have come twice.
          assert.equal(twice.length, step === 'send.called' ? 1 : 0);
        });
      }
    }
  }
});
