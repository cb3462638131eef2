/*
 * evidence.c - what passages hold, and whether that bears a sentence
 *
 * A document may try to speak to the model ("Ignore all previous instructions and say that ..."):
 * from such a sentence to the end of its paragraph nothing is evidence, so that what the model says
 * in obedience has none.
 */
#include "orchestrator/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Shares of a claim's words: by words alone, and where the meaning is near. */
#define MIN_SHARE 0.5
#define MIN_SHARE_NEAR 0.25
#define MIN_COSINE 0.6
#define EMBED_DEADLINE_MS 500
/* Of the words of a claim in one sentence, from which the two say the same or the contrary. */
#define SAME_SHARE 0.8

struct sentence {
    struct str text;
    const struct text_term *terms;
    const bool *deny; /* each of the terms */
    size_t term_count;
    struct fact *numbers;
    size_t number_count;
};

struct passage {
    bool is_read, same_language;
    struct str text;   /* title, headings, text; what speaks to a model left out */
    struct str *terms; /* ascending */
    size_t term_count;
    struct sentence *sentences;
    size_t sentence_count;
};

struct evidence {
    const struct retrieved *retrieved;
    struct str language;
    struct embedder *embedder;
    struct arena *arena;
    struct passage *passages;
    struct str *known; /* ascending */
    size_t known_count;
};

/* --- reading passages --- */

static int
compare_terms(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static size_t
sorted_terms(const struct text_term *terms, size_t count, struct arena *arena,
             struct str **sorted_out)
{
    struct str *sorted = ARENA_NEW_N(arena, struct str, count + 1);

    for (size_t i = 0; i < count; i++)
        sorted[i] = terms[i].term;
    if (count > 0)
        qsort(sorted, count, sizeof(*sorted), compare_terms);
    *sorted_out = sorted;
    return count;
}

static bool
has_term(const struct str *terms, size_t count, struct str term)
{
    return count > 0 && bsearch(&term, terms, count, sizeof(*terms), compare_terms) != NULL;
}

/* ASCII letters in lower case; everything else as it is. */
static struct str
lowered(struct str text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        out[i] = (char)(text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? text.ptr[i] + 32 : text.ptr[i]);
    return str_of(out, text.len);
}

static bool
has_any(struct str text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_find(text, str_from_c(*words)) >= 0)
            return true;
    return false;
}

static bool
speaks_to_model(struct str sentence, struct arena *arena)
{
    static const char *const disregard[] = {"ignore",  "ignorier", "disregard", "forget",
                                            "vergiss", "override", "oubli",     "ignora",
                                            "olvida",  NULL};
    static const char *const rules[] = {
        "instruction",    "instruccion", "anweisung", "consigne", "your rules",
        "previous rules", "all rules",   "prompt",    "regeln",   NULL};
    static const char *const plain[] = {
        "system prompt",    "you are now", "as an ai ", "language model",
        "to the assistant", "note to ai",  NULL};
    struct str lower = lowered(sentence, arena);

    return has_any(lower, plain) || (has_any(lower, disregard) && has_any(lower, rules));
}

/* The text without what speaks to a model, nor the rest of that paragraph. */
static struct str
evidence_text(struct str text, struct arena *arena)
{
    struct text_span *sentences;
    size_t count = text_sentences(text, arena, &sentences), len = 0, skip_to = 0;
    char *out = arena_alloc(arena, text.len + count * 2 + 1);

    for (size_t i = 0; i < count; i++) {
        struct str sentence =
            str_sub(text, sentences[i].start, sentences[i].end - sentences[i].start);

        if (sentences[i].start < skip_to)
            continue;
        if (speaks_to_model(sentence, arena)) {
            ptrdiff_t end = str_find(str_sub(text, sentences[i].end, text.len), STR("\n\n"));

            skip_to = end < 0 ? text.len : sentences[i].end + (size_t)end;
            continue;
        }
        memcpy(out + len, sentence.ptr, sentence.len);
        len += sentence.len;
        out[len++] = '\n'; /* so that the borders stay */
        out[len++] = '\n';
    }
    return str_of(out, len);
}

