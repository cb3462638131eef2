/*
 * http_request.c - what a handler may ask of its request
 *
 * Header fields are read where the library keeps them: it does not touch a suspended connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/http_server_private.h"

const char *
http_method_name(enum http_method method)
{
    static const char *const names[HTTP_METHOD_COUNT] = {"GET",    "POST",    "PUT", "PATCH",
                                                         "DELETE", "OPTIONS", "HEAD"};

    return names[method];
}

struct str
http_request_header(const struct http_request *req, const char *name)
{
    const struct http_exchange *x = req->connection;
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(x->connection, MHD_HEADER_KIND, name, strlen(name), &value,
                                      &len) == MHD_NO)
        return STR_EMPTY;
    return str_of(value == NULL ? "" : value, len);
}

struct query_search {
    struct str name;
    struct str value;
    struct arena *arena;
};

static enum MHD_Result
compare_argument(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                 const char *value, size_t value_size)
{
    struct query_search *search = cls;
    struct str decoded;
    struct err err;

    (void)kind;
    /* Broken encodings were refused before the handler ran. */
    if (http_percent_decode(str_of(key, key_size), search->arena, &decoded, &err) != ST_OK ||
        !str_eq(decoded, search->name))
        return MHD_YES;
    if (value == NULL)
        search->value = str_of("", 0);
    else if (http_percent_decode(str_of(value, value_size), search->arena, &search->value, &err) !=
             ST_OK)
        search->value = STR_EMPTY;
    return MHD_NO;
}

struct str
http_request_query(const struct http_request *req, const char *name)
{
    const struct http_exchange *x = req->connection;
    struct query_search search = {.name = str_from_c(name), .arena = req->arena};

    (void)MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, compare_argument,
                                      &search);
    return search.value;
}

static void
append_encoded(struct buf *text, const char *bytes, size_t size)
{
    /* The library reads '+' as a space; none can come as it is. */
    for (size_t i = 0; i < size; i++)
        buf_append_byte(text, bytes[i] == ' ' ? '+' : bytes[i]);
}

static enum MHD_Result
append_argument(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                const char *value, size_t value_size)
{
    struct buf *text = cls;

    (void)kind;
    if (text->len > 0)
        buf_append_byte(text, '&');
    append_encoded(text, key, key_size);
    if (value != NULL) {
        buf_append_byte(text, '=');
        append_encoded(text, value, value_size);
    }
    return MHD_YES;
}

struct str
http_request_query_text(const struct http_request *req)
{
    const struct http_exchange *x = req->connection;
    struct buf text;

    /* Shorter than the head that it came in. */
    buf_init(&text, HTTP_CONNECTION_POOL_BYTES);
    (void)MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, append_argument, &text);
    struct str copy = arena_str(req->arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

/* RFC 6265, section 4.2: name=value pairs separated by "; ". The library's own parser copies the
 * whole field into the connection's pool, which is dear there. */
struct str
http_request_cookie(const struct http_request *req, const char *name)
{
    struct str rest = http_request_header(req, "cookie");
    struct str wanted = str_from_c(name);
    struct str pair;

    while (str_split(&rest, ';', &pair)) {
        struct str key;
        struct str value = str_trim(pair);

        if (str_find_byte(value, '=') < 0 || !str_split(&value, '=', &key) || !str_eq(key, wanted))
            continue;
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
            value = str_sub(value, 1, value.len - 2);
        return value;
    }
    return STR_EMPTY;
}

struct str
http_request_param(const struct http_request *req, const char *name)
{
    const struct http_exchange *x = req->connection;
    int index = http_route_param_index(req->route, str_from_c(name));

    if (index < 0) {
        (void)fprintf(stderr, "http: route %s has no {%s}\n", req->route->pattern, name);
        abort();
    }
    return x->match.params[index];
}
