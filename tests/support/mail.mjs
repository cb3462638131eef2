// mail.mjs - real mail servers for tests: OpenSMTPD takes mails, Dovecot keeps them; on free ports of
// loopback, in a folder of their own, and with a spool that only OpenSMTPD sees
//
//   const why = await Mail.missing();          // null, or why it cannot be had here
//   const mail = await Mail.start();
//   ... mail.smtpPort ...                      // takes mails for @customer.test and @shop.test, refuses "nobody"
//   const [text] = await mail.waitFor('ada@customer.test', 1);
//   ... mail.submissionsPort, mail.imapsPort   // with tls given: TLS from the first byte, and STARTTLS at the others
//   ... mail.imapPort ...                      // any address is a mailbox, its password is PASSWORD
//   ... mail.submissionPort ...                // takes mails of whoever logs in: with introspectUrl given, by access tokens alone
//   await mail.put('support@shop.test', text, SENT); // SENT: where each account's sent mails are kept
//   await mail.put('support@shop.test', text); await mail.doveadm(['mailbox', 'update', ...]);
//   await mail.stop();
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { keep } from './children.mjs';
import { freePort, until } from './server.mjs';

const DOVECOT = '/usr/sbin/dovecot';
const DOVEADM = '/usr/bin/doveadm';
export const PASSWORD = 'the-mailbox-password';
export const SENT = 'Gesendete Mails';
const SUBMISSION = '/usr/lib/dovecot/submission';
const SMTPD = '/usr/sbin/smtpd';
// A spool and a socket of its own: nothing of it is seen outside, and it ends with the process.
const ALONE = 'mount -t tmpfs tmpfs /var/spool && mkdir -m 711 /var/spool/smtpd && mount -t tmpfs tmpfs /run && exec "$@"';

const answers = (port) => new Promise((resolve) => {
  const probe = net.connect(port, '127.0.0.1');
  probe.once('error', () => resolve(false));
  probe.once('data', () => { probe.destroy(); resolve(true); });
});

export class Mail {
  static async missing() {
    if (![DOVECOT, SUBMISSION, SMTPD].every((file) => existsSync(file))) return 'Dovecot (with submission) and OpenSMTPD are not installed';
    if (process.getuid() !== 0) return 'OpenSMTPD starts as root alone';
    return promisify(execFile)('unshare', ['-m', 'true']).then(() => null, () => 'no mount namespace can be made here');
  }

  // introspectUrl: where Dovecot asks whose an access token is; passwords count no more then.
  // tls: {certificate, key}: files by which Dovecot proves itself, as mailbox and for whoever submits; then it
  // takes nothing in clear. (Debian 12's OpenSMTPD ends every TLS handshake with an internal error.)
  static async start({ introspectUrl, tls } = {}) {
    const mail = new Mail();
    mail.introspectUrl = introspectUrl;
    mail.tls = tls;
    mail.folder = await fs.mkdtemp(path.join(os.tmpdir(), 'parley-mail-'));
    await fs.chmod(mail.folder, 0o755);
    mail.children = new Set();
    mail.lmtpPort = await freePort();
    mail.imapPort = await freePort();
    mail.smtpPort = await freePort();
    mail.submissionPort = await freePort();
    mail.imapsPort = tls ? await freePort() : 0;
    mail.submissionsPort = tls ? await freePort() : 0;
    await mail.startDovecot();
    await mail.startSmtpd();
    await until(() => answers(mail.smtpPort), () => `OpenSMTPD to answer: ${mail.output}`);
    return mail;
  }

  run(program, parameters) {
    const child = keep(spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'] }));
    this.output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { this.output += text; });
    child.ended = new Promise((resolve) => { child.once('exit', resolve); });
    this.children.add(child);
    return child;
  }

