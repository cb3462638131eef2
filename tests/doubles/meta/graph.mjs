// graph.mjs - what the doubles of Meta's platforms share: the Graph API's manners and its webhooks
//
// Calls: bearer token, optional appsecret_proof, errors as {"error": {...}} mostly with HTTP 400, faults
// set by tests. Webhooks: the GET handshake, POSTs escaped and signed as Meta signs them, only 200
// counts, tried again at once and then ever later for up to seven days, in scaled time; duplicates and
// disorder on command.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { EventEmitter } from 'node:events';
import http from 'node:http';
import https from 'node:https';

const BODY_MAX = 1024 * 1024;
const WAIT_MS = 60_000;
const GIVE_UP_MS = 7 * 86400_000;

// Text as Meta writes it before it signs: ASCII only, lower-case escapes, slashes escaped.
export function metaJson(value) {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replaceAll('/', '\\/');
}

export const sign = (secret, body) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

export class GraphError extends Error {
  constructor(code, message, { status = 400, subcode, details, type = 'OAuthException' } = {}) {
    super(message);
    this.status = status;
    this.body = {
      error: {
        message: `(#${code}) ${message}`, type, code, ...(subcode === undefined ? {} : { error_subcode: subcode }),
        ...(details === undefined ? {} : { error_data: { messaging_product: 'whatsapp', details } }), fbtrace_id: 'Atest',
      },
    };
  }
}

export class Graph extends EventEmitter {
  // timeScale: Meta's seconds times this.
  constructor(options = {}) {
    super();
    this.setMaxListeners(0);
    this.options = { timeScale: 1, appSecret: 'app-secret-of-the-double', requireProof: false, ...options };
    this.accounts = new Map(); // id -> what the platform keeps
    this.faults = [];
    this.calls = [];
    this.deliveries = [];
    this.pending = [];
    this.timers = new Set();
    this.duplicates = false;
    this.sockets = new Set();
  }

  async start() {
    this.server = http.createServer((request, response) => this.serve(request, response));
    this.server.keepAliveTimeout = 60_000;
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this.url;
  }

