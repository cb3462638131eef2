/*
 * api_documents.c - see the header
 */
#include "api/api_documents.h"

#include "base/buf.h"
#include "channel/markup.h"

#define ANSWER_URL_US (INT64_C(3600) * US_PER_S)
/* Of the text around a passage, to each side; a page of a whole library would be no use. */
#define AROUND_BYTES ((int64_t)256 * 1024)
#define PAGE_MAX_BYTES ((size_t)8 * 1024 * 1024)

static const char page_head[] =
    "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{max-width:44rem;margin:0 auto;padding:1rem;font:1rem/1.6 system-ui,sans-serif}\n"
    "h1{font-size:1rem;overflow-wrap:anywhere}\n"
    "main{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "mark{scroll-margin-top:20vh}\n</style>\n<title>";

enum status
api_document_url(const struct api_config *config, const struct tenant_scope *scope,
                 const struct document_place *place, bool for_customers, int64_t expires_at_us,
                 struct arena *arena, struct document_address *address_out, struct err *err)
{
    const struct source_link_spec spec = {place->source_id, place->version, expires_at_us,
                                          for_customers};
    struct source_link link;
    struct str base = config->public_url, at = STR("");
    bool is_cited;
    enum status st = source_link_make(config->knowledge, scope, &spec, arena, &link, err);

    if (st != ST_OK)
        return st;
    is_cited = place->version == 0 || link.version == place->version;
    while (str_ends_with(base, STR("/")))
        base.len--;
    if (str_eq_c(link.content_type, "application/pdf")) {
        if (is_cited && place->page > 0)
            at = arena_printf(arena, "#page=%lld", (long long)place->page);
    } else {
        at = STR("/text");
        if (is_cited && place->end > place->start)
            at = arena_printf(arena, "/text?start=%lld&end=%lld#passage", (long long)place->start,
                              (long long)place->end);
    }
    address_out->url = arena_printf(arena, "%.*s/v1/blobs/%.*s%.*s", STR_ARG(base),
                                    STR_ARG(link.token), STR_ARG(at));
    address_out->web_url = link.web_url;
    return ST_OK;
}

static bool
read_place(const json_t *citation, struct document_place *place_out)
{
    struct err ignored;

    *place_out = (struct document_place){
        .version = json_get_int(citation, "version", 0),
        .start = json_get_int(citation, "start", 0),
        .end = json_get_int(citation, "end", 0),
        .page = json_get_int(citation, "page", 0),
    };
    return ID_PARSE(json_get_str(citation, "source_id"), &place_out->source_id, &ignored) == ST_OK;
}

void
api_citations_add_urls(const struct api_config *config, const struct tenant_scope *scope,
                       bool for_customers, struct arena *arena, json_t *citations)
{
    const int64_t expires_at_us = clock_wall_us(config->clock) + ANSWER_URL_US;
    json_t *citation;
    size_t i;

    json_array_foreach (citations, i, citation) {
        struct document_place place;
        struct document_address address;
        struct err ignored; /* a document that went meanwhile, or a server that signs no links */

        if (read_place(citation, &place) &&
            api_document_url(config, scope, &place, for_customers, expires_at_us, arena, &address,
                             &ignored) == ST_OK) {
            json_set_str(citation, "url", address.url);
            if (address.web_url.len > 0)
                json_set_str(citation, "web_url", address.web_url);
        }
    }
}

static const json_t *
find_citation(const json_t *metadata, struct str number)
{
    const json_t *list = json_get_array(metadata, "citations");
    int64_t wanted;

    if (!str_to_i64(number, &wanted))
        return NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_get_int(json_array_get(list, i), "number", 0) == wanted)
            return json_array_get(list, i);
    return NULL;
}

enum status
api_citation_link(struct api_call *call, const struct message *message, struct str number,
                  struct err *err)
{
    json_auto_t *metadata = NULL;
    struct document_place place;
    const json_t *citation;
    int64_t expires_at_us = 0;
    struct document_address address;
    enum status st = json_parse(message->metadata, &metadata, err);

    if (st != ST_OK)
        return st;
    citation = find_citation(metadata, number);
    if (citation == NULL || !read_place(citation, &place))
        return err_set(err, ST_NOT_FOUND, "the message has no such citation");
    st = api_link_expiry(call, &expires_at_us, err);
    if (st == ST_OK)
        st = api_document_url(call->config, call->scope, &place, true, expires_at_us, call->arena,
                              &address, err);
    return st == ST_OK ? api_reply_url(call, address.url, expires_at_us) : st;
}

/* --- as a page --- */

static enum status
read_text(struct api_call *call, const struct document_place *place, int64_t start, int64_t end,
          struct str *text_out, struct err *err)
{
    return source_text_get(call->config->knowledge, call->scope, place->source_id, place->version,
                           start, end, call->arena, text_out, err);
}

enum status
api_document_page(struct api_call *call, const struct document_place *place, struct str name,
                  struct str token, struct str *html_out, struct err *err)
{
    int64_t from = place->start > AROUND_BYTES ? place->start - AROUND_BYTES : 0;
    struct str before, passage, after;
    struct buf page;
    enum status st = read_text(call, place, from, place->start, &before, err);

    if (st == ST_OK)
        st = read_text(call, place, place->start, place->end, &passage, err);
    if (st == ST_OK)
        st = read_text(call, place, place->end, place->end + AROUND_BYTES, &after, err);
    if (st != ST_OK)
        return st;
    buf_init(&page, PAGE_MAX_BYTES);
    buf_append_c(&page, page_head);
    markup_escape_html(&page, name);
    buf_append_c(&page, "</title>\n</head>\n<body>\n<h1><a href=\"../");
    markup_escape_html(&page, token);
    buf_append_c(&page, "\">");
    markup_escape_html(&page, name);
    buf_append_c(&page, "</a></h1>\n<main dir=\"auto\">");
    buf_append_c(&page, from > 0 ? "… " : "");
    markup_escape_html(&page, before);
    if (passage.len > 0) {
        buf_append_c(&page, "<mark id=\"passage\">");
        markup_escape_html(&page, passage);
        buf_append_c(&page, "</mark>");
    }
    markup_escape_html(&page, after);
    buf_append_c(&page, after.len > (size_t)AROUND_BYTES - 4 ? " …" : "");
    buf_append_c(&page, "</main>\n</body>\n</html>\n");
    st = buf_check(&page, err);
    if (st == ST_OK)
        *html_out = arena_str(call->arena, buf_str(&page));
    buf_deinit(&page);
    return st;
}
