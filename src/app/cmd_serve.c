/*
 * cmd_serve.c - parley serve
 */
#include "app/commands.h"

static int
run(int argc, char **argv)
{
    struct options options;
    struct settings *settings = NULL;
    int code;

    if (!options_read("serve", argc, argv, NULL, &options) ||
        !options_settings(&options, &settings))
        return EXIT_USAGE;
    code = serve_run(settings, NULL, NULL);
    settings_destroy(&settings);
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the server",
    .usage = "serve [--config FILE] [--data FOLDER]",
    .help = "Runs until it gets SIGTERM or SIGINT (Ctrl-C); then it finishes what is running and\n"
            "stops. Killing it is safe too: nothing that was accepted is lost.\n\n"
            "Settings come from --config, else $PARLEY_CONFIG, else parley.conf in this folder,\n"
            "then from PARLEY_... variables. `parley config --help` explains each.\n",
    .run = run,
};
