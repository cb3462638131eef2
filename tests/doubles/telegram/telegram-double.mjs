// telegram-double.mjs - a Telegram server for tests: the Bot API, and the people who write to bots
//
//   const telegram = new TelegramDouble({ relaxedWebhook: true, timeScale: 0.01 });
//   await telegram.start();                       // telegram.url is the channel's api_base
//   telegram.addBot('7000000001:secret', { username: 'parley_bot' });
//   telegram.userSays('7000000001:secret', { chatId: 42, text: 'Hello' });
//   const [answer] = await telegram.waitForMessages(1, { chatId: 42 });
//   await telegram.stop();
//
// Everything that a test can do here can be done over HTTP too: POST /control/<method> with a JSON
// list of arguments (see CONTROL), so that tests in any language use the same double.
import { EventEmitter } from 'node:events';
import http from 'node:http';

import { Delivery, kindOf } from './delivery.mjs';
import { ApiError, findMethod } from './methods.mjs';

const BODY_MAX = 1024 * 1024;
const TOKEN = /^(\d{1,20}):[A-Za-z0-9_-]{1,200}$/;
const WAIT_MS = 60_000;

const CONTROL = new Set(['addBot', 'addChat', 'addFile', 'userSays', 'userSends', 'userEdits',
  'userPresses', 'userReacts', 'userBlocks', 'userUnblocks', 'migrateGroup', 'pushUpdate', 'redeliver',
  'fail', 'clearFaults', 'setDelivery', 'revoke', 'messages', 'drafts', 'calls', 'deliveries', 'pendingCount',
  'callbackAnswered', 'waitForMessages', 'waitForCalls', 'waitUntilDelivered', 'reset']);

export class TelegramDouble extends EventEmitter {
  // relaxedWebhook: any port and http. timeScale: Telegram's seconds times this (0.01: 100 times
  // faster). strictChats: only chats in which somebody wrote can be written to. anyToken: bots come
  // into being at their first call. limits: {botPerSecond, chatPerMinute, groupPerMinute} are
  // enforced with 429; null: none. keepCalls: false for long loads.
  constructor(options = {}) {
    super();
    this.setMaxListeners(0);
    this.options = {
      host: '127.0.0.1', port: 0, relaxedWebhook: false, timeScale: 1, strictChats: true,
      anyToken: false, limits: null, keepCalls: true, ...options,
    };
    this.clear();
    this.sockets = new Set();
  }

  clear() {
    this.bots = new Map();
    this.people = new Map();
    this.callLog = [];
    this.deliveryLog = [];
    this.faults = [];
    this.sentLog = [];
    this.draftLog = [];
  }

  scaled(ms) {
    return ms * this.options.timeScale;
  }

  nowSeconds() {
    return Math.floor(Date.now() / 1000);
  }

