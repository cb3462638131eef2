/*
 * dataset.h - questions with what is known of their answers: docs/contracts/evaluation.md
 *
 * One JSON object a line, or a JSON array of them:
 *
 *   {"id", "question", "history": [{"role": "user" | "assistant", "text"}], "staff": false,
 *    "answerable": true | false | null, "relevant": ["prices.md", {"document", "heading", "page",
 *    "text", "grade"}], "answers": ["19 €"], "reference": "..."}
 *
 * Only "question" is needed. A labelled retrieval set of BEIR's shape (beir.h) is read as the same
 * questions. Threads: one per dataset. Blocks: reading files.
 */
#ifndef PARLEY_EVAL_DATASET_H
#define PARLEY_EVAL_DATASET_H

#include "conversation/conversation.h"
#include "text/json.h"

#define EVAL_MAX_QUESTIONS 100000
#define EVAL_MAX_QUESTION_BYTES 4000
#define EVAL_MAX_HISTORY 64
#define EVAL_MAX_GOLD 1000
#define EVAL_MAX_ANSWERS 64

/* What answers the question. A passage is it when all that is said here holds of it. */
struct eval_gold {
    struct str document; /* its name, its title, or the last part of its path; "": any */
    struct str heading;  /* part of the heading path; "": any */
    struct str text;     /* words that the passage holds; "": any */
    int64_t page;        /* 0: any */
    double grade;        /* above 0; 1 unless the set says more */
};

enum eval_answerable { EVAL_ANSWERABLE, EVAL_UNANSWERABLE, EVAL_UNKNOWN };

struct eval_question {
    struct str id, text, reference;
    struct message *history; /* role and body are set */
    size_t history_count;
    struct eval_gold *gold;
    size_t gold_count;
    struct str *answers; /* one of them stands in a right answer */
    size_t answer_count;
    enum eval_answerable answerable;
    bool staff;
};

struct eval_dataset {
    struct eval_question *questions; /* all in the arena of the call */
    size_t count;
};

/* ST_INVALID names the line, or the entry, and what is wrong with it. ST_TOO_LARGE. */
MUST_USE enum status eval_dataset_parse(struct str text, struct arena *arena,
                                        struct eval_dataset *dataset_out, struct err *err);
/* The same of a JSON array of objects. */
MUST_USE enum status eval_dataset_read(const json_t *list, struct arena *arena,
                                       struct eval_dataset *dataset_out, struct err *err);
/* One question in the form above; a new reference. */
json_t *eval_question_json(const struct eval_question *question);

struct beir_set;
/* Questions of a retrieval set, as it has them: "history" [{"speaker", "text"}], "answerable" or
 * "answerability", "answer". Documents are named by their ids. Queries that nothing is known of are
 * left out. */
MUST_USE enum status eval_dataset_from_beir(const struct beir_set *set, struct arena *arena,
                                            struct eval_dataset *dataset_out, struct err *err);

#endif
