/*
 * judge_text.c - claims are sentences; what supports them is found by the encoder, or by words
 */
#include "eval/judge_private.h"
#include "eval/metrics.h"
#include "text/text.h"

/* A sentence as near as this to a claim says the same, if the claim's numbers are there as well:
 * set by looking at pairs of sentences, not by labelled claims. */
#define SUPPORT_COSINE 0.70
/* Without an encoder: this share of the claim's words stands in one sentence. */
#define SUPPORT_WORDS 0.75
/* A row of a table and its heading together have all of the claim's words, the row this many. */
#define ROW_WORDS 0.5
#define CANDIDATES 8
#define CLAIM_MIN_LETTERS 3

struct sentence {
    struct str text;
    struct text_term *terms;
    size_t term_count;
};

/* A passage, looked at from three sides. */
struct read_passage {
    struct str plain;
    struct sentence *sentences;
    size_t sentence_count;
};

struct reading {
    const struct eval_judge *judge;
    struct arena *arena;
    struct str language;
    struct read_passage *passages;
    size_t count;
};

static void
read_sentence(struct reading *r, struct str text, struct sentence *out)
{
    out->text = text;
    out->term_count = text_terms(text, r->language, r->arena, &out->terms);
}

static size_t
read_sentences(struct reading *r, struct str text, struct sentence **out)
{
    struct text_span *spans = NULL;
    size_t count = text_sentences(text, r->arena, &spans);

    *out = ARENA_NEW_N(r->arena, struct sentence, count + 1);
    for (size_t i = 0; i < count; i++)
        read_sentence(r, str_sub(text, spans[i].start, spans[i].end - spans[i].start), &(*out)[i]);
    return count;
}

static void
read_case(struct reading *r, const struct eval_case *one)
{
    r->language = text_language(one->question->text);
    r->passages = ARENA_NEW_N(r->arena, struct read_passage, one->passage_count + 1);
    r->count = one->passage_count;
    for (size_t i = 0; i < r->count; i++) {
        const struct eval_passage *passage = &one->passages[i];
        struct str whole = arena_printf(r->arena, "%.*s\n\n%.*s\n\n%.*s", STR_ARG(passage->title),
                                        STR_ARG(passage->heading), STR_ARG(passage->text));

        r->passages[i].plain = eval_plain(whole, r->arena);
        r->passages[i].sentence_count = read_sentences(r, whole, &r->passages[i].sentences);
    }
}

/* --- does a passage support a claim? --- */

static bool
has_term(const struct sentence *sentence, struct str term)
{
    for (size_t i = 0; i < sentence->term_count; i++)
        if (str_eq(sentence->terms[i].term, term))
            return true;
    return false;
}

/* Share of the claim's words that say something. */
static double
shared_words(const struct sentence *claim, const struct sentence *sentence)
{
    size_t all = 0, shared = 0;

    for (size_t i = 0; i < claim->term_count; i++) {
        if (claim->terms[i].is_stop_word)
            continue;
        all++;
        shared += has_term(sentence, claim->terms[i].term);
    }
    return all == 0 ? 0 : (double)shared / (double)all;
}

/* With the sentence that has most. */
static double
most_shared(const struct read_passage *passage, const struct sentence *claim)
{
    double best = 0;

    for (size_t i = 0; i < passage->sentence_count; i++) {
        double shared = shared_words(claim, &passage->sentences[i]);

        best = shared > best ? shared : best;
    }
    return best;
}

static bool
is_number(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] >= '0' && word.ptr[i] <= '9')
            return true;
    return false;
}

/* "Open until 18:00" is not borne out by "open until 17:00", however near the two are. */
static bool
has_its_numbers(const struct sentence *claim, const struct read_passage *passage,
                struct arena *arena)
{
    for (size_t i = 0; i < claim->term_count; i++) {
        struct text_span span = claim->terms[i].span;
        struct str word = str_sub(claim->text, span.start, span.end - span.start);

        if (is_number(word) && str_find(passage->plain, eval_plain(word, arena)) < 0)
            return false;
    }
    return true;
}

struct candidate {
    struct str text;
    double shared;
};

static void
add_candidate(struct candidate *best, size_t *count, struct candidate one)
{
    size_t at = *count < CANDIDATES ? (*count)++ : CANDIDATES;

    for (; at > 0 && best[at - 1].shared < one.shared; at--)
        if (at < CANDIDATES)
            best[at] = best[at - 1];
    if (at < CANDIDATES)
        best[at] = one;
}

