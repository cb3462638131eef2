// whatsapp-double.mjs - WhatsApp's Cloud API for tests: the messages endpoint, media, and the people who
// write to a business
//
//   const whatsapp = new WhatsAppDouble();
//   await whatsapp.start();                              // whatsapp.url is the channel's api_base
//   whatsapp.addNumber({ id: '200100300400500', token: 'EAA...' });
//   whatsapp.says('DE.1002', 'Hello');
//   const [answer] = await whatsapp.waitForMessages(1, 'DE.1002');
//   whatsapp.reports(answer, 'delivered');
//
// Strict where Meta is: who may be written to when (24 hours), what each type needs, all lengths.
import { createHash } from 'node:crypto';

import { Graph, GraphError } from './graph.mjs';

const WINDOW_MS = 24 * 3600_000;
const TOO_LATE = 'Message failed to send because more than 24 hours have passed since the customer last replied to this number.';
const MEDIA_URL_MS = 5 * 60_000;
const USER_ID = /^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$/;
const MEDIA = { image: true, video: true, document: true, audio: false, sticker: false }; // true: takes a caption

const invalid = (details) => { throw new GraphError(100, 'Invalid parameter', { details }); };
const missing = (name) => { throw new GraphError(131008, 'Required parameter is missing', { details: `Parameter ${name} is required` }); };

function checkText(value, max, name) {
  if (typeof value !== 'string' || value.length === 0) missing(name);
  if (value.length > max) invalid(`Param ${name} must be at most ${max} characters long.`);
}

const allowKeys = (object, keys, name) => {
  for (const key of Object.keys(object)) if (!keys.includes(key)) invalid(`Unexpected key "${key}" on param "${name}".`);
};

function checkChoices(choices, { max, idMax, titleMax, name }) {
  if (!Array.isArray(choices) || choices.length === 0 || choices.length > max) invalid(`${name}: 1 to ${max}`);
  for (const { id, title } of choices) {
    checkText(id, idMax, `${name}.id`);
    checkText(title, titleMax, `${name}.title`);
  }
  if (new Set(choices.map((one) => one.title)).size !== choices.length) invalid(`${name}: titles must be unique`);
  if (new Set(choices.map((one) => one.id)).size !== choices.length) invalid(`${name}: ids must be unique`);
}

