/*
 * res_channels.c - connected accounts: add, look at, change, check, remove
 *
 * Credentials go in and never come out: answers hold the reference alone.
 */
#include "api/api_private.h"
#include "channel/channel_check.h"
#include "gateway/gateway.h"

struct channel_body {
    struct str source, name, status;
    json_t *settings, *credentials;
    bool is_checked; /* ask the provider before it is kept */
};

struct breaker_look {
    struct channel_id id;
    int64_t now_us;
    struct arena *arena;
    struct channel_breaker breaker;
};

static enum status
look_at_breaker(struct store_tx *tx, void *arg, struct err *err)
{
    struct breaker_look *look = arg;

    return channel_breaker_get(tx, look->id, look->now_us, look->arena, &look->breaker, err);
}

static json_t *
breaker_json(const struct channel_breaker *breaker)
{
    json_t *json = json_object();
    char time[32];

    json_set_str(json, "state", str_from_c(breaker->state));
    if (breaker->until_us != 0) {
        json_set_str(json, "until", time_format_rfc3339(breaker->until_us, time));
        json_set_str(json, "reason", breaker->reason);
    }
    return json;
}

static enum status
channel_json(struct api_call *call, const struct channel_record *record, json_t **out,
             struct err *err)
{
    struct breaker_look look = {
        .id = record->id, .now_us = clock_wall_us(call->config->clock), .arena = call->arena};
    struct str base = call->config->public_url;
    json_t *row;
    enum status st = store_read(call->config->store, call->scope, "channel_breaker",
                                look_at_breaker, &look, err);

    if (st != ST_OK)
        return st;
    row = json_object();

    json_set_str(row, "id", ID_STR(record->id));
    json_set_str(row, "source", record->source);
    json_set_str(row, "name", record->name);
    json_set_str(row, "account", record->account);
    json_set_str(row, "status", record->status);
    json_set_str(row, "status_reason", record->status_reason);
    json_set_str(row, "brand_id", ID_STR(record->brand_id));
    json_set_str(row, "user_id", ID_STR(record->user_id));
    json_set_str(row, "credentials_reference", record->credentials_reference);
    json_set(row, "settings", json_deep_copy(record->settings));
    json_set(row, "breaker", breaker_json(&look.breaker));
    if (base.len > 0)
        json_set_str(row, "webhook_url",
                     arena_printf(call->arena, "%.*s/webhooks/%.*s/%s", STR_ARG(base),
                                  STR_ARG(record->source), record->id.id.text));
    *out = row;
    return ST_OK;
}

static enum status
get_record(struct api_call *call, const struct channel_record **record_out, struct err *err)
{
    struct channel_id id;
    enum status st = API_PATH_ID(call, "channel_id", &id, err);

    return st == ST_OK ? channel_record_get(call->config->tenants, call->scope, id, record_out, err)
                       : st;
}

static enum status
reply_channel(struct api_call *call, struct channel_id id, json_t *check, struct err *err)
{
    const struct channel_record *record = NULL;
    json_t *row = NULL;
    enum status st = channel_record_get(call->config->tenants, call->scope, id, &record, err);

    if (st == ST_OK)
        st = channel_json(call, record, &row, err);
    channel_record_unref(&record);
    if (st == ST_OK && check != NULL)
        json_set(row, "check", json_incref(check));
    return st == ST_OK ? api_reply(call, row) : st;
}

static json_t *
check_json(const struct channel_check *check)
{
    json_t *json = json_object();

    json_set_str(json, "account", check->account);
    json_set(json, "webhook_url",
             check->is_registered ? json_from_str(check->webhook_url) : json_null());
    if (check->can_read)
        json_set_str(json, "registered_url", check->registered_url);
    if (check->trouble.len > 0)
        json_set_str(json, "trouble", check->trouble);
    if (check->setup.len > 0)
        json_set_str(json, "setup", check->setup);
    return json;
}

/* check_out: also of a failure after the credentials were proven. */
static enum status
ask_provider(struct api_call *call, const struct channel_record *record,
             struct channel_check *check_out, struct err *err)
{
    struct channel *channel = NULL;
    enum status st = channel_acquire(call->config->channels, record, &channel, err);

    *check_out = (struct channel_check){.is_proven = false};
    if (st == ST_OK)
        st = channel_check(channel, true, call->arena, check_out, err);
    channel_release(&channel);
    return st;
}

