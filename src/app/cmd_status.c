/*
 * cmd_status.c - parley status: which processes serve; whether channels' providers take what is
 * sent
 */
#include <stdio.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "base/log.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)
#define PAGE 100 /* organizations at a time */

/* As GET /v1/instances says it. */
static json_t *
rows_json(const struct instance_row *rows, size_t count)
{
    json_t *data = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *row = json_object();
        char time[32];

        json_set_str(row, "id", id_str(&rows[i].id));
        json_set_str(row, "host", rows[i].host);
        json_set_int(row, "pid", rows[i].pid);
        json_set_str(row, "roles", rows[i].roles);
        json_set_str(row, "version", rows[i].version);
        json_set_str(row, "status", rows[i].gone ? STR("gone") : STR("running"));
        json_set_int(row, "duties", rows[i].duties);
        json_set_str(row, "started_at", time_format_rfc3339(rows[i].started_at_us, time));
        json_set_str(row, "heartbeat_at", time_format_rfc3339(rows[i].heartbeat_at_us, time));
        json_array_append_new(data, row);
    }
    return data;
}

static void
print_table(const json_t *data)
{
    size_t i;
    json_t *row;

    if (json_array_size(data) == 0) {
        puts("No process serves.");
        return;
    }
    printf("%-8s %-20s %-9s %-32s %-19s %s\n", "status", "host", "version", "roles",
           "last heartbeat", "id");
    json_array_foreach (data, i, row) {
        struct str beat = json_get_str(row, "heartbeat_at");

        printf("%-8.*s %-20.*s %-9.*s %-32.*s %-19.*s %.*s\n", STR_ARG(json_get_str(row, "status")),
               STR_ARG(json_get_str(row, "host")), STR_ARG(json_get_str(row, "version")),
               STR_ARG(json_get_str(row, "roles")), STR_ARG(str_sub(beat, 0, 19)),
               STR_ARG(json_get_str(row, "id")));
    }
}

/* --- channels --- */

static void
print_channels(const json_t *data)
{
    size_t i;
    json_t *row;

    if (json_array_size(data) == 0) {
        puts("There are no channels.");
        return;
    }
    printf("%-18s %-24s %-9s %-10s %-20s %s\n", "source", "name", "status", "breaker", "until",
           "reason");
    json_array_foreach (data, i, row) {
        const json_t *breaker = json_object_get(row, "breaker");
        struct str reason = json_get_str(breaker, "reason");

        if (reason.len == 0)
            reason = json_get_str(row, "status_reason");
        printf("%-18.*s %-24.*s %-9.*s %-10.*s %-20.*s %.*s\n",
               STR_ARG(json_get_str(row, "source")), STR_ARG(json_get_str(row, "name")),
               STR_ARG(json_get_str(row, "status")), STR_ARG(json_get_str(breaker, "state")),
               STR_ARG(json_get_str(breaker, "until")), STR_ARG(reason));
    }
}

struct channel_look {
    struct channel_id id;
    struct arena *arena;
    struct channel_breaker breaker;
};

static enum status
look_at_channel(struct store_tx *tx, void *arg, struct err *err)
{
    struct channel_look *look = arg;

    return channel_breaker_get(tx, look->id, clock_wall_us(clock_system()), look->arena,
                               &look->breaker, err);
}

/* As GET /v1/channels says it, as far as it is of interest here. */
static enum status
add_channel(struct session *session, const struct tenant_scope *scope, struct str slug,
            struct channel_id id, json_t *data, struct err *err)
{
    struct channel_look look = {.id = id, .arena = session->arena};
    const struct channel_record *record = NULL;
    json_t *row, *breaker;
    char until[32];
    enum status st = channel_record_get(session->app->tenants, scope, id, &record, err);

    if (st == ST_OK)
        st = store_read(session->app->store, scope, "status_channel", look_at_channel, &look, err);
    if (st == ST_OK) {
        row = json_object();
        breaker = json_object();
        json_set_str(row, "organization", slug);
        json_set_str(row, "id", ID_STR(id));
        json_set_str(row, "source", record->source);
        json_set_str(row, "name", record->name);
        json_set_str(row, "status", record->status);
        json_set_str(row, "status_reason", record->status_reason);
        json_set_str(breaker, "state", str_from_c(look.breaker.state));
        if (look.breaker.until_us != 0) {
            json_set_str(breaker, "until", time_format_rfc3339(look.breaker.until_us, until));
            json_set_str(breaker, "reason", look.breaker.reason);
        }
        json_set(row, "breaker", breaker);
        json_array_append_new(data, row);
    }
    channel_record_unref(&record);
    return st;
}

