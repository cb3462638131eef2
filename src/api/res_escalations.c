/*
 * res_escalations.c - answers that wait for a person: approve, override, close
 */
#include "api/api_files.h"

static json_t *
escalation_json(const struct escalation *e)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(e->id));
    json_set_str(row, "conversation_id", ID_STR(e->conversation_id));
    json_set_str(row, "message_id", ID_STR(e->message_id));
    json_set_str(row, "reason", e->reason);
    json_set_str(row, "draft", e->draft);
    json_set_str(row, "status", e->status);
    json_set_str(row, "resolved_by", e->resolved_by);
    json_set(row, "created_at", api_time(e->created_at_us));
    json_set(row, "resolved_at", api_time(e->resolved_at_us));
    return row;
}

struct escalations {
    struct arena *arena;
    struct str status;
    struct escalation_id id;
    size_t limit, count;
    struct escalation *list;
    struct escalation one;
};

static enum status
read_list(struct store_tx *tx, void *arg, struct err *err)
{
    struct escalations *e = arg;

    return escalation_list(tx, e->status, e->id, e->limit + 1, e->arena, &e->list, &e->count, err);
}

static enum status
read_one(struct store_tx *tx, void *arg, struct err *err)
{
    struct escalations *e = arg;

    return escalation_get(tx, e->id, e->arena, &e->one, err);
}

static enum status
list_escalations(struct api_call *call, struct err *err)
{
    struct escalations e = {.arena = call->arena};
    struct str next = STR("");
    struct api_page page;
    json_t *data;
    size_t i;
    enum status st = api_page_read(call, &page, err);

    e.limit = page.limit;
    e.status = http_request_query(call->req, "status");
    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &e.id, err);
    if (st == ST_OK)
        st = api_read(call, "escalation_list", read_list, &e, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < e.count && i < page.limit; i++)
        json_array_append_new(data, escalation_json(&e.list[i]));
    if (e.count > page.limit)
        next = ID_STR(e.list[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

static enum status
reply_one(struct api_call *call, struct escalation_id id, struct err *err)
{
    struct escalations e = {.arena = call->arena, .id = id};
    enum status st = api_read(call, "escalation_get", read_one, &e, err);

    return st == ST_OK ? api_reply(call, escalation_json(&e.one)) : st;
}

static enum status
get_escalation(struct api_call *call, struct err *err)
{
    struct escalation_id id;
    enum status st = API_PATH_ID(call, "escalation_id", &id, err);

    return st == ST_OK ? reply_one(call, id, err) : st;
}

struct resolve_body {
    struct str text;
    json_t *attachments;
};

static enum status
resolve(struct api_call *call, bool override, bool close_only, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "text",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct resolve_body, text),
         .max_len = 32000},
        {.key = "attachments",
         .kind = JSON_FIELD_ARRAY,
         .offset = offsetof(struct resolve_body, attachments)},
        {.key = NULL},
    };
    struct resolve_body body = {.text = STR_EMPTY};
    struct escalations e = {.arena = call->arena};
    struct api_files files = {.attachments = NULL};
    enum status st = API_PATH_ID(call, "escalation_id", &e.id, err);

    if (st == ST_OK)
        st = json_read(call->body, fields, &body, err);
    if (st == ST_OK && override && str_trim(body.text).len == 0)
        st = err_set(err, ST_INVALID, "text: what is to be sent instead of the draft");
    if (st == ST_OK && !override && (body.text.len > 0 || body.attachments != NULL))
        st = err_set(err, ST_INVALID, "text and attachments go with override");
    if (st == ST_OK)
        st = api_read(call, "escalation_get", read_one, &e, err);
    if (st == ST_OK)
        st = api_files_keep(call, e.one.conversation_id, body.text, body.attachments, &files, err);
    if (st == ST_OK)
        st = orchestrator_resolve(call->config->orchestrator, call->scope, e.id,
                                  call->principal.user_id, &files.words, close_only, call->arena,
                                  err);
    api_files_end(call, &files, st);
    return st == ST_OK ? reply_one(call, e.id, err) : st;
}

static enum status
approve(struct api_call *call, struct err *err)
{
    return resolve(call, false, false, err);
}

static enum status
override(struct api_call *call, struct err *err)
{
    return resolve(call, true, false, err);
}

static enum status
close_escalation(struct api_call *call, struct err *err)
{
    return resolve(call, false, true, err);
}

#define ESCALATION_SCHEMA                                                                          \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"conversation_id\":{"      \
    "\"type\":\"string\"},\"reason\":{\"type\":\"string\"},\"draft\":{\"type\":\"string\"},"       \
    "\"status\":{\"type\":\"string\",\"enum\":[\"open\",\"approved\",\"overridden\",\"closed\"]}}" \
    "}"

const struct api_operation api_escalation_operations[] = {
    {HTTP_GET, "/v1/escalations", "escalations.list", "Escalations", "Newest first", ACCESS_KEY,
     SCOPE_CONVERSATIONS_READ, list_escalations, 0, 0, NULL, API_PAGE_SCHEMA,
     API_PAGE_QUERY ";status:string:open, approved, overridden or closed", 200},
    {HTTP_GET, "/v1/escalations/{escalation_id}", "escalations.get", "Escalations",
     "One escalation", ACCESS_KEY, SCOPE_CONVERSATIONS_READ, get_escalation, 0, 0, NULL,
     ESCALATION_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/escalations/{escalation_id}/approve", "escalations.approve", "Escalations",
     "Send the draft as it is", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE, approve, 0, 0,
     "{\"type\":\"object\"}", ESCALATION_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/escalations/{escalation_id}/override", "escalations.override", "Escalations",
     "Send another text instead, with files if need be", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE,
     override, 0, API_FILES_BODY_MAX_BYTES,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"text\"],\"properties\":"
     "{\"text\":{\"type\":\"string\"},\"attachments\":" API_FILES_SCHEMA "}}",
     ESCALATION_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/escalations/{escalation_id}/close", "escalations.close", "Escalations",
     "Close it without a word", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE, close_escalation, 0, 0,
     "{\"type\":\"object\"}", ESCALATION_SCHEMA, NULL, 200},
    {.path = NULL},
};
