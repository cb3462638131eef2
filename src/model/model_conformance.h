/*
 * model_conformance.h - what every model driver must do; run by the tests of each of them
 *
 * Asserts through cmocka. The model must be one that answers: a failing model is set to recover.
 */
#ifndef PARLEY_MODEL_MODEL_CONFORMANCE_H
#define PARLEY_MODEL_MODEL_CONFORMANCE_H

#include "model/model.h"

/* Opens models of the configuration again and again. Blocks for some calls' time. */
void model_conformance_run(const struct model_env *env, const json_t *config);

#endif
