// streaming.test.mjs - an answer that is told piece by piece, by a model that takes its time
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';

import { QUESTION, Shop } from './support.mjs';

// Each sentence is in the documents, so that the answer holds.
const CHUNKS = ['The guarantee ', 'on an **Alder ', 'frame** is ', 'ten years. [1]\n\n', 'It covers:\n', '- cracks\n', '- broken welds', ' [1]'];
let shop;

before(async () => { shop = await Shop.open({ model: { chunks: CHUNKS, chunk_delay_ms: 200, delay_ms: 500 } }); });
after(() => shop?.close());

test('typing, then words as they come, then the whole with its sources, announced once', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();
  const announced = await chat.page.evaluateHandle(() => {
    const heard = [];
    const element = document.querySelector('.parley').shadowRoot.querySelector('.root > [aria-live="polite"]');

    new MutationObserver(() => heard.push(element.textContent)).observe(element, { childList: true, characterData: true, subtree: true });
    return heard;
  });

  await chat.ask(QUESTION);
  await chat.typing.waitFor();
  // Seen in one look: on a slow machine the next one may be too late.
  await chat.streaming.filter({ hasText: 'The guarantee' }).locator('.caret').waitFor();
  assert.equal(await chat.typing.count(), 0);
  await chat.answer(1).locator('.source').first().waitFor();
  assert.equal(await chat.streaming.count(), 0);
  assert.equal(await chat.answer(1).locator('strong').innerText(), 'Alder frame');
  assert.deepEqual(await chat.answer(1).locator('.bubble li').allInnerTexts().then((t) => t.map((s) => s.split(/\s*\d$/)[0].trim())), ['cracks', 'broken welds']);
  assert.deepEqual(await announced.jsonValue(), ['Assistant: The guarantee on an Alder frame is ten years. \n\nIt covers:\n- cracks\n- broken welds ']);
  assert.equal((await chat.texts()).length, 2);
  await visitor.close();
});

test('a reload in the middle of an answer loses nothing of it', async () => {
  shop.model.state.script = [{ chunks: CHUNKS, chunk_delay_ms: 400 }];
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.streaming.getByText('The guarantee').waitFor();
  await chat.page.reload();
  await chat.answer(1).locator('.source').first().waitFor();
  assert.equal((await chat.texts()).length, 2);
  assert.equal(await chat.streaming.count(), 0);
  await visitor.close();
});

test('a person who takes over in the middle of an answer silences it', async () => {
  shop.model.state.script = [{ chunks: CHUNKS, stall_after: 5 }];
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.streaming.getByText('The guarantee').waitFor();
  const { conversation_id: id } = await chat.serverSide();

  await shop.staff(id, 'take-over');
  await chat.notice.getByText('A person of our team').waitFor();
  await chat.streaming.waitFor({ state: 'detached' });
  await shop.staff(id, 'messages', { text: 'Mia here.' });
  await chat.agents.first().waitFor();
  assert.deepEqual((await chat.texts()).map((t) => t.split(':')[0]), ['own', 'agent']);
  await visitor.close();
});

test('a kill in the middle of an answer: it is told again after the restart, once', async () => {
  shop.model.state.script = [{ chunks: CHUNKS, stall_after: 5 }];
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.streaming.getByText('ten years').waitFor();
  await shop.server.kill();
  await chat.notice.getByText('Connecting again').waitFor();
  assert.equal(await chat.own.count(), 1);
  await shop.server.start();
  await chat.answer(1).locator('.source').first().waitFor();
  await chat.notice.waitFor({ state: 'hidden' });
  assert.equal((await chat.texts()).length, 2);
  const { messages } = await chat.serverSide();

  assert.deepEqual(messages.map((m) => m.role), ['user', 'assistant']);
  await visitor.close();
});
