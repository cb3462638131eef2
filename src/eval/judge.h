/*
 * judge.h - is the answer borne by the passages, to the point, and did they hold what was needed?
 *
 * The four figures as RAGAS defines them (docs.ragas.io, "Available Metrics"):
 *   faithfulness       claims of the answer that the passages support / all its claims
 *   context recall     claims of the reference that the passages support / all its claims
 *   context precision  mean of precision@k over the ranks k whose passage is useful
 *   answer relevancy   mean cosine of the question and of questions made from the answer; an answer
 *                      that says nothing has 0
 * With a language model claims, support and questions are the model's word. With the sentence
 * encoder alone a claim is a sentence; it is supported when a passage has it word for word, or has
 * a sentence near enough and all of its numbers; the answer itself stands for the questions made of
 * it. Where a set has no reference, recall is the share of its relevant passages that was found
 * (RAGAS: without a model), or whether a passage has the words of a right answer. Without either,
 * words are counted instead, and relevancy is not measured. Threads: any; a judge is shared.
 * Blocks: on the model and the encoder.
 */
#ifndef PARLEY_EVAL_JUDGE_H
#define PARLEY_EVAL_JUDGE_H

#include "embed/embed.h"
#include "eval/dataset.h"
#include "model/model.h"

struct eval_judge {
    struct model_chain *models; /* NULL: no language model */
    struct embedder *embedder;  /* NULL: none */
    unsigned deadline_ms;       /* of a call */
};

struct eval_passage {
    struct str title, heading, text;
};

#define EVAL_NOT_MEASURED (-1.0)

/* What is judged. */
struct eval_case {
    const struct eval_question *question;
    const struct eval_passage *passages; /* as ranked */
    size_t passage_count;
    const bool *relevant; /* of each passage, by the set's own word; NULL: it does not say */
    double found;         /* share of all that is relevant that these passages bring; likewise */
    struct str answer;    /* "" when nothing was answered */
};

struct eval_verdict {
    double context_precision, context_recall, faithfulness, relevancy; /* or EVAL_NOT_MEASURED */
    struct str judge; /* the model's name, "encoder" or "words" */
};

/* A model that fails, or answers otherwise than asked, is an error: the caller may judge again with
 * models = NULL. */
MUST_USE enum status eval_judge_case(const struct eval_judge *judge, const struct eval_case *one,
                                     struct arena *arena, struct eval_verdict *verdict_out,
                                     struct err *err);

/* Lower case, one space for any white space, plain apostrophes: what is compared word for word. */
struct str eval_plain(struct str text, struct arena *arena);
/* Without [1]. */
struct str eval_without_citations(struct str text, struct arena *arena);

#endif
