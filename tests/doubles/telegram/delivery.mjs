// delivery.mjs - how Telegram brings updates to a bot: webhook queues, retries, long polling
//
// One queue per chat (messages) or per user (the rest). Within a queue the next update waits for the
// success of the one before; queues run side by side, at most max_connections requests at once. Not
// 2xx: again at once, then after 2, 4, 8 ... s up to a random 60 to 120 s, or after Retry-After; given
// up 24 hours after the update was made. All of it in scaled time.
import http from 'node:http';
import https from 'node:https';

const EXPIRES_MS = 86400_000;
const CLOSES_AFTER_410_MS = 23 * 3600_000;
const REQUEST_TIMEOUT_MS = 60_000;
const OFF_BY_DEFAULT = new Set(['chat_member', 'message_reaction', 'message_reaction_count']);

export const kindOf = (update) => Object.keys(update).find((key) => key !== 'update_id');

function queueOf(update) {
  const kind = kindOf(update);
  const value = update[kind] ?? {};
  if (kind === 'callback_query' || kind === 'inline_query') return `user:${value.from?.id}`;
  return value.chat ? `chat:${value.chat.id}` : `user:${value.from?.id ?? value.user?.id ?? 0}`;
}

export class Delivery {
  constructor(double, bot) {
    this.double = double;
    this.bot = bot;
    this.webhook = null; // {url, secret_token, max_connections, allowed_updates}
    this.allowedUpdates = null;
    this.pending = []; // {update, queue, madeAt, attempts, dueAt, busy}
    this.active = 0;
    this.poller = null;
    this.lastError = null;
    this.first410At = null;
    this.timer = null;
    this.stopped = false;
    this.agents = {
      'http:': new http.Agent({ keepAlive: true, maxSockets: 100 }),
      'https:': new https.Agent({ keepAlive: true, maxSockets: 100, rejectUnauthorized: false }),
    };
    // Faults of delivery, set by tests.
    this.options = { paused: false, duplicateEvery: 0, reorder: false };
    this.delivered = 0;
  }

  allows(update) {
    const kind = kindOf(update);
    if (this.allowedUpdates && this.allowedUpdates.length > 0) return this.allowedUpdates.includes(kind);
    return !OFF_BY_DEFAULT.has(kind);
  }

  add(update) {
    if (!this.allows(update)) return false;
    this.pending.push({
      update, queue: queueOf(update), madeAt: Date.now(), attempts: 0, dueAt: 0, busy: false,
    });
    this.pump();
    this.answerPoller();
    return true;
  }

  setWebhook(webhook, dropPending) {
    this.webhook = webhook;
    this.first410At = null;
    if (dropPending) this.pending = this.pending.filter((entry) => entry.busy);
    for (const entry of this.pending) entry.dueAt = 0;
    this.pump();
  }

  // What may be sent now: the head of each queue that has nobody under way.
  ready(now) {
    const seen = new Set();
    const heads = [];
    const order = this.options.reorder ? [...this.pending].reverse() : this.pending;
    for (const entry of this.pending) if (entry.busy) seen.add(entry.queue);
    for (const entry of order) {
      if (seen.has(entry.queue)) continue;
      seen.add(entry.queue);
      heads.push(entry);
    }
    const due = heads.filter((entry) => entry.dueAt <= now);
    const next = Math.min(...heads.filter((entry) => entry.dueAt > now).map((entry) => entry.dueAt));
    return { due, next };
  }

  pump() {
    if (this.stopped || !this.webhook || this.options.paused) return;
    clearTimeout(this.timer);
    const now = Date.now();
    const { due, next } = this.ready(now);
    for (const entry of due) {
      if (this.active >= (this.webhook.max_connections ?? 40)) break;
      this.deliver(entry);
    }
    if (Number.isFinite(next)) this.timer = setTimeout(() => this.pump(), Math.max(next - now, 1));
  }

  async deliver(entry) {
    entry.busy = true;
    this.active += 1;
    const { webhook } = this;
    const result = await this.post(webhook, entry.update);
    this.active -= 1;
    entry.busy = false;
    if (this.stopped) return;
    entry.attempts += 1;
    this.double.noteDelivery(this.bot, entry.update, result, entry.attempts);
    if (result.status >= 200 && result.status < 300) {
      this.first410At = null;
      this.delivered += 1;
      const every = this.options.duplicateEvery;
      if (every > 0 && this.delivered % every === 0 && !entry.isDuplicate) {
        // The same update again, as after an answer that got lost on its way.
        entry.isDuplicate = true;
        entry.dueAt = 0;
      } else {
        this.pending = this.pending.filter((other) => other !== entry);
      }
      if (result.reply) this.double.callFromWebhook(this.bot, result.reply);
      this.double.emit('progress');
    } else {
      this.retryLater(entry, result);
    }
    this.pump();
  }

