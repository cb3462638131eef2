/*
 * blob_test.c - keys, links, and the drivers for tests
 */
#include "blob/blob_conformance.h"
#include "blob/blob_driver.h"

#include "base/testing.h"
#include "store/tenant_scope_driver.h"

#define NOW_US (INT64_C(1800000000) * US_PER_S)

struct bed {
    struct clock *clock;
    struct blob_store *store;
    struct tenant_scope one, other;
    unsigned char keys[2][BLOB_LINK_KEY_BYTES];
};

static void
open_bed(struct bed *bed)
{
    struct blob_config config = {.driver = &blob_driver_fake,
                                 .max_object_bytes = BLOB_TEST_MAX_OBJECT,
                                 .min_part_bytes = BLOB_TEST_MIN_PART,
                                 .link_key_count = 2};
    struct err err;

    *bed = (struct bed){.clock = clock_create_manual(NOW_US)};
    bed->one = (struct tenant_scope){ID_NEW(organization_id), "test"};
    bed->other = (struct tenant_scope){ID_NEW(organization_id), "test"};
    memset(bed->keys[0], 1, sizeof(bed->keys[0]));
    memset(bed->keys[1], 2, sizeof(bed->keys[1]));
    config.clock = bed->clock;
    config.link_keys = (const unsigned char(*)[BLOB_LINK_KEY_BYTES])bed->keys;
    ASSERT_OK(blob_open(&config, &bed->store, &err), &err);
}

static void
close_bed(struct bed *bed)
{
    blob_close(&bed->store);
    clock_destroy(&bed->clock);
}

/* --- keys --- */

static void
test_keys(void **state)
{
    static const struct {
        struct str key;
        bool good;
    } rows[] = {
        {STR_INIT("a"), true},
        {STR_INIT("knowledge/0190/1"), true},
        {STR_INIT("a b/\xc3\xa9.txt"), true},
        {STR_INIT("..."), true},
        {STR_INIT("a/..b/c.."), true},
        {STR_INIT(".hidden/+x/=y"), true},
        {STR_INIT(""), false},
        {STR_INIT("/a"), false},
        {STR_INIT("a/"), false},
        {STR_INIT("a//b"), false},
        {STR_INIT(".."), false},
        {STR_INIT("."), false},
        {STR_INIT("a/../b"), false},
        {STR_INIT("a/./b"), false},
        {STR_INIT("a/.."), false},
        {STR_INIT("a\0b"), false},
        {STR_INIT("a\nb"), false},
        {STR_INIT("a\x7f"), false},
        {STR_INIT("\xff"), false},
        {STR_INIT("\xc0\xaf"), false},
    };
    char segment[BLOB_SEGMENT_MAX_BYTES + 1];
    char key[BLOB_KEY_MAX_BYTES + 1];
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if ((blob_key_check(rows[i].key, &err) == ST_OK) != rows[i].good)
            fail_msg("key %zu", i);
    memset(segment, 's', sizeof(segment));
    assert_int_equal(blob_key_check(str_of(segment, sizeof(segment) - 1), &err), ST_OK);
    assert_int_equal(blob_key_check(str_of(segment, sizeof(segment)), &err), ST_INVALID);
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = i % 100 == 50 ? '/' : 'k';
    assert_int_equal(blob_key_check(str_of(key, BLOB_KEY_MAX_BYTES), &err), ST_OK);
    assert_int_equal(blob_key_check(str_of(key, sizeof(key)), &err), ST_INVALID);
}

/* --- links --- */

static struct str
make_link(struct bed *bed, struct arena *arena)
{
    struct str token;
    struct err err;

    const struct blob_link_spec spec = {.key = STR("a/b"),
                                        .content_type = STR("text/html"),
                                        .file_name = STR("b.html"),
                                        .expires_at_us = NOW_US + 60 * US_PER_S};

    ASSERT_OK(blob_link_make(bed->store, &bed->one, &spec, arena, &token, &err), &err);
    return token;
}

