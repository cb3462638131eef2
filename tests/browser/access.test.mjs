// access.test.mjs - keyboard alone, screen readers (axe), right to left, phones, less motion, more contrast
import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { ANSWER, QUESTION, Shop } from './support.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
let shop, host;

before(async () => {
  shop = await Shop.open();
  host = await shop.hostPage({ body: '<h1>A shop</h1><p>Bikes.</p><a href="#x">A link</a>' });
});
after(() => shop?.close());

// Fails with what axe found. Evaluated, not added as a script: the page's policy stays as it is.
async function inspect(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });

    return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.target.flat().join(' ')} (${n.any.concat(n.all, n.none).map((c) => c.message).join('; ')})`).join(' | ')}`);
  });

  assert.deepEqual(found, [], what);
}

// What has the focus, inside the chat's shadow tree too.
const focused = (page) => page.evaluate(() => {
  let element = document.activeElement;

  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
});

for (const colorScheme of ['light', 'dark'])
  test(`axe finds nothing, ${colorScheme}`, async () => {
    const visitor = await shop.visitor({ colorScheme, reducedMotion: 'reduce' });
    const chat = await visitor.openChat();

    await chat.page.getByRole('button', { name: QUESTION }).waitFor();
    await inspect(chat.page, 'empty');
    await chat.ask(QUESTION);
    await chat.says(1, ANSWER);
    await chat.answer(1).locator('.source').first().click();
    await inspect(chat.page, 'an answer with its source');
    await chat.answer(1).locator('button.mark').first().hover();
    await chat.page.locator('.tip').waitFor();
    await inspect(chat.page, 'a source pointed at');
    await visitor.context.setOffline(true);
    await chat.ask('Are you there?');
    await chat.pending.getByText('Not sent yet').waitFor();
    await inspect(chat.page, 'offline');
    await visitor.context.setOffline(false);
    await chat.answer(2).waitFor();
    await chat.fresh.click();
    await inspect(chat.page, 'a question before beginning anew');
    await visitor.close();
  });

test('axe finds nothing on a page that embeds it, closed, open and on a phone', async () => {
  for (const options of [{}, PHONE]) {
    const visitor = await shop.visitor({ reducedMotion: 'reduce', ...options });
    const chat = await visitor.embed(host);

    await inspect(chat.page, 'closed');
    await chat.launcher.click();
    await chat.page.getByRole('button', { name: QUESTION }).click();
    await chat.says(1, ANSWER);
    await inspect(chat.page, 'open');
    await visitor.close();
  }
});

test('keyboard alone: open, ask, read the source, begin anew, close', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.embed(host);
  const { keyboard } = chat.page;

  await keyboard.press('Tab');
  assert.equal(await focused(chat.page), 'A link');
  await keyboard.press('Tab');
  assert.equal(await focused(chat.page), 'Open chat');
  await keyboard.press('Enter');
  await chat.greeting.waitFor();
  assert.equal(await focused(chat.page), 'Write a message');
  await keyboard.type(QUESTION);
  await keyboard.press('Shift+Enter');
  await keyboard.type('Please.');
  await keyboard.press('Enter');
  await chat.answer(1).locator('.source').first().waitFor();
  assert.equal((await chat.texts())[0], `own: ${QUESTION}Please.`);

  /* Backwards from the field: the sources, then the mark in the text. */
  await keyboard.press('Shift+Tab');
  assert.match(await focused(chat.page), /Quayside bikes/);
  await keyboard.press('Enter');
  await chat.answer(1).locator('blockquote').last().waitFor();
  while (!/^Source 1:/.test(await focused(chat.page))) await keyboard.press('Shift+Tab');
  await chat.page.locator('.tip').waitFor();
  await keyboard.press('Escape');
  await chat.page.locator('.tip').waitFor({ state: 'hidden' });
  assert.equal(await chat.panel.isVisible(), true, 'the first Escape closes the tip alone');
  await keyboard.press('Enter');
  assert.match(await focused(chat.page), /^1Quayside bikes/);

  while ((await focused(chat.page)) !== 'New conversation') await keyboard.press('Shift+Tab');
  await keyboard.press('Enter');
  assert.equal(await focused(chat.page), 'Begin anew');
  await keyboard.press('Tab');
  assert.equal(await focused(chat.page), 'Cancel');
  await keyboard.press('Escape');
  assert.equal(await focused(chat.page), 'New conversation');
  await keyboard.press('Escape');
  await chat.panel.waitFor({ state: 'hidden' });
  assert.equal(await focused(chat.page), 'Open chat');
  await visitor.close();
});

