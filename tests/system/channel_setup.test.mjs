// channel_setup.test.mjs - connecting a channel of each provider, as a new user would: by the API, by the command
// line, and what parley doctor says of it afterwards
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import test from 'node:test';

import { Mail } from '../support/mail.mjs';
import { NETWORKS } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { ROWS } from './channel_rows.mjs';
import { PUNCTURE, Visitor, openServer } from './scene.mjs';

class Captured extends Error {}

// A provider's account, and what a person would give for it: {network, spec}.
async function openAccount(t, source, number) {
  const network = new NETWORKS[source](number);
  let spec = null;
  await network.start();
  t.after(() => network.stop());
  const taker = { addChannel: (organization, name, given) => { spec = given; throw new Captured(); } };
  await assert.rejects(network.connect(taker, null, {}), Captured);
  if (source.startsWith('twilio')) network.double.addNumber(network.prefix + network.own, { url: '' });
  if (source === 'whatsapp_business') spec.settings.waba_id = [...network.double.accounts.values()][0].waba;
  return { network, spec };
}

// A secret that is not the account's; null: the double does not ask for one.
const WRONG = {
  telegram: { bot_token: '7000000001:another-secret-than-the-bot-has' },
  whatsapp_business: { access_token: 'EAAwrong0123456789abcdef' },
  instagram: { access_token: 'IGAAwrong0123456789abcdef' },
  twilio_sms: { auth_token: 'ffffffffffffffffffffffffffffffff' },
  twilio_whatsapp: { auth_token: 'ffffffffffffffffffffffffffffffff' },
  slack: { bot_token: 'xoxb-111111111111-222222222222-wrongwrongwrong' },
  teams: { app_password: 'not-the-password' },
  email: null,
};
const REGISTERS = ['telegram', 'whatsapp_business', 'twilio_sms'];
const PASTED = {
  instagram: /Callback URL/, twilio_whatsapp: /webhook for incoming messages/, slack: /Request URL/, teams: /Messaging endpoint/, email: /Postmark/,
};

const secretsOf = ({ credentials }) => Object.entries(credentials).filter(([key]) => /token|secret|password/.test(key)).map(([, value]) => value);
const assertSecretless = (text, spec) => {
  for (const secret of secretsOf(spec)) assert.ok(!text.includes(secret), text);
};

const FOLDER = new URL('../../docs/channels/', import.meta.url);
const PAGES = { whatsapp_business: 'whatsapp', twilio_sms: 'twilio', twilio_whatsapp: 'twilio' };
const pageOf = (source) => PAGES[source] ?? source;

// The bodies of the requests that the page has.
async function bodiesOf(page) {
  const text = await fs.readFile(new URL(`${page}.md`, FOLDER), 'utf8');
  return [...text.matchAll(/-d '(\{.*?\})'/gs)].map(([, body]) => JSON.parse(body));
}

// What the provider's page tells a newcomer to give, with this account's values; where the double's API is comes on top.
async function asDocumented(source, { spec }) {
  const bodies = await bodiesOf(pageOf(source));
  const wanted = source === 'twilio_whatsapp' ? 'twilio_sms' : source;
  // Of those who hand mails over the page shows one, and says that inbound tells them apart.
  const inbound = ['mailgun', 'sendgrid'].includes(spec.settings.inbound) ? 'postmark' : spec.settings.inbound;
  const told = bodies.find((body) => body.source === wanted && body.settings?.inbound === inbound);
  assert.ok(told, `docs/channels: how to add ${source}`);
  const keys = new Set(Object.keys(told.credentials));
  if (source === 'email') {
    // The double of a mail server takes mails without a login; a mailbox wants one.
    for (const key of inbound === 'imap' ? [] : ['username', 'password']) keys.delete(key);
    for (const key of inbound === 'imap' ? ['smtp_username', 'smtp_password'] : ['signing_key']) if (key in spec.credentials) keys.add(key);
  }
  return {
    settings: { ...told.settings, ...spec.settings },
    credentials: Object.fromEntries([...keys].map((key) => [key, spec.credentials[key] ?? told.credentials[key]])),
  };
}

