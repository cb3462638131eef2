// teams-double.mjs - Microsoft Teams for tests: login, signing keys, the Bot Connector, and people
//
//   const teams = new TeamsDouble();
//   await teams.start();                            // settings() has what a channel needs to find it
//   const bot = teams.addBot({ endpoint });         // {appId, password}; endpoint may be set later
//   const chat = teams.personalChat(bot, 'Ada');
//   await teams.says(chat, 'Hello');
//   const [answer] = await teams.waitForMessages(1, chat);
//
// Strict where Microsoft is: tokens are issued for one bot and end, conversations are known ones with
// the bot in them, activities have a type, a size and balanced markup. What it posts is signed as the
// connector signs: RS256, iss, aud, serviceurl, five minutes before and an hour after.
import { createSign, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';

import { HttpDouble, callWebhook } from '../http-double.mjs';

export const ISSUER = 'https://api.botframework.com';
const SCOPE = 'https://api.botframework.com/.default';
const TOKEN_LASTS_S = 3600;
const MESSAGE_MAX_BYTES = 100 * 1024;
const LIMITS = [[7, 1000], [8, 2000], [60, 30_000], [1800, 3_600_000]]; // sends into one conversation
const ACTIVITIES = /^\/emea\/([^/]+)\/v3\/conversations\/([^/]+)\/activities(?:\/([^/]+))?$/;
const ATTACHMENT = /^\/emea\/([^/]+)\/v3\/attachments\/([^/]+)\/views\/original$/;
const STREAM_MS = 120_000;
const STREAM_PAUSE_MS = 1000; // between two requests of one stream
const ATTEMPTS = 3; // of a post that got no answer, or 5xx

const json = (status, body, headers = {}) => ({ status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(body) });
const refused = (status, code, message, headers) => json(status, { error: { code, message } }, headers);
const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

// The tags of textFormat "xml" must close in order; entities must be known.
export function markupIsWhole(text) {
  const open = [];
  for (const [, closing, name, self] of text.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (self) continue;
    if (!closing) open.push(name);
    else if (open.pop() !== name) return false;
  }
  const rest = text.replace(/<\/?[a-z]+[^<>]*>/g, '');
  return open.length === 0 && !/[<>]/.test(rest) && !/&(?!(amp|lt|gt|quot|apos|nbsp|#\d+);)/.test(rest);
}

// Of an activity of a stream: {streamType, streamId, streamSequence}, told twice alike.
function streamOf(activity) {
  const entity = activity.entities?.find((one) => one.type === 'streaminfo');
  if (!entity) return null;
  const { type, ...info } = entity;
  const told = activity.channelData ?? {};
  return Object.keys(info).every((key) => told[key] === info[key]) ? info : { ...info, streamType: 'none' };
}

export class TeamsDouble extends HttpDouble {
  // limits: whether sends are throttled as Microsoft does. receipts: people's reading is told.
  constructor({ tenant = randomUUID(), limits = false } = {}) {
    super();
    Object.assign(this, { tenant, limits });
    this.bots = new Map();
    this.conversations = new Map(); // id -> {id, bot, reference, activities, sentAt, inRoster}
    this.tokens = new Map(); // access token -> {appId, endsAt}
    this.attachments = new Map();
    this.lastId = 1_700_000_000_000;
    this.streamMs = STREAM_MS; // how long a stream may take
    this.rotateKey();
  }

  get serviceUrl() {
    return `${this.url}/emea/${this.tenant}/`;
  }

  // Of a channel, so that it comes here instead of to Microsoft.
  settings() {
    return {
      tenant_id: this.tenant, openid_metadata: `${this.url}/v1/.well-known/openidconfiguration`,
      login_base: `${this.url}/login`, service_hosts: [this.url],
    };
  }

  // --- set-up ---

  addBot({ endpoint } = {}) {
    const bot = { appId: randomUUID(), password: randomBytes(24).toString('base64url'), endpoint };
    this.bots.set(bot.appId, bot);
    return bot;
  }

  rotateKey(endorsements = ['msteams', 'webchat']) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.key = { kid: randomBytes(12).toString('base64url'), publicKey, privateKey, endorsements };
  }

  withdrawTokens() {
    this.tokens.clear();
  }

  add(bot, person, conversation) {
    const chat = {
      id: conversation.id, bot, person: { id: `29:${base64url(person)}`, name: person, aadObjectId: randomUUID() },
      conversation, activities: new Map(), streams: new Map(), sentAt: [], inRoster: true,
    };
    const known = this.conversations.get(chat.id);
    if (known) Object.assign(chat, { activities: known.activities, streams: known.streams, sentAt: known.sentAt });
    else this.conversations.set(chat.id, chat);
    return chat;
  }

  personalChat(bot, person) {
    return this.add(bot, person, { conversationType: 'personal', tenantId: this.tenant, id: `a:1${randomBytes(16).toString('base64url')}` });
  }

  groupChat(bot, person, id = `19:${randomBytes(8).toString('hex')}@thread.v2`) {
    return this.add(bot, person, { conversationType: 'groupChat', isGroup: true, tenantId: this.tenant, id });
  }

  thread(bot, person, root) {
    return this.add(bot, person, { conversationType: 'channel', isGroup: true, tenantId: this.tenant, id: `19:general@thread.tacv2;messageid=${root}` });
  }

  addAttachment(bytes, contentType) {
    const id = `0-${randomBytes(8).toString('hex')}`;
    this.attachments.set(id, { bytes, contentType });
    return `${this.serviceUrl}v3/attachments/${id}/views/original`;
  }

  // --- people ---

  nextId() {
    this.lastId += 1;
    return String(this.lastId);
  }

  activity(chat, more = {}) {
    return {
      type: 'message', id: this.nextId(), timestamp: new Date().toISOString(), localTimezone: 'Europe/Paris', channelId: 'msteams',
      serviceUrl: this.serviceUrl, from: chat.person, recipient: { id: `28:${chat.bot.appId}`, name: 'Bot' },
      conversation: chat.conversation, locale: 'en-US', channelData: { tenant: { id: this.tenant } }, ...more,
    };
  }

  // Gives {activity, result} once the bot's server has answered.
  async says(chat, text, more = {}) {
    const activity = this.activity(chat, {
      textFormat: 'plain', text, attachments: [{ contentType: 'text/html', content: `<div>${text}</div>` }], ...more,
    });
    return { activity, result: await this.post(chat.bot, activity) };
  }

  mention(bot) {
    return { type: 'mention', text: '<at>Bot</at>', mentioned: { id: `28:${bot.appId}`, name: 'Bot' } };
  }

  asks(chat, text, more = {}) {
    return this.says(chat, `<at>Bot</at> ${text}`, { entities: [this.mention(chat.bot)], ...more });
  }

  async sends(chat, more) {
    const activity = this.activity(chat, more);
    return { activity, result: await this.post(chat.bot, activity) };
  }

  // Presses the button with that title under a message of the bot.
  presses(chat, message, title) {
    const cards = (message.attachments ?? []).filter((one) => one.contentType === 'application/vnd.microsoft.card.adaptive');
    const actions = cards.flatMap((card) => card.content.body.flatMap((part) => part.actions ?? []));
    const { data } = actions.find((action) => action.title === title);
    const { msteams, ...rest } = data;
    return this.sends(chat, { text: msteams.text, value: { ...rest, ...msteams.value }, replyToId: message.id });
  }

  reads(chat, message) {
    return this.sends(chat, { type: 'event', name: 'application/vnd.microsoft.readReceipt', value: { lastReadMessageId: message.id } });
  }

  // --- the connector's side of a post ---

  claims(bot, more = {}) {
    const now = Math.floor(Date.now() / 1000);
    return { iss: ISSUER, aud: bot.appId, serviceurl: this.serviceUrl, nbf: now - 300, exp: now + TOKEN_LASTS_S, ...more };
  }

  sign(claims, { header = {}, key = this.key.privateKey } = {}) {
    const text = `${base64url({ alg: 'RS256', typ: 'JWT', kid: this.key.kid, x5t: this.key.kid, ...header })}.${base64url(claims)}`;
    return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
  }

  // activity: an object, or text that is sent as it stands. token: what to show instead of a true one; null:
  // none.
  async post(bot, activity, { token = this.sign(this.claims(bot)) } = {}) {
    const headers = { 'content-type': 'application/json; charset=utf-8', ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    let result;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      result = await callWebhook(bot.endpoint, { headers, body: typeof activity === 'string' ? activity : JSON.stringify(activity) });
      if (result.status !== 0 && result.status < 500) break;
    }
    return result;
  }

  // Nobody gets the metadata until the function that this gives is called.
  holdMetadata() {
    let release;
    this.held = new Promise((resolve) => { release = resolve; });
    return release;
  }

  // --- HTTP ---

  async handle(request) {
    if (request.path === '/v1/.well-known/openidconfiguration' && request.method === 'GET') {
      await this.held;
      return json(200, {
        issuer: ISSUER, authorization_endpoint: 'https://invalid.botframework.com', jwks_uri: `${this.url}/v1/.well-known/keys`,
        id_token_signing_alg_values_supported: ['RS256'], token_endpoint_auth_methods_supported: ['private_key_jwt'],
      });
    }
    if (request.path === '/v1/.well-known/keys' && request.method === 'GET') {
      const { kid, publicKey, endorsements } = this.key;
      const { n, e } = publicKey.export({ format: 'jwk' });
      return json(200, { keys: [{ kty: 'RSA', use: 'sig', kid, x5t: kid, n, e, endorsements }] });
    }
    const login = /^\/login\/([^/]+)\/oauth2\/v2\.0\/token$/.exec(request.path);
    if (login) return this.login(request, login[1]);
    return this.connector(request);
  }

  login(request, tenant) {
    const no = (status, error, code, text) => json(status, {
      error, error_description: `AADSTS${code}: ${text} Trace ID: ${randomUUID()}`, error_codes: [code], correlation_id: randomUUID(),
    });
    if (request.method !== 'POST' || !/^application\/x-www-form-urlencoded/.test(request.headers['content-type'] ?? '')) {
      return no(400, 'invalid_request', 900144, 'The request body must contain the parameter grant_type.');
    }
    const form = new URLSearchParams(request.body.toString('utf8'));
    const bot = this.bots.get(form.get('client_id'));
    if (form.get('grant_type') !== 'client_credentials') return no(400, 'unsupported_grant_type', 70003, 'The grant type is not supported.');
    if (form.get('scope') !== SCOPE) return no(400, 'invalid_scope', 70011, 'The scope is not valid.');
    if (tenant !== this.tenant && tenant !== 'botframework.com') return no(400, 'invalid_request', 90002, `Tenant '${tenant}' not found.`);
    if (!bot) return no(400, 'unauthorized_client', 700016, 'The application was not found in the directory.');
    if (form.get('client_secret') !== bot.password) return no(401, 'invalid_client', 7000215, 'Invalid client secret provided.');
    const token = this.sign({ aud: ISSUER, appid: bot.appId, jti: randomUUID() });
    this.tokens.set(token, { appId: bot.appId, endsAt: Date.now() + TOKEN_LASTS_S * 1000 });
    return json(200, { token_type: 'Bearer', expires_in: TOKEN_LASTS_S, ext_expires_in: TOKEN_LASTS_S, access_token: token });
  }

  whoCalls(request) {
    const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const known = this.tokens.get(token);
    return known && known.endsAt > Date.now() ? known.appId : null;
  }

  connector(request) {
    const appId = this.whoCalls(request);
    const attachment = ATTACHMENT.exec(request.path);
    const target = ACTIVITIES.exec(request.path);
    if (!appId) return json(401, { message: 'Authorization has been denied for this request.' });
    if ((attachment ?? target)?.[1] !== this.tenant) return refused(404, 'ServiceError', 'No such resource');
    if (attachment) {
      const found = this.attachments.get(attachment[2]);
      if (request.method !== 'GET' || !found) return refused(404, 'NotFound', 'No such attachment');
      return { status: 200, headers: { 'content-type': found.contentType }, body: found.bytes };
    }
    const chat = this.conversations.get(decodeURIComponent(target[2]));
    if (!chat) return refused(404, 'ConversationNotFound', 'Conversation not found.');
    if (chat.bot.appId !== appId || !chat.inRoster) {
      return refused(403, 'BotNotInConversationRoster', 'The bot is not part of the conversation roster.');
    }
    const id = target[3] && decodeURIComponent(target[3]);
    if (request.method === 'DELETE' && id) return this.remove(chat, id);
    if (!/^application\/json/.test(request.headers['content-type'] ?? '')) return refused(400, 'BadSyntax', 'Not JSON');
    let activity;
    try {
      activity = JSON.parse(request.body.toString('utf8'));
    } catch {
      return refused(400, 'BadSyntax', 'Invalid JSON');
    }
    const complaint = this.complaintAbout(activity, request.body);
    if (complaint) return complaint;
    if (request.method === 'PUT' && id) return this.replace(chat, id, activity);
    return request.method === 'POST' ? this.take(chat, activity) : refused(405, 'MethodNotAllowed', 'Not allowed');
  }

  complaintAbout(activity, body) {
    if (!['message', 'typing'].includes(activity.type)) return refused(400, 'BadArgument', "Unknown activity type");
    if (Buffer.byteLength(body.toString('utf8'), 'utf16le') > MESSAGE_MAX_BYTES) return refused(413, 'MessageSizeTooBig', 'Message size too large.');
    const stream = streamOf(activity);
    if (stream && !activity.text && !activity.attachments?.length) return refused(400, 'BadRequest', 'Start streaming activities should include text');
    if (activity.type === 'typing') return stream?.streamType === 'final' ? refused(400, 'BadRequest', 'Only start streaming and continue streaming types are allowed as typing activity') : null;
    if (stream && stream.streamType !== 'final') return refused(400, 'BadRequest', 'Only end streaming type is allowed as a message activity');
    if (!activity.text && !activity.attachments?.length) return refused(400, 'BadArgument', 'Activity has no text and no attachments');
    if (!['plain', 'markdown', 'xml', undefined].includes(activity.textFormat)) return refused(400, 'BadArgument', 'Invalid textFormat');
    if (activity.textFormat === 'xml' && !markupIsWhole(activity.text)) return refused(400, 'BadSyntax', 'Invalid markup');
    return null;
  }

  throttle(chat) {
    const now = Date.now();
    const full = LIMITS.find(([count, window]) => chat.sentAt.filter((at) => at > now - window).length >= count);
    if (this.limits && full) return refused(429, 'TooManyRequests', 'Too many requests', { 'retry-after': '1' });
    chat.sentAt.push(now);
    return null;
  }

  // One stream at a time in a chat of one person; each text begins with all of the one before it.
  takeStream(chat, activity, { streamType, streamId, streamSequence }) {
    const no = (message) => refused(403, 'ContentStreamNotAllowed', message);
    const now = Date.now();
    if (chat.conversation.conversationType !== 'personal') return no('Content stream is not allowed');
    if (streamType !== 'final' && !(Number.isInteger(streamSequence) && streamSequence > 0)) return refused(400, 'BadRequest', 'StreamSequence should be a positive integer');
    if (streamType === 'final' && streamSequence !== undefined) return refused(400, 'BadRequest', 'The last of a stream has no sequence');
    if (!streamId) {
      if (streamSequence !== 1 || !['informative', 'streaming'].includes(streamType)) return refused(400, 'BadRequest', 'A stream begins with sequence 1');
      if (streamType === 'informative' && activity.text.length > 1000) return refused(400, 'BadRequest', 'Informative text is too long');
      const id = this.nextId();
      chat.streams.set(id, { id, beganAt: now, lastAt: now, sequence: 1, text: streamType === 'streaming' ? activity.text : '', texts: [], state: 'open' });
      chat.activities.set(id, { ...activity, id, at: now });
      return json(201, { id });
    }
    const stream = chat.streams.get(streamId);
    if (!stream) return refused(400, 'BadArgument', 'Unknown stream');
    if (stream.state === 'open' && now - stream.beganAt > this.streamMs) stream.state = 'expired';
    if (stream.state === 'expired') return no('Content stream finished due to exceeded streaming time.');
    if (stream.state === 'stopped') return no('Content stream was canceled by user.');
    if (stream.state === 'done') return no('Content stream is not allowed on an already completed streamed message');
    if (streamType === 'streaming' && now - stream.lastAt < STREAM_PAUSE_MS) return refused(429, 'TooManyRequests', 'API calls quota exceeded', { 'retry-after': '1' });
    if (!activity.text.startsWith(stream.text)) return no('Request streamed content should contain the previously streamed content');
    if (streamType !== 'final' && streamSequence <= stream.sequence) return json(202, { error: { code: 'ContentStreamSequenceOrderPreConditionFailed' } });
    Object.assign(stream, { lastAt: now, sequence: streamSequence ?? stream.sequence, text: activity.text });
    stream.texts.push(activity.text);
    if (streamType === 'final') stream.state = 'done';
    chat.activities.set(streamId, { ...activity, id: streamId, at: now });
    return json(streamType === 'final' ? 201 : 202, { id: streamId });
  }

  // The person presses "Stop" under what is being written.
  stops(chat) {
    for (const stream of chat.streams.values()) if (stream.state === 'open') stream.state = 'stopped';
  }

  take(chat, activity) {
    const stream = streamOf(activity);
    const busy = this.throttle(chat);
    if (busy) return busy;
    if (stream) return this.takeStream(chat, activity, stream);
    const id = this.nextId();
    chat.activities.set(id, { ...activity, id, at: Date.now() });
    return json(201, { id });
  }

  replace(chat, id, activity) {
    if (!chat.activities.has(id)) return refused(404, 'ActivityNotFoundInConversation', 'Activity not found.');
    if (activity.type !== 'message' || streamOf(activity)) return refused(400, 'BadArgument', 'Only a message takes the place of an activity');
    chat.activities.set(id, { ...activity, id, at: Date.now(), isEdited: true });
    if (chat.streams.has(id)) chat.streams.get(id).state = 'done';
    return json(200, { id });
  }

  remove(chat, id) {
    if (!chat.activities.delete(id)) return refused(404, 'ActivityNotFoundInConversation', 'Activity not found.');
    return { status: 200 };
  }

  // --- looking ---

  messages(chat, type = 'message') {
    return [...chat.activities.values()].filter((activity) => activity.type === type);
  }

  waitForMessages(count, chat) {
    return this.until(() => (this.messages(chat).length >= count ? this.messages(chat) : null), () => `message ${count} in ${chat.id}`);
  }
}
