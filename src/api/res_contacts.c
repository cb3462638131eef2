/*
 * res_contacts.c - who people are on which channels: linked by staff, suggested, apart again
 */
#include "api/api_private.h"
#include "conversation/person.h"

struct one_contact {
    struct arena *arena;
    struct contact_id id, other;
    int64_t now_us;
    bool changed;
    struct contact contact;
    struct identity *identities;
    size_t identity_count;
    struct contact *linked;
    size_t linked_count;
    struct channel_id channel_id;
    struct str token;
};

struct contact_body {
    struct str contact_id, channel_id;
};

static enum status
begin(struct api_call *call, struct one_contact *o, struct err *err)
{
    *o = (struct one_contact){.arena = call->arena, .now_us = clock_wall_us(call->config->clock)};
    return API_PATH_ID(call, "contact_id", &o->id, err);
}

/* --- looking --- */

static enum status
get_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_contact *o = arg;
    enum status st = contact_get(tx, o->id, o->arena, &o->contact, err);

    if (st == ST_OK)
        st = contact_list_identities(tx, o->id, o->arena, &o->identities, &o->identity_count, err);
    if (st == ST_OK)
        st = contact_list_linked(tx, o->id, o->arena, &o->linked, &o->linked_count, err);
    return st;
}

static json_t *
identity_json(const struct identity *identity)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(identity->id));
    json_set_str(row, "channel_id", ID_STR(identity->channel_id));
    json_set_str(row, "source", identity->source);
    json_set_str(row, "external_user_id", identity->external_user_id);
    json_set_bool(row, "reachable", identity->reachable);
    return row;
}

static json_t *
linked_json(const struct one_contact *o)
{
    json_t *list = json_array();

    for (size_t i = 0; i < o->linked_count; i++) {
        const struct contact *contact = &o->linked[i];
        json_t *row;

        if (id_eq(&contact->id.id, &o->id.id))
            continue;
        row = json_object();
        json_set_str(row, "contact_id", ID_STR(contact->id));
        json_set_str(row, "display_name", contact->display_name);
        json_set_str(row, "linked_by", contact->linked_by);
        json_set(row, "linked_at", api_time(contact->linked_at_us));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *
contact_json(const struct contact *contact, const struct identity *identities, size_t count)
{
    json_t *row = json_object(), *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, identity_json(&identities[i]));
    json_set_str(row, "id", ID_STR(contact->id));
    json_set_str(row, "display_name", contact->display_name);
    json_set_str(row, "locale", contact->locale);
    json_set(row, "created_at", api_time(contact->created_at_us));
    json_set(row, "last_seen_at", api_time(contact->last_seen_at_us));
    json_set(row, "identities", list);
    return row;
}

static enum status
reply_contact(struct api_call *call, struct one_contact *o, struct err *err)
{
    json_t *row;
    enum status st = api_read(call, "contact_get", get_work, o, err);

    if (st != ST_OK)
        return st;
    row = contact_json(&o->contact, o->identities, o->identity_count);
    json_set(row, "linked", linked_json(o));
    return api_reply(call, row);
}

static enum status
get_contact(struct api_call *call, struct err *err)
{
    struct one_contact o;
    enum status st = begin(call, &o, err);

    return st == ST_OK ? reply_contact(call, &o, err) : st;
}

/* --- all of them --- */

#define FIND_MAX_LEN 200

struct contact_rows {
    struct str find;
    struct contact_id before;
    size_t limit, count; /* limit: one more than is shown */
    struct arena *arena;
    struct contact *list;
    struct identity **identities;
    size_t *identity_counts;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct contact_rows *c = arg;
    enum status st =
        contact_list(tx, c->find, c->before, c->limit, c->arena, &c->list, &c->count, err);

    c->identities = ARENA_NEW_N(c->arena, struct identity *, c->limit);
    c->identity_counts = ARENA_NEW_N(c->arena, size_t, c->limit);
    for (size_t i = 0; st == ST_OK && i < c->count; i++)
        st = contact_list_identities(tx, c->list[i].id, c->arena, &c->identities[i],
                                     &c->identity_counts[i], err);
    return st;
}

static enum status
list_contacts(struct api_call *call, struct err *err)
{
    struct contact_rows c = {.arena = call->arena, .find = http_request_query(call->req, "q")};
    struct str next = STR("");
    struct api_page page;
    json_t *data;
    enum status st = api_page_read(call, &page, err);

    if (st == ST_OK &&
        (c.find.len > FIND_MAX_LEN || !str_is_utf8(c.find) || str_find_byte(c.find, 0) >= 0))
        st = err_set(err, ST_INVALID, "q: a text of at most %d bytes", FIND_MAX_LEN);
    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &c.before, err);
    if (st != ST_OK)
        return st;
    c.limit = page.limit + 1;
    st = api_read(call, "contact_list", list_work, &c, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (size_t i = 0; i < c.count && i < page.limit; i++)
        json_array_append_new(data,
                              contact_json(&c.list[i], c.identities[i], c.identity_counts[i]));
    if (c.count > page.limit)
        next = ID_STR(c.list[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

/* --- linking --- */

static const struct json_field other_fields[] = {
    {.key = "contact_id",
     .kind = JSON_FIELD_STR,
     .required = true,
     .offset = offsetof(struct contact_body, contact_id),
     .max_len = 60},
    {.key = NULL},
};

/* The contact of the path, and the other one that the body names. */
static enum status
read_pair(struct api_call *call, struct one_contact *o, struct err *err)
{
    struct contact_body body = {.contact_id = STR_EMPTY};
    enum status st = begin(call, o, err);

    if (st == ST_OK)
        st = api_read(call, "contact_get", get_work, o, err);
    if (st == ST_OK)
        st = json_read(call->body, other_fields, &body, err);
    if (st == ST_OK && ID_PARSE(body.contact_id, &o->other, err) != ST_OK)
        st = err_set(err, ST_INVALID, "contact_id: the id of another contact");
    return st;
}

static enum status
link_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_contact *o = arg;

    return contact_link(tx, o->id, o->other, "staff", o->now_us, &o->changed, err);
}

static enum status
link_contacts(struct api_call *call, struct err *err)
{
    struct one_contact o;
    enum status st = read_pair(call, &o, err);

    if (st == ST_OK)
        st = api_write(call, "contact_link", link_work, &o, err);
    return st == ST_OK ? reply_contact(call, &o, err) : st;
}

static enum status
unlink_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_contact *o = arg;

    return contact_unlink(tx, o->id, err);
}

static enum status
unlink_contact(struct api_call *call, struct err *err)
{
    struct one_contact o;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = api_write(call, "contact_unlink", unlink_work, &o, err);
    return st == ST_OK ? reply_contact(call, &o, err) : st;
}

static enum status
dismiss_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_contact *o = arg;

    return link_suggestion_dismiss(tx, o->id, o->other, o->now_us, err);
}

static enum status
dismiss(struct api_call *call, struct err *err)
{
    struct one_contact o;
    enum status st = read_pair(call, &o, err);

    if (st == ST_OK)
        st = api_write(call, "link_dismiss", dismiss_work, &o, err);
    return st == ST_OK ? api_reply(call, json_object()) : st;
}

/* --- a link that opens the web chat as this contact --- */

static enum status
token_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_contact *o = arg;

    return link_token_make(tx, o->id, o->channel_id, o->now_us, o->arena, &o->token, err);
}

