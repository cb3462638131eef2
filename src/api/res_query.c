/*
 * res_query.c - a question in, an answer with citations out; streamed on request
 */
#include <stdlib.h>

#include "api/api_documents.h"
#include "base/log.h"
#include "base/thread.h"
#include "knowledge/question_filter.h"

#define HISTORY_MAX 20
#define ARENA_BYTES (64u * 1024 * 1024)

struct query_body {
    struct str question, locale;
    json_t *history, *filters;
    bool stream, staff, drafts;
};

static json_t *
answer_json(const struct api_config *config, const struct tenant_scope *scope,
            const struct question *question, const struct answer *answer, struct arena *arena)
{
    static const char *const kinds[] = {"answer", "courtesy", "no_answer", "person_wanted",
                                        "no_text"};
    json_t *body = json_object();
    json_t *citations = answer_citations_json(answer->citations, answer->citation_count);

    api_citations_add_urls(config, scope, !question->staff, arena, citations);

    json_set_str(body, "kind", str_from_c(kinds[answer->kind]));
    json_set_str(body, "answer", answer->text);
    json_set_double(body, "confidence", answer->confidence);
    json_set(body, "citations", citations);
    json_set(body, "snippets", answer_citations_json(answer->passages, answer->passage_count));
    json_set_str(body, "model", answer->model_name);
    json_set_str(body, "language", answer->language);
    json_set(body, "timings", answer_timings_json(answer));
    return body;
}

static enum status
read_history(const json_t *list, struct arena *arena, struct question *question, struct err *err)
{
    size_t count = json_array_size(list), i;
    struct message *messages;

    if (count > HISTORY_MAX)
        return err_set(err, ST_INVALID, "history: at most %d messages", HISTORY_MAX);
    messages = ARENA_NEW_N(arena, struct message, count + 1);
    for (i = 0; i < count; i++) {
        const json_t *row = json_array_get(list, i);

        messages[i].role = json_get_str(row, "role");
        messages[i].body = json_get_str(row, "text");
        if (messages[i].body.ptr == NULL ||
            (!str_eq_c(messages[i].role, "user") && !str_eq_c(messages[i].role, "assistant")))
            return err_set(err, ST_INVALID,
                           "history: a list of {\"role\": \"user\" or \"assistant\", \"text\"}");
        messages[i].role = arena_str(arena, messages[i].role);
        messages[i].body = arena_str(arena, messages[i].body);
    }
    question->history = messages;
    question->history_count = count;
    return ST_OK;
}

/* What the body says beside its texts, into the arena. */
static enum status
read_lists(const struct query_body *body, struct arena *arena, struct question *question,
           struct err *err)
{
    struct index_filter *filter = ARENA_NEW(arena, struct index_filter);
    enum status st =
        body->history == NULL ? ST_OK : read_history(body->history, arena, question, err);

    if (st == ST_OK && body->filters != NULL)
        st = question_filter_read(body->filters, arena, filter, err);
    filter->with_drafts = body->drafts;
    question->filter = filter;
    return st;
}

/* --- streamed: made on a thread of its own, because the answer begins when the handler ends --- */

struct streaming {
    struct api *api;
    const struct api_config *config;
    struct arena *arena;
    const struct tenant_scope *scope;
    struct question question;
    struct http_stream *stream;
};

static void
stream_event(struct streaming *s, const char *event, json_t *data)
{
    struct err err;

    /* A client that left is noticed by stream_text; the last event may find nobody. */
    (void)!http_stream_send(s->stream, STR_EMPTY, str_from_c(event), json_text(data, s->arena),
                            &err);
    json_decref(data);
}

static bool
stream_text(struct str piece, void *context)
{
    struct streaming *s = context;
    json_auto_t *data = json_object();
    struct err err;

    json_set_str(data, "text", piece);
    return http_stream_send(s->stream, STR_EMPTY, STR("delta"), json_text(data, s->arena), &err) ==
           ST_OK;
}

static void
stream_restart(void *context)
{
    stream_event(context, "restart", json_object());
}

static void
run_streaming(void *arg)
{
    struct streaming *s = arg;
    struct answer_stream stream = {stream_text, stream_restart, s, NULL};
    struct answer answer;
    struct err err;

    if (orchestrator_answer(s->config->orchestrator, s->scope, &s->question, &stream, s->arena,
                            &answer, &err) == ST_OK) {
        stream_event(s, "answer",
                     answer_json(s->config, s->scope, &s->question, &answer, s->arena));
    } else {
        json_t *data = json_object();

        LOG_ERR(LOG_ERROR, "query.failed", &err);
        json_set_str(data, "detail", str_from_c(err.public_text));
        stream_event(s, "error", data);
    }
    http_stream_close(s->stream);
    http_stream_unref(&s->stream);
    arena_destroy(&s->arena);
    free(s);
}

