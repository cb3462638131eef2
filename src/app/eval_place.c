/*
 * eval_place.c - opens an organization for an evaluation; makes and removes one of its own
 */
#include "app/eval_place.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/demo_files.h"
#include "eval/corpus.h"

#define OWN_SLUG "evaluation"
#define PATH_BYTES 4096
#define EMBED_WEIGHTS "all-minilm-l6-v2.bin"

static void
open_asker(struct eval_place *place)
{
    const struct app *app = place->session.app;

    place->asker.orchestrator = app->orchestrator;
    place->asker.knowledge = app->knowledge;
    place->asker.scope = place->session.scope;
}

int
eval_place_open(const struct options *options, const char *organization,
                struct eval_place *place_out)
{
    int code;

    *place_out = (struct eval_place){.folder = ""};
    eval_asker_init(&place_out->asker);
    code = session_open(options, organization, &place_out->session);
    if (code == EXIT_FINE)
        open_asker(place_out);
    return code;
}

/* --- one of its own --- */

/* The sentence encoder's weights lie in the data folder that is not used. */
static void
keep_weights(const struct options *options)
{
    struct settings *settings = NULL;
    char path[PATH_BYTES];

    if (!options_settings(options, &settings))
        return;
    if (settings_text(settings, "embed.weights").len == 0) {
        (void)snprintf(path, sizeof(path), "%.*s/" EMBED_WEIGHTS,
                       STR_ARG(settings_text(settings, "data.folder")));
        if (access(path, R_OK) == 0)
            (void)setenv("PARLEY_EMBED_WEIGHTS", path, 1);
    }
    settings_destroy(&settings);
}

/* Nothing that is configured for the installation's own data is touched. */
static int
own_folder(const struct options *options, struct eval_place *place)
{
    static const char *const none[] = {"PARLEY_DATABASE_URL", "PARLEY_BLOB_FOLDER"};
    static const char *const local[] = {"PARLEY_QUEUE_TRANSPORT", "PARLEY_LIVE_TRANSPORT",
                                        "PARLEY_LIMITS_SHARED", "PARLEY_INDEX_DRIVER"};
    char key[PATH_BYTES];
    const char *parent = getenv("TMPDIR");

    keep_weights(options);
    if (snprintf(place->folder, sizeof(place->folder), "%s/parley-eval-XXXXXX",
                 parent == NULL ? "/tmp" : parent) >= (int)sizeof(place->folder) ||
        mkdtemp(place->folder) == NULL) {
        fprintf(stderr, "parley eval: cannot make a folder in %s: %s\n",
                parent == NULL ? "/tmp" : parent, strerror(errno));
        place->folder[0] = '\0';
        return EXIT_UNAVAILABLE;
    }
    (void)snprintf(key, sizeof(key), "%s/key", place->folder);
    (void)setenv("PARLEY_DATA_KEY_FILE", key, 1);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        (void)setenv(none[i], "", 1);
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        (void)setenv(local[i], "local", 1);
    return EXIT_FINE;
}

static int
make(const struct options *options, struct eval_place *place)
{
    const struct organization_spec spec = {.name = STR("Evaluation"),
                                           .slug = STR(OWN_SLUG),
                                           .owner_email = STR("owner@evaluation.invalid"),
                                           .owner_name = STR("Owner")};
    struct options own = *options;
    struct organization organization;
    struct session *session = &place->session;
    char data[PATH_BYTES];
    struct err err;
    enum status st;
    int code;

    *place = (struct eval_place){.folder = ""};
    eval_asker_init(&place->asker);
    code = own_folder(options, place);
    if (code != EXIT_FINE)
        return code;
    (void)snprintf(data, sizeof(data), "%s/data", place->folder);
    own.data_folder = data;
    code = session_open_any(&own, true, session);
    if (code != EXIT_FINE)
        return code;
    st = organization_create(session->app->tenants, &spec, session->arena, &organization, &err);
    if (st == ST_OK)
        st = tenant_admit_operator(session->app->tenants, spec.slug, session->arena,
                                   &session->scope, &err);
    if (st != ST_OK)
        return command_fail(&err, "cannot make an organization for the run");
    open_asker(place);
    return EXIT_FINE;
}

int
eval_place_make(const struct options *options, const char *documents, struct eval_place *place_out)
{
    struct app *app;
    struct err err;
    enum status st;
    int code = make(options, place_out);

    if (code != EXIT_FINE)
        return code;
    app = place_out->session.app;
    st = app_start_ingestion(app, &err);
    if (st == ST_OK)
        st = demo_read_documents(app, place_out->session.scope, documents, &err);
    app_stop_workers(app, app_stop_deadline_us(app));
    return st == ST_OK ? EXIT_FINE : command_fail(&err, "cannot read the documents");
}

static void
show_corpus(size_t done, size_t total, void *context)
{
    (void)context;
    print_progress("reading the set's documents", (unsigned)done, (unsigned)total);
}

int
eval_place_make_set(const struct options *options, const char *folder, struct eval_place *place_out)
{
    struct eval_corpus corpus = {.on_progress = show_corpus};
    struct err err;
    enum status st;
    int code = make(options, place_out);

    if (code != EXIT_FINE)
        return code;
    corpus.store = place_out->session.app->store;
    corpus.scope = place_out->session.scope;
    corpus.embedder = place_out->session.app->embedder;
    place_out->asker.knowledge = NULL;
    st = beir_load(folder, &place_out->set, &err);
    if (st == ST_OK)
        st = eval_corpus_put(&corpus, &place_out->set, &place_out->asker, &err);
    end_progress();
    return st == ST_OK ? EXIT_FINE : command_fail(&err, "cannot read the labelled set");
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void
eval_place_close(struct eval_place *place)
{
    eval_asker_deinit(&place->asker);
    session_close(&place->session);
    if (place->set.arena != NULL)
        beir_free(&place->set);
    if (place->folder[0] != '\0' && nftw(place->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "parley eval: %s stays\n", place->folder);
}
