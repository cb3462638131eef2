// load.mjs - people who write to three organizations without end, and what they may expect
//
// Each chat is one queue in the double, which repeats an update until it is answered 2xx, as Telegram
// does, and some of them once more after that. Questions are about facts of the documents, so that an
// answer can be told from another one's.
import { TelegramDouble } from '../doubles/telegram/telegram-double.mjs';

const HUTS = ['Alder', 'Birch', 'Cedar', 'Damson', 'Elder', 'Fir', 'Ginkgo', 'Hazel', 'Ivy', 'Juniper', 'Kapok',
  'Larch', 'Maple', 'Nutmeg', 'Olive', 'Poplar', 'Quince', 'Rowan', 'Spruce', 'Teak', 'Umbrella', 'Viburnum',
  'Willow', 'Yew'];
const CHATS = 6; // of an organization, at a time

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

export class Load {
  constructor(random) {
    this.random = random;
    this.telegram = new TelegramDouble({ relaxedWebhook: true, timeScale: 0.01, keepCalls: false });
    this.bots = []; // {token, id, organization}
    this.said = new Map(); // "<bot>:<chat>:<message>" -> {hut, chatId, messageId, bot}
    this.accepted = new Set(); // update ids with 2xx
    this.repeated = 0; // 2xx beyond an update's first
    this.refused = 0; // anything else, among it a connection that broke
    this.feeding = false;
    this.most = 0;
    this.telegram.on('delivery', (event) => this.noteDelivery(event));
    // Polled updates are confirmed by the next poll.
    this.telegram.on('progress', () => { if (this.feeding) this.fill(); });
  }

  addBot(organization, number) {
    const id = 7_000_000_000 + number;
    const token = `${id}:crash-test-secret-of-the-bot-${number}`;
    this.telegram.addBot(token, { username: `crash_${number}_bot` });
    this.telegram.setDelivery(token, { duplicateEvery: 5 });
    this.bots.push({ token, id, organization, generation: 0 });
    return token;
  }

  noteDelivery({ bot, update_id: update, status }) {
    const key = `${bot}:${update}`;
    if (status < 200 || status > 299) this.refused += 1;
    else if (this.accepted.has(key)) this.repeated += 1;
    else this.accepted.add(key);
    if (this.feeding) this.fill();
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  say(bot, chatId, date) {
    const hut = this.pick(HUTS);
    const update = this.telegram.userSays(bot.token, { chatId, text: `What is the door code of the ${hut} hut?`, date });
    const messageId = update.message.message_id;
    this.said.set(`${bot.id}:${chatId}:${messageId}`, { bot, chatId, messageId, hut, date: update.message.date });
    return update;
  }

  // One message, or two of the same person in one second.
  speak() {
    const bot = this.pick(this.bots);
    const chatId = 1000 + bot.generation * CHATS + Math.floor(this.random() * CHATS);
    const date = Math.floor(Date.now() / 1000);
    this.say(bot, chatId, date);
    if (this.random() < 0.3) this.say(bot, chatId, date);
  }

  fill() {
    while (this.telegram.pendingCount() < this.most) this.speak();
  }

  // Keeps about so many updates under way until stop().
  feed(most) {
    this.most = most;
    this.feeding = true;
    this.fill();
  }

  stop() {
    this.feeding = false;
  }

  // Other people from now on; those from before are not written to any more.
  nextGeneration() {
    for (const bot of this.bots) bot.generation += 1;
  }
}
