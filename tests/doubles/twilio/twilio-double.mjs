// twilio-double.mjs - Twilio for tests: the messaging API, and the people who write to its numbers
//
//   const twilio = new TwilioDouble();
//   await twilio.start();                           // twilio.url is api_base and messaging_base
//   twilio.addNumber('+15551230000', { url });      // or url by the API
//   await twilio.personSays('+15557654321', '+15551230000', 'Hello');
//   const [answer] = await twilio.waitForMessages(1, { to: '+15557654321' });
//
// Addresses on WhatsApp begin with "whatsapp:". Statuses of messages are told to their StatusCallback,
// signed as everything that Twilio calls. Source: Twilio's docs on messaging webhooks, the Messages
// resource and webhook connection overrides.
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';

import { HttpDouble, callWebhook } from '../http-double.mjs';

const BODY_MAX = 1600;
const STOPS = new Set(['STOP', 'STOPALL', 'UNSUBSCRIBE', 'CANCEL', 'END', 'QUIT', 'REVOKE', 'OPTOUT']);
const STARTS = new Set(['START', 'UNSTOP', 'YES']);
const MESSAGES_PATH = /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})\/(.+)\.json$/;

const sid = (prefix) => prefix + randomBytes(16).toString('hex');
const json = (status, body, headers = {}) => ({
  status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
});
const refused = (status, code, message, headers) => json(status, {
  code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status,
}, headers);

// X-Twilio-Signature over the address (without its fragment) and the form.
export function signature(authToken, url, params = {}) {
  let text = url.split('#')[0];
  for (const name of Object.keys(params).sort()) {
    for (const value of [...new Set([].concat(params[name]))].sort()) text += name + value;
  }
  return createHmac('sha1', authToken).update(text, 'utf8').digest('base64');
}

// The address with the hash of a body that is no form.
export function withBodyHash(url, body) {
  const [address] = url.split('#');
  return `${address}${address.includes('?') ? '&' : '?'}bodySHA256=${createHash('sha256').update(body).digest('hex')}`;
}

// #rc=3&rp=all and the like.
function overridesOf(url) {
  const values = new URLSearchParams(url.split('#')[1] ?? '');
  return { retries: Math.min(Number(values.get('rc') ?? 1), 5), policy: (values.get('rp') ?? 'ct').split(',') };
}

function retries(policy, result) {
  if (policy.includes('all') && (result.status === 0 || result.status >= 400)) return true;
  if (result.status === 0) return policy.includes('ct') || policy.includes('rt');
  return policy.includes(`${Math.floor(result.status / 100)}xx`);
}

export class TwilioDouble extends HttpDouble {
  // statuses: what is told about each message of ours, in this order.
  constructor({ statuses = ['sent', 'delivered'] } = {}) {
    super();
    this.accountSid = sid('AC');
    this.authToken = randomBytes(16).toString('hex');
    this.keys = new Map(); // API keys: sid -> secret
    this.status = 'active';
    this.statuses = statuses;
    this.refusesLater = false; // what comes outside of WhatsApp's window is accepted, and reported as undelivered
    this.numbers = new Map(); // address -> {sid, url, windows}
    this.services = new Map(); // MG... -> {url, numbers}
    this.contents = new Map(); // HX... -> how many variables
    this.media = new Map(); // ME... -> {type, bytes}
    this.optedOut = new Set(); // "to|from"
    this.sent = []; // what we were sent: the resource
    this.typing = [];
    this.alerts = []; // errors of webhooks, as Twilio's debugger lists them
    this.calls = []; // webhooks: {url, params, signature, result}
    this.pace = null; // sends a minute, enforced with 429
    this.holdCallbacks = false;
    this.held = [];
  }

  // --- set-up ---

  addNumber(address, { url } = {}) {
    this.numbers.set(address, { sid: sid(address.replace('whatsapp:', '').startsWith('+') ? 'PN' : 'SC'), url, windows: new Map() });
  }

  addService(numbers, { url } = {}) {
    const id = sid('MG');
    this.services.set(id, { url, numbers });
    return id;
  }

  addContent(variables) {
    const id = sid('HX');
    this.contents.set(id, variables);
    return id;
  }

  addMedia(type, bytes) {
    const id = sid('ME');
    this.media.set(id, { type, bytes: Buffer.from(bytes) });
    return `${this.url}/2010-04-01/Accounts/${this.accountSid}/Messages/${sid('MM')}/Media/${id}`;
  }

  // --- people ---

