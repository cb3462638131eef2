/*
 * question.c - a question as what it asks about: subjects, sides of them, and mere form
 */
#include "text/question_private.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WEAK_SHARE 0.2
#define ASPECT_SHARE 0.5
#define ROW_MAX_TERMS 16
#define PHRASE_MAX_WORDS 6
#define TABLE_BYTES ((size_t)1 << 20)
#define SCRATCH_BYTES ((size_t)1 << 20)

/* One way to ask, as folded words. */
struct phrase {
    struct str words[PHRASE_MAX_WORDS];
    size_t count;
    size_t row;
};

/* A term that leads to a row, or that is weak. */
struct lead {
    struct str language, term;
    size_t row; /* WEAK: the term says little; COMMON: little is missing where nobody wrote it;
                   NAME: the organization */
};
#define WEAK ((size_t)-1)
#define COMMON ((size_t)-2)
#define NAME ((size_t)-3)
#define IS_ROW(row) ((row) < NAME)

struct table {
    struct str (*terms)[ROW_MAX_TERMS]; /* by row */
    size_t *term_counts;
    struct phrase *phrases;
    size_t phrase_count;
    struct lead *leads; /* in order of language and term */
    size_t lead_count;
};

struct building {
    struct table *table;
    struct arena *arena;   /* never freed: it lasts as long as the process */
    struct arena *scratch; /* of one word */
};

/* Process-wide: made from the constant rows by the first who asks, then frozen. */
static struct table table;
/* Process-wide: who asks first. */
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* --- building --- */

static int
lead_compare(const void *a, const void *b)
{
    const struct lead *left = a, *right = b;
    int order = str_cmp(left->language, right->language);

    return order != 0 ? order : str_cmp(left->term, right->term);
}

static void
add_lead(struct table *t, const char *language, struct str term, size_t row)
{
    t->leads[t->lead_count++] = (struct lead){str_from_c(language), term, row};
}

/* Signs of money are terms as they are; other words are stemmed, compounds by their parts. */
static void
add_word(struct building *b, const char *language, struct str word, size_t row)
{
    struct table *t = b->table;
    struct text_term *terms, sign = {.term = word};
    size_t count = text_terms(word, str_from_c(language), b->scratch, &terms);

    if (count == 0 && word.len > 0) {
        terms = &sign;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        struct str term;

        if (terms[i].is_stop_word || (terms[i].term.len < 2 && count > 1))
            continue;
        term = arena_str(b->arena, terms[i].term);
        if (IS_ROW(row)) {
            assert(t->term_counts[row] < ROW_MAX_TERMS);
            t->terms[row][t->term_counts[row]++] = term;
        }
        if (count == 1)
            add_lead(t, language, term, row);
    }
    arena_reset(b->scratch);
}

static void
add_phrase(struct building *b, struct str text, size_t row)
{
    struct phrase *phrase = &b->table->phrases[b->table->phrase_count++];
    char *spaced = arena_alloc(b->scratch, text.len + 1);
    struct text_term *terms;
    size_t count;

    for (size_t i = 0; i < text.len; i++)
        spaced[i] = text.ptr[i] == '_' ? ' ' : text.ptr[i];
    count = text_terms(str_of(spaced, text.len), STR_EMPTY, b->scratch, &terms);
    assert(count > 0 && count <= PHRASE_MAX_WORDS);
    phrase->row = row;
    for (size_t i = 0; i < count; i++)
        phrase->words[phrase->count++] = arena_str(b->arena, terms[i].term);
    arena_reset(b->scratch);
}

static size_t
count_words(const char *words)
{
    size_t count = words == NULL ? 0 : 1;

    for (; words != NULL && *words != '\0'; words++)
        count += *words == ' ';
    return count;
}

/* Words that lead to no row. */
static const struct {
    const struct question_weak_row *rows;
    const size_t *count;
    size_t row;
} marked[] = {
    {question_weak_rows, &question_weak_row_count, WEAK},
    {question_common_rows, &question_common_row_count, COMMON},
    {question_name_rows, &question_name_row_count, NAME},
};

