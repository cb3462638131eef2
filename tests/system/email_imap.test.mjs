// email_imap.test.mjs - a mailbox that is polled: Dovecot has it, OpenSMTPD takes the answers. Every
// mail is answered once: through kills, restarts of the mail server, a new UIDVALIDITY, mails that go
import assert from 'node:assert/strict';
import test from 'node:test';

import { SmtpDouble, headerOf } from '../doubles/smtp/smtp-double.mjs';
import { Mail, PASSWORD, SENT } from '../support/mail.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const SUPPORT = 'support@shop.test';
const header = (text, name) => new RegExp(`^${name}: (.*(?:\\r?\\n[ \\t].*)*)`, 'mi').exec(text)?.[1].replace(/\r?\n[ \t]/g, ' ');

let last = 0;
const written = (from, text, more = {}) => {
  last += 1;
  const headers = {
    From: `Ada <${from}>`, To: SUPPORT, Subject: 'A puncture', 'Message-ID': `<i${last}@customer.test>`, Date: new Date().toUTCString(), ...more,
  };
  return `${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}\r\n`;
};

const settingsOf = (mail, more = {}) => ({
  address: SUPPORT, inbound: 'imap', burst_window_ms: 0,
  imap_host: '127.0.0.1', imap_port: mail.imapPort, imap_security: 'none',
  smtp_host: '127.0.0.1', smtp_port: mail.smtpPort, smtp_security: 'none', ...more,
});

test('a mailbox', { skip: (await Mail.missing()) ?? false }, async (t) => {
  const mail = await Mail.start();
  t.after(() => mail.stop());
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const folder = 'Anfragen & Müll';
  await mail.put(SUPPORT, written('early@customer.test', PUNCTURE));
  await mail.doveadm(['mailbox', 'create', '-u', SUPPORT, folder]);
  await mail.drop(SUPPORT, written('old@customer.test', PUNCTURE), new Date(Date.now() - 3_600_000));
  const credentials = { username: SUPPORT, password: PASSWORD, smtp_username: '', smtp_password: '' };
  const channel = await server.addChannel(shop, 'email', { settings: settingsOf(mail, { imap_folders: ['INBOX', folder] }), credentials });
  const messages = (from) => server.sql(shop, `SELECT m.body AS text FROM message m JOIN conversation c ON c.id = m.conversation_id
    WHERE c.external_chat_id = '${from}' AND m.role = 'user'`);
  // One question and one answer: nothing was lost, nothing done twice.
  const answeredOnce = async (from) => {
    const mails = await mail.waitFor(from, 1);
    await server.waitUntilIdle(shop);
    assert.equal((await messages(from)).length, 1, `questions of ${from}`);
    assert.equal((await mail.mailsOf(from)).length, 1, `answers to ${from}`);
    assert.equal(mails.length, 1);
    return mails[0];
  };

  await t.test('/check logs in to both servers, and says which refuses', async () => {
    const { status, body } = await server.post(`/v1/channels/${channel.id}/check`, shop.key, {});
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.account, SUPPORT);
  });

  await t.test('a mail is answered in its thread; one from before the channel is not', async () => {
    await mail.put(SUPPORT, written('ada@customer.test', `${PUNCTURE}\r\n\r\n-- \r\nAda`, { References: '<i0@customer.test>' }));
    const answer = await answeredOnce('ada@customer.test');
    assert.match(answer, /19 euros/);
    assert.equal(header(answer, 'In-Reply-To'), `<i${last}@customer.test>`);
    assert.equal(header(answer, 'References'), `<i0@customer.test> <i${last}@customer.test>`);
    assert.equal(header(answer, 'Subject'), 'Re: A puncture');
    assert.deepEqual(await messages('old@customer.test'), []);
    assert.equal((await messages('early@customer.test')).length, 1); // less than a minute before it: clocks differ
  });

  await t.test('the other folder is read, too', async () => {
    await mail.put(SUPPORT, written('bob@customer.test', PUNCTURE), folder);
    await answeredOnce('bob@customer.test');
  });

  await t.test('nothing is changed in the mailbox', async () => {
    const flags = await mail.doveadm(['fetch', '-u', SUPPORT, 'flags', 'ALL']);
    assert.doesNotMatch(flags, /\\(Seen|Deleted|Flagged)/);
  });

  await t.test('what is attached is kept, also when the server was killed before it was', async () => {
    const from = 'files@customer.test';
    const picture = Buffer.from('89504e470d0a1a0a00', 'hex');
    const parts = [
      `Content-Type: text/plain\r\n\r\n${PUNCTURE}`,
      `Content-Type: image/png; name="wheel.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n${picture.toString('base64')}`,
      'Content-Type: message/rfc822\r\n\r\nFrom: x@y.test\r\nSubject: forwarded\r\n\r\nHi',
    ];
    await server.restart({ failpoints: 'gateway.committed=crash' });
    const { ended } = server;
    await mail.put(SUPPORT, written(from, `${parts.map((part) => `--B\r\n${part}\r\n`).join('')}--B--`,
      { 'MIME-Version': '1.0', 'Content-Type': 'multipart/mixed; boundary=B' }));
    await ended;
    await server.start();
    await answeredOnce(from);
    const [{ id, metadata }] = await server.sql(shop, `SELECT m.id, m.metadata FROM message m JOIN conversation c ON c.id = m.conversation_id
      WHERE c.external_chat_id = '${from}' AND m.role = 'user'`);
    const { attachments } = JSON.parse(metadata);
    assert.deepEqual(attachments.map((attachment) => [attachment.file_name, attachment.mime_type]), [['wheel.png', 'image/png'], ['message.eml', 'message/rfc822']]);
    const link = await server.get(`/v1/messages/${id}/attachments/0/link`, shop.key);
    const answer = await fetch(`${server.url}${new URL(link.body.url, server.url).pathname}`);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), picture);
    assert.ok(attachments[1].object);
  });

  for (const step of ['gateway.received', 'gateway.in_transaction', 'gateway.committed']) {
    await t.test(`killed at ${step}: no mail is lost, none is answered twice`, async () => {
      const from = `killed-${step.replaceAll(/[._]/g, '-')}@customer.test`;
      await server.restart({ failpoints: `${step}=crash` });
      const { ended } = server;
      await mail.put(SUPPORT, written(from, PUNCTURE));
      await ended;
      await mail.put(SUPPORT, written(`after-${from}`, PUNCTURE));
      await server.start();
      await answeredOnce(from);
      await answeredOnce(`after-${from}`);
    });
  }

  await t.test('the mail server is away for a while; mails come meanwhile', async () => {
    await mail.stopDovecot();
    // At the latest when its wait for news is over, which is 25 s (POLL_WAIT_MS).
    await server.waitForLog('poll.failed', { timeoutMs: 60_000 });
    await mail.drop(SUPPORT, written('meanwhile@customer.test', PUNCTURE));
    await mail.startDovecot();
    await answeredOnce('meanwhile@customer.test');
  });

  await t.test('a new UIDVALIDITY: what was answered is not answered again, what came is', async () => {
    await server.stop();
    await mail.put(SUPPORT, written('renewed@customer.test', PUNCTURE));
    await mail.doveadm(['mailbox', 'update', '-u', SUPPORT, '--uid-validity', '77777', 'INBOX']);
    await mail.put(SUPPORT, written('newer@customer.test', PUNCTURE));
    await server.start();
    await server.waitForLog('email.uidvalidity', { accept: ({ now }) => now === 77777 });
    await answeredOnce('renewed@customer.test');
    await answeredOnce('newer@customer.test');
    await answeredOnce('ada@customer.test');
    assert.deepEqual(await messages('old@customer.test'), []);
  });

  await t.test('mails that go before they are read leave no hole', async () => {
    await server.stop();
    await mail.put(SUPPORT, written('gone@customer.test', PUNCTURE, { Subject: 'Going' }));
    await mail.put(SUPPORT, written('stays@customer.test', PUNCTURE));
    await mail.doveadm(['expunge', '-u', SUPPORT, 'mailbox', 'INBOX', 'subject', 'Going']);
    await server.start();
    await answeredOnce('stays@customer.test');
    assert.deepEqual(await messages('gone@customer.test'), []);
  });

  await t.test('bytes that are no mail are kept aside, and the next mail is answered', async () => {
    await mail.drop(SUPPORT, 'no header at all');
    await mail.put(SUPPORT, written('behind@customer.test', PUNCTURE));
    await answeredOnce('behind@customer.test');
    assert.equal((await server.sql(shop, 'SELECT count(*) AS count FROM quarantine'))[0].count, 1);
  });

  await t.test('a refused login breaks the channel, and says so', async () => {
    await mail.stopDovecot();
    await mail.startDovecot({ password: 'another-password' });
    const status = await until(async () => {
      const { body } = await server.get(`/v1/channels/${channel.id}`, shop.key);
      return body.status === 'broken' ? body : null;
    }, () => `the channel to be broken; ${server.stderr.slice(-8).join('\n')}`, 60_000);
    assert.match(status.status_reason, /refuses the login/);
  });

  await t.test('neither the password nor the text of a mail is in the log', async () => {
    const log = JSON.stringify(server.log);
    assert.ok(!log.includes(PASSWORD) && !log.includes(PUNCTURE));
  });
});

