/*
 * options.c - the words of a command into variables, and the settings they lead to
 */
#include "app/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"

#define DEFAULT_CONFIG_FILE "parley.conf"

extern char **environ;

static bool
fail(const char *command, const char *what, const char *word)
{
    fprintf(stderr, "parley %s: %s \"%s\"; `parley %s --help` explains\n", command, what, word,
            command);
    return false;
}

static bool
is_repeated(const struct option_spec *spec)
{
    return str_ends_with(str_from_c(spec->name), STR("..."));
}

static const struct option_spec *
find_spec(const struct option_spec *specs, struct str name)
{
    for (; specs != NULL && specs->name != NULL; specs++) {
        struct str own = str_from_c(specs->name);

        if (str_eq(name, is_repeated(specs) ? str_sub(own, 0, own.len - 3) : own))
            return specs;
    }
    return NULL;
}

/* False: no place is left for another. */
static bool
set_text(const struct option_spec *spec, const char *value)
{
    size_t at = 0;

    while (is_repeated(spec) && at < OPTIONS_MAX_REPEATS && spec->text[at] != NULL)
        at++;
    if (at == OPTIONS_MAX_REPEATS)
        return false;
    spec->text[at] = value;
    return true;
}

/* One option word, and its value if it has one. Returns the words used, 0 after a message. */
static int
read_option(const char *command, char **argv, int left, const struct option_spec *specs,
            struct options *out)
{
    const struct option_spec own[] = {{"config", &out->config_file, NULL},
                                      {"data", &out->data_folder, NULL},
                                      {"json", NULL, &out->json},
                                      {NULL, NULL, NULL}};
    const char *word = argv[0] + 2, *equals = strchr(word, '=');
    struct str name = str_of(word, equals == NULL ? strlen(word) : (size_t)(equals - word));
    const struct option_spec *spec = find_spec(specs, name);

    if (spec == NULL)
        spec = find_spec(own, name);
    if (spec == NULL) {
        fail(command, "no option", argv[0]);
        return 0;
    }
    if (spec->flag != NULL && equals != NULL) {
        fail(command, "no value belongs to", argv[0]);
        return 0;
    }
    if (spec->flag != NULL) {
        *spec->flag = true;
        return 1;
    }
    if (equals == NULL && left < 2) {
        fail(command, "a value is missing after", argv[0]);
        return 0;
    }
    if (!set_text(spec, equals != NULL ? equals + 1 : argv[1])) {
        fail(command, "there are too many of", argv[0]);
        return 0;
    }
    return equals != NULL ? 1 : 2;
}

bool
options_read(const char *command, int argc, char **argv, const struct option_spec *specs,
             struct options *options_out)
{
    int i = 1, used;
    bool only_operands = false;

    memset(options_out, 0, sizeof(*options_out));
    while (i < argc) {
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
            i++;
        } else if (!only_operands && strncmp(argv[i], "--", 2) == 0) {
            used = read_option(command, argv + i, argc - i, specs, options_out);
            if (used == 0)
                return false;
            i += used;
        } else {
            if (options_out->operand_count == OPTIONS_MAX_OPERANDS)
                return fail(command, "too many words, at", argv[i]);
            options_out->operands[options_out->operand_count++] = argv[i++];
        }
    }
    return true;
}

/* Settings that options set, as the environment would; NULL: not set. */
struct own_words {
    char *data_folder, *roles;
};

static char *
own_word(const char *variable, const char *value)
{
    char *word = NULL;

    if (value != NULL && asprintf(&word, "%s=%s", variable, value) < 0)
        abort();
    return word;
}

/* The same variable. */
static bool
is_own(const char *own, const char *word)
{
    return own != NULL && strncmp(word, own, strcspn(own, "=") + 1) == 0;
}

/* The environment with what options set; PARLEY_CONFIG and PARLEY_FAILPOINTS are not settings and
 * left out. The caller frees the array, and own's words. */
static char **
environment_for(const struct options *options, struct own_words *own)
{
    size_t count = 0, kept = 0, i;
    char **list;

    while (environ != NULL && environ[count] != NULL) /* NULL after clearenv */
        count++;
    *own = (struct own_words){own_word("PARLEY_DATA_FOLDER", options->data_folder),
                              own_word("PARLEY_SERVE_ROLES", options->roles)};
    list = calloc(count + 3, sizeof(*list));
    if (list == NULL)
        abort();
    if (own->data_folder != NULL)
        list[kept++] = own->data_folder;
    if (own->roles != NULL)
        list[kept++] = own->roles;
    for (i = 0; i < count; i++)
        if (strncmp(environ[i], "PARLEY_CONFIG=", 14) != 0 &&
            strncmp(environ[i], "PARLEY_FAILPOINTS=", 18) != 0 &&
            !is_own(own->data_folder, environ[i]) && !is_own(own->roles, environ[i]))
            list[kept++] = environ[i];
    return list;
}

bool
options_settings(const struct options *options, struct settings **settings_out)
{
    const char *file = options->config_file;
    struct own_words own;
    char **environment;
    struct err err;
    enum status st;

    if (file == NULL)
        file = getenv("PARLEY_CONFIG");
    if (file == NULL && access(DEFAULT_CONFIG_FILE, R_OK) == 0)
        file = DEFAULT_CONFIG_FILE;
    environment = environment_for(options, &own);
    st = settings_load(app_settings, str_from_c(file), environment, settings_out, &err);
    free(environment);
    free(own.data_folder);
    free(own.roles);
    if (st == ST_OK)
        return true;
    fprintf(stderr, "parley: %s\n", err.public_text);
    return false;
}