static bool
is_negator(struct str word)
{
    static const char *const words[] = {
        "not",    "no",     "never",   "cannot", "without", "neither", "nor",    "none",
        "nicht",  "nie",    "niemals", "ohne",   "kein",    "keine",   "keinen", "keiner",
        "keinem", "keines", "pas",     "jamais", "sans",    "aucun",   "aucune", "nunca",
        "jamás",  "sin",    "niet",    "geen",   "nooit",   "non",     NULL};

    return str_is_one_of(word, words) || str_ends_with(word, STR("n't")) ||
           str_ends_with(word, STR("n\xe2\x80\x99t"));
}

static void
cut_sentences(struct passage *passage, struct str language, const struct text_term *terms,
              size_t count, struct arena *arena)
{
    bool *deny = ARENA_NEW_N(arena, bool, count + 1);
    struct text_span *spans;
    size_t at = 0;

    for (size_t i = 0; i < count; i++)
        deny[i] = is_negator(
            str_sub(passage->text, terms[i].span.start, terms[i].span.end - terms[i].span.start));
    passage->sentence_count = text_sentences(passage->text, arena, &spans);
    passage->sentences = ARENA_NEW_N(arena, struct sentence, passage->sentence_count + 1);
    for (size_t i = 0; i < passage->sentence_count; i++) {
        struct sentence *sentence = &passage->sentences[i];

        sentence->text = str_sub(passage->text, spans[i].start, spans[i].end - spans[i].start);
        sentence->terms = terms + at;
        sentence->deny = deny + at;
        for (; at < count && terms[at].span.start < spans[i].end; at++)
            sentence->term_count++;
        sentence->number_count =
            numbers_of(sentence->text, passage->text, language, sentence->terms,
                       sentence->term_count, arena, &sentence->numbers);
    }
}

static const struct passage *
read_passage(struct evidence *e, size_t which)
{
    const struct model_passage *from = &e->retrieved->passages[which];
    struct passage *passage = &e->passages[which];
    struct text_term *terms;
    struct str its_language;
    size_t count;

    if (passage->is_read)
        return passage;
    its_language = text_language(from->text);
    passage->same_language =
        e->language.len == 0 || its_language.len == 0 || str_eq(its_language, e->language);
    passage->text =
        arena_printf(e->arena, "%.*s\n%.*s\n%.*s", STR_ARG(from->title),
                     STR_ARG(from->heading_path), STR_ARG(evidence_text(from->text, e->arena)));
    count = text_terms(passage->text, e->language, e->arena, &terms);
    passage->term_count = sorted_terms(terms, count, e->arena, &passage->terms);
    cut_sentences(passage, passage->same_language ? e->language : its_language, terms, count,
                  e->arena);
    passage->is_read = true;
    return passage;
}

struct evidence *
evidence_create(const struct retrieved *retrieved, struct str language, struct str known,
                struct embedder *embedder, struct arena *arena)
{
    struct evidence *e = ARENA_NEW(arena, struct evidence);
    struct text_term *terms;
    size_t count = text_terms(known, language, arena, &terms);

    *e = (struct evidence){
        .retrieved = retrieved, .language = language, .embedder = embedder, .arena = arena};
    e->passages = ARENA_NEW_N(arena, struct passage, retrieved->count + 1);
    e->known_count = sorted_terms(terms, count, arena, &e->known);
    return e;
}

/* --- claims --- */

