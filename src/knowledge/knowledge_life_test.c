/*
 * knowledge_life_test.c - progress that is told, folders that change, processes that die
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "knowledge/knowledge_test_support.h"

static const char *extractor_path;

/* --- telling --- */

struct heard {
    pthread_mutex_t lock;
    char types[256];
    char last[512];
};

static bool
on_event(const struct live_event *event, void *context)
{
    struct heard *heard = context;
    size_t len;

    pthread_mutex_lock(&heard->lock);
    len = strlen(heard->types);
    (void)snprintf(heard->types + len, sizeof(heard->types) - len, "%.*s ", STR_ARG(event->type));
    (void)snprintf(heard->last, sizeof(heard->last), "%.*s", STR_ARG(event->data));
    pthread_mutex_unlock(&heard->lock);
    return true;
}

static void
progress_is_told(void **state)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct live_subscription *subscription = NULL;
    struct upload_result result;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "a.md", "Words.");
    ASSERT_OK(live_subscribe(shop.live, shop.bed.scopes[0],
                             ingestion_topic(result.ingestion_id, shop.arena), STR(""), on_event,
                             &heard, &subscription, &err),
              &err);
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS);
    live_unsubscribe(&subscription);
    assert_string_equal(heard.types, "progress progress progress done ");
    assert_non_null(strstr(heard.last, "\"chunk_count\":1"));

    heard.types[0] = '\0';
    result = upload(&shop, "a.md", "\x89PNG");
    ASSERT_OK(live_subscribe(shop.live, shop.bed.scopes[0],
                             ingestion_topic(result.ingestion_id, shop.arena), STR(""), on_event,
                             &heard, &subscription, &err),
              &err);
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS);
    live_unsubscribe(&subscription);
    assert_string_equal(heard.types, "progress failed ");
    assert_non_null(strstr(heard.last, "This is a PNG image, not a text file."));
    close_shop(&shop);
}

struct burial {
    struct knowledge *knowledge;
    struct job job;
};

static enum status
bury_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct burial *burial = arg;

    return knowledge_on_dead(tx, &burial->job, STR("reason for the operator"), burial->knowledge,
                             err);
}

static void
a_dead_job_fails_its_ingestion(void **state)
{
    struct upload_result result;
    struct burial burial;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "a.md", "Words.");
    burial.knowledge = shop.knowledge;
    burial.job =
        (struct job){.payload = arena_printf(
                         shop.arena, "{\"ingestion_id\":\"%s\",\"source_id\":\"%s\",\"version\":1}",
                         result.ingestion_id.id.text, result.source_id.id.text)};
    ASSERT_OK(store_run(shop.bed.store, shop.bed.scopes[0], "test_bury", STORE_DURABLE, bury_in_tx,
                        &burial, &err),
              &err);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "failed");
    assert_true(str_starts_with(get_ingestion(&shop, result.ingestion_id).error,
                                STR("The document could not be read because of a fault on our")));
    /* Replayed, it is read after all. */
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "done");
    assert_int_equal(get_ingestion(&shop, result.ingestion_id).error.len, 0);
    close_shop(&shop);
}

/* --- a folder --- */

static void
write_file(const char *folder, const char *name, const char *content)
{
    char path[256];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(close(fd), 0);
}

