/*
 * id_test.c - form and order of ids, also between threads; spread of random numbers
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/map.h"
#include "base/testing.h"
#include "base/thread.h"

#define THREADS 4
#define IDS_EACH 20000

static void
ids_are_version_7_and_of_now(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t before = clock_wall_us(clock_system()) / US_PER_MS;
        struct message_id id = ID_NEW(message_id);
        struct id_text parsed;
        struct err err;

        ASSERT_OK(id_parse(ID_STR(id), &parsed, &err), &err);
        assert_true(id_eq(&parsed, &id.id));
        assert_int_equal(id.id.text[14], '7');
        assert_non_null(strchr("89ab", id.id.text[19]));
        assert_in_range(id_time_ms(&id.id), before, before + 1000);
    }
}

static void
ids_count_up(void **state)
{
    struct id_text last = id_new();

    (void)state;
    /* More than fit into the counter of one millisecond, so that it carries. */
    for (int i = 0; i < 50000; i++) {
        struct id_text id = id_new();

        assert_true(str_cmp(id_str(&last), id_str(&id)) < 0);
        last = id;
    }
}

static void *
make_ids(void *arg)
{
    struct id_text *ids = arg;

    for (size_t i = 0; i < IDS_EACH; i++)
        ids[i] = id_new();
    return NULL;
}

static void
threads_never_make_the_same(void **state)
{
    struct id_text *ids = calloc((size_t)THREADS * IDS_EACH, sizeof(*ids));
    pthread_t threads[THREADS];
    struct map seen;
    struct err err;

    (void)state;
    assert_non_null(ids);
    map_init(&seen, (size_t)THREADS * IDS_EACH);
    for (size_t i = 0; i < THREADS; i++)
        ASSERT_OK(thread_start("ids", make_ids, ids + i * IDS_EACH, &threads[i], &err), &err);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < (size_t)THREADS * IDS_EACH; i++) {
        void *replaced;
        /* The stamp alone (time and counter) differs, before randomness comes in. */
        struct str stamp = str_sub(id_str(&ids[i]), 0, 18);

        if (i % IDS_EACH != 0)
            assert_true(strcmp(ids[i - 1].text, ids[i].text) < 0);
        ASSERT_OK(map_put(&seen, stamp, &ids[i], &replaced, &err), &err);
        assert_null(replaced);
    }
    map_deinit(&seen);
    free(ids);
}

static void
only_lower_case_uuids_parse(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"0190163d-8694-739b-aea5-966c26f8ad91", true},
        {"00000000-0000-0000-0000-000000000000", true},
        {"0190163D-8694-739b-aea5-966c26f8ad91", false},
        {"0190163d-8694-739b-aea5-966c26f8ad9", false},
        {"0190163d-8694-739b-aea5-966c26f8ad911", false},
        {"0190163d86944739b-aea5-966c26f8ad91-", false},
        {"0190163d-8694-739b-aea5-966c26f8ad9g", false},
        {"{190163d-8694-739b-aea5-966c26f8ad91", false},
        {"", false},
    };
    struct id_text id;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status st = id_parse(str_from_c(rows[i].text), &id, &err);

        if ((st == ST_OK) != rows[i].good)
            fail_msg("\"%s\": %s", rows[i].text, status_name(st));
    }
    ASSERT_OK(id_parse(STR("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), &id, &err), &err);
    /* The example of RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC. */
    assert_int_equal(id_time_ms(&id), INT64_C(1645557742000));
}

static void
none_is_none(void **state)
{
    struct job_id none = {.id = {""}};
    struct job_id some = ID_NEW(job_id);

    (void)state;
    assert_true(id_is_none(&none.id));
    assert_false(id_is_none(&some.id));
    assert_false(id_eq(&none.id, &some.id));
    assert_int_equal(ID_STR(none).len, 0);
}

static void
spans_and_traces_are_hexadecimal(void **state)
{
    char span[17];
    char trace[33];

    (void)state;
    id_span(span);
    id_trace(trace);
    assert_int_equal(strspn(span, "0123456789abcdef"), 16);
    assert_int_equal(strspn(trace, "0123456789abcdef"), 32);
    assert_int_equal(strlen(span), 16);
    assert_int_equal(strlen(trace), 32);
}

static void
random_numbers_spread(void **state)
{
    unsigned seen[7] = {0};
    unsigned char bytes[5000] = {0};
    unsigned ones = 0;

    (void)state;
    for (int i = 0; i < 70000; i++)
        seen[random_below(7)]++;
    /* 10,000 expected, standard deviation 93: eleven of them. */
    for (size_t i = 0; i < 7; i++)
        assert_in_range(seen[i], 9000, 11000);
    assert_int_equal(random_below(1), 0);
    random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        ones += (unsigned)__builtin_popcount(bytes[i]);
    assert_in_range(ones, 19000, 21000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_version_7_and_of_now),
        cmocka_unit_test(ids_count_up),
        cmocka_unit_test(threads_never_make_the_same),
        cmocka_unit_test(only_lower_case_uuids_parse),
        cmocka_unit_test(none_is_none),
        cmocka_unit_test(spans_and_traces_are_hexadecimal),
        cmocka_unit_test(random_numbers_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