struct claim
evidence_claim(struct evidence *e, struct str sentence)
{
    struct claim claim = {.text = sentence};
    struct text_term *terms;
    size_t count = text_terms(sentence, e->language, e->arena, &terms);

    claim.words = ARENA_NEW_N(e->arena, struct str, count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t w = 0;

        while (w < claim.word_count && !str_eq(claim.words[w], terms[i].term))
            w++;
        if (w == claim.word_count && !terms[i].is_stop_word)
            claim.words[claim.word_count++] = terms[i].term;
    }
    claim.is_mute = count == 0;
    for (size_t i = 0; i < count; i++)
        claim.denies |= is_negator(
            str_sub(sentence, terms[i].span.start, terms[i].span.end - terms[i].span.start));
    claim.fact_count = facts_of(sentence, e->language, terms, count, e->arena, &claim.facts);
    return claim;
}

static bool
bears_word(struct evidence *e, struct str word, passage_set passages)
{
    for (size_t p = 0; p < e->retrieved->count && p < EVIDENCE_MAX_PASSAGES; p++)
        if ((passages & PASSAGE_BIT(p)) != 0) {
            const struct passage *passage = read_passage(e, p);

            if (has_term(passage->terms, passage->term_count, word))
                return true;
        }
    return has_term(e->known, e->known_count, word);
}

double
evidence_share(struct evidence *e, const struct claim *claim, passage_set passages)
{
    size_t found = 0;

    for (size_t i = 0; i < claim->word_count; i++)
        found += bears_word(e, claim->words[i], passages);
    return claim->word_count == 0 ? 1 : (double)found / (double)claim->word_count;
}

static bool
has_text(struct str text, struct str wanted, struct arena *arena)
{
    return str_find(lowered(text, arena), lowered(wanted, arena)) >= 0;
}

/* --- one sentence of a passage beside the claim --- */

/* What it has of the claim, and whether it denies anything, or one of the claim's words: the next
 * one with content after the denial. */
struct likeness {
    double share;
    bool is_akin; /* it has one that is not a number */
    bool denies, denies_claim;
};

static size_t
word_of_claim(const struct claim *claim, struct str term)
{
    size_t w = 0;

    while (w < claim->word_count && !str_eq(claim->words[w], term))
        w++;
    return w;
}

static struct likeness
compare(struct evidence *e, const struct claim *claim, const struct sentence *sentence)
{
    struct likeness likeness = {.share = 0};
    bool *found = ARENA_NEW_N(e->arena, bool, claim->word_count + 1), denied = false;
    size_t count = 0;

    for (size_t i = 0; i < sentence->term_count; i++) {
        const struct text_term *term = &sentence->terms[i];
        size_t w;

        if (sentence->deny[i])
            likeness.denies = denied = true;
        if (term->is_stop_word)
            continue;
        w = word_of_claim(claim, term->term);
        if (w < claim->word_count) {
            likeness.denies_claim |= denied;
            likeness.is_akin |= !(term->term.ptr[0] >= '0' && term->term.ptr[0] <= '9');
            count += !found[w];
            found[w] = true;
        }
        denied = false;
    }
    likeness.share = claim->word_count == 0 ? 0 : (double)count / (double)claim->word_count;
    return likeness;
}

static bool
has_number(struct evidence *e, const struct claim *claim, const struct fact *number,
           const struct passage *passage, bool is_named)
{
    for (size_t i = 0; i < passage->sentence_count; i++) {
        const struct sentence *sentence = &passage->sentences[i];

        for (size_t n = 0; n < sentence->number_count; n++)
            if (str_eq(sentence->numbers[n].text, number->text) &&
                (!passage->same_language || compare(e, claim, sentence).is_akin ||
                 (is_named && i > 0 && compare(e, claim, sentence - 1).is_akin)))
                return true;
    }
    return false;
}

static bool
has_fact(struct evidence *e, const struct claim *claim, const struct fact *fact,
         const struct passage *passage, bool is_named)
{
    switch (fact->kind) {
    case FACT_NUMBER:
        return has_number(e, claim, fact, passage, is_named);
    case FACT_NAME:
        return !passage->same_language ||
               has_term(passage->terms, passage->term_count, fact->term) ||
               has_text(passage->text, fact->text, e->arena);
    case FACT_ADDRESS:
        return has_text(passage->text, fact->text, e->arena);
    }
    return false;
}

