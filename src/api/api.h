/*
 * api.h - the REST interface: one table of operations makes routes, access checks, OpenAPI and
 * tests
 *
 *   request -> route -> admission (API key, visitor's token or none) -> scope bits -> rate limit
 *           -> Idempotency-Key -> handler: parse by table, check, transaction, reply
 *
 * One file per resource. Errors are application/problem+json, lists are pages with an opaque
 * cursor, times are RFC 3339. Another organization's id is 404.
 * Threads: handlers run on the server's workers. Blocks: on store, models, never on the epoll side.
 */
#ifndef PARLEY_API_API_H
#define PARLEY_API_API_H

#include "eval/evaluations.h"
#include "gateway/gateway.h"
#include "knowledge/knowledge.h"
#include "live/live.h"
#include "net/http_server.h"
#include "orchestrator/orchestrator.h"

struct api;

struct api_config {
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct live_hub *live;
    struct channel_registry *channels;
    struct gateway *gateway;
    struct orchestrator *orchestrator;
    struct knowledge *knowledge;
    struct evaluations *evaluations;
    struct blob_store *blobs;
    struct events *events;
    struct clock *clock;
    struct str public_url;    /* "" when none */
    struct str encoder;       /* embed_version(), or "none": for /readyz */
    struct str metrics_token; /* "": metrics only for this machine */
    unsigned staff_per_minute, external_per_minute;
    size_t max_upload_bytes;
    size_t max_file_bytes; /* of a file that staff sends */
    struct str scanner;    /* clamd's address (net/virus_scan.h), which sees it first; "": none */
    /* Other processes serve these operations: 421 says so. */
    bool without_gateway; /* providers' webhooks, web chat */
    bool without_rest;    /* /v1 for the team and its programs, the widget */
};

MUST_USE enum status api_open(const struct api_config *config, struct api **api_out,
                              struct err *err);
void api_close(struct api **api);

/* The table for http_server_start, whose config.context must be this api. Frozen. */
const struct http_route *api_routes(const struct api *api, size_t *count_out);
/* For http_server_config.observe. */
void api_observe(const struct http_request *req, int status, double seconds, void *api);
/* Not ready: /readyz says 503, so that a balancer looks elsewhere while we stop. */
void api_set_stopping(struct api *api);

/* OpenAPI 3.1, made from the table of operations; a new reference. */
json_t *api_openapi(void);

#endif
