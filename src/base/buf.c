/*
 * buf.c - a growing byte buffer with a maximum
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void
buf_init(struct buf *buf, size_t max_bytes)
{
    *buf = (struct buf){.max_bytes = max_bytes};
}

void
buf_deinit(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){.max_bytes = buf->max_bytes};
}

void
buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

/* Room for more bytes and a NUL behind them (vsnprintf writes one); the NUL is beyond max_bytes. */
static bool
reserve(struct buf *buf, size_t more)
{
    size_t needed;
    size_t capacity;
    char *ptr;

    if (buf->failed)
        return false;
    if (more > buf->max_bytes - buf->len || more > SIZE_MAX / 4 - buf->len) {
        buf->failed = true;
        return false;
    }
    needed = buf->len + more + 1;
    if (needed <= buf->capacity)
        return true;
    capacity = buf->capacity == 0 ? FIRST_CAPACITY : buf->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity - 1 > buf->max_bytes)
        capacity = buf->max_bytes + 1;
    ptr = realloc(buf->ptr, capacity);
    if (ptr == NULL) {
        buf->failed = true;
        return false;
    }
    buf->ptr = ptr;
    buf->capacity = capacity;
    return true;
}

void
buf_append(struct buf *buf, struct str s)
{
    if (s.len == 0 || !reserve(buf, s.len))
        return;
    memcpy(buf->ptr + buf->len, s.ptr, s.len);
    buf->len += s.len;
}

void
buf_append_c(struct buf *buf, const char *text)
{
    buf_append(buf, str_from_c(text));
}

void
buf_append_byte(struct buf *buf, char byte)
{
    if (reserve(buf, 1))
        buf->ptr[buf->len++] = byte;
}

void
buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    size_t room;
    int len;

    if (buf->failed)
        return;
    room = buf->capacity - buf->len;
    va_start(args, fmt);
    len = vsnprintf(room == 0 ? NULL : buf->ptr + buf->len, room, fmt, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len >= room) {
        if (!reserve(buf, (size_t)len))
            return;
        va_start(args, fmt);
        (void)vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    buf->len += (size_t)len;
}

static bool
json_needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

static void
append_json_escape(struct buf *buf, char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (size_t i = 0; i + 1 < sizeof(names); i += 2) {
        if (names[i] == c) {
            char pair[2] = {'\\', names[i + 1]};

            buf_append(buf, str_of(pair, sizeof(pair)));
            return;
        }
    }
    buf_printf(buf, "\\u%04x", (unsigned)(unsigned char)c);
}

void
buf_append_json_escaped(struct buf *buf, struct str s)
{
    size_t start = buf->len;
    size_t valid = str_utf8_valid_prefix(s);
    size_t from = 0;

    for (size_t at = 0; at < s.len;) {
        if (at == valid) {
            buf_append(buf, str_sub(s, from, at - from));
            buf_append_c(buf, "\xef\xbf\xbd");
            at++;
            from = at;
            valid = at + str_utf8_valid_prefix(str_sub(s, at, s.len));
        } else if (json_needs_escape(s.ptr[at])) {
            buf_append(buf, str_sub(s, from, at - from));
            append_json_escape(buf, s.ptr[at]);
            at++;
            from = at;
        } else {
            at++;
        }
    }
    buf_append(buf, str_sub(s, from, s.len));
    if (buf->failed)
        buf->len = start;
}

void
buf_append_url_escaped(struct buf *buf, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';

        if (is_unreserved) {
            buf_append_byte(buf, c);
        } else {
            buf_append_byte(buf, '%');
            buf_append_byte(buf, hex[(unsigned char)c >> 4]);
            buf_append_byte(buf, hex[(unsigned char)c & 15]);
        }
    }
}

void
buf_consume(struct buf *buf, size_t n)
{
    assert(n <= buf->len);
    if (n > 0)
        memmove(buf->ptr, buf->ptr + n, buf->len - n);
    buf->len -= n;
}

struct str
buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr, buf->len};
}

enum status
buf_check(const struct buf *buf, struct err *err)
{
    if (buf->failed)
        return err_set(err, ST_TOO_LARGE, "more than %zu bytes", buf->max_bytes);
    return ST_OK;
}
