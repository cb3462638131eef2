/*
 * mail_server_private.h - what mail_server.c does for smtp.c and imap.c; only for them
 */
#ifndef PARLEY_NET_MAIL_SERVER_PRIVATE_H
#define PARLEY_NET_MAIL_SERVER_PRIVATE_H

#include "net/curl_guard.h"
#include "net/mail_server.h"

struct mail_reply {
    int code;       /* of SMTP, else 0 */
    char line[256]; /* without its end; cut */
};

struct mail_handle {
    CURL *easy;
    struct curl_guard guard;
    const _Atomic bool *cancel;
    struct mail_reply last; /* what the server said last, before it was ours to read */
    bool has_reply;
    bool is_over; /* libcurl says good-bye: what comes back means nothing */
};

/* A handle that libcurl will connect with; ended by mail_handle_close, also after a failure. url is
 * of the scheme; the path may be empty. ST_INVALID: no host. */
MUST_USE enum status mail_handle_open(struct mail_handle *handle, struct http_client *client,
                                      const struct mail_server *server, const char *scheme,
                                      const char *path, unsigned deadline_ms, struct err *err);
void mail_handle_close(struct mail_handle *handle);

/* What a failed connect or login means: ST_DENIED when the server refuses the login, else
 * ST_UNAVAILABLE. */
enum status mail_handle_sort(const struct mail_handle *handle, const struct mail_server *server,
                             CURLcode code, struct err *err);

#endif
