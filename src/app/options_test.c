/*
 * options_test.c - a command's words: options, values, operands, and what is refused
 */
#include "base/testing.h"

#include <stdio.h>

#include "app/app.h"
#include "app/options.h"

#define MAX_WORDS 80

static const char *text;
static const char *again[OPTIONS_MAX_REPEATS];
static bool flag;
static const struct option_spec specs[] = {
    {"text", &text, NULL}, {"again...", again, NULL}, {"flag", NULL, &flag}, {NULL, NULL, NULL}};

/* Words separated by blanks, without the command itself. */
static bool
read_words(const char *line, struct options *options)
{
    static char copy[512];
    char *argv[MAX_WORDS] = {(char *)(uintptr_t) "command"};
    int argc = 1;

    text = NULL;
    memset(again, 0, sizeof(again));
    flag = false;
    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *at = copy; *at != '\0' && argc < MAX_WORDS;) {
        char *end = strchr(at, ' ');

        argv[argc++] = at;
        if (end == NULL)
            break;
        *end = '\0';
        at = end + 1;
    }
    return options_read("command", argc, argv, specs, options);
}

static void
words_are_read(void **state)
{
    static const struct {
        const char *line;
        bool ok;
        const char *text;
        bool flag, json;
        const char *config, *data;
        int operands;
        const char *first;
    } table[] = {
        {"", true, NULL, false, false, NULL, NULL, 0, NULL},
        {"one two", true, NULL, false, false, NULL, NULL, 2, "one"},
        {"--text value", true, "value", false, false, NULL, NULL, 0, NULL},
        {"--text=value", true, "value", false, false, NULL, NULL, 0, NULL},
        {"--text=a=b", true, "a=b", false, false, NULL, NULL, 0, NULL},
        {"--text=", true, "", false, false, NULL, NULL, 0, NULL},
        {"--text --flag", true, "--flag", false, false, NULL, NULL, 0, NULL},
        {"--text one --text two", true, "two", false, false, NULL, NULL, 0, NULL},
        {"--flag one", true, NULL, true, false, NULL, NULL, 1, "one"},
        {"one --flag --json two", true, NULL, true, true, NULL, NULL, 2, "one"},
        {"--config parley.conf --data /tmp/x", true, NULL, false, false, "parley.conf", "/tmp/x", 0,
         NULL},
        {"-- --flag --text", true, NULL, false, false, NULL, NULL, 2, "--flag"},
        {"-- one --", true, NULL, false, false, NULL, NULL, 2, "one"},
        {"-x -", true, NULL, false, false, NULL, NULL, 2, "-x"},
        {"--unknown", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--unknown=1", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--", true, NULL, false, false, NULL, NULL, 0, NULL},
        {"--=x", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--tex value", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--text", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--data", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--flag=yes", false, NULL, false, false, NULL, NULL, 0, NULL},
        {"--json=no", false, NULL, false, false, NULL, NULL, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct options options;

        print_message("           \"%s\"\n", table[i].line);
        assert_int_equal(read_words(table[i].line, &options), table[i].ok);
        if (!table[i].ok)
            continue;
        assert_int_equal(flag, table[i].flag);
        assert_int_equal(options.json, table[i].json);
        assert_int_equal(options.operand_count, table[i].operands);
        assert_true(str_eq(str_from_c(text), str_from_c(table[i].text)));
        assert_int_equal(text == NULL, table[i].text == NULL);
        assert_true(str_eq(str_from_c(options.config_file), str_from_c(table[i].config)));
        assert_true(str_eq(str_from_c(options.data_folder), str_from_c(table[i].data)));
        if (table[i].first != NULL)
            assert_string_equal(options.operands[0], table[i].first);
    }
}

static void
too_many_operands_are_refused(void **state)
{
    struct options options;
    char line[3 * OPTIONS_MAX_OPERANDS] = "";

    (void)state;
    for (int i = 0; i < OPTIONS_MAX_OPERANDS; i++)
        memcpy(line + 2 * (size_t)i, "x ", 3);
    line[2 * OPTIONS_MAX_OPERANDS - 1] = '\0';
    assert_true(read_words(line, &options));
    assert_int_equal(options.operand_count, OPTIONS_MAX_OPERANDS);
    memcpy(line + 2 * OPTIONS_MAX_OPERANDS - 1, " y", 3);
    assert_false(read_words(line, &options));
}

static void
some_options_come_again(void **state)
{
    struct options options;
    char line[4 + 10 * (OPTIONS_MAX_REPEATS + 1)] = "";

    (void)state;
    assert_true(read_words("--again one --flag --again=two", &options));
    assert_string_equal(again[0], "one");
    assert_string_equal(again[1], "two");
    assert_null(again[2]);
    assert_false(read_words("--again... one", &options));
    assert_false(read_words("--again", &options));
    for (size_t i = 0; i < OPTIONS_MAX_REPEATS; i++)
        memcpy(line + 10 * i, "--again=x ", 11);
    line[10 * OPTIONS_MAX_REPEATS - 1] = '\0';
    assert_true(read_words(line, &options));
    assert_string_equal(again[OPTIONS_MAX_REPEATS - 1], "x");
    memcpy(line + 10 * OPTIONS_MAX_REPEATS - 1, " --again=x", 11);
    assert_false(read_words(line, &options));
}

/* --data stands above the environment, which stands above the file. */
static void
data_folder_is_chosen_in_order(void **state)
{
    char file[] = "/tmp/parley-options-XXXXXX";
    struct options options = {.config_file = file};
    struct settings *settings = NULL;
    static const char line[] = "data.folder = /from/file\n";
    int fd = mkstemp(file);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, line, sizeof(line) - 1), (ssize_t)sizeof(line) - 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(clearenv(), 0); /* whatever the runner set is no setting */
    assert_true(options_settings(&options, &settings));
    ASSERT_STR(settings_text(settings, "data.folder"), "/from/file");
    settings_destroy(&settings);
    assert_int_equal(setenv("PARLEY_DATA_FOLDER", "/from/environment", 1), 0);
    assert_true(options_settings(&options, &settings));
    ASSERT_STR(settings_text(settings, "data.folder"), "/from/environment");
    settings_destroy(&settings);
    options.data_folder = "/from/words";
    assert_true(options_settings(&options, &settings));
    ASSERT_STR(settings_text(settings, "data.folder"), "/from/words");
    settings_destroy(&settings);
    assert_int_equal(unlink(file), 0);
    assert_false(options_settings(&options, &settings)); /* a named file that is not there */
}

