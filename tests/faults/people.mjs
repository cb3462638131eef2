// people.mjs - who writes while things break: the crash test's people over every provider, who wait for
// answers before they write too much, and visitors of the web chat, whose windows stay open
import assert from 'node:assert/strict';

import { Load } from '../crash/load.mjs';
import { EventStream } from '../support/event_stream.mjs';
import { until } from '../support/server.mjs';

const PATIENCE = 3; // messages that a person writes without an answer
const CALL_MS = 4000;

// What six processes on two cores can answer: people wait for them.
export class People extends Load {
  constructor(random) {
    super(random);
    this.waiting = new Map(); // account -> chat -> messages since the last answer
    this.chatOf = new Map(); // account -> person -> chat
  }

  async addAccounts(organization) {
    const added = await super.addAccounts(organization);
    for (const account of added) {
      this.waiting.set(account, new Map());
      this.chatOf.set(account, new Map());
      account.on('answer', (chatId) => {
        this.waiting.get(account).delete(chatId);
        this.emit('answer');
        if (this.feeding) this.fill();
      });
    }
    return added;
  }

  say(account, person) {
    const chatId = super.say(account, person);
    const waiting = this.waiting.get(account);
    this.chatOf.get(account).set(person, chatId);
    waiting.set(chatId, (waiting.get(chatId) ?? 0) + 1);
    return chatId;
  }

  fill() {
    while (this.pendingCount() < this.most) {
      const free = [];
      for (const account of this.accounts) {
        for (let i = 0; i < this.chats; i++) {
          const person = 1000 + account.generation * this.chats + i;
          const chatId = this.chatOf.get(account).get(person);
          if ((this.waiting.get(account).get(chatId) ?? 0) < PATIENCE) free.push([account, person]);
        }
      }
      if (free.length === 0) return;
      this.say(...this.pick(free));
    }
  }

  nextGeneration() {
    super.nextGeneration();
    for (const waiting of this.waiting.values()) waiting.clear();
  }

  // The next message that arrives at a person; gives the time of it.
  nextAnswer(timeoutMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      this.once('answer', () => {
        clearTimeout(timer);
        resolve(performance.now());
      });
    });
  }
}

// A visitor whose window is open at one gateway while it writes through others. The window does what a
// browser does: it comes back with the last id it saw, and reads anew when it is told "reset".
export class Window {
  constructor(gateway, channelId, token) {
    Object.assign(this, { gateway, token, base: `/v1/webchat/${channelId}`, seen: new Map(), count: 0, resets: 0, streams: 0, closed: false });
  }

  static async open(gateway, channelId) {
    const { status, body, text } = await gateway.post(`/v1/webchat/${channelId}/session`, undefined, {});
    assert.equal(status, 200, text);
    const window = new Window(gateway, channelId, body.token);
    window.running = window.run();
    await until(() => window.streams > 0, 'a window to open');
    return window;
  }

  async read(gateway) {
    const all = [];
    for (let after = 0; ;) {
      const { status, body, text } = await gateway.call('GET', `${this.base}/messages?after_seq=${after}`,
        { key: this.token, signal: AbortSignal.timeout(CALL_MS) });
      if (status !== 200) throw new Error(`messages: ${status} ${text}`);
      if (body.messages.length === 0) return all;
      all.push(...body.messages);
      after = body.messages.at(-1).seq;
    }
  }

  note(message) {
    const known = this.seen.get(message.seq);
    if (known !== undefined) assert.equal(message.text, known, `message ${message.seq} reads the same`);
    this.seen.set(message.seq, message.text);
  }

  async follow() {
    const stream = await EventStream.open(this.gateway.url + this.base + '/events', {
      headers: { authorization: `Bearer ${this.token}`, ...(this.lastId ? { 'last-event-id': this.lastId } : {}) },
    });
    this.stream = stream;
    this.streams += 1;
    try {
      // Without a place to go on from, nothing is told again: what is there by now is asked for.
      if (!this.lastId) for (const message of await this.read(this.gateway)) this.note(message);
      for (;;) {
        const event = await stream.until(() => true, 600_000);
        if (event.type === 'reset') {
          this.resets += 1;
          for (const message of await this.read(this.gateway)) this.note(message);
        } else if (event.type === 'message') {
          // As the widget does: what stands before it and is not here is asked for.
          if (!this.seen.has(event.data.seq - 1)) for (const message of await this.read(this.gateway)) this.note(message);
          this.note(event.data);
        }
        this.lastId = event.id ?? this.lastId; // not before it was dealt with
      }
    } finally {
      stream.close();
    }
  }

  async run() {
    while (!this.closed) {
      await this.follow().catch((error) => {
        if (error.code === 'ERR_ASSERTION') this.problem = error;
      });
      // As a browser does, some time between two attempts.
      if (!this.closed) await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  // Until a gateway has taken it; the same words twice are one.
  async say(gateways, text) {
    this.count += 1;
    const body = { client_message_id: `m-${this.count}`, text };
    let turn = this.count;
    await until(async () => {
      const gateway = gateways[turn++ % gateways.length];
      const answer = await gateway.call('POST', `${this.base}/messages`, { key: this.token, body, signal: AbortSignal.timeout(CALL_MS) })
        .catch(() => null);
      return answer?.status === 202;
    }, `"${text}" to be taken`, 60_000);
  }

  // What the API tells: each question and each answer once, and the window has seen all of it.
  async assertComplete(gateway, timeoutMs) {
    let all;
    await until(async () => {
      all = await this.read(gateway);
      return all.every((message) => this.seen.has(message.seq));
    }, () => `a window to show ${all.length} messages; it has ${this.seen.size}, ${this.resets} resets, ${this.streams} streams; missing `
      + JSON.stringify(all.filter((message) => !this.seen.has(message.seq))), timeoutMs);
    if (this.problem) throw this.problem;
    for (const message of all) assert.equal(this.seen.get(message.seq), message.text);
    assert.equal(this.seen.size, all.length, 'the window shows nothing that is not there');
    assert.equal(all.filter((message) => message.role === 'user').length, this.count, 'each question is there once');
    return all;
  }

  async close() {
    this.closed = true;
    this.stream?.close();
    await this.running;
  }
}
