// verify.mjs - what must be true after all kills, read from the databases and from what the double got
import { codeOf } from './load.mjs';

// Its words: what marks them differs from provider to provider.
const plain = (text) => text.replace(/[^\p{L}\p{N}]+/gu, ' ').trim();

// What a part that has left, or its message, may be: delivery states go on.
const SENT = ['sent', 'delivered', 'read'];

class Findings {
  constructor() {
    this.list = [];
    this.count = 0;
  }

  check(holds, what) {
    if (holds) return;
    this.count += 1;
    if (this.list.length < 30) this.list.push(what());
  }
}

const keyOf = (row) => `${row.channel_id} ${row.external_message_id}`; // in load.said

function groupBy(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    const name = key(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(row);
  }
  return groups;
}

// Every update that was answered 2xx is one row, in the order in which the person wrote.
function checkStored(load, account, inbound, findings) {
  const stored = groupBy(inbound, keyOf);
  for (const [id, said] of load.said) {
    if (said.account !== account) continue;
    findings.check(stored.get(id)?.length === 1, () => `${id} is stored ${stored.get(id)?.length ?? 0} times`);
  }
  for (const id of stored.keys()) findings.check(load.said.has(id), () => `${id} is stored, but nobody wrote it`);
  for (const rows of groupBy(inbound, (row) => row.conversation_id).values()) {
    rows.sort((a, b) => a.seq - b.seq);
    for (let i = 1; i < rows.length; i++) {
      const [before, after] = [rows[i - 1], rows[i]].map((row) => load.said.get(keyOf(row))?.order);
      findings.check(before < after, () => `conversation ${rows[i].conversation_id}: message ${after} came after ${before}`);
    }
  }
}

// Every inbound message is covered by exactly one answer, which came after it, in order.
function checkAnswered(load, inbound, outbound, findings, totals) {
  const answers = groupBy(outbound, (row) => row.conversation_id);
  for (const [conversation, asked] of groupBy(inbound, (row) => row.conversation_id)) {
    const given = (answers.get(conversation) ?? []).sort((a, b) => a.seq - b.seq);
    let last = 0;
    for (const answer of given) {
      findings.check(answer.answers_from_seq > last && answer.answers_from_seq <= answer.answers_to_seq && answer.answers_to_seq < answer.seq,
        () => `conversation ${conversation}: answer ${answer.seq} covers ${answer.answers_from_seq}..${answer.answers_to_seq} after ${last}`);
      last = answer.answers_to_seq;
      const covered = asked.filter((row) => row.seq >= answer.answers_from_seq && row.seq <= answer.answers_to_seq);
      findings.check(covered.length > 0, () => `answer ${answer.id} answers nothing`);
      const codes = covered.map((row) => codeOf(load.said.get(keyOf(row))?.hut));
      // Several questions at once may end at a person; one alone must be answered from the documents.
      const isRight = codes.some((code) => answer.body.includes(code));
      findings.check(isRight || (covered.length > 1 && !/K\d{4}/.test(answer.body)),
        () => `answer "${answer.body}" holds none of ${codes.join(', ')}`);
      totals.grounded += isRight ? 1 : 0;
    }
    for (const row of asked) {
      const covers = given.filter((answer) => answer.answers_from_seq <= row.seq && row.seq <= answer.answers_to_seq);
      findings.check(covers.length === 1, () => `${row.external_message_id} is answered ${covers.length} times`);
      if (covers.length === 1) totals.answered += 1;
    }
  }
}

// What the provider got in one chat beside what we believe, in order: a sent part is there once; an
// uncertain one at most once; one that was sent again while uncertain may be there before, too.
function checkChat(account, chatId, answers, got, parts, findings, totals) {
  const { resends } = account.organization;
  const where = `chat ${chatId} of ${account.source} of ${account.organization.slug}`;
  let at = 0;
  const take = (text, most) => {
    let taken = 0;
    while (taken < most && at < got.length && !got[at].known && plain(got[at].text) === text) {
      at += 1;
      taken += 1;
    }
    return taken;
  };
  for (const answer of answers) {
    const rows = parts.get(answer.id) ?? [];
    findings.check(rows.length === 1, () => `answer ${answer.id} has ${rows.length} parts in the ledger`);
    const [part] = rows;
    if (!part) continue;
    const text = plain(answer.body);
    if (part.state === 'uncertain') {
      findings.check(!resends, () => `answer ${answer.id} is held although the channel resends`);
      findings.check(answer.delivery === 'uncertain', () => `answer ${answer.id} is ${answer.delivery}, its part uncertain`);
      const there = take(text, 1);
      totals.held += 1;
      totals.heldButThere += there;
      findings.check(there === 0 || account.source !== 'whatsapp_business', () => `${where}: answer ${answer.id} is held although WhatsApp told of it`);
      continue;
    }
    findings.check(SENT.includes(part.state) && SENT.includes(answer.delivery),
      () => `answer ${answer.id} is ${answer.delivery}, its part ${part.state}`);
    const twice = take(text, resends ? part.attempts - 1 : 0);
    totals.twice += twice;
    findings.check(got[at]?.external === part.external_message_id,
      () => `${where}: expected ${part.external_message_id} "${text}", got ${JSON.stringify(got[at])}`);
    // A mail that was sent again has the same id.
    for (let times = 0; times < (resends ? part.attempts - twice : 1) && got[at]?.external === part.external_message_id; times++) {
      at += 1;
      totals.twice += times > 0 ? 1 : 0;
    }
    // Told of while it was being sent again: the first is the one that we know.
    totals.twice += take(text, resends ? part.attempts - 1 - twice : 0);
    totals.delivered += 1;
  }
  findings.check(at === got.length, () => `${where} got ${got.length - at} messages more than were sent: ${JSON.stringify(got.slice(at, at + 3))}`);
}

