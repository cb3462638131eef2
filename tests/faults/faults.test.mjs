// faults.test.mjs - three gateways and three workers on PostgreSQL and Redis, while one after the other breaks
//
// People write all the time, through every provider. After each fault everything settles, and then: every
// accepted message is stored once and answered once, in order; sends in flight are uncertain at most, each resolved by its channel's
// policy and counted; the windows of the web chat show all that was said; nothing is stuck. The times until
// the next answer and until all had settled are printed as one table at the end.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { hutsDocument, seeded } from '../crash/load.mjs';
import { verify } from '../crash/verify.mjs';
import { Postgres } from '../support/postgres.mjs';
import { Redis } from '../support/redis.mjs';
import { freePort, nextBinary, within } from '../support/server.mjs';
import { Cluster } from './cluster.mjs';
import { People, Window } from './people.mjs';

const SEED = Number(process.env.FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 32));
const ONLY = process.env.FAULTS_ONLY ? new RegExp(process.env.FAULTS_ONLY) : /./;
const UNDER_WAY = 6; // messages that wait for their 2xx, at most
const SOME = 6; // answers before a fault comes, and after it went
const SETTLE_MS = 60_000;

const missing = async () => {
  if (!await Postgres.isInstalled()) return 'PostgreSQL is not installed';
  return Redis.installed() ? false : 'redis-server is not installed';
};

async function prepare(t) {
  const people = new People(seeded(SEED));
  t.after(() => people.end());
  const cluster = await Cluster.start(t);
  const [first] = cluster.gateways;
  const organizations = [];
  for (const slug of ['at-once', 'bursts', 'resends', 'web']) organizations.push(await first.addOrganization(slug));
  await cluster.launch();
  const uncertain = { hold: 0, resend: 0 };
  for (const member of cluster.members) {
    member.on('log', (event) => { if (event.event === 'send.uncertain') uncertain[event.policy] += 1; });
  }
  const web = organizations.pop();
  for (const organization of organizations) {
    organization.resends = organization.slug === 'resends';
    await first.addDocument(organization, 'huts.md', hutsDocument());
    for (const account of await people.addAccounts(organization)) {
      account.reachAt(await cluster.wayToProvider(account.double.port));
      await account.connect(first, organization, {
        burst_window_ms: organization.slug === 'bursts' ? 100 : 0, on_uncertain: organization.resends ? 'resend' : 'hold',
      });
    }
  }
  await first.addDocument(web, 'huts.md', hutsDocument());
  const chat = await first.addChannel(web, 'web');
  const windows = [];
  for (const gateway of cluster.gateways) windows.push(await Window.open(gateway, chat.id));
  t.after(() => Promise.all(windows.map((window) => window.close())));
  return { people, cluster, organizations: [...organizations, web], windows, uncertain };
}

// What a failure is found by.
async function describe({ people, cluster }) {
  const waiting = [...people.waiting].map(([{ source }, chats]) => [source, [...chats]]);
  const lines = [`${people.pendingCount()} messages wait; ${JSON.stringify(waiting)}`];
  for (const member of cluster.members) lines.push(...member.stderr.slice(-15).map((line) => `${member.name}: ${line}`));
  const { rows } = cluster.database;
  const jobs = await rows(null, `SELECT topic, state, lane, attempts, lease_holder, to_timestamp(due_at / 1000000.0) AS due,
    to_timestamp(lease_until / 1000000.0) AS until, last_error FROM job ORDER BY due_at LIMIT 40`);
  const sessions = await rows(null, `SELECT pid, state, wait_event, xact_start, state_change, query FROM pg_stat_activity
    WHERE usename = 'parley_app' AND state <> 'idle'`);
  return [...lines, `now ${new Date().toISOString()}`, ...[...jobs, ...sessions].map((row) => JSON.stringify(row))];
}

async function settle({ people, cluster, organizations }) {
  people.stop();
  await people.settle(SETTLE_MS);
  for (const organization of organizations) await cluster.gateways[0].waitUntilIdle(organization, SETTLE_MS);
}