static enum status
answer_streaming(struct api_call *call, const struct question *question,
                 const struct query_body *body, struct err *err)
{
    const struct http_stream_config config = {.max_pending_bytes = 0};
    struct streaming *s = calloc(1, sizeof(*s));
    enum status st;

    if (s == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for another stream");
    s->api = call->api;
    s->config = call->config;
    s->arena = arena_create(ARENA_BYTES);
    s->scope = tenant_scope_copy_to(call->scope, s->arena);
    s->question = *question;
    s->question.text = arena_str(s->arena, question->text);
    s->question.locale = arena_str(s->arena, question->locale);
    s->question.roles = arena_str(s->arena, question->roles);
    st = read_lists(body, s->arena, &s->question, err);
    if (st == ST_OK) {
        s->stream = http_respond_stream(call->resp, &config);
        call->answered = true;
        st = thread_pool_submit(api_streamers_of(call->api), run_streaming, s, err);
    }
    if (st == ST_OK)
        return ST_OK;
    if (s->stream != NULL) { /* too late for a status: the stream says it */
        stream_event(s, "error", json_pack("{s:s}", "detail", err->public_text));
        http_stream_close(s->stream);
        http_stream_unref(&s->stream);
    }
    arena_destroy(&s->arena);
    free(s);
    return st;
}

static enum status
query(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "question",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct query_body, question),
         .max_len = QUESTION_MAX_BYTES},
        {.key = "history",
         .kind = JSON_FIELD_ARRAY,
         .offset = offsetof(struct query_body, history)},
        {.key = "filters",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct query_body, filters)},
        {.key = "locale",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct query_body, locale),
         .max_len = 35},
        {.key = "stream", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct query_body, stream)},
        {.key = "staff", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct query_body, staff)},
        {.key = "drafts", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct query_body, drafts)},
        {.key = NULL},
    };
    struct query_body body = {.question = STR_EMPTY, .locale = STR("")};
    struct question question = {.text = STR_EMPTY};
    struct str accept = http_request_header(call->req, "Accept");
    struct answer answer;
    enum status st = json_read(call->body, fields, &body, err);

    if (st == ST_OK && str_trim(body.question).len == 0)
        st = err_set(err, ST_INVALID, "question is empty");
    if (st == ST_OK && (body.staff || body.drafts) &&
        (call->principal.scopes & SCOPE_QUERY_STAFF) == 0)
        st = err_set(err, ST_DENIED, "this key lacks the scope query:staff");
    if (st == ST_DENIED) {
        http_respond_err_status(call->req, call->resp, 403, err);
        call->answered = true;
        return st;
    }
    if (st != ST_OK)
        return st;
    question = (struct question){.text = body.question,
                                 .locale = body.locale,
                                 .staff = body.staff,
                                 .roles = call->principal.roles};
    if (body.stream || str_eq_c(accept, "text/event-stream"))
        return answer_streaming(call, &question, &body, err);
    st = read_lists(&body, call->arena, &question, err);
    if (st == ST_OK)
        st = orchestrator_answer(call->config->orchestrator, call->scope, &question, NULL,
                                 call->arena, &answer, err);
    return st == ST_OK ? api_reply(call, answer_json(call->config, call->scope, &question, &answer,
                                                     call->arena))
                       : st;
}

#define TEXTS                                                                                      \
    "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":"    \
    "\"string\"}}]}"

const struct api_operation api_query_operations[] = {
    {HTTP_POST, "/v1/query", "query", "Knowledge",
     "Ask the documents. With \"stream\" or Accept: text/event-stream the answer comes as events "
     "delta, restart, answer, error",
     ACCESS_KEY, SCOPE_QUERY, query, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"question\"],"
     "\"properties\":{\"question\":{\"type\":\"string\"},\"history\":{\"type\":\"array\",\"items\":"
     "{\"type\":\"object\",\"required\":[\"role\",\"text\"],\"properties\":{\"role\":{\"type\":"
     "\"string\",\"enum\":[\"user\",\"assistant\"]},\"text\":{\"type\":\"string\"}}}},\"filters\":{"
     "\"type\":\"object\",\"additionalProperties\":false,\"description\":\"Only passages of "
     "documents "
     "that are so; of a list one is enough\",\"properties\":{"
     "\"brand_id\":" TEXTS ",\"audience\":" TEXTS ",\"language\":" TEXTS ",\"source_id\":" TEXTS
     ",\"kind\":" TEXTS ",\"category\":" TEXTS ",\"tone\":" TEXTS ",\"content_type\":" TEXTS
     ",\"dated_from\":{\"type\":\"string\"},\"dated_to\":{\"type\":\"string\"}}},\"locale\":{"
     "\"type\":\"string\"},\"stream\":{\"type\":\"boolean\"},\"staff\":{\"type\":\"boolean\"},"
     "\"drafts\":{\"type\":\"boolean\",\"description\":\"As if all drafts of documents were "
     "published; needs query:staff\"}}}",
     "{\"type\":\"object\",\"properties\":{\"kind\":{\"type\":\"string\",\"enum\":[\"answer\","
     "\"courtesy\",\"no_answer\",\"person_wanted\",\"no_text\"]},\"answer\":{\"type\":\"string\"},"
     "\"confidence\":{\"type\":\"number\"},\"citations\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"object\"}},\"snippets\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"timings\":{"
     "\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}}}",
     NULL, 200},
    {.path = NULL},
};
