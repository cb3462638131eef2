/*
 * evaluations_private.h - inside of stored evaluations; for src/eval/ alone
 */
#ifndef PARLEY_EVAL_EVALUATIONS_PRIVATE_H
#define PARLEY_EVAL_EVALUATIONS_PRIVATE_H

#include <stdatomic.h>

#include "eval/evaluations.h"

struct evaluations {
    struct evaluations_config config;
    struct queue_workers *workers;
    atomic_bool stopping;
};

/* evaluation_job.c: for queue_workers_start. */
enum status evaluation_run_job(struct lease *lease, void *evaluations, struct err *err);
enum status evaluation_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                               void *evaluations, struct err *err);
/* The rows of a run as a JSON array. */
enum status evaluation_rows_read(struct store_tx *tx, struct evaluation_id id, json_t **rows_out,
                                 struct err *err);

#endif