function checkDelivered(account, outbound, ledger, findings, totals) {
  const parts = groupBy(ledger, (row) => row.message_id);
  const known = new Set(ledger.filter((row) => SENT.includes(row.state)).map((row) => row.external_message_id));
  const got = groupBy(account.got().map((message) => ({ ...message, known: known.has(message.external) })), (row) => row.chatId);
  const chats = groupBy(outbound, (row) => row.external_chat_id);
  for (const [chatId, answers] of chats) {
    answers.sort((a, b) => a.seq - b.seq);
    checkChat(account, chatId, answers, got.get(chatId) ?? [], parts, findings, totals);
  }
  for (const chatId of got.keys()) findings.check(chats.has(chatId), () => `chat ${chatId} of ${account.source} got something, we sent nothing`);
}

async function checkSettled(server, organization, findings) {
  const jobs = await server.sql(organization, 'SELECT topic, state, payload, last_error FROM job');
  findings.check(jobs.length === 0, () => `${organization.slug} has jobs left: ${JSON.stringify(jobs.slice(0, 3))}`);
  const stuck = await server.sql(organization, `SELECT id, status, last_seq, answered_seq FROM conversation c WHERE
    status NOT IN ('ai_response_sent', 'awaiting_approval') AND NOT EXISTS (SELECT 1 FROM message m WHERE m.conversation_id = c.id
    AND m.delivery = 'uncertain')`);
  findings.check(stuck.length === 0, () => `${organization.slug} has unsettled conversations: ${JSON.stringify(stuck.slice(0, 3))}`);
  const ingestions = await server.sql(organization, "SELECT id, status, error FROM ingestion WHERE status <> 'done'");
  findings.check(ingestions.length === 0, () => `${organization.slug} has unread documents: ${JSON.stringify(ingestions)}`);
  if (server.database) return; // PostgreSQL has no such question
  const [{ integrity_check: whole }] = await server.sql(organization, 'PRAGMA integrity_check');
  findings.check(whole === 'ok', () => `${organization.slug}: ${whole}`);
}

// {problems: [...], totals, sources: {source: answers delivered}}
export async function verify(server, load) {
  const findings = new Findings();
  const totals = { stored: 0, answered: 0, grounded: 0, delivered: 0, held: 0, heldButThere: 0, twice: 0 };
  const sources = {};
  for (const organization of new Set(load.accounts.map((account) => account.organization))) {
    const messages = await server.sql(organization, `SELECT id, channel_id, conversation_id, seq, role, external_message_id,
      external_chat_id, body, delivery, answers_from_seq, answers_to_seq FROM message`);
    const ledger = await server.sql(organization, `SELECT d.message_id, m.channel_id, d.part, d.state, d.external_message_id, d.reason, d.attempts
      FROM delivery d JOIN message m ON m.id = d.message_id`);

    for (const account of load.accounts.filter((one) => one.organization === organization)) {
      const ours = messages.filter((row) => row.channel_id === account.channel.id);
      const inbound = ours.filter((row) => row.role === 'user');
      const outbound = ours.filter((row) => row.role !== 'user');
      const before = totals.delivered;

      totals.stored += inbound.length;
      checkStored(load, account, inbound, findings);
      checkAnswered(load, inbound, outbound, findings, totals);
      checkDelivered(account, outbound, ledger.filter((row) => row.channel_id === account.channel.id), findings, totals);
      sources[account.source] = (sources[account.source] ?? 0) + totals.delivered - before;
    }
    await checkSettled(server, organization, findings);
  }
  return { problems: findings.list, problemCount: findings.count, totals, sources };
}
