/*
 * cmd_index.c - parley index rebuild: the engine's points once more, from the database
 */
#include <stdio.h>
#include <string.h>

#include "app/cmd_common.h"
#include "text/json.h"

#define PAGE 100

struct rebuilding {
    const char *organization;
    struct options options;
    struct session session;
    json_t *done;
};

static enum status
mark_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct rebuilding *rebuilding = arg;
    enum status st = index_sync_mark_all(tx, err);

    return st == ST_OK ? index_sync_queue(rebuilding->session.app->queue, tx, err) : st;
}

/* With files no other process has them, and the work is done here; with a server the job is left to
 * whichever process works, because two at once would undo each other. */
static enum status
rebuild_one(struct rebuilding *rebuilding, struct organization_id id, struct err *err)
{
    const struct session *session = &rebuilding->session;
    const struct tenant_scope *scope = NULL;
    bool here = !app_uses_server(session->settings);
    json_t *row;
    enum status st =
        tenant_admit_operator(session->app->tenants, ID_STR(id), session->arena, &scope, err);

    if (st == ST_OK)
        st = store_run(session->app->store, scope, "index_rebuild", STORE_DURABLE, mark_in_tx,
                       rebuilding, err);
    if (st == ST_OK && here)
        st = index_sync_now(session->app->engine, scope, err);
    if (st != ST_OK)
        return err_wrap(err, "organization %s", id.id.text);
    row = json_object();
    json_set_str(row, "organization_id", ID_STR(id));
    json_set_str(row, "state", here ? STR("rebuilt") : STR("queued"));
    json_array_append_new(rebuilding->done, row);
    if (!rebuilding->options.json)
        printf("%s: %s\n", id.id.text, here ? "rebuilt" : "queued for the server's workers");
    return ST_OK;
}

static enum status
rebuild_all(struct rebuilding *rebuilding, struct err *err)
{
    const struct session *session = &rebuilding->session;
    struct organization_id after = {{""}};
    size_t count = PAGE;
    enum status st = ST_OK;

    if (rebuilding->organization != NULL)
        return rebuild_one(rebuilding, tenant_scope_organization(session->scope), err);
    while (st == ST_OK && count == PAGE) {
        struct organization *page = NULL;

        st = organization_list(session->app->tenants, after, PAGE, session->arena, &page, &count,
                               err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            after = page[i].id;
            st = rebuild_one(rebuilding, page[i].id, err);
        }
    }
    return st;
}

static int
rebuild(struct rebuilding *rebuilding)
{
    struct err err;
    enum status st;

    if (rebuilding->session.app->engine == NULL) {
        fputs("parley index: index.driver is local: the database is the index, and there is\n"
              "nothing beside it to rebuild\n",
              stderr);
        return EXIT_USAGE;
    }
    rebuilding->done = json_array();
    st = rebuild_all(rebuilding, &err);
    if (rebuilding->options.json)
        print_json(rebuilding->done);
    else
        json_decref(rebuilding->done);
    return st == ST_OK ? EXIT_FINE : command_fail(&err, "the index is not rebuilt");
}

static int
run(int argc, char **argv)
{
    struct rebuilding rebuilding = {.organization = NULL};
    const struct option_spec specs[] = {
        {"organization", &rebuilding.organization, NULL},
        {NULL, NULL, NULL},
    };
    int code;

    if (!options_read("index", argc, argv, specs, &rebuilding.options))
        return EXIT_USAGE;
    if (rebuilding.options.operand_count != 1 ||
        strcmp(rebuilding.options.operands[0], "rebuild") != 0) {
        fputs("parley index: say rebuild\n", stderr);
        return EXIT_USAGE;
    }
    code = rebuilding.organization == NULL
               ? session_open_any(&rebuilding.options, false, &rebuilding.session)
               : session_open(&rebuilding.options, rebuilding.organization, &rebuilding.session);
    if (code == EXIT_FINE)
        code = rebuild(&rebuilding);
    session_close(&rebuilding.session);
    return code;
}

const struct command command_index = {
    .name = "index",
    .summary = "put all passages into Qdrant again, from the database",
    .usage = "index rebuild [--organization ORGANIZATION]",
    .help = "With index.driver = qdrant: marks every document of an organization, or of all, as\n"
            "changed, so that its passages are put into Qdrant again and what does not belong\n"
            "there is removed. Needed after a backup of the database or of Qdrant was restored.\n"
            "Questions are answered meanwhile, from the database where Qdrant is behind. With\n"
            "files the server must not run, and the work is done when the command ends; with\n"
            "database.url the running server does it.\n",
    .run = run,
};
