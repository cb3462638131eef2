// eval.test.mjs - parley eval: questions with known answers, measured from the shell, kept and compared
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { ROOT, until } from '../support/server.mjs';
import { HONEST, SHOP, openModel, openServer } from './scene.mjs';

const lines = (rows) => `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;
const QUESTIONS = [
  { id: 'puncture', question: 'How much is a puncture repair?', relevant: ['shop.md'], answers: ['19 euros'] },
  { id: 'mona', question: 'Who painted the Mona Lisa?', answerable: false },
];

test('an evaluation from the shell', async (t) => {
  const server = await openServer(t, { start: false });
  const at = (name) => path.join(server.folder, name);
  const evaluate = async (words, options) => {
    const result = await server.run(['eval', ...words, '--json'], options);
    return { ...result, run: result.stdout ? JSON.parse(result.stdout) : null };
  };
  await fs.mkdir(at('documents'));
  await fs.writeFile(at('documents/shop.md'), SHOP);
  await fs.writeFile(at('questions.jsonl'), lines(QUESTIONS));
  const organizations = async () => JSON.stringify(await server.runJson(['admin', 'organization', 'list']));
  const before = await organizations();
  assert.match(before, /shop/);
  assert.equal((await server.run(['ingest', at('documents')])).code, 0);

  await t.test('the organization that is there', async () => {
    const { code, run, stderr } = await evaluate([at('questions.jsonl'), '--name', 'first', '--out', at('first.json')]);
    assert.equal(code, 0, stderr);
    assert.equal(run.name, 'first');
    assert.deepEqual(run.figures.ndcg_10, { value: 1, of: 1 });
    assert.deepEqual(run.figures.right, { value: 1, of: 1 });
    assert.deepEqual(run.figures.refused_unanswerable, { value: 1, of: 1 });
    assert.deepEqual(run.figures.faithfulness, { value: 1, of: 1 });
    const [row] = run.rows;
    assert.equal(row.first_relevant, 1);
    assert.match(row.answer, /19 euros/);
    assert.equal(row.passages[0].document, 'shop.md');
    assert.equal(row.held, true);
    assert.deepEqual(JSON.parse(await fs.readFile(at('first.json'), 'utf8')), run);
    const table = await server.run(['eval', at('questions.jsonl')]);
    assert.match(table.stdout, /nDCG@10 +1\.000 +of 1 +ndcg_10/);
  });

  await t.test('documents that are not published yet; nothing that is there is touched', async () => {
    await fs.mkdir(at('new'));
    await fs.writeFile(at('new/shop.md'), SHOP.replaceAll('19 euros', '23 euros'));
    const { code, run, stderr } = await evaluate([at('questions.jsonl'), '--documents', at('new'), '--name', 'second', '--out', at('second.json')]);
    assert.equal(code, 0, stderr);
    assert.match(run.rows[0].answer, /23 euros/);
    assert.equal(run.rows[0].right, false);
    assert.equal(await organizations(), before);
    assert.match((await server.runJson(['ask', QUESTIONS[0].question])).answer, /19 euros/);
  });

  await t.test('two runs compared: what became worse, and a condition that scripts can use', async () => {
    const compared = await server.run(['eval', '--compare', at('first.json'), at('second.json'), '--html', at('report.html'), '--require', 'worse<=0']);
    assert.equal(compared.code, 6, compared.stderr);
    assert.match(compared.stdout, /first -> second: 0 better, 1 worse, 1 the same/);
    assert.match(compared.stdout, /worse +How much is a puncture repair\?\n +was answered rightly, is answered wrongly/);
    assert.match(compared.stderr, /worse is 1, wanted at most 0/);
    const html = await fs.readFile(at('report.html'), 'utf8');
    assert.ok(html.startsWith('<!doctype html>') && !/https?:\/\/(?!www\.w3\.org)/.test(html), 'fetches nothing');
    const back = await server.run(['eval', '--compare', at('second.json'), at('first.json'), '--require', 'worse<=0, right>=1']);
    assert.equal(back.code, 0, back.stderr);
  });

  await t.test('a persona that is not published yet', async () => {
    await fs.writeFile(at('shy.json'), JSON.stringify({ min_confidence: 1 }));
    const { code, run } = await evaluate([at('questions.jsonl'), '--persona', at('shy.json')]);
    assert.equal(code, 0);
    assert.equal(run.figures.refused_answerable.value, 1);
  });

  await t.test('a labelled set with its corpus', async () => {
    await fs.mkdir(at('set'));
    await fs.writeFile(at('set/corpus.jsonl'), lines([
      { _id: 'd1', title: 'Tides', text: 'The tide in the harbour rises twice a day.' },
      { _id: 'd2', title: 'Boats', text: 'Boats lie in the northern dock in winter.' }]));
    await fs.writeFile(at('set/queries.jsonl'), lines([{ _id: 'q1', text: 'How often does the tide rise?' }, { _id: 'q2', text: 'not judged' }]));
    await fs.writeFile(at('set/qrels.tsv'), 'query-id\tcorpus-id\tscore\nq1\td1\t1\n');
    const { code, run, stderr } = await evaluate([at('set')]);
    assert.equal(code, 0, stderr);
    assert.equal(run.questions, 1);
    assert.deepEqual(run.figures.ndcg_10, { value: 1, of: 1 });
    assert.equal(run.rows[0].passages[0].document, 'd1');
    assert.equal(await organizations(), before);
  });

  await t.test('a language model judges, and one that cannot is replaced for that question', async () => {
    const model = await openModel(t);
    const say = (value) => ({ kind: 'text', text: JSON.stringify(value) });
    model.script(
      { kind: 'text', text: 'A puncture repair costs 19 euros. [1]' },
      say({ useful: [true] }),
      say({ claims: [{ claim: 'A puncture repair costs 19 euros.', supported: true }, { claim: 'It is Monday.', supported: false }] }),
    );
    await fs.writeFile(at('one.jsonl'), lines([QUESTIONS[0]]));
    const judged = await evaluate([at('one.jsonl')], { settings: { ...model.settings, 'answer.passages': 1 } });
    assert.equal(judged.code, 0, judged.stderr);
    assert.deepEqual([judged.run.figures.faithfulness.value, judged.run.figures.context_precision.value], [0.5, 1]);
    assert.deepEqual(judged.run.judges, ['gpt-5.4-mini']);
    const sent = JSON.parse(model.state.requests[1].body.messages.at(-1).content);
    assert.equal(sent.question, QUESTIONS[0].question);
    assert.equal(sent.passages.length, 1);
    model.script({ kind: 'text', text: 'A puncture repair costs 19 euros. [1]' }, { kind: 'text', text: 'I would rather not.' });
    const refused = await evaluate([at('one.jsonl')], { settings: { ...model.settings, 'answer.passages': 1 } });
    assert.equal(refused.code, 0, refused.stderr);
    assert.deepEqual(refused.run.judges, ['words']);
    assert.match(refused.stderr, /eval\.judge_failed/);
  });

  await t.test('mistakes are told, with the line that has them', async () => {
    await fs.writeFile(at('bad.jsonl'), '{"question": "a"}\n{"ask": "b"}\n');
    const bad = await server.run(['eval', at('bad.jsonl')]);
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /bad\.jsonl: line 2/);
    assert.equal((await server.run(['eval', at('nowhere.jsonl')])).code, 3);
    assert.equal((await server.run(['eval', at('questions.jsonl'), '--judge', 'me'])).code, 2);
    assert.equal((await server.run(['eval', at('questions.jsonl'), '--judge', 'model'])).code, 2);
    assert.equal((await server.run(['eval', '--compare', at('first.json')])).code, 2);
    assert.equal((await server.run(['eval', '--compare', at('first.json'), at('shy.json')])).code, 2);
    const unknown = await server.run(['eval', at('questions.jsonl'), '--require', 'beauty>=1']);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /no figure "beauty"/);
  });
});

test('the demo measures itself at once', async (t) => {
  const server = await openServer(t, { start: false });
  const { code, stdout, stderr } = await server.run(['eval', '--require', 'ndcg_10>=0.85, right>=0.8, refused_unanswerable>=0.8'], { cwd: ROOT });
  const questions = (await fs.readFile(path.join(ROOT, 'demo/questions.jsonl'), 'utf8')).trimEnd().split('\n').length;
  assert.equal(code, 0, stderr);
  assert.ok(stdout.startsWith(`demo/questions.jsonl: ${questions} questions`), stdout);
});

test('a set that an organization keeps, run by the server before a persona is published', async (t) => {
  const server = await openServer(t);
  const { shop } = server;
  const call = async (method, target, body, want) => {
    const { status, body: answer, text } = await server.call(method, target, { key: shop.key, body });
    assert.equal(status, want, text);
    return answer;
  };
  const run = async (setId, more = {}) => {
    const started = await call('POST', `/v1/evaluation-sets/${setId}/evaluations`, more, 202);
    assert.equal(started.status, 'queued');
    await server.waitUntilIdle(shop);
    return call('GET', `/v1/evaluations/${started.id}`, undefined, 200);
  };
  const set = await call('POST', '/v1/evaluation-sets', { name: 'Counter', questions: QUESTIONS }, 200);

  await t.test('kept, replaced under its name, refused with the question that is wrong', async () => {
    const again = await call('POST', '/v1/evaluation-sets', { name: 'Counter', questions: [...QUESTIONS, { question: 'What is the deposit for a cargo bike?', answers: ['100 euros'] }] }, 200);
    assert.deepEqual([again.id, again.question_count], [set.id, 3]);
    assert.equal((await call('GET', '/v1/evaluation-sets', undefined, 200)).data.length, 1);
    assert.deepEqual((await call('GET', `/v1/evaluation-sets/${set.id}`, undefined, 200)).questions.slice(0, 2), QUESTIONS);
    const wrong = await call('POST', '/v1/evaluation-sets', { name: 'Wrong', questions: [{ question: 'a' }, { ask: 'b' }] }, 400);
    assert.match(wrong.detail, /question 2/);
    await call('POST', '/v1/evaluation-sets', { name: 'None', questions: [] }, 400);
    await call('POST', `/v1/evaluation-sets/${set.id}/evaluations`, { persona: { voice: 3 } }, 400);
  });

  let before, after;
  await t.test('a run as it is, and one with a draft of the persona; nobody else sees the draft', async () => {
    before = await run(set.id, { name: 'as it is' });
    assert.deepEqual([before.status, before.done_count, before.error], ['done', 3, null]);
    assert.equal(before.figures.right.value, 1);
    assert.equal(before.figures.refused_unanswerable.value, 1);
    after = await run(set.id, { name: 'shy', persona: { min_confidence: 1 } });
    assert.equal(after.figures.refused_answerable.value, 1);
    assert.equal(after.has_persona, true);
    assert.match((await server.ask(shop, QUESTIONS[0].question)).answer, /19 euros/);
    const list = await call('GET', `/v1/evaluations?set_id=${set.id}`, undefined, 200);
    assert.deepEqual(list.data.map((one) => one.name), ['shy', 'as it is']);
  });

  await t.test('results, comparison and report', async () => {
    const results = await call('GET', `/v1/evaluations/${before.id}/results`, undefined, 200);
    assert.deepEqual(results.figures, before.figures);
    assert.deepEqual(results.rows.map((row) => row.id), ['puncture', 'mona', '3']);
    const comparison = await call('GET', `/v1/evaluations/${after.id}/comparison?before=${before.id}`, undefined, 200);
    assert.deepEqual([comparison.before, comparison.after, comparison.worse, comparison.better, comparison.same], ['as it is', 'shy', 2, 0, 1]);
    assert.match(comparison.changed[0].why, /was answered rightly, is refused/);
    assert.match(comparison.changed[0].after.answer, HONEST);
    await call('GET', `/v1/evaluations/${after.id}/comparison`, undefined, 400);
    const report = await server.get(`/v1/evaluations/${after.id}/report?before=${before.id}`, shop.key);
    assert.equal(report.status, 200);
    assert.ok(report.text.startsWith('<!doctype html>') && report.text.includes('as it is'));
  });

  await t.test('the same from a shell: a file becomes a set, a set is named, two runs are compared', async () => {
    const at = (name) => path.join(server.folder, name);
    const remote = (words) => server.run(['eval', ...words, '--url', server.url, '--key', shop.key]);
    await fs.writeFile(at('counter.jsonl'), lines(QUESTIONS));
    const made = await remote([at('counter.jsonl'), '--name', 'one', '--out', at('one.json'), '--require', 'right>=1, refused_unanswerable>=1']);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /^one: 2 questions/);
    await fs.writeFile(at('shy.json'), JSON.stringify({ min_confidence: 1 }));
    const shy = await remote(['counter', '--persona', at('shy.json'), '--out', at('two.json')]);
    assert.equal(shy.code, 0, shy.stderr);
    const compared = await server.run(['eval', '--compare', at('one.json'), at('two.json')]);
    assert.match(compared.stdout, /0 better, 1 worse, 1 the same/);
    assert.equal((await remote(['nowhere'])).code, 3);
    assert.equal((await remote([at('counter.jsonl'), '--documents', server.folder])).code, 2);
    const sets = await call('GET', '/v1/evaluation-sets', undefined, 200);
    await call('DELETE', `/v1/evaluation-sets/${sets.data.find((one) => one.name === 'counter').id}`, undefined, 204);
  });

  await t.test('a set that changes does not change a run that was begun; what is removed is gone', async () => {
    await call('POST', '/v1/evaluation-sets', { name: 'Counter', questions: [QUESTIONS[1]] }, 200);
    assert.equal((await call('GET', `/v1/evaluations/${before.id}/results`, undefined, 200)).rows.length, 3);
    await call('DELETE', `/v1/evaluations/${after.id}`, undefined, 204);
    await call('GET', `/v1/evaluations/${after.id}`, undefined, 404);
    await call('DELETE', `/v1/evaluation-sets/${set.id}`, undefined, 204);
    await call('GET', `/v1/evaluations/${before.id}/results`, undefined, 404);
    for (const table of ['evaluation_set', 'evaluation', 'evaluation_row']) {
      assert.deepEqual(await server.sql(shop, `SELECT * FROM ${table}`), [], table);
    }
  });

  await t.test('a run goes on where it was when the server ended', async () => {
    const many = Array.from({ length: 60 }, (_, i) => ({ id: `q${i}`, question: QUESTIONS[0].question, answers: ['19 euros'] }));
    const { id } = await call('POST', '/v1/evaluation-sets', { name: 'Many', questions: many }, 200);
    const started = await call('POST', `/v1/evaluation-sets/${id}/evaluations`, {}, 202);
    await until(async () => (await call('GET', `/v1/evaluations/${started.id}`, undefined, 200)).done_count > 3, 'some of it');
    await server.kill();
    const kept = await server.sql(shop, 'SELECT count(*) AS n FROM evaluation_row');
    assert.ok(Number(kept[0].n) > 3 && Number(kept[0].n) < 60, JSON.stringify(kept));
    await server.start();
    await server.waitUntilIdle(shop);
    const ended = await call('GET', `/v1/evaluations/${started.id}`, undefined, 200);
    assert.deepEqual([ended.status, ended.done_count, ended.figures.right], ['done', 60, { value: 1, of: 60 }]);
    const { rows } = await call('GET', `/v1/evaluations/${started.id}/results`, undefined, 200);
    assert.deepEqual(rows.map((row) => row.id), many.map((one) => one.id));
  });
});

test('drafts of documents, tried before they are published', async (t) => {
  const server = await openServer(t);
  const { shop } = server;
  const question = 'How much is a puncture repair?';
  const draft = SHOP.replaceAll('19 euros', '23 euros');
  const upload = (name, body, more = '') => server.call('POST', `/v1/tenant/upload?name=${name}&draft=true${more}`, {
    key: shop.key, body, headers: { 'content-type': 'text/markdown' },
  });
  const ask = (more, key = shop.key) => server.post('/v1/query', key, { question, ...more });
  const evaluate = async (more) => {
    const { body } = await server.post('/v1/evaluation-sets', shop.key, { name: 'Prices', questions: [{ id: 'puncture', question, answers: ['23 euros'] }] });
    const { body: begun, status } = await server.post(`/v1/evaluation-sets/${body.id}/evaluations`, shop.key, more);
    assert.equal(status, 202);
    await server.waitUntilIdle(shop);
    return (await server.get(`/v1/evaluations/${begun.id}`, shop.key)).body;
  };
  const [shown] = await server.list('/v1/sources', shop.key);
  const { body: made, status, text } = await upload('shop.md', draft);

  assert.equal(status, 202, text);
  await server.waitForIngestion(shop, made.ingestion_id);
  const row = (await server.get(`/v1/sources/${made.source_id}`, shop.key)).body;
  assert.deepEqual([row.kind, row.draft, row.audience, row.status], ['draft', true, 'customer', 'done']);

  await t.test('whoever does not ask for drafts finds none; a key without query:staff may not', async () => {
    const { secret } = (await server.post('/v1/keys', shop.key, { name: 'customers', scopes: 'query knowledge:read knowledge:write' })).body;

    for (const more of [{}, { staff: true }]) assert.match((await ask(more)).body.answer, /19 euros/);
    assert.match((await ask({ drafts: true })).body.answer, /23 euros/);
    for (const filters of [{ audience: 'customer' }, { kind: 'upload' }, { source_id: shown.id }, { source_id: made.source_id }]) {
      assert.match((await ask({ drafts: true, filters })).body.answer, /23 euros/, JSON.stringify(filters));
    }
    assert.equal((await ask({ drafts: true, filters: { kind: 'folder' } })).body.kind, 'no_answer');
    assert.equal((await ask({ drafts: true }, secret)).status, 403);
    assert.equal((await server.call('POST', '/v1/tenant/upload?name=a.md&draft=true', { key: secret, body: 'A.' })).status, 403);
    for (const target of ['', '/text', '/link', '/versions']) {
      assert.equal((await server.get(`/v1/sources/${made.source_id}${target}`, secret)).status, 404, target);
    }
    assert.equal((await server.post(`/v1/sources/${made.source_id}/publish`, secret)).status, 404);
    assert.ok((await server.list('/v1/sources', secret)).every((one) => one.kind !== 'draft'));
  });

  await t.test('an evaluation asks of what is searched, or of the drafts', async () => {
    const [before, after] = [await evaluate({}), await evaluate({ drafts: true })];

    assert.deepEqual([before.drafts, before.figures.right.value], [false, 0]);
    assert.deepEqual([after.drafts, after.figures.right.value], [true, 1]);
  });

  await t.test('from a shell: asked and evaluated', async () => {
    const words = ['--url', server.url, '--key', shop.key];

    assert.match((await server.run(['ask', ...words, '--drafts', question])).stdout, /23 euros/);
    assert.match((await server.run(['ask', ...words, question])).stdout, /19 euros/);
    const run = await server.run(['eval', 'Prices', ...words, '--drafts', '--require', 'right>=1']);
    assert.equal(run.code, 0, run.stderr);
    assert.equal((await server.run(['eval', 'Prices', ...words, '--require', 'right>=1'])).code, 6);
  });

  await t.test('published it is the next version, and no draft any more', async () => {
    const { body, status: published } = await server.post(`/v1/sources/${made.source_id}/publish`, shop.key);

    assert.deepEqual([published, body.version, body.created], [202, 2, false]);
    await server.waitForIngestion(shop, body.ingestion_id);
    assert.match((await ask({})).body.answer, /23 euros/);
    assert.equal((await server.get(`/v1/sources/${made.source_id}`, shop.key)).status, 404);
    const again = await server.post(`/v1/sources/${body.source_id}/publish`, shop.key);
    assert.deepEqual([again.status, again.body.detail], [400, 'The document is no draft: what is searched is published.']);
  });

  await t.test('killed before it was answered: the new version is there and the draft gone, in one', async () => {
    const { body: next } = await upload('shop.md', draft.replaceAll('23 euros', '29 euros'));

    await server.waitForIngestion(shop, next.ingestion_id);
    await server.stop();
    await server.start({ failpoints: 'ingest.draft_published=crash' });
    await server.post(`/v1/sources/${next.source_id}/publish`, shop.key).catch(() => {});
    await server.killed();
    await server.start();
    assert.equal((await server.get(`/v1/sources/${next.source_id}`, shop.key)).status, 404);
    assert.equal((await server.post(`/v1/sources/${next.source_id}/publish`, shop.key)).status, 404);
    await server.waitUntilIdle(shop);
    const [shown] = (await server.list('/v1/sources', shop.key)).filter((one) => one.name === 'shop.md');

    assert.deepEqual([shown.kind, shown.current_version], ['upload', 3]);
    assert.match((await ask({})).body.answer, /29 euros/);
  });
});

test('drafts in a data folder without a server', async (t) => {
  const server = await openServer(t, { start: false });
  const folder = path.join(server.folder, 'new');
  const run = async (words, code = 0) => {
    const end = await server.run(words);

    assert.equal(end.code, code, `${words.join(' ')}: ${end.stdout}${end.stderr}`);
    return end.stdout;
  };
  const question = 'How much is a puncture repair?';

  await fs.mkdir(folder);
  await fs.writeFile(path.join(folder, 'shop.md'), SHOP);
  await run(['ingest', folder]);
  await fs.writeFile(path.join(folder, 'shop.md'), SHOP.replaceAll('19 euros', '23 euros'));
  await run(['ingest', '--draft', folder]);
  assert.match(await run(['ask', question]), /19 euros/);
  assert.match(await run(['ask', '--drafts', question]), /23 euros/);
  assert.match(await run(['ingest', '--publish']), /1 documents found: 1 read/);
  assert.match(await run(['ask', question]), /23 euros/);
  assert.match(await run(['ingest', '--publish']), /0 documents found/);
  await run(['ingest', '--publish', folder], 2);
  await run(['ingest', '--draft', '--prune', folder], 2);
  await run(['ingest', '--draft', 'https://shop.example/'], 2);
  // New in the folder: published it is the folder's, and not there twice when the folder is read.
  await fs.writeFile(path.join(folder, 'locks.md'), 'A lock costs 77 euros.');
  await run(['ingest', '--draft', folder]);
  await run(['ingest', '--publish']);
  assert.match(await run(['ingest', folder]), /2 documents found: 0 read, 2 unchanged/);
});
