/*
 * query.c - a question as terms, once for each language that the passages have
 */
#include "index/index_private.h"

#include <string.h>

/* Words by which the question's own language makes questions say nothing to passages in another. */
static bool
is_stop_in_question(const struct text_term *terms, size_t count, struct text_span span)
{
    for (size_t i = 0; i < count; i++)
        if (terms[i].span.start == span.start)
            return terms[i].is_stop_word;
    return false;
}

/* For ranking: a passage with the customer's own word comes first. */
#define RELATED_WEIGHT 0.45
#define RELATED_ASPECT_WEIGHT 0.6
#define SYNONYM_WEIGHT 0.9

static size_t
find_or_add(struct query_group *group, const struct text_asked *asked, struct str word)
{
    struct query_term *term;

    for (size_t i = 0; i < group->term_count; i++)
        if (asked->term.len > 0 && str_eq(group->terms[i].forms[0].term, asked->term)) {
            group->terms[i].frequency++;
            return i;
        }
    if (group->term_count == INDEX_MAX_QUERY_TERMS)
        return INDEX_MAX_QUERY_TERMS;
    term = &group->terms[group->term_count];
    *term = (struct query_term){
        .word = word, .frequency = 1, .share = asked->share, .is_common = asked->is_common};
    term->forms[term->form_count++] = (struct query_form){.term = asked->term, .weight = 1};
    for (size_t i = 0; i < asked->related_count; i++)
        term->forms[term->form_count++] = (struct query_form){
            .term = asked->related[i],
            .weight = asked->is_aspect ? RELATED_ASPECT_WEIGHT : RELATED_WEIGHT,
        };
    return group->term_count++;
}

static bool
has_form(const struct query_term *term, struct str word, const struct query_phrase *phrase)
{
    for (size_t f = 0; f < term->form_count; f++)
        if (phrase != NULL ? term->forms[f].phrase == phrase : str_eq(term->forms[f].term, word))
            return true;
    return false;
}

void
query_add_form(struct query_group *group, struct query_term *term, const struct text_term *terms,
               size_t count, double weight, size_t max, struct arena *arena)
{
    struct query_form form = {.weight = weight};
    struct str words[INDEX_SYNONYM_TERMS];
    size_t word_count = 0;

    for (size_t i = 0; i < count && word_count < INDEX_SYNONYM_TERMS; i++) {
        bool known = terms[i].is_stop_word;

        for (size_t w = 0; w < word_count; w++)
            known = known || str_eq(words[w], terms[i].term);
        if (!known)
            words[word_count++] = terms[i].term;
    }
    if (word_count == 0 || term->form_count >= max)
        return;
    if (word_count > 1) {
        form.phrase = query_phrase_get(group, words, word_count, arena);
        if (form.phrase == NULL)
            return;
    } else {
        form.term = words[0];
        form.is_part = count > 1;
        form.weight = weight / (double)count;
    }
    if (!has_form(term, form.term, form.phrase))
        term->forms[term->form_count++] = form;
}

/* What the organization says is the same counts almost as the word itself. What stands for a phrase
 * stands for each of its words. */
static void
add_synonyms(struct query_group *group, struct str synonyms, struct arena *arena)
{
    struct text_term *terms = ARENA_NEW_N(arena, struct text_term, group->word_count);
    struct index_synonym_match match = {0};
    struct index_synonyms known;

    if (synonyms.len == 0)
        return;
    for (size_t i = 0; i < group->word_count; i++)
        terms[i] = group->words[i].term;
    index_synonyms_open(synonyms, group->language, arena, &known);
    while (index_synonyms_next(&known, terms, group->word_count, &match))
        for (size_t w = match.first; w < match.first + match.count; w++)
            for (size_t i = match.group; i < match.group + match.group_count; i++) {
                const struct index_synonym *other = &known.items[i];
                size_t at = group->words[w].at;

                if (at < INDEX_MAX_QUERY_TERMS &&
                    !index_synonym_stands_at(other, terms + match.first, match.count))
                    query_add_form(group, &group->terms[at], other->terms, other->term_count,
                                   SYNONYM_WEIGHT, 1 + TEXT_MAX_RELATED + INDEX_SYNONYMS_OF_GROUP,
                                   arena);
            }
}

/* What stands between a word and the one before it. */
static struct str
gap_before(const struct query_group *group, struct str text, size_t at)
{
    size_t start = group->words[at - 1].term.span.end, end = group->words[at].term.span.start;

    return end < start ? STR_EMPTY : str_sub(text, start, end - start);
}

/* The end of the words that hyphens join to the one at start. */
static size_t
compound_end(const struct query_group *group, struct str text, size_t start)
{
    size_t end = start + 1;

    while (end < group->word_count && query_is_hyphen(gap_before(group, text, end)))
        end++;
    return end;
}

/* "Time-in-grade": words that say how sure a passage is that has them so, too. */
static void
read_compounds(struct query_group *group, struct str text)
{
    size_t end;

    for (size_t start = 0; start < group->word_count; start = end) {
        struct query_compound compound = {.count = 0};

        end = compound_end(group, text, start);
        for (size_t w = start; w < end && compound.count < QUERY_COMPOUND_WORDS; w++)
            if (group->words[w].at < INDEX_MAX_QUERY_TERMS)
                compound.words[compound.count++] =
                    (struct query_compound_word){group->words[w].at, (uint32_t)(w - start)};
        if (compound.count > 1 && group->compound_count < QUERY_MAX_COMPOUNDS)
            group->compounds[group->compound_count++] = compound;
    }
}

static void
read_words(struct query_group *group, struct str text, struct arena *arena)
{
    struct text_term *terms;

    group->word_count = text_terms(text, group->language, arena, &terms);
    group->words = ARENA_NEW_N(arena, struct query_word, group->word_count);
    for (size_t i = 0; i < group->word_count; i++)
        group->words[i] = (struct query_word){terms[i], INDEX_MAX_QUERY_TERMS};
}

void
query_analyse(const struct index_query *query, struct str language, struct arena *arena,
              struct query_group *group_out)
{
    struct str text = query->text, question_language = query->language;
    struct text_term *own_terms = NULL;
    struct text_asked *asked;
    size_t own_count = 0, word = 0, count;

    *group_out = (struct query_group){.language = language};
    text = str_sub(text, 0, str_utf8_floor(text, INDEX_MAX_QUERY_BYTES));
    count = text_question(text, language, arena, &asked);
    read_words(group_out, text, arena);
    if (question_language.len > 0 && !str_eq(question_language, language))
        own_count = text_terms(text, question_language, arena, &own_terms);
    for (size_t i = 0; i < count; i++) {
        struct text_span span = asked[i].span;
        size_t at;

        while (asked[i].term.len > 0 && group_out->words[word].term.span.start != span.start)
            word++; /* they come in the same order */
        if (asked[i].term.len > 0 && is_stop_in_question(own_terms, own_count, span))
            continue;
        at = find_or_add(group_out, &asked[i],
                         arena_str(arena, str_sub(text, span.start, span.end - span.start)));
        if (asked[i].term.len > 0)
            group_out->words[word].at = at;
        if (asked[i].term.len > 0 && at < INDEX_MAX_QUERY_TERMS &&
            group_out->sequence_count < sizeof(group_out->sequence))
            group_out->sequence[group_out->sequence_count++] = (unsigned char)at;
    }
    add_synonyms(group_out, query->synonyms, arena);
    read_compounds(group_out, text);
}