static void
remove_file(const char *folder, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static struct folder_progress
ingest(struct shop *shop, const char *folder)
{
    const struct folder_spec spec = {
        .path = folder, .remove_missing = true, .wait = true, .deadline_ms = WAIT_MS};
    struct folder_progress totals;
    struct err err;

    ASSERT_OK(knowledge_ingest_folder(shop->knowledge, shop->bed.scopes[0], &spec, NULL, NULL,
                                      &totals, &err),
              &err);
    return totals;
}

static void
a_folder_is_kept_in_step(void **state)
{
    char folder[] = "/tmp/parley-folder-XXXXXX";
    char inner[64];
    struct folder_progress totals;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    start_workers(&shop);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(inner, sizeof(inner), "%s/inner", folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    write_file(folder, "a.md", "# A\n\nAlpha words.");
    write_file(folder, "inner/b.txt", "Beta words.");
    write_file(folder, "c.html", "");
    write_file(folder, "d.bin", "Delta words.");
    write_file(folder, ".hidden.md", "Hidden words.");

    totals = ingest(&shop, folder);
    assert_int_equal(totals.found, 4);
    assert_int_equal(totals.uploaded, 2);
    assert_int_equal(totals.done, 2);
    assert_int_equal(totals.failed, 1);
    assert_int_equal(totals.skipped, 1);
    assert_int_equal(hits(&shop, "beta"), 1);
    assert_int_equal(hits(&shop, "hidden"), 0);

    totals = ingest(&shop, folder);
    assert_int_equal(totals.unchanged, 2);
    assert_int_equal(totals.uploaded + totals.removed, 0);

    write_file(folder, "a.md", "# A\n\nOmega words.");
    remove_file(folder, "inner/b.txt");
    totals = ingest(&shop, folder);
    assert_int_equal(totals.uploaded, 1);
    assert_int_equal(totals.done, 1);
    assert_int_equal(totals.removed, 1);
    assert_int_equal(hits(&shop, "alpha"), 0);
    assert_int_equal(hits(&shop, "beta"), 0);
    assert_int_equal(hits(&shop, "omega"), 1);

    remove_file(folder, "a.md");
    remove_file(folder, "c.html");
    remove_file(folder, "d.bin");
    remove_file(folder, ".hidden.md");
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(folder), 0);
    close_shop(&shop);
}

/* --- dying --- */

#ifdef PARLEY_WITH_FAILPOINTS
/* A process of its own uploads, works, and dies at the failpoint. */
static void
work_and_die(const char *folder, const char *failpoint)
{
    struct shop shop = {.extractor_path = extractor_path};
    struct err err;

    bed_reopen(&shop.bed, folder, clock_system(), NULL);
    open_knowledge(&shop);
    if (failpoint_configure(failpoint, &err) != ST_OK)
        _exit(1);
    (void)upload(&shop, "doc.md", "# Doc\n\nThe new text has a sidecar.");
    wait_idle(&shop);
    _exit(2); /* it should have died */
}

static void
killed_between_steps(void **state)
{
    static const char *const failpoints[] = {"ingest.extracted=crash", "ingest.committed=crash"};

    (void)state;
    for (size_t i = 0; i < sizeof(failpoints) / sizeof(failpoints[0]); i++) {
        struct shop shop;
        char folder[64];
        int status;
        pid_t child;

        open_shop(&shop, extractor_path);
        (void)upload(&shop, "doc.md", "# Doc\n\nThe old text has a basket.");
        wait_idle(&shop);
        queue_workers_stop(&shop.workers, WAIT_MS);
        (void)snprintf(folder, sizeof(folder), "%s", shop.bed.folder);
        knowledge_close(&shop.knowledge);
        blob_close(&shop.blobs);
        live_hub_destroy(&shop.live);
        arena_destroy(&shop.arena);
        bed_close(&shop.bed, false);

        child = fork();
        if (child == 0)
            work_and_die(folder, failpoints[i]);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        shop = (struct shop){.extractor_path = extractor_path};
        bed_reopen(&shop.bed, folder, clock_system(), NULL);
        open_knowledge(&shop);
        /* Never both and never neither, whenever it died. */
        assert_int_equal(hits(&shop, "sidecar") + hits(&shop, "basket"), 1);
        wait_idle(&shop);
        assert_int_equal(hits(&shop, "sidecar"), 1);
        assert_int_equal(hits(&shop, "basket"), 0);
        assert_int_equal(search_as(&shop, 0, "x", true).health.chunks, 1);
        close_shop(&shop);
    }
}
#else
SKIPPED_WITHOUT_FAILPOINTS(killed_between_steps)
#endif

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(a_dead_job_fails_its_ingestion),
        cmocka_unit_test(a_folder_is_kept_in_step),
        cmocka_unit_test(killed_between_steps),
    };

    if (argc != 2)
        return 2;
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
