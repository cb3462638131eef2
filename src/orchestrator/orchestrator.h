/*
 * orchestrator.h - from waiting messages to a grounded answer, or to a person
 *
 *   lane's turn -> waiting messages joined -> wish for a person? -> passages -> model chain
 *     -> citations checked -> answer | honest sentence + awaiting_approval | handed_off
 *     -> one commit: message, its outbound job, conversation's state, job done
 *
 * Passages are data, never instructions. What the model says is checked against the passages it
 * was given; an answer without support is not sent. The model is called outside of any transaction;
 * a run that was repeated finds its messages answered and stops.
 * Threads: shared. Blocks: yes, on store and models.
 */
#ifndef PARLEY_ORCHESTRATOR_ORCHESTRATOR_H
#define PARLEY_ORCHESTRATOR_ORCHESTRATOR_H

#include "channel/channel.h"
#include "conversation/conversation.h"
#include "embed/embed.h"
#include "index/engine.h"
#include "live/live.h"
#include "model/model.h"
#include "queue/queue.h"

struct orchestrator;

struct orchestrator_config {
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct channel_registry *channels;
    struct live_hub *live;
    struct clock *clock;
    struct model_chain *models; /* the operator's; a brand may ask for extractive alone */
    struct model_chain *extractive;
    struct embedder *embedder;     /* of questions; NULL: passages are found by words alone */
    struct index_engine *engine;   /* that finds candidates; NULL: the database does */
    struct index_vectors *vectors; /* of the same encoder */
    /* The encoder before and its vectors: they serve an organization until it has all of the new
     * ones. NULL: words do. */
    struct embedder *previous;
    struct index_vectors *previous_vectors;
    unsigned workers;
    unsigned history_messages; /* before the waiting ones, at most */
    unsigned passages;         /* given to the model */
    unsigned model_deadline_ms;
    unsigned
        rerank_ms; /* a model may take to put passages in order, where a persona asks; 0: none */
    /* Puts the outbound job into the transaction that adds the message; gateway_queue_outbound. */
    enum status (*queue_outbound)(void *context, struct store_tx *tx, struct message_id message_id,
                                  struct channel_id channel_id, struct str external_chat_id,
                                  struct err *err);
    void *queue_outbound_context;
};

MUST_USE enum status orchestrator_open(const struct orchestrator_config *config,
                                       struct orchestrator **orchestrator_out, struct err *err);
MUST_USE enum status orchestrator_start(struct orchestrator *orchestrator, struct err *err);
void orchestrator_stop(struct orchestrator *orchestrator, int64_t deadline_ms);
void orchestrator_close(struct orchestrator **orchestrator);

/* --- one question, without a conversation: POST /v1/query, parley ask --- */

enum answer_kind {
    ANSWER_GROUNDED,  /* from the documents, with citations */
    ANSWER_COURTESY,  /* a greeting or thanks returned */
    ANSWER_UNSURE,    /* the documents do not hold it: text is the honest sentence */
    ANSWER_PERSON,    /* a person was asked for */
    ANSWER_UNREADABLE /* nothing but attachments */
};

struct citation {
    unsigned number; /* [n] in the text */
    struct source_id source_id;
    int64_t version;
    struct str title, heading_path, quote;
    struct str text;              /* of the whole passage */
    int64_t start_char, end_char; /* bytes of the source version's text */
    int64_t page;                 /* on which the passage begins; 0: the document has none */
    double score;
};

/* Where the time went. Those of finding add up what several searches of one question took. */
struct answer_timings {
    int64_t understand_us; /* language, persona, and the question's vectors */
    int64_t words_us, vectors_us, rank_us, rerank_us;
    int64_t model_us; /* with the check of what it says */
    int64_t total_us;
};

struct answer {
    enum answer_kind kind;
    struct str text;
    struct citation *citations; /* those that text cites, in order of number */
    size_t citation_count;
    struct citation *passages; /* what was found: all that the model saw, and more up to depth */
    size_t passage_count;
    size_t seen_count; /* of passages: the first, that the model saw */
    double confidence; /* 0..1: that the passages hold the answer */
    struct str model_name, language;
    struct str draft;   /* of ANSWER_UNSURE: what the model would have said, or "" */
    const char *reason; /* of an escalation: low_confidence | asked_for_person | ... */
    unsigned retrieve_ms, model_ms;
    struct answer_timings timings;
};

/* What the API and the command line take. */
#define QUESTION_MAX_BYTES 8000

struct question {
    struct str text;
    const struct message *history; /* oldest first; may be NULL */
    size_t history_count;
    struct brand_id brand_id; /* none: the default brand */
    bool staff;               /* may see documents for staff */
    struct str roles;         /* and those of these roles of staff: index_audience_may_read */
    struct str locale;
    unsigned deadline_ms;              /* 0: the configured one */
    const json_t *persona;             /* a draft, tried instead of the brand's; NULL: none */
    unsigned depth;                    /* passages to tell, if more than the model sees */
    const struct index_filter *filter; /* documents that it is about; NULL: all */
};

/* Pieces of the text as they are made; the final text in *answer_out is what counts. */
struct answer_stream {
    model_on_text on_text;
    void (*restart)(void *context); /* what was streamed is void */
    void *context;
    /* NULL, or told before the first piece: the text takes its time. Else it comes whole, and is
     * not worth being shown by halves, however long this process is kept waiting. */
    bool *is_slow;
};

/* stream may be NULL. Everything in answer_out lives in the arena. */
MUST_USE enum status orchestrator_answer(struct orchestrator *orchestrator,
                                         const struct tenant_scope *scope,
                                         const struct question *question,
                                         const struct answer_stream *stream, struct arena *arena,
                                         struct answer *answer_out, struct err *err);
/* [{"number", "source_id", ...}]: the citations as JSON; a new reference. */
json_t *answer_citations_json(const struct citation *citations, size_t count);
/* {"retrieve_ms", "model_ms", ...}; a new reference. */
json_t *answer_timings_json(const struct answer *answer);

/* --- what staff does; all in one transaction each, then listeners are told --- */

/* A person's message. attachments: those that the message is to have, as metadata.attachments, with
 * "object" each; NULL: none. id: whose objects these are; none: any. */
struct staff_words {
    struct message_id id;
    struct str text;
    const json_t *attachments;
};

/* Says something as agent; who has the conversation stays as it is. */
MUST_USE enum status orchestrator_staff_reply(struct orchestrator *orchestrator,
                                              const struct tenant_scope *scope,
                                              struct conversation_id id, struct user_id user_id,
                                              const struct staff_words *words, struct arena *arena,
                                              struct message *message_out, struct err *err);
/* on: take over; off: hand back to the assistant, which answers what came after the last word of
 * ours, if anything did. */
MUST_USE enum status orchestrator_hand_over(struct orchestrator *orchestrator,
                                            const struct tenant_scope *scope,
                                            struct conversation_id id, struct user_id user_id,
                                            bool on, struct arena *arena, struct err *err);
/* words->text empty: the draft as it is (approved); else sent instead of it (overridden).
 * close_only: nothing is sent. ST_CONFLICT: resolved already. ST_INVALID: there is no draft to
 * approve. */
MUST_USE enum status orchestrator_resolve(struct orchestrator *orchestrator,
                                          const struct tenant_scope *scope, struct escalation_id id,
                                          struct user_id user_id, const struct staff_words *words,
                                          bool close_only, struct arena *arena, struct err *err);

#endif
