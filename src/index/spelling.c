/*
 * spelling.c - a word that no passage has, and the words of the passages that it may have meant
 *
 * Only words that nobody wrote are looked at, so a right spelling is never changed. A word of 5 to
 * 7 letters may be wrong in one, a longer one in two; letters changed places count as one
 * (Damerau). The first two letters must be right: that bounds what is read. In languages that write
 * compounds as one word, a word also stands for the compounds that begin with it.
 *
 * A space too many or too few is an error, too: "hand book" also stands for the handbook that
 * passages write, and "giftcard", which none has, for a gift card.
 */
#include "index/index_private.h"

#include <string.h>

#define SPELL_MIN_LEN 5
#define SPELL_TWO_ERRORS_LEN 8
#define SPELL_MAX_LEN 40
#define SPELL_PREFIX_LEN 2
#define SPELL_MAX_TERMS 20000
static const double spell_weights[] = {0, 0.7, 0.5};
#define SPELL_ENDING_RANK 2
#define SPELL_MAX_ENDING 4
#define SPELL_COMPOUND_WEIGHT 0.6
#define SPELL_COMPOUND_RANK 3

/* Of a word that is joined, or made of two; letters of both. */
#define SPELL_JOINED_MIN_LEN 5
#define SPELL_MAX_PAIRS 32
/* Beside words that passages have as well; where they have not, it is their only word for it. */
#define SPELL_JOINED_WEIGHT 0.6
/* "e-bike" is the one kind of word with a part of a single letter. */
#define SPELL_AFTER_LETTER_MIN_LEN 4

static bool
is_plain_word(struct str term)
{
    for (size_t i = 0; i < term.len; i++)
        if (term.ptr[i] < 'a' || term.ptr[i] > 'z')
            return false;
    return term.len >= SPELL_MIN_LEN && term.len <= SPELL_MAX_LEN;
}

static bool
writes_compounds(struct str language)
{
    static const char languages[][3] = {"de", "nl", "sv", "da", "no", "nb", "fi", "hu"};

    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
        if (str_eq_c(language, languages[i]))
            return true;
    return false;
}

struct suggestion {
    struct str written; /* as two words; "": a term alone */
    struct text_term terms[2];
    size_t count;  /* of them: 2 for a word that is made of two */
    unsigned rank; /* 1, 2: errors; SPELL_COMPOUND_RANK; lower is better */
};

static int
compare_suggestions(const struct suggestion *a, const struct suggestion *b)
{
    int order = (a->rank > b->rank) - (a->rank < b->rank);

    for (size_t i = 0; order == 0 && i < 2; i++)
        order = str_cmp(a->terms[i].term, b->terms[i].term);
    return order;
}

/* Keeps the best; of equals the first in the alphabet, so that the choice does not hang on the
 * order in which a database gives its rows. */
static void
suggest(struct suggestion *best, size_t *count, size_t max, const struct suggestion *one)
{
    size_t at = *count;

    for (size_t i = 0; i < *count; i++)
        if (str_eq(best[i].terms[0].term, one->terms[0].term) &&
            str_eq(best[i].terms[1].term, one->terms[1].term))
            return;
    if (*count == max) {
        if (compare_suggestions(&best[max - 1], one) < 0)
            return;
        at = max - 1;
    } else {
        (*count)++;
    }
    for (; at > 0 && compare_suggestions(&best[at - 1], one) > 0; at--)
        best[at] = best[at - 1];
    best[at] = *one;
}

/* Which of the terms the chosen partitions have. */
static enum status
find_terms(const struct search *search, const bool *chosen, const struct str *terms, size_t count,
           bool *found, struct err *err)
{
    enum status st = ST_OK;

    for (size_t p = 0; p < search->partition_count && count > 0 && st == ST_OK; p++)
        if (chosen[p])
            st = index_driver_of(search->tx)
                     ->term_find(search->tx, search->partitions[p].id, terms, count, search->arena,
                                 found, err);
    return st;
}

/* Letters and nothing that could make it a number, an address or several words. */
static bool
has_only_letters(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.ptr[i], lower = c | 0x20;

        if (c < 0x80 && (lower < 'a' || lower > 'z'))
            return false;
    }
    return true;
}

static size_t
letters_of(struct str word)
{
    size_t letters = 0;

    for (size_t i = 0; i < word.len; i++)
        letters += ((unsigned char)word.ptr[i] & 0xc0) != 0x80;
    return letters;
}

/* A line of index_result.spellings. */
static void
note_spelling(struct query_group *group, struct str asked, struct str written, struct arena *arena)
{
    group->spellings = arena_printf(arena, "%.*s%.*s, %.*s\n", STR_ARG(group->spellings),
                                    STR_ARG(asked), STR_ARG(written));
}

