// slack-double.mjs - a Slack workspace for tests: the Web API, its people, and what it calls
//
//   const slack = new SlackDouble({ timeScale: 0.001 });
//   await slack.start();                      // slack.url + '/api' is api_base, slack.url + '/files' files_base
//   await slack.setRequestUrl(url);           // tested with url_verification, as the app's page does
//   await slack.personSays('U1', slack.direct('U1'), 'Hello');
//   const [answer] = await slack.waitForMessages(1, { channel: slack.direct('U1') });
//
// Deliveries are signed and repeated as the Events API does. Source: docs.slack.dev on the Events API,
// interactivity, request signing, and the methods' pages.
import { createHmac, randomBytes } from 'node:crypto';

import { HttpDouble, callWebhook } from '../http-double.mjs';

const RETRIES_MS = [0, 60_000, 300_000];
// Methods that write take JSON; those that read take a form alone.
const READS = new Set(['auth.test', 'conversations.history', 'conversations.replies', 'files.info']);
const BLOCK_TYPES = new Set(['section', 'actions', 'image', 'divider', 'context', 'header']);

const id = (prefix) => prefix + randomBytes(5).toString('hex').toUpperCase();
const json = (status, body, headers = {}) => ({
  status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(body),
});
const refused = (error) => json(200, { ok: false, error });

