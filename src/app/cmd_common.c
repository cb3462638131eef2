/*
 * cmd_common.c - opening a data folder or a running server for a command
 */
#include "app/cmd_common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "text/json.h"

#define ARENA_BYTES (256u * 1024 * 1024)
#define REMOTE_DEADLINE_MS 120000
#define BAR_WIDTH 30

/* Which organization a command means when there is just one. */
static enum status
find_only(struct session *session, struct str *slug_out, struct err *err)
{
    struct organization *organizations = NULL;
    size_t count = 0;
    enum status st = organization_list(session->app->tenants, (struct organization_id){{""}}, 2,
                                       session->arena, &organizations, &count, err);

    if (st != ST_OK)
        return st;
    if (count == 0)
        return err_set(err, ST_NOT_FOUND,
                       "there is no organization yet: parley admin organization add NAME");
    if (count > 1)
        return err_set(err, ST_INVALID, "there are several organizations: say which with --org");
    *slug_out = organizations[0].slug;
    return ST_OK;
}

/* A mistyped name must not become a new data folder. */
static bool
has_data(const struct settings *settings)
{
    struct str folder = settings_text(settings, "data.folder");
    char path[4096];

    snprintf(path, sizeof(path), "%.*s/control.db", STR_ARG(folder));
    if (access(path, F_OK) == 0)
        return true;
    fprintf(stderr,
            "parley: there is no data in the folder \"%.*s\": name another with --data, or begin "
            "with\n  parley demo, or\n  parley admin organization add NAME --email OWNER\n",
            STR_ARG(folder));
    return false;
}

int
session_open_unless_served(const struct options *options, bool may_make_folder, bool *served_out,
                           struct session *session_out)
{
    struct err err;
    enum status st;

    *served_out = false;
    memset(session_out, 0, sizeof(*session_out));
    log_init(STDERR_FILENO, LOG_WARN);
    if (!options_settings(options, &session_out->settings))
        return EXIT_USAGE;
    if (!may_make_folder && !app_uses_server(session_out->settings) &&
        !has_data(session_out->settings))
        return EXIT_NOT_FOUND;
    session_out->arena = arena_create(ARENA_BYTES);
    st = app_open(session_out->settings, &session_out->app, &err);
    if (app_uses_server(session_out->settings))
        return st == ST_OK ? EXIT_FINE : command_fail(&err, "cannot open the database");
    *served_out = st == ST_CONFLICT;
    return st == ST_OK || *served_out ? EXIT_FINE
                                      : command_fail(&err, "cannot open the data folder");
}

int
session_open_any(const struct options *options, bool may_make_folder, struct session *session_out)
{
    bool is_served;
    int code = session_open_unless_served(options, may_make_folder, &is_served, session_out);

    if (!is_served)
        return code;
    fputs("parley: a running server has this data folder: stop it, or use its API, which can do\n"
          "the same. See `parley <command> --help`.\n",
          stderr);
    return EXIT_CONFLICT;
}

int
session_open(const struct options *options, const char *organization, struct session *session_out)
{
    struct str name = str_from_c(organization);
    struct err err;
    enum status st = ST_OK;
    int code = session_open_any(options, false, session_out);

    if (code != EXIT_FINE)
        return code;
    if (organization == NULL)
        st = find_only(session_out, &name, &err);
    if (st == ST_OK)
        st = tenant_admit_operator(session_out->app->tenants, name, session_out->arena,
                                   &session_out->scope, &err);
    return st == ST_OK ? EXIT_FINE : command_fail(&err, "which organization?");
}

void
session_close(struct session *session)
{
    app_close(&session->app);
    arena_destroy(&session->arena);
    settings_destroy(&session->settings);
}

/* --- remote --- */

int
remote_open(const char *url, const char *key, struct remote *remote_out)
{
    /* The operator names the server: it may well be on this machine. */
    const struct http_client_config config = {.allow_private_addresses = true};
    struct err err;

    memset(remote_out, 0, sizeof(*remote_out));
    if (key == NULL) {
        fputs("parley: --url needs --key, an API key of the organization\n", stderr);
        return EXIT_USAGE;
    }
    remote_out->url = url;
    remote_out->key = key;
    if (http_client_create(&config, &remote_out->http, &err) != ST_OK)
        return command_fail(&err, "cannot speak HTTP");
    return EXIT_FINE;
}

void
remote_close(struct remote *remote)
{
    http_client_destroy(&remote->http);
}

static int
report_refusal(const struct http_reply *reply)
{
    json_auto_t *problem = NULL;
    struct str detail = STR_EMPTY;
    struct err err;

    if (json_parse(reply->body, &problem, &err) == ST_OK)
        detail = json_get_str(problem, "detail");
    fprintf(stderr, "parley: the server says %d: %.*s\n", reply->status,
            STR_ARG(detail.len > 0 ? detail : reply->body));
    switch (reply->status) {
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
        return EXIT_CONFLICT;
    case 429:
    case 503:
        return EXIT_UNAVAILABLE;
    default:
        return EXIT_FAILED;
    }
}

int
remote_call(struct remote *remote, const char *method, struct str path, struct str content_type,
            struct str body, struct arena *arena, json_t **answer_out)
{
    struct str base = str_from_c(remote->url);
    struct http_header headers[] = {
        {"Authorization", arena_printf(arena, "Bearer %s", remote->key)},
        {"Content-Type", content_type},
    };
    struct http_call call = {
        .method = method,
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .body = body,
        .deadline_ms = REMOTE_DEADLINE_MS,
    };
    struct http_reply reply;
    struct err err;

    while (str_ends_with(base, STR("/")))
        base.len--;
    call.url = arena_printf(arena, "%.*s%.*s", STR_ARG(base), STR_ARG(path));
    if (http_client_call(remote->http, &call, arena, &reply, &err) != ST_OK)
        return command_fail(&err, "cannot reach the server");
    if (reply.status < 200 || reply.status > 299)
        return report_refusal(&reply);
    if (json_parse(reply.body, answer_out, &err) != ST_OK)
        return command_fail(&err, "the server's answer cannot be read");
    return EXIT_FINE;
}

/* --- printing --- */

void
print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

void
print_progress(const char *what, unsigned done, unsigned total)
{
    char bar[BAR_WIDTH + 1];
    unsigned filled = total == 0 ? 0 : done * BAR_WIDTH / total, i;

    if (!isatty(STDERR_FILENO))
        return;
    for (i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K  [%s] %u of %u  %.60s", bar, done, total, what);
}

void
end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}
