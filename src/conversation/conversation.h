/*
 * conversation.h - contacts, conversations, messages: what was said, by whom, where, in which order
 *
 *   status:  user_reply_received --answer--> ai_response_sent
 *                |      '--unsure--> awaiting_approval --approve/override--> ai_response_sent
 *                '--asked for a person--> handed_off --hand back--> user_reply_received
 *            any --undeliverable--> failed;  any --7 days of silence, or on request--> archived
 *
 * Messages of a conversation are numbered 1, 2, 3 ... (seq) in the transaction that adds them.
 * answered_seq says up to where inbound messages are dealt with; an answer names the range it
 * covers. All functions work in the caller's transaction (store_run or store_read); texts read live
 * in the given arena. Another organization's id is ST_NOT_FOUND. Threads: any worker. Blocks: on
 * the store only. Crash: nothing is kept outside the store.
 */
#ifndef PARLEY_CONVERSATION_CONVERSATION_H
#define PARLEY_CONVERSATION_CONVERSATION_H

#include "channel/channel.h"
#include "store/store.h"
#include "tenant/tenant.h"

#define CONVERSATION_SILENCE_US (INT64_C(7) * 24 * 3600 * US_PER_S)
#define CONVERSATION_TITLE_CHARS 60

#define STATUS_USER_REPLY_RECEIVED "user_reply_received"
#define STATUS_AI_RESPONSE_SENT "ai_response_sent"
#define STATUS_HANDED_OFF "handed_off"
#define STATUS_AWAITING_APPROVAL "awaiting_approval"
#define STATUS_FAILED "failed"
#define STATUS_ARCHIVED "archived"

struct conversation {
    struct conversation_id id;
    struct channel_id channel_id;
    struct contact_id contact_id;
    struct brand_id brand_id;
    struct user_id user_id;
    struct str source, external_chat_id, status, title, thread_id, contact_name, locale;
    bool hand_off_to_human;
    bool is_linked; /* its contact is one person with others: person.h */
    int64_t last_seq, answered_seq;
    int64_t last_message_at_us, created_at_us, archived_at_us;
};

struct message {
    struct message_id id;
    struct conversation_id conversation_id;
    int64_t seq;
    struct str role; /* user | assistant | agent | system */
    struct str source;
    struct channel_id channel_id;
    struct user_id user_id;
    struct contact_id contact_id;
    struct str external_message_id, external_user_id, external_chat_id;
    struct str body, metadata, envelope; /* JSON the last two */
    struct str delivery;                 /* outbound: queued | sending | sent | ... */
    int64_t answers_from_seq, answers_to_seq;
    int64_t provider_at_us, created_at_us;
    int64_t deleted_at_us; /* by its writer, at the provider: nothing is left of it; 0: it is not */
};

/* --- recording what arrives --- */

struct inbound_result {
    struct conversation_id conversation_id;
    struct message_id message_id;
    int64_t seq;
    bool hand_off_to_human; /* a person has the conversation: no AI */
    bool is_new_conversation;
    bool must_wait; /* nothing was done: others wait to be recorded before it (intake.h) */
};

/* Adds a message with all it needs: contact, identity, chat, conversation. in_turn: not while
 * others wait. ST_CONFLICT: this message is known already; let the work fail with it, nothing is to
 * be done. */
MUST_USE enum status conversation_record_inbound(struct store_tx *tx,
                                                 const struct channel_record *channel,
                                                 const struct inbound *inbound, struct str envelope,
                                                 struct message_id id, int64_t now_us, bool in_turn,
                                                 struct inbound_result *result_out,
                                                 struct err *err);

/* Keeps an event and does what it means for identities and chats: blocked and unblocked mark
 * reachability, migrated moves the chat (and the person, where the chat is one), edit changes the
 * stored body (the old one stays in the message's metadata). Deletions: deletion.h. ST_CONFLICT:
 * known already. */
MUST_USE enum status conversation_record_event(struct store_tx *tx,
                                               const struct channel_record *channel,
                                               const struct inbound *inbound, int64_t now_us,
                                               struct err *err);

