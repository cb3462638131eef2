/*
 * index_test_support.h - what the files of index_test share: two organizations with an index each
 */
#ifndef PARLEY_INDEX_INDEX_TEST_SUPPORT_H
#define PARLEY_INDEX_INDEX_TEST_SUPPORT_H

#include "base/testing.h"
#include "index/index.h"
#include "index/qdrant_test_support.h"
#include "store/tenant_scope_driver.h"

struct fixture {
    char folder[64];
    struct store *store;
    struct tenant_scope scope, other;
    struct source_id sources[3];
    struct brand_id brand, other_brand;
    struct arena *arena;
    struct index_engine *engine; /* NULL: the database */
};

/* Prestate: the struct test_qdrant to ask, or NULL for the database. */
#define TEST(function) cmocka_unit_test_prestate_setup_teardown(function, setup, teardown, qdrant)
int setup(void **state);
int teardown(void **state);

enum status put(struct fixture *fixture, const struct index_entry *entries, size_t count,
                enum status fail_after);
enum status ask(struct fixture *fixture, const struct tenant_scope *scope,
                const struct index_query *query, struct index_result *result);
struct index_result search_as(struct fixture *fixture, const struct tenant_scope *scope,
                              struct index_query query);
struct index_entry entry(struct fixture *fixture, int64_t chunk, size_t source, const char *title,
                         const char *heading, const char *text);
/* Chunks 1 to 3 of a guide, 4 and 5 of an insurance, of the first two sources. */
void put_shop(struct fixture *fixture);

/* --- index_filter_test.c --- */

int index_filter_tests(struct test_qdrant *qdrant);

/* --- index_words_test.c --- */

int index_words_tests(struct test_qdrant *qdrant);

#endif
