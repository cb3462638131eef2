// citations.test.mjs - a mixed folder of documents is asked, and each source opens where the answer stands:
// by `parley ask` with and without a server, by the API, in the web chat
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { zip } from '../support/zip.mjs';
import { Visitor, openServer } from './scene.mjs';

// One paragraph a page.
function pdf(pages) {
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', `<</Type/Pages/Kids[${pages.map((_, i) => `${4 + 2 * i} 0 R`).join(' ')}]/Count ${pages.length}>>`,
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>'];
  for (const [i, text] of pages.entries()) {
    const stream = `BT /F 11 Tf 50 700 Td (${text}) Tj ET`;
    objects.push(`<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents ${5 + 2 * i} 0 R/Resources<</Font<</F 3 0 R>>>>>>`,
      `<</Length ${stream.length}>>stream\n${stream}\nendstream`);
  }
  return `%PDF-1.4\n${objects.map((object, i) => `${i + 1} 0 obj${object}endobj\n`).join('')}trailer<</Root 1 0 R>>\n`;
}

const W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
const paragraph = (text) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;
const LONG = Array.from({ length: 120 }, (_, i) => `Saddle ${i} was built by maker number ${i} & sold at 5 < 6 to the fair of the year ${1800 + i}.`).join(' ');

const FOLDER = {
  'manuals/trailer & tow.pdf': pdf(['This manual is about the trailer for two children. Please read it.',
    'The coupling of the trailer is greased with lithium paste twice a year.', 'The greatest load of the trailer is 46 kilograms.']),
  'seats.docx': zip({ 'word/document.xml': `<w:document ${W}><w:body>${paragraph('A child seat costs 119 euros, mounting included.')}</w:body></w:document>` }),
  'lights.html': '<!doctype html><title>Lights</title><h1>Lights</h1><p>A dynamo light costs 64 euros.</p><script>alert(1)</script>',
  'saddles.md': `# Saddles\n\n${LONG}\n\n## Leather\n\nA leather saddle wants beeswax 2 < 3 & patience for "seven" weeks.\n\n${LONG}\n`,
  'locks.txt': 'LOCKS\n\nA folding lock weighs 900 grams. It comes with two keys.\n',
  'pumps.csv': 'pump;price\nfloor pump with gauge;43 euros\nhand pump;18 euros\n',
};
// question, file, what the answer says, page or what is marked
const ASKED = [
  ['With what is the coupling of the trailer greased?', 'manuals/trailer & tow.pdf', /lithium paste/, 2],
  ['What is the greatest load of the trailer?', 'manuals/trailer & tow.pdf', /46 kilograms/, 3],
  ['What does a child seat cost?', 'seats.docx', /119 euros/, 'A child seat costs 119 euros'],
  ['What does a dynamo light cost?', 'lights.html', /64 euros/, 'A dynamo light costs 64 euros.'],
  ['How long does a leather saddle want patience?', 'saddles.md', /seven/, 'A leather saddle wants beeswax 2 &lt; 3 &amp; patience'],
  ['How much does a folding lock weigh?', 'locks.txt', /900 grams/, 'A folding lock weighs 900 grams.'],
  ['What does a floor pump with gauge cost?', 'pumps.csv', /43 euros/, 'floor pump with gauge'],
];

async function openAt(server, url, file, place) {
  const target = url.slice(url.indexOf('/v1/blobs/'));
  const response = await fetch(server.url + target);
  assert.equal(response.status, 200, url);
  assert.equal(response.headers.get('set-cookie'), null);
  if (file.endsWith('.pdf')) {
    assert.ok(url.endsWith(`#page=${place}`), url);
    assert.equal(response.headers.get('content-type'), 'application/pdf');
    assert.match(response.headers.get('content-disposition'), /^inline; filename="trailer___tow.pdf"/);
    assert.doesNotMatch(response.headers.get('content-security-policy'), /sandbox/);
    assert.equal(Buffer.from(await response.arrayBuffer()).toString(), FOLDER[file]);
    return;
  }
  const html = await response.text();
  assert.ok(url.endsWith('#passage'), url);
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.match(response.headers.get('content-security-policy'), /^sandbox allow-downloads; default-src 'none'/);
  const marked = /<mark id="passage">([^]*)<\/mark>/.exec(html);
  assert.ok(marked?.[1].includes(place), html.slice(0, 3000));
  assert.ok(!html.includes('2 < 3') && !html.includes('<script'), 'what a document holds stays text');
  if (file === 'saddles.md') assert.ok(html.includes('maker number 0 &amp; sold at 5 &lt; 6') && !marked[1].includes('maker number 50 '), 'all around it');
  const original = /<h1><a href="\.\.\/([\w-]+)">/.exec(html)[1];
  const whole = await fetch(`${server.url}/v1/blobs/${original}`);
  assert.deepEqual([whole.status, whole.headers.get('content-disposition').split(';')[0]], [200, 'attachment']);
}

