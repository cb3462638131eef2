// sites.test.mjs - documents from the web: fetched, kept in step, removed; what robots.txt, headers and limits forbid
import assert from 'node:assert/strict';
import test from 'node:test';
import { gzipSync } from 'node:zlib';

import { HttpDouble } from '../doubles/http-double.mjs';
import { until } from '../support/server.mjs';
import { openServer } from './scene.mjs';

const html = (title, body, head = '') => `<!doctype html><html lang="en"><head><title>${title}</title>${head}</head><body><h1>${title}</h1>${body}</body></html>`;
const fact = (thing, euros) => `<p>A ${thing} costs ${euros} euros in our shop, with a guarantee of two years for everybody.</p>`;
const SETTINGS = { 'crawl.allow_private_addresses': true, 'crawl.delay': 0 };

// A web server whose pages a test sets: path -> {body, type, headers, status}. It knows ETags.
class Web extends HttpDouble {
  pages = new Map();

  set(path, body, { type = 'text/html; charset=utf-8', status = 200, headers = {}, etag = `"${this.pages.size}-${Math.random()}"` } = {}) {
    this.pages.set(path, { body, type, status, headers, etag });
  }

  handle({ path, headers }) {
    const page = this.pages.get(path);
    if (!page) return { status: 404, headers: { 'content-type': 'text/html' }, body: 'not here' };
    if (page.status === 200 && page.etag && headers['if-none-match'] === page.etag) return { status: 304, headers: { etag: page.etag } };
    return { status: page.status, headers: { 'content-type': page.type, ...(page.etag && { etag: page.etag }), ...page.headers }, body: page.body };
  }

  asked(path) {
    return this.requests.filter((request) => request.path === path);
  }
}

async function openWeb(t) {
  const web = new Web();
  await web.start();
  t.after(() => web.stop());
  return web;
}

const site = async (server, shop, body) => {
  const answer = await server.post('/v1/sites', shop.key, body);
  assert.equal(answer.status, 202, answer.text);
  return ended(server, shop, answer.body.id);
};

const ended = async (server, shop, id) => {
  const done = await until(async () => {
    const { body } = await server.get(`/v1/sites/${id}`, shop.key);
    return body.status === 'running' ? null : body;
  }, 'the end of the round', 60_000);
  await server.waitUntilIdle(shop);
  return done;
};

const again = async (server, shop, id) => {
  const { status } = await server.post(`/v1/sites/${id}/crawl`, shop.key, {});
  assert.equal(status, 202);
  return ended(server, shop, id);
};

const pagesOf = async (server, shop, id) => (await server.get(`/v1/sites/${id}/pages?limit=100`, shop.key)).body.data;
const sourcesOf = async (server, shop, id) => (await server.get('/v1/sources?limit=100', shop.key)).body.data.filter((source) => source.parent_id === id);

