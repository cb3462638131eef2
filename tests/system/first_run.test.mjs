// first_run.test.mjs - what a new user does wrong, and is told what to do
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';

import { filesOnly, Parley, ROOT } from '../support/server.mjs';

const DOCUMENTS = path.join(ROOT, 'demo/documents');

test('the first run', async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  const keyFile = path.join(server.data, 'demo-api-key');

  await t.test('a mistyped data folder is said, and not made', { skip: filesOnly('the database is there or is not') }, async () => {
    for (const words of [['ask', 'Hello?'], ['doctor'], ['dead-letters'], ['admin', 'key', 'list'], ['admin', 'organization', 'list']]) {
      const { code, stderr } = await server.run(words);
      assert.equal(code, 3, words.join(' '));
      assert.match(stderr, /there is no data in the folder[^]*parley demo/);
    }
    await assert.rejects(fs.access(server.data));
  });

  await t.test('a demo without documents says how to name some, and makes nothing', async () => {
    const { code, stderr } = await server.run(['demo', '--documents', path.join(server.folder, 'none')]);
    assert.equal(code, 2);
    assert.match(stderr, /--documents FOLDER/);
    await assert.rejects(fs.access(server.data));
  });

  await t.test('a demo that was interrupted is finished by the next run', async () => {
    const half = path.join(server.folder, 'half');
    await fs.mkdir(path.join(half, 'customers'), { recursive: true });
    await fs.writeFile(path.join(half, 'customers/torn.pdf'), '%PDF-1.7 torn');
    assert.notEqual((await server.run(['demo', '--prepare-only', '--documents', half])).code, 0);
    await assert.rejects(fs.access(keyFile));
    assert.equal((await server.run(['demo', '--prepare-only', '--documents', DOCUMENTS])).code, 0);
    const { code, stdout } = await server.run(['ask', 'How long is a gift card valid?']);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /three years/);
  });

  await t.test('a taken port: who has it, and how to take another', async () => {
    const other = net.createServer();
    await new Promise((resolve) => { other.listen(server.port, '127.0.0.1', resolve); });
    const { code, stderr } = await server.run(['demo', '--documents', DOCUMENTS]);
    await new Promise((resolve) => { other.close(resolve); });
    assert.equal(code, 4);
    assert.match(stderr, /listens on 127\.0\.0\.1[^]*PARLEY_HTTP_LISTEN=/);
  });

  await t.test('a made demo starts without its documents', async () => {
    await server.start({ command: ['demo', '--documents', path.join(server.folder, 'gone')] });
    const key = (await fs.readFile(keyFile, 'utf8')).trim();
    assert.ok((await server.ask({ key }, 'How long is a gift card valid?')).citations.length > 0);
  });

  await t.test('doctor beside a running server looks from outside', { skip: filesOnly('it looks from inside') }, async () => {
    const { code, stdout } = await server.run(['doctor']);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /ok +running +ready at http:\/\/127\.0\.0\.1/);
    const elsewhere = await server.run(['doctor'], { settings: { 'http.listen': '127.0.0.1:9' } });
    assert.equal(elsewhere.code, 6);
    assert.match(elsewhere.stdout, /WRONG running +no answer/);
  });

  await t.test('commands and their words are guessed at', async () => {
    assert.match((await server.run(['serv'])).stderr, /Did you mean "serve"\?/);
    assert.match((await server.run(['admin', 'channel', 'add'])).stderr, /usage: parley admin channel add SOURCE/);
  });
});
