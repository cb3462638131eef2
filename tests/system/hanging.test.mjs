// hanging.test.mjs - a provider that never answers delays its own channel and nobody else
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const SENDERS = 16;
const DEAD = 40; // messages to the provider that hangs
const WELL = 60; // to the other one
const BEFORE = 20; // the same, before anything hangs

test('a provider that never answers', async (t) => {
  const server = await openServer(t, { publicUrl: true });
  const { shop } = server;
  const networks = [new NETWORKS.slack(1), new NETWORKS.twilio_sms(2)];
  for (const network of networks) {
    await network.start();
    t.after(() => network.stop());
    await network.connect(server, shop, { burst_window_ms: 0 });
  }
  const [dead, well] = networks;
  let hanging = 0;
  const handle = dead.double.handle.bind(dead.double);
  dead.double.handle = (request) => {
    if (request.path !== '/api/chat.postMessage') return handle(request);
    hanging += 1;
    return new Promise(() => {}); // until the caller gives up
  };

  // How long each of them waits for the answer, in milliseconds, in order.
  const times = async (from, count) => {
    const all = [];
    for (let i = 0; i < count; i += 1) {
      const { chatId, send } = well.write(from + i, PUNCTURE);
      const at = Date.now();
      assert.equal(await send(), 200);
      await until(() => well.got().some((one) => one.chatId === chatId), `an answer to ${chatId}`);
      all.push(Date.now() - at);
    }
    return all.sort((a, b) => a - b);
  };

  const before = await times(100, BEFORE);
  for (let i = 0; i < DEAD; i += 1) assert.equal(await dead.write(100 + i, PUNCTURE).send(), 200);
  await dead.double.until(() => hanging >= SENDERS / 2, 'calls that hang', 30_000);
  const during = await times(300, WELL);
  assert.ok(hanging <= SENDERS / 2, `${hanging} senders were held`);
  const p99 = during[Math.floor(WELL * 0.99)];
  assert.ok(p99 <= 2 * before.at(-1) + 1500, `p99 ${p99} ms beside a provider that hangs; at most ${before.at(-1)} ms before`);
  t.diagnostic(`median ${during[WELL / 2]} ms, p99 ${p99} ms; before ${before[BEFORE / 2]} and ${before.at(-1)} ms; ${hanging} senders held`);
  assert.equal(well.got().length, BEFORE + WELL);
});