test('by the API', async (t) => {
  const server = await openServer(t, { publicUrl: true, documents: false });
  const { shop } = server;
  const channels = async () => (await server.get('/v1/channels', shop.key)).body.data;
  const add = (source, spec, more = {}) => server.post('/v1/channels', shop.key, { source, name: source, ...spec, ...more });

  for (const source of Object.keys(NETWORKS)) {
    await t.test(source, async (inner) => {
      const spec = await asDocumented(source, await openAccount(inner, source, 1));
      const before = (await channels()).length;

      if (WRONG[source]) {
        const refused = await add(source, { ...spec, credentials: { ...spec.credentials, ...WRONG[source] } });
        assert.equal(refused.status, 400, refused.text);
        assert.match(refused.body.detail, /refuses the credentials/);
        assertSecretless(refused.text, { credentials: WRONG[source] });
        assert.equal((await channels()).length, before, 'nothing is kept');
      }
      const { status, body, text } = await add(source, spec);
      assert.equal(status, 201, text);
      assert.equal(body.status, 'active');
      assert.match(body.check.account, /./);
      assertSecretless(text, spec);
      const url = `${server.url}/webhooks/${source}/${body.id}`;
      if (REGISTERS.includes(source)) {
        assert.equal(body.check.webhook_url, url);
        assert.equal(body.check.registered_url.replace(/#.*$/, ''), url);
        assert.equal(body.check.setup, undefined);
      } else {
        assert.equal(body.check.webhook_url, null);
        assert.match(body.check.setup, PASTED[source]);
        assert.ok(body.check.setup.includes(url), body.check.setup);
      }
      const again = await server.post(`/v1/channels/${body.id}/check`, shop.key, {});
      assert.equal(again.status, 200, again.text);
      assert.deepEqual(again.body, body.check);
    });
  }

  await t.test('new credentials are tried before anything changes', async (inner) => {
    const { network, spec } = await openAccount(inner, 'telegram', 4);
    const { body: { id } } = await add('telegram', spec);
    const patch = (body) => server.call('PATCH', `/v1/channels/${id}`, { key: shop.key, body });
    const revision = async () => (await server.sql(shop, `SELECT revision, status FROM channel WHERE id = '${id}'`))[0];
    const before = await revision();
    const [number] = spec.credentials.bot_token.split(':');
    const wrong = { bot_token: `${number}:another-secret-than-the-bot-has` };

    const refused = await patch({ credentials: wrong, name: 'Renamed' });
    assert.equal(refused.status, 400, refused.text);
    assert.match(refused.body.detail, /refuses the credentials/);
    assertSecretless(refused.text, { credentials: wrong });
    assert.deepEqual(await revision(), before, 'nothing is changed');
    assert.equal((await server.post(`/v1/channels/${id}/check`, shop.key, {})).status, 200, 'the old ones go on working');

    const given = await patch({ credentials: { bot_token: spec.credentials.bot_token, secret_token: 'another-secret-for-the-webhook' } });
    assert.equal(given.status, 200, given.text);
    assert.match(given.body.check.account, /^@/);
    assert.equal(network.double.bot(spec.credentials.bot_token).delivery.webhook.secret_token, 'another-secret-for-the-webhook', 'registered again');

    assert.equal((await patch({ credentials: wrong, check: false })).status, 200, 'unasked');
    assert.equal((await server.post(`/v1/channels/${id}/check`, shop.key, {})).status, 409);
    const mended = await patch({ credentials: { bot_token: spec.credentials.bot_token } });
    assert.equal(mended.status, 200, mended.text);
    assert.equal(mended.body.status, 'active');
    assert.equal((await patch({ name: 'Renamed' })).body.check, undefined, 'nobody is asked about a name');
    await network.stop();
    const unreached = await patch({ credentials: { bot_token: spec.credentials.bot_token } });
    assert.equal(unreached.status, 503, unreached.text);
    assert.match(unreached.body.detail, /nothing was changed.*"check": false/);
  });

  await t.test('a provider that cannot be asked', async (inner) => {
    const { network, spec } = await openAccount(inner, 'telegram', 2);
    const before = (await channels()).length;
    await network.stop();
    const asked = await add('telegram', spec);
    assert.equal(asked.status, 503, asked.text);
    assert.match(asked.body.detail, /cannot be asked.*nothing was added/);
    assert.equal((await channels()).length, before);
    const unasked = await add('telegram', spec, { check: false });
    assert.equal(unasked.status, 201, unasked.text);
    assert.equal(unasked.body.check, undefined);
    assert.equal((await server.call('PATCH', `/v1/channels/${unasked.body.id}`, { key: shop.key, body: { check: true } })).status, 400);
  });

  await t.test('a webhook that the provider does not take', async (inner) => {
    const { network, spec } = await openAccount(inner, 'telegram', 3);
    network.double.fail({ method: 'setWebhook', status: 400, description: 'Bad Request: bad webhook: Failed to resolve host' });
    const { status, body, text } = await add('telegram', spec);
    assert.equal(status, 201, text);
    assert.match(body.check.registration_failed, /Failed to resolve host/);
    assert.equal(body.check.webhook_url, null);
  });
});

test('by the command line, and what doctor says', async (t) => {
  const server = await openServer(t, { publicUrl: true, documents: false, start: false });
  const accounts = {};
  const add = (source, spec, ...more) => server.run(['admin', 'channel', 'add', source, '--credentials', JSON.stringify(spec.credentials), '--settings', JSON.stringify(spec.settings), ...more]);
  const doctor = async () => JSON.parse((await server.run(['doctor', '--json'])).stdout);
  const saysOf = async (source, wanted) => (await doctor()).filter(({ check, detail }) => check === source && wanted.test(detail));

  for (const source of Object.keys(NETWORKS)) {
    await t.test(source, async () => {
      const account = await openAccount(t, source, 1);
      const { spec } = account;
      accounts[source] = account;
      if (WRONG[source]) {
        const refused = await add(source, { ...spec, credentials: { ...spec.credentials, ...WRONG[source] } });
        assert.notEqual(refused.code, 0, refused.stdout);
        assert.match(refused.stderr, /no channel was added: the provider refuses the credentials/);
        assertSecretless(refused.stderr, { credentials: WRONG[source] });
        assert.deepEqual(await saysOf(source, /./), []);
      }
      const { code, stdout, stderr } = await add(source, spec);
      assert.equal(code, 0, stderr);
      const [, id] = /^Channel (\S+) is there: the provider calls it ./.exec(stdout) ?? [];
      assert.ok(id, stdout);
      assert.ok(stdout.includes(`/webhooks/${source}/${id}`) || source === 'whatsapp_business', stdout);
      account.id = id;
      assertSecretless(stdout, spec);
      if (source === 'whatsapp_business') {
        // Meta tests the address at once, and no server runs.
        assert.match(stdout, /webhook is not registered.*\nStart the server, then POST \/v1\/channels\/\S+\/check/);
        assert.match((await saysOf(source, /delivers to https:\/\/app\.example\/hooks, not here/))[0].advice, /check/);
      } else if (REGISTERS.includes(source)) {
        assert.match(stdout, /Registered there/);
        const found = await saysOf(source, /provider delivers to/);
        assert.deepEqual(found.map(({ ok }) => ok), [true]);
      } else {
        assert.match(stdout, /What is left to do/);
        assert.match(stdout, PASTED[source]);
        if (source === 'twilio_whatsapp') {
          const [found] = await saysOf(source, /delivers to no address, not here/);
          assert.match(found.advice, PASTED[source]);
          const url = `${server.url}/webhooks/${source}/${id}`;
          account.network.double.numbers.get(`whatsapp:${account.network.own}`).url = `${url}#rc=3&rp=all`;
          assert.deepEqual((await saysOf(source, /the provider delivers to/)).map(({ ok, detail }) => [ok, detail.includes(url)]), [[true, true]]);
          account.network.double.numbers.clear(); // as the sandbox's, which is no sender of the account
        }
        const [found] = await saysOf(source, /does not tell where it delivers/);
        assert.deepEqual([found.ok, /write to the channel/.test(found.detail)], [true, true]);
      }
    });
  }

  await t.test('unasked', async (inner) => {
    const { network, spec } = await openAccount(inner, 'telegram', 2);
    await network.stop();
    const asked = await add('telegram', spec);
    assert.notEqual(asked.code, 0);
    assert.match(asked.stderr, /no channel was added \(--no-check adds it unasked\)/);
    const { code, stdout } = await add('telegram', spec, '--no-check', '--json');
    assert.equal(code, 0);
    const { id, webhook_url: url, registered } = JSON.parse(stdout);
    assert.equal(url, `${server.url}/webhooks/telegram/${id}`);
    assert.equal(registered, false);
    assert.equal((await server.run(['admin', 'channel', 'remove', id])).code, 0);
  });

  await t.test('doctor sees what is wrong at the provider', async () => {
    const { telegram, whatsapp_business: whatsapp, slack } = accounts;
    await fetch(`${telegram.network.double.url}/bot${telegram.network.token}/setWebhook`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ url: 'https://elsewhere.example/hook' }),
    });
    assert.deepEqual((await saysOf('telegram', /delivers to https:\/\/elsewhere\.example\/hook, not here/)).map(({ ok }) => ok), [false]);
    slack.network.double.fail({ match: (request) => request.path.endsWith('auth.test'), status: 200, headers: { 'content-type': 'application/json' }, body: '{"ok":false,"error":"token_revoked"}' });
    const [revoked] = await saysOf('slack', /token_revoked/);
    assert.equal(revoked.ok, false);
    assert.match(revoked.advice, /give new ones/);

    const [account] = whatsapp.network.double.accounts.values();
    account.subscribed = false;
    assert.deepEqual((await saysOf('whatsapp_business', /no app is subscribed/)).map(({ ok }) => ok), [false]);
    account.subscribed = true;
    assert.deepEqual(await saysOf('whatsapp_business', /no app is subscribed/), []);

    const [ours] = accounts.instagram.network.double.accounts.values();
    ours.subscribed = false;
    const [unheard] = await saysOf('instagram', /no app is subscribed/);
    assert.equal(unheard.ok, false);
    assert.match(unheard.advice, PASTED.instagram);
    ours.subscribed = true;

    const sayings = async () => (await saysOf('whatsapp_business', /template/)).map(({ ok, detail }) => [ok, detail.replace(/^"[^"]*": /, '')]);
    const [[fine, words]] = await sayings();
    assert.ok(fine && /no window_template/.test(words), words);
    // The same number again, with a template this time.
    assert.equal((await server.run(['admin', 'channel', 'remove', whatsapp.id])).code, 0);
    whatsapp.spec.settings.window_template = { name: 'we_are_back', language: 'en', parameters: ['{text}'] };
    assert.equal((await add('whatsapp_business', whatsapp.spec)).code, 0);
    assert.deepEqual(await sayings(), [[false, 'WhatsApp has no template we_are_back in the language en']]);
    whatsapp.network.double.reviewed.push({ name: 'we_are_back', language: 'en', status: 'REJECTED' });
    assert.deepEqual(await sayings(), [[false, 'WhatsApp calls the template we_are_back REJECTED']]);
    whatsapp.network.double.reviewed[0].status = 'APPROVED';
    assert.deepEqual(await sayings(), []);
  });
});

// Connects the row's channel as its page says; then somebody writes, and is answered.
async function follow(t, server, row, mail) {
  const network = row.open(7, mail);
  await network.start();
  t.after(() => network.stop());
  row.prepare?.(network);
  if (network.prefix !== undefined) network.double.addNumber(network.prefix + network.own, { url: '' });
  const reader = Object.assign(Object.create(server), {
    addChannel: async (organization, source, spec) => {
      const { status, body, text } = await server.post('/v1/channels', organization.key, { source, name: row.name, ...await asDocumented(source, { spec }) });
      assert.equal(status, 201, text);
      assert.equal(body.check.registration_failed, undefined);
      return body;
    },
  });
  await network.connect(reader, server.shop, {});
  const { chatId, send } = network.write(7001, PUNCTURE);
  if (send) assert.equal(await send(), 200, row.name);
  const answer = await until(() => network.got().find((one) => one.chatId === chatId), `an answer by ${row.name}; ${server.stderr.slice(-5).join('\n')}`);
  assert.match(answer.text, /19 euros/);
}

async function followWeb(server) {
  const [told] = await bodiesOf('web');
  const page = await fs.readFile(new URL('web.md', FOLDER), 'utf8');
  const { status, body, text } = await server.post('/v1/channels', server.shop.key, told);
  assert.equal(status, 201, text);

  const [, script] = /<script src="https:\/\/chat\.example\.com(\/[^"]+)" data-channel="CHANNEL_ID" async>/.exec(page);
  assert.match((await fetch(server.url + script)).headers.get('content-type'), /javascript/);
  assert.equal((await fetch(`${server.url}/chat/${body.id}`)).status, 200, 'the page that is served');
  const begin = (origin) => server.call('POST', `/v1/webchat/${body.id}/session`, { body: {}, headers: origin ? { origin } : {} });
  const session = await begin(told.settings.allowed_origins[0]);
  assert.equal(session.status, 200, session.text);
  for (const key of ['title', 'greeting', 'color']) assert.equal(session.body[key], told.settings[key]);
  assert.deepEqual(session.body.suggestions, told.settings.suggestions);
  assert.equal((await begin('https://elsewhere.example')).status, 401);

  const visitor = new Visitor(server, body.id, session.body.token);
  assert.match((await visitor.ask(told.settings.suggestions[0])).text, /./);
  assert.match((await visitor.ask(PUNCTURE)).text, /19 euros/);
}

test('each page, followed to an answer', { concurrency: 10 }, async (t) => {
  const mail = (await Mail.missing()) ? null : await Mail.start();
  const server = await openServer(t, { publicUrl: true });
  t.after(() => mail?.stop());
  const pages = (await fs.readdir(FOLDER)).filter((name) => name !== 'README.md').map((name) => name.replace(/\.md$/, ''));
  assert.deepEqual([...new Set(ROWS.map(({ source }) => pageOf(source)))].sort(), pages.sort());
  await Promise.all(pages.map((page) => t.test(`docs/channels/${page}.md`, async (inner) => {
    if (page === 'web') return followWeb(server);
    for (const row of ROWS.filter(({ source }) => pageOf(source) === page)) {
      if (row.missing && !mail) inner.diagnostic(`${row.name}: ${await row.missing()}`);
      else await follow(inner, server, row, mail);
    }
    return null;
  })));
});
