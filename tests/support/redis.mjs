// redis.mjs - a real redis-server for tests: a free port of loopback, a password, a folder of its own
//
//   if (!Redis.installed()) return t.skip('redis-server is not installed');
//   const redis = await Redis.start();
//   ... redis.url ...
//   await redis.do('XLEN', 'key');         // what it answers, as text, number, null or array
//   await redis.stop();                    // by its own id; the folder goes with it
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { keep } from './children.mjs';
import { freePort, within } from './server.mjs';

const PROGRAM = '/usr/bin/redis-server';
const PASSWORD = 's3cret:@/%';

// One reply of RESP2 at the beginning of the text: [value, length], or null while it is not whole.
function parse(bytes, at = 0) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return null;
  const head = bytes.toString('utf8', at + 1, end);
  const next = end + 2;
  switch (bytes[at]) {
    case 0x2b: return [head, next]; // +
    case 0x2d: return [new Error(head), next]; // -
    case 0x3a: return [Number(head), next]; // :
    case 0x24: { // $
      const size = Number(head);
      if (size < 0) return [null, next];
      return bytes.length < next + size + 2 ? null : [bytes.toString('utf8', next, next + size), next + size + 2];
    }
    case 0x2a: { // *
      const items = Number(head) < 0 ? null : [];
      let place = next;
      for (let i = 0; i < Number(head); i++) {
        const item = parse(bytes, place);
        if (item === null) return null;
        items.push(item[0]);
        place = item[1];
      }
      return [items, place];
    }
    default: throw new Error(`no reply of Redis: ${head}`);
  }
}

export class Redis {
  static installed() {
    return existsSync(PROGRAM);
  }

  // certificates: a folder with ca.pem, server.pem and server.key; then it speaks TLS, too, at tlsUrl.
  static async start({ certificates } = {}) {
    const redis = new Redis();
    redis.folder = await fs.mkdtemp(path.join(os.tmpdir(), 'parley-redis-'));
    redis.port = await freePort();
    redis.url = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${redis.port}`;
    if (certificates) {
      const tlsPort = await freePort();
      const file = (name) => path.join(certificates, name);
      redis.tls = ['--tls-port', tlsPort, '--tls-ca-cert-file', file('ca.pem'), '--tls-cert-file', file('server.pem'),
        '--tls-key-file', file('server.key'), '--tls-auth-clients', 'no'];
      redis.tlsUrl = redis.url.replace('redis:', 'rediss:').replace(/\d+$/, tlsPort);
    }
    await redis.launch();
    return redis;
  }

  // Also after stopping: empty, on the same port.
  async launch() {
    this.process = keep(spawn(PROGRAM, ['--port', this.port, '--bind', '127.0.0.1', '--requirepass', PASSWORD,
      '--save', '', '--appendonly', 'no', '--dir', this.folder, ...this.tls ?? []].map(String), { stdio: ['ignore', 'pipe', 'inherit'] }));
    this.ended = new Promise((resolve) => { this.process.once('exit', resolve); });
    let said = '';
    await within(new Promise((resolve, reject) => {
      this.process.stdout.on('data', (bytes) => {
        said += bytes;
        if (said.includes('Ready to accept connections')) resolve();
      });
      this.ended.then(() => reject(new Error(`redis-server ended: ${said}`)));
    }), 'redis-server');
  }

  signal(name) { // SIGSTOP: unreachable without a word; SIGCONT
    this.process.kill(name);
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async stop() {
    await this.kill();
    await fs.rm(this.folder, { recursive: true, force: true });
  }

  async do(...words) {
    const socket = net.connect(this.port, '127.0.0.1');
    const encode = (args) => `*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(String(a))}\r\n${a}\r\n`).join('')}`;
    let bytes = Buffer.alloc(0);
    try {
      return await within(new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('close', () => reject(new Error('redis-server closed the connection')));
        socket.on('data', (more) => {
          bytes = Buffer.concat([bytes, more]);
          const login = parse(bytes);
          const answer = login && parse(bytes, login[1]);
          if (!answer) return;
          if (answer[0] instanceof Error) reject(answer[0]);
          else resolve(answer[0]);
        });
        socket.write(encode(['AUTH', PASSWORD]) + encode(words));
      }), `Redis: ${words[0]}`);
    } finally {
      socket.destroy();
    }
  }
}