static enum status
list_channels(struct api_call *call, struct err *err)
{
    struct channel_id *ids = NULL;
    size_t count = 0, i;
    json_t *data;
    enum status st =
        channel_list(call->config->tenants, call->scope, &ids, &count, call->arena, err);

    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; st == ST_OK && i < count; i++) {
        const struct channel_record *record = NULL;
        json_t *row = NULL;

        st = channel_record_get(call->config->tenants, call->scope, ids[i], &record, err);
        if (st == ST_OK)
            st = channel_json(call, record, &row, err);
        if (st == ST_OK)
            json_array_append_new(data, row);
        channel_record_unref(&record);
    }
    if (st == ST_OK)
        return api_reply_page(call, data, STR(""));
    json_decref(data);
    return st;
}

static const struct json_field channel_fields[] = {
    {.key = "source",
     .kind = JSON_FIELD_STR,
     .offset = offsetof(struct channel_body, source),
     .max_len = 40},
    {.key = "name",
     .kind = JSON_FIELD_STR,
     .offset = offsetof(struct channel_body, name),
     .max_len = 200},
    {.key = "status",
     .kind = JSON_FIELD_STR,
     .offset = offsetof(struct channel_body, status),
     .max_len = 20},
    {.key = "settings",
     .kind = JSON_FIELD_OBJECT,
     .offset = offsetof(struct channel_body, settings)},
    {.key = "credentials",
     .kind = JSON_FIELD_OBJECT,
     .offset = offsetof(struct channel_body, credentials)},
    {.key = "check", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct channel_body, is_checked)},
    {.key = NULL},
};

/* The provider's word about the channel, not ours about the caller. unasked: what "check": false
 * does. */
static enum status
refuse_credentials(const char *unasked, struct err *err)
{
    const struct err said = *err;

    if (said.code == ST_DENIED)
        return err_set(err, ST_INVALID, "the provider refuses the credentials: %s",
                       said.public_text);
    if (said.code == ST_UNCERTAIN || said.code == ST_INTERNAL || status_is_passing(said.code)) {
        (void)err_set(err, ST_UNAVAILABLE,
                      "the provider cannot be asked (%.64s): nothing was %s unasked",
                      said.public_text, unasked);
        return err_wrap(err, "%s", said.detail);
    }
    return err_set(err, ST_INVALID, "%s", said.public_text);
}

/* A channel whose credentials do not work is not kept. A webhook that could not be registered is
 * told: everything else is there already. */
static enum status
check_new(struct api_call *call, struct channel_id id, json_t **check_out, struct err *err)
{
    const struct channel_record *record = NULL;
    struct channel_check check = {.is_proven = false};
    struct err undo;
    enum status st = channel_record_get(call->config->tenants, call->scope, id, &record, err);

    if (st == ST_OK)
        st = ask_provider(call, record, &check, err);
    channel_record_unref(&record);
    if (st != ST_OK && !check.is_proven) {
        if (channel_delete(call->config->tenants, call->scope, id, &undo) != ST_OK) {
            *err = undo;
            return err_wrap(err, "remove the channel again");
        }
        return refuse_credentials("added; \"check\": false adds the channel", err);
    }
    *check_out = check_json(&check);
    if (st != ST_OK)
        json_set_str(*check_out, "registration_failed", str_from_c(err->public_text));
    return ST_OK;
}

static enum status
create_channel(struct api_call *call, struct err *err)
{
    struct channel_body body = {.is_checked = true};
    json_auto_t *none = json_object(), *check = NULL;
    struct channel_spec spec;
    struct channel_id id;
    enum status st = json_read(call->body, channel_fields, &body, err);

    if (st != ST_OK)
        return st;
    if (body.source.len == 0)
        return err_set(err, ST_INVALID, "source: which kind of channel, such as \"telegram\"");
    spec = (struct channel_spec){
        .source = body.source,
        .name = body.name.len > 0 ? body.name : body.source,
        .settings = body.settings == NULL ? none : body.settings,
        .credentials = body.credentials == NULL ? none : body.credentials,
    };
    st = channel_check_spec(call->config->channels, &spec, call->arena, err);
    if (st != ST_OK)
        return st;
    st = channel_create(call->config->tenants, call->scope, &spec, &id, err);
    channel_spec_deinit(&spec);
    if (st == ST_OK && body.is_checked)
        st = check_new(call, id, &check, err);
    return st == ST_OK ? reply_channel(call, id, check, err) : st;
}

static enum status
get_channel(struct api_call *call, struct err *err)
{
    const struct channel_record *record = NULL;
    json_t *row = NULL;
    enum status st = get_record(call, &record, err);

    if (st == ST_OK)
        st = channel_json(call, record, &row, err);
    channel_record_unref(&record);
    return st == ST_OK ? api_reply(call, row) : st;
}

