/*
 * app.c - opens all parts in the order of the layers, closes them in the other order
 */
#include "app/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "base/log.h"
#include "channel/openid.h"
#include "live/live_driver.h"
#include "net/virus_scan.h"
#include "queue/transports/transport_driver.h"
#include "text/json.h"

#define LIVE_TOPICS 100000
#define LIVE_EVENTS_PER_TOPIC 256
#define LIVE_MAX_BYTES (64u * 1024 * 1024)
#define LIVE_KEEP_US (300 * US_PER_S)
#define PATH_BYTES 4096
#define INDEXERS 2       /* organizations that the engine is brought into step with at a time */
#define RECORDERS 2      /* organizations whose intake is recorded at a time */
#define LINK_KEYS_MAX 64 /* as many as a key file holds */

void
app_store_config(const struct settings *s, const char *folder, struct store_config *config_out)
{
    *config_out = (struct store_config){
        .data_folder = folder,
        .database_url = settings_text(s, "database.url").ptr,
        .pool_size = (unsigned)settings_int(s, "database.pool_size"),
        .statement_timeout_ms = (int)settings_int(s, "database.statement_timeout"),
        .connect_timeout_ms = (int)settings_int(s, "database.connect_timeout"),
        .max_open_tenants = (unsigned)settings_int(s, "data.max_open_organizations"),
    };
}

static enum status
open_store(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct str folder = settings_text(s, "data.folder");
    struct str key = settings_text(s, "data.key_file");
    char folder_path[PATH_BYTES], key_path[PATH_BYTES];
    struct store_config store;
    struct tenants_config tenants = {
        .key_file = key_path,
    };
    struct app_shared limits;
    enum status st = app_shared_driver(s, "limits.shared", &limits, err);

    if (st != ST_OK)
        return st;
    tenants.limits_driver = limits.driver;
    tenants.limits_addresses = limits.addresses;
    tenants.limits_ca_file = limits.ca_file;

    while (folder.len > 1 && str_ends_with(folder, STR("/")))
        folder.len--;
    snprintf(folder_path, sizeof(folder_path), "%.*s", STR_ARG(folder));
    if (key.len > 0)
        snprintf(key_path, sizeof(key_path), "%.*s", STR_ARG(key));
    else
        snprintf(key_path, sizeof(key_path), "%.*s.key", STR_ARG(folder));
    app_store_config(s, folder_path, &store);
    /* For uploads on their way, and the demo's key: with files the store makes it. */
    if (app_uses_server(s) && mkdir(folder_path, 0700) != 0 && errno != EEXIST)
        return err_set_detail(err, ST_UNAVAILABLE, "make folder %s: %s", folder_path,
                              strerrordesc_np(errno));
    st = store_open(&store, &app->store, err);
    if (st != ST_OK)
        return st;
    tenants.store = app->store;
    tenants.clock = store_clock(app->store);
    return tenants_open(&tenants, &app->tenants, err);
}

void
app_blob_folder(const struct settings *settings, char *out, size_t size)
{
    struct str named = settings_text(settings, "blob.folder");

    if (named.len > 0)
        snprintf(out, size, "%.*s", STR_ARG(named));
    else
        snprintf(out, size, "%.*s/blobs", STR_ARG(settings_text(settings, "data.folder")));
}

static enum status
open_blobs(struct app *app, struct err *err)
{
    unsigned char keys[LINK_KEYS_MAX][BLOB_LINK_KEY_BYTES];
    char folder[PATH_BYTES];
    struct blob_config blobs = {
        .clock = store_clock(app->store),
        .folder = folder,
        .link_keys = (const unsigned char(*)[BLOB_LINK_KEY_BYTES])keys,
        .link_key_count = tenant_derive_keys(app->tenants, "blob-link", keys, LINK_KEYS_MAX),
    };
    enum status st;

    app_blob_folder(app->settings, folder, sizeof(folder));
    st = blob_open(&blobs, &app->blobs, err);
    explicit_bzero(keys, sizeof(keys));
    return st;
}