static void
test_link(void **state)
{
    struct arena *arena = arena_create(65536);
    struct blob_link link;
    struct str token;
    struct bed bed;
    struct err err;

    (void)state;
    open_bed(&bed);
    token = make_link(&bed, arena);
    ASSERT_OK(blob_link_check(bed.store, token, &link, &err), &err);
    assert_true(id_eq(&link.organization_id.id, &bed.one.organization_id.id));
    assert_string_equal(link.key, "a/b");
    assert_string_equal(link.content_type, "text/html");
    assert_string_equal(link.file_name, "b.html");
    assert_int_equal(link.expires_at_us, NOW_US + 60 * US_PER_S);
    clock_advance_us(bed.clock, 60 * US_PER_S - 1);
    ASSERT_OK(blob_link_check(bed.store, token, &link, &err), &err);
    clock_advance_us(bed.clock, 1);
    assert_int_equal(blob_link_check(bed.store, token, &link, &err), ST_DENIED);
    close_bed(&bed);
    arena_destroy(&arena);
}

/* Whatever one character becomes, whatever is cut or added: not one of ours. */
static void
test_forged(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                                  "=+/ .";
    struct arena *arena = arena_create(65536);
    struct blob_link link;
    struct bed bed;
    struct err err;
    struct str token;
    char forged[BLOB_LINK_MAX_BYTES + 2];

    (void)state;
    open_bed(&bed);
    token = make_link(&bed, arena);
    for (size_t at = 0; at < token.len; at++) {
        for (size_t l = 0; l < sizeof(letters) - 1; l++) {
            memcpy(forged, token.ptr, token.len);
            if (forged[at] == letters[l])
                continue;
            forged[at] = letters[l];
            if (blob_link_check(bed.store, str_of(forged, token.len), &link, &err) != ST_NOT_FOUND)
                fail_msg("character %zu as '%c' was taken", at, letters[l]);
        }
        assert_int_equal(blob_link_check(bed.store, str_of(token.ptr, at), &link, &err),
                         ST_NOT_FOUND);
    }
    memcpy(forged, token.ptr, token.len);
    forged[token.len] = 'A';
    assert_int_equal(blob_link_check(bed.store, str_of(forged, token.len + 1), &link, &err),
                     ST_NOT_FOUND);
    memset(forged, 'A', sizeof(forged));
    assert_int_equal(blob_link_check(bed.store, str_of(forged, sizeof(forged)), &link, &err),
                     ST_NOT_FOUND);
    close_bed(&bed);
    arena_destroy(&arena);
}

static enum status
check_with(struct bed *bed, const unsigned char (*keys)[BLOB_LINK_KEY_BYTES], size_t count,
           struct str token)
{
    struct blob_config config = {.driver = &blob_driver_fake,
                                 .clock = bed->clock,
                                 .link_keys = keys,
                                 .link_key_count = count};
    struct blob_store *store;
    struct blob_link link;
    enum status st;
    struct err err;

    ASSERT_OK(blob_open(&config, &store, &err), &err);
    st = blob_link_check(store, token, &link, &err);
    blob_close(&store);
    return st;
}

/* The first key signs, a later one still opens, a foreign one does not. */
static void
test_link_keys(void **state)
{
    struct arena *arena = arena_create(65536);
    unsigned char newer[2][BLOB_LINK_KEY_BYTES] = {{9}, {1}};
    const struct blob_link_spec bad[] = {
        {.key = STR("a"), .expires_at_us = NOW_US},
        {.key = STR("a"), .expires_at_us = NOW_US + (BLOB_LINK_MAX_S + 1) * US_PER_S},
        {.key = STR("../a"), .expires_at_us = NOW_US + US_PER_S},
        {.key = STR("a"), .content_type = STR("a\r\nb"), .expires_at_us = NOW_US + US_PER_S},
        {.key = STR("a"), .file_name = STR("a\nb"), .expires_at_us = NOW_US + US_PER_S},
    };
    struct bed bed;
    struct str token;
    struct err err;

    (void)state;
    open_bed(&bed);
    token = make_link(&bed, arena);
    memset(newer[1], 1, sizeof(newer[1]));
    assert_int_equal(check_with(&bed, (const unsigned char(*)[BLOB_LINK_KEY_BYTES])newer, 2, token),
                     ST_OK);
    assert_int_equal(check_with(&bed, (const unsigned char(*)[BLOB_LINK_KEY_BYTES])newer, 1, token),
                     ST_NOT_FOUND);
    assert_int_equal(
        check_with(&bed, (const unsigned char(*)[BLOB_LINK_KEY_BYTES])bed.keys[1], 1, token),
        ST_NOT_FOUND);
    assert_int_equal(check_with(&bed, NULL, 0, token), ST_NOT_FOUND);
    /* What cannot be signed. */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (blob_link_make(bed.store, &bed.one, &bad[i], arena, &token, &err) != ST_INVALID)
            fail_msg("link %zu", i);
    close_bed(&bed);
    arena_destroy(&arena);
}

