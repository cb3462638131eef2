// targets.test.mjs - no payload, however shaped, makes a reply go to another person, account or organization
//
// Two organizations, each with an account at every provider. To the first one's webhooks come payloads that
// are signed as they should be and bent in every place: values of another account and of another person,
// the payload's own values exchanged, keys twice, members missing, wrong types, separators of our own ids,
// huge texts. Plain messages are bent everywhere, what else providers send (target_shapes.mjs) where ids of others
// fit and in some other places. Whatever is kept of them: the chat is the one that the provider's own field names, what is for
// another account is not kept, an answer goes where its question came from, and the second organization
// gets nothing. TARGETS_SEED repeats a run, TARGETS_ONLY names one source.
import assert from 'node:assert/strict';
import test from 'node:test';

import { seeded } from '../crash/load.mjs';
import { NETWORKS } from '../support/networks.mjs';
import { DEPOSIT, Visitor, openServer } from './scene.mjs';
import { MAILS, SHAPES } from './target_shapes.mjs';

const SEED = Number(process.env.TARGETS_SEED ?? 1);
const ONLY = process.env.TARGETS_ONLY;
const VICTIM = 99;
const EXCHANGES = 40; // pairs of values of one payload
const SHAPE_BENDS = 24; // of each other shape
const AT_ONCE = 8;
const HUGE = 'x'.repeat(100_000);

// --- who wrote, by the provider's documentation; what is for another account was written by nobody ---

