// methods.mjs - the Bot API methods that the double knows, with Telegram's checks and its words
import { ParseError, parseHtml, trimmed } from './html.mjs';

const TEXT_MAX = 4096;
const CAPTION_MAX = 1024;
const ACTIONS = new Set(['typing', 'upload_photo', 'record_video', 'upload_video', 'record_voice',
  'upload_voice', 'upload_document', 'choose_sticker', 'find_location', 'record_video_note',
  'upload_video_note']);
const WEBHOOK_PORTS = new Set(['', '443', '80', '88', '8443']);
const POLL_MAX_S = 50;
const QUERY_LIVES_MS = 60_000;

export class ApiError extends Error {
  constructor(code, description, parameters) {
    super(description);
    this.code = code;
    this.parameters = parameters;
  }
}
const bad = (reason, parameters) => new ApiError(400, `Bad Request: ${reason}`, parameters);
const forbidden = (reason) => new ApiError(403, `Forbidden: ${reason}`);

// Parameters of forms and queries come as text.
function number(params, key, fallback) {
  const value = params[key];
  if (value === undefined || value === null || value === '') return fallback;
  const parsed = Number(value);
  if (!Number.isSafeInteger(parsed)) throw bad(`can't parse "${key}"`);
  return parsed;
}
function object(params, key) {
  let value = params[key];
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      throw bad(`can't parse ${key} JSON object`);
    }
  }
  if (value !== undefined && value !== null && typeof value !== 'object') throw bad(`object expected as ${key}`);
  return value ?? undefined;
}
const flag = (value) => value === true || value === 'true' || value === 1 || value === '1';

function findChat(double, bot, params) {
  const id = number(params, 'chat_id');
  if (id === undefined) throw bad('chat_id is empty');
  const chat = bot.chats.get(id);
  if (!chat) {
    if (!double.options.strictChats) return double.addChat(bot.token, { id });
    // A person who never wrote cannot be written to.
    if (id > 0 && double.people.has(id)) throw forbidden("bot can't initiate conversation with a user");
    throw bad('chat not found');
  }
  if (chat.migratedTo) {
    throw bad('group chat was upgraded to a supergroup chat', { migrate_to_chat_id: chat.migratedTo });
  }
  if (chat.blocked) throw forbidden(chat.id > 0 ? 'bot was blocked by the user' : 'bot was kicked from the group chat');
  return chat;
}

function readText(params) {
  const source = params.text;
  if (source === undefined || source === null) throw bad('message text is empty');
  let parsed = { text: String(source), entities: object(params, 'entities') ?? [] };
  const mode = String(params.parse_mode ?? '').toLowerCase();
  if (mode === 'html') {
    try {
      parsed = parseHtml(String(source));
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      throw bad(`can't parse entities: ${error.message}`);
    }
  } else if (mode !== '') {
    throw bad('unsupported parse_mode');
  }
  const ready = trimmed(parsed);
  if (ready.text.length === 0) throw bad('message text is empty');
  if (ready.text.length > TEXT_MAX) throw bad('message is too long');
  return ready;
}

function readMarkup(params) {
  const markup = object(params, 'reply_markup');
  if (!markup || !markup.inline_keyboard) return markup;
  let count = 0;
  if (!Array.isArray(markup.inline_keyboard)) throw bad('object expected as reply markup');
  for (const row of markup.inline_keyboard) {
    for (const button of row) {
      count += 1;
      if (!button.text) throw bad('inline keyboard button text must be non-empty');
      if (button.callback_data === undefined && button.url === undefined) {
        throw bad('text buttons are unallowed in the inline keyboard');
      }
      if (button.callback_data !== undefined) {
        const length = Buffer.byteLength(button.callback_data);
        if (length < 1 || length > 64) throw bad('BUTTON_DATA_INVALID');
      }
    }
  }
  if (count > 100) throw bad('REPLY_MARKUP_TOO_LONG');
  return markup;
}

function findReplied(chat, params) {
  const reply = object(params, 'reply_parameters');
  const id = reply?.message_id ?? number(params, 'reply_to_message_id');
  if (id === undefined) return undefined;
  const message = chat.messages.get(Number(id));
  if (message) return message;
  if (flag(reply?.allow_sending_without_reply) || flag(params.allow_sending_without_reply)) return undefined;
  throw bad('message to be replied not found');
}

