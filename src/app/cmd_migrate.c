/*
 * cmd_migrate.c - parley migrate: brings the schema of a PostgreSQL database forward
 */
#include <stdio.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "base/log.h"

struct migrating {
    bool as_json;
    json_t *applied; /* the steps' names */
};

static void
on_step(const char *step, void *context)
{
    struct migrating *migrating = context;

    json_array_append_new(migrating->applied, json_string(step));
    if (!migrating->as_json)
        printf("applied %s\n", step);
}

static int
migrate(const struct settings *settings, bool as_json)
{
    const char *url = settings_text(settings, "database.migration_url").ptr;
    struct store_config config;
    struct migrating migrating = {.as_json = as_json};
    struct err err;
    enum status st;

    app_store_config(settings, "", &config);
    if (!app_uses_server(settings)) {
        fputs("parley migrate: database.url is not set: files in the data folder are brought\n"
              "forward when they are opened\n",
              stderr);
        return EXIT_USAGE;
    }
    if (url[0] == '\0') {
        fputs("parley migrate: database.migration_url is not set: it names the role that owns the\n"
              "tables, as PARLEY_DATABASE_MIGRATION_URL for this command alone\n",
              stderr);
        return EXIT_USAGE;
    }
    migrating.applied = json_array();
    st = store_migrate_server(&config, url, on_step, &migrating, &err);
    if (as_json) /* of a failure, too: each step stays */
        print_json(json_pack("{s:O}", "applied", migrating.applied));
    else if (st == ST_OK)
        puts(json_array_size(migrating.applied) > 0 ? "The schema is this version's now."
                                                    : "The schema was this version's already.");
    json_decref(migrating.applied);
    return st == ST_OK ? EXIT_FINE : command_fail(&err, "not migrated");
}

static int
run(int argc, char **argv)
{
    struct settings *settings = NULL;
    struct options options;
    int code;

    if (!options_read("migrate", argc, argv, NULL, &options) ||
        !options_settings(&options, &settings))
        return EXIT_USAGE;
    log_init(STDERR_FILENO, LOG_WARN);
    code = migrate(settings, options.json);
    settings_destroy(&settings);
    return code;
}

const struct command command_migrate = {
    .name = "migrate",
    .summary = "bring a PostgreSQL database's schema forward",
    .usage = "migrate [--config FILE] [--json]",
    .help =
        "Needs database.url and database.migration_url. Applies the steps that are missing, each\n"
        "in a transaction of its own, and says which; only ever forward. Servers of an older\n"
        "version may run meanwhile. A second migration waits for the first. Last it lets the\n"
        "role of database.url work with the rows, and with nothing else.\n\n"
        "Files in a data folder need no command: they are brought forward when they are opened.\n",
    .run = run,
};
