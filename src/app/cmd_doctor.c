/*
 * cmd_doctor.c - parley doctor: says in plain words what is wrong and what to do
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "channel/channel_check.h"
#include "gateway/refresh.h"
#include "text/json.h"

#define LITTLE_DISK_BYTES (INT64_C(1024) * 1024 * 1024)

struct doctor {
    struct options options;
    struct session session;
    json_t *findings;
    unsigned problems;
};

/* For the operator: which host, which file. */
static const char *
reason_of(const struct err *err)
{
    return err->detail[0] != '\0' ? err->detail : err->public_text;
}

/* what: a short name; advice NULL: all is well. */
static void
find(struct doctor *doctor, const char *what, bool fine, const char *words, const char *advice)
{
    json_t *row = json_object();

    json_set_str(row, "check", str_from_c(what));
    json_set_bool(row, "ok", fine);
    json_set_str(row, "detail", str_from_c(words));
    json_set_str(row, "advice", str_from_c(fine ? NULL : advice));
    json_array_append_new(doctor->findings, row);
    doctor->problems += !fine;
    if (doctor->options.json)
        return;
    printf("  %s %-14s %s\n", fine ? "ok  " : "WRONG", what, words);
    if (!fine && advice != NULL)
        printf("       %-14s -> %s\n", "", advice);
}

static void
check_storage(struct doctor *doctor)
{
    struct store_health health;
    char words[160];

    store_get_health(doctor->session.app->store, &health);
    snprintf(words, sizeof(words), "%.1f MB of data, %.1f GB free", (double)health.data_bytes / 1e6,
             (double)health.free_disk_bytes / 1e9);
    if (app_uses_server(doctor->session.settings)) {
        snprintf(words, sizeof(words),
                 "%.1f MB in PostgreSQL; its version, the role and the schema are right",
                 (double)health.data_bytes / 1e6);
        find(doctor, "database", health.data_bytes >= 0, words,
             "the server was lost while it was being checked: see its log");
        return;
    }
    if (!health.writable)
        find(doctor, "storage", false, "the data folder cannot be written",
             "check the folder's owner and whether the disk is full");
    else
        find(doctor, "storage", health.free_disk_bytes > LITTLE_DISK_BYTES, words,
             "make room: new messages are refused when the disk is full");
}

static void
check_key_file(struct doctor *doctor)
{
    const struct settings *s = doctor->session.settings;
    struct str named = settings_text(s, "data.key_file");
    char path[4096];
    struct stat info;

    if (named.len > 0)
        snprintf(path, sizeof(path), "%.*s", STR_ARG(named));
    else
        snprintf(path, sizeof(path), "%.*s.key", STR_ARG(settings_text(s, "data.folder")));
    if (stat(path, &info) != 0)
        find(doctor, "master key", false, "the key file is not there",
             "put it back from where you keep it: without it no credential can be opened");
    else
        find(doctor, "master key", (info.st_mode & 077) == 0,
             "the key file is there, for its owner alone",
             "others can read the key file: chmod 600 it");
}

static void
check_extractor(struct doctor *doctor)
{
    struct err err;

    if (knowledge_check(doctor->session.app->knowledge, &err) == ST_OK)
        find(doctor, "documents", true, "parley-extract reads documents in its sandbox", NULL);
    else
        find(doctor, "documents", false, reason_of(&err),
             "install parley-extract beside parley, or set ingest.extractor");
}

static void
check_objects(struct doctor *doctor)
{
    struct err err;

    if (blob_check(doctor->session.app->blobs, &err) == ST_OK)
        find(doctor, "objects", true, "the folder for documents can be written", NULL);
    else
        find(doctor, "objects", false, reason_of(&err),
             "check blob.folder, its owner and whether its disk is full");
}

static void
check_encoder(struct doctor *doctor)
{
    struct app *app = doctor->session.app;
    struct str text = STR("ready?");
    float vector[EMBED_MAX_DIMENSION];
    char words[160];
    struct err err;

    app_describe_encoder(app, words, sizeof(words));
    if (app->embedder == NULL || embed_texts(app->embedder, &text, 1, 20000, vector, &err) == ST_OK)
        find(doctor, "encoder", true, words, NULL);
    else
        find(doctor, "encoder", false, reason_of(&err),
             "check embed.base_url, embed.model and embed.api_key; meanwhile passages are found by "
             "their words");
}

