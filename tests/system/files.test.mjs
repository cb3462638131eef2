// files.test.mjs - files that staff sends: each channel's provider is given them, or an address that expires
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';

import { InstagramDouble } from '../doubles/meta/instagram-double.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { SlackDouble } from '../doubles/slack/slack-double.mjs';
import { TeamsDouble } from '../doubles/teams/teams-double.mjs';
import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { Mail } from '../support/mail.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, Visitor, addBot, openServer, openTelegram } from './scene.mjs';

const PICTURE = Buffer.from('89504e470d0a1a0a0001', 'hex');
const BILL = Buffer.from('%PDF-1.4 a bill');
const picture = { name: 'wheel.png', mime_type: 'image/png', content: PICTURE.toString('base64') };
const bill = { name: 'Rechnung für Ada.pdf', mime_type: 'application/pdf', content: BILL.toString('base64') };

async function started(t, double) {
  await double.start();
  t.after(() => double.stop());
  return double;
}

// Each: opens(t, server) gives {says(): a person writes; sent(): what the provider was given last}.
const channels = {
  async telegram(t, server) {
    const telegram = await openTelegram(t);
    const bot = await addBot(server, telegram, server.shop);
    return {
      says: () => telegram.userSays(bot.token, { chatId: 70, text: PUNCTURE }),
      sent: (count) => until(() => {
        const sends = telegram.calls().filter(({ method }) => ['sendMessage', 'sendPhoto', 'sendDocument'].includes(method));
        return sends.length === count && sends.at(-1);
      }, 'what was sent'),
    };
  },
  async whatsapp(t, server) {
    const whatsapp = await started(t, new WhatsAppDouble({ timeScale: 0.001 }));
    whatsapp.addNumber({ id: '200100300400500', token: 'EAAtest0123456789abcdef' });
    const { id } = await server.addChannel(server.shop, 'whatsapp_business', {
      credentials: { phone_number_id: '200100300400500', access_token: 'EAAtest0123456789abcdef', app_secret: whatsapp.options.appSecret },
      settings: { api_base: whatsapp.url, burst_window_ms: 0, waba_id: whatsapp.number().waba },
    });
    await server.post(`/v1/channels/${id}/check`, server.shop.key, {});
    return { says: () => whatsapp.says('DE.1', PUNCTURE), sent: async (count) => (await whatsapp.waitForMessages(count, 'DE.1')).at(-1).request };
  },
  async instagram(t, server) {
    const instagram = await started(t, new InstagramDouble({ timeScale: 0.001 }));
    const { id } = await server.addChannel(server.shop, 'instagram', {
      credentials: { instagram_account_id: '17841400000000001', access_token: 'IGAAtest0123456789abcdef', app_secret: instagram.options.appSecret },
      settings: { api_base: instagram.url, burst_window_ms: 0 },
    });
    instagram.addAccount({ id: '17841400000000001', token: 'IGAAtest0123456789abcdef', callback: `${server.url}/webhooks/instagram/${id}` });
    // A file and its words are two messages.
    return { says: () => instagram.says('900', PUNCTURE), each: 2, sent: async (count) => (await instagram.waitForMessages(count, '900')).slice(-2) };
  },
  async slack(t, server) {
    const slack = await started(t, new SlackDouble());
    const { id } = await server.addChannel(server.shop, 'slack', {
      credentials: { app_id: slack.appId, team_id: slack.teamId, bot_token: slack.token, signing_secret: slack.signingSecret },
      settings: { api_base: `${slack.url}/api`, files_base: `${slack.url}/files`, burst_window_ms: 0 },
    });
    await slack.setRequestUrl(`${server.url}/webhooks/slack/${id}`);
    const chat = slack.direct('U1');
    return { says: () => slack.personSays('U1', chat, PUNCTURE), sent: async (count) => (await slack.waitForMessages(count, { channel: chat })).at(-1) };
  },
  async teams(t, server) {
    const teams = await started(t, new TeamsDouble());
    const bot = teams.addBot();
    const { id } = await server.addChannel(server.shop, 'teams', {
      credentials: { app_id: bot.appId, app_password: bot.password }, settings: { ...teams.settings(), burst_window_ms: 0 },
    });
    bot.endpoint = `${server.url}/webhooks/teams/${id}`;
    const chat = teams.personalChat(bot, 'Ada');
    return { says: () => teams.says(chat, PUNCTURE), sent: async (count) => (await teams.waitForMessages(count, chat)).at(-1) };
  },
  twilio_sms: (t, server) => openTwilio(t, server, 'twilio_sms', ''),
  twilio_whatsapp: (t, server) => openTwilio(t, server, 'twilio_whatsapp', 'whatsapp:'),
};

