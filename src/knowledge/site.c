/*
 * site.c - sites and their pages as rows: put, begun, looked at
 */
#include "knowledge/site.h"

#include "index/index.h"
#include "knowledge/knowledge_sql.h"
#include "knowledge/site_private.h"
#include "knowledge/site_sql.h"
#include "net/http_url.h"
#include "text/json.h"

#define HOSTS_MAX_BYTES 2000
/* A page is fetched so often before it counts as failed. */
#define STEP_ATTEMPTS 4
/* A timed round's due time moves with every round's end. */
#define MOVES_US ((int64_t)10 * 366 * 24 * 3600 * US_PER_S)
#define US_PER_HOUR ((int64_t)3600 * US_PER_S)

struct str
site_topic(struct source_id id, struct arena *arena)
{
    return arena_printf(arena, "site:%s", id.id.text);
}

/* --- rounds --- */

enum status
site_queue_step(struct knowledge *knowledge, struct store_tx *tx, struct source_id id,
                int64_t round, struct str url, int64_t due_us, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    json_auto_t *json = json_object();
    struct http_url parts;
    struct job_spec job = {
        .topic = QUEUE_TOPIC_CRAWL, .due_us = due_us, .max_attempts = STEP_ATTEMPTS};
    struct job_id job_id;
    enum status st = http_url_read(url, arena, &parts, err);

    if (st != ST_OK)
        return st;
    json_set_str(json, "site_id", ID_STR(id));
    json_set_int(json, "round", round);
    job.payload = json_text(json, arena);
    job.lane = arena_printf(arena, "crawl:%.*s", STR_ARG(parts.host));
    return queue_put(knowledge->queue, tx, &job, &job_id, err);
}

enum status
site_begin(struct knowledge *knowledge, struct store_tx *tx, struct source_id id, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    int64_t now_us = clock_wall_us(knowledge->clock), round = 0;
    struct str url, kind;
    struct store_rows *rows;
    enum status st =
        store_query_one(tx, &SQL_SITE_BEGIN, ARGS(sv_id(id), sv_int(now_us)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such site.");
    if (st != ST_OK)
        return st;
    round = store_col_int(rows, 0);
    url = arena_str(arena, store_col_text(rows, 1));
    kind = arena_str(arena, store_col_text(rows, 2));
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SITE_PAGE_FIND,
                        ARGS(sv_id(id), sv_text(url), sv_text(kind), sv_int(round), sv_int(0),
                             sv_int(0), sv_int(0)),
                        NULL, err);
    return st == ST_OK ? site_queue_step(knowledge, tx, id, round, url, 0, err) : st;
}

enum status
site_queue_again(struct knowledge *knowledge, struct store_tx *tx, const struct site *site,
                 struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    json_auto_t *json = json_object();
    struct job_spec job = {.topic = QUEUE_TOPIC_CRAWL, .coalesce_max_us = MOVES_US};
    struct job_id job_id;

    if (site->recrawl_hours == 0)
        return ST_OK;
    json_set_str(json, "again_site_id", ID_STR(site->id));
    job.payload = json_text(json, arena);
    job.dedup_key = arena_printf(arena, "site:%s", site->id.id.text);
    job.due_us = clock_wall_us(knowledge->clock) + site->recrawl_hours * US_PER_HOUR;
    return queue_put(knowledge->queue, tx, &job, &job_id, err);
}

struct site_work {
    struct knowledge *knowledge;
    struct site_spec spec; /* complete */
    struct source_id id;   /* none: it is new */
    struct str audience;   /* as it was found */
};

static enum status
begin_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct site_work *work = arg;

    return site_begin(work->knowledge, tx, work->id, err);
}

enum status
site_crawl(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
           struct err *err)
{
    struct site_work work = {.knowledge = knowledge, .id = id};

    return store_run(knowledge->store, scope, "site_crawl", STORE_DURABLE, begin_in_tx, &work, err);
}

/* --- putting --- */

