/*
 * web_session.h - who a visitor of a web chat is: a token signed with the channel's secret
 *
 *   v1.<visitor>.<seconds since 1970>.<HMAC-SHA256, base64url>
 *
 * The signature covers the channel's id, so that a token of one channel proves nothing in another.
 * A token is a bearer's proof of one anonymous visitor, nothing more; it ends after 400 days, or
 * when the secret is replaced (the previous secret still counts while it is kept). Threads: any;
 * does not block.
 */
#ifndef PARLEY_CHANNEL_WEB_SESSION_H
#define PARLEY_CHANNEL_WEB_SESSION_H

#include "base/clock.h"
#include "base/id.h"
#include "net/http_server.h"
#include "tenant/tenant.h"

#define WEB_SESSION_MAX_AGE_S (INT64_C(400) * 24 * 3600)

ID_TYPE(visitor_id);

struct web_session {
    struct visitor_id visitor;
    int64_t issued_at_s;
};

/* A token for the visitor, or for a new one when visitor is none. record must be of a web channel.
 * ST_INVALID: the channel has no secret. */
MUST_USE enum status web_session_issue(const struct channel_record *record,
                                       struct visitor_id visitor, struct clock *clock,
                                       struct arena *arena, struct str *token_out, struct err *err);
/* ST_DENIED unless this channel issued the token and it has not ended. Constant time. */
MUST_USE enum status web_session_check(const struct channel_record *record, struct str token,
                                       struct clock *clock, struct web_session *session_out,
                                       struct err *err);
/* What a request shows: "Authorization: Bearer", or ?token= where a browser cannot set headers
 * (EventSource). Borrowed; empty when it shows none. */
struct str web_session_token(const struct http_request *request);
/* Whether a page of this origin ("https://shop.example") may use the channel:
 * settings.allowed_origins; a channel without that list lets every page. An empty origin (no
 * browser) always may: the token decides. */
bool web_origin_is_allowed(const struct channel_record *record, struct str origin);
/* The same of a request's Origin; a page of the address that was asked (/chat/{channel}) always
 * may. */
bool web_request_is_allowed(const struct channel_record *record,
                            const struct http_request *request);

#endif
