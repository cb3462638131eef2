// channels.test.mjs - one conformance of all channels: what comes is answered where it came from, once, and what became
// of the answer is known, whatever the provider does. How they differ is a table, channel_rows.mjs
import assert from 'node:assert/strict';
import test from 'node:test';

import { Mail } from '../support/mail.mjs';
import { until } from '../support/server.mjs';
import { ASKED, POLLED, REGISTERS, ROWS, STATES } from './channel_rows.mjs';
import { DEPOSIT, PUNCTURE, openServer } from './scene.mjs';

const AT_ONCE = 10; // more at a time, and Node warns of listeners
const HANG_MS = 90_000; // a mail server is waited for a minute
let lastPerson = 1000;

const everywhere = () => true;
const atProvider = ({ hasProvider = true }) => hasProvider;
const reported = (row) => atProvider(row) && row.can.includes(STATES);

// A channel of the row: what is written there, and what comes of it.
class Account {
  // opened: has the account before anything can go wrong with it.
  static async open(opened, server, row, number, { mail, settings = {} }) {
    const account = new Account();
    Object.assign(account, { server, row, network: row.open(number, mail), answers: new Map() });
    await account.network.start();
    opened.push(account);
    row.prepare?.(account.network);
    await account.network.connect(server, server.shop, { burst_window_ms: 0, ...settings });
    return account;
  }

  // Somebody new, and the first words. answers: how many messages the provider has of us in the end.
  async newcomer(text, answers = 1) {
    lastPerson += 1;
    const person = lastPerson;
    await this.network.meet?.(person);
    const { chatId, value } = this.network.compose(person, text);
    this.answers.set(chatId, answers);
    return { person, chatId, value };
  }

  async post(value) {
    assert.equal(Math.floor(await this.network.post(value) / 100), 2);
  }

  async messages(chatId) {
    const { shop } = this.server;
    const [row] = await this.server.sql(shop,
      `SELECT id FROM conversation WHERE channel_id = '${this.network.channel.id}' AND external_chat_id = '${chatId}'`);
    return row ? this.server.list(`/v1/conversations/${row.id}/messages`, shop.key) : [];
  }

  // The answer as the API shows it, once it is in this state.
  settled(chatId, state, timeoutMs) {
    let last;
    return until(async () => {
      last = (await this.messages(chatId)).at(-1);
      if (last?.role !== 'assistant' || last.delivery !== state) return null;
      return (await this.server.get(`/v1/messages/${last.id}`, this.server.shop.key)).body;
    }, () => `the answer to ${chatId} to be ${state}, not ${last?.delivery}; ${this.server.stderr.slice(-5).join('\n')}`, timeoutMs);
  }

  // Of an answer that has left: the web chat says more, for nobody else has to deliver it.
  get leftState() {
    return atProvider(this.row) ? 'sent' : 'delivered';
  }

  left(chatId, timeoutMs) {
    return this.settled(chatId, this.leftState, timeoutMs);
  }

  async got(chatId) {
    return (await this.network.got()).filter((one) => one.chatId === chatId);
  }

  tries(chatId) {
    return this.row.tries(this.network, chatId);
  }

  // How many reports of the provider are kept.
  async reports() {
    const [{ n }] = await this.server.sql(this.server.shop,
      `SELECT count(*) AS n FROM channel_event WHERE channel_id = '${this.network.channel.id}' AND kind = 'delivery'`);
    return Number(n);
  }

  // The provider has the answer and we do not know: once all is known that can be.
  async settledAfterLoss(chatId, timeoutMs) {
    const { row, network } = this;
    if (row.lost === 'asked') {
      await row.keepsCopy?.(network, chatId);
      await this.left(chatId, timeoutMs);
    } else {
      await this.settled(chatId, 'uncertain', timeoutMs);
    }
    if (row.lost === 'told') {
      const [lost] = await this.got(chatId);
      assert.equal(await row.tell(network, lost, row.states.at(-1)), 200);
      await this.settled(chatId, row.states.at(-1), timeoutMs);
    }
    assert.equal(this.tries(chatId).length, 1, 'it is not sent again');
  }
}

