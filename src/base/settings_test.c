/*
 * settings_test.c - every kind of value, every complaint, help and values as text
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/settings.h"
#include "base/testing.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct setting http_table[] = {
    {.key = "http.listen",
     .kind = SETTING_TEXT,
     .default_value = "127.0.0.1:8080",
     .help = "Address and port."},
    {.key = "http.threads",
     .kind = SETTING_INT,
     .default_value = "4",
     .min = 1,
     .max = 64,
     .help = "Threads that read requests."},
    {.key = "http.max_body",
     .kind = SETTING_SIZE,
     .default_value = "1MB",
     .min = 1024,
     .max = INT64_C(1) << 30,
     .help = "Largest body."},
    {.key = NULL},
};
static const struct setting other_table[] = {
    {.key = "store.driver",
     .kind = SETTING_CHOICE,
     .default_value = "sqlite",
     .choices = "sqlite|pgsql",
     .help = "Where data is kept."},
    {.key = "admin.token", .kind = SETTING_SECRET, .help = "A secret."},
    {.key = "queue.lease",
     .kind = SETTING_DURATION,
     .default_value = "2m",
     .help = "How long a worker may hold a job before another takes it over, which is a sentence "
             "long enough to be folded.",
     .former_key = "lease.queue"},
    {.key = "web.enabled", .kind = SETTING_BOOL, .default_value = "true", .help = "Web chat."},
    {.key = "log.count", .kind = SETTING_INT, .help = "No default, no bound."},
    {.key = NULL},
};
static const struct setting *const tables[] = {http_table, other_table, NULL};

static enum status
parse(struct str text, char *const *environment, struct settings **settings_out, struct err *err)
{
    return settings_parse(tables, STR("parley.conf"), text, environment, settings_out, err);
}

static void
defaults_hold(void **state)
{
    struct settings *settings;
    struct err err;

    (void)state;
    ASSERT_OK(parse(STR_EMPTY, NULL, &settings, &err), &err);
    ASSERT_STR(settings_text(settings, "http.listen"), "127.0.0.1:8080");
    assert_int_equal(settings_int(settings, "http.threads"), 4);
    assert_int_equal(settings_int(settings, "http.max_body"), 1 << 20);
    ASSERT_STR(settings_text(settings, "store.driver"), "sqlite");
    ASSERT_STR(settings_text(settings, "admin.token"), "");
    assert_int_equal(settings_int(settings, "queue.lease"), 120000);
    assert_true(settings_bool(settings, "web.enabled"));
    assert_int_equal(settings_int(settings, "log.count"), 0);
    assert_false(settings_is_set(settings, "http.threads"));
    settings_destroy(&settings);
    assert_null(settings);
    settings_destroy(&settings);
}

static void
the_environment_wins_over_the_file(void **state)
{
    char threads[] = "PARLEY_HTTP_THREADS=8";
    char max_body[] = "PARLEY_HTTP_MAX_BODY=64kB";
    char path[] = "PATH=/bin";
    char prefix[] = "PARLEYX=1";
    char *environment[] = {path, threads, max_body, prefix, NULL};
    struct settings *settings;
    struct err err;

    (void)state;
    ASSERT_OK(parse(STR("http.threads = 6\nhttp.listen = [::1]:1\n"), environment, &settings, &err),
              &err);
    assert_int_equal(settings_int(settings, "http.threads"), 8);
    assert_int_equal(settings_int(settings, "http.max_body"), 65536);
    ASSERT_STR(settings_text(settings, "http.listen"), "[::1]:1");
    assert_true(settings_is_set(settings, "http.listen"));
    settings_destroy(&settings);
}

static void
texts(void **state)
{
    static const struct {
        const char *file;
        const char *want;
    } rows[] = {
        {"http.listen=a", "a"},
        {"  http.listen  =  a b  \r\n", "a b"},
        {"# comment\n\n   # another\nhttp.listen = a # note", "a"},
        {"http.listen = a#b", "a#b"},
        {"http.listen = # nothing", ""},
        {"http.listen =", ""},
        {"http.listen = \"a # b\" # note", "a # b"},
        {"http.listen = \" \\\"q\\\\ \"", " \"q\\ "},
        {"http.listen = \"\"", ""},
        {"http.listen = a=b", "a=b"},
        {"http.listen = caf\xc3\xa9", "caf\xc3\xa9"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct settings *settings;
        struct err err;

        ASSERT_OK(parse(str_from_c(rows[i].file), NULL, &settings, &err), &err);
        ASSERT_STR(settings_text(settings, "http.listen"), rows[i].want);
        settings_destroy(&settings);
    }
}

static void
numbers(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        int64_t want;
    } rows[] = {
        {"queue.lease", "250ms", 250},
        {"queue.lease", "30s", 30000},
        {"queue.lease", "5m", 300000},
        {"queue.lease", "12h", 43200000},
        {"queue.lease", "7d", 604800000},
        {"queue.lease", "0", 0},
        {"http.max_body", "2048", 2048},
        {"http.max_body", "64kB", 65536},
        {"http.max_body", "10MB", 10485760},
        {"http.max_body", "1GB", 1073741824},
        {"log.count", "-5", -5},
        {"log.count", "9223372036854775807", INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct settings *settings;
        struct err err;
        char line[100];

        (void)snprintf(line, sizeof(line), "%s = %s", rows[i].key, rows[i].value);
        ASSERT_OK(parse(str_from_c(line), NULL, &settings, &err), &err);
        assert_int_equal(settings_int(settings, rows[i].key), rows[i].want);
        settings_destroy(&settings);
    }
}

static void
complaints(void **state)
{
    static const struct {
        const char *file;
        const char *variable; /* or NULL */
        const char *want;
    } rows[] = {
        {"\nhttp.lisen = x", NULL,
         "parley.conf:2: unknown setting \"http.lisen\"; did you mean \"http.listen\"?"},
        {"x = y", NULL, "parley.conf:1: unknown setting \"x\""},
        {"lease.queue = 1m", NULL, "parley.conf:1: \"lease.queue\" is called \"queue.lease\" now"},
        {"", "PARLEY_LEASE_QUEUE=1m",
         "environment: \"PARLEY_LEASE_QUEUE\" is called \"PARLEY_QUEUE_LEASE\" now"},
        {"= y", NULL, "parley.conf:1: unknown setting \"\""},
        {"", "PARLEY_QUEUE_LEASES=1",
         "environment: unknown setting \"PARLEY_QUEUE_LEASES\"; did you mean "
         "\"PARLEY_QUEUE_LEASE\"?"},
        {"http.listen", NULL, "parley.conf:1: a line must read \"key = value\""},
        {"http.listen = a\n\nhttp.listen = b", NULL,
         "parley.conf:3: http.listen was set in line 1 already"},
        {"http.threads = 0", NULL, "parley.conf:1: http.threads: \"0\" is out of range: 1 to 64"},
        {"http.threads = 65", NULL, "parley.conf:1: http.threads: \"65\" is out of range: 1 to 64"},
        {"http.threads = four", NULL,
         "parley.conf:1: http.threads: \"four\" must be a whole number: 1 to 64"},
        {"http.max_body = 2GB", NULL,
         "parley.conf:1: http.max_body: \"2GB\" is out of range: 1kB to 1GB"},
        {"http.max_body = 99999999999GB", NULL,
         "parley.conf:1: http.max_body: \"99999999999GB\" must be a size such as 512, 64kB, 10MB "
         "or 1GB: 1kB to 1GB"},
        {"queue.lease = 5", NULL,
         "parley.conf:1: queue.lease: \"5\" must be a duration such as 250ms, 30s, 5m, 12h or 7d"},
        {"queue.lease = s", NULL,
         "parley.conf:1: queue.lease: \"s\" must be a duration such as 250ms, 30s, 5m, 12h or 7d"},
        {"store.driver = mysql", NULL,
         "parley.conf:1: store.driver: \"mysql\" must be one of: sqlite | pgsql"},
        {"web.enabled = yes", NULL, "parley.conf:1: web.enabled: \"yes\" must be true or false"},
        {"web.enabled =", NULL, "parley.conf:1: web.enabled: \"\" must be true or false"},
        {"http.listen = \"a", NULL, "parley.conf:1: a quote is not closed"},
        {"http.listen = \"a\\", NULL, "parley.conf:1: in quotes only \\\" and \\\\ are escapes"},
        {"http.listen = \"a\\n\"", NULL, "parley.conf:1: in quotes only \\\" and \\\\ are escapes"},
        {"http.listen = \"a\" b", NULL, "parley.conf:1: something follows the closing quote"},
        {"http.listen = \x01", NULL,
         "parley.conf:1: http.listen: \"this value\" must be UTF-8 text without control "
         "characters"},
        {"admin.token = hunter2\xff", NULL,
         "parley.conf:1: admin.token: \"this value\" must be UTF-8 text without control "
         "characters"},
        {"\xff = 1", NULL, "parley.conf:1: a key that is not text"},
        {"", "PARLEY_WEB_ENABLED=1", "environment: web.enabled: \"1\" must be true or false"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char variable[100] = "";
        char *environment[] = {variable, NULL};
        struct settings *settings;
        struct err err = {.code = ST_OK};

        if (rows[i].variable != NULL)
            (void)snprintf(variable, sizeof(variable), "%s", rows[i].variable);
        assert_int_equal(parse(str_from_c(rows[i].file), environment, &settings, &err), ST_INVALID);
        assert_null(settings);
        assert_string_equal(err.detail, rows[i].want);
    }
}

