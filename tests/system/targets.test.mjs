// targets.test.mjs - no payload, however shaped, makes a reply go to another person, account or organization
//
// Two organizations, each with an account at every provider. To the first one's webhooks come payloads that
// are signed as they should be and bent in every place: values of another account and of another person,
// the payload's own values exchanged, keys twice, members missing, wrong types, separators of our own ids,
// huge texts. Whatever is kept of them: the chat is the one that the provider's own field names, what is for
// another account is not kept, an answer goes where its question came from, and the second organization
// gets nothing. TARGETS_SEED repeats a run.
import assert from 'node:assert/strict';
import test from 'node:test';

import { seeded } from '../crash/load.mjs';
import { NETWORKS } from '../support/networks.mjs';
import { DEPOSIT, openServer } from './scene.mjs';

const SEED = Number(process.env.TARGETS_SEED ?? Math.floor(Math.random() * 2 ** 32));
const VICTIM = 99;
const EXCHANGES = 40; // pairs of values of one payload
const AT_ONCE = 8;
const HUGE = 'x'.repeat(100_000);

// --- who wrote, by the provider's documentation; what is for another account was written by nobody ---

const list = (value) => (Array.isArray(value) ? value : []);
const CHATS = {
  telegram(value) {
    const chat = value.message?.chat?.id;
    return [String(chat), `${chat}:${value.message?.message_thread_id}`];
  },
  whatsapp_business(value, account) {
    return list(value.entry).flatMap((entry) => list(entry?.changes)).map((change) => change?.value)
      .filter((change) => change?.metadata?.phone_number_id === account.numberId)
      .flatMap((change) => list(change.messages).flatMap((message) => {
        const contacts = list(change.contacts);
        const known = contacts.filter((one) => one?.wa_id !== undefined && one.wa_id === message?.from);
        const names = [message?.from, message?.from_user_id].filter((name) => typeof name === 'string' && name !== '');
        const alone = names.length === 0 ? contacts : [];
        return [...names, ...[...known, ...alone].flatMap((one) => [one?.user_id, one?.wa_id])];
      }));
  },
  instagram(value, account) {
    return list(value.entry).filter((entry) => entry?.id === account.accountId)
      .flatMap((entry) => list(entry.messaging)).map((event) => event?.sender?.id);
  },
  twilio_sms: (value) => [].concat(value.From ?? []).slice(0, 1),
  twilio_whatsapp: (value) => [].concat(value.From ?? []).slice(0, 1).map((from) => `${from}`.replace('whatsapp:', '')),
  slack(value, { double }) {
    const text = (one) => (typeof one === 'string' ? one : '');
    if ((text(list(value.authorizations)[0]?.team_id) || text(value.team_id)) !== double.teamId) return [];
    if (text(value.api_app_id) !== '' && value.api_app_id !== double.appId) return []; // the signature proves the app
    const { channel, ts, thread_ts: root } = value.event ?? {};
    return [channel, `${channel}:${root}`, `${channel}:${ts}`];
  },
  teams: (value) => [`${`${value.serviceUrl}`.replace(/\/+$/, '')}|${value.conversation?.id}`],
  email: (value) => [/<([^<>]*)>/.exec(value.From)?.[1] ?? value.From],
};

// Members of a payload that name somebody and do not say who wrote.
const DECOYS = {
  telegram: (victim) => ({
    message: {
      reply_to_message: { ...victim.message, text: 'Earlier' }, forward_origin: { type: 'user', sender_user: victim.message.from },
      via_bot: victim.message.from, external_reply: { chat: victim.message.chat, message_id: 3 },
    },
  }),
  whatsapp_business: (victim) => ({ context: { from: 'DE.99', id: 'wamid.OTHER', referred_product: {} }, recipient_id: victim.id }),
  instagram: (victim) => ({ message: { reply_to: { mid: 'other', sender: { id: victim.chatId } } }, recipient_id: victim.chatId }),
  twilio_sms: (victim) => ({ OriginalRepliedMessageSender: victim.From, ReplyTo: victim.From, WaId: victim.From }),
  twilio_whatsapp: (victim) => ({ OriginalRepliedMessageSender: victim.From, WaId: victim.WaId, ExternalUserId: victim.From }),
  slack: (victim) => ({ event: { parent_user_id: victim.event.user, item: { channel: victim.event.channel }, response_url: 'http://127.0.0.1:1/' } }),
  teams: (victim) => ({ replyToId: victim.id, relatesTo: { conversation: victim.conversation, serviceUrl: victim.serviceUrl }, channelData: { onBehalfOf: victim.from } }),
  email: (victim) => ({ ReplyTo: victim.From, FromFull: { Email: victim.From }, OriginalRecipient: victim.From, Cc: victim.From }),
};

