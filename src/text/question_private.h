/*
 * question_private.h - the table behind text_question
 */
#ifndef PARLEY_TEXT_QUESTION_PRIVATE_H
#define PARLEY_TEXT_QUESTION_PRIVATE_H

#include "text/text_private.h"

struct question_row {
    const char *language;
    /* A side of a subject, such as its price, and no subject of its own. */
    bool is_aspect;
    const char *asks;  /* words and phrases of questions alone, or NULL */
    const char *words; /* that passages may have */
};
extern const struct question_row question_rows[];
extern const size_t question_row_count;

struct question_weak_row {
    const char *language;
    const char *words;
};
extern const struct question_weak_row question_weak_rows[];
extern const size_t question_weak_row_count;

#endif
