// channel_rows.mjs - every kind of channel as a row of one table: what its provider can do, how it fails on
// command, how it tells what became of a message. channels.test.mjs asks the same of each
//
//   const network = row.open(3);                      // as in networks.mjs; start() and connect() follow
//   row.fail.later(network, chatId)                   // of the next send into that chat; see FAILURES
//   row.tries(network, chatId)                        // [{at}]: how often it was tried to send there
//   await row.forge(network, value)                   // posts it unproven; gives the HTTP status
//   await row.tell(network, answer, 'read')           // the provider reports; answer: of network.got()
//
// can: which of the columns below the channel has, as `parley config --channels` must say, too. lost: how it is known
// of a send whose answer got lost whether it was done
//   told   the provider's reports carry our reference
//   asked  the provider is asked
//   held   nobody knows, so the channel's policy decides
import { randomUUID } from 'node:crypto';

import { callWebhook } from '../doubles/http-double.mjs';
import { GraphError, metaJson, sign } from '../doubles/meta/graph.mjs';
import { TeamsDouble } from '../doubles/teams/teams-double.mjs';
import { Mail, SENT } from '../support/mail.mjs';
import { Mailbox, Mailgun, SendGrid, WEBHOOK_SECRET, basic, mailgunProof } from '../support/mail_networks.mjs';
import { NETWORKS, Network } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { Visitor } from './scene.mjs';

export const STATES = 'delivery states';
export const ASKED = 'asked for lost sends';
export const POLLED = 'without a public address';
export const REGISTERS = 'registers its webhook';

// What row.fail has: the next send
//   later    is refused for now, with a wait of row.toldWaitMs where the provider tells one
//   broken   gets a page of a proxy, or no service
//   cut      is done, and the answer does not come whole
//   silent   is not answered until Parley gives up; done: whether it is done all the same
//   refused  will never work, because of this reason
const FAILURES = ['later', 'broken', 'cut', 'silent', 'refused'];

