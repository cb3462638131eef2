// growing.test.mjs - what a language model writes is shown while it writes, in Slack as a message that grows, in
// Teams as a stream, and is one message in the end
import assert from 'node:assert/strict';
import test from 'node:test';

import { SlackDouble } from '../doubles/slack/slack-double.mjs';
import { activitiesOf, unlikeMicrosoft } from '../doubles/teams/microsoft.mjs';
import { TeamsDouble } from '../doubles/teams/teams-double.mjs';
import { until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, openModel, openServer } from './scene.mjs';

// Shown is what was checked: a sentence, as soon as the next one begins.
const WORDS = ['A puncture repair costs 19 euros, tube included [1].', ' A new', ' chain costs 45 euros [1].', ' The deposit', ' for a cargo bike is 100 euros [2].', ' A cargo',
  ' bike costs 39 euros a day [2].'];
const SLOW = { chunks: WORDS, chunk_delay_ms: 700 };
const ANSWER = WORDS.join('');
const OTHER = { chunks: ['The deposit for a cargo bike is 100 euros [1].', ' A cargo', ' bike costs', ' 39 euros a day [1].'], chunk_delay_ms: 700 };
const MARKED = WORDS.map((words) => words.replace('19', '**19**'));

async function openAll(t, Double) {
  const double = new Double();
  await double.start();
  t.after(() => double.stop());
  const model = await openModel(t);
  const server = await openServer(t, { publicUrl: true, settings: { ...model.settings, 'queue.sweep': '500ms' } });
  const settled = (chat, ...states) => until(async () => {
    const rows = await server.sql(server.shop, `SELECT id, body, delivery FROM message WHERE role = 'assistant' AND external_chat_id = '${chat}'`);
    return rows.length > 0 && states.includes(rows.at(-1).delivery) ? rows.at(-1) : null;
  }, `the answer in ${chat} to be ${states.join(' or ')}`);
  return { double, model, server, settled };
}