test('a page: cited by its address, kept in step by ETag, gone with 410', async (t) => {
  const web = await openWeb(t);
  const server = await openServer(t, { documents: false, publicUrl: true, settings: SETTINGS });
  const { shop } = server;
  const answer = async (question) => server.ask(shop, question);
  web.set('/prices', html('Prices', fact('blue kettle', 31)), { etag: '"one"', headers: { 'last-modified': 'Wed, 01 Jul 2026 10:00:00 GMT' } });
  const made = await site(server, shop, { url: `${web.url}/prices#top`, category: 'prices', recrawl_hours: 24 });
  let source;

  await t.test('it is read, searched and cited with a link', async () => {
    assert.deepEqual([made.url, made.status, made.round, made.pages.found, made.pages.done, made.recrawl_hours], [`${web.url}/prices`, 'done', 1, 1, 1, 24]);
    [source] = await sourcesOf(server, shop, made.id);
    assert.deepEqual([source.kind, source.uri, source.category, source.title, source.current_version], ['url', `${web.url}/prices`, 'prices', 'Prices', 1]);
    const said = await answer('What does a blue kettle cost?');
    assert.match(said.answer, /31 euros/);
    assert.equal(said.citations[0].source_id, source.id);
    assert.equal(said.citations[0].web_url, `${web.url}/prices`);
  });

  await t.test('its original is kept', async () => {
    const { body } = await server.get(`/v1/sources/${source.id}/link`, shop.key);
    const original = await fetch(body.url.startsWith('http') ? body.url : server.url + body.url);
    assert.match(await original.text(), /blue kettle/);
  });

  await t.test('unchanged: it is asked for by its ETag and date, and nothing is done', async () => {
    const round = await again(server, shop, made.id);
    assert.deepEqual([round.round, round.pages.unchanged, round.pages.done], [2, 1, 0]);
    const asked = web.asked('/prices').at(-1);
    assert.deepEqual([asked.headers['if-none-match'], asked.headers['if-modified-since']], ['"one"', 'Wed, 01 Jul 2026 10:00:00 GMT']);
    assert.equal((await sourcesOf(server, shop, made.id))[0].last_version, 1);
  });

  await t.test('changed: a new version', async () => {
    web.set('/prices', html('Prices', fact('blue kettle', 33)), { etag: '"two"' });
    const round = await again(server, shop, made.id);
    assert.equal(round.pages.done, 1);
    assert.equal((await sourcesOf(server, shop, made.id))[0].current_version, 2);
    assert.match((await answer('What does a blue kettle cost?')).answer, /33 euros/);
  });

  await t.test('a failure that passes is tried again; one that stays keeps the document', async () => {
    web.fail({ match: ({ path }) => path === '/prices', times: 1, status: 503 });
    const before = web.asked('/prices').length;
    assert.equal((await again(server, shop, made.id)).pages.unchanged, 1);
    assert.equal(web.asked('/prices').length, before + 2);
    web.set('/prices', 'no', { status: 403 });
    const round = await again(server, shop, made.id);
    assert.equal(round.pages.failed, 1);
    assert.match((await pagesOf(server, shop, made.id))[0].reason, /answers 403/);
    assert.match((await answer('What does a blue kettle cost?')).answer, /33 euros/);
  });

  await t.test('gone: its document goes', async () => {
    web.set('/prices', 'gone', { status: 410 });
    const round = await again(server, shop, made.id);
    assert.equal(round.pages.gone, 1);
    const [page] = await pagesOf(server, shop, made.id);
    assert.deepEqual([page.status, page.source_id], ['gone', null]);
    assert.match(page.reason, /410/);
    assert.deepEqual(await sourcesOf(server, shop, made.id), []);
    assert.equal((await answer('What does a blue kettle cost?')).kind, 'no_answer');
  });

  await t.test('progress is told as events, to its end', async () => {
    web.set('/prices', html('Prices', fact('blue kettle', 35)));
    const started = await server.post(`/v1/sites/${made.id}/crawl`, shop.key, {});
    const last = (await server.eventsToEnd(`/v1/sites/${made.id}/events`, { key: shop.key })).at(-1);
    assert.equal(last.type, 'done');
    assert.equal(last.data.round, started.body.round);
    assert.deepEqual([last.data.found, last.data.done], [1, 1]);
    await server.waitUntilIdle(shop);
  });

  await t.test('with the site all goes', async () => {
    assert.equal((await server.call('DELETE', `/v1/sites/${made.id}`, { key: shop.key })).status, 204);
    assert.equal((await server.get(`/v1/sites/${made.id}`, shop.key)).status, 404);
    await server.waitUntilIdle(shop);
    for (const table of ['site', 'site_page', 'source', 'source_version', 'chunk', 'ingestion'])
      assert.deepEqual(await server.sql(shop, `SELECT * FROM ${table}`), [], table);
    assert.equal((await answer('What does a blue kettle cost?')).kind, 'no_answer');
  });

  await t.test('what cannot be a site is said', async () => {
    for (const [body, detail] of [
      [{}, /url/], [{ url: 'prices' }, /address/], [{ url: 'ftp://example.com/' }, /address/], [{ url: 'http://me:secret@example.com/' }, /address/],
      [{ url: web.url, depth: 6 }, /depth/], [{ url: web.url, sitemap: true, depth: 1 }, /depth/], [{ url: web.url, max_pages: 1001 }, /max_pages/],
      [{ url: web.url, hosts: ['a/b'] }, /hosts/], [{ url: web.url, hosts: [1] }, /hosts/], [{ url: web.url, recrawl_hours: 9000 }, /recrawl_hours/],
      [{ url: web.url, audience: 'everybody' }, /audience/i], [{ url: web.url, language: 'english' }, /language/],
    ]) {
      const refused = await server.post('/v1/sites', shop.key, body);
      assert.equal(refused.status, 400, `${JSON.stringify(body)}: ${refused.text}`);
      assert.match(refused.body.detail, detail, JSON.stringify(body));
    }
  });
});