static enum status
open_clients(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct http_client_config models = {.allow_private_addresses =
                                            settings_bool(s, "model.allow_private_address")};
    struct str ca_file = settings_text(s, "send.ca_file");
    /* libcurl adds it to the folder of the system's. Texts of settings end in a NUL. */
    struct http_client_config providers = {.allow_private_addresses =
                                               settings_bool(s, "send.allow_private_addresses"),
                                           .ca_file = ca_file.len > 0 ? ca_file.ptr : NULL};
    enum status st = ST_OK;

    if (providers.ca_file != NULL && access(providers.ca_file, R_OK) != 0)
        st = err_set(err, ST_INVALID, "send.ca_file: %s cannot be read", providers.ca_file);
    if (st == ST_OK)
        st = http_client_create(&models, &app->http, err);
    if (st == ST_OK)
        st = http_client_create(&providers, &app->provider_http, err);
    if (st != ST_OK)
        return st;
    app->channel_env =
        (struct channel_env){.http = app->provider_http,
                             .clock = store_clock(app->store),
                             .public_url = settings_text(s, "http.public_url"),
                             .openid = openid_create(app->provider_http, store_clock(app->store)),
                             .stopping = &app->stopping};
    if (str_ends_with(app->channel_env.public_url, STR("/")))
        app->channel_env.public_url.len--;
    return channel_registry_create(&app->channel_env, app->tenants, channel_drivers_built_in,
                                   &app->channels, err);
}

static enum status
open_models(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct model_env env = {.http = app->http, .clock = store_clock(app->store)};
    json_auto_t *chain = json_array();
    json_auto_t *extractive = json_array();
    enum status st;

    if (app_has_model(s)) {
        json_t *config = json_object();

        json_set_str(config, "driver", STR("openai_chat"));
        json_set_str(config, "base_url", settings_text(s, "model.base_url"));
        json_set_str(config, "model", settings_text(s, "model.name"));
        json_set_str(config, "api_key", settings_text(s, "model.api_key"));
        json_set_int(config, "timeout_ms", settings_int(s, "model.timeout"));
        json_set_bool(config, "allow_private", settings_bool(s, "model.allow_private_address"));
        json_array_append_new(chain, config);
    }
    st = model_chain_open(&env, chain, &app->models, err);
    return st == ST_OK ? model_chain_open(&env, extractive, &app->extractive, err) : st;
}

static enum status
open_queue(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct live_config live = {.clock = store_clock(app->store),
                               .max_topics = LIVE_TOPICS,
                               .events_per_topic = LIVE_EVENTS_PER_TOPIC,
                               .max_bytes = LIVE_MAX_BYTES,
                               .keep_us = LIVE_KEEP_US};
    struct queue_config queue = {.store = app->store,
                                 .tenants = app->tenants,
                                 .clock = store_clock(app->store),
                                 .lease_us = settings_int(s, "queue.lease") * US_PER_MS,
                                 .sweep_us = settings_int(s, "queue.sweep") * US_PER_MS,
                                 .never_sweeps = (app->roles & (ROLE_WORKER | ROLE_SCHEDULER)) == 0,
                                 .retention_us = settings_int(s, "queue.retention") * US_PER_MS};
    struct app_shared events, wakeups;
    enum status st = app_shared_driver(s, "live.transport", &events, err);

    if (st == ST_OK)
        st = app_shared_driver(s, "queue.transport", &wakeups, err);
    if (st != ST_OK)
        return st;
    live.driver = live_driver_find(events.driver);
    live.addresses = events.addresses;
    live.ca_file = events.ca_file;
    queue.transport = queue_transport_find(wakeups.driver);
    queue.transport_addresses = wakeups.addresses;
    queue.transport_ca_file = wakeups.ca_file;
    st = live_hub_create(&live, &app->live, err);
    return st == ST_OK ? queue_open(&queue, &app->queue, err) : st;
}