  // What somebody writes; gives {params, result}. more: further parameters.
  async personSays(from, to, text, more = {}) {
    const { url, params } = this.written(from, to, text, more);
    return { params, result: await this.callWebhook(url, params) };
  }

  // The same before it is brought: {url, params}.
  written(from, to, text, more = {}) {
    const number = this.numbers.get(to);
    if (!number) throw new Error(`no number ${to}`);
    const service = [...this.services.values()].find((one) => one.numbers.includes(to));
    const id = more.MessageSid ?? sid('SM');
    const isWhatsApp = to.startsWith('whatsapp:');
    const word = text.trim().toUpperCase();
    if (!isWhatsApp && STOPS.has(word)) this.optedOut.add(`${from}|${to}`);
    if (!isWhatsApp && STARTS.has(word)) this.optedOut.delete(`${from}|${to}`);
    number.windows.set(from, Date.now());
    const params = {
      SmsMessageSid: id, SmsSid: id, MessageSid: id, AccountSid: this.accountSid, ApiVersion: '2010-04-01',
      From: from, To: to, Body: text, NumMedia: '0', NumSegments: '1', SmsStatus: 'received',
      ...(isWhatsApp ? { MessageType: 'text', ProfileName: 'Ada', WaId: from.replace(/\D/g, '') } : { FromCountry: 'US', ToCountry: 'US' }),
      ...more,
    };
    return { url: service?.url ?? number.url, params };
  }

  // Posts a form to a webhook as Twilio does: signed, repeated as the address's fragment says. What is
  // not answered properly is an alert.
  async callWebhook(url, params, { token = this.authToken } = {}) {
    const { retries: most, policy } = overridesOf(url);
    const body = new URLSearchParams(Object.entries(params).flatMap(([name, value]) => [].concat(value).map((one) => [name, one]))).toString();
    const headers = {
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8', 'user-agent': 'TwilioProxy/1.1',
      'x-twilio-signature': signature(token, url, params), 'i-twilio-idempotency-token': randomUUID(),
    };
    let result;
    for (let attempt = 0; attempt <= most; attempt += 1) {
      result = await callWebhook(url.split('#')[0], { headers, body });
      this.calls.push({ url, params, signature: headers['x-twilio-signature'], result });
      if (!retries(policy, result)) break;
    }
    if (result.status < 200 || result.status > 299) this.alerts.push({ code: 11200, status: result.status });
    else if (result.text !== '' && !/^(text|application)\/xml/.test(result.headers['content-type'] ?? '')) this.alerts.push({ code: 12300 });
    else if (result.text !== '' && !/^<\?xml[^>]*\?>\s*<Response\s*\/>\s*$/.test(result.text)) this.alerts.push({ code: 12100 });
    this.emit('progress');
    return result;
  }

  // WhatsApp's window closes for this person.
  closeWindow(from, to) {
    this.numbers.get(to).windows.set(from, Date.now() - 25 * 3600_000);
  }

  // --- what came of it ---

  messages({ to } = {}) {
    return this.sent.filter((message) => to === undefined || message.to === to);
  }

  waitForMessages(count, filter = {}, timeoutMs) {
    return this.until(() => (this.messages(filter).length >= count ? this.messages(filter) : null), `${count} messages`, timeoutMs);
  }

  waitForCallbacks(count) {
    const callbacks = () => this.calls.filter((call) => call.params.MessageStatus && call.result);
    return this.until(() => (callbacks().length >= count ? callbacks() : null), `${count} status callbacks`);
  }

  // Tells the address what became of a message. status: "delivered", ...
  tell(message, status, more = {}) {
    message.status = status;
    const params = {
      SmsSid: message.sid, SmsStatus: status, MessageSid: message.sid, MessageStatus: status,
      AccountSid: this.accountSid, ApiVersion: '2010-04-01', To: message.to, From: message.from, ...more,
    };
    return this.callWebhook(message.callback, params);
  }

  async releaseCallbacks({ reverse = false } = {}) {
    this.holdCallbacks = false;
    const held = reverse ? [...this.held].reverse() : this.held;
    this.held = [];
    for (const one of held) await one();
  }

  // --- the API ---

