// commands.test.mjs - the command line on a data folder: what it says, what it does, how it ends
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { binary, engine, filesOnly, Parley, ROOT, within } from '../support/server.mjs';
import { DEPOSIT, PUNCTURE, SHOP, Visitor, openModel, openServer, openTelegram, addBot } from './scene.mjs';

test('help and mistakes', async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());

  await t.test('every command explains itself', async () => {
    const { code, stdout } = await server.run(['--help']);
    assert.equal(code, 0);
    const commands = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map((match) => match[1]);
    for (const name of ['serve', 'ask', 'ingest', 'admin', 'dead-letters', 'backup', 'restore', 'doctor', 'config']) assert.ok(commands.includes(name), name);
    for (const name of commands) {
      const help = await server.run([name, '--help']);
      assert.equal(help.code, 0, name);
      assert.match(help.stdout, /usage: parley/);
      assert.ok(help.stdout.length > 80, name);
    }
  });

  await t.test('what is wrong is said on stderr, with exit code 2', async () => {
    for (const words of [[], ['dance'], ['serve', '--color'], ['admin', 'organization', 'dance'], ['ask'], ['backup']]) {
      const { code, stdout, stderr } = await server.run(words);
      assert.equal(code, 2, words.join(' '));
      assert.ok(stderr.length > 20 && stdout === '', `${words}: ${stderr}`);
    }
  });

  await t.test('config: an unknown key, a wrong value; values in force; secrets are stars', async () => {
    const file = path.join(server.folder, 'parley-test.conf');
    const config = async (text, words = ['--check-config'], settings = {}) => {
      await fs.writeFile(file, text);
      return server.run(['config', '--config', file, ...words], { settings });
    };
    assert.equal((await config('answer.passages = 4\n')).code, 0);
    const unknown = await config('answer.pasages = 4\n');
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /answer\.pasages/);
    const wrong = await config('answer.passages = many\n');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /answer\.passages/);
    const environment = await server.run(['config'], { env: { PARLEY_NO_SUCH_THING: '1' } });
    assert.equal(environment.code, 2);
    assert.match(environment.stderr, /NO_SUCH_THING/i);
    const shown = await config('model.api_key = sk-secret\nanswer.passages = 4\n', [], { 'answer.passages': 5 });
    assert.equal(shown.code, 0);
    assert.ok(!shown.stdout.includes('sk-secret'));
    assert.match(shown.stdout, /answer\.passages\s*=\s*5/, 'the environment is above the file');
    assert.match((await server.run(['config', '--help'])).stdout, /http\.public_url/);
    assert.match((await server.run(['config', '--markdown', '--help'])).stdout, /`http\.public_url`/);
  });

  await t.test('config --json: the same for a program', async () => {
    const settings = { 'model.api_key': 'sk-secret', 'answer.passages': 5 };
    const rows = JSON.parse((await server.run(['config', '--json'], { settings })).stdout);
    const of = (key) => rows.find((row) => row.key === key);
    assert.deepEqual(of('answer.passages'), { key: 'answer.passages', value: '5', by_user: true });
    assert.deepEqual(of('model.api_key'), { key: 'model.api_key', value: '***', by_user: true });
    assert.equal(of('http.public_url').by_user, false);
    assert.deepEqual(JSON.parse((await server.run(['config', '--check-config', '--json'])).stdout), { valid: true });
    const channels = JSON.parse((await server.run(['config', '--channels', '--json'])).stdout);
    for (const { source, capabilities, refused } of channels)
      for (const [title, can] of Object.entries(capabilities)) assert.equal(title in refused, !can, `${source}: ${title}`);
    assert.equal(channels.length, 9);
  });

  await t.test('every exit code is in the help and in the guide', async () => {
    const { stdout } = await server.run(['--help']);
    const guide = await fs.readFile(path.join(ROOT, 'docs', 'operators-guide.md'), 'utf8');
    const codes = [...(await fs.readFile(path.join(ROOT, 'src', 'app', 'app.h'), 'utf8')).matchAll(/^ {4}EXIT_[A-Z_]+ = (\d+)/gm)].map((match) => match[1]);
    assert.ok(codes.length >= 7);
    for (const code of codes) {
      assert.match(stdout, new RegExp(`\\b${code}: `));
      assert.match(guide, new RegExp(`^\\| ${code} \\|`, 'm'));
    }
  });
});

