// chat.test.mjs - what a visitor does: ask, read, look at the sources, come back, begin anew, meet a person
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';

import { ANSWER, QUESTION, SECOND, SECOND_ANSWER, Shop } from './support.mjs';

const AGAIN_MS = 8000;

let shop;

before(async () => { shop = await Shop.open(); });
after(() => shop?.close());

test('a question gets one answer with its source, and the source shows the words', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  assert.equal(await chat.page.title(), 'Quayside');
  await chat.ask(QUESTION);
  await chat.says(1, ANSWER);
  const source = chat.answer(1).locator('.source');
  const quote = chat.answer(1).locator('blockquote');

  await source.first().waitFor();
  assert.match(await source.first().innerText(), /Quayside bikes › Guarantee/);
  assert.equal(await source.first().getAttribute('aria-expanded'), 'false');
  assert.equal(await quote.first().isVisible(), false);
  await chat.answer(1).getByRole('button', { name: /^Source 1: Quayside bikes/ }).click();
  await quote.first().getByText(ANSWER).waitFor();
  assert.equal(await source.first().getAttribute('aria-expanded'), 'true');
  await source.first().click();
  await quote.first().waitFor({ state: 'hidden' });
  assert.equal(await chat.answers.count(), 1);
  assert.equal(await chat.own.count(), 1);
  await visitor.close();
});

test('a source opens the document where the words stand, also from a page of another origin', async () => {
  const visitor = await shop.visitor();

  for (const chat of [await visitor.openChat(), await visitor.embed(await shop.hostPage())]) {
    if (await chat.launcher.isVisible()) await chat.launcher.click();
    await chat.ask(QUESTION);
    await chat.says(1, ANSWER);
    await chat.answer(1).locator('.source').first().click();
    const opening = chat.page.waitForEvent('popup');
    await chat.answer(1).getByRole('link', { name: 'Open the document' }).first().click();
    const page = await opening;
    const mark = page.locator('mark#passage');
    await mark.waitFor();
    assert.match(await mark.innerText(), ANSWER);
    assert.match(await page.locator('main').innerText(), /Renting a cargo bike/);
    assert.match(page.url(), /\/v1\/blobs\/[\w-]+\/text\?start=\d+&end=\d+#passage$/);
    assert.ok(await mark.evaluate((one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }), 'the passage is in view');
    await page.close();
  }
  await visitor.close();
});

test('a mark that is pointed at shows its source; Escape and leaving hide it', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();
  const tip = chat.page.locator('.tip');

  await chat.ask(QUESTION);
  await chat.answer(1).locator('button.mark').first().hover();
  await tip.getByText(ANSWER).waitFor();
  await chat.page.keyboard.press('Escape');
  await tip.waitFor({ state: 'hidden' });
  await chat.page.mouse.move(5, 5);
  await chat.answer(1).locator('button.mark').first().hover();
  await tip.waitFor();
  await chat.page.mouse.move(5, 5);
  await tip.waitFor({ state: 'hidden' });
  await visitor.close();
});

test('a suggestion is a question; with the first message they are gone', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.page.getByRole('button', { name: QUESTION }).click();
  await chat.says(1, ANSWER);
  assert.equal(await chat.page.getByRole('button', { name: QUESTION }).count(), 0);
  assert.deepEqual((await chat.texts())[0], `own: ${QUESTION}`);
  await visitor.close();
});

test('a reload shows the same conversation, which goes on', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  const before = await chat.texts();

  await chat.page.reload();
  await chat.says(1, ANSWER);
  assert.deepEqual(await chat.texts(), before);
  assert.equal(await chat.answer(1).locator('.source').count() > 0, true);
  await chat.ask(SECOND);
  await chat.says(2, SECOND_ANSWER);
  assert.deepEqual((await chat.texts()).slice(0, 2), before);
  const { messages } = await chat.serverSide();

  assert.deepEqual(messages.map((m) => m.seq), [1, 2, 3, 4]);
  await visitor.close();
});

test('two windows show the same, whoever writes', async () => {
  const visitor = await shop.visitor();
  const one = await visitor.openChat();
  const two = await visitor.openChat();

  await one.ask(QUESTION);
  await two.says(1, ANSWER);
  await two.ask(SECOND);
  await one.says(2, SECOND_ANSWER);
  await two.answer(2).waitFor();
  assert.deepEqual(await one.texts(), await two.texts());
  assert.equal((await one.texts()).length, 4);
  assert.equal(await two.pending.count(), 0);
  await visitor.close();
});

test('a new conversation begins empty in every window, and the old words do not return', async () => {
  const visitor = await shop.visitor();
  const one = await visitor.openChat();
  const two = await visitor.openChat();

  await one.ask(QUESTION);
  await one.answer(1).waitFor();
  await two.answer(1).waitFor();
  const { conversation_id: first } = await one.serverSide();

  await one.page.bringToFront(); // pages behind are drawn seldom
  await one.fresh.click();
  await one.page.getByRole('alertdialog').getByRole('button', { name: 'Begin anew' }).click();
  for (const chat of [one, two]) await chat.own.first().waitFor({ state: 'detached' });
  await two.ask(SECOND);
  await one.says(1, SECOND_ANSWER);
  await one.page.reload();
  await one.says(1, SECOND_ANSWER);
  assert.equal((await one.texts()).length, 2);
  assert.notEqual((await one.serverSide()).conversation_id, first);
  await visitor.close();
});

