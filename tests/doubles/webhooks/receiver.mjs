// receiver.mjs - a system of an organization's own that receives events, as strict as its author would be
//
// Every request is verified with the package that the specification's authors publish; one that does not
// verify is answered 401 and kept in refused.
import { Webhook } from 'standardwebhooks';

import { HttpDouble } from '../http-double.mjs';

export class Receiver extends HttpDouble {
  constructor() {
    super();
    this.answers = new Map(); // path -> what it answers
    this.secrets = new Map(); // path -> whsec_...
    this.received = []; // {path, id, timestamp, signature, raw, type, data}: verified, and answered 2xx or not
    this.refused = [];
  }

  // Gives the address of an endpoint; its secret is told when it is known.
  address(path) {
    return `${this.url}${path}`;
  }

  verify(request) {
    const raw = request.body.toString('utf8');
    const secret = this.secrets.get(request.path);
    const body = new Webhook(secret).verify(raw, request.headers);
    return {
      path: request.path, raw, ...body, id: request.headers['webhook-id'],
      timestamp: Number(request.headers['webhook-timestamp']), signature: request.headers['webhook-signature'],
    };
  }

  handle(request) {
    let event;
    try {
      if (request.method !== 'POST' || request.headers['content-type'] !== 'application/json') throw new Error('no JSON post');
      event = this.verify(request);
    } catch (error) {
      this.refused.push({ path: request.path, error: `${error}`, headers: request.headers, body: request.body.toString() });
      return { status: 401, body: 'not signed for us' };
    }
    this.received.push(event);
    return this.answers.get(event.path)?.(event) ?? { status: 204 };
  }

  // What an address answers from now on: {status, headers, body} of each verified event; null: 204 again.
  answer(path, make) {
    if (make) this.answers.set(path, typeof make === 'function' ? make : () => make);
    else this.answers.delete(path);
  }

  at(path, type) {
    return this.received.filter((event) => event.path === path && (!type || event.type === type));
  }

  untilReceived(path, type, count = 1) {
    return this.until(() => (this.at(path, type).length >= count ? this.at(path, type) : null), `${count} ${type ?? 'events'} at ${path}`);
  }
}
