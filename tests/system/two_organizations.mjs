// two_organizations.mjs - what tests of isolation begin with: two organizations with one of each kind of object
import assert from 'node:assert/strict';

import { HttpDouble } from '../doubles/http-double.mjs';
import { engine } from '../support/server.mjs';
import { PUNCTURE, Visitor, addBot, openServer, openTelegram } from './scene.mjs';

async function furnish(server, telegram, receiver, organization) {
  const bot = await addBot(server, telegram, organization);
  const web = await server.addChannel(organization, 'web');
  const visitor = await Visitor.open(server, web.id);
  const chatId = 300 + Object.keys(server.organizations).indexOf(organization.slug);
  await visitor.ask('Do you sell submarines?');
  // One message that fails for good: a dead letter.
  telegram.fail({ method: 'sendMessage', bot: bot.token, status: 400 });
  telegram.userSays(bot.token, { chatId, text: PUNCTURE });
  await telegram.waitUntilDelivered({ bot: bot.token });
  await server.waitUntilIdle(organization);
  const endpoint = await server.post('/v1/event-endpoints', organization.key, { url: `${receiver.url}/in` });
  const first = async (target) => (await server.get(target, organization.key)).body.data[0];
  const set = await server.post('/v1/evaluation-sets', organization.key, { name: 'Set', questions: [{ question: PUNCTURE }] });
  const run = await server.post(`/v1/evaluation-sets/${set.body.id}/evaluations`, organization.key, {});
  await server.waitUntilIdle(organization);
  const site = await server.post('/v1/sites', organization.key, { url: 'http://127.0.0.1:9/' });
  await server.waitUntilIdle(organization);
  const letter = await first('/v1/dead-letters');
  const escalation = await first('/v1/escalations?status=open');
  return {
    visitor, web,
    ids: {
      channel_id: web.id,
      key_id: organization.keyId,
      conversation_id: escalation.conversation_id,
      message_id: letter.payload.message_id,
      escalation_id: escalation.id,
      source_id: (await first('/v1/sources')).id,
      site_id: site.body.id,
      ingestion_id: (await first('/v1/ingestions')).id,
      job_id: letter.id,
      endpoint_id: endpoint.body.id,
      set_id: set.body.id,
      evaluation_id: run.body.id,
      contact_id: (await server.get(`/v1/conversations/${escalation.conversation_id}`, organization.key)).body.contact_id,
      source: 'telegram',
      token: 'a-link-that-nobody-signed',
      number: '0', // of an attachment
    },
  };
}

// Everything that an organization has, but for what only time changes.
export async function snapshot(server, organization) {
  const tables = ['brand', 'channel', 'credential', 'contact', 'conversation', 'message', 'escalation', 'source',
    'source_version', 'ingestion', 'chunk', 'job', 'delivery', 'idempotency', 'index_chunk', 'event_endpoint', 'event', 'event_delivery',
    'contact_link', 'link_code', 'link_dismissed', 'evaluation_set', 'evaluation', 'evaluation_row', 'site', 'site_page'];
  const known = (await server.sql(organization, engine === 'pgsql'
    ? 'SELECT relname AS name FROM pg_class WHERE relrowsecurity' : "SELECT name FROM sqlite_master WHERE type = 'table'")).map((row) => row.name);
  const rows = {};
  for (const table of tables.filter((name) => known.includes(name))) rows[table] = await server.sql(organization, `SELECT * FROM ${table}`);
  assert.ok(Object.keys(rows).length >= 12);
  rows.keys = await server.sql(null, `SELECT id, revoked_at FROM api_key WHERE organization_id = '${organization.id}'`);
  return JSON.stringify(rows);
}

// {server, ours, theirs: the organizations, us, them: what furnish made}
export async function openTwo(t) {
  const telegram = await openTelegram(t);
  const receiver = new HttpDouble();
  receiver.handle = () => ({ status: 204 });
  await receiver.start();
  t.after(() => receiver.stop());
  const server = await openServer(t, { organizations: ['ours', 'theirs'], publicUrl: true, settings: { 'events.allow_private_addresses': true } });
  const { ours, theirs } = server.organizations;
  const us = await furnish(server, telegram, receiver, ours);
  const them = await furnish(server, telegram, receiver, theirs);
  return { server, ours, theirs, us, them };
}
