/*
 * res_conversations.c - conversations and messages: look, reply, take over, hand back, archive
 */
#include "api/api_files.h"
#include "api/api_watch.h"
#include "blob/blob.h"
#include "conversation/delivery.h"
#include "conversation/envelope.h"
#include "conversation/view.h"

/* --- conversations --- */

static json_t *
api_conversation_json(const struct conversation *c)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(c->id));
    json_set_str(row, "conversation_status", c->status);
    json_set_bool(row, "hand_off_to_human", c->hand_off_to_human);
    json_set_str(row, "title", c->title);
    json_set_str(row, "source", c->source);
    json_set_str(row, "channel_id", ID_STR(c->channel_id));
    json_set_str(row, "contact_id", ID_STR(c->contact_id));
    json_set_str(row, "contact_name", c->contact_name);
    json_set_str(row, "user_id", ID_STR(c->user_id));
    json_set_int(row, "last_seq", c->last_seq);
    json_set(row, "last_message_at", api_time(c->last_message_at_us));
    json_set(row, "created_at", api_time(c->created_at_us));
    json_set(row, "archived_at", api_time(c->archived_at_us));
    return row;
}

struct listing {
    struct arena *arena;
    struct conversation_filter filter;
    struct conversation_id id;
    size_t limit, count;
    int64_t after_seq;
    struct str kind;
    struct id_text before;
    struct conversation *conversations;
    struct message *messages;
    struct kept_event *events;
};

static enum status
read_conversations(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return conversation_list(tx, &l->filter, l->limit + 1, l->arena, &l->conversations, &l->count,
                             err);
}

/* The cursor is "<last_message_at>,<id>". */
static enum status
read_conversation_cursor(struct str cursor, struct conversation_filter *filter, struct err *err)
{
    struct str time;

    if (cursor.len == 0)
        return ST_OK;
    if (!str_split(&cursor, ',', &time) || !str_to_i64(time, &filter->before_last_message_us))
        return err_set(err, ST_INVALID, "cursor: not one of this list");
    return ID_PARSE(cursor, &filter->before_id, err);
}

static enum status
list_conversations(struct api_call *call, struct err *err)
{
    struct listing l = {.arena = call->arena};
    struct str contact = http_request_query(call->req, "contact_id"), next = STR("");
    struct api_page page;
    json_t *data;
    size_t i;
    enum status st = api_page_read(call, &page, err);

    l.limit = page.limit;
    l.filter.status = http_request_query(call->req, "status");
    if (st == ST_OK)
        st = read_conversation_cursor(page.cursor, &l.filter, err);
    if (st == ST_OK && contact.len > 0)
        st = ID_PARSE(contact, &l.filter.contact_id, err);
    if (st == ST_OK)
        st = api_read(call, "conversation_list", read_conversations, &l, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < l.count && i < page.limit; i++)
        json_array_append_new(data, api_conversation_json(&l.conversations[i]));
    if (l.count > page.limit) {
        const struct conversation *last = &l.conversations[page.limit - 1];

        next = arena_printf(call->arena, "%lld,%s", (long long)last->last_message_at_us,
                            last->id.id.text);
    }
    return api_reply_page(call, data, next);
}

struct one_conversation {
    struct conversation_id id;
    struct arena *arena;
    struct conversation conversation;
    int64_t now_us;
};

static enum status
read_conversation(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_conversation *o = arg;

    return conversation_get(tx, o->id, o->arena, &o->conversation, err);
}

static enum status
reply_conversation(struct api_call *call, struct conversation_id id, struct err *err)
{
    struct one_conversation o = {.id = id, .arena = call->arena};
    enum status st = api_read(call, "conversation_get", read_conversation, &o, err);

    return st == ST_OK ? api_reply(call, api_conversation_json(&o.conversation)) : st;
}

static enum status
get_conversation(struct api_call *call, struct err *err)
{
    struct conversation_id id;
    enum status st = API_PATH_ID(call, "conversation_id", &id, err);

    return st == ST_OK ? reply_conversation(call, id, err) : st;
}

/* --- messages --- */