/* --- two words that passages write as one --- */

struct joined {
    struct str asked, written;
    struct text_term term;
    size_t first; /* of the question's words; the other one follows */
};

bool
query_is_hyphen(struct str gap)
{
    return str_eq_c(gap, "-") || str_eq_c(gap, "\xe2\x80\x90") || str_eq_c(gap, "\xe2\x80\x91");
}

/* A stop word belongs to the verb before it ("check in"), not to the noun behind it ("is land"),
 * and no ending is cut off the whole: "tax is" is no taxis, "Europe fully" is not Europe. */
static bool
join(struct str text, struct str language, const struct query_word *words, struct arena *arena,
     struct joined *joined_out)
{
    const struct text_term *a = &words[0].term, *b = &words[1].term;
    struct str first = str_sub(text, a->span.start, a->span.end - a->span.start);
    struct str second = str_sub(text, b->span.start, b->span.end - b->span.start), whole;
    struct str gap = str_sub(text, a->span.end, b->span.start - a->span.end);
    bool is_hyphen = query_is_hyphen(gap);
    struct text_term *terms;

    if (a->span.end > b->span.start || (a->is_stop_word && b->is_stop_word) ||
        (!is_hyphen && !str_eq_c(gap, " ")) || !has_only_letters(first) ||
        !has_only_letters(second) || first.len + second.len > SPELL_MAX_LEN ||
        letters_of(first) + letters_of(second) < SPELL_JOINED_MIN_LEN)
        return false;
    whole = arena_printf(arena, "%.*s%.*s", STR_ARG(first), STR_ARG(second));
    if (text_terms(whole, language, arena, &terms) != 1 || terms[0].is_stop_word ||
        terms[0].term.len <= first.len)
        return false;
    *joined_out = (struct joined){
        .asked = str_sub(text, a->span.start, b->span.end - a->span.start),
        .written = whole,
        .term = terms[0],
    };
    return is_hyphen ||
           (!a->is_stop_word && (!b->is_stop_word || (letters_of(second) > 1 &&
                                                      str_ends_with(terms[0].term, b->term))));
}

enum status
query_join(const struct search *search, const bool *chosen, struct query_group *group,
           struct err *err)
{
    struct joined joined[SPELL_MAX_PAIRS];
    struct str terms[SPELL_MAX_PAIRS];
    bool found[SPELL_MAX_PAIRS] = {false};
    size_t count = 0;
    enum status st;

    for (size_t i = 0; i + 1 < group->word_count && count < SPELL_MAX_PAIRS; i++)
        if ((group->words[i].at < INDEX_MAX_QUERY_TERMS ||
             group->words[i + 1].at < INDEX_MAX_QUERY_TERMS) &&
            join(search->query->text, group->language, &group->words[i], search->arena,
                 &joined[count])) {
            joined[count].first = i;
            terms[count] = joined[count].term.term;
            count++;
        }
    st = find_terms(search, chosen, terms, count, found, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        if (!found[i])
            continue;
        note_spelling(group, joined[i].asked, joined[i].written, search->arena);
        for (size_t w = joined[i].first; w < joined[i].first + 2; w++)
            if (group->words[w].at < INDEX_MAX_QUERY_TERMS)
                query_add_form(group, &group->terms[group->words[w].at], &joined[i].term, 1,
                               SPELL_JOINED_WEIGHT, QUERY_MAX_FORMS - QUERY_MAX_CORRECTIONS,
                               search->arena);
    }
    return st;
}

/* --- one word that passages write as two --- */

struct split {
    struct str written;
    struct text_term terms[2];
};

/* As with joined words a stop word is the second; it is in no index. */
static bool
split_at(struct str word, size_t at, struct str language, struct arena *arena,
         struct split *split_out)
{
    struct str first = str_sub(word, 0, at), second = str_sub(word, at, word.len);
    struct str written = arena_printf(arena, "%.*s %.*s", STR_ARG(first), STR_ARG(second));
    struct text_term *terms;

    if (letters_of(second) < (letters_of(first) == 1 ? SPELL_AFTER_LETTER_MIN_LEN : 2) ||
        text_terms(written, language, arena, &terms) != 2 || terms[0].is_stop_word)
        return false;
    *split_out = (struct split){written, {terms[0], terms[1]}};
    return true;
}

static enum status
suggest_splits(const struct search *search, const bool *chosen, const struct query_group *group,
               struct str word, struct suggestion *best, size_t *best_count, struct err *err)
{
    struct split splits[SPELL_MAX_LEN];
    struct str terms[2 * SPELL_MAX_LEN];
    bool found[2 * SPELL_MAX_LEN] = {false};
    size_t count = 0;
    enum status st;

