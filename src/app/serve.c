/*
 * serve.c - the server: opens everything, listens, waits for a signal, stops in order
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "app/commands.h"
#include "app/uploads.h"
#include "base/log.h"
#include "net/http_server.h"

#define FILES_BESIDE_CONNECTIONS 1024 /* databases, calls to providers */

struct server {
    struct app *app;
    struct api *api;
    struct http_server *http;
    struct uploads uploads;
};

static enum status
open_api(struct server *server, struct err *err)
{
    struct app *app = server->app;
    const struct settings *s = app->settings;
    struct api_config config = {
        .store = app->store,
        .tenants = app->tenants,
        .queue = app->queue,
        .live = app->live,
        .channels = app->channels,
        .gateway = app->gateway,
        .orchestrator = app->orchestrator,
        .knowledge = app->knowledge,
        .evaluations = app->evaluations,
        .blobs = app->blobs,
        .events = app->events,
        .clock = store_clock(app->store),
        .public_url = settings_text(s, "http.public_url"),
        .encoder = app->embedder == NULL ? STR("none") : embed_version(app->embedder),
        .metrics_token = settings_text(s, "http.metrics_token"),
        .staff_per_minute = (unsigned)settings_int(s, "limits.staff_per_minute"),
        .external_per_minute = (unsigned)settings_int(s, "limits.external_per_minute"),
        .max_file_bytes = (size_t)settings_int(s, "media.max_size"),
        .scanner = settings_text(s, "media.clamav"),
        .max_upload_bytes = (size_t)settings_int(s, "http.max_upload"),
        .without_gateway = (app->roles & ROLE_GATEWAY) == 0,
        .without_rest = (app->roles & ROLE_API) == 0,
    };

    return api_open(&config, &server->api, err);
}

/* Settings' texts end in a NUL; an unset one is no file. */
static const char *
path_or_null(const struct settings *settings, const char *key)
{
    struct str path = settings_text(settings, key);

    return path.len == 0 ? NULL : path.ptr;
}

static enum status
start_http(struct server *server, struct err *err)
{
    const struct settings *s = server->app->settings;
    size_t route_count = 0;
    const struct http_route *routes = api_routes(server->api, &route_count);
    struct http_server_config config = {
        .listen = settings_text(s, "http.listen").ptr,
        .epoll_threads = (unsigned)settings_int(s, "http.epoll_threads"),
        .workers = (unsigned)settings_int(s, "http.workers"),
        .max_queued = 4096,
        .max_connections = (unsigned)settings_int(s, "http.max_connections"),
        .max_connections_per_address =
            (unsigned)settings_int(s, "http.max_connections_per_address"),
        .idle_timeout_s = (unsigned)(settings_int(s, "http.idle_timeout") / 1000),
        .max_body_bytes = (size_t)settings_int(s, "http.max_body"),
        .upload_folder = server->uploads.path,
        .tls_certificate_file = path_or_null(s, "http.tls_certificate"),
        .tls_key_file = path_or_null(s, "http.tls_key"),
        .trusted_proxies = path_or_null(s, "http.trusted_proxies"),
        .observe = api_observe,
        .context = server->api,
    };

    return http_server_start(&config, routes, route_count, &server->http, err);
}

/* Balancers are told first. A second signal ends the wait. */
static void
announce_stop(struct server *server, const sigset_t *signals)
{
    int64_t wait_ms = settings_int(server->app->settings, "stop.announce");
    const struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};

    api_set_stopping(server->api);
    if (wait_ms > 0)
        (void)sigtimedwait(signals, NULL, &wait);
}

/* One deadline for all that runs: requests, then jobs, which were not taken any more meanwhile. */
static void
stop(struct server *server)
{
    int64_t deadline_ms = settings_int(server->app->settings, "stop.deadline");
    int64_t deadline_us = app_stop_deadline_us(server->app);

    if (server->api != NULL)
        api_set_stopping(server->api);
    app_stop_taking(server->app);
    if (server->http != NULL)
        http_server_stop(&server->http, deadline_ms);
    app_stop_workers(server->app, deadline_us);
    api_close(&server->api);
    uploads_close(&server->uploads);
}

