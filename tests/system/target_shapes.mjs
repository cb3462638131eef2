// target_shapes.mjs - what providers send beside plain messages, for targets.test.mjs
//
// SHAPES[source]: {name, make, ...}. make(network, written) gives the payload, from a message as the network
// composes it ({id, chatId, value}). isForm: its members are fields of a form. afterMessage: the message itself
// comes first. chats(value, network): whose chats it may be kept for, where targets.test.mjs has no general
// answer; moves(value, network): [former chat, new chat] that it tells of. send(network, value): posts it, where
// that is not as a message.
//
// MAILS: accounts that get their mails otherwise than the e-mail account of networks.mjs.
import { createHmac, randomUUID } from 'node:crypto';

import { callWebhook } from '../doubles/http-double.mjs';
import { NETWORKS } from '../support/networks.mjs';

const list = (value) => (Array.isArray(value) ? value : []);
const now = () => Math.floor(Date.now() / 1000);
const withPart = (value, path, part) => {
  const copy = structuredClone(value);
  path.slice(0, -1).reduce((one, key) => one[key], copy)[path.at(-1)] = part;
  return copy;
};

// --- Telegram ---

const telegramUpdate = (kind, make) => ({
  name: kind, afterMessage: true, make: (network, { value }) => ({ update_id: 5_000_000 + value.update_id, [kind]: make(value.message, network) }),
});
const TELEGRAM = [
  telegramUpdate('edited_message', (message) => ({ ...message, edit_date: now() })),
  telegramUpdate('callback_query', ({ from, chat, message_id: id, text }, { botId }) => ({
    id: `${id}`, from, chat_instance: '1', data: text,
    message: { message_id: id, date: now(), chat, from: { id: botId, is_bot: true }, text: 'Choose', reply_markup: { inline_keyboard: [[{ text, callback_data: text }]] } },
  })),
  telegramUpdate('message_reaction', ({ from, chat, message_id: id }) => ({
    chat, message_id: id, user: from, date: now(), old_reaction: [], new_reaction: [{ type: 'emoji', emoji: '👍' }],
  })),
  telegramUpdate('deleted_business_messages', ({ chat, message_id: id }) => ({ business_connection_id: 'b', chat, message_ids: [id] })),
];

// --- WhatsApp ---

const CHANGE = ['entry', 0, 'changes', 0];
const changeOf = (value) => value.entry[0].changes[0].value;
// Of the change that brought the message: make gives its field and what its value holds beside the account.
const whatsappChange = (name, make, more = {}) => ({
  name, afterMessage: true, ...more,
  make(network, { value }) {
    const { metadata, messaging_product: product, contacts, messages: [message] } = changeOf(value);
    const { field = 'messages', ...content } = make(message, network, contacts);
    return withPart(value, CHANGE, { field, value: { messaging_product: product, metadata, ...content } });
  },
});
const whatsappMessage = (type, make, more) => whatsappChange(type, ({ text, type: _, id, ...message }, network, contacts) => ({
  contacts, messages: [{ ...message, id: network.double.wamid(), type, ...make(id, text, message) }],
}), more);
const whatsappOwn = (value, { numberId }) => list(value?.entry).flatMap((entry) => list(entry?.changes)).map((change) => change?.value)
  .filter((change) => change?.metadata?.phone_number_id === numberId);
