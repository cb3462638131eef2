// identity.test.mjs - one person on several channels: linked by codes, links and staff, and apart again
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { engine, until } from '../support/server.mjs';
import { DEPOSIT, HONEST, PUNCTURE, Visitor, addBot, addWhatsApp, openModel, openServer, openTelegram, openWhatsApp } from './scene.mjs';

const CODE = /LINK-[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}/;
const DONE = /I know now that this is you/;
const INVALID = /not valid, or not any more\. Nothing was changed/;

const contactOf = async (server, conversationId, organization = server.shop) => {
  const { body } = await server.get(`/v1/conversations/${conversationId}`, organization.key);
  return (await server.get(`/v1/contacts/${body.contact_id}`, organization.key)).body;
};

// A person of Telegram who says something; gives what is answered.
async function tell(server, telegram, bot, chatId, text) {
  const before = telegram.messages({ bot: bot.token, chatId }).length;
  telegram.userSays(bot.token, { chatId, text });
  return until(() => telegram.messages({ bot: bot.token, chatId })[before]?.text, `an answer to ${chatId}`);
}

async function telegramContact(server, chatId, organization = server.shop) {
  const [row] = await server.sql(organization, `SELECT contact_id FROM identity WHERE external_user_id = '${chatId}'`);
  return (await server.get(`/v1/contacts/${row.contact_id}`, organization.key)).body;
}

test('contacts are found whatever the case of letters', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { documents: false });
  const { shop } = server;
  const bot = await addBot(server, telegram, shop, { register: false });
  const names = ['Änne Ärmel', 'ΟΔΥΣΣΕΥΣ', 'Žofie Šťastná', 'Ёлкин', 'İpek', 'Straße'];
  names.forEach((name, i) => telegram.userSays(bot.token, { chatId: 900 + i, text: 'Hello', firstName: name }));
  for (const [i] of names.entries()) await telegram.waitForMessages(1, { bot: bot.token, chatId: 900 + i });
  const found = async (q) => {
    const { status, body, text } = await server.get(`/v1/contacts?q=${encodeURIComponent(q)}`, shop.key);
    assert.equal(status, 200, text);
    return body.data.map(({ display_name: name }) => name).sort();
  };
  assert.equal((await found('')).length, names.length);
  for (const [i, one] of ['ÄNNE ärm', 'οδυς', 'šŤAST', 'ёЛК', 'i̇PEK', 'STRAß'].entries()) assert.deepEqual(await found(one), [names[i]], one);
  assert.deepEqual(await found('οδυσσευσ'), ['ΟΔΥΣΣΕΥΣ']);
  assert.deepEqual(await found('903'), ['Ёлкин']);
  assert.deepEqual(await found('anne'), [], 'an accent is another letter');
  assert.deepEqual(await found("%' OR 1=1"), []);
});

const links = (server, organization = server.shop) => server.sql(organization, 'SELECT contact_id, person_id FROM contact_link ORDER BY contact_id');

