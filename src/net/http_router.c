/*
 * http_router.c - a tree of path segments
 *
 * Each node holds its literal children sorted, so a look-up costs the length of the path times the
 * logarithm of a node's children. Where a literal and a parameter stand at the same place both may
 * have to be followed; how often is fixed by the table, not by the path.
 */
#include "net/http_router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct str literal;
    struct node **children; /* sorted by literal */
    size_t child_count;
    struct node *param;
    const struct http_route *routes[HTTP_METHOD_COUNT];
    const struct http_route *rest_routes[HTTP_METHOD_COUNT]; /* of a last {path*} below this node */
};

struct http_router {
    struct node *root;
};

static struct node *
node_create(struct str literal)
{
    struct node *node = calloc(1, sizeof(*node));

    if (node == NULL)
        abort();
    node->literal = literal;
    return node;
}

static void
node_destroy(struct node *node)
{
    if (node == NULL)
        return;
    for (size_t i = 0; i < node->child_count; i++)
        node_destroy(node->children[i]);
    node_destroy(node->param);
    free(node->children);
    free(node);
}

/* Index of the child, or of the place where it belongs. */
static size_t
child_index(const struct node *node, struct str literal, bool *found)
{
    size_t low = 0;
    size_t high = node->child_count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(node->children[middle]->literal, literal);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct node *
child_add(struct node *node, struct str literal)
{
    bool found;
    size_t at = child_index(node, literal, &found);
    struct node **grown;

    if (found) {
        assert(node->children != NULL);
        return node->children[at];
    }
    grown = realloc(node->children, (node->child_count + 1) * sizeof(*grown));
    if (grown == NULL)
        abort();
    memmove(grown + at + 1, grown + at, (node->child_count - at) * sizeof(*grown));
    grown[at] = node_create(literal);
    node->children = grown;
    node->child_count++;
    return grown[at];
}

static bool
is_param(struct str segment)
{
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static bool
is_rest(struct str segment)
{
    return is_param(segment) && segment.len > 3 && segment.ptr[segment.len - 2] == '*';
}

/* Never NULL, so that "/" has one segment, the empty one. */
static struct str
after_first_slash(struct str path)
{
    return str_of(path.ptr + 1, path.len - 1);
}

static enum status
add_route(struct http_router *router, const struct http_route *route, struct err *err)
{
    struct str rest = str_from_c(route->pattern);
    struct str segment;
    struct node *node = router->root;
    const struct http_route **place = NULL;
    unsigned params = 0;
    unsigned segments = 0;

    if (!str_starts_with(rest, STR("/")) || route->handler == NULL)
        return err_set(err, ST_INVALID, "route \"%s\" is malformed", route->pattern);
    rest = after_first_slash(rest);
    while (str_split(&rest, '/', &segment)) {
        params += is_param(segment);
        if (++segments > HTTP_MAX_SEGMENTS || params > HTTP_MAX_PARAMS || place != NULL)
            return err_set(err, ST_INVALID, "route \"%s\" is too long, or goes on after a {rest*}",
                           route->pattern);
        if (is_rest(segment)) {
            place = &node->rest_routes[route->method];
        } else if (is_param(segment)) {
            if (node->param == NULL)
                node->param = node_create(STR_EMPTY);
            node = node->param;
        } else if (str_find_byte(segment, '{') >= 0 || str_find_byte(segment, '}') >= 0) {
            return err_set(err, ST_INVALID, "route \"%s\" is malformed", route->pattern);
        } else {
            node = child_add(node, segment);
        }
    }
    if (place == NULL)
        place = &node->routes[route->method];
    if (*place != NULL)
        return err_set(err, ST_INVALID, "routes \"%s\" and \"%s\" are the same", (*place)->pattern,
                       route->pattern);
    *place = route;
    return ST_OK;
}

enum status
http_router_create(const struct http_route *routes, size_t route_count,
                   struct http_router **router_out, struct err *err)
{
    struct http_router *router = calloc(1, sizeof(*router));
    enum status st = ST_OK;

    *router_out = NULL;
    if (router == NULL)
        abort();
    router->root = node_create(STR_EMPTY);
    for (size_t i = 0; i < route_count && st == ST_OK; i++)
        st = add_route(router, &routes[i], err);
    if (st != ST_OK) {
        http_router_destroy(&router);
        return st;
    }
    *router_out = router;
    return ST_OK;
}

void
http_router_destroy(struct http_router **router)
{
    if (*router == NULL)
        return;
    node_destroy((*router)->root);
    free(*router);
    *router = NULL;
}

struct search {
    enum http_method method;
    struct str raw_segments[HTTP_MAX_SEGMENTS + 1];
    struct str segments[HTTP_MAX_SEGMENTS + 1]; /* decoded */
    size_t count;
    struct str raw_path; /* without the first slash */
    struct str values[HTTP_MAX_PARAMS];
    size_t value_count;
    struct http_match *match;
};

/* True when the search is over: a route for the method was found. */
static bool
try_routes(struct search *search, const struct http_route *const routes[HTTP_METHOD_COUNT])
{
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (routes[m] == NULL)
            continue;
        search->match->allowed |= 1U << m;
        if ((routes[m]->flags & HTTP_ROUTE_CORS) != 0)
            search->match->cors |= 1U << m;
    }
    search->match->route = routes[search->method];
    if (search->match->route == NULL && search->method == HTTP_HEAD)
        search->match->route = routes[HTTP_GET];
    if (search->match->route == NULL)
        return false;
    memcpy(search->match->params, search->values, sizeof(search->values));
    return true;
}

static bool
descend(struct search *search, const struct node *node, size_t at)
{
    bool found;
    size_t child;

    if (at == search->count)
        return try_routes(search, node->routes);
    child = child_index(node, search->segments[at], &found);
    if (found && descend(search, node->children[child], at + 1))
        return true;
    if (node->param != NULL && search->segments[at].len > 0) {
        search->values[search->value_count++] = search->segments[at];
        if (descend(search, node->param, at + 1))
            return true;
        search->value_count--;
    }
    if (search->value_count < HTTP_MAX_PARAMS) {
        const char *start = search->raw_segments[at].ptr;

        /* Still encoded: decoded by the caller once the route is known to be this one. */
        search->values[search->value_count] =
            str_of(start, (size_t)(search->raw_path.ptr + search->raw_path.len - start));
        if (try_routes(search, node->rest_routes))
            return true;
    }
    return false;
}

static bool
ends_in_rest(const struct http_route *route)
{
    return str_ends_with(str_from_c(route->pattern), STR("*}"));
}

enum status
http_router_find(const struct http_router *router, enum http_method method, struct str raw_path,
                 struct arena *arena, struct http_match *match_out, struct err *err)
{
    struct search search = {.method = method, .match = match_out};
    struct str rest;
    struct str *last;
    enum status st = ST_OK;

    match_out->route = NULL;
    match_out->allowed = 0;
    match_out->cors = 0;
    if (!str_starts_with(raw_path, STR("/")))
        return err_set(err, ST_INVALID, "The path must begin with a slash.");
    rest = after_first_slash(raw_path);
    search.raw_path = rest;
    while (st == ST_OK && search.count < HTTP_MAX_SEGMENTS &&
           str_split(&rest, '/', &search.raw_segments[search.count])) {
        st = http_percent_decode(search.raw_segments[search.count], arena,
                                 &search.segments[search.count], err);
        search.count++;
    }
    if (st == ST_OK && rest.ptr != NULL) {
        /* Longer than any pattern: only a {rest*} can match what follows, at most at the last. */
        struct str ignored;

        st = http_percent_decode(rest, arena, &ignored, err);
        search.segments[search.count] = STR("/");
        search.raw_segments[search.count++] = rest;
    }
    if (st != ST_OK)
        return st;
    if (!descend(&search, router->root, 0) || !ends_in_rest(match_out->route))
        return ST_OK;
    last = &match_out->params[search.value_count];
    return http_percent_decode(*last, arena, last, err);
}

int
http_route_param_index(const struct http_route *route, struct str name)
{
    struct str rest = str_from_c(route->pattern);
    struct str segment;
    int index = 0;

    while (str_split(&rest, '/', &segment)) {
        struct str inside;

        if (!is_param(segment))
            continue;
        inside = str_sub(segment, 1, segment.len - (is_rest(segment) ? 3 : 2));
        if (str_eq(inside, name))
            return index;
        index++;
    }
    return -1;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum status
http_percent_decode(struct str raw, struct arena *arena, struct str *decoded_out, struct err *err)
{
    char *out;
    size_t len = 0;

    *decoded_out = raw;
    if (raw.len == 0 || memchr(raw.ptr, '%', raw.len) == NULL)
        return ST_OK;
    out = arena_try_alloc(arena, raw.len + 1);
    if (out == NULL)
        return err_set(err, ST_TOO_LARGE, "The address is too long.");
    for (size_t i = 0; i < raw.len; i++) {
        char byte = raw.ptr[i];

        if (byte == '%') {
            int high = i + 2 < raw.len ? hex_value(raw.ptr[i + 1]) : -1;
            int low = i + 2 < raw.len ? hex_value(raw.ptr[i + 2]) : -1;

            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return err_set(err, ST_INVALID, "The address has a broken percent-encoding.");
            byte = (char)(high * 16 + low);
            i += 2;
        }
        out[len++] = byte;
    }
    *decoded_out = str_of(out, len);
    return ST_OK;
}