    if (!has_only_letters(word) || word.len > SPELL_MAX_LEN ||
        letters_of(word) < SPELL_JOINED_MIN_LEN)
        return ST_OK;
    for (size_t at = 1; at < word.len; at++)
        if (((unsigned char)word.ptr[at] & 0xc0) != 0x80 &&
            split_at(word, at, group->language, search->arena, &splits[count])) {
            terms[2 * count] = splits[count].terms[0].term;
            terms[2 * count + 1] = splits[count].terms[1].term;
            count++;
        }
    st = find_terms(search, chosen, terms, 2 * count, found, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        const struct text_term *second = &splits[i].terms[1];

        if (found[2 * i] && (second->is_stop_word || found[2 * i + 1]))
            suggest(best, best_count, QUERY_MAX_CORRECTIONS,
                    &(struct suggestion){.written = splits[i].written,
                                         .terms = {splits[i].terms[0], *second},
                                         .count = second->is_stop_word ? 1 : 2,
                                         .rank = 1});
    }
    return st;
}

/* --- letters that are wrong --- */

/* "accommodatin": the stemmer leaves an ending that it does not know. */
static bool
begins_with_stem(struct str asked, struct str stem)
{
    return stem.len >= SPELL_MIN_LEN && asked.len <= stem.len + SPELL_MAX_ENDING &&
           str_starts_with(asked, stem);
}

static enum status
suggest_similar(const struct search *search, const bool *chosen, struct str asked,
                struct suggestion *best, size_t *count, struct err *err)
{
    unsigned max_errors = asked.len >= SPELL_TWO_ERRORS_LEN ? 2 : 1;

    if (!is_plain_word(asked))
        return ST_OK;
    for (size_t p = 0; p < search->partition_count; p++) {
        const struct index_partition *partition = &search->partitions[p];
        struct str *terms = NULL;
        size_t term_count = 0;
        enum status st;

        if (!chosen[p])
            continue;
        st = index_driver_of(search->tx)
                 ->term_list(search->tx, partition->id, str_sub(asked, 0, SPELL_PREFIX_LEN),
                             SPELL_MAX_TERMS, search->arena, &terms, &term_count, err);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < term_count; i++) {
            unsigned errors = text_distance(asked, terms[i], max_errors);
            struct suggestion one = {.terms = {{.term = terms[i]}}, .count = 1, .rank = errors};

            if (errors > max_errors && begins_with_stem(asked, terms[i]))
                one.rank = SPELL_ENDING_RANK;
            else if (errors > max_errors && writes_compounds(partition->language) &&
                     str_starts_with(terms[i], asked))
                one.rank = SPELL_COMPOUND_RANK;
            else if (errors > max_errors)
                continue;
            suggest(best, count, QUERY_MAX_CORRECTIONS, &one);
        }
    }
    return ST_OK;
}

static bool
is_stem_of(struct str word, struct str stem, struct str language, struct arena *arena)
{
    struct text_term *terms;

    return text_terms(word, language, arena, &terms) == 1 && str_eq(terms[0].term, stem);
}

/* A line of index_result.everyday: where the documents have nothing like it, or have that word,
 * whose stem is found, in another form. */
static void
note_everyday(const struct search *search, struct query_group *group, struct str word,
              struct str found)
{
    struct str language = search->query->language;
    struct str meant = STR_EMPTY;

    if (language.len == 0 || str_eq(language, group->language))
        meant = text_everyday(word, group->language);
    if (meant.len > 0 &&
        (found.len == 0 || is_stem_of(meant, found, group->language, search->arena)))
        group->everyday = arena_printf(search->arena, "%.*s%.*s, %.*s\n", STR_ARG(group->everyday),
                                       STR_ARG(word), STR_ARG(meant));
}

enum status
query_correct(const struct search *search, const bool *chosen, struct query_group *group,
              struct query_term *term, struct err *err)
{
    struct suggestion best[QUERY_MAX_CORRECTIONS];
    size_t count = 0;
    enum status st = suggest_splits(search, chosen, group, term->word, best, &count, err);

    if (st == ST_OK)
        st = suggest_similar(search, chosen, term->forms[0].term, best, &count, err);
    for (size_t i = 0; i < count && st == ST_OK && best[i].rank == best[0].rank; i++) {
        note_spelling(group, term->word,
                      best[i].written.len > 0 ? best[i].written : best[i].terms[0].term,
                      search->arena);
        query_add_form(group, term, best[i].terms, best[i].count,
                       best[i].rank == SPELL_COMPOUND_RANK ? SPELL_COMPOUND_WEIGHT
                                                           : spell_weights[best[i].rank],
                       QUERY_MAX_FORMS, search->arena);
    }
    if (st == ST_OK)
        note_everyday(search, group, term->word, count == 0 ? STR_EMPTY : best[0].terms[0].term);
    return st;
}