static void
drivers_between_processes_need_their_servers(void **state)
{
#define PG "database.url = postgresql://app@db/parley\n"
#define REDIS "redis.addresses = redis://r:6379\n"
    static const struct {
        const char *text, *key;
        const char *driver, *addresses; /* NULL: refused */
    } table[] = {
        {"", "queue.transport", "local", ""},
        {"", "live.transport", "local", ""},
        {"", "limits.shared", "local", ""},
        {PG, "queue.transport", "pgsql", "postgresql://app@db/parley"},
        {PG, "live.transport", "pgsql", "postgresql://app@db/parley"},
        {PG, "limits.shared", "local", ""},
        {PG REDIS, "queue.transport", "pgsql", "postgresql://app@db/parley"},
        {PG "queue.transport = local\n", "queue.transport", "local", ""},
        {PG REDIS "queue.transport = redis\n", "queue.transport", "redis", "redis://r:6379"},
        {PG REDIS "live.transport = redis\n", "live.transport", "redis", "redis://r:6379"},
        {PG "limits.shared = pgsql\n", "limits.shared", "pgsql", "postgresql://app@db/parley"},
        {"limits.shared = pgsql\n", "limits.shared", NULL, "database.url"},
        {REDIS "limits.shared = redis\n", "limits.shared", "redis", "redis://r:6379"},
        {"queue.transport = pgsql\n", "queue.transport", NULL, "database.url"},
        {REDIS "live.transport = pgsql\n", "live.transport", NULL, "database.url"},
        {PG "queue.transport = redis\n", "queue.transport", NULL, "redis.addresses"},
        {PG "limits.shared = redis\n", "limits.shared", NULL, "redis.addresses"},
    };
    static char *const nothing[] = {NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct settings *settings;
        struct app_shared shared;
        struct err err;
        enum status st;

        ASSERT_OK(settings_parse(app_settings, STR("test"), str_from_c(table[i].text), nothing,
                                 &settings, &err),
                  &err);
        st = app_shared_driver(settings, table[i].key, &shared, &err);
        assert_int_equal(st, table[i].driver != NULL ? ST_OK : ST_INVALID);
        if (st == ST_OK) {
            ASSERT_STR(shared.driver, table[i].driver);
            assert_true(str_eq_c(shared.addresses, table[i].addresses));
        } else {
            assert_non_null(strstr(err.public_text, table[i].key));
            assert_non_null(strstr(err.public_text, table[i].addresses));
        }
        settings_destroy(&settings);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(some_options_come_again),
        cmocka_unit_test(too_many_operands_are_refused),
        cmocka_unit_test(data_folder_is_chosen_in_order),
        cmocka_unit_test(drivers_between_processes_need_their_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
