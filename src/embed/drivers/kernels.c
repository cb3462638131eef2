/*
 * kernels.c - which kernels this processor can run
 */
#include "embed/drivers/kernels_tables.h"

#ifdef PARLEY_X86_KERNELS
static bool
has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool
has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

static bool
always(void)
{
    return true;
}

/* The best first. */
static const struct {
    const struct kernels *kernels;
    bool (*can_run)(void);
} variants[] = {
#ifdef PARLEY_X86_KERNELS
    {&kernels_avx512, has_avx512},
    {&kernels_avx2, has_avx2},
#endif
    {&kernels_generic, always},
};

const struct kernels *
kernels_best(void)
{
    size_t i = 0;

    while (!variants[i].can_run())
        i++;
    return variants[i].kernels;
}

const struct kernels *
kernels_find(struct str name)
{
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        if (str_eq_c(name, variants[i].kernels->name) && variants[i].can_run())
            return variants[i].kernels;
    }
    return NULL;
}
