// suggestions.test.mjs - contacts that may be one person: what proves it, pages, and what staff makes of them
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { addWhatsApp, openServer, openWhatsApp } from './scene.mjs';

const MX = 'mx.shop.test';
const PROVEN = `${MX}; spf=pass smtp.mailfrom=customer.test; dmarc=pass (p=REJECT) header.from=customer.test`;

// Connected networks of an organization, which end with the test.
async function connect(t, server, organization, source, settings = {}) {
  connect.count = (connect.count ?? 0) + 1;
  const network = new NETWORKS[source](connect.count);
  await network.start();
  t.after(() => network.stop());
  await network.connect(server, organization, { burst_window_ms: 0, ...settings });
  return network;
}

// Writes "Hello" and gives the contact that it came to. results: what the mail server says of the mail.
async function contactOf(server, organization, network, person, { results, from } = {}) {
  const { id, chatId, value } = network.compose(person, 'Hello');
  if (from) value.From = from;
  if (results) value.Headers.unshift({ Name: 'Authentication-Results', Value: results });
  assert.equal(await network.post(value), 200, chatId);
  const [row] = await server.sql(organization, `SELECT contact_id FROM message WHERE external_message_id = '${id}'`);
  return row.contact_id;
}

const pairOf = (one) => [one.contact_id, one.other_contact_id].sort();
const page = (server, organization, query = '') => server.get(`/v1/contact-suggestions${query}`, organization.key);
const pairs = async (server, organization) => (await server.list('/v1/contact-suggestions', organization.key)).map(pairOf);

test('an equal e-mail address is suggested once it is proven on both channels', async (t) => {
  const server = await openServer(t, { documents: false });
  const { shop } = server;
  const support = await connect(t, server, shop, 'email', { authserv_id: MX });
  const sales = await connect(t, server, shop, 'email', { authserv_id: MX });
  const trusting = await connect(t, server, shop, 'email');
  const write = (network, more) => contactOf(server, shop, network, 1, more);

  const one = await write(support);
  const two = await write(sales);
  assert.notEqual(one, two);
  assert.deepEqual(await pairs(server, shop), [], 'anybody can write any From');
  await write(support, { results: PROVEN.replace('dmarc=pass', 'dmarc=fail') });
  await write(support, { results: PROVEN.replace(MX, 'mx.evil.test') });
  await write(sales, { results: PROVEN });
  assert.deepEqual(await pairs(server, shop), [], 'proven on one of them');
  await write(trusting, { results: PROVEN });
  assert.deepEqual(await pairs(server, shop), [], 'a channel that names no server believes none');

  assert.equal(await write(support, { results: PROVEN, from: 'Ada <Person-1@CUSTOMER.test>' }), one, 'in whatever case');
  const { body } = await page(server, shop);
  assert.deepEqual(body.data.map((found) => [...pairOf(found), found.reason, found.score]), [[...[one, two].sort(), 'email', 0.7]]);
  assert.equal(body.next_cursor, null);
  await write(support);
  await write(sales, { results: PROVEN.replace('dmarc=pass', 'dmarc=fail') });
  assert.equal((await pairs(server, shop)).length, 1, 'a forged mail takes no proof away');
});