/* Keeps an event "echo". What a person of the business wrote in the provider's own app becomes an
 * agent's message, and nothing before it waits any more; takes_over: the conversation is theirs
 * from then on. What we sent ourselves does neither: it is known by the provider's id or, while
 * that is not recorded, or never will be, by its words. person_out: it was a person's, and
 * result_out is about it. ST_CONFLICT: known already. */
MUST_USE enum status conversation_record_echo(struct store_tx *tx,
                                              const struct channel_record *channel,
                                              const struct inbound *inbound, struct message_id id,
                                              bool takes_over, int64_t now_us, bool *person_out,
                                              struct inbound_result *result_out, struct err *err);

/* Verified bytes that could not be read. */
MUST_USE enum status conversation_quarantine(struct store_tx *tx, struct channel_id channel_id,
                                             struct str reason, struct str body, int64_t now_us,
                                             struct err *err);

/* The provider moved the chat: later answers go to the new id. */
MUST_USE enum status conversation_move_chat(struct store_tx *tx, struct channel_id channel_id,
                                            struct str old_chat_id, struct str new_chat_id,
                                            struct err *err);
MUST_USE enum status conversation_set_reachable(struct store_tx *tx, struct channel_id channel_id,
                                                struct str external_user_id, bool reachable,
                                                struct err *err);

/* --- reading --- */

MUST_USE enum status conversation_get(struct store_tx *tx, struct conversation_id id,
                                      struct arena *arena, struct conversation *conversation_out,
                                      struct err *err);
/* The open conversation of a provider's chat: ST_NOT_FOUND. */
MUST_USE enum status conversation_get_by_chat(struct store_tx *tx, struct channel_id channel_id,
                                              struct str external_chat_id, struct arena *arena,
                                              struct conversation *conversation_out,
                                              struct err *err);

struct conversation_filter {
    struct str status;              /* empty: any */
    struct contact_id contact_id;   /* none: any */
    int64_t before_last_message_us; /* page: the last row's values, or 0 and none */
    struct conversation_id before_id;
};
/* Newest message first. */
MUST_USE enum status conversation_list(struct store_tx *tx,
                                       const struct conversation_filter *filter, size_t limit,
                                       struct arena *arena, struct conversation **conversations_out,
                                       size_t *count_out, struct err *err);

MUST_USE enum status message_get(struct store_tx *tx, struct message_id id, struct arena *arena,
                                 struct message *message_out, struct err *err);
/* The message that a provider, or a browser, calls so. ST_NOT_FOUND. */
MUST_USE enum status message_find_external(struct store_tx *tx, struct str source,
                                           struct str external_message_id,
                                           struct message_id *id_out, struct err *err);
/* after_seq < seq, oldest first. */
MUST_USE enum status message_list(struct store_tx *tx, struct conversation_id id, int64_t after_seq,
                                  size_t limit, struct arena *arena, struct message **messages_out,
                                  size_t *count_out, struct err *err);
/* Messages with from_seq <= seq <= to_seq that people wrote and deleted. */
MUST_USE enum status message_count_deleted(struct store_tx *tx, struct conversation_id id,
                                           int64_t from_seq, int64_t to_seq, int64_t *count_out,
                                           struct err *err);
/* The last messages with seq <= up_to_seq, oldest first: the history window. */
MUST_USE enum status message_window(struct store_tx *tx, struct conversation_id id,
                                    int64_t up_to_seq, size_t limit, struct arena *arena,
                                    struct message **messages_out, size_t *count_out,
                                    struct err *err);

/* Whether anything that is not dealt with wants an answer: in groups not all that is said does. */
MUST_USE enum status conversation_waits(struct store_tx *tx, struct conversation_id id,
                                        bool *waits_out, struct err *err);

/* --- adding what we say --- */

