// disk_full.test.mjs - no room for another byte while people write: refused, nothing lost, well again
//
// Twice: with the store's own failpoint, and with a limit of the kernel on the size of files
// (RLIMIT_FSIZE), which every write of every file meets.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';

import { Parley } from '../support/server.mjs';
import { addBot, openTelegram, postUpdate, textUpdate } from '../system/scene.mjs';
import { hutsDocument } from './load.mjs';

const run = promisify(execFile);
const CHATS = 5;

async function prepare(t) {
  const telegram = await openTelegram(t, { strictChats: false });
  const server = await Parley.create({ 'limits.sender_per_minute': 0, 'queue.lease': '2s' });
  server.settings['http.public_url'] = server.url;
  t.after(() => server.destroy());
  const organization = await server.addOrganization('shop');
  await server.start();
  await server.addDocument(organization, 'huts.md', hutsDocument());
  const bot = await addBot(server, telegram, organization, { register: false, settings: { bot_per_second: 1000, chat_per_minute: 6000 } });
  return { telegram, server, organization, bot, accepted: [], next: 1 };
}

// Writes until the server refuses for want of room, or so many times. Gives the last status.
async function write(scene, most) {
  let status = 200;
  for (let i = 0; i < most && status === 200; i++) {
    const id = scene.next++;
    const answer = await postUpdate(scene.server, scene.bot, textUpdate(id, 1 + (id % CHATS), `What is the door code of the Alder hut? ${'Please. '.repeat(100)}`));
    status = answer.status;
    if (status === 200) scene.accepted.push(`${scene.bot.id}:${1 + (id % CHATS)}:${id}`);
    else scene.refusal = answer;
  }
  return status;
}

async function checkWhole(scene) {
  const { server, organization, telegram } = scene;
  await server.waitUntilIdle(organization, 60_000);
  const rows = await server.sql(organization, "SELECT external_message_id AS id FROM message WHERE role = 'user'");
  const stored = rows.map((row) => row.id);
  for (const id of scene.accepted) assert.equal(stored.filter((one) => one === id).length, 1, `${id} is stored once`);
  const covered = await server.sql(organization, `SELECT count(*) AS n FROM message q WHERE role = 'user' AND 1 <> (SELECT count(*) FROM message a
    WHERE a.conversation_id = q.conversation_id AND q.seq BETWEEN a.answers_from_seq AND a.answers_to_seq)`);
  assert.deepEqual(covered, [{ n: 0 }], 'each is answered once');
  const unsent = await server.sql(organization, "SELECT id, delivery FROM message WHERE role = 'assistant' AND delivery <> 'sent'");
  assert.deepEqual(unsent.filter((row) => row.delivery !== 'uncertain'), []);
  assert.deepEqual((await server.get('/v1/dead-letters', organization.key)).body.data, []);
  assert.ok(telegram.messages().length > 0);
  assert.deepEqual(await server.sql(organization, 'PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
}

function assertRefused(scene) {
  assert.equal(scene.refusal.status, 503, scene.refusal.text);
  assert.ok(Number(scene.refusal.headers.get('retry-after')) >= 1);
  assert.match(scene.refusal.headers.get('content-type'), /problem\+json/);
}

test('the store says that the disk is full', async (t) => {
  const scene = await prepare(t);
  await scene.server.stop();
  await scene.server.start({ failpoints: 'store.disk_full=error:40' });
  assert.equal(await write(scene, 500), 503);
  assertRefused(scene);
  assert.equal(await write(scene, 1), 503, 'and goes on refusing');
  assert.ok(scene.accepted.length > 0);
  await scene.server.kill();
  await scene.server.start();
  assert.equal(await write(scene, 20), 200);
  await checkWhole(scene);
});

test('the kernel refuses to make files larger', async (t) => {
  const scene = await prepare(t);
  const { server } = scene;
  const limit = async (bytes) => run('prlimit', ['--pid', String(server.process.pid), `--fsize=${bytes}:unlimited`]);
  await write(scene, 20);
  await limit(1024 * 1024);
  assert.equal(await write(scene, 5000), 503, `${scene.accepted.length} were accepted`);
  assertRefused(scene);
  const ready = await server.get('/readyz');
  assert.ok([200, 503].includes(ready.status));
  assert.equal((await server.get('/healthz')).status, 200, 'it lives');
  await t.test('with room again it goes on by itself, without a restart', async () => {
    await limit('unlimited');
    assert.equal(await write(scene, 20), 200, scene.refusal.text);
    await checkWhole(scene);
  });
  await t.test('and after a kill everything is there', async () => {
    await server.kill();
    await server.start();
    await checkWhole(scene);
  });
});