test('links, robots.txt, redirects and what authors do not want', async (t) => {
  const web = await openWeb(t);
  const server = await openServer(t, { documents: false, settings: SETTINGS });
  const { shop } = server;
  web.set('/robots.txt', 'User-agent: *\nDisallow: /\n\nUser-agent: Parley\nDisallow: /private\nAllow: /private/open\n', { type: 'text/plain' });
  web.set('/', html('Shop', `${fact('red lamp', 12)}<a href="a">a</a> <a href="/b#x">b</a> <a href="/b">b again</a> <a href="/moved">m</a>
    <a href="/private/x">p</a> <a href="/private/open">o</a> <a href="/noindex">n</a> <a href="/header">h</a> <a href="/logo.png">l</a>
    <a href="/movie">v</a> <a href="http://elsewhere.example/">e</a> <a href="mailto:a@example.com">w</a> <a rel="nofollow" href="/unwanted">u</a>
    <a href="/out">out</a> <a href="/loop">loop</a> <a href="/missing">gone</a> <a href="/latin">latin</a> <a href="/koi">koi</a>`));
  web.set('/a', html('A', `${fact('green chair', 45)}<a href="/deep">deep</a>`));
  web.set('/b', html('B', fact('white table', 99)));
  web.set('/deep', html('Deep', fact('grey sofa', 700)));
  web.set('/moved', '', { status: 301, headers: { location: '/target' } });
  web.set('/target', html('Target', fact('black stool', 25)));
  web.set('/private/x', html('Secret', fact('gold ring', 1000)));
  web.set('/private/open', html('Open', fact('silver ring', 500)));
  web.set('/noindex', html('No', fact('iron ring', 5), '<meta name="robots" content="noindex">'));
  web.set('/header', html('No', fact('tin ring', 4)), { headers: { 'x-robots-tag': 'noindex' } });
  web.set('/movie', 'x', { type: 'video/mp4' });
  web.set('/out', '', { status: 302, headers: { location: 'http://127.0.0.2:1/' } });
  web.set('/loop', '', { status: 302, headers: { location: '/loop' } });
  web.set('/latin', Buffer.from(html('Cafe', '<p>Our caf\u00e9 sells a brass tray for 17 euros, and it is open on every day of the week.</p>'), 'latin1'), { type: 'text/html; charset=iso-8859-1' });
  // Only the header says that this is KOI8-U: the bytes look like KOI8-R.
  web.set('/koi', Buffer.concat([Buffer.from('<title>Sales</title><p>'), Buffer.from([0xf7, 0xcf, 0xa6, 0xce, 0x20, 0xa7, 0xc1]), Buffer.from(': a bronze bowl costs 61 euros in our shop.')]), { type: 'text/html; charset=koi8-u' });

  const made = await site(server, shop, { url: `${web.url}/`, depth: 1 });
  const statusOf = async () => Object.fromEntries((await pagesOf(server, shop, made.id)).map((page) => [page.url.slice(web.url.length), page.status]));
  await t.test('one step far, as allowed', async () => {
    assert.deepEqual(await statusOf(), {
      '/': 'done', '/a': 'done', '/b': 'done', '/moved': 'moved', '/target': 'done', '/private/x': 'skipped', '/private/open': 'done', '/noindex': 'skipped',
      '/header': 'skipped', '/movie': 'skipped', '/out': 'failed', '/loop': 'failed', '/missing': 'gone', '/latin': 'done', '/koi': 'done',
    });
    for (const path of ['/private/x', '/deep', '/unwanted', '/logo.png']) assert.equal(web.asked(path).length, 0, path);
    assert.equal(web.asked('/robots.txt').length, 1, 'once a round');
    assert.equal(web.asked('/b').length, 1);
    const reasons = Object.fromEntries((await pagesOf(server, shop, made.id)).map((page) => [page.url.slice(web.url.length), page.reason]));
    assert.match(reasons['/private/x'], /robots\.txt/);
    assert.match(reasons['/noindex'], /noindex/);
    assert.match(reasons['/out'], /another host, 127\.0\.0\.2/);
    assert.match((await server.ask(shop, 'What does a black stool cost?')).answer, /25 euros/);
    assert.match((await server.ask(shop, 'What does a bronze bowl cost?')).answer, /Воін їа: a bronze bowl costs 61 euros/);
    assert.match((await server.ask(shop, 'What does a brass tray cost in the caf\u00e9?')).answer, /caf\u00e9 sells a brass tray for 17 euros/);
    assert.equal((await server.ask(shop, 'What does a gold ring cost?')).kind, 'no_answer');
  });

  await t.test('a page that nothing names any more goes, links of an unchanged page still count', async () => {
    web.set('/', html('Shop', `${fact('red lamp', 12)}<a href="/a">a</a>`));
    await again(server, shop, made.id);
    assert.deepEqual(await statusOf(), { '/': 'done', '/a': 'unchanged' });
    await again(server, shop, made.id);
    assert.deepEqual(await statusOf(), { '/': 'unchanged', '/a': 'unchanged' });
    assert.deepEqual((await sourcesOf(server, shop, made.id)).map((source) => source.uri).sort(), [`${web.url}/`, `${web.url}/a`]);
  });

  await t.test('while what names them fails, pages are kept', async () => {
    web.set('/', 'no', { status: 403 });
    const round = await again(server, shop, made.id);
    assert.equal(round.pages.failed, 1);
    assert.equal((await sourcesOf(server, shop, made.id)).length, 2);
  });

  await t.test('without its robots.txt nothing is fetched, and nothing is lost', async () => {
    const before = web.asked('/').length;
    web.fail({ match: ({ path }) => path === '/robots.txt', times: 100, status: 500 });
    const round = await again(server, shop, made.id);
    assert.equal(round.pages.failed, 1);
    assert.match((await pagesOf(server, shop, made.id))[0].reason, /robots\.txt cannot be had/);
    assert.equal(web.asked('/').length, before);
    assert.equal((await sourcesOf(server, shop, made.id)).length, 2);
  });
});