static enum status
check_web_channel(struct api_call *call, struct one_contact *o, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "channel_id",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct contact_body, channel_id),
         .max_len = 60},
        {.key = NULL},
    };
    struct contact_body body = {.channel_id = STR_EMPTY};
    const struct channel_record *record = NULL;
    enum status st = json_read(call->body, fields, &body, err);

    if (st == ST_OK && (ID_PARSE(body.channel_id, &o->channel_id, err) != ST_OK ||
                        channel_record_get(call->config->tenants, call->scope, o->channel_id,
                                           &record, err) != ST_OK ||
                        !str_eq_c(record->source, "web")))
        st = err_set(err, ST_INVALID, "channel_id: the id of a web chat");
    channel_record_unref(&record);
    return st;
}

static enum status
make_chat_link(struct api_call *call, struct err *err)
{
    struct str base = call->config->public_url;
    struct one_contact o;
    json_t *body;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = api_read(call, "contact_get", get_work, &o, err);
    if (st == ST_OK)
        st = check_web_channel(call, &o, err);
    if (st == ST_OK)
        st = api_write(call, "contact_chat_link", token_work, &o, err);
    if (st != ST_OK)
        return st;
    while (str_ends_with(base, STR("/")))
        base.len--;
    body = json_object();
    json_set(body, "expires_at", api_time(o.now_us + LINK_LASTS_US));
    call->kept_answer = json_text(body, call->arena); /* a repetition does not show it again */
    json_set_str(body, "url",
                 arena_printf(call->arena, "%.*s/chat/%s#link=%.*s", STR_ARG(base),
                              o.channel_id.id.text, STR_ARG(o.token)));
    return api_reply(call, body);
}

/* --- suggestions --- */

