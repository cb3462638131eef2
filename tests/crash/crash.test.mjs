// crash.test.mjs - kill -9 at random moments and at every named durable step, while people write
//
// CRASH_KILLS (100) kills with webhooks, half of them at named steps in turn, half at random moments,
// start-up included, while people write through every provider (CRASH_SOURCES: through these); then a fifth
// of that while the server asks Telegram for updates itself. CRASH_SEED repeats a run's choices (not its
// scheduling). After the last start: every accepted message is stored once, answered once and in order;
// only sends in flight at a kill are uncertain, each resolved by its channel's policy and counted, and none
// that WhatsApp told of afterwards; nothing is stuck.
//
// PARLEY_TEST_DATABASE=pgsql: on PostgreSQL, where a killed process's leases end by their time.
// PARLEY_TEST_REDIS=1: with wake-ups, events and rates through Redis.
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { Parley, engine, until, within } from '../support/server.mjs';
import { Load, hutsDocument, seeded } from './load.mjs';
import { verify } from './verify.mjs';

const KILLS = Number(process.env.CRASH_KILLS ?? 100);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32));
const SOURCES = process.env.CRASH_SOURCES?.split(',') ?? Object.keys(NETWORKS);
const UNDER_WAY = 8; // messages that wait for their 2xx, at most
const CYCLES_OF_A_GENERATION = 12;

const SENDERS = 4;

let random;
const below = (limit) => Math.floor(random() * limit);

// No request leads there: blob_crash_test.c, move_test.c, events.test.mjs, window.test.mjs, growing.mjs
// and reconcile.test.mjs kill at them.
const OUT_OF_REACH = /^(event\.called|grow\..*|send\.(asked|window_closed)|blob\.(joined|completed|organization_gone)|move\..*)$/;
const isOfDocuments = (step) => step.startsWith('ingest.') || step.startsWith('blob.');

// Passes of a step until the kill: enough for some work to be in every state, few enough to come soon.
function passesOf(step) {
  if (isOfDocuments(step)) return 1;
  if (step.startsWith('upkeep.')) return 1 + below(3); // organizations, at the start
  if (step.startsWith('store.')) return 1 + below(60);
  return 1 + below(12);
}

// At a random moment: a quarter of them while it starts.
const someMoment = () => (below(4) === 0 ? { afterSpawnMs: below(200) } : { afterStartMs: below(300) });

async function prepare(server, load, polling) {
  if (!polling) server.settings['http.public_url'] = server.url;
  const organizations = [];
  for (const slug of ['at-once', 'bursts', 'resends']) organizations.push(await server.addOrganization(slug));
  await server.start();
  for (const organization of organizations) {
    organization.resends = organization.slug === 'resends';
    await server.addDocument(organization, 'huts.md', hutsDocument());
    for (const account of await load.addAccounts(organization)) {
      await account.connect(server, organization, {
        burst_window_ms: organization.slug === 'bursts' ? 100 : 0, on_uncertain: organization.resends ? 'resend' : 'hold',
      }, { polling });
    }
  }
  return organizations;
}

// Uploads until the server dies of it; what it accepted must be searchable in the end.
async function uploadOne(server, organization, number, notes, more = '') {
  try {
    const { status, body } = await server.call('POST', `/v1/tenant/upload?name=note-${number}.md${more}`, {
      key: organization.key, body: `# Note ${number}\n\nThe password of cellar ${number} is W${number}Q.\n`,
      headers: { 'content-type': 'text/markdown' },
    });
    if (status === 202) notes.push({ organization, number });
    return body;
  } catch {
    return null; // killed before it answered: then it promised nothing
  }
}

// A draft, published as soon as it is read: the kill comes when it is, and before that is answered.
async function publishOne(server, organization, number, notes) {
  const uploaded = [];
  const draft = await uploadOne(server, organization, number, uploaded, '&draft=true');
  if (uploaded.length === 0) return;
  try {
    await server.waitForIngestion(organization, draft.ingestion_id);
    notes.push(...uploaded);
    await server.post(`/v1/sources/${draft.source_id}/publish`, organization.key);
  } catch {
    // Killed before it answered.
  }
}