  async start() {
    this.server = http.createServer((request, response) => this.handle(request, response));
    this.server.keepAliveTimeout = 60_000;
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.options.port, this.options.host, resolve);
    });
    this.port = this.server.address().port;
    this.url = `http://${this.options.host}:${this.port}`;
    return this.url;
  }

  async stop() {
    for (const bot of this.bots.values()) bot.delivery.stop();
    for (const socket of this.sockets) socket.destroy();
    if (this.server) await new Promise((resolve) => this.server.close(resolve));
    this.emit('progress');
  }

  // Forgets everything but the address.
  reset() {
    for (const bot of this.bots.values()) bot.delivery.stop();
    this.clear();
    return true;
  }

  // --- bots, chats, files ---

  addBot(token, { username = `bot_${token.split(':')[0]}_bot`, firstName = 'Bot' } = {}) {
    const match = TOKEN.exec(token);
    if (!match) throw new Error(`not a bot token: ${token}`);
    const bot = {
      token,
      user: { id: Number(match[1]), is_bot: true, first_name: firstName, username },
      chats: new Map(), files: new Map(), queries: new Map(), commands: [], sentAt: [],
      nextUpdateId: 100_000_001 + Math.floor(Math.random() * 1000), nextMessageId: 1, revoked: false,
    };
    bot.delivery = new Delivery(this, bot);
    this.bots.set(token, bot);
    return bot.user;
  }

  // By token, bot id or username; the only one when there is one.
  bot(name) {
    if (name === undefined && this.bots.size === 1) return this.bots.values().next().value;
    const found = this.bots.get(name) ??
      [...this.bots.values()].find((bot) => bot.user.id === Number(name) || bot.user.username === name);
    if (!found) throw new Error(`no such bot: ${name}`);
    return found;
  }

  revoke(botName, revoked = true) {
    this.bot(botName).revoked = revoked;
    return true;
  }

  addChat(botName, { id, type = id < 0 ? 'supergroup' : 'private', title, threads = [] }) {
    const bot = this.bot(botName);
    let chat = bot.chats.get(id);
    if (!chat) {
      chat = { id, messages: new Map(), threads: new Set(), sentAt: [], blocked: false, migratedTo: 0 };
      bot.chats.set(id, chat);
    }
    chat.info = type === 'private' ? { id, type } : { id, type, title: title ?? `Group ${id}` };
    for (const thread of threads) chat.threads.add(thread);
    return chat;
  }

  addFile(botName, { fileId, content, path = `documents/${fileId}` }) {
    this.bot(botName).files.set(fileId, { content: Buffer.from(content), path, unique: `u-${fileId}` });
    return true;
  }

  // --- what people do; each gives the update, or null when the bot does not want such ---

  pushUpdate(botName, content) {
    const bot = this.bot(botName);
    const update = { update_id: content.update_id ?? bot.nextUpdateId++, ...content };
    return bot.delivery.add(update) ? update : null;
  }

  person(userId, { firstName = `Person ${userId}`, lastName, username, languageCode = 'en' } = {}) {
    const known = this.people.get(userId) ?? {
      id: userId, is_bot: false, first_name: firstName,
      ...(lastName ? { last_name: lastName } : {}), ...(username ? { username } : {}),
      language_code: languageCode,
    };
    this.people.set(userId, known);
    return known;
  }

  chatFor(bot, { chatId, chatType, title, threadId }) {
    const chat = bot.chats.get(chatId) ?? this.addChat(bot.token, { id: chatId, type: chatType, title });
    if (threadId !== undefined) chat.threads.add(threadId);
    return chat;
  }

  // Any message: {chatId, userId?, threadId?, replyTo?, date?, firstName?, ...} and Telegram's fields.
  userSends(botName, who, fields) {
    const bot = this.bot(botName);
    const chat = this.chatFor(bot, who);
    const replied = who.replyTo === undefined ? undefined : chat.messages.get(who.replyTo);
    const message = {
      message_id: bot.nextMessageId++,
      from: this.person(who.userId ?? chat.id, who),
      chat: { ...chat.info, ...(chat.id > 0 ? { first_name: this.person(chat.id, who).first_name } : {}) },
      date: who.date ?? this.nowSeconds(),
      ...(who.threadId !== undefined ? { message_thread_id: who.threadId, is_topic_message: true } : {}),
      ...(replied ? { reply_to_message: replied } : {}),
      ...fields,
    };
    chat.blocked = false;
    chat.messages.set(message.message_id, message);
    return this.pushUpdate(bot.token, { message });
  }

  userSays(botName, { text, entities, ...who }) {
    const found = entities ?? findEntities(text);
    return this.userSends(botName, who, { text, ...(found.length > 0 ? { entities: found } : {}) });
  }

  userEdits(botName, { chatId, messageId, text }) {
    const bot = this.bot(botName);
    const message = bot.chats.get(chatId)?.messages.get(messageId);
    if (!message) throw new Error(`no message ${messageId} in chat ${chatId}`);
    Object.assign(message, { text, edit_date: this.nowSeconds() });
    return this.pushUpdate(bot.token, { edited_message: { ...message } });
  }

  userPresses(botName, { chatId, messageId, data, userId = chatId }) {
    const bot = this.bot(botName);
    const chat = this.chatFor(bot, { chatId });
    const message = chat.messages.get(messageId);
    const id = `${Date.now()}${Math.floor(Math.random() * 1e9)}`;
    bot.queries.set(id, { at: Date.now(), answered: false });
    return this.pushUpdate(bot.token, {
      callback_query: {
        id, from: this.person(userId), chat_instance: String(chatId), data,
        message: message ?? { chat: chat.info, message_id: messageId, date: 0 },
      },
    });
  }

  callbackAnswered(botName, id) {
    return this.bot(botName).queries.get(id)?.answered ?? false;
  }

  userReacts(botName, { chatId, messageId, emoji, userId = chatId }) {
    const bot = this.bot(botName);
    const chat = this.chatFor(bot, { chatId });
    return this.pushUpdate(bot.token, {
      message_reaction: {
        chat: chat.info, message_id: messageId, user: this.person(userId), date: this.nowSeconds(),
        old_reaction: [], new_reaction: emoji ? [{ type: 'emoji', emoji }] : [],
      },
    });
  }

  changeMembership(botName, chatId, before, after) {
    const bot = this.bot(botName);
    const chat = this.chatFor(bot, { chatId });
    chat.blocked = after === 'kicked';
    return this.pushUpdate(bot.token, {
      my_chat_member: {
        chat: chat.info, from: this.person(Math.abs(chatId)), date: this.nowSeconds(),
        old_chat_member: { user: bot.user, status: before },
        new_chat_member: { user: bot.user, status: after },
      },
    });
  }

  userBlocks(botName, chatId) {
    return this.changeMembership(botName, chatId, 'member', 'kicked');
  }

  userUnblocks(botName, chatId) {
    return this.changeMembership(botName, chatId, 'kicked', 'member');
  }

  // silent: only the next send finds out.
  migrateGroup(botName, { from, to, silent = false }) {
    const bot = this.bot(botName);
    const before = this.chatFor(bot, { chatId: from, chatType: 'group' });
    const after = this.addChat(bot.token, { id: to, type: 'supergroup', title: before.info.title });
    before.migratedTo = to;
    if (silent) return true;
    const base = { from: this.person(1), date: this.nowSeconds() };
    this.pushUpdate(bot.token, {
      message: { ...base, message_id: bot.nextMessageId++, chat: before.info, migrate_to_chat_id: to },
    });
    this.pushUpdate(bot.token, {
      message: { ...base, message_id: bot.nextMessageId++, chat: after.info, migrate_from_chat_id: from },
    });
    return true;
  }

  // --- faults ---

  // The next `times` calls of method (any when omitted), in chatId (any when omitted):
  //   {status, description, parameters, retryAfter}  this refusal, and nothing is done
  //   {mode: 'html', status}       a page of a proxy instead of Telegram's JSON
  //   {mode: 'hangup'}             the connection ends; nothing is done
  //   {mode: 'accept-hangup'}      it is done, and the connection ends without an answer
  //   {mode: 'accept-cut'}         it is done, and half of the answer comes
  //   {mode: 'accept-garbled'}     it is done, and half of the answer comes as if it were whole
  //   {mode: 'silence'}            nothing is done and nothing is said until the caller gives up
  //   {mode: 'accept-silence'}     it is done, and nothing is said
  //   {delayMs}                    with or without the others: first wait so long (not scaled)
  fail(fault) {
    this.faults.push({ times: 1, ...fault });
    return true;
  }

  clearFaults() {
    this.faults = [];
    return true;
  }

  takeFault(botName, method, params) {
    const fault = this.faults.find((candidate) => candidate.times > 0 &&
      (candidate.method === undefined || candidate.method.toLowerCase() === method.toLowerCase()) &&
      (candidate.bot === undefined || candidate.bot === botName) &&
      (candidate.chatId === undefined || candidate.chatId === Number(params.chat_id)));
    if (!fault) return null;
    fault.times -= 1;
    if (fault.times <= 0) this.faults = this.faults.filter((other) => other !== fault);
    return fault;
  }

  // {paused, duplicateEvery, reorder} of one bot's updates.
  setDelivery(botName, options) {
    const { delivery } = this.bot(botName);
    Object.assign(delivery.options, options);
    delivery.pump();
    delivery.answerPoller();
    return delivery.options;
  }

  // The same update once more, as after an answer that was lost.
  redeliver(botName, update) {
    return this.bot(botName).delivery.add(update);
  }

  // --- looking and waiting ---

  noteDelivery(bot, update, result, attempt) {
    if (this.options.keepCalls) {
      this.deliveryLog.push({
        bot: bot.user.id, update_id: update.update_id, kind: kindOf(update), status: result.status, attempt, at: Date.now(),
      });
    }
    this.emit('delivery', { bot: bot.user.id, update_id: update.update_id, status: result.status, attempt });
  }

  deliveries() {
    return this.deliveryLog;
  }

  storeBotMessage(bot, chat, fields) {
    const message = {
      message_id: bot.nextMessageId++, from: bot.user, chat: chat.info, date: this.nowSeconds(), ...fields,
    };
    chat.messages.set(message.message_id, message);
    this.sentLog.push({ bot: bot.token, message });
    this.emit('message', message, bot.user.id);
    return message;
  }

  noteDraft(bot, chat, { id, text }) {
    this.draftLog.push({ bot: bot.user.id, chatId: chat.id, id, text, at: Date.now(), messages: chat.messages.size });
    this.emit('draft');
  }

  // What was shown of answers that were being made. messages: how many the chat had then.
  drafts({ chatId } = {}) {
    return this.draftLog.filter((draft) => chatId === undefined || draft.chatId === chatId);
  }

  // What bots sent, in order. {bot, chatId} narrow it.
  messages({ bot, chatId } = {}) {
    const token = bot === undefined ? undefined : this.bot(bot).token;
    return this.sentLog
      .filter((entry) => (token === undefined || entry.bot === token) &&
        (chatId === undefined || entry.message.chat.id === chatId))
      .map((entry) => entry.message);
  }

  calls({ method, bot } = {}) {
    const id = bot === undefined ? undefined : this.bot(bot).user.id;
    return this.callLog.filter((call) => (method === undefined || call.method === method) &&
      (id === undefined || call.bot === id));
  }

  pendingCount(botName) {
    const bots = botName === undefined ? [...this.bots.values()] : [this.bot(botName)];
    return bots.reduce((sum, bot) => sum + bot.delivery.pending.length, 0);
  }

  // Looks after each event; no polling. Rejects with what there is when time is up.
  waitUntil(look, event, what, timeoutMs = WAIT_MS) {
    const seen = look();
    if (seen) return Promise.resolve(seen);
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = look();
        if (!found) return;
        clearTimeout(timer);
        this.off(event, check);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.off(event, check);
        reject(new Error(`waited ${timeoutMs} ms for ${what()}`));
      }, timeoutMs);
      this.on(event, check);
    });
  }

  // The first `count` messages that bots sent, once there are so many.
  waitForMessages(count, { bot, chatId, timeoutMs } = {}) {
    return this.waitUntil(() => {
      const found = this.messages({ bot, chatId });
      return found.length >= count ? found : null;
    }, 'message', () => `${count} messages, got ${JSON.stringify(this.messages({ bot, chatId }).map((m) => m.text))}`, timeoutMs);
  }

  waitForCalls(count, { method, bot, timeoutMs } = {}) {
    return this.waitUntil(() => {
      const found = this.calls({ method, bot });
      return found.length >= count ? found : null;
    }, 'call', () => `${count} calls of ${method}, got ${this.calls({ method, bot }).length}`, timeoutMs);
  }

  // Every update was taken with 2xx (or confirmed by polling).
  waitUntilDelivered({ bot, timeoutMs } = {}) {
    return this.waitUntil(() => this.pendingCount(bot) === 0, 'progress',
      () => `delivery, ${this.pendingCount(bot)} updates are left`, timeoutMs);
  }

  // --- HTTP ---

  async handle(request, response) {
    const url = new URL(request.url, 'http://double');
    const body = await readBody(request);
    if (body === null) return send(response, 413, { ok: false, error_code: 413, description: 'Request Entity Too Large' });
    const api = /^\/bot([^/]+)\/([A-Za-z]+)$/.exec(url.pathname);
    const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(url.pathname);
    const control = /^\/control\/([A-Za-z]+)$/.exec(url.pathname);
    if (api) return this.handleApi(response, decodeURIComponent(api[1]), api[2], readParams(request, url, body));
    if (file) return this.handleFile(response, decodeURIComponent(file[1]), decodeURIComponent(file[2]));
    if (control) return this.handleControl(response, control[1], body);
    return send(response, 404, { ok: false, error_code: 404, description: 'Not Found' });
  }

  findBotByToken(token) {
    if (!TOKEN.test(token)) throw new ApiError(404, 'Not Found');
    if (!this.bots.has(token) && this.options.anyToken) this.addBot(token);
    const bot = this.bots.get(token);
    if (!bot || bot.revoked) throw new ApiError(401, 'Unauthorized');
    return bot;
  }

  async handleApi(response, token, method, params) {
    const fault = this.takeFault(token, method, params ?? {});
    if (fault?.delayMs) await new Promise((resolve) => { setTimeout(resolve, fault.delayMs); });
    const mode = fault?.mode ?? (fault?.status ? 'error' : 'none');
    const entry = { bot: Number(token.split(':')[0]), method, params, at: Date.now(), fault: mode };
    let answer;
    if (mode === 'error') {
      const parameters = fault.parameters ?? (fault.retryAfter ? { retry_after: fault.retryAfter } : undefined);
      answer = failure(new ApiError(fault.status, fault.description ?? defaultDescription(fault), parameters));
    } else if (mode === 'none' || mode.startsWith('accept')) {
      answer = await this.run(token, method, params);
    }
    Object.assign(entry, { status: answer?.status, ok: answer?.body.ok ?? false, result: answer?.body.result });
    if (this.options.keepCalls) this.callLog.push(entry);
    this.emit('call', entry);
    return respondAs(response, mode, answer, fault);
  }

  async run(token, method, params) {
    try {
      const bot = this.findBotByToken(token);
      const run = findMethod(method);
      if (!run) throw new ApiError(404, 'Not Found: method not found');
      if (params === null) throw new ApiError(400, "Bad Request: can't parse the body");
      return { status: 200, body: { ok: true, result: await run(this, bot, params) } };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return failure(error);
    }
  }

  // A method in the webhook's answer: executed, and its result is not told.
  async callFromWebhook(bot, reply) {
    const { method, ...params } = reply;
    if (/^(get|setWebhook|deleteWebhook|close|logOut)/i.test(method)) return;
    const answer = await this.run(bot.token, method, params);
    const entry = { bot: bot.user.id, method, params, at: Date.now(), fault: 'none', status: answer.status, ok: answer.body.ok, fromWebhook: true };
    if (this.options.keepCalls) this.callLog.push(entry);
    this.emit('call', entry);
  }

  handleFile(response, token, path) {
    const file = [...(this.bots.get(token)?.files.values() ?? [])].find((candidate) => candidate.path === path);
    if (!file) return send(response, 404, { ok: false, error_code: 404, description: 'Not Found' });
    response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': file.content.length });
    return response.end(file.content);
  }

  async handleControl(response, method, body) {
    if (!CONTROL.has(method)) return send(response, 404, { error: `no such control: ${method}` });
    try {
      const args = body.length === 0 ? [] : JSON.parse(body.toString('utf8'));
      if (!Array.isArray(args)) throw new Error('arguments must be a list');
      const result = await this[method](...args);
      return send(response, 200, { result: method === 'addChat' ? true : result ?? null });
    } catch (error) {
      return send(response, 400, { error: error.message });
    }
  }
}

