// support.mjs - a shop with a web chat on the real server, browsers that look at it, and what they saw
//
//   const shop = await Shop.open();                        // server, organization, documents, channel
//   const visitor = await shop.visitor();                  // a browser profile of its own
//   const chat = await visitor.openChat();                 // the page that the server hosts
//   await chat.ask('How long is the Alder guarantee?');
//   await chat.answer(1).waitFor();
//   await shop.close();                                    // fails when a page had errors of its own
//
// Waiting is left to the browser's own (Playwright's) waiting for what is to be seen.
import { strict as assert } from 'node:assert';
import http from 'node:http';
import { chromium } from 'playwright-core';

import { createDouble } from '../doubles/openai/server.js';
import { Parley, within } from '../support/server.mjs';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
// The browser's own lines about a request that failed; pages cannot keep it from writing them.
const NETWORK = /^Failed to load resource|net::ERR_/;
const WAIT_MS = 60_000;

export const DOCUMENT = `# Quayside bikes

## Guarantee

The guarantee on an Alder frame is ten years. It covers cracks and broken welds.

## Opening hours

The Quayside workshop is open from nine to six, Tuesday to Saturday.

## Bike rental

Renting a cargo bike costs fifty-five euros a day. The deposit for a cargo bike is two hundred euros.
`;
export const QUESTION = 'How long is the guarantee on an Alder frame?';
export const ANSWER = /ten years/;
export const SECOND = 'What is the deposit for a cargo bike?';
export const SECOND_ANSWER = /two hundred euros/;

export class Shop {
  // settings: of the server; channel: of the web chat; model: answers come from a double, step by step.
  static async open({ settings = {}, channel = {}, model = null } = {}) {
    const shop = new Shop();

    try {
      await shop.#open({ settings, channel, model });
    } catch (error) {
      await shop.close().catch(() => {}); // the first error tells more
      throw error;
    }
    return shop;
  }

  async #open({ settings, channel, model }) {
    const modelSettings = {};

    this.visitors = [];
    this.hosts = [];
    if (model !== null) {
      this.model = createDouble();
      this.model.state.fallback = model;
      Object.assign(modelSettings, {
        'model.driver': 'openai_chat',
        'model.base_url': `http://127.0.0.1:${await this.model.listen()}/v1`,
        'model.name': 'gpt-5.4',
        'model.api_key': 'sk-test',
      });
    }
    this.server = await Parley.create({ 'limits.external_per_minute': 0, 'limits.sender_per_minute': 0, ...modelSettings, ...settings });
    this.organization = await this.server.addOrganization('quayside');
    await this.server.start();
    await this.server.addDocument(this.organization, 'quayside.md', DOCUMENT);
    this.channel = await this.server.addChannel(this.organization, 'web', {
      settings: { title: 'Quayside', greeting: 'Hello! Ask me about bikes.', color: '#0f6b5c', suggestions: [QUESTION], ...channel },
    });
    this.browser = await chromium.launch({ executablePath: process.env.PARLEY_TEST_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  }

  get chatUrl() {
    return `${this.server.url}/chat/${this.channel.id}`;
  }

  async visitor(options = {}) {
    const visitor = await Visitor.open(this, options);

    this.visitors.push(visitor);
    return visitor;
  }

  // A page of somebody else, on another origin; gives its address.
  async hostPage({ attributes = '', head = '', body = '<h1>A page</h1>', headers = {}, lang = 'en' } = {}) {
    const html = `<!doctype html><html lang="${lang}"><head><meta charset="utf-8">`
      + '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Host</title>'
      + `<link rel="icon" href="data:,">${head}</head><body><main>${body}</main>`
      + `<script src="${this.server.url}/widget.js" data-channel="${this.channel.id}" ${attributes} async></script></body></html>`;
    const server = http.createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...headers });
      response.end(html);
    });

    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    this.hosts.push(server);
    return `http://localhost:${server.address().port}/`; // not 127.0.0.1: another site altogether
  }

  // As staff: POST under the conversation.
  async staff(conversationId, action, body = {}) {
    const { status, text, body: answer } = await this.server.post(`/v1/conversations/${conversationId}/${action}`, this.organization.key, body);

    assert.ok(status >= 200 && status < 300, `${action}: ${status} ${text}`);
    return answer;
  }

  // [{role, body, seq}] as stored, in order.
  messages() {
    return this.server.sql(this.organization, 'SELECT role, body, seq, conversation_id FROM message ORDER BY conversation_id, seq');
  }

  async close() {
    const complaints = this.visitors.flatMap((visitor) => visitor.complaints);

    await this.browser?.close();
    for (const host of this.hosts) {
      host.closeAllConnections();
      await new Promise((resolve) => { host.close(resolve); });
    }
    await this.server?.destroy();
    await this.model?.close();
    assert.deepEqual(complaints, [], 'errors in the pages');
  }
}

