/*
 * index_test_support.c - see the header
 */
#include "index/index_test_support.h"

#include <ftw.h>
#include <stdio.h>

#include "base/testing.h"
#include "index/index_test_sql.h"

int
setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct test_qdrant *qdrant = *state;
    struct store_config config = {0};
    struct err err = {0};

    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/parley-index-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    config.data_folder = fixture->folder;
    assert_int_equal(store_open(&config, &fixture->store, &err), ST_OK);
    fixture->scope = (struct tenant_scope){ID_NEW(organization_id), "operator"};
    fixture->other = (struct tenant_scope){ID_NEW(organization_id), "operator"};
    assert_int_equal(store_tenant_create(fixture->store, &fixture->scope, &err), ST_OK);
    assert_int_equal(store_tenant_create(fixture->store, &fixture->other, &err), ST_OK);
    for (size_t i = 0; i < 3; i++)
        fixture->sources[i] = ID_NEW(source_id);
    fixture->brand = ID_NEW(brand_id);
    fixture->other_brand = ID_NEW(brand_id);
    fixture->arena = arena_create((size_t)16 << 20);
    if (qdrant != NULL)
        fixture->engine = test_qdrant_engine(qdrant, fixture->store, NULL, 0);
    *state = fixture;
    return 0;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

int
teardown(void **state)
{
    struct fixture *fixture = *state;

    index_engine_close(&fixture->engine);
    store_close(&fixture->store);
    arena_destroy(&fixture->arena);
    assert_int_equal(nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(fixture);
    return 0;
}

struct put_work {
    const struct index_entry *entries;
    size_t count;
    enum status fail_after; /* ST_OK: not */
};

static enum status
put_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct put_work *work = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        const struct index_entry *entry = &work->entries[i];

        st = store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                        ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id),
                             sv_int(entry->version), sv_text(entry->heading_path),
                             sv_text(entry->text), sv_text(entry->language)),
                        NULL, err);
    }
    if (st == ST_OK)
        st = index_put(tx, work->entries, work->count, err);
    if (st == ST_OK && work->fail_after != ST_OK)
        return err_set(err, work->fail_after, "as the test wants");
    return st;
}

enum status
put(struct fixture *fixture, const struct index_entry *entries, size_t count,
    enum status fail_after)
{
    struct put_work work = {entries, count, fail_after};
    struct err err = {0};

    return store_run(fixture->store, &fixture->scope, "test_put", STORE_RELAXED, put_work, &work,
                     &err);
}

enum status
ask(struct fixture *fixture, const struct tenant_scope *scope, const struct index_query *query,
    struct index_result *result)
{
    struct err err = {0};

    if (fixture->engine != NULL)
        assert_int_equal(index_sync_now(fixture->engine, scope, &err), ST_OK);
    return index_ask(fixture->engine, fixture->store, scope, query, fixture->arena, result, &err);
}

struct index_result
search_as(struct fixture *fixture, const struct tenant_scope *scope, struct index_query query)
{
    struct index_result result;

    if (query.limit == 0)
        query.limit = 10;
    assert_int_equal(ask(fixture, scope, &query, &result), ST_OK);
    return result;
}

struct index_entry
entry(struct fixture *fixture, int64_t chunk, size_t source, const char *title, const char *heading,
      const char *text)
{
    return (struct index_entry){
        .chunk_id = chunk,
        .source_id = fixture->sources[source],
        .version = 1,
        .audience = STR("customer"),
        .language = STR("en"),
        .title = str_from_c(title),
        .heading_path = str_from_c(heading),
        .text = str_from_c(text),
    };
}

void
put_shop(struct fixture *fixture)
{
    const struct index_entry entries[] = {
        entry(fixture, 1, 0, "Shop guide", "Opening hours",
              "We are open from nine to six on weekdays. On Saturdays the shop closes at four."),
        entry(fixture, 2, 0, "Shop guide", "Returns",
              "Bring the receipt. You can return a bicycle within thirty days. Used tyres stay."),
        entry(fixture, 3, 0, "Shop guide", "Repairs",
              "A repair takes two days. Call us when your bicycle makes noise."),
        entry(fixture, 4, 1, "Bicycle insurance", "",
              "The policy covers theft. A deductible of fifty euros applies to each claim."),
        entry(fixture, 5, 1, "Bicycle insurance", "Claims",
              "Send the police report with your claim within a week. Payment follows in a month."),
    };

    assert_int_equal(put(fixture, entries, 5, ST_OK), ST_OK);
}