static enum status
open_events(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct events_config events = {
        .store = app->store,
        .tenants = app->tenants,
        .queue = app->queue,
        .clock = store_clock(app->store),
        .stopping = &app->stopping,
        .workers =
            (app->roles & ROLE_WORKER) != 0 ? (unsigned)settings_int(s, "events.workers") : 0,
        .allow_private_addresses = settings_bool(s, "events.allow_private_addresses"),
        .retention_us = settings_int(s, "retention.outgoing_events") * US_PER_MS,
        .disable_after_us = settings_int(s, "events.disable_after") * US_PER_MS,
    };

    return events_open(&events, &app->events, err);
}

static enum status
open_gateway(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct gateway_config gateway = {
        .store = app->store,
        .tenants = app->tenants,
        .queue = app->queue,
        .channels = app->channels,
        .live = app->live,
        .clock = store_clock(app->store),
        .organization_per_minute = (unsigned)settings_int(s, "limits.organization_per_minute"),
        .channel_per_minute = (unsigned)settings_int(s, "limits.channel_per_minute"),
        .sender_per_minute = (unsigned)settings_int(s, "limits.sender_per_minute"),
        .record_at_once = (unsigned)settings_int(s, "gateway.record_at_once"),
        .recorders = (app->roles & (ROLE_GATEWAY | ROLE_WORKER)) != 0 ? RECORDERS : 0,
        .senders = (app->roles & ROLE_WORKER) != 0 ? (unsigned)settings_int(s, "send.workers") : 0,
        .pollers = (unsigned)settings_int(s, "poll.channels"),
        .poll = (app->roles & ROLE_GATEWAY) != 0,
        .blobs = app->blobs,
        .media_max_bytes = (uint64_t)settings_int(s, "media.max_size"),
        .media_types = settings_text(s, "media.types"),
        .media_scanner = settings_text(s, "media.clamav"),
        .public_url = app->channel_env.public_url,
    };

    if (gateway.media_scanner.len > 0 &&
        virus_scan_check_address(gateway.media_scanner, err) != ST_OK)
        return err_wrap(err, "media.clamav");
    return gateway_open(&gateway, &app->gateway, err);
}

static enum status
queue_outbound(void *context, struct store_tx *tx, struct message_id message_id,
               struct channel_id channel_id, struct str external_chat_id, struct err *err)
{
    return gateway_queue_outbound(context, tx, message_id, channel_id, external_chat_id, err);
}

static enum status
open_orchestrator(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct orchestrator_config orchestrator = {
        .store = app->store,
        .tenants = app->tenants,
        .queue = app->queue,
        .channels = app->channels,
        .live = app->live,
        .clock = store_clock(app->store),
        .models = app->models,
        .extractive = app->extractive,
        .embedder = app->embedder,
        .vectors = app->vectors,
        .previous = app->previous,
        .previous_vectors = app->previous_vectors,
        .engine = app->engine,
        .workers = (unsigned)settings_int(s, "answer.workers"),
        .history_messages = (unsigned)settings_int(s, "answer.history"),
        .passages = (unsigned)settings_int(s, "answer.passages"),
        .model_deadline_ms = (unsigned)settings_int(s, "model.timeout"),
        .rerank_ms = app_has_model(s) ? (unsigned)settings_int(s, "answer.rerank_timeout") : 0,
        .queue_outbound = queue_outbound,
        .queue_outbound_context = app->gateway,
    };

    return orchestrator_open(&orchestrator, &app->orchestrator, err);
}

