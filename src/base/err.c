/*
 * err.c - filling a struct err
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* The analyzer's view of them, see err.h. */
#undef err_set
#undef err_set_detail

struct code_info {
    const char *name;
    const char *sentence;
};

static const struct code_info codes[] = {
    [ST_OK] = {"ok", "All is well"},
    [ST_INVALID] = {"invalid", "The request is not valid"},
    [ST_DENIED] = {"denied", "The request is not allowed"},
    [ST_NOT_FOUND] = {"not_found", "There is no such thing"},
    [ST_CONFLICT] = {"conflict", "The request contradicts what is there already"},
    [ST_TOO_LARGE] = {"too_large", "The request is too large"},
    [ST_BUSY] = {"busy", "Too much is going on; try again later"},
    [ST_UNAVAILABLE] = {"unavailable", "A part of the service does not answer; try again later"},
    [ST_UNCERTAIN] = {"uncertain", "It is not known whether the request took effect"},
    [ST_INTERNAL] = {"internal", "Something went wrong on our side"},
};

static const struct code_info *
info_of(enum status code)
{
    return (unsigned)code < sizeof(codes) / sizeof(codes[0]) ? &codes[code] : &codes[ST_INTERNAL];
}

/* Cuts at a UTF-8 border, because the text may become JSON. */
static void
copy_text(char *to, size_t size, const char *text)
{
    size_t len = str_utf8_floor(str_from_c(text), size - 1);

    memcpy(to, text, len);
    to[len] = '\0';
}

/* Arguments may point into err itself, hence the detour in both functions. */
enum status
err_set(struct err *err, enum status code, const char *fmt, ...)
{
    char text[sizeof(err->detail) + 4];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    err->code = code;
    err->retry_after_ms = 0;
    copy_text(err->public_text, sizeof(err->public_text), text);
    copy_text(err->detail, sizeof(err->detail), text);
    return code;
}

enum status
err_set_detail(struct err *err, enum status code, const char *fmt, ...)
{
    char text[sizeof(err->detail) + 4];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    err->code = code;
    err->retry_after_ms = 0;
    copy_text(err->public_text, sizeof(err->public_text), info_of(code)->sentence);
    copy_text(err->detail, sizeof(err->detail), text);
    return code;
}

enum status
err_wrap(struct err *err, const char *fmt, ...)
{
    char text[2 * sizeof(err->detail) + 4];
    va_list args;
    size_t len;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    len = str_utf8_floor(str_from_c(text), sizeof(err->detail) - 1);
    (void)snprintf(text + len, sizeof(text) - len, ": %s", err->detail);
    copy_text(err->detail, sizeof(err->detail), text);
    return err->code;
}

const char *
status_name(enum status code)
{
    return info_of(code)->name;
}

int
status_is_passing(enum status code)
{
    return code == ST_BUSY || code == ST_UNAVAILABLE;
}
