/*
 * roles.h - what a process of the server does: any mix of four
 *
 * With database files one process does it all; with a database server any number share the work.
 */
#ifndef PARLEY_APP_ROLES_H
#define PARLEY_APP_ROLES_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum role {
    ROLE_GATEWAY = 1,  /* webhooks, web chat, polling of channels */
    ROLE_API = 2,      /* /v1 for the team and its programs, the widget's files, links to objects */
    ROLE_WORKER = 4,   /* answers, deliveries, documents */
    ROLE_SCHEDULER = 8 /* what is due by time: expired leases, retention, what was left over */
};
#define ROLES_ALL (ROLE_GATEWAY | ROLE_API | ROLE_WORKER | ROLE_SCHEDULER)

/* "gateway,worker" -> bits. ST_INVALID names the unknown word, or says that there is none. */
MUST_USE enum status roles_parse(struct str words, unsigned *roles_out, struct err *err);
struct str roles_format(unsigned roles, struct arena *arena);

#endif
