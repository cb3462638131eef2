/*
 * cmd_demo.c - parley demo: an organization to play with, then the server
 *
 * Everything it makes is kept; a second run finds it and only starts. The API key is shown once, as
 * every key, and also kept beside the data, readable by its owner alone: it opens nothing but this
 * demo.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "app/demo_files.h"
#include "base/log.h"
#include "text/json.h"

#define DEMO_SLUG "demo"
#define QUESTION_1 "Are you open on Sundays?"
#define QUESTION_2 "What does it cost to rent a cargo bike for a day?"
#define QUESTION_3 "How long is the warranty on an e-bike battery?"
#define PATH_BYTES 4096
#define ALL_SCOPES                                                                                 \
    (SCOPE_ADMIN | SCOPE_CONVERSATIONS_READ | SCOPE_CONVERSATIONS_WRITE | SCOPE_KNOWLEDGE_READ |   \
     SCOPE_KNOWLEDGE_WRITE | SCOPE_QUERY | SCOPE_QUERY_STAFF | SCOPE_OPERATE)

struct demo {
    const char *documents;
    struct arena *arena;
    const struct tenant_scope *scope;
    struct channel_id channel;
    char key_path[PATH_BYTES];
    bool is_new; /* no run before this one came to its end */
};

static bool
find_documents(struct demo *demo, char path_out[PATH_BYTES])
{
    if (demo->documents == NULL) {
        (void)demo_path_find("documents", path_out, PATH_BYTES);
        demo->documents = path_out;
    }
    if (access(demo->documents, R_OK | X_OK) == 0)
        return true;
    fprintf(stderr,
            "parley demo: there are no documents in %s; name a folder that has some with "
            "--documents FOLDER\n",
            demo->documents);
    return false;
}

static enum status
make_web_chat(struct app *app, struct demo *demo, struct err *err)
{
    json_auto_t *settings =
        json_pack("{s:s,s:s,s:s,s:[s,s,s]}", "title", "Harbour Cycles", "greeting",
                  "Hello! Ask me about opening hours, repairs, prices or returns.", "color",
                  "#0f6b5c", "suggestions", QUESTION_1, QUESTION_2, QUESTION_3);
    json_auto_t *credentials = json_object();
    struct channel_spec spec = {.source = STR("web"),
                                .name = STR("Demo web chat"),
                                .settings = settings,
                                .credentials = credentials};
    enum status st = channel_check_spec(app->channels, &spec, demo->arena, err);

    if (st != ST_OK)
        return st;
    st = channel_create(app->tenants, demo->scope, &spec, &demo->channel, err);
    channel_spec_deinit(&spec);
    return st;
}

static enum status
find_web_chat(struct app *app, struct demo *demo, struct err *err)
{
    struct channel_id *ids = NULL;
    size_t count = 0, i;
    bool found = false;
    enum status st = channel_list(app->tenants, demo->scope, &ids, &count, demo->arena, err);

    for (i = 0; st == ST_OK && !found && i < count; i++) {
        const struct channel_record *record = NULL;

        st = channel_record_get(app->tenants, demo->scope, ids[i], &record, err);
        if (st == ST_OK && str_eq_c(record->source, "web")) {
            demo->channel = ids[i];
            found = true;
        }
        channel_record_unref(&record);
    }
    return st == ST_OK && !found ? make_web_chat(app, demo, err) : st;
}

static enum status
keep_key(const char *path, struct str secret, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok;

    if (fd < 0)
        return err_set(err, ST_UNAVAILABLE, "cannot write %s", path);
    ok = write(fd, secret.ptr, secret.len) == (ssize_t)secret.len && write(fd, "\n", 1) == 1;
    ok = close(fd) == 0 && ok;
    return ok ? ST_OK : err_set(err, ST_UNAVAILABLE, "cannot write %s", path);
}

static enum status
make_key(struct app *app, struct demo *demo, struct err *err)
{
    struct api_key key;
    struct str secret;
    enum status st;

    st = api_key_create(app->tenants, demo->scope, STR("First key"), ALL_SCOPES, STR("*"), 0,
                        demo->arena, &key, &secret, err);
    return st == ST_OK ? keep_key(demo->key_path, secret, err) : st;
}

static enum status
set_persona(struct store_tx *tx, void *arg, struct err *err)
{
    struct demo *demo = arg;
    struct brand brand;
    enum status st = brand_get(tx, (struct brand_id){{""}}, demo->arena, &brand, err);

    if (st != ST_OK)
        return st;
    brand.name = STR("Harbour Cycles");
    brand.persona = STR("{\"name\":\"Pip\",\"organization\":\"Harbour Cycles\",\"voice\":"
                        "\"warm, practical and brief, like a good mechanic\",\"language\":\"en\"}");
    return brand_update(tx, &brand, err);
}

