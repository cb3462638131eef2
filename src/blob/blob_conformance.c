/*
 * blob_conformance.c - see the header
 */
#include "blob/blob_conformance.h"

#include <stdio.h>

#include "base/testing.h"

#define MB ((size_t)1024 * 1024)
#define HELLO_SHA "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static enum status
put_as(const struct blob_conformance *suite, const struct tenant_scope *scope, struct str key,
       struct str bytes, bool if_absent, struct blob_info *info, struct err *err)
{
    struct blob_put_spec spec = {
        .key = key, .content_type = STR("text/plain"), .if_absent = if_absent};

    return blob_put_bytes(suite->store, scope, &spec, bytes, info, err);
}

static void
put(const struct blob_conformance *suite, const char *key, const char *bytes)
{
    struct err err;

    ASSERT_OK(put_as(suite, suite->one, str_from_c(key), str_from_c(bytes), false, NULL, &err),
              &err);
}

static void
expect(const struct blob_conformance *suite, const struct tenant_scope *scope, const char *key,
       const char *want)
{
    struct arena *arena = arena_create(MB);
    struct str bytes;
    struct err err;
    enum status st = blob_get(suite->store, scope, str_from_c(key), MB / 2, arena, &bytes, &err);

    if (want == NULL) {
        assert_int_equal(st, ST_NOT_FOUND);
    } else {
        ASSERT_OK(st, &err);
        ASSERT_STR(bytes, want);
    }
    arena_destroy(&arena);
}

/* --- one object --- */

static void
test_put_get(const struct blob_conformance *suite)
{
    struct blob_info info, found;
    struct err err;

    ASSERT_OK(put_as(suite, suite->one, STR("a/b"), STR("hello"), false, &info, &err), &err);
    assert_int_equal(info.size_bytes, 5);
    assert_string_equal(info.sha256, HELLO_SHA);
    assert_string_equal(info.content_type, "text/plain");
    assert_true(info.etag[0] != '\0');
    ASSERT_OK(blob_stat(suite->store, suite->one, STR("a/b"), &found, &err), &err);
    assert_memory_equal(&found, &info, sizeof(info));
    ASSERT_OK(blob_verify(suite->store, suite->one, STR("a/b"), &err), &err);
    expect(suite, suite->one, "a/b", "hello");
    /* A key may go on where another ends. */
    put(suite, "a", "short");
    put(suite, "a/b/c", "long");
    expect(suite, suite->one, "a", "short");
    expect(suite, suite->one, "a/b", "hello");
    expect(suite, suite->one, "a/b/c", "long");
    put(suite, "a/b", "again");
    expect(suite, suite->one, "a/b", "again");
    put(suite, "empty", "");
    expect(suite, suite->one, "empty", "");
    expect(suite, suite->one, "a/x", NULL);
    expect(suite, suite->one, "../b", NULL);
}

static void
test_absent_and_checksum(const struct blob_conformance *suite)
{
    struct blob_put_spec spec = {.key = STR("sum"), .sha256 = STR(HELLO_SHA)};
    struct err err;

    ASSERT_OK(put_as(suite, suite->one, STR("once"), STR("1"), true, NULL, &err), &err);
    assert_int_equal(put_as(suite, suite->one, STR("once"), STR("2"), true, NULL, &err),
                     ST_CONFLICT);
    expect(suite, suite->one, "once", "1");
    assert_int_equal(blob_put_bytes(suite->store, suite->one, &spec, STR("hullo"), NULL, &err),
                     ST_INVALID);
    expect(suite, suite->one, "sum", NULL);
    ASSERT_OK(blob_put_bytes(suite->store, suite->one, &spec, STR("hello"), NULL, &err), &err);
    expect(suite, suite->one, "sum", "hello");
    spec.sha256 = STR("2CF2");
    assert_int_equal(blob_put_bytes(suite->store, suite->one, &spec, STR("hello"), NULL, &err),
                     ST_INVALID);
}

