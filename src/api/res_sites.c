/*
 * res_sites.c - sites whose pages are documents: put, look, crawl again, remove; progress as events
 */
#include <string.h>

#include "api/api_reader.h"
#include "api/api_watch.h"
#include "base/buf.h"
#include "knowledge/site.h"

#define URL_MAX_BYTES 2000
#define HOSTS_MAX_BYTES 2000

/* The site of the path; what they may not read is not there for whoever asks. */
static enum status
path_site(struct api_call *call, struct site *site_out, struct err *err)
{
    struct source_id id;
    enum status st = API_PATH_ID(call, "site_id", &id, err);

    if (st == ST_OK)
        st = site_get(call->config->knowledge, call->scope, id, call->arena, site_out, err);
    if (st == ST_OK && !api_may_read(call, site_out->audience))
        return err_set(err, ST_NOT_FOUND, "There is no such site.");
    return st;
}

static json_t *
words_json(struct str words)
{
    json_t *array = json_array();
    struct str word;

    while (str_split(&words, ' ', &word))
        if (word.len > 0)
            json_array_append_new(array, json_from_str(word));
    return array;
}

static struct str
label_text(struct str label)
{
    return label.ptr == NULL ? STR("") : label;
}

static json_t *
site_json(const struct site *s, bool with_counts)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(s->id));
    json_set_str(row, "url", s->url);
    json_set_bool(row, "sitemap", str_eq_c(s->kind, "sitemap"));
    json_set_int(row, "depth", s->depth);
    json_set_int(row, "max_pages", s->max_pages);
    json_set(row, "hosts", words_json(s->hosts));
    json_set_int(row, "recrawl_hours", s->recrawl_hours);
    json_set_str(row, "audience", s->audience);
    json_set(row, "brand_id",
             id_is_none(&s->brand_id.id) ? json_null() : json_from_str(ID_STR(s->brand_id)));
    json_set_str(row, "category", label_text(s->labels.category));
    json_set_str(row, "tone", label_text(s->labels.tone));
    json_set(row, "dated_at", api_time(s->labels.dated_at_us));
    json_set_str(row, "language", s->language);
    json_set_int(row, "round", s->round);
    json_set_str(row, "status", s->status);
    json_set(row, "error", s->error.len > 0 ? json_from_str(s->error) : json_null());
    if (with_counts)
        json_set(row, "pages", site_counts_json(&s->counts));
    json_set(row, "started_at", api_time(s->started_at_us));
    json_set(row, "finished_at", api_time(s->finished_at_us));
    return row;
}

static enum status
answer_site(struct api_call *call, struct source_id id, struct err *err)
{
    struct site site;
    enum status st = site_get(call->config->knowledge, call->scope, id, call->arena, &site, err);

    return st == ST_OK ? api_reply(call, site_json(&site, true)) : st;
}

/* --- putting --- */

struct put_body {
    struct str url, audience, category, tone, dated_at, brand_id, language;
    bool sitemap;
    int64_t depth, max_pages, recrawl_hours;
    json_t *hosts;
};

static enum status
read_hosts(struct api_call *call, const json_t *hosts, struct str *hosts_out, struct err *err)
{
    struct buf words;
    const json_t *host;
    size_t i;
    enum status st;

    buf_init(&words, HOSTS_MAX_BYTES);
    json_array_foreach (hosts, i, host) {
        struct str name =
            str_of(json_string_value(host), json_is_string(host) ? json_string_length(host) : 0);

        if (name.len == 0 || str_find_byte(name, ' ') >= 0) {
            buf_deinit(&words);
            return err_set(err, ST_INVALID, "hosts: names such as docs.example.com");
        }
        buf_append_byte(&words, ' ');
        buf_append(&words, name);
    }
    *hosts_out = arena_str(call->arena, buf_str(&words));
    st = buf_check(&words, err);
    buf_deinit(&words);
    return st == ST_OK ? st : err_set(err, ST_INVALID, "hosts: too many");
}

static enum status
read_put(struct api_call *call, struct site_spec *spec, struct err *err)
{
#define TEXT_FIELD(name, max)                                                                      \
    {                                                                                              \
        .key = #name, .kind = JSON_FIELD_STR, .offset = offsetof(struct put_body, name),           \
        .max_len = (max)                                                                           \
    }
#define NUMBER_FIELD(name, low, high)                                                              \
    {                                                                                              \
        .key = #name, .kind = JSON_FIELD_INT, .offset = offsetof(struct put_body, name),           \
        .min = (low), .max = (high)                                                                \
    }
    static const struct json_field fields[] = {
        {.key = "url",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct put_body, url),
         .max_len = URL_MAX_BYTES},
        {.key = "sitemap", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct put_body, sitemap)},
        NUMBER_FIELD(depth, 0, SITE_DEPTH_MAX),
        NUMBER_FIELD(max_pages, 1, 1000000),
        NUMBER_FIELD(recrawl_hours, 0, SITE_RECRAWL_MAX_HOURS),
        {.key = "hosts", .kind = JSON_FIELD_ARRAY, .offset = offsetof(struct put_body, hosts)},
        TEXT_FIELD(audience, 1000),
        TEXT_FIELD(category, 1000),
        TEXT_FIELD(tone, 1000),
        TEXT_FIELD(dated_at, 40),
        TEXT_FIELD(brand_id, 40),
        TEXT_FIELD(language, 10),
        {.key = NULL},
    };
