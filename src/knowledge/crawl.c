/*
 * crawl.c - the job of a site: its round's next page is fetched, recorded with what it names, and
 * the next job queued, in one commit
 *
 * The document is uploaded before that commit and by itself: a job that was cut short uploads the
 * same bytes again, which is nothing.
 */
#include <sodium.h>

#include "base/log.h"
#include "base/metrics.h"
#include "knowledge/site_private.h"
#include "knowledge/site_sql.h"
#include "text/json.h"

#define MAX_SITEMAPS 100
#define MAX_SITEMAP_DEPTH 3
#define MAX_HOPS 5
#define HASH_BYTES 8
#define HASH_TEXT_BYTES (2 * HASH_BYTES + 1)

static struct metric pages_total = {
    .name = "parley_site_pages_total",
    .help = "Pages of sites that were fetched, by outcome.",
    .kind = METRIC_COUNTER,
    .labels = {"outcome"},
};

struct crawl {
    struct knowledge *knowledge;
    struct lease *lease;
    struct arena *arena;
    struct source_id site_id;
    int64_t round;

    /* Read before the work. */
    bool gone;     /* the site, or its round, is over */
    bool has_page; /* else all are fetched */
    struct site site;
    struct crawl_page page;

    /* Made by the work. */
    struct crawl_result result;
    struct source_id source_id; /* of the document that was uploaded */
    const char *status;         /* of the page, from now on */
    struct str reason;

    /* Set by the transaction. */
    bool ended;
    struct site_counts counts;
};

/* --- telling --- */

json_t *
site_counts_json(const struct site_counts *c)
{
    json_t *json = json_object();

    json_set_int(json, "found", c->found);
    json_set_int(json, "pending", c->pending);
    json_set_int(json, "done", c->done);
    json_set_int(json, "unchanged", c->unchanged);
    json_set_int(json, "moved", c->moved);
    json_set_int(json, "skipped", c->skipped);
    json_set_int(json, "gone", c->gone);
    json_set_int(json, "failed", c->failed);
    return json;
}

static void
publish(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
        int64_t round, const char *status, json_t *json, struct arena *arena)
{
    bool runs = str_eq_c(STR("running"), status);

    json_set_str(json, "site_id", ID_STR(id));
    json_set_int(json, "round", round);
    json_set_str(json, "status", str_from_c(status));
    if (knowledge->live != NULL)
        live_publish(knowledge->live, scope, site_topic(id, arena),
                     runs ? STR("progress") : str_from_c(status), json_text(json, arena));
    if (!runs)
        knowledge_tell_finished(knowledge);
}

static void
tell(struct crawl *crawl)
{
    json_auto_t *json = site_counts_json(&crawl->counts);

    if (crawl->has_page) {
        METRIC_INC(&pages_total, str_from_c(crawl->status));
        json_set_str(json, "url", crawl->page.url);
        json_set_str(json, "page_status", str_from_c(crawl->status));
        if (crawl->reason.len > 0)
            json_set_str(json, "reason", crawl->reason);
    }
    publish(crawl->knowledge, lease_scope(crawl->lease), crawl->site_id, crawl->round,
            crawl->ended ? "done" : "running", json, crawl->arena);
    if (crawl->ended)
        LOG(LOG_INFO, "site.done", log_str("site_id", ID_STR(crawl->site_id)),
            log_int("round", crawl->round), log_int("found", crawl->counts.found),
            log_int("done", crawl->counts.done), log_int("failed", crawl->counts.failed));
}

/* --- reading what is to be done --- */

static struct str
col_copy(struct store_rows *rows, int column, struct arena *arena)
{
    return arena_str(arena, store_col_text(rows, column));
}