async function openEmail(t, server) {
  const mail = await Mail.start();
  t.after(() => mail.stop());
  const { id } = await server.addChannel(server.shop, 'email', {
    settings: {
      address: 'support@shop.test', inbound: 'postmark', burst_window_ms: 0, smtp_host: '127.0.0.1', smtp_port: mail.smtpPort, smtp_security: 'none',
    },
    credentials: { webhook_secret: 'a-secret-for-the-webhook' },
  });
  await server.call('POST', `/webhooks/email/${id}?secret=a-secret-for-the-webhook`, {
    body: { From: 'ada@customer.test', To: 'support@shop.test', Subject: 'Hi', MessageID: 'm1', Headers: [], TextBody: PUNCTURE },
  });
  return { sent: async (count) => readMail((await mail.waitFor('ada@customer.test', count)).at(-1)) };
}

// As Python's library reads it: {text, files: [{name, type, content}]}.
function readMail(bytes) {
  const program = `
import base64, email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not mail.defects, mail.defects
files = [{"name": one.get_filename(), "type": one.get_content_type(),
          "content": base64.b64encode(one.get_payload(decode=True)).decode()} for one in mail.iter_attachments()]
json.dump({"text": mail.get_body(("plain",)).get_content(), "files": files}, sys.stdout)
`;
  return JSON.parse(execFileSync('python3', ['-c', program], { input: bytes, maxBuffer: 64 * 1024 * 1024 }));
}

async function openTwilio(t, server, source, prefix) {
  const twilio = await started(t, new TwilioDouble());
  const { id } = await server.addChannel(server.shop, source, {
    credentials: { account_sid: twilio.accountSid, auth_token: twilio.authToken },
    settings: { from: '+15551230000', api_base: twilio.url, messaging_base: twilio.url, burst_window_ms: 0 },
  });
  twilio.addNumber(`${prefix}+15551230000`, { url: `${server.url}/webhooks/${source}/${id}` });
  return {
    says: () => twilio.personSays(`${prefix}+15557650001`, `${prefix}+15551230000`, PUNCTURE),
    sent: async (count) => (await twilio.waitForMessages(count, { to: `${prefix}+15557650001` })).at(-1),
  };
}

// How each provider is given one picture, and one other file.
const shapes = {
  telegram: (message, kind) => assert.equal(message.method, kind === 'image' ? 'sendPhoto' : 'sendDocument'),
  whatsapp: (request, kind) => {
    assert.equal(request.type, kind);
    assert.equal(request[kind].caption, 'Here you are');
    if (kind === 'document') assert.equal(request.document.filename, bill.name);
  },
  instagram: ([file, words], kind) => {
    assert.equal(file.request.message.attachment.type, kind === 'image' ? 'image' : 'file');
    assert.equal(words.text, 'Here you are');
  },
  slack: (message, kind) => {
    assert.match(message.text, /Here you are/);
    if (kind === 'image') assert.equal(message.blocks.at(-1).type, 'image');
  },
  teams: (message, kind) => {
    if (kind === 'image') assert.equal(message.attachments[0].contentType, 'image/png');
  },
  twilio_sms: (message) => assert.equal(message.media.length, 1),
  twilio_whatsapp: (message) => assert.equal(message.media.length, 1),
};

