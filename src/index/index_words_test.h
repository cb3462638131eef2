/*
 * index_words_test.h - questions in other words than the passages, and what is found: the same on
 * every database and with an engine beside it
 */
#ifndef PARLEY_INDEX_INDEX_WORDS_TEST_H
#define PARLEY_INDEX_INDEX_WORDS_TEST_H

#include <stddef.h>

/* Chunks 1, 2, ... of one source. */
static const char *const words_passages[] = {
    "An electric bicycle has a range of ninety kilometres.", /* 1 */
    "Electric scooters stay outside of the park.",
    "The RMA number is printed on a large label at the side of each box that leaves the "
    "yard.", /* 3 */
    "Merchandise must be complete.",
    "Ask for a return merchandise authorization before anything is sent.", /* 5 */
    "The handbook lists every tool.",
    "You may check in from three o'clock.", /* 7 */
    "The e-mail address is on our card.",
    "Lockers for luggage are in the cellar.", /* 9 */
    "Our gift card is valid for two years.",
    "An ebike is stored in the shed.", /* 11 */
    "Taxis wait on the island.",
    "The lift is out of order.", /* 13 */
    "The stroller with its four large wheels rolls well on sand and snow.",
};
#define WORDS_PASSAGES (sizeof(words_passages) / sizeof(words_passages[0]))

static const struct words_case {
    const char *name, *synonyms, *question;
    int first;  /* chunk; 0: nothing is found */
    int others; /* passages that are found beside it */
} words_cases[] = {
    {"a word for a phrase", "velocipede, electric bicycle\n", "velocipedes", 1, 0},
    {"a phrase for a word", "electric bicycle, stroller\n", "electric bicycles", 1, 2},
    {"a phrase for a phrase", "draisine machine, electric bicycle\n", "a draisine machine", 1, 0},
    {"a hyphen is a phrase", "e-rad, electric bicycle\n", "What is an E-Rad?", 1, 1},
    {"of three words", "RMA, return merchandise authorization\n", "RMA label", 3, 1},
    {"asked by three words", "voucher, RMA, return merchandise authorization\n",
     "return merchandise authorizations", 5, 2},
    {"a phrase of two for an own word", "label printed, wheels\n", "printed label", 3, 0},
    {"in another order they are words", "bicycle electric, stroller\n", "electric bicycle", 1, 1},
    {"apart they are words", "electric bicycle, stroller\n", "electric range bicycle", 1, 1},
    {"across a stop word they are words", "range kilometres, stroller\n", "range of kilometres", 1,
     0},
    {"with its stop word it is the phrase", "range of kilometres, stroller\n",
     "range of kilometres", 1, 1},
    {"the longest of a group", "electric bicycle, electric, stroller\n", "electric bicycle", 1, 2},
    {"of several groups", "draisine, electric bicycle\nvelo, range of kilometres\n",
     "velo draisine", 1, 0},
    {"words of two passages are no phrase", "velocipede, label cellar\n", "velocipede", 0, 0},
    {"a comma between numbers", "5,6\nrange,velocipede\n", "velocipede", 1, 0},

    {"written as one", "", "hand book", 6, 0},
    {"written as one, with a hyphen", "", "the Hand-books", 6, 0},
    {"with another hyphen", "", "hand\u2011book", 6, 0},
    {"no joining across a comma", "", "by hand, book", 0, 0},
    {"a letter and a word", "", "e-bikes", 11, 2},
    {"a letter and a word apart", "", "an E bike", 11, 2},
    {"a stop word behind", "", "is land", 0, 0},
    {"an ending that is a word", "", "what tax is that", 0, 0},
    {"an ending that is cut off", "", "range fully", 1, 0},
    {"written as two", "", "giftcards", 10, 0},
    {"written as two, the second a stop word", "", "checkin", 7, 0},
    {"written as a letter and a word", "", "email", 8, 0},
    {"of two passages", "", "giftluggage", 0, 0},
    {"a word that is known stays", "", "electric scooters", 2, 1},
    {"an error of a letter as before", "", "handbok", 6, 0},
    {"an ending that the stemmer does not know", "", "completley", 4, 0},
    {"a stem that is short", "", "shedwards", 0, 0},
};
#define WORDS_CASES (sizeof(words_cases) / sizeof(words_cases[0]))

#endif
