/*
 * site_ingest.c - a round of a site, waited for: for the command line
 *
 * Woken by what ends in this process, and looking now and then for what another ended.
 */
#include "knowledge/site.h"

#include "knowledge/knowledge_private.h"

#define PAGE 100
#define PATIENCE_US (10 * 60 * US_PER_S)

struct waiting {
    struct knowledge *knowledge;
    const struct tenant_scope *scope;
    folder_on_progress on_progress;
    void *context;
    struct folder_progress progress;
    unsigned unread; /* documents that were found and are not read */
};

static void
count_page(struct waiting *waiting, const struct site_page *page, bool reports)
{
    struct folder_progress *p = &waiting->progress;
    bool read = str_eq_c(page->reading, "done"), unreadable = str_eq_c(page->reading, "failed");
    bool done = str_eq_c(page->status, "done"), unchanged = str_eq_c(page->status, "unchanged");
    bool failed = str_eq_c(page->status, "failed");

    if (str_eq_c(page->kind, "sitemap") && !failed)
        return;
    p->found++;
    waiting->unread += (done || unchanged) && !read && !unreadable;
    p->done += done && read;
    p->unchanged += unchanged && read;
    p->removed += str_eq_c(page->status, "gone");
    p->skipped += str_eq_c(page->status, "skipped") || str_eq_c(page->status, "moved");
    p->failed += failed || unreadable;
    if (!reports || !(failed || unreadable))
        return;
    p->name = page->url;
    p->error = failed ? page->reason : page->reading_error;
    (void)waiting->on_progress(p, waiting->context);
    p->name = p->error = STR_EMPTY;
}

/* Counts the round's pages anew; at the end what failed is reported one by one. */
static enum status
count_pages(struct waiting *waiting, const struct site *site, bool reports, struct arena *arena,
            struct err *err)
{
    struct str after = STR("");
    size_t count = PAGE;
    enum status st = ST_OK;

    waiting->progress = (struct folder_progress){.found = 0};
    waiting->unread = 0;
    while (st == ST_OK && count == PAGE) {
        struct site_page *pages = NULL;

        st = site_page_list(waiting->knowledge, waiting->scope, site->id, after, PAGE, arena,
                            &pages, &count, err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            after = pages[i].url;
            if (pages[i].round == site->round)
                count_page(waiting, &pages[i], reports);
        }
    }
    return st;
}

static enum status
look(struct waiting *waiting, struct source_id id, bool reports, bool *ended_out, struct err *err)
{
    struct arena *arena = arena_create((size_t)256 * 1024 * 1024);
    struct site site;
    enum status st = site_get(waiting->knowledge, waiting->scope, id, arena, &site, err);

    if (st == ST_OK)
        st = count_pages(waiting, &site, reports, arena, err);
    if (st == ST_OK && str_eq_c(site.status, "failed"))
        st = err_set(err, ST_UNAVAILABLE, "%.*s: %.*s", STR_ARG(site.url), STR_ARG(site.error));
    *ended_out = st == ST_OK && str_eq_c(site.status, "done") && waiting->unread == 0;
    arena_destroy(&arena);
    return st;
}

static unsigned
ended_pages(const struct folder_progress *p)
{
    return p->done + p->unchanged + p->skipped + p->failed + p->removed;
}

enum status
site_ingest(struct knowledge *knowledge, const struct tenant_scope *scope,
            const struct site_spec *spec, folder_on_progress on_progress, void *context,
            struct folder_progress *totals_out, struct err *err)
{
    struct waiting waiting = {knowledge, scope, on_progress, context, {.found = 0}, 0};
    int64_t changed_us = clock_mono_us(clock_system());
    struct folder_progress before = {.found = 0};
    struct source_id id;
    uint64_t seen = 0;
    bool ended = false;
    enum status st = site_put(knowledge, scope, spec, &id, err);

    while (st == ST_OK && !ended) {
        (void)knowledge_wait_finished(knowledge, &seen);
        st = look(&waiting, id, false, &ended, err);
        if (waiting.progress.found != before.found ||
            ended_pages(&waiting.progress) != ended_pages(&before))
            changed_us = clock_mono_us(clock_system());
        before = waiting.progress;
        if (st == ST_OK && !ended && clock_mono_us(clock_system()) - changed_us > PATIENCE_US)
            st = err_set(err, ST_BUSY, "The site's pages still wait to be fetched or read.");
        else if (!on_progress(&waiting.progress, context))
            break;
    }
    if (st == ST_OK)
        st = look(&waiting, id, true, &ended, err);
    *totals_out = waiting.progress;
    totals_out->name = totals_out->error = STR_EMPTY;
    return st;
}
