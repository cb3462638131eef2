// embed.test.mjs - one script tag on somebody else's page
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';

import { until } from '../support/server.mjs';
import { ANSWER, QUESTION, SECOND, Shop } from './support.mjs';

let shop;

before(async () => { shop = await Shop.open(); });
after(() => shop?.close());

test('a page of another origin, with a strict policy and its own styles, gets the whole chat', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.embed(await shop.hostPage({
    head: '<link rel="stylesheet" href="data:text/css,*{color:red!important;font-size:40px;display:block}button{all:unset}">',
    headers: { 'content-security-policy': `default-src 'none'; script-src ${shop.server.url}; connect-src ${shop.server.url}; style-src data:; img-src data:` },
  }));

  assert.equal(await chat.launcher.evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(15, 107, 92)');
  await chat.launcher.click();
  await chat.ask(QUESTION);
  await chat.says(1, ANSWER);
  assert.equal(await chat.answer(1).locator('p').first().evaluate((e) => getComputedStyle(e).fontSize), '15px');
  await chat.page.reload();
  await chat.launcher.waitFor();
  assert.equal(await chat.panel.isVisible(), false);
  await chat.launcher.click();
  await chat.says(1, ANSWER);
  await visitor.close();
});

test('the script is what the README promises: one request, packed, below 25 kB', async () => {
  const { headers } = await shop.server.call('GET', '/widget.js', { headers: { 'accept-encoding': 'gzip' } });

  assert.equal(headers.get('content-encoding'), 'gzip');
  assert.ok(Number(headers.get('content-length')) < 25_000, headers.get('content-length'));
  assert.equal(headers.get('vary'), 'Accept-Encoding');
  const again = await shop.server.call('GET', '/widget.js', { headers: { 'accept-encoding': 'gzip', 'if-none-match': headers.get('etag') } });

  assert.equal(again.status, 304);
});

test('a visitor who does not open the chat costs no stream', async () => {
  const visitor = await shop.visitor();
  const page = await visitor.context.newPage();
  const asked = [];

  page.on('request', (r) => asked.push(new URL(r.url()).pathname.split('/').pop()));
  await page.goto(await shop.hostPage());
  await page.locator('.launcher').waitFor();
  await page.evaluate(() => new Promise((resolve) => { requestIdleCallback(resolve); }));
  assert.deepEqual(asked.filter((name) => name === 'events' || name === 'messages'), []);
  await visitor.close();
});

test('window.Parley opens, sends, tells and closes', async () => {
  const visitor = await shop.visitor();
  const chat = await visitor.embed(await shop.hostPage());
  const events = await chat.page.evaluateHandle(() => {
    const heard = [];

    for (const name of ['open', 'close', 'message', 'unread']) window.Parley.on(name, (detail) => heard.push([name, detail?.role ?? detail]));
    return heard;
  });

  await chat.page.evaluate((text) => { window.Parley.open(); window.Parley.send(text); }, QUESTION);
  await chat.says(1, ANSWER);
  await chat.page.evaluate(() => window.Parley.close());
  await chat.panel.waitFor({ state: 'hidden' });
  await chat.page.evaluate((text) => window.Parley.send(text), SECOND);
  await chat.page.locator('.badge').getByText('1').waitFor();
  assert.equal(await chat.launcher.getAttribute('aria-label'), 'Open chat. New messages: 1');
  await chat.page.evaluate(() => window.Parley.open());
  await chat.page.locator('.badge').waitFor({ state: 'hidden' });
  assert.deepEqual(await events.jsonValue(), [['open', null], ['message', 'assistant'], ['close', null], ['message', 'assistant'], ['unread', 1], ['unread', 0], ['open', null]]);
  await chat.page.evaluate(() => window.Parley.newConversation());
  await chat.own.first().waitFor({ state: 'detached' });
  await visitor.close();
});