const WHATSAPP = [
  whatsappMessage('edit', (id, text) => ({ edit: { original_message_id: id, message: { type: 'text', text } } })),
  whatsappMessage('revoke', (id) => ({ revoke: { original_message_id: id } })),
  whatsappMessage('reaction', (id) => ({ reaction: { message_id: id, emoji: '👍' } })),
  whatsappMessage('interactive', (id, text) => ({ context: { from: '491700000001', id }, interactive: { type: 'button_reply', button_reply: { id: 'a', title: text.body } } })),
  whatsappMessage('button', (id, text) => ({ context: { from: '491700000001', id }, button: { payload: 'a', text: text.body } })),
  whatsappMessage('system', (id, text, { from_user_id: user }) => ({ system: { type: 'user_changed_user_id', user_id: `${user}77`, previous_user_id: user, body: 'changed' } }), {
    moves: (value, network) => whatsappOwn(value, network).flatMap((change) => list(change.messages)
      .flatMap(({ from, from_user_id: user, system } = {}) => [from, user, system?.previous_user_id, ...list(change.contacts).flatMap((one) => [one?.user_id, one?.wa_id])]
        .flatMap((former) => [[former, system?.user_id], [former, system?.wa_id]]))),
  }),
  whatsappChange('statuses', ({ from_user_id: user }, network) => ({
    statuses: [{ id: network.double.wamid(), status: 'delivered', timestamp: `${now()}`, recipient_user_id: user, biz_opaque_callback_data: `${randomUUID()}:0` }],
  })),
  whatsappChange('user_id_update', ({ from_user_id: user }) => ({
    field: 'user_id_update', user_id_update: [{ detail: 'changed', user_id: { previous: user, current: `${user}78` }, timestamp: `${now()}` }],
  }), {
    moves: (value, network) => whatsappOwn(value, network).flatMap((change) => list(change.user_id_update))
      .map((one) => [one?.user_id?.previous, one?.user_id?.current]),
  }),
  whatsappChange('message_echoes', ({ from_user_id: user, ...message }, network) => ({
    field: 'smb_message_echoes', message_echoes: [{ ...message, id: network.double.wamid(), from: '491700000001', to_user_id: user }],
  })),
];

// --- Instagram ---

const EVENT = ['entry', 0, 'messaging', 0];
const instagramEvent = (name, make) => ({
  name, afterMessage: true,
  make(network, { value }) {
    const { message, ...event } = value.entry[0].messaging[0];
    return withPart(value, EVENT, { ...event, ...make(message, network) });
  },
});
const INSTAGRAM = [
  instagramEvent('unsent', ({ mid }) => ({ message: { mid, is_deleted: true } })),
  instagramEvent('message_edit', ({ mid, text }) => ({ message_edit: { mid, text, num_edit: 1 } })),
  instagramEvent('reaction', ({ mid }) => ({ reaction: { mid, action: 'react', reaction: 'love', emoji: '❤' } })),
  instagramEvent('postback', ({ text }, network) => ({ postback: { mid: network.double.mid(), title: text, payload: 'a' } })),
  instagramEvent('read', ({ mid }) => ({ read: { mid } })),
];

// --- Twilio ---

const TWILIO_STATUS = {
  name: 'status', isForm: true, chats: () => [],
  make: (network, { value: { AccountSid, MessageSid, From, To } }) => ({
    AccountSid, MessageSid, SmsSid: MessageSid, MessageStatus: 'delivered', SmsStatus: 'delivered', From: To, To: From, ApiVersion: '2010-04-01',
  }),
};
const TWILIO_BUTTON = { name: 'button', isForm: true, make: (network, { value }) => ({ ...value, MessageType: 'button', ButtonText: value.Body, ButtonPayload: 'a' }) };

// --- Slack ---