// The mail server takes the answer and says nothing more; Gmail's would keep a copy in the mailbox.
test('a mail of which nobody knows whether it left', { skip: (await Mail.missing()) ?? false }, async (t) => {
  const mail = await Mail.start();
  t.after(() => mail.stop());
  const smtp = new SmtpDouble();
  await smtp.start();
  t.after(() => smtp.stop());
  smtp.hangsUp = true;
  const server = await openServer(t);
  const { shop } = server;
  await mail.put(SUPPORT, written('nobody@customer.test', 'x'), SENT); // the mailbox has to be there
  await server.addChannel(shop, 'email', {
    settings: settingsOf(mail, { smtp_port: smtp.port, on_uncertain: 'hold' }),
    credentials: { username: SUPPORT, password: PASSWORD, smtp_username: '', smtp_password: '' },
  });
  const toOf = (from) => smtp.mails.filter(({ to }) => to[0] === from);
  const answerTo = async (from, delivery) => {
    const [answer] = await until(async () => {
      const rows = await server.sql(shop, `SELECT m.id, m.delivery FROM message m JOIN conversation c ON c.id = m.conversation_id
        WHERE c.external_chat_id = '${from}' AND m.role = 'assistant'`);
      return rows[0]?.delivery === delivery && rows;
    }, `the answer to ${from} to be ${delivery}`, 60_000);
    assert.equal(toOf(from).length, 1, 'it left once');
    return (await server.get(`/v1/messages/${answer.id}`, shop.key)).body;
  };

  for (const [from, keeps] of [['kept@customer.test', true], ['unknown@customer.test', false]]) {
    await mail.put(SUPPORT, written(from, PUNCTURE));
    const [sent] = await until(() => toOf(from).length > 0 && toOf(from), `the answer to ${from}`, 30_000);
    if (keeps) await mail.put(SUPPORT, sent.text, SENT);
    const answer = await answerTo(from, keeps ? 'sent' : 'uncertain');
    if (keeps) assert.equal(answer.parts[0].external_message_id, `${SUPPORT}:${headerOf(sent, 'Message-Id').slice(1, -1)}`);
  }
});