static json_t *
api_message_json(const struct message *m)
{
    json_t *row = json_object(), *metadata = NULL;
    struct err err;

    json_set_str(row, "id", ID_STR(m->id));
    json_set_str(row, "conversation_id", ID_STR(m->conversation_id));
    json_set_int(row, "seq", m->seq);
    json_set_str(row, "role", m->role);
    json_set_str(row, "source", m->source);
    json_set_str(row, "channel_id", ID_STR(m->channel_id));
    json_set_str(row, "user_id", ID_STR(m->user_id));
    json_set_str(row, "external_message_id", m->external_message_id);
    json_set_str(row, "external_user_id", m->external_user_id);
    json_set_str(row, "external_chat_id", m->external_chat_id);
    json_set_str(row, "text", m->body);
    json_set_str(row, "delivery", m->delivery);
    json_set(row, "timestamp", api_time(m->provider_at_us));
    json_set(row, "created_at", api_time(m->created_at_us));
    if (m->deleted_at_us > 0)
        json_set(row, "deleted_at", api_time(m->deleted_at_us));
    if (m->answers_to_seq > 0) {
        json_set_int(row, "answers_from_seq", m->answers_from_seq);
        json_set_int(row, "answers_to_seq", m->answers_to_seq);
    }
    if (json_parse(m->metadata, &metadata, &err) == ST_OK)
        json_set(row, "metadata", metadata);
    return row;
}

static enum status
read_messages(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;
    struct conversation known;
    enum status st = conversation_get(tx, l->id, l->arena, &known, err);

    return st == ST_OK ? message_list(tx, l->id, l->after_seq, l->limit + 1, l->arena, &l->messages,
                                      &l->count, err)
                       : st;
}

static enum status
list_messages(struct api_call *call, struct err *err)
{
    struct listing l = {.arena = call->arena};
    struct str next = STR("");
    struct api_page page;
    json_t *data;
    size_t i;
    enum status st = API_PATH_ID(call, "conversation_id", &l.id, err);

    if (st == ST_OK)
        st = api_page_read(call, &page, err);
    if (st == ST_OK && page.cursor.len > 0 && !str_to_i64(page.cursor, &l.after_seq))
        st = err_set(err, ST_INVALID, "cursor: not one of this list");
    if (st != ST_OK)
        return st;
    l.limit = page.limit;
    st = api_read(call, "message_list", read_messages, &l, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < l.count && i < page.limit; i++)
        json_array_append_new(data, api_message_json(&l.messages[i]));
    if (l.count > page.limit)
        next = arena_printf(call->arena, "%lld", (long long)l.messages[page.limit - 1].seq);
    return api_reply_page(call, data, next);
}

struct one_message {
    struct message_id id;
    struct arena *arena;
    struct message message;
    struct conversation conversation;
    struct delivery_part *parts;
    size_t part_count;
};

static enum status
read_message(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_message *o = arg;
    enum status st = message_get(tx, o->id, o->arena, &o->message, err);

    if (st == ST_OK)
        st = delivery_list(tx, o->id, o->arena, &o->parts, &o->part_count, err);
    return st == ST_OK
               ? conversation_get(tx, o->message.conversation_id, o->arena, &o->conversation, err)
               : st;
}

/* What the rows say of a message, in the envelope's words. record may be NULL: the channel is gone.
 */
static struct envelope_rows
rows_of(const struct one_message *o, const struct organization *organization,
        const struct channel_record *record)
{
    const struct message *message = &o->message;
    bool inbound = str_eq_c(message->role, "user");
    struct str account =
        record == NULL || record->account.len == 0 ? ID_STR(message->channel_id) : record->account;
    struct str person = inbound ? message->external_user_id : message->external_chat_id;

    return (struct envelope_rows){
        .channel_type = message->source,
        .primary_channel = o->conversation.source,
        .conversation_id = ID_STR(o->conversation.id),
        .conversation_status = o->conversation.status,
        .thread_id = o->conversation.thread_id,
        .from = inbound ? person : account,
        .to = inbound ? account : person,
        .body = message->body,
        .message_id = ID_STR(message->id),
        .company_id = ID_STR(organization->id),
        .project_id = ID_STR(o->conversation.brand_id),
        .company_name = organization->name,
        .credentials_reference = record == NULL ? STR_EMPTY : record->credentials_reference,
        .timestamp_us =
            message->provider_at_us != 0 ? message->provider_at_us : message->created_at_us,
        .hand_off_to_human = o->conversation.hand_off_to_human,
    };
}

static enum status
add_envelope(struct api_call *call, const struct one_message *o, json_t *body, struct err *err)
{
    const struct channel_record *record = NULL;
    struct organization organization;
    json_t *envelope = NULL;
    enum status st =
        organization_get(call->config->tenants, call->scope, call->arena, &organization, err);

    if (st == ST_OK)
        st = channel_record_get(call->config->tenants, call->scope, o->message.channel_id, &record,
                                err);
    if (st == ST_OK || st == ST_NOT_FOUND) {
        struct envelope_rows rows = rows_of(o, &organization, record);

        st = envelope_complete(o->message.envelope, &rows, &envelope, err);
    }
    if (st == ST_OK)
        json_set(body, "envelope", envelope);
    channel_record_unref(&record);
    return st;
}

