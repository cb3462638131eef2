// email_tls.test.mjs - a mailbox behind TLS: Dovecot, as mailbox and as SMTP server, with a certificate of the
// test's own authority; STARTTLS and TLS from the first byte, and what is not to be trusted refused in words
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { Authority } from '../support/certificates.mjs';
import { Mail, PASSWORD } from '../support/mail.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const SUPPORT = 'support@shop.test';
const written = (from) => `From: Ada <${from}>\r\nTo: ${SUPPORT}\r\nSubject: A puncture\r\nMessage-ID: <${from}>\r\n`
  + `Date: ${new Date().toUTCString()}\r\n\r\n${PUNCTURE}\r\n`;

test('a mailbox behind TLS', { skip: (await Mail.missing()) ?? false }, async (t) => {
  const folder = await fs.mkdtemp('/tmp/parley-mail-tls-');
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  await fs.chmod(folder, 0o755);
  const authority = await Authority.make(path.join(folder, 'right'));
  const stranger = await Authority.make(path.join(folder, 'wrong'));
  const tls = await authority.issue('mail', 'mail.test', ['IP:127.0.0.1']); // and no other name
  await fs.chmod(tls.key, 0o600);
  const mail = await Mail.start({ tls });
  t.after(() => mail.stop());
  await mail.put(SUPPORT, written('early@customer.test'));
  const starttls = { imap_security: 'starttls', imap_port: mail.imapPort, smtp_security: 'starttls', smtp_port: mail.submissionPort };
  const whole = { imap_security: 'tls', imap_port: mail.imapsPort, smtp_security: 'tls', smtp_port: mail.submissionsPort };
  const add = (server, ways, more = {}) => server.post('/v1/channels', server.shop.key, {
    source: 'email', credentials: { username: SUPPORT, password: PASSWORD },
    settings: { address: SUPPORT, inbound: 'imap', burst_window_ms: 0, imap_host: '127.0.0.1', smtp_host: '127.0.0.1', ...ways, ...more },
  });

  await t.test('whom nobody vouches for is told nothing', async (inner) => {
    for (const settings of [{}, { 'send.ca_file': stranger.certificate }]) {
      const server = await openServer(inner, { settings, documents: false });
      for (const ways of [starttls, whole]) {
        const { status, body, text } = await add(server, ways);
        assert.equal(status, 503, text);
        assert.match(body.detail, /the certificate of 127\.0\.0\.1 is not trusted/);
        assert.match(body.detail, /nothing was added/);
      }
      assert.deepEqual((await server.get('/v1/channels', server.shop.key)).body.data, []);
      await server.stop();
      const { code, stderr } = await server.run(['doctor'], { settings: { 'send.ca_file': `${folder}/nothing.pem` } });
      assert.notEqual(code, 0);
      assert.match(stderr, /send\.ca_file.*nothing\.pem cannot be read/);
    }
  });

  const server = await openServer(t, { settings: { 'send.ca_file': authority.certificate } });

  for (const [name, ways] of Object.entries({ starttls, whole })) {
    await t.test(`${name}: by the authority that send.ca_file names`, async () => {
      for (const host of ['imap_host', 'smtp_host']) {
        const elsewhere = await add(server, ways, { [host]: 'localhost' });
        assert.equal(elsewhere.status, 503, elsewhere.text);
        assert.match(elsewhere.body.detail, /the certificate of localhost is not trusted/, 'it is of another name');
      }
      const { status, body, text } = await add(server, ways);
      assert.equal(status, 201, text);
      const from = `${name}@customer.test`;
      await mail.put(SUPPORT, written(from));
      const [answer] = await mail.waitFor(from, 1);
      assert.match(answer, /19 euros/);
      assert.match(answer, /with ESMTPSA/, 'Dovecot says how it came: over TLS, with a login'); // RFC 3848
      assert.equal((await server.call('DELETE', `/v1/channels/${body.id}`, { key: server.shop.key })).status, 204);
    });
  }
});