  async startDovecot({ password = PASSWORD } = {}) {
    const box = path.join(this.folder, 'boxes');
    await fs.mkdir(box, { recursive: true });
    await fs.chmod(box, 0o777);
    const tokens = path.join(this.folder, 'tokens.conf');
    if (this.introspectUrl) await fs.writeFile(tokens, `introspection_url = ${this.introspectUrl}
introspection_mode = post
username_attribute = username
active_attribute = active
active_value = true
`);
    await fs.writeFile(this.conf, `
base_dir = ${this.folder}/run
state_dir = ${this.folder}/state
log_path = /dev/stderr
protocols = lmtp imap submission
auth_mechanisms = ${this.introspectUrl ? 'xoauth2 oauthbearer' : 'plain'}
submission_relay_host = 127.0.0.1
submission_relay_port = ${this.smtpPort}
${this.tls ? `ssl = required
ssl_cert = <${this.tls.certificate}
ssl_key = <${this.tls.key}` : `ssl = no
disable_plaintext_auth = no`}
listen = 127.0.0.1
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
auth_failure_delay = 0
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${this.lmtpPort}
  }
}
service imap-login {
  chroot =
  inet_listener imap {
    address = 127.0.0.1
    port = ${this.imapPort}
  }
  inet_listener imaps {
    port = ${this.imapsPort}
  }
}
service submission-login {
  chroot =
  inet_listener submission {
    address = 127.0.0.1
    port = ${this.submissionPort}
  }
  inet_listener submissions {
    port = ${this.submissionsPort}
    ssl = ${this.tls ? 'yes' : 'no'}
  }
}
mail_location = maildir:${box}/%u
namespace inbox {
  inbox = yes
  mailbox "${SENT}" {
    special_use = \\Sent
    auto = create
  }
}
first_valid_uid = 1
passdb {
  ${this.introspectUrl ? `driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${tokens}` : `driver = static
  args = password=${password}`}
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${box}/%u allow_all_users=yes
}
`);
    this.dovecot = this.run(DOVECOT, ['-F', '-c', this.conf]);
    await until(async () => await answers(this.lmtpPort) && answers(this.imapPort), () => `Dovecot to answer: ${this.output}`);
  }

  get conf() {
    return path.join(this.folder, 'dovecot.conf');
  }

  async stopDovecot() {
    this.dovecot.kill('SIGTERM');
    await this.dovecot.ended;
    this.children.delete(this.dovecot);
  }

  // What it wrote.
  async doveadm(words, input = '') {
    const child = keep(spawn(DOVEADM, ['-c', this.conf, ...words], { stdio: ['pipe', 'pipe', 'pipe'] }));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { output += text; });
    child.stdin.on('error', () => {}); // some commands end without reading it
    child.stdin.end(input);
    const code = await new Promise((resolve) => { child.once('close', resolve); });
    if (code !== 0) throw new Error(`doveadm ${words.join(' ')} ended with ${code}: ${output}`);
    return output;
  }

  // Into a folder of the address, as if it had just come.
  async put(address, text, folder = 'INBOX') {
    await this.doveadm(['save', '-u', address, '-m', folder], text);
  }

  // Into the address's INBOX, by whoever writes into its files: Dovecot need not run. cameAt: a Date.
  async drop(address, text, cameAt = new Date()) {
    this.dropped = (this.dropped ?? 0) + 1;
    const name = `${Math.floor(cameAt.getTime() / 1000)}.D${this.dropped}.test`;
    const box = path.join(this.folder, 'boxes', address);
    const { uid, gid } = await fs.stat(box);
    await fs.writeFile(path.join(box, 'tmp', name), text);
    await fs.utimes(path.join(box, 'tmp', name), cameAt, cameAt);
    await fs.chown(path.join(box, 'tmp', name), uid, gid);
    await fs.rename(path.join(box, 'tmp', name), path.join(box, 'new', name));
  }

  async startSmtpd() {
    const file = path.join(this.folder, 'smtpd.conf');
    await fs.writeFile(file, `
table people { "@customer.test" = "mail", "@shop.test" = "mail" }
table nobody { "nobody@customer.test" }
listen on 127.0.0.1 port ${this.smtpPort} hostname localhost
action "keep" lmtp "127.0.0.1:${this.lmtpPort}" rcpt-to virtual <people>
match from any for rcpt-to <nobody> reject
match from any for domain { "customer.test", "shop.test" } action "keep"
`, { mode: 0o600 });
    this.run('unshare', ['-m', 'sh', '-c', ALONE, 'sh', SMTPD, '-d', '-f', file]);
  }

  // The mails of an address as they were kept, in the order in which they came.
  async mailsOf(address) {
    const folder = path.join(this.folder, 'boxes', address, 'new');
    const names = await fs.readdir(folder).catch(() => []);
    const mails = await Promise.all(names.map(async (name) => {
      const at = path.join(folder, name);
      return { text: await fs.readFile(at, 'utf8'), ms: (await fs.stat(at)).mtimeMs };
    }));
    return mails.sort((a, b) => a.ms - b.ms).map((mail) => mail.text);
  }

  async waitFor(address, count) {
    return until(async () => {
      const mails = await this.mailsOf(address);
      return mails.length >= count ? mails : null;
    }, () => `${count} mails of ${address}; ${this.output}`);
  }

  async stop() {
    for (const child of [...this.children].reverse()) {
      child.kill('SIGTERM');
      await child.ended;
    }
    await fs.rm(this.folder, { recursive: true, force: true });
  }
}