  handle(request) {
    const match = MESSAGES_PATH.exec(request.path);
    if (request.path.startsWith('/store/')) return this.answerStore(request);
    const denied = this.checkCredentials(request);
    if (denied) return denied;
    if (request.method === 'POST' && !/^application\/x-www-form-urlencoded/.test(request.headers['content-type'] ?? '')) {
      return refused(415, 20415, 'Unsupported Media Type');
    }
    const form = new URLSearchParams(request.body.toString('utf8'));
    if (/\/Media\/ME/.test(request.path)) return this.answerMedia(request);
    if (request.path === `/2010-04-01/Accounts/${this.accountSid}.json`) {
      return json(200, { sid: this.accountSid, friendly_name: 'Harbour Cycles', status: this.status });
    }
    if (request.path === '/v2/Indicators/Typing.json') return this.answerTyping(form);
    if (request.path === '/v2/Channels/Senders') return this.answerSenders(request);
    if (request.path.startsWith('/v1/Services/')) return this.answerService(request, form);
    if (!match || match[1] !== this.accountSid) return refused(404, 20404, `The requested resource ${request.path} was not found`);
    if (match[2] === 'Messages' && request.method === 'POST') return this.answerMessage(form);
    if (match[2] === 'Messages') return json(200, { messages: [...this.sent].reverse().slice(0, 50) });
    return this.answerNumbers(request, match[2], form);
  }