async function check(scene) {
  const { people, cluster, windows, uncertain } = scene;
  const { problems, problemCount, totals } = await verify(cluster.gateways[0], people);
  assert.equal(problemCount, 0, `${problemCount} problems, FAULTS_SEED=${SEED}:\n${problems.join('\n')}`);
  assert.equal(totals.stored, people.said.size);
  assert.equal(totals.answered, people.said.size);
  assert.ok(totals.held <= uncertain.hold && totals.twice <= uncertain.resend,
    `uncertain sends are counted: ${JSON.stringify({ totals, uncertain })}`);
  for (const window of windows) {
    const all = await window.assertComplete(cluster.gateways[0], SETTLE_MS);
    assert.ok(all.at(-1).role !== 'user', 'the visitor has the last answer');
  }
  for (const member of cluster.members) assert.deepEqual(member.complaints, [], member.name);
  return totals;
}

// When people got answers, from now on: the longest time without one.
function listen({ people }) {
  let last = performance.now();
  let longest = 0;
  const note = () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  };
  people.on('answer', note);
  return () => {
    people.off('answer', note);
    note();
    return longest;
  };
}

const answers = async ({ people }, count) => {
  for (let i = 0; i < count; i++) await people.nextAnswer(SETTLE_MS);
};

// One fault: people write, it breaks, it is well again, people go on, all settles. fault calls began() at the
// moment when it breaks.
async function suffer(scene, name, fault) {
  const { people, cluster, windows, uncertain, rows } = scene;
  const before = { said: people.said.size, uncertain: uncertain.hold + uncertain.resend };
  people.nextGeneration();
  people.feed(UNDER_WAY);
  await answers(scene, SOME);
  const questions = Promise.all(windows.map((window, i) => window.say([...cluster.gateways.slice(i), ...cluster.gateways.slice(0, i)],
    'What is the door code of the Alder hut?')));
  questions.catch(() => {}); // waited for below
  let begin;
  let silence;
  await fault(scene, () => {
    begin = performance.now();
    silence = listen(scene);
  });
  const end = performance.now();
  people.feed(UNDER_WAY);
  await answers(scene, SOME);
  const longest = silence();
  await questions;
  await settle(scene);
  const settled = performance.now();
  const totals = await check(scene);
  rows.push([name, people.said.size - before.said, ...[end - begin, longest, settled - end].map((ms) => Math.round(ms)),
    uncertain.hold + uncertain.resend - before.uncertain, totals.stored, totals.answered]);
}

const HEAD = ['fault', 'written', 'lasted, ms', 'longest silence, ms', 'settled after its end, ms', 'uncertain', 'stored in all', 'answered in all'];

function table(rows) {
  const widths = HEAD.map((title, i) => Math.max(...[title, ...rows.map((row) => row[i])].map((cell) => String(cell).length)));
  return [HEAD, ...rows].map((row) => row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join('  '));
}

// --- the faults ---

// How long a fault lasts is what it is; nothing is waited for.
const lasting = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Dies by itself at the step's pass: with what it then holds.
const killed = (choose, failpoints) => async ({ cluster }, began) => {
  const member = choose(cluster);
  await member.restart({ failpoints });
  // Telegram keeps its connections, and so would never come back to this gateway.
  if (member.role === 'gateway') cluster.balancer.cut();
  const end = await within(member.ended, () => `${member.name} to die of ${failpoints}`, SETTLE_MS);
  assert.equal(end.signal, 'SIGKILL');
  began();
  await member.start();
};

// Stands still at the step's pass until others have done its work, and then goes on with it.
const frozen = (choose, failpoints) => async (scene, began) => {
  const { cluster } = scene;
  const member = choose(cluster);
  await member.restart({ failpoints });
  await member.untilFrozen();
  began();
  await cluster.nextLog('queue.leases_expired');
  await settle(scene);
  const before = member.log.length;
  member.thaw();
  // It notices: by the lease, or because its connections, too, ended meanwhile, and it cannot put back what is not its own.
  await member.waitForLog(['job.lease_lost', 'job.not_put_back'], { accept: (event) => member.log.indexOf(event) >= before });
};