for (const [name, open] of Object.entries(channels)) {
  test(`${name}: a file that staff sends`, async (t) => {
    const server = await openServer(t, { publicUrl: true, settings: { 'send.allow_private_addresses': true } });
    const { shop } = server;
    const channel = await open(t, server);
    const each = channel.each ?? 1;
    await channel.says();
    await channel.sent(1);
    const [{ id }] = await server.sql(shop, 'SELECT id FROM conversation');
    await until(async () => (await server.list(`/v1/conversations/${id}/messages`, shop.key)).at(-1).delivery !== 'queued', 'the answer');
    let count = 1;

    for (const [file, bytes, kind] of [[picture, PICTURE, 'image'], [bill, BILL, 'document']]) {
      const { status, body, text } = await server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'Here you are', attachments: [file] });
      assert.equal(status, 201, text);
      count += each;
      const given = await channel.sent(count);
      shapes[name](given, kind);
      const [address] = /http:\/\/[^"'\s<>)\\|]*\/v1\/blobs\/[\w.~%-]+/.exec(typeof given === 'string' ? given : JSON.stringify(given)) ?? [];
      assert.ok(address, JSON.stringify(given));
      const answer = await fetch(address);
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, file.mime_type]);
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);
      const kept = (await server.get(`/v1/messages/${body.id}`, shop.key)).body;
      assert.equal(kept.metadata.attachments[0].url, undefined, 'no address is kept');
      const link = await server.get(`/v1/messages/${body.id}/attachments/0/link`, shop.key);
      assert.equal(link.status, 200);
      await until(async () => !['queued', 'sending'].includes((await server.get(`/v1/messages/${body.id}`, shop.key)).body.delivery), 'it to be sent');
      assert.ok(!['failed', 'uncertain'].includes((await server.get(`/v1/messages/${body.id}`, shop.key)).body.delivery));
    }
  });
}

const noMail = await Mail.missing();

test('e-mail: files are in the mail, and larger ones are linked', { skip: noMail ?? false }, async (t) => {
  const large = { name: 'film.bin', content: Buffer.alloc(7_000_000, 'film').toString('base64') };
  const enclosed = ({ name, mime_type: type, content }) => ({ name, type, content });
  for (const publicUrl of [false, true]) {
    const server = await openServer(t, { publicUrl, settings: { 'send.allow_private_addresses': true } });
    const { shop } = server;
    const { sent } = await openEmail(t, server);
    await sent(1);
    const [{ id }] = await server.sql(shop, 'SELECT id FROM conversation');
    const post = (attachments) => server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'Here you are', attachments });
    const { status, text } = await post([picture, bill]);
    assert.equal(status, 201, text);
    const both = await sent(2);
    assert.match(both.text, /^Here you are\s*$/);
    assert.deepEqual(both.files, [picture, bill].map(enclosed));

    const answer = await post([bill, large]); // together they are too large
    if (!publicUrl) {
      assert.equal(answer.status, 400);
      assert.match(answer.body.detail, /over 7 MB .*http\.public_url/);
      continue;
    }
    assert.equal(answer.status, 201, answer.text);
    const linked = await sent(3);
    assert.deepEqual(linked.files, [enclosed(bill)]);
    const [, address] = /film\.bin: (http\S+)/.exec(linked.text) ?? [];
    const film = await fetch(address);
    assert.equal(Buffer.from(await film.arrayBuffer()).toString('base64'), large.content);
  }
});