  checkCredentials(request) {
    const [, encoded] = /^Basic (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
    const [user, password] = Buffer.from(encoded ?? '', 'base64').toString('utf8').split(':');
    const good = user === this.accountSid ? password === this.authToken : this.keys.has(user) && this.keys.get(user) === password;
    return good ? null : refused(401, 20003, 'Authenticate');
  }

  answerMessage(form) {
    const problem = this.checkPace() ?? this.checkMessage(form);
    if (problem) return problem;
    const service = this.services.get(form.get('MessagingServiceSid'));
    const message = {
      sid: sid(form.has('MediaUrl') ? 'MM' : 'SM'), account_sid: this.accountSid, status: 'queued', to: form.get('To'),
      from: form.get('From') ?? service.numbers[0], body: form.get('Body') ?? '', media: form.getAll('MediaUrl'),
      content_sid: form.get('ContentSid'), content_variables: form.get('ContentVariables'),
      num_segments: '1', error_code: null, date_created: new Date().toUTCString(), callback: form.get('StatusCallback'),
    };
    this.sent.push(message);
    if (message.callback) setImmediate(() => this.tellAll(message));
    const { callback, media, ...resource } = message;
    return json(201, { ...resource, num_media: String(media.length) });
  }

  async tellAll(message) {
    const lastWritten = this.numbers.get(message.from)?.windows.get(message.to) ?? 0;
    const isLate = this.refusesLater && !message.content_sid && Date.now() - lastWritten > 24 * 3600_000;
    for (const status of isLate ? ['undelivered'] : message.statuses ?? this.statuses) {
      const tell = () => this.tell(message, status, isLate ? { ErrorCode: '63016', ChannelPrefix: 'whatsapp' } : {});
      if (this.stopped) return;
      if (this.holdCallbacks) this.held.push(tell);
      else await tell();
    }
  }

  checkPace() {
    if (this.pace === null) return null;
    const now = Date.now();
    if (this.sent.filter((message) => now - Date.parse(message.date_created) < 60_000).length < this.pace) return null;
    return refused(429, 20429, 'Too Many Requests', { 'retry-after': '1' });
  }

  checkMessage(form) {
    const to = form.get('To') ?? '';
    const service = this.services.get(form.get('MessagingServiceSid'));
    const from = form.get('From') ?? service?.numbers[0];
    const isWhatsApp = to.startsWith('whatsapp:');
    const body = form.get('Body') ?? '';
    const media = form.getAll('MediaUrl');
    const content = form.get('ContentSid');
    if (to === '') return refused(400, 21604, "A 'To' phone number is required.");
    if (!from) return refused(400, 21603, "A 'From' phone number is required.");
    if (!/^(whatsapp:)?\+[1-9]\d{6,14}$/.test(to)) return refused(400, 21211, `Invalid 'To' Phone Number: ${to}`);
    const number = this.numbers.get(from);
    if (isWhatsApp && (!number || !from.startsWith('whatsapp:'))) return refused(400, 63007, 'Twilio could not find a Channel with the specified From address');
    if (!number || from.startsWith('whatsapp:') !== isWhatsApp) return refused(400, 21606, `The 'From' phone number ${from} is not a valid, SMS-capable number of this account`);
    if (body.trim() === '' && media.length === 0 && !content) return refused(400, 21619, 'A text message body or media urls must be specified.');
    if (body.length > BODY_MAX) return refused(400, 21617, 'The concatenated message body exceeds the 1600 character limit.');
    if (media.length > (isWhatsApp ? 1 : 10)) return refused(400, 21623, 'Number of media files exceeds allowed limit');
    if (media.some((url) => !/^https?:\/\/\S+$/.test(url))) return refused(400, 21620, 'Invalid media URL(s)');
    if (form.has('StatusCallback') && !/^https?:\/\/[^\s#]+$/.test(form.get('StatusCallback'))) return refused(400, 21609, 'Invalid StatusCallback URL');
    if (this.optedOut.has(`${to}|${from}`)) return refused(400, 21610, 'Attempt to send to unsubscribed recipient');
    if (content) return this.checkContent(content, form.get('ContentVariables'));
    const lastWritten = number.windows.get(to) ?? 0;
    if (isWhatsApp && !this.refusesLater && Date.now() - lastWritten > 24 * 3600_000) return refused(400, 63016, 'Failed to send freeform message because you are outside the allowed window.');
    return null;
  }

  checkContent(content, variables) {
    if (!this.contents.has(content)) return refused(404, 20404, `The requested resource ${content} was not found`);
    try {
      const values = JSON.parse(variables ?? '{}');
      for (let i = 1; i <= this.contents.get(content); i += 1) if (typeof values[i] !== 'string') throw new Error('missing');
    } catch {
      return refused(400, 21656, 'The ContentVariables Parameter is invalid');
    }
    return null;
  }

  answerTyping(form) {
    if (!/^(SM|MM)[0-9a-f]{32}$/.test(form.get('messageId') ?? '') || form.get('channel') !== 'whatsapp') return refused(400, 20001, 'Invalid parameter');
    this.typing.push(form.get('messageId'));
    return json(200, { success: true });
  }

  // Of an address that nobody has entered the object is empty.
  answerSenders(request) {
    if (request.query.get('Channel') !== 'whatsapp') return refused(400, 20001, "Missing required parameter 'Channel'");
    const senders = [...this.numbers].filter(([address]) => address.startsWith('whatsapp:')).map(([address, { url }]) => ({
      sid: `XE${createHash('md5').update(address).digest('hex')}`, status: 'ONLINE', sender_id: address,
      webhook: url ? { callback_url: url, callback_method: 'POST' } : {},
    }));
    return json(200, { senders, meta: { key: 'senders', page: 0, page_size: Number(request.query.get('PageSize') ?? 50), next_page_url: null } });
  }

  answerService(request, form) {
    const service = this.services.get(request.path.split('/')[3]);
    if (!service) return refused(404, 20404, 'not found');
    if (form.has('InboundRequestUrl')) service.url = form.get('InboundRequestUrl');
    return json(200, { sid: request.path.split('/')[3], inbound_request_url: service.url });
  }

  answerNumbers(request, rest, form) {
    const [, list, id] = /^(IncomingPhoneNumbers|SMS\/ShortCodes)(?:\/(\w+))?$/.exec(rest) ?? [];
    if (!list) return refused(404, 20404, 'not found');
    const isShort = list !== 'IncomingPhoneNumbers';
    const all = [...this.numbers].filter(([, number]) => number.sid.startsWith(isShort ? 'SC' : 'PN'));
    if (!id) {
      const wanted = request.query.get(isShort ? 'ShortCode' : 'PhoneNumber');
      const found = all.filter(([address]) => wanted === null || address === wanted);
      return json(200, { [isShort ? 'short_codes' : 'incoming_phone_numbers']: found.map(([address, number]) => ({ sid: number.sid, phone_number: address, sms_url: number.url })) });
    }
    const [, number] = all.find(([, one]) => one.sid === id) ?? [];
    if (!number) return refused(404, 20404, 'not found');
    if (form.has('SmsUrl')) {
      if (!/^https?:\/\//.test(form.get('SmsUrl')) || form.get('SmsMethod') !== 'POST') return refused(400, 21502, 'Invalid SmsUrl');
      number.url = form.get('SmsUrl');
    }
    return json(200, { sid: id, sms_url: number.url });
  }

  // Sent on to the store by an address that is signed itself; credentials must not follow.
  answerMedia(request) {
    const id = request.path.split('/').at(-1);
    if (!this.media.has(id)) return refused(404, 20404, 'not found');
    return { status: 302, headers: { location: `${this.url}/store/${id}?X-Amz-Signature=abc` } };
  }

  answerStore(request) {
    const media = this.media.get(request.path.split('/').at(-1));
    if (request.headers.authorization) return { status: 400, body: 'Only one auth mechanism allowed' };
    if (!media || request.query.get('X-Amz-Signature') !== 'abc') return { status: 403, body: 'AccessDenied' };
    return { status: 200, headers: { 'content-type': media.type }, body: media.bytes };
  }
}
