// http-double.mjs - what doubles of HTTP providers share: a server on a free port, bodies, faults, waiting
//
// A double extends HttpDouble and answers in handle(request), which gives {status, headers, body}. Its
// tests may say with fail() what the next requests get instead, and wait with until() for what happened.
import { EventEmitter } from 'node:events';
import http from 'node:http';
import https from 'node:https';

const BODY_MAX = 4 * 1024 * 1024;
const WAIT_MS = 60_000;

export class HttpDouble extends EventEmitter {
  constructor() {
    super();
    this.setMaxListeners(0);
    this.sockets = new Set();
    this.faults = [];
    this.requests = []; // {method, path, query, headers, body, at, over}
  }

  async start(port = 0) {
    this.server = http.createServer((request, response) => { void this.serve(request, response); });
    this.server.keepAliveTimeout = 60_000;
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this.url;
  }

  async stop() {
    this.stopped = true;
    for (const socket of this.sockets) socket.destroy();
    if (this.server) await new Promise((resolve) => { this.server.close(resolve); });
    this.emit('progress');
  }

  // The next requests for which match(request) is true get this answer. hang: the connection ends
  // without one; silent: nothing is said until the caller gives up. With accepted it is done all the same, as
  // if the answer had got lost. cut: it is done, and half of the answer is all that comes.
  fail({ match = () => true, times = 1, status = 500, headers = {}, body = '', hang = false, silent = false, accepted = false, cut = false }) {
    this.faults.push({ match, times, status, headers, body, hang, silent, accepted: accepted || cut, cut });
  }

  async serve(request, response) {
    const chunks = [];
    let size = 0;
    try {
      for await (const chunk of request) {
        size += chunk.length;
        if (size > BODY_MAX) throw new Error('too large');
        chunks.push(chunk);
      }
    } catch {
      request.socket.destroy();
      return;
    }
    const url = new URL(request.url, this.url);
    const seen = {
      method: request.method, path: url.pathname, query: url.searchParams, headers: request.headers,
      body: Buffer.concat(chunks), at: Date.now(),
      over: new Promise((resolve) => { response.once('close', resolve); }), // answered, or given up
    };
    this.requests.push(seen);
    const fault = this.faults.find((one) => one.times > 0 && one.match(seen));
    if (fault) fault.times -= 1;
    let answer;
    try {
      answer = fault && !fault.accepted ? fault : await this.handle(seen);
    } catch (error) {
      answer = { status: 500, body: `${error.stack}` };
    }
    if (fault?.hang) {
      request.socket.destroy();
    } else if (!fault?.silent) {
      if (fault?.cut) answer.body = answer.body.slice(0, answer.body.length >> 1);
      response.writeHead(answer.status, answer.headers ?? {});
      response.end(answer.body ?? '');
    }
    this.emit('progress');
  }

  // Resolves with what probe gives once that is true; looks again whenever something happened.
  until(probe, what, timeoutMs = WAIT_MS) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = probe();
        if (!found) return;
        clearTimeout(timer);
        this.off('progress', look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.off('progress', look);
        reject(new Error(`${this.constructor.name}: no ${typeof what === 'function' ? what() : what} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.on('progress', look);
      look();
    });
  }
}

// Calls a webhook: {status, headers, text}, or {status: 0, error} when no answer came. agent-less: each
// call has a connection of its own, as from many machines.
export function callWebhook(target, { method = 'POST', headers = {}, body = '', timeoutMs = 60_000 } = {}) {
  const url = new URL(target);
  const bytes = Buffer.from(body);
  return new Promise((resolve) => {
    const client = url.protocol === 'https:' ? https : http;
    const request = client.request(url, {
      method, agent: false, timeout: timeoutMs, rejectUnauthorized: false,
      headers: { ...headers, 'content-length': bytes.length },
    }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', (error) => resolve({ status: 0, error: error.message }));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') }));
    });
    request.on('timeout', () => request.destroy(new Error('time-out')));
    request.on('error', (error) => resolve({ status: 0, error: error.message }));
    request.end(bytes);
  });
}
