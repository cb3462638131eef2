/*
 * res_keys.c - API keys: shown once, listed by prefix, revoked
 */
#include "api/api_private.h"

struct key_body {
    struct str name, scopes, expires_at;
};

static json_t *
key_json(const struct api_key *key, struct arena *arena)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(key->id));
    json_set_str(row, "name", key->name);
    json_set_str(row, "prefix", key->prefix);
    json_set_str(row, "scopes", api_rights_format(key->scopes, key->roles, arena));
    json_set(row, "created_at", api_time(key->created_at_us));
    json_set(row, "expires_at", api_time(key->expires_at_us));
    json_set(row, "revoked_at", api_time(key->revoked_at_us));
    json_set(row, "last_used_at", api_time(key->last_used_at_us));
    return row;
}

static enum status
list_keys(struct api_call *call, struct err *err)
{
    struct api_key *keys = NULL;
    size_t count = 0, i;
    json_t *data;
    enum status st =
        api_key_list(call->config->tenants, call->scope, call->arena, &keys, &count, err);

    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count; i++)
        json_array_append_new(data, key_json(&keys[i], call->arena));
    return api_reply_page(call, data, STR(""));
}

static enum status
create_key(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct key_body, name),
         .max_len = 200},
        {.key = "scopes",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct key_body, scopes),
         .max_len = 400},
        {.key = "expires_at",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct key_body, expires_at),
         .max_len = 40},
        {.key = NULL},
    };
    struct key_body body = {.name = STR_EMPTY};
    struct api_key key;
    struct str secret, roles = STR_EMPTY;
    unsigned scopes = 0;
    int64_t expires_us = 0;
    json_t *row;
    enum status st = json_read(call->body, fields, &body, err);

    if (st == ST_OK)
        st = api_scopes_parse(body.scopes, &scopes, err);
    if (st == ST_OK)
        roles = api_roles_of(body.scopes, call->arena);
    if (st == ST_OK && ((scopes & ~call->principal.scopes) != 0 ||
                        !api_roles_include(call->principal.roles, roles)))
        st = err_set(err, ST_INVALID, "a key cannot give a scope or role that it does not have");
    if (st == ST_OK && body.expires_at.len > 0)
        st = time_parse_rfc3339(body.expires_at, &expires_us, err);
    if (st == ST_OK && expires_us != 0 && expires_us <= clock_wall_us(call->config->clock))
        st = err_set(err, ST_INVALID, "expires_at is in the past");
    if (st == ST_OK)
        st = api_key_create(call->config->tenants, call->scope, body.name, scopes, roles,
                            expires_us, call->arena, &key, &secret, err);
    if (st != ST_OK)
        return st;
    row = key_json(&key, call->arena);
    call->kept_answer =
        json_text(row, call->arena); /* a repetition does not show the secret again */
    json_set_str(row, "secret", secret);
    return api_reply(call, row);
}

static enum status
revoke_key(struct api_call *call, struct err *err)
{
    struct api_key_id id;
    enum status st = API_PATH_ID(call, "key_id", &id, err);

    if (st == ST_OK)
        st = api_key_revoke(call->config->tenants, call->scope, id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

const struct api_operation api_key_operations[] = {
    {HTTP_GET, "/v1/keys", "keys.list", "Keys", "API keys, without their secrets", ACCESS_KEY,
     SCOPE_ADMIN, list_keys, 0, 0, NULL, API_PAGE_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/keys", "keys.create", "Keys", "Make a key; its secret is shown this once",
     ACCESS_KEY, SCOPE_ADMIN, create_key, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\",\"scopes\"],"
     "\"properties\":{\"name\":{\"type\":\"string\"},\"scopes\":{\"type\":\"string\"},"
     "\"expires_at\":{\"type\":\"string\",\"format\":\"date-time\"}}}",
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"secret\":{\"type\":"
     "\"string\"}}}",
     NULL, 201},
    {HTTP_DELETE, "/v1/keys/{key_id}", "keys.revoke", "Keys", "Revoke a key", ACCESS_KEY,
     SCOPE_ADMIN, revoke_key, 0, 0, NULL, NULL, NULL, 204},
    {.path = NULL},
};
