/*
 * program.h - what parley-extract and parley-extract-pdf both are, but for the formats they read
 */
#ifndef PARLEY_EXTRACT_PROGRAM_H
#define PARLEY_EXTRACT_PROGRAM_H

#include "extract/format.h"

typedef const struct format *(*format_finder)(struct str content_type);

struct program_options {
    bool files_fail;     /* as in struct sandbox_limits */
    struct pdf_eye *eye; /* for format_input */
};

/* main: enters the sandbox, reads, writes. Does not return once the arguments are right. */
int extract_program(int argc, char **argv, format_finder find,
                    const struct program_options *options);

#endif
