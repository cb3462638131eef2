// certificates.mjs - an authority of the test's own, and what it signs
//
//   const authority = await Authority.make(folder);             // ca.pem in the folder
//   await authority.issue('server', 'db.test', ['IP:127.0.0.1']);   // server.pem, server.key
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export class Authority {
  static async make(folder, name = 'ca') {
    const authority = new Authority();
    Object.assign(authority, { folder, certificate: path.join(folder, `${name}.pem`), key: path.join(folder, `${name}.key`) });
    await fs.mkdir(folder, { recursive: true });
    await run('openssl', ['req', '-x509', ...KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', authority.key, '-out', authority.certificate]);
    return authority;
  }

  // {certificate, key}: files. names: subject's alternatives.
  async issue(file, commonName, names = []) {
    const [certificate, key] = [path.join(this.folder, `${file}.pem`), path.join(this.folder, `${file}.key`)];
    await run('openssl', ['req', '-x509', ...KEY, '-days', '2', '-subj', `/CN=${commonName}`, '-CA', this.certificate, '-CAkey', this.key,
      '-addext', 'basicConstraints=critical,CA:FALSE', ...(names.length > 0 ? ['-addext', `subjectAltName=${names}`] : []),
      '-keyout', key, '-out', certificate]);
    return { certificate, key };
  }
}
