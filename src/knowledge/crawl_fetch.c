/*
 * crawl_fetch.c - one page of a site: whether it may be fetched, what the server answers, what it
 * names
 *
 * HTML and sitemaps are read for what they name by parley-extract, which answers with blocks: a
 * heading for what is said of the whole, a paragraph an address (extract_links.h).
 */
#include <string.h>

#include "knowledge/content_type.h"
#include "knowledge/extract_links.h"
#include "knowledge/robots_cache.h"
#include "knowledge/site_private.h"
#include "net/http_url.h"

#define DEADLINE_MS 60000
#define STALL_MS 20000
#define MAX_DELAY_US (30 * US_PER_S)

enum wanted_field { WANT_ETAG, WANT_MODIFIED, WANT_ENCODING, WANT_ROBOTS, WANT_COUNT };

struct fetching {
    struct knowledge *knowledge;
    const struct tenant_scope *scope;
    const struct site *site;
    const struct crawl_page *page;
    struct arena *arena;
    struct http_reply reply;
    struct crawl_result *result;
};

static enum status
end(struct fetching *f, enum crawl_outcome outcome, struct str reason)
{
    f->result->outcome = outcome;
    f->result->reason = reason;
    return ST_OK;
}

static enum status
passing(const struct fetching *f, struct err *err, const char *sentence)
{
    err_set(err, ST_UNAVAILABLE, "%s", sentence);
    err->retry_after_ms = f->reply.retry_after_ms > 0 ? f->reply.retry_after_ms : 0;
    return ST_UNAVAILABLE;
}

/* --- where links may lead --- */

static struct str
without_www(struct str host)
{
    return str_starts_with(host, STR("www.")) ? str_sub(host, 4, host.len) : host;
}

bool
crawl_is_own_host(const struct site *site, struct str url, struct arena *arena)
{
    struct http_url ours, theirs;
    struct str rest = site->hosts, host;
    struct err ignored;

    if (http_url_read(site->url, arena, &ours, &ignored) != ST_OK ||
        http_url_read(url, arena, &theirs, &ignored) != ST_OK)
        return false;
    if (str_eq(without_www(ours.host), without_www(theirs.host)) && str_eq(ours.port, theirs.port))
        return true;
    while (str_split(&rest, ' ', &host))
        if (str_eq(host, theirs.host) && theirs.port.len == 0)
            return true;
    return false;
}

/* What a page shows or runs: no document, whatever a server calls it. */
static bool
is_asset(struct str url)
{
    static const char *const endings[] = {
        ".png", ".jpg",  ".jpeg",  ".gif", ".svg", ".webp", ".ico",  ".css", ".js",
        ".mjs", ".woff", ".woff2", ".ttf", ".mp3", ".mp4",  ".webm", ".avi", ".mov",
        ".zip", ".gz",   ".exe",   ".dmg", ".iso", ".rss",  ".xml"};
    ptrdiff_t query = str_find_byte(url, '?');

    if (query >= 0)
        url = str_sub(url, 0, (size_t)query);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t len = strlen(endings[i]);

        if (url.len > len &&
            str_eq_nocase(str_sub(url, url.len - len, len), str_from_c(endings[i])))
            return true;
    }
    return false;
}

static void
add_link(struct fetching *f, struct str base, struct str reference, bool is_sitemap)
{
    struct crawl_result *result = f->result;
    struct str url;
    struct err ignored;

    if (http_url_resolve(base, reference, f->arena, &url, &ignored) != ST_OK ||
        url.len > SITE_URL_MAX_BYTES || !str_is_utf8(url) ||
        !crawl_is_own_host(f->site, url, f->arena) || (!is_sitemap && is_asset(url)))
        return;
    result->links[result->link_count++] = (struct crawl_link){url, is_sitemap};
}

/* --- what it names --- */

/* A page that cannot be read as HTML says why as a document; it names nothing. */
static enum status
read_html(struct fetching *f, struct str content, bool follows, struct robots_wish *wish,
          struct err *err)
{
    struct extracted extracted;
    struct str base = f->page->url, type = STR(LINKS_OF_HTML);
    enum status st;

    if (f->result->charset.len > 0)
        type = arena_printf(f->arena, LINKS_OF_HTML "; charset=%.*s", STR_ARG(f->result->charset));
    st = extractor_run(f->knowledge->extractor, type, content, f->arena, &extracted, err);

    if (st == ST_INVALID || st == ST_TOO_LARGE)
        return ST_OK;
    if (st != ST_OK)
        return st;
    f->result->links = ARENA_NEW_N(f->arena, struct crawl_link, extracted.block_count);
    for (size_t i = 0; i < extracted.block_count; i++) {
        const struct extract_block *block = &extracted.blocks[i];
        struct err ignored;

        if (block->kind == EXTRACT_HEADING && block->level == LINKS_LEVEL_ROBOTS)
            robots_wish_read(str_sub(block->text, sizeof(LINKS_ROBOTS) - 1, block->text.len), wish);
        else if (block->kind == EXTRACT_HEADING && block->level == LINKS_LEVEL_BASE)
            (void)!http_url_resolve(f->page->url, block->text, f->arena, &base, &ignored);
        else if (follows && !wish->no_follow)
            add_link(f, base, block->text, false);
    }
    return ST_OK;
}

