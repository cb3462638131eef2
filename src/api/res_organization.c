/*
 * res_organization.c - the organization of the key, its people
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

const struct api_operation api_organization_operations[] = {
    {HTTP_GET, "/v1/organization", "organization.get", "Organization", "The key's organization",
     ACCESS_KEY, 0, get_organization, 0, 0, NULL,
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":"
     "\"string\"},\"slug\":{\"type\":\"string\"},\"status\":{\"type\":\"string\"},"
     "\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"}}}",
     NULL, 200},
    {HTTP_GET, "/v1/users", "users.list", "Organization", "The organization's people", ACCESS_KEY,
     SCOPE_ADMIN, list_users, 0, 0, NULL, API_PAGE_SCHEMA, NULL, 200},
    {.path = NULL},
};
