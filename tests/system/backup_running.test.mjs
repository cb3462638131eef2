// backup_running.test.mjs - parley backup beside a running server that is being written to, and back again
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { filesOnly } from '../support/server.mjs';
import { PUNCTURE, addBot, openServer, openTelegram, postUpdate, textUpdate } from './scene.mjs';

const run = promisify(execFile);

test('backup while the server runs', { skip: filesOnly('pg_dump saves it') }, async (t) => {
  const telegram = await openTelegram(t, { strictChats: false });
  const server = await openServer(t, {
    organizations: ['shop', 'other'], publicUrl: true, settings: { 'limits.sender_per_minute': 0 },
  });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);
  const backup = path.join(server.folder, 'backup');
  let accepted = 0;
  let going = true;

  // Customers go on writing, each at a time of their own, until the backup is there.
  const writers = [0, 1, 2, 3].map(async (writer) => {
    for (let i = 0; going; i++) {
      const id = writer * 100_000 + i + 1;
      const answer = await postUpdate(server, bot, textUpdate(id, 500 + writer, `message ${id}`));
      assert.equal(answer.status, 200, answer.text);
      accepted += 1;
    }
  });
  const before = accepted;
  const made = await server.run(['backup', backup]);
  going = false;
  await Promise.all(writers);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /The backup is in/);
  assert.ok(accepted > before);

  await t.test('its checksums are those of its files', async () => {
    const { stdout } = await run('sha256sum', ['-c', '--strict', 'MANIFEST'], { cwd: backup });
    assert.equal(stdout.match(/: OK/g).length, 3 + 2, 'control, two organizations, a document of each');
    assert.equal(stdout.match(/blobs\/.*: OK/g).length, 2);
  });

  await t.test('a folder that is there is not written over', async () => {
    const again = await server.run(['backup', backup]);
    assert.equal(again.code, 4, again.stderr);
    assert.match(again.stderr, /no backup was made/);
  });

  await t.test('what is no data folder is said, and not made', async () => {
    const nowhere = path.join(server.folder, 'nowhere');
    const wrong = await server.run(['backup', '--data', nowhere, path.join(server.folder, 'second')]);
    assert.equal(wrong.code, 3, wrong.stderr);
    assert.match(wrong.stderr, /is no data folder/);
    await assert.rejects(fs.access(nowhere));
  });

  await t.test('the server is none the worse', async () => {
    assert.equal((await server.ask(shop, PUNCTURE)).citations.length > 0, true);
    const [{ n }] = await server.sql(shop, "SELECT count(*) AS n FROM message WHERE role = 'user'");
    assert.equal(n, accepted);
  });

  await t.test('restored, it is whole: every message has its job or its answer', async () => {
    await server.waitUntilIdle(shop, 60_000);
    await server.stop();
    const restored = path.join(server.folder, 'restored');
    const back = await server.run(['restore', '--data', restored, backup]);
    assert.equal(back.code, 0, back.stderr);
    await fs.copyFile(`${server.data}.key`, `${restored}.key`);
    server.data = restored;
    server.settings['data.folder'] = restored;
    await server.start();
    assert.ok((await server.ask(shop, PUNCTURE)).citations.length > 0);
    assert.equal((await server.get('/v1/channels', shop.key)).body.data.length, 1);
    await server.waitUntilIdle(shop, 60_000);
    const [{ n, open }] = await server.sql(shop,
      "SELECT count(*) AS n, (SELECT count(*) FROM job WHERE state <> 'dead') AS open FROM message WHERE role = 'user'");
    assert.ok(n <= accepted, `${n} of ${accepted}`);
    assert.equal(open, 0);
    const [{ waiting }] = await server.sql(shop,
      "SELECT count(*) AS waiting FROM conversation c WHERE (SELECT role FROM message m WHERE m.conversation_id = c.id ORDER BY m.id DESC LIMIT 1) = 'user' AND c.status <> 'handed_off'");
    assert.equal(waiting, 0);
    const source = (await server.get('/v1/sources', shop.key)).body.data[0];
    const again = await server.post(`/v1/sources/${source.id}/reprocess`, shop.key, {});
    await server.waitForIngestion(shop, again.body.ingestion_id);
  });
});