static void
test_limits(const struct blob_conformance *suite)
{
    struct blob_put_spec spec = {.key = STR("large")};
    char *bytes = calloc(1, BLOB_TEST_MAX_OBJECT + 1);
    struct blob_put *put_ref = NULL;
    struct blob_info info;
    struct err err;

    assert_non_null(bytes);
    assert_int_equal(blob_put_bytes(suite->store, suite->one, &spec,
                                    str_of(bytes, BLOB_TEST_MAX_OBJECT + 1), NULL, &err),
                     ST_TOO_LARGE);
    expect(suite, suite->one, "large", NULL);
    /* In pieces, up to the last byte that is allowed and one beyond. */
    ASSERT_OK(blob_put_begin(suite->store, suite->one, &spec, &put_ref, &err), &err);
    ASSERT_OK(blob_put_write(put_ref, str_of(bytes, BLOB_TEST_MAX_OBJECT - 1), &err), &err);
    ASSERT_OK(blob_put_write(put_ref, STR("x"), &err), &err);
    assert_int_equal(blob_put_write(put_ref, STR("y"), &err), ST_TOO_LARGE);
    blob_put_rollback(&put_ref);
    assert_null(put_ref);
    expect(suite, suite->one, "large", NULL);
    ASSERT_OK(blob_put_bytes(suite->store, suite->one, &spec, str_of(bytes, BLOB_TEST_MAX_OBJECT),
                             &info, &err),
              &err);
    assert_int_equal(info.size_bytes, BLOB_TEST_MAX_OBJECT);
    free(bytes);
}

static void
test_ranges(const struct blob_conformance *suite)
{
    static const struct {
        uint64_t offset;
        size_t len;
        const char *want;
    } rows[] = {{0, 4, "0123"}, {3, 3, "345"}, {8, 10, "89"},
                {10, 1, ""},    {99, 5, ""},   {9, 1, "9"}};
    struct blob_reader *reader = NULL;
    char bytes[16];
    char file_bytes[10];
    size_t got;
    struct err err;
    int fd = -1;

    put(suite, "range", "0123456789");
    ASSERT_OK(blob_reader_open(suite->store, suite->one, STR("range"), &reader, NULL, &err), &err);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ASSERT_OK(blob_reader_read(reader, rows[i].offset, bytes, rows[i].len, &got, &err), &err);
        ASSERT_STR(str_of(bytes, got), rows[i].want);
    }
    if (blob_reader_file(reader, &fd, &err) == ST_OK) {
        assert_int_equal(pread(fd, file_bytes, sizeof(file_bytes), 0), sizeof(file_bytes));
        assert_memory_equal(file_bytes, "0123456789", sizeof(file_bytes));
        assert_int_equal(close(fd), 0);
    } else {
        assert_int_equal(err.code, ST_UNAVAILABLE);
    }
    blob_reader_close(&reader);
}

/* Deleted and replaced while it is read. */
static void
test_open_reader(const struct blob_conformance *suite)
{
    struct blob_reader *reader = NULL;
    char bytes[8];
    size_t got;
    struct err err;

    put(suite, "read/me", "first");
    ASSERT_OK(blob_reader_open(suite->store, suite->one, STR("read/me"), &reader, NULL, &err),
              &err);
    put(suite, "read/me", "other");
    ASSERT_OK(blob_delete(suite->store, suite->one, STR("read/me"), &err), &err);
    ASSERT_OK(blob_reader_read(reader, 0, bytes, sizeof(bytes), &got, &err), &err);
    ASSERT_STR(str_of(bytes, got), "first");
    blob_reader_close(&reader);
    expect(suite, suite->one, "read/me", NULL);
    ASSERT_OK(blob_delete(suite->store, suite->one, STR("read/me"), &err), &err);
    ASSERT_OK(blob_delete(suite->store, suite->one, STR("/no key"), &err), &err);
}

/* --- many --- */

