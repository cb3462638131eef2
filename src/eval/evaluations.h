/*
 * evaluations.h - an organization's own question sets, and runs of them as jobs
 *
 *   set --start--> QUEUED + job -> RUNNING: a row a question, each in its own commit
 *                                    |-- all asked --one commit--> DONE with figures
 *                                    '-- job dead ----------------> FAILED with a sentence
 *
 * A run asks the questions that the set had when it was begun, with the brand's persona or with one
 * that is not published yet, of the documents as they are or as they will be with all drafts
 * published (knowledge.h). It goes on where it was after a crash, and gives way to others every
 * few minutes. Of a set's runs the newest EVALUATION_RUNS_KEPT stay. Another organization's id is
 * ST_NOT_FOUND. Threads: shared. Blocks: every function, on the store; the job on model and
 * encoder.
 */
#ifndef PARLEY_EVAL_EVALUATIONS_H
#define PARLEY_EVAL_EVALUATIONS_H

#include "knowledge/knowledge.h"
#include "model/model.h"
#include "orchestrator/orchestrator.h"
#include "queue/queue.h"

#define EVALUATION_MAX_QUESTIONS 2000
#define EVALUATION_MAX_BYTES ((size_t)4 << 20) /* of a set, as JSON */
#define EVALUATION_NAME_MAX_BYTES 200
#define EVALUATION_MAX_SETS 200
#define EVALUATION_RUNS_KEPT 50

struct evaluations;

struct evaluations_config {
    struct store *store;
    struct queue *queue;
    struct orchestrator *orchestrator;
    struct knowledge *knowledge;
    struct model_chain *models; /* that judges; NULL: no language model */
    struct embedder *embedder;  /* NULL: none */
    struct clock *clock;
};

void evaluations_open(const struct evaluations_config *config,
                      struct evaluations **evaluations_out);
MUST_USE enum status evaluations_start(struct evaluations *evaluations, struct err *err);
/* A run that is under way stops after the question it is at, and goes on later. */
void evaluations_stop(struct evaluations *evaluations, int64_t deadline_ms);
void evaluations_close(struct evaluations **evaluations); /* accepts NULL */

/* --- sets --- */

struct evaluation_set {
    struct evaluation_set_id id;
    struct str name;
    struct str questions; /* JSON array; NULL in lists */
    int64_t question_count, created_at_us, updated_at_us;
};

/* Makes the set of that name, or puts other questions into it. ST_INVALID names the question that
 * is wrong, ST_TOO_LARGE. ST_CONFLICT: there are EVALUATION_MAX_SETS. */
MUST_USE enum status evaluation_set_put(struct evaluations *evaluations,
                                        const struct tenant_scope *scope, struct str name,
                                        const json_t *questions, struct arena *arena,
                                        struct evaluation_set *set_out, struct err *err);
/* ST_NOT_FOUND */
MUST_USE enum status evaluation_set_get(struct evaluations *evaluations,
                                        const struct tenant_scope *scope,
                                        struct evaluation_set_id id, struct arena *arena,
                                        struct evaluation_set *set_out, struct err *err);
/* All, by name. */
MUST_USE enum status evaluation_set_list(struct evaluations *evaluations,
                                         const struct tenant_scope *scope, struct arena *arena,
                                         struct evaluation_set **sets_out, size_t *count_out,
                                         struct err *err);
/* With all its runs. ST_NOT_FOUND. */
MUST_USE enum status evaluation_set_delete(struct evaluations *evaluations,
                                           const struct tenant_scope *scope,
                                           struct evaluation_set_id id, struct err *err);

/* --- runs --- */

struct evaluation {
    struct evaluation_id id;
    struct evaluation_set_id set_id;
    struct str name, status; /* queued | running | done | failed */
    bool has_persona;        /* asked with a draft of its own */
    bool with_drafts;        /* as if drafts of documents were published */
    struct str figures;      /* JSON, of done: results.h; else NULL */
    struct str error;        /* of failed; else NULL */
    int64_t question_count, done_count, created_at_us, finished_at_us;
};

struct evaluation_spec {
    struct evaluation_set_id set_id;
    struct str name;    /* empty: the set's */
    struct str persona; /* JSON text, checked by the caller; NULL ptr: the brand's */
    bool with_drafts;
};
/* ST_NOT_FOUND: no such set. */
MUST_USE enum status evaluation_start(struct evaluations *evaluations,
                                      const struct tenant_scope *scope,
                                      const struct evaluation_spec *spec, struct arena *arena,
                                      struct evaluation *evaluation_out, struct err *err);
/* ST_NOT_FOUND */
MUST_USE enum status evaluation_get(struct evaluations *evaluations,
                                    const struct tenant_scope *scope, struct evaluation_id id,
                                    struct arena *arena, struct evaluation *evaluation_out,
                                    struct err *err);
/* Newest first; set_id none: of all sets; before none: from the newest. */
MUST_USE enum status evaluation_list(struct evaluations *evaluations,
                                     const struct tenant_scope *scope,
                                     struct evaluation_set_id set_id, struct evaluation_id before,
                                     size_t limit, struct arena *arena,
                                     struct evaluation **evaluations_out, size_t *count_out,
                                     struct err *err);
/* The whole run as results.h has it; a new reference. ST_CONFLICT: it is not done. ST_NOT_FOUND. */
MUST_USE enum status evaluation_results(struct evaluations *evaluations,
                                        const struct tenant_scope *scope, struct evaluation_id id,
                                        struct arena *arena, json_t **results_out, struct err *err);
/* Also one that runs. ST_NOT_FOUND. */
MUST_USE enum status evaluation_delete(struct evaluations *evaluations,
                                       const struct tenant_scope *scope, struct evaluation_id id,
                                       struct err *err);

#endif