/* The given keys over those that are stored; the driver checks the whole. */
static json_t *
merged(const json_t *stored, json_t *given)
{
    json_t *whole = json_deep_copy(stored);

    if (given != NULL)
        json_object_update(whole, given);
    return whole;
}

static enum status
read_change(struct api_call *call, struct channel_body *body, struct err *err)
{
    enum status st;

    *body = (struct channel_body){.is_checked = true};
    st = json_read(call->body, channel_fields, body, err);
    if (st == ST_OK && body->credentials == NULL && json_object_get(call->body, "check") != NULL)
        st = err_set(err, ST_INVALID,
                     "check goes with credentials: else ask with POST /v1/channels/{id}/check");
    if (st == ST_OK && body->source.len > 0)
        st = err_set(err, ST_INVALID, "source cannot be changed: add another channel");
    if (st == ST_OK && body->status.len > 0 && !str_eq_c(body->status, "active") &&
        !str_eq_c(body->status, "disabled"))
        st = err_set(err, ST_INVALID, "status: \"active\" or \"disabled\"");
    return st;
}

/* Before anything is stored: credentials that the provider refuses change nothing. */
static enum status
try_credentials(struct api_call *call, const struct channel_record *record,
                const struct channel_spec *spec, struct err *err)
{
    const struct channel_record *draft = channel_record_draft(record, spec);
    struct channel *channel = NULL;
    struct str account;
    enum status st = channel_open_draft(call->config->channels, draft, &channel, err);

    if (st == ST_OK)
        st = channel_probe(channel, call->arena, &account, err);
    channel_release(&channel);
    channel_record_unref(&draft);
    return st == ST_OK ? ST_OK : refuse_credentials("changed; \"check\": false changes them", err);
}

/* Of credentials that are proven and stored: the webhook, which may carry them, is registered
 * again, and what was broken for the old ones is mended. */
static enum status
reconnect(struct api_call *call, struct channel_id id, json_t **check_out, struct err *err)
{
    const struct channel_record *record = NULL;
    struct channel_check check = {.is_proven = false};
    struct err failed;
    enum status st = channel_record_get(call->config->tenants, call->scope, id, &record, err);

    if (st != ST_OK || str_eq_c(record->status, "disabled")) {
        channel_record_unref(&record);
        return st;
    }
    if (ask_provider(call, record, &check, &failed) != ST_OK) {
        *check_out = check_json(&check);
        json_set_str(*check_out, "registration_failed", str_from_c(failed.public_text));
    } else {
        *check_out = check_json(&check);
    }
    if (!str_eq_c(record->status, "active"))
        st =
            channel_set_status(call->config->tenants, call->scope, id, STR("active"), STR(""), err);
    channel_record_unref(&record);
    return st;
}

static enum status
update_channel(struct api_call *call, struct err *err)
{
    struct channel_body body;
    const struct channel_record *record = NULL;
    json_t *settings = NULL, *credentials = NULL;
    json_auto_t *check = NULL;
    struct channel_spec spec;
    struct channel_id id;
    enum status st = read_change(call, &body, err);

    if (st == ST_OK)
        st = get_record(call, &record, err);
    if (st != ST_OK)
        return st;
    id = record->id;
    settings = merged(record->settings, body.settings);
    credentials = merged(record->credentials, body.credentials);
    spec = (struct channel_spec){.source = record->source,
                                 .name = body.name,
                                 .settings = settings,
                                 .credentials = credentials};
    st = channel_check_spec(call->config->channels, &spec, call->arena, err);
    if (st == ST_OK) {
        if (body.credentials != NULL && body.is_checked)
            st = try_credentials(call, record, &spec, err);
        if (st == ST_OK)
            st = channel_update(call->config->tenants, call->scope, id, &spec, err);
        channel_spec_deinit(&spec);
    }
    json_decref(settings);
    json_decref(credentials);
    channel_record_unref(&record);
    if (st == ST_OK && body.status.len > 0)
        st = channel_set_status(call->config->tenants, call->scope, id, body.status, STR(""), err);
    if (st == ST_OK && body.credentials != NULL && body.is_checked)
        st = reconnect(call, id, &check, err);
    return st == ST_OK ? reply_channel(call, id, check, err) : st;
}