class Visitor {
  static async open(shop, options) {
    const visitor = new Visitor();

    visitor.shop = shop;
    visitor.complaints = [];
    visitor.context = await shop.browser.newContext({ locale: 'en-GB', viewport: { width: 1100, height: 800 }, ...options });
    visitor.context.setDefaultTimeout(WAIT_MS);
    visitor.context.on('page', (page) => visitor.listen(page));
    return visitor;
  }

  listen(page) {
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (line) => {
      if ((line.type() === 'error' || line.type() === 'warning') && !NETWORK.test(line.text())) this.complaints.push(line.text());
    });
  }

  async openPage(url) {
    const page = await this.context.newPage();

    await page.goto(url);
    return page;
  }

  async openChat(url = this.shop.chatUrl) {
    const chat = new Chat(await this.openPage(url));

    await chat.greeting.waitFor();
    return chat;
  }

  async embed(url) {
    const chat = new Chat(await this.openPage(url));

    await chat.launcher.waitFor();
    return chat;
  }

  close() {
    return within(this.context.close(), 'the end of a browser profile');
  }
}

// What a person sees of the chat on a page. Playwright's locators look into open shadow trees.
export class Chat {
  constructor(page) {
    this.page = page;
    this.launcher = page.locator('.launcher');
    this.panel = page.locator('.panel');
    this.input = page.getByRole('textbox');
    this.greeting = page.locator('.log .row').first();
    this.rows = page.locator('.log > .row');
    this.own = page.locator('.log > .own');
    this.answers = page.locator('.log > .assistant:not(.streaming)');
    this.streaming = page.locator('.log > .streaming');
    this.typing = page.locator('.log > .typing');
    this.kept = page.locator('.log > .own:not(.pending)'); // by the server
    this.pending = page.locator('.log > .pending');
    this.agents = page.locator('.log > .agent');
    this.notice = page.locator('.notice');
    this.fresh = page.getByRole('button', { name: 'New conversation' });
  }

  async ask(text) {
    await this.input.fill(text);
    await this.input.press('Enter');
  }

  // The n-th answer, counted from 1.
  answer(n) {
    return this.answers.nth(n - 1);
  }

  // Resolves when the n-th answer says so.
  says(n, text) {
    return this.answer(n).locator('.bubble', { hasText: text }).waitFor();
  }

  // Resolves when any does.
  said(text) {
    return this.answers.locator('.bubble', { hasText: text }).first().waitFor();
  }

  // Own messages and answers, as they stand, without what only screen readers hear and without times.
  texts() {
    return this.page.evaluate(() => {
      const root = document.querySelector('.parley').shadowRoot;

      return [...root.querySelectorAll('.log > .own, .log > .assistant, .log > .agent')].map((row) => {
        const bubble = row.querySelector('.bubble').cloneNode(true);

        for (const mark of bubble.querySelectorAll('.mark')) mark.remove();
        return `${row.classList.contains('own') ? 'own' : row.classList.contains('agent') ? 'agent' : 'assistant'}: ${bubble.textContent.trim()}`;
      });
    });
  }

  // The key of local storage that ends so.
  stored(end) {
    return this.page.evaluate((e) => Object.entries(localStorage).find(([key]) => key.endsWith(e))?.[1] ?? null, end);
  }

  // What the server has for this visitor.
  async serverSide() {
    const token = await this.stored(':token');

    return this.page.evaluate(async ([t, base]) => (await fetch(`${base}/messages`, { headers: { Authorization: `Bearer ${t}` } })).json(), [token, await this.base()]);
  }

  base() {
    return this.page.evaluate(() => {
      const key = Object.keys(localStorage).find((k) => k.startsWith('parley:http') && k.endsWith(':token'));
      const [, server, channel] = /^parley:(.*):([^:]+):token$/.exec(key);

      return `${server}/v1/webchat/${channel}`;
    });
  }
}

// Resolves when a request of the page that fits is on its way.
export function request(page, method, end) {
  return within(page.waitForRequest((r) => r.method() === method && new URL(r.url()).pathname.endsWith(end), { timeout: 0 }), `${method} ${end}`);
}
