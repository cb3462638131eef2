// proxy.mjs - a network between two programs that a test can cut: a small TCP proxy
//
//   const proxy = await Proxy.start(() => [port]);    // asked at every connection: the first that answers
//   proxy.cut();             // every connection ends with a reset; new ones are made
//   await proxy.refuse();    // the same, and nobody listens any more
//   proxy.stall();           // nothing arrives and nobody is told; new connections are not answered
//   await proxy.resume();    // as before; what stalled arrives now
//   const cut = proxy.cutAround('\0COMMIT\0', 'answer');   // the next that says so: sent, its answer lost;
//   await cut;                                             // 'question': lost before it arrives
//   await proxy.stop();
import net from 'node:net';

import { freePort } from './server.mjs';

export class Proxy {
  static async start(targets) {
    const proxy = new Proxy();
    proxy.targets = targets;
    proxy.port = await freePort();
    proxy.pairs = new Set(); // {client, server}
    proxy.stalled = false;
    proxy.trap = null; // {bytes, loses, sprung}
    await proxy.listen();
    return proxy;
  }

  listen() {
    // A side that has said all it had to say may still be answered.
    this.listener = net.createServer({ allowHalfOpen: true }, (client) => this.accept(client));
    return new Promise((resolve, reject) => {
      this.listener.once('error', reject);
      this.listener.listen(this.port, '127.0.0.1', resolve);
    });
  }

  accept(client) {
    const pair = { client, server: null, isCut: false };
    this.pairs.add(pair);
    client.pause();
    client.on('error', () => this.end(pair));
    client.on('close', () => this.end(pair));
    if (!this.stalled) this.connect(pair, this.targets());
  }

  connect(pair, targets) {
    const [target, ...others] = targets;
    if (target === undefined || pair.isCut) return this.end(pair);
    const server = net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    pair.server = server;
    server.once('connect', () => this.carry(pair));
    server.once('error', () => (pair.connected ? this.end(pair) : this.connect(pair, others)));
    return undefined;
  }

  carry(pair) {
    const { client, server } = pair;
    pair.connected = true;
    server.on('close', () => this.end(pair));
    const send = (from, to, bytes) => {
      if (!to.write(bytes)) {
        from.pause();
        to.once('drain', () => { if (!this.stalled) from.resume(); });
      }
    };
    client.on('data', (bytes) => {
      const { trap } = this;
      if (trap !== null && bytes.includes(trap.bytes)) {
        this.trap = null;
        if (trap.loses === 'question') this.end(pair);
        else pair.loses = trap;
        trap.sprung();
        if (pair.isCut) return;
      }
      send(client, server, bytes);
    });
    server.on('data', (bytes) => {
      if (pair.loses) this.end(pair);
      else send(server, client, bytes);
    });
    client.on('end', () => server.end());
    server.on('end', () => client.end());
    if (this.stalled) {
      server.pause();
      return;
    }
    client.resume();
  }

  end(pair) {
    if (!this.pairs.delete(pair)) return;
    pair.isCut = true;
    pair.client.resetAndDestroy();
    pair.server?.resetAndDestroy();
  }

  cut() {
    for (const pair of [...this.pairs]) this.end(pair);
  }

  async refuse() {
    const closed = new Promise((resolve) => { this.listener.close(resolve); });
    this.listener = null;
    this.cut();
    await closed;
  }

  stall() {
    this.stalled = true;
    for (const { client, server } of this.pairs) {
      client.pause();
      server?.pause();
    }
  }

  async resume() {
    this.stalled = false;
    for (const pair of [...this.pairs]) {
      if (pair.server === null) this.connect(pair, this.targets());
      else if (pair.connected) {
        pair.client.resume();
        pair.server.resume();
      }
    }
    if (this.listener === null) await this.listen();
  }

  // Resolves when it has happened.
  cutAround(text, loses) {
    return new Promise((resolve) => { this.trap = { bytes: Buffer.from(text, 'latin1'), loses, sprung: resolve }; });
  }

  async stop() {
    if (this.listener !== null) await this.refuse();
  }
}