const outage = (ways, how, ms) => async ({ cluster }, began) => {
  const proxies = ways(cluster);
  await Promise.all(proxies.map((proxy) => proxy[how]()));
  began();
  await lasting(ms);
  await Promise.all(proxies.map((proxy) => proxy.resume()));
};

const stopPostgres = (mode) => async ({ cluster }, began) => {
  began();
  await cluster.postgres.command(`stop ${mode}`);
  await cluster.postgres.command('start');
};

// A commit that arrives and whose answer does not, at each process.
async function loseAnswers({ cluster }, began) {
  began();
  for (const loses of ['answer', 'question']) {
    await Promise.all(cluster.members.map((member) => within(member.toPostgres.cutAround('\0COMMIT\0', loses), `a commit of ${member.name}`)));
  }
}

// The server dies of a commit's arrival; its follower takes its place.
async function failOver({ cluster }, began) {
  await cluster.postgres.makeStandby(await freePort());
  await within(cluster.workers[0].toPostgres.cutAround('\0COMMIT\0', 'answer'), 'a commit');
  began();
  const ways = cluster.members.map((member) => member.toPostgres);
  await Promise.all(ways.map((way) => way.refuse()));
  cluster.postgresPort = await cluster.postgres.failOver();
  await Promise.all(ways.map((way) => way.resume()));
}

// What a process that died long ago left behind in each organization: an object that no row names.
async function leaveObjects({ cluster, organizations }) {
  const left = [];
  for (const { id } of organizations) {
    const sources = path.join(cluster.folder, 'blobs', id, 'objects', '+knowledge');
    const [source] = await fs.readdir(sources);
    const [version] = await fs.readdir(path.join(sources, source));
    const file = path.join(sources, `+${randomUUID().replace(/^(.{14})4/, '$17')}`, version);
    await fs.mkdir(path.dirname(file));
    await fs.copyFile(path.join(sources, source, version), file);
    await fs.utimes(file, 0, 0);
    left.push(file);
  }
  return left;
}

// Dies in the middle of its duty; another, which waits for that, does the whole of it.
async function killScheduler(scene, began) {
  const { cluster, organizations } = scene;
  const left = await leaveObjects(scene);
  const isThere = (file) => fs.access(file).then(() => true, () => false);
  const stillThere = async () => (await Promise.all(left.map(isThere))).filter(Boolean).length;
  const instances = async () => (await cluster.gateways[0].get('/v1/instances', organizations[0].key)).body.data
    .filter(({ roles }) => roles === 'scheduler').map(({ status, duties }) => [status, duties]);
  const [one, other] = [await cluster.join('scheduler', 1), await cluster.join('scheduler', 2)];
  // Stands still in the middle first, so that the other finds the duty taken.
  await one.start({ failpoints: 'upkeep.organization=stop:2' });
  await one.untilFrozen();
  await other.start();
  assert.deepEqual(await instances(), [['running', 1], ['running', 0]]);
  assert.equal(await stillThere(), left.length - 2, 'two of the organizations are dealt with');
  await one.kill();
  began();
  const { count } = await other.waitForLog('objects.left_over_removed');
  assert.equal(count, left.length - 2);
  assert.equal(await stillThere(), 0);
  assert.deepEqual(await instances(), [['gone', 0], ['running', 1]]);
  await one.start(); // finds it taken
  assert.deepEqual((await instances()).sort(), [['gone', 0], ['running', 0], ['running', 1]]);
  await cluster.leave(other);
  await cluster.leave(one);
}

// Each ends and comes back as the next version, gateways and workers in turn, while the others serve.
async function upgrade({ cluster }, began) {
  const { gateways, workers } = cluster;
  began();
  gateways[0].binary = nextBinary;
  const { code, stdout, stderr } = await gateways[0].run(['migrate'], { settings: { 'database.migration_url': gateways[0].migrationUrl } });
  assert.match(`${code} ${stdout}`, /^0 applied tenant 2/, stderr);
  for (const member of gateways.flatMap((gateway, i) => [gateway, workers[i]])) {
    assert.equal((await member.stop()).code, 0);
    member.binary = nextBinary;
    await member.start();
  }
}

