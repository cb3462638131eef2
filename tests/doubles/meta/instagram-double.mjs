// instagram-double.mjs - Instagram's messaging API for tests, and the people who write to an account
//
//   const instagram = new InstagramDouble();
//   await instagram.start();                              // instagram.url is the channel's api_base
//   instagram.addAccount({ id: '17841400000000001', token: 'IGAA...', callback: '...' });
//   instagram.says('900100200300', 'Hello');
//   const [answer] = await instagram.waitForMessages(1, '900100200300');
//   instagram.sees(answer);
//
// Strict where Meta is: the 24 hours, 1000 bytes of text, what each kind of message needs. What the
// account sends comes back as an echo.
import { Graph, GraphError } from './graph.mjs';

const WINDOW_MS = 24 * 3600_000;
const TEXT_MAX_BYTES = 1000;
const MEDIA = ['image', 'video', 'audio', 'file'];

const invalid = (message) => { throw new GraphError(100, message); };
const isUrl = (url) => /^https?:\/\//.test(url ?? '');

function checkText(value, max, name) {
  if (typeof value !== 'string' || value.length === 0) invalid(`${name} is required`);
  if (value.length > max) invalid(`${name} must be at most ${max} characters long`);
}

function checkAttachment({ type, payload }) {
  if (MEDIA.includes(type)) {
    if (!isUrl(payload?.url)) invalid('attachment.payload.url');
    return;
  }
  if (type !== 'template' || payload?.template_type !== 'button') invalid('attachment.type');
  checkText(payload.text, 640, 'payload.text');
  if (!Array.isArray(payload.buttons) || payload.buttons.length < 1 || payload.buttons.length > 3) invalid('1 to 3 buttons');
  for (const button of payload.buttons) {
    checkText(button.title, 20, 'button.title');
    if (button.type !== 'web_url' || !isUrl(button.url)) invalid('button.url');
  }
}

function checkMessage(message) {
  for (const key of Object.keys(message)) if (!['text', 'attachment', 'quick_replies'].includes(key)) invalid(`message.${key}`);
  if ((message.text === undefined) === (message.attachment === undefined)) invalid('text or attachment');
  if (message.attachment) checkAttachment(message.attachment);
  if (message.text !== undefined) {
    if (message.text === '') invalid('text is empty');
    if (Buffer.byteLength(message.text) > TEXT_MAX_BYTES) invalid('Length of param message[text] must be less than or equal to 1000');
  }
  const replies = message.quick_replies ?? [];
  if (replies.length > 13) invalid('at most 13 quick replies');
  for (const reply of replies) {
    if (reply.content_type !== 'text') invalid('content_type');
    checkText(reply.title, 20, 'title');
    checkText(reply.payload, 1000, 'payload');
  }
}

export class InstagramDouble extends Graph {
  constructor(options = {}) {
    super(options);
    this.people = new Map(); // scoped id -> {lastSaid}
    this.files = new Map(); // path -> {bytes, mimeType}
    this.sent = [];
    this.actions = [];
    this.echoes = true;
    this.echoesFirst = false; // what was sent comes back before the call is answered
    this.refreshed = 0;
    this.nextId = 1;
  }

  addAccount({ id, token, username = 'the_shop', callback = null }) {
    const account = { id, token, username, callback, revoked: false };
    this.accounts.set(id, account);
    return account;
  }

  account() {
    return this.accounts.values().next().value;
  }

  mid() {
    return `aWdfZAG1f${Buffer.from(String(this.nextId++).padStart(90, '0')).toString('base64url')}`;
  }

  // --- what people do ---

  event(person, content, { at = Date.now(), deliver = {}, account = this.account(), echo = false } = {}) {
    const event = {
      sender: { id: echo ? account.id : person }, recipient: { id: echo ? person : account.id }, timestamp: at, ...content,
    };
    this.deliver(this.account(), { object: 'instagram', entry: [{ id: account.id, time: Date.now(), messaging: [event] }] }, deliver);
    return event;
  }

  sends(person, message, options = {}) {
    const known = this.people.get(person) ?? { lastSaid: 0 };
    known.lastSaid = Math.max(known.lastSaid, options.at ?? Date.now());
    this.people.set(person, known);
    const whole = { mid: this.mid(), ...message };
    this.event(person, { message: whole }, options);
    return whole;
  }

  says(person, text, options) {
    return this.sends(person, { text }, options);
  }

