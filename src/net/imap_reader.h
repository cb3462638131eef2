/*
 * imap_reader.h - an IMAP server's bytes: where a response ends, and what it says
 *
 *   bytes --imap_frame--> one whole response --imap_response_read--> tagged | untagged | "+"
 *                                                  FETCH --imap_fetch_read--> one mail
 *
 * Only what imap.c asks for is understood: other data is skipped, and what breaks the grammar is
 * ST_INVALID. RFC 9051 (and 3501), sections 2.2, 4 and 7. No I/O; every view is into the bytes.
 * Threads: any.
 */
#ifndef PARLEY_NET_IMAP_READER_H
#define PARLEY_NET_IMAP_READER_H

#include "base/err.h"
#include "base/str.h"

/* Where framing stands; zeroed for each response, so that bytes are not looked at twice. */
struct imap_framing {
    size_t line_at; /* the line that is not whole yet: what is before it is whole */
    bool has_begun, is_words;
};
/* length_out: of the response at the beginning of bytes with its line's end; 0: not whole yet.
 * ST_TOO_LARGE: it would be longer than max_bytes. */
MUST_USE enum status imap_frame(struct str bytes, size_t max_bytes, struct imap_framing *framing,
                                size_t *length_out, struct err *err);

enum imap_kind { IMAP_TAGGED, IMAP_UNTAGGED, IMAP_CONTINUE };
enum imap_condition { IMAP_NONE, IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BYE, IMAP_PREAUTH };

struct imap_response {
    enum imap_kind kind;
    enum imap_condition condition; /* of tagged ones never IMAP_NONE */
    struct str tag;
    struct str code; /* "UIDVALIDITY 7", what stood in brackets; "" */
    struct str text; /* of conditions and of "+" */
    /* Of untagged data: "EXISTS" with its number, "SEARCH", "FETCH", "CAPABILITY", ... */
    struct str name;
    uint32_t number;
    struct str rest; /* what follows the name */
};
/* bytes: one framed response. ST_INVALID. */
MUST_USE enum status imap_response_read(struct str bytes, struct imap_response *response_out,
                                        struct err *err);
/* "UIDNEXT 8" with the name "UIDNEXT": its number. */
bool imap_code_number(struct str code, const char *name, uint32_t *number_out);
/* Whether the word stands in a list of words; letters' case does not matter. */
bool imap_has_word(struct str words, const char *word);

/* Numbers of a SEARCH response, one a call; false at the end. ST_INVALID ends it, too. */
bool imap_search_next(struct str *rest, uint32_t *uid_out, enum status *st_out);

/* What a FETCH response says about one mail; absent members stay as they are. */
struct imap_fetched {
    uint32_t uid; /* 0: absent */
    int64_t size_bytes;
    int64_t date_us; /* INTERNALDATE, when the server took the mail; 0: absent */
    struct str body; /* of BODY[] */
    bool has_body;
};
/* A LIST response: whether the folder is the one of sent mails (\Sent, RFC 6154), and its name; ""
 * of one that holds a quote or a backslash. */
MUST_USE enum status imap_list_read(struct str rest, bool *is_sent_out, struct str *name_out,
                                    struct err *err);
MUST_USE enum status imap_fetch_read(struct str rest, struct imap_fetched *fetched_out,
                                     struct err *err);

#endif