/* Long messages leave in several parts. */
static void
add_parts(const struct one_message *o, json_t *body)
{
    json_t *parts = json_array();

    for (size_t i = 0; i < o->part_count; i++) {
        json_t *part = json_object();

        json_set_str(part, "state", o->parts[i].state);
        json_set_str(part, "external_message_id", o->parts[i].external_message_id);
        json_set_str(part, "reason", o->parts[i].reason);
        json_set(part, "updated_at", api_time(o->parts[i].updated_at_us));
        json_array_append_new(parts, part);
    }
    json_set(body, "parts", parts);
}

/* With its envelope: what each step learned, and when. */
static enum status
get_message(struct api_call *call, struct err *err)
{
    struct one_message o = {.arena = call->arena};
    json_auto_t *body = NULL;
    enum status st = API_PATH_ID(call, "message_id", &o.id, err);

    if (st == ST_OK)
        st = api_read(call, "message_get", read_message, &o, err);
    if (st != ST_OK)
        return st;
    body = api_message_json(&o.message);
    if (o.message.delivery.len > 0)
        add_parts(&o, body);
    if (!str_eq_c(o.message.envelope, "{}")) /* messages of people have none */
        st = add_envelope(call, &o, body, err);
    return st == ST_OK ? api_reply(call, json_incref(body)) : st;
}

/* An address of what came with a message, which needs no key and expires. */
static enum status
link_attachment(struct api_call *call, struct err *err)
{
    struct one_message o = {.arena = call->arena};
    enum status st = API_PATH_ID(call, "message_id", &o.id, err);

    if (st == ST_OK)
        st = api_read(call, "message_get", read_message, &o, err);
    return st == ST_OK
               ? api_file_link(call, &o.message, http_request_param(call->req, "number"), err)
               : st;
}

/* --- what staff does --- */

struct reply_body {
    struct str text;
    json_t *attachments;
};

static enum status
read_reply(struct api_call *call, struct reply_body *body, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "text",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct reply_body, text),
         .max_len = 32000},
        {.key = "attachments",
         .kind = JSON_FIELD_ARRAY,
         .offset = offsetof(struct reply_body, attachments)},
        {.key = NULL},
    };
    enum status st = json_read(call->body, fields, body, err);

    if (st == ST_OK && str_trim(body->text).len == 0 && json_array_size(body->attachments) == 0)
        st = err_set(err, ST_INVALID, "text is missing or empty, and there are no attachments");
    return st;
}

static enum status
reply_as_agent(struct api_call *call, struct err *err)
{
    struct reply_body body = {.text = STR_EMPTY};
    struct api_files files = {.attachments = NULL};
    struct conversation_id id;
    struct message said;
    enum status st = API_PATH_ID(call, "conversation_id", &id, err);

    if (st == ST_OK)
        st = read_reply(call, &body, err);
    if (st == ST_OK)
        st = api_files_keep(call, id, body.text, body.attachments, &files, err);
    if (st == ST_OK)
        st = orchestrator_staff_reply(call->config->orchestrator, call->scope, id,
                                      call->principal.user_id, &files.words, call->arena, &said,
                                      err);
    api_files_end(call, &files, st);
    return st == ST_OK ? api_reply(call, api_message_json(&said)) : st;
}

static enum status
hand_over(struct api_call *call, bool on, struct err *err)
{
    struct conversation_id id;
    enum status st = API_PATH_ID(call, "conversation_id", &id, err);

    if (st == ST_OK)
        st = orchestrator_hand_over(call->config->orchestrator, call->scope, id,
                                    call->principal.user_id, on, call->arena, err);
    return st == ST_OK ? reply_conversation(call, id, err) : st;
}

static enum status
take_over(struct api_call *call, struct err *err)
{
    return hand_over(call, true, err);
}

static enum status
hand_back(struct api_call *call, struct err *err)
{
    return hand_over(call, false, err);
}

static enum status
archive_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_conversation *o = arg;
    enum status st = conversation_archive(tx, o->id, o->now_us, err);

    return st == ST_OK ? conversation_get(tx, o->id, o->arena, &o->conversation, err) : st;
}

