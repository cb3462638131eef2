/*
 * kernels_generic.c - vectors of 16 bytes, which every 64-bit processor has
 */
#define KERNEL_LANES 4
#define KERNEL_ROWS 4
#define KERNEL_VECTORS 2
#define KERNEL_TILES(each) each(1) each(2) each(3) each(4)

#include "embed/drivers/kernels_body.h"
#include "embed/drivers/kernels_tables.h"

const struct kernels kernels_generic = KERNELS_TABLE("generic");
