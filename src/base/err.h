/*
 * err.h - one answer to "what should the caller do?", and the words for two readers
 *
 * A function that can fail returns enum status and fills the caller's struct err. Callers add a
 * phrase on the way up with err_wrap; whoever handles the error logs it, once. A struct err is
 * plain storage of the caller's: no destructor, nothing thread-local, nothing kept.
 * Threads: any; a struct err belongs to one thread.
 */
#ifndef PARLEY_BASE_ERR_H
#define PARLEY_BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

enum status {
    ST_OK = 0,
    /* The request is at fault: repeating it unchanged will not help. */
    ST_INVALID,
    ST_DENIED,
    ST_NOT_FOUND,
    ST_CONFLICT,
    ST_TOO_LARGE,
    /* Nothing was done: try again later. */
    ST_BUSY,
    ST_UNAVAILABLE,
    /* A write may have been done: look before trying again. */
    ST_UNCERTAIN,
    /* Our bug or damaged data: somebody should be told. */
    ST_INTERNAL
};

struct err {
    enum status code;
    char public_text[160]; /* may reach a client: never a path, a secret, another tenant's name */
    char detail[400];      /* operator's log only */
    int retry_after_ms;    /* with ST_BUSY and ST_UNAVAILABLE: the wait asked for, or 0 */
};

/* Sets code and the same text for both readers; returns code, so that "return err_set(...)" reads.
 */
enum status err_set(struct err *err, enum status code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Text for the operator only; the public text becomes the code's general sentence. */
enum status err_set_detail(struct err *err, enum status code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Puts a phrase in front of detail ("phrase: detail"); code and public text stay. Returns code. */
enum status err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#if defined(__clang_analyzer__)
/* The analyzer reads one file at a time: so it knows that a failure is never ST_OK. */
#define err_set(err, code, ...) ((void)(err_set)((err), (code), __VA_ARGS__), (code))
#define err_set_detail(err, code, ...) ((void)(err_set_detail)((err), (code), __VA_ARGS__), (code))
#endif

/* "invalid", "not_found", ...: the word in logs, metrics and problem+json. Never NULL. */
const char *status_name(enum status code);

/* True for codes after which the same call may succeed later (ST_BUSY, ST_UNAVAILABLE). */
int status_is_passing(enum status code);

#endif