static void
files_are_read(void **state)
{
    char path[] = "/tmp/parley-settings-XXXXXX";
    const char text[] = "http.threads = 9\n";
    int fd = mkstemp(path);
    struct settings *settings;
    struct err err;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    ASSERT_OK(settings_load(tables, str_from_c(path), NULL, &settings, &err), &err);
    assert_int_equal(settings_int(settings, "http.threads"), 9);
    settings_destroy(&settings);
    assert_int_equal(ftruncate(fd, (off_t)2 << 20), 0);
    assert_int_equal(settings_load(tables, str_from_c(path), NULL, &settings, &err), ST_TOO_LARGE);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(settings_load(tables, str_from_c(path), NULL, &settings, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.detail, path));
    assert_int_equal(settings_load(tables, STR("/tmp"), NULL, &settings, &err), ST_INVALID);
    ASSERT_OK(settings_load(tables, STR_EMPTY, NULL, &settings, &err), &err);
    settings_destroy(&settings);
}

static void
ask_unknown(void *arg)
{
    (void)settings_int(arg, "http.nothing");
}

static void
ask_wrong_kind(void *arg)
{
    (void)settings_int(arg, "http.listen");
}

static void
wrong_questions_abort(void **state)
{
    struct settings *settings;
    struct err err;

    (void)state;
    ASSERT_OK(parse(STR_EMPTY, NULL, &settings, &err), &err);
    ASSERT_ABORTS(ask_unknown, settings);
    ASSERT_ABORTS(ask_wrong_kind, settings);
    settings_destroy(&settings);
}

