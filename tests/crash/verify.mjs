// verify.mjs - what must be true after all kills, read from the databases and from what the double got
import { codeOf } from './load.mjs';

const plain = (text) => text.replaceAll('**', '').replaceAll('`', '').replace(/\s+/g, ' ').trim();

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
function checkStored(load, bot, inbound, findings) {
  const stored = groupBy(inbound, (row) => row.external_message_id);
  for (const [id, said] of load.said) {
    if (said.bot !== bot) continue;
    findings.check(stored.get(id)?.length === 1, () => `${id} is stored ${stored.get(id)?.length ?? 0} times`);
  }
  for (const id of stored.keys()) findings.check(load.said.has(id), () => `${id} is stored, but nobody wrote it`);
  for (const rows of groupBy(inbound, (row) => row.conversation_id).values()) {
    rows.sort((a, b) => a.seq - b.seq);
    for (let i = 1; i < rows.length; i++) {
      const [before, after] = [rows[i - 1], rows[i]].map((row) => load.said.get(row.external_message_id)?.messageId);
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
      const codes = covered.map((row) => codeOf(load.said.get(row.external_message_id)?.hut));
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
function checkChat(bot, chatId, answers, got, parts, resends, findings, totals) {
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
      totals.held += 1;
      totals.heldButThere += take(text, 1);
      continue;
    }
    findings.check(part.state === 'sent' && answer.delivery === 'sent',
      () => `answer ${answer.id} is ${answer.delivery}, its part ${part.state}`);
    const twice = take(text, resends ? part.attempts - 1 : 0);
    totals.twice += twice;
    findings.check(got[at]?.external === part.external_message_id,
      () => `chat ${chatId} of ${bot.id}: expected ${part.external_message_id} "${text}", got ${JSON.stringify(got[at])}`);
    if (got[at]?.external === part.external_message_id) at += 1;
    totals.delivered += 1;
  }
  findings.check(at === got.length, () => `chat ${chatId} of ${bot.id} got ${got.length - at} messages more than were sent: ${JSON.stringify(got.slice(at, at + 3))}`);
}

function checkDelivered(load, bot, resends, outbound, ledger, findings, totals) {
  const parts = groupBy(ledger, (row) => row.message_id);
  const known = new Set(ledger.filter((row) => row.state === 'sent').map((row) => row.external_message_id));
  const got = groupBy(load.telegram.messages({ bot: bot.token }).map((message) => {
    const external = `${bot.id}:${message.chat.id}:${message.message_id}`;
    return { external, chatId: String(message.chat.id), text: message.text, known: known.has(external) };
  }), (row) => row.chatId);
  const chats = groupBy(outbound, (row) => row.external_chat_id);
  for (const [chatId, answers] of chats) {
    answers.sort((a, b) => a.seq - b.seq);
    checkChat(bot, chatId, answers, got.get(chatId) ?? [], parts, resends, findings, totals);
  }
  for (const chatId of got.keys()) findings.check(chats.has(chatId), () => `chat ${chatId} got something, we sent nothing`);
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

// {problems: [...], totals}
export async function verify(server, load) {
  const findings = new Findings();
  const totals = { stored: 0, answered: 0, grounded: 0, delivered: 0, held: 0, heldButThere: 0, twice: 0 };
  for (const bot of load.bots) {
    const { organization } = bot;
    const messages = await server.sql(organization, `SELECT id, conversation_id, seq, role, external_message_id,
      external_chat_id, body, delivery, answers_from_seq, answers_to_seq FROM message`);
    const ledger = await server.sql(organization, 'SELECT message_id, part, state, external_message_id, reason, attempts FROM delivery');
    const inbound = messages.filter((row) => row.role === 'user');
    const outbound = messages.filter((row) => row.role !== 'user');

    totals.stored += inbound.length;
    checkStored(load, bot, inbound, findings);
    checkAnswered(load, inbound, outbound, findings, totals);
    checkDelivered(load, bot, organization.resends, outbound, ledger, findings, totals);
    await checkSettled(server, organization, findings);
  }
  return { problems: findings.list, problemCount: findings.count, totals };
}