static enum status
load_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct crawl *crawl = arg;
    struct store_rows *rows;
    enum status st = site_load(tx, crawl->site_id, crawl->arena, &crawl->site, err);

    crawl->gone = st == ST_NOT_FOUND || (st == ST_OK && (crawl->site.round != crawl->round ||
                                                         !str_eq_c(crawl->site.status, "running")));
    if (st != ST_OK || crawl->gone)
        return crawl->gone ? ST_OK : st;
    st = store_query_one(tx, &SQL_SITE_PAGE_NEXT, ARGS(sv_id(crawl->site_id), sv_int(crawl->round)),
                         &rows, err);
    crawl->has_page = st == ST_OK;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    crawl->page = (struct crawl_page){
        .url = col_copy(rows, 0, crawl->arena),
        .is_sitemap = str_eq_c(store_col_text(rows, 1), "sitemap"),
        .depth = store_col_int(rows, 2),
        .hops = store_col_int(rows, 3),
        .source_id = STORE_COL_ID(rows, 4, source_id),
        .etag = col_copy(rows, 5, crawl->arena),
        .last_modified = col_copy(rows, 6, crawl->arena),
        .has_document = store_col_int(rows, 7) != 0,
    };
    crawl->source_id = crawl->page.source_id;
    return store_rows_close(&rows, err);
}

/* --- the work --- */

/* A document's name is short enough for a file's: a long address ends in its hash. */
static struct str
name_of(struct str url, struct arena *arena)
{
    unsigned char hash[HASH_BYTES];
    char text[HASH_TEXT_BYTES];
    size_t room = KNOWLEDGE_NAME_MAX_BYTES - HASH_TEXT_BYTES;

    if (url.len <= KNOWLEDGE_NAME_MAX_BYTES)
        return url;
    crypto_shorthash(hash, (const unsigned char *)url.ptr, url.len,
                     (const unsigned char *)"site: long names");
    sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
    return arena_printf(arena, "%.*s#%s", (int)room, url.ptr, text);
}

static enum status
upload(struct crawl *crawl, struct err *err)
{
    const struct site *site = &crawl->site;
    struct upload_spec spec = {
        .name = name_of(crawl->page.url, crawl->arena),
        .kind = STR("url"),
        .uri = crawl->page.url,
        .content_type =
            crawl->result.charset.len == 0
                ? crawl->result.content_type
                : arena_printf(crawl->arena, "%.*s; charset=%.*s",
                               STR_ARG(crawl->result.content_type), STR_ARG(crawl->result.charset)),
        .audience = site->audience,
        .labels = site->labels,
        .brand_id = site->brand_id,
        .language = site->language,
        .content = crawl->result.content,
        .parent_id = site->id,
        .parent_audience = site->audience,
    };
    struct upload_result result;
    enum status st =
        knowledge_upload(crawl->knowledge, lease_scope(crawl->lease), &spec, &result, err);

    if (st == ST_INVALID || st == ST_TOO_LARGE) {
        crawl->status = "failed";
        crawl->reason = arena_str(crawl->arena, str_from_c(err->public_text));
        return ST_OK;
    }
    if (st == ST_OK) {
        crawl->source_id = result.source_id;
        crawl->status = result.unchanged ? "unchanged" : "done";
    }
    return st;
}

static enum status
fetch(struct crawl *crawl, struct err *err)
{
    static const char *const statuses[] = {
        [CRAWL_DOCUMENT] = "done", [CRAWL_LISTING] = "done",    [CRAWL_UNCHANGED] = "unchanged",
        [CRAWL_MOVED] = "moved",   [CRAWL_SKIPPED] = "skipped", [CRAWL_GONE] = "gone",
        [CRAWL_FAILED] = "failed"};
    const struct job *job = lease_job(crawl->lease);
    struct crawl_result *result = &crawl->result;
    enum status st = crawl_fetch(crawl->knowledge, lease_scope(crawl->lease), &crawl->site,
                                 &crawl->page, crawl->arena, result, err);

    if ((st == ST_UNAVAILABLE || st == ST_BUSY) && job->attempts >= job->max_attempts) {
        *result = (struct crawl_result){.outcome = CRAWL_FAILED,
                                        .delay_us = crawl->knowledge->site_delay_us};
        result->reason = arena_str(crawl->arena, str_from_c(err->public_text));
        st = ST_OK;
    }
    if (st != ST_OK)
        return st;
    if (result->outcome == CRAWL_MOVED && crawl->page.hops >= MAX_HOPS) {
        result->outcome = CRAWL_FAILED;
        result->reason = STR("It is forwarded too often.");
        result->link_count = 0;
    }
    crawl->status = statuses[result->outcome];
    crawl->reason = result->reason;
    return result->outcome == CRAWL_DOCUMENT ? upload(crawl, err) : ST_OK;
}

