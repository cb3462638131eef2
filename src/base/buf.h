/*
 * buf.h - a growing byte buffer with a maximum; remembers its first failure until asked
 *
 * Appending past max_bytes, or when the system has no memory, changes nothing and makes the buffer
 * failed; later appends do nothing. So a writer appends freely and asks once, with buf_check.
 * Ownership: heap bytes belong to the buffer; buf_str borrows them until the next append.
 * Threads: one at a time.
 */
#ifndef PARLEY_BASE_BUF_H
#define PARLEY_BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t capacity;
    size_t max_bytes;
    bool failed;
};

void buf_init(struct buf *buf, size_t max_bytes);
void buf_deinit(struct buf *buf);
void buf_clear(struct buf *buf); /* length 0, failure forgotten, memory kept */
void buf_append(struct buf *buf, struct str s);
void buf_append_c(struct buf *buf, const char *text);
void buf_append_byte(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Appends s as the inside of a JSON string (quotes not included). Bytes that are not UTF-8 come out
 * as U+FFFD, so that the result is JSON whatever s holds. */
void buf_append_json_escaped(struct buf *buf, struct str s);
/* Appends s percent-encoded for a path segment, a query or a form: all but RFC 3986's unreserved.
 */
void buf_append_url_escaped(struct buf *buf, struct str s);
/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *buf, size_t n);
struct str buf_str(const struct buf *buf);
/* ST_TOO_LARGE when any append failed. */
MUST_USE enum status buf_check(const struct buf *buf, struct err *err);

#endif
