// media.test.mjs - pictures that people send: fetched, kept, and shown to staff alone, for a while
import assert from 'node:assert/strict';
import test from 'node:test';

import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { until } from '../support/server.mjs';
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

test('a provider whose files do not come delays its own channel alone', async (t) => {
  const server = await openServer(t, { publicUrl: true });
  const doubles = [];
  for (const number of [NUMBER, '+15551230009']) {
    const twilio = new TwilioDouble();
    await twilio.start();
    t.after(() => twilio.stop());
    twilio.addNumber(number);
    const channel = await server.addChannel(server.shop, 'twilio_sms', {
      credentials: { account_sid: twilio.accountSid, auth_token: twilio.authToken },
      settings: { from: number, api_base: twilio.url, messaging_base: twilio.url, burst_window_ms: 0 },
    });
    await server.post(`/v1/channels/${channel.id}/check`, server.shop.key, {});
    doubles.push(twilio);
  }
  const [dead, well] = doubles;
  const handle = dead.handle.bind(dead);
  const hanging = [];
  dead.handle = (request) => {
    if (!request.path.includes('/Media/')) return handle(request);
    return new Promise((resolve) => { hanging.push(() => resolve(handle(request))); });
  };
  const send = (twilio, number, i, body) => twilio.personSays(`+1555765${1000 + i}`, number, body, {
    NumMedia: '1', MediaUrl0: twilio.addMedia('image/png', '\x89PNG'), MediaContentType0: 'image/png',
  });
  for (let i = 0; i < 20; i += 1) await send(dead, NUMBER, i, `dead ${i}`);
  await until(() => hanging.length >= 2, 'files that do not come');
  await send(well, '+15551230009', 50, 'well');
  await until(async () => {
    const [row] = await server.sql(server.shop, "SELECT metadata FROM message WHERE role = 'user' AND body = 'well'");
    return row?.metadata && JSON.stringify(row.metadata).includes('sha256');
  }, 'the other channel\'s file');
  assert.ok(hanging.length <= 4, `${hanging.length} of 8 fetchers were held`);
  dead.handle = handle;
  for (const go of hanging) go();
  await server.waitUntilIdle(server.shop, 60_000);
  const [{ n }] = await server.sql(server.shop, "SELECT count(*) AS n FROM message WHERE role = 'user' AND metadata LIKE '%sha256%'");
  assert.equal(Number(n), 21);
});