struct outbound_spec {
    struct conversation_id conversation_id;
    struct message_id id;
    const char *role; /* assistant | agent | system */
    struct str body;
    struct str metadata; /* JSON object: citations, model, confidence */
    struct str envelope;
    const char *delivery;                     /* queued, or delivered on local channels */
    int64_t answers_from_seq, answers_to_seq; /* 0: answers nothing */
    const char *status;                       /* the conversation's new status; NULL: unchanged */
    bool hand_off_to_human;                   /* the answer hands the conversation over */
};
/* Adds the message and moves answered_seq. ST_CONFLICT: a newer answer covers these already, or a
 * person took the conversation meanwhile. */
MUST_USE enum status conversation_add_outbound(struct store_tx *tx,
                                               const struct outbound_spec *spec, int64_t now_us,
                                               int64_t *seq_out, struct err *err);
/* Marks inbound messages as dealt with, without a word. */
MUST_USE enum status conversation_mark_answered(struct store_tx *tx, struct conversation_id id,
                                                int64_t to_seq, struct err *err);
MUST_USE enum status conversation_set_status(struct store_tx *tx, struct conversation_id id,
                                             const char *status, struct err *err);
/* What was said has left: ai_response_sent, unless newer messages wait or a person has it. */
MUST_USE enum status conversation_note_sent(struct store_tx *tx, struct conversation_id id,
                                            struct err *err);
/* on: a person takes it (user_id: who); off: given back, which changes nothing where nobody had it.
 * What was written before the team's last word counts as dealt with, and what an answer of the
 * assistant names; what came after that waits for the assistant. */
MUST_USE enum status conversation_hand_over(struct store_tx *tx, struct conversation_id id, bool on,
                                            struct user_id user_id, struct err *err);
MUST_USE enum status conversation_archive(struct store_tx *tx, struct conversation_id id,
                                          int64_t now_us, struct err *err);
/* Only forward: queued, sending, uncertain, sent, delivered, read; failed from any but the last
 * three. A step back is ST_OK and changes nothing. */
MUST_USE enum status message_set_delivery(struct store_tx *tx, struct message_id id,
                                          const char *delivery, struct str envelope,
                                          struct err *err);

/* --- escalations --- */

struct escalation {
    struct escalation_id id;
    struct conversation_id conversation_id;
    struct message_id message_id;
    struct str reason, draft, status, resolved_by;
    int64_t created_at_us, resolved_at_us;
};
/* One open escalation a conversation: an open one gets the new reason and draft. */
MUST_USE enum status escalation_open(struct store_tx *tx, struct conversation_id conversation_id,
                                     struct message_id message_id, const char *reason,
                                     struct str draft, int64_t now_us, struct escalation_id *id_out,
                                     struct err *err);
MUST_USE enum status escalation_get(struct store_tx *tx, struct escalation_id id,
                                    struct arena *arena, struct escalation *escalation_out,
                                    struct err *err);
/* status empty: any. Newest first; pages by id. */
MUST_USE enum status escalation_list(struct store_tx *tx, struct str status,
                                     struct escalation_id before, size_t limit, struct arena *arena,
                                     struct escalation **escalations_out, size_t *count_out,
                                     struct err *err);
/* status: approved | overridden | closed. ST_CONFLICT: resolved already. */
MUST_USE enum status escalation_resolve(struct store_tx *tx, struct escalation_id id,
                                        const char *status, struct str resolved_by, int64_t now_us,
                                        struct err *err);

/* --- raw events and quarantine, for the operator --- */

struct kept_event {
    struct id_text id;
    struct channel_id channel_id;
    struct str kind, payload; /* kind is the reason for quarantined bytes; payload the raw bytes */
    int64_t created_at_us;
};
MUST_USE enum status channel_event_list(struct store_tx *tx, struct str kind, struct id_text before,
                                        size_t limit, struct arena *arena,
                                        struct kept_event **events_out, size_t *count_out,
                                        struct err *err);
MUST_USE enum status quarantine_list(struct store_tx *tx, struct id_text before, size_t limit,
                                     struct arena *arena, struct kept_event **events_out,
                                     size_t *count_out, struct err *err);

#endif
