// media.test.mjs - pictures that people send: fetched, kept, and shown to staff alone, for a while
import assert from 'node:assert/strict';
import test from 'node:test';

import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { addBot, openServer, openTelegram } from './scene.mjs';

const NUMBER = '+15551230000';

test('attachments that arrive', async (t) => {
  const twilio = new TwilioDouble();
  await twilio.start();
  t.after(() => twilio.stop());
  const server = await openServer(t, { publicUrl: true });
  twilio.addNumber(NUMBER);
  const channel = await server.addChannel(server.shop, 'twilio_sms', {
    credentials: { account_sid: twilio.accountSid, auth_token: twilio.authToken },
    settings: { from: NUMBER, api_base: twilio.url, messaging_base: twilio.url, burst_window_ms: 0 },
  });
  await server.post(`/v1/channels/${channel.id}/check`, server.shop.key, {});

  const picture = Buffer.from('89504e470d0a1a0a00', 'hex');
  await twilio.personSays('+15557650001', NUMBER, 'Look', {
    NumMedia: '2', MediaUrl0: twilio.addMedia('image/png', picture), MediaContentType0: 'image/png',
    MediaUrl1: twilio.addMedia('model/stl', 'solid'), MediaContentType1: 'model/stl',
  });
  await server.waitUntilIdle(server.shop);
  const [{ id }] = await server.sql(server.shop, "SELECT id FROM message WHERE role = 'user' AND body = 'Look'");
  const message = `/v1/messages/${id}`;
  const { attachments } = (await server.get(message, server.shop.key)).body.metadata;

  await t.test('what is allowed is kept, and has its facts', () => {
    assert.deepEqual([attachments[0].size_bytes, attachments[0].mime_type], [picture.length, 'image/png']);
    assert.match(attachments[0].sha256, /^[0-9a-f]{64}$/);
    assert.equal(attachments[1].refused, 'type');
  });

  await t.test('staff gets an address that needs no key and expires', async () => {
    const { status, body } = await server.get(`${message}/attachments/0/link?expires_in=60`, server.shop.key);
    assert.equal(status, 200);
    const seconds = (Date.parse(body.expires_at) - Date.now()) / 1000;
    assert.ok(seconds > 0 && seconds <= 60, `${seconds} s`);
    const answer = await fetch(`${server.url}${new URL(body.url, server.url).pathname}`);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'image/png']);
    assert.match(answer.headers.get('content-disposition'), /^attachment/);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), picture);
  });

  await t.test('nobody else does, and nothing that was kept away', async () => {
    assert.equal((await server.get(`${message}/attachments/0/link`)).status, 401);
    for (const number of ['1', '2', '-1', 'x']) {
      assert.equal((await server.get(`${message}/attachments/${number}/link`, server.shop.key)).status, 404, number);
    }
    assert.equal((await server.get(`${message}/attachments/0/link?expires_in=0`, server.shop.key)).status, 400);
  });
});

test('a photo sent to a Telegram bot is fetched with its token and kept; one over 20 MB is not', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const bot = await addBot(server, telegram, server.shop);
  const picture = Buffer.from('ffd8ffe000104a464946', 'hex');
  telegram.addFile(bot.token, { fileId: 'small', content: picture, path: 'photos/file_1.jpg' });
  telegram.addFile(bot.token, { fileId: 'huge', content: Buffer.alloc(20 * 1024 * 1024 + 1), path: 'photos/file_2.jpg' });
  for (const [i, fileId] of ['small', 'huge', 'unknown'].entries()) {
    telegram.userSends(bot.token, { chatId: 50 + i }, { caption: fileId, photo: [{ file_id: fileId, file_unique_id: `u${i}`, width: 90, height: 90 }] });
  }
  await telegram.waitUntilDelivered();
  await server.waitUntilIdle(server.shop);
  const attachmentOf = async (caption) => {
    const [{ id }] = await server.sql(server.shop, `SELECT id FROM message WHERE role = 'user' AND body = '${caption}'`);
    return { id, ...(await server.get(`/v1/messages/${id}`, server.shop.key)).body.metadata.attachments[0] };
  };
  const kept = await attachmentOf('small');
  assert.deepEqual([kept.mime_type, kept.size_bytes], ['image/jpeg', picture.length]);
  const { body } = await server.get(`/v1/messages/${kept.id}/attachments/0/link`, server.shop.key);
  const answer = await fetch(`${server.url}${new URL(body.url, server.url).pathname}`);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), picture);
  assert.equal((await attachmentOf('huge')).refused, 'too_large');
  assert.equal((await attachmentOf('unknown')).refused, 'gone');
  assert.ok(!JSON.stringify(server.log).includes(bot.token.split(':')[1]), 'no token in the log');
});
