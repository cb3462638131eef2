/*
 * embedded.h - files compiled into the binary: SQL, prompts, web files
 *
 * tools/embed.py turns files into a table, ended by a row whose name is NULL. Data is followed by a
 * NUL that size does not count. Threads: frozen.
 */
#ifndef PARLEY_BASE_EMBEDDED_H
#define PARLEY_BASE_EMBEDDED_H

#include "base/str.h"

struct embedded_file {
    const char *name; /* file name, or path below the folder that was embedded */
    const unsigned char *data;
    size_t size;
};

/* The view without pointer when the table has no such name. */
static inline struct str
embedded_find(const struct embedded_file *table, struct str name)
{
    for (; table->name != NULL; table++)
        if (str_eq_c(name, table->name))
            return str_of((const char *)table->data, table->size);
    return STR_EMPTY;
}

#endif