static bool
is_html(struct str content_type)
{
    return str_eq_nocase(content_type, STR("text/html")) ||
           str_eq_nocase(content_type, STR("application/xhtml+xml"));
}

static enum status
read_sitemap(struct fetching *f, struct err *err)
{
    struct extracted extracted;
    enum status st = extractor_run(f->knowledge->extractor, STR(LINKS_OF_SITEMAP), f->reply.body,
                                   f->arena, &extracted, err);

    if (st == ST_INVALID || st == ST_TOO_LARGE)
        return end(f, CRAWL_FAILED, arena_str(f->arena, str_from_c(err->public_text)));
    if (st != ST_OK)
        return st;
    f->result->links = ARENA_NEW_N(f->arena, struct crawl_link, extracted.block_count);
    for (size_t i = 0; i < extracted.block_count; i++) {
        const struct extract_block *block = &extracted.blocks[i];

        if (block->kind == EXTRACT_PARAGRAPH || block->level == LINKS_LEVEL_SITEMAP)
            add_link(f, STR(""), block->text, block->kind == EXTRACT_HEADING);
    }
    return end(f, CRAWL_LISTING, STR_EMPTY);
}

/* --- the answer --- */

static struct str
type_of(const struct fetching *f)
{
    struct str type = f->reply.content_type, path = http_url_target(f->page->url);
    ptrdiff_t query = str_find_byte(path, '?');

    if (query >= 0)
        path = str_sub(path, 0, (size_t)query);
    type = content_type_essence(type);
    if (type.len == 0 || str_eq_nocase(type, STR("application/octet-stream")))
        type = str_from_c(content_type_guess(path, f->reply.body));
    return type;
}

static enum status
read_document(struct fetching *f, struct err *err)
{
    struct crawl_result *result = f->result;
    struct robots_wish wish = {.no_index = false};
    struct str encoding = f->reply.wanted[WANT_ENCODING];
    enum status st = ST_OK;

    if (encoding.len > 0 && !str_eq_nocase(encoding, STR("identity")))
        return end(f, CRAWL_FAILED, STR("The server sends it compressed without being asked to."));
    if (f->page->is_sitemap)
        return read_sitemap(f, err);
    result->content = f->reply.body;
    result->content_type = type_of(f);
    result->charset = content_type_charset(f->reply.content_type);
    if (!content_type_is_document(result->content_type))
        return end(
            f, CRAWL_SKIPPED,
            arena_printf(f->arena, "It is of a type that is not read: %.*s.",
                         (int)(result->content_type.len < 60 ? result->content_type.len : 60),
                         result->content_type.ptr));
    robots_header_read(f->reply.wanted[WANT_ROBOTS], STR(ROBOTS_TOKEN), &wish);
    if (is_html(result->content_type))
        st = read_html(f, result->content, f->page->depth < f->site->depth, &wish, err);
    if (st != ST_OK)
        return st;
    if (wish.no_index)
        return end(f, CRAWL_SKIPPED, STR("Its author asks that it is not kept (noindex)."));
    return end(f, CRAWL_DOCUMENT, STR_EMPTY);
}

/* What it names stands in the version that was kept. */
static enum status
read_unchanged(struct fetching *f, struct err *err)
{
    struct robots_wish wish = {.no_index = false};
    struct str content, type;
    enum status st = ST_OK;

    if (f->page->depth < f->site->depth) {
        st = source_content_get(f->knowledge, f->scope, f->page->source_id, 0, f->arena, &content,
                                &type, err);
        if (st == ST_NOT_FOUND)
            return passing(f, err, "Its document was deleted at the same moment.");
        f->result->charset = content_type_charset(type);
        if (st == ST_OK && is_html(content_type_essence(type)))
            st = read_html(f, content, true, &wish, err);
    }
    return st == ST_OK ? end(f, CRAWL_UNCHANGED, STR_EMPTY) : st;
}

static enum status
read_redirect(struct fetching *f)
{
    struct crawl_result *result = f->result;
    struct str url;
    struct http_url parts;
    struct err ignored;

    if (f->reply.location.len == 0 ||
        http_url_resolve(f->page->url, f->reply.location, f->arena, &url, &ignored) != ST_OK ||
        http_url_read(url, f->arena, &parts, &ignored) != ST_OK || url.len > SITE_URL_MAX_BYTES)
        return end(f, CRAWL_FAILED, STR("It is forwarded to what is no address."));
    if (str_eq(url, f->page->url))
        return end(f, CRAWL_FAILED, STR("It is forwarded to itself."));
    if (!crawl_is_own_host(f->site, url, f->arena))
        return end(f, CRAWL_FAILED,
                   arena_printf(f->arena,
                                "It is forwarded to another host, %.*s, which is not "
                                "among the site's hosts.",
                                (int)(parts.host.len < 100 ? parts.host.len : 100),
                                parts.host.ptr));
    result->links = ARENA_NEW(f->arena, struct crawl_link);
    result->links[0] = (struct crawl_link){url, f->page->is_sitemap};
    result->link_count = 1;
    return end(f, CRAWL_MOVED, arena_printf(f->arena, "It is forwarded to %.*s", STR_ARG(url)));
}

