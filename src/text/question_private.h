/*
 * question_private.h - the table behind text_question
 */
#ifndef PARLEY_TEXT_QUESTION_PRIVATE_H
#define PARLEY_TEXT_QUESTION_PRIVATE_H

#include "text/text_private.h"

struct question_row {
    const char *language;
    enum question_part {
        SUBJECT,
        SIDE,    /* of a subject, such as its price */
        OWN_SIDE /* of the organization itself, such as its address: a subject where none is named
                  */
    } part;
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
extern const struct question_weak_row question_common_rows[];
extern const size_t question_common_row_count;
/* What a customer calls the organization: "your shop". */
extern const struct question_weak_row question_name_rows[];
extern const size_t question_name_row_count;

#endif
