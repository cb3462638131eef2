// email.test.mjs - people who write mails and the running server: Postmark's webhook in, a real mail
// server out (OpenSMTPD, which hands on to Dovecot)
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import test from 'node:test';

import { Mail } from '../support/mail.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const SECRET = 'a-secret-for-the-webhook';
const basic = (secret) => ({ authorization: `Basic ${Buffer.from(`parley:${secret}`).toString('base64')}` });

let last = 0;
const newMail = (from, text, { headers = {}, ...more } = {}) => {
  last += 1;
  return {
    From: `Ada Lovelace <${from}>`,
    To: 'support@shop.test',
    Subject: 'A puncture',
    MessageID: `guid-${last}`,
    Headers: Object.entries({ 'Message-ID': `<m${last}@customer.test>`, ...headers }).map(([Name, Value]) => ({ Name, Value })),
    TextBody: text,
    ...more,
  };
};

async function messagesOf(server, address) {
  const rows = await server.sql(server.shop, `SELECT id FROM conversation WHERE external_chat_id = '${address}'`);
  return rows.length === 0 ? [] : server.list(`/v1/conversations/${rows[0].id}/messages`, server.shop.key);
}

const settled = (server, address, delivery) => until(async () => {
  const message = (await messagesOf(server, address)).at(-1);
  return message?.role === 'assistant' && message.delivery === delivery ? message : null;
}, `the last message of ${address} to be ${delivery}`);

const SIGNING_KEY = 'key-of-the-http-webhooks';
const PICTURE = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), randomBytes(300_000)]);

const formOf = (fields) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
};
const files = () => ({
  'attachment-1': new File([PICTURE], 'wheel.png', { type: 'image/png' }), 'attachment-2': new File(['solid'], 'b.stl', { type: 'model/stl' }),
});
// The same mail as each provider posts it.
const delivered = {
  postmark: (from) => JSON.stringify(newMail(from, PUNCTURE, {
    Attachments: [{ Name: 'wheel.png', ContentType: 'image/png', Content: PICTURE.toString('base64') },
      { Name: 'b.stl', ContentType: 'model/stl', Content: Buffer.from('solid').toString('base64') }],
  })),
  mailgun: (from) => {
    const [timestamp, token] = [String(Math.floor(Date.now() / 1000)), randomBytes(25).toString('hex')];
    return formOf({
      timestamp, token, signature: createHmac('sha256', SIGNING_KEY).update(timestamp + token).digest('hex'), 'body-plain': PUNCTURE,
      'message-headers': JSON.stringify([['From', from], ['To', 'mailgun@shop.test'], ['Message-Id', `<mg-${from}>`]]), ...files(),
    });
  },
  sendgrid: (from) => formOf({ headers: `From: ${from}\nTo: sendgrid@shop.test\nMessage-ID: <sg-${from}>\n`, text: PUNCTURE, ...files() }),
};

const events = async (server, kind) => (await server.get(`/v1/channel-events?kind=${kind}&limit=100`, server.shop.key)).body.data;

