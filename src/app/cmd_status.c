/*
 * cmd_status.c - parley status: which processes serve
 */
#include <stdio.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "base/log.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

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

/* Takes data. */
static int
show(json_t *data, bool as_json)
{
    if (as_json) {
        print_json(data);
        return EXIT_FINE;
    }
    print_table(data);
    json_decref(data);
    return EXIT_FINE;
}

static int
status_of_server(const char *url, const char *key, bool as_json)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct remote remote = {.http = NULL};
    json_t *answer = NULL;
    int code = remote_open(url, key, &remote);

    if (code == EXIT_FINE)
        code = remote_call(&remote, "GET", STR("/v1/instances"), STR("application/json"), STR_EMPTY,
                           arena, &answer);
    if (code == EXIT_FINE)
        code = show(json_incref(json_object_get(answer, "data")), as_json);
    json_decref(answer);
    remote_close(&remote);
    arena_destroy(&arena);
    return code;
}

static int
status_of_database(const struct options *options)
{
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
    if (code == EXIT_FINE &&
        instance_list(session.app->tenants, session.arena, &rows, &count, &err) != ST_OK)
        code = command_fail(&err, "cannot read who serves");
    if (code == EXIT_FINE)
        code = show(rows_json(rows, count), options->json);
    session_close(&session);
    return code;
}

static int
run(int argc, char **argv)
{
    const char *url = NULL, *key = NULL;
    const struct option_spec specs[] = {
        {"url", &url, NULL}, {"key", &key, NULL}, {NULL, NULL, NULL}};
    struct options options;

    if (!options_read("status", argc, argv, specs, &options))
        return EXIT_USAGE;
    log_init(STDERR_FILENO, LOG_WARN);
    return url != NULL ? status_of_server(url, key, options.json) : status_of_database(&options);
}

const struct command command_status = {
    .name = "status",
    .summary = "which processes serve, and since when",
    .usage = "status [--config FILE] [--json] [--url URL --key KEY]",
    .help =
        "Every process that serves says every 3 seconds that it is there. One that said nothing\n"
        "for 15 seconds is gone; what it was doing is done by others. Gone ones are listed for an\n"
        "hour. With database.url it reads the database; a server on a data folder is asked:\n\n"
        "  --url URL            a running server\n"
        "  --key KEY            an API key with the scope operate\n"
        "  --json               print the list as JSON\n",
    .run = run,
};
