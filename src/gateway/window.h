/*
 * window.h - the 24 hours in which a provider lets us answer freely; for src/gateway/ alone
 *
 *   the person wrote within 24 hours --> the text
 *   longer ago, or never             --> settings.window_template, else nothing may be sent
 *
 * A parameter "{text}" of the template becomes the message's own text, on one line. A message that
 * brings a template of its own is sent at any time. Threads: any worker. Blocks: on the store.
 */
#ifndef PARLEY_GATEWAY_WINDOW_H
#define PARLEY_GATEWAY_WINDOW_H

#include "gateway/gateway_private.h"

enum window_verdict { WINDOW_OPEN, WINDOW_TEMPLATE, WINDOW_CLOSED };

/* template_out: of WINDOW_TEMPLATE, the caller's; else NULL. */
MUST_USE enum status window_check(struct gateway *gateway, const struct tenant_scope *scope,
                                  const struct channel *channel, const struct message *message,
                                  struct arena *arena, enum window_verdict *verdict_out,
                                  json_t **template_out, struct err *err);

#endif
