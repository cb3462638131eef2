/*
 * virus_scan.h - bytes shown to a virus scanner as they come: ClamAV's INSTREAM
 *
 *   begin -> write ... -> end --> clean | infected, with the signature's name
 *                     '-> abort
 *
 * Protocol: clamd(8), "zINSTREAM\0", then pieces with their length as four bytes in network order,
 * a piece of length 0 at the end, one answer that ends with a zero byte. Threads: a scan belongs to
 * one thread. Blocks: every function but abort, at most until the deadline that begin was given.
 */
#ifndef PARLEY_NET_VIRUS_SCAN_H
#define PARLEY_NET_VIRUS_SCAN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#define VIRUS_NAME_MAX_LEN 120

struct virus_scan;

struct virus_verdict {
    bool is_infected;
    char name[VIRUS_NAME_MAX_LEN + 1]; /* of an infected one: printable ASCII */
};

/* "host:port", "[::1]:port", or "/path" of a socket: ST_INVALID when address is none of them.
 * ST_UNAVAILABLE: nobody is there. */
MUST_USE enum status virus_scan_check_address(struct str address, struct err *err);
MUST_USE enum status virus_scan_begin(struct str address, unsigned deadline_ms,
                                      struct virus_scan **scan_out, struct err *err);
/* ST_TOO_LARGE: more than the scanner takes. ST_UNAVAILABLE: it went away. */
MUST_USE enum status virus_scan_write(struct virus_scan *scan, struct str bytes, struct err *err);
/* Ends the scan in any case. ST_UNAVAILABLE also for answers that are neither: nothing counts as
 * clean that was not called so. */
MUST_USE enum status virus_scan_end(struct virus_scan **scan, struct virus_verdict *verdict_out,
                                    struct err *err);
void virus_scan_abort(struct virus_scan **scan); /* accepts NULL */
/* All of it at once. */
MUST_USE enum status virus_scan_bytes(struct str address, unsigned deadline_ms, struct str bytes,
                                      struct virus_verdict *verdict_out, struct err *err);

#endif