// --- helpers ---

function defaultDescription({ status, retryAfter }) {
  if (status === 429) return `Too Many Requests: retry after ${retryAfter ?? 1}`;
  if (status === 403) return 'Forbidden: bot was blocked by the user';
  if (status === 401) return 'Unauthorized';
  return status >= 500 ? 'Internal Server Error' : 'Bad Request: refused by the test';
}

function failure(error) {
  const body = { ok: false, error_code: error.code, description: error.message };
  if (error.parameters) body.parameters = error.parameters;
  return { status: error.code, body };
}

function send(response, status, body, headers = {}) {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length, ...headers });
  response.end(bytes);
}

function respondAs(response, mode, answer, fault) {
  if (mode.endsWith('silence')) return;
  if (mode.endsWith('hangup')) {
    response.socket.destroy();
  } else if (mode === 'html') {
    const page = '<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>';
    response.writeHead(fault.status ?? 502, { 'Content-Type': 'text/html', 'Content-Length': page.length });
    response.end(page);
  } else if (mode === 'accept-garbled') {
    const bytes = Buffer.from(JSON.stringify(answer.body));
    response.writeHead(answer.status, { 'Content-Type': 'application/json' });
    response.end(bytes.subarray(0, bytes.length >> 1));
  } else if (mode === 'accept-cut') {
    const bytes = Buffer.from(JSON.stringify(answer.body));
    response.writeHead(answer.status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
    response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket.destroy());
  } else {
    const wait = answer.body.parameters?.retry_after;
    send(response, answer.status, answer.body, wait ? { 'Retry-After': String(wait) } : {});
  }
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readParams(request, url, body) {
  const params = Object.fromEntries(url.searchParams);
  const type = request.headers['content-type'] ?? '';
  if (body.length === 0) return params;
  if (type.startsWith('application/x-www-form-urlencoded')) {
    return { ...params, ...Object.fromEntries(new URLSearchParams(body.toString('utf8'))) };
  }
  try {
    return { ...params, ...JSON.parse(body.toString('utf8')) };
  } catch {
    return null;
  }
}

// Telegram marks commands and mentions itself; JavaScript's indices are UTF-16 units, as it wants.
export function findEntities(text) {
  const entities = [];
  for (const match of (text ?? '').matchAll(/(?<![\w/@])(\/[A-Za-z0-9_]{1,32}(?:@[A-Za-z0-9_]{3,32})?|@[A-Za-z0-9_]{4,32})(?![\w])/g)) {
    entities.push({
      type: match[1].startsWith('/') ? 'bot_command' : 'mention', offset: match.index, length: match[1].length,
    });
  }
  return entities;
}
