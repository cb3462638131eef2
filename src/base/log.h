/*
 * log.h - JSON lines for operators
 *
 *   {"time":"…","level":"info","event":"job.dead","trace_id":"…","organization_id":"…",…fields}
 *
 * One call, one line, one write. Message text is never a field; a secret goes in as log_secret and
 * prints as "***". Trace and organization come from the thread's log context, set by whoever took
 * up the request or job (that context carries names only, never decisions). Levels: debug, info,
 * warn (the outsider's fault), error (our fault). Threads: shared.
 */
#ifndef PARLEY_BASE_LOG_H
#define PARLEY_BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_field_kind {
    LOG_FIELD_END,
    LOG_FIELD_NONE, /* nothing: lets LOG take no fields */
    LOG_FIELD_STR,
    LOG_FIELD_INT,
    LOG_FIELD_DOUBLE,
    LOG_FIELD_SECRET
};

struct log_field {
    const char *key;
    enum log_field_kind kind;
    struct str text;
    int64_t number;
    double real;
};

/* Destination and threshold, once at start. fd 2 and LOG_INFO before that. */
void log_init(int fd, enum log_level threshold);
bool log_level_parse(struct str name, enum log_level *level_out);

/* Names for the lines of this thread until log_context_clear. Copies what it is given. */
void log_context_set(struct str trace_id, struct str organization_id);
void log_context_clear(void);

static inline struct log_field
log_str(const char *key, struct str value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .text = value};
}
static inline struct log_field
log_cstr(const char *key, const char *value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .text = str_from_c(value)};
}
static inline struct log_field
log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_INT, .number = value};
}
static inline struct log_field
log_double(const char *key, double value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_DOUBLE, .real = value};
}
static inline struct log_field
log_secret(const char *key)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_SECRET};
}

void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* LOG(LOG_INFO, "server.started", log_int("port", port)); */
#define LOG(level, event, ...)                                                                     \
    log_write((level), (event),                                                                    \
              (const struct log_field[]){                                                          \
                  {.kind = LOG_FIELD_NONE}, ##__VA_ARGS__, {.kind = LOG_FIELD_END}})
/* The one line of whoever handles an error: adds status and detail. */
#define LOG_ERR(level, event, err, ...)                                                            \
    LOG(level, event, log_cstr("status", status_name((err)->code)),                                \
        log_cstr("detail", (err)->detail), ##__VA_ARGS__)

#endif