static void
check_index(struct doctor *doctor)
{
    struct index_engine *engine = doctor->session.app->engine;
    char words[320];
    int64_t points = 0;
    struct err err;
    enum status st = engine == NULL ? ST_OK : index_engine_check(engine, &err);

    if (st == ST_OK && engine != NULL)
        st = index_engine_count(engine, &points, &err);
    if (engine == NULL)
        find(doctor, "index", true, "passages are searched in the organizations' own databases",
             NULL);
    else if (st == ST_OK) {
        snprintf(words, sizeof(words), "Qdrant has %lld passages in its collection %.*s",
                 (long long)points, STR_ARG(index_engine_collection(engine)));
        find(doctor, "index", true, words, NULL);
    } else
        find(doctor, "index", false, reason_of(&err),
             st == ST_DENIED     ? "set PARLEY_QDRANT_API_KEY to a key that may write"
             : st == ST_CONFLICT ? "the server does not start until this is put right"
                                 : "check qdrant.url and qdrant.allow_private_address; meanwhile "
                                   "passages are found by their words, in the database");
}

static void
check_model(struct doctor *doctor, struct http_client *http)
{
    const struct settings *s = doctor->session.settings;
    struct model_message message = {MODEL_USER, STR("Reply with the word: ready")};
    struct model_request request = {.messages = &message, .message_count = 1, .deadline_ms = 20000};
    struct model_env env = {.http = http, .clock = clock_system()};
    json_auto_t *config = json_object();
    struct model *model = NULL;
    struct model_reply reply;
    struct err err;
    enum status st;

    if (!str_eq_c(settings_text(s, "model.driver"), "openai_chat")) {
        find(doctor, "model", true, "extractive: answers quote the documents, no model is asked",
             NULL);
        return;
    }
    json_set_str(config, "driver", STR("openai_chat"));
    json_set_str(config, "base_url", settings_text(s, "model.base_url"));
    json_set_str(config, "model", settings_text(s, "model.name"));
    json_set_str(config, "api_key", settings_text(s, "model.api_key"));
    json_set_bool(config, "allow_private", settings_bool(s, "model.allow_private_address"));
    st = model_open(&env, config, &model, &err);
    if (st == ST_OK)
        st = model_complete(model, &request, NULL, NULL, doctor->session.arena, &reply, &err);
    model_close(&model);
    if (st == ST_OK)
        find(doctor, "model", true, "the model answers", NULL);
    else
        find(doctor, "model", false, reason_of(&err),
             st == ST_DENIED ? "the API key is refused: set PARLEY_MODEL_API_KEY"
                             : "check model.base_url and model.name; meanwhile answers quote the "
                               "documents");
}

struct breaker_look {
    struct channel_id id;
    struct arena *arena;
    struct channel_breaker breaker;
};

static enum status
look_at_breaker(struct store_tx *tx, void *arg, struct err *err)
{
    struct breaker_look *look = arg;

    return channel_breaker_get(tx, look->id, clock_wall_us(clock_system()), look->arena,
                               &look->breaker, err);
}

/* Whether the sender leaves the provider alone just now. */
static void
check_breaker(struct doctor *doctor, const struct tenant_scope *scope,
              const struct channel_record *record)
{
    struct breaker_look look = {.id = record->id, .arena = doctor->session.arena};
    char what[48], words[320], until[32];
    struct err err;

    snprintf(what, sizeof(what), "%.*s", STR_ARG(record->source));
    if (store_read(doctor->session.app->store, scope, "doctor_breaker", look_at_breaker, &look,
                   &err) != ST_OK) {
        find(doctor, what, false, reason_of(&err), "restore the last backup");
        return;
    }
    if (look.breaker.until_us == 0)
        return;
    snprintf(words, sizeof(words), "\"%.*s\": sends waited until %.*s: %.*s", STR_ARG(record->name),
             STR_ARG(time_format_rfc3339(look.breaker.until_us, until)),
             STR_ARG(look.breaker.reason));
    find(doctor, what, false, words,
         "the provider failed again and again; messages wait and leave when it is back");
}

