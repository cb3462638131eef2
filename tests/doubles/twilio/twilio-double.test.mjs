// twilio-double.test.mjs - the double itself, and that Twilio's own library accepts what it signs
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';

import twilioLibrary from 'twilio';

import { TwilioDouble, signature, withBodyHash } from './twilio-double.mjs';

const { validateRequest, validateRequestWithBody } = twilioLibrary;
const ADA = '+15557654321';
const SHOP = '+15551230000';

describe('the Twilio double', () => {
  const twilio = new TwilioDouble({ statuses: ['sent', 'delivered'] });
  const seen = [];
  const answers = [];
  let hook;
  let server;

  before(async () => {
    server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      seen.push({ headers: request.headers, params: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())) });
      const answer = answers.shift() ?? { status: 200, type: 'text/xml', body: '<?xml version="1.0" encoding="UTF-8"?><Response/>' };
      response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain' });
      response.end(answer.body ?? '');
    });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    hook = `http://127.0.0.1:${server.address().port}/hook?tenant=a%20b`;
    await twilio.start();
    twilio.addNumber(SHOP, { url: `${hook}#rc=2&rp=all` });
    twilio.addNumber(`whatsapp:${SHOP}`, { url: hook });
  });
  after(async () => {
    await twilio.stop();
    server.closeAllConnections();
    server.close();
  });

  const call = async (method, path, params, { user = twilio.accountSid, password = twilio.authToken } = {}) => {
    const response = await fetch(`${twilio.url}${path}`, {
      method, redirect: 'manual', body: params ? new URLSearchParams(params) : undefined,
      headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: /json/.test(response.headers.get('content-type')) ? JSON.parse(text) : text };
  };
  const create = (params, more) => call('POST', `/2010-04-01/Accounts/${twilio.accountSid}/Messages.json`, params, more);

  it("signs so that Twilio's library accepts it, and nothing that was changed", async () => {
    for (const text of ['Hello', 'ä & ü = 😀 + %', '', 'a\nb']) {
      seen.length = 0;
      await twilio.personSays(ADA, SHOP, text, { Zeta: 'z', alpha: 'a' });
      const { headers, params } = seen[0];
      const shown = headers['x-twilio-signature'];
      assert.ok(validateRequest(twilio.authToken, shown, hook, params), text);
      assert.ok(!validateRequest(twilio.authToken, shown, hook, { ...params, Body: `${text}!` }));
      assert.ok(!validateRequest(twilio.authToken, shown, `${hook}&x=1`, params));
      assert.ok(!validateRequest('another token', shown, hook, params));
    }
  });

  it('signs several values of a name, and bodies that are no form', () => {
    const params = { Sid: 'CA123', Digits: ['5678', '1234', '1234'] };
    assert.ok(validateRequest('12345', signature('12345', hook, params), hook, params));
    const body = '{"property": "value", "boolean": true}';
    const url = withBodyHash('https://mycompany.com/myapp.php?foo=1&bar=2', body);
    assert.equal(signature('12345', url), 'a9nBmqA0ju/hNViExpshrM61xv4=');
    assert.ok(validateRequestWithBody('12345', signature('12345', url), url, body));
    assert.ok(!validateRequestWithBody('12345', signature('12345', url), url, `${body} `));
  });

  it('repeats what was refused as the address says, and keeps an alert', async () => {
    seen.length = 0;
    answers.push({ status: 503 }, { status: 503 });
    await twilio.personSays(ADA, SHOP, 'again');
    assert.equal(seen.length, 3);
    assert.equal(new Set(seen.map((one) => one.headers['i-twilio-idempotency-token'])).size, 1);
    assert.equal(twilio.alerts.length, 0);
    answers.push({ status: 500 });
    await twilio.personSays(`whatsapp:${ADA}`, `whatsapp:${SHOP}`, 'once');
    answers.push({ status: 200, type: 'application/json', body: '{}' });
    await twilio.personSays(ADA, SHOP, 'wrong type');
    answers.push({ status: 200, type: 'text/xml', body: '<Response><Message>Hi</Message></Response>' });
    await twilio.personSays(ADA, SHOP, 'an answer that was not wanted');
    assert.deepEqual(twilio.alerts.map((alert) => alert.code), [11200, 12300, 12100]);
  });

  it('makes messages, tells what becomes of them, and refuses as Twilio does', async () => {
    const good = { To: ADA, From: SHOP, Body: 'Hi', StatusCallback: hook };
    seen.length = 0;
    const made = await create(good);
    assert.equal(made.status, 201);
    assert.match(made.body.sid, /^SM[0-9a-f]{32}$/);
    await twilio.waitForCallbacks(2);
    assert.deepEqual(seen.map((one) => one.params.MessageStatus), ['sent', 'delivered']);
    assert.ok(seen.every((one) => validateRequest(twilio.authToken, one.headers['x-twilio-signature'], hook, one.params)));
    const cases = [
      [{ To: '' }, 400, 21604], [{ From: '' }, 400, 21603], [{ To: '5551234' }, 400, 21211], [{ From: '+15550000000' }, 400, 21606],
      [{ From: `whatsapp:${SHOP}` }, 400, 21606], [{ To: `whatsapp:${ADA}` }, 400, 63007], [{ Body: ' ' }, 400, 21619],
      [{ Body: 'a'.repeat(1601) }, 400, 21617], [{ MediaUrl: 'file' }, 400, 21620], [{ ContentSid: 'HX00' }, 404, 20404],
      [{ StatusCallback: 'https://x/#a' }, 400, 21609],
    ];
    for (const [change, status, code] of cases) {
      const answer = await create({ ...good, ...change });
      assert.equal(answer.status, status, JSON.stringify(change));
      assert.equal(answer.body.code, code, JSON.stringify(change));
    }
    assert.equal((await create(good, { password: 'x' })).body.code, 20003);
    twilio.keys.set('SK1', 'secret');
    assert.equal((await create(good, { user: 'SK1', password: 'secret' })).status, 201);
    await twilio.personSays(ADA, SHOP, 'stop');
    assert.equal((await create(good)).body.code, 21610);
    await twilio.personSays(ADA, SHOP, 'START');
    assert.equal((await create(good)).status, 201);
    twilio.pace = 0;
    const paced = await create(good);
    twilio.pace = null;
    assert.equal(paced.status, 429);
    assert.equal(paced.headers.get('retry-after'), '1');
  });

  it("keeps WhatsApp's window", async () => {
    const params = { To: 'whatsapp:+15559990000', From: `whatsapp:${SHOP}`, Body: 'Hi' };
    assert.equal((await create(params)).body.code, 63016);
    const content = twilio.addContent(2);
    const { Body, ...rest } = params;
    assert.equal((await create({ ...rest, ContentSid: content, ContentVariables: '{"1":"a"}' })).body.code, 21656);
    assert.equal((await create({ ...rest, ContentSid: content, ContentVariables: '{"1":"a","2":"b"}' })).status, 201);
    await twilio.personSays(params.To, params.From, 'Hi');
    assert.equal((await create(params)).status, 201);
    twilio.closeWindow(params.To, params.From);
    assert.equal((await create(params)).body.code, 63016);
  });

  it('keeps media behind credentials that the store must not see', async () => {
    const media = new URL(twilio.addMedia('image/png', 'bytes'));
    assert.equal((await call('GET', media.pathname, null, { password: 'x' })).status, 401);
    const first = await call('GET', media.pathname);
    assert.equal(first.status, 302);
    const store = new URL(first.headers.get('location'));
    assert.equal((await call('GET', store.pathname + store.search)).status, 400);
    assert.equal(await (await fetch(store)).text(), 'bytes');
    assert.equal((await fetch(`${twilio.url}${store.pathname}`)).status, 403);
  });
});
