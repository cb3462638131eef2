/*
 * cmd_config.c - parley config: every setting, its help, its value, its check
 */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "base/failpoint.h"
#include "channel/channel_table.h"

#define TEXT_MAX_BYTES (1024u * 1024)

static void
print(struct buf *text)
{
    if (text->len > 0)
        (void)fwrite(text->ptr, 1, text->len, stdout);
    buf_deinit(text);
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
    struct buf text;

    if (!options_read("config", argc, argv, specs, &options))
        return EXIT_USAGE;
    buf_init(&text, TEXT_MAX_BYTES);
    if (help || markdown) {
        if (!markdown)
            puts("usage: parley config [--config FILE] [--check-config] [--markdown] "
                 "[--channels]\n\n"
                 "Prints every setting with the value in force. A setting comes from its default,\n"
                 "then from the file (lines \"key = value\"), then from the environment:\n"
                 "http.listen is PARLEY_HTTP_LISTEN. An unknown key is an error.\n"
                 "--channels prints what each channel can do, what not, and why.\n");
        settings_write_help(app_settings, markdown, &text);
        print(&text);
        return EXIT_FINE;
    }
    if (channels) {
        channel_table_write(&text);
        print(&text);
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
        puts("The settings are fine.");
    else
        settings_write_values(settings, &text);
    print(&text);
    settings_destroy(&settings);
    return EXIT_FINE;
}

const struct command command_config = {
    .name = "config",
    .summary = "settings: what there is, what is in force, whether a file is right",
    .usage = "config [--config FILE] [--check-config] [--markdown]",
    .help = "",
    .own_help = true,
    .run = run,
};
