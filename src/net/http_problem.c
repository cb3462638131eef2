/*
 * http_problem.c - one place that turns a struct err into an HTTP answer
 */
#include "net/http_problem.h"

#include "base/buf.h"
#include "base/log.h"

static const struct {
    enum status code;
    int http_status;
} statuses[] = {
    {ST_INVALID, 400},     {ST_DENIED, 401},    {ST_NOT_FOUND, 404},
    {ST_CONFLICT, 409},    {ST_TOO_LARGE, 413}, {ST_BUSY, 429},
    {ST_UNAVAILABLE, 503}, {ST_UNCERTAIN, 503}, {ST_INTERNAL, 500},
};

int
http_status_of(enum status code)
{
    size_t i;

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].code == code)
            return statuses[i].http_status;
    return 500;
}

void
http_respond_err_status(const struct http_request *req, struct http_response *resp, int http_status,
                        const struct err *err)
{
    struct buf body;

    buf_init(&body, 4096);
    buf_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"",
               status_name(err->code), http_status);
    buf_append_json_escaped(&body, str_from_c(err->public_text));
    buf_append_c(&body, "\",\"trace_id\":\"");
    buf_append_json_escaped(&body, req->trace_id);
    buf_append_c(&body, "\"}");
    if (status_is_passing(err->code)) {
        int seconds = (err->retry_after_ms + 999) / 1000;

        http_respond_header(resp, "Retry-After",
                            arena_printf(req->arena, "%d", seconds > 0 ? seconds : 1));
    }
    if (http_status == 401)
        http_respond_header(resp, "WWW-Authenticate", STR("Bearer"));
    if (err->code == ST_INTERNAL || err->code == ST_UNCERTAIN)
        LOG_ERR(LOG_ERROR, "http.failed", err, log_str("path", req->path));
    http_respond(resp, http_status, "application/problem+json", buf_str(&body));
    buf_deinit(&body);
}

void
http_respond_err(const struct http_request *req, struct http_response *resp, const struct err *err)
{
    http_respond_err_status(req, resp, http_status_of(err->code), err);
}
