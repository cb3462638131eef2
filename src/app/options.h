/*
 * options.h - reads a command's words by a table
 *
 * "--name value", "--name=value", "--flag"; "--" ends options; what is left are the operands. Every
 * command also takes --config FILE, --data FOLDER and --json. Threads: main only.
 */
#ifndef PARLEY_APP_OPTIONS_H
#define PARLEY_APP_OPTIONS_H

#include "base/settings.h"

#define OPTIONS_MAX_OPERANDS 64
#define OPTIONS_MAX_REPEATS 32

struct option_spec {
    const char *name; /* without dashes; "name...": may come again and again; NULL ends the table */
    const char **text; /* takes a value, or NULL; of "name...": OPTIONS_MAX_REPEATS places */
    bool *flag;        /* a flag, or NULL */
};

struct options {
    const char *config_file; /* --config, else PARLEY_CONFIG, else parley.conf when it exists */
    const char *data_folder; /* --data: stands above the file and the environment */
    const char *roles;       /* of serve: --roles, likewise */
    bool json;
    const char *operands[OPTIONS_MAX_OPERANDS];
    int operand_count;
};

/* False: printed to standard error what is wrong and how to get help. */
bool options_read(const char *command, int argc, char **argv, const struct option_spec *specs,
                  struct options *options_out);
/* Settings from file, environment and --data. False: printed what is wrong. */
bool options_settings(const struct options *options, struct settings **settings_out);

#endif
