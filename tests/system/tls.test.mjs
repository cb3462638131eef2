// tls.test.mjs - HTTPS from certificate files, and files that change under way
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { until } from '../support/server.mjs';
import { openServer } from './scene.mjs';

const run = promisify(execFile);

async function makeCertificate(folder, name) {
  const [key, certificate] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.pem`)];
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', `/CN=${name}.test`, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate]);
  return { key, certificate, pem: await fs.readFile(certificate) };
}

// {status, body, name} with the name in the server's certificate.
function get(server, target, ca) {
  return new Promise((resolve, reject) => {
    https.get({ host: '127.0.0.1', port: server.port, path: target, ca, agent: false }, (response) => {
      const name = response.socket.getPeerCertificate().subject.CN;
      let body = '';
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => resolve({ status: response.statusCode, body, name, protocol: response.socket.getProtocol() }));
    }).on('error', reject);
  });
}

test('TLS', async (t) => {
  const server = await openServer(t, { start: false });
  const first = await makeCertificate(server.folder, 'first');
  const second = await makeCertificate(server.folder, 'second');
  const [key, certificate] = [path.join(server.folder, 'live.key'), path.join(server.folder, 'live.pem')];
  await fs.copyFile(first.key, key);
  await fs.copyFile(first.certificate, certificate);
  server.settings['http.tls_key'] = key;
  server.settings['http.tls_certificate'] = certificate;
  await server.start();

  await t.test('serves with the certificate', async () => {
    const answer = await get(server, '/healthz', first.pem);
    assert.deepEqual([answer.status, answer.name], [200, 'first.test']);
    assert.match(answer.protocol, /^TLSv1\.[23]$/);
    await assert.rejects(get(server, '/healthz', second.pem), /certificate/);
  });

  await t.test('takes new files without a restart', async () => {
    await fs.copyFile(second.key, key);
    await fs.copyFile(second.certificate, certificate);
    await until(async () => (await get(server, '/healthz', [first.pem, second.pem])).name === 'second.test', 'the new certificate', 30_000);
    assert.equal(server.starts, 1);
  });

  await t.test('keeps the last good certificate when the new one is broken', async () => {
    await fs.writeFile(certificate, 'not a certificate');
    const answer = await get(server, '/healthz', [second.pem]);
    assert.equal(answer.name, 'second.test');
  });

  await t.test('plain HTTP on that port is refused', async () => {
    await assert.rejects(fetch(`http://127.0.0.1:${server.port}/healthz`));
  });

  await t.test('does not start without its key, and says so', async () => {
    await server.stop();
    server.settings['http.tls_key'] = path.join(server.folder, 'missing.key');
    await assert.rejects(server.start(), /missing\.key/);
  });
});
