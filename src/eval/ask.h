/*
 * ask.h - a question put to the product as customers put it, and what came of it as one row
 *
 * A row is what is stored, reported and compared (docs/contracts/evaluation.md):
 *   {"id", "question", "answerable", "kind", "confidence", "answer", "model", "judge",
 *    "retrieve_ms", "model_ms", "passages": [{"document", "title", "heading", "page", "start",
 *    "end", "score", "quote", "relevant"}], "held", "right", "relevant": how many there are,
 *    "first_relevant", "ndcg_10", "recall_5", "recall_10", "context_precision", "context_recall",
 *    "faithfulness", "answer_relevancy"}
 * What could not be measured is left out. Threads: an asker has one. Blocks: on store, model and
 * encoder.
 */
#ifndef PARLEY_EVAL_ASK_H
#define PARLEY_EVAL_ASK_H

#include "base/map.h"
#include "eval/judge.h"
#include "knowledge/knowledge.h"
#include "orchestrator/orchestrator.h"

#define EVAL_DEPTH 10 /* passages that are looked at */

struct eval_asker {
    struct orchestrator *orchestrator;
    struct knowledge *knowledge; /* tells documents' names; NULL: all are in names */
    const struct tenant_scope *scope;
    struct eval_judge judge;
    const json_t *persona; /* a draft instead of the brand's; NULL: none */
    bool with_drafts;      /* of documents, in place of what they are to replace */
    struct map names;      /* source id -> struct str of arena */
    struct arena *arena;   /* of the names */
};

/* The rest is the caller's to set. */
void eval_asker_init(struct eval_asker *asker);
void eval_asker_deinit(struct eval_asker *asker);
/* A document's name as the set has it. */
MUST_USE enum status eval_asker_name(struct eval_asker *asker, struct source_id id, struct str name,
                                     struct err *err);

/* row_out: a new reference. A judging model that fails is logged, and the question judged without
 * one. */
MUST_USE enum status eval_ask(struct eval_asker *asker, const struct eval_question *question,
                              struct arena *arena, json_t **row_out, struct err *err);

#endif