static enum status
archive(struct api_call *call, struct err *err)
{
    struct one_conversation o = {.arena = call->arena,
                                 .now_us = clock_wall_us(call->config->clock)};
    enum status st = API_PATH_ID(call, "conversation_id", &o.id, err);

    if (st == ST_OK)
        st = api_write(call, "conversation_archive", archive_work, &o, err);
    if (st != ST_OK)
        return st;
    chat_publish_reset(call->config->live, call->scope, o.conversation.channel_id,
                       o.conversation.external_chat_id, call->arena);
    return api_reply(call, api_conversation_json(&o.conversation));
}

struct resending {
    struct api_call *call;
    struct message_id id;
};

static enum status
resend_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct resending *r = arg;

    return gateway_resend(r->call->config->gateway, tx, r->id, err);
}

static enum status
resend(struct api_call *call, struct err *err)
{
    struct resending r = {.call = call};
    enum status st = API_PATH_ID(call, "message_id", &r.id, err);

    if (st == ST_OK)
        st = api_write(call, "message_resend", resend_work, &r, err);
    return st == ST_OK ? api_reply(call, json_object()) : st;
}

/* --- kept events and quarantine --- */

static enum status
read_events(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return channel_event_list(tx, l->kind, l->before, l->limit + 1, l->arena, &l->events, &l->count,
                              err);
}

static enum status
read_quarantine(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return quarantine_list(tx, l->before, l->limit + 1, l->arena, &l->events, &l->count, err);
}

static json_t *
event_json(const struct kept_event *event, struct arena *arena)
{
    json_t *row = json_object();

    json_set_str(row, "id", id_str(&event->id));
    json_set_str(row, "channel_id", ID_STR(event->channel_id));
    json_set_str(row, "kind", event->kind);
    json_set(row, "created_at", api_time(event->created_at_us));
    if (str_is_utf8(event->payload))
        json_set_str(row, "raw", event->payload);
    else
        json_set_str(row, "raw",
                     arena_printf(arena, "(%zu bytes that are not text)", event->payload.len));
    return row;
}

