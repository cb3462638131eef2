// slack-double.test.mjs - the double itself, and that Slack's own library accepts what it signs
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';

import bolt from '@slack/bolt';

import { SlackDouble } from './slack-double.mjs';

const { isValidSlackRequest } = bolt;

describe('the Slack double', () => {
  const slack = new SlackDouble({ timeScale: 0.0001 });
  const seen = [];
  const answers = [];
  let hook;
  let server;

  before(async () => {
    server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      seen.push({ headers: request.headers, body });
      const { challenge } = body.startsWith('{') ? JSON.parse(body) : {};
      response.writeHead(answers.shift() ?? 200, { 'content-type': 'text/plain' });
      response.end(challenge ?? '');
    });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    hook = `http://127.0.0.1:${server.address().port}/hook`;
    await slack.start();
  });
  after(async () => {
    await slack.stop();
    server.closeAllConnections();
    server.close();
  });

  const accepted = ({ headers, body }, secret = slack.signingSecret, later = 0) => isValidSlackRequest({
    signingSecret: secret, body, headers: { 'x-slack-signature': headers['x-slack-signature'], 'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']) },
    nowMilliseconds: Date.now() + later,
  });
  const read = async (method, params) => (await fetch(`${slack.url}/api/${method}`, {
    method: 'POST', headers: { authorization: `Bearer ${slack.token}`, 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(params).toString(),
  })).json();
  const call = async (method, params, { token = slack.token, type = 'application/json; charset=utf-8' } = {}) => {
    const response = await fetch(`${slack.url}/api/${method}`, { method: 'POST', headers: { 'content-type': type, ...(token ? { authorization: `Bearer ${token}` } : {}) }, body: JSON.stringify(params) });
    assert.equal(response.status, 200);
    return response.json();
  };

  it('takes an address that answers its challenge', async () => {
    await slack.setRequestUrl(hook);
    answers.push(500);
    await assert.rejects(slack.setRequestUrl(hook));
  });

  it("signs so that Slack's library accepts it, and nothing that was changed", async () => {
    seen.length = 0;
    await slack.personSays('U1', slack.direct('U1'), 'ä & <😀>');
    await slack.personCommands('U1', slack.direct('U1'), '/ask', 'x y');
    assert.equal(seen.length, 2);
    for (const one of seen) {
      assert.ok(accepted(one));
      assert.ok(!accepted({ ...one, body: `${one.body} ` }));
      assert.ok(!accepted(one, 'another secret'));
      assert.ok(!accepted(one, undefined, 301_000));
    }
    seen.length = 0;
    await slack.post(hook, '{}', 'application/json', { age: 301 });
    assert.ok(!accepted(seen[0]));
  });

  it('repeats what was not answered, with the same id', async () => {
    seen.length = 0;
    answers.push(500, 500, 500, 500);
    await slack.personSays('U1', slack.direct('U1'), 'again');
    assert.equal(seen.length, 4);
    assert.deepEqual(seen.map((one) => one.headers['x-slack-retry-num']), [undefined, '1', '2', '3']);
    assert.equal(new Set(seen.map((one) => JSON.parse(one.body).event_id)).size, 1);
  });

  it('tells a mention twice, and what the bot said itself', async () => {
    seen.length = 0;
    const channel = slack.addChannel();
    await slack.personSays('U1', channel, `<@${slack.botUserId}> hi`);
    assert.deepEqual(seen.map((one) => JSON.parse(one.body).event.type), ['message', 'app_mention']);
    assert.equal(new Set(seen.map((one) => JSON.parse(one.body).event.ts)).size, 1);
    seen.length = 0;
    assert.equal((await call('chat.postMessage', { channel, text: 'Hi' })).ok, true);
    await slack.until(() => seen.length === 1, 'the echo');
    assert.equal(JSON.parse(seen[0].body).event.bot_id, slack.botId);
  });

  it('refuses as Slack does', async () => {
    const channel = slack.addChannel();
    const good = { channel, text: 'Hi' };
    const button = (more) => [{ type: 'actions', elements: [{ type: 'button', action_id: 'a', text: { type: 'plain_text', text: 'x' }, ...more }] }];
    const cases = [
      [{ ...good, channel: 'C0' }, 'channel_not_found'], [{ ...good, text: ' ' }, 'no_text'], [{ ...good, text: 'a'.repeat(40_001) }, 'msg_too_long'],
      [{ ...good, channel: slack.addChannel({ isMember: false }) }, 'not_in_channel'], [{ ...good, channel: slack.addChannel({ isArchived: true }) }, 'is_archived'],
      [{ ...good, blocks: [{ type: 'section', text: { type: 'mrkdwn', text: 'a'.repeat(3001) } }] }, 'invalid_blocks'], [{ ...good, blocks: [{ type: 'poem' }] }, 'invalid_blocks'],
      [{ ...good, blocks: button({ text: { type: 'plain_text', text: 'a'.repeat(76) } }) }, 'invalid_blocks'], [{ ...good, thread_ts: '1' }, 'invalid_thread_ts'],
    ];
    for (const [params, error] of cases) assert.equal((await call('chat.postMessage', params)).error, error, JSON.stringify(params).slice(0, 80));
    assert.equal((await call('chat.postMessage', { ...good, blocks: button() })).ok, true);
    assert.equal((await call('chat.postMessage', good, { token: 'x' })).error, 'invalid_auth');
    assert.equal((await call('chat.postMessage', good, { token: null })).error, 'not_authed');
    assert.equal((await call('chat.postMessage', good, { type: 'text/plain' })).error, 'invalid_post_type');
    assert.equal((await call('chat.update', { channel, ts: '1.000000', text: 'x' })).error, 'message_not_found');
    assert.equal((await call('no.such', {})).error, 'unknown_method');
    assert.equal((await call('auth.test', {})).error, 'invalid_arguments', 'what reads takes no JSON');
    assert.equal((await read('auth.test', {})).user_id, slack.botUserId);
  });

  it('finds a message by its metadata, in the channel or the thread, page by page', async () => {
    const channel = slack.addChannel();
    const metadata = { event_type: 'ours', event_payload: { id: 'm1' } };
    const { ts } = await call('chat.postMessage', { channel, text: 'One', metadata });
    await call('chat.postMessage', { channel, text: 'Two' });
    await call('chat.postMessage', { channel, text: 'Three', thread_ts: ts, metadata });
    await call('chat.update', { channel, ts, text: 'One and a half' });
    const first = await read('conversations.history', { channel, limit: 1, include_all_metadata: true });
    assert.deepEqual(first.messages.map(({ text }) => text), ['Two']);
    const second = await read('conversations.history', { channel, limit: 1, include_all_metadata: true, cursor: first.response_metadata.next_cursor });
    assert.deepEqual(second.messages.map(({ text, metadata: kept }) => [text, kept]), [['One and a half', metadata]]);
    assert.equal((await read('conversations.replies', { channel, ts })).messages[0].metadata, undefined);
    assert.equal((await read('conversations.history', { channel, oldest: ts })).messages.length, 1);
    slack.scopes.delete('history');
    assert.equal((await read('conversations.history', { channel })).error, 'missing_scope');
    slack.scopes.add('history');
    assert.equal((await call('chat.delete', { channel, ts })).ok, true);
    assert.equal((await call('chat.delete', { channel, ts })).error, 'message_not_found');
  });

  it('shows a page for signing in instead of a file', async () => {
    const file = slack.fileObject(slack.addFile('a.png', 'image/png', 'bytes'));
    assert.match((await fetch(file.url_private)).headers.get('content-type'), /html/);
    assert.equal(await (await fetch(file.url_private, { headers: { authorization: `Bearer ${slack.token}` } })).text(), 'bytes');
    assert.equal((await read('files.info', { file: file.id })).file.url_private, file.url_private);
  });
});
