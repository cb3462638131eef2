// telegram-double.test.mjs - the double itself: node --test tests/doubles/telegram/
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';

import { ParseError, parseHtml } from './html.mjs';
import { TelegramDouble, findEntities } from './telegram-double.mjs';

const TOKEN = '7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';

// A webhook that answers as told and keeps what came.
class Hook {
  constructor() {
    this.seen = [];
    this.statuses = [];
    this.waiters = [];
  }

  async start() {
    this.server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const update = JSON.parse(Buffer.concat(chunks));
      this.seen.push({ update, secret: request.headers['x-telegram-bot-api-secret-token'] });
      const next = this.statuses.shift() ?? 200;
      const answer = typeof next === 'function' ? await next(update) : next;
      response.writeHead(answer.status ?? answer, answer.headers ?? {});
      response.end(answer.body ?? '');
    });
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.url = `http://127.0.0.1:${this.server.address().port}/hook`;
  }

  ids() {
    return this.seen.map(({ update }) => update.message?.text ?? update.update_id);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

describe('the Telegram double', () => {
  let telegram;
  let hook;

  const call = async (method, params = {}, token = TOKEN) => {
    const response = await fetch(`${telegram.url}/bot${token}/${method}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(params),
    });
    return { status: response.status, headers: response.headers, ...(await response.json()) };
  };
  const refused = async (method, params, code, words) => {
    const answer = await call(method, params);
    assert.equal(answer.ok, false, `${method} ${JSON.stringify(params)} was accepted`);
    assert.equal(answer.status, code);
    assert.equal(answer.error_code, code);
    assert.match(answer.description, words);
    return answer;
  };

  before(async () => {
    telegram = new TelegramDouble({ relaxedWebhook: true, timeScale: 0.005 });
    await telegram.start();
    hook = new Hook();
    await hook.start();
  });
  after(async () => {
    await telegram.stop();
    hook.stop();
  });
  beforeEach(() => {
    telegram.reset();
    telegram.options.relaxedWebhook = true;
    telegram.options.limits = null;
    telegram.addBot(TOKEN, { username: 'parley_bot' });
    hook.seen = [];
    hook.statuses = [];
  });

  it('knows its bots', async () => {
    const me = await call('getMe');
    assert.equal(me.result.id, 7000000001);
    assert.equal(me.result.username, 'parley_bot');
    assert.equal((await call('getMe', {}, '7000000001:wrong')).status, 401);
    assert.equal((await call('getMe', {}, 'nonsense')).status, 404);
    assert.equal((await call('getNothing')).status, 404);
    telegram.revoke(TOKEN);
    assert.equal((await call('getMe')).status, 401);
  });

  it('sends only what Telegram would', async () => {
    telegram.userSays(TOKEN, { chatId: 42, text: 'hi' });
    const sent = await call('sendMessage', { chat_id: 42, text: 'a <b>b</b> &amp; c', parse_mode: 'HTML' });
    assert.equal(sent.result.text, 'a b & c');
    assert.deepEqual(sent.result.entities, [{ type: 'bold', offset: 2, length: 1 }]);
    assert.equal(sent.result.from.username, 'parley_bot');
    assert.equal((await call('sendMessage', { chat_id: 42, text: 'x'.repeat(4096) })).ok, true);
    assert.equal((await call('sendMessage', { chat_id: 42, text: '😀'.repeat(2048) })).ok, true);
    assert.equal((await call('sendMessage', {
      chat_id: 42, text: `<b>${'x'.repeat(4096)}</b>`, parse_mode: 'HTML',
    })).ok, true);
    const cases = [
      [{ chat_id: 42, text: 'x'.repeat(4097) }, 400, /message is too long/],
      [{ chat_id: 42, text: '😀'.repeat(2049) }, 400, /message is too long/],
      [{ chat_id: 42, text: ' \n ' }, 400, /message text is empty/],
      [{ chat_id: 42 }, 400, /message text is empty/],
      [{ chat_id: 42, text: '<b></b>', parse_mode: 'HTML' }, 400, /message text is empty/],
      [{ chat_id: 42, text: '<b>x', parse_mode: 'HTML' }, 400, /can't parse entities: Can't find end tag/],
      [{ chat_id: 42, text: 'a < b', parse_mode: 'HTML' }, 400, /can't parse entities/],
      [{ chat_id: 42, text: 'x', parse_mode: 'BBCode' }, 400, /unsupported parse_mode/],
      [{ chat_id: 43, text: 'x' }, 400, /chat not found/],
      [{ chat_id: 'x', text: 'x' }, 400, /chat_id/],
      [{ text: 'x' }, 400, /chat_id is empty/],
      [{ chat_id: 42, text: 'x', reply_parameters: { message_id: 999 } }, 400, /message to be replied not found/],
      [{ chat_id: 42, text: 'x', message_thread_id: 5 }, 400, /message thread not found/],
      [{ chat_id: 42, text: 'x', reply_markup: { inline_keyboard: [[{ text: 'b', callback_data: 'é'.repeat(33) }]] } },
        400, /BUTTON_DATA_INVALID/],
    ];
    for (const [params, code, words] of cases) await refused('sendMessage', params, code, words);
    const loose = await call('sendMessage', {
      chat_id: 42, text: 'x', reply_parameters: { message_id: 999, allow_sending_without_reply: true },
    });
    assert.equal(loose.ok, true);
    const reply = await call('sendMessage', { chat_id: 42, text: 'x', reply_parameters: { message_id: 1 } });
    assert.equal(reply.result.reply_to_message.text, 'hi');
  });

  it('knows who blocked it, who never wrote, and where a group went', async () => {
    telegram.userSays(TOKEN, { chatId: 42, text: 'hi' });
    telegram.userBlocks(TOKEN, 42);
    await refused('sendMessage', { chat_id: 42, text: 'x' }, 403, /blocked by the user/);
    telegram.userUnblocks(TOKEN, 42);
    assert.equal((await call('sendMessage', { chat_id: 42, text: 'x' })).ok, true);
    telegram.person(77);
    await refused('sendMessage', { chat_id: 77, text: 'x' }, 403, /can't initiate/);
    telegram.userSays(TOKEN, { chatId: -5, userId: 42, text: 'hi' });
    telegram.migrateGroup(TOKEN, { from: -5, to: -1005, silent: true });
    const moved = await refused('sendMessage', { chat_id: -5, text: 'x' }, 400, /upgraded to a supergroup/);
    assert.equal(moved.parameters.migrate_to_chat_id, -1005);
    assert.equal((await call('sendMessage', { chat_id: -1005, text: 'x' })).ok, true);
  });

  it('edits, types, acknowledges, gives files', async () => {
    telegram.userSays(TOKEN, { chatId: 42, text: 'hi' });
    const { result } = await call('sendMessage', {
      chat_id: 42, text: 'one', reply_markup: { inline_keyboard: [[{ text: 'Yes', callback_data: 'y' }]] },
    });
    const edit = { chat_id: 42, message_id: result.message_id };
    assert.equal((await call('editMessageText', { ...edit, text: 'two' })).result.text, 'two');
    await refused('editMessageText', { ...edit, text: 'two' }, 400, /message is not modified/);
    await refused('editMessageText', { chat_id: 42, message_id: 1, text: 'x' }, 400, /can't be edited/);
    await refused('editMessageText', { chat_id: 42, message_id: 99, text: 'x' }, 400, /not found/);
    assert.equal((await call('sendChatAction', { chat_id: 42, action: 'typing' })).result, true);
    await refused('sendChatAction', { chat_id: 42, action: 'sleeping' }, 400, /wrong parameter action/);
    assert.equal((await call('sendPhoto', { chat_id: 42, photo: 'https://x.example/a.png', caption: '<b>See</b>', parse_mode: 'HTML' })).result.caption, 'See');
    await refused('sendPhoto', { chat_id: 42, photo: 'a.png' }, 400, /wrong file identifier/);
    await refused('sendDocument', { chat_id: 42, document: 'https://x.example/a', caption: 'x'.repeat(1025) }, 400, /caption is too long/);
    assert.equal((await call('sendMessageDraft', { chat_id: 42, draft_id: 3, text: 'So far' })).result, true);
    await refused('sendMessageDraft', { chat_id: 42, draft_id: 0, text: 'x' }, 400, /DRAFT_ID_INVALID/);
    assert.deepEqual(telegram.drafts({ chatId: 42 }).map(({ id, text }) => [id, text]), [[3, 'So far']]);
    const { callback_query: query } = telegram.userPresses(TOKEN, { chatId: 42, messageId: result.message_id, data: 'y' });
    assert.equal(telegram.callbackAnswered(TOKEN, query.id), false);
    assert.equal((await call('answerCallbackQuery', { callback_query_id: query.id })).result, true);
    assert.equal(telegram.callbackAnswered(TOKEN, query.id), true);
    await refused('answerCallbackQuery', { callback_query_id: '1' }, 400, /query is too old/);
    telegram.addFile(TOKEN, { fileId: 'f', content: 'bytes' });
    const file = await call('getFile', { file_id: 'f' });
    const bytes = await fetch(`${telegram.url}/file/bot${TOKEN}/${file.result.file_path}`);
    assert.equal(await bytes.text(), 'bytes');
    await refused('getFile', { file_id: 'g' }, 400, /invalid file_id/);
  });

  it('checks webhooks as Telegram does, unless told not to', async () => {
    telegram.options.relaxedWebhook = false;
    await refused('setWebhook', { url: 'http://a.example/' }, 400, /HTTPS/);
    await refused('setWebhook', { url: 'https://a.example:8080/' }, 400, /ports/);
    await refused('setWebhook', { url: 'https://a.example/', secret_token: 'a b' }, 400, /unallowed characters/);
    await refused('setWebhook', { url: 'nonsense' }, 400, /bad webhook/);
    telegram.setDelivery(TOKEN, { paused: true });
    assert.equal((await call('setWebhook', { url: 'https://a.example:8443/x', allowed_updates: ['message'] })).result, true);
    const info = (await call('getWebhookInfo')).result;
    assert.equal(info.url, 'https://a.example:8443/x');
    assert.deepEqual(info.allowed_updates, ['message']);
    await refused('getUpdates', {}, 409, /webhook is active/);
    await call('deleteWebhook');
    assert.equal((await call('getWebhookInfo')).result.url, '');
  });

  it('brings updates with the secret, in order, again until 2xx', async () => {
    hook.statuses = [500, 503, { status: 429, headers: { 'Retry-After': '1' } }];
    await call('setWebhook', { url: hook.url, secret_token: 's3cr3t' });
    for (const text of ['a', 'b', 'c']) telegram.userSays(TOKEN, { chatId: 42, text });
    await telegram.waitUntilDelivered();
    assert.deepEqual(hook.ids(), ['a', 'a', 'a', 'a', 'b', 'c']);
    assert.ok(hook.seen.every(({ secret }) => secret === 's3cr3t'));
    assert.deepEqual(telegram.deliveries().map((d) => d.status), [500, 503, 429, 200, 200, 200]);
    assert.match((await call('getWebhookInfo')).result.last_error_message, /Wrong response/);
  });

  it('lets a failing update hold up its own chat only', async () => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    hook.statuses = [() => held];
    await call('setWebhook', { url: hook.url });
    telegram.userSays(TOKEN, { chatId: 1, text: 'held' });
    telegram.userSays(TOKEN, { chatId: 1, text: 'behind' });
    const other = once(telegram, 'delivery');
    telegram.userSays(TOKEN, { chatId: 2, text: 'other' });
    await other;
    assert.deepEqual(hook.ids(), ['held', 'other']);
    release(200);
    await telegram.waitUntilDelivered();
    assert.deepEqual(hook.ids(), ['held', 'other', 'behind']);
  });

  it('repeats and reorders on command', async () => {
    telegram.setDelivery(TOKEN, { paused: true, duplicateEvery: 2 });
    await call('setWebhook', { url: hook.url });
    for (const text of ['a', 'b', 'c', 'd']) telegram.userSays(TOKEN, { chatId: 42, text });
    telegram.setDelivery(TOKEN, { paused: false });
    await telegram.waitUntilDelivered();
    assert.deepEqual(hook.ids(), ['a', 'b', 'b', 'c', 'c', 'd', 'd']);
    hook.seen = [];
    telegram.setDelivery(TOKEN, { paused: true, duplicateEvery: 0, reorder: true });
    const updates = ['1', '2', '3'].map((text) => telegram.userSays(TOKEN, { chatId: 42, text }));
    telegram.setDelivery(TOKEN, { paused: false });
    await telegram.waitUntilDelivered();
    assert.deepEqual(hook.ids(), ['3', '2', '1']);
    telegram.redeliver(TOKEN, updates[0]);
    await telegram.waitUntilDelivered();
    assert.deepEqual(hook.ids(), ['3', '2', '1', '1']);
  });

  it('holds back kinds of updates that the bot did not name', async () => {
    await call('setWebhook', { url: hook.url, allowed_updates: ['message'] });
    telegram.userSays(TOKEN, { chatId: 42, text: 'a' });
    assert.equal(telegram.userBlocks(TOKEN, 42), null);
    await call('setWebhook', { url: hook.url, allowed_updates: [] });
    assert.equal(telegram.userReacts(TOKEN, { chatId: 42, messageId: 1, emoji: '👍' }), null);
    await call('setWebhook', { url: hook.url, allowed_updates: ['message_reaction'] });
    assert.notEqual(telegram.userReacts(TOKEN, { chatId: 42, messageId: 1, emoji: '👍' }), null);
    await telegram.waitUntilDelivered();
    assert.equal(hook.seen.length, 2);
  });

  it('executes a method in the answer of a webhook', async () => {
    hook.statuses = [{ status: 200, body: JSON.stringify({ method: 'sendMessage', chat_id: 42, text: 'back' }) }];
    await call('setWebhook', { url: hook.url });
    telegram.userSays(TOKEN, { chatId: 42, text: 'a' });
    const [message] = await telegram.waitForMessages(1, { chatId: 42 });
    assert.equal(message.text, 'back');
  });

  it('is polled', async () => {
    telegram.userSays(TOKEN, { chatId: 42, text: 'a' });
    telegram.userSays(TOKEN, { chatId: 42, text: 'b' });
    const first = (await call('getUpdates', { limit: 1 })).result;
    assert.equal(first[0].message.text, 'a');
    const both = (await call('getUpdates')).result;
    assert.equal(both.length, 2);
    const offset = both[1].update_id + 1;
    assert.deepEqual((await call('getUpdates', { offset })).result, []);
    assert.equal(telegram.pendingCount(), 0);
    telegram.options.timeScale = 1;
    const waiting = call('getUpdates', { offset, timeout: 30 });
    await telegram.waitUntil(() => telegram.bot(TOKEN).delivery.poller, 'polling', () => 'the poller');
    const other = call('getUpdates', { offset, timeout: 30 });
    const loser = await waiting;
    assert.equal(loser.status, 409);
    assert.match(loser.description, /terminated by other getUpdates/);
    await telegram.waitUntil(() => telegram.bot(TOKEN).delivery.poller, 'polling', () => 'the poller');
    telegram.userSays(TOKEN, { chatId: 42, text: 'c' });
    assert.equal((await other).result[0].message.text, 'c');
    telegram.options.timeScale = 0.005;
  });

  it('fails on command', async () => {
    telegram.userSays(TOKEN, { chatId: 42, text: 'hi' });
    const message = { chat_id: 42, text: 'x' };
    telegram.fail({ method: 'sendMessage', status: 429, retryAfter: 3 });
    const busy = await refused('sendMessage', message, 429, /retry after 3/);
    assert.equal(busy.parameters.retry_after, 3);
    assert.equal(busy.headers.get('retry-after'), '3');
    telegram.fail({ method: 'sendMessage', chatId: 43, status: 500 });
    assert.equal((await call('sendMessage', message)).ok, true);
    telegram.clearFaults();
    telegram.fail({ mode: 'html', status: 502 });
    const page = await fetch(`${telegram.url}/bot${TOKEN}/getMe`);
    assert.equal(page.status, 502);
    assert.match(await page.text(), /<html>/);
    const before = telegram.messages().length;
    telegram.fail({ mode: 'hangup' });
    await assert.rejects(call('sendMessage', message));
    assert.equal(telegram.messages().length, before);
    for (const mode of ['accept-hangup', 'accept-cut']) {
      telegram.fail({ mode });
      await assert.rejects(call('sendMessage', message));
    }
    telegram.fail({ mode: 'accept-silence' });
    await assert.rejects(fetch(`${telegram.url}/bot${TOKEN}/sendMessage`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(message),
      signal: AbortSignal.timeout(200),
    }));
    assert.equal(telegram.messages().length, before + 3);
    assert.equal((await call('sendMessage', message)).ok, true);
  });

  it('enforces limits when they are on', async () => {
    telegram.userSays(TOKEN, { chatId: 42, text: 'hi' });
    Object.assign(telegram.options, { limits: { botPerSecond: 1000, chatPerMinute: 3, groupPerMinute: 20 }, timeScale: 1 });
    for (let i = 0; i < 3; i += 1) assert.equal((await call('sendMessage', { chat_id: 42, text: 'x' })).ok, true);
    const busy = await refused('sendMessage', { chat_id: 42, text: 'x' }, 429, /retry after/);
    assert.ok(busy.parameters.retry_after >= 1 && busy.parameters.retry_after <= 60);
  });

  it('is steered over HTTP, also as a process of its own', async () => {
    const child = spawn(process.execPath, [new URL('./cli.mjs', import.meta.url).pathname,
      '--relaxed-webhook', '--bot', `${TOKEN}=parley_bot`], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(child.stdout, 'data');
    const { url } = JSON.parse(line);
    const control = async (method, ...args) => {
      const response = await fetch(`${url}/control/${method}`, { method: 'POST', body: JSON.stringify(args) });
      return { status: response.status, ...(await response.json()) };
    };
    const update = (await control('userSays', TOKEN, { chatId: 42, text: '/start x' })).result;
    assert.deepEqual(update.message.entities, [{ type: 'bot_command', offset: 0, length: 6 }]);
    const waiting = control('waitForMessages', 1, { chatId: 42 });
    await fetch(`${url}/bot${TOKEN}/sendMessage?chat_id=42&text=hi`);
    assert.equal((await waiting).result[0].text, 'hi');
    assert.equal((await control('constructor')).status, 404);
    assert.equal((await control('userSays', 'no bot', {})).status, 400);
    assert.equal((await control('waitForMessages', 5, { timeoutMs: 20 })).status, 400);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });
});

describe('text', () => {
  it('reads HTML as Telegram does', () => {
    const cases = [
      ['<b>a<i>b</i></b>', 'ab', [['bold', 0, 2], ['italic', 1, 1]]],
      ['😀<code>&lt;x&gt;</code>', '😀<x>', [['code', 2, 3]]],
      ['<a href="https://e.com">e</a>', 'e', [['text_link', 0, 1]]],
      ['&#65;&#x42;&unknown; & b', 'AB&unknown; & b', []],
      ['<b></b>x', 'x', []],
    ];
    for (const [source, text, entities] of cases) {
      const parsed = parseHtml(source);
      assert.equal(parsed.text, text);
      assert.deepEqual(parsed.entities.map((e) => [e.type, e.offset, e.length]), entities);
    }
    for (const source of ['<b>', '</b>', '<b></i>', '<x>y</x>', 'a < b', '<b><i></b></i>']) {
      assert.throws(() => parseHtml(source), ParseError, source);
    }
  });

  it('finds commands and mentions', () => {
    assert.deepEqual(findEntities('😀 @parley_bot /new@parley_bot a/b x@y.example'), [
      { type: 'mention', offset: 3, length: 11 }, { type: 'bot_command', offset: 15, length: 15 }]);
    assert.deepEqual(findEntities(undefined), []);
  });
});