/* --- the commit --- */

struct found {
    int64_t pages, sitemaps; /* of the round so far */
};

static enum status
count_found(struct store_tx *tx, const struct crawl *crawl, struct found *found, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SITE_FOUND,
                                     ARGS(sv_id(crawl->site_id), sv_int(crawl->round)), &rows, err);

    if (st != ST_OK)
        return st;
    found->pages = store_col_int(rows, 0);
    found->sitemaps = store_col_int(rows, 1);
    return store_rows_close(&rows, err);
}

/* What the page names becomes pages of the round, up to the limits. */
static enum status
add_links(struct store_tx *tx, const struct crawl *crawl, struct err *err)
{
    bool moved = crawl->result.outcome == CRAWL_MOVED;
    int64_t depth = crawl->page.depth + !moved;
    struct found found = {.pages = 0};
    enum status st = count_found(tx, crawl, &found, err);

    for (size_t i = 0; st == ST_OK && i < crawl->result.link_count; i++) {
        const struct crawl_link *link = &crawl->result.links[i];
        int64_t *count = link->is_sitemap ? &found.sitemaps : &found.pages;
        int64_t added = 0;

        if (*count >= (link->is_sitemap ? MAX_SITEMAPS : crawl->site.max_pages) ||
            (link->is_sitemap && depth > MAX_SITEMAP_DEPTH))
            continue;
        st = store_exec(tx, &SQL_SITE_PAGE_FIND,
                        ARGS(sv_id(crawl->site_id), sv_text(link->url),
                             sv_text(link->is_sitemap ? STR("sitemap") : STR("page")),
                             sv_int(crawl->round), sv_int(found.pages + found.sitemaps),
                             sv_int(depth), sv_int(moved ? crawl->page.hops + 1 : 0)),
                        &added, err);
        *count += added;
    }
    return st;
}

/* What failed may come back: its document stays, and is asked for anew. */
static enum status
record_page(struct store_tx *tx, const struct crawl *crawl, struct err *err)
{
    const struct crawl_result *result = &crawl->result;
    bool keeps = result->outcome == CRAWL_DOCUMENT || result->outcome == CRAWL_UNCHANGED ||
                 result->outcome == CRAWL_FAILED;
    bool failed = str_eq_c(STR("failed"), crawl->status);
    struct source_id source_id = crawl->source_id;
    enum status st = ST_OK;

    if (!keeps) {
        if (crawl->page.has_document)
            st = source_delete_in_tx(crawl->knowledge, tx, crawl->page.source_id, err);
        if (st == ST_NOT_FOUND) /* deleted by somebody just now */
            st = ST_OK;
        source_id = (struct source_id){{""}};
    }
    if (st == ST_OK)
        st = store_exec(
            tx, &SQL_SITE_PAGE_SET,
            ARGS(
                sv_id(crawl->site_id), sv_text(crawl->page.url), sv_text(str_from_c(crawl->status)),
                crawl->reason.len > 0 ? sv_text(crawl->reason) : sv_null(), sv_id(source_id),
                sv_text(failed || result->etag.len == 0 ? STR("") : result->etag),
                sv_text(failed || result->last_modified.len == 0 ? STR("") : result->last_modified),
                sv_int(clock_wall_us(crawl->knowledge->clock))),
            NULL, err);
    return st;
}