test('a person takes over, answers and gives back, and the visitor sees who speaks', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  const { conversation_id: id } = await chat.serverSide();

  await shop.staff(id, 'take-over');
  await chat.notice.getByText('A person of our team').waitFor();
  await shop.staff(id, 'messages', { text: 'This is Mia. Shall I look at your frame?' });
  await chat.agents.first().getByText('This is Mia').waitFor();
  assert.match(await chat.agents.first().innerText(), /Our team/);
  await chat.ask('Yes, please');
  await chat.kept.nth(1).waitFor();
  // What is left without a word of the team would be answered now.
  await shop.staff(id, 'messages', { text: 'Your frame is fine.' });
  await chat.agents.nth(1).getByText('frame is fine').waitFor();
  await shop.staff(id, 'hand-back');
  await chat.notice.waitFor({ state: 'hidden' });
  assert.equal(await chat.typing.count(), 0);
  await chat.ask(SECOND);
  await chat.says(2, SECOND_ANSWER);
  await visitor.close();
});

test('what is written stays text', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();
  const evil = '<img src=x onerror="window.hit=1"> **b** [x](javascript:window.hit=1) https://a.example/?q=<b>';

  await chat.ask(evil);
  await chat.answer(1).waitFor();
  const { conversation_id: id } = await chat.serverSide();

  await shop.staff(id, 'messages', { text: `${evil} <script>window.hit=1</script>` });
  await chat.agents.first().waitFor();
  assert.equal(await chat.page.evaluate(() => window.hit), undefined);
  assert.equal(await chat.page.locator('.bubble img, .bubble script, .bubble a[href^="javascript"]').count(), 0);
  assert.equal((await chat.texts())[0], `own: ${evil}`);
  const link = chat.own.first().locator('a');

  assert.equal(await link.getAttribute('href'), 'https://a.example/?q=');
  assert.match(await link.getAttribute('rel'), /noopener.*nofollow/);
  await visitor.close();
});

test('too long a text is not sent, and says by how much', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.input.fill('x'.repeat(8003));
  await chat.page.getByText('Too long by 3 characters').waitFor();
  await chat.input.press('Enter');
  assert.equal(await chat.own.count(), 0);
  await chat.input.fill(`${'wide words '.repeat(60)}${'x'.repeat(400)}`);
  await chat.input.press('Enter');
  await chat.answer(1).waitFor();
  assert.equal(await chat.page.evaluate(() => {
    const body = document.querySelector('.parley').shadowRoot.querySelector('.body');

    return body.scrollWidth <= body.clientWidth;
  }), true);
  await visitor.close();
});

test('an address without a chat says so', async () => {
  const visitor = await shop.visitor();
  const page = await visitor.context.newPage();
  const response = await page.goto(`${shop.server.url}/chat/01a00000-0000-7000-8000-000000000000`);

  assert.equal(response.status(), 404);
  await page.getByRole('heading', { name: 'There is no chat at this address' }).waitFor();
  await visitor.close();
});

// A picture of one colour.
function png(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from([30, 120, 105]))]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

test('files that a person sends: the picture is shown, the rest is saved, also on another origin', async () => {
  const visitor = await shop.visitor();
  const picture = png(320, 200);

  for (const chat of [await visitor.openChat(), await visitor.embed(await shop.hostPage())]) {
    if (await chat.launcher.isVisible()) await chat.launcher.click();
    await chat.ask(QUESTION);
    await chat.says(1, ANSWER);
    const id = (await shop.messages()).at(-1).conversation_id;

    await shop.staff(id, 'messages', {
      text: 'Here is your bike.',
      attachments: [{ name: 'alder.png', mime_type: 'image/png', content: picture.toString('base64') },
        { name: 'Bill 2026.pdf', mime_type: 'application/pdf', content: Buffer.from('%PDF-1.4').toString('base64') }],
    });
    const image = chat.agents.locator('.file img');

    await image.waitFor();
    assert.deepEqual(await image.evaluate(async (one) => {
      if (one.naturalWidth === 0) await new Promise((loaded) => { one.addEventListener('load', loaded); });
      return [one.naturalWidth, one.naturalHeight];
    }), [320, 200]);
    const files = chat.agents.locator('.file');
    assert.match(await files.nth(0).innerText(), /alder\.png/);
    assert.match(await files.nth(1).innerText(), /Bill 2026\.pdf\s+8/);
    if (process.env.PARLEY_TEST_SCREENSHOTS) await chat.page.screenshot({ path: `${process.env.PARLEY_TEST_SCREENSHOTS}/files-${await chat.launcher.isVisible()}.png` });
    const saved = chat.page.waitForEvent('download');
    await files.nth(1).click();
    // Where the address takes longer than a click counts as a person's, the browser wants a second one, as a person would give.
    const again = setTimeout(() => { void files.nth(1).click().catch(() => {}); }, AGAIN_MS);
    assert.equal((await saved).suggestedFilename(), 'Bill 2026.pdf');
    clearTimeout(again);
  }
  await visitor.close();
});
