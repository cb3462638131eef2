// shared_routes.test.mjs - one address for all accounts of a provider: the account finds the channel
import assert from 'node:assert/strict';
import test from 'node:test';

import { TwilioDouble } from '../doubles/twilio/twilio-double.mjs';
import { until } from '../support/server.mjs';
import { openServer } from './scene.mjs';

const NUMBER = '+15551230000';

for (const [source, route, prefix] of [['twilio_sms', 'sms', ''], ['twilio_whatsapp', 'whatsapp', 'whatsapp:']]) {
  test(`${source} by /webhook/${route}`, async (t) => {
    const twilio = new TwilioDouble();
    await twilio.start();
    t.after(() => twilio.stop());
    const server = await openServer(t, { publicUrl: true });
    const channel = await server.addChannel(server.shop, source, {
      credentials: { account_sid: twilio.accountSid, auth_token: twilio.authToken },
      settings: { from: NUMBER, api_base: twilio.url, messaging_base: twilio.url, burst_window_ms: 0 },
    });
    const account = encodeURIComponent((await server.get(`/v1/channels/${channel.id}`, server.shop.key)).body.account);
    const address = `${server.url}/webhook/${route}?account=${account}`;
    const received = async () => (await server.sql(server.shop, "SELECT id FROM message WHERE role = 'user'")).length;
    const params = { MessageSid: `SM${'0'.repeat(32)}`, AccountSid: twilio.accountSid, From: `${prefix}+15557650001`,
      To: `${prefix}${NUMBER}`, Body: 'Hello', NumMedia: '0' };

    await twilio.callWebhook(address, params);
    await until(async () => (await received()) === 1, 'the message');
    const post = (target) => fetch(target, { method: 'POST', body: new URLSearchParams(params) });
    assert.equal((await post(address)).status, 401, 'without a signature');
    assert.equal((await post(`${server.url}/webhook/${route}?account=4711`)).status, 404);
    assert.equal((await post(`${server.url}/webhook/${route}`)).status, 404);
    assert.equal(await received(), 1);
  });
}
