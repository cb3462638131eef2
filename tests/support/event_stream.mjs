// event_stream.mjs - a client of server-sent events that keeps everything and waits for anything
//
//   const stream = await EventStream.open(url, { headers });
//   const event = await stream.until((e) => e.type === 'message');   // {id, type, data}
//   stream.close();
const WAIT_MS = 60_000;

export class EventStream {
  // Rejects with {status, text} when the server does not answer with a stream.
  static async open(url, { method = 'GET', headers = {}, body } = {}) {
    const stream = new EventStream();
    const response = await fetch(url, {
      method, body, headers: { accept: 'text/event-stream', ...headers }, signal: stream.aborter.signal,
    });
    stream.status = response.status;
    if (response.status !== 200 || !/^text\/event-stream/.test(response.headers.get('content-type') ?? '')) {
      const text = await response.text();
      throw Object.assign(new Error(`no event stream: ${response.status} ${text}`), { status: response.status, text });
    }
    stream.finished = stream.read(response.body);
    return stream;
  }

  constructor() {
    this.aborter = new AbortController();
    this.events = [];
    this.comments = 0;
    this.ended = false;
    this.taken = 0;
    this.waiters = new Set();
  }

  get lastEventId() {
    return this.events.filter((event) => event.id !== undefined).at(-1)?.id;
  }

  async read(body) {
    const decoder = new TextDecoder();
    let left = '';
    try {
      for await (const chunk of body) {
        left += decoder.decode(chunk, { stream: true });
        for (let end; (end = left.indexOf('\n\n')) >= 0; left = left.slice(end + 2)) this.take(left.slice(0, end));
      }
    } catch {
      // Closed by us, or cut by a server that died: both end the stream.
    }
    this.ended = true;
    this.wake();
  }

  take(block) {
    const event = { type: 'message', text: '' };
    const data = [];
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments += 1;
      const match = /^(id|event|data): ?(.*)$/.exec(line);
      if (!match) continue;
      if (match[1] === 'id') event.id = match[2];
      if (match[1] === 'event') event.type = match[2];
      if (match[1] === 'data') data.push(match[2]);
    }
    if (data.length === 0) return;
    event.text = data.join('\n');
    try {
      event.data = JSON.parse(event.text);
    } catch {
      event.data = null;
    }
    this.events.push(event);
    this.wake();
  }

  wake() {
    for (const waiter of [...this.waiters]) waiter();
  }

  // The first event, since the last one that was taken by this call, that fits; those before it count
  // as taken too.
  until(fits, timeoutMs = WAIT_MS) {
    return new Promise((resolve, reject) => {
      let timer;
      const look = () => {
        for (let i = this.taken; i < this.events.length; i++) {
          if (!fits(this.events[i])) continue;
          this.taken = i + 1;
          return finish(() => resolve(this.events[i]));
        }
        if (this.ended) return finish(() => reject(new Error(`the stream ended after ${JSON.stringify(this.events.slice(-5))}`)));
        return undefined;
      };
      const finish = (then) => {
        clearTimeout(timer);
        this.waiters.delete(look);
        then();
      };
      timer = setTimeout(() => finish(() => reject(new Error(`waited ${timeoutMs} ms for an event; got ${JSON.stringify(this.events.slice(-5))}`))), timeoutMs);
      this.waiters.add(look);
      look();
    });
  }

  // Resolves when the server ends it.
  async end() {
    await this.finished;
    return this.events;
  }

  close() {
    this.aborter.abort();
    return this.finished;
  }
}
