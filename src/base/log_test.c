/*
 * log_test.c - what a line holds, what it never holds, and that it is one write
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/testing.h"
#include "base/thread.h"

#define LINES_EACH 200

static int pipe_fds[2];

static int
open_pipe(void **state)
{
    (void)state;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return -1;
    log_init(pipe_fds[1], LOG_INFO);
    return 0;
}

static int
close_pipe(void **state)
{
    (void)state;
    log_init(STDERR_FILENO, LOG_INFO);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    return 0;
}

/* One read takes what is there: with a single write that is the whole line. */
static struct str
read_line(char *out, size_t size)
{
    ssize_t got = read(pipe_fds[0], out, size);

    assert_true(got > 0);
    return str_of(out, (size_t)got);
}

/* The line without its time, which is checked on the way. */
static struct str
after_time(struct str line)
{
    int64_t us;
    struct err err;
    struct str rest = line;
    struct str text;

    assert_true(str_starts_with(line, STR("{\"time\":\"")));
    rest = str_sub(line, 9, line.len);
    assert_true(str_split(&rest, '"', &text));
    ASSERT_OK(time_parse_rfc3339(text, &us, &err), &err);
    assert_in_range(clock_wall_us(clock_system()) - us, 0, 10 * US_PER_S);
    return rest;
}

static void
a_line_is_json(void **state)
{
    char out[8192];

    (void)state;
    LOG(LOG_INFO, "server.started");
    ASSERT_STR(after_time(read_line(out, sizeof(out))),
               ",\"level\":\"info\",\"event\":\"server.started\"}\n");
    LOG(LOG_WARN, "a.b", log_int("n", INT64_MIN), log_str("s", STR("q\"b\\n\n\x01\xff\xc3\xa9")),
        log_double("d", 0.25), log_double("inf", HUGE_VAL), log_cstr("none", NULL));
    ASSERT_STR(after_time(read_line(out, sizeof(out))),
               ",\"level\":\"warn\",\"event\":\"a.b\",\"n\":-9223372036854775808,"
               "\"s\":\"q\\\"b\\\\n\\n\\u0001\xef\xbf\xbd\xc3\xa9\",\"d\":0.25,\"inf\":null,"
               "\"none\":\"\"}\n");
}

static void
errors_name_status_and_detail(void **state)
{
    char out[8192];
    struct err err;

    (void)state;
    (void)err_set_detail(&err, ST_UNAVAILABLE, "connect 10.0.0.1");
    LOG_ERR(LOG_ERROR, "send.failed", &err, log_int("attempt", 2));
    ASSERT_STR(after_time(read_line(out, sizeof(out))),
               ",\"level\":\"error\",\"event\":\"send.failed\",\"status\":\"unavailable\","
               "\"detail\":\"connect 10.0.0.1\",\"attempt\":2}\n");
}

static void
secrets_are_stars(void **state)
{
    char out[8192];

    (void)state;
    LOG(LOG_INFO, "key.read", log_secret("api_key"));
    ASSERT_STR(after_time(read_line(out, sizeof(out))),
               ",\"level\":\"info\",\"event\":\"key.read\",\"api_key\":\"***\"}\n");
}

static void
the_context_belongs_to_the_thread(void **state)
{
    char out[8192];

    (void)state;
    log_context_set(STR("trace1"), STR("org1"));
    LOG(LOG_INFO, "e");
    ASSERT_STR(after_time(read_line(out, sizeof(out))),
               ",\"level\":\"info\",\"event\":\"e\",\"trace_id\":\"trace1\","
               "\"organization_id\":\"org1\"}\n");
    log_context_clear();
    LOG(LOG_INFO, "e");
    ASSERT_STR(after_time(read_line(out, sizeof(out))), ",\"level\":\"info\",\"event\":\"e\"}\n");
}

static void
the_threshold_holds(void **state)
{
    char out[8192];
    enum log_level level;

    (void)state;
    LOG(LOG_DEBUG, "hidden");
    LOG(LOG_INFO, "shown");
    assert_true(str_find(read_line(out, sizeof(out)), STR("hidden")) < 0);
    log_init(pipe_fds[1], LOG_DEBUG);
    LOG(LOG_DEBUG, "shown");
    assert_true(str_find(read_line(out, sizeof(out)), STR("\"debug\"")) > 0);
    assert_true(log_level_parse(STR("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_parse(STR("Warn"), &level));
    assert_false(log_level_parse(STR(""), &level));
}

static void
long_values_and_lines_are_cut(void **state)
{
    char out[8192];
    char value[3000];
    struct str line;

    (void)state;
    for (size_t i = 0; i + 2 <= sizeof(value); i += 2)
        memcpy(value + i, "\xc3\xa9", 2);
    LOG(LOG_INFO, "e", log_str("a", str_of(value, sizeof(value))), log_int("after", 1));
    line = read_line(out, sizeof(out));
    assert_true(str_is_utf8(line));
    assert_true(line.len > 1024 && line.len < 1200);
    assert_true(str_ends_with(line, STR("\xe2\x80\xa6\",\"after\":1}\n")));
    memset(value, '\n', sizeof(value)); /* two bytes each when escaped */
    LOG(LOG_INFO, "e", log_str("a", str_of(value, sizeof(value))),
        log_str("b", str_of(value, sizeof(value))), log_int("small", 1));
    line = read_line(out, sizeof(out));
    assert_true(line.len <= 4096);
    assert_true(str_ends_with(line, STR(",\"cut\":true}\n")));
    assert_true(str_find(line, STR("\"b\"")) < 0);
}

static void
errno_survives(void **state)
{
    char out[8192];

    (void)state;
    errno = EXDEV;
    LOG(LOG_INFO, "e");
    assert_int_equal(errno, EXDEV);
    (void)read_line(out, sizeof(out));
    log_init(-1, LOG_INFO);
    errno = EXDEV;
    LOG(LOG_INFO, "nobody listens");
    assert_int_equal(errno, EXDEV);
}

static void *
write_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < LINES_EACH; i++)
        LOG(LOG_INFO, "concurrent", log_cstr("text", "0123456789012345678901234567890123456789"));
    return NULL;
}

static void
threads_do_not_mix_lines(void **state)
{
    static char all[(size_t)1 << 20];
    size_t len = 0;
    size_t lines = 0;
    struct str rest;
    struct str line;
    pthread_t threads[3];
    struct err err;

    (void)state;
    for (int i = 0; i < 3; i++)
        ASSERT_OK(thread_start("log", write_lines, NULL, &threads[i], &err), &err);
    while (lines < (size_t)3 * LINES_EACH) {
        ssize_t got = read(pipe_fds[0], all + len, sizeof(all) - len);

        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++)
            lines += all[len + (size_t)i] == '\n';
        len += (size_t)got;
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    rest = str_of(all, len);
    while (str_split(&rest, '\n', &line) && line.len > 0) {
        assert_true(str_starts_with(line, STR("{\"time\"")));
        assert_true(str_ends_with(line, STR("456789\"}")));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_json, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(errors_name_status_and_detail, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(secrets_are_stars, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(the_context_belongs_to_the_thread, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(the_threshold_holds, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(long_values_and_lines_are_cut, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(errno_survives, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_lines, open_pipe, close_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
