// drafts.test.mjs - what a language model writes is shown in Telegram while it writes, and comes once as a message
import assert from 'node:assert/strict';
import test from 'node:test';

import { PUNCTURE, addBot, openModel, openServer, openTelegram } from './scene.mjs';

// Shown is what was checked: a sentence, as soon as the next one begins.
const WORDS = ['A puncture repair costs **19** euros, tube included [1].', ' A new', ' chain costs 45 euros [1].', ' The deposit', ' for a cargo bike is 100 euros [2].', ' A cargo', ' bike costs 39 euros a day [2].'];
const SLOW = { chunks: WORDS, chunk_delay_ms: 600 };
const ANSWER = 'A puncture repair costs 19 euros, tube included [1]. A new chain costs 45 euros [1]. The deposit for a cargo bike is 100 euros [2]. A cargo bike costs 39 euros a day [2].';

test('telegram: drafts', async (t) => {
  const telegram = await openTelegram(t);
  const model = await openModel(t);
  const server = await openServer(t, { publicUrl: true, settings: { ...model.settings, 'queue.sweep': '500ms' } });
  const bot = await addBot(server, telegram, server.shop);
  const answer = async (chatId) => (await telegram.waitForMessages(1, { chatId, timeoutMs: 30_000 }))[0];

  await t.test('grow in a private chat, at most one a second, and end with the message', async () => {
    model.script(SLOW);
    telegram.userSays(bot.token, { chatId: 41, text: PUNCTURE });
    assert.equal((await answer(41)).text, ANSWER);
    const drafts = telegram.drafts({ chatId: 41 });
    assert.ok(drafts.length >= 2, JSON.stringify(drafts));
    assert.equal(new Set(drafts.map((draft) => draft.id)).size, 1);
    for (const [i, draft] of drafts.entries()) {
      assert.ok(ANSWER.startsWith(draft.text), draft.text);
      assert.equal(draft.messages, drafts[0].messages, 'none comes after the message');
      if (i === 0) continue;
      assert.ok(draft.text.length > drafts[i - 1].text.length);
      assert.ok(draft.at - drafts[i - 1].at >= 900, `${draft.at - drafts[i - 1].at} ms`);
    }
    await server.waitUntilIdle(server.shop);
    assert.equal(telegram.messages({ chatId: 41 }).length, 1);
  });

  await t.test('are for private chats', async () => {
    model.script(SLOW);
    telegram.userSays(bot.token, { chatId: -1041, chatType: 'supergroup', userId: 41, text: `@${bot.name} ${PUNCTURE}` });
    await answer(-1041);
    assert.deepEqual(telegram.drafts({ chatId: -1041 }), []);
  });

  await t.test('leave nothing behind when the process dies while one is shown', async () => {
    model.script(SLOW, SLOW);
    telegram.userSays(bot.token, { chatId: 43, text: PUNCTURE });
    await telegram.waitUntil(() => telegram.drafts({ chatId: 43 }).length > 0, 'draft', () => 'a draft');
    await server.kill();
    assert.deepEqual(telegram.messages({ chatId: 43 }), []);
    await server.start();
    assert.equal((await answer(43)).text, ANSWER);
    await server.waitUntilIdle(server.shop);
    assert.equal(telegram.messages({ chatId: 43 }).length, 1);
  });

  await t.test('are given up at a server that knows none, and the answer comes as before', async () => {
    model.script(SLOW);
    telegram.fail({ method: 'sendMessageDraft', status: 404, description: 'Not Found: method not found', times: 9 });
    telegram.userSays(bot.token, { chatId: 44, text: PUNCTURE });
    assert.equal((await answer(44)).text, ANSWER);
    assert.equal(telegram.calls({ method: 'sendMessageDraft' }).filter((call) => call.params.chat_id === 44).length, 1);
  });
});