test('a sitemap: an index, packed ones, its limit, and pages that it names no more', async (t) => {
  const web = await openWeb(t);
  const server = await openServer(t, { documents: false, settings: SETTINGS });
  const { shop } = server;
  const urlset = (paths) => `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${paths.map((path) => `<url><loc>${web.url}${path}</loc></url>`).join('')}</urlset>`;
  web.set('/sitemap.xml', `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap><loc>${web.url}/one.xml.gz</loc></sitemap><sitemap><loc>${web.url}/two.txt</loc></sitemap></sitemapindex>`, { type: 'application/xml' });
  web.set('/one.xml.gz', gzipSync(urlset(['/1', '/2?a=b&amp;c=d', '/2?a=b&amp;c=d'])), { type: 'application/gzip' });
  web.set('/two.txt', `${web.url}/3\nhttp://elsewhere.example/4\n`, { type: 'text/plain' });
  for (const n of [1, 2, 3]) web.set(`/${n}`, html(`Page ${n}`, fact(`lamp of kind ${n}`, 10 * n)));
  const made = await site(server, shop, { url: `${web.url}/sitemap.xml`, sitemap: true });
  const documents = async () => (await sourcesOf(server, shop, made.id)).map((source) => source.uri.slice(web.url.length)).sort();

  assert.deepEqual([made.pages.found, made.pages.done, made.sitemap], [3, 3, true]);
  assert.deepEqual(await documents(), ['/1', '/2?a=b&c=d', '/3']);

  await t.test('what it names no more goes; a damaged one keeps all', async () => {
    web.set('/two.txt', `${web.url}/1\n`, { type: 'text/plain' });
    await again(server, shop, made.id);
    assert.deepEqual(await documents(), ['/1', '/2?a=b&c=d']);
    web.set('/one.xml.gz', gzipSync(urlset(['/1'])).subarray(0, 40), { type: 'application/gzip' });
    await again(server, shop, made.id);
    assert.deepEqual(await documents(), ['/1', '/2?a=b&c=d']);
    const broken = (await pagesOf(server, shop, made.id)).find((page) => page.url.endsWith('.gz'));
    assert.deepEqual([broken.kind, broken.status], ['sitemap', 'failed']);
    assert.match(broken.reason, /cannot be unpacked/);
  });

  await t.test('no more pages than the limit', async () => {
    web.set('/one.xml.gz', gzipSync(urlset(Array.from({ length: 30 }, (_, i) => `/many/${i}`))), { type: 'application/gzip' });
    for (let i = 0; i < 30; i++) web.set(`/many/${i}`, html(`Page ${i}`, fact(`thing of kind ${i}`, i)));
    const limited = await site(server, shop, { url: `${web.url}/sitemap.xml`, sitemap: true, max_pages: 5 });
    assert.equal(limited.id, made.id, 'the same site with other settings');
    assert.equal(limited.pages.found, 5);
    assert.equal((await documents()).length, 5);
  });
});

