// smtp-double.mjs - a mail server for tests that must know exactly what was taken, and when
//
//   const smtp = new SmtpDouble();
//   await smtp.start();                     // 127.0.0.1, smtp.port
//   smtp.mails                              // [{from, to, text}] in the order in which they were taken
//   smtp.hangsUp = true;                    // takes a mail, and goes without a word
//   smtp.fail({ to: 'ada@customer.test', reply: '450 4.2.0 later' }); // of the next mail to her, see fail()
//   smtp.tries                              // [{to, at}]: each time that somebody was named as recipient
//
// Strict about the order of commands and the form of lines (RFC 5321). Mails of system tests go to a real
// server (tests/support/mail.mjs).
import { EventEmitter } from 'node:events';
import net from 'node:net';

const LINE_MAX = 1000; // with CR and LF: RFC 5321, 4.5.3.1.6

class Session {
  constructor(double, socket) {
    Object.assign(this, { double, socket, rest: '', greeted: false, from: null, to: [], lines: null });
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.take(text));
    socket.on('error', () => {});
    this.say('220 double.test ESMTP');
  }

  say(text) {
    this.socket.write(`${text}\r\n`);
  }

  take(text) {
    this.rest += text;
    for (let end = this.rest.indexOf('\r\n'); end >= 0; end = this.rest.indexOf('\r\n')) {
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + 2);
      if (this.lines) this.takeContent(line);
      else this.takeCommand(line);
    }
  }

  takeContent(line) {
    if (line !== '.') {
      if (line.length + 2 > LINE_MAX) this.tooLong = true;
      this.lines.push(line.startsWith('.') ? line.slice(1) : line);
      return;
    }
    const mail = { from: this.from, to: this.to, text: this.lines.join('\r\n') };
    Object.assign(this, { lines: null, from: null, to: [] });
    if (this.tooLong) {
      this.say('500 5.5.2 Line too long');
      return;
    }
    this.double.mails.push(mail);
    const fault = this.double.takeFault(mail.to, 'end');
    if (this.double.hangsUp || fault?.hangsUp) this.socket.destroy();
    else if (!fault?.silent) this.say('250 2.0.0 Ok');
    this.double.emit('progress');
  }

  takeRecipient(address) {
    this.double.tries.push({ to: address, at: Date.now() });
    const fault = this.double.takeFault([address], 'recipient');
    if (!fault) this.to.push(address);
    this.say(fault ? fault.reply : '250 2.1.5 Ok');
    this.double.emit('progress');
  }

  takeCommand(line) {
    const [, verb, rest] = /^([A-Za-z]+) ?(.*)$/.exec(line) ?? [];
    const address = /^(?:FROM|TO):<([^<>\s]*)>/i.exec(rest ?? '')?.[1];
    switch ((verb ?? '').toUpperCase()) {
      case 'EHLO':
      case 'HELO':
        this.greeted = true;
        this.say(verb.toUpperCase() === 'EHLO' ? '250-double.test\r\n250-8BITMIME\r\n250 SIZE 10000000' : '250 double.test');
        break;
      case 'MAIL':
        if (!this.greeted || this.from !== null || address === undefined) this.say('503 5.5.1 Bad sequence');
        else {
          this.from = address;
          this.say('250 2.1.0 Ok');
        }
        break;
      case 'RCPT':
        if (this.from === null || !address?.includes('@')) this.say('503 5.5.1 Bad sequence');
        else this.takeRecipient(address);
        break;
      case 'DATA':
        if (this.to.length === 0) this.say('503 5.5.1 No valid recipients');
        else {
          this.lines = [];
          this.say('354 End data with <CR><LF>.<CR><LF>');
        }
        break;
      case 'RSET':
        Object.assign(this, { from: null, to: [] });
        this.say('250 2.0.0 Ok');
        break;
      case 'NOOP':
        this.say('250 2.0.0 Ok');
        break;
      case 'QUIT':
        this.say('221 2.0.0 Bye');
        this.socket.end();
        break;
      default:
        this.say('502 5.5.2 Command not recognized');
    }
  }
}

export class SmtpDouble extends EventEmitter {
  constructor() {
    super();
    this.mails = [];
    this.tries = [];
    this.faults = [];
    this.sockets = new Set();
  }

  // Of the next mail to that address: reply instead of taking the recipient; or, once the mail is taken, the
  // connection ends (hangsUp), or nothing is said until the caller gives up (silent).
  fail({ to, reply, hangsUp = false, silent = false, times = 1 }) {
    this.faults.push({ to, reply, hangsUp, silent, times, when: reply ? 'recipient' : 'end' });
  }

  takeFault(to, when) {
    const fault = this.faults.find((one) => one.times > 0 && one.when === when && to.includes(one.to));
    if (fault) fault.times -= 1;
    return fault;
  }

  async start() {
    this.server = net.createServer((socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      return new Session(this, socket);
    });
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.port = this.server.address().port;
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}

export const headerOf = (mail, name) => new RegExp(`^${name}: (.*(?:\\r\\n[ \\t].*)*)`, 'mi').exec(mail.text)?.[1].replace(/\r\n[ \t]/g, ' ');

// The part in plain text, decoded from quoted-printable.
export function plainTextOf(mail) {
  const boundary = /boundary="?([^";\r]+)"?/i.exec(mail.text)?.[1];
  const part = mail.text.split(`--${boundary}\r\n`).find((one) => /^content-type: text\/plain/im.test(one));
  const body = part.slice(part.indexOf('\r\n\r\n') + 4).split(`\r\n--${boundary}`)[0];
  const bytes = body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8').replaceAll('\r\n', '\n').trim();
}
