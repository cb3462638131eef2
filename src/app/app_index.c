/*
 * app_index.c - which engine finds passages, as the settings ask for it
 */
#include "app/app.h"

#include "base/log.h"

enum status
app_open_index(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct str ca_file = settings_text(s, "qdrant.ca_file");
    const struct http_client_config http = {
        .allow_private_addresses = settings_bool(s, "qdrant.allow_private_address"),
        .ca_file = ca_file.len > 0 ? ca_file.ptr : NULL,
    };
    struct index_engine_config config = {
        .store = app->store,
        .clock = store_clock(app->store),
        .url = settings_text(s, "qdrant.url"),
        .api_key = settings_text(s, "qdrant.api_key"),
        .collection = settings_text(s, "qdrant.collection"),
        .quantized = str_eq_c(settings_text(s, "qdrant.quantization"), "int8"),
        .question_ms = (unsigned)settings_int(s, "qdrant.timeout"),
        .allow_private = http.allow_private_addresses,
        .stopping = &app->stopping,
    };
    enum status st;

    if (str_eq_c(settings_text(s, "index.driver"), "local"))
        return ST_OK;
    if (config.url.len == 0)
        return err_set(err, ST_INVALID, "index.driver = qdrant needs qdrant.url");
    if (app->embedder != NULL) {
        config.encoder = embed_version(app->embedder);
        config.dimension = embed_dimension(app->embedder);
    }
    st = http_client_create(&http, &app->engine_http, err);
    config.http = app->engine_http;
    return st == ST_OK ? index_engine_open(&config, &app->engine, err) : st;
}

void
app_close_index(struct app *app)
{
    index_engine_close(&app->engine);
    http_client_destroy(&app->engine_http);
}

enum status
app_check_index(struct app *app, struct err *err)
{
    enum status st = app->engine == NULL ? ST_OK : index_engine_check(app->engine, err);

    if (!status_is_passing(st))
        return st;
    LOG_ERR(LOG_WARN, "index.engine_away", err);
    return ST_OK;
}