test('from the shell: a page with its links, a sitemap, and what cannot be read', async (t) => {
  const web = await openWeb(t);
  const server = await openServer(t, { start: false, settings: SETTINGS });
  web.set('/', html('Home', `${fact('blue kettle', 31)}<a href="/lamps">lamps</a> <a href="/lost">lost</a>`));
  web.set('/lamps', html('Lamps', fact('green lamp', 47)));
  const first = await server.run(['ingest', '--depth', '1', '--recrawl', '24', `${web.url}/`]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /2 read, 0 unchanged, 0 failed/);
  assert.match((await server.run(['ask', 'What does a green lamp cost?'])).stdout, /47 euros/);
  const again = await server.runJson(['ingest', '--depth', '1', `${web.url}/`]);
  assert.deepEqual([again.read, again.unchanged, again.failed], [0, 2, 0]);
  web.set('/map.txt', `${web.url}/lamps\n${web.url}/broken\n`, { type: 'text/plain' });
  web.set('/broken', 'no', { status: 403 });
  const map = await server.run(['ingest', '--sitemap', `${web.url}/map.txt`]);
  assert.equal(map.code, 1);
  assert.match(map.stdout, /1 read, 0 unchanged, 1 failed[^]*\/broken: .*403/);
  for (const [words, says] of [[['--depth', 'far'], /--depth takes a number/], [['--depth', '9'], /0 to 5/]]) {
    const { code, stderr } = await server.run(['ingest', ...words, `${web.url}/`]);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  }
});

test('private addresses are refused unless the operator allows them', async (t) => {
  const web = await openWeb(t);
  const server = await openServer(t, { documents: false });
  const { shop } = server;
  web.set('/', html('Inside', fact('hidden thing', 1)));
  for (const url of [`${web.url}/`, `http://localhost:${web.port}/`, `http://[::1]:${web.port}/`, `http://0x7f000001:${web.port}/`, 'http://169.254.169.254/latest/meta-data/', 'http://10.0.0.1/']) {
    const made = await site(server, shop, { url });
    assert.equal(made.pages.failed, 1, url);
    assert.match((await pagesOf(server, shop, made.id))[0].reason, /private address/, url);
  }
  assert.equal(web.requests.length, 0);
});