// Clocks of four hosts step, and back again once work was done by the wrong time.
async function stepClocks(scene, began) {
  const { gateways, workers } = scene.cluster;
  began();
  await gateways[0].stepClock(3600);
  await gateways[1].stepClock(-3600);
  await workers[0].stepClock(3600);
  await workers[1].stepClock(-3600);
  await answers(scene, 4 * SOME);
  for (const member of [gateways[0], gateways[1], workers[0], workers[1]]) await member.stepClock(0);
}

const FAULTS = {
  'worker killed, leases held': killed((cluster) => cluster.workers[0], 'queue.leased=crash:6'),
  'worker killed between model and commit': killed((cluster) => cluster.workers[1], 'answer.in_transaction=crash:3'),
  'worker killed while sending': killed((cluster) => cluster.workers[2], 'send.called=crash:3'),
  'gateway killed mid-request': killed((cluster) => cluster.gateways[0], 'gateway.in_transaction=crash:3'),
  'gateway killed before it answered': killed((cluster) => cluster.gateways[1], 'gateway.committed=crash:3'),
  'worker frozen with a lease': frozen((cluster) => cluster.workers[0], 'queue.leased=stop:6'),
  'worker frozen with an answer': frozen((cluster) => cluster.workers[1], 'answer.modelled=stop:3'),
  'worker frozen before it sends': frozen((cluster) => cluster.workers[2], 'send.loaded=stop:3'),
  'worker frozen before a call': frozen((cluster) => cluster.workers[1], 'send.intent_committed=stop:3'),
  'worker frozen after a call': frozen((cluster) => cluster.workers[2], 'send.called=stop:3'),
  'scheduler killed in its duty': killScheduler,
  'Redis flushed': async ({ cluster }, began) => {
    began();
    await cluster.redis.do('FLUSHALL');
  },
  'Redis restarted': async ({ cluster }, began) => {
    began();
    await cluster.redis.kill();
    await cluster.redis.launch();
  },
  'Redis unreachable for 10 s': outage((cluster) => cluster.members.map((member) => member.toRedis), 'stall', 10_000),
  'PostgreSQL restarted': stopPostgres('fast'),
  'PostgreSQL crashed': stopPostgres('immediate'),
  'commits without answers': loseAnswers,
  'PostgreSQL failed over': failOver,
  'gateway and PostgreSQL cut': outage((cluster) => [cluster.gateways[0].toPostgres], 'refuse', 3000),
  'worker and PostgreSQL stalled past the lease': outage((cluster) => [cluster.workers[0].toPostgres], 'stall', 5000),
  'gateway and Redis cut': outage((cluster) => [cluster.gateways[0].toRedis], 'refuse', 3000),
  'worker and Redis stalled': outage((cluster) => [cluster.workers[0].toRedis], 'stall', 3000),
  'providers and gateway cut': outage((cluster) => [cluster.gateways[1].front], 'refuse', 3000),
  'providers and gateway stalled': outage((cluster) => [cluster.gateways[2].front], 'stall', 3000),
  'workers and providers cut': outage((cluster) => cluster.providers, 'refuse', 3000),
  'workers and providers stalled': outage((cluster) => cluster.providers, 'stall', 5000),
  'clocks stepped by an hour': stepClocks,
  'another version, one after the other': upgrade,
};

test('faults', { skip: await missing() }, async (t) => {
  t.diagnostic(`FAULTS_SEED=${SEED}`);
  const scene = { ...await prepare(t), rows: [] };
  let broken = null;
  for (const [name, fault] of Object.entries(FAULTS)) {
    if (!ONLY.test(name)) continue;
    await t.test(name, { skip: broken ? `after "${broken}" failed` : false }, async () => {
      broken = name;
      await suffer(scene, name, fault).catch(async (error) => {
        for (const line of await describe(scene)) t.diagnostic(line);
        throw error;
      });
      broken = null;
    });
  }
  for (const line of table(scene.rows)) t.diagnostic(line);
});