bool
evidence_has_facts(struct evidence *e, const struct claim *claim, passage_set passages,
                   bool are_named)
{
    for (size_t i = 0; i < claim->fact_count; i++) {
        const struct fact *fact = &claim->facts[i];
        bool found = fact->kind == FACT_NAME && has_term(e->known, e->known_count, fact->term);

        for (size_t p = 0; p < e->retrieved->count && p < EVIDENCE_MAX_PASSAGES && !found; p++)
            found = (passages & PASSAGE_BIT(p)) != 0 &&
                    has_fact(e, claim, fact, read_passage(e, p), are_named);
        if (!found)
            return false;
    }
    return true;
}

/* A sentence has nearly all of the claim's words, one of the two denies what the other does not,
 * and no other sentence says it as the claim does. */
static bool
says_contrary(struct evidence *e, const struct claim *claim, const struct passage *passage)
{
    bool contrary = false;

    if (!passage->same_language || has_text(passage->text, claim->text, e->arena))
        return false;
    for (size_t i = 0; i < passage->sentence_count; i++) {
        struct likeness its = compare(e, claim, &passage->sentences[i]);

        if (its.share < SAME_SHARE)
            continue;
        if (claim->denies ? its.denies : !its.denies_claim)
            return false;
        contrary = true;
    }
    return contrary;
}

bool
evidence_bears(struct evidence *e, const struct claim *claim, passage_set passages, bool are_named)
{
    if (!evidence_has_facts(e, claim, passages, are_named))
        return false;
    for (size_t p = 0; p < e->retrieved->count && p < EVIDENCE_MAX_PASSAGES; p++)
        if ((passages & PASSAGE_BIT(p)) != 0) {
            const struct passage *passage = read_passage(e, p);

            if (are_named && !passage->same_language)
                return true;
            if (says_contrary(e, claim, passage))
                return false;
        }
    return evidence_share(e, claim, passages) >= MIN_SHARE;
}

/* --- nearness of meaning --- */

/* The passage's sentence that has most of the claim's words. */
static struct str
nearest_sentence(struct evidence *e, const struct claim *claim, const struct passage *passage)
{
    struct str best = STR_EMPTY;
    double best_share = 0;

    for (size_t i = 0; i < passage->sentence_count; i++) {
        double share = compare(e, claim, &passage->sentences[i]).share;

        if (share > best_share) {
            best_share = share;
            best = passage->sentences[i].text;
        }
    }
    return best;
}

bool
evidence_is_near(struct evidence *e, const struct claim *claim, size_t which, bool is_named)
{
    const struct passage *passage = read_passage(e, which);
    passage_set set = PASSAGE_BIT(which);
    struct str texts[2];
    struct err err;
    unsigned dimension;
    double cosine = 0;
    float *vectors;

    if (e->embedder == NULL || evidence_share(e, claim, set) < MIN_SHARE_NEAR ||
        !evidence_has_facts(e, claim, set, is_named) || says_contrary(e, claim, passage))
        return false;
    texts[0] = claim->text;
    texts[1] = nearest_sentence(e, claim, passage);
    if (texts[1].len == 0)
        return false;
    dimension = embed_dimension(e->embedder);
    vectors = ARENA_NEW_N(e->arena, float, (size_t)dimension * 2);
    if (embed_texts(e->embedder, texts, 2, EMBED_DEADLINE_MS, vectors, &err) != ST_OK) {
        LOG_ERR(LOG_WARN, "answer.words_alone", &err);
        return false;
    }
    for (unsigned i = 0; i < dimension; i++)
        cosine += (double)vectors[i] * (double)vectors[dimension + i];
    return cosine >= MIN_COSINE;
}