static enum status
check_hosts(struct site_spec *spec, struct arena *arena, struct err *err)
{
    struct str rest = str_trim(spec->hosts), host;
    struct str url;

    spec->hosts = STR("");
    if (rest.len > HOSTS_MAX_BYTES)
        return err_set(err, ST_INVALID, "hosts: at most %d bytes", HOSTS_MAX_BYTES);
    while (str_split(&rest, ' ', &host)) {
        struct http_url parts;
        enum status st;

        if (host.len == 0)
            continue;
        st = http_url_resolve(STR(""), arena_printf(arena, "https://%.*s/", STR_ARG(host)), arena,
                              &url, err);
        if (st == ST_OK)
            st = http_url_read(url, arena, &parts, err);
        if (st != ST_OK || parts.port.len > 0 || !str_eq_c(parts.path, "/"))
            return err_set(err, ST_INVALID, "hosts: names such as docs.example.com");
        spec->hosts = arena_printf(arena, "%.*s%s%.*s", STR_ARG(spec->hosts),
                                   spec->hosts.len > 0 ? " " : "", STR_ARG(parts.host));
    }
    return ST_OK;
}

static enum status
check_spec(const struct knowledge *knowledge, struct site_spec *spec, struct arena *arena,
           struct err *err)
{
    enum status st = http_url_resolve(STR(""), spec->url, arena, &spec->url, err);

    if (st != ST_OK)
        return err_set(err, ST_INVALID, "url: an address such as https://example.com/help");
    if (spec->url.len > KNOWLEDGE_NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "url: at most %d bytes", KNOWLEDGE_NAME_MAX_BYTES);
    if (spec->depth > SITE_DEPTH_MAX || (spec->is_sitemap && spec->depth > 0))
        return err_set(err, ST_INVALID, "depth: 0 to %d; 0 with a sitemap", SITE_DEPTH_MAX);
    if (spec->recrawl_hours > SITE_RECRAWL_MAX_HOURS)
        return err_set(err, ST_INVALID, "recrawl_hours: 0 to %d", SITE_RECRAWL_MAX_HOURS);
    if (spec->max_pages == 0)
        spec->max_pages = SITE_PAGES_DEFAULT < knowledge->max_site_pages
                              ? SITE_PAGES_DEFAULT
                              : knowledge->max_site_pages;
    if (spec->max_pages > knowledge->max_site_pages)
        return err_set(err, ST_INVALID, "max_pages: 1 to %u, the operator's limit",
                       knowledge->max_site_pages);
    st = check_hosts(spec, arena, err);
    if (st == ST_OK && spec->audience.len > 0)
        st = index_audience_parse(spec->audience, arena, &spec->audience, err);
    if (st == ST_OK)
        st = language_check(spec->language, err);
    if (st == ST_OK)
        st = label_check("category", spec->labels.category, err);
    return st == ST_OK ? label_check("tone", spec->labels.tone, err) : st;
}

static enum status
find_in_tx(struct store_tx *tx, struct site_work *work, struct err *err)
{
    const struct site_spec *spec = &work->spec;
    struct str brand = id_is_none(&spec->brand_id.id) ? STR("") : ID_STR(spec->brand_id);
    struct store_rows *rows;
    enum status st = store_query_one(
        tx, &SQL_SOURCE_FIND_BY_NAME,
        ARGS(sv_text(brand), sv_text(STR("site")), sv_text(spec->url), sv_text(STR(""))), &rows,
        err);

    if (st != ST_OK)
        return st;
    work->id = STORE_COL_ID(rows, 0, source_id);
    work->audience = arena_str(store_tx_arena(tx), store_col_text(rows, 1));
    st = store_rows_close(&rows, err);
    if (st == ST_OK && spec->reader != NULL &&
        !index_audience_may_read(work->audience, spec->reader->for_staff, spec->reader->roles))
        return err_set(err, ST_CONFLICT, "The address is that of a site out of your reach.");
    return st;
}