export function signature(secret, timestamp, body) {
  return `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`, 'utf8').digest('hex')}`;
}

export class SlackDouble extends HttpDouble {
  // timeScale: Slack's minutes between repetitions times this.
  constructor({ timeScale = 0.001 } = {}) {
    super();
    this.timeScale = timeScale;
    this.appId = id('A');
    this.teamId = id('T');
    this.botUserId = id('U');
    this.botId = id('B');
    this.token = `xoxb-${randomBytes(12).toString('hex')}`;
    this.signingSecret = randomBytes(16).toString('hex');
    this.channels = new Map(); // id -> {isMember, isArchived}
    this.directs = new Map(); // user -> channel
    this.files = new Map(); // F... -> {type, bytes}
    this.sent = []; // what our bot posted: {channel, ts, thread_ts, text, blocks, edited}
    this.deleted = []; // of them: what it took away again
    this.statuses = []; // assistant.threads.setStatus
    this.scopes = new Set(['history']); // what else the bot may do
    this.updates = []; // chat.update: {channel, ts, text, at}
    this.deliveries = []; // {body, headers, result}
    this.revoked = false;
    this.count = 0;
    this.startSeconds = Math.floor(Date.now() / 1000);
  }

  // --- set-up ---

  addChannel({ isMember = true, isArchived = false } = {}) {
    const channel = id('C');
    this.channels.set(channel, { isMember, isArchived });
    return channel;
  }

  direct(user) {
    if (!this.directs.has(user)) {
      const channel = id('D');
      this.directs.set(user, channel);
      this.channels.set(channel, { isMember: true, user });
    }
    return this.directs.get(user);
  }

  addFile(name, type, bytes) {
    const file = id('F');
    this.files.set(file, { name, type, bytes: Buffer.from(bytes) });
    return file;
  }

  fileObject(file) {
    const { name, type, bytes } = this.files.get(file);
    return { id: file, name, mimetype: type, size: bytes.length, url_private: `${this.url}/files/${file}`, url_private_download: `${this.url}/files/${file}` };
  }

  nextTs() {
    this.count += 1;
    return `${Math.floor(Date.now() / 1000)}.${String(this.count).padStart(6, '0')}`;
  }

  // --- what Slack calls ---

  // The address is taken when it answers with the challenge.
  async setRequestUrl(url) {
    const challenge = randomBytes(20).toString('hex');
    const result = await this.post(url, JSON.stringify({ token: 'x', challenge, type: 'url_verification' }), 'application/json');
    let answered = result.text;
    if (/json/.test(result.headers?.['content-type'] ?? '')) answered = JSON.parse(result.text).challenge;
    if (result.status !== 200 || answered !== challenge) throw new Error(`the address did not answer the challenge: ${result.status} ${result.text}`);
    this.requestUrl = url;
  }

  async post(url, body, type, { secret = this.signingSecret, age = 0, headers = {} } = {}) {
    const timestamp = String(Math.floor(Date.now() / 1000) - age);
    const sent = {
      'content-type': type, 'x-slack-request-timestamp': timestamp, 'x-slack-signature': signature(secret, timestamp, body), ...headers,
    };
    const result = await callWebhook(url, { headers: sent, body, timeoutMs: 3000 });
    this.deliveries.push({ body, headers: sent, result });
    this.emit('progress');
    return result;
  }

  // One event, at most four times until it is answered; gives its envelope and the last result.
  async deliver(event, options = {}) {
    const envelope = this.envelope(event, options.envelope);
    const body = JSON.stringify(envelope);
    let result = await this.post(this.requestUrl, body, 'application/json', options);
    for (let i = 0; i < RETRIES_MS.length && !(result.status >= 200 && result.status < 300); i += 1) {
      if (result.headers?.['x-slack-no-retry'] === '1') break;
      await new Promise((resolve) => { setTimeout(resolve, RETRIES_MS[i] * this.timeScale); });
      const headers = { 'x-slack-retry-num': String(i + 1), 'x-slack-retry-reason': result.status === 0 ? 'http_timeout' : 'http_error' };
      result = await this.post(this.requestUrl, body, 'application/json', { ...options, headers });
    }
    return { envelope, result };
  }

  envelope(event, more = {}) {
    return {
      token: 'x', team_id: this.teamId, api_app_id: this.appId, type: 'event_callback', event_id: id('Ev'), event_time: Math.floor(Date.now() / 1000),
      authorizations: [{ enterprise_id: null, team_id: this.teamId, user_id: this.botUserId, is_bot: true, is_enterprise_install: false }],
      is_ext_shared_channel: false, event, ...more,
    };
  }

  // --- people ---

  channelType(channel) {
    return channel.startsWith('D') ? 'im' : 'channel';
  }

  said(user, channel, text, more = {}) {
    const ts = more.ts ?? this.nextTs();
    return {
      type: 'message', channel, channel_type: this.channelType(channel), user, text, ts, event_ts: ts, team: this.teamId, client_msg_id: randomBytes(8).toString('hex'), ...more,
    };
  }

  // In a channel a mention of our bot is told twice, as Slack does. Gives the message's event.
  async personSays(user, channel, text, more = {}) {
    const event = this.said(user, channel, text, more);
    const { ts } = event;
    const { result } = await this.deliver(event);
    if (!channel.startsWith('D') && text.includes(`<@${this.botUserId}>`)) {
      await this.deliver({ type: 'app_mention', channel, user, text, ts, event_ts: ts, ...(more.thread_ts ? { thread_ts: more.thread_ts } : {}) });
    }
    return { event, result };
  }

  personEdits(event, text) {
    const ts = this.nextTs();
    return this.deliver({
      type: 'message', subtype: 'message_changed', hidden: true, channel: event.channel, channel_type: event.channel_type, ts, event_ts: ts,
      message: { type: 'message', user: event.user, text, ts: event.ts, edited: { user: event.user, ts } },
      previous_message: { type: 'message', user: event.user, text: event.text, ts: event.ts },
    });
  }

  personDeletes(event) {
    const ts = this.nextTs();
    return this.deliver({
      type: 'message', subtype: 'message_deleted', hidden: true, channel: event.channel, channel_type: event.channel_type, ts, event_ts: ts, deleted_ts: event.ts,
      previous_message: { type: 'message', user: event.user, text: event.text, ts: event.ts },
    });
  }

  personReacts(user, channel, ts, reaction) {
    return this.deliver({ type: 'reaction_added', user, reaction, item: { type: 'message', channel, ts }, item_user: this.botUserId, event_ts: this.nextTs() });
  }

  // label: of a button under a message that our bot posted.
  personPresses(user, message, label) {
    const button = message.blocks.flatMap((block) => block.elements ?? []).find((element) => element.text.text === label);
    return this.post(this.requestUrl, new URLSearchParams({
      payload: JSON.stringify({
        type: 'block_actions', team: { id: this.teamId }, user: { id: user, name: 'ada' }, api_app_id: this.appId, trigger_id: id('t'),
        container: { type: 'message', message_ts: message.ts, channel_id: message.channel, ...(message.thread_ts ? { thread_ts: message.thread_ts } : {}) },
        channel: { id: message.channel }, message: { ts: message.ts, text: message.text },
        actions: [{ ...button, block_id: 'b', action_ts: this.nextTs() }],
      }),
    }).toString(), 'application/x-www-form-urlencoded');
  }

  personCommands(user, channel, command, text) {
    return this.post(this.requestUrl, new URLSearchParams({
      token: 'x', team_id: this.teamId, channel_id: channel, user_id: user, user_name: 'ada', command, text, api_app_id: this.appId,
      response_url: `${this.url}/commands/1`, trigger_id: `${this.nextTs()}.${randomBytes(4).toString('hex')}`,
    }).toString(), 'application/x-www-form-urlencoded');
  }

  // --- what came of it ---

  messages({ channel } = {}) {
    return this.sent.filter((message) => channel === undefined || message.channel === channel);
  }

  waitForMessages(count, filter = {}, timeoutMs) {
    return this.until(() => (this.messages(filter).length >= count ? this.messages(filter) : null), `${count} messages`, timeoutMs);
  }

  // --- the Web API ---

  handle(request) {
    if (request.path.startsWith('/files/')) return this.answerFile(request);
    const method = /^\/api\/([A-Za-z.]+)$/.exec(request.path)?.[1];
    if (request.method !== 'POST' || !method) return { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>404</html>' };
    if (request.headers.authorization === undefined) return refused('not_authed');
    if (request.headers.authorization !== `Bearer ${this.token}`) return refused('invalid_auth');
    if (this.revoked) return refused('token_revoked');
    const type = request.headers['content-type'] ?? '';
    let params;
    if (READS.has(method)) {
      if (type !== 'application/x-www-form-urlencoded') return refused('invalid_arguments');
      params = Object.fromEntries(new URLSearchParams(request.body.toString('utf8')));
    } else {
      if (!/^application\/json; charset=utf-8$/.test(type)) return refused('invalid_post_type');
      try {
        params = JSON.parse(request.body.toString('utf8'));
      } catch {
        return refused('invalid_json');
      }
    }
    const answer = {
      'auth.test': 'answerTest', 'chat.postMessage': 'answerPost', 'chat.update': 'answerUpdate', 'chat.delete': 'answerDelete', 'files.info': 'answerInfo',
      'assistant.threads.setStatus': 'answerStatus', 'conversations.history': 'answerHistory', 'conversations.replies': 'answerHistory',
    }[method];
    return answer ? this[answer](params, method) : refused('unknown_method');
  }

  answerTest() {
    return json(200, { ok: true, url: 'https://harbour.slack.com/', team: 'Harbour Cycles', user: 'parley', team_id: this.teamId, user_id: this.botUserId, bot_id: this.botId });
  }

  checkContent(params) {
    if ((params.text ?? '').trim() === '' && !params.blocks) return 'no_text';
    if ((params.text ?? '').length > 40_000) return 'msg_too_long';
    if (params.blocks !== undefined) {
      if (!Array.isArray(params.blocks) || params.blocks.length === 0 || params.blocks.length > 50) return 'invalid_blocks';
      for (const block of params.blocks) {
        if (!BLOCK_TYPES.has(block.type)) return 'invalid_blocks';
        if (block.type === 'section' && (!block.text || block.text.text.length === 0 || block.text.text.length > 3000)) return 'invalid_blocks';
        if (block.type === 'image' && (!/^https?:/.test(block.image_url ?? '') || !block.alt_text)) return 'invalid_blocks';
        if (block.type === 'actions') {
          if (!(block.elements?.length >= 1 && block.elements.length <= 25)) return 'invalid_blocks';
          if (new Set(block.elements.map((one) => one.action_id)).size !== block.elements.length) return 'invalid_blocks';
          for (const one of block.elements) {
            if (one.type !== 'button' || one.text?.type !== 'plain_text' || !(one.text.text.length >= 1 && one.text.text.length <= 75)) return 'invalid_blocks';
            if ((one.value ?? '').length > 2000) return 'invalid_blocks';
          }
        }
      }
      if (JSON.stringify(params.blocks).length > 13_000) return 'msg_blocks_too_long';
    }
    return null;
  }

  answerPost(params) {
    const channelId = /^U/.test(params.channel ?? '') ? this.direct(params.channel) : params.channel;
    const channel = this.channels.get(channelId);
    if (!channel) return refused('channel_not_found');
    if (channel.isArchived) return refused('is_archived');
    if (!channel.isMember) return refused('not_in_channel');
    const problem = this.checkContent(params);
    if (problem) return refused(problem);
    if (params.thread_ts !== undefined && !/^\d+\.\d{6}$/.test(params.thread_ts)) return refused('invalid_thread_ts');
    if (params.metadata && !(params.metadata.event_type && typeof params.metadata.event_payload === 'object')) return refused('metadata_must_be_sent_properly');
    const message = { channel: channelId, ts: this.nextTs(), thread_ts: params.thread_ts, text: params.text, blocks: params.blocks, metadata: params.metadata };
    this.sent.push(message);
    if (this.requestUrl) setImmediate(() => this.echo(message));
    return json(200, { ok: true, channel: channelId, ts: message.ts, message: { type: 'message', user: this.botUserId, bot_id: this.botId, text: params.text, ts: message.ts } });
  }

  // Our bot hears what it said itself.
  async echo(message) {
    if (this.stopped) return;
    await this.deliver({
      type: 'message', channel: message.channel, channel_type: this.channelType(message.channel), user: this.botUserId, bot_id: this.botId, app_id: this.appId,
      text: message.text, ts: message.ts, event_ts: message.ts, ...(message.thread_ts ? { thread_ts: message.thread_ts } : {}),
    });
  }

  find({ channel, ts }) {
    return this.sent.find((one) => one.channel === channel && one.ts === ts);
  }

  // Metadata that is not given stays.
  answerUpdate(params) {
    const message = this.find(params);
    if (!message) return refused('message_not_found');
    const problem = this.checkContent(params);
    if (problem) return refused(problem);
    this.updates.push({ channel: params.channel, ts: params.ts, text: params.text, at: Date.now() });
    Object.assign(message, { text: params.text, blocks: params.blocks, edited: true });
    return json(200, { ok: true, channel: params.channel, ts: params.ts, text: params.text });
  }

  answerDelete(params) {
    const message = this.find(params);
    if (!message) return refused('message_not_found');
    this.sent.splice(this.sent.indexOf(message), 1);
    this.deleted.push(message);
    return json(200, { ok: true, channel: params.channel, ts: params.ts });
  }

  // The newest first, as many as asked for, from oldest on; of a thread from the oldest on, with its root.
  answerHistory(params, method) {
    if (!this.channels.has(params.channel)) return refused('channel_not_found');
    if (!this.scopes.has('history')) return json(200, { ok: false, error: 'missing_scope', needed: 'im:history', provided: 'chat:write' });
    const inThread = method === 'conversations.replies';
    if (inThread && !/^\d+\.\d{6}$/.test(params.ts ?? '')) return refused('thread_not_found');
    const limit = Number(params.limit ?? 100);
    if (!(limit >= 1 && limit <= 999)) return refused('invalid_limit');
    const start = params.cursor ? Number(Buffer.from(params.cursor, 'base64').toString()) : 0;
    if (!Number.isInteger(start)) return refused('invalid_cursor');
    const all = this.sent.filter((one) => one.channel === params.channel && (inThread ? one.thread_ts === params.ts : !one.thread_ts)
      && Number(one.ts) > Number(params.oldest ?? 0));
    if (!inThread) all.reverse();
    const more = all.length > start + limit;
    return json(200, {
      ok: true, has_more: more,
      messages: all.slice(start, start + limit).map(({ ts, text, thread_ts: root, metadata }) => ({
        type: 'message', user: this.botUserId, bot_id: this.botId, ts, text, ...(root ? { thread_ts: root } : {}),
        ...(params.include_all_metadata === 'true' && metadata ? { metadata } : {}),
      })),
      ...(more ? { response_metadata: { next_cursor: Buffer.from(String(start + limit)).toString('base64') } } : {}),
    });
  }

  answerInfo(params) {
    return this.files.has(params.file) ? json(200, { ok: true, file: this.fileObject(params.file) }) : refused('file_not_found');
  }

  answerStatus(params) {
    if (!params.thread_ts) return refused('invalid_thread_ts');
    this.statuses.push(params);
    return json(200, { ok: true });
  }

  // Without the token Slack shows its page for signing in, with 200.
  answerFile(request) {
    if (request.headers.authorization !== `Bearer ${this.token}`) return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<html>Sign in</html>' };
    const file = this.files.get(request.path.split('/').at(-1));
    return file ? { status: 200, headers: { 'content-type': file.type }, body: file.bytes } : { status: 404 };
  }
}
