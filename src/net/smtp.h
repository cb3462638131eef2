/*
 * smtp.h - hands one mail to a submission server (RFC 5321, 6409), errors sorted
 *
 * Over libcurl, one connection for each mail. The caller's message has its header, CR LF line ends,
 * and lines under 998 bytes; dots are stuffed here. Threads: any. Blocks, until the deadline.
 */
#ifndef PARLEY_NET_SMTP_H
#define PARLEY_NET_SMTP_H

#include "net/mail_server.h"

struct smtp_mail {
    struct str from, to; /* envelope addresses, without < > */
    struct str message;
};

/* ST_UNAVAILABLE: not accepted, may be later (no connection, 4xx, cut before the last byte).
 * ST_DENIED: the login is refused. ST_NOT_FOUND: the recipient is refused for good.
 * ST_TOO_LARGE: over the server's limit. ST_INVALID: refused for good for another reason.
 * ST_UNCERTAIN: everything was sent, and no answer came. */
MUST_USE enum status smtp_send(struct http_client *client, const struct mail_server *server,
                               const struct smtp_mail *mail, unsigned deadline_ms, struct err *err);
/* Connects, logs in, and says NOOP. As smtp_send. */
MUST_USE enum status smtp_probe(struct http_client *client, const struct mail_server *server,
                                unsigned deadline_ms, struct err *err);

#endif
