/*
 * person.h - contacts on several channels that are one person: linked, suggested, apart again
 *
 *   contact --link by code, by a one-time link, or by staff--> person <-- other contacts
 *      '<-- unlink: its identities and history were its own all the time --'
 *
 * A link is a name above contacts, so taking it away restores what was before. Codes and links are
 * proof that whoever shows them is the contact that asked for them: random, once, for a short time,
 * and kept as hashes. All functions work in the caller's transaction; another organization's id is
 * ST_NOT_FOUND. Threads: any worker. Blocks: on the store only.
 */
#ifndef PARLEY_CONVERSATION_PERSON_H
#define PARLEY_CONVERSATION_PERSON_H

#include "conversation/conversation.h"

#define LINK_CODE_LASTS_US (INT64_C(600) * US_PER_S)
#define LINK_LASTS_US (INT64_C(24) * 3600 * US_PER_S)
#define PERSON_CONTACTS_MAX 20

/* --- contacts --- */

struct contact {
    struct contact_id id;
    struct str display_name, locale;
    struct str linked_by; /* code | link | staff; "" when it is linked with none */
    int64_t created_at_us, last_seen_at_us, linked_at_us;
};
MUST_USE enum status contact_get(struct store_tx *tx, struct contact_id id, struct arena *arena,
                                 struct contact *contact_out, struct err *err);
/* Newest first, those before `before` (none: all). find: what a name or an address on a channel
 * holds, in whatever case; "": all. */
MUST_USE enum status contact_list(struct store_tx *tx, struct str find, struct contact_id before,
                                  size_t limit, struct arena *arena, struct contact **contacts_out,
                                  size_t *count_out, struct err *err);
/* Those who are the same person, it among them when there are any; at most PERSON_CONTACTS_MAX. */
MUST_USE enum status contact_list_linked(struct store_tx *tx, struct contact_id id,
                                         struct arena *arena, struct contact **contacts_out,
                                         size_t *count_out, struct err *err);
struct identity {
    struct identity_id id;
    struct channel_id channel_id;
    struct str source, external_user_id;
    bool reachable;
};
MUST_USE enum status contact_list_identities(struct store_tx *tx, struct contact_id id,
                                             struct arena *arena, struct identity **identities_out,
                                             size_t *count_out, struct err *err);
/* The contact behind the person of an event, by user id or number (metadata.phone), whichever they
 * are known by. ST_NOT_FOUND. */
MUST_USE enum status contact_of_known(struct store_tx *tx, const struct channel_record *channel,
                                      const struct inbound *inbound, struct contact_id *contact_out,
                                      struct err *err);
/* Whether the person of an event is the one who wrote: whoever did may be called otherwise by now,
 * yet is the same contact. */
MUST_USE enum status person_wrote(struct store_tx *tx, const struct channel_record *channel,
                                  const struct inbound *inbound, struct str external_user_id,
                                  struct contact_id contact, bool *wrote_out, struct err *err);
/* The contact behind a provider's user, made when there is none. */
MUST_USE enum status contact_of_user(struct store_tx *tx, const struct channel_record *channel,
                                     struct str external_user_id, int64_t now_us,
                                     struct contact_id *contact_out, struct err *err);

/* "phone:4915..." or "email:ada@shop.example" of a provider's user, in the arena; no pointer:
 * nothing is proven that could be equal on another channel. metadata, of what they wrote, may be
 * NULL: phone is their number where the provider names them by something else, email.verified says
 * that an address is theirs. */
struct str identity_match_key(struct str source, struct str external_user_id,
                              const json_t *metadata, struct arena *arena);

/* Whether nobody but that user and the channel's account is in the chat. */
bool chat_is_private(struct str source, struct str external_user_id, struct str external_chat_id);

/* --- linking --- */

/* how: "code", "link", "staff". What is one person with either of the two is one with both.
 * changed_out false: they were one already. ST_INVALID: a contact with itself, or too many. */
MUST_USE enum status contact_link(struct store_tx *tx, struct contact_id a, struct contact_id b,
                                  const char *how, int64_t now_us, bool *changed_out,
                                  struct err *err);
/* ST_CONFLICT: it is linked with none. */
MUST_USE enum status contact_unlink(struct store_tx *tx, struct contact_id id, struct err *err);

/* --- codes and links --- */

/* "LINK-7KQ2-M9XT": to be said on another channel; letters and digits that are not mistaken for
 * each other. The one before ends. In the arena. */
MUST_USE enum status link_code_make(struct store_tx *tx, struct contact_id id, int64_t now_us,
                                    struct arena *arena, struct str *code_out, struct err *err);
/* A token that opens the web chat as this contact. ST_NOT_FOUND: no such contact. */
MUST_USE enum status link_token_make(struct store_tx *tx, struct contact_id id,
                                     struct channel_id web_channel_id, int64_t now_us,
                                     struct arena *arena, struct str *token_out, struct err *err);
/* Whether a text is a code and nothing else, in any case, with or without hyphens and spaces. */
bool link_code_is(struct str text);

enum link_outcome {
    LINK_DONE,
    LINK_SAME,   /* that is the one who shows it, or they were one person already */
    LINK_INVALID /* unknown, forged, used, over its time, of another organization: nothing changed
                  */
};
/* shown_by shows the text on its channel. The code is used up, whatever comes of it. */
MUST_USE enum status link_code_redeem(struct store_tx *tx, struct str text,
                                      struct contact_id shown_by, int64_t now_us,
                                      enum link_outcome *outcome_out, struct err *err);
MUST_USE enum status link_token_redeem(struct store_tx *tx, struct str token,
                                       struct channel_id web_channel_id, struct contact_id shown_by,
                                       int64_t now_us, enum link_outcome *outcome_out,
                                       struct err *err);

/* --- suggestions --- */

struct link_suggestion {
    struct contact_id contact_id, other_id;
    struct str display_name, other_name;
    struct str reason; /* "phone" or "email" */
    double score;      /* 0..1 */
};
/* By the pair of ids; after: the last pair seen, or none. */
MUST_USE enum status link_suggestion_list(struct store_tx *tx, struct contact_id after,
                                          struct contact_id after_other, size_t limit,
                                          struct arena *arena,
                                          struct link_suggestion **suggestions_out,
                                          size_t *count_out, struct err *err);
/* Not suggested again. ST_INVALID: a contact with itself. */
MUST_USE enum status link_suggestion_dismiss(struct store_tx *tx, struct contact_id a,
                                             struct contact_id b, int64_t now_us, struct err *err);

/* --- the context that a person brings along --- */

/* Puts the last messages of the person's other private chats among those of this conversation, by
 * time; history is oldest first, and keeps its last limit messages. Nothing unless the conversation
 * is a private chat of the person, too: what was said in private is not for a group. A private chat
 * is one whose chat is the person: not in Slack and Teams. */
struct history {
    const struct message *messages;
    size_t count;
};
MUST_USE enum status person_add_history(struct store_tx *tx,
                                        const struct conversation *conversation, size_t limit,
                                        struct arena *arena, struct history *history,
                                        struct err *err);

#endif
