// whatsapp-double.test.mjs - the double itself, and `whatsapp-api-js` from npm: its verifier accepts what
// the double signs, its sender is served
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';

import { WhatsAppAPI } from 'whatsapp-api-js';
import { ActionButtons, Body, Button, Interactive, Text } from 'whatsapp-api-js/messages';

import { GraphError, metaJson, sign } from './graph.mjs';
import { WhatsAppDouble } from './whatsapp-double.mjs';

const NUMBER = '200100300400500';
const TOKEN = 'EAAtest0123456789abcdef';
const USER = 'DE.10020030040050060070';

// A business's own server, as the npm package would have it.
class Business {
  constructor(double, verifyToken) {
    this.api = new WhatsAppAPI({
      token: TOKEN, appSecret: double.options.appSecret, webhookVerifyToken: verifyToken, v: 'v25.0',
      ponyfill: { fetch: (url, init) => fetch(String(url).replace('https://graph.facebook.com', double.url), init) },
    });
    this.seen = [];
    this.statuses = [];
  }

  async start() {
    this.server = http.createServer(async (request, response) => {
      const url = new URL(request.url, 'http://x');
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString('utf8');
      try {
        if (request.method === 'GET') {
          response.end(this.api.get(Object.fromEntries(url.searchParams)));
          return;
        }
        const genuine = await this.api.verifyRequestSignature(body, request.headers['x-hub-signature-256']);
        this.seen.push({ genuine, body, notification: JSON.parse(body) });
        response.writeHead(genuine ? this.statuses.shift() ?? 200 : 401).end();
      } catch (error) {
        response.writeHead(error.httpStatus ?? 500).end();
      }
    });
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.url = `http://127.0.0.1:${this.server.address().port}/hook`;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

describe('the WhatsApp double', () => {
  let double;
  let business;

  before(async () => {
    double = new WhatsAppDouble({ timeScale: 0.0001 });
    await double.start();
    double.addNumber({ id: NUMBER, token: TOKEN });
    business = new Business(double, 'the-verify-token');
    await business.start();
  });
  after(async () => {
    await business.stop();
    await double.stop();
  });

  const call = async (method, path, body, token = TOKEN) => {
    const response = await fetch(`${double.url}/v25.0/${path}`, {
      method, headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
    return { status: response.status, body: await response.json() };
  };
  const send = (more) => call('POST', `${NUMBER}/messages`, { messaging_product: 'whatsapp', recipient: USER, ...more });

  it('signs like the published examples', () => {
    assert.equal(sign('app_secret_example', '{"object":"whatsapp_business_account","entry":[]}'),
      'sha256=6eb10e0bc4192e9206e3de93178e66ea9eb262e9ea07bb66abdc83dcf8d3abf3');
    assert.equal(metaJson({ text: { body: 'café https://e.com 😀' } }), '{"text":{"body":"caf\\u00e9 https:\\/\\/e.com \\ud83d\\ude00"}}');
  });

  it('registers a callback only when the challenge comes back', async () => {
    const configure = (token) => call('POST', NUMBER, { webhook_configuration: { override_callback_uri: business.url, verify_token: token } });
    assert.equal((await configure('wrong')).status, 400);
    assert.deepEqual((await configure('the-verify-token')).body, { success: true });
    assert.equal(double.number().callback, business.url);
  });

  it('delivers what the peer takes for genuine, until it is taken, and a forgery never', async () => {
    business.statuses = [500, 201];
    const message = double.says(USER, 'Grüße/😀');
    await double.waitUntilDelivered();
    assert.equal(business.seen.length, 3);
    assert.ok(business.seen.every((one) => one.genuine && one.body === business.seen[0].body));
    assert.equal(business.seen[0].notification.entry[0].changes[0].value.messages[0].id, message.id);
    double.says(USER, 'forged', { deliver: { secret: 'another', retries: false } });
    await double.waitUntilDelivered();
    assert.equal(business.seen.at(-1).genuine, false);
  });

  it("serves the peer's sender", async () => {
    double.says(USER, 'hello');
    const sent = await business.api.sendMessage(NUMBER, { bsuid: USER }, new Text('Hi'), undefined, 'our-reference');
    assert.match(sent.messages[0].id, /^wamid\./);
    await business.api.sendMessage(NUMBER, { bsuid: USER },
      new Interactive(new ActionButtons(new Button('a', 'A'), new Button('b', 'B')), new Body('Which?')));
    await business.api.markAsRead(NUMBER, sent.messages[0].id, 'text');
    const [first, second] = double.messagesTo(USER).slice(-2);
    assert.equal(first.request.biz_opaque_callback_data, 'our-reference');
    assert.equal(second.request.interactive.action.buttons.length, 2);
    assert.equal(double.typing.at(-1), sent.messages[0].id);
  });

  it('refuses what Meta refuses', async () => {
    const code = async (more) => (await send(more)).body.error?.code;
    const button = (n, title = `T${n}`) => ({ type: 'reply', reply: { id: `${n}`, title } });
    const interactive = (buttons, text = 'x') => ({ type: 'interactive', interactive: { type: 'button', body: { text }, action: { buttons } } });
    double.says(USER, 'hello');
    assert.equal(await code({ type: 'text', text: { body: 'x'.repeat(4096) } }), undefined);
    assert.equal(await code({ type: 'text', text: { body: 'x'.repeat(4097) } }), 100);
    assert.equal(await code({ type: 'text', text: {} }), 131008);
    assert.equal(await code({ type: 'text', text: { body: 'x' }, surplus: 1 }), 100);
    assert.equal(await code(interactive([button(1), button(2), button(3)])), undefined);
    assert.equal(await code(interactive([1, 2, 3, 4].map((n) => button(n)))), 100);
    assert.equal(await code(interactive([button(1, 'x'.repeat(21))])), 100);
    assert.equal(await code(interactive([button(1, 'A'), button(2, 'A')])), 100);
    assert.equal(await code(interactive([button(1)], 'x'.repeat(1025))), 100);
    assert.equal(await code({ type: 'audio', audio: { link: 'https://e.com', caption: 'x' } }), 100);
    assert.equal(await code({ type: 'image', image: { id: '7' } }), 131053);
    assert.equal(await code({ type: 'template', template: { name: 'n', language: { code: 'en' } } }), 132001);
    assert.equal((await call('POST', `${NUMBER}/messages`, { messaging_product: 'whatsapp' }, 'another')).body.error.code, 190);
    assert.equal((await call('GET', '77')).body.error.error_subcode, 33);
  });

  it('closes the window after 24 hours, for all but templates', async () => {
    const silent = 'DE.99';
    double.says(silent, 'long ago', { at: Date.now() - 25 * 3600_000 });
    double.addTemplate('hello', 'en', 1);
    const { status, body } = await send({ recipient: silent, type: 'text', text: { body: 'x' } });
    assert.deepEqual([status, body.error.code], [400, 131047]);
    const template = (components) => send({ recipient: silent, type: 'template', template: { name: 'hello', language: { code: 'en' }, components } });
    assert.equal((await template([])).body.error.code, 132000);
    assert.equal((await template([{ type: 'body', parameters: [{ type: 'text', text: 'Ada' }] }])).status, 200);
    double.says(silent, 'again');
    double.closeWindow(silent);
    assert.equal((await send({ recipient: silent, type: 'text', text: { body: 'x' } })).status, 400);
  });

  it('keeps files for those with the token', async () => {
    const id = double.addMedia('bytes', 'text/plain');
    const { body } = await call('GET', id);
    assert.deepEqual([body.mime_type, body.file_size], ['text/plain', 5]);
    assert.equal((await fetch(body.url)).status, 401);
    assert.equal(await (await fetch(body.url, { headers: { authorization: `Bearer ${TOKEN}` } })).text(), 'bytes');
  });

  it('fails on command, and wants its proof', async () => {
    double.fail({ error: new GraphError(130429, 'Rate limit hit', { status: 429 }) });
    assert.equal((await send({ type: 'text', text: { body: 'x' } })).status, 429);
    assert.equal((await send({ type: 'text', text: { body: 'x' } })).status, 200);
    double.options.requireProof = true;
    assert.equal((await call('GET', NUMBER)).body.error.code, 100);
    const proof = sign(double.options.appSecret, TOKEN).slice(7);
    assert.equal((await call('GET', `${NUMBER}?appsecret_proof=${proof}`)).status, 200);
    assert.equal((await call('GET', `${NUMBER}?appsecret_proof=${proof.replace(/./, 'x')}`)).status, 400);
    double.options.requireProof = false;
  });
});