/* By the nearest of the sentences that share most words. */
static enum status
supports_by_encoder(const struct reading *r, const struct read_passage *passage,
                    const struct sentence *claim, bool *supported_out, struct err *err)
{
    struct candidate best[CANDIDATES];
    struct str texts[CANDIDATES + 1];
    double cosines[CANDIDATES];
    size_t count = 0;
    enum status st;

    for (size_t i = 0; i < passage->sentence_count; i++) {
        double shared = shared_words(claim, &passage->sentences[i]);

        if (shared > 0)
            add_candidate(best, &count, (struct candidate){passage->sentences[i].text, shared});
    }
    *supported_out = false;
    if (count == 0 || !has_its_numbers(claim, passage, r->arena))
        return ST_OK;
    texts[0] = claim->text;
    for (size_t i = 0; i < count; i++)
        texts[i + 1] = best[i].text;
    st = judge_cosines(r->judge, texts, count + 1, r->arena, cosines, err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        *supported_out = *supported_out || cosines[i] >= SUPPORT_COSINE;
    return st;
}

/* All of its words stand in the passage, most of them together: "Saturday: shop 9:00 to 16:00" is
 * what a row of a table and its heading say. */
static bool
has_all_words(const struct read_passage *passage, const struct sentence *claim)
{
    for (size_t i = 0; i < claim->term_count; i++) {
        bool found = claim->terms[i].is_stop_word;

        for (size_t k = 0; k < passage->sentence_count && !found; k++)
            found = has_term(&passage->sentences[k], claim->terms[i].term);
        if (!found)
            return false;
    }
    return most_shared(passage, claim) >= ROW_WORDS;
}

static bool
supports_by_words(const struct reading *r, const struct read_passage *passage,
                  const struct sentence *claim)
{
    return most_shared(passage, claim) >= SUPPORT_WORDS &&
           has_its_numbers(claim, passage, r->arena);
}

static enum status
supports(const struct reading *r, const struct read_passage *passage, const struct sentence *claim,
         bool *supported_out, struct err *err)
{
    struct str plain = eval_plain(claim->text, r->arena);

    while (plain.len > 0 && str_find(STR(".:;,!?"), str_sub(plain, plain.len - 1, 1)) >= 0)
        plain.len--;
    *supported_out = str_find(passage->plain, plain) >= 0 || has_all_words(passage, claim);
    if (*supported_out)
        return ST_OK;
    if (r->judge->embedder != NULL)
        return supports_by_encoder(r, passage, claim, supported_out, err);
    *supported_out = supports_by_words(r, passage, claim);
    return ST_OK;
}

/* --- claims --- */

static bool
says_something(const struct sentence *claim)
{
    for (size_t i = 0; i < claim->term_count; i++)
        if (!claim->terms[i].is_stop_word && claim->text.len >= CLAIM_MIN_LETTERS)
            return true;
    return false;
}

/* Share of the text's claims that some passage supports; useful (may be NULL) is set for the
 * passages that support one. EVAL_NOT_MEASURED: it claims nothing. */
static enum status
share_supported(struct reading *r, struct str text, bool *useful, double *share_out,
                struct err *err)
{
    struct sentence *claims = NULL;
    size_t count = read_sentences(r, eval_without_citations(text, r->arena), &claims);
    size_t made = 0, borne = 0;
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < count; i++) {
        bool any = false;

        if (!says_something(&claims[i]))
            continue;
        made++;
        for (size_t p = 0; st == ST_OK && p < r->count && (!any || useful != NULL); p++) {
            bool supported = false;

            st = supports(r, &r->passages[p], &claims[i], &supported, err);
            any = any || supported;
            if (useful != NULL && supported)
                useful[p] = true;
        }
        borne += any;
    }
    *share_out = made == 0 ? EVAL_NOT_MEASURED : (double)borne / (double)made;
    return st;
}

static bool
holds_an_answer(const struct reading *r, const struct eval_question *question, size_t passage)
{
    for (size_t i = 0; i < question->answer_count; i++)
        if (str_find(r->passages[passage].plain, eval_plain(question->answers[i], r->arena)) >= 0)
            return true;
    return false;
}

/* Of the passages: by the set's word, by the words of right answers, or by the reference. */
static enum status
judge_contexts(struct reading *r, const struct eval_case *one, struct eval_verdict *verdict,
               struct err *err)
{
    const struct eval_question *question = one->question;
    bool *useful = ARENA_NEW_N(r->arena, bool, r->count + 1);
    bool by_reference = question->reference.len > 0;
    double recall = EVAL_NOT_MEASURED;
    enum status st = ST_OK;

    for (size_t i = 0; i <= r->count; i++)
        useful[i] = false;
    if (by_reference)
        st = share_supported(r, question->reference, useful, &recall, err);
    for (size_t i = 0; i < r->count; i++) {
        bool holds = holds_an_answer(r, question, i);

        if (one->relevant != NULL)
            useful[i] = one->relevant[i];
        else if (question->answer_count > 0)
            useful[i] = holds;
        if (!by_reference && question->answer_count > 0)
            recall = holds || recall > 0 ? 1 : 0;
    }
    if (!by_reference && one->relevant != NULL)
        recall = one->found;
    verdict->context_recall = recall;
    if (one->relevant != NULL || question->answer_count > 0 || by_reference)
        verdict->context_precision = eval_context_precision(useful, r->count);
    return st;
}

enum status
judge_by_text(const struct eval_judge *judge, const struct eval_case *one, struct arena *arena,
              struct eval_verdict *verdict, struct err *err)
{
    struct reading r = {.judge = judge, .arena = arena};
    enum status st;

    verdict->judge = judge->embedder != NULL ? STR("encoder") : STR("words");
    read_case(&r, one);
    st = judge_contexts(&r, one, verdict, err);
    if (st == ST_OK && one->answer.len > 0)
        st = share_supported(&r, one->answer, NULL, &verdict->faithfulness, err);
    if (st == ST_OK && judge->embedder != NULL) {
        struct str texts[] = {one->question->text, eval_without_citations(one->answer, arena)};

        verdict->relevancy = 0;
        if (str_trim(texts[1]).len > 0)
            st = judge_cosines(judge, texts, 2, arena, &verdict->relevancy, err);
        if (verdict->relevancy < 0)
            verdict->relevancy = 0;
    }
    return st;
}
