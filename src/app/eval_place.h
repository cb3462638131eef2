/*
 * eval_place.h - where questions are asked: an organization that is there, or one made for the run
 */
#ifndef PARLEY_APP_EVAL_PLACE_H
#define PARLEY_APP_EVAL_PLACE_H

#include "app/cmd_common.h"
#include "eval/ask.h"
#include "eval/beir.h"

struct eval_place {
    struct session session;
    struct eval_asker asker;
    struct beir_set set; /* of a folder with a corpus; arena NULL: none */
    char folder[64];     /* of an organization of its own; "": the caller's */
};

/* The organization in the data folder (slug, or NULL: the only one). Returns an exit code, having
 * printed what went wrong; close in any case. */
int eval_place_open(const struct options *options, const char *organization,
                    struct eval_place *place_out);
/* One in a temporary folder, which close removes, with the documents of a folder. The settings are
 * those of options, but for where data is. */
int eval_place_make(const struct options *options, const char *documents,
                    struct eval_place *place_out);
/* The same with the corpus of a labelled retrieval set, which is read into set. */
int eval_place_make_set(const struct options *options, const char *folder,
                        struct eval_place *place_out);
void eval_place_close(struct eval_place *place);

#endif