test('email', { skip: (await Mail.missing()) ?? false }, async (t) => {
  const mail = await Mail.start();
  t.after(() => mail.stop());
  const server = await openServer(t, { settings: { 'send.allow_private_addresses': true } });
  const { shop } = server;
  const channel = await server.addChannel(shop, 'email', {
    settings: {
      address: 'support@shop.test', name: 'Harbour Cycles', inbound: 'postmark', burst_window_ms: 0,
      smtp_host: '127.0.0.1', smtp_port: mail.smtpPort, smtp_security: 'none',
    },
    credentials: { webhook_secret: SECRET },
  });
  const post = (body, headers = basic(SECRET)) => server.call('POST', `/webhooks/email/${channel.id}`, { body, headers });
  const sent = newMail('ada@customer.test', `${PUNCTURE}\r\n\r\n-- \r\nAda`);
  const header = (text, name) => new RegExp(`^${name}: (.*(?:\\r?\\n[ \\t].*)*)`, 'mi').exec(text)?.[1].replace(/\r?\n[ \t]/g, ' ');

  await t.test('/check logs in to the mail server', async () => {
    const { status, body } = await server.post(`/v1/channels/${channel.id}/check`, shop.key, {});
    assert.equal(status, 200);
    assert.equal(body.account, 'support@shop.test');
  });

  await t.test('a forged delivery is refused', async () => {
    assert.equal((await post(sent, basic('a-secret-for-the-webhooks'))).status, 401);
    assert.equal((await post(sent, {})).status, 401);
    assert.deepEqual(await messagesOf(server, 'ada@customer.test'), []);
  });

  await t.test('a question is answered by mail, in its thread', async () => {
    assert.equal((await post(sent)).status, 200);
    const [text] = await mail.waitFor('ada@customer.test', 1);
    assert.match(text, /19 euros/);
    const message = await settled(server, 'ada@customer.test', 'sent');
    assert.equal(header(text, 'In-Reply-To'), '<m1@customer.test>');
    assert.equal(header(text, 'References'), '<m1@customer.test>');
    assert.equal(header(text, 'Subject'), 'Re: A puncture');
    assert.equal(header(text, 'Auto-Submitted'), 'auto-replied');
    assert.equal(header(text, 'Message-Id'), `<parley.${message.id}.0@shop.test>`);
    assert.equal(header(text, 'From'), 'Harbour Cycles <support@shop.test>');
    assert.match(text, /multipart\/alternative/);
    const [first] = await messagesOf(server, 'ada@customer.test');
    assert.equal(first.text, PUNCTURE);
    assert.equal(first.metadata.email.signature, '-- \nAda');
  });

  await t.test('machines, lists and our own mails are never answered', async () => {
    const before = await Promise.all(['auto_reply', 'list_mail', 'own'].map(async (kind) => (await events(server, kind)).length));
    assert.deepEqual(before, [0, 0, 0]);
    const [answer] = await mail.mailsOf('ada@customer.test');
    for (const headers of [{ 'Auto-Submitted': 'auto-replied' }, { 'List-Id': '<news.customer.test>' }, { 'X-Loop': header(answer, 'X-Loop') }])
      assert.equal((await post(newMail('bob@customer.test', 'I am away.', { headers }))).status, 200);
    await server.waitUntilIdle(shop);
    const after = await Promise.all(['auto_reply', 'list_mail', 'own'].map(async (kind) => (await events(server, kind)).length));
    assert.deepEqual(after, [1, 1, 1]);
    assert.deepEqual(await mail.mailsOf('bob@customer.test'), []);
  });

  await t.test('a bounce fails the message, with its reason', async () => {
    assert.equal((await post(newMail('eve@customer.test', PUNCTURE))).status, 200);
    const message = await settled(server, 'eve@customer.test', 'sent');
    const report = 'Final-Recipient: rfc822; eve@customer.test\r\nAction: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; mailbox full\r\n';
    const bounce = newMail('mailer-daemon@customer.test', `Message-ID: <parley.${message.id}.0@shop.test>`, {
      headers: { 'Content-Type': 'multipart/report; report-type=delivery-status; boundary=x' },
      Attachments: [{ Name: 'status', ContentType: 'message/delivery-status', Content: Buffer.from(report).toString('base64') }],
    });
    assert.equal((await post(bounce)).status, 200);
    await settled(server, 'eve@customer.test', 'failed');
  });

  await t.test('a recipient that the mail server refuses fails at once', async () => {
    assert.equal((await post(newMail('nobody@customer.test', PUNCTURE))).status, 200);
    await settled(server, 'nobody@customer.test', 'failed');
  });

  for (const provider of Object.keys(delivered)) {
    await t.test(`what is attached is kept, and staff can have it: ${provider}`, async () => {
      const { id } = provider === 'postmark' ? channel : await server.addChannel(shop, 'email', {
        settings: { address: `${provider}@shop.test`, inbound: provider, burst_window_ms: 0, smtp_host: '127.0.0.1', smtp_port: mail.smtpPort, smtp_security: 'none' },
        credentials: { webhook_secret: SECRET, ...(provider === 'mailgun' ? { signing_key: SIGNING_KEY } : {}) },
      });
      const from = `files-${provider}@customer.test`;
      const body = delivered[provider](from);
      const { status } = await fetch(`${server.url}/webhooks/email/${id}`, {
        method: 'POST', headers: { ...basic(SECRET), ...(provider === 'postmark' ? { 'content-type': 'application/json' } : {}) }, body,
      });
      assert.equal(status, 200);
      await mail.waitFor(from, 1);
      await server.waitUntilIdle(shop);
      const [message] = await messagesOf(server, from);
      const [kept, refused] = message.metadata.attachments;
      assert.deepEqual([kept.file_name, kept.mime_type, kept.size_bytes, refused.refused], ['wheel.png', 'image/png', PICTURE.length, 'type']);
      const link = await server.get(`/v1/messages/${message.id}/attachments/0/link`, shop.key);
      const answer = await fetch(`${server.url}${new URL(link.body.url, server.url).pathname}`);
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PICTURE);
    });
  }

  await t.test('no secret and no text of a mail is in the log', async () => {
    const log = JSON.stringify(server.log);
    assert.ok(log.includes('server.started'));
    assert.ok(!log.includes(SECRET) && !log.includes(PUNCTURE));
  });
});
