// load.mjs - people who write to three organizations without end, and what they may expect
//
// Each chat is one queue, in which a message is repeated until it is answered 2xx, as providers do, and
// some of them once more after that. Questions are about facts of the documents, so that an answer can be
// told from another one's.
import { EventEmitter } from 'node:events';

import { NETWORKS } from '../support/networks.mjs';
import { within } from '../support/server.mjs';

const HUTS = ['Alder', 'Birch', 'Cedar', 'Damson', 'Elder', 'Fir', 'Ginkgo', 'Hazel', 'Ivy', 'Juniper', 'Kapok',
  'Larch', 'Maple', 'Nutmeg', 'Olive', 'Poplar', 'Quince', 'Rowan', 'Spruce', 'Teak', 'Umbrella', 'Viburnum',
  'Willow', 'Yew'];
const DUPLICATE_EVERY = 5;
const FIRST_PAUSE_MS = 2; // between two attempts, ever longer
const LAST_PAUSE_MS = 60;

// What the sender of a message hears that kills the server: it may be dead before its answer has left, which is no status.
export const OR_KILLED = [200, 0];

export const codeOf = (hut) => `K${1000 + 37 * HUTS.indexOf(hut)}`;

export function hutsDocument() {
  const sections = HUTS.map((hut) => `## The ${hut} hut\n\nThe door code of the ${hut} hut is ${codeOf(hut)}. `
    + `Hikers book the ${hut} hut at the valley office one day ahead.\n`);
  return `# Mountain huts\n\nEvery hut has a door code of its own.\n\n${sections.join('\n')}`;
}

// A small generator with a seed (mulberry32): the same seed makes the same choices.
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class Load extends EventEmitter {
  // sources: of NETWORKS, one account of each for each organization that is added.
  constructor(random, sources = Object.keys(NETWORKS)) {
    super();
    this.setMaxListeners(0);
    this.random = random;
    this.sources = sources;
    this.accounts = []; // networks, each with its organization and generation
    this.said = new Map(); // "<channel> <id>" -> {account, chatId, order, hut}
    this.accepted = new Set(); // with 2xx
    this.repeated = 0; // 2xx beyond the first
    this.refused = 0; // anything else, among it a connection that broke
    this.queues = new Map(); // chat -> what still has to be brought, in order
    this.queued = 0;
    this.brought = 0;
    this.feeding = false;
    this.ended = false;
    this.most = 0;
  }

  // Before they are connected.
  async addAccounts(organization) {
    const added = this.sources.map((source) => new NETWORKS[source](this.accounts.length + this.sources.indexOf(source) + 1));
    for (const account of added) {
      Object.assign(account, { organization, generation: 0 });
      account.double.on('delivery', ({ update_id: update, status }) => this.note(account, `update ${update}`, status));
      // Polled updates are confirmed by the next poll.
      account.double.on('progress', () => this.progress());
      await account.start();
    }
    this.accounts.push(...added);
    return added;
  }

  async end() {
    this.stop();
    this.ended = true;
    for (const account of this.accounts) await account.stop();
  }

  progress() {
    if (this.feeding) this.fill();
    this.emit('progress');
  }

  note(account, what, status) {
    const key = `${account.channel.id} ${what}`;
    if (status < 200 || status > 299) this.refused += 1;
    else if (this.accepted.has(key)) this.repeated += 1;
    else this.accepted.add(key);
    this.progress();
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  say(account, person) {
    const hut = this.pick(HUTS);
    const { id, chatId, send } = account.write(person, `What is the door code of the ${hut} hut?`);
    this.said.set(`${account.channel.id} ${id}`, { account, chatId, order: this.said.size, hut });
    if (send) void this.bring(account, chatId, { id, send });
    return chatId;
  }

  // One after the other of a chat, each until it is taken; some once more after that.
  async bring(account, chatId, message) {
    const key = `${account.channel.id} ${chatId}`;
    this.queued += 1;
    if (this.queues.has(key)) {
      this.queues.get(key).push(message);
      return;
    }
    const queue = [message];
    this.queues.set(key, queue);
    for (let pause = FIRST_PAUSE_MS; queue.length > 0;) {
      const [next] = queue;
      const status = await next.send();
      const isTaken = status >= 200 && status <= 299;
      if (this.ended) return;
      if (isTaken) {
        pause = FIRST_PAUSE_MS;
        this.brought += 1;
        if (this.brought % DUPLICATE_EVERY === 0 && !next.isDuplicate) {
          next.isDuplicate = true; // once more, as after an answer that got lost on its way
        } else {
          this.queued -= 1;
          queue.shift();
        }
      }
      this.note(account, next.id, status); // whoever waited for it may write again, here too
      if (isTaken) continue;
      await new Promise((resolve) => { setTimeout(resolve, pause); });
      pause = Math.min(pause * 2, LAST_PAUSE_MS);
    }
    this.queues.delete(key);
  }

  // One message, or two of the same person in one second.
  speak() {
    const account = this.pick(this.accounts);
    const person = 1000 + account.generation * this.chats + Math.floor(this.random() * this.chats);
    this.say(account, person);
    if (this.random() < 0.3) this.say(account, person);
  }

  // People of an account at a time: about as many in all, whoever they write through.
  get chats() {
    return Math.max(2, Math.ceil(6 / this.sources.length));
  }

  pendingCount() {
    return this.accounts.reduce((sum, account) => sum + account.pendingCount(), this.queued);
  }

  fill() {
    while (this.pendingCount() < this.most) this.speak();
  }

  // Keeps about so many messages under way until stop().
  feed(most) {
    this.most = most;
    this.feeding = true;
    this.fill();
  }

  stop() {
    this.feeding = false;
  }

  // Once everything that was said, told and echoed is accepted.
  async settle(timeoutMs) {
    await within(new Promise((resolve) => {
      const look = () => {
        if (this.pendingCount() > 0) return;
        this.off('progress', look);
        resolve();
      };
      this.on('progress', look);
      look();
    }), () => `${this.pendingCount()} messages to be accepted`, timeoutMs);
    for (const account of this.accounts) await account.settle(timeoutMs);
  }

  // Other people from now on; those from before are not written to any more.
  nextGeneration() {
    for (const account of this.accounts) account.generation += 1;
  }
}