const CASES = [
  ['is answered where it came from, and the state of the answer is known', everywhere, async (account) => {
    const { row, network } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE);
    await account.post(value);
    const { text, envelope } = await account.left(chatId);
    const [answer] = await account.got(chatId);
    assert.match(text, /19 euros/);
    assert.match(answer.text, /19 euros/);
    if (atProvider(row)) assert.equal(account.tries(chatId).length, 1, 'nothing is shown of it before, which is at hand at once');
    assert.equal(envelope.meta.channel_type, row.source);
    for (const state of reported(row) ? row.states : []) {
      assert.equal(await row.tell(network, answer, state), 200);
      await account.settled(chatId, state);
    }
  }],

  ['the same three times, at once and after the answer, is answered once', everywhere, async (account) => {
    const { chatId, value } = await account.newcomer(PUNCTURE);
    await Promise.all([1, 2].map(() => account.post(value)));
    await account.left(chatId);
    await account.post(value);
    await account.server.waitUntilIdle(account.server.shop);
    assert.deepEqual((await account.messages(chatId)).map(({ role }) => role), ['user', 'assistant']);
  }],

  ['two within a second, whichever comes first: none is lost, each is answered once', everywhere, async (account) => {
    for (const order of [[0, 1], [1, 0]]) {
      const { person, chatId, value } = await account.newcomer(PUNCTURE);
      const said = [value, account.network.compose(person, DEPOSIT).value];
      for (const i of order) await account.post(said[i]);
      const covered = await until(async () => {
        const messages = await account.messages(chatId);
        const seqs = messages.filter(({ role }) => role === 'assistant').flatMap(({ answers_from_seq: from, answers_to_seq: to }) => messages
          .filter(({ role, seq }) => role === 'user' && seq >= (from ?? to) && seq <= to).map(({ seq }) => seq));
        return seqs.length >= 2 ? seqs : null;
      }, `answers to both of ${chatId}`);
      await account.left(chatId);
      const messages = await account.messages(chatId);
      const asked = messages.filter(({ role }) => role === 'user');
      const others = messages.filter(({ role }) => role !== 'user');
      assert.deepEqual([...new Set(others.map(({ role, delivery }) => `${role} ${delivery}`))], [`assistant ${account.leftState}`]);
      assert.deepEqual(covered, asked.map(({ seq }) => seq), 'in order, each once');
      assert.deepEqual(asked.map(({ text }) => text), order.map((i) => [PUNCTURE, DEPOSIT][i]));
      account.answers.set(chatId, others.length);
    }
  }],

  ['a provider that wants us to wait is waited for', atProvider, async (account) => {
    const { row, network } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE);
    row.fail.later(network, chatId);
    await account.post(value);
    await account.left(chatId);
    const [first, second, ...more] = account.tries(chatId);
    assert.deepEqual(more, []);
    assert.ok(second.at - first.at >= row.toldWaitMs - 50, `${second.at - first.at} ms later`);
  }],

  ['a provider in trouble is asked again', atProvider, async (account) => {
    const { row, network } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE);
    row.fail.broken(network, chatId);
    await account.post(value);
    await account.left(chatId);
    assert.equal(account.tries(chatId).length, 2);
  }],

  ['an answer of the provider that cannot be read: nothing is sent twice', atProvider, async (account) => {
    const { row, network } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE);
    row.fail.cut(network, chatId);
    await account.post(value);
    await account.settledAfterLoss(chatId);
  }],

  ['what the provider refuses has failed, and says why', atProvider, async (account) => {
    const { row, network } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE, 0);
    row.fail.refused(network, chatId);
    await account.post(value);
    const { parts } = await account.settled(chatId, 'failed');
    assert.match(parts[0].reason, row.reason);
    assert.equal(account.tries(chatId).length, 1);
  }],

  ['reports in any order never take a state back', reported, async (account) => {
    const { row, network } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE);
    await account.post(value);
    await account.left(chatId);
    const [answer] = await account.got(chatId);
    const [last, ...others] = [...row.states].reverse();
    const before = await account.reports();
    const told = [last, ...others, last];
    for (const [i, state] of told.entries()) {
      assert.equal(await row.tell(network, answer, state), 200);
      await account.settled(chatId, last);
      if (row.lost === 'asked') await until(async () => await account.reports() > before + i, 'the report to be read'); // from a mailbox
    }
    assert.equal((await account.messages(chatId)).at(-1).delivery, last);
  }],

  ['what the provider did not sign is refused, and nothing is kept', everywhere, async (account) => {
    const { row, network, server } = account;
    const { chatId, value } = await account.newcomer(PUNCTURE, 0);
    // Slack's double waits three seconds, as Slack does: on a machine that was slow it asks again.
    assert.equal(await until(() => row.forge(network, value), 'an answer'), 401);
    await server.waitUntilIdle(server.shop);
    assert.deepEqual(await account.messages(chatId), []);
  }],
];

// A test with one in it for each row, side by side.
const forEach = (t, name, rows, run, skip = () => false) => t.test(name, { concurrency: AT_ONCE }, (inner) => {
  return Promise.all(rows.map((row) => inner.test(row.name, { skip: skip(row) }, () => run(row))));
});

// {source: {columns that it has, and of the others why not}} as the program says.
async function whatParleySays(server) {
  const { code, stdout } = await server.run(['config', '--channels']);
  assert.equal(code, 0);
  const rows = stdout.split('\n').map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('`', '')));
  const [, ...titles] = rows[0];
  const said = {};
  for (const [source, ...cells] of rows.slice(2, rows.findIndex((row) => row.length === 0))) {
    said[source] = { can: titles.filter((_, i) => cells[i] === 'yes'), why: {} };
  }
  for (const [source, title, why] of rows.filter((row) => row.length === 3)) if (said[source]) said[source].why[title] = why;
  return said;
}

