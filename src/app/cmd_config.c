/*
 * cmd_config.c - parley config: every setting, its help, its value, its check
 */
#include <stdio.h>
#include <string.h>

#include "app/cmd_common.h"
#include "base/failpoint.h"
#include "channel/channel_table.h"
#include "text/json.h"

#define TEXT_MAX_BYTES (1024u * 1024)

static void
print(struct buf *text)
{
    if (text->len > 0)
        (void)fwrite(text->ptr, 1, text->len, stdout);
    buf_deinit(text);
}

static void
print_help(bool markdown)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    if (!markdown)
        puts("usage: parley config [--config FILE] [--check-config] [--markdown] "
             "[--channels] [--json]\n\n"
             "Prints every setting with the value in force. A setting comes from its default,\n"
             "then from the file (lines \"key = value\"), then from the environment:\n"
             "http.listen is PARLEY_HTTP_LISTEN. An unknown key is an error.\n"
             "--channels prints what each channel can do, what not, and why.\n");
    settings_write_help(app_settings, markdown, &text);
    print(&text);
}

static void
print_channels(bool as_json)
{
    struct buf text;

    if (as_json) {
        print_json(channel_table_as_json());
        return;
    }
    buf_init(&text, TEXT_MAX_BYTES);
    channel_table_write(&text);
    print(&text);
}

static void
print_values(const struct settings *settings, bool as_json)
{
    const struct setting *setting;
    struct str value;
    struct buf text;
    json_t *list;
    bool by_user;

    if (!as_json) {
        buf_init(&text, TEXT_MAX_BYTES);
        settings_write_values(settings, &text);
        print(&text);
        return;
    }
    list = json_array();
    for (size_t i = 0; (setting = settings_at(settings, i, &value, &by_user)) != NULL; i++) {
        json_t *row = json_object();

        json_set_str(row, "key", str_from_c(setting->key));
        if (by_user || setting->default_value != NULL)
            json_set_str(row, "value", value);
        else
            json_set(row, "value", json_null());
        json_set_bool(row, "by_user", by_user);
        json_array_append_new(list, row);
    }
    print_json(list);
}

static void
print_checked(bool as_json)
{
    if (as_json)
        print_json(json_pack("{s:b}", "valid", 1));
    else
        puts("The settings are fine.");
}

static int
run(int argc, char **argv)
{
    bool help = false, markdown = false, check = false, failpoints = false, channels = false;
    const struct option_spec specs[] = {{"help", NULL, &help},
                                        {"markdown", NULL, &markdown},
                                        {"check-config", NULL, &check},
                                        {"channels", NULL, &channels},
                                        {"failpoints", NULL, &failpoints},
                                        {NULL, NULL, NULL}};
    struct settings *settings = NULL;
    struct options options;

    if (!options_read("config", argc, argv, specs, &options))
        return EXIT_USAGE;
    if (help || markdown) {
        print_help(markdown);
        return EXIT_FINE;
    }
    if (channels) {
        print_channels(options.json);
        return EXIT_FINE;
    }
    if (failpoints) {
        for (const char *const *name = failpoint_names(); *name != NULL; name++)
            puts(*name);
        return EXIT_FINE;
    }
    if (!options_settings(&options, &settings))
        return EXIT_USAGE;
    if (check)
        print_checked(options.json);
    else
        print_values(settings, options.json);
    settings_destroy(&settings);
    return EXIT_FINE;
}

const struct command command_config = {
    .name = "config",
    .summary = "settings: what there is, what is in force, whether a file is right",
    .usage = "config [--config FILE] [--check-config] [--markdown] [--channels] [--json]",
    .help = "",
    .own_help = true,
    .run = run,
};
