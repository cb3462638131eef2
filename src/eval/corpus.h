/*
 * corpus.h - a labelled set's documents put into an organization that has no others
 *
 * Each document is one passage, as the set's judgements have it; its name is the set's id of it.
 * Threads: any. Blocks: on store and encoder.
 */
#ifndef PARLEY_EVAL_CORPUS_H
#define PARLEY_EVAL_CORPUS_H

#include "eval/ask.h"
#include "eval/beir.h"

struct eval_corpus {
    struct store *store;
    const struct tenant_scope *scope;
    struct embedder *embedder;                                     /* NULL: found by words alone */
    void (*on_progress)(size_t done, size_t total, void *context); /* may be NULL */
    void *context;
};

/* The asker learns the documents' names. */
MUST_USE enum status eval_corpus_put(const struct eval_corpus *corpus, const struct beir_set *set,
                                     struct eval_asker *asker, struct err *err);

#endif
