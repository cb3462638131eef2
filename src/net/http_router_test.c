/*
 * http_router_test.c - patterns and percent-encoding
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those four first */
#include <cmocka.h>

#include <string.h>

#include "net/http_router.h"

static void
no_handler(struct http_request *req, struct http_response *resp, void *context)
{
    (void)req;
    (void)resp;
    (void)context;
}

static const struct http_route table[] = {
    {HTTP_GET, "/", no_handler, 0, 0, "root"},
    {HTTP_GET, "/v1/things", no_handler, 0, 0, "list"},
    {HTTP_POST, "/v1/things", no_handler, HTTP_ROUTE_CORS, 0, "create"},
    {HTTP_GET, "/v1/things/{thing_id}", no_handler, 0, 0, "get"},
    {HTTP_GET, "/v1/things/search", no_handler, 0, 0, "search"},
    {HTTP_POST, "/v1/things/{thing_id}/parts/{part_id}", no_handler, 0, 0, "part"},
    {HTTP_GET, "/files/{path*}", no_handler, 0, 0, "files"},
    {HTTP_GET, "/files/index", no_handler, 0, 0, "index"},
};

static struct http_router *
make_router(void)
{
    struct http_router *router;
    struct err err;

    assert_int_equal(http_router_create(table, sizeof(table) / sizeof(table[0]), &router, &err),
                     ST_OK);
    return router;
}

static void
test_find(void **state)
{
    static const struct {
        enum http_method method;
        const char *path;
        const char *want;   /* extra of the route; NULL: none; "!": refused */
        const char *param0; /* NULL: not looked at */
        const char *param1;
    } rows[] = {
        {HTTP_GET, "/", "root", NULL, NULL},
        {HTTP_HEAD, "/", "root", NULL, NULL},
        {HTTP_GET, "/v1/things", "list", NULL, NULL},
        {HTTP_POST, "/v1/things", "create", NULL, NULL},
        {HTTP_PUT, "/v1/things", NULL, NULL, NULL},
        {HTTP_GET, "/v1/things/", NULL, NULL, NULL},
        {HTTP_GET, "//v1/things", NULL, NULL, NULL},
        {HTTP_GET, "/v1/things/42", "get", "42", NULL},
        {HTTP_GET, "/v1/things/search", "search", NULL, NULL},
        {HTTP_POST, "/v1/things/search/parts/7", "part", "search", "7"},
        {HTTP_GET, "/v1/things/a%2Fb", "get", "a/b", NULL},
        {HTTP_GET, "/v1/things/%73earch", "search", NULL, NULL},
        {HTTP_GET, "/v1/things/%C3%A9", "get", "\xC3\xA9", NULL},
        {HTTP_GET, "/v1/things/a+b", "get", "a+b", NULL},
        {HTTP_GET, "/v1/things/%", "!", NULL, NULL},
        {HTTP_GET, "/v1/things/%4", "!", NULL, NULL},
        {HTTP_GET, "/v1/things/%4g", "!", NULL, NULL},
        {HTTP_GET, "/v1/things/%00", "!", NULL, NULL},
        {HTTP_GET, "/unknown/%zz", "!", NULL, NULL},
        {HTTP_GET, "v1", "!", NULL, NULL},
        {HTTP_GET, "", "!", NULL, NULL},
        {HTTP_GET, "/files/index", "index", NULL, NULL},
        {HTTP_GET, "/files/a", "files", "a", NULL},
        {HTTP_GET, "/files/a/b%20c/d", "files", "a/b c/d", NULL},
        {HTTP_GET, "/files/", "files", "", NULL},
        {HTTP_GET, "/files", NULL, NULL, NULL},
        {HTTP_GET, "/files/index/x", "files", "index/x", NULL},
        {HTTP_GET, "/nothing", NULL, NULL, NULL},
        {HTTP_GET,
         "/files/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/"
         "31/32/33/34",
         "files",
         "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/"
         "33/34",
         NULL},
    };
    struct http_router *router = make_router();
    struct arena *arena = arena_create((size_t)64 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_match match;
        struct err err;
        enum status st =
            http_router_find(router, rows[i].method, str_from_c(rows[i].path), arena, &match, &err);

        if (rows[i].want != NULL && strcmp(rows[i].want, "!") == 0) {
            if (st != ST_INVALID)
                fail_msg("%s was accepted", rows[i].path);
            continue;
        }
        assert_int_equal(st, ST_OK);
        if (rows[i].want == NULL) {
            if (match.route != NULL)
                fail_msg("%s: found %s", rows[i].path, match.route->pattern);
            continue;
        }
        if (match.route == NULL || strcmp(match.route->extra, rows[i].want) != 0)
            fail_msg("%s: want %s", rows[i].path, rows[i].want);
        if (rows[i].param0 != NULL && !str_eq_c(match.params[0], rows[i].param0))
            fail_msg("%s: first parameter %.*s", rows[i].path, STR_ARG(match.params[0]));
        if (rows[i].param1 != NULL && !str_eq_c(match.params[1], rows[i].param1))
            fail_msg("%s: second parameter %.*s", rows[i].path, STR_ARG(match.params[1]));
    }
    arena_destroy(&arena);
    http_router_destroy(&router);
}

static void
test_allowed(void **state)
{
    struct http_router *router = make_router();
    struct arena *arena = arena_create((size_t)64 * 1024);
    struct http_match match;
    struct err err;

    (void)state;
    assert_int_equal(http_router_find(router, HTTP_DELETE, STR("/v1/things"), arena, &match, &err),
                     ST_OK);
    assert_null(match.route);
    assert_int_equal(match.allowed, 1U << HTTP_GET | 1U << HTTP_POST);
    assert_int_equal(match.cors, 1U << HTTP_POST);
    assert_int_equal(http_router_find(router, HTTP_GET, STR("/no"), arena, &match, &err), ST_OK);
    assert_int_equal(match.allowed, 0);
    assert_int_equal(http_route_param_index(&table[5], STR("thing_id")), 0);
    assert_int_equal(http_route_param_index(&table[5], STR("part_id")), 1);
    assert_int_equal(http_route_param_index(&table[5], STR("part")), -1);
    assert_int_equal(http_route_param_index(&table[6], STR("path")), 0);
    arena_destroy(&arena);
    http_router_destroy(&router);
}

static void
test_bad_tables(void **state)
{
    static const struct http_route bad[][2] = {
        {{HTTP_GET, "x", no_handler, 0, 0, NULL}, {HTTP_GET, "/", no_handler, 0, 0, NULL}},
        {{HTTP_GET, "/a/{x", no_handler, 0, 0, NULL}, {HTTP_GET, "/", no_handler, 0, 0, NULL}},
        {{HTTP_GET, "/a/b{x}", no_handler, 0, 0, NULL}, {HTTP_GET, "/", no_handler, 0, 0, NULL}},
        {{HTTP_GET, "/{x*}/b", no_handler, 0, 0, NULL}, {HTTP_GET, "/", no_handler, 0, 0, NULL}},
        {{HTTP_GET, "/a/{x}", no_handler, 0, 0, NULL},
         {HTTP_GET, "/a/{y}", no_handler, 0, 0, NULL}},
        {{HTTP_GET, "/a", NULL, 0, 0, NULL}, {HTTP_GET, "/", no_handler, 0, 0, NULL}},
        {{HTTP_GET, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", no_handler, 0, 0, NULL},
         {HTTP_GET, "/", no_handler, 0, 0, NULL}},
    };
    struct http_router *router;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (http_router_create(bad[i], 2, &router, &err) != ST_INVALID)
            fail_msg("table %zu was accepted", i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_bad_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
