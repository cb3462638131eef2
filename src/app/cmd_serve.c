/*
 * cmd_serve.c - parley serve
 */
#include "app/commands.h"

static int
run(int argc, char **argv)
{
    const char *roles = NULL;
    const struct option_spec specs[] = {{"roles", &roles, NULL}, {NULL, NULL, NULL}};
    struct options options;
    struct settings *settings = NULL;
    int code;

    if (!options_read("serve", argc, argv, specs, &options))
        return EXIT_USAGE;
    options.roles = roles;
    if (!options_settings(&options, &settings))
        return EXIT_USAGE;
    code = serve_run(settings, NULL, NULL);
    settings_destroy(&settings);
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the server",
    .usage = "serve [--roles ROLE,...] [--config FILE] [--data FOLDER]",
    .help = "Runs until it gets SIGTERM or SIGINT (Ctrl-C); then it finishes what is running and\n"
            "stops. Killing it is safe too: nothing that was accepted is lost.\n\n"
            "  --roles ROLE,...     what this process does; all when not said:\n"
            "                         gateway    webhooks, web chat, polling of channels\n"
            "                         api        /v1 for the team, the widget\n"
            "                         worker     answers, deliveries, documents\n"
            "                         scheduler  what is due by time\n"
            "                       With database.url any number of processes share the work, on\n"
            "                       one host or many; with files one process does it all. `parley\n"
            "                       status` shows them.\n\n"
            "Settings come from --config, else $PARLEY_CONFIG, else parley.conf in this folder,\n"
            "then from PARLEY_... variables. `parley config --help` explains each.\n",
    .run = run,
};