static void
block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL); /* before any thread starts: all inherit it */
    signal(SIGPIPE, SIG_IGN);
}

/* A connection is an open file, and what a process may open at first is often no more than 1,024.
 */
static void
raise_file_limit(const struct settings *settings)
{
    uint64_t wanted =
        (uint64_t)settings_int(settings, "http.max_connections") + FILES_BESIDE_CONNECTIONS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        LOG(LOG_INFO, "serve.few_files", log_int("allowed", (int64_t)limit.rlim_cur),
            log_int("wanted", (int64_t)wanted),
            log_cstr("remedy", "raise the limit of open files, or lower http.max_connections"));
}

/* Who plays with the demo in a terminal wants to read where to click, not that it started. */
static void
init_log(const struct settings *settings, bool is_demo)
{
    enum log_level level = LOG_INFO;

    (void)!log_level_parse(settings_text(settings, "log.level"), &level);
    if (is_demo && isatty(STDERR_FILENO) && !settings_is_set(settings, "log.level"))
        level = LOG_WARN;
    log_init(STDERR_FILENO, level);
}

static int
fail_to_start(const struct server *server, const struct settings *settings, const struct err *err)
{
    int code = command_fail(err, "cannot start");

    /* Everything else that conflicts does so before the server was there. */
    if (server->api != NULL && err->code == ST_CONFLICT)
        fprintf(stderr,
                "Another program, or another Parley, listens on %.*s. Stop it, or take another "
                "port:\n  PARLEY_HTTP_LISTEN=127.0.0.1:8081\n",
                STR_ARG(settings_text(settings, "http.listen")));
    return code;
}

/* A thread's memory grows and shrinks with every answer: up to a megabyte of it is kept, where the
 * C library's own bounds would give it back, and fault it in again, each time. */
static void
keep_freed_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
}

int
serve_run(struct settings *settings,
          void (*announce)(struct app *app, unsigned port, void *context), void *context)
{
    struct server server = {.uploads.lock_fd = -1};
    sigset_t signals;
    struct err err;
    enum status st;
    int caught = 0, code = EXIT_FINE;

    block_signals(&signals);
    keep_freed_memory();
    init_log(settings, announce != NULL);
    raise_file_limit(settings);
    st = app_open(settings, &server.app, &err);
    if (st != ST_OK)
        return fail_to_start(&server, settings, &err);
    st = open_api(&server, &err);
    if (st == ST_OK)
        st = uploads_open(settings_text(settings, "data.folder"), &server.uploads, &err);
    if (st == ST_OK)
        st = app_start_workers(server.app, &err);
    if (st == ST_OK)
        st = start_http(&server, &err);
    if (st == ST_OK) {
        unsigned port = http_server_port(server.http);
        char encoder[160];

        app_describe_encoder(server.app, encoder, sizeof(encoder));
        LOG(LOG_INFO, "server.started", log_int("port", port), log_cstr("version", PARLEY_VERSION),
            log_str("roles", settings_text(settings, "serve.roles")),
            log_str("instance_id", instance_id(server.app->instance)));
        LOG(LOG_INFO, "server.encoder", log_cstr("detail", encoder));
        if (announce != NULL)
            announce(server.app, port, context);
        sigwait(&signals, &caught);
        LOG(LOG_INFO, "server.stopping", log_int("signal", caught));
        announce_stop(&server, &signals);
    }
    if (st != ST_OK)
        code = fail_to_start(&server, settings, &err);
    stop(&server);
    app_close(&server.app);
    if (st != ST_OK)
        return code;
    LOG(LOG_INFO, "server.stopped");
    return EXIT_FINE;
}
