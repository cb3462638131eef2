/*
 * mail_server.h - a connection to a mail server by libcurl: look-up, guard, TLS and login
 *
 * For smtp.c and imap.c. Private addresses are refused unless the operator allows them;
 * certificate and name are always verified, also with STARTTLS, without which nothing is said
 * unless the server was configured as MAIL_PLAIN. Threads: one at a time. Blocks, with a deadline.
 */
#ifndef PARLEY_NET_MAIL_SERVER_H
#define PARLEY_NET_MAIL_SERVER_H

#include <stdint.h>

#include "net/http_client.h"

enum mail_security {
    MAIL_TLS,      /* from the first byte: ports 465, 993 */
    MAIL_STARTTLS, /* required, before the login: ports 587, 143 */
    MAIL_PLAIN     /* for a server on this machine */
};

struct mail_server {
    struct str host;
    unsigned port;
    enum mail_security security;
    struct str user, password;  /* user empty: no login */
    struct str bearer;          /* an access token, instead of the password; "" for none */
    const _Atomic bool *cancel; /* may be NULL; when it becomes true calls end soon with
                                   ST_UNAVAILABLE */
};

/* A host name or address that may stand in a URL. */
bool mail_host_is_valid(struct str host);

#endif
