// scene.mjs - what system tests begin with: a server, organizations with documents, a Telegram double,
// a model double
import { TelegramDouble } from '../doubles/telegram/telegram-double.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { createDouble } from '../doubles/openai/server.js';
import { Parley } from '../support/server.mjs';

export const SHOP = `# Harbour Cycles

## Opening hours

The shop is open from Tuesday to Friday from 9:00 to 18:30. On Saturdays the shop closes at 16:00.

## Repairs

A puncture repair costs 19 euros, tube included. A new chain costs 45 euros, chain included.

## Rental

The deposit for a cargo bike is 100 euros. A cargo bike costs 39 euros a day.

## Returns

Helmets can be returned within 30 days with the receipt.
`;
export const PUNCTURE = 'What does a puncture repair cost?';
export const DEPOSIT = 'What is the deposit for a cargo bike?';
export const HONEST = /could not find that in our documents/;

// A server that ends with the test. organizations: slugs; each gets SHOP when documents is true.
export async function openServer(t, { settings = {}, organizations = ['shop'], documents = true, publicUrl = false, start = true } = {}) {
  const server = await Parley.create({ 'limits.staff_per_minute': 0, 'limits.external_per_minute': 0, ...settings });
  if (publicUrl) server.settings['http.public_url'] = server.url;
  t.after(() => server.destroy());
  server.organizations = {};
  for (const slug of organizations) server.organizations[slug] = await server.addOrganization(slug);
  server.shop = server.organizations[organizations[0]];
  if (!start) return server;
  await server.start();
  if (documents) {
    for (const organization of Object.values(server.organizations)) await server.addDocument(organization, 'shop.md', SHOP);
  }
  return server;
}

export async function openTelegram(t, options = {}) {
  const telegram = new TelegramDouble({ relaxedWebhook: true, timeScale: 0.01, ...options });
  await telegram.start();
  t.after(() => telegram.stop());
  return telegram;
}

export async function openWhatsApp(t) {
  const whatsapp = new WhatsAppDouble({ timeScale: 0.001 });
  await whatsapp.start();
  t.after(() => whatsapp.stop());
  return whatsapp;
}

let lastNumber = 200_100_300_500_000;

// A connected number: its channel. The double brings what people write to the number that was added last.
export async function addWhatsApp(server, whatsapp, organization, settings = {}) {
  lastNumber += 1;
  const number = { id: String(lastNumber), token: `EAAsystemtest${lastNumber}` };
  whatsapp.accounts.clear();
  whatsapp.addNumber(number);
  const channel = await server.addChannel(organization, 'whatsapp_business', {
    credentials: { phone_number_id: number.id, access_token: number.token, app_secret: whatsapp.options.appSecret },
    settings: { api_base: whatsapp.url, burst_window_ms: 0, waba_id: whatsapp.number().waba, ...settings },
  });
  const { status, text } = await server.post(`/v1/channels/${channel.id}/check`, organization.key, {});
  if (status !== 200) throw new Error(`check: ${status} ${text}`);
  return channel;
}

let lastBot = 7_100_000_000;

// A connected bot: {channel, token, id, name, secret}. register: false leaves the webhook alone.
export async function addBot(server, telegram, organization, { settings = {}, register = true, secret = 'a-secret-for-the-webhook' } = {}) {
  lastBot += 1;
  const token = `${lastBot}:system-test-secret-of-a-bot`;
  const name = `bot_${lastBot}_bot`;
  telegram.addBot(token, { username: name });
  const channel = await server.addChannel(organization, 'telegram', {
    credentials: { bot_token: token, secret_token: secret },
    settings: { api_base: telegram.url, burst_window_ms: 0, ...settings },
  });
  if (register) {
    const { status, text } = await server.post(`/v1/channels/${channel.id}/check`, organization.key, {});
    if (status !== 200) throw new Error(`check: ${status} ${text}`);
  }
  return { channel, token, id: lastBot, name, secret };
}

// An OpenAI-compatible server under the test's command, and the settings that lead to it.
export async function openModel(t) {
  const double = createDouble();
  const port = await double.listen();
  t.after(() => double.close());
  return {
    state: double.state,
    settings: {
      'model.driver': 'openai_chat', 'model.base_url': `http://127.0.0.1:${port}/v1`, 'model.name': 'gpt-5.4-mini',
      'model.api_key': 'sk-test',
    },
    // The next requests, one step each.
    script(...steps) {
      double.state.script = steps;
      double.state.requests = [];
    },
  };
}

// A visitor's browser: session, posts, events.
export class Visitor {
  constructor(server, channelId, token) {
    Object.assign(this, { server, channelId, token, count: 0 });
    this.base = `/v1/webchat/${channelId}`;
  }

  static async open(server, channelId, token) {
    const { status, body, text } = await server.post(`/v1/webchat/${channelId}/session`, undefined, token ? { token } : {});
    if (status !== 200) throw new Error(`session: ${status} ${text}`);
    const visitor = new Visitor(server, channelId, body.token);
    visitor.session = body;
    return visitor;
  }

  // Gives the answer of the server to the post.
  say(text, more = {}) {
    this.count += 1;
    return this.server.post(`${this.base}/messages`, this.token, { client_message_id: `m-${this.count}`, text, ...more });
  }

  async messages(afterSeq) {
    const { status, body, text } = await this.server.get(`${this.base}/messages${afterSeq ? `?after_seq=${afterSeq}` : ''}`, this.token);
    if (status !== 200) throw new Error(`messages: ${status} ${text}`);
    return body;
  }

  events(lastEventId) {
    return this.server.events(`${this.base}/events`, { key: this.token, lastEventId });
  }

  // Says something and gives what is answered to it.
  async ask(text) {
    const stream = await this.events();
    try {
      const posted = await this.say(text);
      if (posted.status !== 202) throw new Error(`post: ${posted.status} ${posted.text}`);
      const event = await stream.until((e) => e.type === 'message' && e.data.role !== 'user' && e.data.seq > posted.body.seq);
      return { ...event.data, events: stream.events };
    } finally {
      stream.close();
    }
  }
}

// Posts one update as Telegram would, without its retries.
export function postUpdate(server, bot, update, { secret = bot.secret, path } = {}) {
  return server.call('POST', path ?? `/webhooks/telegram/${bot.channel.id}`, {
    body: typeof update === 'string' ? update : JSON.stringify(update),
    headers: { 'content-type': 'application/json', ...(secret === null ? {} : { 'x-telegram-bot-api-secret-token': secret }) },
  });
}

export function textUpdate(updateId, chatId, text, messageId = updateId) {
  return {
    update_id: updateId,
    message: {
      message_id: messageId, date: Math.floor(Date.now() / 1000), text,
      chat: { id: chatId, type: 'private', first_name: 'Ada' }, from: { id: chatId, is_bot: false, first_name: 'Ada', language_code: 'en' },
    },
  };
}