static enum status
read_answer(struct fetching *f, struct err *err)
{
    struct crawl_result *result = f->result;
    int status = f->reply.status;

    result->etag = f->reply.wanted[WANT_ETAG];
    result->last_modified = f->reply.wanted[WANT_MODIFIED];
    if (status == 200)
        return read_document(f, err);
    if (status == 304 && f->page->has_document) {
        if (result->etag.len == 0)
            result->etag = f->page->etag;
        if (result->last_modified.len == 0)
            result->last_modified = f->page->last_modified;
        return read_unchanged(f, err);
    }
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        return read_redirect(f);
    if (status == 404 || status == 410)
        return end(f, CRAWL_GONE,
                   arena_printf(f->arena, "The server says that it is %s (%d).",
                                status == 404 ? "not there" : "gone", status));
    if (status >= 500 || status == 408 || status == 425 || status == 429) {
        struct str sentence =
            arena_printf(f->arena, "The server cannot give it now: it answers %d.", status);

        return passing(f, err, sentence.ptr);
    }
    return end(f, CRAWL_FAILED, arena_printf(f->arena, "The server answers %d.", status));
}

static enum status
call(struct fetching *f, struct err *err)
{
    static const char *const wanted[WANT_COUNT] = {[WANT_ETAG] = "etag",
                                                   [WANT_MODIFIED] = "last-modified",
                                                   [WANT_ENCODING] = "content-encoding",
                                                   [WANT_ROBOTS] = "x-robots-tag"};
    const struct crawl_page *page = f->page;
    struct http_header headers[3] = {
        {"Accept", STR("text/html, application/xhtml+xml, application/pdf, */*;q=0.5")}};
    struct http_call http = {.method = "GET",
                             .url = page->url,
                             .headers = headers,
                             .header_count = 1,
                             .deadline_ms = DEADLINE_MS,
                             .stall_ms = STALL_MS,
                             .max_response_bytes = f->knowledge->max_document_bytes,
                             .wanted = wanted,
                             .wanted_count = WANT_COUNT};
    enum status st;

    if (page->has_document && page->etag.len > 0)
        headers[http.header_count++] = (struct http_header){"If-None-Match", page->etag};
    if (page->has_document && page->last_modified.len > 0)
        headers[http.header_count++] =
            (struct http_header){"If-Modified-Since", page->last_modified};
    st = http_client_call(f->knowledge->http, &http, f->arena, &f->reply, err);
    switch (st) {
    case ST_OK:
        return read_answer(f, err);
    case ST_DENIED:
        return end(f, CRAWL_FAILED, STR("Its host has a private address, which is not called."));
    case ST_TOO_LARGE:
        return end(f, CRAWL_FAILED,
                   arena_printf(f->arena, "It is larger than %zu MB.",
                                f->knowledge->max_document_bytes >> 20));
    case ST_INVALID:
        return end(f, CRAWL_FAILED, STR("Its address cannot be called."));
    default:
        return passing(f, err, "Its server cannot be reached, or does not answer in time.");
    }
}

enum status
crawl_fetch(struct knowledge *knowledge, const struct tenant_scope *scope, const struct site *site,
            const struct crawl_page *page, struct arena *arena, struct crawl_result *result_out,
            struct err *err)
{
    struct fetching f = {.knowledge = knowledge,
                         .scope = scope,
                         .site = site,
                         .page = page,
                         .arena = arena,
                         .result = result_out};
    struct str round = arena_printf(arena, "%s %lld", site->id.id.text, (long long)site->round);
    bool allowed = false;
    int64_t delay_ms = -1;
    enum status st;

    *result_out = (struct crawl_result){.delay_us = knowledge->site_delay_us};
    st = robots_ask(knowledge->robots, round, page->url, arena, &allowed, &delay_ms, err);
    if (st == ST_DENIED)
        return end(&f, CRAWL_FAILED, STR("Its host has a private address, which is not called."));
    if (st != ST_OK)
        return st;
    if (delay_ms * US_PER_MS > result_out->delay_us)
        result_out->delay_us =
            delay_ms * US_PER_MS < MAX_DELAY_US ? delay_ms * US_PER_MS : MAX_DELAY_US;
    if (!allowed)
        return end(&f, CRAWL_SKIPPED, STR("The site's robots.txt asks that it is not fetched."));
    return call(&f, err);
}
