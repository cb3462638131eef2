/*
 * http_url.c - libcurl cuts the address, as it does when it is called
 */
#include "net/http_url.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

static enum status
read_parts(CURLU *parts, struct arena *arena, struct http_url *out, struct err *err)
{
    static const CURLUPart which[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT,
                                      CURLUPART_PATH};
    struct str *const fields[] = {&out->scheme, &out->host, &out->port, &out->path};

    for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
        char *text = NULL;
        CURLUcode code = curl_url_get(parts, which[i], &text, 0);

        *fields[i] = code == CURLUE_OK ? arena_str(arena, str_from_c(text)) : STR("");
        curl_free(text);
        if (code != CURLUE_OK && code != CURLUE_NO_PORT)
            return err_set(err, ST_INVALID, "the URL is malformed");
    }
    if (!str_eq_c(out->scheme, "http") && !str_eq_c(out->scheme, "https"))
        return err_set(err, ST_INVALID, "the URL is not http or https");
    return ST_OK;
}

enum status
http_url_read(struct str url, struct arena *arena, struct http_url *url_out, struct err *err)
{
    CURLU *parts;
    enum status st;

    if (url.len == 0 || url.len > HTTP_URL_MAX_BYTES || str_find_byte(url, '\0') >= 0)
        return err_set(err, ST_INVALID, "the URL is malformed");
    parts = curl_url();
    if (parts == NULL)
        abort();
    if (curl_url_set(parts, CURLUPART_URL, arena_cstr(arena, url), CURLU_DISALLOW_USER) ==
        CURLUE_OK)
        st = read_parts(parts, arena, url_out, err);
    else
        st = err_set(err, ST_INVALID, "the URL is malformed");
    curl_url_cleanup(parts);
    return st;
}

static bool
resolve_parts(CURLU *parts, struct str base, const char *reference, struct arena *arena)
{
    unsigned flags = CURLU_DISALLOW_USER | CURLU_URLENCODE;

    if (base.len > 0 && curl_url_set(parts, CURLUPART_URL, arena_cstr(arena, base), flags) != 0)
        return false;
    /* libcurl would take an empty reference for a path. */
    return (reference[0] == '\0' ||
            curl_url_set(parts, CURLUPART_URL, reference, flags) == CURLUE_OK) &&
           curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK;
}

/* "mailto:", "javascript:": libcurl would take it for a path. */
static bool
has_other_scheme(struct str reference)
{
    for (size_t i = 0; i < reference.len; i++) {
        char c = reference.ptr[i];

        if (c == ':')
            return !str_eq_nocase(str_sub(reference, 0, i), STR("http")) &&
                   !str_eq_nocase(str_sub(reference, 0, i), STR("https"));
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && strchr("0123456789+-.", c) == NULL)
            return false;
    }
    return false;
}

static bool
lower_host(CURLU *parts)
{
    char *host = NULL;
    bool is_set = curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;

    for (char *c = host; is_set && *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    is_set = is_set && curl_url_set(parts, CURLUPART_HOST, host, 0) == CURLUE_OK;
    curl_free(host);
    return is_set;
}

enum status
http_url_resolve(struct str base, struct str reference, struct arena *arena, struct str *url_out,
                 struct err *err)
{
    struct http_url url;
    char *whole = NULL;
    CURLU *parts;
    bool is_one;

    reference = str_trim(reference);
    if (str_find_byte(reference, '#') >= 0)
        reference = str_sub(reference, 0, (size_t)str_find_byte(reference, '#'));
    if (has_other_scheme(reference) || reference.len + base.len > HTTP_URL_MAX_BYTES ||
        str_find_byte(reference, '\0') >= 0 || str_find_byte(base, '\0') >= 0 ||
        (base.len == 0 && reference.len == 0))
        return err_set(err, ST_INVALID, "the URL is malformed");
    parts = curl_url();
    if (parts == NULL)
        abort();
    is_one = resolve_parts(parts, base, arena_cstr(arena, reference), arena) && lower_host(parts) &&
             curl_url_get(parts, CURLUPART_URL, &whole, CURLU_NO_DEFAULT_PORT) == CURLUE_OK;
    if (is_one)
        *url_out = arena_str(arena, str_from_c(whole));
    curl_free(whole);
    curl_url_cleanup(parts);
    if (!is_one)
        return err_set(err, ST_INVALID, "the URL is malformed");
    return http_url_read(*url_out, arena, &url, err);
}

struct str
http_url_target(struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    size_t at = scheme < 0 ? 0 : (size_t)scheme + 3;

    while (at < url.len && url.ptr[at] != '/' && url.ptr[at] != '?')
        at++;
    return at < url.len ? str_sub(url, at, url.len) : STR("/");
}