#undef TEXT_FIELD
#undef NUMBER_FIELD
    struct put_body body = {.url = STR_EMPTY};
    enum status st = json_read(call->body, fields, &body, err);

    if (st == ST_OK)
        st = read_hosts(call, body.hosts, &spec->hosts, err);
    if (st == ST_OK)
        st = source_date_parse(body.dated_at, &spec->labels.dated_at_us, err);
    if (st == ST_OK && body.brand_id.len > 0)
        st = ID_PARSE(body.brand_id, &spec->brand_id, err);
    spec->url = body.url;
    spec->is_sitemap = body.sitemap;
    spec->depth = (unsigned)body.depth;
    spec->max_pages = (unsigned)body.max_pages;
    spec->recrawl_hours = (unsigned)body.recrawl_hours;
    spec->audience = body.audience;
    spec->labels.category = body.category;
    spec->labels.tone = body.tone;
    spec->labels.has_date = body.dated_at.ptr != NULL;
    spec->language = body.language;
    return st;
}

static enum status
put_site(struct api_call *call, struct err *err)
{
    const struct knowledge_reader reader = api_reader_of(call);
    struct site_spec spec = {.reader = &reader};
    struct source_id id;
    enum status st = read_put(call, &spec, err);

    if (st == ST_OK)
        st = api_check_audience(call, spec.audience, err);
    if (st == ST_OK)
        st = site_put(call->config->knowledge, call->scope, &spec, &id, err);
    return st == ST_OK ? answer_site(call, id, err) : st;
}

static enum status
crawl_site(struct api_call *call, struct err *err)
{
    struct site site;
    enum status st = path_site(call, &site, err);

    if (st == ST_OK)
        st = site_crawl(call->config->knowledge, call->scope, site.id, err);
    return st == ST_OK ? answer_site(call, site.id, err) : st;
}