test('the focus can be seen', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.openChat();

  await chat.page.getByRole('button', { name: QUESTION }).waitFor();
  await chat.page.keyboard.press('Shift+Tab');
  await chat.page.keyboard.press('Shift+Tab');
  const outline = await chat.page.getByRole('button', { name: QUESTION }).or(chat.page.locator('.feed')).and(chat.page.locator(':focus')).evaluate((e) => getComputedStyle(e).outlineStyle);

  assert.equal(outline, 'solid');
  await visitor.close();
});

test('a phone: the whole screen, focus kept inside, the page behind it still', async () => {
  const visitor = await shop.visitor(PHONE);
  const chat = await visitor.embed(host);

  await chat.launcher.tap();
  await chat.greeting.waitFor();
  assert.equal(await chat.panel.getAttribute('aria-modal'), 'true');
  const box = await chat.panel.evaluate((e) => { e.getAnimations().forEach((a) => a.finish()); return e.getBoundingClientRect().toJSON(); });

  assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 390, 844]);
  assert.equal(await focused(chat.page), 'Quayside', 'not the field: the keyboard would cover the greeting');
  assert.equal(await chat.page.evaluate(() => getComputedStyle(document.documentElement).overflow), 'hidden');
  const seen = new Set();

  for (let i = 0; i < 12; i++) {
    await chat.page.keyboard.press('Tab');
    seen.add(await focused(chat.page));
  }
  assert.equal(seen.has('A link'), false);
  assert.equal(seen.has('Close chat'), true);
  await chat.page.setViewportSize({ width: 390, height: 450 }); // as the keyboard does
  await chat.input.tap();
  await chat.input.fill(QUESTION);
  await chat.page.getByRole('button', { name: 'Send' }).tap();
  await chat.says(1, ANSWER);
  const field = await chat.input.boundingBox();

  assert.ok(field.y + field.height <= 450, 'the field stays above the keyboard');
  await chat.page.getByRole('button', { name: 'Close chat' }).tap();
  await chat.launcher.waitFor();
  assert.notEqual(await chat.page.evaluate(() => getComputedStyle(document.documentElement).overflow), 'hidden');
  await visitor.close();
});

test('right to left by language, each message by its own', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.embed(await shop.hostPage({ lang: 'ar' }));
  const direction = (locator) => locator.evaluate((e) => getComputedStyle(e).direction);

  await chat.page.getByRole('button', { name: 'افتح المحادثة' }).click();
  await chat.greeting.waitFor();
  assert.equal(await direction(chat.panel), 'rtl');
  assert.equal(await direction(chat.input), 'rtl');
  await chat.ask('ما هي ساعات العمل؟');
  await chat.answer(1).waitFor();
  assert.equal(await direction(chat.own.first().locator('p')), 'rtl');
  await chat.ask(QUESTION);
  await chat.says(2, ANSWER);
  assert.equal(await direction(chat.answer(2).locator('.bubble p').first()), 'ltr');
  const own = await chat.own.last().locator('.bubble').boundingBox();
  const other = await chat.answer(2).locator('.bubble').boundingBox();

  assert.ok(own.x < other.x, 'own messages stand on the left');
  await visitor.close();
});

test('every language greets and can be used', async () => {
  const visitor = await shop.visitor();
  const words = { en: 'Send', de: 'Senden', fr: 'Envoyer', es: 'Enviar', it: 'Invia', pt: 'Enviar', nl: 'Versturen', ar: 'إرسال' };

  for (const [locale, word] of Object.entries(words)) {
    const page = await visitor.openPage(await shop.hostPage({ attributes: `data-locale="${locale}" data-open` }));

    await page.getByRole('button', { name: word, exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.querySelector('.parley').shadowRoot.querySelector('.root').lang), locale);
    await page.close();
  }
  await visitor.close();
});

test('less motion: nothing moves', async () => {
  const visitor = await shop.visitor({ reducedMotion: 'reduce' });
  const chat = await visitor.embed(host);

  await chat.launcher.click();
  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  assert.equal(await chat.page.evaluate(() => document.querySelector('.parley').shadowRoot.getAnimations().length), 0);
  await visitor.close();
});

test('forced colours: bubbles keep a border', async () => {
  const visitor = await shop.visitor({ forcedColors: 'active' });
  const chat = await visitor.openChat();

  assert.equal(await chat.page.locator('.bubble').first().evaluate((e) => getComputedStyle(e).borderTopWidth), '1px');
  await visitor.close();
});
