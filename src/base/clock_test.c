/*
 * clock_test.c - manual clocks and RFC 3339 in both directions
 */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/testing.h"

static void
a_manual_clock_moves_only_when_told(void **state)
{
    struct clock *clock = clock_create_manual(5 * US_PER_S);
    int64_t mono = clock_mono_us(clock);

    (void)state;
    assert_int_equal(clock_wall_us(clock), 5 * US_PER_S);
    assert_int_equal(clock_wall_us(clock), 5 * US_PER_S);
    clock_advance_us(clock, 250 * US_PER_MS);
    assert_int_equal(clock_wall_us(clock), 5 * US_PER_S + 250 * US_PER_MS);
    assert_int_equal(clock_mono_us(clock), mono + 250 * US_PER_MS);
    clock_destroy(&clock);
    assert_null(clock);
    clock_destroy(&clock);
}

static void
the_system_clock_is_the_systems(void **state)
{
    int64_t before = (int64_t)time(NULL);
    int64_t wall = clock_wall_us(clock_system());
    int64_t mono = clock_mono_us(clock_system());

    (void)state;
    assert_true(wall >= before * US_PER_S && wall <= (before + 5) * US_PER_S);
    assert_true(clock_mono_us(clock_system()) >= mono);
}

static void
a_following_clock_goes_by_what_it_was_told(void **state)
{
    struct clock *clock = clock_create_following();
    int64_t told_us = INT64_C(1000000) * US_PER_S;
    int64_t first_us;

    (void)state;
    assert_true(llabs(clock_wall_us(clock) - clock_wall_us(clock_system())) < 10 * US_PER_S);
    clock_follow(clock, told_us);
    first_us = clock_wall_us(clock);
    assert_true(first_us >= told_us && first_us < told_us + 10 * US_PER_S);
    clock_follow(clock, first_us - 100 * US_PER_MS); /* an answer that took its time */
    assert_true(clock_wall_us(clock) >= first_us);
    clock_follow(clock, told_us + 3600 * US_PER_S);
    assert_true(clock_wall_us(clock) >= told_us + 3600 * US_PER_S);
    clock_follow(clock, told_us);
    assert_true(clock_wall_us(clock) < told_us + 10 * US_PER_S);
    assert_true(clock_mono_us(clock) <= clock_mono_us(clock_system()));
    clock_destroy(&clock);
}

static void
good_times(void **state)
{
    static const struct {
        const char *text;
        int64_t want_us;
        const char *formatted; /* NULL: the same */
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0, NULL},
        {"1969-12-31T23:59:59.999999Z", -1, NULL},
        {"2026-11-20T09:30:00.123456Z", INT64_C(1795167000123456), NULL},
        {"2026-11-20T09:30:00.5Z", INT64_C(1795167000500000), NULL},
        {"2026-11-20 09:30:00.500Z", INT64_C(1795167000500000), "2026-11-20T09:30:00.5Z"},
        {"2026-11-20t09:30:00z", INT64_C(1795167000000000), "2026-11-20T09:30:00Z"},
        {"2026-11-20T09:30:00.1234569Z", INT64_C(1795167000123456), "2026-11-20T09:30:00.123456Z"},
        {"2026-11-20T11:30:00+02:00", INT64_C(1795167000000000), "2026-11-20T09:30:00Z"},
        {"2026-11-19T23:45:00-09:45", INT64_C(1795167000000000), "2026-11-20T09:30:00Z"},
        {"2026-11-20T09:30:00-00:00", INT64_C(1795167000000000), "2026-11-20T09:30:00Z"},
        {"2024-02-29T12:00:00Z", INT64_C(1709208000000000), NULL},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000), NULL},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000), "2017-01-01T00:00:00Z"},
        {"2017-01-01T00:59:60+01:00", INT64_C(1483228800000000), "2017-01-01T00:00:00Z"},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000000), NULL},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[32];
        int64_t us = 42;
        struct err err;

        ASSERT_OK(time_parse_rfc3339(str_from_c(rows[i].text), &us, &err), &err);
        if (us != rows[i].want_us)
            fail_msg("%s: got %lld", rows[i].text, (long long)us);
        ASSERT_STR(time_format_rfc3339(us, out),
                   rows[i].formatted == NULL ? rows[i].text : rows[i].formatted);
    }
}

static void
bad_times(void **state)
{
    static const char *const rows[] = {
        "",
        "2026",
        "2026-11-20",
        "2026-11-20T09:30:00",
        "2026-11-20T09:30Z",
        "2026-11-20T09:30:00Zx",
        "2026-11-20T09:30:00Z ",
        " 2026-11-20T09:30:00Z",
        "2026-11-20T09:30:00.Z",
        "2026-11-20T09:30:00,5Z",
        "2026-11-20X09:30:00Z",
        "2026-1-20T09:30:00Z",
        "2026-13-20T09:30:00Z",
        "2026-00-20T09:30:00Z",
        "2026-11-31T09:30:00Z",
        "2026-11-00T09:30:00Z",
        "2023-02-29T09:30:00Z",
        "1900-02-29T09:30:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T09:60:00Z",
        "2026-11-20T09:30:61Z",
        "2026-11-20T09:30:60Z",
        "2026-11-20T09:30:00+2:00",
        "2026-11-20T09:30:00+0200",
        "2026-11-20T09:30:00+24:00",
        "2026-11-20T09:30:00+00:60",
        "-026-11-20T09:30:00Z",
        "+2026-11-20T09:30:00Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    };
    struct err err;
    int64_t us = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (time_parse_rfc3339(str_from_c(rows[i]), &us, &err) != ST_INVALID)
            fail_msg("accepted \"%s\"", rows[i]);
    }
    assert_int_equal(time_parse_rfc3339(STR("2026-11-20T09:30:00Z\0"), &us, &err), ST_INVALID);
    assert_int_equal(us, 42);
}

/* Every day of 800 years, against the C library's calendar. */
static void
days_agree_with_the_c_library(void **state)
{
    char out[32];
    char want[32];
    struct err err;

    (void)state;
    for (int64_t day = -135140; day < 157000; day++) {
        time_t seconds = (time_t)(day * 86400 + 3661);
        struct tm tm;
        int64_t back;
        struct str text = time_format_rfc3339(seconds * US_PER_S, out);

        assert_non_null(gmtime_r(&seconds, &tm));
        (void)strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
        ASSERT_STR(text, want);
        ASSERT_OK(time_parse_rfc3339(text, &back, &err), &err);
        assert_int_equal(back, seconds * US_PER_S);
    }
}

static void
unwritable_times_come_out_nearest(void **state)
{
    char out[32];

    (void)state;
    ASSERT_STR(time_format_rfc3339(INT64_MIN, out), "0000-01-01T00:00:00Z");
    ASSERT_STR(time_format_rfc3339(INT64_MAX, out), "9999-12-31T23:59:59.999999Z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manual_clock_moves_only_when_told),
        cmocka_unit_test(the_system_clock_is_the_systems),
        cmocka_unit_test(a_following_clock_goes_by_what_it_was_told),
        cmocka_unit_test(good_times),
        cmocka_unit_test(bad_times),
        cmocka_unit_test(days_agree_with_the_c_library),
        cmocka_unit_test(unwritable_times_come_out_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
