/*
 * beir.h - a labelled retrieval set of BEIR's shape, read whole
 *
 *   FOLDER/corpus.jsonl  {_id, title, text}   FOLDER/queries.jsonl  {_id, text, ...}
 *   FOLDER/qrels.tsv     query-id, corpus-id, score
 */
#ifndef PARLEY_EVAL_BEIR_H
#define PARLEY_EVAL_BEIR_H

#include "text/json.h"

struct beir_document {
    struct str id, title, text;
};

struct beir_query {
    struct str id, text;
    json_t *json; /* the whole line: history, answerability, ... */
    /* What answers it; none: the set does not say. */
    size_t *relevant; /* indexes into documents */
    double *grades;
    size_t relevant_count;
};

struct beir_set {
    struct arena *arena;
    json_t **lines; /* owned; the strings are borrowed from them */
    size_t line_count;
    struct beir_document *documents;
    size_t document_count;
    struct beir_query *queries;
    size_t query_count;
};

/* ST_NOT_FOUND: no such folder or file. */
MUST_USE enum status beir_load(const char *folder, struct beir_set *set_out, struct err *err);
void beir_free(struct beir_set *set);
/* How relevant a document (its index) is; 0: not. */
double beir_grade(const struct beir_query *query, size_t document);

#endif
