/*
 * robots.h - what a host's robots.txt asks of us (RFC 9309)
 *
 * The text is any bytes. The groups that name our product token count, together; only when none
 * does, those of "*". The longest pattern that matches decides, Allow before Disallow; patterns
 * know
 * "*" and a "$" at their end. Threads: any. Does not block.
 */
#ifndef PARLEY_KNOWLEDGE_ROBOTS_H
#define PARLEY_KNOWLEDGE_ROBOTS_H

#include "base/arena.h"

/* RFC 9309, section 2.5: what comes after so much is not read. */
#define ROBOTS_MAX_BYTES ((size_t)500 * 1024)

struct robots {
    struct robots_rule *rules; /* in the arena */
    size_t rule_count;
    int64_t delay_ms; /* Crawl-delay of our groups; -1: not said */
};

/* token: letters, '-' and '_'. Copies what it keeps. */
void robots_parse(struct str text, struct str token, struct arena *arena,
                  struct robots *robots_out);
/* target: path and query, as http_url_target gives it. Uses the arena. */
bool robots_allow(const struct robots *robots, struct str target, struct arena *arena);

/* What a page's author asks in <meta name=robots> or X-Robots-Tag: "noindex, nofollow". */
struct robots_wish {
    bool no_index, no_follow;
};
/* Adds to the wish what the list says. */
void robots_wish_read(struct str directives, struct robots_wish *wish);
/* A list of X-Robots-Tag, a field a line: one that begins with another's name is not for us. */
void robots_header_read(struct str lines, struct str token, struct robots_wish *wish);

#endif