static enum status
open_knowledge(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct str extractor = settings_text(s, "ingest.extractor");
    struct knowledge_config knowledge = {
        .store = app->store,
        .queue = app->queue,
        .blobs = app->blobs,
        .live = app->live,
        .clock = store_clock(app->store),
        .extractor_path = extractor.len == 0 ? NULL : extractor.ptr,
        .max_document_bytes = (size_t)settings_int(s, "http.max_upload"),
        .passages = {.words = settings_int(s, "ingest.passage_words"),
                     .overlap = settings_int(s, "ingest.passage_overlap")},
        .ocr_languages = settings_text(s, "ingest.ocr_languages").ptr,
        .ocr_seconds = (unsigned)(settings_int(s, "ingest.ocr_time") / 1000),
        .embedder = app->embedder,
        .previous = app->previous,
        .engine = app->engine,
        .allow_private_sites = settings_bool(s, "crawl.allow_private_addresses"),
        .max_site_pages = (unsigned)settings_int(s, "crawl.max_pages"),
        .site_delay_ms = (unsigned)settings_int(s, "crawl.delay"),
    };

    return knowledge_open(&knowledge, &app->knowledge, err);
}

static enum status
open_evaluations(struct app *app, struct err *err)
{
    const struct evaluations_config config = {
        .store = app->store,
        .queue = app->queue,
        .orchestrator = app->orchestrator,
        .knowledge = app->knowledge,
        .models = app_has_model(app->settings) ? app->models : NULL,
        .embedder = app->embedder,
        .clock = store_clock(app->store),
    };

    (void)err;
    evaluations_open(&config, &app->evaluations);
    return ST_OK;
}

/* Who shares the work must be able to reach the data. */
static enum status
read_roles(struct app *app, struct err *err)
{
    enum status st = roles_parse(settings_text(app->settings, "serve.roles"), &app->roles, err);

    if (st == ST_OK && app->roles != ROLES_ALL && !app_uses_server(app->settings))
        st = err_set(err, ST_INVALID,
                     "serve.roles: one process has the data folder: leave it unset, or set "
                     "database.url");
    return st;
}