static size_t
list_all(const struct blob_conformance *suite, const char *prefix, size_t limit, char *out,
         size_t room)
{
    struct arena *arena = arena_create(MB);
    struct str after = STR_EMPTY;
    size_t pages = 0;
    bool more = true;
    struct err err;

    out[0] = '\0';
    while (more) {
        struct blob_entry *entries;
        size_t count;

        ASSERT_OK(blob_list(suite->store, suite->one, str_from_c(prefix), after, limit, arena,
                            &entries, &count, &more, &err),
                  &err);
        assert_true(count <= limit && (!more || count == limit));
        for (size_t i = 0; i < count; i++) {
            size_t len = strlen(out);

            assert_int_equal(entries[i].size_bytes, 1);
            assert_true(entries[i].modified_at_us > 0);
            (void)snprintf(out + len, room - len, "%.*s ", STR_ARG(entries[i].key));
        }
        after = count > 0 ? entries[count - 1].key : after;
        pages++;
    }
    arena_destroy(&arena);
    return pages;
}

static void
test_list(const struct blob_conformance *suite)
{
    static const char *const keys[] = {"l/a", "l/a/b", "l/a-b",      "l/a!",   "l/a/b/c", "l/a0",
                                       "l/b", "l/A",   "l/\xc3\xa9", "l/a/.x", "m",       "k"};
    static const char want[] = "l/A l/a l/a! l/a-b l/a/.x l/a/b l/a/b/c l/a0 l/b l/\xc3\xa9 ";
    char found[512];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put(suite, keys[i], "x");
    for (size_t limit = 1; limit <= 11; limit++) {
        size_t pages = list_all(suite, "l/", limit, found, sizeof(found));

        assert_string_equal(found, want);
        assert_int_equal(pages, (10 + limit - 1) / limit);
    }
    (void)list_all(suite, "l/a/", 2, found, sizeof(found));
    assert_string_equal(found, "l/a/.x l/a/b l/a/b/c ");
    (void)list_all(suite, "l/a", 3, found, sizeof(found));
    assert_string_equal(found, "l/a l/a! l/a-b l/a/.x l/a/b l/a/b/c l/a0 ");
    (void)list_all(suite, "nothing", 3, found, sizeof(found));
    assert_string_equal(found, "");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct err err;

        ASSERT_OK(blob_delete(suite->store, suite->one, str_from_c(keys[i]), &err), &err);
    }
    (void)list_all(suite, "l/", 3, found, sizeof(found));
    assert_string_equal(found, "");
}

static void
test_isolation(const struct blob_conformance *suite)
{
    struct arena *arena = arena_create(MB);
    struct organization_id one = tenant_scope_organization(suite->one);
    struct organization_id found = {{""}};
    char key[BLOB_KEY_MAX_BYTES];
    struct blob_upload_id upload;
    struct blob_part part;
    struct blob_entry *entries;
    struct err err;
    size_t count;
    bool more;

    put(suite, "private/mine", "secret");
    expect(suite, suite->other, "private/mine", NULL);
    (void)snprintf(key, sizeof(key), "../%s/private/mine", one.id.text);
    expect(suite, suite->other, key, NULL);
    (void)snprintf(key, sizeof(key), "%s/private/mine", one.id.text);
    expect(suite, suite->other, key, NULL);
    ASSERT_OK(blob_delete(suite->store, suite->other, STR("private/mine"), &err), &err);
    ASSERT_OK(blob_list(suite->store, suite->other, STR(""), STR(""), 10, arena, &entries, &count,
                        &more, &err),
              &err);
    assert_int_equal(count, 0);
    ASSERT_OK(blob_upload_begin(suite->store, suite->one, STR("private/up"), STR(""),
                                clock_wall_us(suite->clock) + US_PER_S, &upload, &err),
              &err);
    assert_int_equal(
        blob_upload_part(suite->store, suite->other, &upload, 1, STR("x"), &part, &err),
        ST_NOT_FOUND);
    ASSERT_OK(blob_upload_abort(suite->store, suite->other, &upload, &err), &err);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &upload, 1, STR("x"), &part, &err), &err);
    ASSERT_OK(blob_organization_next(suite->store, found, &found, &err), &err);
    expect(suite, suite->one, "private/mine", "secret");
    /* Erasing one leaves the other. */
    ASSERT_OK(put_as(suite, suite->other, STR("mine"), STR("stays"), false, NULL, &err), &err);
    ASSERT_OK(blob_delete_all(suite->store, suite->one, &err), &err);
    expect(suite, suite->one, "private/mine", NULL);
    assert_int_equal(blob_upload_part(suite->store, suite->one, &upload, 1, STR("x"), &part, &err),
                     ST_NOT_FOUND);
    expect(suite, suite->other, "mine", "stays");
    ASSERT_OK(blob_delete_all(suite->store, suite->one, &err), &err);
    ASSERT_OK(blob_delete_all(suite->store, suite->other, &err), &err);
    arena_destroy(&arena);
}