const slackEvent = (name, make) => ({
  name, afterMessage: true, make: (network, { value: { event } }) => network.double.envelope(make(event, network.double.nextTs())),
});
const asForm = (network, fields) => network.double.post(network.address, new URLSearchParams(fields).toString(), 'application/x-www-form-urlencoded').then(({ status }) => status);
// The signature proves the app, where the payload names none.
const isOfSlack = ({ double }, team, app) => team === double.teamId && (typeof app !== 'string' || app === '' || app === double.appId);
const SLACK = [
  slackEvent('message_changed', (event, ts) => ({
    type: 'message', subtype: 'message_changed', channel: event.channel, ts, event_ts: ts,
    message: { type: 'message', user: event.user, text: `${event.text} `, ts: event.ts, edited: { user: event.user, ts } }, previous_message: event,
  })),
  slackEvent('message_deleted', (event, ts) => ({ type: 'message', subtype: 'message_deleted', channel: event.channel, ts, event_ts: ts, deleted_ts: event.ts, previous_message: event })),
  slackEvent('reaction_added', (event, ts) => ({ type: 'reaction_added', user: event.user, reaction: 'eyes', item: { type: 'message', channel: event.channel, ts: event.ts }, event_ts: ts })),
  {
    name: 'block_actions',
    make: ({ double }, { value: { event } }) => ({
      type: 'block_actions', team: { id: double.teamId }, user: { id: event.user, name: 'ada' }, api_app_id: double.appId, trigger_id: 't',
      container: { type: 'message', message_ts: event.ts, channel_id: event.channel }, channel: { id: event.channel }, message: { ts: event.ts, text: 'Choose' },
      actions: [{ type: 'button', action_id: 'a', block_id: 'b', text: { type: 'plain_text', text: event.text }, value: event.text, action_ts: double.nextTs() }],
    }),
    send: (network, value) => asForm(network, { payload: typeof value === 'string' ? value : JSON.stringify(value) }),
    chats(value, network) {
      if (!isOfSlack(network, value.team?.id, value.api_app_id)) return [];
      const { container, message, channel } = value;
      return [channel?.id, ...[container?.thread_ts, message?.thread_ts, container?.message_ts].map((ts) => `${channel?.id}:${ts}`)];
    },
  },
  {
    name: 'command', isForm: true,
    make: ({ double }, { value: { event } }) => ({
      team_id: double.teamId, api_app_id: double.appId, channel_id: event.channel, user_id: event.user, user_name: 'ada', command: '/ask', text: event.text,
      trigger_id: `${double.nextTs()}.${randomUUID()}`,
    }),
    send: (network, value) => asForm(network, Object.entries(value).flatMap(([key, one]) => [].concat(one).map((each) => [key, each]))),
    chats: (value, network) => (isOfSlack(network, [].concat(value.team_id)[0], [].concat(value.api_app_id)[0]) ? [[].concat(value.channel_id)[0], [].concat(value.user_id)[0]] : []),
  },
];

// --- Teams ---

const activity = (name, change, more = {}) => ({
  name, afterMessage: true, ...more, make: (network, { value: { text, textFormat, ...value } }) => ({ ...value, ...change(value, text, network) }),
});
const TEAMS = [
  activity('messageUpdate', (value, text) => ({ type: 'messageUpdate', text, textFormat: 'plain', channelData: { ...value.channelData, eventType: 'editMessage' } })),
  activity('messageDelete', (value) => ({ type: 'messageDelete', channelData: { ...value.channelData, eventType: 'softDeleteMessage' } })),
  activity('messageReaction', (value, text, network) => ({ type: 'messageReaction', id: network.double.nextId(), replyToId: value.id, reactionsAdded: [{ type: 'like' }] })),
  activity('conversationUpdate', (value, text, network) => ({ type: 'conversationUpdate', id: network.double.nextId(), membersAdded: [value.from, value.recipient] })),
  activity('installationUpdate', (value, text, network) => ({ type: 'installationUpdate', id: network.double.nextId(), action: 'add' })),
  activity('button', (value, text, network) => ({ id: network.double.nextId(), text, textFormat: 'plain', replyToId: value.id, value: { id: 'a' } })),
];

// --- e-mail ---

const EMAIL = [
  { name: 'delivery', chats: () => [], make: (network, { value }) => ({ RecordType: 'Delivery', MessageID: value.MessageID, Recipient: value.From, DeliveredAt: new Date().toISOString(), Metadata: { parley: `parley.${randomUUID()}.0@shop.test` } }) },
  { name: 'bounce', chats: () => [], make: (network, { value }) => ({ RecordType: 'Bounce', ID: now(), Type: 'HardBounce', MessageID: value.MessageID, Email: value.From, BouncedAt: new Date().toISOString(), Description: 'gone' }) },
];

