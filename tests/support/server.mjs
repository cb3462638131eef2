// server.mjs - the real binary for tests: a folder and a port of its own, its log read as events, its
// API called over HTTP, its databases looked into
//
//   const server = await Parley.create({ 'limits.sender_per_minute': 0 });
//   const shop = await server.addOrganization('shop');       // {id, slug, key}
//   await server.start();
//   const { status, body } = await server.get('/v1/organization', shop.key);
//   await server.destroy();                                   // stops it, checks how it ended, cleans up
//
// PARLEY_TEST_BINARY names the program. Nothing here waits by sleeping: what takes time is waited for
// by an event of the process or by its log, with a deadline that only a failing test meets.
import { execFile, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { keep } from './children.mjs';
import { EventStream } from './event_stream.mjs';
import { Postgres } from './postgres.mjs';
import { Redis } from './redis.mjs';
import { sqlite } from './sqlite.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const ALL_SCOPES = 'admin conversations:read conversations:write knowledge:read knowledge:write query query:staff operate';
// "pgsql": every server has a database of its own in a PostgreSQL that this process starts.
export const engine = process.env.PARLEY_TEST_DATABASE ?? 'sqlite';
// Every server has a Redis of its own, for wake-ups, events and rates.
const throughRedis = Boolean(process.env.PARLEY_TEST_REDIS);
// On a database server nobody knows that a killed process is gone: its leases end by their time, which a
// sweep notices within half a minute.
const WAIT_MS = Number(process.env.PARLEY_TEST_WAIT_MS ?? 60_000);
const LEASES = engine === 'pgsql' ? { 'queue.lease': '10s' } : {};
const SANITIZER = /ERROR: (Address|Leak|Thread|Undefined)\w*Sanitizer|runtime error:|Assertion .* failed/;

// For { skip }: what a test needs that only a data folder has.
export const filesOnly = (why) => (engine === 'pgsql' ? `not with PostgreSQL: ${why}` : false);

export const binary = path.resolve(process.env.PARLEY_TEST_BINARY ?? path.join(ROOT, 'build-test/src/app/parley'));
// The version after this one (tests/upgrade): a server whose binary is set to it runs it.
export const nextBinary = path.join(path.dirname(binary), 'parley-next');
// In the build folder it is not beside the server.
const extractor = path.resolve(path.dirname(binary), '../extract/parley-extract');

// Free now, outside of the range that the kernel gives to connections, and no other test's: after a
// kill, or at a late start, the server must find it free again. A folder says that it is taken, for
// longer than a file of tests runs.
const TAKEN_MS = 30 * 60_000;
const takenPorts = path.join(os.tmpdir(), `parley-ports-${process.getuid()}`);

async function takePort(port) {
  const folder = path.join(takenPorts, `${port}`);
  try {
    await fs.mkdir(folder);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (Date.now() - (await fs.stat(folder)).mtimeMs < TAKEN_MS) return false;
  await fs.utimes(folder, new Date(), new Date());
  return true;
}

export async function freePort() {
  await fs.mkdir(takenPorts, { recursive: true });
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const free = await takePort(port) && await new Promise((resolve) => {
      const probe = net.createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port');
}

// Rejects after the deadline with what was waited for.
export function within(promise, what, timeoutMs = WAIT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${typeof what === 'function' ? what() : what}`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// For what only a question can tell (rows of a database, counts of the API): asked again until it is
// so. Gives what look gave; fails with the last answer.
export async function until(look, what, timeoutMs = WAIT_MS) {
  const end = Date.now() + timeoutMs;
  for (let pause = 5; ; pause = Math.min(pause * 2, 100)) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for ${typeof what === 'function' ? what() : what}`);
    await new Promise((resolve) => { setTimeout(resolve, pause); });
  }
}

const settingVariable = (key) => `PARLEY_${key.toUpperCase().replaceAll('.', '_')}`;

function cleanEnvironment(settings, more) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLEY_')));
  for (const [key, value] of Object.entries(settings)) env[settingVariable(key)] = String(value);
  return { ...env, ...more };
}

const migrated = new Map(); // program -> the name of a database that it has migrated, which nobody uses

export class Parley extends EventEmitter {
  // settings: "http.listen" and so on, over what tests want by default.
  static async create(settings = {}) {
    const server = new this();
    server.folder = await fs.mkdtemp(path.join(os.tmpdir(), 'parley-test-'));
    server.port = await freePort();
    server.data = path.join(server.folder, 'data');
    server.settings = {
      'http.listen': `127.0.0.1:${server.port}`,
      'data.folder': server.data,
      'ingest.extractor': extractor,
      'send.allow_private_addresses': true,
      'model.allow_private_address': true,
      ...LEASES,
    };
    if (throughRedis) {
      server.redis = await Redis.start();
      Object.assign(server.settings, {
        'queue.transport': 'redis', 'live.transport': 'redis', 'limits.shared': 'redis', 'redis.addresses': server.redis.url,
      });
    }
    Object.assign(server.settings, settings);
    if (engine === 'pgsql') await server.makeDatabase();
    return server;
  }

  // A database with its roles, migrated: by each program once, the others are copies.
  async makeDatabase() {
    const postgres = await Postgres.shared();
    if (postgres.migrated) migrated.set(...postgres.migrated);
    if (!migrated.has(this.binary)) migrated.set(this.binary, this.migrate(await postgres.makeDatabase()));
    this.database = await postgres.makeDatabase(await migrated.get(this.binary));
    this.settings['database.url'] = this.database.url;
  }

  async migrate({ name, url, migrationUrl }) {
    const { code, stderr } = await this.run(['migrate'], { settings: { 'database.url': url, 'database.migration_url': migrationUrl } });
    if (code !== 0) throw new Error(`parley migrate ended with ${code}: ${stderr}`);
    return name;
  }

  constructor() {
    super();
    this.setMaxListeners(0);
    this.log = []; // of the run that is on, or of the last one
    this.stderr = [];
    this.process = null;
    this.complaints = [];
    this.starts = 0;
    this.binary = binary;
  }

  get scheme() {
    return this.settings['http.tls_certificate'] ? 'https' : 'http';
  }

  get url() {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  // --- the process ---

  // Resolves with the milliseconds until it listened; rejects when it ended before. wrap: a program
  // with its arguments before ours (prlimit).
  async start({ env = {}, failpoints, wrap = [], command = ['serve'], settings = {} } = {}) {
    if (this.process) throw new Error('it runs already: a second one would be lost sight of, and outlive the test');
    const begun = performance.now();
    const words = [...wrap, this.binary, ...command];
    const child = keep(spawn(words[0], words.slice(1), {
      cwd: this.folder,
      env: cleanEnvironment({ ...this.settings, ...settings }, { ...env, ...(failpoints ? { PARLEY_FAILPOINTS: failpoints } : {}) }),
      stdio: ['ignore', 'pipe', 'pipe'],
    }), () => this.stderr.slice(-15).join('\n'));
    this.process = child;
    this.starts += 1;
    this.log = [];
    this.stderr = [];
    this.stdout = '';
    child.stdout.on('data', (chunk) => { this.stdout += chunk; });
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => this.readLine(line));
    this.ended = Promise.all([
      new Promise((resolve) => { child.once('exit', (code, signal) => resolve({ code, signal })); }),
      new Promise((resolve) => { lines.once('close', resolve); }),
    ]).then(([end]) => {
      if (this.process === child) this.process = null;
      this.emit('end', end);
      return end;
    });
    const ended = this.ended.then((end) => {
      throw Object.assign(new Error(`the server ended before it listened: ${JSON.stringify(end)}\n${this.stderr.slice(-20).join('\n')}`), { end });
    });
    ended.catch(() => {});
    await this.waitForLog('server.started', { orElse: ended });
    return performance.now() - begun;
  }

  readLine(line) {
    this.stderr.push(line);
    if (SANITIZER.test(line)) this.complaints.push(line);
    if (!line.startsWith('{')) return;
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      return;
    }
    this.log.push(event);
    this.emit('log', event);
  }

  // The first event of that name, or one of those names (since the start), that the condition accepts. orElse: what ends the wait, too.
  waitForLog(name, { accept = () => true, timeoutMs = WAIT_MS, orElse } = {}) {
    const names = [name].flat();
    const fits = (event) => names.includes(event.event) && accept(event);
    const known = this.log.find(fits);
    if (known) return Promise.resolve(known);
    let listener;
    const found = new Promise((resolve) => {
      listener = (event) => { if (fits(event)) resolve(event); };
      this.on('log', listener);
    });
    return within(orElse ? Promise.race([found, orElse]) : found,
      () => `"${names.join('" or "')}" in the log; its end is\n${this.stderr.slice(-15).join('\n')}`, timeoutMs).finally(() => this.off('log', listener));
  }

  async kill() {
    const { process: child, ended } = this;
    if (!child) return;
    child.kill('SIGKILL');
    await ended;
  }

  // A failpoint ends it.
  async killed() {
    const end = await within(this.ended, () => `a kill; its log ends in\n${this.stderr.slice(-15).join('\n')}`);
    if (end.signal !== 'SIGKILL') throw new Error(`it was not killed, but ended with ${JSON.stringify(end)}`);
  }

  // As an operator stops it: whatever runs is finished, and it ends with 0.
  async stop() {
    const { process: child, ended } = this;
    if (!child) return null;
    child.kill('SIGTERM');
    const end = await within(ended, () => `the server's end; its log ends in\n${this.stderr.slice(-15).join('\n')}`, 60_000);
    if (end.code !== 0) this.complaints.push(`it ended with ${JSON.stringify(end)}:\n${this.stderr.slice(-40).join('\n')}`);
    return end;
  }

  async restart(options) {
    await this.stop();
    return this.start(options);
  }

  // A test that passed but left complaints behind did not pass.
  async destroy() {
    try {
      await this.stop();
    } finally {
      await this.kill();
      await this.redis?.stop();
      if (!process.env.PARLEY_TEST_KEEP) await fs.rm(this.folder, { recursive: true, force: true });
      else process.stderr.write(`kept: ${this.folder}\n`);
    }
    if (this.complaints.length > 0) throw new Error(`the server complained:\n${this.complaints.join('\n')}`);
  }

  // Every one, whatever comes of the others; the first failure is told.
  static async destroyAll(servers) {
    const ends = await Promise.allSettled(servers.map((server) => server.destroy()));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }

  // --- the command line ---

  // {code, stdout, stderr}; never rejects because of the exit code. onTerminal: what a person would see is in stdout.
  run(words, { env = {}, settings = {}, cwd = this.folder, onTerminal = false } = {}) {
    const [program, own] = onTerminal ? ['script', ['-qec', [this.binary, ...words].join(' '), '/dev/null']] : [this.binary, words];
    return new Promise((resolve, reject) => {
      keep(execFile(program, own, {
        cwd, env: cleanEnvironment({ ...this.settings, ...settings }, env), maxBuffer: 64 * 1024 * 1024,
      }, (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') return reject(error);
        if (SANITIZER.test(stderr)) this.complaints.push(stderr);
        return resolve({ code: error ? error.code : 0, stdout, stderr });
      }));
    });
  }

  async runJson(words, options) {
    const { code, stdout, stderr } = await this.run([...words, '--json'], options);
    if (code !== 0) throw new Error(`parley ${words.join(' ')} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  // Before the server runs. {id, slug, key, keyId}
  async addOrganization(slug, scopes = ALL_SCOPES) {
    const { id } = await this.runJson(['admin', 'organization', 'add', slug, '--slug', slug, '--email', `owner@${slug}.test`]);
    const key = await this.addKey(slug, scopes);
    return { id, slug, key: key.secret, keyId: key.id };
  }

  addKey(slug, scopes, more = []) {
    return this.runJson(['admin', 'key', 'add', 'test', '--org', slug, '--scopes', scopes, ...more]);
  }

  // --- HTTP ---

  // body: an object (JSON), a string, a Buffer or a FormData. Gives {status, headers, body, text}.
  async call(method, target, { key, body, headers = {}, signal } = {}) {
    const sent = { ...headers };
    let payload = body;
    if (key) sent.authorization = `Bearer ${key}`;
    if (body !== undefined && typeof body === 'object' && !Buffer.isBuffer(body) && !(body instanceof FormData)) {
      payload = JSON.stringify(body);
      sent['content-type'] ??= 'application/json';
    }
    const response = await fetch(this.url + target, { method, headers: sent, body: payload, signal, redirect: 'manual' });
    const text = await response.text();
    let parsed = null;
    if (/json/.test(response.headers.get('content-type') ?? '') && text !== '') parsed = JSON.parse(text);
    return { status: response.status, headers: response.headers, body: parsed, text };
  }

  get(target, key) {
    return this.call('GET', target, { key });
  }

  post(target, key, body, headers) {
    return this.call('POST', target, { key, body, headers });
  }

  // An event stream; closed by the caller.
  events(target, { key, headers = {}, lastEventId, method, body } = {}) {
    return EventStream.open(this.url + target, {
      method,
      body,
      headers: {
        ...headers,
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
      },
    });
  }

  // All pages of a list.
  async list(target, key, limit = 100) {
    const rows = [];
    for (let cursor = null; ;) {
      const joint = target.includes('?') ? '&' : '?';
      const page = await this.get(`${target}${joint}limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`, key);
      if (page.status !== 200) throw new Error(`GET ${target}: ${page.status} ${page.text}`);
      rows.push(...page.body.data);
      cursor = page.body.next_cursor;
      if (!cursor) return rows;
    }
  }

  // {"name{labels}": value} of /metrics.
  async metrics() {
    const { status, text } = await this.call('GET', '/metrics');
    if (status !== 200) throw new Error(`/metrics: ${status}`);
    const values = {};
    for (const line of text.split('\n')) {
      const match = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
      if (match) values[match[1]] = Number(match[2]);
    }
    return values;
  }

  // The sum over all series of a metric that have these labels.
  async metric(name, labels = {}) {
    const values = await this.metrics();
    return Object.entries(values)
      .filter(([series]) => series.split('{')[0] === name &&
        Object.entries(labels).every(([label, value]) => series.includes(`${label}="${value}"`)))
      .reduce((sum, [, value]) => sum + value, 0);
  }

  // --- what tests need again and again ---

  // check: ask the provider first, and register the webhook there.
  async addChannel(organization, source, { settings = {}, credentials = {}, name = source, check = false } = {}) {
    const { status, body, text } = await this.post('/v1/channels', organization.key, { source, name, settings, credentials, check });
    if (status !== 201) throw new Error(`no ${source} channel: ${status} ${text}`);
    return body;
  }

  // Resolves when the document is searched; rejects with the reason when it cannot be read.
  async addDocument(organization, name, content, labels = {}) {
    const query = new URLSearchParams({ name, ...labels });
    const { status, body, text } = await this.call('POST', `/v1/tenant/upload?${query}`, {
      key: organization.key, body: content, headers: { 'content-type': name.endsWith('.html') ? 'text/html' : 'text/markdown' },
    });
    if (status !== 202) throw new Error(`upload of ${name}: ${status} ${text}`);
    if (body.ingestion_id) await this.waitForIngestion(organization, body.ingestion_id);
    return body;
  }

  // All events of a stream that has an end; of another one when some were missed.
  async eventsToEnd(path, options) {
    for (;;) {
      const events = await within((await this.events(path, options)).end(), `the end of ${path}`);
      if (events.at(-1)?.type !== 'reset') return events;
    }
  }

  async waitForIngestion(organization, id) {
    const last = (await this.eventsToEnd(`/v1/ingestions/${id}/events`, { key: organization.key })).at(-1);
    if (last.type !== 'done') throw new Error(`not read: ${last.data?.error ?? last.text}`);
    return last.data;
  }

  async ask(organization, question, more = {}) {
    const { status, body, text } = await this.post('/v1/query', organization.key, { question, ...more });
    if (status !== 200) throw new Error(`query: ${status} ${text}`);
    return body;
  }

  // No job of the organization is due, waiting or running, or will be within the hour.
  waitUntilIdle(organization, timeoutMs) {
    let seen;
    return until(async () => {
      seen = (await this.get('/v1/queue', organization.key)).body;
      if (seen.ready + seen.waiting + seen.leased > 0) return null;
      if (seen.delayed === 0) return seen;
      const [{ n }] = await this.sql(organization, `SELECT count(*) AS n FROM job WHERE state = 'ready' AND due_at > ${(Date.now() + 3_600_000) * 1000}`);
      return seen.delayed === Number(n) ? seen : null;
    }, () => `an idle queue: ${JSON.stringify(seen)}`, timeoutMs);
  }

  // --- looking into the databases, read-only, also while the server runs ---

  databaseOf(organization) {
    return path.join(this.data, 'tenants', `${organization.id}.db`);
  }

  // A change by hand, while the server does not run.
  alter(organization, statement) {
    if (this.process) throw new Error('the server runs');
    if (this.database) return this.database.run(statement);
    return sqlite(this.databaseOf(organization), statement, { changes: true });
  }

  // Rows as objects.
  sql(organization, query) {
    if (this.database) return this.database.rows(organization, query);
    return sqlite(organization === null ? path.join(this.data, 'control.db') : this.databaseOf(organization), query);
  }
}
