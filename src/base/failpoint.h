/*
 * failpoint.h - named places where a test makes the process die or a call fail
 *
 * FAILPOINT("gateway.committed") does nothing unless PARLEY_FAILPOINTS names it:
 *   name=crash            SIGKILL at the first pass
 *   name=crash:7          at the seventh pass
 *   name=crash%3          at each pass with a chance of 1 in 3
 *   name=stop:7           SIGSTOP at the seventh pass: all of the process, until SIGCONT comes
 *   name=error:N          FAILPOINT_ERROR returns ST_UNAVAILABLE at pass N and after
 *   clock=/path           the wall clock is off by the microseconds in that file (an int64_t as the
 *                         machine writes it), looked up whenever it is read
 * several separated by commas. Built only with -Dfailpoints=true (debug builds); in release builds
 * both macros vanish. The list of all names is what `parley config --failpoints` prints, from the
 * table in failpoint.c that FAILPOINT checks against: an unlisted name aborts. Threads: shared.
 */
#ifndef PARLEY_BASE_FAILPOINT_H
#define PARLEY_BASE_FAILPOINT_H

#include <stdint.h>

#include "base/err.h"

#ifdef PARLEY_WITH_FAILPOINTS
void failpoint_pass(const char *name);
MUST_USE enum status failpoint_error(const char *name, struct err *err);
/* For tests in one process: what PARLEY_FAILPOINTS would say, from now on. ST_INVALID. */
MUST_USE enum status failpoint_configure(const char *spec, struct err *err);
/* By how much the wall clock is off. */
int64_t failpoint_clock_us(void);
#define FAILPOINT_CLOCK_US() failpoint_clock_us()
#define FAILPOINT(name) failpoint_pass(name)
#define FAILPOINT_ERROR(name, err) failpoint_error((name), (err))
#else
#define FAILPOINT_CLOCK_US() INT64_C(0)
#define FAILPOINT(name) ((void)0)
#define FAILPOINT_ERROR(name, err) ((void)(err), ST_OK)
#endif

/* Every known name, ended by NULL. */
const char *const *failpoint_names(void);

#endif
