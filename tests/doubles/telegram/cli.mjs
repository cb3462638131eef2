#!/usr/bin/env node
// cli.mjs - the Telegram double as a process of its own; prints its address and serves until a signal
//
//   node cli.mjs [--port N] [--relaxed-webhook] [--time-scale 0.01] [--any-token] [--any-chat]
//                [--limits] [--bot TOKEN[=USERNAME]]... [--no-calls]
import { parseArgs } from 'node:util';

import { TelegramDouble } from './telegram-double.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'relaxed-webhook': { type: 'boolean', default: false },
    'time-scale': { type: 'string', default: '1' },
    'any-token': { type: 'boolean', default: false },
    'any-chat': { type: 'boolean', default: false },
    'no-calls': { type: 'boolean', default: false },
    limits: { type: 'boolean', default: false },
    bot: { type: 'string', multiple: true, default: [] },
  },
});
const double = new TelegramDouble({
  port: Number(values.port),
  relaxedWebhook: values['relaxed-webhook'],
  timeScale: Number(values['time-scale']),
  anyToken: values['any-token'],
  strictChats: !values['any-chat'],
  keepCalls: !values['no-calls'],
  limits: values.limits ? { botPerSecond: 30, chatPerMinute: 60, groupPerMinute: 20 } : null,
});
await double.start();
for (const text of values.bot) {
  const [token, username] = text.split('=');
  double.addBot(token, username ? { username } : {});
}
process.stdout.write(`${JSON.stringify({ url: double.url })}\n`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => double.stop());