test('slack: an answer grows', async (t) => {
  const { double: slack, model, server, settled } = await openAll(t, SlackDouble);
  const { shop } = server;
  const channel = await server.addChannel(shop, 'slack', {
    credentials: { app_id: slack.appId, team_id: slack.teamId, bot_token: slack.token, signing_secret: slack.signingSecret },
    settings: { api_base: `${slack.url}/api`, files_base: `${slack.url}/files`, burst_window_ms: 0 },
  });
  await slack.setRequestUrl(`${server.url}/webhooks/slack/${channel.id}`);

  const growsIn = async (chat, person, text, root) => {
    model.script(SLOW);
    await slack.personSays(person, chat, text);
    const last = await settled(root ? `${chat}:${root()}` : chat, 'sent');
    const messages = slack.messages({ channel: chat });
    assert.equal(messages.length, 1, JSON.stringify(messages));
    assert.equal(messages[0].text, ANSWER);
    assert.deepEqual(messages[0].metadata.event_payload, { id: last.id, part: 0 });
    const steps = slack.updates.filter((one) => one.channel === chat);
    assert.ok(steps.length >= 2, 'it grew before it was whole');
    for (const [i, { text: shown, at }] of steps.entries()) {
      assert.ok(ANSWER.startsWith(shown.trimEnd()), shown);
      if (i > 0 && i < steps.length - 1) assert.ok(at - steps[i - 1].at >= 1400, `${at - steps[i - 1].at} ms`);
    }
    assert.deepEqual(await server.sql(shop, 'SELECT conversation_id FROM growing'), []);
    assert.equal(slack.requests.filter((one) => one.path === '/api/chat.postMessage' && JSON.parse(one.body).channel === chat).length, 1);
    return messages[0];
  };

  await t.test('in a direct message', async () => {
    await growsIn(slack.direct('U41'), 'U41', PUNCTURE);
  });

  await t.test("in a channel, in the question's thread", async () => {
    const room = slack.addChannel();
    let question;
    const said = slack.personSays.bind(slack);
    slack.personSays = async (...args) => { const result = await said(...args); question = result.event; return result; };
    const message = await growsIn(room, 'U42', `<@${slack.botUserId}> ${PUNCTURE}`, () => question.ts);
    slack.personSays = said;
    assert.equal(message.thread_ts, question.ts);
  });

  await t.test('a person who takes the conversation meanwhile finds nothing half said', async () => {
    const chat = slack.direct('U43');
    model.script({ ...SLOW, chunk_delay_ms: 2000 }); // time to take it
    await slack.personSays('U43', chat, PUNCTURE);
    await slack.waitForMessages(1, { channel: chat });
    const [{ id }] = await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}'`);
    const { status, text } = await server.post(`/v1/conversations/${id}/take-over`, shop.key, {});
    assert.equal(status, 200, text);
    await slack.until(() => slack.deleted.some((one) => one.channel === chat), 'the message to be taken away', 40_000);
    await server.waitUntilIdle(shop);
    assert.deepEqual(slack.messages({ channel: chat }), []);
    assert.deepEqual(await server.sql(shop, 'SELECT conversation_id FROM growing'), []);
  });

  await t.test('when the workspace has had enough changes for a while, the answer comes all the same', async () => {
    const chat = slack.direct('U44');
    slack.fail({ match: ({ path }) => path === '/api/chat.update', status: 429, headers: { 'retry-after': '2', 'content-type': 'application/json' }, body: '{"ok":false,"error":"ratelimited"}', times: 2 });
    model.script(SLOW);
    await slack.personSays('U44', chat, PUNCTURE);
    await settled(chat, 'sent');
    assert.deepEqual(slack.messages({ channel: chat }).map(({ text }) => text), [ANSWER]);
  });

  await t.test('one whose beginning is refused is sent when it is whole', async () => {
    const chat = slack.direct('U45');
    slack.fail({ match: ({ path }) => path === '/api/chat.postMessage', status: 503, body: 'away' });
    model.script(SLOW);
    await slack.personSays('U45', chat, PUNCTURE);
    await settled(chat, 'sent');
    assert.deepEqual(slack.messages({ channel: chat }).map(({ text }) => text), [ANSWER]);
    assert.deepEqual(slack.updates.filter((one) => one.channel === chat), []);
  });

  await t.test('one that somebody deleted meanwhile is sent anew', async () => {
    const chat = slack.direct('U46');
    model.script(SLOW);
    await slack.personSays('U46', chat, PUNCTURE);
    const [message] = await slack.waitForMessages(1, { channel: chat });
    slack.answerDelete(message);
    await settled(chat, 'sent');
    assert.deepEqual(slack.messages({ channel: chat }).map(({ text }) => text), [ANSWER]);
  });

  await t.test('while an answer grows, the one to what begins a new conversation comes below it, whole', async () => {
    const chat = slack.direct('U48');
    model.script({ ...SLOW, chunk_delay_ms: 2000 }, OTHER);
    await slack.personSays('U48', chat, PUNCTURE);
    const [first] = await slack.waitForMessages(1, { channel: chat });
    await slack.personCommands('U48', chat, '/new', DEPOSIT);
    const [, second] = await slack.waitForMessages(2, { channel: chat });
    await server.waitUntilIdle(shop);
    assert.deepEqual(slack.messages({ channel: chat }).map(({ ts, text }) => [ts, text]), [[first.ts, ANSWER], [second.ts, OTHER.chunks.join('')]]);
    assert.deepEqual(slack.updates.filter((one) => one.channel === chat && one.ts !== first.ts), [], 'two do not grow at once');
    assert.equal((await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}'`)).length, 2);
    assert.deepEqual(await server.sql(shop, 'SELECT conversation_id FROM growing'), []);
  });

  await t.test('none grows above an answer of the conversation before that is still to be sent', async () => {
    const chat = slack.direct('U49');
    let isAway = true;
    slack.fail({ match: ({ path, body }) => isAway && path === '/api/chat.postMessage' && JSON.parse(body).text.includes('19 euros'), status: 503, body: 'away', times: 1000 });
    model.script({ text: WORDS[0] }, OTHER);
    await slack.personSays('U49', chat, PUNCTURE);
    await settled(chat, 'queued', 'sending');
    await slack.personCommands('U49', chat, '/new', DEPOSIT);
    await until(async () => (await server.sql(shop, `SELECT id FROM message WHERE role = 'assistant' AND external_chat_id = '${chat}'`)).length === 2, 'both answers');
    assert.deepEqual(slack.messages({ channel: chat }), []);
    isAway = false;
    await slack.waitForMessages(2, { channel: chat });
    await server.waitUntilIdle(shop);
    assert.deepEqual(slack.messages({ channel: chat }).map(({ text }) => text), [WORDS[0], OTHER.chunks.join('')]);
  });

  await t.test('what is without support at the end is not in the message', async () => {
    const chat = slack.direct('U47');
    model.script({ chunks: [WORDS[0], ' Elephants', ' are very large animals [2].', ' So', ' they say.'], chunk_delay_ms: 700 });
    await slack.personSays('U47', chat, PUNCTURE);
    const { body } = await settled(chat, 'sent');
    assert.doesNotMatch(body, /Elephants/);
    assert.deepEqual(slack.messages({ channel: chat }).map(({ text }) => text), [body]);
  });
});

