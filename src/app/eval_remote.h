/*
 * eval_remote.h - an evaluation on a running server, by its API
 */
#ifndef PARLEY_APP_EVAL_REMOTE_H
#define PARLEY_APP_EVAL_REMOTE_H

#include "app/cmd_common.h"
#include "eval/dataset.h"

struct eval_remote_spec {
    const char *url, *key;
    struct str set_name, run_name;
    const struct eval_dataset *dataset; /* put into the set first; NULL: the set is there already */
    const json_t *persona;              /* NULL: the brand's own */
    bool with_drafts;
};

/* Returns when the run is done; results_out: a new reference. An exit code; what went wrong was
 * printed. */
int eval_remote_run(const struct eval_remote_spec *spec, json_t **results_out);

#endif