enum status
app_open(struct settings *settings, struct app **app_out, struct err *err)
{
    static enum status (*const steps[])(struct app *, struct err *) = {
        read_roles,       open_store,        open_blobs,       open_clients, open_models,
        app_open_encoder, app_open_index,    open_queue,       open_events,  open_gateway,
        open_knowledge,   open_orchestrator, open_evaluations,
    };
    struct app *app = calloc(1, sizeof(*app));
    enum status st = ST_OK;
    size_t i;

    *app_out = NULL;
    if (app == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory");
    app->settings = settings;
    atomic_init(&app->stopping, false);
    for (i = 0; st == ST_OK && i < sizeof(steps) / sizeof(steps[0]); i++)
        st = steps[i](app, err);
    if (st != ST_OK) {
        app_close(&app);
        return st;
    }
    *app_out = app;
    return ST_OK;
}

enum status
app_start_ingestion(struct app *app, struct err *err)
{
    unsigned threads = (unsigned)settings_int(app->settings, "ingest.workers");

    enum status st =
        queue_workers_start(app->queue, QUEUE_TOPIC_INGEST, threads, knowledge_handle_job,
                            knowledge_on_dead, app->knowledge, &app->ingestion, err);

    if (st == ST_OK)
        st = queue_workers_start(
            app->queue, QUEUE_TOPIC_CRAWL, (unsigned)settings_int(app->settings, "crawl.workers"),
            site_handle_job, site_on_dead, app->knowledge, &app->crawling, err);
    if (st == ST_OK && app->engine != NULL)
        st = queue_workers_start(app->queue, QUEUE_TOPIC_INDEX, INDEXERS, index_sync_job, NULL,
                                 app->engine, &app->indexing, err);
    return st;
}

static enum status
start_upkeep(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    const struct upkeep_config config = {
        .store = app->store,
        .blobs = app->blobs,
        .knowledge = app->knowledge,
        .gateway = app->gateway,
        .engine = app->engine,
        .tenants = app->tenants,
        .instance = app->instance,
        .events_us = settings_int(s, "retention.channel_events") * US_PER_MS,
        .quarantine_us = settings_int(s, "retention.quarantine") * US_PER_MS,
    };

    return upkeep_start(&config, &app->upkeep, err);
}

enum status
app_start_workers(struct app *app, struct err *err)
{
    struct arena *arena = arena_create(1024);
    struct instance_config instance = {.tenants = app->tenants,
                                       .roles = roles_format(app->roles, arena),
                                       .version = STR(PARLEY_VERSION)};
    bool works = (app->roles & ROLE_WORKER) != 0;
    enum status st = app_check_index(app, err);

    if (st == ST_OK)
        st = instance_open(&instance, &app->instance, err);
    arena_destroy(&arena);
    if (st == ST_OK && works)
        st = app_start_ingestion(app, err);
    if (st == ST_OK && works)
        st = orchestrator_start(app->orchestrator, err);
    if (st == ST_OK && works)
        st = evaluations_start(app->evaluations, err);
    if (st == ST_OK)
        st = events_start(app->events, err);
    if (st == ST_OK)
        st = gateway_start(app->gateway, app->instance, err);
    if (st == ST_OK && (app->roles & ROLE_SCHEDULER) != 0)
        st = start_upkeep(app, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "start workers");
}

void
app_stop_taking(struct app *app)
{
    atomic_store(&app->stopping, true); /* long polls end */
    if (app->queue != NULL)
        queue_stop_taking(app->queue);
}

int64_t
app_stop_deadline_us(const struct app *app)
{
    return clock_mono_us(clock_system()) + settings_int(app->settings, "stop.deadline") * US_PER_MS;
}

static int64_t
ms_until(int64_t deadline_us)
{
    int64_t left_us = deadline_us - clock_mono_us(clock_system());

    return left_us > 0 ? left_us / US_PER_MS : 0;
}

void
app_stop_workers(struct app *app, int64_t deadline_us)
{
    app_stop_taking(app);
    upkeep_stop(&app->upkeep);
    if (app->gateway != NULL)
        gateway_stop(app->gateway, ms_until(deadline_us));
    if (app->evaluations != NULL)
        evaluations_stop(app->evaluations, ms_until(deadline_us));
    if (app->orchestrator != NULL)
        orchestrator_stop(app->orchestrator, ms_until(deadline_us));
    queue_workers_stop(&app->crawling, ms_until(deadline_us));
    queue_workers_stop(&app->ingestion, ms_until(deadline_us));
    queue_workers_stop(&app->indexing, ms_until(deadline_us));
    if (app->events != NULL)
        events_stop(app->events, ms_until(deadline_us));
    instance_close(&app->instance);
}

void
app_close(struct app **app_ref)
{
    struct app *app = *app_ref;

    if (app == NULL)
        return;
    evaluations_close(&app->evaluations);
    orchestrator_close(&app->orchestrator);
    knowledge_close(&app->knowledge);
    gateway_close(&app->gateway);
    events_close(&app->events);
    queue_close(&app->queue);
    live_hub_destroy(&app->live);
    app_close_index(app);
    app_close_encoder(app);
    model_chain_close(&app->extractive);
    model_chain_close(&app->models);
    channel_registry_destroy(&app->channels);
    openid_destroy(&app->channel_env.openid);
    http_client_destroy(&app->provider_http);
    http_client_destroy(&app->http);
    blob_close(&app->blobs);
    tenants_close(&app->tenants);
    store_close(&app->store);
    free(app);
    *app_ref = NULL;
}

int
command_fail(const struct err *err, const char *what)
{
    static const struct {
        enum status code;
        int exit_code;
    } exits[] = {{ST_INVALID, EXIT_USAGE},
                 {ST_NOT_FOUND, EXIT_NOT_FOUND},
                 {ST_CONFLICT, EXIT_CONFLICT},
                 {ST_BUSY, EXIT_UNAVAILABLE},
                 {ST_UNAVAILABLE, EXIT_UNAVAILABLE}};
    size_t i;

    fprintf(stderr, "parley: %s: %s\n", what,
            err->detail[0] != '\0' ? err->detail : err->public_text);
    for (i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
        if (exits[i].code == err->code)
            return exits[i].exit_code;
    return EXIT_FAILED;
}