test('teams: an answer is streamed', async (t) => {
  const { double: teams, model, server, settled } = await openAll(t, TeamsDouble);
  const bot = teams.addBot();
  const channel = await server.addChannel(server.shop, 'teams', {
    credentials: { app_id: bot.appId, app_password: bot.password }, settings: { ...teams.settings(), burst_window_ms: 0 },
  });
  bot.endpoint = `${server.url}/webhooks/teams/${channel.id}`;
  const idOf = (chat) => `${teams.serviceUrl.replace(/\/$/, '')}|${chat.id}`;
  const streamsOf = (chat) => [...chat.streams.values()];
  const textsOf = (chat) => teams.messages(chat).map(({ text }) => text);

  await t.test('in a personal chat, and its end is the message', async () => {
    const chat = teams.personalChat(bot, 'Ada');
    model.script(SLOW);
    await teams.says(chat, PUNCTURE);
    await settled(idOf(chat), 'sent');
    assert.deepEqual(textsOf(chat), [ANSWER]);
    const [stream, ...others] = streamsOf(chat);
    assert.deepEqual(others, []);
    assert.equal(stream.state, 'done');
    assert.ok(stream.texts.length >= 2, JSON.stringify(stream.texts));
    assert.equal(teams.messages(chat)[0].isEdited, undefined, 'ended as a stream');
    const [row] = await server.sql(server.shop, `SELECT d.external_message_id FROM delivery d JOIN message m ON m.id = d.message_id WHERE m.external_chat_id = '${idOf(chat)}'`);
    assert.equal(row.external_message_id, `${bot.appId}|${chat.id}|${stream.id}`);
    await teams.reads(chat, teams.messages(chat)[0]);
    await settled(idOf(chat), 'read');
  });

  await t.test('with marks: the last text is in its place when it does not go on from the one before', async () => {
    const chat = teams.personalChat(bot, 'Bea');
    model.script({ chunks: MARKED, chunk_delay_ms: 700 });
    await teams.says(chat, PUNCTURE);
    await settled(idOf(chat), 'sent');
    assert.deepEqual(textsOf(chat), [ANSWER.replace('19', '<b>19</b>')]);
    assert.equal(streamsOf(chat).length, 1);
  });

  await t.test('not in a group', async () => {
    const chat = teams.groupChat(bot, 'Cat');
    model.script(SLOW);
    await teams.asks(chat, PUNCTURE);
    await settled(idOf(chat), 'sent');
    assert.deepEqual(streamsOf(chat), []);
    assert.deepEqual(textsOf(chat), [ANSWER]);
  });

  await t.test('when it takes too long, or the person stops it, the message takes its place', async () => {
    for (const end of ['expires', 'stops']) {
      const chat = teams.personalChat(bot, `Dan who ${end}`);
      model.script(SLOW);
      await teams.says(chat, PUNCTURE);
      const [stream] = await teams.until(() => (streamsOf(chat)[0]?.texts.length > 0 ? streamsOf(chat) : null), 'a stream', 20_000);
      if (end === 'stops') teams.stops(chat);
      else stream.beganAt -= 200_000;
      await settled(idOf(chat), 'sent');
      assert.deepEqual(textsOf(chat), [ANSWER]);
      assert.equal(teams.messages(chat)[0].isEdited, true);
    }
  });

  await t.test("as Microsoft's own library writes it", async () => {
    const sent = activitiesOf(teams);
    for (const type of ['typing', 'message']) assert.ok(sent.some((one) => one.type === type && one.entities?.length > 0), `a stream's ${type}`);
    assert.deepEqual(await unlikeMicrosoft(sent), []);
  });
});
