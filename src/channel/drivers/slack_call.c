/*
 * slack_call.c - one call of a Web API method, and its outcome sorted
 *
 * Slack answers 200 also when it refuses: "ok" and "error" say what happened. Only an answer that
 * is Slack's JSON is believed about the message or the recipient; an HTML page comes from something
 * on the way, and says "later".
 */
#include "channel/drivers/slack.h"

#include <string.h>

#include "text/json.h"

#define ANSWER_MAX_BYTES (4 * 1024 * 1024)
#define RETRY_AFTER_MAX_MS 3600000
#define BUSY_WAIT_MS 1000
#define ERROR_MAX_BYTES 80
#define READ_DEADLINE_MS 20000

/* Others are at fault themselves: ST_INVALID. */
static const struct sorted {
    const char *error;
    enum status status;
} sorted_errors[] = {
    {"ratelimited", ST_BUSY},
    {"rate_limited", ST_BUSY},
    {"service_unavailable", ST_UNAVAILABLE},
    {"request_timeout", ST_UNAVAILABLE},
    {"team_added_to_org", ST_UNAVAILABLE},
    /* "Some aspect of the operation may have succeeded before the error was raised." */
    {"internal_error", ST_UNCERTAIN},
    {"fatal_error", ST_UNCERTAIN},
    {"invalid_auth", ST_DENIED},
    {"not_authed", ST_DENIED},
    {"account_inactive", ST_DENIED},
    {"token_revoked", ST_DENIED},
    {"token_expired", ST_DENIED},
    {"missing_scope", ST_DENIED},
    {"no_permission", ST_DENIED},
    {"not_allowed_token_type", ST_DENIED},
    {"org_login_required", ST_DENIED},
    {"ekm_access_denied", ST_DENIED},
    {"access_denied", ST_DENIED},
    {"app_missing_action_url", ST_DENIED},
    {"channel_not_found", ST_NOT_FOUND},
    {"not_in_channel", ST_NOT_FOUND},
    {"is_archived", ST_NOT_FOUND},
    {"user_not_found", ST_NOT_FOUND},
    {"user_disabled", ST_NOT_FOUND},
    {"cannot_dm_bot", ST_NOT_FOUND},
    {"messages_tab_disabled", ST_NOT_FOUND},
    {"restricted_action", ST_NOT_FOUND},
    {"restricted_action_read_only_channel", ST_NOT_FOUND},
    {"restricted_action_thread_only_channel", ST_NOT_FOUND},
    {"restricted_action_non_threadable_channel", ST_NOT_FOUND},
    {"restricted_action_thread_locked", ST_NOT_FOUND},
    {"thread_locked", ST_NOT_FOUND},
    {"message_limit_exceeded", ST_NOT_FOUND},
    {"file_not_found", ST_NOT_FOUND},
    {"file_deleted", ST_NOT_FOUND},
    {"msg_too_long", ST_TOO_LARGE},
    {"message_not_found", ST_CONFLICT},
    {"cant_update_message", ST_CONFLICT},
    {"cant_delete_message", ST_CONFLICT},
    {"edit_window_closed", ST_CONFLICT},
    {"unknown_method", ST_INTERNAL},
};

static const char *const block_errors[] = {"invalid_blocks", "invalid_blocks_format",
                                           "msg_blocks_too_long"};

static void
set_wait(struct err *err, enum status st, int retry_after_ms)
{
    if (!status_is_passing(st))
        return;
    err->retry_after_ms = retry_after_ms > 0 ? retry_after_ms : st == ST_BUSY ? BUSY_WAIT_MS : 0;
    if (err->retry_after_ms > RETRY_AFTER_MAX_MS)
        err->retry_after_ms = RETRY_AFTER_MAX_MS;
}

static enum status
sort_refusal(int http_status, const json_t *answer, int retry_after_ms, bool *blocks_refused_out,
             struct err *err)
{
    struct str error = json_get_str(answer, "error");
    enum status st = http_status >= 500 ? ST_UNAVAILABLE : ST_INVALID;

