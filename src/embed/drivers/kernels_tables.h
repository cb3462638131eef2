/*
 * kernels_tables.h - the variants that kernels.c chooses from; which of them exist depends on the
 * build
 */
#ifndef PARLEY_EMBED_DRIVERS_KERNELS_TABLES_H
#define PARLEY_EMBED_DRIVERS_KERNELS_TABLES_H

#include "embed/drivers/kernels.h"

extern const struct kernels kernels_generic;
/* Only where PARLEY_X86_KERNELS is defined. */
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;

#endif
