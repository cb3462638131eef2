/*
 * http_url.c - libcurl cuts the address, as it does when it is called
 */
#include "net/http_url.h"

#include <curl/curl.h>
#include <stdlib.h>

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
