// instagram_token.test.mjs - a token that ends after 60 days is refreshed by upkeep, kept encrypted, used from then on
import assert from 'node:assert/strict';
import test from 'node:test';

import { InstagramDouble } from '../doubles/meta/instagram-double.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const ACCOUNT = '17841400000000077';
const TOKEN = 'IGAAfirst0123456789abcdef';

test('instagram: the token is refreshed', async (t) => {
  const instagram = new InstagramDouble({ timeScale: 0.001 });
  await instagram.start();
  t.after(() => instagram.stop());
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const account = instagram.addAccount({ id: ACCOUNT, token: TOKEN });
  const channel = await server.addChannel(shop, 'instagram', {
    credentials: { instagram_account_id: ACCOUNT, access_token: TOKEN, app_secret: instagram.options.appSecret, verify_token: 'typed-into-the-dashboard' },
    settings: { api_base: instagram.url, burst_window_ms: 0 }, check: true,
  });
  account.callback = `${server.url}/webhooks/instagram/${channel.id}`;
  const sayings = async () => JSON.parse((await server.run(['doctor', '--json'])).stdout)
    .filter(({ check, detail }) => check === 'instagram' && /its token/.test(detail));
  const restart = async () => {
    await server.stop();
    await server.start();
  };
  const noted = (want) => until(async () => {
    const [row] = await server.sql(shop, "SELECT value FROM channel_state WHERE name = 'credentials_end'");
    return row && want(JSON.parse(row.value)) ? JSON.parse(row.value) : null;
  }, 'the note of the token');

  await t.test('one that is too young is tried again; doctor does not mind yet', async () => {
    account.tooYoung = true;
    await restart(); // upkeep comes round at the start
    const note = await noted(({ failures }) => failures === 1);
    assert.ok(!note.reason.includes(TOKEN), note.reason);
    await server.stop();
    const [found] = await sayings();
    assert.ok(found.ok && /could not be refreshed/.test(found.detail), found.detail);
    assert.ok(!JSON.stringify(server.log).includes(TOKEN), 'no token in the log');
    await server.start();
  });

  await t.test('then it is fresh, and answers are sent with it', async () => {
    account.tooYoung = false;
    // What somebody changed is looked at anew.
    assert.equal((await server.call('PATCH', `/v1/channels/${channel.id}`, { key: shop.key, body: { name: 'Our account' } })).status, 200);
    await restart();
    const { ends_us: endsUs } = await noted(({ failures, ends_us: ends }) => failures === 0 && ends > 0);
    assert.ok(Math.abs(endsUs / 1000 - Date.now() - 5183944_000) < 3600_000);
    assert.notEqual(account.token, TOKEN);
    assert.equal(instagram.refreshed, 1);
    instagram.says('900100200', PUNCTURE); // the double takes the fresh one alone
    assert.match((await instagram.waitForMessages(1, '900100200')).at(-1).text, /19 euros/);
    await restart();
    await server.stop(); // lets upkeep end its round
    assert.equal(instagram.refreshed, 1, 'sixty days are left');
    const [found] = await sayings();
    assert.ok(found.ok && /is refreshed before/.test(found.detail), found.detail);
    const secret = Buffer.from(account.token);
    const rows = await server.sql(shop, 'SELECT * FROM credential');
    assert.ok(rows.length > 0 && !JSON.stringify(rows).includes(account.token) && !JSON.stringify(rows).includes(secret.toString('hex')), 'sealed');
    assert.ok(!JSON.stringify(server.log).includes(account.token), 'no token in the log');
  });
});
