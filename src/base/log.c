/*
 * log.c - one JSON line in a buffer on the stack, one write
 *
 * A line is at most 4096 bytes, which a pipe takes in one piece. Text values are cut at 1024 bytes;
 * a field that does not fit any more is left out and the line says "cut":true.
 */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define MAX_LINE 4096
#define MAX_TEXT 1024
#define CONTEXT_BYTES 64

struct line {
    char bytes[MAX_LINE];
    size_t len;
    size_t limit; /* leaves room for the closing */
    bool full;
};

struct log_context {
    char trace_id[CONTEXT_BYTES];
    char organization_id[CONTEXT_BYTES];
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
#define CLOSING_CUT ",\"cut\":true}\n"

/* Process-wide: where lines go; set by log_init. */
static _Atomic int log_fd = STDERR_FILENO;
/* Process-wide: the least level that is written; set by log_init. */
static _Atomic int log_threshold = LOG_INFO;
/* Process-wide: names for the lines of each thread, never read for a decision. */
static _Thread_local struct log_context context;

void
log_init(int fd, enum log_level threshold)
{
    atomic_store(&log_fd, fd);
    atomic_store(&log_threshold, (int)threshold);
}

bool
log_level_parse(struct str name, enum log_level *level_out)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (str_eq_c(name, level_names[i])) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void
copy_name(char out[CONTEXT_BYTES], struct str name)
{
    size_t len = str_utf8_floor(name, CONTEXT_BYTES - 1);

    if (name.ptr != NULL)
        memcpy(out, name.ptr, len);
    out[len] = '\0';
}

void
log_context_set(struct str trace_id, struct str organization_id)
{
    copy_name(context.trace_id, trace_id);
    copy_name(context.organization_id, organization_id);
}

void
log_context_clear(void)
{
    log_context_set(STR_EMPTY, STR_EMPTY);
}

static void
put(struct line *line, struct str s)
{
    if (line->full || s.len > line->limit - line->len) {
        line->full = true;
        return;
    }
    if (s.len > 0)
        memcpy(line->bytes + line->len, s.ptr, s.len);
    line->len += s.len;
}

static void
put_escape(struct line *line, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    size_t len = sizeof(text);

    if (c == '"' || c == '\\' || c == '\n') {
        text[1] = c == '\n' ? 'n' : (char)c;
        len = 2;
    }
    put(line, str_of(text, len));
}

/* Whatever the bytes are, the line stays JSON: what is not UTF-8 shows as U+FFFD. */
static void
put_escaped(struct line *line, struct str s)
{
    bool cut = s.len > MAX_TEXT;
    size_t from = 0;
    size_t valid;

    if (cut)
        s.len = str_utf8_floor(s, MAX_TEXT);
    valid = str_utf8_valid_prefix(s);
    for (size_t at = 0; at < s.len; at++) {
        unsigned char c = (unsigned char)s.ptr[at];

        if (at != valid && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        put(line, str_sub(s, from, at - from));
        if (at == valid) {
            put(line, STR("\xef\xbf\xbd"));
            valid = at + 1 + str_utf8_valid_prefix(str_sub(s, at + 1, s.len));
        } else {
            put_escape(line, c);
        }
        from = at + 1;
    }
    put(line, str_sub(s, from, s.len));
    if (cut)
        put(line, STR("\xe2\x80\xa6"));
}

static void
put_number(struct line *line, const struct log_field *field)
{
    char text[40];
    int len;

    if (field->kind == LOG_FIELD_INT)
        len = snprintf(text, sizeof(text), "%lld", (long long)field->number);
    else if (isfinite(field->real))
        len = snprintf(text, sizeof(text), "%.15g", field->real);
    else
        len = snprintf(text, sizeof(text), "null");
    put(line, str_of(text, (size_t)len));
}

/* A field goes in whole or not at all. */
static void
put_field(struct line *line, const struct log_field *field)
{
    size_t start = line->len;

    put(line, line->len == 1 ? STR("\"") : STR(",\""));
    put_escaped(line, str_from_c(field->key));
    put(line, STR("\":"));
    if (field->kind == LOG_FIELD_STR) {
        put(line, STR("\""));
        put_escaped(line, field->text);
        put(line, STR("\""));
    } else if (field->kind == LOG_FIELD_SECRET) {
        put(line, STR("\"***\""));
    } else {
        put_number(line, field);
    }
    if (line->full)
        line->len = start;
}

static void
write_line(int fd, const char *bytes, size_t len)
{
    /* Short writes happen only on a full pipe or disk; the rest of the line is then tried once more
     * for as long as there is progress. Logging never fails its caller. */
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        len -= (size_t)written;
    }
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line line;
    char time_text[32];
    struct log_field field;
    int errno_before = errno;

    if ((int)level < atomic_load_explicit(&log_threshold, memory_order_relaxed))
        return;
    line.bytes[0] = '{';
    line.len = 1;
    line.limit = MAX_LINE - sizeof(CLOSING_CUT);
    line.full = false;
    field = log_str("time", time_format_rfc3339(clock_wall_us(clock_system()), time_text));
    put_field(&line, &field);
    field = log_cstr("level", level_names[level]);
    put_field(&line, &field);
    field = log_cstr("event", event);
    put_field(&line, &field);
    if (context.trace_id[0] != '\0') {
        field = log_cstr("trace_id", context.trace_id);
        put_field(&line, &field);
    }
    if (context.organization_id[0] != '\0') {
        field = log_cstr("organization_id", context.organization_id);
        put_field(&line, &field);
    }
    for (; fields->kind != LOG_FIELD_END; fields++) {
        if (fields->kind != LOG_FIELD_NONE)
            put_field(&line, fields);
    }
    line.limit = MAX_LINE;
    if (line.full) {
        line.full = false;
        put(&line, STR(CLOSING_CUT));
    } else {
        put(&line, STR("}\n"));
    }
    write_line(atomic_load_explicit(&log_fd, memory_order_relaxed), line.bytes, line.len);
    errno = errno_before;
}
