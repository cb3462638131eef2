// window.test.mjs - WhatsApp's and Instagram's 24 hours: who notices that they are over, and what is sent then
//
// Noticed by our own clock, by the provider at once, or by its report of a message that it had accepted. With a template
// that is what leaves, once; without one the message fails and a person is asked. Never silence, never twice.
import assert from 'node:assert/strict';
import test from 'node:test';

import { GraphError } from '../doubles/meta/graph.mjs';
import { InstagramDouble } from '../doubles/meta/instagram-double.mjs';
import { WhatsAppDouble } from '../doubles/meta/whatsapp-double.mjs';
import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const TEMPLATE_WORDS = /^A puncture repair costs 19 euros/;

// Each: people, what they got, and how their window closes.
class WhatsApp {
  source = 'whatsapp_business';
  count = 0;

  async connect(t, server, withTemplate) {
    const double = new WhatsAppDouble({ timeScale: 0.001 });
    await double.start();
    t.after(() => double.stop());
    const token = 'EAAtest0123456789abcdef';
    double.addNumber({ id: '200100300400500', token });
    double.addTemplate('we_are_back', 'en', 1);
    this.double = double;
    this.template = { name: 'we_are_back', language: 'en', parameters: ['{text}'] };
    const channel = await server.addChannel(server.shop, this.source, {
      credentials: { phone_number_id: '200100300400500', access_token: token, app_secret: double.options.appSecret },
      settings: { api_base: double.url, burst_window_ms: 0, ...(withTemplate ? { window_template: this.template } : {}) },
    });
    double.number().callback = `${server.url}/webhooks/${this.source}/${channel.id}`;
    return channel;
  }

  newPerson() { this.count += 1; return `DE.${7000 + this.count}`; }

  // The provider's window closes before anything is answered; ours does not.
  async saysAndCloses(person) {
    this.double.says(person, PUNCTURE);
    this.double.closeWindow(person);
    await this.double.waitUntilDelivered();
  }

  async says(person) {
    this.double.says(person, PUNCTURE);
    await this.double.waitUntilDelivered();
  }

  got(person) {
    return this.double.messagesTo(person).map(({ request }) => (request.type === 'template'
      ? { name: request.template.name, parameters: request.template.components[0].parameters.map((one) => one.text) } : { text: request.text.body }));
  }

  refuseTemplates(person) {
    this.double.fail({ match: ({ body }) => body?.type === 'template' && body.recipient === person, error: new GraphError(131047, 'Re-engagement message'), times: 99 });
  }

  reason = /^Meta 131047: /;
}

class TwilioWhatsApp {
  source = 'twilio_whatsapp';
  count = 0;

  async connect(t, server, withTemplate) {
    this.double = new TwilioDouble({ statuses: ['sent'] });
    await this.double.start();
    t.after(() => this.double.stop());
    this.template = { name: this.double.addContent(1), parameters: ['{text}'] };
    const channel = await server.addChannel(server.shop, this.source, {
      credentials: { account_sid: this.double.accountSid, auth_token: this.double.authToken },
      settings: { from: '+15551230000', api_base: this.double.url, messaging_base: this.double.url, burst_window_ms: 0, ...(withTemplate ? { window_template: this.template } : {}) },
    });
    this.double.addNumber('whatsapp:+15551230000', { url: `${server.url}/webhooks/${this.source}/${channel.id}` });
    return channel;
  }

  newPerson() { this.count += 1; return `+1555767${1000 + this.count}`; }

  async saysAndCloses(person) {
    const { url, params } = this.double.written(`whatsapp:${person}`, 'whatsapp:+15551230000', PUNCTURE);
    this.double.closeWindow(`whatsapp:${person}`, 'whatsapp:+15551230000');
    await this.double.callWebhook(url, params);
  }

  async says(person) {
    await this.double.personSays(`whatsapp:${person}`, 'whatsapp:+15551230000', PUNCTURE);
  }

  got(person) {
    return this.double.messages({ to: `whatsapp:${person}` }).map(({ body, content_sid: name, content_variables: variables }) => (name
      ? { name, parameters: Object.values(JSON.parse(variables)) } : { text: body }));
  }