test('suggestions in pages; linked, apart, dismissed; of the organization alone', async (t) => {
  const whatsapp = await openWhatsApp(t);
  const server = await openServer(t, { organizations: ['shop', 'other'], documents: false, publicUrl: true });
  const { shop, other } = server.organizations;
  const sms = await connect(t, server, shop, 'twilio_sms');
  const twilio = await connect(t, server, shop, 'twilio_whatsapp');
  const theirs = [await connect(t, server, other, 'twilio_sms'), await connect(t, server, other, 'twilio_whatsapp')];
  await addWhatsApp(server, whatsapp, shop);

  const people = [];
  for (const person of [1, 2, 3]) people.push([await contactOf(server, shop, sms, person), await contactOf(server, shop, twilio, person)].sort());
  whatsapp.addPerson('DE.1', { phone: '15560000001' });
  whatsapp.addPerson('DE.2', { phone: '15560000002' });
  for (const [userId, named] of [['DE.1', 'both'], ['DE.2', 'id']]) whatsapp.says(userId, 'Hello', { named });
  await whatsapp.waitUntilDelivered();
  const [{ contact_id: third }] = await server.sql(shop, "SELECT contact_id FROM identity WHERE external_user_id = 'DE.1'");
  const foreign = [await contactOf(server, other, theirs[0], 1), await contactOf(server, other, theirs[1], 1)].sort();

  const act = (what, [id, otherId], key = shop.key) => server.post(`/v1/contacts/${id}/${what}`, key, { contact_id: otherId });
  const wanted = [people[0], people[1], people[2], [people[0][0], third].sort(), [people[0][1], third].sort()].sort();

  await t.test('all that have a number in common, also one that WhatsApp tells beside an id', async () => {
    const { body } = await page(server, shop);
    assert.deepEqual(body.data.map(pairOf), wanted);
    assert.ok(body.data.every((one) => one.reason === 'phone' && one.score === 0.95 && one.contact_id < one.other_contact_id));
    assert.deepEqual(await pairs(server, other), [foreign], 'the same number in another organization is of nobody here');
  });

  await t.test('pages', async () => {
    for (const limit of [1, 2, 5, 100]) assert.deepEqual((await server.list('/v1/contact-suggestions', shop.key, limit)).map(pairOf), wanted, `by ${limit}`);
    const first = await page(server, shop, '?limit=2');
    assert.equal(first.body.data.length, 2);
    const elsewhere = (await page(server, other, `?cursor=${first.body.next_cursor}`)).body.data.map(pairOf);
    assert.ok(elsewhere.every((pair) => pair.join() === foreign.join()), 'a cursor of another organization shows nothing of it');
    for (const cursor of ['zz', `${people[0][0]}`, `${people[0][0]},`, `,${people[0][0]}`, `${first.body.next_cursor},x`])
      assert.equal((await page(server, shop, `?cursor=${cursor}`)).status, 400, cursor);
    for (const limit of ['0', '-1', 'x', '100000']) assert.equal((await page(server, shop, `?limit=${limit}`)).status, 400, limit);
  });

  await t.test('who may look, and who may decide', async () => {
    const keyOf = async (scopes) => (await server.post('/v1/keys', shop.key, { name: scopes, scopes })).body.secret;
    const [reads, asks] = [await keyOf('conversations:read'), await keyOf('query')];
    assert.equal((await server.get('/v1/contact-suggestions', reads)).status, 200);
    assert.equal((await server.get('/v1/contact-suggestions', asks)).status, 403);
    assert.equal((await server.get('/v1/contact-suggestions')).status, 401);
    for (const what of ['link', 'dismiss']) {
      assert.equal((await act(what, people[0], reads)).status, 403, what);
      assert.equal((await act(what, people[0], other.key)).status, 404, what);
      assert.equal((await act(what, [people[0][0], foreign[0]])).status, 404, what);
      assert.equal((await act(what, [people[0][0], people[0][0]])).status, 400, what);
    }
    assert.deepEqual(await pairs(server, shop), wanted);
  });

  await t.test('linked ones are no longer suggested, and are again when they are apart', async () => {
    assert.equal((await act('link', people[1])).status, 200);
    assert.deepEqual(await pairs(server, shop), wanted.filter((pair) => pair !== people[1]));
    assert.equal((await server.post(`/v1/contacts/${people[1][0]}/unlink`, shop.key, {})).status, 200);
    assert.deepEqual(await pairs(server, shop), wanted);
    assert.equal((await act('link', people[0])).status, 200);
    assert.equal((await act('link', [people[0][1], third])).status, 200);
    assert.deepEqual(await pairs(server, shop), [people[1], people[2]].sort(), 'one with one is one with all');
  });

  await t.test('dismissed ones are not suggested again, whatever they write; staff may still link them', async () => {
    assert.equal((await act('dismiss', [...people[2]].reverse())).status, 200);
    assert.equal((await act('dismiss', people[2])).status, 200, 'again changes nothing');
    assert.equal(await contactOf(server, shop, sms, 3).then((id) => people[2].includes(id)), true);
    assert.deepEqual(await pairs(server, shop), [people[1]]);
    assert.equal((await act('link', people[2])).status, 200);
    assert.equal((await server.get(`/v1/contacts/${people[2][0]}`, shop.key)).body.linked[0].contact_id, people[2][1]);
    assert.deepEqual(await pairs(server, other), [foreign]);
  });
});