// --- limits, when they are switched on ---

function checkRate(double, bot, chat) {
  const { limits } = double.options;
  if (!limits) return;
  const now = Date.now();
  const wait = Math.max(
    overflow(bot.sentAt, now, limits.botPerSecond, double.scaled(1000)),
    overflow(chat.sentAt, now, chat.id < 0 ? limits.groupPerMinute : limits.chatPerMinute, double.scaled(60_000)),
  );
  if (wait > 0) {
    const seconds = Math.max(1, Math.ceil(wait / double.scaled(1000)));
    throw new ApiError(429, `Too Many Requests: retry after ${seconds}`, { retry_after: seconds });
  }
  bot.sentAt.push(now);
  chat.sentAt.push(now);
}

function overflow(times, now, max, windowMs) {
  while (times.length > 0 && times[0] <= now - windowMs) times.shift();
  return max && times.length >= max ? times[times.length - max] + windowMs - now : 0;
}

// --- methods ---

export const methods = {
  getMe(double, bot) {
    return { ...bot.user, can_join_groups: true, can_read_all_group_messages: false, supports_inline_queries: false };
  },

  setWebhook(double, bot, params) {
    const url = String(params.url ?? '');
    if (url === '') return methods.deleteWebhook(double, bot, params);
    let parsed;
    try {
      parsed = new URL(url);
    } catch {
      throw bad('bad webhook: invalid URL');
    }
    if (!double.options.relaxedWebhook) {
      if (parsed.protocol !== 'https:') throw bad('bad webhook: An HTTPS URL must be provided for webhook');
      if (!WEBHOOK_PORTS.has(parsed.port)) {
        throw bad('bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443');
      }
    }
    const secret = String(params.secret_token ?? '');
    if (secret.length > 256) throw bad('secret token is too long');
    if (!/^[A-Za-z0-9_-]*$/.test(secret)) throw bad('secret token contains unallowed characters');
    const connections = number(params, 'max_connections', 40);
    const allowed = object(params, 'allowed_updates');
    if (allowed !== undefined) bot.delivery.allowedUpdates = allowed;
    bot.delivery.setWebhook(
      { url, secret_token: secret, max_connections: Math.min(Math.max(connections, 1), 100) },
      flag(params.drop_pending_updates),
    );
    return true;
  },

  deleteWebhook(double, bot, params) {
    bot.delivery.setWebhook(null, flag(params.drop_pending_updates));
    return true;
  },

  getWebhookInfo(double, bot) {
    const { webhook, pending, lastError, allowedUpdates } = bot.delivery;
    return {
      url: webhook?.url ?? '',
      has_custom_certificate: false,
      pending_update_count: pending.length,
      ...(webhook ? { max_connections: webhook.max_connections, ip_address: '127.0.0.1' } : {}),
      ...(lastError ? { last_error_date: lastError.date, last_error_message: lastError.message } : {}),
      ...(allowedUpdates ? { allowed_updates: allowedUpdates } : {}),
    };
  },

  async getUpdates(double, bot, params) {
    if (bot.delivery.webhook) {
      throw new ApiError(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first");
    }
    const allowed = object(params, 'allowed_updates');
    if (allowed !== undefined) bot.delivery.allowedUpdates = allowed;
    const limit = Math.min(Math.max(number(params, 'limit', 100), 1), 100);
    const timeout = Math.min(Math.max(number(params, 'timeout', 0), 0), POLL_MAX_S);
    const answer = await bot.delivery.poll(number(params, 'offset', 0), limit, double.scaled(timeout * 1000));
    if (answer.error) throw new ApiError(...answer.error);
    return answer.updates;
  },

  sendMessage(double, bot, params) {
    const chat = findChat(double, bot, params);
    const ready = readText(params);
    const markup = readMarkup(params);
    const replied = findReplied(chat, params);
    const thread = number(params, 'message_thread_id');
    if (thread !== undefined && !chat.threads.has(thread)) throw bad('message thread not found');
    checkRate(double, bot, chat);
    return double.storeBotMessage(bot, chat, {
      text: ready.text,
      ...(ready.entities.length > 0 ? { entities: ready.entities } : {}),
      ...(markup ? { reply_markup: markup } : {}),
      ...(replied ? { reply_to_message: { ...replied, reply_to_message: undefined } } : {}),
      ...(thread !== undefined ? { message_thread_id: thread, is_topic_message: true } : {}),
    });
  },

  editMessageText(double, bot, params) {
    const chat = findChat(double, bot, params);
    const message = chat.messages.get(number(params, 'message_id'));
    if (!message) throw bad('message to edit not found');
    if (message.from.id !== bot.user.id) throw bad("message can't be edited");
    const ready = readText(params);
    const markup = readMarkup(params);
    const same = ready.text === message.text &&
      JSON.stringify(ready.entities) === JSON.stringify(message.entities ?? []) &&
      JSON.stringify(markup ?? null) === JSON.stringify(message.reply_markup ?? null);
    if (same) {
      throw bad('message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message');
    }
    message.text = ready.text;
    message.entities = ready.entities.length > 0 ? ready.entities : undefined;
    message.reply_markup = markup;
    message.edit_date = double.nowSeconds();
    double.emit('progress');
    return message;
  },

  sendChatAction(double, bot, params) {
    findChat(double, bot, params);
    if (!ACTIONS.has(params.action)) throw bad('wrong parameter action in request');
    return true;
  },

  ...Object.fromEntries(['Photo', 'Video', 'Audio', 'Voice', 'Document'].map((kind) => [`send${kind}`, (double, bot, params) => {
    const chat = findChat(double, bot, params);
    const key = kind.toLowerCase();
    if (!/^https?:\/\/\S+$/.test(String(params[key] ?? ''))) throw bad('wrong file identifier/HTTP URL specified');
    const caption = params.caption ? readText({ ...params, text: params.caption }) : null;
    if (caption && caption.text.length > CAPTION_MAX) throw bad('message caption is too long');
    const markup = readMarkup(params);
    checkRate(double, bot, chat);
    return double.storeBotMessage(bot, chat, { [key]: params[key], ...(caption ? { caption: caption.text } : {}), ...(markup ? { reply_markup: markup } : {}) });
  }])),

  // A preview for 30 seconds, replaced by the message: not kept in the chat.
  sendMessageDraft(double, bot, params) {
    const chat = findChat(double, bot, params);
    const id = number(params, 'draft_id');
    if (chat.id < 0) throw bad('method is available for private chats only');
    if (!id) throw bad('DRAFT_ID_INVALID');
    const text = params.text ? readText(params).text : '';
    double.noteDraft(bot, chat, { id, text });
    return true;
  },

  answerCallbackQuery(double, bot, params) {
    const id = String(params.callback_query_id ?? '');
    const query = bot.queries.get(id);
    if (!query || Date.now() - query.at > double.scaled(QUERY_LIVES_MS)) {
      throw bad('query is too old and response timeout expired or query ID is invalid');
    }
    if (String(params.text ?? '').length > 200) throw bad('MESSAGE_TOO_LONG');
    query.answered = true;
    double.emit('progress');
    return true;
  },

  getFile(double, bot, params) {
    const file = bot.files.get(String(params.file_id ?? ''));
    if (!file) throw bad('invalid file_id');
    if (file.content.length > 20 * 1024 * 1024) throw bad('file is too big');
    return {
      file_id: params.file_id, file_unique_id: file.unique, file_size: file.content.length, file_path: file.path,
    };
  },

  setMyCommands(double, bot, params) {
    bot.commands = object(params, 'commands') ?? [];
    for (const { command, description } of bot.commands) {
      if (!/^[a-z0-9_]{1,32}$/.test(command ?? '')) throw bad('BOT_COMMAND_INVALID');
      if (!description || description.length > 256) throw bad('BOT_COMMAND_DESCRIPTION_INVALID');
    }
    return true;
  },

  getMyCommands(double, bot) {
    return bot.commands;
  },
};
const byName = new Map(Object.entries(methods).map(([name, run]) => [name.toLowerCase(), run]));
export const findMethod = (name) => byName.get(name.toLowerCase());
