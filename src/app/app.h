/*
 * app.h - all parts wired together, for the server and for the command line
 *
 * app_open opens what a mode needs, in the order of the layers; app_close closes it in the other
 * order. Whoever may read the data folder and its key acts as the operator. Threads: main only.
 */
#ifndef PARLEY_APP_APP_H
#define PARLEY_APP_APP_H

#include <stdatomic.h>

#include "app/roles.h"
#include "app/upkeep.h"
#include "base/settings.h"
#include "blob/blob.h"
#include "channel/channel.h"
#include "embed/embed.h"
#include "eval/evaluations.h"
#include "events/events.h"
#include "gateway/gateway.h"
#include "index/engine.h"
#include "knowledge/knowledge.h"
#include "knowledge/site.h"
#include "live/live.h"
#include "model/model.h"
#include "net/http_client.h"
#include "orchestrator/orchestrator.h"
#include "queue/queue.h"
#include "store/store.h"
#include "tenant/tenant.h"

extern const struct setting *const app_settings[];

struct app {
    struct settings *settings; /* the caller's */
    unsigned roles;            /* enum role, of a server */
    struct instance *instance; /* of a server: from app_start_workers to app_stop_workers */
    struct store *store;
    struct tenants *tenants;
    struct blob_store *blobs;
    struct queue *queue;
    struct live_hub *live;
    struct events *events;
    struct http_client *http;          /* to models */
    struct http_client *provider_http; /* to channels' providers */
    struct channel_env channel_env;
    struct channel_registry *channels;
    struct model_chain *models, *extractive;
    struct http_client *embed_http;
    struct embedder *embedder;     /* NULL: by words alone */
    struct index_vectors *vectors; /* of the same encoder; NULL: not searched here */
    struct embedder *previous;     /* embed.previous; NULL: none, or not to be had any more */
    struct index_vectors *previous_vectors;
    struct http_client *engine_http;
    struct index_engine *engine; /* NULL: the database searches */
    struct knowledge *knowledge;
    struct gateway *gateway;
    struct orchestrator *orchestrator;
    struct evaluations *evaluations;
    struct queue_workers *ingestion, *crawling, *indexing;
    struct upkeep *upkeep;
    atomic_bool stopping;
};

/* Where objects are: blob.folder, or blobs in the data folder. out holds size bytes. */
void app_blob_folder(const struct settings *settings, char *out, size_t size);

/* What the settings say; borrows their texts, and folder. */
void app_store_config(const struct settings *settings, const char *folder,
                      struct store_config *config_out);
/* A language model is configured. */
static inline bool
app_has_model(const struct settings *settings)
{
    return str_eq_c(settings_text(settings, "model.driver"), "openai_chat");
}
/* The data is on a PostgreSQL server, not in a folder. */
static inline bool
app_uses_server(const struct settings *settings)
{
    return settings_text(settings, "database.url").len > 0;
}

/* What a setting that names a driver between processes comes to: "local" without servers. */
struct app_shared {
    struct str driver, addresses, ca_file;
};
/* key: queue.transport, live.transport, limits.shared. ST_INVALID: the setting that says where its
 * servers are is missing. */
MUST_USE enum status app_shared_driver(const struct settings *settings, const char *key,
                                       struct app_shared *shared_out, struct err *err);

/* app_encoder.c: the encoder that the settings ask for; all NULL without one, and with embed.driver
 * auto that is fine. ST_NOT_FOUND: embed.driver minilm, and its weights are not there. */
MUST_USE enum status app_open_encoder(struct app *app, struct err *err);
void app_close_encoder(struct app *app);
/* One line for a person. Borrows nothing. */
void app_describe_encoder(const struct app *app, char *out, size_t size);

/* app_index.c: the engine that index.driver asks for; asks it nothing. ST_INVALID: its settings. */
MUST_USE enum status app_open_index(struct app *app, struct err *err);
void app_close_index(struct app *app);
/* Whether it is as it should be: before anything is served. One that is away is logged alone. */
MUST_USE enum status app_check_index(struct app *app, struct err *err);

/* ST_CONFLICT: a running server has the data folder, or the database is to be migrated. On failure
 * nothing stays open. */
MUST_USE enum status app_open(struct settings *settings, struct app **app_out, struct err *err);
void app_close(struct app **app);
/* Only the workers that read documents: for `parley ingest`. */
MUST_USE enum status app_start_ingestion(struct app *app, struct err *err);
/* Registers this process and starts what its roles need. */
MUST_USE enum status app_start_workers(struct app *app, struct err *err);
/* Nothing new is begun. */
void app_stop_taking(struct app *app);
/* Monotonic: now and stop.deadline. */
int64_t app_stop_deadline_us(const struct app *app);
/* What runs may finish until then; last the process takes its leave. */
void app_stop_workers(struct app *app, int64_t deadline_us);

/* --- commands --- */

enum exit_code {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,      /* tried and failed */
    EXIT_USAGE = 2,       /* the words of the call, or the settings, are wrong */
    EXIT_NOT_FOUND = 3,   /* no such thing, or the documents have no answer */
    EXIT_CONFLICT = 4,    /* exists already, or a running server has the data folder */
    EXIT_UNAVAILABLE = 5, /* a provider, a model or a disk: try again later */
    EXIT_UNHEALTHY = 6    /* doctor found something */
};
/* Prints what the operator needs to know to standard error. */
int command_fail(const struct err *err, const char *what);

struct command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* the whole text of --help, after the usage line */
    const char *usage;
    bool own_help;                     /* --help is the command's own affair */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

#endif