  retryLater(entry, result) {
    const now = Date.now();
    this.lastError = { date: Math.floor(now / 1000), message: result.message };
    if (result.status === 410) {
      this.first410At ??= now;
      if (now - this.first410At > this.double.scaled(CLOSES_AFTER_410_MS)) this.webhook = null;
    } else {
      this.first410At = null;
    }
    if (now - entry.madeAt > this.double.scaled(EXPIRES_MS)) {
      this.pending = this.pending.filter((other) => other !== entry);
      this.double.emit('progress');
      return;
    }
    let wait = entry.attempts === 1 ? 0 : 2000 * 2 ** Math.min(entry.attempts - 2, 10);
    wait = Math.min(wait, 60_000 + Math.random() * 60_000);
    if (result.retryAfter !== null) wait = Math.min(result.retryAfter, 3600) * 1000;
    entry.dueAt = now + this.double.scaled(wait);
  }

  post(webhook, update) {
    const body = Buffer.from(JSON.stringify(update));
    const url = new URL(webhook.url);
    const headers = {
      'Content-Type': 'application/json', 'Content-Length': body.length, 'Accept-Encoding': 'gzip, deflate',
    };
    if (webhook.secret_token) headers['X-Telegram-Bot-Api-Secret-Token'] = webhook.secret_token;
    return new Promise((resolve) => {
      const client = url.protocol === 'https:' ? https : http;
      const request = client.request(url, {
        method: 'POST', headers, agent: this.agents[url.protocol],
        timeout: Math.max(this.double.scaled(REQUEST_TIMEOUT_MS), 5000),
      }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', (error) => resolve({ status: 0, message: error.message, retryAfter: null }));
        response.on('end', () => {
          const retryAfter = Number.parseInt(response.headers['retry-after'] ?? '', 10);
          resolve({
            status: response.statusCode,
            message: `Wrong response from the webhook: ${response.statusCode} ${response.statusMessage}`,
            retryAfter: Number.isInteger(retryAfter) && retryAfter >= 0 ? retryAfter : null,
            reply: readReply(Buffer.concat(chunks)),
          });
        });
      });
      request.on('timeout', () => request.destroy(new Error('Read timeout expired')));
      request.on('error', (error) => resolve({ status: 0, message: error.message, retryAfter: null }));
      request.end(body);
    });
  }

  // --- getUpdates ---

  takeUpdates(offset, limit) {
    if (offset < 0) this.pending = this.pending.slice(offset);
    else if (offset > 0) this.pending = this.pending.filter((entry) => entry.update.update_id >= offset);
    this.double.emit('progress');
    return this.pending.slice(0, limit).map((entry) => entry.update);
  }

  poll(offset, limit, timeoutMs) {
    if (this.poller) {
      this.poller.finish({
        error: [409, 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running'],
      });
    }
    const updates = this.takeUpdates(offset, limit);
    if (updates.length > 0 || timeoutMs <= 0) return Promise.resolve({ updates });
    return new Promise((resolve) => {
      const poller = {
        limit,
        finish: (answer) => {
          clearTimeout(poller.timer);
          if (this.poller === poller) this.poller = null;
          resolve(answer);
        },
      };
      poller.timer = setTimeout(() => poller.finish({ updates: [] }), timeoutMs);
      this.poller = poller;
      this.double.emit('polling', this.bot.user.id);
    });
  }

  answerPoller() {
    if (!this.poller || this.options.paused) return;
    const updates = this.pending.slice(0, this.poller.limit).map((entry) => entry.update);
    if (updates.length > 0) this.poller.finish({ updates });
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    if (this.poller) this.poller.finish({ updates: [] });
    for (const agent of Object.values(this.agents)) agent.destroy();
  }
}

function readReply(body) {
  try {
    const reply = JSON.parse(body.toString('utf8'));
    return reply && typeof reply.method === 'string' ? reply : null;
  } catch {
    return null;
  }
}