// A document that is deleted as soon as it is there: its original is removed by a job.
async function deleteOne(server, organization, number) {
  const uploaded = [];
  await uploadOne(server, organization, number, uploaded);
  if (uploaded.length === 0) return;
  try {
    const { body } = await server.get('/v1/sources', organization.key);
    const source = body.data.find(({ name }) => name === `note-${number}.md`);
    await server.call('DELETE', `/v1/sources/${source.id}`, { key: organization.key });
  } catch {
    // Killed before it answered.
  }
}

// One life of the server: started, loaded, killed. Gives the time until it listened, or null when it
// was killed before.
async function live(server, load, kill) {
  let timer;
  try {
    const killIn = (ms) => { timer = setTimeout(() => server.process?.kill('SIGKILL'), ms); };
    if (kill.afterSpawnMs !== undefined) killIn(kill.afterSpawnMs);
    const recovery = await server.start({ failpoints: kill.step ? `${kill.step}=crash:${kill.passes}` : undefined });
    load.feed(UNDER_WAY);
    if (kill.afterStartMs !== undefined) killIn(kill.afterStartMs);
    kill.whenUp?.();
    const end = await within(server.ended, () => `a kill at ${JSON.stringify(kill)}`, 60_000);
    assert.equal(end.signal, 'SIGKILL', `ended by itself: ${JSON.stringify(end)}\n${server.stderr.slice(-30).join('\n')}`);
    return recovery;
  } catch (error) {
    if (error.end?.signal !== 'SIGKILL') throw error;
    return null;
  } finally {
    clearTimeout(timer);
    load.stop();
  }
}

function report(kills, recoveries, load, uncertain, totals, seconds) {
  const times = recoveries.filter((ms) => ms !== null).sort((a, b) => a - b);
  const rows = [...Object.entries(kills).map(([step, count]) => [`kills at ${step}`, count]),
    ['messages written', load.said.size], ['accepted (2xx)', load.accepted.size], ['accepted again', load.repeated],
    ['refused or cut off', load.refused], ['stored', totals.stored], ['answered', totals.answered],
    ['answers from the documents', totals.grounded],
    ['answers delivered', totals.delivered], ...Object.entries(totals.sources).map(([source, count]) => [`  by ${source}`, count]), ['uncertain, held', totals.held], ['  of them had arrived', totals.heldButThere],
    ['uncertain, sent again', uncertain.resend], ['  of them arrived twice', totals.twice],
    ['killed while starting', recoveries.length - times.length],
    ['recovery p50, ms', Math.round(times[times.length >> 1] ?? 0)], ['recovery max, ms', Math.round(times.at(-1) ?? 0)],
    ['seconds', Math.round(seconds)]];
  const polled = load.accepted.size === 0; // nothing is delivered then, but fetched
  return rows.filter(([name]) => !polled || !/accepted|refused/.test(name)).map(([name, value]) => `  ${name.padEnd(34)} ${String(value).padStart(8)}`);
}

// Kills so often, then lets everything settle. What was seen on the way.
async function torment(t, server, load, organizations, killCount) {
  const seen = { kills: {}, recoveries: [], uncertain: { hold: 0, resend: 0 }, notes: [] };
  const { stdout } = await server.run(['config', '--failpoints']);
  const steps = stdout.trim().split('\n').filter((step) => !OUT_OF_REACH.test(step));
  assert.ok(steps.length >= 10, `the build has failpoints: ${stdout}`);
  server.on('log', (event) => { if (event.event === 'send.uncertain') seen.uncertain[event.policy] += 1; });
  await server.kill();
  for (let i = 0; i < killCount; i++) {
    const step = i % 2 === 0 ? steps[(i / 2) % steps.length] : null;
    const kill = step ? { step, passes: passesOf(step) } : someMoment();
    server.settings['gateway.record_at_once'] = below(2) * 16; // half of the time all are put aside first
    if (step === 'ingest.originals_removed') {
      kill.whenUp = () => deleteOne(server, organizations[below(organizations.length)], i);
    } else if (step === 'ingest.draft_published') {
      kill.whenUp = () => publishOne(server, organizations[below(organizations.length)], i, seen.notes);
    } else if (step && isOfDocuments(step)) {
      kill.whenUp = () => uploadOne(server, organizations[below(organizations.length)], i, seen.notes);
    }
    if (i % CYCLES_OF_A_GENERATION === 0) load.nextGeneration();
    seen.recoveries.push(await live(server, load, kill));
    seen.kills[step ?? 'random moments'] = (seen.kills[step ?? 'random moments'] ?? 0) + 1;
  }
  for (const step of steps.slice(0, Math.ceil(killCount / 2))) assert.ok(seen.kills[step] > 0, `killed at ${step}`);
  seen.recoveries.push(await server.start());
  await load.settle(60_000);
  for (const organization of organizations) await server.waitUntilIdle(organization, 60_000);
  return seen;
}