  refuseTemplates(person) {
    const refusal = { code: 63016, message: 'outside the allowed window', status: 400 };
    this.double.fail({
      match: (request) => request.path.endsWith('/Messages.json') && new URLSearchParams(request.body.toString()).has('ContentSid') && request.body.toString().includes(encodeURIComponent(person)),
      status: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify(refusal), times: 99,
    });
  }

  reason = /^Twilio 63016: /;
}

const viewOf = (server) => {
  const { shop } = server;
  const conversationOf = async (chat) => {
    const [row] = await server.sql(shop, `SELECT id FROM conversation WHERE external_chat_id = '${chat}'`);
    return row ? (await server.get(`/v1/conversations/${row.id}`, shop.key)).body : null;
  };
  const last = async (chat) => {
    const conversation = await conversationOf(chat);
    const messages = conversation ? await server.list(`/v1/conversations/${conversation.id}/messages`, shop.key) : [];
    return messages.length > 1 ? (await server.get(`/v1/messages/${messages.at(-1).id}`, shop.key)).body : null;
  };
  let seen;
  const settled = (chat, delivery, states) => until(async () => {
    seen = await last(chat);
    if (seen?.delivery === delivery && seen.parts.map((part) => part.state).join() === states) return seen;
    return null;
  }, () => `${chat}: ${delivery}, ${states}; it is ${JSON.stringify(seen)}`);
  const escalationsOf = async (chat) => {
    const { id } = await conversationOf(chat);
    return (await server.list('/v1/escalations', shop.key)).filter((one) => one.conversation_id === id);
  };
  // What a person has to see of a message that could not go.
  const assertEscalated = async (chat, reason, draft = TEMPLATE_WORDS) => {
    const [{ reason: why, draft: words, status }, ...more] = await escalationsOf(chat);
    assert.deepEqual([why, status, more], ['outside_window', 'open', []]);
    assert.match(words, draft);
    assert.equal((await conversationOf(chat)).conversation_status, 'failed');
    const message = await last(chat);
    assert.match(message.parts.at(-1).reason, reason);
    assert.ok(message.envelope.processing.processing_timestamps.window_closed, JSON.stringify(message.envelope));
  };
  return { conversationOf, last, settled, escalationsOf, assertEscalated };
};