test('a data folder from the shell', async (t) => {
  const server = await openServer(t, { start: false });
  const { shop } = server;
  const documents = path.join(server.folder, 'documents');
  await fs.mkdir(path.join(documents, 'deep'), { recursive: true });
  await fs.writeFile(path.join(documents, 'deep', 'shop.md'), SHOP);
  await fs.writeFile(path.join(documents, 'note.bin'), Buffer.from([0, 1, 2]));

  await t.test('ingest reads a folder, ask answers, and says when it cannot', async () => {
    const ingested = await server.run(['ingest', documents]);
    assert.equal(ingested.code, 0, ingested.stderr);
    const asked = await server.run(['ask', PUNCTURE]);
    assert.equal(asked.code, 0, asked.stderr);
    assert.match(asked.stdout, /19 euros[^]*\[1\] Harbour Cycles > Repairs/);
    const endless = await server.run(['ask', 'why '.repeat(2001)]);
    assert.deepEqual([endless.code, endless.stderr.trim()], [2, 'parley ask: a question has at most 8000 bytes']);
    assert.equal((await server.run(['ask', 'Who', 'painted', 'the', 'Mona', 'Lisa?'])).code, 3);
    assert.match((await server.runJson(['ask', DEPOSIT])).answer, /100 euros/);
    const kind = (await server.runJson(['ask', '--filter', 'language=fr', '--filter=language=en', '--filter', 'category=', DEPOSIT]));
    assert.match(kind.answer, /100 euros/);
    assert.ok(kind.timings.total_ms > 0);
    assert.equal((await server.run(['ask', '--filter', 'language=fr', DEPOSIT])).code, 3);
    for (const [bad, says] of [['colour=red', /Filters are brand_id/], ['language', /NAME=VALUE/], ['=en', /NAME=VALUE/], ['dated_to=soon', /2026-05-01/]]) {
      const { code, stderr } = await server.run(['ask', '--filter', bad, DEPOSIT]);
      assert.equal(code, 2, bad);
      assert.match(stderr, says);
    }
    assert.match((await server.run(['ask', ...Array(33).fill('--filter=kind=upload'), DEPOSIT])).stderr, /too many/);
  });

  await t.test('ingest shows a bar that fills up, where a person looks', async () => {
    const many = path.join(documents, 'many');
    await fs.mkdir(many);
    for (let i = 1; i <= 12; i++) await fs.writeFile(path.join(many, `note-${i}.md`), `# Note ${i}\n\nThe shelf number ${i} holds the lamps of kind ${i}.\n`);
    const screen = await server.run(['ingest', documents], { onTerminal: true });
    assert.equal(screen.code, 0, screen.stdout);
    const bars = [...screen.stdout.matchAll(/\[(#*)(\.*)\] (\d+) of (\d+)/g)];
    assert.ok(bars.length >= 2, screen.stdout);
    for (const [, filled, rest, done, total] of bars) {
      assert.equal(filled.length + rest.length, 30);
      assert.equal(filled.length, Math.floor((30 * done) / total));
    }
    assert.deepEqual(bars.at(-1).slice(3), ['14', '14'], 'the other two are unchanged');
    assert.ok(!(await server.run(['ingest', documents])).stderr.includes('['), 'a log has none');
    await fs.rm(many, { recursive: true });
    assert.equal((await server.run(['ingest', '--prune', documents])).code, 0);
  });

  await t.test('ingest again changes nothing; --prune takes out what is gone', async () => {
    const again = await server.runJson(['ingest', documents]);
    assert.ok(JSON.stringify(again).includes('unchanged'), JSON.stringify(again));
    await fs.rm(path.join(documents, 'deep'), { recursive: true });
    await fs.writeFile(path.join(documents, 'other.md'), '# Other\n\nAnother document about the weather in the harbour and the boats that lie there.\n');
    assert.equal((await server.run(['ingest', '--prune', documents])).code, 0);
    assert.equal((await server.run(['ask', PUNCTURE])).code, 3);
    await fs.writeFile(path.join(documents, 'shop.md'), SHOP);
    assert.equal((await server.run(['ingest', documents])).code, 0);
  });

  await t.test('ingest --reprocess cuts what is kept anew, with other settings', async () => {
    const long = path.join(server.folder, 'long');
    await fs.mkdir(long);
    const story = Array.from({ length: 60 }, (_, i) => `On day ${i} of the journey the boat stayed in the harbour of the town.`).join(' ');
    await fs.writeFile(path.join(long, 'story.md'), `# Journey\n\n${story}\n`);
    assert.equal((await server.run(['ingest', long])).code, 0);
    const passages = async () => {
      const rows = await server.sql(server.shop, 'SELECT s.name, count(*) AS n FROM chunk c JOIN source s ON s.id = c.source_id GROUP BY s.name ORDER BY s.name');
      return Object.fromEntries(rows.map(({ name, n }) => [name, Number(n)]));
    };
    const before = await passages();
    const read = await server.runJson(['ingest', '--reprocess'], { settings: { 'ingest.passage_words': 80 } });
    assert.deepEqual([read.found, read.read, read.failed], [3, 3, 0]);
    const after = await passages();
    assert.ok(after['story.md'] > before['story.md'] + 3, JSON.stringify([before, after]));
    assert.match((await server.run(['ask', PUNCTURE])).stdout, /19 euros/);
    assert.deepEqual((await server.runJson(['ingest', '--reprocess'])).read, 3);
    assert.deepEqual(await passages(), before);
    for (const words of [['--reprocess', long], []]) assert.equal((await server.run(['ingest', ...words])).code, 2);
  });

  await t.test('a running server keeps the folder to itself', { skip: filesOnly('commands work beside a server') }, async () => {
    await server.start();
    const { code, stderr } = await server.run(['ask', PUNCTURE]);
    assert.equal(code, 4);
    assert.match(stderr, /running server/);
    await assert.rejects(async () => {
      const second = Object.assign(await Parley.create(), { settings: { ...server.settings, 'http.listen': '127.0.0.1:0' } });
      await second.start().finally(() => second.destroy());
    }, /ended before it listened/);
    assert.equal((await server.get('/healthz')).status, 200);
    await server.stop();
  });

  await t.test('backup and restore bring everything back, credentials with their key', { skip: filesOnly('pg_dump saves it') }, async () => {
    const telegram = await openTelegram(t);
    server.settings['http.public_url'] = server.url;
    await server.start();
    const bot = await addBot(server, telegram, shop);
    telegram.userSays(bot.token, { chatId: 1, text: PUNCTURE });
    await telegram.waitForMessages(1);
    await server.waitUntilIdle(shop);
    const before = await server.list('/v1/conversations', shop.key);
    await server.stop();
    const backup = path.join(server.folder, 'backup');
    const made = await server.run(['backup', '--json', backup]);
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(JSON.parse(made.stdout), { backup });
    const again = await server.run(['backup', backup]);
    assert.notEqual(again.code, 0, 'never over another backup');
    assert.ok(!(await fs.readdir(backup)).some((name) => name.endsWith('.key')), 'the key is kept apart');

    const refused = await server.run(['restore', backup]);
    assert.notEqual(refused.code, 0, 'never over data');
    await fs.rename(server.data, `${server.data}-before`);
    const restored = await server.run(['restore', '--json', backup]);
    assert.equal(restored.code, 0, restored.stderr);
    assert.deepEqual(JSON.parse(restored.stdout), { restored: backup, data_folder: server.data });
    await server.start();
    assert.deepEqual(await server.list('/v1/conversations', shop.key), before);
    telegram.userSays(bot.token, { chatId: 1, text: DEPOSIT });
    assert.match((await telegram.waitForMessages(2))[1].text, /100 euros/);
    await server.waitUntilIdle(shop);
    await server.stop();
  });

  await t.test('a backup that was damaged is not restored', { skip: filesOnly('pg_dump saves it') }, async () => {
    const backup = path.join(server.folder, 'backup');
    const file = path.join(backup, 'tenants', (await fs.readdir(path.join(backup, 'tenants')))[0]);
    const bytes = await fs.readFile(file);
    bytes[bytes.length >> 1] ^= 0xff;
    await fs.writeFile(file, bytes);
    const elsewhere = path.join(server.folder, 'elsewhere');
    const { code, stderr } = await server.run(['restore', '--data', elsewhere, backup]);
    assert.notEqual(code, 0);
    assert.match(stderr, /not the file that was backed up/);
    await assert.rejects(fs.access(path.join(elsewhere, 'control.db')));
  });

  await t.test('rotated master keys still open what was sealed', async () => {
    if (engine === 'pgsql') {
      const telegram = await openTelegram(t);
      server.settings['http.public_url'] = server.url;
      await server.start();
      await addBot(server, telegram, shop);
      await server.stop();
    }
    const { code, stdout, stderr } = await server.run(['admin', 'master-key', 'rotate']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /1 credentials? /);
    const { body } = await server.start().then(() => server.get('/v1/channels', shop.key));
    assert.equal(body.data.length, 1);
    assert.ok(!JSON.stringify(body).includes('system-test-secret'));
    await server.stop();
  });
});

test('doctor', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop);
  await server.stop();
  const doctor = () => server.run(['doctor']);

  await t.test('all is well: exit code 0', async () => {
    const { code, stdout, stderr } = await doctor();
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /All is well/);
    assert.match(stdout, new RegExp(`@${bot.name}`));
  });

  await t.test('a refused token: which channel, and what to do', async () => {
    telegram.revoke(bot.token);
    const { code, stdout } = await doctor();
    assert.equal(code, 6);
    assert.match(stdout, /WRONG telegram[^]*give new ones/);
    telegram.revoke(bot.token, false);
  });

  await t.test('a dead letter: where to look', async () => {
    telegram.fail({ method: 'sendMessage', status: 400 });
    await server.start();
    telegram.userSays(bot.token, { chatId: 4, text: PUNCTURE });
    await server.waitForLog('job.dead');
    await server.stop();
    const { code, stdout } = await doctor();
    assert.equal(code, 6);
    assert.match(stdout, /WRONG queue[^]*parley dead-letters/);
    assert.equal((await server.run(['dead-letters', 'replay', 'all'])).code, 0);
  });

  await t.test('a key file that others can read', async () => {
    await fs.chmod(`${server.data}.key`, 0o644);
    const { code, stdout, stderr } = await doctor();
    assert.equal(code, 6);
    assert.match(stderr, /chmod 600/);
    assert.match(stdout, /WRONG (data folder|database)/);
    await fs.chmod(`${server.data}.key`, 0o600);
  });

  await t.test('a model that does not answer', async () => {
    const model = await openModel(t);
    model.script({ status: 401 });
    const { code, stdout } = await server.run(['doctor'], { settings: model.settings });
    assert.equal(code, 6);
    assert.match(stdout, /WRONG model[^]*PARLEY_MODEL_API_KEY/);
    model.script({ text: 'ready' });
    assert.equal((await server.run(['doctor', '--json'], { settings: model.settings })).code, 0);
  });

  await t.test('--json is a list of findings', async () => {
    const { code, stdout } = await server.run(['doctor', '--json']);
    assert.equal(code, 0);
    const findings = JSON.parse(stdout);
    assert.ok(findings.length >= 5 && findings.every((one) => one.ok === true && one.check && one.detail));
  });
});

test('the demo', async (t) => {
  const server = await Parley.create();
  t.after(() => server.destroy());
  const command = ['demo', '--documents', path.join(ROOT, 'demo/documents')];

  await t.test('makes everything and says where to click', async () => {
    await server.start({ command });
    await within(new Promise((resolve) => {
      const look = () => (/Ctrl-C/.test(server.stdout) ? resolve() : server.process.stdout.once('data', look));
      look();
    }), 'the announcement');
    const chat = /http:\/\/127\.0\.0\.1:\d+\/chat\/([0-9a-f-]{36})/.exec(server.stdout);
    assert.ok(chat, server.stdout);
    const key = (await fs.readFile(path.join(server.data, 'demo-api-key'), 'utf8')).trim();
    assert.equal((await fs.stat(path.join(server.data, 'demo-api-key'))).mode & 0o777, 0o600);
    const visitor = await Visitor.open(server, chat[1]);
    const [, question] = /ask: (.+\?)\n/.exec(server.stdout);
    const answer = await visitor.ask(question);
    assert.ok(answer.citations?.length >= 1, `"${question}" is answered "${answer.text}"`);
    assert.equal((await server.get('/v1/organization', key)).body.slug, 'demo');
    server.demo = { chat: chat[1], visitor };
  });

  await t.test('a second start works for less than a second and keeps everything', async () => {
    await server.stop();
    await server.start({ command });
    // Of processors: beside other tests it waits for them.
    const worked = 10 * (await fs.readFile(`/proc/${server.process.pid}/stat`, 'utf8')).split(') ')[1].split(' ').slice(11, 13).reduce((sum, ticks) => sum + Number(ticks), 0);
    assert.ok(worked < 1000, `${worked} ms`);
    const again = await Visitor.open(server, server.demo.chat, server.demo.visitor.token);
    assert.equal((await again.messages()).messages.length, 2);
  });
});

test('stopping', async (t) => {
  const model = await openModel(t);
  const server = await openServer(t, { settings: model.settings });
  const { shop } = server;
  const channel = await server.addChannel(shop, 'web');

  await t.test('what runs is finished, nothing is begun, and it ends with 0', async () => {
    model.script({ text: 'A puncture repair costs 19 euros [1].', delay_ms: 700 });
    const visitor = await Visitor.open(server, channel.id);
    const asked = server.ask(shop, PUNCTURE);
    await within((async () => { while (model.state.requests.length === 0) await new Promise(setImmediate); })(), 'the model to be asked');
    const stopped = server.stop();
    assert.match((await asked).answer, /19 euros/);
    assert.equal((await stopped).code, 0);
    assert.ok(server.log.some((event) => event.event === 'server.stopped'));
    await server.start();
    assert.deepEqual((await visitor.messages()).messages, []);
  });

  await t.test('an answer that is being made when it stops is given after the next start', async () => {
    const visitor = await Visitor.open(server, channel.id);
    model.script({ text: 'A puncture repair costs 19 euros [1].', delay_ms: 400 }, { text: 'A puncture repair costs 19 euros [1].' });
    await visitor.say(PUNCTURE);
    await within((async () => { while (model.state.requests.length === 0) await new Promise(setImmediate); })(), 'the model to be asked');
    await server.stop();
    await server.start();
    await server.waitUntilIdle(shop);
    assert.deepEqual((await visitor.messages()).messages.map((m) => m.role), ['user', 'assistant']);
  });

  await t.test('open event streams are told to come back', async () => {
    const visitor = await Visitor.open(server, channel.id);
    const stream = await visitor.events();
    await visitor.say('Hello');
    await stream.until((e) => e.type === 'message');
    await server.stop();
    const events = await stream.end();
    assert.ok(events.some((e) => e.type === 'message'));
    await server.start();
  });

  await t.test('Ctrl-C does the same as SIGTERM', async () => {
    const { process: child, ended } = server;
    child.kill('SIGINT');
    assert.equal((await within(ended, 'the end')).code, 0);
    await server.start();
  });
});

test('it runs as any user, from any folder, without a terminal', async () => {
  const child = spawn(binary, ['--version'], { cwd: '/', env: {}, stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk) => { text += chunk; });
  const code = await new Promise((resolve) => { child.once('close', resolve); });
  assert.equal(code, 0);
  assert.match(text, /^parley \d+\.\d+\.\d+\n$/);
});

test('admin synonyms', async (t) => {
  const server = await openServer(t, { start: false, documents: false });
  const synonyms = async (...words) => server.run(['admin', 'synonyms', ...words]);
  assert.match((await synonyms('list')).stdout, /No words/);
  assert.equal((await synonyms('set', 'pram, buggy; bike, velo')).code, 0);
  assert.equal((await synonyms('list')).stdout, 'pram, buggy\nbike, velo\n');
  const refused = await synonyms('set', 'a tyre without any air, puncture');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /1 to 4 words/);
  assert.equal((await synonyms('list', '--json')).stdout.replace(/\s/g, ''), '["pram,buggy","bike,velo"]');
  assert.equal((await synonyms('set', 'RMA, return merchandise authorization; e-bike, electric bicycle')).code, 0);
  assert.equal((await synonyms('list')).stdout, 'RMA, return merchandise authorization\ne-bike, electric bicycle\n');
  assert.equal((await synonyms('set', '')).code, 0);
  assert.match((await synonyms('list')).stdout, /No words/);
});
