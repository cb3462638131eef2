// oauth-double.mjs - a sign-in provider: gives access tokens for refresh tokens (RFC 6749, section 6),
// and tells a mail server whose they are (RFC 7662)
//
//   const oauth = new OAuthDouble({ user: 'support@shop.test' });
//   await oauth.start();
//   ... oauth.tokenUrl, oauth.introspectUrl, oauth.client, oauth.refreshToken ...
//   oauth.revokeAccess();     // every access token that was given ends now
//   oauth.revokeRefresh();    // "invalid_grant" from now on
//
// Each refresh token counts once: the answer has the next one.
import { randomBytes } from 'node:crypto';

import { HttpDouble } from '../http-double.mjs';

const secret = (name) => `${name}.${randomBytes(24).toString('base64url')}`;

export class OAuthDouble extends HttpDouble {
  constructor({ user }) {
    super();
    this.user = user;
    this.client = { id: 'parley-of-the-shop', secret: secret('client') };
    this.refreshToken = secret('refresh');
    this.access = new Set();
    this.given = []; // every token, in the order in which they were given
    this.isDown = false;
  }

  get tokenUrl() {
    return `${this.url}/token`;
  }

  get introspectUrl() {
    return `${this.url}/introspect`;
  }

  // How often it was asked for a token.
  get asked() {
    return this.requests.filter((request) => request.path === '/token').length;
  }

  revokeAccess() {
    this.access.clear();
  }

  revokeRefresh() {
    this.refreshToken = null;
  }

  handle(request) {
    const form = new URLSearchParams(request.body.toString());
    const [status, answer] = request.path === '/token' ? this.give(request, form) : this.introspect(form);
    return { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body: JSON.stringify(answer) };
  }

  give(request, form) {
    if (this.isDown) return [503, { error: 'temporarily_unavailable' }];
    if (request.method !== 'POST' || request.headers['content-type'] !== 'application/x-www-form-urlencoded') return [400, { error: 'invalid_request' }];
    if (form.get('client_id') !== this.client.id || form.get('client_secret') !== this.client.secret) return [401, { error: 'invalid_client' }];
    if (form.get('grant_type') !== 'refresh_token') return [400, { error: 'unsupported_grant_type' }];
    if (this.refreshToken === null || form.get('refresh_token') !== this.refreshToken) return [400, { error: 'invalid_grant', error_description: 'expired or revoked' }];
    const token = secret('access');
    this.access.add(token);
    this.refreshToken = secret('refresh');
    this.given.push(token, this.refreshToken);
    return [200, { token_type: 'Bearer', access_token: token, refresh_token: this.refreshToken, expires_in: 3600, scope: form.get('scope') ?? '' }];
  }

  introspect(form) {
    const active = this.access.has(form.get('token'));
    return [200, active ? { active, username: this.user } : { active }];
  }
}