const SECRET = 'a-secret-for-the-webhook';
const SIGNING_KEY = 'a-signing-key-of-mailgun';
const BOUNDARY = 'a1b2c3d4e5';

const multipart = (fields) => `${Object.entries(fields).flatMap(([name, value]) => [].concat(value).map((one) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${one}\r\n`)).join('')}--${BOUNDARY}--\r\n`;
const line = (value) => `${value}`.replace(/[\r\n]+/g, ' ');
// {From: ..., To: ...}: header lines of a mail, and its text under "". A list: the field more than once.
const mime = ({ '': text, ...headers }) => `${Object.entries(headers).flatMap(([name, value]) => [].concat(value).map((one) => `${name}: ${line(one)}\r\n`)).join('')}\r\n${text ?? ''}`;

class Mail extends NETWORKS.email {
  constructor(number, inbound) {
    super(number);
    this.inbound = inbound;
    this.own = `${inbound}-${number}@shop.test`;
  }

  async add(server, organization, { credentials, settings }) {
    await super.add(server, organization, {
      credentials: { ...credentials, ...(this.inbound === 'mailgun' ? { signing_key: SIGNING_KEY } : {}) }, settings: { ...settings, inbound: this.inbound },
    });
  }

  async postForm(fields) {
    const timestamp = `${now()}`;
    const token = randomUUID();
    const proof = { timestamp, token, signature: createHmac('sha256', SIGNING_KEY).update(timestamp + token).digest('hex') };
    const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
    const body = multipart(this.inbound === 'mailgun' ? { ...fields, ...proof } : fields);
    return (await callWebhook(`${this.address}?secret=${SECRET}`, { headers, body })).status;
  }
}

// A whole mail in one field.
class RawMail extends Mail {
  compose(person, text) {
    const { value, ...written } = super.compose(person, text);
    return { ...written, value: { From: value.From, To: this.own, Subject: value.Subject, 'Message-ID': value.Headers[0].Value, Date: new Date().toUTCString(), '': text } };
  }

  post(value) {
    const raw = mime(value);
    return this.postForm(this.inbound === 'mailgun' ? { recipient: this.own, 'body-mime': raw } : { to: this.own, envelope: JSON.stringify({ to: [this.own] }), email: raw });
  }
}

// The provider has read the mail.
class ReadMail extends Mail {
  compose(person, text) {
    const { value, ...written } = super.compose(person, text);
    const headers = { From: value.From, To: this.own, Subject: value.Subject, 'Message-ID': value.Headers[0].Value };
    return { ...written, value: { ...headers, '': text, sender: value.From, recipient: this.own } };
  }

  post({ '': text, sender, recipient, ...headers }) {
    const pairs = Object.entries(headers).flatMap(([name, value]) => [].concat(value).map((one) => [name, line(one)]));
    return this.postForm(this.inbound === 'mailgun'
      ? { sender, recipient, from: pairs[0]?.[1] ?? '', 'message-headers': JSON.stringify(pairs), 'body-plain': text ?? '' }
      : { headers: pairs.map(([name, value]) => `${name}: ${value}`).join('\n'), from: pairs[0]?.[1] ?? '', to: recipient, text: text ?? '', envelope: JSON.stringify({ to: [recipient], from: sender }) });
  }
}

export const MAILS = {
  'mailgun, raw': class extends RawMail { constructor(number) { super(number, 'mailgun'); } },
  mailgun: class extends ReadMail { constructor(number) { super(number, 'mailgun'); } },
  'sendgrid, raw': class extends RawMail { constructor(number) { super(number, 'sendgrid'); } },
  sendgrid: class extends ReadMail { constructor(number) { super(number, 'sendgrid'); } },
};

export const SHAPES = {
  telegram: TELEGRAM, whatsapp_business: WHATSAPP, instagram: INSTAGRAM, twilio_sms: [TWILIO_STATUS], twilio_whatsapp: [TWILIO_STATUS, TWILIO_BUTTON],
  slack: SLACK, teams: TEAMS, email: EMAIL,
};
