/*
 * main.c - parley-extract: every format but PDF
 */
#include "extract/program.h"

int
main(int argc, char **argv)
{
    return extract_program(argc, argv, format_find, &(struct program_options){.files_fail = false});
}
