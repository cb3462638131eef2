// mail_networks.mjs - the other ways by which mails come in, as networks (networks.mjs): Mailgun and SendGrid, which
// post forms, and a mailbox at a real mail server. Answers leave by the same double of a mail server
import { createHmac, randomBytes } from 'node:crypto';

import { callWebhook } from '../doubles/http-double.mjs';
import { PASSWORD } from './mail.mjs';
import { Email } from './networks.mjs';

export const WEBHOOK_SECRET = 'a-secret-for-the-webhook';
const SIGNING_KEY = 'key-of-the-http-webhooks';

export const basic = (secret) => ({ authorization: `Basic ${Buffer.from(`parley:${secret}`).toString('base64')}` });

// Mailgun's proof: of the time and a random word, not of what is posted.
export function mailgunProof(key = SIGNING_KEY) {
  const [timestamp, token] = [String(Math.floor(Date.now() / 1000)), randomBytes(25).toString('hex')];
  return { timestamp, token, signature: createHmac('sha256', key).update(timestamp + token).digest('hex') };
}

class MailByForm extends Email {
  constructor(number, inbound) {
    super(number);
    Object.assign(this, { inbound, own: `${inbound}-${number}@shop.test` });
  }

  async connect(server, organization, settings, credentials = {}) {
    await this.add(server, organization, {
      credentials: { webhook_secret: WEBHOOK_SECRET, ...credentials },
      settings: {
        address: this.own, inbound: this.inbound, smtp_host: '127.0.0.1', smtp_port: this.double.port, smtp_security: 'none', ...settings,
      },
    });
  }

  compose(person, text) {
    const { id, chatId, value } = super.compose(person, text);
    return { id, chatId, value: this.formOf(value, value.Headers[0].Value) };
  }

  async post(fields, { secret = WEBHOOK_SECRET, proof = {} } = {}) {
    const body = new FormData();
    for (const [name, value] of Object.entries({ ...fields, ...proof })) body.append(name, value);
    return (await fetch(this.address, { method: 'POST', headers: basic(secret), body })).status;
  }

  // An event about mails that left.
  async tell(event) {
    const headers = { 'content-type': 'application/json', ...basic(WEBHOOK_SECRET) };
    return (await callWebhook(this.address, { headers, body: JSON.stringify(event) })).status;
  }
}

export class Mailgun extends MailByForm {
  constructor(number) {
    super(number, 'mailgun');
  }

  connect(server, organization, settings) {
    return super.connect(server, organization, settings, { signing_key: SIGNING_KEY });
  }

  formOf({ From, To, Subject, TextBody }, messageId) {
    return {
      'body-plain': TextBody,
      'message-headers': JSON.stringify([['From', From], ['To', To], ['Subject', Subject], ['Message-Id', messageId]]),
    };
  }

  post(fields, { key, secret } = {}) {
    return super.post(fields, { secret, proof: mailgunProof(key) });
  }
}

export class SendGrid extends MailByForm {
  constructor(number) {
    super(number, 'sendgrid');
  }

  formOf({ From, To, Subject, TextBody }, messageId) {
    return { headers: `From: ${From}\nTo: ${To}\nSubject: ${Subject}\nMessage-ID: ${messageId}\n`, text: TextBody };
  }
}

// mail: the servers of mail.mjs, where the mailbox is.
export class Mailbox extends Email {
  constructor(number, mail) {
    super(number);
    Object.assign(this, { mail, own: `mailbox-${number}@shop.test` });
  }

  async connect(server, organization, settings) {
    await this.mail.doveadm(['mailbox', 'status', '-u', this.own, 'messages', 'INBOX']); // the mailbox has to be there
    await this.add(server, organization, {
      credentials: { username: this.own, password: PASSWORD, smtp_username: '', smtp_password: '' },
      settings: {
        address: this.own, inbound: 'imap', imap_host: '127.0.0.1', imap_port: this.mail.imapPort, imap_security: 'none',
        smtp_host: '127.0.0.1', smtp_port: this.double.port, smtp_security: 'none', ...settings,
      },
    });
  }

  compose(person, text) {
    const { id, chatId, value: { From, To, Subject, Headers: [{ Value }], TextBody } } = super.compose(person, text);
    const headers = { From, To, Subject, 'Message-ID': Value, Date: new Date().toUTCString() };
    return { id, chatId, value: `${Object.entries(headers).map(([name, one]) => `${name}: ${one}\r\n`).join('')}\r\n${TextBody}\r\n` };
  }

  // Nobody answers: it lies in the mailbox.
  async post(text) {
    await this.mail.put(this.own, text);
    return 200;
  }
}
