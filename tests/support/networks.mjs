// networks.mjs - one account of each provider, seen alike: people write, answers come
//
//   const network = new NETWORKS.slack(3);
//   await network.start();
//   await network.connect(server, organization, settings);       // makes the channel, at http.public_url
//   const { id, chatId, send } = network.write(7, 'Hello');      // send() brings it once and gives the HTTP status
//   const { id, chatId, value } = network.compose(7, 'Hello');   // the same as an object (of a form: its fields)
//   await network.post(value)                                    // signed as it is, or with what a test made of it
//   network.got()                                                // what came: [{external, chatId, text}], in order
//
// id, chatId and external are written as Parley stores them. Telegram brings what was written itself (or is
// asked for it), so its write() gives no send.
import { EventEmitter } from 'node:events';

import { metaJson, sign } from '../doubles/meta/graph.mjs';
import { InstagramDouble } from '../doubles/meta/instagram-double.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { callWebhook } from '../doubles/http-double.mjs';
import { SlackDouble } from '../doubles/slack/slack-double.mjs';
import { SmtpDouble, headerOf, plainTextOf } from '../doubles/smtp/smtp-double.mjs';
import { TeamsDouble } from '../doubles/teams/teams-double.mjs';
import { TelegramDouble } from '../doubles/telegram/telegram-double.mjs';
import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';

// Echoes and delivery states are repeated by the doubles of Meta: their seconds times this.
const META_TIME = 0.0002;
const SECRET = 'a-secret-for-the-webhook';

export class Network extends EventEmitter {
  constructor(source, double, number) {
    super();
    Object.assign(this, { source, double, number, seen: 0 });
    double.on('progress', () => this.look());
    double.on('message', () => this.look()); // Telegram's
  }

  async start() {
    await this.double.start();
  }

  // From now on Parley finds it at this port of loopback, which leads there.
  reachAt(port) {
    this.double.url = `http://127.0.0.1:${port}`;
  }

  // Says "answer" with the chat of each message that came.
  look() {
    if (!this.channel) return;
    const came = this.got().slice(this.seen);
    this.seen += came.length;
    for (const { chatId } of came) this.emit('answer', chatId);
  }

  async stop() {
    await this.double.stop();
  }

  write(person, text) {
    const { id, chatId, value } = this.compose(person, text);
    return { id, chatId, send: () => this.post(value) };
  }

  // text: to be signed as it stands. Gives the HTTP status.
  async post(value) {
    return this.postText(typeof value === 'string' ? value : JSON.stringify(value));
  }

  // Updates that the double itself still has to bring.
  pendingCount() {
    return 0;
  }

  // Once everything that it brings by itself is accepted.
  async settle() {}

  async add(server, organization, spec) {
    this.channel = await server.addChannel(organization, this.source, spec);
    this.address = `${server.settings['http.public_url'] ?? server.url}/webhooks/${this.source}/${this.channel.id}`;
  }
}

class Telegram extends Network {
  constructor(number) {
    super('telegram', new TelegramDouble({ relaxedWebhook: true, timeScale: 0.01, keepCalls: false }), number);
    this.botId = 7_000_000_000 + number;
    this.token = `${this.botId}:crash-test-secret-of-the-bot-${number}`;
    this.double.addBot(this.token, { username: `crash_${number}_bot` });
    this.double.setDelivery(this.token, { duplicateEvery: 5 });
  }

  async connect(server, organization, settings, { polling = false } = {}) {
    await this.add(server, organization, {
      credentials: { bot_token: this.token, secret_token: SECRET },
      settings: { api_base: this.double.url, bot_per_second: 1000, chat_per_minute: 6000, ...settings },
    });
    if (polling) return;
    const { status, text } = await server.post(`/v1/channels/${this.channel.id}/check`, organization.key, {});
    if (status !== 200) throw new Error(`check: ${status} ${text}`);
  }

  write(person, text) {
    const update = this.double.userSays(this.token, { chatId: person, text, date: Math.floor(Date.now() / 1000) });
    return { id: `${this.botId}:${person}:${update.message.message_id}`, chatId: String(person), updateId: update.update_id };
  }

  compose(person, text) {
    this.count = (this.count ?? 0) + 1;
    this.double.addChat(this.token, { id: person });
    const value = {
      update_id: this.count,
      message: {
        message_id: 1_000_000 + this.count, date: Math.floor(Date.now() / 1000), text,
        chat: { id: person, type: 'private', first_name: 'Ada' }, from: { id: person, is_bot: false, first_name: 'Ada', language_code: 'en' },
      },
    };
    return { id: `${this.botId}:${person}:${value.message.message_id}`, chatId: String(person), value };
  }