function checkInteractive(interactive) {
  const { type, body, action } = interactive;
  checkText(body?.text, 1024, 'interactive.body.text');
  if (type === 'button') {
    for (const button of action.buttons ?? []) if (button.type !== 'reply') invalid('button type');
    checkChoices((action.buttons ?? []).map((one) => one.reply), { max: 3, idMax: 256, titleMax: 20, name: 'buttons' });
  } else if (type === 'list') {
    checkText(action.button, 20, 'action.button');
    if (!Array.isArray(action.sections) || action.sections.length === 0) invalid('sections');
    if (action.sections.length > 1) for (const one of action.sections) checkText(one.title, 24, 'section.title');
    checkChoices(action.sections.flatMap((one) => one.rows), { max: 10, idMax: 200, titleMax: 24, name: 'rows' });
  } else if (type === 'cta_url') {
    if (action.name !== 'cta_url') invalid('action.name');
    checkText(action.parameters?.display_text, 20, 'display_text');
    if (!/^https?:\/\//.test(action.parameters?.url ?? '')) invalid('url');
  } else {
    invalid(`interactive.type ${type}`);
  }
}

function checkMedia(double, type, media) {
  allowKeys(media, ['id', 'link', ...(MEDIA[type] ? ['caption'] : []), ...(type === 'document' ? ['filename'] : [])], type);
  if ((media.id === undefined) === (media.link === undefined)) invalid(`${type}: id or link`);
  if (media.id !== undefined && !double.media.has(media.id)) throw new GraphError(131053, 'Media upload error');
  if (media.caption !== undefined) checkText(media.caption, 1024, 'caption');
}

function checkTemplate(double, template) {
  checkText(template.name, 512, 'template.name');
  checkText(template.language?.code, 10, 'template.language.code');
  const known = double.templates.get(`${template.name}/${template.language.code}`);
  if (!known) throw new GraphError(132001, 'Template name does not exist in the translation', { status: 404 });
  const body = (template.components ?? []).find((one) => one.type === 'body');
  const given = body?.parameters?.length ?? 0;
  if (given !== known.parameters) throw new GraphError(132000, 'Number of parameters does not match the expected number of params');
}

export class WhatsAppDouble extends Graph {
  constructor(options = {}) {
    super(options);
    this.media = new Map();
    this.templates = new Map();
    this.people = new Map(); // user id -> {phone, name, lastSaid}
    this.sent = [];
    this.refusesLater = false; // what comes outside of the 24 hours is accepted, and reported as failed
    this.tells = []; // states that are told of each message that we send, at once and in this order
    this.typing = [];
    this.read = [];
    this.reviewed = []; // {name, language, status} of the account, as its list says
    this.nextId = 1;
  }

  // A business's phone number. callback: where its webhooks go; else as it is registered by a call.
  addNumber({ id, token, display = '491700000001', name = 'The Shop', waba = '300400500600700', callback = null }) {
    const account = { id, token, display, name, waba, callback, revoked: false, subscribed: false };
    this.accounts.set(id, account);
    return account;
  }

  addTemplate(name, language, parameters = 0) {
    this.templates.set(`${name}/${language}`, { parameters });
  }

  // {id, mime_type, sha256 in hex}: a file that a person's message names.
  addMedia(content, mimeType) {
    const id = String(900_000 + this.nextId++);
    const bytes = Buffer.from(content);
    const digest = createHash('sha256').update(bytes);
    this.media.set(id, { bytes, mimeType, sha256: digest.copy().digest('hex'), base64: digest.digest('base64'), madeAt: 0 });
    return id;
  }

  addPerson(userId, { phone = null, name = 'Ada', username } = {}) {
    if (!USER_ID.test(userId)) throw new Error(`no user id: ${userId}`);
    const person = { userId, phone, name, username, lastSaid: 0 };
    this.people.set(userId, person);
    return person;
  }

  number() {
    return this.accounts.values().next().value;
  }

  wamid() {
    return `wamid.HBgM${Buffer.from(String(this.nextId++).padStart(12, '0')).toString('base64')}`;
  }

  // --- what people do ---

  notification(value, { field = 'messages', account = this.number() } = {}) {
    return {
      object: 'whatsapp_business_account',
      entry: [{
        id: account.waba,
        changes: [{
          value: { messaging_product: 'whatsapp', metadata: { display_phone_number: account.display, phone_number_id: account.id }, ...value },
          field,
        }],
      }],
    };
  }

  contactOf(person, named = 'both') {
    return {
      profile: { name: person.name, ...(person.username ? { username: person.username } : {}) },
      ...(person.phone && named !== 'id' ? { wa_id: person.phone } : {}), ...(named !== 'phone' ? { user_id: person.userId } : {}),
    };
  }

  // A message of any type; gives its id. more: group_id, context, id, ... named: by "both", by the "id" alone, as
  // when Meta keeps the number back, or by the "phone" alone, as before it gave ids.
  sends(userId, content, { at = Date.now(), more = {}, deliver = {}, named = 'both' } = {}) {
    const person = this.people.get(userId) ?? this.addPerson(userId);
    person.lastSaid = Math.max(person.lastSaid, at);
    const message = {
      ...(person.phone && named !== 'id' ? { from: person.phone } : {}),
      ...(named !== 'phone' ? { from_user_id: person.userId } : {}), id: this.wamid(),
      timestamp: String(Math.floor(at / 1000)), ...content, ...more,
    };
    this.deliver(this.number(), this.notification({ contacts: [this.contactOf(person, named)], messages: [message] }), deliver);
    return message;
  }

  says(userId, text, options) {
    return this.sends(userId, { type: 'text', text: { body: text } }, options);
  }

  // A person of the business writes in the phone's app; gives the message. more: id, type, ...
  writesByHand(userId, text, more = {}) {
    const person = this.people.get(userId) ?? this.addPerson(userId);
    const echo = {
      from: this.number().display, ...(person.phone ? { to: person.phone } : {}), to_user_id: userId, id: this.wamid(),
      timestamp: String(Math.floor(Date.now() / 1000)), type: 'text', text: { body: text }, ...more,
    };
    this.deliver(this.number(), this.notification({ contacts: [this.contactOf(person)], message_echoes: [echo] }, { field: 'smb_message_echoes' }));
    return echo;
  }

  // The 24 hours are over for this person.
  closeWindow(userId) {
    this.people.get(userId).lastSaid = Date.now() - WINDOW_MS - 3600_000;
  }

  presses(userId, message, { id, title }) {
    const isList = message.interactive?.type === 'list';
    return this.sends(userId, {
      type: 'interactive', context: { from: this.number().display, id: message.id },
      interactive: isList ? { type: 'list_reply', list_reply: { id, title } } : { type: 'button_reply', button_reply: { id, title } },
    });
  }

  sendsMedia(userId, type, mediaId, more = {}) {
    const { mimeType, base64 } = this.media.get(mediaId);
    return this.sends(userId, { type, [type]: { id: mediaId, mime_type: mimeType, sha256: base64, ...more } });
  }

  // State of a message that we sent: sent, delivered, read, failed (with an error).
  reports(sent, status, { error, deliver = {} } = {}) {
    const value = {
      statuses: [{
        id: sent.id, status, timestamp: String(Math.floor(Date.now() / 1000)), recipient_user_id: sent.userId,
        ...(sent.request.biz_opaque_callback_data ? { biz_opaque_callback_data: sent.request.biz_opaque_callback_data } : {}),
        ...(status === 'failed' ? { errors: [error] } : { pricing: { billable: true, pricing_model: 'PMP', type: 'regular', category: 'service' } }),
      }],
    };
    if (status !== 'failed') value.contacts = [this.contactOf(this.people.get(sent.userId))];
    return this.deliver(this.number(), this.notification(value), deliver);
  }

  // Reports that the 24 hours were over.
  refuses(sent) {
    return this.reports(sent, 'failed', { error: { code: 131047, title: 'Re-engagement message', message: 'Re-engagement message', error_data: { details: TOO_LATE } } });
  }

  // --- the API ---

  async handle(call) {
    const { method, path, body, account } = call;
    if (method === 'POST' && path === `${account.id}/messages`) return this.message(body, account);
    if (method === 'POST' && path === account.id) return this.configure(body, account);
    if (method === 'GET' && path === `${account.waba}/subscribed_apps`) {
      return { data: account.subscribed ? [{ whatsapp_business_api_data: { id: '67084', name: 'Parley', link: 'https://app.example/' } }] : [] };
    }
    if (method === 'POST' && path === `${account.waba}/subscribed_apps`) {
      account.subscribed = true;
      return { success: true };
    }
    if (method === 'GET' && path === `${account.waba}/message_templates`) {
      return { data: this.reviewed.filter(({ name }) => !call.query.has('name') || name.includes(call.query.get('name'))), paging: {} };
    }
    if (method === 'GET' && path === account.id) {
      if (call.query.get('fields') === 'webhook_configuration') {
        return { id: account.id, webhook_configuration: { application: 'https://app.example/hooks', ...(account.callback ? { phone_number: account.callback } : {}) } };
      }
      return { display_phone_number: `+${account.display}`, verified_name: account.name, id: account.id };
    }
    const media = method === 'GET' ? this.media.get(path) : undefined;
    if (!media) throw new GraphError(100, `Unsupported ${method.toLowerCase()} request. Object with ID '${path}' does not exist`, { subcode: 33, type: 'GraphMethodException' });
    media.madeAt = Date.now();
    return {
      messaging_product: 'whatsapp', url: `${this.url}/files/${path}?ext=1`, mime_type: media.mimeType, sha256: media.sha256,
      file_size: media.bytes.length, id: path,
    };
  }

  async serveFile(request, response, url) {
    const id = /^\/files\/(\d+)$/.exec(url.pathname)?.[1];
    if (!id) return false;
    const media = this.media.get(id);
    this.authorize(request, url);
    if (!request.headers['user-agent'] || Date.now() - media.madeAt > MEDIA_URL_MS) {
      response.writeHead(404).end();
    } else {
      response.writeHead(200, { 'content-type': media.mimeType, 'content-length': media.bytes.length });
      response.end(media.bytes);
    }
    return true;
  }

  async configure(body, account) {
    const { override_callback_uri: uri, verify_token: token } = body.webhook_configuration ?? invalid('webhook_configuration');
    if (!(await this.checkCallback(uri, token))) {
      throw new GraphError(2200, 'Callback verification failed with the following errors: HTTP Status Code', { status: 400 });
    }
    account.callback = uri;
    return { success: true };
  }

  markRead(body) {
    allowKeys(body, ['messaging_product', 'status', 'message_id', 'typing_indicator'], 'read');
    if (typeof body.message_id !== 'string' || !body.message_id.startsWith('wamid.')) invalid('message_id');
    if (body.typing_indicator !== undefined && body.typing_indicator.type !== 'text') invalid('typing_indicator.type');
    (body.typing_indicator ? this.typing : this.read).push(body.message_id);
    return { success: true };
  }

  recipientOf(body) {
    if (body.recipient_type === 'group') {
      checkText(body.to, 128, 'to');
      return { userId: `group:${body.to}`, lastSaid: Date.now(), isGroup: true };
    }
    if (body.to !== undefined) {
      const phone = /^\+?(\d{5,20})$/.exec(body.to)?.[1] ?? invalid('to');
      return [...this.people.values()].find((one) => one.phone === phone) ?? { userId: phone, phone, lastSaid: 0 };
    }
    if (!USER_ID.test(body.recipient ?? '')) missing('to');
    return this.people.get(body.recipient) ?? { userId: body.recipient, lastSaid: 0 };
  }

  checkContent(body, person) {
    const { type } = body;
    const content = body[type];
    if (content === undefined || content === null || typeof content !== 'object') missing(type);
    if (person.isGroup && type === 'interactive') invalid('interactive is not allowed in groups');
    if (type === 'text') {
      allowKeys(content, ['body', 'preview_url'], 'text');
      checkText(content.body, 4096, 'text.body');
    } else if (type === 'interactive') {
      checkInteractive(content);
    } else if (type === 'template') {
      checkTemplate(this, content);
    } else if (type in MEDIA) {
      checkMedia(this, type, content);
    } else {
      invalid(`type ${type}`);
    }
  }

  message(body, account) {
    if (body.messaging_product !== 'whatsapp') missing('messaging_product');
    if (body.status === 'read') return this.markRead(body);
    allowKeys(body, ['messaging_product', 'recipient_type', 'to', 'recipient', 'type', 'context', 'biz_opaque_callback_data', body.type], 'message');
    if ((body.biz_opaque_callback_data ?? '').length > 512) invalid('biz_opaque_callback_data');
    const person = this.recipientOf(body);
    this.checkContent(body, person);
    const closed = body.type !== 'template' && Date.now() - person.lastSaid > WINDOW_MS;
    if (closed && !this.refusesLater) throw new GraphError(131047, 'Re-engagement message', { details: TOO_LATE });
    const sent = { id: this.wamid(), userId: person.userId, request: body, account: account.id, text: body.text?.body ?? body.interactive?.body.text };
    this.sent.push(sent);
    if (closed) this.refuses(sent);
    else for (const status of this.tells) this.reports(sent, status);
    const contact = body.to === undefined ? { input: body.recipient, user_id: person.userId } : { input: body.to, wa_id: person.phone ?? person.userId };
    return { messaging_product: 'whatsapp', contacts: [contact], messages: [{ id: sent.id }] };
  }

  messagesTo(userId) {
    return this.sent.filter((one) => one.userId === userId);
  }

  waitForMessages(count, userId) {
    return this.until(() => (this.messagesTo(userId).length >= count ? this.messagesTo(userId) : null), `${count} messages to ${userId}`);
  }
}