/* --- drivers for tests --- */

static void
run_suite(struct bed *bed, struct blob_store *store)
{
    struct blob_conformance suite = {
        .store = store, .clock = bed->clock, .one = &bed->one, .other = &bed->other};

    blob_conformance_run(&suite);
}

static void
test_fake(void **state)
{
    struct bed bed;

    (void)state;
    open_bed(&bed);
    run_suite(&bed, bed.store);
    close_bed(&bed);
}

static struct blob_store *
open_through(struct bed *bed, const struct blob_driver *driver)
{
    struct blob_config config = {.driver = driver,
                                 .clock = bed->clock,
                                 .inner = bed->store,
                                 .max_object_bytes = BLOB_TEST_MAX_OBJECT,
                                 .min_part_bytes = BLOB_TEST_MIN_PART};
    struct blob_store *store;
    struct err err;

    ASSERT_OK(blob_open(&config, &store, &err), &err);
    return store;
}

static void
test_failing(void **state)
{
    struct bed bed;
    struct blob_store *store;
    struct blob_put_spec spec = {.key = STR("k")};
    struct blob_info info;
    struct err err;

    (void)state;
    open_bed(&bed);
    store = open_through(&bed, &blob_driver_failing);
    run_suite(&bed, store);
    /* Wherever a put fails, nothing is there. */
    for (unsigned skip = 0; skip < 3; skip++) {
        blob_failing_set(store, ST_UNAVAILABLE, skip, 1);
        assert_int_equal(blob_put_bytes(store, &bed.one, &spec, STR("x"), NULL, &err),
                         ST_UNAVAILABLE);
        assert_int_equal(blob_stat(store, &bed.one, STR("k"), &info, &err), ST_NOT_FOUND);
    }
    ASSERT_OK(blob_put_bytes(store, &bed.one, &spec, STR("x"), NULL, &err), &err);
    blob_failing_set(store, ST_INTERNAL, 0, 0);
    assert_int_equal(blob_stat(store, &bed.one, STR("k"), &info, &err), ST_INTERNAL);
    assert_int_equal(blob_delete(store, &bed.one, STR("k"), &err), ST_INTERNAL);
    blob_close(&store);
    close_bed(&bed);
}

static void
test_recording(void **state)
{
    static const char *const want[] = {"put a", "write a", "commit a", "get a", "remove a"};
    struct blob_put_spec spec = {.key = STR("a")};
    struct blob_store *store;
    struct blob_info info;
    const char *call;
    struct bed bed;
    struct err err;

    (void)state;
    open_bed(&bed);
    store = open_through(&bed, &blob_driver_recording);
    ASSERT_OK(blob_put_bytes(store, &bed.one, &spec, STR("x"), NULL, &err), &err);
    ASSERT_OK(blob_stat(store, &bed.one, STR("a"), &info, &err), &err);
    ASSERT_OK(blob_delete(store, &bed.one, STR("a"), &err), &err);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_true(blob_recording_get(store, i, &call));
        assert_string_equal(call, want[i]);
    }
    assert_false(blob_recording_get(store, sizeof(want) / sizeof(want[0]), &call));
    blob_close(&store);
    store = open_through(&bed, &blob_driver_recording);
    run_suite(&bed, store);
    blob_close(&store);
    close_bed(&bed);
}

static void
test_holes(void **state)
{
    struct blob_driver driver = blob_driver_fake;
    struct err err;

    (void)state;
    assert_int_equal(blob_driver_check(&driver, &err), ST_OK);
    driver.upkeep = NULL;
    assert_int_equal(blob_driver_check(&driver, &err), ST_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),      cmocka_unit_test(test_link),
        cmocka_unit_test(test_forged),    cmocka_unit_test(test_link_keys),
        cmocka_unit_test(test_fake),      cmocka_unit_test(test_failing),
        cmocka_unit_test(test_recording), cmocka_unit_test(test_holes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
