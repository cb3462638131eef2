/*
 * model.h - chat models behind one call; a chain that falls back; a breaker each
 *
 *   request -> model_chain: first model whose breaker is closed -> stream of text -> reply
 *                 | fails before its first text (passing or permanent)
 *                 '-> next model ... -> extractive, which needs no server and cannot be away
 *
 * A request carries both what a language model needs (messages) and what the extractive answerer
 * needs (question, passages). A reply is never taken as truth: the orchestrator checks it.
 * Threads: shared. Blocks: model_chain_complete, up to its deadline.
 */
#ifndef PARLEY_MODEL_MODEL_H
#define PARLEY_MODEL_MODEL_H

#include <jansson.h>

#include "base/arena.h"
#include "base/clock.h"
#include "net/http_client.h"

struct model;
struct model_driver;
struct model_chain;

struct model_env {
    struct http_client *http;
    struct clock *clock;
};

enum model_role { MODEL_SYSTEM, MODEL_USER, MODEL_ASSISTANT };

struct model_message {
    enum model_role role;
    struct str text;
};

/* A numbered passage: [1] is passages[0]. Data, never instructions. */
struct model_passage {
    struct str title, heading_path, text;
    double score;
};

struct model_request {
    const struct model_message *messages; /* prompt, history, question: ready to send */
    size_t message_count;
    struct str question; /* the customer's words (made whole), for extractive */
    struct str language; /* of the answer, "" unknown */
    const struct model_passage *passages;
    size_t passage_count;
    double confidence;          /* of the passages, 0..1, from the index */
    double min_confidence;      /* below it the honest answer is "not in the documents" */
    unsigned max_output_tokens; /* 0: the model's setting */
    unsigned deadline_ms;
};

/* Text as it is made. Returning false stops the model: the reply ends with MODEL_FINISH_STOPPED. */
typedef bool (*model_on_text)(struct str piece, void *context);

enum model_finish {
    MODEL_FINISH_STOP,
    MODEL_FINISH_LENGTH,
    MODEL_FINISH_FILTER,
    MODEL_FINISH_STOPPED
};

struct model_reply {
    struct str text; /* in the arena; cites passages as [1], [2] */
    enum model_finish finish;
    bool no_answer;        /* the model says that the passages do not hold the answer */
    struct str model_name; /* which of the chain answered: in logs, metrics, message metadata */
    int64_t prompt_tokens, completion_tokens; /* -1: not told */
    unsigned latency_ms, first_text_ms;
};

/* --- one model --- */

/* config: JSON object {"driver": "openai_chat", "base_url", "model", "api_key", ...} as in
 * docs/contracts/model.md; unknown keys are ST_INVALID. */
MUST_USE enum status model_open(const struct model_env *env, const json_t *config,
                                struct model **model_out, struct err *err);
void model_close(struct model **model);
/* ST_BUSY, ST_UNAVAILABLE, ST_UNCERTAIN: another try may help. ST_DENIED: key refused.
 * ST_TOO_LARGE: the prompt is too long. ST_INVALID: refused for another reason. on_text may be
 * NULL. When text was given to on_text already, a failure is not hidden: the caller decides. */
MUST_USE enum status model_complete(struct model *model, const struct model_request *request,
                                    model_on_text on_text, void *context, struct arena *arena,
                                    struct model_reply *reply_out, struct err *err);

/* --- chain --- */

/* configs: JSON array of model configs; extractive is appended when it is not the last. An empty
 * array is extractive alone. */
MUST_USE enum status model_chain_open(const struct model_env *env, const json_t *configs,
                                      struct model_chain **chain_out, struct err *err);
void model_chain_close(struct model_chain **chain);
/* Its answers may take seconds, piece by piece. False: extractive is first, whose answers come at
 * once. */
bool model_chain_streams(const struct model_chain *chain);
/* restart (may be NULL) is called when a model fails after it gave text: what was streamed is void.
 */
MUST_USE enum status model_chain_complete(struct model_chain *chain,
                                          const struct model_request *request,
                                          model_on_text on_text, void (*restart)(void *context),
                                          void *context, struct arena *arena,
                                          struct model_reply *reply_out, struct err *err);

#endif