static void
table_build(void)
{
    struct arena *arena = arena_create(TABLE_BYTES);
    struct building b = {&table, arena, arena_create(SCRATCH_BYTES)};
    struct str rest, word;
    size_t words = 0, asks = 0;

    for (size_t i = 0; i < question_row_count; i++) {
        words += count_words(question_rows[i].words);
        asks += count_words(question_rows[i].asks);
    }
    for (size_t m = 0; m < sizeof(marked) / sizeof(marked[0]); m++)
        for (size_t i = 0; i < *marked[m].count; i++)
            words += count_words(marked[m].rows[i].words);
    table.terms = arena_alloc_n(arena, sizeof(*table.terms), question_row_count);
    table.term_counts = ARENA_NEW_N(arena, size_t, question_row_count);
    table.leads = ARENA_NEW_N(arena, struct lead, words);
    table.phrases = ARENA_NEW_N(arena, struct phrase, asks);
    for (size_t i = 0; i < question_row_count; i++) {
        const struct question_row *row = &question_rows[i];

        rest = str_from_c(row->words);
        while (str_split(&rest, ' ', &word))
            add_word(&b, row->language, word, i);
        rest = str_from_c(row->asks);
        while (row->asks != NULL && str_split(&rest, ' ', &word))
            add_phrase(&b, word, i);
    }
    for (size_t m = 0; m < sizeof(marked) / sizeof(marked[0]); m++)
        for (size_t i = 0; i < *marked[m].count; i++) {
            rest = str_from_c(marked[m].rows[i].words);
            while (str_split(&rest, ' ', &word))
                add_word(&b, marked[m].rows[i].language, word, marked[m].row);
        }
    arena_destroy(&b.scratch);
    qsort(table.leads, table.lead_count, sizeof(*table.leads), lead_compare);
}

/* --- asking --- */

struct reading {
    struct str language;
    struct text_term *terms, *folded;
    size_t count, folded_count;
    struct text_asked *asked; /* beside terms; then the aspects that phrases name */
    size_t asked_count;
    struct arena *arena;
};

