/*
 * res_widget.c - the web chat's files, compiled into the binary, and the plain page that hosts it
 */
#include <sodium.h>

#include "api/api_private.h"
#include "base/embedded.h"
#include "channel/web_session.h"

extern const struct embedded_file web_files[];

/* An hour is short enough for an upgrade and long enough for a visit; the ETag does the rest. */
#define CACHE STR("public, max-age=3600")

/* "gzip", "gzip;q=1.0", among others; "gzip;q=0" is a refusal. */
static bool
takes_gzip(struct str header)
{
    struct str entry;

    while (str_split(&header, ',', &entry)) {
        struct str coding, quality = STR_EMPTY;
        struct str rest = entry;

        if (!str_split(&rest, ';', &coding) || !str_eq_nocase(str_trim(coding), STR("gzip")))
            continue;
        if (rest.ptr != NULL)
            quality = str_trim(rest);
        return !str_eq_c(quality, "q=0") && !str_starts_with(quality, STR("q=0.0"));
    }
    return false;
}

/* Of the bytes that are sent: two builds of one version may differ. */
static struct str
content_tag(struct str bytes, struct arena *arena)
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    char text[2 * sizeof(hash) + 1];

    (void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)bytes.ptr, bytes.len, NULL,
                             0);
    sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
    return arena_printf(arena, "\"%s\"", text);
}

static enum status
serve_file(struct api_call *call, struct str name, const char *content_type, struct err *err)
{
    struct arena *arena = call->arena;
    struct str bytes = embedded_find(web_files, name);
    struct str packed = embedded_find(web_files, arena_printf(arena, "%.*s.gz", STR_ARG(name)));
    struct str etag;

    if (bytes.ptr == NULL)
        return err_set(err, ST_NOT_FOUND, "this build has no web files");
    if (packed.ptr != NULL) {
        http_respond_header(call->resp, "Vary", STR("Accept-Encoding"));
        if (takes_gzip(http_request_header(call->req, "Accept-Encoding"))) {
            http_respond_header(call->resp, "Content-Encoding", STR("gzip"));
            bytes = packed;
        }
    }
    etag = content_tag(bytes, arena);
    http_respond_header(call->resp, "Cache-Control", CACHE);
    http_respond_header(call->resp, "ETag", etag);
    if (str_eq(http_request_header(call->req, "If-None-Match"), etag))
        http_respond(call->resp, 304, content_type, STR(""));
    else
        http_respond_static(call->resp, 200, content_type, bytes);
    call->answered = true;
    return ST_OK;
}

static enum status
widget_script(struct api_call *call, struct err *err)
{
    return serve_file(call, STR("widget.js"), "text/javascript; charset=utf-8", err);
}

static enum status
verify_exists(const struct channel_record *record, void *arg, struct err *err)
{
    (void)arg;
    return str_eq_c(record->status, "active") ? ST_OK : err_set(err, ST_NOT_FOUND, "no such chat");
}

/* The same page for every channel: the widget reads the channel from the address. */
static enum status
chat_page(struct api_call *call, struct err *err)
{
    enum status st = tenant_admit_webhook(
        call->config->tenants, STR("web"), http_request_param(call->req, "channel_id"),
        verify_exists, NULL, call->arena, &call->scope, &call->channel, err);

    if (st != ST_OK) {
        struct str page = embedded_find(web_files, STR("no-chat.html"));

        if (page.ptr == NULL)
            return st;
        http_respond_static(call->resp, 404, "text/html; charset=utf-8", page);
        call->answered = true;
        return ST_OK;
    }
    http_respond_header(call->resp, "Content-Security-Policy",
                        STR("default-src 'none'; script-src 'self'; style-src 'self' "
                            "'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
                            "base-uri 'none'; form-action 'none'"));
    http_respond_header(call->resp, "Referrer-Policy", STR("no-referrer"));
    return serve_file(call, STR("chat.html"), "text/html; charset=utf-8", err);
}

const struct api_operation api_widget_operations[] = {
    {HTTP_GET, "/widget.js", "widget.script", "Web chat", "The widget: one script tag",
     ACCESS_PUBLIC, 0, widget_script, HTTP_ROUTE_CORS, 0, NULL, NULL, NULL, 200},
    {HTTP_GET, "/chat/{channel_id}", "widget.page", "Web chat", "A plain page with the chat",
     ACCESS_PUBLIC, 0, chat_page, 0, 0, NULL, NULL, NULL, 200},
    {.path = NULL},
};