static enum status
remove_old(struct store_tx *tx, const struct crawl *crawl, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct gone_document {
        struct source_id id;
        struct gone_document *next;
    } *first = NULL;
    struct store_rows *rows;
    int64_t blind = 0;
    enum status st = store_query_one(
        tx, &SQL_SITE_BLIND,
        ARGS(sv_id(crawl->site_id), sv_int(crawl->round), sv_int(crawl->site.depth)), &rows, err);

    if (st != ST_OK)
        return st;
    blind = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st != ST_OK || blind > 0)
        return st;
    st = store_query(tx, &SQL_SITE_PAGE_OLD, ARGS(sv_id(crawl->site_id), sv_int(crawl->round)),
                     &rows, err);
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        struct gone_document *document = ARENA_NEW(arena, struct gone_document);

        *document = (struct gone_document){STORE_COL_ID(rows, 0, source_id), first};
        first = document;
    }
    st = store_rows_close(&rows, err);
    for (; st == ST_OK && first != NULL; first = first->next)
        st = source_delete_in_tx(crawl->knowledge, tx, first->id, err);
    return st == ST_OK ? store_exec(tx, &SQL_SITE_PAGE_DELETE_OLD,
                                    ARGS(sv_id(crawl->site_id), sv_int(crawl->round)), NULL, err)
                       : st;
}

static enum status
end_round(struct store_tx *tx, struct crawl *crawl, struct err *err)
{
    enum status st = remove_old(tx, crawl, err);

    crawl->ended = true;
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SITE_END,
                        ARGS(sv_id(crawl->site_id), sv_int(crawl->round), sv_text(STR("done")),
                             sv_null(), sv_int(clock_wall_us(crawl->knowledge->clock))),
                        NULL, err);
    return st == ST_OK ? site_queue_again(crawl->knowledge, tx, &crawl->site, err) : st;
}

/* The lane is that of the page that comes next. */
static enum status
queue_next(struct store_tx *tx, const struct crawl *crawl, struct err *err)
{
    struct str url;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SITE_PAGE_NEXT,
                                     ARGS(sv_id(crawl->site_id), sv_int(crawl->round)), &rows, err);

    if (st != ST_OK)
        return st;
    url = col_copy(rows, 0, store_tx_arena(tx));
    st = store_rows_close(&rows, err);
    return st == ST_OK
               ? site_queue_step(crawl->knowledge, tx, crawl->site_id, crawl->round, url,
                                 clock_wall_us(crawl->knowledge->clock) + crawl->result.delay_us,
                                 err)
               : st;
}

static enum status
record_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct crawl *crawl = arg;
    struct site site;
    enum status st = site_load(tx, crawl->site_id, store_tx_arena(tx), &site, err);

    crawl->ended = false;
    crawl->gone = crawl->gone || st == ST_NOT_FOUND || (st == ST_OK && site.round != crawl->round);
    if (crawl->gone)
        return queue_lease_done(tx, crawl->lease, err);
    if (st == ST_OK && crawl->has_page)
        st = record_page(tx, crawl, err);
    if (st == ST_OK && crawl->has_page && crawl->result.link_count > 0)
        st = add_links(tx, crawl, err);
    if (st == ST_OK)
        st = site_count(tx, crawl->site_id, crawl->round, &crawl->counts, err);
    if (st == ST_OK)
        st = queue_next(tx, crawl, err);
    if (st == ST_NOT_FOUND)
        st = end_round(tx, crawl, err);
    return st == ST_OK ? queue_lease_done(tx, crawl->lease, err) : st;
}

/* --- the handler --- */

static enum status
run_step(struct crawl *crawl, struct err *err)
{
    struct store *store = crawl->knowledge->store;
    const struct tenant_scope *scope = lease_scope(crawl->lease);
    enum status st = store_read(store, scope, "crawl_load", load_in_tx, crawl, err);

    if (st == ST_OK && !crawl->gone && crawl->has_page)
        st = fetch(crawl, err);
    if (st == ST_NOT_FOUND) { /* the site, or its brand, was deleted meanwhile */
        crawl->status = "failed";
        crawl->reason = arena_str(crawl->arena, str_from_c(err->public_text));
        st = ST_OK;
    }
    if (st == ST_OK)
        st = store_run(store, scope, "crawl_record", STORE_DURABLE, record_in_tx, crawl, err);
    if (st == ST_OK && !crawl->gone)
        tell(crawl);
    return st;
}