static enum status
delete_channel(struct api_call *call, struct err *err)
{
    struct channel_id id;
    enum status st = API_PATH_ID(call, "channel_id", &id, err);

    if (st == ST_OK)
        st = channel_delete(call->config->tenants, call->scope, id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

/* Asks the provider whether the credentials work; registers the webhook where that is possible. */
static enum status
check_channel(struct api_call *call, struct err *err)
{
    const struct channel_record *record = NULL;
    struct channel_check check;
    enum status st = get_record(call, &record, err);

    if (st == ST_OK)
        st = ask_provider(call, record, &check, err);
    if (st == ST_OK && !str_eq_c(record->status, "active"))
        st = channel_set_status(call->config->tenants, call->scope, record->id, STR("active"),
                                STR(""), err);
    channel_record_unref(&record);
    if (st == ST_DENIED) { /* the provider's word about the channel, not ours about the caller */
        const struct err said = *err;

        return err_set(err, ST_CONFLICT, "the provider refuses the channel's credentials: %s",
                       said.public_text);
    }
    return st == ST_OK ? api_reply(call, check_json(&check)) : st;
}

#define CHECK_SCHEMA                                                                               \
    "{\"type\":\"object\",\"properties\":{\"account\":{\"type\":\"string\"},\"webhook_url\":{"     \
    "\"type\":[\"string\",\"null\"]},\"registered_url\":{\"type\":\"string\"},\"trouble\":{"       \
    "\"type\":"                                                                                    \
    "\"string\"},\"setup\":{\"type\":\"string\"},\"registration_failed\":{\"type\":\"string\"}}}"
#define CHANNEL_SCHEMA                                                                             \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"check\":" CHECK_SCHEMA    \
    ",\"breaker\":{\"type\":"                                                                      \
    "\"object\",\"properties\":{\"state\":{\"type\":\"string\",\"enum\":[\"closed\",\"open\","     \
    "\"half_open\"]},\"until\":{\"type\":\"string\",\"format\":\"date-time\"},\"reason\":{"        \
    "\"type\":\"string\"}}},\"source\":{\"type\":"                                                 \
    "\"string\"},\"name\":{\"type\":\"string\"},\"account\":{\"type\":\"string\"},\"status\":"     \
    "{\"type\":\"string\",\"enum\":[\"active\",\"disabled\",\"broken\"]},\"settings\":{\"type\":"  \
    "\"object\"},\"webhook_url\":{\"type\":\"string\"}}}"
#define CHANNEL_CHANGE_SCHEMA                                                                      \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":"      \
    "\"string\"},\"status\":{\"type\":\"string\",\"enum\":[\"active\",\"disabled\"]},"             \
    "\"settings\":{\"type\":\"object\"},\"credentials\":{\"type\":\"object\"},\"check\":{"         \
    "\"type\":"                                                                                    \
    "\"boolean\",\"default\":true}}}"

const struct api_operation api_channel_operations[] = {
    {HTTP_GET, "/v1/channels", "channels.list", "Channels", "Connected accounts", ACCESS_KEY,
     SCOPE_ADMIN, list_channels, 0, 0, NULL, API_PAGE_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/channels", "channels.create", "Channels", "Connect an account", ACCESS_KEY,
     SCOPE_ADMIN, create_channel, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"source\"],"
     "\"properties\":{\"source\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
     "\"settings\":{\"type\":\"object\"},\"credentials\":{\"type\":\"object\"},"
     "\"check\":{\"type\":\"boolean\",\"default\":true}}}",
     CHANNEL_SCHEMA, NULL, 201},
    {HTTP_GET, "/v1/channels/{channel_id}", "channels.get", "Channels", "One channel", ACCESS_KEY,
     SCOPE_ADMIN, get_channel, 0, 0, NULL, CHANNEL_SCHEMA, NULL, 200},
    {HTTP_PATCH, "/v1/channels/{channel_id}", "channels.update", "Channels",
     "Change name, status, settings or credentials; what is left out stays", ACCESS_KEY,
     SCOPE_ADMIN, update_channel, 0, 0, CHANNEL_CHANGE_SCHEMA, CHANNEL_SCHEMA, NULL, 200},
    {HTTP_DELETE, "/v1/channels/{channel_id}", "channels.delete", "Channels", "Disconnect",
     ACCESS_KEY, SCOPE_ADMIN, delete_channel, 0, 0, NULL, NULL, NULL, 204},
    {HTTP_POST, "/v1/channels/{channel_id}/check", "channels.check", "Channels",
     "Ask the provider whether the credentials work, and register the webhook", ACCESS_KEY,
     SCOPE_ADMIN, check_channel, 0, 0, "{\"type\":\"object\"}", CHECK_SCHEMA, NULL, 200},
    {.path = NULL},
};
