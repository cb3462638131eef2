// hanging.test.mjs - providers that never answer delay their own channels and nobody else
import assert from 'node:assert/strict';
import test from 'node:test';

import { NETWORKS } from '../support/networks.mjs';
import { until } from '../support/server.mjs';
import { PUNCTURE, openServer } from './scene.mjs';

const SENDERS = 16;
const DEAD = 40; // messages to each provider that hangs
const WELL = 60; // to the one that does not
const BEFORE = 20; // the same, before anything hangs
const NOTICED_MS = 500;
const SLACK_MS = 5000; // of a busy machine; a call hangs for 20 s

// held: how many senders all of them get at most: when they come one after the other, each half of what is free.
const CASES = [
  { name: 'a provider that never answers', dead: ['slack'], held: SENDERS / 2 },
  { name: 'three providers that never answer', dead: ['slack', 'slack', 'twilio_whatsapp'], held: SENDERS / 2 + SENDERS / 4 + SENDERS / 8 },
  { name: 'a provider that is down for as many channels as there are senders', dead: Array(SENDERS).fill('slack'), held: SENDERS - SENDERS / 4, each: 4 },
];
const SENDS = /\/(chat\.postMessage|Messages\.json)$/;

for (const { name, dead, held, each = DEAD } of CASES) {
  test(name, async (t) => {
    const server = await openServer(t, { publicUrl: true });
    const networks = [...dead, 'twilio_sms'].map((source, i) => new NETWORKS[source](i + 1));
    for (const network of networks) {
      await network.start();
      t.after(() => network.stop());
      await network.connect(server, server.shop, { burst_window_ms: 0 });
    }
    const well = networks.pop();
    let hanging = 0; // calls at this time
    let most = 0;
    for (const { double } of networks) {
      const handle = double.handle.bind(double);
      double.handle = (request) => {
        if (!SENDS.test(request.path)) return handle(request);
        hanging += 1;
        setTimeout(() => { most = Math.max(most, hanging); }, NOTICED_MS); // by then it is known which of them was given up
        void request.over.then(() => { hanging -= 1; });
        return new Promise(() => {}); // until the caller gives up
      };
    }

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
    await Promise.all(networks.map(async (network) => {
      for (let i = 0; i < each; i += 1) assert.equal(await network.write(100 + i, PUNCTURE).send(), 200);
    }));
    // Half of them when they begin within a second; half of that half when the first is known to be late before.
    await until(() => hanging >= SENDERS / 4, 'calls that hang');
    const during = await times(300, WELL);
    assert.ok(most <= held, `${most} senders were held`);
    const p99 = during[Math.floor(WELL * 0.99)];
    assert.ok(p99 <= 2 * before.at(-1) + SLACK_MS, `p99 ${p99} ms beside what hangs; at most ${before.at(-1)} ms before`);
    t.diagnostic(`median ${during[WELL / 2]} ms, p99 ${p99} ms; before ${before[BEFORE / 2]} and ${before.at(-1)} ms; ${most} senders held`);
    assert.equal(well.got().length, BEFORE + WELL);
  });
}
