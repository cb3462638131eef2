/*
 * tenant_scope_driver.h - inside of a scope; only for src/store/ and src/tenant/admission.c
 */
#ifndef PARLEY_STORE_TENANT_SCOPE_DRIVER_H
#define PARLEY_STORE_TENANT_SCOPE_DRIVER_H

#include "store/tenant_scope.h"

struct tenant_scope {
    struct organization_id organization_id;
    const char *admitted_by; /* "key", "webhook", "link", "lease", "operator": for logs */
};

#endif