const merge = (value, more) => {
  const merged = { ...value };
  for (const [key, one] of Object.entries(more)) {
    merged[key] = one && typeof one === 'object' && !Array.isArray(one) && merged[key] && typeof merged[key] === 'object' ? merge(merged[key], one) : one;
  }
  return merged;
};

// --- bending ---

function leavesOf(value, path = []) {
  if (value === null || typeof value !== 'object') return [path];
  return Object.entries(value).flatMap(([key, one]) => leavesOf(one, [...path, key]));
}

function nodesOf(value, path = []) {
  if (value === null || typeof value !== 'object') return [];
  return [path, ...Object.entries(value).flatMap(([key, one]) => nodesOf(one, [...path, key]))];
}

const at = (value, path) => path.reduce((one, key) => one?.[key], value);

// A copy with something else there; undefined: nothing.
function put(value, path, other) {
  if (path.length === 0) return other;
  const copy = structuredClone(value);
  const parent = at(copy, path.slice(0, -1));
  const key = path.at(-1);
  if (other !== undefined) parent[key] = other;
  else if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return copy;
}

// The text of it with one key twice, which no honest provider sends.
function twice(value, path, other, otherFirst) {
  const mark = '"@@"';
  const [first, second] = otherFirst ? [other, at(value, path)] : [at(value, path), other];
  const key = JSON.stringify(path.at(-1));
  return JSON.stringify(put(value, path, '@@')).replace(`${key}:${mark}`, () => `${key}:${JSON.stringify(first)},${key}:${JSON.stringify(second)}`);
}

// What there is in place of one value: make is called with it, the victim's at the same account and the
// one at the other account.
const REPLACEMENTS = [
  (own, victim) => victim, (own, victim, elsewhere) => elsewhere, () => undefined, () => null, () => '', () => HUGE, () => -1,
  () => ({ id: 'x' }), () => [], (own, victim) => `${own}:${victim}`, (own, victim) => `${own}|${victim}`, (own, victim) => `${victim}\n${own}`,
  (own, victim) => [own, victim],
];

// [what, the value or its text, values that it may be read as]
function* bent(make, victim, elsewhere, isForm, random, isWhole) {
  for (const path of isWhole ? leavesOf(make()) : []) {
    for (const [i, replace] of REPLACEMENTS.entries()) {
      const value = make();
      const other = replace(at(value, path), at(victim, path), at(elsewhere, path));
      const changed = put(value, path, other);
      if (!isForm || typeof other === 'string' || other === undefined) yield [`${path.join('.')} ${i}`, changed, [changed]];
    }
    for (const other of [at(victim, path), at(elsewhere, path)]) {
      for (const otherFirst of [false, true]) {
        const value = make();
        const own = at(value, path);
        if (other === undefined || /^\d+$/.test(path.at(-1))) continue;
        if (isForm) {
          const changed = put(value, path, otherFirst ? [other, own] : [own, other]);
          yield [`${path.join('.')} twice`, changed, [changed]];
        } else {
          yield [`${path.join('.')} twice`, twice(value, path, other, otherFirst), [put(value, path, other), value]];
        }
      }
    }
  }
  for (let i = 0; i < EXCHANGES; i++) {
    const value = make();
    const leaves = leavesOf(value);
    const [one, other] = [leaves[Math.floor(random() * leaves.length)], leaves[Math.floor(random() * leaves.length)]];
    const changed = put(put(value, one, at(value, other)), other, at(value, one));
    yield [`${one.join('.')} and ${other.join('.')} exchanged`, changed, [changed]];
  }
  if (isForm) return;
  for (const path of nodesOf(make())) {
    for (const other of [at(victim, path), at(elsewhere, path)]) {
      if (other === undefined || path.length === 0) continue;
      const changes = Array.isArray(other) ? [(own) => [...own, ...other], (own) => [...other, ...own]] : [() => other];
      for (const change of changes) {
        const value = make();
        const changed = put(value, path, change(at(value, path)));
        yield [`${path.join('.')} with others`, changed, [changed]];
      }
    }
  }
}

// --- the test ---

const groupBy = (rows, key) => rows.reduce((groups, row) => groups.set(row[key], [...(groups.get(row[key]) ?? []), row]), new Map());

async function inTurn(items, work) {
  const waiting = [...items];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (waiting.length > 0) await work(waiting.shift());
  }));
}

function makeAll(source, own, other, random) {
  const victim = own.compose(VICTIM, 'Earlier').value;
  const elsewhere = other.compose(VICTIM, 'Elsewhere').value;
  const all = [];
  let made;
  const make = (decoyed) => () => {
    const marker = `q${all.length}q`;
    made = { marker, ...own.compose(1000 + all.length, `${DEPOSIT} ${marker}`) };
    if (!decoyed) return made.value;
    if (source !== 'whatsapp_business') return merge(made.value, DECOYS[source](victim));
    return put(made.value, ['entry', 0, 'changes', 0, 'value', 'messages', 0], merge(made.value.entry[0].changes[0].value.messages[0], DECOYS[source](victim)));
  };
  for (const decoyed of [false, true]) {
    for (const [what, value, readings] of bent(make(decoyed), victim, elsewhere, source.startsWith('twilio'), random, !decoyed)) {
      const chats = readings.flatMap((reading) => CHATS[source](reading ?? {}, own)).filter((chat) => chat !== undefined && chat !== null).map(String);
      all.push({ what: `${what}${decoyed ? ', with decoys' : ''}`, value, chats, marker: made.marker, id: made.id, chatId: made.chatId });
    }
  }
  return all;
}

