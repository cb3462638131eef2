// connections.test.mjs - more connections than the server takes: who is in goes on, who is not waits for room
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';

import { within } from '../support/server.mjs';
import { openServer } from './scene.mjs';

const LIMIT = 16; // the lowest that may be set
const ANSWER = /^HTTP\/1\.1 200 OK\r\n[\s\S]*"alive"/;

// A connection that is kept open, from an address of this machine.
class Connection {
  static async open(t, server, localAddress = '127.0.0.1') {
    const one = new Connection();
    one.got = '';
    one.socket = net.connect({ host: '127.0.0.1', port: server.port, localAddress });
    one.socket.setEncoding('utf8').on('data', (text) => { one.got += text; one.look?.(); });
    one.socket.on('error', () => {}); // told by its end
    one.closed = new Promise((resolve) => { one.socket.once('close', resolve); });
    t.after(() => one.socket.destroy());
    await within(new Promise((resolve) => { one.socket.once('connect', resolve); }), 'a connection');
    return one;
  }

  ask() {
    this.got = '';
    this.socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    return this;
  }

  // Whether it came before the end.
  isAnswered() {
    const came = new Promise((resolve) => {
      this.look = () => { if (ANSWER.test(this.got)) resolve(true); };
      this.look();
    });
    return within(Promise.race([came, this.closed.then(() => false)]), () => `an answer, got ${JSON.stringify(this.got)}`);
  }

  async answer() {
    assert.equal(await this.isAnswered(), true, 'it was closed');
  }
}

test('connections over the limit wait, and those that are in go on', async (t) => {
  const server = await openServer(t, { documents: false, settings: { 'http.max_connections': LIMIT }, start: false });
  await server.start();
  const inside = [];
  while (inside.length < LIMIT) {
    inside.push(await Connection.open(t, server));
    await inside.at(-1).ask().answer();
  }
  const outside = await Connection.open(t, server);
  outside.ask();
  for (let round = 0; round < 10; round += 1) {
    for (const one of inside) await one.ask().answer();
  }
  assert.equal(outside.got, '', 'it waits');
  assert.equal(outside.socket.destroyed, false, 'and is not refused');
  inside.pop().socket.destroy();
  await outside.answer();
  for (const one of inside) await one.ask().answer();
  // Nothing is left of a crowd that has gone.
  for (const one of [outside, ...inside]) one.socket.destroy();
  assert.equal((await server.get('/v1/organization', server.shop.key)).status, 200);
});

test('one address never has all connections', async (t) => {
  const server = await openServer(t, { documents: false, settings: { 'http.max_connections_per_address': 3 }, start: false });
  await server.start();
  const crowd = [];
  for (let i = 0; i < 3; i += 1) {
    crowd.push(await Connection.open(t, server));
    assert.equal(await crowd.at(-1).ask().isAnswered(), true);
  }
  for (let i = 0; i < 20; i += 1) {
    assert.equal(await (await Connection.open(t, server)).ask().isAnswered(), false, 'it is closed at once');
  }
  assert.equal(await (await Connection.open(t, server, '127.0.0.2')).ask().isAnswered(), true, 'others are not touched');
  for (const one of crowd) assert.equal(await one.ask().isAnswered(), true);
  crowd.pop().socket.destroy();
  // Room is made when the server has noticed, which only asking tells.
  let answered = false;
  for (const end = Date.now() + 20_000; !answered && Date.now() < end;) answered = await (await Connection.open(t, server)).ask().isAnswered();
  assert.ok(answered);
});
