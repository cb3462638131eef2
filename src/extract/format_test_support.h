/*
 * format_test_support.h - what tests of readers share: a document's frames as lines to compare
 */
#ifndef PARLEY_EXTRACT_FORMAT_TEST_SUPPORT_H
#define PARLEY_EXTRACT_FORMAT_TEST_SUPPORT_H

#include "base/testing.h"

#include "extract/format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MB ((size_t)1024 * 1024)

struct sample {
    const char *name, *input, *want;
};

/* Frames, one a line: kind, level where not 0, text with its line ends as "\n", tabs as "|". */
void print_frames(struct str bytes, struct buf *out);
enum status read_document(const char *content_type, struct str bytes, size_t max_memory,
                          size_t max_output, struct buf *printed, struct err *err);
void check_document(const char *name, const char *content_type, struct str bytes, const char *want);
void check_samples(const char *content_type, const struct sample *samples, size_t count);

#endif