  async postText(body) {
    const headers = { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': SECRET };
    return (await callWebhook(this.address, { headers, body })).status;
  }

  pendingCount() {
    return this.double.pendingCount();
  }

  settle(timeoutMs) {
    return this.double.waitUntilDelivered({ timeoutMs });
  }

  got() {
    return this.double.messages().map(({ chat, message_id: id, text }) => ({
      external: `${this.botId}:${chat.id}:${id}`, chatId: String(chat.id), text,
    }));
  }
}

// What WhatsApp and Instagram share.
class Meta extends Network {
  async post(value) {
    const body = typeof value === 'string' ? value : metaJson(value);
    return (await this.double.post({ account: { callback: this.address }, body, signature: sign(this.double.options.appSecret, body) })).status;
  }

  settle() {
    return this.double.waitUntilDelivered();
  }
}

class WhatsApp extends Meta {
  constructor(number) {
    super('whatsapp_business', new WhatsAppDouble({ timeScale: META_TIME }), number);
    this.numberId = String(200_100_300_400_000 + number);
    this.double.tells = ['sent', 'delivered'];
  }

  async connect(server, organization, settings) {
    const token = `EAAcrash${this.number}0123456789abcdef`;
    const account = this.double.addNumber({ id: this.numberId, token });
    await this.add(server, organization, {
      credentials: { phone_number_id: this.numberId, access_token: token, app_secret: this.double.options.appSecret },
      settings: { api_base: this.double.url, ...settings },
    });
    account.callback = this.address;
  }

  compose(person, text) {
    let entry;
    const userId = `DE.${person}`;
    const message = this.double.says(userId, text, { deliver: { take: (taken) => { entry = taken; } } });
    return { id: `${this.numberId}:${message.id}`, chatId: userId, value: JSON.parse(entry.body) };
  }

  got() {
    return this.double.sent.map(({ id, userId, text }) => ({ external: `${this.numberId}:${id}`, chatId: userId, text }));
  }
}

class Instagram extends Meta {
  constructor(number) {
    super('instagram', new InstagramDouble({ timeScale: META_TIME }), number);
    this.accountId = String(17_841_400_000_000_000n + BigInt(number));
  }

  async connect(server, organization, settings) {
    const token = `IGAAcrash${this.number}0123456789abcdef`;
    const account = this.double.addAccount({ id: this.accountId, token });
    await this.add(server, organization, {
      credentials: { instagram_account_id: this.accountId, access_token: token, app_secret: this.double.options.appSecret, verify_token: 'typed-into-the-dashboard' },
      settings: { api_base: this.double.url, ...settings },
    });
    account.callback = this.address;
  }

  compose(person, text) {
    let entry;
    const id = String(900_100_000 + person);
    const message = this.double.says(id, text, { deliver: { take: (taken) => { entry = taken; } } });
    return { id: `${this.accountId}:${message.mid}`, chatId: id, value: JSON.parse(entry.body) };
  }

  got() {
    return this.double.sent.map(({ id, person, text }) => ({ external: `${this.accountId}:${id}`, chatId: person, text }));
  }
}

class Twilio extends Network {
  constructor(source, number) {
    super(source, new TwilioDouble(), number);
    this.own = `+1555123${String(number).padStart(4, '0')}`;
    this.prefix = source === 'twilio_whatsapp' ? 'whatsapp:' : '';
  }

  async connect(server, organization, settings) {
    await this.add(server, organization, {
      credentials: { account_sid: this.double.accountSid, auth_token: this.double.authToken },
      settings: { from: this.own, api_base: this.double.url, messaging_base: this.double.url, ...settings },
    });
    this.double.addNumber(this.prefix + this.own, { url: `${this.address}#rc=0` });
  }

  compose(person, text) {
    const from = `+1556${String(person).padStart(7, '0')}`;
    const { params } = this.double.written(this.prefix + from, this.prefix + this.own, text);
    return { id: `${this.double.accountSid}:${params.MessageSid}`, chatId: from, value: params };
  }

  // A field with a list stands there more than once.
  async post(params) {
    return (await this.double.callWebhook(`${this.address}#rc=0`, params)).status;
  }

  got() {
    return this.double.sent.map(({ sid, to, body }) => ({
      external: `${this.double.accountSid}:${sid}`, chatId: to.replace(this.prefix, ''), text: body,
    }));
  }
}

class Slack extends Network {
  constructor(number) {
    super('slack', new SlackDouble(), number);
  }