test('one person on several channels', async (t) => {
  const model = await openModel(t);
  const telegram = await openTelegram(t);
  const server = await openServer(t, { organizations: ['shop', 'other'], settings: model.settings, publicUrl: true });
  const { shop } = server;
  const { other } = server.organizations;
  const bot = await addBot(server, telegram, shop);
  const web = await server.addChannel(shop, 'web');
  const otherWeb = await server.addChannel(other, 'web');
  const seen = () => model.state.requests.at(-1).body.messages.map((message) => message.content).join('\n');
  let ada;

  await t.test('a code from the web chat, sent from Telegram, makes both one; the context comes along', async () => {
    await tell(server, telegram, bot, 801, 'My blue tandem has a broken spoke.');
    const visitor = await Visitor.open(server, web.id);
    const given = await visitor.ask('/link');
    const code = CODE.exec(given.text)[0];
    assert.ok(!JSON.stringify(await server.sql(shop, 'SELECT * FROM link_code')).includes(code.replaceAll('-', '').slice(4)), 'kept as a hash');
    assert.match(await tell(server, telegram, bot, 801, ` ${code.toLowerCase().replaceAll('-', ' ')} `), DONE);
    ada = await telegramContact(server, 801);
    assert.equal(ada.linked.length, 1);
    assert.equal(ada.linked[0].linked_by, 'code');
    assert.equal(ada.identities.length, 1, 'each keeps its own');

    const count = telegram.messages({ bot: bot.token }).length;
    await visitor.ask('What does that repair cost?');
    assert.match(seen(), /blue tandem/);
    assert.doesNotMatch(seen(), /LINK-|\/link/i, 'no model sees a code, nor how it was asked for');
    assert.equal(telegram.messages({ bot: bot.token }).length, count, 'answered where it was asked');
    await tell(server, telegram, bot, 801, 'And a puncture?');
    assert.match(seen(), /What does that repair cost\?/, 'and the other way');
    assert.match(await tell(server, telegram, bot, 801, code), INVALID, 'a code counts once');
    ada.visitor = visitor;
  });

  await t.test('forged, foreign and late codes change nothing and say so', async () => {
    const before = JSON.stringify(await links(server));
    assert.match(await tell(server, telegram, bot, 802, 'LINK-2222-3333'), INVALID);
    const stranger = await Visitor.open(server, otherWeb.id);
    const foreign = CODE.exec((await stranger.ask('/link')).text)[0];
    assert.match(await tell(server, telegram, bot, 802, foreign), INVALID);
    assert.equal((await server.sql(other, 'SELECT * FROM link_code')).length, 1, 'nor is it used up');
    const late = CODE.exec((await (await Visitor.open(server, web.id)).ask('/link')).text)[0];
    await server.stop();
    await server.alter(shop, 'UPDATE link_code SET expires_at = 1');
    await server.start();
    assert.match(await tell(server, telegram, bot, 802, late), INVALID);
    assert.equal(JSON.stringify(await links(server)), before);
    assert.deepEqual(await links(server, other), []);
  });

  await t.test('who tries too often waits', async () => {
    // Five a minute. A count that processes share may be late on a busy machine: then this process's own bucket counts.
    const most = engine === 'sqlite' ? 6 : 11;
    const answers = [];
    while (answers.length < most && !/too many tries/.test(answers.at(-1))) answers.push(await tell(server, telegram, bot, 803, `LINK-4444-5${answers.length < 8 ? 5 : 6}5${(answers.length % 8) + 2}`));
    assert.match(answers.at(-1), /too many tries/);
    assert.ok(answers.length > 5 && answers.slice(0, -1).every((text) => INVALID.test(text)), answers.join('\n'));
  });

  await t.test('a code beside a question: both are answered', async () => {
    await tell(server, telegram, bot, 804, 'Hello, I have an unusual unicycle.');
    const visitor = await Visitor.open(server, web.id);
    const code = CODE.exec((await visitor.ask('/link')).text)[0];
    const slow = await addBot(server, telegram, shop, { settings: { burst_window_ms: 400 } });
    telegram.userSays(slow.token, { chatId: 805, text: 'What does a puncture repair cost?' });
    telegram.userSays(slow.token, { chatId: 805, text: code });
    const text = await until(() => telegram.messages({ bot: slow.token })[0]?.text, 'one answer');
    assert.match(text, DONE);
    assert.ok(text.replace(DONE, '').trim().length > 40, text);
    assert.ok(!seen().includes('LINK-'), 'no model sees a code');
  });

  await t.test('a one-time link opens the web chat as the contact', async () => {
    const { status, body } = await server.post(`/v1/contacts/${(await telegramContact(server, 804)).id}/chat-link`, shop.key, { channel_id: web.id });
    assert.equal(status, 201);
    const [, link] = /\/chat\/[^#]+#link=([A-Za-z0-9_-]{43})$/.exec(body.url);
    const open = (channel, given) => server.post(`/v1/webchat/${channel}/session`, undefined, { link: given });
    const contacts = async () => Number((await server.sql(shop, 'SELECT count(*) AS n FROM contact'))[0].n);
    const before = await contacts();
    for (const [channel, given] of [[web.id, 'x'.repeat(43)], [web.id, 'short'], [otherWeb.id, link]]) {
      const refused = await open(channel, given);
      assert.deepEqual([refused.status, refused.body.linked], [200, false], 'the chat opens, as anybody\'s');
    }
    assert.equal(await contacts(), before);
    const opened = await open(web.id, link);
    assert.equal(opened.body.linked, true);
    assert.equal((await open(web.id, link)).body.linked, false, 'once');
    const visitor = await Visitor.open(server, web.id, opened.body.token);
    await visitor.ask('What was it that I have?');
    assert.match(seen(), /unusual unicycle/);
    assert.equal((await server.post(`/v1/contacts/${ada.id}/chat-link`, shop.key, { channel_id: otherWeb.id })).status, 400);
    assert.equal((await server.post(`/v1/contacts/${ada.id}/chat-link`, other.key, { channel_id: otherWeb.id })).status, 404);
  });

  await t.test('apart again: each has its own history, and hears nothing of the other', async () => {
    const web801 = ada.linked[0].contact_id;
    const histories = async () => Promise.all([ada.id, web801].map(async (id) =>
      (await server.get(`/v1/conversations?contact_id=${id}`, shop.key)).body.data.map((one) => one.id)));
    const before = await histories();
    assert.ok(before[0].length === 1 && before[1].length === 1 && before[0][0] !== before[1][0]);
    const { status, body } = await server.post(`/v1/contacts/${web801}/unlink`, shop.key, {});
    assert.deepEqual([status, body.linked], [200, []]);
    assert.deepEqual((await telegramContact(server, 801)).linked, [], 'who is left alone is no group');
    assert.deepEqual(await histories(), before);
    assert.equal((await server.post(`/v1/contacts/${web801}/unlink`, shop.key, {})).status, 409);
    await ada.visitor.ask('How long are you open on Saturdays?');
    assert.ok(!seen().includes('And a puncture?'));
  });

  await t.test('staff links whom it knows, within its organization', async () => {
    const [one, two] = [await telegramContact(server, 802), await telegramContact(server, 803)];
    const foreign = await contactOf(server, (await server.get('/v1/conversations', other.key)).body.data[0].id, other);
    const link = (id, contact, key = shop.key) => server.post(`/v1/contacts/${id}/link`, key, { contact_id: contact });
    assert.equal((await link(one.id, foreign.id)).status, 404);
    assert.equal((await link(one.id, foreign.id, other.key)).status, 404);
    assert.equal((await link(one.id, one.id)).status, 400);
    assert.equal((await link(one.id, 'nobody')).status, 400);
    const linked = await link(one.id, two.id);
    assert.deepEqual([linked.status, linked.body.linked[0].contact_id, linked.body.linked[0].linked_by], [200, two.id, 'staff']);
    assert.equal((await link(two.id, one.id)).status, 200, 'again changes nothing');
    const three = await telegramContact(server, 804);
    await link(three.id, two.id);
    assert.equal((await telegramContact(server, 802)).linked.length >= 2, true, 'one with one is one with all');
    assert.equal(new Set((await links(server)).filter((row) => [one.id, two.id, three.id].includes(row.contact_id)).map((row) => row.person_id)).size, 1);
  });
});

test('contacts are listed in pages and found by name or address', async (t) => {
  const telegram = await openTelegram(t);
  const server = await openServer(t, { organizations: ['shop', 'other'], documents: false });
  const { shop, other } = server.organizations;
  const [bot, theirs] = [await addBot(server, telegram, shop, { register: false }), await addBot(server, telegram, other, { register: false })];
  const people = [['Ada Lovelace', 81], ['Bo', 82], ['Lova %_', 83]];
  for (const [firstName, chatId] of people) {
    telegram.userSays(bot.token, { chatId, text: 'Hello', firstName });
    await telegram.waitForMessages(1, { bot: bot.token, chatId });
  }
  telegram.userSays(theirs.token, { chatId: 84, text: 'Hello', firstName: 'Lova of the others' });
  await telegram.waitForMessages(1, { bot: theirs.token, chatId: 84 });
  const get = (query = '', key = shop.key) => server.get(`/v1/contacts${query}`, key);
  const names = async (query) => (await get(query)).body.data.map((one) => one.display_name);

  const all = await get();
  assert.equal(all.status, 200, all.text);
  assert.deepEqual(all.body.data.map((one) => one.display_name), ['Lova %_', 'Bo', 'Ada Lovelace']);
  assert.equal(all.body.next_cursor, null);
  assert.deepEqual(all.body.data[0].identities.map((one) => [one.source, one.external_user_id]), [['telegram', '83']]);
  const first = await get('?limit=2');
  assert.deepEqual(first.body.data.map((one) => one.display_name), ['Lova %_', 'Bo']);
  const second = await get(`?limit=2&cursor=${first.body.next_cursor}`);
  assert.deepEqual([second.body.data.map((one) => one.display_name), second.body.next_cursor], [['Ada Lovelace'], null]);
  assert.deepEqual(await names('?q=LOV'), ['Lova %_', 'Ada Lovelace']);
  assert.deepEqual(await names('?q=82'), ['Bo'], 'by the address on the channel');
  assert.deepEqual(await names(`?q=${encodeURIComponent('%_')}`), ['Lova %_'], 'as it is written');
  assert.deepEqual(await names(`?q=${encodeURIComponent("' OR 1=1")}`), []);
  assert.equal((await get('?cursor=zz')).status, 400);
  assert.equal((await get(`?q=${'x'.repeat(201)}`)).status, 400);
  assert.equal((await get('?q=%00')).status, 400);
  const { body: key } = await server.post('/v1/keys', shop.key, { name: 'site', scopes: 'query' });
  assert.equal((await get('', key.secret)).status, 403);
});

test('one person in Slack, in Teams and in the web chat', async (t) => {
  const model = await openModel(t);
  const server = await openServer(t, { settings: model.settings, publicUrl: true });
  const { shop } = server;
  const seen = () => model.state.requests.at(-1).body.messages.map((message) => message.content).join('\n');
  const web = await server.addChannel(shop, 'web');
  const [slack, teams] = [new NETWORKS.slack(1), new NETWORKS.teams(2)];
  for (const network of [slack, teams]) {
    await network.start();
    t.after(() => network.stop());
    await network.connect(server, shop, { burst_window_ms: 0 });
  }
  const tellPrivately = async (network, person, text) => {
    const { chatId, send } = network.write(person, text);
    const before = network.got().filter((one) => one.chatId === chatId).length;
    assert.equal(await send(), 200);
    return until(() => network.got().filter((one) => one.chatId === chatId)[before]?.text, `an answer to ${chatId}`);
  };

  await tellPrivately(slack, 901, 'My blue tandem has a broken spoke.');
  const code = CODE.exec(await tellPrivately(slack, 901, '/link'))[0];
  assert.match(await tellPrivately(teams, 902, code), DONE);
  await tellPrivately(teams, 902, 'What does that repair cost?');
  assert.match(seen(), /blue tandem/, 'the context comes along');
  await tellPrivately(slack, 901, 'And a puncture?');
  assert.match(seen(), /What does that repair cost\?/, 'and the other way');

  const given = CODE.exec(await tellPrivately(teams, 902, '/link'))[0];
  const visitor = await Visitor.open(server, web.id);
  assert.match((await visitor.ask(given)).text, DONE);
  assert.equal((await links(server)).length, 3);

  const room = slack.double.addChannel();
  await slack.double.personSays('U901', room, `<@${slack.double.botUserId}> My red tricycle squeaks.`);
  await slack.double.waitForMessages(1, { channel: room });
  await visitor.ask('And what did I ask?');
  assert.match(seen(), /blue tandem|And a puncture/);
  assert.doesNotMatch(seen(), /red tricycle/, 'what is said in a channel stays there');
  await slack.double.personSays('U901', room, `<@${slack.double.botUserId}> /link`);
  const [, told] = await slack.double.waitForMessages(2, { channel: room });
  assert.doesNotMatch(told.text, CODE, 'no code where others read');
});

test('WhatsApp names a person by number, by id, or by both', async (t) => {
  const whatsapp = await openWhatsApp(t);
  const server = await openServer(t, { organizations: ['shop', 'other'], publicUrl: true });
  const { shop, other } = server.organizations;
  const suggestions = async (organization) => (await server.list('/v1/contact-suggestions', organization.key)).map((one) => one.reason);
  let last = 0;
  // Says something named in each of these ways, one after the other; gives the contacts that it came to, and what was sent.
  const say = async (names, userId = `DE.7${last += 1}`, phone = `4915199000${String(last).padStart(3, '0')}`) => {
    if (!whatsapp.people.has(userId)) whatsapp.addPerson(userId, { phone });
    const contacts = [];
    for (const named of names) {
      const count = whatsapp.messagesTo(userId).length;
      const { id } = whatsapp.says(userId, count === 0 ? PUNCTURE : DEPOSIT, { named });
      await whatsapp.waitForMessages(count + 1, userId);
      const [row] = await server.sql(shop, `SELECT contact_id FROM message WHERE external_message_id LIKE '%:${id}'`);
      contacts.push(row?.contact_id);
    }
    return { contacts, sent: whatsapp.messagesTo(userId).map(({ request }) => request.recipient ?? request.to), userId, phone };
  };
  await addWhatsApp(server, whatsapp, shop);

  for (const names of [['phone', 'both', 'id'], ['both', 'id'], ['both', 'phone'], ['id', 'both', 'phone']]) {
    await t.test(`${names.join(', then ')}: one contact, one conversation`, async () => {
      const { contacts, sent, userId, phone } = await say(names);
      assert.equal(new Set(contacts).size, 1);
      assert.deepEqual(sent, names.map((named, i) => (named === 'phone' && i === 0 ? `+${phone}` : userId)));
      const { body } = await server.get(`/v1/contacts/${contacts[0]}`, shop.key);
      assert.deepEqual(body.identities.map((one) => one.external_user_id), [userId]);
      assert.equal((await server.get(`/v1/conversations?contact_id=${contacts[0]}`, shop.key)).body.data.length, 1);
      assert.deepEqual(await suggestions(shop), []);
    });
  }

  let two;
  await t.test('two who are known, each by one of them, stay two and are suggested', async () => {
    two = await say(['phone', 'id', 'both', 'phone']);
    assert.equal(new Set(two.contacts).size, 2);
    assert.deepEqual([two.contacts[2], two.contacts[3]], [two.contacts[1], two.contacts[0]]);
    const [suggested] = (await server.get('/v1/contact-suggestions', shop.key)).body.data;
    assert.deepEqual([suggested.reason, suggested.score], ['phone', 0.95]);
    assert.deepEqual([suggested.contact_id, suggested.other_contact_id].sort(), [...new Set(two.contacts)].sort());
  });

  await t.test('on another channel, and in another organization, the number proves nothing by itself', async () => {
    const { userId, phone } = await say(['both']);
    await addWhatsApp(server, whatsapp, shop);
    const [elsewhere] = (await say(['both'], userId, phone)).contacts;
    assert.equal((await server.get(`/v1/contacts/${elsewhere}`, shop.key)).body.identities.length, 1);
    assert.equal((await suggestions(shop)).length, 2, 'one more');
    await addWhatsApp(server, whatsapp, other);
    assert.deepEqual((await say(['phone', 'both'], userId, phone)).contacts, [undefined, undefined]);
    assert.equal((await server.list('/v1/contacts', other.key)).length, 1);
    assert.deepEqual(await suggestions(other), []);
  });
});

const FOLLOW_UP = 'Tell me more about that.';
for (const way of ['a code', 'a one-time link']) {
  test(`begun on WhatsApp, gone on with in the web chat: by ${way}`, async (t) => {
    const whatsapp = await openWhatsApp(t);
    const server = await openServer(t, { publicUrl: true });
    const { shop } = server;
    await addWhatsApp(server, whatsapp, shop);
    const web = await server.addChannel(shop, 'web');
    whatsapp.addPerson('DE.1', { phone: '4915112345678', name: 'Ada' });
    const tell = async (text) => {
      const count = whatsapp.messagesTo('DE.1').length;
      whatsapp.says('DE.1', text);
      return (await whatsapp.waitForMessages(count + 1, 'DE.1'))[count].text;
    };
    const contact = async () => {
      const [row] = await server.sql(shop, "SELECT contact_id FROM identity WHERE external_user_id = 'DE.1'");
      return (await server.get(`/v1/contacts/${row.contact_id}`, shop.key)).body;
    };

    assert.match(await tell(PUNCTURE), /19 euros/);
    const stranger = await Visitor.open(server, web.id);
    const unknown = (await stranger.ask(FOLLOW_UP)).text;
    assert.match(unknown, HONEST, 'by itself it says nothing');

    let visitor;
    if (way === 'a code') {
      visitor = await Visitor.open(server, web.id);
      assert.match((await visitor.ask(CODE.exec(await tell('/link'))[0])).text, DONE);
    } else {
      const { body } = await server.post(`/v1/contacts/${(await contact()).id}/chat-link`, shop.key, { channel_id: web.id });
      const { body: session } = await server.post(`/v1/webchat/${web.id}/session`, undefined, { link: body.url.split('#link=')[1] });
      assert.equal(session.linked, true);
      visitor = await Visitor.open(server, web.id, session.token);
    }
    const sent = whatsapp.messagesTo('DE.1').length;
    assert.match((await visitor.ask(FOLLOW_UP)).text, /19 euros/, 'the same words, now with what came before');
    assert.match((await visitor.ask(DEPOSIT)).text, /100 euros/);
    assert.equal(whatsapp.messagesTo('DE.1').length, sent, 'answered where it was asked');
    assert.match(await tell(FOLLOW_UP), /100 euros/, 'and back on WhatsApp');

    const ada = await contact();
    const [other] = ada.linked;
    assert.deepEqual([ada.linked.length, other.linked_by], [1, way === 'a code' ? 'code' : 'link']);
    const both = [ada, (await server.get(`/v1/contacts/${other.contact_id}`, shop.key)).body];
    assert.deepEqual(both.map((one) => one.identities.map(({ source }) => source)), [['whatsapp_business'], ['web']]);
    const histories = () => Promise.all(both.map(async ({ id }) => (await server.list(`/v1/conversations?contact_id=${id}`, shop.key)).map((one) => one.id)));
    const before = await histories();
    assert.deepEqual(before.map((one) => one.length), [1, 1]);

    assert.equal((await server.post(`/v1/contacts/${other.contact_id}/unlink`, shop.key, {})).status, 200);
    assert.deepEqual((await contact()).linked, []);
    assert.deepEqual(await histories(), before);
    assert.match(await tell(PUNCTURE), /19 euros/);
    assert.match((await visitor.ask(FOLLOW_UP)).text, /100 euros/, 'apart: what was asked here last, not there');
    assert.equal((await histories())[1].length, 1);
  });
}
