/*
 * settings_fuzz.c - a settings file and one variable out of any bytes
 *
 * The bytes up to the first NUL are the file, the rest is a PARLEY_ variable. What is accepted must
 * read back from settings_write_values as it was written.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"

static const struct setting table[] = {
    {.key = "a.text", .kind = SETTING_TEXT, .default_value = "x", .help = "h"},
    {.key = "a.int", .kind = SETTING_INT, .default_value = "1", .min = -9, .max = 99, .help = "h"},
    {.key = "a.bool", .kind = SETTING_BOOL, .default_value = "true", .help = "h"},
    {.key = "b.time", .kind = SETTING_DURATION, .help = "h"},
    {.key = "b.size", .kind = SETTING_SIZE, .help = "h"},
    {.key = "b.choice", .kind = SETTING_CHOICE, .choices = "one|two", .help = "h"},
    {.key = NULL},
};
static const struct setting *const tables[] = {table, NULL};

static void
check_reads_back(const struct settings *settings)
{
    struct settings *again;
    struct buf first;
    struct buf second;
    struct err err;

    buf_init(&first, 1 << 22);
    buf_init(&second, 1 << 22);
    settings_write_values(settings, &first);
    assert(buf_check(&first, &err) == ST_OK);
    if (settings_parse(tables, STR("again"), buf_str(&first), NULL, &again, &err) != ST_OK)
        abort();
    settings_write_values(again, &second);
    assert(str_eq(buf_str(&first), buf_str(&second)));
    settings_destroy(&again);
    buf_deinit(&first);
    buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    ptrdiff_t nul = str_find_byte(input, '\0');
    struct str file = str_sub(input, 0, nul < 0 ? size : (size_t)nul);
    struct buf variable;
    char *environment[] = {NULL, NULL};
    struct settings *settings;
    struct err err = {.code = ST_OK};

    buf_init(&variable, 1 << 22);
    if (nul >= 0) {
        buf_append_c(&variable, "PARLEY_");
        buf_append(&variable, str_sub(input, (size_t)nul + 1, size));
        buf_append_byte(&variable, '\0');
        environment[0] = variable.ptr;
    }
    if (settings_parse(tables, STR("fuzz"), file, environment, &settings, &err) == ST_OK)
        check_reads_back(settings);
    else
        assert(err.code != ST_OK && str_is_utf8(str_from_c(err.detail)));
    settings_destroy(&settings);
    buf_deinit(&variable);
    return 0;
}
