/*
 * passages.h - what was found, made ready to answer from; for src/orchestrator/ alone
 *
 * Threads: any; no state. Texts that are new live in the arena.
 */
#ifndef PARLEY_ORCHESTRATOR_PASSAGES_H
#define PARLEY_ORCHESTRATOR_PASSAGES_H

#include "index/index.h"

/* Neighbours of one document, under one heading, become one passage. */
void passages_join(struct index_result *result, struct arena *arena);

/* The question with the documents' own words in place of what the organization says is the same
 * (index_query.synonyms) or is spelled otherwise (index_result.spellings), where the first passages
 * have those alone. */
struct str passages_reword(struct str question, struct str synonyms,
                           const struct index_result *result, struct arena *arena);

#endif