test('web chat: the visitor sees the file, and nobody else', async (t) => {
  const server = await openServer(t);
  const { shop } = server;
  const channel = await server.addChannel(shop, 'web');
  const visitor = await Visitor.open(server, channel.id);
  const { conversation_id: id } = await visitor.ask(PUNCTURE);
  const stream = await visitor.events();
  const { status, body, text } = await server.post(`/v1/conversations/${id}/messages`, shop.key, { attachments: [picture, bill] });
  assert.equal(status, 201, text);
  assert.equal(body.text, 'wheel.png, Rechnung für Ada.pdf', 'names stand for words');
  const event = await stream.until((e) => e.type === 'message' && e.data.id === body.id);
  stream.close();
  const files = [
    { number: 0, kind: 'image', mime_type: 'image/png', file_name: 'wheel.png', size_bytes: PICTURE.length },
    { number: 1, kind: 'document', mime_type: 'application/pdf', file_name: bill.name, size_bytes: BILL.length },
  ];
  assert.deepEqual(event.data.attachments, files);
  assert.deepEqual((await visitor.messages()).messages.at(-1).attachments, files);

  const link = (who, number, message = body.id) => server.get(`${who.base}/messages/${message}/attachments/${number}/link`, who.token);
  const given = await link(visitor, 0);
  assert.equal(given.status, 200, given.text);
  const answer = await fetch(new URL(given.body.url, server.url));
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PICTURE);
  const other = await Visitor.open(server, channel.id);
  await other.ask(PUNCTURE);
  assert.equal((await link(other, 0)).status, 404);
  assert.equal((await link(visitor, 2)).status, 404);
  assert.equal((await link({ base: visitor.base, token: 'x' }, 0)).status, 401);
});

test('files that cannot be sent are refused, and leave nothing', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { documents: false, organizations: ['shop', 'cafe'], settings: { 'media.max_size': '1kB' } });
  const { shop } = server;
  const { cafe } = server.organizations;
  const web = await server.addChannel(shop, 'web');
  const visitor = await Visitor.open(server, web.id);
  const { conversation_id: id } = await visitor.ask('Hello');
  const bot = await addBot(server, telegram, shop, { register: false });
  telegram.userSays(bot.token, { chatId: 71, text: 'Hello' });
  await telegram.waitForMessages(1, { bot: bot.token, chatId: 71 });
  const [{ id: elsewhere }] = await server.sql(shop, "SELECT id FROM conversation WHERE external_chat_id = '71'");
  const before = (await server.sql(shop, 'SELECT id FROM message')).length;
  const post = (conversation, attachments, more = {}) => server.post(`/v1/conversations/${conversation}/messages`, more.key ?? shop.key, { text: 'x', attachments });
  const refused = async (attachments, status, why) => {
    const answer = await post(id, attachments);
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.body.detail, why);
  };

  await refused([{ name: 'a', content: '!' }], 400, /attachments\[0\].*base64/);
  await refused([{ name: 'a', content: '' }], 400, /base64/);
  await refused([{ name: 'a/b', content: 'AAAA' }], 400, /name/);
  await refused([{ name: '..', content: 'AAAA' }], 400, /name/);
  await refused([{ name: 'a', mime_type: 'image', content: 'AAAA' }], 400, /mime_type/);
  await refused([{ content: 'AAAA' }], 400, /name/);
  await refused(['x'], 400, /attachments\[0\]/);
  await refused([{ name: 'a', content: 'AAAA' }, { name: 'b', content: Buffer.alloc(1025).toString('base64') }], 413, /attachments\[1\].*media\.max_size/);
  await refused(Array.from({ length: 11 }, () => ({ name: 'a', content: 'AAAA' })), 400, /at most 10/);
  const unreachable = await post(elsewhere, [picture]);
  assert.equal(unreachable.status, 400);
  assert.match(unreachable.body.detail, /http\.public_url/);
  assert.equal((await post(id, [picture], { key: cafe.key })).status, 404, "another organization's conversation");
  assert.equal((await server.post(`/v1/conversations/${id}/messages`, shop.key, { attachments: [] })).status, 400);
  assert.equal((await server.sql(shop, 'SELECT id FROM message')).length, before);
  const kept = await fs.readdir(path.join(server.data, 'blobs'), { recursive: true });
  assert.deepEqual(kept.filter((name) => /media/.test(name) && /\d$/.test(name)), [], 'no object is left');
});

