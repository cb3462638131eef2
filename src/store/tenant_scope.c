/*
 * tenant_scope.c - reading and copying a scope; making one is src/tenant/admission.c's alone
 */
#include "store/tenant_scope_driver.h"

struct organization_id
tenant_scope_organization(const struct tenant_scope *scope)
{
    return scope->organization_id;
}

const struct tenant_scope *
tenant_scope_copy_to(const struct tenant_scope *scope, struct arena *arena)
{
    struct tenant_scope *copy = ARENA_NEW(arena, struct tenant_scope);

    *copy = *scope;
    return copy;
}
