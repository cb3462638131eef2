/*
 * embed_conformance.h - what every driver of sentence vectors must do; run by the tests of each of
 * them
 *
 * Asserts through cmocka. The embedder must be one that answers: a failing one is set to recover.
 */
#ifndef PARLEY_EMBED_EMBED_CONFORMANCE_H
#define PARLEY_EMBED_EMBED_CONFORMANCE_H

#include "embed/embed.h"

/* Opens embedders of the configuration again and again. Blocks for some calls' time. */
void embed_conformance_run(const struct embed_env *env, const json_t *config);

#endif