static enum status
list_kept(struct api_call *call, const char *name, store_work work, struct err *err)
{
    struct listing l = {.arena = call->arena};
    struct str next = STR("");
    struct api_page page;
    json_t *data;
    size_t i;
    enum status st = api_page_read(call, &page, err);

    l.limit = page.limit;
    l.kind = http_request_query(call->req, "kind");
    if (st == ST_OK && page.cursor.len > 0)
        st = id_parse(page.cursor, &l.before, err);
    if (st == ST_OK)
        st = api_read(call, name, work, &l, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < l.count && i < page.limit; i++)
        json_array_append_new(data, event_json(&l.events[i], call->arena));
    if (l.count > page.limit)
        next = id_str(&l.events[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

static enum status
list_events(struct api_call *call, struct err *err)
{
    return list_kept(call, "channel_event_list", read_events, err);
}

static enum status
list_quarantine(struct api_call *call, struct err *err)
{
    return list_kept(call, "quarantine_list", read_quarantine, err);
}

#define CONVERSATION_SCHEMA                                                                        \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"conversation_status\":{"  \
    "\"type\":\"string\",\"enum\":[\"user_reply_received\",\"ai_response_sent\",\"handed_off\","   \
    "\"awaiting_approval\",\"failed\",\"archived\"]},\"hand_off_to_human\":{\"type\":\"boolean\"}" \
    ","                                                                                            \
    "\"title\":{\"type\":\"string\"},\"source\":{\"type\":\"string\"},\"last_message_at\":{"       \
    "\"type\":\"string\",\"format\":\"date-time\"}}}"
#define MESSAGE_SCHEMA                                                                             \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"seq\":{\"type\":"         \
    "\"integer\"},\"role\":{\"type\":\"string\",\"enum\":[\"user\",\"assistant\",\"agent\","       \
    "\"system\"]},\"text\":{\"type\":\"string\"},\"delivery\":{\"type\":\"string\"},\"metadata\":" \
    "{\"type\":\"object\"},\"parts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"        \
    "\"envelope\":{\"type\":\"object\"},\"deleted_at\":{\"type\":\"string\",\"format\":\"date-"    \
    "time\"}}}"
#define REPLY_SCHEMA                                                                               \
    "{\"type\":\"object\",\"additionalProperties\":false,\"anyOf\":[{\"required\":[\"text\"]},"    \
    "{\"required\":[\"attachments\"]}],\"properties\":{\"text\":{\"type\":\"string\"},"            \
    "\"attachments\":" API_FILES_SCHEMA "}}"
#define NO_BODY_SCHEMA "{\"type\":\"object\"}"

/* What happens in the organization's conversations, for its people. */
static enum status
watch_inbox(struct api_call *call, struct err *err)
{
    return api_watch_topic(call, STR("inbox"), NULL, NULL, NULL, NULL, err);
}

const struct api_operation api_conversation_operations[] = {
    {HTTP_GET, "/v1/conversations", "conversations.list", "Conversations",
     "Conversations, newest message first", ACCESS_KEY, SCOPE_CONVERSATIONS_READ,
     list_conversations, 0, 0, NULL, API_PAGE_SCHEMA,
     API_PAGE_QUERY
     ";status:string:Only this conversation_status;contact_id:string:Only this contact",
     200},
    {HTTP_GET, "/v1/conversations/{conversation_id}", "conversations.get", "Conversations",
     "One conversation", ACCESS_KEY, SCOPE_CONVERSATIONS_READ, get_conversation, 0, 0, NULL,
     CONVERSATION_SCHEMA, NULL, 200},
    {HTTP_GET, "/v1/conversations/{conversation_id}/messages", "conversations.messages",
     "Conversations", "Its messages, oldest first", ACCESS_KEY, SCOPE_CONVERSATIONS_READ,
     list_messages, 0, 0, NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {HTTP_POST, "/v1/conversations/{conversation_id}/messages", "conversations.reply",
     "Conversations", "Say something as a person of the team, with files if need be", ACCESS_KEY,
     SCOPE_CONVERSATIONS_WRITE, reply_as_agent, 0, API_FILES_BODY_MAX_BYTES, REPLY_SCHEMA,
     MESSAGE_SCHEMA, NULL, 201},
    {HTTP_POST, "/v1/conversations/{conversation_id}/take-over", "conversations.take_over",
     "Conversations", "A person takes the conversation; the assistant is silent", ACCESS_KEY,
     SCOPE_CONVERSATIONS_WRITE, take_over, 0, 0, NO_BODY_SCHEMA, CONVERSATION_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/conversations/{conversation_id}/hand-back", "conversations.hand_back",
     "Conversations", "Give it back to the assistant", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE,
     hand_back, 0, 0, NO_BODY_SCHEMA, CONVERSATION_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/conversations/{conversation_id}/archive", "conversations.archive",
     "Conversations", "End it; the next message begins a new one", ACCESS_KEY,
     SCOPE_CONVERSATIONS_WRITE, archive, 0, 0, NO_BODY_SCHEMA, CONVERSATION_SCHEMA, NULL, 200},
    {HTTP_GET, "/v1/messages/{message_id}", "messages.get", "Conversations",
     "One message with its envelope", ACCESS_KEY, SCOPE_CONVERSATIONS_READ, get_message, 0, 0, NULL,
     MESSAGE_SCHEMA, NULL, 200},
    {HTTP_GET, "/v1/messages/{message_id}/attachments/{number}/link", "messages.attachment",
     "Conversations", "An expiring address of what came with a message; number counts from 0",
     ACCESS_KEY, SCOPE_CONVERSATIONS_READ, link_attachment, 0, 0, NULL, API_LINK_SCHEMA,
     API_LINK_QUERY, 200},
    {HTTP_GET, "/v1/inbox/events", "inbox.watch", "Conversations",
     "Live: conversations that wait for a person, what became of what was sent, and messages that "
     "their writers deleted",
     ACCESS_KEY, SCOPE_CONVERSATIONS_READ, watch_inbox, 0, 0, NULL, NULL, NULL, 200},
    {HTTP_POST, "/v1/messages/{message_id}/resend", "messages.resend", "Conversations",
     "Send a failed or uncertain message again", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE, resend, 0,
     0, NO_BODY_SCHEMA, "{\"type\":\"object\"}", NULL, 202},
    {HTTP_GET, "/v1/channel-events", "channel_events.list", "Operation",
     "Reactions, edits, blocks and kinds we do not know, kept raw; deletions (ids alone)",
     ACCESS_KEY, SCOPE_OPERATE, list_events, 0, 0, NULL, API_PAGE_SCHEMA,
     API_PAGE_QUERY ";kind:string:Only this kind", 200},
    {HTTP_GET, "/v1/quarantine", "quarantine.list", "Operation",
     "Verified requests that could not be read, kept raw", ACCESS_KEY, SCOPE_OPERATE,
     list_quarantine, 0, 0, NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {.path = NULL},
};
