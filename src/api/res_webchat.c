/*
 * res_webchat.c - what the widget speaks: session, history, messages, events
 */
#include "api/api_documents.h"
#include "api/api_files.h"
#include "api/api_watch.h"
#include "channel/web_session.h"
#include "conversation/person.h"
#include "conversation/view.h"

#define HISTORY_MESSAGES 100

/* --- session: public, the channel's settings and a visitor's token --- */

struct session_body {
    struct str token, link;
};

/* A channel's secret signs; who asks needs none. The origin must be one that the channel lets. */
static enum status
verify_origin(const struct channel_record *record, void *arg, struct err *err)
{
    const struct api_call *call = arg;

    if (!str_eq_c(record->status, "active"))
        return err_set(err, ST_DENIED, "this chat is switched off");
    if (!web_request_is_allowed(record, call->req))
        return err_set(err, ST_DENIED, "pages of this origin may not use this chat");
    return ST_OK;
}

static void
copy_setting(json_t *body, const struct channel_record *record, const char *key)
{
    struct str value = json_get_str(record->settings, key);

    json_set(body, key, value.ptr == NULL ? json_null() : json_from_str(value));
}

/* --- a one-time link that the visitor shows --- */

#define LINKS_PER_MINUTE 60 /* of an organization's visitors together */

struct redeeming {
    struct api_call *call;
    struct str link;
    struct visitor_id visitor;
    int64_t now_us;
    enum link_outcome outcome;
};

/* A visitor who wrote nothing yet becomes a contact only for a link that is good. */
static enum status
redeem_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct redeeming *r = arg;
    const struct channel_record *channel = r->call->channel;
    struct contact_id contact;
    enum status st = contact_of_user(tx, channel, ID_STR(r->visitor), r->now_us, &contact, err);

    if (st == ST_OK)
        st = link_token_redeem(tx, r->link, channel->id, contact, r->now_us, &r->outcome, err);
    if (st == ST_OK && r->outcome == LINK_INVALID)
        st = err_set(err, ST_NOT_FOUND, "no such link"); /* so that nothing is changed */
    return st;
}

static enum status
redeem_link(struct api_call *call, struct str link, struct visitor_id visitor, bool *linked_out,
            struct err *err)
{
    struct redeeming r = {.call = call,
                          .link = link,
                          .visitor = visitor,
                          .now_us = clock_wall_us(call->config->clock)};
    enum status st = tenant_limit_take(call->config->tenants, call->scope, STR("link"),
                                       LINKS_PER_MINUTE, LINKS_PER_MINUTE, err);

    if (st == ST_OK)
        st = api_write(call, "webchat_link", redeem_work, &r, err);
    *linked_out = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
begin_session(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "token",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct session_body, token),
         .max_len = 400},
        {.key = "link",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct session_body, link),
         .max_len = 100},
        {.key = NULL},
    };
    struct session_body given = {.token = STR_EMPTY};
    struct web_session session = {.visitor = {{""}}};
    bool resumed, linked = false;
    struct str token;
    struct err ignored;
    json_t *body, *suggestions;
    enum status st = json_read(call->body, fields, &given, err);

    if (st == ST_OK)
        st = tenant_admit_webhook(call->config->tenants, STR("web"),
                                  http_request_param(call->req, "channel_id"), verify_origin, call,
                                  call->arena, &call->scope, &call->channel, err);
    if (st != ST_OK)
        return st;
    /* A token that is still good keeps its visitor; any other begins anew. */
    if (given.token.len > 0 && web_session_check(call->channel, given.token, call->config->clock,
                                                 &session, &ignored) != ST_OK)
        session.visitor = (struct visitor_id){{""}};
    resumed = !id_is_none(&session.visitor.id);
    if (!resumed)
        session.visitor = ID_NEW(visitor_id);
    if (given.link.len > 0)
        st = redeem_link(call, given.link, session.visitor, &linked, err);
    if (st != ST_OK)
        return st;
    st = web_session_issue(call->channel, session.visitor, call->config->clock, call->arena, &token,
                           err);
    if (st != ST_OK)
        return st;
    body = json_object();
    json_set_str(body, "token", token);
    json_set_bool(body, "resumed", resumed);
    if (given.link.len > 0)
        json_set_bool(body, "linked", linked);
    json_set_str(body, "name", call->channel->name);
    copy_setting(body, call->channel, "title");
    copy_setting(body, call->channel, "greeting");
    copy_setting(body, call->channel, "color");
    copy_setting(body, call->channel, "locale");
    suggestions = json_get_array(call->channel->settings, "suggestions");
    json_set(body, "suggestions", suggestions != NULL ? json_deep_copy(suggestions) : json_array());
    return api_reply(call, body);
}