/* Where the provider delivers, as it says itself. */
static void
check_webhook(struct doctor *doctor, const struct channel_record *record,
              const struct channel_check *check)
{
    char what[48], words[400];

    snprintf(what, sizeof(what), "%.*s", STR_ARG(record->source));
    if (channel_check_is_elsewhere(check)) {
        snprintf(
            words, sizeof(words), "\"%.*s\": the provider delivers to %.*s, not here",
            STR_ARG(record->name),
            STR_ARG(check->registered_url.len > 0 ? check->registered_url : STR("no address")));
        find(doctor, what, false, words,
             check->setup.len > 0
                 ? check->setup.ptr
                 : "start the server, then POST /v1/channels/{id}/check registers its address");
    }
    if (check->trouble.len > 0) {
        snprintf(words, sizeof(words), "\"%.*s\": the provider complains: %.*s",
                 STR_ARG(record->name), STR_ARG(check->trouble));
        find(doctor, what, false, words,
             check->setup.len > 0 ? check->setup.ptr
                                  : "is http.public_url reachable from the internet, with a "
                                    "certificate that is trusted? POST /v1/channels/{id}/check "
                                    "registers everything again");
    } else if (check->can_read && check->webhook_url.len > 0 &&
               !channel_check_is_elsewhere(check)) {
        snprintf(words, sizeof(words), "\"%.*s\": the provider delivers to %.*s",
                 STR_ARG(record->name), STR_ARG(check->registered_url));
        find(doctor, what, true, words, NULL);
    } else if (check->setup.len > 0) {
        snprintf(words, sizeof(words),
                 "\"%.*s\": the provider does not tell where it delivers; to try it, start the "
                 "server and write to the channel: the answer proves both ways",
                 STR_ARG(record->name));
        find(doctor, what, true, words, NULL);
        if (!doctor->options.json)
            printf("       %-14s -> %.*s\n", "", STR_ARG(check->setup));
    }
}

static void
check_template(struct doctor *doctor, struct channel *channel, const struct channel_record *record)
{
    char what[48], words[400];
    struct str said = STR_EMPTY;
    struct err err;
    enum status st = channel_check_template(channel, doctor->session.arena, &said, &err);

    if (st == ST_OK && said.len == 0)
        return;
    snprintf(what, sizeof(what), "%.*s", STR_ARG(record->source));
    snprintf(words, sizeof(words), "\"%.*s\": %.*s", STR_ARG(record->name),
             STR_ARG(st == ST_OK ? said : str_from_c(reason_of(&err))));
    find(doctor, what, st == ST_OK, words, "correct the channel's setting window_template");
}

static void
check_channel(struct doctor *doctor, const struct channel_record *record)
{
    struct app *app = doctor->session.app;
    struct channel *channel = NULL;
    struct channel_check check = {.is_proven = false};
    char what[48], words[400];
    struct err err;
    enum status st = channel_acquire(app->channels, record, &channel, &err);

    snprintf(what, sizeof(what), "%.*s", STR_ARG(record->source));
    if (st == ST_OK)
        st = channel_check(channel, false, doctor->session.arena, &check, &err);
    snprintf(words, sizeof(words), "\"%.*s\": %.*s", STR_ARG(record->name),
             STR_ARG(st != ST_OK ? str_from_c(reason_of(&err)) : check.account));
    find(doctor, what, st == ST_OK, words,
         st == ST_DENIED ? "the provider refuses the credentials: give new ones"
                         : "the provider cannot be reached from here, or the settings are wrong");
    if (st == ST_OK) {
        check_webhook(doctor, record, &check);
        check_template(doctor, channel, record);
    }
    channel_release(&channel);
}

struct end_look {
    struct channel_id id;
    struct arena *arena;
    struct credentials_end end;
};

static enum status
look_at_end(struct store_tx *tx, void *arg, struct err *err)
{
    struct end_look *look = arg;

    return credentials_end_get(tx, look->id, look->arena, &look->end, err);
}

/* Of credentials that end by themselves: until when, and whether the last refresh failed. A first
 * failure may be of a token that is not a day old. */
static void
check_end(struct doctor *doctor, const struct tenant_scope *scope,
          const struct channel_record *record)
{
    struct end_look look = {.id = record->id, .arena = doctor->session.arena};
    char what[48], words[400], until[32];
    struct str end = STR("an unknown day");
    struct err err;

    snprintf(what, sizeof(what), "%.*s", STR_ARG(record->source));
    if (store_read(doctor->session.app->store, scope, "doctor_end", look_at_end, &look, &err) !=
        ST_OK) {
        find(doctor, what, false, reason_of(&err), "restore the last backup");
        return;
    }
    if (look.end.ends_us == 0 && look.end.failures == 0)
        return;
    if (look.end.ends_us != 0)
        end = time_format_rfc3339(look.end.ends_us, until);
    if (look.end.failures == 0)
        snprintf(words, sizeof(words), "\"%.*s\": its token ends on %.*s and is refreshed before",
                 STR_ARG(record->name), STR_ARG(str_sub(end, 0, 10)));
    else
        snprintf(words, sizeof(words),
                 "\"%.*s\": its token ends on %.*s and could not be refreshed: %.*s",
                 STR_ARG(record->name),
                 STR_ARG(str_sub(end, 0, look.end.ends_us != 0 ? 10 : end.len)),
                 STR_ARG(look.end.reason));
    find(doctor, what, look.end.failures < 2, words,
         "make a new token at the provider and give it with PATCH /v1/channels/{id}");
}

