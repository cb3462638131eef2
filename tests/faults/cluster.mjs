// cluster.mjs - three gateways and three workers on one PostgreSQL and one Redis, with a proxy between each pair
//
//   providers --balancer--> gateway's front --> gateway --> its way to PostgreSQL, its way to Redis
//   gateways, workers --a way for each--> providers
//
// Each process has ways of its own, so that a test can cut one of them alone.
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { Postgres } from '../support/postgres.mjs';
import { Proxy } from '../support/proxy.mjs';
import { Redis } from '../support/redis.mjs';
import { Parley, freePort, until, within } from '../support/server.mjs';

// Short, so that an end is seen in seconds; long enough for a machine with two busy cores.
const LEASE = '3s';
const SWEEP = '500ms';
const SETTINGS = {
  'queue.lease': LEASE, 'queue.sweep': SWEEP, 'queue.transport': 'redis', 'live.transport': 'redis', 'limits.shared': 'redis',
  'limits.sender_per_minute': 0, 'limits.external_per_minute': 0, 'limits.staff_per_minute': 0,
  'database.pool_size': 8, 'database.statement_timeout': '2s', 'database.connect_timeout': '2s',
  'answer.workers': 2, 'send.workers': 2, 'http.workers': 4, 'poll.channels': 0,
};

// "R" and "T" as ps says it: running or not, stopped.
async function stateOf(pid) {
  const text = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
  return text[text.lastIndexOf(')') + 2];
}

class Member extends Parley {
  // The program listens behind its front; whoever talks to it meets the front.
  static async make(cluster, name, role) {
    const member = await Member.create(SETTINGS);
    cluster.members.push(member); // from here on it is destroyed with the cluster, whatever comes
    Object.assign(member, { name, role });
    const inner = await freePort();
    member.front = await Proxy.start(() => [inner]);
    member.port = member.front.port;
    member.toPostgres = await Proxy.start(() => [cluster.postgresPort]);
    member.toRedis = await Proxy.start(() => [cluster.redis.port]);
    const redirected = (url, proxy) => {
      const changed = new URL(url);
      changed.port = String(proxy.port);
      return changed.href;
    };
    member.database = cluster.database;
    member.migrationUrl = redirected(cluster.database.migrationUrl, member.toPostgres);
    member.clock = path.join(member.folder, 'clock');
    Object.assign(member.settings, {
      'http.listen': `127.0.0.1:${inner}`,
      'database.url': redirected(cluster.database.url, member.toPostgres),
      'redis.addresses': redirected(cluster.redis.url, member.toRedis),
      'data.key_file': path.join(cluster.folder, 'keys'),
      'blob.folder': path.join(cluster.folder, 'blobs'),
    });
    return member;
  }

  async start(options = {}) {
    await this.stepClock(0);
    const failpoints = [`clock=${this.clock}`, ...(options.failpoints ? [options.failpoints] : [])].join();
    return super.start({ command: ['serve', ...this.words], ...options, failpoints });
  }

  // From now on its wall clock is off by so much.
  stepClock(seconds) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds) * 1_000_000n);
    return fs.writeFile(this.clock, bytes, { flag: this.starts > 0 ? 'r+' : 'w' }); // never cut short: it is mapped
  }

  // Resolves when the process stands still by its own failpoint.
  untilFrozen() {
    const { pid } = this.process;
    return until(async () => await stateOf(pid) === 'T', `${this.name} to stand still`);
  }

  thaw() {
    this.process.kill('SIGCONT');
  }

  // A frozen process cannot end.
  async destroy() {
    this.process?.kill('SIGCONT');
    try {
      await super.destroy();
    } finally {
      for (const proxy of [this.front, this.toPostgres, this.toRedis]) await proxy?.stop();
    }
  }
}

export class Cluster {
  members = [];
  providers = [];

  static async start(t) {
    const cluster = new Cluster();
    t.after(() => cluster.stop());
    cluster.folder = await fs.mkdtemp(path.join(os.tmpdir(), 'parley-faults-'));
    cluster.postgres = await Postgres.shared();
    cluster.postgresPort = cluster.postgres.port;
    cluster.database = await cluster.postgres.makeDatabase();
    cluster.redis = await Redis.start();
    for (const role of ['gateway', 'worker']) {
      for (const number of [1, 2, 3]) await Member.make(cluster, `${role} ${number}`, role);
    }
    cluster.gateways = cluster.members.slice(0, 3);
    cluster.workers = cluster.members.slice(3);
    let turn = 0;
    cluster.balancer = await Proxy.start(() => {
      turn += 1;
      return cluster.gateways.map((_, i) => cluster.gateways[(turn + i) % 3].port);
    });
    for (const member of cluster.members) member.settings['http.public_url'] = `http://127.0.0.1:${cluster.balancer.port}`;
    await cluster.prepare();
    return cluster;
  }

  async prepare() {
    const [first] = this.gateways;
    const { code, stderr } = await first.run(['migrate'], { settings: { 'database.migration_url': first.migrationUrl } });
    if (code !== 0) throw new Error(`parley migrate ended with ${code}: ${stderr}`);
    for (const member of this.members) member.words = ['--roles', member.role === 'gateway' ? 'gateway,api' : 'worker'];
  }

  // The port at which all of them find this one.
  async wayToProvider(port) {
    const proxy = await Proxy.start(() => [port]);
    this.providers.push(proxy);
    return proxy.port;
  }

  // One more process, not started yet.
  async join(role, number) {
    const member = await Member.make(this, `${role} ${number}`, role);
    member.settings['http.public_url'] = this.members[0].settings['http.public_url'];
    member.words = ['--roles', role];
    return member;
  }

  async leave(member) {
    this.members.splice(this.members.indexOf(member), 1);
    await member.destroy();
  }

  // All have begun or ended when it returns: nobody starts behind the back of stop().
  async launch() {
    const starts = await Promise.allSettled(this.members.map((member) => member.start()));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed) throw failed.reason;
  }

  // The next event of that name of any process.
  nextLog(name) {
    const off = [];
    const found = new Promise((resolve) => {
      for (const member of this.members) {
        const listener = (event) => { if (event.event === name) resolve(event); };
        member.on('log', listener);
        off.push(() => member.off('log', listener));
      }
    });
    return within(found, `"${name}" in a log`).finally(() => off.forEach((one) => one()));
  }

  async stop() {
    try {
      await Member.destroyAll(this.members);
    } finally {
      for (const proxy of [this.balancer, ...this.providers]) await proxy?.stop();
      await this.redis?.stop();
      if (this.folder) await fs.rm(this.folder, { recursive: true, force: true });
    }
  }
}