    for (size_t i = 0; i < sizeof sorted_errors / sizeof sorted_errors[0]; i++)
        if (str_eq_c(error, sorted_errors[i].error))
            st = sorted_errors[i].status;
    if (http_status == 429)
        st = ST_BUSY;
    for (size_t i = 0; i < sizeof block_errors / sizeof block_errors[0]; i++)
        *blocks_refused_out = *blocks_refused_out || str_eq_c(error, block_errors[i]);
    error = str_sub(error, 0, str_utf8_floor(error, ERROR_MAX_BYTES));
    err_set(err, st, "Slack: %.*s", STR_ARG(error));
    set_wait(err, st, retry_after_ms);
    return st;
}

enum status
slack_sort_answer(int http_status, struct str body, int retry_after_ms, json_t **answer_out,
                  bool *blocks_refused_out, struct err *err)
{
    json_auto_t *answer = NULL;
    struct err parse_err;
    bool ignored = false, *refused = blocks_refused_out == NULL ? &ignored : blocks_refused_out;
    bool is_success = http_status >= 200 && http_status < 300;
    bool is_slack = json_parse(body, &answer, &parse_err) == ST_OK &&
                    json_is_boolean(json_object_get(answer, "ok"));

    *answer_out = NULL;
    *refused = false;
    if (is_slack && !json_get_bool(answer, "ok", false))
        return sort_refusal(http_status, answer, retry_after_ms, refused, err);
    if (is_slack && is_success) {
        *answer_out = json_incref(answer);
        return ST_OK;
    }
    if (is_success)
        return err_set_detail(err, ST_UNCERTAIN, "slack %d: the answer cannot be read",
                              http_status);
    /* Not Slack's words: something between us and Slack. Only "too large" is plain. */
    enum status st = http_status == 413   ? ST_TOO_LARGE
                     : http_status == 429 ? ST_BUSY
                                          : ST_UNAVAILABLE;

    err_set_detail(err, st, "http %d without Slack's JSON", http_status);
    set_wait(err, st, retry_after_ms);
    return st;
}

static enum status
call_with(struct slack_channel *slack, const char *method, struct str type, struct str body,
          unsigned deadline_ms, struct arena *arena, json_t **answer_out, bool *blocks_refused_out,
          struct err *err)
{
    const struct http_header headers[] = {
        {.name = "Authorization", .value = str_from_c(slack->authorization)},
        {.name = "Content-Type", .value = type}};
    const struct http_call call = {
        .method = "POST",
        .url = arena_printf(arena, "%.*s/%s", STR_ARG(slack->api_base), method),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .body = body,
        .deadline_ms = deadline_ms,
        .max_response_bytes = ANSWER_MAX_BYTES,
    };
    struct http_reply reply;

    *answer_out = NULL;
    if (blocks_refused_out != NULL)
        *blocks_refused_out = false;
    enum status st = http_client_call(slack->base.env->http, &call, arena, &reply, err);
    if (st == ST_OK)
        st = slack_sort_answer(reply.status, reply.body, reply.retry_after_ms, answer_out,
                               blocks_refused_out, err);
    else if (st == ST_TOO_LARGE)
        /* It answered, at length: whatever was asked has been done. */
        st = err_set_detail(err, ST_UNCERTAIN, "the answer was too large");
    return st == ST_OK ? ST_OK : err_wrap(err, "slack %s", method);
}

enum status
slack_call(struct slack_channel *slack, const char *method, const json_t *parameters,
           unsigned deadline_ms, struct arena *arena, json_t **answer_out, bool *blocks_refused_out,
           struct err *err)
{
    return call_with(slack, method, STR("application/json; charset=utf-8"),
                     json_text(parameters, arena), deadline_ms, arena, answer_out,
                     blocks_refused_out, err);
}

enum status
slack_read(struct slack_channel *slack, const char *method, struct buf *form, struct arena *arena,
           json_t **answer_out, struct err *err)
{
    enum status st = buf_check(form, err);

    *answer_out = NULL;
    if (st == ST_OK)
        st = call_with(slack, method, STR("application/x-www-form-urlencoded"), buf_str(form),
                       READ_DEADLINE_MS, arena, answer_out, NULL, err);
    /* Nothing was changed: without an answer it is simply to be done again. */
    return st == ST_UNCERTAIN ? err_set(err, ST_UNAVAILABLE, "Slack did not answer") : st;
}
