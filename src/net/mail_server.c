/*
 * mail_server.c - libcurl handles for mail: options, guard, and what their failures mean
 */
#include "net/mail_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/mail_server_private.h"

#define HOST_MAX_BYTES 253
#define CONNECT_TIMEOUT_MS 10000L

bool
mail_host_is_valid(struct str host)
{
    if (host.len == 0 || host.len > HOST_MAX_BYTES || host.ptr[0] == '.' || host.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_' || c == ':'))
            return false;
    }
    return true;
}

static size_t
on_reply(char *bytes, size_t size, size_t count, void *context)
{
    struct mail_handle *handle = context;
    struct str line = str_trim(str_of(bytes, size * count));
    int64_t code = 0;

    if (handle->is_over)
        return size * count;
    if (line.len >= 3 && str_to_i64(str_sub(line, 0, 3), &code) && code >= 200 && code <= 599)
        handle->last.code = (int)code;
    (void)snprintf(handle->last.line, sizeof handle->last.line, "%.*s", STR_ARG(line));
    handle->has_reply = true;
    return size * count;
}

static int
on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
            curl_off_t up)
{
    const struct mail_handle *handle = context;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return handle->cancel != NULL && *handle->cancel;
}

/* RFC 7628, and what Google and Microsoft had before it; nothing else is tried then. */
static void
set_bearer(CURL *easy, struct str bearer)
{
    char *token = str_dup(bearer);

    if (token == NULL)
        abort();
    (void)curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token);
    (void)curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS, "AUTH=OAUTHBEARER;AUTH=XOAUTH2");
    explicit_bzero(token, strlen(token));
    free(token);
}

static void
set_login(CURL *easy, const struct mail_server *server)
{
    char *user = str_dup(server->user);
    char *password = server->password.len == 0 ? strdup("") : str_dup(server->password);

    if (user == NULL || password == NULL)
        abort();
    (void)curl_easy_setopt(easy, CURLOPT_USERNAME, user);
    if (server->bearer.len > 0)
        set_bearer(easy, server->bearer);
    else
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, password);
    explicit_bzero(password, strlen(password));
    free(user);
    free(password);
}

enum status
mail_handle_open(struct mail_handle *handle, struct http_client *client,
                 const struct mail_server *server, const char *scheme, const char *path,
                 unsigned deadline_ms, struct err *err)
{
    const struct http_client_config *config = http_client_config_get(client);
    bool is_address6 = str_find_byte(server->host, ':') >= 0;
    char url[512];

    *handle = (struct mail_handle){.guard.allow_private = config->allow_private_addresses,
                                   .cancel = server->cancel};
    if (!mail_host_is_valid(server->host) || server->port == 0 || server->port > 65535)
        return err_set(err, ST_INVALID, "the mail server's name is not valid");
    (void)snprintf(url, sizeof url, "%s%s://%s%.*s%s:%u/%s", scheme,
                   server->security == MAIL_TLS ? "s" : "", is_address6 ? "[" : "",
                   STR_ARG(server->host), is_address6 ? "]" : "", server->port, path);
    handle->easy = curl_easy_init();
    if (handle->easy == NULL)
        abort();
    CURL *easy = handle->easy;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "imap,imaps,smtp,smtps");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(
        easy, CURLOPT_USE_SSL,
        (long)(server->security == MAIL_PLAIN ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)deadline_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFODATA, handle);
    curl_guard_set(&handle->guard, easy);
    if (config->ca_file != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
    if (server->user.len > 0)
        set_login(easy, server);
    return ST_OK;
}

void
mail_handle_close(struct mail_handle *handle)
{
    if (handle->easy != NULL)
        curl_easy_cleanup(handle->easy);
    handle->easy = NULL;
}

/* Words by which servers say that a refused login may be accepted later: RFC 5530, and Gmail's. */
static bool
says_later(const char *line)
{
    static const char *const words[] = {"[UNAVAILABLE]", "[INUSE]",     "[LIMIT]",  "[SERVERBUG]",
                                        "[THROTTLED]",   "[OVERQUOTA]", "Too many", NULL};

    for (size_t i = 0; words[i] != NULL; i++)
        if (str_find(str_from_c(line), str_from_c(words[i])) >= 0)
            return true;
    return false;
}

enum status
mail_handle_sort(const struct mail_handle *handle, const struct mail_server *server, CURLcode code,
                 struct err *err)
{
    const char *line = handle->has_reply ? handle->last.line : "";
    int reply = handle->last.code;
    bool is_login = code == CURLE_LOGIN_DENIED || reply == 535;

    if (handle->guard.is_refused && !handle->has_reply)
        return err_set(err, ST_UNAVAILABLE,
                       "%.*s is a private address: see "
                       "send.allow_private_addresses",
                       STR_ARG(server->host));
    if (is_login && !says_later(line) && !(reply >= 400 && reply < 500))
        return err_set(err, ST_DENIED, "the mail server %.*s refuses the login",
                       STR_ARG(server->host));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(err, ST_UNAVAILABLE, "the certificate of %.*s is not trusted",
                       STR_ARG(server->host));
    if (code == CURLE_USE_SSL_FAILED)
        return err_set(err, ST_UNAVAILABLE, "the mail server %.*s offers no STARTTLS",
                       STR_ARG(server->host));
    err_set(err, ST_UNAVAILABLE, "the mail server %.*s cannot be used: %s", STR_ARG(server->host),
            curl_easy_strerror(code));
    return handle->has_reply ? err_wrap(err, "it said \"%.120s\"", line) : ST_UNAVAILABLE;
}
