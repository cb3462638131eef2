/*
 * orchestrator_private.h - inside of the orchestrator; for src/orchestrator/ alone
 */
#ifndef PARLEY_ORCHESTRATOR_ORCHESTRATOR_PRIVATE_H
#define PARLEY_ORCHESTRATOR_ORCHESTRATOR_PRIVATE_H

#include "orchestrator/orchestrator.h"

struct typing_keeper;

struct orchestrator {
    struct orchestrator_config config;
    struct queue_workers *inbound, *handoff;
    struct typing_keeper *typing;
};

/* What a brand's persona says; see docs/contracts/persona.md. */
struct persona {
    struct str name, voice, language, greeting, instructions, organization_name;
    bool extractive_only;
    struct str synonyms;   /* groups, a line each (index_query) */
    bool rerank;           /* by a language model */
    double min_confidence; /* below it an answer is not given; -1: the index's own threshold */
};
/* The brand's persona, or the draft instead (NULL: none), with defaults in place of what it leaves
 * out. */
enum status persona_read(struct store_tx *tx, struct brand_id brand_id, const json_t *draft,
                         struct arena *arena, struct persona *persona_out, struct err *err);

/* retrieve.c: passages for a question, access applied. */
struct retrieved {
    struct citation *citations;     /* in rank order, numbered from 1 */
    struct model_passage *passages; /* the same rows, as the model sees them */
    size_t count;
    double confidence, threshold;  /* threshold: of an index without a persona's own */
    struct str question;           /* made whole from the history when that helped */
    struct answer_timings timings; /* of finding */
};
enum status retrieve(struct orchestrator *orchestrator, const struct tenant_scope *scope,
                     const struct question *question, struct str language,
                     const struct persona *persona, size_t limit, struct arena *arena,
                     struct retrieved *retrieved_out, struct err *err);

/* rerank.c: a language model's order of the first passages, if it gives one in time. Blocks: on the
 * model. */
#define RERANK_PASSAGES 20
void rerank(const struct orchestrator *orchestrator, struct retrieved *retrieved,
            struct arena *arena);
/* order: of count passages, at most RERANK_PASSAGES, from 0; those that the answer leaves out come
 * last, as they were. False: it is no order. */
bool rerank_read(struct str text, size_t count, size_t *order);

/* prompt.c: persona, language, history and numbered passages into messages. */
void prompt_build(const struct persona *persona, const struct question *question,
                  struct str language, const struct retrieved *retrieved, struct arena *arena,
                  struct model_message **messages_out, size_t *count_out);

/* guard.c: the sentences that the passages bear, with the citations that hold. */
struct guard_config {
    const struct retrieved *retrieved;
    struct str language;       /* of the answer */
    struct str known;          /* names that need no passage: the organization's, the persona's */
    struct embedder *embedder; /* NULL: by words alone */
};
struct guarded {
    struct str text;
    struct str said;      /* all of it, without a citation: for a person to look at */
    bool grounded;        /* a citation holds, and no less is kept than was left out */
    unsigned char *cited; /* cited[i] != 0: passage i is cited */
};
void guard_answer(const struct guard_config *config, struct str text, struct arena *arena,
                  struct guarded *guarded_out);

/* The same while the model still speaks: what was checked goes on to a reader, a sentence or some
 * at a time. The functions are a model_on_text and its restart. */
struct guard_stream;
struct guard_stream *guard_stream_create(const struct guard_config *config,
                                         const struct answer_stream *to, struct arena *arena);
void guard_stream_destroy(struct guard_stream **stream); /* accepts NULL */
bool guard_stream_text(struct str piece, void *guard_stream);
void guard_stream_restart(void *guard_stream);
/* answer: the whole as guard_answer let it be, or "" when it is not given. What the reader saw of
 * it is made whole, or void when it is something else. */
void guard_stream_end(struct guard_stream *stream, struct str answer);

/* growth.c: an answer that is shown while it is made, as one message that grows. Made by a turn,
 * and of use as long as it has the lease. */
struct growth {
    struct orchestrator *orchestrator;
    struct lease *lease;
    struct conversation_id conversation_id;
    struct message_id message_id; /* of the answer */
    struct channel_id channel_id;
    struct str external_chat_id;
    /* growth.c's own */
    char external_message_id[1024];
    unsigned step;
    int64_t now_us;
    bool is_over; /* it does not grow (any more) */
};
/* text: what there is of the answer. Calls the provider; used by one thread at a time. */
void growth_show(struct growth *growth, struct channel *channel, struct str text);
/* When an earlier run began one, this run's answer is that message. */
MUST_USE enum status growth_take_over(struct growth *growth, struct err *err);
/* There is no answer: takes away at the provider what was shown of it, also by an earlier run. The
 * row is to be forgotten then. Passing errors: to be done again. */
MUST_USE enum status growth_withdraw(struct growth *growth, struct channel *channel,
                                     struct err *err);

/* typing.c: shows that an answer is being made, from a moment after begin until end. */
enum status typing_keeper_create(struct channel_registry *channels,
                                 struct typing_keeper **keeper_out, struct err *err);
void typing_keeper_destroy(struct typing_keeper **keeper);
struct typing; /* one answer that is being made */
/* NULL when the channel cannot show it. draft_id: see channel_draft. growth: outlives it; NULL
 * where the answer does not grow. */
struct typing *typing_begin(struct typing_keeper *keeper, struct channel *channel,
                            struct str external_chat_id, int64_t draft_id, struct growth *growth);
/* More of the answer's text, or from its beginning again: shown as a draft or a message that grows
 * where the channel has such, as often as it bears. typing may be NULL. */
void typing_text(struct typing_keeper *keeper, struct typing *typing, struct str piece);
void typing_restart(struct typing_keeper *keeper, struct typing *typing);
/* Waits for a draft that is being shown, so that none comes after the answer. */
void typing_end(struct typing_keeper *keeper, struct typing **typing);

/* inbound.c */
enum status inbound_answer(struct lease *lease, void *orchestrator, struct err *err);
enum status inbound_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                            void *orchestrator, struct err *err);
/* handoff.c */
enum status handoff_notify(struct lease *lease, void *orchestrator, struct err *err);

#endif