  async stop() {
    this.stopped = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => { this.server.close(resolve); });
  }

  // --- calls ---

  // The next calls that match fail: {match(call), times} and one of
  //   {error: GraphError}, {html: 502}     this answer
  //   {hangup: 'before' | 'after'}         the connection ends, before or after it is done
  //   {silent: 'before' | 'after'}         nothing is said until the caller gives up
  //   {cut: true}                          it is done, and half of the answer comes
  fail(fault) {
    this.faults.push({ times: 1, match: () => true, ...fault });
  }

  takeFault(call) {
    const fault = this.faults.find((one) => one.times > 0 && one.match(call));
    if (fault) fault.times -= 1;
    return fault;
  }

  // Whose token it is: the present one, or one that was refreshed and has not ended.
  accountOf(token) {
    return [...this.accounts.values()].find((one) => !one.revoked && (one.token === token || one.formerTokens?.includes(token)));
  }

  authorize(request, url) {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
    const account = this.accountOf(token);
    if (!account) throw new GraphError(190, 'Invalid OAuth access token', { status: 401 });
    const proof = url.searchParams.get('appsecret_proof');
    if (proof === null && !this.options.requireProof) return account;
    const want = createHmac('sha256', this.options.appSecret).update(token).digest('hex');
    if (proof === null) throw new GraphError(100, 'API calls from the server require an appsecret_proof argument');
    if (proof.length !== 64 || !timingSafeEqual(Buffer.from(proof), Buffer.from(want))) {
      throw new GraphError(100, 'Invalid appsecret_proof provided in the API argument');
    }
    return account;
  }

  async serve(request, response) {
    const chunks = [];
    let size = 0;
    for await (const chunk of request) {
      size += chunk.length;
      if (size <= BODY_MAX) chunks.push(chunk);
    }
    const answer = (status, body, cut = false) => {
      const text = JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' });
      response.end(cut ? text.slice(0, text.length >> 1) : text);
    };
    try {
      const url = new URL(request.url, this.url);
      if (size > BODY_MAX) throw new GraphError(1, 'Request too large', { status: 413 });
      const file = await this.serveFile(request, response, url);
      if (file) return;
      const [, version, ...path] = url.pathname.split('/');
      if (!/^v\d+\.\d+$/.test(version)) throw new GraphError(2500, `Unknown path components: /${version}`);
      const account = this.authorize(request, url);
      const text = Buffer.concat(chunks).toString('utf8');
      const call = { method: request.method, path: path.join('/'), query: url.searchParams, body: this.readBody(request, text), account, at: Date.now() };
      this.calls.push(call);
      this.emit('progress');
      const fault = this.takeFault(call);
      if (fault?.error) throw fault.error;
      if (fault?.html) {
        response.writeHead(fault.html, { 'content-type': 'text/html' });
        response.end(`<html>${fault.html}</html>`);
        return;
      }
      const result = [fault?.hangup, fault?.silent].includes('before') ? null : await this.handle(call);
      if (fault?.hangup) request.socket.destroy();
      else if (!fault?.silent) answer(200, result, fault?.cut);
      this.emit('progress');
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      answer(error.status, error.body);
      this.emit('progress');
    }
  }

  readBody(request, text) {
    if (request.method === 'GET') return null;
    if (!(request.headers['content-type'] ?? '').startsWith('application/json')) throw new GraphError(100, 'Invalid parameter');
    try {
      const body = JSON.parse(text);
      if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new SyntaxError('no object');
      return body;
    } catch {
      throw new GraphError(100, 'The request body is not a JSON object');
    }
  }

  // For platforms that keep files: true when it answered.
  serveFile() {
    return false;
  }

  // --- webhooks ---

  // What Meta does when a callback address is saved: refused unless it answers the challenge.
  async checkCallback(uri, verifyToken) {
    const challenge = String(1_000_000_000 + Math.floor(Math.random() * 1e9));
    const url = new URL(uri);
    url.searchParams.set('hub.mode', 'subscribe');
    url.searchParams.set('hub.challenge', challenge);
    url.searchParams.set('hub.verify_token', verifyToken);
    const result = await this.request(url, { method: 'GET' });
    return result.status === 200 && result.text === challenge;
  }

  // Sends one notification until it is accepted. secret: to forge one. take: gets it instead, and brings
  // it with post() itself.
  deliver(account, notification, { secret = this.options.appSecret, retries = true, take } = {}) {
    const body = metaJson(notification);
    const entry = { account, body, signature: sign(secret, body), attempts: 0, madeAt: Date.now(), retries };
    if (take) {
      take(entry);
      return entry;
    }
    this.pending.push(entry);
    this.attempt(entry);
    return entry;
  }

  post({ account, body, signature }) {
    return this.request(new URL(account.callback), {
      method: 'POST', body,
      headers: { 'content-type': 'application/json', 'x-hub-signature-256': signature, 'user-agent': 'facebookexternalua' },
    });
  }

  async attempt(entry) {
    if (this.stopped || !entry.account.callback) return;
    entry.attempts += 1;
    const { status } = await this.post(entry);
    if (this.stopped) return;
    this.deliveries.push({ status, attempts: entry.attempts, body: entry.body });
    const age = (Date.now() - entry.madeAt) / this.options.timeScale;
    if (status === 200 || !entry.retries || age > GIVE_UP_MS) {
      this.pending = this.pending.filter((other) => other !== entry);
      if (status === 200 && this.duplicates && !entry.isDuplicate) {
        const again = { ...entry, isDuplicate: true, attempts: 0 };
        this.pending.push(again);
        this.attempt(again);
      }
    } else {
      const wait = entry.attempts === 1 ? 0 : 5000 * 2 ** Math.min(entry.attempts - 2, 12) * this.options.timeScale;
      const timer = setTimeout(() => { this.timers.delete(timer); this.attempt(entry); }, wait);
      this.timers.add(timer);
    }
    this.emit('progress');
  }

  request(url, { method, body, headers = {} }) {
    const client = url.protocol === 'https:' ? https : http;
    return new Promise((resolve) => {
      const request = client.request(url, { method, headers: { ...headers, ...(body ? { 'content-length': Buffer.byteLength(body) } : {}) } }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') }));
        response.on('error', () => resolve({ status: 0, text: '' }));
      });
      request.setTimeout(10_000, () => request.destroy());
      request.on('error', () => resolve({ status: 0, text: '' }));
      request.end(body);
    });
  }

  // --- waiting ---

  async until(condition, what) {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const value = condition();
      if (value) return value;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited in vain for ${what}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.once('progress', () => { clearTimeout(timer); resolve(); });
      });
    }
  }

  waitUntilDelivered() {
    return this.until(() => this.pending.length === 0, 'every webhook to be accepted');
  }
}
