/*
 * oauth.h - access tokens for a refresh token, as mail servers of Google and Microsoft want them
 *
 *   refresh token --token endpoint--> access token --until a minute before it ends--> the next one
 *
 * A provider may answer with a new refresh token: then that one counts, and whoever keeps
 * credentials is told (oauth_new_refresh_token). RFC 6749, sections 5 and 6. Threads: shared; one
 * of them asks the endpoint while the others wait. Blocks: oauth_token. Crash: nothing is kept
 * here.
 */
#ifndef PARLEY_CHANNEL_OAUTH_H
#define PARLEY_CHANNEL_OAUTH_H

#include "base/clock.h"
#include "net/http_client.h"

struct oauth;

struct oauth_client {
    struct http_client *http;
    struct clock *clock;
    struct str token_url, client_id, client_secret, scope; /* the last two may be empty */
    struct str refresh_token;
};

/* The client's members outlive it. */
struct oauth *oauth_create(const struct oauth_client *client);
void oauth_destroy(struct oauth **oauth); /* accepts NULL */

/* In the arena. refused: a token that was given and that a server did not take; "" for none.
 * ST_DENIED: the refresh token or the client is refused. ST_UNAVAILABLE, ST_BUSY: later. */
MUST_USE enum status oauth_token(struct oauth *oauth, struct str refused, struct arena *arena,
                                 struct str *token_out, struct err *err);
/* True when it is another than the client was given; in the arena. */
bool oauth_new_refresh_token(struct oauth *oauth, struct arena *arena, struct str *token_out);
/* Takes over what was learned with the same refresh token. */
void oauth_inherit(struct oauth *oauth, struct oauth *former);

#endif
