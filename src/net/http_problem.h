/*
 * http_problem.h - errors as application/problem+json (RFC 9457), with status and Retry-After
 */
#ifndef PARLEY_NET_HTTP_PROBLEM_H
#define PARLEY_NET_HTTP_PROBLEM_H

#include "net/http_server.h"

/* INVALID 400, DENIED 401, NOT_FOUND 404, CONFLICT 409, TOO_LARGE 413, BUSY 429, UNAVAILABLE and
 * UNCERTAIN 503, INTERNAL 500. */
int http_status_of(enum status code);

/* Answers with err->public_text; ST_BUSY and ST_UNAVAILABLE carry Retry-After (at least 1 s). Logs
 * ST_INTERNAL and ST_UNCERTAIN as our fault, since whoever answers has handled the error. */
void http_respond_err(const struct http_request *req, struct http_response *resp,
                      const struct err *err);
/* The same with a status that no code means: 403, 405, 415 ... */
void http_respond_err_status(const struct http_request *req, struct http_response *resp,
                             int http_status, const struct err *err);

#endif
