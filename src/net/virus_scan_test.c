/*
 * virus_scan_test.c - INSTREAM against a double of clamd that is strict about the protocol
 */
#include "net/virus_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/clamd_double.h"

#define DEADLINE_MS 20000
#define EICAR_PART "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"

static enum status
scan(struct str address, struct str bytes, size_t piece, struct virus_verdict *verdict,
     struct err *err)
{
    struct virus_scan *scan = NULL;
    enum status st = virus_scan_begin(address, DEADLINE_MS, &scan, err);

    for (size_t at = 0; st == ST_OK && at < bytes.len; at += piece)
        st = virus_scan_write(scan, str_sub(bytes, at, piece), err);
    if (st == ST_OK)
        return virus_scan_end(&scan, verdict, err);
    virus_scan_abort(&scan);
    return st;
}

static void
verdicts(void **state)
{
    static const struct {
        const char *bytes;
        size_t piece;
        bool infected;
    } cases[] = {
        {"harmless", 3, false},
        {"", 1, false},
        {"xx" EICAR_PART "yy", 100, true},
        {"xx" EICAR_PART "yy", 1, true}, /* across pieces */
    };
    struct clamd_double *clamd = clamd_double_start(1024);
    char address[32];

    (void)state;
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", clamd_double_port(clamd));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct virus_verdict verdict = {.is_infected = false};
        struct err err;

        if (scan(str_from_c(address), str_from_c(cases[i].bytes), cases[i].piece, &verdict, &err) !=
            ST_OK)
            fail_msg("%zu: %s", i, err.detail);
        assert_int_equal(verdict.is_infected, cases[i].infected);
        assert_string_equal(verdict.name, cases[i].infected ? "Eicar-Signature" : "");
    }
    clamd_double_stop(&clamd);
}

/* What is not called clean is not clean. */
static void
failures(void **state)
{
    static const struct {
        const char *say; /* in place of a verdict; NULL: hang up */
        enum status want;
    } cases[] = {
        {NULL, ST_UNAVAILABLE},
        {"", ST_UNAVAILABLE},
        {"stream: OK ", ST_UNAVAILABLE},
        {"stream: FOUND", ST_UNAVAILABLE},
        {"stream:  FOUND", ST_UNAVAILABLE},
        {"OK", ST_UNAVAILABLE},
        {"INSTREAM: Can't write to temporary file ERROR", ST_UNAVAILABLE},
        {"INSTREAM size limit exceeded. ERROR", ST_TOO_LARGE},
    };
    struct clamd_double *clamd = clamd_double_start(1024);
    struct virus_verdict verdict = {.is_infected = false};
    struct err err;
    char address[32];
    char many[8192];

    (void)state;
    memset(many, 'x', sizeof(many));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", clamd_double_port(clamd));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        clamd_double_say(clamd, cases[i].say);
        enum status st = scan(str_from_c(address), STR("bytes"), 5, &verdict, &err);

        if (st != cases[i].want || verdict.is_infected)
            fail_msg("%zu: %s", i, status_name(st));
    }
    clamd_double_be_honest(clamd);
    /* Longer than it takes: it says so and hangs up, while we still write. */
    assert_int_equal(scan(str_from_c(address), str_of(many, sizeof(many)), 1000, &verdict, &err),
                     ST_TOO_LARGE);
    clamd_double_stop(&clamd);
    assert_int_equal(scan(str_from_c(address), STR("bytes"), 5, &verdict, &err), ST_UNAVAILABLE);
    assert_int_equal(scan(STR("/nonexistent/clamd.ctl"), STR("x"), 1, &verdict, &err),
                     ST_UNAVAILABLE);
}

static void
addresses(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"127.0.0.1:3310", true}, {"clamd:1", true},   {"[::1]:3310", true},
                 {"/run/clamd.ctl", true}, {"", false},         {"clamd", false},
                 {"clamd:", false},        {"clamd:0", false},  {"clamd:65536", false},
                 {":3310", false},         {"::1:3310", false}, {"[]:1", false},
                 {"clamd:33x", false},     {"clamd:-1", false}};
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if ((virus_scan_check_address(str_from_c(cases[i].text), &err) == ST_OK) != cases[i].good)
            fail_msg("\"%s\"", cases[i].text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(failures),
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