static enum status
add_channels(struct session *session, const struct organization *organization, json_t *data,
             struct err *err)
{
    const struct tenant_scope *scope = NULL;
    struct channel_id *ids = NULL;
    size_t count = 0;
    enum status st = tenant_admit_operator(session->app->tenants, ID_STR(organization->id),
                                           session->arena, &scope, err);

    if (st == ST_OK)
        st = channel_list(session->app->tenants, scope, &ids, &count, session->arena, err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = add_channel(session, scope, organization->slug, ids[i], data, err);
    return st;
}

static enum status
list_channels(struct session *session, json_t *data, struct err *err)
{
    struct organization_id after = {{""}};
    size_t count = PAGE;
    enum status st = ST_OK;

    while (st == ST_OK && count == PAGE) {
        struct organization *list = NULL;

        st = organization_list(session->app->tenants, after, PAGE, session->arena, &list, &count,
                               err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            after = list[i].id;
            st = add_channels(session, &list[i], data, err);
        }
    }
    return st;
}

/* --- both --- */

/* Takes data. */
static int
show(json_t *data, const struct options *options, bool channels)
{
    if (options->json) {
        print_json(data);
        return EXIT_FINE;
    }
    (channels ? print_channels : print_table)(data);
    json_decref(data);
    return EXIT_FINE;
}

static int
status_of_server(const char *url, const char *key, const struct options *options, bool channels)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct remote remote = {.http = NULL};
    json_t *answer = NULL;
    int code = remote_open(url, key, &remote);

    if (code == EXIT_FINE)
        code = remote_call(&remote, "GET", channels ? STR("/v1/channels") : STR("/v1/instances"),
                           STR("application/json"), STR_EMPTY, arena, &answer);
    if (code == EXIT_FINE)
        code = show(json_incref(json_object_get(answer, "data")), options, channels);
    json_decref(answer);
    remote_close(&remote);
    arena_destroy(&arena);
    return code;
}

static int
status_of_database(const struct options *options, bool channels)
{
    json_t *data = NULL;
    struct instance_row *rows = NULL;
    struct session session;
    size_t count = 0;
    bool is_served = false;
    struct err err;
    int code = session_open_unless_served(options, false, &is_served, &session);

    if (is_served) {
        fputs("parley: a running server has this data folder: ask it, with --url and --key\n",
              stderr);
        code = EXIT_CONFLICT;
    }
    if (code == EXIT_FINE && channels) {
        data = json_array();
        if (list_channels(&session, data, &err) != ST_OK)
            code = command_fail(&err, "cannot read the channels");
    } else if (code == EXIT_FINE) {
        if (instance_list(session.app->tenants, session.arena, &rows, &count, &err) != ST_OK)
            code = command_fail(&err, "cannot read who serves");
        else
            data = rows_json(rows, count);
    }
    if (code == EXIT_FINE)
        code = show(data, options, channels);
    else
        json_decref(data);
    session_close(&session);
    return code;
}

static int
run(int argc, char **argv)
{
    const char *url = NULL, *key = NULL;
    bool channels = false;
    const struct option_spec specs[] = {{"url", &url, NULL},
                                        {"key", &key, NULL},
                                        {"channels", NULL, &channels},
                                        {NULL, NULL, NULL}};
    struct options options;

    if (!options_read("status", argc, argv, specs, &options))
        return EXIT_USAGE;
    log_init(STDERR_FILENO, LOG_WARN);
    return url != NULL ? status_of_server(url, key, &options, channels)
                       : status_of_database(&options, channels);
}

const struct command command_status = {
    .name = "status",
    .summary = "which processes serve, and since when; the state of channels",
    .usage = "status [--channels] [--config FILE] [--json] [--url URL --key KEY]",
    .help =
        "Every process that serves says every 3 seconds that it is there. One that said nothing\n"
        "for 15 seconds is gone; what it was doing is done by others. Gone ones are listed for an\n"
        "hour. With database.url it reads the database; a server on a data folder is asked:\n\n"
        "  --channels           instead: each channel, and whether its circuit breaker is closed,\n"
        "                       open (nothing is sent until then) or half_open (one is tried)\n"
        "  --url URL            a running server\n"
        "  --key KEY            an API key with the scope operate; for channels, with admin\n"
        "  --json               print the list as JSON\n",
    .run = run,
};
