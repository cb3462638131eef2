/*
 * sandbox.h - what a process gives up before it reads a byte from outside
 *
 * Afterwards it can read descriptor 0, write descriptor 1, use and free memory, and end. Every
 * other system call kills the process. Opening, connecting, forking and executing are refused three
 * times: by the filter, by limits, and, where the system permits it, by an empty user and network
 * namespace. Whatever a library loads lazily must be loaded before. Threads: call from the only
 * one.
 */
#ifndef PARLEY_EXTRACT_SANDBOX_H
#define PARLEY_EXTRACT_SANDBOX_H

#include "base/err.h"
#include "base/str.h"

struct sandbox_limits {
    uint64_t memory_bytes; /* of address space; not enforced under AddressSanitizer */
    uint64_t cpu_seconds;  /* SIGXCPU after it */
    /* Opening a file, and writing to descriptor 2, fails instead of ending the process: for
     * libraries that look for files which they can do without, or complain. */
    bool files_fail;
};

/* ST_UNAVAILABLE: the system refused; nothing from outside may be read then. */
MUST_USE enum status sandbox_enter(const struct sandbox_limits *limits, struct err *err);

/* False under AddressSanitizer, which reserves more address space than any limit. */
bool sandbox_limits_memory(void);

#endif
