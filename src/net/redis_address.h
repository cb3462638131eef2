/*
 * redis_address.h - where Redis servers are: "redis://user:password@host:port/database, ..."
 *
 * Scheme redis or rediss (TLS); user, password, port (6379) and database (0) may be left out; what
 * an address cannot hold as it is stands percent-encoded. Threads: any; a list is frozen once
 * parsed. Passwords are wiped when the list ends.
 */
#ifndef PARLEY_NET_REDIS_ADDRESS_H
#define PARLEY_NET_REDIS_ADDRESS_H

#include "base/err.h"
#include "base/str.h"

#define REDIS_MAX_ADDRESSES 16

struct redis_address {
    char host[256];
    char user[128];     /* "": the default user */
    char password[512]; /* "": none */
    unsigned port, database;
    bool tls;
};

struct redis_addresses {
    size_t count;
    struct redis_address list[REDIS_MAX_ADDRESSES];
};

/* ST_INVALID: the text names the address by its place in the list, never by what it holds. */
MUST_USE enum status redis_addresses_parse(struct str text, struct redis_addresses *addresses_out,
                                           struct err *err);
void redis_addresses_wipe(struct redis_addresses *addresses);

#endif