static size_t
first_lead(struct str language, struct str term)
{
    const struct lead wanted = {.language = language, .term = term};
    size_t low = 0, high = table.lead_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (lead_compare(&table.leads[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
is_lead(size_t at, struct str language, struct str term)
{
    return at < table.lead_count && str_eq(table.leads[at].language, language) &&
           str_eq(table.leads[at].term, term);
}

static void
add_related(struct text_asked *asked, size_t row)
{
    for (size_t i = 0; i < table.term_counts[row]; i++) {
        struct str term = table.terms[row][i];
        bool known = str_eq(term, asked->term);

        for (size_t j = 0; j < asked->related_count && !known; j++)
            known = str_eq(asked->related[j], term);
        if (!known && asked->related_count < TEXT_MAX_RELATED)
            asked->related[asked->related_count++] = term;
    }
    asked->is_aspect = asked->is_aspect || question_rows[row].part != SUBJECT;
    asked->is_own = asked->is_own || question_rows[row].part == OWN_SIDE;
}

static bool
leads_to(struct str language, struct str term, size_t row)
{
    for (size_t at = first_lead(language, term); is_lead(at, language, term); at++)
        if (table.leads[at].row == row)
            return true;
    return false;
}

static void
read_word(const struct reading *r, size_t i)
{
    struct text_asked *asked = &r->asked[i];

    *asked = (struct text_asked){.term = r->terms[i].term, .span = r->terms[i].span, .share = 1};
    asked->related = ARENA_NEW_N(r->arena, struct str, TEXT_MAX_RELATED);
    if (r->terms[i].is_stop_word) {
        asked->share = 0;
        return;
    }
    for (size_t at = first_lead(r->language, asked->term); is_lead(at, r->language, asked->term);
         at++) {
        if (table.leads[at].row == WEAK)
            asked->share = WEAK_SHARE;
        else if (table.leads[at].row == COMMON)
            asked->is_common = true;
        else if (IS_ROW(table.leads[at].row))
            add_related(asked, table.leads[at].row);
    }
    if (asked->is_aspect && asked->share == 1)
        asked->share = ASPECT_SHARE;
}

/* The last word of a phrase may be a plural. */
static bool
is_word_of(const struct phrase *phrase, size_t i, struct str word)
{
    if (str_eq(word, phrase->words[i]))
        return true;
    return i + 1 == phrase->count && word.len == phrase->words[i].len + 1 &&
           str_ends_with(word, STR("s")) && str_starts_with(word, phrase->words[i]);
}

static bool
phrase_stands_at(const struct reading *r, const struct phrase *phrase, size_t at)
{
    if (at + phrase->count > r->folded_count)
        return false;
    for (size_t i = 0; i < phrase->count; i++)
        if (!is_word_of(phrase, i, r->folded[at + i].term))
            return false;
    return true;
}

/* A side that is asked for by a phrase: a word of its own, unless a word names it already. */
static void
ask_aspect(struct reading *r, size_t row)
{
    struct text_asked *asked;

    for (size_t i = 0; i < r->count; i++)
        if (r->asked[i].share > 0 && leads_to(r->language, r->asked[i].term, row))
            return;
    for (size_t i = r->count; i < r->asked_count; i++)
        if (table.term_counts[row] > 0 && r->asked[i].related_count > 0 &&
            str_eq(r->asked[i].related[0], table.terms[row][0]))
            return;
    asked = &r->asked[r->asked_count++];
    *asked = (struct text_asked){.share = ASPECT_SHARE};
    asked->related = ARENA_NEW_N(r->arena, struct str, TEXT_MAX_RELATED);
    add_related(asked, row);
}

static void
read_phrase(struct reading *r, const struct phrase *phrase, size_t at)
{
    const struct question_row *row = &question_rows[phrase->row];
    size_t start = r->folded[at].span.start;
    size_t end = r->folded[at + phrase->count - 1].span.end;
    struct text_asked *first = NULL;

    for (size_t i = 0; i < r->count; i++) {
        struct text_asked *asked = &r->asked[i];

        if (asked->span.start < start || asked->span.end > end || asked->share == 0)
            continue;
        if (first == NULL && row->part == SUBJECT)
            first = asked;
        else if (asked->share == WEAK_SHARE)
            asked->share = 0; /* "much" of "how much" */
        else if (row->part != SUBJECT)
            asked->share = ASPECT_SHARE;
        else
            asked->share = WEAK_SHARE; /* "back" of "bring back" */
    }
    if (row->part != SUBJECT)
        ask_aspect(r, phrase->row);
    else if (first != NULL)
        add_related(first, phrase->row);
}

/* "Where are you?" names no subject: it is about the organization; and "Where is your shop?" is. */
static void
name_the_organization(struct reading *r)
{
    bool has_own_side = false;

    for (size_t i = 0; i < r->asked_count; i++) {
        if (r->asked[i].share == 1 && !leads_to(r->language, r->asked[i].term, NAME))
            return;
        has_own_side = has_own_side || (r->asked[i].is_own && r->asked[i].share > 0);
    }
    for (size_t i = 0; i < r->asked_count && has_own_side; i++) {
        if (r->asked[i].is_own && r->asked[i].share > 0)
            r->asked[i].share = 1;
        else if (r->asked[i].share == 1)
            r->asked[i].share = WEAK_SHARE;
    }
}

size_t
text_question(struct str text, struct str language, struct arena *arena,
              struct text_asked **asked_out)
{
    struct reading r = {.language = language, .arena = arena};
    size_t count = 0;

    pthread_once(&table_once, table_build);
    r.count = text_terms(text, language, arena, &r.terms);
    r.folded_count = text_terms(text, STR_EMPTY, arena, &r.folded);
    r.asked = ARENA_NEW_N(arena, struct text_asked, r.count + TEXT_MAX_ASPECTS);
    r.asked_count = r.count;
    for (size_t i = 0; i < r.count; i++)
        read_word(&r, i);
    for (size_t p = 0; p < table.phrase_count; p++) {
        const struct phrase *phrase = &table.phrases[p];

        if (!str_eq_c(language, question_rows[phrase->row].language))
            continue;
        for (size_t at = 0; at < r.folded_count; at++)
            if (r.asked_count < r.count + TEXT_MAX_ASPECTS && phrase_stands_at(&r, phrase, at)) {
                read_phrase(&r, phrase, at);
                break;
            }
    }
    name_the_organization(&r);
    for (size_t i = 0; i < r.asked_count; i++)
        if (r.asked[i].share > 0)
            r.asked[count++] = r.asked[i];
    *asked_out = r.asked;
    return count;
}

/* Folded words with which such questions begin, and words that point back. */
static const char follow_up_starts[] =
    " and what_about how_about but also then und was_ist_mit wie_ist_es_mit aber et mais y pero ";
static const char pointing_back[] = " it that this they them those these das dies diese sie cela "
                                    "ca ceci eso esto ello ";

static bool
is_listed(const char *list, struct str word)
{
    struct str rest = str_from_c(list), one;

    while (str_split(&rest, ' ', &one))
        if (one.len > 0 && str_eq(one, word))
            return true;
    return false;
}

static bool
begins_as_follow_up(const struct text_term *words, size_t count)
{
    struct str rest = str_from_c(follow_up_starts), phrase;

    while (str_split(&rest, ' ', &phrase)) {
        struct str word;
        size_t at = 0;
        bool stands = phrase.len > 0;

        while (stands && str_split(&phrase, '_', &word)) {
            stands = at < count && str_eq(words[at].term, word);
            at++;
        }
        if (stands)
            return true;
    }
    return false;
}

#define FOLLOW_UP_BYTES ((size_t)8 << 20)
#define FOLLOW_UP_MAX_WORDS 12

bool
text_is_follow_up(struct str text, struct str language)
{
    struct arena *arena = arena_create(FOLLOW_UP_BYTES);
    struct text_term *words;
    struct text_asked *asked;
    size_t word_count, count, subjects = 0;
    bool points = false, follows;

    text = str_sub(text, 0, str_utf8_floor(text, 1000));
    word_count = text_terms(text, STR_EMPTY, arena, &words);
    count = text_question(text, language, arena, &asked);
    for (size_t i = 0; i < word_count; i++)
        points = points || is_listed(pointing_back, words[i].term);
    for (size_t i = 0; i < count; i++)
        subjects += asked[i].term.len > 0 && !asked[i].is_aspect && asked[i].share >= 1;
    follows = word_count <= FOLLOW_UP_MAX_WORDS &&
              (begins_as_follow_up(words, word_count) || (points && subjects == 0));
    arena_destroy(&arena);
    return follows;
}

bool
text_is_of_organization(struct str text, struct str language)
{
    struct arena *arena = arena_create(FOLLOW_UP_BYTES);
    struct text_asked *asked;
    size_t count;
    bool is_own = false;

    text = str_sub(text, 0, str_utf8_floor(text, 1000));
    count = text_question(text, language, arena, &asked);
    for (size_t i = 0; i < count; i++)
        is_own = is_own || (asked[i].is_own && asked[i].share >= 1);
    arena_destroy(&arena);
    return is_own;
}

/* Folded words: who speaks, that something is wrong, what makes it a case that may come, and what
 * one may lack or still have without anything being wrong ("I don't know how to ..." asks like "how
 * do I ..."; "is my bike still under warranty?"). */
static const struct {
    const char *language, *own, *wrong, *supposed, *knowing;
} own_cases[] = {
    {"en", "i my me mine im ive we our",
     "why not isnt wasnt cant cannot wont hasnt havent didnt doesnt dont couldnt arent still never "
     "wrong",
     "if when unless before can may should must",
     "know knowing sure understand understanding understood aware certain familiar under covered "
     "insured"},
    {"de", "ich mein meine meinen meinem meiner mir mich wir unser unsere",
     "warum wieso weshalb nicht kein keine keinen nie falsch immer",
     "wenn falls kann darf muss soll", "weiss weiß wissen verstehe verstehen sicher klar"},
    {"fr", "je j mon ma mes moi nous notre", "pourquoi pas jamais toujours aucun aucune",
     "si quand puis peux dois", "sais savoir comprends comprendre"},
    {"es", "yo mi mis me nosotros", "porque por no nunca todavia aun", "si cuando puedo debo",
     "saber entiendo entender seguro segura"},
};

/* One of the list stands beside the word, or one further on ("not quite sure", "ne sais pas"). */
static bool
stands_beside(const char *list, const struct text_term *words, size_t count, size_t at)
{
    for (size_t i = at > 0 ? at - 1 : 0; i < count && i <= at + 2; i++)
        if (is_listed(list, words[i].term))
            return true;
    return false;
}

bool
text_is_own_case(struct str text, struct str language)
{
    struct arena *arena = arena_create(FOLLOW_UP_BYTES);
    bool own = false, wrong = false, supposed = false;
    struct text_term *words;
    size_t count;

    text = str_sub(text, 0, str_utf8_floor(text, 1000));
    count = text_terms(text, STR_EMPTY, arena, &words);
    for (size_t l = 0; l < sizeof(own_cases) / sizeof(own_cases[0]); l++)
        for (size_t i = 0; i < count && str_eq_c(language, own_cases[l].language); i++) {
            own = own || is_listed(own_cases[l].own, words[i].term);
            wrong = wrong || (is_listed(own_cases[l].wrong, words[i].term) &&
                              !stands_beside(own_cases[l].knowing, words, count, i));
            supposed = supposed || is_listed(own_cases[l].supposed, words[i].term);
        }
    arena_destroy(&arena);
    return own && wrong && !supposed;
}