function checkKept(source, all, inbound) {
  const byMarker = new Map(all.map((one) => [one.marker, one]));
  const byId = new Map(all.map((one) => [one.id, one]));
  const byWriter = new Map(all.map((one) => [one.chatId, one]));
  let asked = 0;
  for (const row of inbound) {
    const marker = /q\d+q/.exec(row.body ?? '')?.[0] ?? /q\d+q/.exec(row.external_message_id)?.[0];
    const found = byId.get(row.external_message_id) ?? byMarker.get(marker) ?? byWriter.get(row.external_chat_id);
    if (/Earlier|Elsewhere/.test(row.body) && !found) continue; // the victim's own, taken along whole
    assert.ok(found, `${source}: nobody wrote ${JSON.stringify(row).slice(0, 400)}`);
    assert.ok(found.chats.includes(row.external_chat_id),
      `${source}, ${found.what}: kept for chat ${row.external_chat_id}, the provider says ${JSON.stringify(found.chats).slice(0, 400)}`);
    asked += 1;
  }
  return asked;
}

function checkAnswers(source, own, inbound, outbound, parts) {
  const asked = groupBy(inbound, 'conversation_id');
  const rows = new Map(outbound.map((row) => [row.id, row]));
  const sent = new Map(parts.map((part) => [part.external_message_id, rows.get(part.message_id)]));
  for (const row of outbound) {
    const questions = asked.get(row.conversation_id) ?? [];
    assert.ok(questions.some((one) => one.external_chat_id === row.external_chat_id), `${source}: an answer to ${row.external_chat_id}, who asked nothing`);
  }
  for (const { external, chatId } of own.got()) {
    assert.equal(sent.get(external)?.external_chat_id, chatId, `${source}: ${chatId} got what was not meant for it`);
  }
}

test(`no payload makes a reply go elsewhere (TARGETS_SEED=${SEED})`, async (t) => {
  const random = seeded(SEED);
  const server = await openServer(t, { publicUrl: true, organizations: ['here', 'there'], settings: { 'limits.sender_per_minute': 0 } });
  const { here, there } = server.organizations;
  const networks = {};
  let number = 0;
  for (const source of Object.keys(NETWORKS)) {
    networks[source] = [here, there].map((organization) => Object.assign(new NETWORKS[source](++number), { organization }));
    for (const one of networks[source]) {
      await one.start();
      t.after(() => one.stop());
      await one.connect(server, one.organization, { burst_window_ms: 0 }, { polling: true });
    }
  }

  for (const [source, [own, other]] of Object.entries(networks)) {
    await t.test(source, async () => {
      const all = makeAll(source, own, other, random);
      const statuses = {};
      await inTurn(all, async (one) => {
        const status = await own.post(one.value);
        statuses[status] = (statuses[status] ?? 0) + 1;
        assert.ok([200, 202, 400, 401, 403, 413, 422].includes(status), `${one.what}: ${status}`);
      });
      await server.waitUntilIdle(here, 120_000);
      const rows = (await server.sql(here, `SELECT id, channel_id, conversation_id, role, external_message_id, external_chat_id, body FROM message`))
        .filter((row) => row.channel_id === own.channel.id);
      const parts = await server.sql(here, "SELECT message_id, external_message_id FROM delivery WHERE state IN ('sent', 'delivered', 'read')");
      const [inbound, outbound] = [rows.filter((row) => row.role === 'user'), rows.filter((row) => row.role !== 'user')];
      const kept = checkKept(source, all, inbound);
      checkAnswers(source, own, inbound, outbound, parts);
      assert.ok(kept > all.length / 4 && outbound.length > kept / 2, `${source}: ${kept} of ${all.length} were kept, ${outbound.length} answered`);
      t.diagnostic(`${source}: ${all.length} payloads (${JSON.stringify(statuses)}), ${kept} kept, ${own.got().length} answers arrived`);
    });
  }

  await t.test('the other organization has nothing of it', async () => {
    assert.deepEqual(await server.sql(there, 'SELECT id FROM message'), []);
    assert.deepEqual(await server.sql(there, 'SELECT id FROM conversation'), []);
    assert.deepEqual(await server.sql(there, 'SELECT id FROM channel_event'), []);
    for (const [, other] of Object.values(networks)) assert.deepEqual(other.got(), []);
  });
});
