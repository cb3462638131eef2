/*
 * meta_test_support.h - for the conformance suites of Meta's platforms: their signature, and
 * forgeries
 */
#ifndef PARLEY_CHANNEL_META_TEST_SUPPORT_H
#define PARLEY_CHANNEL_META_TEST_SUPPORT_H

#include "channel/channel_conformance.h"

/* For struct channel_conformance.prove. */
bool meta_test_prove(const struct channel_record *record, struct test_env *env, struct str body,
                     int forge, struct conformance_proof *proof_out);

#endif