/* --- in parts --- */

static void
fill(char *bytes, size_t len, char letter)
{
    memset(bytes, letter, len);
}

static void
test_parts(const struct blob_conformance *suite)
{
    int64_t soon_us = clock_wall_us(suite->clock) + 60 * US_PER_S;
    char one[BLOB_TEST_MIN_PART], two[BLOB_TEST_MIN_PART + 7];
    struct blob_upload_id id;
    struct blob_part parts[3], wrong[2];
    struct blob_reader *reader = NULL;
    struct blob_info info;
    char at_border[2];
    size_t got;
    struct err err;

    fill(one, sizeof(one), '1');
    fill(two, sizeof(two), '2');
    ASSERT_OK(blob_upload_begin(suite->store, suite->one, STR("up/load"), STR("text/x"), soon_us,
                                &id, &err),
              &err);
    /* In any order, one of them twice. */
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 9, STR("end"), &parts[2], &err),
              &err);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 1, STR("old"), &wrong[0], &err),
              &err);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 1, str_of(one, sizeof(one)),
                               &parts[0], &err),
              &err);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 5, str_of(two, sizeof(two)),
                               &parts[1], &err),
              &err);
    assert_int_equal(blob_upload_part(suite->store, suite->one, &id, 0, STR("x"), &wrong[1], &err),
                     ST_INVALID);
    assert_int_equal(blob_upload_part(suite->store, suite->one, &id, BLOB_PART_MAX_NUMBER + 1,
                                      STR("x"), &wrong[1], &err),
                     ST_INVALID);
    expect(suite, suite->one, "up/load", NULL);
    /* The replaced part, a missing one, the wrong order, none: nothing happens. */
    wrong[1] = parts[2];
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, wrong, 2, &info, &err),
                     ST_INVALID);
    wrong[0] = parts[0];
    wrong[0].number = 2;
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, wrong, 2, &info, &err),
                     ST_INVALID);
    wrong[0] = parts[2];
    wrong[1] = parts[0];
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, wrong, 2, &info, &err),
                     ST_INVALID);
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, wrong, 0, &info, &err),
                     ST_INVALID);
    expect(suite, suite->one, "up/load", NULL);
    ASSERT_OK(blob_upload_complete(suite->store, suite->one, &id, parts, 3, &info, &err), &err);
    assert_int_equal(info.size_bytes, sizeof(one) + sizeof(two) + 3);
    assert_string_equal(info.content_type, "text/x");
    ASSERT_OK(blob_verify(suite->store, suite->one, STR("up/load"), &err), &err);
    ASSERT_OK(blob_reader_open(suite->store, suite->one, STR("up/load"), &reader, NULL, &err),
              &err);
    ASSERT_OK(blob_reader_read(reader, sizeof(one) - 1, at_border, 2, &got, &err), &err);
    ASSERT_STR(str_of(at_border, got), "12");
    blob_reader_close(&reader);
    /* It has ended. */
    assert_int_equal(blob_upload_part(suite->store, suite->one, &id, 1, STR("x"), &wrong[0], &err),
                     ST_NOT_FOUND);
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, parts, 3, &info, &err),
                     ST_NOT_FOUND);
}

