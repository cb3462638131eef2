/*
 * window.h - the 24 hours in which a provider lets us answer freely; for src/gateway/ alone
 *
 *   the person wrote within 24 hours  --> the text
 *   longer ago, or never              --.
 *   refused for it, at once or later  --'--> settings.window_template takes the text's place
 *                                      '---> without one: failed, escalation "outside_window"
 *
 * The provider counts, and its word is final: nothing is tried a third time. What takes the text's
 * place is kept in the message's metadata: "template", and "window": {"closed_by", "part"}, the
 * part as which it leaves. A message that has a template, its own or that one, is sent at any time;
 * when the provider refuses even that, it has failed and a person is asked. A parameter "{text}"
 * becomes the message's own text, on one line. Threads: any worker. Blocks: on the store.
 */
#ifndef PARLEY_GATEWAY_WINDOW_H
#define PARLEY_GATEWAY_WINDOW_H

#include "gateway/gateway_private.h"

enum window_verdict { WINDOW_OPEN, WINDOW_TEMPLATE, WINDOW_CLOSED };
enum window_closer { WINDOW_BY_CLOCK, WINDOW_BY_PROVIDER };

MUST_USE enum status window_check(struct gateway *gateway, const struct tenant_scope *scope,
                                  const struct channel *channel, const struct message *message,
                                  enum window_verdict *verdict_out, struct err *err);
/* In the caller's transaction: one of the two ends above. replaced_out: the message is queued again
 * with the template, its job is the caller's. */
MUST_USE enum status window_close(struct store_tx *tx, const struct channel_record *record,
                                  struct message_id id, enum window_closer closer, int64_t now_us,
                                  bool *replaced_out, struct err *err);
/* Of a message's metadata: whether a template takes the text's place, and as which part. */
bool window_template_part(const json_t *metadata, size_t *part_out);
/* What was sent, for the envelope: the text, or "name(parameter|...)" of what took its place. */
struct str window_sent_words(const struct message *message, struct arena *arena);
/* Metadata without what window_close put in; false: it did not. first_part_out: the template's. */
bool window_reopen(json_t *metadata, int64_t *first_part_out);
/* Counts it, and tells staff of a message that failed. */
void window_tell(struct gateway *gateway, const struct tenant_scope *scope,
                 const struct message *message, bool replaced, struct arena *arena);

#endif
