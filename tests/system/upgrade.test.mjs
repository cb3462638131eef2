// upgrade.test.mjs - two versions side by side on one PostgreSQL: the newer migrates while the older serves, and
// each finishes what the other left, at every step of an answer
//
// parley-next is this version with another number and a schema that goes on (tests/upgrade).
import assert from 'node:assert/strict';
import test from 'node:test';

import { Postgres } from '../support/postgres.mjs';
import { Parley, binary, filesOnly, freePort, nextBinary, until } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, SHOP, Visitor, addBot, openTelegram, postUpdate, textUpdate } from './scene.mjs';

const STEPS = ['queue.leased', 'answer.modelled', 'answer.in_transaction', 'send.intent_committed', 'send.called'];
const skip = filesOnly('it makes a database of its own') || (await Postgres.isInstalled() ? false : 'PostgreSQL is not installed');

test('two versions side by side', { skip }, async (t) => {
  const telegram = await openTelegram(t, { strictChats: false });
  const first = await Parley.create({
    'http.public_url': 'https://chat.example.org', 'queue.lease': '2s', 'queue.sweep': '200ms',
    'limits.staff_per_minute': 0, 'limits.external_per_minute': 0,
  });
  const servers = [first];
  t.after(() => Parley.destroyAll(servers));
  await first.makeDatabase();
  const shop = await first.addOrganization('shop');
  let chatId = 4000;

  // A process of one version; started by the caller.
  async function member(version, roles) {
    const server = await Parley.create(first.settings);
    servers.push(server);
    server.port = await freePort();
    Object.assign(server.settings, { 'http.listen': `127.0.0.1:${server.port}` });
    Object.assign(server, { database: first.database, binary: version, roles });
    server.go = (options) => server.start({ command: ['serve', '--roles', roles], ...options });
    return server;
  }
  const ask = async (gateway, bot) => {
    chatId += 1;
    const posted = await postUpdate(gateway, bot, textUpdate(chatId, chatId, PUNCTURE));
    assert.equal(posted.status, 200, posted.text);
    return chatId;
  };
  const answered = async (bot, chat) => {
    const [answer] = await telegram.waitForMessages(1, { bot: bot.token, chatId: chat, timeoutMs: 60_000 });
    assert.match(answer.text, /19 euros/);
  };

  const gateways = { old: await member(binary, 'gateway,api'), next: await member(nextBinary, 'gateway,api') };
  const workers = { old: await member(binary, 'worker,scheduler'), next: await member(nextBinary, 'worker,scheduler') };
  await gateways.old.go();
  await workers.old.go();
  await gateways.old.addDocument(shop, 'shop.md', SHOP);
  const bot = await addBot(gateways.old, telegram, shop, { register: false, settings: { on_uncertain: 'resend' } });

  // What comes after a failure would only meet what that left running.
  let broken = null;
  const step = (name, run, parent = t) => parent.test(name, { skip: broken ? `after "${broken}" failed` : false }, async (t2) => {
    broken = name;
    await run(t2);
    broken = null;
  });

  await step('the newer says that it must migrate, and does so while the older serves', async () => {
    const { code, stderr } = await gateways.next.run(['serve']);
    assert.equal(code, 4);
    assert.match(stderr, /older than this Parley: run "parley migrate"/);
    let migrated = null;
    const migrating = gateways.next.run(['migrate'], { settings: { 'database.migration_url': first.database.migrationUrl } })
      .then((end) => { migrated = end; });
    const chats = [];
    for (let after = 0; after < 5; after += migrated !== null) chats.push(await ask(gateways.old, bot));
    await migrating;
    assert.equal(migrated.code, 0, migrated.stderr);
    assert.match(migrated.stdout, /^applied tenant 2\n/);
    for (const chat of chats) await answered(bot, chat);
    await gateways.old.waitUntilIdle(shop);
    assert.deepEqual((await gateways.old.get('/v1/dead-letters', shop.key)).body.data, []);
  });

  await step('both are there, with their versions', async () => {
    await gateways.next.go();
    const { body } = await gateways.next.get('/v1/instances', shop.key);
    assert.deepEqual(body.data.map(({ roles, version }) => [roles, version]),
      [['gateway,api', '0.1.0'], ['worker,scheduler', '0.1.0'], ['gateway,api', '0.1.0-next']]);
    await workers.old.stop();
  });

  for (const [dies, lives] of [['old', 'next'], ['next', 'old']]) {
    await step(`what the ${dies} version left, the other finishes`, async (t2) => {
      const gateway = gateways[dies];
      broken = null;
      for (const place of STEPS) {
        await step(place, async () => {
          await workers[dies].go({ failpoints: `${place}=crash` });
          const chat = await ask(gateway, bot);
          await workers[dies].killed();
          const before = telegram.messages({ bot: bot.token, chatId: chat }).length;
          assert.equal(before, place === 'send.called' ? 1 : 0);
          await workers[lives].go();
          await until(async () => (await first.sql(shop, `SELECT count(*) AS n FROM message WHERE role = 'assistant'
            AND external_chat_id = '${chat}' AND delivery = 'sent'`))[0].n === 1, 'the answer to be sent');
          await answered(bot, chat);
          await gateway.waitUntilIdle(shop);
          assert.equal(telegram.messages({ bot: bot.token, chatId: chat }).length, before + 1);
          await workers[lives].stop();
        }, t2);
      }
      assert.equal(broken, null);
    });
  }

  await step('a visitor at one is answered by the other, and told by both', async () => {
    const channel = await gateways.old.addChannel(shop, 'web');
    for (const [at, by] of [['old', 'next'], ['next', 'old']]) {
      await workers[by].go();
      const visitor = await Visitor.open(gateways[at], channel.id);
      const elsewhere = new Visitor(gateways[by], channel.id, visitor.token);
      const stream = await elsewhere.events();
      assert.match((await visitor.ask(DEPOSIT)).text, /100 euros/);
      await stream.until((e) => e.type === 'message' && /100 euros/.test(e.data.text));
      await stream.close();
      await workers[by].stop();
    }
  });
});