async function rowsAreAsParleySays(server) {
  const said = await whatParleySays(server);
  assert.deepEqual([...new Set(ROWS.map(({ source }) => source))].sort(), Object.keys(said).sort(), 'every channel has a row');
  for (const row of ROWS) {
    const { can, why } = said[row.source];
    assert.deepEqual(row.can, [STATES, ASKED, POLLED, REGISTERS].filter((title) => can.includes(title)), row.name);
    // Nobody but the web chat has all of these, because there is nobody to ask, to tell or to register at.
    assert.equal(atProvider(row), row.can.length < 4, row.name);
    assert.equal(Boolean(row.states?.length && row.tell), reported(row), row.name);
    if (row.lost === 'asked') assert.ok(can.includes(ASKED), row.name);
    if (row.source !== 'email' && atProvider(row)) assert.equal(row.lost === 'told', /carr(y|ies) our reference/.test(why[ASKED] ?? ''), row.name);
    if (row.lost === 'held') assert.ok(!can.includes(ASKED), row.name);
  }
}

async function openAccounts(t) {
  const server = await openServer(t, { publicUrl: true });
  const opened = [];
  t.after(() => Promise.all(opened.map(({ network }) => network.stop())));
  return { server, opened };
}

async function conformance(t, mail) {
  const { server, opened } = await openAccounts(t);
  const accounts = new Map();
  for (const [i, row] of ROWS.entries()) {
    if (!row.missing || mail) accounts.set(row, await Account.open(opened, server, row, i + 1, { mail }));
  }
  await t.test('the table is what the program says of its channels', () => rowsAreAsParleySays(server));
  for (const [name, applies, run] of CASES) {
    await forEach(t, name, ROWS.filter(applies), (row) => run(accounts.get(row)), (row) => (accounts.has(row) ? false : 'no mail server can be had here'));
  }
  await t.test('nothing else was sent to anybody', async () => {
    await server.waitUntilIdle(server.shop);
    for (const account of accounts.values()) {
      const { row, network, answers } = account;
      const sent = new Map([...answers].map(([chatId]) => [chatId, 0]));
      for (const { chatId } of await network.got()) sent.set(chatId, (sent.get(chatId) ?? 0) + 1);
      for (const [chatId, count] of sent) {
        if (count !== answers.get(chatId)) {
          const messages = await account.messages(chatId);
          assert.fail(`${row.name}: ${count} instead of ${answers.get(chatId)} in ${chatId}: ${JSON.stringify(messages)}`);
        }
      }
    }
  });
}

// Each provider takes the call, and says nothing until Parley gives up.
async function silence(t, mail, begun) {
  const { server, opened } = await openAccounts(t);
  const rows = ROWS.filter((row) => !row.missing || mail);
  const open = (row, number, settings) => Account.open(opened, server, row, number, { mail, settings });
  const others = Promise.all(rows.map((row, i) => open(row, 40 + i)));
  const held = new Map(await Promise.all(rows.filter(atProvider).map(async (row, i) => {
    const account = await open(row, 20 + i, { on_uncertain: row.silentPolicy ?? 'hold' });
    const { chatId, value } = await account.newcomer(PUNCTURE);
    row.fail.silent(account.network, chatId, row.silentPolicy !== 'resend');
    await account.post(value);
    await until(() => account.tries(chatId).length === 1, `a call to ${row.name}`);
    return [row, { account, chatId }];
  })));
  begun();

  await t.test('delays no other channel', async () => {
    await Promise.all((await others).map(async (account) => {
      const { chatId, value } = await account.newcomer(PUNCTURE);
      await account.post(value);
      await account.left(chatId);
    }));
    for (const [row, { account, chatId }] of held) assert.equal((await account.messages(chatId)).at(-1).delivery, 'sending', row.name);
  });
  await forEach(t, 'is given up, and what was sent is held, found, or sent once more as the channel wants', [...held.keys()], async (row) => {
    const { account, chatId } = held.get(row);
    if (row.silentPolicy === 'resend') {
      await account.left(chatId, HANG_MS);
      assert.equal(account.tries(chatId).length, 2);
    } else {
      await account.settledAfterLoss(chatId, HANG_MS);
    }
    assert.equal((await account.got(chatId)).length, 1);
  });
}

test('channels', { concurrency: AT_ONCE }, async (t) => {
  const mail = (await Mail.missing()) ? null : await Mail.start();
  t.after(() => mail?.stop());
  // Of a minute of silence the rest makes use.
  let begun;
  const hasBegun = new Promise((resolve) => { begun = resolve; });
  const silent = t.test('a provider that says nothing', (inner) => silence(inner, mail, begun).finally(begun));
  await hasBegun;
  await Promise.all([silent, t.test('each channel', (inner) => conformance(inner, mail))]);
});
