// reliability.test.mjs - no network, no server, no storage, no patience: nothing is lost and nothing said twice
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';

import { ANSWER, QUESTION, request, SECOND, SECOND_ANSWER, Shop } from './support.mjs';

let shop;

before(async () => { shop = await Shop.open(); });
after(() => shop?.close());

const roles = async (chat) => (await chat.serverSide()).messages.map((m) => `${m.role}${m.role === 'user' ? `: ${m.text}` : ''}`);

test('what is written offline is sent when the network returns, in order and once', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  await visitor.context.setOffline(true);
  await chat.ask(SECOND);
  await chat.ask('And thank you!');
  await chat.notice.getByText('You are offline').waitFor();
  await chat.pending.first().getByText('Not sent yet').waitFor();
  assert.equal(await chat.pending.count(), 2);
  await visitor.context.setOffline(false);
  await chat.said(SECOND_ANSWER);
  await chat.pending.first().waitFor({ state: 'detached' });
  await chat.notice.waitFor({ state: 'hidden' });
  const said = (await roles(chat)).filter((r) => r.startsWith('user'));

  assert.deepEqual(said, [`user: ${QUESTION}`, `user: ${SECOND}`, 'user: And thank you!']);
  assert.deepEqual((await chat.texts()).filter((t) => t.startsWith('own')).length, 3);
  await visitor.close();
});

test('what is written offline outlives the closing of the page', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  await visitor.context.setOffline(true);
  await chat.ask(SECOND);
  await chat.pending.getByText('Not sent yet').waitFor();
  await chat.page.close();
  await visitor.context.setOffline(false);
  const again = await visitor.openChat();

  await again.said(SECOND_ANSWER);
  assert.deepEqual((await roles(again)).filter((r) => r.startsWith('user')), [`user: ${QUESTION}`, `user: ${SECOND}`]);
  assert.equal(await again.pending.count(), 0);
  await visitor.close();
});

test('a kill before, and after, the message is taken: sent again, kept once, answered once', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  await shop.server.kill();
  await chat.ask(SECOND);
  await chat.pending.getByText('Not sent yet').waitFor();
  await chat.notice.getByText('Connecting again').waitFor();
  await shop.server.start();
  await chat.said(SECOND_ANSWER);

  /* The receipt is lost: the browser must send again what the server has. */
  await chat.page.route('**/messages', async (route) => {
    if (route.request().method() !== 'POST') return route.fallback();
    await route.fetch();
    await shop.server.kill();
    return route.abort('connectionreset');
  }, { times: 1 });
  await chat.ask('How much is renting a cargo bike?');
  await chat.notice.getByText('Connecting again').waitFor();
  await shop.server.start();
  await chat.says(3, /fifty-five euros/);
  await chat.pending.first().waitFor({ state: 'detached' });
  assert.deepEqual((await roles(chat)).map((r) => r.split(':')[0]), ['user', 'assistant', 'user', 'assistant', 'user', 'assistant']);
  assert.equal((await chat.texts()).length, 6);
  await visitor.close();
});

test('"try again" does not wait for the next time', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  /* Ten minutes: only the button can bring the answer in time. */
  await chat.page.route('**/messages', (route) => (route.request().method() !== 'POST' ? route.fallback() : route.fulfill({
    status: 503, headers: { 'retry-after': '600', 'access-control-allow-origin': '*' }, body: '{}',
  })), { times: 1 });
  await chat.ask(QUESTION);
  await chat.pending.getByRole('button', { name: 'Try again' }).click();
  await chat.says(1, ANSWER);
  assert.equal(await chat.own.count(), 1);
  await visitor.close();
});

test('too many requests: Retry-After is kept, then it is sent', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();
  const times = [];

  await chat.page.route('**/messages', (route) => {
    if (route.request().method() !== 'POST') return route.fallback();
    times.push(Date.now());
    if (times.length > 1) return route.fallback();
    return route.fulfill({ status: 429, headers: { 'retry-after': '2' }, contentType: 'application/problem+json', body: '{"status":429}' });
  });
  await chat.ask(QUESTION);
  await chat.says(1, ANSWER);
  assert.equal(times.length, 2);
  assert.ok(times[1] - times[0] >= 1900, `sent again after ${times[1] - times[0]} ms`);
  await visitor.close();
});

test('a message that the server refuses says why and can be deleted; those behind it go out', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.page.route('**/messages', (route) => (route.request().method() !== 'POST' ? route.fallback() : route.fulfill({
    status: 400, contentType: 'application/problem+json', body: JSON.stringify({ status: 400, detail: 'not in this house' }),
  })), { times: 1 });
  await chat.ask('Something odd');
  await chat.pending.getByText('Not sent (not in this house)').waitFor();
  await chat.ask(QUESTION);
  await chat.says(1, ANSWER);
  await chat.pending.getByRole('button', { name: 'Delete' }).click();
  await chat.pending.first().waitFor({ state: 'detached' });
  assert.deepEqual((await roles(chat))[0], `user: ${QUESTION}`);
  await visitor.close();
});

test('a token that has ended is replaced without a word to the visitor', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.page.route('**/messages', (route) => (route.request().method() !== 'POST' ? route.fallback() : route.fulfill({ status: 401, body: '{}' })), { times: 1 });
  await chat.ask(QUESTION);
  await chat.says(1, ANSWER);
  assert.equal(await chat.own.count(), 1);
  await visitor.close();
});

test('where the browser refuses storage the chat works, for as long as the page stands', async () => {
  const visitor = await shop.visitor();

  await visitor.context.addInitScript(() => {
    Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } });
  });
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.says(1, ANSWER);
  await chat.ask(SECOND);
  await chat.says(2, SECOND_ANSWER);
  assert.equal((await chat.texts()).length, 4);
  await visitor.close();
});

test('what happened while the stream was cut is there after it returns', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  const { conversation_id: id } = await chat.serverSide();

  await visitor.context.setOffline(true);
  await chat.notice.getByText('You are offline').waitFor();
  for (let n = 1; n <= 3; n++) await shop.staff(id, 'messages', { text: `Word ${n} of a person` });
  await visitor.context.setOffline(false);
  await chat.agents.getByText('Word 3').waitFor();
  assert.deepEqual((await chat.texts()).slice(2), [1, 2, 3].map((n) => `agent: Word ${n} of a person`));
  await visitor.close();
});

test('a chat that cannot be reached at first opens when it can', async () => {
  const visitor = await shop.visitor();
  const page = await visitor.context.newPage();
  let failures = 0;

  await page.route('**/session', (route) => (failures++ < 2 ? route.abort('connectionrefused') : route.fallback()));
  const session = request(page, 'POST', '/session');

  await page.goto(shop.chatUrl);
  await session;
  await page.getByText('Hello! Ask me about bikes.').waitFor();
  assert.equal(failures, 3);
  await visitor.close();
});
