/*
 * robots_cache.c - the newest texts, a few, the oldest replaced
 */
#include "knowledge/robots_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/http_url.h"

#define KEPT 32
#define DEADLINE_MS 20000
#define MAX_REDIRECTS 5 /* RFC 9309, section 2.3.1.2 */

struct kept {
    char *key; /* NULL: free */
    struct buf text;
};

struct robots_cache {
    struct http_client *http;
    pthread_mutex_t lock; /* guards the rest */
    struct kept kept[KEPT];
    size_t next;
};

struct robots_cache *
robots_cache_create(struct http_client *http)
{
    struct robots_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        abort();
    cache->http = http;
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void
drop(struct kept *kept)
{
    if (kept->key == NULL)
        return;
    free(kept->key);
    buf_deinit(&kept->text);
    *kept = (struct kept){.key = NULL};
}

void
robots_cache_destroy(struct robots_cache **cache_ref)
{
    struct robots_cache *cache = *cache_ref;

    if (cache == NULL)
        return;
    for (size_t i = 0; i < KEPT; i++)
        drop(&cache->kept[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
    *cache_ref = NULL;
}

static bool
find(struct robots_cache *cache, const char *key, struct arena *arena, struct str *text_out)
{
    bool found = false;

    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < KEPT && !found; i++) {
        found = cache->kept[i].key != NULL && strcmp(cache->kept[i].key, key) == 0;
        if (found)
            *text_out = arena_str(arena, buf_str(&cache->kept[i].text));
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void
keep(struct robots_cache *cache, const char *key, struct str text)
{
    struct kept *kept;

    pthread_mutex_lock(&cache->lock);
    kept = &cache->kept[cache->next];
    cache->next = (cache->next + 1) % KEPT;
    drop(kept);
    kept->key = strdup(key);
    if (kept->key == NULL)
        abort();
    buf_init(&kept->text, ROBOTS_MAX_BYTES);
    buf_append(&kept->text, text);
    pthread_mutex_unlock(&cache->lock);
}

/* --- fetching --- */

static bool
take(struct str bytes, void *context)
{
    struct buf *text = context;

    buf_append(text, str_sub(bytes, 0, ROBOTS_MAX_BYTES - text->len));
    return text->len < ROBOTS_MAX_BYTES;
}

/* The text, or "" when there is none. */
static enum status
fetch_text(struct robots_cache *cache, struct str url, struct arena *arena, struct buf *text,
           struct err *err)
{
    struct http_call call = {.method = "GET",
                             .deadline_ms = DEADLINE_MS,
                             .max_response_bytes = 2 * ROBOTS_MAX_BYTES,
                             .sink = take,
                             .sink_context = text};
    struct http_reply reply = {.status = 0};
    enum status st = ST_OK;

    for (unsigned hops = 0; st == ST_OK && hops <= MAX_REDIRECTS; hops++) {
        call.url = url;
        buf_clear(text);
        st = http_client_call(cache->http, &call, arena, &reply, err);
        if (st == ST_OK && (reply.status < 300 || reply.status > 399 || reply.location.len == 0))
            break;
        if (st == ST_OK && http_url_resolve(url, reply.location, arena, &url, err) != ST_OK)
            break; /* it leads nowhere: as if there were none */
    }
    if (st == ST_TOO_LARGE) { /* of an error's page */
        buf_clear(text);
        return ST_OK;
    }
    if (st == ST_DENIED)
        return st;
    if (st != ST_OK || reply.status >= 500 || reply.status == 429) {
        err_set(err, ST_UNAVAILABLE,
                "The site's robots.txt cannot be had now: nothing is fetched.");
        err->retry_after_ms = reply.retry_after_ms > 0 ? reply.retry_after_ms : 0;
        return ST_UNAVAILABLE;
    }
    if (reply.status < 200 || reply.status > 299)
        buf_clear(text);
    return ST_OK;
}

enum status
robots_ask(struct robots_cache *cache, struct str for_round, struct str url, struct arena *arena,
           bool *allowed_out, int64_t *delay_ms_out, struct err *err)
{
    struct robots robots;
    struct str address, text;
    struct buf fetched;
    char *key;
    enum status st = http_url_resolve(url, STR("/robots.txt"), arena, &address, err);

    if (st != ST_OK)
        return st;
    key = arena_cstr(arena, arena_printf(arena, "%.*s %.*s", STR_ARG(for_round), STR_ARG(address)));
    if (!find(cache, key, arena, &text)) {
        buf_init(&fetched, ROBOTS_MAX_BYTES);
        st = fetch_text(cache, address, arena, &fetched, err);
        text = arena_str(arena, buf_str(&fetched));
        if (st == ST_OK)
            keep(cache, key, text);
        buf_deinit(&fetched);
    }
    if (st != ST_OK)
        return st;
    robots_parse(text, STR(ROBOTS_TOKEN), arena, &robots);
    *allowed_out = robots_allow(&robots, http_url_target(url), arena);
    *delay_ms_out = robots.delay_ms;
    return ST_OK;
}