static void
help_names_everything(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16);
    settings_write_help(tables, false, &out);
    assert_true(str_starts_with(buf_str(&out),
                                STR("http.listen = 127.0.0.1:8080\n    text; PARLEY_HTTP_LISTEN\n"
                                    "    Address and port.\n\nhttp.threads = 4\n"
                                    "    number, 1 to 64; PARLEY_HTTP_THREADS\n")));
    for (struct str rest = buf_str(&out), line; str_split(&rest, '\n', &line);)
        assert_true(line.len <= 96);
    assert_true(str_find(buf_str(&out), STR("\n    How long a worker may hold a job")) > 0);
    assert_true(str_find(buf_str(&out), STR("folded.\n\nweb.enabled")) > 0);
    buf_clear(&out);
    settings_write_help(tables, true, &out);
    assert_true(str_find(buf_str(&out), STR("\n| `store.driver` | sqlite \\| pgsql | `sqlite` | "
                                            "`PARLEY_STORE_DRIVER` | Where data is kept. |\n")) >
                0);
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct setting *row = tables[t]; row->key != NULL; row++)
            assert_true(str_find(buf_str(&out), str_from_c(row->key)) > 0);
    }
    buf_deinit(&out);
}

static void
values_read_back(void **state)
{
    struct settings *settings;
    struct buf out;
    struct buf again;
    struct err err;

    (void)state;
    buf_init(&out, 1 << 16);
    buf_init(&again, 1 << 16);
    ASSERT_OK(
        parse(STR("http.listen = \" #\\\"\\\\\"\nadmin.token = hunter2\n"), NULL, &settings, &err),
        &err);
    settings_write_values(settings, &out);
    settings_destroy(&settings);
    ASSERT_STR(buf_str(&out), "http.listen = \" #\\\"\\\\\"\nhttp.threads = 4\n"
                              "http.max_body = 1MB\nstore.driver = sqlite\nadmin.token = ***\n"
                              "queue.lease = 2m\nweb.enabled = true\n# log.count is not set\n");
    ASSERT_OK(parse(buf_str(&out), NULL, &settings, &err), &err);
    settings_write_values(settings, &again);
    assert_true(str_eq(buf_str(&out), buf_str(&again)));
    settings_destroy(&settings);
    buf_deinit(&out);
    buf_deinit(&again);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(the_environment_wins_over_the_file),
        cmocka_unit_test(texts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(complaints),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(wrong_questions_abort),
        cmocka_unit_test(help_names_everything),
        cmocka_unit_test(values_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
