/*
 * cmd_encoder.c - parley encoder: makes the sentence encoder's file of the published weights
 */
#include <stdio.h>

#include "app/commands.h"
#include "embed/drivers/minilm_make.h"

static int
run(int argc, char **argv)
{
    const struct option_spec specs[] = {{NULL, NULL, NULL}};
    struct options options;
    struct err err;

    if (!options_read("encoder", argc, argv, specs, &options))
        return EXIT_USAGE;
    if (options.operand_count != 2) {
        fputs("parley encoder: give the folder of the published files and the file to make\n",
              stderr);
        return EXIT_USAGE;
    }
    if (minilm_make(options.operands[0], options.operands[1], &err) != ST_OK) {
        fprintf(stderr, "parley encoder: %s\n", err.detail);
        return EXIT_FAILED;
    }
    if (!options.json)
        printf("%s is made.\n", options.operands[1]);
    return EXIT_FINE;
}

const struct command command_encoder = {
    .name = "encoder",
    .summary = "make the sentence encoder's file of published weights",
    .usage = "encoder FOLDER FILE",
    .help =
        "Reads model.safetensors, config.json and vocab.txt in FOLDER, as all-MiniLM-L6-v2 was\n"
        "published, and writes FILE: the weights as Parley computes with them, mapped and used\n"
        "where they lie. It is made once, on any machine; scripts/encoder.sh fetches the\n"
        "published files, checks them and calls this.\n",
    .run = run,
};