static enum status
again_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct crawl *crawl = arg;
    struct site site;
    enum status st = site_load(tx, crawl->site_id, store_tx_arena(tx), &site, err);

    if (st == ST_OK && site.recrawl_hours > 0 && !str_eq_c(site.status, "running"))
        st = site_begin(crawl->knowledge, tx, crawl->site_id, err);
    if (st == ST_NOT_FOUND)
        st = ST_OK;
    return st == ST_OK ? queue_lease_done(tx, crawl->lease, err) : st;
}

/* True for a step of a round; false: it is the hour of the next round. */
static enum status
read_payload(struct str text, struct source_id *id_out, int64_t *round_out, struct err *err)
{
    json_auto_t *json = NULL;
    struct str again;
    enum status st = json_parse(text, &json, err);

    if (st != ST_OK)
        return err_set_detail(err, ST_INTERNAL, "a job of a site without its id");
    again = json_get_str(json, "again_site_id");
    *round_out = again.len > 0 ? 0 : json_get_int(json, "round", 0);
    st = ID_PARSE(again.len > 0 ? again : json_get_str(json, "site_id"), id_out, err);
    if (st != ST_OK || (again.len == 0 && *round_out <= 0))
        return err_set_detail(err, ST_INTERNAL, "a job of a site without its id");
    return ST_OK;
}

enum status
site_handle_job(struct lease *lease, void *context, struct err *err)
{
    struct crawl crawl = {
        .knowledge = context, .lease = lease, .arena = arena_create(DOCUMENT_ARENA_MAX_BYTES)};
    enum status st = read_payload(lease_job(lease)->payload, &crawl.site_id, &crawl.round, err);

    if (st == ST_OK && crawl.round > 0)
        st = run_step(&crawl, err);
    else if (st == ST_OK)
        st = store_run(crawl.knowledge->store, lease_scope(lease), "crawl_again", STORE_DURABLE,
                       again_in_tx, &crawl, err);
    arena_destroy(&crawl.arena);
    return st;
}

/* --- burying --- */

static void
tell_dead(const struct tenant_scope *scope, struct str payload, void *context)
{
    struct arena *arena = arena_create((size_t)65536);
    json_auto_t *json = json_object();
    struct source_id id;
    int64_t round = 0;
    struct err err;

    if (read_payload(payload, &id, &round, &err) == ST_OK)
        publish(context, scope, id, round, "failed", json, arena);
    arena_destroy(&arena);
}

/* A page's own failures do not come here: this is a fault of ours. */
enum status
site_on_dead(struct store_tx *tx, const struct job *job, struct str reason, void *context,
             struct err *err)
{
    struct knowledge *knowledge = context;
    struct source_id id;
    int64_t round = 0;
    struct site site;
    enum status st;

    (void)reason; /* for the operator, with the dead letter */
    if (read_payload(job->payload, &id, &round, err) != ST_OK)
        return ST_OK;
    st = site_load(tx, id, store_tx_arena(tx), &site, err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    if (round > 0)
        st = store_exec(tx, &SQL_SITE_END,
                        ARGS(sv_id(id), sv_int(round), sv_text(STR("failed")),
                             sv_text(STR("A page could not be fetched because of a fault on our "
                                         "side. The site can be crawled again.")),
                             sv_int(clock_wall_us(knowledge->clock))),
                        NULL, err);
    if (st == ST_OK)
        st = site_queue_again(knowledge, tx, &site, err);
    if (st == ST_OK && round > 0)
        store_tx_on_commit(tx, tell_dead, knowledge, job->payload);
    return st;
}
