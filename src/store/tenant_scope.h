/*
 * tenant_scope.h - evidence that acting for one organization was allowed
 *
 * Opaque. Made only by src/tenant/admission.c, after a signature, a credential or a lease was
 * checked; every transaction, index, cache and subscription is opened with one. Frozen after it is
 * made: any thread may read it. Lives in the arena of the request or job that was admitted.
 */
#ifndef PARLEY_STORE_TENANT_SCOPE_H
#define PARLEY_STORE_TENANT_SCOPE_H

#include "base/arena.h"
#include "base/id.h"

struct tenant_scope;

struct organization_id tenant_scope_organization(const struct tenant_scope *scope);
/* A copy in another arena: for what outlives the request (an event stream, a cache entry). */
const struct tenant_scope *tenant_scope_copy_to(const struct tenant_scope *scope,
                                                struct arena *arena);

#endif
