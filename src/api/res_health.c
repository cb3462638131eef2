/*
 * res_health.c - is it alive, is it ready, how is it doing, what can it do
 */
#include "api/api_private.h"
#include "base/buf.h"
#include "base/metrics.h"

#define METRICS_MAX_BYTES (8u * 1024 * 1024)

static enum status
healthz(struct api_call *call, struct err *err)
{
    json_t *body = json_object();

    (void)err;
    json_set_str(body, "status", STR("alive"));
    json_set_str(body, "version", STR(PARLEY_VERSION));
    return api_reply(call, body);
}

static enum status
readyz(struct api_call *call, struct err *err)
{
    struct store_health health;
    json_t *body;

    (void)err;
    store_get_health(call->config->store, &health);
    body = json_object();
    if (!health.writable || api_is_stopping(call->api)) {
        json_set_str(body, "status", health.writable ? STR("stopping") : STR("storage_failing"));
        return api_reply_status(call, 503, body);
    }
    json_set_str(body, "status", STR("ready"));
    json_set_str(body, "encoder", call->config->encoder);
    if (health.free_disk_bytes >= 0) /* a database server's disk is not ours to look at */
        json_set_int(body, "free_disk_bytes", health.free_disk_bytes);
    return api_reply(call, body);
}

/* Figures of all organizations together: for this machine, or for whoever has the token. */
static bool
may_see_metrics(const struct api_call *call)
{
    struct str token = call->config->metrics_token;
    struct str header = http_request_header(call->req, "Authorization");
    struct str address = call->req->client_address;

    if (token.len > 0)
        return str_starts_with(header, STR("Bearer ")) &&
               str_eq_secret(str_sub(header, 7, header.len), token);
    return str_starts_with(address, STR("127.")) || str_eq_c(address, "::1");
}

static enum status
metrics(struct api_call *call, struct err *err)
{
    struct buf text;
    enum status st;

    if (!may_see_metrics(call))
        return err_set(err, ST_DENIED, "metrics are for this machine, or with http.metrics_token");
    buf_init(&text, METRICS_MAX_BYTES);
    metrics_write(&text);
    st = buf_check(&text, err);
    if (st == ST_OK) {
        http_respond(call->resp, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
        call->answered = true;
    }
    buf_deinit(&text);
    return st;
}

static enum status
openapi(struct api_call *call, struct err *err)
{
    (void)err;
    return api_reply(call, api_openapi());
}

const struct api_operation api_health_operations[] = {
    {HTTP_GET, "/healthz", "health.alive", "Operation", "The process answers", ACCESS_PUBLIC, 0,
     healthz, 0, 0, NULL, "{\"type\":\"object\"}", NULL, 200},
    {HTTP_GET, "/readyz", "health.ready", "Operation",
     "Storage works and the server is not stopping", ACCESS_PUBLIC, 0, readyz, 0, 0, NULL,
     "{\"type\":\"object\"}", NULL, 200},
    {HTTP_GET, "/metrics", "health.metrics", "Operation",
     "Prometheus metrics, for this machine or with the metrics token", ACCESS_PUBLIC, 0, metrics, 0,
     0, NULL, NULL, NULL, 200},
    {HTTP_GET, "/openapi.json", "openapi", "Operation", "This description", ACCESS_PUBLIC, 0,
     openapi, HTTP_ROUTE_CORS, 0, NULL, "{\"type\":\"object\"}", NULL, 200},
    {.path = NULL},
};