/* --- history --- */

struct chat {
    struct api_call *call;
    int64_t after_seq;
    bool known;
    struct conversation conversation;
    struct message *messages;
    size_t count;
};

static enum status
read_chat(struct store_tx *tx, void *arg, struct err *err)
{
    struct chat *c = arg;
    struct arena *arena = c->call->arena;
    enum status st = conversation_get_by_chat(tx, c->call->channel->id, c->call->visitor_id, arena,
                                              &c->conversation, err);

    c->known = st == ST_OK && c->conversation.archived_at_us == 0;
    c->count = 0;
    if (st == ST_NOT_FOUND || !c->known)
        return st == ST_NOT_FOUND ? ST_OK : st;
    if (c->after_seq > 0)
        return message_list(tx, c->conversation.id, c->after_seq, HISTORY_MESSAGES, arena,
                            &c->messages, &c->count, err);
    return message_window(tx, c->conversation.id, INT64_MAX, HISTORY_MESSAGES, arena, &c->messages,
                          &c->count, err);
}

static json_t *
chat_json(const struct chat *c)
{
    json_t *body = json_object(), *list = json_array();
    size_t i;

    for (i = 0; i < c->count; i++)
        json_array_append_new(list, message_view(&c->messages[i]));
    json_set(body, "conversation_id",
             c->known ? json_from_str(ID_STR(c->conversation.id)) : json_null());
    json_set(body, "conversation_status",
             c->known ? json_from_str(c->conversation.status) : json_null());
    json_set_bool(body, "hand_off_to_human", c->known && c->conversation.hand_off_to_human);
    json_set_int(body, "answered_seq", c->known ? c->conversation.answered_seq : 0);
    json_set(body, "messages", list);
    return body;
}

static enum status
get_messages(struct api_call *call, struct err *err)
{
    struct chat c = {.call = call};
    struct str after = http_request_query(call->req, "after_seq");
    enum status st;

    if (after.len > 0 && (!str_to_i64(after, &c.after_seq) || c.after_seq < 0))
        return err_set(err, ST_INVALID, "after_seq: a number from 0");
    st = api_read(call, "webchat_messages", read_chat, &c, err);
    return st == ST_OK ? api_reply(call, chat_json(&c)) : st;
}

/* --- saying something --- */

struct posted {
    struct api_call *call;
    struct str external_message_id;
    struct message_id id;
    struct message message;
};

static enum status
read_posted(struct store_tx *tx, void *arg, struct err *err)
{
    struct posted *p = arg;

    if (id_is_none(&p->id.id)) { /* a repetition: the first one's row */
        enum status st = message_find_external(tx, STR("web"), p->external_message_id, &p->id, err);

        if (st != ST_OK)
            return st;
    }
    return message_get(tx, p->id, p->call->arena, &p->message, err);
}

static enum status
post_message(struct api_call *call, struct err *err)
{
    struct webhook webhook = {.body = call->req->body, .request = call->req};
    struct gateway_result result;
    struct posted p = {.call = call};
    struct str client_id = json_get_str(call->body, "client_message_id");
    json_t *body;
    enum status st = gateway_receive(call->config->gateway, call->scope, call->channel, &webhook,
                                     false, call->req->trace_id, call->arena, &result, err);

    if (st != ST_OK)
        return st;
    if (client_id.len == 0 || result.messages + result.duplicates == 0)
        return api_reply(call, json_object());
    p.id = result.message_id;
    p.external_message_id = arena_printf(call->arena, "%s:%.*s:%.*s", call->channel->id.id.text,
                                         STR_ARG(call->visitor_id), STR_ARG(client_id));
    st = api_read(call, "webchat_posted", read_posted, &p, err);
    if (st == ST_NOT_FOUND) /* a repeated event, such as "begin anew": nothing to show */
        return api_reply(call, json_object());
    if (st != ST_OK)
        return st;
    body = message_view(&p.message);
    json_set_bool(body, "duplicate", result.duplicates > 0);
    return api_reply(call, body);
}

/* --- files --- */

struct one_file {
    struct api_call *call;
    struct message_id id;
    struct message message;
};

/* Of this visitor's own chat. */
static enum status
read_own(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_file *f = arg;
    enum status st = message_get(tx, f->id, f->call->arena, &f->message, err);

    if (st == ST_OK && (!id_eq(&f->message.channel_id.id, &f->call->channel->id.id) ||
                        !str_eq(f->message.external_chat_id, f->call->visitor_id)))
        st = err_set(err, ST_NOT_FOUND, "no such message");
    return st;
}

