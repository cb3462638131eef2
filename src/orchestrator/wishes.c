/*
 * wishes.c - hears the wish for a person, a bare greeting, bare thanks
 *
 * Words are compared whole and as text_terms folds them: small and without accents. A wish for a
 * person is a verb of speaking followed within a few words by a word for a person, or a very short
 * message that is little else than such a word. Without the verb, "your staff" in a question about
 * staff would end every conversation with a person.
 */
#include "orchestrator/phrases.h"
#include "text/text.h"

#define NEAR_WORDS 6
#define SHORT_WORDS 4
#define MAX_WORDS 40 /* a longer message is a question, whatever words it has */

/* The tables are folded as well. */
static const char *const speak_words[] = {
    "speak",  "talk",      "chat",     "connect", "transfer", "reach",  "forward", "sprechen",
    "reden",  "verbinden", "verbinde", "parler",  "discuter", "passez", "hablar",  "pasame",
    "paseme", "parlare",   "falar",    "spreken", "praten",   NULL};

/* These may stand at the end, behind "with" and the person: "mit einem Menschen sprechen". */
static const char *const last_words[] = {"sprechen", "reden",  "verbinden",
                                         "spreken",  "praten", NULL};
static const char *const with_words[] = {"mit", "met", NULL};

/* With these only the words that can mean nothing else count: "I need someone's invoice". */
static const char *const wish_words[] = {"want",     "need",     "give",   "get",      "mochte",
                                         "will",     "brauche",  "veux",   "voudrais", "quiero",
                                         "quisiera", "necesito", "voglio", "vorrei",   "quero",
                                         "gostaria", "preciso",  "wil",    NULL};

static const char *const person_words[] = {
    "human",      "agent",       "operator",     "representative",
    "mensch",     "menschen",    "mitarbeiter",  "mitarbeiterin",
    "berater",    "beraterin",   "kundendienst", "humain",
    "conseiller", "conseillere", "operateur",    "humano",
    "humana",     "agente",      "operador",     "operadora",
    "asesor",     "umano",       "operatore",    "operatrice",
    "consulente", "atendente",   "mens",         "medewerker",
    NULL};

/* Persons only together with a verb: alone they stand in ordinary questions. */
static const char *const weak_person_words[] = {
    "person",   "someone", "somebody", "staff",  "employee", "colleague", "manager",  "personne",
    "collegue", "persona", "collega",  "pessoa", "persoon",  "jemand",    "jemandem", NULL};

/* Before an agent: one of another trade ("real estate agent"). */
static const char *const trade_words[] = {"estate",  "insurance", "travel",  "cleaning", "shipping",
                                          "freight", "tour",      "machine", NULL};

static const char *const greeting_words[] = {
    "hi",          "hello",       "hey",         "hiya",      "good",   "morning", "afternoon",
    "evening",     "day",         "there",       "greetings", "hallo",  "guten",   "tag",
    "morgen",      "abend",       "moin",        "servus",    "gruezi", "bonjour", "bonsoir",
    "salut",       "hola",        "buenos",      "dias",      "buenas", "tardes",  "ciao",
    "buongiorno",  "buonasera",   "ola",         "bom",       "dia",    "boa",     "tarde",
    "goedemorgen", "goedemiddag", "goedenavond", "start",     NULL};

static const char *const thanks_words[] = {
    "thanks",  "thank",    "you",     "thx",    "ty",     "cheers", "great",    "perfect",  "very",
    "much",    "so",       "ok",      "okay",   "danke",  "vielen", "dank",     "schon",    "super",
    "merci",   "beaucoup", "gracias", "muchas", "grazie", "mille",  "obrigado", "obrigada", "muito",
    "bedankt", "dank",     "je",      "wel",    "u",      NULL};

static const char *const real_thanks[] = {"thanks",   "thank",    "thx",     "ty",      "cheers",
                                          "danke",    "dank",     "merci",   "gracias", "grazie",
                                          "obrigado", "obrigada", "bedankt", NULL};

static bool
is_one_of(struct str word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_eq_c(word, *words))
            return true;
    return false;
}

static size_t
count_in(const struct text_term *terms, size_t count, const char *const *words)
{
    size_t i, found = 0;

    for (i = 0; i < count; i++)
        found += is_one_of(terms[i].term, words);
    return found;
}

static bool
is_person(const struct text_term *terms, size_t at)
{
    return is_one_of(terms[at].term, person_words) &&
           (at == 0 || !is_one_of(terms[at - 1].term, trade_words));
}

/* The words from first up to the verb at last name a person with whom to speak. */
static bool
names_partner(const struct text_term *terms, size_t first, size_t last)
{
    bool with = false;

    for (; first < last; first++) {
        if (with && (is_one_of(terms[first].term, person_words) ||
                     is_one_of(terms[first].term, weak_person_words)))
            return true;
        with |= is_one_of(terms[first].term, with_words);
    }
    return false;
}

static bool
wants_person(const struct text_term *terms, size_t count)
{
    size_t i, spoke = SIZE_MAX, wished = SIZE_MAX;

    for (i = 0; i < count && count <= SHORT_WORDS; i++)
        if (is_person(terms, i))
            return true;
    for (i = 0; i < count; i++) {
        if (spoke != SIZE_MAX && i - spoke <= NEAR_WORDS &&
            (is_person(terms, i) || is_one_of(terms[i].term, weak_person_words)))
            return true;
        if (wished != SIZE_MAX && i - wished <= NEAR_WORDS && is_person(terms, i))
            return true;
        if (is_one_of(terms[i].term, last_words) &&
            names_partner(terms, i > NEAR_WORDS ? i - NEAR_WORDS : 0, i))
            return true;
        if (is_one_of(terms[i].term, speak_words))
            spoke = i;
        if (is_one_of(terms[i].term, wish_words))
            wished = i;
    }
    return false;
}

enum wish
wish_of(struct str text, struct arena *arena)
{
    struct text_term *terms = NULL;
    size_t count = text_terms(text, STR(""), arena, &terms);

    if (count == 0 || count > MAX_WORDS)
        return WISH_ANSWER;
    if (wants_person(terms, count))
        return WISH_PERSON;
    if (count_in(terms, count, greeting_words) == count)
        return WISH_GREETING;
    if (count_in(terms, count, thanks_words) == count && count_in(terms, count, real_thanks) > 0)
        return WISH_THANKS;
    return WISH_ANSWER;
}