test('an answer that is read before the stream tells of it is told of once; what an earlier page asked is history', async () => {
  const visitor = await shop.visitor();
  const host = await shop.hostPage();
  const listen = (chat) => chat.page.evaluateHandle(() => {
    const heard = [];

    window.Parley.on('message', (detail) => heard.push(detail.role));
    return heard;
  });
  const chat = await visitor.embed(host);
  const events = await listen(chat);
  const before = (await shop.messages()).filter(({ role }) => role === 'assistant').length;
  let answered;
  const isAnswered = new Promise((resolve) => { answered = resolve; });

  // The stream opens and is silent; what is read comes when there is an answer.
  await chat.page.evaluate(() => {
    const real = window.fetch;

    window.fetch = async (target, options) => {
      const response = await real(target, options);
      if (!new URL(target, location.href).pathname.endsWith('/events')) return response;
      const { readable, writable } = new TransformStream();

      void new Promise((resolve) => { window.letStreamSpeak = resolve; }).then(() => response.body.pipeTo(writable)).catch(() => {});
      return new Response(readable, response);
    };
  });
  await chat.page.route(/\/messages(\?|$)/, async (route) => {
    if (route.request().method() === 'GET') await isAnswered;
    await route.continue();
  });
  await chat.page.evaluate((text) => { window.Parley.open(); window.Parley.send(text); }, QUESTION);
  await until(async () => (await shop.messages()).filter(({ role }) => role === 'assistant').length === before + 1, 'the answer');
  answered();
  await chat.says(1, ANSWER);
  await chat.page.evaluate(() => window.letStreamSpeak());
  await chat.page.evaluate((text) => window.Parley.send(text), SECOND);
  await chat.answer(2).waitFor();
  assert.deepEqual(await events.jsonValue(), ['assistant', 'assistant']);
  const later = await visitor.embed(host);
  const none = await listen(later);

  await later.launcher.click();
  await later.says(1, ANSWER);
  assert.deepEqual(await none.jsonValue(), []);
  await visitor.close();
});

test('what a person writes while the chat is closed is counted, on the next page too', async () => {
  const visitor = await shop.visitor();
  const host = await shop.hostPage();
  const chat = await visitor.embed(host);

  await chat.launcher.click();
  await chat.ask(QUESTION);
  await chat.answer(1).waitFor();
  const { conversation_id: id } = await chat.serverSide();

  await chat.page.keyboard.press('Escape');
  await shop.staff(id, 'messages', { text: 'One more thing.' });
  await chat.page.locator('.badge').getByText('1').waitFor();
  const next = await visitor.embed(host);

  await next.page.locator('.badge').getByText('1').waitFor();
  await next.launcher.click();
  await next.agents.first().waitFor();
  await chat.page.locator('.badge').waitFor({ state: 'hidden' });
  await visitor.close();
});

test('attributes: colour, side, title, theme, open', async () => {
  const visitor = await shop.visitor();
  const page = await visitor.openPage(await shop.hostPage({ attributes: 'data-color="#b3261e" data-position="left" data-title="Ask Pip" data-theme="dark" data-open' }));
  const panel = page.locator('.panel');

  await panel.getByRole('heading', { name: 'Ask Pip' }).waitFor();
  assert.ok((await page.locator('.launcher').boundingBox()).x < 100);
  assert.equal(await page.locator('.launcher').evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(179, 38, 30)');
  assert.equal(await panel.evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(23, 26, 31)');
  await visitor.close();
});

test('a page that is not on the list does not get the chat; the one that Parley hosts does', async () => {
  const host = await shop.hostPage();
  const { origin } = new URL(host);
  const only = await shop.server.addChannel(shop.organization, 'web', { settings: { title: 'Only there', allowed_origins: ['https://shop.example'] } });
  const listed = await shop.server.addChannel(shop.organization, 'web', { settings: { title: 'Here too', allowed_origins: [origin] } });
  const visitor = await shop.visitor();
  const own = shop.channel;

  shop.channel = only;
  const refused = await visitor.openPage(await shop.hostPage({ attributes: 'data-open' }));

  await refused.getByText('This chat is not available').waitFor();
  const hosted = await visitor.openChat();

  await hosted.ask(QUESTION);
  await hosted.says(1, ANSWER);
  shop.channel = own;
  const page = await visitor.openPage(host);

  await page.evaluate(([server, channel]) => {
    delete window.Parley;
    document.querySelector('.parley').remove();
    const script = document.createElement('script');

    script.src = `${server}/widget.js`;
    script.dataset.channel = channel;
    script.dataset.open = '';
    document.body.append(script);
  }, [shop.server.url, listed.id]);
  await page.getByRole('heading', { name: 'Here too' }).waitFor();
  await visitor.close();
});
