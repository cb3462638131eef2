/*
 * safetensors.h - reads the published form of weights: a JSON table of names, then the numbers
 *
 * Layout: 8 bytes length of the table (little-endian), the table {"name": {"dtype", "shape",
 * "data_offsets": [begin, end]}}, the data. Only float32 is read here. Source of the rules: the
 * format's own documentation. Threads: one at a time.
 */
#ifndef PARLEY_EMBED_DRIVERS_SAFETENSORS_H
#define PARLEY_EMBED_DRIVERS_SAFETENSORS_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct safetensors {
    struct str bytes; /* borrowed */
    json_t *table;
    size_t data_start;
};

/* ST_INVALID: not of this form. */
MUST_USE enum status safetensors_open(struct str bytes, struct safetensors *tensors_out,
                                      struct err *err);
void safetensors_close(struct safetensors *tensors); /* accepts one whose open failed */

/* rows * columns numbers, aligned as in the file: copy them out. columns 0: a list of rows numbers.
 * ST_INVALID: absent, of another type or shape, outside the data, or with a number that is none. */
MUST_USE enum status safetensors_get(const struct safetensors *tensors, const char *name,
                                     size_t rows, size_t columns, const char **numbers_out,
                                     struct err *err);
/* The sizes of a tensor: columns 0 for a list. ST_INVALID when absent or with more than two. */
MUST_USE enum status safetensors_shape(const struct safetensors *tensors, const char *name,
                                       size_t *rows_out, size_t *columns_out, struct err *err);
bool safetensors_has(const struct safetensors *tensors, const char *name);

#endif
