/*
 * phrases.h - the few sentences that Parley says in its own name, and the wishes it hears
 *
 * In the languages of the table, English otherwise. Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_ORCHESTRATOR_PHRASES_H
#define PARLEY_ORCHESTRATOR_PHRASES_H

#include "base/arena.h"
#include "base/str.h"

enum phrase {
    PHRASE_UNSURE,     /* not in the documents; a colleague will look */
    PHRASE_PERSON,     /* a person will take over */
    PHRASE_UNREADABLE, /* only text can be read */
    PHRASE_GREETING,
    PHRASE_WELCOME,      /* answer to thanks */
    PHRASE_LINK_CODE,    /* a code follows, to be sent from another channel */
    PHRASE_LINK_PRIVATE, /* codes only in private chats */
    PHRASE_LINK_DONE,
    PHRASE_LINK_SAME,
    PHRASE_LINK_INVALID,
    PHRASE_LINK_BUSY,
    PHRASE_COUNT
};

/* language: ISO 639-1, may be longer ("de-AT") or empty. */
struct str phrase_get(enum phrase phrase, struct str language);
/* "German" for "de": for the prompt; the code itself when unknown. */
struct str phrase_language_name(struct str language);

enum wish {
    WISH_ANSWER,   /* anything else: a question */
    WISH_PERSON,   /* wants to speak to a person */
    WISH_GREETING, /* nothing but a greeting */
    WISH_THANKS    /* nothing but thanks */
};

/* What a message asks for, by rules: cautious, since a missed wish still meets the documents. */
enum wish wish_of(struct str text, struct arena *arena);

#endif
