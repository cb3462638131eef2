// move.test.mjs - `parley move`: what was asked of files is answered the same by PostgreSQL, and by files again
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { Postgres } from '../support/postgres.mjs';
import { Parley, ROOT, filesOnly } from '../support/server.mjs';

const QUESTION = 'How long is the warranty on the frame?';

async function postgresOrNot() {
  try {
    return await Postgres.shared();
  } catch {
    return null;
  }
}

// What a person sees of it: words, citations, rows of the API.
async function look(server, key) {
  const { status, body } = await server.post('/v1/query', key, { question: QUESTION });
  assert.equal(status, 200);
  const sources = await server.list('/v1/sources', key);
  // Links are signed anew each time.
  const citations = body.citations.map((one) => ({ ...one, url: undefined }));
  return { answer: body.answer, citations, confidence: body.confidence, sources };
}

test('moved to PostgreSQL and back', { skip: filesOnly('it begins with files') }, async (t) => {
  const postgres = await postgresOrNot();
  if (!postgres) return t.skip('PostgreSQL is not installed');
  const server = await Parley.create();
  t.after(() => server.destroy());
  const database = await postgres.makeDatabase();
  const onServer = { 'database.url': database.url };
  const words = ['move', '--from', server.data, '--to', 'database.url'];
  await server.start({ command: ['demo', '--documents', path.join(ROOT, 'demo/documents')] });
  const key = (await fs.readFile(path.join(server.data, 'demo-api-key'), 'utf8')).trim();
  const before = await look(server, key);
  assert.match(before.answer, /\w/);
  assert.ok(before.sources.length > 3);
  let grown; // by one document, on PostgreSQL
  const keyFile = await fs.readFile(`${server.data}.key`);

  await t.test('not while it is served, nor into a database without a schema', async () => {
    const served = await server.run(words, { settings: onServer });
    assert.equal(served.code, 4, served.stderr);
    assert.match(served.stderr, /serves this folder/);
    await server.stop();
    const [{ id }] = await server.sql(null, 'SELECT id FROM organization');
    // A job that a process was working on when it died.
    await server.alter({ id }, "INSERT INTO job (organization_id, id, topic, state, due_at, attempts, max_attempts, lease_holder, "
      + `lease_until, payload, created_at, updated_at) VALUES ('${id}', 'held', 'test', 'leased', 1, 1, 3, 'a process/1', 900000000000000000, '{}', 1, 1)`);
    const bare = await server.run(words, { settings: onServer });
    assert.equal(bare.code, 4, bare.stderr);
    assert.match(bare.stderr, /parley migrate/);
  });

  await t.test('a move that was killed goes on', async () => {
    const migrated = await server.run(['migrate'], { settings: { ...onServer, 'database.migration_url': database.migrationUrl } });
    assert.equal(migrated.code, 0, migrated.stderr);
    await assert.rejects(server.run(words, { settings: onServer, env: { PARLEY_FAILPOINTS: 'move.batch=crash:9' } }), { signal: 'SIGKILL' });
    const unfinished = await server.run(['admin', 'organization', 'list'], { settings: onServer });
    assert.match(unfinished.stderr, /did not come to its end/);
    const moved = await server.run([...words, '--json'], { settings: onServer });
    assert.equal(moved.code, 0, moved.stderr);
    const told = JSON.parse(moved.stdout);
    assert.equal(told.organizations, 1);
    assert.equal(told.went_on, true);
    assert.equal(told.leases_ended, 1);
    assert.deepEqual(await database.rows(null, "SELECT state, attempts, lease_holder, lease_until FROM job WHERE id = 'held'"),
      [{ state: 'ready', attempts: 1, lease_holder: null, lease_until: null }]);
    await database.run("DELETE FROM job WHERE id = 'held'");
    assert.equal(told.objects.copied, false);
    for (const { table, rows, checksum, of_organizations: tenants } of told.tables) {
      const [{ count }] = await database.rows(null, `SELECT count(*) FROM ${table}`);
      assert.equal(rows, table === 'job' ? count + 1 : count, table);
      assert.match(checksum, /^[0-9a-f]{64}$/);
      assert.equal(typeof tenants, 'boolean');
    }
    assert.ok(told.tables.find((row) => row.table === 'index_posting').rows > 100);
    const again = await server.run(words, { settings: onServer });
    assert.equal(again.code, 4);
    assert.match(again.stderr, /not empty/);
  });

  await t.test('PostgreSQL answers the same, and goes on living', async () => {
    await server.start({ settings: onServer });
    assert.deepEqual(await look(server, key), before);
    const organization = (await server.get('/v1/organization', key)).body;
    await server.addDocument({ id: organization.id, key }, 'new.md', '# Bells\n\nA bell of brass costs eleven euros.\n');
    const { body } = await server.post('/v1/query', key, { question: 'What does a bell of brass cost?' });
    assert.match(body.answer, /eleven euros/);
    grown = await look(server, key);
    const served = await server.run(['move', '--from', database.url, '--to', path.join(server.folder, 'back')]);
    assert.equal(served.code, 4, served.stderr);
    assert.match(served.stderr, /other Parley processes/);
    await server.stop();
  });

  await t.test('and back into another folder, with the documents', async () => {
    const back = path.join(server.folder, 'back');
    const moved = await server.run(['move', '--from', database.url, '--to', back, '--json']);
    assert.equal(moved.code, 0, moved.stderr);
    const told = JSON.parse(moved.stdout);
    assert.equal(told.objects.copied, true);
    assert.ok(told.objects.count > 3, moved.stdout);
    await fs.rename(server.data, `${server.data}-old`);
    await server.start({ settings: { 'data.folder': back, 'data.key_file': `${server.data}.key` } });
    assert.deepEqual(await look(server, key), grown);
    assert.equal(grown.sources.length, before.sources.length + 1);
    const bells = grown.sources.find(({ name }) => name === 'new.md');
    const link = await server.get(`/v1/sources/${bells.id}/link`, key);
    assert.equal(link.status, 200, link.text);
    assert.match((await server.call('GET', new URL(link.body.url, server.url).pathname)).text, /eleven euros/);
    assert.deepEqual(await fs.readFile(`${server.data}.key`), keyFile);
    await server.stop();
    const checked = await server.run(['doctor'], { settings: { 'data.folder': back, 'data.key_file': `${server.data}.key` } });
    assert.ok([0, 6].includes(checked.code), checked.stderr);
  });
});