static void
check_one_channel(struct doctor *doctor, const struct tenant_scope *scope,
                  const struct channel_record *record)
{
    check_channel(doctor, record);
    check_breaker(doctor, scope, record);
    check_end(doctor, scope, record);
}

struct counting {
    struct queue_counts counts;
    int64_t now_us;
};

static enum status
count_jobs(struct store_tx *tx, void *arg, struct err *err)
{
    struct counting *c = arg;

    return queue_count(tx, NULL, c->now_us, &c->counts, err);
}

static void
check_queue(struct doctor *doctor, const struct tenant_scope *scope)
{
    struct counting c = {.now_us = clock_wall_us(clock_system())};
    char words[160];
    struct err err;

    if (store_read(doctor->session.app->store, scope, "doctor_queue", count_jobs, &c, &err) !=
        ST_OK) {
        find(doctor, "queue", false, reason_of(&err), "restore the last backup");
        return;
    }
    snprintf(words, sizeof(words), "%lld ready, %lld waiting, %lld dead",
             (long long)c.counts.ready + (long long)c.counts.delayed, (long long)c.counts.waiting,
             (long long)c.counts.dead);
    find(doctor, "queue", c.counts.dead == 0, words,
         "parley dead-letters shows why; remove the cause, then replay");
}

static void
check_organization(struct doctor *doctor, const struct organization *organization)
{
    struct app *app = doctor->session.app;
    const struct tenant_scope *scope = NULL;
    struct channel_id *ids = NULL;
    size_t count = 0, i;
    struct err err;

    if (!doctor->options.json)
        printf("\n%.*s\n", STR_ARG(organization->name));
    if (tenant_admit_operator(app->tenants, organization->slug, doctor->session.arena, &scope,
                              &err) != ST_OK ||
        channel_list(app->tenants, scope, &ids, &count, doctor->session.arena, &err) != ST_OK) {
        find(doctor, "database", false, reason_of(&err), "restore the last backup");
        return;
    }
    if (count == 0)
        find(doctor, "channels", true, "none yet: parley admin channel add", NULL);
    for (i = 0; i < count; i++) {
        const struct channel_record *record = NULL;

        if (channel_record_get(app->tenants, scope, ids[i], &record, &err) == ST_OK)
            check_one_channel(doctor, scope, record);
        else
            find(doctor, "channel", false, reason_of(&err),
                 "its credentials cannot be opened: is this the right key file?");
        channel_record_unref(&record);
    }
    check_queue(doctor, scope);
}

static void
check_all(struct doctor *doctor)
{
    struct organization *organizations = NULL;
    struct organization_id after = {{""}};
    size_t count = 0, i;
    struct err err;

    if (!doctor->options.json)
        puts("Server");
    check_storage(doctor);
    check_objects(doctor);
    check_key_file(doctor);
    check_extractor(doctor);
    check_encoder(doctor);
    check_index(doctor);
    check_model(doctor, doctor->session.app->http);
    do {
        if (organization_list(doctor->session.app->tenants, after, 100, doctor->session.arena,
                              &organizations, &count, &err) != ST_OK) {
            find(doctor, "organizations", false, reason_of(&err), "restore the last backup");
            return;
        }
        for (i = 0; i < count; i++)
            check_organization(doctor, &organizations[i]);
        if (count > 0)
            after = organizations[count - 1].id;
    } while (count == 100);
}

/* "0.0.0.0:80" is reached at 127.0.0.1. */
static const char *
own_url(struct doctor *doctor)
{
    struct str listen = settings_text(doctor->session.settings, "http.listen");

    if (str_starts_with(listen, STR("0.0.0.0:")))
        listen = str_sub(listen, 8, listen.len);
    else if (str_starts_with(listen, STR("[::]:")))
        listen = str_sub(listen, 5, listen.len);
    else
        return arena_printf(doctor->session.arena, "http://%.*s/readyz", STR_ARG(listen)).ptr;
    return arena_printf(doctor->session.arena, "http://127.0.0.1:%.*s/readyz", STR_ARG(listen)).ptr;
}