struct suggestions {
    struct arena *arena;
    struct contact_id after, after_other;
    size_t limit, count;
    struct link_suggestion *list;
};

static enum status
suggestions_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct suggestions *s = arg;

    return link_suggestion_list(tx, s->after, s->after_other, s->limit + 1, s->arena, &s->list,
                                &s->count, err);
}

static json_t *
suggestion_json(const struct link_suggestion *suggestion)
{
    json_t *row = json_object();

    json_set_str(row, "contact_id", ID_STR(suggestion->contact_id));
    json_set_str(row, "display_name", suggestion->display_name);
    json_set_str(row, "other_contact_id", ID_STR(suggestion->other_id));
    json_set_str(row, "other_display_name", suggestion->other_name);
    json_set_str(row, "reason", suggestion->reason);
    json_set_double(row, "score", suggestion->score);
    return row;
}

/* The cursor is "<contact>,<other>". */
static enum status
list_suggestions(struct api_call *call, struct err *err)
{
    struct suggestions s = {.arena = call->arena};
    struct str next = STR(""), first;
    struct api_page page;
    json_t *data;
    enum status st = api_page_read(call, &page, err);

    if (st == ST_OK && page.cursor.len > 0) {
        if (!str_split(&page.cursor, ',', &first))
            first = STR("");
        st = ID_PARSE(first, &s.after, err);
        if (st == ST_OK)
            st = ID_PARSE(page.cursor, &s.after_other, err);
    }
    if (st != ST_OK)
        return st;
    s.limit = page.limit;
    st = api_read(call, "link_suggestions", suggestions_work, &s, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (size_t i = 0; i < s.count && i < s.limit; i++)
        json_array_append_new(data, suggestion_json(&s.list[i]));
    if (s.count > s.limit) {
        const struct link_suggestion *last = &s.list[s.limit - 1];

        next = arena_printf(call->arena, "%s,%s", last->contact_id.id.text, last->other_id.id.text);
    }
    return api_reply_page(call, data, next);
}

#define CONTACT_SCHEMA                                                                             \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"display_name\":{"         \
    "\"type\":\"string\"},\"identities\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"    \
    "\"linked\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}"
#define OTHER_SCHEMA                                                                               \
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"contact_id\"],"           \
    "\"properties\":{\"contact_id\":{\"type\":\"string\"}}}"

const struct api_operation api_contact_operations[] = {
    {HTTP_GET, "/v1/contacts", "contacts.list", "Contacts",
     "Contacts with their identities, newest first", ACCESS_KEY, SCOPE_CONVERSATIONS_READ,
     list_contacts, 0, 0, NULL, API_PAGE_SCHEMA,
     API_PAGE_QUERY ";q:string:Only those whose name or address on a channel holds this", 200},
    {HTTP_GET, "/v1/contacts/{contact_id}", "contacts.get", "Contacts",
     "A contact, its identities, and who is the same person", ACCESS_KEY, SCOPE_CONVERSATIONS_READ,
     get_contact, 0, 0, NULL, CONTACT_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/contacts/{contact_id}/link", "contacts.link", "Contacts",
     "Say that another contact is the same person", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE,
     link_contacts, 0, 0, OTHER_SCHEMA, CONTACT_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/contacts/{contact_id}/unlink", "contacts.unlink", "Contacts",
     "Take the contact out of its person again", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE,
     unlink_contact, 0, 0, "{\"type\":\"object\"}", CONTACT_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/contacts/{contact_id}/dismiss", "contacts.dismiss", "Contacts",
     "Do not suggest again that these two are one", ACCESS_KEY, SCOPE_CONVERSATIONS_WRITE, dismiss,
     0, 0, OTHER_SCHEMA, "{\"type\":\"object\"}", NULL, 200},
    {HTTP_POST, "/v1/contacts/{contact_id}/chat-link", "contacts.chat_link", "Contacts",
     "A link that opens the web chat as this contact: once, within a day", ACCESS_KEY,
     SCOPE_CONVERSATIONS_WRITE, make_chat_link, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"channel_id\"],"
     "\"properties\":{\"channel_id\":{\"type\":\"string\"}}}",
     "{\"type\":\"object\",\"properties\":{\"url\":{\"type\":\"string\"},\"expires_at\":{\"type\":"
     "\"string\"}}}",
     NULL, 201},
    {HTTP_GET, "/v1/contact-suggestions", "contacts.suggestions", "Contacts",
     "Contacts that may be one person, by an equal number or address", ACCESS_KEY,
     SCOPE_CONVERSATIONS_READ, list_suggestions, 0, 0, NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {.path = NULL},
};