test('a source opens where the answer stands', async (t) => {
  const server = await openServer(t, { publicUrl: true, start: false });
  const { shop } = server;
  const folder = path.join(await fs.realpath(server.folder), 'our documents');
  for (const [name, content] of Object.entries(FOLDER)) {
    await fs.mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await fs.writeFile(path.join(folder, name), content);
  }

  await t.test('parley ingest and ask, without a server', async () => {
    const read = await server.run(['ingest', '--category', 'manuals', '--tone', 'dry', '--date', '2026-04-01', folder]);
    assert.equal(read.code, 0, read.stderr);
    assert.match(read.stdout, /6 documents found: 6 read/);
    assert.equal((await server.run(['ingest', '--date', 'soon', folder])).code, 2);
    for (const [question, file, wanted, place] of ASKED) {
      const asked = await server.run(['ask', question]);
      assert.equal(asked.code, 0, asked.stderr + asked.stdout);
      assert.match(asked.stdout, wanted);
      const page = file.endsWith('.pdf') ? `#page=${place}` : '';
      const url = `file://${folder.split('/').map(encodeURIComponent).join('/')}/${file.split('/').map(encodeURIComponent).join('/')}${page}`;
      assert.ok(asked.stdout.includes(`      ${url}\n`), `${asked.stdout} has not ${url}`);
      assert.match(asked.stdout, page ? new RegExp(`\\[1\\] .*, page ${place}\n`) : /\[1\] .*, characters \d+ to \d+\n/);
    }
  });

  await server.start();
  const web = await server.addChannel(shop, 'web');

  await t.test('asked over HTTP, and by parley ask on a server', async () => {
    for (const [question, file, wanted, place] of ASKED) {
      const { body } = await server.post('/v1/query', shop.key, { question });
      assert.match(body.answer, wanted);
      await openAt(server, body.citations[0].url, file, place);
      const { source_id: id, version, start, end, page = 0 } = body.citations[0];
      const link = await server.get(`/v1/sources/${id}/link?version=${version}&start=${start}&end=${end}&page=${page}`, shop.key);
      await openAt(server, link.body.url, file, place);
      const staff = await server.post('/v1/query', shop.key, { question, staff: true });
      await openAt(server, staff.body.citations[0].url, file, place);
    }
    const streamed = await (await fetch(`${server.url}/v1/query`, {
      method: 'POST', body: JSON.stringify({ question: ASKED[0][0], stream: true }),
      headers: { authorization: `Bearer ${shop.key}`, 'content-type': 'application/json' } })).text();
    assert.match(streamed, /"url":"[^"]*#page=2"/);
    const asked = await server.run(['ask', '--url', server.url, '--key', shop.key, ASKED[0][0]]);
    assert.match(asked.stdout, /, page 2\n {6}http:\S+\/v1\/blobs\/[\w-]+#page=2\n/);
    const source = (await server.get('/v1/sources', shop.key)).body.data.find((one) => one.name === 'seats.docx');
    assert.deepEqual([source.category, source.tone, source.dated_at.slice(0, 10)], ['manuals', 'dry', '2026-04-01']);
  });

  const visitor = await Visitor.open(server, web.id);
  const answers = [];
  const linkOf = (who, message, number) => server.get(`/v1/webchat/${web.id}/messages/${message}/citations/${number}/link`, who.token);

  await t.test('in the web chat, for whom the answer was given', async () => {
    const other = await Visitor.open(server, web.id);
    for (const [question, file, wanted, place] of ASKED) {
      const answer = await visitor.ask(question);
      answers.push(answer);
      assert.match(answer.text, wanted);
      const link = await linkOf(visitor, answer.id, 1);
      assert.equal(link.status, 200, link.text);
      await openAt(server, link.body.url, file, place);
      assert.equal((await linkOf(other, answer.id, 1)).status, 404);
      for (const number of ['0', '99', 'x']) assert.equal((await linkOf(visitor, answer.id, number)).status, 404, number);
    }
    assert.equal((await server.get(`/v1/webchat/${web.id}/messages/${answers[0].id}/citations/1/link`)).status, 401);
  });

  await t.test('what became the staff\'s opens no more, nor does a link from before', async () => {
    const at = ASKED.findIndex(([, file]) => file === 'locks.txt');
    const before = (await linkOf(visitor, answers[at].id, 1)).body.url;
    const asked = (await server.post('/v1/query', shop.key, { question: ASKED[at][0] })).body.citations[0];
    const staff = (await server.post('/v1/query', shop.key, { question: ASKED[at][0], staff: true })).body.citations[0];
    assert.equal((await server.call('PATCH', `/v1/sources/${asked.source_id}`, { key: shop.key, body: { audience: 'staff' } })).status, 200);
    for (const url of [before, asked.url]) {
      const target = url.slice(url.indexOf('/v1/blobs/'));
      assert.equal((await server.get(target)).status, 404, target);
      assert.equal((await server.get(target.replace(/\/text.*/, ''))).status, 404);
    }
    assert.equal((await linkOf(visitor, answers[at].id, 1)).status, 404);
    await openAt(server, staff.url, 'locks.txt', ASKED[at][3]);
  });

  await t.test('a newer version opens at its beginning', async () => {
    const at = ASKED.findIndex(([, file]) => file === 'lights.html');
    const answer = answers[at];
    const old = answer.citations[0];
    const name = (await server.get(`/v1/sources/${old.source_id}`, shop.key)).body.name;
    assert.equal(name, 'lights.html');
    await fs.writeFile(path.join(folder, name), '<title>Lights</title><h1>Lights</h1><p>A dynamo light costs 66 euros now.</p>');
    await server.stop();
    assert.equal((await server.run(['ingest', folder])).code, 0);
    await server.start();
    const { url } = (await linkOf(visitor, answer.id, 1)).body;
    const page = await server.get(url.slice(url.indexOf('/v1/blobs/')));
    assert.equal(page.status, 200);
    assert.ok(page.text.includes('66 euros') && !page.text.includes('<mark'), page.text);
  });

  await t.test('a place that cannot be, a link that is none', async () => {
    const { body } = await server.post('/v1/query', shop.key, { question: ASKED[2][0] });
    const target = body.citations[0].url.slice(body.citations[0].url.indexOf('/v1/blobs/')).replace(/\?.*/, '');
    for (const query of ['?start=9999999', '?start=5&end=2', '?start=-1', '?start=x']) {
      assert.equal((await server.get(target + query)).status, 400, query);
    }
    assert.equal((await server.get('/v1/blobs/x/text')).status, 404);
  });
});
