/*
 * virus_scan_test.c - INSTREAM against a double of clamd that is strict about the protocol, and
 * against clamd itself where it is installed, with one signature of our own
 */
#include "net/virus_scan.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/testing.h"
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

/* signature: as the scanner at the address calls it. */
static void
check_verdicts(const char *address, const char *signature)
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

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct virus_verdict verdict = {.is_infected = false};
        struct err err;

        if (scan(str_from_c(address), str_from_c(cases[i].bytes), cases[i].piece, &verdict, &err) !=
            ST_OK)
            fail_msg("%zu: %s", i, err.detail);
        assert_int_equal(verdict.is_infected, cases[i].infected);
        assert_string_equal(verdict.name, cases[i].infected ? signature : "");
    }
}

static void
verdicts(void **state)
{
    struct clamd_double *clamd = clamd_double_start(1024);
    char address[32];

    (void)state;
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", clamd_double_port(clamd));
    check_verdicts(address, "Eicar-Signature");
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

/* --- clamd itself --- */

#define CLAMD "/usr/sbin/clamd"
#define CLAMD_MAX ((size_t)1024 * 1024)
#define START_S 60

struct real_clamd {
    char folder[32], address[48];
    pid_t pid;
};

static void
write_file(const char *folder, const char *name, const char *text)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void
start_clamd(struct real_clamd *clamd)
{
    int64_t end_us = clock_mono_us(clock_system()) + START_S * US_PER_S;
    struct virus_verdict verdict;
    char config[512], signature[128] = "Parley.Test:0:*:", path[64];
    enum status st = ST_UNAVAILABLE;
    struct err err;

    (void)snprintf(clamd->folder, sizeof(clamd->folder), "/tmp/parley-clamd-XXXXXX");
    assert_non_null(mkdtemp(clamd->folder));
    (void)snprintf(clamd->address, sizeof(clamd->address), "%s/clamd.ctl", clamd->folder);
    for (const char *c = EICAR_PART; *c != '\0'; c++)
        (void)snprintf(signature + strlen(signature), 4, c[1] == '\0' ? "%02x\n" : "%02x",
                       (unsigned)*c);
    write_file(clamd->folder, "test.ndb", signature);
    (void)snprintf(config, sizeof(config),
                   "LocalSocket %s\nForeground yes\nDatabaseDirectory %s\nTemporaryDirectory %s\n"
                   "StreamMaxLength 1M\n",
                   clamd->address, clamd->folder, clamd->folder);
    write_file(clamd->folder, "clamd.conf", config);
    (void)snprintf(path, sizeof(path), "%s/clamd.conf", clamd->folder);
    clamd->pid = fork();
    assert_true(clamd->pid >= 0);
    if (clamd->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing running */
        (void)freopen("/dev/null", "w", stdout);
        (void)execl(CLAMD, CLAMD, "-c", path, (char *)NULL);
        _exit(127);
    }
    while (st == ST_UNAVAILABLE && clock_mono_us(clock_system()) < end_us) {
        st = scan(str_from_c(clamd->address), STR("ready?"), 6, &verdict, &err);
        (void)poll(NULL, 0, 20);
    }
    ASSERT_OK(st, &err);
}

static void
stop_clamd(struct real_clamd *clamd)
{
    static const char *const names[] = {"test.ndb", "clamd.conf"};
    char path[64];
    int code;

    assert_int_equal(kill(clamd->pid, SIGTERM), 0);
    assert_int_equal(waitpid(clamd->pid, &code, 0), clamd->pid);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", clamd->folder, names[i]);
        (void)unlink(path);
    }
    (void)unlink(clamd->address);
    assert_int_equal(rmdir(clamd->folder), 0);
}

static void
clamd_itself(void **state)
{
    struct real_clamd clamd;
    struct virus_verdict verdict = {.is_infected = false};
    char *many;
    struct err err;

    (void)state;
    if (access(CLAMD, X_OK) != 0)
        skip(); /* clamd is not installed */
    many = calloc(1, CLAMD_MAX * 2);
    start_clamd(&clamd);
    check_verdicts(clamd.address, "Parley.Test.UNOFFICIAL");
    ASSERT_OK(scan(str_from_c(clamd.address), str_of(many, CLAMD_MAX), 65536, &verdict, &err),
              &err);
    assert_false(verdict.is_infected);
    assert_int_equal(
        scan(str_from_c(clamd.address), str_of(many, CLAMD_MAX * 2), 65536, &verdict, &err),
        ST_TOO_LARGE);
    free(many);
    stop_clamd(&clamd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(failures),
        cmocka_unit_test(addresses),
        cmocka_unit_test(clamd_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