static void
test_part_limits_and_ends(const struct blob_conformance *suite)
{
    int64_t soon_us = clock_wall_us(suite->clock) + 60 * US_PER_S;
    struct blob_upload_id id, none = {"../../../../../../../../../../ab"};
    size_t half = BLOB_TEST_MAX_OBJECT / 2 + 1;
    char *bytes = calloc(1, half);
    struct blob_part parts[2];
    unsigned removed = 0;
    struct err err;

    assert_non_null(bytes);
    ASSERT_OK(blob_upload_begin(suite->store, suite->one, STR("ends"), STR(""), soon_us, &id, &err),
              &err);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 1, STR("small"), &parts[0], &err),
              &err);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 2, STR("last"), &parts[1], &err),
              &err);
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, parts, 2, NULL, &err),
                     ST_INVALID);
    for (unsigned i = 0; i < 2; i++)
        ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, i + 1, str_of(bytes, half),
                                   &parts[i], &err),
                  &err);
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, parts, 2, NULL, &err),
                     ST_TOO_LARGE);
    ASSERT_OK(blob_upload_abort(suite->store, suite->one, &id, &err), &err);
    ASSERT_OK(blob_upload_abort(suite->store, suite->one, &id, &err), &err);
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, parts, 1, NULL, &err),
                     ST_NOT_FOUND);
    assert_int_equal(blob_upload_part(suite->store, suite->one, &none, 1, STR("x"), parts, &err),
                     ST_NOT_FOUND);
    expect(suite, suite->one, "ends", NULL);
    /* Expiry: refused at once, removed by upkeep, which leaves those alone that have time. */
    ASSERT_OK(blob_upload_begin(suite->store, suite->one, STR("late"), STR(""), soon_us, &id, &err),
              &err);
    ASSERT_OK(blob_upkeep(suite->store, 0, &removed, &err), &err);
    assert_int_equal(removed, 0);
    ASSERT_OK(blob_upload_part(suite->store, suite->one, &id, 1, STR("x"), parts, &err), &err);
    clock_advance_us(suite->clock, 61 * US_PER_S);
    assert_int_equal(blob_upload_part(suite->store, suite->one, &id, 1, STR("x"), parts, &err),
                     ST_NOT_FOUND);
    assert_int_equal(blob_upload_complete(suite->store, suite->one, &id, parts, 1, NULL, &err),
                     ST_NOT_FOUND);
    ASSERT_OK(blob_upkeep(suite->store, 0, &removed, &err), &err);
    assert_int_equal(removed, 1);
    ASSERT_OK(blob_upkeep(suite->store, 0, &removed, &err), &err);
    assert_int_equal(removed, 0);
    free(bytes);
}

static void
test_organizations(const struct blob_conformance *suite)
{
    struct organization_id found = {{""}};
    unsigned seen = 0;
    struct err err;

    put(suite, "x", "1");
    ASSERT_OK(put_as(suite, suite->other, STR("x"), STR("1"), false, NULL, &err), &err);
    while (blob_organization_next(suite->store, found, &found, &err) == ST_OK)
        seen++;
    assert_int_equal(err.code, ST_NOT_FOUND);
    assert_int_equal(seen, 2);
    ASSERT_OK(blob_delete_all(suite->store, suite->other, &err), &err);
    ASSERT_OK(blob_delete_all(suite->store, suite->one, &err), &err);
    assert_int_equal(
        blob_organization_next(suite->store, (struct organization_id){{""}}, &found, &err),
        ST_NOT_FOUND);
}

void
blob_conformance_run(const struct blob_conformance *suite)
{
    struct err err;

    ASSERT_OK(blob_check(suite->store, &err), &err);
    test_put_get(suite);
    test_absent_and_checksum(suite);
    test_limits(suite);
    test_ranges(suite);
    test_open_reader(suite);
    ASSERT_OK(blob_delete_all(suite->store, suite->one, &err), &err);
    test_list(suite);
    test_isolation(suite);
    test_parts(suite);
    test_part_limits_and_ends(suite);
    test_organizations(suite);
}
