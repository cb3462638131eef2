// email_oauth.test.mjs - a mailbox that takes no password: Dovecot asks a sign-in provider whose each
// token is, for IMAP and for submission; Parley fetches tokens, and keeps what replaces them
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { OAuthDouble } from '../doubles/oauth/oauth-double.mjs';
import { Mail } from '../support/mail.mjs';
import { engine, until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const SUPPORT = 'support@shop.test';

let last = 0;
const written = (from) => {
  last += 1;
  return `From: Ada <${from}>\r\nTo: ${SUPPORT}\r\nSubject: A puncture\r\nMessage-ID: <o${last}@customer.test>\r\n\r\n${PUNCTURE}\r\n`;
};

// Whether any file under the folder has the text.
async function stands(folder, text) {
  for (const entry of await fs.readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && (await fs.readFile(path.join(entry.parentPath ?? entry.path, entry.name))).includes(text)) return true;
  }
  return false;
}

test('a mailbox by access tokens', { skip: (await Mail.missing()) ?? false }, async (t) => {
  const oauth = new OAuthDouble({ user: SUPPORT });
  await oauth.start();
  t.after(() => oauth.stop());
  const mail = await Mail.start({ introspectUrl: oauth.introspectUrl });
  t.after(() => mail.stop());
  const server = await openServer(t);
  const { shop } = server;
  const first = oauth.refreshToken;
  const settings = {
    address: SUPPORT, inbound: 'imap', burst_window_ms: 0,
    imap_host: '127.0.0.1', imap_port: mail.imapPort, imap_security: 'none',
    smtp_host: '127.0.0.1', smtp_port: mail.submissionPort, smtp_security: 'none',
    oauth_token_url: oauth.tokenUrl, oauth_client_id: oauth.client.id, oauth_scope: 'https://mail.test/ offline_access',
  };
  const channel = await server.addChannel(shop, 'email', {
    settings, credentials: { username: SUPPORT, oauth_client_secret: oauth.client.secret, oauth_refresh_token: first },
  });
  const check = () => server.post(`/v1/channels/${channel.id}/check`, shop.key, {});
  const isAnswered = async (from) => {
    await mail.put(SUPPORT, written(from));
    await mail.waitFor(from, 1);
    await server.waitUntilIdle(shop);
    assert.equal((await mail.mailsOf(from)).length, 1);
  };

  await t.test('/check logs in to both servers by a token', async () => {
    const { status, body } = await check();
    assert.equal(status, 200, JSON.stringify(body));
    await isAnswered('ada@customer.test');
    assert.match(mail.output, /method=(XOAUTH2|OAUTHBEARER)/);
  });

  await t.test('one token serves until it ends', async () => {
    const { asked } = oauth;
    await isAnswered('bob@customer.test');
    assert.equal((await check()).status, 200);
    assert.equal(oauth.asked, asked);
  });

  await t.test('a token that is refused is replaced', async () => {
    oauth.revokeAccess();
    await isAnswered('carol@customer.test');
    assert.equal((await check()).status, 200);
  });

  await t.test('a new refresh token is kept, sealed, and used after a restart', async () => {
    assert.notEqual(oauth.refreshToken, first);
    await server.restart();
    oauth.revokeAccess();
    await isAnswered('dave@customer.test');
    await server.stop();
    if (engine !== 'pgsql') {
      assert.ok(await stands(server.data, SUPPORT)); // settings can be read there
      for (const token of [first, ...oauth.given, oauth.client.secret]) assert.ok(!await stands(server.data, token), token);
    }
    await server.start();
  });

  await t.test('a provider that is away is waited for', async () => {
    oauth.isDown = true;
    oauth.revokeAccess();
    const refused = await check();
    assert.equal(refused.status, 503, JSON.stringify(refused.body));
    oauth.isDown = false;
    const accepted = await check();
    assert.equal(accepted.status, 200, `${JSON.stringify(accepted.body)}; ${mail.output}`);
  });

  await t.test('a refused refresh token breaks the channel, and says so', async () => {
    oauth.revokeRefresh();
    oauth.revokeAccess();
    await server.restart();
    const broken = await until(async () => {
      const { body } = await server.get(`/v1/channels/${channel.id}`, shop.key);
      return body.status === 'broken' ? body : null;
    }, () => `the channel to be broken; ${server.stderr.slice(-8).join('\n')}`, 60_000);
    assert.match(broken.status_reason, /invalid_grant/);
  });

  await t.test('no token is in the log', async () => {
    const log = JSON.stringify(server.log);
    for (const token of [first, ...oauth.given, oauth.client.secret]) assert.ok(!log.includes(token));
  });
});
