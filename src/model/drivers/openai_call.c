/*
 * openai_call.c - one way to address such a server, and to take its failures
 */
#include "model/drivers/openai_call.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "model/drivers/openai_error.h"
#include "text/json.h"

#define MAX_RETRY_AFTER_MS 120000
#define MAX_HEADER_BYTES 4096

/* --- configuration --- */

bool
openai_is_printable(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

enum status
openai_take_url(struct str base_url, const char *path, struct arena *arena, struct str *url_out,
                struct err *err)
{
    if (!str_starts_with(base_url, STR("https://")) && !str_starts_with(base_url, STR("http://")))
        return err_set(err, ST_INVALID, "\"base_url\" must begin with https:// or http://");
    if (str_find_byte(base_url, '?') >= 0 || str_find_byte(base_url, '#') >= 0 ||
        str_find_byte(base_url, '@') >= 0 || str_find_byte(base_url, ' ') >= 0)
        return err_set(err, ST_INVALID, "\"base_url\" must be a scheme, a host and a path alone");
    while (str_ends_with(base_url, STR("/")))
        base_url.len--;
    *url_out = arena_printf(arena, "%.*s/%s", STR_ARG(base_url), path);
    return ST_OK;
}

static void
add_header(struct openai_headers *headers, const char *name, struct str value)
{
    headers->list[headers->count++] = (struct http_header){name, value};
}

enum status
openai_take_headers(const json_t *added, struct str accept, struct str api_key, struct arena *arena,
                    struct openai_headers *headers_out, struct err *err)
{
    const char *name;
    json_t *value;

    headers_out->count = 0;
    add_header(headers_out, "Content-Type", STR("application/json"));
    add_header(headers_out, "Accept", accept);
    if (api_key.len > 0)
        add_header(headers_out, "Authorization",
                   arena_printf(arena, "Bearer %.*s", STR_ARG(api_key)));
    if (json_object_size(added) > OPENAI_MAX_HEADERS)
        return err_set(err, ST_INVALID, "at most %zu headers can be added", OPENAI_MAX_HEADERS);
    json_object_foreach ((json_t *)(uintptr_t)added, name, value) {
        struct str text = str_of(json_string_value(value), json_string_length(value));

        if (!json_is_string(value) || !openai_is_printable(text) || text.len > MAX_HEADER_BYTES ||
            !openai_is_printable(str_from_c(name)) || name[0] == '\0')
            return err_set(err, ST_INVALID, "a header's name or value is malformed");
        add_header(headers_out, arena_cstr(arena, str_from_c(name)), arena_str(arena, text));
    }
    return ST_OK;
}

/* --- failures --- */

void
openai_note_refusal(const struct http_reply *reply, struct str api_key,
                    struct openai_attempt *attempt_out, struct err *err)
{
    struct openai_error error;
    json_auto_t *json = NULL;
    struct err ignored;

    if (json_parse(reply->body, &json, &ignored) != ST_OK)
        json = NULL;
    openai_error_read(reply->status, json, api_key, &error);
    attempt_out->status =
        err_set_detail(err, error.status, "HTTP %d %s %s (request %.*s)", reply->status, error.code,
                       error.text, STR_ARG(str_sub(reply->request_id, 0, 64)));
    attempt_out->may_retry = reply->should_retry >= 0 ? reply->should_retry == 1 : error.may_retry;
    attempt_out->retry_after_ms = reply->retry_after_ms;
    attempt_out->refused = error.refused;
    if (reply->retry_after_ms > 0)
        err->retry_after_ms = reply->retry_after_ms;
}

void
openai_note_transport(enum status st, const char *what, struct openai_attempt *attempt_out,
                      struct err *err)
{
    attempt_out->status = st;
    attempt_out->may_retry = st == ST_UNAVAILABLE || st == ST_UNCERTAIN;
    if (st == ST_TOO_LARGE) /* here: the answer, not the request */
        attempt_out->status =
            err_set_detail(err, ST_UNAVAILABLE, "the server's answer is too long");
    (void)err_wrap(err, "%s", what);
}

int64_t
openai_retry_wait_ms(const struct openai_attempt *attempt, unsigned n, int64_t left_ms)
{
    int64_t wait_ms = attempt->retry_after_ms;

    if (wait_ms > MAX_RETRY_AFTER_MS)
        return -1;
    if (wait_ms < 0) {
        wait_ms = n >= 4 ? 8000 : INT64_C(500) << n;
        wait_ms -= wait_ms * (int64_t)random_below(251) / 1000;
    }
    return wait_ms < left_ms ? wait_ms : -1;
}

void
openai_wait_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, &wait) == EINTR)
        continue;
}

int64_t
openai_left_ms(int64_t deadline_us)
{
    int64_t now_us = clock_mono_us(clock_system());

    return now_us >= deadline_us ? 0 : (deadline_us - now_us) / US_PER_MS;
}
