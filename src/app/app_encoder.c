/*
 * app_encoder.c - which sentence encoder the settings ask for, and whether it is there
 */
#include "app/app.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "text/json.h"

#define WEIGHTS_NAME "all-minilm-l6-v2.bin"
#define PATH_BYTES 4096
#define AUTO_MAX_THREADS 4

static bool
is_readable(const char *path)
{
    return access(path, R_OK) == 0;
}

/* Of embed.weights, in the data folder, or beside the program; "" when there is none. */
static void
find_weights(const struct settings *settings, char *out, size_t size)
{
    struct str named = settings_text(settings, "embed.weights");
    char program[PATH_BYTES];
    ssize_t length;
    char *slash;

    out[0] = '\0';
    if (named.len > 0) {
        (void)snprintf(out, size, "%.*s", STR_ARG(named));
        return;
    }
    (void)snprintf(out, size, "%.*s/" WEIGHTS_NAME,
                   STR_ARG(settings_text(settings, "data.folder")));
    if (is_readable(out))
        return;
    out[0] = '\0';
    length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length <= 0)
        return;
    program[length] = '\0';
    slash = strrchr(program, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    if (snprintf(out, size, "%s/" WEIGHTS_NAME, program) >= (int)size || !is_readable(out))
        out[0] = '\0';
}

static int64_t
threads_of(const struct settings *settings)
{
    int64_t threads = settings_int(settings, "embed.threads");
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (threads > 0)
        return threads;
    threads = processors / 2;
    return threads < 1 ? 1 : threads > AUTO_MAX_THREADS ? AUTO_MAX_THREADS : threads;
}

static enum status
open_minilm(const struct app *app, const char *weights, struct embedder **embedder_out,
            struct err *err)
{
    const struct embed_env env = {.clock = store_clock(app->store)};
    json_auto_t *config = json_object();

    json_set_str(config, "driver", STR("minilm"));
    json_set_str(config, "weights", str_from_c(weights));
    json_set_int(config, "threads", threads_of(app->settings));
    return embed_open(&env, config, embedder_out, err);
}

/* What embed.previous_... does not say is as it is now. */
static struct str
text_of(const struct settings *s, bool is_previous, const char *key, const char *previous_key)
{
    struct str own = is_previous ? settings_text(s, previous_key) : STR_EMPTY;

    return own.len > 0 ? own : settings_text(s, key);
}

static enum status
open_openai(struct app *app, bool is_previous, struct embedder **embedder_out, struct err *err)
{
    const struct settings *s = app->settings;
    const struct http_client_config http = {.allow_private_addresses =
                                                settings_bool(s, "embed.allow_private_address")};
    struct embed_env env = {.clock = store_clock(app->store)};
    struct str api_key = text_of(s, is_previous, "embed.api_key", "embed.previous_api_key");
    int64_t dimension = is_previous ? settings_int(s, "embed.previous_dimension") : 0;
    json_auto_t *config = json_object();
    enum status st = ST_OK;

    if (app->embed_http == NULL)
        st = http_client_create(&http, &app->embed_http, err);
    if (st != ST_OK)
        return st;
    env.http = app->embed_http;
    json_set_str(config, "driver", STR("openai"));
    json_set_str(config, "base_url",
                 text_of(s, is_previous, "embed.base_url", "embed.previous_base_url"));
    json_set_str(config, "model", text_of(s, is_previous, "embed.model", "embed.previous_model"));
    json_set_int(config, "dimension",
                 dimension > 0 ? dimension : settings_int(s, "embed.dimension"));
    if (api_key.len > 0)
        json_set_str(config, "api_key", api_key);
    json_set_bool(config, "allow_private", settings_bool(s, "embed.allow_private_address"));
    return embed_open(&env, config, embedder_out, err);
}

static enum status
open_vectors(const struct app *app, const struct embedder *embedder,
             struct index_vectors **vectors_out, struct err *err)
{
    const struct index_vectors_config config = {
        .encoder = embed_version(embedder),
        .dimension = embed_dimension(embedder),
        .max_bytes = (size_t)settings_int(app->settings, "embed.memory"),
    };

    return index_vectors_create(&config, vectors_out, err);
}

static enum status
open_one(struct app *app, bool is_previous, struct str driver, struct embedder **embedder_out,
         struct err *err)
{
    char weights[PATH_BYTES];

    if (str_eq_c(driver, "openai"))
        return open_openai(app, is_previous, embedder_out, err);
    find_weights(app->settings, weights, sizeof(weights));
    if (weights[0] == '\0' && str_eq_c(driver, "auto"))
        return ST_OK;
    if (weights[0] == '\0')
        return err_set(err, ST_NOT_FOUND,
                       "embed.driver = minilm needs its weights: " WEIGHTS_NAME
                       " is neither in the data folder nor beside the program "
                       "(scripts/encoder.sh makes it)");
    return open_minilm(app, weights, embedder_out, err);
}

/* One that cannot be had any more is no reason not to serve: words do, until the new vectors are
 * there. */
static enum status
open_previous(struct app *app, struct err *err)
{
    struct str driver = settings_text(app->settings, "embed.previous");
    struct err failure;

    if (str_eq_c(driver, "none"))
        return ST_OK;
    if (open_one(app, true, driver, &app->previous, &failure) != ST_OK) {
        LOG_ERR(LOG_WARN, "server.previous_encoder_gone", &failure);
        return ST_OK;
    }
    if (str_eq(embed_version(app->previous), embed_version(app->embedder)))
        return err_set(err, ST_INVALID,
                       "embed.previous is the encoder of embed.driver: set it to none");
    return open_vectors(app, app->previous, &app->previous_vectors, err);
}

enum status
app_open_encoder(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct str driver = settings_text(s, "embed.driver");
    enum status st = ST_OK;

    if (!str_eq_c(driver, "none"))
        st = open_one(app, false, driver, &app->embedder, err);
    if (st != ST_OK)
        return err_wrap(err, "embed.driver");
    if (app->embedder == NULL)
        return ST_OK;
    if (str_eq_c(settings_text(s, "index.driver"), "local"))
        st = open_vectors(app, app->embedder, &app->vectors, err);
    return st == ST_OK ? open_previous(app, err) : st;
}

void
app_close_encoder(struct app *app)
{
    index_vectors_destroy(&app->previous_vectors);
    embed_close(&app->previous);
    index_vectors_destroy(&app->vectors);
    embed_close(&app->embedder);
    http_client_destroy(&app->embed_http);
}

void
app_describe_encoder(const struct app *app, char *out, size_t size)
{
    if (app->embedder == NULL)
        (void)snprintf(out, size,
                       "passages are found by their words alone: no sentence encoder "
                       "(embed.driver, scripts/encoder.sh)");
    else
        (void)snprintf(out, size, "passages are found by words and by vectors of %.*s",
                       STR_ARG(embed_version(app->embedder)));
}