const json = (value) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
const page = { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>502 Bad Gateway</html>' };
// answers: of each failure what the double is told; order: tells it.
const failures = (answers, order) => Object.fromEntries(FAILURES.map((name) => [name,
  (network, chatId, done) => order(network, chatId, typeof answers[name] === 'function' ? answers[name](done) : answers[name])]));
const sentAs = (list, idOf, answer) => list.find((one) => answer.external.endsWith(idOf(one)));

// --- providers whose doubles are HttpDoubles ---

const overHttp = (isSend, { later, refused }) => ({
  tries: (network, chatId) => network.double.requests.filter((request) => isSend(request, chatId)),
  fail: failures({ later, broken: page, cut: { cut: true }, silent: (done) => ({ silent: true, accepted: done }), refused },
    ({ double }, chatId, answer) => double.fail({ match: (request) => isSend(request, chatId), ...answer })),
});

const slack = {
  name: 'slack', source: 'slack', can: [ASKED], lost: 'asked', toldWaitMs: 1000, reason: /is_archived/,
  open: (number) => new NETWORKS.slack(number),
  forge: async (network, value) => (await network.double.post(network.address, JSON.stringify(value), 'application/json', { secret: 'f'.repeat(32) })).status,
  ...overHttp((request, chatId) => request.path.endsWith('/chat.postMessage') && request.body.includes(chatId), {
    later: { status: 429, headers: { 'content-type': 'application/json', 'retry-after': '1' }, body: '{"ok":false,"error":"ratelimited"}' },
    refused: { status: 200, ...json({ ok: false, error: 'is_archived' }) },
  }),
};

const teams = {
  name: 'teams', source: 'teams', can: [STATES], lost: 'held', silentPolicy: 'resend', toldWaitMs: 1000, reason: /BotNotInConversationRoster/,
  open: (number) => new NETWORKS.teams(number),
  forge: async (network, value) => {
    const { double, bot } = network;
    const { key: { privateKey: key } } = new TeamsDouble();
    return (await double.post(bot, value, { token: double.sign(double.claims(bot), { key }) })).status;
  },
  states: ['read'],
  async tell(network, answer) {
    const chat = [...network.chats.values()].find((one) => network.chatId(one) === answer.chatId);
    return (await network.double.reads(chat, { id: answer.external.split('|').at(-1) })).result.status;
  },
  ...overHttp((request, chatId) => request.method === 'POST' && request.path.includes(encodeURIComponent(chatId.split('|')[1])) && !request.body.includes('"typing"'), {
    later: { status: 429, headers: { 'content-type': 'application/json', 'retry-after': '1' }, body: '{"error":{"code":"TooManyRequests","message":"later"}}' },
    refused: { status: 403, ...json({ error: { code: 'BotNotInConversationRoster', message: 'The bot is not part of the conversation roster.' } }) },
  }),
};

const twilio = (source, can, states) => ({
  name: source, source, can: [STATES, ...can], lost: 'told', toldWaitMs: 1000, reason: /21211/,
  open: (number) => new NETWORKS[source](number),
  prepare: (network) => { network.double.statuses = []; },
  forge: async (network, value) => (await network.double.callWebhook(`${network.address}#rc=0`, value, { token: 'f'.repeat(32) })).status,
  states,
  async tell(network, answer, state) {
    return (await network.double.tell(sentAs(network.double.sent, ({ sid }) => sid, answer), state)).status;
  },
  ...overHttp((request, chatId) => request.path.endsWith('/Messages.json') && request.body.includes(encodeURIComponent(chatId)), {
    later: { status: 429, headers: { 'content-type': 'application/json', 'retry-after': '1' }, body: '{"code":20429,"message":"Too Many Requests","status":429}' },
    refused: { status: 400, ...json({ code: 21211, message: "Invalid 'To' Phone Number", status: 400 }) },
  }),
});

// --- Meta's ---

const overGraph = (isSend, refused) => ({
  tries: (network, chatId) => network.double.calls.filter((call) => isSend(call, chatId)),
  // Meta tells no wait; of this code it is known to be two seconds.
  toldWaitMs: 2000,
  fail: failures({
    later: { error: new GraphError(130429, 'Rate limit hit', { status: 429 }) }, broken: { html: 502 }, cut: { cut: true },
    silent: (done) => ({ silent: done ? 'after' : 'before' }), refused: { error: refused },
  }, ({ double }, chatId, answer) => double.fail({ match: (call) => isSend(call, chatId), ...answer })),
  async forge({ double, address }, value) {
    const body = metaJson(value);
    return (await double.post({ account: { callback: address }, body, signature: sign('of-somebody-else', body) })).status;
  },
});

const whatsapp = {
  name: 'whatsapp_business', source: 'whatsapp_business', can: [STATES, REGISTERS], lost: 'told', reason: /131026/,
  open: (number) => new NETWORKS.whatsapp_business(number),
  prepare: (network) => { network.double.tells = []; },
  states: ['delivered', 'read'],
  async tell({ double }, answer, state) {
    double.reports(sentAs(double.sent, ({ id }) => id, answer), state);
    await double.waitUntilDelivered();
    return double.deliveries.at(-1).status;
  },
  ...overGraph((call, chatId) => call.body?.recipient === chatId, new GraphError(131026, 'Message undeliverable')),
};

const instagram = {
  name: 'instagram', source: 'instagram', can: [STATES], lost: 'held', silentPolicy: 'resend', reason: /allowed window|24 hours/,
  open: (number) => new NETWORKS.instagram(number),
  states: ['read'],
  async tell({ double }, answer) {
    double.sees(sentAs(double.sent, ({ id }) => id, answer));
    await double.waitUntilDelivered();
    return double.deliveries.at(-1).status;
  },
  ...overGraph((call, chatId) => call.body?.recipient?.id === chatId && call.body.message,
    new GraphError(10, 'This message is sent outside of allowed window.', { status: 403, subcode: 2018278 })),
};

// --- Telegram ---

const telegram = {
  name: 'telegram', source: 'telegram', can: [POLLED, REGISTERS], lost: 'held', toldWaitMs: 1000, reason: /PEER_ID_INVALID/,
  open: (number) => new NETWORKS.telegram(number),
  prepare: (network) => { network.double.options.keepCalls = true; },
  tries: ({ double }, chatId) => double.calls({ method: 'sendMessage' }).filter(({ params }) => String(params.chat_id) === chatId),
  fail: failures({
    later: { status: 429, retryAfter: 1 }, broken: { mode: 'html', status: 502 }, cut: { mode: 'accept-garbled' },
    silent: (done) => ({ mode: done ? 'accept-silence' : 'silence' }), refused: { status: 400, description: 'Bad Request: PEER_ID_INVALID' },
  }, ({ double }, chatId, answer) => double.fail({ method: 'sendMessage', chatId: Number(chatId), ...answer })),
  async forge(network, value) {
    const headers = { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': 'a-secret-of-somebody-else' };
    return (await callWebhook(network.address, { headers, body: JSON.stringify(value) })).status;
  },
};

// --- mail: another way in each, one way out ---

const mail = (name, open, more) => ({
  name, source: 'email', can: [STATES, ASKED, POLLED], lost: 'told', open, silentPolicy: 'hold',
  // A mail server tells no wait; 421 leaves it to whoever sends, 450 is taken for greylisting and waits five minutes.
  toldWaitMs: 0, reason: /5\.1\.1/,
  tries: ({ double }, chatId) => double.tries.filter(({ to }) => to === chatId),
  fail: failures({
    later: { reply: '421 4.3.2 Too many connections' }, broken: { reply: '432 4.3.0 No service' }, cut: { hangsUp: true }, silent: { silent: true },
    refused: { reply: '550 5.1.1 No such user' },
  }, ({ double }, chatId, answer) => double.fail({ to: chatId, ...answer })),
  states: ['delivered', 'read'],
  ...more,
});
const mailId = (answer) => answer.external.slice(answer.external.indexOf(':') + 1);

const postmark = mail('email by Postmark', (number) => new NETWORKS.email(number), {
  async forge(network, value) {
    return (await callWebhook(network.address, { headers: { 'content-type': 'application/json', ...basic('a-secret-of-somebody-else') }, body: JSON.stringify(value) })).status;
  },
  tell: (network, answer, state) => network.post({
    RecordType: { delivered: 'Delivery', read: 'Open' }[state], MessageID: randomUUID(), [{ delivered: 'DeliveredAt', read: 'ReceivedAt' }[state]]: new Date().toISOString(),
    Metadata: { parley: mailId(answer) },
  }),
});

const mailgun = mail('email by Mailgun', (number) => new Mailgun(number), {
  forge: (network, value) => network.post(value, { key: 'a-key-of-somebody-else-in-hex' }),
  tell: (network, answer, state) => network.tell({
    signature: mailgunProof(),
    'event-data': { id: randomUUID(), event: { delivered: 'delivered', read: 'opened' }[state], timestamp: Date.now() / 1000, message: { headers: { 'message-id': mailId(answer) } } },
  }),
});

const sendgrid = mail('email by SendGrid', (number) => new SendGrid(number), {
  forge: (network, value) => network.post(value, { secret: 'a-secret-of-somebody-else' }),
  tell: (network, answer, state) => network.tell([{
    sg_event_id: randomUUID(), event: { delivered: 'delivered', read: 'open' }[state], 'smtp-id': `<${mailId(answer)}>`, timestamp: Math.floor(Date.now() / 1000),
  }]),
});

const mailbox = mail('email by IMAP', (number, servers) => new Mailbox(number, servers), {
  lost: 'asked', missing: () => Mail.missing(),
  // It takes no webhooks, whatever they show.
  async forge(network) {
    const body = JSON.stringify({ From: 'eve@customer.test', To: network.own, Subject: 'x', MessageID: 'x', Headers: [], TextBody: 'x' });
    return (await callWebhook(network.address, { headers: { 'content-type': 'application/json', ...basic(WEBHOOK_SECRET) }, body })).status;
  },
  // What the mail server keeps of sent mails.
  async keepsCopy(network, chatId) {
    const sent = await until(() => network.double.mails.find(({ to }) => to[0] === chatId), `a mail to ${chatId}`);
    await network.mail.put(network.own, sent.text, SENT);
  },
  states: ['delivered'],
  tell: (network, answer) => network.post([
    'From: mailer-daemon@customer.test', `To: ${network.own}`, 'Subject: Delivered', `Message-ID: <${randomUUID()}@customer.test>`, 'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status; boundary=B', '', '--B', 'Content-Type: text/plain', '', 'It was delivered.', '--B',
    'Content-Type: message/delivery-status', '', `Final-Recipient: rfc822; ${answer.chatId}`, 'Action: delivered', 'Status: 2.0.0', '', '--B',
    'Content-Type: text/rfc822-headers', '', `Message-ID: <${mailId(answer)}>`, '', '--B--', ''].join('\r\n')),
});

// --- the web chat, which has no provider ---

class WebChat extends Network {
  constructor(number) {
    super('web', { on() {}, start: async () => {}, stop: async () => {} }, number);
    this.visitors = new Map(); // chat id -> Visitor
    this.people = new Map(); // person -> chat id
  }

  async connect(server, organization, settings) {
    this.server = server;
    await this.add(server, organization, { settings });
  }

  // Whoever writes must have a session.
  async meet(person) {
    const visitor = await Visitor.open(this.server, this.channel.id);
    const chatId = visitor.token.split('.')[1];
    this.people.set(person, chatId);
    this.visitors.set(chatId, visitor);
  }

  compose(person, text) {
    this.count = (this.count ?? 0) + 1;
    return { chatId: this.people.get(person), value: { person, client_message_id: `c-${this.count}`, text } };
  }

  async post({ person, ...body }, token) {
    const visitor = this.visitors.get(this.people.get(person));
    return (await this.server.post(`${visitor.base}/messages`, token ?? visitor.token, body)).status;
  }

  async got() {
    const all = [];
    for (const [chatId, visitor] of this.visitors) {
      const { messages } = await visitor.messages();
      all.push(...messages.filter(({ role }) => role === 'assistant').map(({ id, text }) => ({ external: id, chatId, text })));
    }
    return all;
  }
}

const web = {
  name: 'web', source: 'web', can: [STATES, ASKED, POLLED, REGISTERS], hasProvider: false,
  open: (number) => new WebChat(number),
  forge: (network, value) => network.post(value, `${network.visitors.get(network.people.get(value.person)).token.slice(0, -2)}xx`),
};

export const ROWS = [
  whatsapp, instagram, twilio('twilio_sms', [REGISTERS], ['sent', 'delivered']), twilio('twilio_whatsapp', [], ['delivered', 'read']),
  slack, teams, telegram, postmark, mailgun, sendgrid, mailbox, web,
];