static enum status
insert_source(struct store_tx *tx, struct site_work *work, struct err *err)
{
    const struct site_spec *spec = &work->spec;

    work->id = ID_NEW(source_id);
    return store_exec(tx, &SQL_SITE_SOURCE_INSERT,
                      ARGS(sv_id(work->id), sv_id(spec->brand_id), sv_text(spec->url),
                           sv_text(spec->audience.len > 0 ? spec->audience : STR("customer")),
                           sv_text(spec->language.len > 0 ? spec->language : STR("")),
                           sv_int(clock_wall_us(work->knowledge->clock))),
                      NULL, err);
}

static enum status
put_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct site_work *work = arg;
    const struct site_spec *spec = &work->spec;
    struct source_change change = {.audience = spec->audience, .labels = spec->labels};
    enum status st = brand_check(tx, spec->brand_id, err);

    if (st != ST_OK)
        return st;
    st = find_in_tx(tx, work, err);
    if (st == ST_NOT_FOUND)
        st = insert_source(tx, work, err);
    if (st == ST_OK)
        st = source_change_in_tx(work->knowledge, tx, work->id, &change, err);
    if (st == ST_OK && spec->language.len > 0)
        st = store_exec(tx, &SQL_SITE_SOURCE_LANGUAGE,
                        ARGS(sv_id(work->id), sv_text(spec->language)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SITE_PUT,
                        ARGS(sv_id(work->id),
                             sv_text(spec->is_sitemap ? STR("sitemap") : STR("page")),
                             sv_text(spec->url), sv_int(spec->depth), sv_int(spec->max_pages),
                             sv_text(spec->hosts), sv_int(spec->recrawl_hours),
                             sv_int(clock_wall_us(work->knowledge->clock))),
                        NULL, err);
    return st == ST_OK ? site_begin(work->knowledge, tx, work->id, err) : st;
}

enum status
site_put(struct knowledge *knowledge, const struct tenant_scope *scope,
         const struct site_spec *spec, struct source_id *id_out, struct err *err)
{
    struct site_work work = {.knowledge = knowledge, .spec = *spec};
    struct arena *arena = arena_create((size_t)1024 * 1024);
    enum status st = check_spec(knowledge, &work.spec, arena, err);

    if (st == ST_OK)
        st = store_run(knowledge->store, scope, "site_put", STORE_DURABLE, put_in_tx, &work, err);
    arena_destroy(&arena);
    if (st == ST_OK)
        *id_out = work.id;
    return st;
}

/* --- looking --- */

static struct str
col_copy(struct store_rows *rows, int column, struct arena *arena)
{
    struct str value = store_col_text(rows, column);

    return value.ptr == NULL ? STR("") : arena_str(arena, value);
}

static void
read_site(struct store_rows *rows, struct arena *arena, struct site *out)
{
    *out = (struct site){
        .id = STORE_COL_ID(rows, 0, source_id),
        .brand_id = STORE_COL_ID(rows, 1, brand_id),
        .url = col_copy(rows, 2, arena),
        .kind = col_copy(rows, 3, arena),
        .audience = col_copy(rows, 4, arena),
        .language = col_copy(rows, 5, arena),
        .labels = labels_read(rows, 6, arena),
        .hosts = col_copy(rows, 9, arena),
        .depth = store_col_int(rows, 10),
        .max_pages = store_col_int(rows, 11),
        .recrawl_hours = store_col_int(rows, 12),
        .round = store_col_int(rows, 13),
        .status = col_copy(rows, 14, arena),
        .error = col_copy(rows, 15, arena),
        .started_at_us = store_col_int(rows, 16),
        .finished_at_us = store_col_int(rows, 17),
    };
}

enum status
site_load(struct store_tx *tx, struct source_id id, struct arena *arena, struct site *site_out,
          struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SITE_GET, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such site.");
    if (st != ST_OK)
        return st;
    read_site(rows, arena, site_out);
    return store_rows_close(&rows, err);
}

enum status
site_count(struct store_tx *tx, struct source_id id, int64_t round, struct site_counts *counts_out,
           struct err *err)
{
    struct site_counts *c = counts_out;
    const struct {
        const char *status;
        int64_t *count;
    } fields[] = {{"pending", &c->pending}, {"done", &c->done},       {"unchanged", &c->unchanged},
                  {"moved", &c->moved},     {"skipped", &c->skipped}, {"gone", &c->gone},
                  {"failed", &c->failed}};
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_SITE_COUNTS, ARGS(sv_id(id), sv_int(round)), &rows, err);

    *c = (struct site_counts){.found = 0};
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        c->found += store_col_int(rows, 1);
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            if (str_eq_c(store_col_text(rows, 0), fields[i].status))
                *fields[i].count = store_col_int(rows, 1);
    }
    return store_rows_close(&rows, err);
}