static enum status
make_organization(struct app *app, struct demo *demo, struct err *err)
{
    struct organization_spec spec = {.name = STR("Harbour Cycles"),
                                     .slug = STR(DEMO_SLUG),
                                     .owner_email = STR("owner@demo.invalid"),
                                     .owner_name = STR("Owner")};
    struct organization organization;
    enum status st =
        organization_find(app->tenants, STR(DEMO_SLUG), demo->arena, &organization, err);

    if (st == ST_NOT_FOUND)
        st = organization_create(app->tenants, &spec, demo->arena, &organization, err);
    if (st == ST_OK)
        st = tenant_admit_operator(app->tenants, STR(DEMO_SLUG), demo->arena, &demo->scope, err);
    return st;
}

/* Each step finds what an earlier, interrupted run made; the key is the last. */
static enum status
prepare(struct app *app, struct demo *demo, struct err *err)
{
    enum status st = make_organization(app, demo, err);

    if (st == ST_OK)
        st = find_web_chat(app, demo, err);
    if (st == ST_OK && demo->is_new)
        st = store_run(app->store, demo->scope, "demo_persona", STORE_DURABLE, set_persona, demo,
                       err);
    if (st == ST_OK && demo->is_new) {
        st = app_start_ingestion(app, err);
        if (st == ST_OK)
            st = demo_read_documents(app, demo->scope, demo->documents, err);
        app_stop_workers(app, app_stop_deadline_us(app));
    }
    return st == ST_OK && demo->is_new ? make_key(app, demo, err) : st;
}

static void
announce(struct app *app, unsigned port, void *context)
{
    const struct demo *demo = context;

    (void)app;
    (void)fflush(stderr);
    printf("\n  Parley is running.\n\n"
           "  Web chat    http://127.0.0.1:%u/chat/%s\n"
           "              ask: " QUESTION_1 "\n"
           "                   " QUESTION_2 "\n"
           "                   " QUESTION_3 "\n"
           "                   I would like to talk to somebody, please.\n"
           "  API         http://127.0.0.1:%u/openapi.json\n"
           "  API key     in %s\n"
           "  From here   curl -s http://127.0.0.1:%u/v1/query -H \"Authorization: Bearer $(cat "
           "%s)\" \\\n                -d '{\"question\":\"" QUESTION_1 "\"}'\n"
           "  Next        README.md: your own documents, a Telegram bot, a language model\n\n"
           "  Ctrl-C stops it; everything is kept.\n\n",
           port, demo->channel.id.text, port, demo->key_path, port, demo->key_path);
    (void)fflush(stdout);
}

static int
run(int argc, char **argv)
{
    struct demo demo = {.documents = NULL};
    char documents[PATH_BYTES];
    bool only_prepare = false;
    const struct option_spec specs[] = {{"documents", &demo.documents, NULL},
                                        {"prepare-only", NULL, &only_prepare},
                                        {NULL, NULL, NULL}};
    struct settings *settings = NULL;
    struct app *app = NULL;
    struct options options;
    struct err err;
    enum status st;
    int code = EXIT_FINE;

    if (!options_read("demo", argc, argv, specs, &options) ||
        !options_settings(&options, &settings))
        return EXIT_USAGE;
    snprintf(demo.key_path, sizeof(demo.key_path), "%.*s/demo-api-key",
             STR_ARG(settings_text(settings, "data.folder")));
    demo.is_new = access(demo.key_path, F_OK) != 0;
    if (demo.is_new && !find_documents(&demo, documents)) {
        settings_destroy(&settings);
        return EXIT_USAGE;
    }
    log_init(STDERR_FILENO, LOG_WARN);
    demo.arena = arena_create(64u * 1024 * 1024);
    st = app_open(settings, &app, &err);
    if (st == ST_OK)
        st = prepare(app, &demo, &err);
    app_close(&app);
    if (st != ST_OK)
        code = command_fail(&err, "cannot make the demo");
    else if (!only_prepare)
        code = serve_run(settings, announce, &demo);
    if (code == EXIT_FINE && !only_prepare)
        puts("\n  Parley has stopped.");
    arena_destroy(&demo.arena);
    settings_destroy(&settings);
    return code;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "make a demo organization with documents and a web chat, then run the server",
    .usage = "demo [--documents FOLDER] [--prepare-only] [--config FILE] [--data FOLDER]",
    .help =
        "Makes, in the data folder, the organization \"demo\" with a small document set, a web\n"
        "chat and a first API key, starts the server and prints where to click. Running it\n"
        "again starts the server and keeps everything.\n\n"
        "  --documents FOLDER   other documents to begin with: its folder customers/\n"
        "                       is for everybody, its folder staff/ for the team alone\n"
        "  --prepare-only       make everything, do not start the server\n",
    .run = run,
};