async function crashTest(t, killCount, { polling, seed }) {
  const begun = performance.now();
  random = seeded(seed);
  const load = new Load(random, polling ? ['telegram'] : SOURCES);
  const server = await Parley.create({
    'limits.sender_per_minute': 0, 'limits.staff_per_minute': 0, 'answer.workers': 4, 'send.workers': SENDERS, 'http.workers': 8,
  });
  if (engine === 'pgsql') Object.assign(server.settings, { 'queue.lease': '2s', 'queue.sweep': '500ms' });
  t.diagnostic(`CRASH_SEED=${SEED}`);
  t.after(async () => {
    await server.kill();
    await load.end();
    await server.destroy();
  });
  const organizations = await prepare(server, load, polling);
  const { kills, recoveries, uncertain, notes } = await torment(t, server, load, organizations, killCount);
  const { problems, problemCount, totals, sources } = await verify(server, load);
  const seconds = (performance.now() - begun) / 1000;
  for (const line of report(kills, recoveries, load, uncertain, { ...totals, sources }, seconds)) t.diagnostic(line);
  assert.equal(problemCount, 0, `${problemCount} problems, CRASH_SEED=${SEED}:\n${problems.join('\n')}`);
  if (killCount >= 50) for (const source of load.sources) assert.ok(sources[source] > 0, `answers by ${source}`);
  assert.equal(totals.stored, load.said.size);
  assert.equal(totals.answered, load.said.size);
  // Killed between the count and its commit, a send is counted again: never less than there are.
  assert.ok(totals.held <= uncertain.hold && totals.twice <= uncertain.resend,
    `uncertain sends are counted: ${JSON.stringify({ totals, uncertain })}`);
  assert.ok(totals.held + totals.twice <= killCount * SENDERS, 'no more than were in flight');
  for (const { organization, number } of notes) {
    const answer = await server.ask(organization, `What is the password of cellar ${number}?`);
    assert.match(JSON.stringify(answer.snippets), new RegExp(`W${number}Q`), `note ${number} is searchable`);
  }

  await t.test('the API tells the same', async () => {
    for (const organization of organizations) {
      const conversations = await server.list('/v1/conversations', organization.key);
      const [{ n }] = await server.sql(organization, 'SELECT count(*) AS n FROM conversation');
      assert.equal(conversations.length, n);
      assert.deepEqual((await server.get('/v1/dead-letters', organization.key)).body.data, []);
    }
    assert.equal((await server.get('/readyz')).status, 200);
  });

  await t.test('a person resends what was held, and it is sent', async () => {
    for (const organization of organizations.filter((one) => !one.resends)) {
      const held = await server.sql(organization, "SELECT id FROM message WHERE delivery = 'uncertain'");
      for (const { id } of held) {
        const { status, text } = await server.post(`/v1/messages/${id}/resend`, organization.key, {});
        assert.equal(status, 202, text);
      }
      let left = [];
      const began = performance.now();
      await until(async () => {
        left = await server.sql(organization, "SELECT source, delivery, external_chat_id, id FROM message WHERE delivery NOT IN ('sent', 'delivered', 'read')");
        return left.length === 0;
      }, () => `all ${held.length} held messages of ${organization.slug} to be sent; left are ${JSON.stringify(left)}`);
      t.diagnostic(`${organization.slug}: ${held.length} held messages sent in ${Math.round(performance.now() - began)} ms`);
    }
  });
}

test(`${KILLS} kills lose nothing, repeat nothing, leave nothing stuck (CRASH_SEED=${SEED})`,
  (t) => crashTest(t, KILLS, { polling: false, seed: SEED }));

test(`nor do ${Math.ceil(KILLS / 5)} kills while it asks for updates (CRASH_SEED=${SEED})`,
  (t) => crashTest(t, Math.ceil(KILLS / 5), { polling: true, seed: SEED + 1 }));