  async connect(server, organization, settings) {
    const { double } = this;
    await this.add(server, organization, {
      credentials: { app_id: double.appId, team_id: double.teamId, bot_token: double.token, signing_secret: double.signingSecret },
      settings: { api_base: `${double.url}/api`, files_base: `${double.url}/files`, ...settings },
    });
    await double.setRequestUrl(this.address);
  }

  external(channel, ts) {
    return `${this.double.appId}:${this.double.teamId}:${channel}:${ts}`;
  }

  compose(person, text) {
    const user = `U${person}`;
    const channel = this.double.direct(user);
    const event = this.double.said(user, channel, text);
    return { id: this.external(channel, event.ts), chatId: channel, value: this.double.envelope(event) };
  }

  async postText(body) {
    return (await this.double.post(this.address, body, 'application/json')).status;
  }

  got() {
    return this.double.sent.map(({ channel, ts, text }) => ({ external: this.external(channel, ts), chatId: channel, text }));
  }
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', '#39': "'" };

class Teams extends Network {
  constructor(number) {
    super('teams', new TeamsDouble(), number);
    this.chats = new Map();
  }

  async connect(server, organization, settings) {
    this.bot = this.double.addBot();
    await this.add(server, organization, {
      credentials: { app_id: this.bot.appId, app_password: this.bot.password }, settings: { ...this.double.settings(), ...settings },
    });
    this.bot.endpoint = this.address;
  }

  chatId(chat) {
    return `${this.double.serviceUrl.replace(/\/$/, '')}|${chat.id}`;
  }

  compose(person, text) {
    if (!this.chats.has(person)) this.chats.set(person, this.double.personalChat(this.bot, `Person ${person}`));
    const chat = this.chats.get(person);
    const value = this.double.activity(chat, { textFormat: 'plain', text });
    return { id: `${this.bot.appId}|${chat.id}|${value.id}`, chatId: this.chatId(chat), value };
  }

  async postText(body) {
    return (await this.double.post(this.bot, body)).status;
  }

  got() {
    const all = [...this.chats.values()].flatMap((chat) => this.double.messages(chat).map(({ id, text }) => ({ chat, id, text })));
    return all.sort((a, b) => a.id - b.id).map(({ chat, id, text }) => ({
      external: `${this.bot.appId}|${chat.id}|${id}`, chatId: this.chatId(chat),
      text: text.replace(/<[^<>]*>/g, ' ').replace(/&([a-z]+|#39);/g, (_, name) => ENTITIES[name]),
    }));
  }
}

export class Email extends Network {
  constructor(number) {
    super('email', new SmtpDouble(), number);
    this.own = `support-${number}@shop.test`;
    this.count = 0;
  }

  reachAt(port) {
    this.reachedAt = port;
  }

  async connect(server, organization, settings) {
    await this.add(server, organization, {
      credentials: { webhook_secret: SECRET },
      settings: {
        address: this.own, inbound: 'postmark', smtp_host: '127.0.0.1', smtp_port: this.reachedAt ?? this.double.port, smtp_security: 'none', ...settings,
      },
    });
  }

  compose(person, text) {
    this.count += 1;
    const from = `person-${person}@customer.test`;
    const id = `m${this.count}.${this.number}@customer.test`;
    const value = {
      From: `Person ${person} <${from}>`, To: this.own, Subject: 'A question', MessageID: `guid-${this.number}-${this.count}`,
      Headers: [{ Name: 'Message-ID', Value: `<${id}>` }], TextBody: text,
    };
    return { id: `${this.own}:${id}`, chatId: from, value };
  }

  async postText(body) {
    const headers = { 'content-type': 'application/json', authorization: `Basic ${Buffer.from(`parley:${SECRET}`).toString('base64')}` };
    return (await callWebhook(this.address, { headers, body })).status;
  }

  // One that was sent again is the same mail, by its Message-ID.
  got() {
    return this.double.mails.map((mail) => ({
      external: `${this.own}:${headerOf(mail, 'Message-I[Dd]').replace(/[<>]/g, '')}`, chatId: mail.to[0], text: plainTextOf(mail),
    }));
  }
}

export const NETWORKS = {
  telegram: Telegram,
  whatsapp_business: WhatsApp,
  instagram: Instagram,
  twilio_sms: class extends Twilio { constructor(number) { super('twilio_sms', number); } },
  twilio_whatsapp: class extends Twilio { constructor(number) { super('twilio_whatsapp', number); } },
  slack: Slack,
  teams: Teams,
  email: Email,
};
