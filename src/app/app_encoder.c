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
open_minilm(struct app *app, const char *weights, struct err *err)
{
    const struct embed_env env = {.clock = store_clock(app->store)};
    json_auto_t *config = json_object();

    json_set_str(config, "driver", STR("minilm"));
    json_set_str(config, "weights", str_from_c(weights));
    json_set_int(config, "threads", threads_of(app->settings));
    return embed_open(&env, config, &app->embedder, err);
}

static enum status
open_openai(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    const struct http_client_config http = {.allow_private_addresses =
                                                settings_bool(s, "embed.allow_private_address")};
    struct embed_env env = {.clock = store_clock(app->store)};
    json_auto_t *config = json_object();
    enum status st = http_client_create(&http, &app->embed_http, err);

    if (st != ST_OK)
        return st;
    env.http = app->embed_http;
    json_set_str(config, "driver", STR("openai"));
    json_set_str(config, "base_url", settings_text(s, "embed.base_url"));
    json_set_str(config, "model", settings_text(s, "embed.model"));
    json_set_int(config, "dimension", settings_int(s, "embed.dimension"));
    if (settings_text(s, "embed.api_key").len > 0)
        json_set_str(config, "api_key", settings_text(s, "embed.api_key"));
    json_set_bool(config, "allow_private", settings_bool(s, "embed.allow_private_address"));
    return embed_open(&env, config, &app->embedder, err);
}

enum status
app_open_encoder(struct app *app, struct err *err)
{
    const struct settings *s = app->settings;
    struct str driver = settings_text(s, "embed.driver");
    struct index_vectors_config vectors = {.max_bytes = (size_t)settings_int(s, "embed.memory")};
    char weights[PATH_BYTES];
    enum status st;

    find_weights(s, weights, sizeof(weights));
    if (str_eq_c(driver, "none") || (str_eq_c(driver, "auto") && weights[0] == '\0'))
        return ST_OK;
    if (str_eq_c(driver, "openai"))
        st = open_openai(app, err);
    else if (weights[0] == '\0')
        st = err_set(err, ST_NOT_FOUND,
                     "embed.driver = minilm needs its weights: " WEIGHTS_NAME
                     " is neither in the data folder nor beside the program "
                     "(scripts/encoder.sh makes it)");
    else
        st = open_minilm(app, weights, err);
    if (st != ST_OK)
        return err_wrap(err, "embed.driver");
    vectors.encoder = embed_version(app->embedder);
    vectors.dimension = embed_dimension(app->embedder);
    if (!str_eq_c(settings_text(s, "index.driver"), "local"))
        return ST_OK;
    return index_vectors_create(&vectors, &app->vectors, err);
}

void
app_close_encoder(struct app *app)
{
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
