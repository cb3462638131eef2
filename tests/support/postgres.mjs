// postgres.mjs - a private PostgreSQL for tests, through postgres.sh: one a process, started when first asked
// for, gone with the process; each server under test has a database of its own in it. Test files that run.mjs runs on
// PostgreSQL share its one, with a database that is migrated.
//
//   const postgres = await Postgres.shared();
//   const { url, migrationUrl, run, rows } = await postgres.makeDatabase();
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import pg from 'pg';

const lent = process.env.PARLEY_TEST_POSTGRES ? JSON.parse(process.env.PARLEY_TEST_POSTGRES) : null;
const IN_USE = '55006';
const TEMPLATE_TRIES = 12; // of five seconds
const SCRIPT = fileURLToPath(new URL('postgres.sh', import.meta.url));

export class Postgres {
  static starting = null;

  // Otherwise what asks for it fails: a run that was asked to use PostgreSQL must not pass without.
  static isInstalled() {
    return Postgres.shared().then(() => true, (error) => {
      if (/not installed/.test(error.message)) return false;
      throw error;
    });
  }

  static shared() {
    Postgres.starting ??= lent ? Promise.resolve(new Postgres().borrow()) : new Postgres().start();
    return Postgres.starting;
  }

  made = []; // databases

  // Of one that lives on, which is not to be filled by all who used it.
  borrow() {
    process.once('beforeExit', async () => {
      for (const name of this.made) await this.query('postgres', `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    });
    return Object.assign(this, lent);
  }

  // What those have who are started by us, in PARLEY_TEST_POSTGRES: PROGRAM has migrated the database NAME.
  lend(program, name) {
    return JSON.stringify({ port: this.port, password: this.password, migrated: [program, name] });
  }

  waiting = []; // who waits for an answer, in order

  start() {
    const child = spawn(SCRIPT, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child = child;
    return new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [word, value] = line.split(' ');
        if (word === 'missing') reject(new Error('PostgreSQL is not installed: scripts/setup.sh test'));
        else if (word === 'folder' || word === 'port' || word === 'password') this[word] = value;
        else if (word === 'ready') resolve(this.letGo());
        else if (this.waiting.length > 0) this.waiting.shift()(line);
        else reject(new Error(`postgres.sh: ${line}`));
      });
      child.once('exit', (code) => reject(new Error(`postgres.sh ended with ${code}`)));
    });
  }

  // A test file ends when its tests have: this must not keep it alive. The script ends with us.
  letGo() {
    this.child.unref();
    this.child.stdin.unref?.();
    this.child.stdout.unref?.();
    return this;
  }

  // "stop fast", "stop immediate", "start", "tls FOLDER"
  async command(words) {
    if (!this.child) throw new Error(`${words}: this PostgreSQL is of others, too; new Postgres().start() makes one of your own`);
    this.child.stdout.ref?.();
    const answer = await new Promise((resolve) => {
      this.waiting.push(resolve);
      this.child.stdin.write(`${words}\n`);
    });
    this.letGo();
    this.tls ||= words.startsWith('tls ');
    if (answer !== 'ok') throw new Error(`postgres.sh ${words}: ${answer}`);
  }

  // A second server that follows; then the first dies and the second is the server. Gives its port.
  async makeStandby(port) {
    await this.command(`standby ${port}`);
    this.standbyPort = port;
  }

  async failOver() {
    await this.command(`fail_over ${this.standbyPort}`);
    this.port = this.standbyPort;
    return this.port;
  }

  url(role, database) {
    return `postgresql://${role}:${this.password}@127.0.0.1:${this.port}/${database}`;
  }

  clients = new Map(); // the connection of each database that is not in use now

  async connect(url) {
    const client = new pg.Client({ connectionString: url, ssl: this.tls && { rejectUnauthorized: false } });
    client.on('error', () => { client.isBroken = true; }); // told by what waits
    await client.connect();
    return client;
  }

  // As a superuser. The server may have been another one a moment ago: then on a new connection.
  async query(database, text) {
    const url = this.url('postgres', database);
    const kept = this.clients.get(url);
    this.clients.delete(url);
    kept?.ref();
    if (kept && await kept.query('SELECT 1').catch(() => null) === null) kept.isBroken = true;
    const client = kept && !kept.isBroken ? kept : await this.connect(url);
    try {
      return [await client.query(text)].flat().at(-1).rows;
    } finally {
      // One of each database stays, and keeps nobody alive.
      if (client.isBroken || this.clients.has(url)) await client.end().catch(() => {});
      else this.clients.set(url, client);
      client.unref();
    }
  }

  // A server that has ended a moment ago may still hold the template: PostgreSQL waits five seconds for it, we go on.
  async createDatabase(name, template) {
    const statement = `CREATE DATABASE ${name} OWNER parley_owner ${template && `TEMPLATE ${template} STRATEGY file_copy`}`;
    const kept = this.clients.get(this.url('postgres', template));
    this.clients.delete(this.url('postgres', template));
    await kept?.end();
    for (let tries = 1; ; tries += 1) {
      try {
        await this.query('postgres', statement);
        return;
      } catch (error) {
        if (error.code !== IN_USE || tries === TEMPLATE_TRIES) throw error;
      }
    }
  }

  // template: the name of another one, of which it is a copy.
  async makeDatabase(template = '') {
    const name = `system_${randomBytes(6).toString('hex')}`;
    const query = (text) => this.query(name, text);
    await this.createDatabase(name, template);
    this.made.push(name);
    return {
      name,
      url: this.url('parley_app', name),
      migrationUrl: this.url('parley_owner', name),
      superuserUrl: this.url('postgres', name),
      run: async (statement) => { await query(statement); },
      // As the server's own role sees them; without an organization as a superuser does.
      rows: async (organization, text) => {
        const only = organization === null ? '' : `SET LOCAL ROLE parley_app; SET LOCAL parley.organization_id = '${organization.id}'; `;
        const [{ rows }] = await query(`${only}SELECT coalesce(json_agg(to_json(q)), '[]') AS rows FROM (${text}) q`);
        return rows;
      },
    };
  }
}