for (const Network of [WhatsApp, TwilioWhatsApp]) {
  test(`${new Network().source}: with a template`, async (t) => {
    const network = new Network();
    const server = await openServer(t, { publicUrl: true });
    await network.connect(t, server, true);
    const { settled, conversationOf, escalationsOf, assertEscalated } = viewOf(server);
    const assertTemplateLeft = (person, index) => {
      const got = network.got(person);
      assert.equal(got.length, index + 1, JSON.stringify(got));
      assert.equal(got[index].name, network.template.name);
      assert.match(got[index].parameters[0], TEMPLATE_WORDS);
    };

    await t.test('refused at once: the template leaves in its place', async () => {
      const person = network.newPerson();
      await network.saysAndCloses(person);
      const message = await settled(person, 'sent', 'replaced,sent');
      await server.waitUntilIdle(server.shop);
      assertTemplateLeft(person, 0);
      assert.match(message.parts[0].reason, network.reason);
      assert.deepEqual(message.metadata.window, { closed_by: 'provider', part: 1 });
      const { processing } = message.envelope;
      assert.match(processing.sent_response, new RegExp(`^${network.template.name}\\(A puncture`));
      assert.ok(processing.processing_timestamps.window_closed <= processing.processing_timestamps.sent);
      assert.deepEqual(await escalationsOf(person), []);
      assert.equal((await conversationOf(person)).conversation_status, 'ai_response_sent');
    });

    await t.test('accepted, and reported as refused: the same', async () => {
      const person = network.newPerson();
      network.double.refusesLater = true;
      await network.saysAndCloses(person);
      await settled(person, 'sent', 'replaced,sent');
      await server.waitUntilIdle(server.shop);
      network.double.refusesLater = false;
      assertTemplateLeft(person, 1);
      assert.deepEqual(await escalationsOf(person), []);
    });

    await t.test('a template that is refused, too, is the end: a person is asked', async () => {
      const person = network.newPerson();
      network.refuseTemplates(person);
      await network.saysAndCloses(person);
      await settled(person, 'failed', 'replaced,window_closed');
      await server.waitUntilIdle(server.shop);
      assert.deepEqual(network.got(person), []);
      await assertEscalated(person, network.reason);
    });

    await t.test('killed as soon as it is known: the template leaves once', async () => {
      const person = network.newPerson();
      await server.restart({ failpoints: 'send.window_closed=crash:1', settings: { 'send.workers': 1 } }); // nobody else goes on with it
      await network.saysAndCloses(person).catch(() => {});
      await server.killed();
      await server.start();
      await settled(person, 'sent', 'replaced,sent');
      await server.waitUntilIdle(server.shop);
      assertTemplateLeft(person, 0);
    });

    await t.test('after 24 hours by our own clock, and a minute before', async () => {
      for (const [seconds, isOpen] of [[86_400 - 300, true], [86_400 - 30, false], [86_400, false]]) {
        const person = network.newPerson();
        await network.says(person);
        await settled(person, 'sent', 'sent');
        await server.stop();
        await server.alter(server.shop, `UPDATE message SET created_at = created_at - ${seconds}000000, provider_at = provider_at - ${seconds}000000 WHERE role = 'user' AND external_chat_id = '${person}'`);
        await server.start();
        const { id } = await conversationOf(person);
        const { status, text } = await server.post(`/v1/conversations/${id}/messages`, server.shop.key, { text: 'A puncture repair costs 19 euros, still.' });
        assert.equal(status, 201, text);
        await settled(person, 'sent', 'sent');
        await server.waitUntilIdle(server.shop);
        if (isOpen) assert.equal(network.got(person).at(-1).text, 'A puncture repair costs 19 euros, still.');
        else assertTemplateLeft(person, 1);
      }
    });
  });

  test(`${new Network().source}: without a template`, async (t) => {
    const network = new Network();
    const server = await openServer(t, { publicUrl: true });
    await network.connect(t, server, false);
    const { settled, last, assertEscalated } = viewOf(server);

    await t.test('refused at once: a person is asked, and may send it again', async () => {
      const person = network.newPerson();
      await network.saysAndCloses(person);
      await settled(person, 'failed', 'window_closed');
      await server.waitUntilIdle(server.shop);
      await assertEscalated(person, network.reason);
      assert.deepEqual(network.got(person), []);
      assert.deepEqual((await server.get('/v1/dead-letters', server.shop.key)).body.data, []);
      const { id } = await last(person);
      await network.says(person);
      await until(() => network.got(person).length === 1, 'the next answer');
      assert.equal((await server.post(`/v1/messages/${id}/resend`, server.shop.key, {})).status, 202);
      await until(() => network.got(person).length === 2, 'the first answer, too');
    });

    await t.test('accepted, and reported as refused: a person is asked once', async () => {
      const person = network.newPerson();
      network.double.refusesLater = true;
      await network.saysAndCloses(person);
      await settled(person, 'failed', 'window_closed');
      await server.waitUntilIdle(server.shop);
      network.double.refusesLater = false;
      await assertEscalated(person, network.reason);
      assert.equal(network.got(person).length, 1);
    });
  });
}

test('instagram has no templates: a person is asked', async (t) => {
  const instagram = new InstagramDouble({ timeScale: 0.001 });
  await instagram.start();
  t.after(() => instagram.stop());
  const server = await openServer(t, { publicUrl: true });
  const account = '17841400000000001', token = 'IGAAtest0123456789abcdef';
  const channel = await server.addChannel(server.shop, 'instagram', {
    credentials: { instagram_account_id: account, access_token: token, app_secret: instagram.options.appSecret, verify_token: 'typed-into-the-dashboard' },
    settings: { api_base: instagram.url, burst_window_ms: 0 },
  });
  instagram.addAccount({ id: account, token, callback: `${server.url}/webhooks/instagram/${channel.id}` });
  const { settled, assertEscalated } = viewOf(server);
  for (const error of [new GraphError(10, 'outside of allowed window', { status: 403, subcode: 2018278 }), new GraphError(100, 'outside of allowed window', { subcode: 2534022 })]) {
    const person = String(900_100_000 + error.body.error.error_subcode);
    instagram.fail({ match: ({ body }) => body?.recipient?.id === person && body.message, error });
    instagram.says(person, PUNCTURE);
    await settled(person, 'failed', 'window_closed');
    await server.waitUntilIdle(server.shop);
    await assertEscalated(person, /outside of allowed window/);
    assert.deepEqual(instagram.messagesTo(person), []);
  }
});
