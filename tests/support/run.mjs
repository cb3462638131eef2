// run.mjs - runs test files, so many side by side: run.mjs COUNT FILE...
//
// What `node --test --test-concurrency` does, which Debian's Node does not know. By itself it runs one file less than
// there are processors, though most of what our tests do is wait for servers. On PostgreSQL all files share one server
// and what one program has migrated: each would start its own otherwise, which takes as long as many a file's tests.
import { execFileSync } from 'node:child_process';
import { run } from 'node:test';
import { tap } from 'node:test/reporters';

import { Postgres } from './postgres.mjs';

const [count, ...files] = process.argv.slice(2);
if (process.env.PARLEY_TEST_DATABASE === 'pgsql') {
  const postgres = await Postgres.shared();
  const { name, url, migrationUrl } = await postgres.makeDatabase();
  const program = process.env.PARLEY_TEST_BINARY;
  execFileSync(program, ['migrate'], { env: { PARLEY_DATABASE_URL: url, PARLEY_DATABASE_MIGRATION_URL: migrationUrl } });
  process.env.PARLEY_TEST_POSTGRES = postgres.lend(program, name);
}
run({ files, concurrency: Number(count) })
  .on('test:fail', () => { process.exitCode = 1; })
  .compose(tap)
  .pipe(process.stdout);