  // A person of the business writes in the app; gives the message.
  writesByHand(person, text, more = {}) {
    const message = { mid: this.mid(), text, is_echo: true, ...more };
    this.event(person, { message }, { echo: true });
    return message;
  }

  presses(person, { title, payload }) {
    const known = this.people.get(person) ?? { lastSaid: 0 };
    known.lastSaid = Date.now();
    this.people.set(person, known);
    return this.event(person, { postback: { mid: this.mid(), title, payload } });
  }

  sees(sent) {
    return this.event(sent.person, { read: { mid: sent.id } });
  }

  // The address of a file that a message may carry: whoever knows it gets it.
  addFile(content, mimeType) {
    const path = `/cdn/${this.nextId++}`;
    this.files.set(path, { bytes: Buffer.from(content), mimeType });
    return `${this.url}${path}`;
  }

  // The account's token, new; those before work on until they end.
  refresh(url) {
    const token = url.searchParams.get('access_token');
    const account = this.accountOf(token);
    if (url.searchParams.get('grant_type') !== 'ig_refresh_token') invalid('grant_type');
    if (!account) throw new GraphError(190, `Error validating access token: ${token}`, { status: 400 });
    if (account.tooYoung) throw new GraphError(10, 'The access token was issued less than 24 hours ago', { status: 400 });
    this.refreshed += 1;
    (account.formerTokens ??= []).push(account.token);
    account.token = `IGAAfresh${this.refreshed}x${token.length}fedcba9876543210`;
    return { access_token: account.token, token_type: 'bearer', expires_in: 5183944 };
  }

  serveFile(request, response, url) {
    if (request.method === 'GET' && url.pathname === '/refresh_access_token') {
      const body = JSON.stringify(this.refresh(url));
      response.writeHead(200, { 'content-type': 'application/json; charset=UTF-8' });
      response.end(body);
      this.emit('progress');
      return true;
    }
    const file = this.files.get(url.pathname);
    if (!file) return false;
    if (request.headers.authorization) throw new GraphError(100, 'a token was sent to where files are kept');
    response.writeHead(200, { 'content-type': file.mimeType, 'content-length': file.bytes.length });
    response.end(file.bytes);
    return true;
  }

  // --- the API ---

  handle({ method, path, body, account }) {
    if (method === 'GET' && path === account.id) return { username: account.username, id: account.id };
    if (method === 'GET' && path === `${account.id}/subscribed_apps`) {
      return { data: account.subscribed === false ? [] : [{ id: '1700000000000001', subscribed_fields: ['messages', 'messaging_seen'] }] };
    }
    if (method !== 'POST' || (path !== `${account.id}/messages` && path !== 'me/messages')) {
      throw new GraphError(100, `Unsupported ${method.toLowerCase()} request. Object with ID '${path}' does not exist`, { subcode: 33, type: 'GraphMethodException' });
    }
    const person = body.recipient?.id;
    if (!/^\d+$/.test(person ?? '')) invalid('recipient.id');
    const known = this.people.get(person);
    if (!known) throw new GraphError(100, 'No matching user found', { subcode: 2018001 });
    if (body.sender_action !== undefined) {
      if (!['typing_on', 'typing_off', 'mark_seen'].includes(body.sender_action)) invalid('sender_action');
      this.actions.push({ person, action: body.sender_action });
      return { recipient_id: person };
    }
    checkMessage(body.message ?? invalid('message'));
    if (Date.now() - known.lastSaid > WINDOW_MS) {
      throw new GraphError(10, 'This message is sent outside of allowed window.', { status: 403, subcode: 2018278 });
    }
    const sent = { id: this.mid(), person, request: body, text: body.message.text };
    this.sent.push(sent);
    const { attachment } = body.message;
    const echo = { mid: sent.id, ...(sent.text === undefined ? {} : { text: sent.text }), ...(attachment ? { attachments: [attachment] } : {}), is_echo: true };
    if (this.echoes) this.event(person, { message: echo }, { echo: true });
    const answer = { recipient_id: person, message_id: sent.id };
    return this.echoesFirst ? this.waitUntilDelivered().then(() => answer) : answer;
  }

  messagesTo(person) {
    return this.sent.filter((one) => one.person === person);
  }

  waitForMessages(count, person) {
    return this.until(() => (this.messagesTo(person).length >= count ? this.messagesTo(person) : null), `${count} messages to ${person}`);
  }
}
