/*
 * main.c - finds the command and runs it
 */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"

static const struct command *const commands[] = {
    &command_serve,
    &command_demo,
    &command_ask,
    &command_ingest,
    &command_eval,
    &command_admin,
    &command_dead_letters,
    &command_doctor,
    &command_backup,
    &command_restore,
    &command_migrate,
    &command_move,
    &command_status,
    &command_config,
    &command_encoder,
    &command_index,
    NULL,
};

static void
print_help(FILE *out)
{
    size_t i;

    fputs("Parley " PARLEY_VERSION ": an omnichannel AI messaging server\n\n"
          "usage: parley <command> [options]\n\n",
          out);
    for (i = 0; commands[i] != NULL; i++)
        fprintf(out, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nNew here? `parley demo` makes an organization to play with and starts the server.\n"
          "`parley <command> --help` explains a command, `parley config --help` every setting.\n\n"
          "With --json a command prints what it says as JSON. Exit codes:\n"
          "  0: done           1: tried and failed    2: called with wrong words or settings\n"
          "  3: no such thing; of ask: the documents have no answer\n"
          "  4: exists already, or a running server has the data folder\n"
          "  5: something is unavailable, try again later\n"
          "  6: doctor found something, or eval --require was not reached\n",
          out);
}

static bool
asks_for_help(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int
main(int argc, char **argv)
{
    size_t i;

    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_FINE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("parley " PARLEY_VERSION);
        return EXIT_FINE;
    }
    for (i = 0; commands[i] != NULL; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        if (asks_for_help(argc - 1, argv + 1) && !commands[i]->own_help) {
            printf("usage: parley %s\n\n%s", commands[i]->usage, commands[i]->help);
            return EXIT_FINE;
        }
        return commands[i]->run(argc - 1, argv + 1);
    }
    fprintf(stderr, "parley: there is no command \"%s\".", argv[1]);
    for (i = 0; commands[i] != NULL; i++)
        if (strncmp(argv[1], commands[i]->name, strlen(commands[i]->name) / 2 + 1) == 0)
            fprintf(stderr, " Did you mean \"%s\"?", commands[i]->name);
    fputs(" `parley --help` lists all commands.\n", stderr);
    return EXIT_USAGE;
}