static enum status
link_file(struct api_call *call, struct err *err)
{
    struct one_file f = {.call = call};
    enum status st = API_PATH_ID(call, "message_id", &f.id, err);

    if (st == ST_OK)
        st = api_read(call, "webchat_file", read_own, &f, err);
    return st == ST_OK
               ? api_file_link(call, &f.message, http_request_param(call->req, "number"), err)
               : st;
}

/* Where a source of this visitor's answer opens. */
static enum status
link_citation(struct api_call *call, struct err *err)
{
    struct one_file f = {.call = call};
    enum status st = API_PATH_ID(call, "message_id", &f.id, err);

    if (st == ST_OK)
        st = api_read(call, "webchat_citation", read_own, &f, err);
    return st == ST_OK
               ? api_citation_link(call, &f.message, http_request_param(call->req, "number"), err)
               : st;
}

/* --- events --- */

static enum status
watch(struct api_call *call, struct err *err)
{
    return api_watch_topic(call, chat_topic(call->channel->id, call->visitor_id, call->arena), NULL,
                           NULL, NULL, NULL, err);
}

#define VIEW_SCHEMA                                                                                \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"seq\":{\"type\":"         \
    "\"integer\"},\"role\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"},\"citations\":{"   \
    "\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"attachments\":{\"type\":\"array\","     \
    "\"items\":{\"type\":\"object\"}},\"client_message_id\":{\"type\":\"string\"}}}"

const struct api_operation api_webchat_operations[] = {
    {HTTP_POST, "/v1/webchat/{channel_id}/session", "webchat.session", "Web chat",
     "Begin or go on as a visitor: gives the token and how the chat looks", ACCESS_PUBLIC, 0,
     begin_session, HTTP_ROUTE_CORS, 4096,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"token\":{\"type\":"
     "\"string\"},\"link\":{\"type\":\"string\"}}}",
     "{\"type\":\"object\",\"properties\":{\"token\":{\"type\":\"string\"},\"resumed\":{\"type\":"
     "\"boolean\"},\"linked\":{\"type\":\"boolean\"},\"title\":{\"type\":[\"string\",\"null\"]}}}",
     NULL, 200},
    {HTTP_GET, "/v1/webchat/{channel_id}/messages", "webchat.messages", "Web chat",
     "The open conversation of this visitor", ACCESS_VISITOR, 0, get_messages, HTTP_ROUTE_CORS, 0,
     NULL,
     "{\"type\":\"object\",\"properties\":{\"conversation_id\":{\"type\":[\"string\",\"null\"]},"
     "\"messages\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}",
     "after_seq:integer:Only what came after", 200},
    {HTTP_POST, "/v1/webchat/{channel_id}/messages", "webchat.post", "Web chat",
     "Say something; the same client_message_id again has no effect", ACCESS_VISITOR, 0,
     post_message, HTTP_ROUTE_CORS, 64 * 1024,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"client_message_id\":{"
     "\"type\":\"string\"},\"text\":{\"type\":\"string\"},\"metadata\":{\"type\":\"object\"},"
     "\"new_conversation\":{\"type\":\"boolean\"}}}",
     VIEW_SCHEMA, NULL, 202},
    {HTTP_GET, "/v1/webchat/{channel_id}/messages/{message_id}/attachments/{number}/link",
     "webchat.attachment", "Web chat",
     "An expiring address of a file in this visitor's chat; number as the message says it",
     ACCESS_VISITOR, 0, link_file, HTTP_ROUTE_CORS, 0, NULL, API_LINK_SCHEMA, API_LINK_QUERY, 200},
    {HTTP_GET, "/v1/webchat/{channel_id}/messages/{message_id}/citations/{number}/link",
     "webchat.citation", "Web chat",
     "An expiring address that opens a source of an answer at its page or passage", ACCESS_VISITOR,
     0, link_citation, HTTP_ROUTE_CORS, 0, NULL, API_LINK_SCHEMA, API_LINK_QUERY, 200},
    {HTTP_GET, "/v1/webchat/{channel_id}/events", "webchat.events", "Web chat",
     "What happens in this visitor's chat, as server-sent events: message, answer_delta, "
     "answer_restart, reset, reconnect",
     ACCESS_VISITOR, 0, watch, HTTP_ROUTE_CORS, 0, NULL, NULL,
     "token:string:The visitor's token, where headers cannot be set;"
     "last_event_id:string:Go on after this event",
     200},
    {.path = NULL},
};
