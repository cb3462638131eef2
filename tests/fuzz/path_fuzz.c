/*
 * path_fuzz.c - any bytes as a request's path, and as a list of networks
 *
 * What is decoded is never longer than what came, holds no NUL, and a value of {rest*} is the end
 * of the decoded path.
 */
#include <assert.h>
#include <string.h>

#include "net/http_router.h"
#include "net/net_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
no_handler(struct http_request *req, struct http_response *resp, void *context)
{
    (void)req;
    (void)resp;
    (void)context;
}

static const struct http_route routes[] = {
    {HTTP_GET, "/", no_handler, 0, 0, NULL},
    {HTTP_GET, "/a/{x}", no_handler, 0, 0, NULL},
    {HTTP_GET, "/a/b/{y}/c", no_handler, 0, 0, NULL},
    {HTTP_GET, "/{x}/b/{y}/d", no_handler, 0, 0, NULL},
    {HTTP_GET, "/f/{path*}", no_handler, 0, 0, NULL},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct http_router *router;
    struct http_match match;
    struct net_list list;
    struct str decoded;
    struct err err;

    if (http_router_create(routes, sizeof(routes) / sizeof(routes[0]), &router, &err) != ST_OK)
        __builtin_trap();
    if (http_router_find(router, HTTP_GET, input, arena, &match, &err) == ST_OK) {
        enum status st = http_percent_decode(input, arena, &decoded, &err);

        assert(st == ST_OK && decoded.len <= input.len);
        if (match.route == &routes[4])
            assert(str_ends_with(decoded, match.params[0]));
    }
    if (size < 256 && memchr(data, '\0', size) == NULL &&
        net_list_parse(arena_cstr(arena, input), &list, &err) == ST_OK)
        net_list_deinit(&list);
    http_router_destroy(&router);
    arena_destroy(&arena);
    return 0;
}