// Speaks clamd's INSTREAM, knows EICAR's name, and hangs up without a word while it is dumb.
async function openScanner(t) {
  const scanner = { dumb: false, seen: 0 };
  const clamd = net.createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      bytes = Buffer.concat([bytes, piece]);
      assert.equal(bytes.subarray(0, 10).toString(), 'zINSTREAM\0'.slice(0, bytes.length));
      const shown = [];
      for (let at = 10; at + 4 <= bytes.length;) {
        const length = bytes.readUInt32BE(at);
        if (length === 0) {
          scanner.seen += 1;
          socket.end(scanner.dumb ? '' : `stream: ${Buffer.concat(shown).includes('EICAR-STANDARD-ANTIVIRUS-TEST-FILE') ? 'Eicar-Signature FOUND' : 'OK'}\0`);
          return;
        }
        shown.push(bytes.subarray(at + 4, at + 4 + length));
        at += 4 + length;
      }
    });
  });
  await new Promise((resolve) => { clamd.listen(0, '127.0.0.1', resolve); });
  t.after(() => clamd.close());
  return Object.assign(scanner, { address: `127.0.0.1:${clamd.address().port}` });
}

test('a file that staff sends is scanned first', async (t) => {
  const scanner = await openScanner(t);
  const server = await openServer(t, { settings: { 'media.clamav': scanner.address } });
  const { shop } = server;
  const visitor = await Visitor.open(server, (await server.addChannel(shop, 'web')).id);
  const { conversation_id: id } = await visitor.ask(PUNCTURE);
  const before = (await server.sql(shop, 'SELECT id FROM message')).length;
  const post = (attachments) => server.post(`/v1/conversations/${id}/messages`, shop.key, { text: 'x', attachments });
  const eicar = { name: 'invoice.pdf', content: Buffer.from('so EICAR-STANDARD-ANTIVIRUS-TEST-FILE!').toString('base64') };

  const infected = await post([picture, eicar]);
  assert.equal(infected.status, 400, infected.text);
  assert.equal(infected.body.detail, 'attachments[1] is infected: Eicar-Signature');
  await server.waitForLog('media.infected');
  scanner.dumb = true;
  const unknown = await post([picture]);
  assert.equal(unknown.status, 503, unknown.text);
  assert.match(unknown.body.detail, /attachments\[0\]: no verdict from the virus scanner/);
  assert.equal((await server.sql(shop, 'SELECT id FROM message')).length, before);
  const kept = await fs.readdir(path.join(server.data, 'blobs'), { recursive: true });
  assert.deepEqual(kept.filter((name) => /media/.test(name) && /\d$/.test(name)), [], 'no object is left');
  scanner.dumb = false;
  assert.equal((await post([picture])).status, 201);
  assert.equal(scanner.seen, 4);
});

test('an override of an escalation carries a file', async (t) => {
  const server = await openServer(t);
  const { shop } = server;
  const visitor = await Visitor.open(server, (await server.addChannel(shop, 'web')).id);
  await visitor.ask('Do you sell submarines?');
  const [escalation] = (await server.get('/v1/escalations', shop.key)).body.data;
  const { status, text } = await server.post(`/v1/escalations/${escalation.id}/override`, shop.key, { text: 'See the picture', attachments: [picture] });
  assert.equal(status, 200, text);
  const last = (await visitor.messages()).messages.at(-1);
  assert.deepEqual([last.text, last.attachments[0].file_name], ['See the picture', 'wheel.png']);
  assert.equal((await server.post(`/v1/escalations/${escalation.id}/override`, shop.key, { text: 'Again', attachments: [picture] })).status, 409);
});