static void
check_answer(struct doctor *doctor, struct http_client *http)
{
    const char *url = own_url(doctor);
    struct http_call call = {.method = "GET", .url = str_from_c(url), .deadline_ms = 5000};
    struct http_reply reply;
    struct err err;
    enum status st = http_client_call(http, &call, doctor->session.arena, &reply, &err);
    char words[200];

    if (st != ST_OK)
        snprintf(words, sizeof(words), "no answer at %.120s", url);
    else
        snprintf(words, sizeof(words), "%s at %.120s", reply.status == 200 ? "ready" : "not ready",
                 url);
    find(doctor, "running", st == ST_OK && reply.status == 200, words,
         st == ST_OK ? "it is stopping, or its disk refuses writes: its log says which"
                     : "its log says why; is http.listen here what it was started with?");
}

/* By the way that providers come. */
static void
check_public_address(struct doctor *doctor, struct http_client *http)
{
    struct str base = settings_text(doctor->session.settings, "http.public_url");
    struct http_call call = {.method = "GET", .deadline_ms = 10000};
    struct http_reply reply;
    struct err err;
    char words[200];
    enum status st;

    if (base.len == 0)
        return;
    call.url = arena_printf(
        doctor->session.arena, "%.*s/healthz",
        STR_ARG(str_ends_with(base, STR("/")) ? str_sub(base, 0, base.len - 1) : base));
    st = http_client_call(http, &call, doctor->session.arena, &reply, &err);
    snprintf(words, sizeof(words), "%s at %.*s",
             st != ST_OK           ? "no answer"
             : reply.status == 200 ? "answers"
                                   : "something else answers",
             STR_ARG(str_sub(base, 0, 120)));
    find(doctor, "public address", st == ST_OK && reply.status == 200, words,
         "http.public_url must lead to this server, through proxy and certificate: providers "
         "deliver there");
}

/* A running server holds the data: what can be seen from outside. */
static void
check_outside(struct doctor *doctor)
{
    const struct settings *s = doctor->session.settings;
    const struct http_client_config config = {.allow_private_addresses = true};
    struct http_client *http = NULL;
    struct err err;

    if (!doctor->options.json)
        puts("Server (it runs: channels, documents and queues are checked when it is stopped;\n"
             "its API has POST /v1/channels/{id}/check, GET /v1/queue and GET /v1/dead-letters)");
    if (http_client_create(&config, &http, &err) != ST_OK) {
        find(doctor, "running", false, reason_of(&err), "check libcurl's installation");
        return;
    }
    if (settings_text(s, "http.tls_certificate").len > 0)
        find(doctor, "running", true, "with TLS: ask for /readyz under its name", NULL);
    else
        check_answer(doctor, http);
    check_public_address(doctor, http);
    check_key_file(doctor);
    check_model(doctor, http);
    http_client_destroy(&http);
}

static int
run(int argc, char **argv)
{
    struct doctor doctor = {.problems = 0};
    bool is_served;
    int code;

    if (!options_read("doctor", argc, argv, NULL, &doctor.options))
        return EXIT_USAGE;
    doctor.findings = json_array();
    code = session_open_unless_served(&doctor.options, false, &is_served, &doctor.session);
    if (code == EXIT_FINE) {
        if (is_served)
            check_outside(&doctor);
        else
            check_all(&doctor);
        if (doctor.options.json)
            print_json(json_incref(doctor.findings));
        else
            printf("\n%s\n", doctor.problems == 0 ? "All is well." : "See the lines marked WRONG.");
        code = doctor.problems == 0 ? EXIT_FINE : EXIT_UNHEALTHY;
    } else if (code != EXIT_USAGE && code != EXIT_NOT_FOUND) { /* the reason is on stderr */
        find(&doctor, app_uses_server(doctor.session.settings) ? "database" : "data folder", false,
             "cannot be opened", "remove the cause that is named above");
        if (doctor.options.json)
            print_json(json_incref(doctor.findings));
        code = EXIT_UNHEALTHY;
    }
    session_close(&doctor.session);
    json_decref(doctor.findings);
    return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "check everything and say what to do",
    .usage = "doctor [--json]",
    .help = "Looks at storage, keys, the document reader, the encoder, the model, every channel "
            "(asking its\n"
            "provider) and the queues, and says in plain words what is wrong and what to do.\n"
            "Beside a running server it checks what can be seen from outside.\n\n"
            "Exit code 6: something is wrong.\n",
    .run = run,
};
