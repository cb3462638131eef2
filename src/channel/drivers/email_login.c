/*
 * email_login.c - logins to mail servers: by password, or by an access token that is fetched for it
 *
 * A token may be refused before its time (revoked, a changed password): then a fresh one is tried,
 * once.
 */
#include "channel/drivers/email.h"

#include <string.h>

#include "text/json.h"

enum status
email_log_in(struct email_channel *email, const struct mail_server *server, email_use use,
             void *context, struct arena *arena, struct err *err)
{
    struct mail_server with_token = *server;
    struct str refused = STR_EMPTY;
    enum status st = ST_DENIED;

    if (email->oauth == NULL || server->password.len > 0)
        return use(server, context, err);
    for (int attempt = 0; attempt < 2 && st == ST_DENIED; attempt++) {
        st = oauth_token(email->oauth, refused, arena, &with_token.bearer, err);
        if (st != ST_OK)
            return st;
        st = use(&with_token, context, err);
        refused = with_token.bearer;
    }
    return st;
}

bool
email_renew_credentials(struct channel *channel, json_t *credentials)
{
    struct email_channel *email = email_of(channel);
    struct arena *arena;
    struct str token;
    bool is_new;

    if (email->oauth == NULL)
        return false;
    arena = arena_create((size_t)64 * 1024);
    is_new = oauth_new_refresh_token(email->oauth, arena, &token);
    if (is_new)
        json_set_str(credentials, "oauth_refresh_token", token);
    explicit_bzero((char *)(uintptr_t)token.ptr, token.len);
    arena_destroy(&arena);
    return is_new;
}

void
email_inherit(struct channel *channel, struct channel *former)
{
    if (email_of(channel)->oauth != NULL && email_of(former)->oauth != NULL)
        oauth_inherit(email_of(channel)->oauth, email_of(former)->oauth);
}
