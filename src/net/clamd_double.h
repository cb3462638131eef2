/*
 * clamd_double.h - for tests: a server that speaks clamd's INSTREAM, and knows one signature
 *
 * Finds EICAR's name in what it is shown. Takes at most max_bytes a stream. A client that breaks
 * the protocol fails the test when the double is stopped. Threads: the double has one of its own.
 */
#ifndef PARLEY_NET_CLAMD_DOUBLE_H
#define PARLEY_NET_CLAMD_DOUBLE_H

#include <stddef.h>

struct clamd_double;

struct clamd_double *clamd_double_start(size_t max_bytes);
void clamd_double_stop(struct clamd_double **clamd);
unsigned clamd_double_port(const struct clamd_double *clamd);
/* What it says from now on, whatever it is shown; NULL: it hangs up without a word. text lives as
 * long as the double. */
void clamd_double_say(struct clamd_double *clamd, const char *text);
/* Verdicts again. */
void clamd_double_be_honest(struct clamd_double *clamd);

#endif
