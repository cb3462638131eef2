// teams-double.test.mjs - the double itself, and that Microsoft's own library believes what it signs and
// can send through it
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';

import connector from 'botframework-connector';

import { authenticate, unlikeMicrosoft } from './microsoft.mjs';
import { TeamsDouble, markupIsWhole } from './teams-double.mjs';

const { ChannelValidation, ConnectorClient, SimpleCredentialProvider } = connector;

describe('the Teams double', () => {
  const teams = new TeamsDouble();
  const seen = [];
  const statuses = [];
  let bot;
  let chat;
  let server;

  before(async () => {
    server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      seen.push({ authorization: request.headers.authorization, activity: JSON.parse(Buffer.concat(chunks)) });
      response.writeHead(statuses.shift() ?? 200);
      response.end();
    });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    await teams.start();
    bot = teams.addBot({ endpoint: `http://127.0.0.1:${server.address().port}/hook` });
    chat = teams.personalChat(bot, 'Ada');
    ChannelValidation.OpenIdMetadataEndpoint = teams.settings().openid_metadata;
  });
  after(async () => {
    await teams.stop();
    server.closeAllConnections();
    server.close();
  });

  const believed = (authorization, { appId = bot.appId, serviceUrl = teams.serviceUrl, channelId = 'msteams' } = {}) => ChannelValidation
    .authenticateChannelTokenWithServiceUrl(authorization, new SimpleCredentialProvider(appId, bot.password), serviceUrl, channelId);

  it("signs so that Microsoft's library believes it, and nothing that was changed", async () => {
    await teams.says(chat, 'Hello');
    const { authorization, activity } = seen.at(-1);
    assert.equal(activity.text, 'Hello');
    assert.ok((await believed(authorization)).isAuthenticated);
    await assert.rejects(believed(authorization, { appId: teams.addBot().appId }));
    await assert.rejects(believed(authorization, { serviceUrl: 'https://elsewhere.example/' }));
    await assert.rejects(believed(authorization, { channelId: 'slack' }));
    const head = authorization.slice(0, -20);
    await assert.rejects(believed(`${head}${'A'.repeat(20)}`));
    const old = teams.sign(teams.claims(bot, { nbf: 1, exp: Math.floor(Date.now() / 1000) - 301 }));
    await assert.rejects(believed(`Bearer ${old}`));
    await assert.rejects(believed(`Bearer ${teams.sign(teams.claims(bot, { iss: 'https://sts.windows.net/x/' }))}`));
  });

  it("is believed by a bot that is written with Microsoft's library, for that bot and service alone", async () => {
    await teams.says(chat, 'Hello');
    const { authorization, activity } = seen.at(-1);
    const claims = await authenticate(teams, bot, activity, authorization);
    assert.deepEqual([claims.aud, claims.serviceurl], [bot.appId, teams.serviceUrl]);
    await assert.rejects(authenticate(teams, teams.addBot(), activity, authorization));
    await assert.rejects(authenticate(teams, bot, { ...activity, serviceUrl: 'https://elsewhere.example/' }, authorization));
    await assert.rejects(authenticate(teams, bot, activity, ''));
    await assert.rejects(authenticate(teams, bot, activity, `Bearer ${teams.sign(teams.claims(bot), { key: new TeamsDouble().key.privateKey })}`));
  });

  it("tells activities of Microsoft's library from others", async () => {
    const whole = { type: 'message', text: 'Hi', textFormat: 'plain', entities: [{ type: 'streaminfo', streamId: '1' }], attachments: [{ contentType: 'image/png', contentUrl: 'x' }] };
    assert.deepEqual(await unlikeMicrosoft([whole, { type: 'typing' }]), []);
    for (const wrong of [{ ...whole, txt: 'Hi' }, { ...whole, text: 3 }, { ...whole, attachments: [{ contentType: 1 }] }, { ...whole, from: 'me' }]) {
      assert.equal((await unlikeMicrosoft([wrong])).length, 1, JSON.stringify(wrong));
    }
  });

  it('posts again after 5xx, not after 4xx', async () => {
    seen.length = 0;
    statuses.push(503, 500);
    assert.equal((await teams.says(chat, 'again')).result.status, 200);
    assert.equal(seen.length, 3);
    assert.equal(new Set(seen.map((one) => one.activity.id)).size, 1);
    seen.length = 0;
    statuses.push(403);
    assert.equal((await teams.says(chat, 'no')).result.status, 403);
    assert.equal(seen.length, 1);
  });

  const login = async (form, tenant = teams.tenant) => {
    const response = await fetch(`${teams.url}/login/${tenant}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams(form) });
    return { status: response.status, body: await response.json() };
  };
  const words = (more = {}) => ({
    grant_type: 'client_credentials', client_id: bot.appId, client_secret: bot.password, scope: 'https://api.botframework.com/.default', ...more,
  });

  it('gives tokens to those who know the secret, with words for the others', async () => {
    const good = await login(words());
    assert.equal(good.status, 200);
    assert.equal(good.body.token_type, 'Bearer');
    for (const [form, tenant, status, code] of [
      [words({ client_secret: 'x' }), undefined, 401, 7000215], [words({ client_id: 'x' }), undefined, 400, 700016],
      [words({ scope: 'x' }), undefined, 400, 70011], [words({ grant_type: 'x' }), undefined, 400, 70003], [words(), 'nowhere', 400, 90002]]) {
      const bad = await login(form, tenant);
      assert.equal(bad.status, status);
      assert.deepEqual(bad.body.error_codes, [code]);
    }
  });

  it("takes what Microsoft's client sends", async () => {
    const { body } = await login(words());
    const credentials = { signRequest: async (request) => { request.headers.set('authorization', `Bearer ${body.access_token}`); return request; } };
    const client = new ConnectorClient(credentials, { baseUri: teams.serviceUrl });
    const { id } = await client.conversations.sendToConversation(chat.id, { type: 'message', text: 'one' });
    assert.equal(teams.messages(chat).at(-1).text, 'one');
    await client.conversations.updateActivity(chat.id, id, { type: 'message', text: 'two' });
    assert.equal(chat.activities.get(id).text, 'two');
    await client.conversations.deleteActivity(chat.id, id);
    assert.equal(chat.activities.has(id), false);
    const code = (promise) => promise.then(() => null, (error) => [error.statusCode, error.code ?? error.body?.error?.code]);
    assert.deepEqual(await code(client.conversations.updateActivity(chat.id, id, { type: 'message', text: 'x' })), [404, 'ActivityNotFoundInConversation']);
    assert.deepEqual(await code(client.conversations.sendToConversation('a:other', { type: 'message', text: 'x' })), [404, 'ConversationNotFound']);
    assert.deepEqual(await code(client.conversations.sendToConversation(chat.id, { type: 'message' })), [400, 'BadArgument']);
    assert.deepEqual(await code(client.conversations.sendToConversation(chat.id, { type: 'message', text: '<b>x', textFormat: 'xml' })), [400, 'BadSyntax']);
    assert.deepEqual((await code(client.conversations.sendToConversation(chat.id, { type: 'message', text: 'x'.repeat(60_000) })))[0], 413);
    chat.inRoster = false;
    assert.deepEqual(await code(client.conversations.sendToConversation(chat.id, { type: 'message', text: 'x' })), [403, 'BotNotInConversationRoster']);
    chat.inRoster = true;
    teams.withdrawTokens();
    assert.deepEqual((await code(client.conversations.sendToConversation(chat.id, { type: 'message', text: 'x' })))[0], 401);
  });

  it('throttles a conversation as Microsoft does', async () => {
    const strict = new TeamsDouble({ limits: true });
    const crowd = strict.personalChat(strict.addBot(), 'Bo');
    const got = Array.from({ length: 9 }, () => strict.take(crowd, { type: 'typing' }).status);
    assert.deepEqual(got, [201, 201, 201, 201, 201, 201, 201, 429, 429]);
    assert.ok(strict.throttle(crowd).headers['retry-after']);
  });

  it('knows whole markup from broken', () => {
    for (const text of ['', 'a', '<b>a</b><br/>b &amp; c', '<a href="x">y</a>']) assert.ok(markupIsWhole(text), text);
    for (const text of ['<b>a', '<b><i>a</b></i>', 'a < b', 'a & b', '&unknown;']) assert.ok(!markupIsWhole(text), text);
  });
});
