/*
 * res_organization.c - the organization of the key, its people, its brand's persona
 */
#include "api/api_private.h"

static enum status
get_organization(struct api_call *call, struct err *err)
{
    struct organization organization;
    json_t *body;
    enum status st =
        organization_get(call->config->tenants, call->scope, call->arena, &organization, err);

    if (st != ST_OK)
        return st;
    body = json_object();
    json_set_str(body, "id", ID_STR(organization.id));
    json_set_str(body, "name", organization.name);
    json_set_str(body, "slug", organization.slug);
    json_set_str(body, "status", organization.status);
    json_set(body, "created_at", api_time(organization.created_at_us));
    return api_reply(call, body);
}

static enum status
list_users(struct api_call *call, struct err *err)
{
    struct user *users = NULL;
    size_t count = 0, i;
    json_t *data;
    enum status st =
        user_list(call->config->tenants, call->scope, call->arena, &users, &count, err);

    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count; i++) {
        json_t *row = json_object();

        json_set_str(row, "id", ID_STR(users[i].id));
        json_set_str(row, "email", users[i].email);
        json_set_str(row, "display_name", users[i].display_name);
        json_set_str(row, "role", users[i].role);
        json_set(row, "created_at", api_time(users[i].created_at_us));
        json_array_append_new(data, row);
    }
    return api_reply_page(call, data, STR(""));
}

struct brand_change {
    struct arena *arena;
    struct brand brand;
    struct str name;
    json_t *persona; /* NULL: unchanged */
};

static enum status
read_brand(struct store_tx *tx, void *arg, struct err *err)
{
    struct brand_change *c = arg;

    return brand_get(tx, (struct brand_id){{""}}, c->arena, &c->brand, err);
}

static enum status
write_brand(struct store_tx *tx, void *arg, struct err *err)
{
    struct brand_change *c = arg;
    enum status st = read_brand(tx, c, err);

    if (st != ST_OK)
        return st;
    if (c->name.ptr != NULL)
        c->brand.name = c->name;
    if (c->persona != NULL)
        c->brand.persona = json_text(c->persona, c->arena);
    return brand_update(tx, &c->brand, err);
}

static enum status
reply_brand(struct api_call *call, const struct brand *brand, struct err *err)
{
    json_t *body, *persona = NULL;
    enum status st = json_parse(brand->persona, &persona, err);

    if (st != ST_OK)
        return err_wrap(err, "stored persona");
    body = json_object();
    json_set_str(body, "id", ID_STR(brand->id));
    json_set_str(body, "name", brand->name);
    json_set(body, "persona", persona);
    return api_reply(call, body);
}

static enum status
get_brand(struct api_call *call, struct err *err)
{
    struct brand_change c = {.arena = call->arena};
    enum status st = api_read(call, "brand_get", read_brand, &c, err);

    return st == ST_OK ? reply_brand(call, &c.brand, err) : st;
}

/* What a persona may say; the orchestrator reads it. */
struct persona_fields {
    struct str text;
    double number;
    json_t *list;
    bool flag;
};

static enum status
check_synonyms(const json_t *list, struct err *err)
{
    enum status st = ST_OK;
    const json_t *group;
    size_t i;

    if (json_array_size(list) > INDEX_SYNONYMS_GROUPS)
        return err_set(err, ST_INVALID, "persona.synonyms: at most %d groups",
                       INDEX_SYNONYMS_GROUPS);
    json_array_foreach (list, i, group) {
        if (!json_is_string(group))
            return err_set(err, ST_INVALID,
                           "persona.synonyms: a list of lines, \"pram, stroller\"");
        if (st == ST_OK)
            st = index_synonyms_check(str_of(json_string_value(group), json_string_length(group)),
                                      err);
    }
    return st;
}

enum status
api_check_persona(const json_t *persona, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 200},
        {.key = "organization",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 200},
        {.key = "voice",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 2000},
        {.key = "language",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 16},
        {.key = "greeting",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 1000},
        {.key = "instructions",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 8000},
        {.key = "model",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 32},
        {.key = "min_confidence",
         .kind = JSON_FIELD_DOUBLE,
         .offset = offsetof(struct persona_fields, number)},
        {.key = "rerank", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct persona_fields, flag)},
        {.key = "synonyms",
         .kind = JSON_FIELD_ARRAY,
         .offset = offsetof(struct persona_fields, list)},
        {.key = NULL},
    };
    struct persona_fields read = {.number = 0};
    struct str model = json_get_str(persona, "model");
    enum status st = json_read(persona, fields, &read, err);

    if (st != ST_OK)
        return st;
    if (model.ptr != NULL && !str_eq_c(model, "default") && !str_eq_c(model, "extractive"))
        return err_set(err, ST_INVALID, "persona.model: \"default\" or \"extractive\"");
    if (read.number < 0 || read.number > 1)
        return err_set(err, ST_INVALID, "persona.min_confidence: a number from 0 to 1");
    return check_synonyms(read.list, err);
}

static enum status
put_brand(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct brand_change, name),
         .max_len = 200},
        {.key = "persona",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct brand_change, persona)},
        {.key = NULL},
    };
    struct brand_change c = {.arena = call->arena};
    enum status st = json_read(call->body, fields, &c, err);

    if (st == ST_OK && c.persona != NULL)
        st = api_check_persona(c.persona, err);
    if (st == ST_OK)
        st = api_write(call, "brand_update", write_brand, &c, err);
    return st == ST_OK ? reply_brand(call, &c.brand, err) : st;
}

#define BRAND_SCHEMA                                                                               \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":"        \
    "\"string\"},\"persona\":{\"type\":\"object\"}}}"

const struct api_operation api_organization_operations[] = {
    {HTTP_GET, "/v1/organization", "organization.get", "Organization", "The key's organization",
     ACCESS_KEY, 0, get_organization, 0, 0, NULL,
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":"
     "\"string\"},\"slug\":{\"type\":\"string\"},\"status\":{\"type\":\"string\"},"
     "\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"}}}",
     NULL, 200},
    {HTTP_GET, "/v1/users", "users.list", "Organization", "The organization's people", ACCESS_KEY,
     SCOPE_ADMIN, list_users, 0, 0, NULL, API_PAGE_SCHEMA, NULL, 200},
    {HTTP_GET, "/v1/brand", "brand.get", "Organization", "Name and persona of the brand",
     ACCESS_KEY, SCOPE_ADMIN, get_brand, 0, 0, NULL, BRAND_SCHEMA, NULL, 200},
    {HTTP_PUT, "/v1/brand", "brand.update", "Organization", "Change name or persona", ACCESS_KEY,
     SCOPE_ADMIN, put_brand, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":"
     "\"string\"},\"persona\":{\"type\":\"object\"}}}",
     BRAND_SCHEMA, NULL, 200},
    {.path = NULL},
};