struct looking {
    const struct knowledge_reader *reader;
    struct source_id id;
    struct str after;
    size_t limit, count;
    struct arena *arena;
    struct site *sites;
    struct site_page *pages;
};

static enum status
get_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;
    struct site *site = looking->sites;
    enum status st = site_load(tx, looking->id, looking->arena, site, err);

    return st == ST_OK ? site_count(tx, site->id, site->round, &site->counts, err) : st;
}

enum status
site_get(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
         struct arena *arena, struct site *site_out, struct err *err)
{
    struct looking looking = {.id = id, .arena = arena, .sites = site_out};

    return store_read(knowledge->store, scope, "site_get", get_in_tx, &looking, err);
}

static enum status
list_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;
    struct store_rows *rows;
    struct str audiences;
    enum status st = readable_audiences(tx, looking->reader, &audiences, err);

    looking->count = 0;
    if (st == ST_OK)
        st = store_query(
            tx, &SQL_SITE_LIST,
            ARGS(sv_id(looking->id), sv_int((int64_t)looking->limit), sv_text(audiences)), &rows,
            err);
    if (st != ST_OK)
        return st;
    while (looking->count < looking->limit && store_rows_next(rows))
        read_site(rows, looking->arena, &looking->sites[looking->count++]);
    return store_rows_close(&rows, err);
}

enum status
site_list(struct knowledge *knowledge, const struct tenant_scope *scope,
          const struct knowledge_reader *reader, struct source_id before, size_t limit,
          struct arena *arena, struct site **sites_out, size_t *count_out, struct err *err)
{
    struct looking looking = {.reader = reader, .id = before, .limit = limit, .arena = arena};
    enum status st;

    looking.sites = ARENA_NEW_N(arena, struct site, limit);
    st = store_read(knowledge->store, scope, "site_list", list_in_tx, &looking, err);
    *sites_out = looking.sites;
    *count_out = st == ST_OK ? looking.count : 0;
    return st;
}

static enum status
pages_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;
    struct store_rows *rows;
    enum status st = store_query(
        tx, &SQL_SITE_PAGE_LIST,
        ARGS(sv_id(looking->id), sv_text(looking->after), sv_int((int64_t)looking->limit)), &rows,
        err);

    looking->count = 0;
    if (st != ST_OK)
        return st;
    while (looking->count < looking->limit && store_rows_next(rows))
        looking->pages[looking->count++] = (struct site_page){
            .url = col_copy(rows, 0, looking->arena),
            .kind = col_copy(rows, 1, looking->arena),
            .status = col_copy(rows, 2, looking->arena),
            .reason = col_copy(rows, 3, looking->arena),
            .source_id = STORE_COL_ID(rows, 4, source_id),
            .reading = col_copy(rows, 5, looking->arena),
            .reading_error = col_copy(rows, 6, looking->arena),
            .round = store_col_int(rows, 7),
            .ordinal = store_col_int(rows, 8),
            .depth = store_col_int(rows, 9),
            .fetched_at_us = store_col_int(rows, 10),
        };
    return store_rows_close(&rows, err);
}

enum status
site_page_list(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
               struct str after, size_t limit, struct arena *arena, struct site_page **pages_out,
               size_t *count_out, struct err *err)
{
    struct looking looking = {
        .id = id, .after = after.ptr == NULL ? STR("") : after, .limit = limit, .arena = arena};
    enum status st;

    looking.pages = ARENA_NEW_N(arena, struct site_page, limit);
    st = store_read(knowledge->store, scope, "site_page_list", pages_in_tx, &looking, err);
    *pages_out = looking.pages;
    *count_out = st == ST_OK ? looking.count : 0;
    return st;
}
