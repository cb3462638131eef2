// docs.test.mjs - the documentation says what the program does: every setting, metric and event is named,
// links lead somewhere, and the commands of the API's tour work as they stand
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { Postgres } from '../support/postgres.mjs';
import { Parley, ROOT, binary, filesOnly, freePort } from '../support/server.mjs';

const read = (name) => fs.readFile(path.join(ROOT, name), 'utf8');

async function filesUnder(folder, ending) {
  const found = [];
  for (const entry of await fs.readdir(path.join(ROOT, folder), { withFileTypes: true, recursive: true })) {
    const whole = path.join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && entry.name.endsWith(ending)) found.push(path.relative(ROOT, whole));
  }
  return found;
}

// All that the pattern's first group catches in the sources, tests left out.
async function namesInSources(pattern) {
  const names = new Set();
  for (const file of await filesUnder('src', '.c')) {
    if (/_test[_.]|_test\.c$|conformance/.test(file)) continue;
    for (const match of (await read(file)).matchAll(pattern)) names.add(match[1]);
  }
  return [...names].sort();
}

test('every setting is documented as it is', async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  const { code, stdout } = await server.run(['config', '--markdown']);
  assert.equal(code, 0);
  assert.ok((await read('docs/configuration.md')).endsWith(stdout),
    'docs/configuration.md is out of date: put the table of `parley config --markdown` into it');
});

test('the table of channels is what the drivers say, and what they refuse has its reason', async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  const { code, stdout } = await server.run(['config', '--channels']);
  assert.equal(code, 0);
  assert.ok((await read('docs/channels/README.md')).endsWith(stdout),
    'docs/channels/README.md is out of date: put the output of `parley config --channels` into it');
  const rows = stdout.split('\n').map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  const [, ...titles] = rows[0];
  const table = rows.slice(2, 11);
  assert.equal(table.length, 9);
  const missing = table.flatMap(([source, ...cells]) => cells.flatMap((cell, i) => (cell === 'yes' ? [] : [`${source} ${titles[i]}`])));
  const reasons = rows.slice(14).filter((row) => row.length === 3).map(([source, title]) => `${source} ${title}`);
  assert.deepEqual(reasons, missing);
});

test('every metric and every event is in the operator\'s guide', async () => {
  const guide = await read('docs/operators-guide.md');
  const metrics = await namesInSources(/"(parley_[a-z_]+(?:_total|_seconds|_depth|_works|_commits|_databases|_channels|_bytes|_count))"/g);
  const events = await namesInSources(/LOG(?:_ERR)?\(LOG_(?:INFO|WARN|ERROR),\s*"([a-z_]+\.[a-z_]+)"/g);
  assert.ok(metrics.length > 15 && events.length > 30, `${metrics.length} metrics, ${events.length} events`);
  assert.deepEqual([...metrics, ...events].filter((name) => !guide.includes(`\`${name}\``)), []);
  const named = [...guide.matchAll(/^\| `(parley_[a-z_]+)`/gm)].map(([, name]) => name);
  assert.deepEqual(named.filter((name) => !metrics.includes(name)), []);
});

test('links between pages lead somewhere', async () => {
  const pages = ['README.md', 'MAP.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...await filesUnder('docs', '.md')];
  const broken = [];
  for (const page of pages) {
    for (const [, target] of (await read(page)).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const there = await fs.access(path.join(ROOT, path.dirname(page), target)).then(() => true, () => false);
      if (!there) broken.push(`${page}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('the commands of docs/api.md work as they stand', async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  await server.start({ command: ['demo', '--documents', path.join(ROOT, 'demo/documents')] });
  const key = (await fs.readFile(path.join(server.data, 'demo-api-key'), 'utf8')).trim();
  const blocks = [...(await read('docs/api.md')).matchAll(/^```sh\n(.*?)^```/gms)].map(([, text]) => text);
  assert.ok(blocks.length >= 10);
  // Files of the tour are kept within the test's folder.
  const script = `set -euo pipefail\n${blocks.join('\necho\n').replaceAll('/tmp/', `${server.folder}/`)}`;
  const { error, stdout, stderr } = await new Promise((resolve) => {
    execFile('bash', ['-c', script], {
      timeout: 60_000, env: { PATH: process.env.PATH, URL: server.url, KEY: key },
    }, (failure, out, complaints) => resolve({ error: failure, stdout: out, stderr: complaints }));
  });
  assert.equal(error, null, `${stderr}\n${stdout.slice(-2000)}`);
  assert.match(stdout, /three years/);
  assert.match(stdout, /15 euros a year/);
  assert.match(stdout, /"status":"ready"/);
});

test('the commands of docs/scaling.md work as they stand', { skip: filesOnly('it begins with files') }, async (t) => {
  const postgres = await Postgres.shared().catch(() => null);
  if (!postgres) return t.skip('PostgreSQL is not installed');
  const server = await Parley.create();
  t.after(() => server.destroy());
  await server.addOrganization('shop');
  const { stdout: help } = await server.run(['serve', '--help']);
  const blocks = [...(await read('docs/scaling.md')).matchAll(/^```sh( roles)?\n(.*?)^```/gms)].map(([, roles, text]) => ({ roles, text }));
  const plain = blocks.filter(({ roles }) => !roles), withRoles = blocks.filter(({ roles }) => roles);
  assert.ok(plain.length === 4 && withRoles.length === 1, `${blocks.length} blocks`);

  // Folders and ports of the page become the test's; the program is found as "parley".
  const replacements = [['/var/lib/parley.key', `${server.data}.key`], ['/var/lib/parley-', `${server.folder}/process-`],
    ['/var/lib/parley', server.data], ['/srv/parley-objects', path.join(server.folder, 'objects')]];
  for (const port of ['8081', '8082', '8083']) replacements.push([`127.0.0.1:${port}`, `127.0.0.1:${await freePort()}`]);
  const run = (list) => {
    let text = list.map((block) => block.text).join('\n');
    for (const [from, to] of replacements) text = text.replaceAll(from, to);
    const script = `set -euo pipefail\nset -m\nparley() { ${binary} "$@"; }\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n${text}`;
    return new Promise((resolve) => {
      execFile('bash', ['-c', script], {
        timeout: 120_000,
        env: {
          PATH: process.env.PATH, PGHOST: '127.0.0.1', PGPORT: postgres.port, PGUSER: 'postgres', PGPASSWORD: postgres.password,
          TABLES_PASSWORD: 'of-tables', SERVES_PASSWORD: 'of-serving',
        },
      }, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
    });
  };
  const first = await run(plain);
  assert.equal(first.error, null, `${first.stderr}\n${first.stdout.slice(-2000)}`);
  assert.match(first.stdout, /applied tenant 1/);
  assert.match(first.stdout, /Moved and verified: 1 organizations/);
  assert.match(first.stdout, /shop/);
  await t.test('three processes', { skip: help.includes('--roles') ? false : 'parley serve has no --roles yet' }, async () => {
    const settings = plain.find(({ text }) => text.startsWith('export ')); // migrates again: nothing to do
    const { error, stdout, stderr } = await run([settings, ...withRoles]);
    assert.equal(error, null, `${stderr}\n${stdout.slice(-2000)}`);
  });
});
