// postgres.test.mjs - setting up PostgreSQL by the operator's guide as it stands, and what is said when it is not
// right; runs whatever database the other tests use
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { Postgres } from '../support/postgres.mjs';
import { Parley, ROOT, binary } from '../support/server.mjs';

const run = promisify(execFile);

// The first block of commands below the heading.
async function commandsOf(page, heading) {
  const text = await fs.readFile(path.join(ROOT, page), 'utf8');
  const section = text.slice(text.indexOf(`\n${heading}\n`));
  return /```sh\n([^]*?)```/.exec(section)[1];
}

test('PostgreSQL', { skip: (await Postgres.isInstalled()) ? false : 'PostgreSQL is not installed' }, async (t) => {
  const postgres = await Postgres.shared();
  const server = await Parley.create();
  t.after(() => server.destroy());
  const address = `127.0.0.1:${postgres.port}`;
  const asServed = { 'database.url': `postgresql://parley:choose-another@${address}/parley` };
  const asOwner = { 'database.migration_url': `postgresql://parley_tables:choose-one@${address}/parley` };

  await t.test('the guide\'s commands work as they stand', async () => {
    const { stdout } = await run('bash', ['-euc', await commandsOf('docs/operators-guide.md', '## PostgreSQL')], {
      cwd: server.folder,
      env: {
        PATH: `${path.dirname(binary)}:${process.env.PATH}`,
        PGHOST: '127.0.0.1', PGPORT: String(postgres.port), PGUSER: 'postgres', PGPASSWORD: postgres.password,
        PARLEY_DATA_FOLDER: server.data,
        PARLEY_INGEST_EXTRACTOR: server.settings['ingest.extractor'],
      },
    });
    assert.match(stdout, /applied control 1\napplied tenant 1\n/);
    assert.match(stdout, /All is well/);
  });

  await t.test('a server runs on it, and commands beside it', async () => {
    Object.assign(server.settings, asServed);
    const made = await server.runJson(['admin', 'key', 'add', 'test', '--org', 'harbour-cycles', '--scopes', 'admin query operate']);
    await server.start();
    const answer = await server.get('/v1/organization', made.secret);
    assert.deepEqual([answer.status, answer.body.name], [200, 'Harbour Cycles']);
    const listed = await server.runJson(['admin', 'organization', 'list']);
    assert.equal((Array.isArray(listed) ? listed : listed.data).length, 1);
    const again = await server.run(['migrate'], { settings: asOwner });
    assert.deepEqual([again.code, again.stdout], [0, "The schema was this version's already.\n"]);
    assert.deepEqual(await server.runJson(['migrate'], { settings: asOwner }), { applied: [] });
    await server.stop();
  });

  await t.test('what is wrong is said, with what to do', async () => {
    const empty = await postgres.makeDatabase();
    const cases = [
      [{ 'database.url': empty.url }, ['serve'], 4, /no schema yet: run "parley migrate"/],
      [{ 'database.url': asOwner['database.migration_url'] }, ['serve'], 1, /owns tables[^]*database.migration_url/],
      [{ 'database.url': postgres.url('postgres', 'parley') }, ['serve'], 1, /superuser[^]*CREATE ROLE/],
      [{ 'database.url': 'postgresql://parley@127.0.0.1:1/parley' }, ['ask', 'Hello?'], 5, /refused/],
      [{}, ['migrate'], 2, /PARLEY_DATABASE_MIGRATION_URL/],
      [{}, ['backup', path.join(server.folder, 'backup')], 2, /pg_dump/],
      [{}, ['restore', path.join(server.folder, 'backup')], 2, /pg_restore/],
    ];
    for (const [settings, words, code, text] of cases) {
      const ended = await server.run(words, { settings });
      assert.equal(ended.code, code, `${words.join(' ')}: ${ended.stderr}`);
      assert.match(ended.stderr, text);
    }
  });

  await t.test('its addresses are secrets', async () => {
    const { stdout } = await server.run(['config'], { settings: asOwner });
    assert.match(stdout, /database\.url/);
    assert.doesNotMatch(stdout, /choose-/);
  });
});