const list = (value) => (Array.isArray(value) ? value : []);
const CHATS = {
  telegram(value) {
    const message = value.message ?? value.callback_query?.message;
    return [String(message?.chat?.id), `${message?.chat?.id}:${message?.message_thread_id}`];
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
// Whoever one of the lines "From:" names.
const MAIL_CHATS = (value) => [].concat(value.From ?? []).flatMap((from) => [...`${from}`.slice(0, 1000).matchAll(/[^\s<>",;:|]+@[^\s<>",;:|]+/g)].map(([address]) => address.toLowerCase()));

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

// Some of the ways to bend it, those with other people's values first.
function sample(bends, count, random) {
  const [telling, rest] = [[], []];
  for (const bend of bends) (/ [01]$/.test(bend[0]) ? telling : rest).push(bend);
  return [...telling, ...rest].map((bend, i) => [bend, i < telling.length ? random() / 2 : random()]).sort((a, b) => a[1] - b[1]).slice(0, count).map(([bend]) => bend);
}

// What else the provider sends, bent, each with the message before it where it is about one.
function makeShapes(source, own, other, random) {
  const all = [];
  for (const [k, shape] of SHAPES[source].entries()) {
    const of = (network, person, text) => { const written = network.compose(person, text); return { written, value: shape.make(network, written) }; };
    const victim = of(own, VICTIM, 'Earlier').value;
    const elsewhere = of(other, VICTIM, 'Elsewhere').value;
    let made;
    const all_made = new Map();
    const make = () => { // a message of its own for each
      const marker = `q${(k + 1) * 10_000 + all_made.size}q`;
      made = { marker, ...of(own, 1000 + (k + 1) * 10_000 + all_made.size, `${DEPOSIT} ${marker}`) };
      all_made.set(marker, made);
      return made.value;
    };
    const bends = [];
    for (const bend of bent(make, victim, elsewhere, Boolean(shape.isForm), random, true)) bends.push([...bend, made]);
    const straight = make();
    for (const [what, value, readings, { marker, written }] of [['as it is', straight, [straight], made], ...sample(bends, SHAPE_BENDS, random)]) {
      const chats = readings.flatMap((reading) => (shape.chats ?? CHATS[source])(reading ?? {}, own)).filter((chat) => chat !== undefined && chat !== null).map(String);
      const moves = shape.moves ? readings.flatMap((reading) => shape.moves(reading ?? {}, own)) : [];
      all.push({ what: `${shape.name}: ${what}`, value, chats: shape.afterMessage ? [...chats, written.chatId] : chats, moves, marker, id: written.id, chatId: written.chatId, before: shape.afterMessage ? written.value : null, send: shape.send });
    }
  }
  return all;
}

function makeAll(source, own, other, random, chatsOf = CHATS[source], isForm = source.startsWith('twilio')) {
  const victim = own.compose(VICTIM, 'Earlier').value;
  const elsewhere = other.compose(VICTIM, 'Elsewhere').value;
  const all = [];
  let made;
  const make = (decoyed) => () => {
    const marker = `q${all.length}q`;
    made = { marker, ...own.compose(1000 + all.length, `${DEPOSIT} ${marker}`) };
    if (!decoyed || !DECOYS[source]) return made.value;
    if (source !== 'whatsapp_business') return merge(made.value, DECOYS[source](victim));
    return put(made.value, ['entry', 0, 'changes', 0, 'value', 'messages', 0], merge(made.value.entry[0].changes[0].value.messages[0], DECOYS[source](victim)));
  };
  for (const decoyed of DECOYS[source] ? [false, true] : [false]) {
    for (const [what, value, readings] of bent(make(decoyed), victim, elsewhere, isForm, random, !decoyed)) {
      const chats = readings.flatMap((reading) => chatsOf(reading ?? {}, own)).filter((chat) => chat !== undefined && chat !== null).map(String);
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
      `${source}, ${found.what}: kept for chat ${row.external_chat_id}, the provider says ${JSON.stringify(found.chats).slice(0, 400)}: ${JSON.stringify(row).slice(0, 400)}`);
    asked += 1;
  }
  return asked;
}

function checkAnswers(source, own, inbound, outbound, parts, moves) {
  const asked = groupBy(inbound, 'conversation_id');
  const rows = new Map(outbound.map((row) => [row.id, row]));
  const sent = new Map(parts.map((part) => [part.external_message_id, rows.get(part.message_id)]));
  for (const row of outbound) {
    const questions = asked.get(row.conversation_id) ?? [];
    const isMoved = (from) => moves.some(([former, chat]) => former === from && chat === row.external_chat_id);
    assert.ok(questions.some(({ external_chat_id: chat }) => chat === row.external_chat_id || isMoved(chat)), `${source}: an answer to ${row.external_chat_id}, who asked nothing`);
  }
  for (const { external, chatId } of own.got()) {
    const meant = sent.get(external)?.external_chat_id;
    // In Slack what is sent to a user comes in the direct conversation with them.
    assert.equal(source === 'slack' && meant?.startsWith('U') ? own.double.direct(meant) : meant, chatId, `${source}: ${chatId} got what was not meant for it`);
  }
}

async function postAll(own, all) {
  const statuses = {};
  await inTurn(all, async (one) => {
    if (one.before) await own.post(one.before);
    const status = await (one.send ? one.send(own, one.value) : own.post(one.value));
    statuses[status] = (statuses[status] ?? 0) + 1;
    assert.ok([200, 202, 400, 401, 403, 413, 422].includes(status), `${one.what}: ${status}`);
  });
  return statuses;
}

// Plain messages, and what else there is, at an account; gives what is to be said of it.
async function bendAll(server, organization, source, own, plain, shapes) {
  const statuses = await postAll(own, plain);
  const others = await postAll(own, shapes);
  await server.waitUntilIdle(organization, 180_000);
  const rows = (await server.sql(organization, 'SELECT id, channel_id, conversation_id, role, external_message_id, external_chat_id, body FROM message'))
    .filter((row) => row.channel_id === own.channel.id);
  const parts = await server.sql(organization, "SELECT message_id, external_message_id FROM delivery WHERE state IN ('sent', 'delivered', 'read')");
  // An agent's are echoes: what the business wrote in its own app.
  const [inbound, outbound] = [rows.filter((row) => row.role === 'user'), rows.filter((row) => row.role === 'assistant')];
  const kept = checkKept(source, [...plain, ...shapes], inbound);
  checkAnswers(source, own, inbound, outbound, parts, shapes.flatMap(({ moves }) => moves));
  assert.ok(kept > plain.length / 4 && outbound.length > kept / 2, `${source}: ${kept} of ${plain.length} were kept, ${outbound.length} answered`);
  return `${source}: ${plain.length} messages (${JSON.stringify(statuses)}), ${shapes.length} others (${JSON.stringify(others)}), `
    + `${kept} kept, ${own.got().length} answers arrived`;
}

// A visitor's token says who writes; nothing in the body does.
async function bendWebChat(server, here, there, random) {
  const [chat, elsewhere] = [await server.addChannel(here, 'web'), await server.addChannel(there, 'web')];
  const [own, victim, foreign] = [await Visitor.open(server, chat.id), await Visitor.open(server, chat.id), await Visitor.open(server, elsewhere.id)];
  const theirs = (await victim.ask(DEPOSIT)).conversation_id;
  const ids = { conversation_id: theirs, external_chat_id: victim.session.visitor_id, external_user_id: victim.session.visitor_id, visitor_id: victim.session.visitor_id, channel_id: elsewhere.id, organization_id: there.id, token: victim.token };
  let count = 0;
  const make = () => { count += 1; return { client_message_id: `b-${count}`, text: `${DEPOSIT} w${count}w`, metadata: { page: 'https://shop.test/', locale: 'en' } }; };
  const other = (visitor) => ({ client_message_id: `${visitor.channelId}:${visitor.session.visitor_id}:m-1`, text: 'Earlier', metadata: { page: visitor.token, locale: 'de' } });
  const bends = [...bent(make, other(victim), other(foreign), false, random, true)].map(([, value]) => value);
  for (const [key, id] of Object.entries(ids)) bends.push({ ...make(), [key]: id }, { ...make(), metadata: { [key]: id } });
  await inTurn(bends, async (value) => {
    const { status } = await server.call('POST', `${own.base}/messages`, { key: own.token, body: typeof value === 'string' ? value : JSON.stringify(value), headers: { 'content-type': 'application/json' } });
    assert.ok([200, 202, 400, 409, 413, 422].includes(status), `${JSON.stringify(value).slice(0, 200)}: ${status}`);
  });
  assert.equal((await foreign.say(DEPOSIT, {})).status, 202);
  for (const base of [own.base, foreign.base]) { // a token at another channel
    const { token } = base === own.base ? foreign : own;
    assert.equal((await server.call('POST', `${base}/messages`, { key: token, body: JSON.stringify(make()), headers: { 'content-type': 'application/json' } })).status, 401);
  }
  await server.waitUntilIdle(here, 120_000);
  await server.waitUntilIdle(there, 120_000);
  const rows = (await server.sql(here, 'SELECT channel_id, conversation_id, external_chat_id, role, body FROM message')).filter((row) => row.channel_id === chat.id);
  const conversations = groupBy(rows, 'conversation_id');
  for (const [id, said] of conversations) assert.equal(new Set(said.map((row) => row.external_chat_id)).size, 1, id);
  assert.equal(conversations.get(theirs).length, 2, 'the other visitor has one question and one answer');
  assert.ok(rows.length > bends.length / 4);
  const [{ n }] = await server.sql(there, "SELECT count(*) AS n FROM message WHERE role = 'user'");
  assert.equal(Number(n), 1, 'there, too, it is what its own visitor wrote');
  return `web: ${bends.length} bodies, ${rows.length} messages`;
}

async function connectAll(t, server, organizations, kinds, connection) {
  const networks = {};
  let number = 0;
  for (const [source, Kind] of Object.entries(kinds).filter(([name]) => !ONLY || ONLY === name)) {
    networks[source] = organizations.map((organization) => Object.assign(new Kind(++number), { organization }));
    for (const [i, one] of networks[source].entries()) {
      if (typeof one.double.nextId === 'number') one.double.nextId += i * 1_000_000; // no id is given twice
      await one.start();
      t.after(() => one.stop());
      await one.connect(server, one.organization, { burst_window_ms: 0 }, connection);
    }
  }
  return networks;
}

test(`no payload makes a reply go elsewhere (TARGETS_SEED=${SEED})`, async (t) => {
  const random = seeded(SEED);
  const server = await openServer(t, { publicUrl: true, organizations: ['here', 'there'], settings: { 'limits.sender_per_minute': 0 } });
  const { here, there } = server.organizations;
  const networks = await connectAll(t, server, [here, there], NETWORKS, { polling: true });
  const mails = await connectAll(t, server, [here, there], MAILS);

  for (const [source, [own, other]] of Object.entries(networks)) {
    await t.test(source, async () => {
      t.diagnostic(await bendAll(server, here, source, own, makeAll(source, own, other, random), makeShapes(source, own, other, random)));
    });
  }
  for (const [source, [own, other]] of Object.entries(mails)) {
    await t.test(source, async () => {
      t.diagnostic(await bendAll(server, here, source, own, makeAll(source, own, other, random, MAIL_CHATS, true), []));
    });
  }

  await t.test('the other organization has nothing of it', async () => {
    assert.deepEqual(await server.sql(there, 'SELECT id FROM message'), []);
    assert.deepEqual(await server.sql(there, 'SELECT id FROM conversation'), []);
    assert.deepEqual(await server.sql(there, 'SELECT id FROM channel_event'), []);
    for (const [, other] of Object.values({ ...networks, ...mails })) assert.deepEqual(other.got(), []);
  });

  await t.test('web', async () => {
    t.diagnostic(await bendWebChat(server, here, there, random));
  });
});
