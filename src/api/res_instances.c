/*
 * res_instances.c - the processes that serve: the same for every organization, and nothing of any
 */
#include "api/api_private.h"
#include "tenant/instance.h"

static enum status
list(struct api_call *call, struct err *err)
{
    struct instance_row *rows = NULL;
    json_t *data;
    size_t count = 0;
    enum status st = instance_list(call->config->tenants, call->arena, &rows, &count, err);

    if (st != ST_OK)
        return st;
    data = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_object();

        json_set_str(row, "id", id_str(&rows[i].id));
        json_set_str(row, "host", rows[i].host);
        json_set_int(row, "pid", rows[i].pid);
        json_set_str(row, "roles", rows[i].roles);
        json_set_str(row, "version", rows[i].version);
        json_set_str(row, "status", rows[i].gone ? STR("gone") : STR("running"));
        json_set_int(row, "duties", rows[i].duties);
        json_set(row, "started_at", api_time(rows[i].started_at_us));
        json_set(row, "heartbeat_at", api_time(rows[i].heartbeat_at_us));
        json_array_append_new(data, row);
    }
    return api_reply_page(call, data, STR_EMPTY);
}

const struct api_operation api_instance_operations[] = {
    {HTTP_GET, "/v1/instances", "instances.list", "Operation",
     "The processes that serve, with roles, version and last heartbeat", ACCESS_KEY, SCOPE_OPERATE,
     list, 0, 0, NULL, API_PAGE_SCHEMA, NULL, 200},
    {.path = NULL},
};
