/*
 * imap.h - reads a mailbox: one connection, logged in, that changes nothing on the server
 *
 *   imap_open --> imap_examine --> imap_search, imap_fetch, imap_wait ... --> imap_close
 *             imap_find_sent --'  imap_has_mail
 *
 * libcurl connects, encrypts and logs in (by password, or OAuth's token); the dialogue after it is
 * ours, because libcurl's own FETCH tells neither dates nor what has gone. The mailbox is opened
 * with EXAMINE: no mail is marked as seen. A connection that failed is of no more use: close it.
 * RFC 9051 (and 3501), IDLE: RFC 2177. Threads: one at a time. Blocks, with deadlines; ends soon
 * when server.cancel becomes true.
 */
#ifndef PARLEY_NET_IMAP_H
#define PARLEY_NET_IMAP_H

#include "net/imap_reader.h"
#include "net/mail_server.h"

/* What one response may have: a mail, and some room for the rest. */
#define IMAP_RESPONSE_MAX_BYTES ((size_t)32 * 1024 * 1024)

struct imap;

struct imap_mailbox {
    uint32_t uid_validity; /* UIDs mean the same mails as long as this is the same */
    uint32_t count;
};

/* server's host outlives it. ST_DENIED: the login is refused. ST_UNAVAILABLE. ST_INVALID. */
MUST_USE enum status imap_open(struct http_client *client, const struct mail_server *server,
                               unsigned deadline_ms, struct imap **imap_out, struct err *err);
/* Says good-bye without waiting; accepts NULL. */
void imap_close(struct imap **imap);

/* Below: ST_UNAVAILABLE when the connection is of no more use, or the server says "later". */

/* name: in the server's form (modified UTF-7, quotes not yet around it). ST_NOT_FOUND: the server
 * has no such mailbox, or does not let us read it. */
MUST_USE enum status imap_examine(struct imap *imap, struct str name,
                                  struct imap_mailbox *mailbox_out, struct err *err);
/* UIDs over after, of mails that came at since_us or up to two days before, ascending, in the
 * arena; the first count_max of them. */
MUST_USE enum status imap_search(struct imap *imap, uint32_t after, int64_t since_us,
                                 size_t count_max, struct arena *arena, uint32_t **uids_out,
                                 size_t *count_out, struct err *err);
/* max_bytes of the mail at most; 0: only what is known about it. body: in the arena.
 * ST_NOT_FOUND: it has gone. ST_INVALID: the server refuses to give it. ST_TOO_LARGE. */
MUST_USE enum status imap_fetch(struct imap *imap, uint32_t uid, size_t max_bytes,
                                struct arena *arena, struct imap_fetched *fetched_out,
                                struct err *err);
/* The folder where the account's own sent mails are (RFC 6154), as imap_examine takes it, in the
 * arena. ST_NOT_FOUND: the server names none. */
MUST_USE enum status imap_find_sent(struct imap *imap, struct arena *arena, struct str *name_out,
                                    struct err *err);
/* Whether the mailbox has a mail with that Message-ID (without brackets). ST_INVALID: it cannot be
 * asked for that one, or the server refuses. */
MUST_USE enum status imap_has_mail(struct imap *imap, struct str message_id, bool *found_out,
                                   struct err *err);
/* Until something came, or wait_ms have passed: by IDLE where the server has it. */
MUST_USE enum status imap_wait(struct imap *imap, unsigned wait_ms, struct err *err);

#endif
