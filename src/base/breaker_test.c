/*
 * breaker_test.c - the states of a circuit breaker as a table of steps
 */
#include "base/breaker.h"
#include "base/clock.h"
#include "base/testing.h"

enum step_kind { TRY, NOTE };

static void
test_breaker(void **state)
{
    /* at_ms, what is done, with what; what is expected. */
    static const struct {
        const char *name;
        int64_t at_ms;
        enum step_kind kind;
        enum breaker_outcome outcome;
        int retry_after_ms;
        bool want; /* TRY: admitted; NOTE: opened */
        enum breaker_state then;
    } steps[] = {
        {"closed admits", 0, TRY, BREAKER_WORKS, 0, true, BREAKER_CLOSED},
        {"first failure", 0, NOTE, BREAKER_FAILED, 0, false, BREAKER_CLOSED},
        {"second failure", 1, NOTE, BREAKER_FAILED, 0, false, BREAKER_CLOSED},
        {"success forgets", 2, NOTE, BREAKER_WORKS, 0, false, BREAKER_CLOSED},
        {"again one", 3, NOTE, BREAKER_FAILED, 0, false, BREAKER_CLOSED},
        {"again two", 4, NOTE, BREAKER_FAILED, 0, false, BREAKER_CLOSED},
        {"third opens", 5, NOTE, BREAKER_FAILED, 0, true, BREAKER_OPEN},
        {"open refuses", 6, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"a late success of an old call", 7, NOTE, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"just before the end", 5004, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"one trial", 5005, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"only one", 5006, TRY, BREAKER_WORKS, 0, false, BREAKER_HALF_OPEN},
        {"it fails", 6000, NOTE, BREAKER_FAILED, 0, true, BREAKER_OPEN},
        {"twice as long", 15999, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"second trial", 16000, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"the request's fault is an answer", 16001, NOTE, BREAKER_WORKS, 0, false, BREAKER_CLOSED},
        {"asked to wait", 20000, NOTE, BREAKER_FAILED, 30000, true, BREAKER_OPEN},
        {"a shorter wait does not shorten", 20001, NOTE, BREAKER_FAILED, 10, false, BREAKER_OPEN},
        {"waits", 49999, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"until then", 50000, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"and is well", 50001, NOTE, BREAKER_WORKS, 0, false, BREAKER_CLOSED},
        {"refused key", 60000, NOTE, BREAKER_REFUSED, 0, true, BREAKER_OPEN},
        {"a minute", 119999, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"then a trial", 120000, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"which was not made", 120001, NOTE, BREAKER_UNKNOWN, 0, false, BREAKER_OPEN},
        {"so the next is it", 120002, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"well again", 120003, NOTE, BREAKER_WORKS, 0, false, BREAKER_CLOSED},
        {"too many requests", 130000, NOTE, BREAKER_LIMITED, 30000, false, BREAKER_CLOSED},
        {"an unasked server tells nothing", 130001, NOTE, BREAKER_UNKNOWN, 0, false,
         BREAKER_CLOSED},
        {"and again", 130002, NOTE, BREAKER_LIMITED, 20000, false, BREAKER_CLOSED},
        {"three in a row: as long as asked", 130003, NOTE, BREAKER_LIMITED, 20000, true,
         BREAKER_OPEN},
        {"that long", 150002, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"and no longer", 150003, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"still too many", 150004, NOTE, BREAKER_LIMITED, 7000, true, BREAKER_OPEN},
        {"as long as asked now", 157004, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
        {"no wait is longer than five minutes", 157005, NOTE, BREAKER_FAILED, 86400000, true,
         BREAKER_OPEN},
        {"five minutes", 457004, TRY, BREAKER_WORKS, 0, false, BREAKER_OPEN},
        {"are over", 457005, TRY, BREAKER_WORKS, 0, true, BREAKER_HALF_OPEN},
    };
    struct breaker breaker = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int64_t now_us = steps[i].at_ms * US_PER_MS;
        bool got = steps[i].kind == TRY
                       ? breaker_try(&breaker, now_us)
                       : breaker_note(&breaker, steps[i].outcome, steps[i].retry_after_ms, now_us);

        if (got != steps[i].want || breaker.state != steps[i].then)
            fail_msg("step \"%s\"", steps[i].name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