static enum status
delete_site(struct api_call *call, struct err *err)
{
    struct site site;
    enum status st = path_site(call, &site, err);

    if (st == ST_OK)
        st = knowledge_delete(call->config->knowledge, call->scope, site.id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

/* --- looking --- */

static enum status
get_site(struct api_call *call, struct err *err)
{
    struct site site;
    enum status st = path_site(call, &site, err);

    return st == ST_OK ? api_reply(call, site_json(&site, true)) : st;
}

static enum status
list_sites(struct api_call *call, struct err *err)
{
    const struct knowledge_reader reader = api_reader_of(call);
    struct source_id before = {{""}};
    struct site *sites = NULL;
    struct str next = STR("");
    struct api_page page;
    size_t count = 0, i;
    json_t *data;
    enum status st = api_page_read(call, &page, err);

    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &before, err);
    if (st == ST_OK)
        st = site_list(call->config->knowledge, call->scope, &reader, before, page.limit + 1,
                       call->arena, &sites, &count, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count && i < page.limit; i++)
        json_array_append_new(data, site_json(&sites[i], false));
    if (count > page.limit)
        next = ID_STR(sites[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

static json_t *
page_json(const struct site_page *p)
{
    json_t *row = json_object();

    json_set_str(row, "url", p->url);
    json_set_str(row, "kind", p->kind);
    json_set_str(row, "status", p->status);
    json_set(row, "reason", p->reason.len > 0 ? json_from_str(p->reason) : json_null());
    json_set(row, "source_id",
             id_is_none(&p->source_id.id) ? json_null() : json_from_str(ID_STR(p->source_id)));
    json_set(row, "reading", p->reading.len > 0 ? json_from_str(p->reading) : json_null());
    json_set(row, "reading_error",
             p->reading_error.len > 0 ? json_from_str(p->reading_error) : json_null());
    json_set_int(row, "depth", p->depth);
    json_set_int(row, "round", p->round);
    json_set(row, "fetched_at", api_time(p->fetched_at_us));
    return row;
}

static enum status
list_pages(struct api_call *call, struct err *err)
{
    struct site_page *pages = NULL;
    struct str next = STR("");
    struct api_page page;
    struct site site;
    size_t count = 0, i;
    json_t *data;
    enum status st = path_site(call, &site, err);

    if (st == ST_OK)
        st = api_page_read(call, &page, err);
    if (st == ST_OK)
        st = site_page_list(call->config->knowledge, call->scope, site.id, page.cursor,
                            page.limit + 1, call->arena, &pages, &count, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count && i < page.limit; i++)
        json_array_append_new(data, page_json(&pages[i]));
    if (count > page.limit)
        next = pages[page.limit - 1].url;
    return api_reply_page(call, data, next);
}

/* How far it is now: sent first, so that a watcher who comes late still sees the end. */
static enum status
present_state(struct api_call *call, void *arg, struct api_watch_first *first_out, struct err *err)
{
    const struct source_id *id = arg;
    json_auto_t *data = NULL;
    struct site site;
    enum status st = site_get(call->config->knowledge, call->scope, *id, call->arena, &site, err);

    if (st != ST_OK)
        return st;
    data = site_counts_json(&site.counts);
    json_set_str(data, "site_id", ID_STR(site.id));
    json_set_int(data, "round", site.round);
    json_set_str(data, "status", site.status);
    first_out->data = json_text(data, call->arena);
    first_out->event = str_eq_c(site.status, "running") ? STR("progress") : site.status;
    return ST_OK;
}

static enum status
watch_site(struct api_call *call, struct err *err)
{
    static const char *const ends[] = {"done", "failed", NULL};
    struct site site;
    enum status st = path_site(call, &site, err);

    return st == ST_OK ? api_watch_topic(call, site_topic(site.id, call->arena), present_state,
                                         &site.id, ends, NULL, err)
                       : st;
}

#define PUT_SCHEMA                                                                                 \
    "{\"type\":\"object\",\"required\":[\"url\"],\"additionalProperties\":false,"                  \
    "\"properties\":{\"url\":{\"type\":\"string\"},\"sitemap\":{\"type\":\"boolean\"},"            \
    "\"depth\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":5},\"max_pages\":{\"type\":"        \
    "\"integer\",\"minimum\":1},\"hosts\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"   \
    "\"recrawl_hours\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":8760},\"audience\":{"       \
    "\"type\":\"string\"},\"category\":{\"type\":\"string\"},\"tone\":{\"type\":\"string\"},"      \
    "\"dated_at\":{\"type\":\"string\"},\"brand_id\":{\"type\":\"string\"},\"language\":{"         \
    "\"type\":"                                                                                    \
    "\"string\"}}}"
#define SITE_SCHEMA                                                                                \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"url\":{\"type\":"         \
    "\"string\"},\"sitemap\":{\"type\":\"boolean\"},\"depth\":{\"type\":\"integer\"},"             \
    "\"max_pages\":{\"type\":\"integer\"},\"recrawl_hours\":{\"type\":\"integer\"},\"round\":{"    \
    "\"type\":\"integer\"},\"status\":{\"type\":\"string\",\"enum\":[\"running\",\"done\","        \
    "\"failed\"]},\"error\":{\"type\":[\"string\",\"null\"]},\"pages\":{\"type\":\"object\","      \
    "\"additionalProperties\":{\"type\":\"integer\"}}}}"

const struct api_operation api_site_operations[] = {
    {HTTP_POST, "/v1/sites", "sites.put", "Knowledge",
     "Take documents from a page, the pages it links to, or a sitemap; again: other settings, and "
     "a "
     "new round",
     ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE, put_site, 0, 0, PUT_SCHEMA, SITE_SCHEMA, NULL, 202},
    {HTTP_GET, "/v1/sites", "sites.list", "Knowledge", "Sites, newest first", ACCESS_KEY,
     SCOPE_KNOWLEDGE_READ, list_sites, 0, 0, NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {HTTP_GET, "/v1/sites/{site_id}", "sites.get", "Knowledge",
     "One site, and how far its round is", ACCESS_KEY, SCOPE_KNOWLEDGE_READ, get_site, 0, 0, NULL,
     SITE_SCHEMA, NULL, 200},
    {HTTP_DELETE, "/v1/sites/{site_id}", "sites.delete", "Knowledge",
     "Remove a site with the documents of all its pages", ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE,
     delete_site, 0, 0, NULL, NULL, NULL, 204},
    {HTTP_POST, "/v1/sites/{site_id}/crawl", "sites.crawl", "Knowledge",
     "Begin a round: what changed becomes new versions, what is gone goes", ACCESS_KEY,
     SCOPE_KNOWLEDGE_WRITE, crawl_site, 0, 0, "{\"type\":\"object\"}", SITE_SCHEMA, NULL, 202},
    {HTTP_GET, "/v1/sites/{site_id}/pages", "sites.pages", "Knowledge",
     "Its pages by address: what came of each, and why", ACCESS_KEY, SCOPE_KNOWLEDGE_READ,
     list_pages, 0, 0, NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {HTTP_GET, "/v1/sites/{site_id}/events", "sites.watch", "Knowledge",
     "Its progress as server-sent events: progress, done, failed; reset: ask again", ACCESS_KEY,
     SCOPE_KNOWLEDGE_READ, watch_site, 0, 0, NULL, NULL, NULL, 200},
    {.path = NULL},
};
