/*
 * extractive_select.c - as few units as make it likely that the answer is among them
 *
 * Scores become shares of belief; units are taken from the strongest until enough belief is
 * gathered, or the length budget is used. A unit brings along what it cannot be understood without:
 * the sentence before one that begins with "he" or "this", the line that introduces its list, the
 * rest of the list when the list is the answer. A row that is about what was asked needs no other
 * passage.
 */
#include "model/drivers/extractive.h"

#include <math.h>

#define TEMPERATURE 0.12
#define ENOUGH_BELIEF 0.85
#define MAX_SENTENCES 4.0
#define ITEM_COUNTS 0.5 /* of a sentence */
#define MAX_LIST_ITEMS 8
#define MAX_WORDS 110
#define MAX_LIST_WORDS 130 /* with what else is in the answer */
#define ITEM_SPEAKS_ALONE 0.6
#define MAX_BEHIND_ELSEWHERE 0.25 /* for other passages than the best unit's */
#define MAX_PASSAGES 3
#define SHORT_WORDS 24
#define MAX_BEHIND_BEST 0.42
#define OTHER_PASSAGE 0.05 /* taken off what is not in the best unit's passage */
#define NEXT_TO_BEST 0.05  /* added to its neighbours */
#define MIN_EVIDENCE 0.25
#define MIN_EVIDENCE_SURE 0.12 /* its passage holds most of the question, or is surely found */
#define COVERED 0.5
#define SURE 0.8
#define MIN_MATCHED 0.10

struct selection {
    struct ex_text *text;
    bool chosen[EX_MAX_UNITS];
    size_t order_of_passage[EX_MAX_PASSAGES]; /* when first chosen, from 1; 0: not */
    size_t passages;
    double sentences;
    size_t words;
    bool list_was_cut;
};

static double
sentence_cost(const struct ex_unit *unit)
{
    return unit->kind == EX_ITEM ? ITEM_COUNTS : 1;
}

static bool
fits(const struct selection *selection, const struct ex_unit *unit)
{
    return selection->sentences + sentence_cost(unit) <= MAX_SENTENCES &&
           selection->words + unit->term_count <= MAX_WORDS;
}

static bool
choose(struct selection *selection, size_t index, bool needed)
{
    const struct ex_unit *unit = &selection->text->units[index];

    if (selection->chosen[index])
        return true;
    if (unit->kind == EX_HEADING || unit->duplicate || (!needed && !fits(selection, unit)))
        return false;
    if (selection->order_of_passage[unit->passage] == 0 && selection->passages == MAX_PASSAGES)
        return false;
    selection->chosen[index] = true;
    selection->sentences += sentence_cost(unit);
    selection->words += unit->term_count;
    if (selection->order_of_passage[unit->passage] == 0)
        selection->order_of_passage[unit->passage] = ++selection->passages;
    return true;
}

static bool
points_back(const struct ex_unit *unit)
{
    if (unit->term_count == 0)
        return false;
    if (ex_words_points_back(ex_unit_word(unit, 0)) ||
        ex_words_is_connective(ex_unit_word(unit, 0)))
        return true;
    /* "The suite uses this type": in a short sentence the pointing word carries the meaning. */
    for (size_t i = 1; i < unit->term_count && unit->term_count <= SHORT_WORDS; i++) {
        if (ex_words_is_demonstrative(ex_unit_word(unit, i)))
            return true;
    }
    return false;
}

static void
choose_with_antecedent(struct selection *selection, size_t index, bool needed)
{
    const struct ex_unit *units = selection->text->units;

    if (!choose(selection, index, needed))
        return;
    if (points_back(&units[index]) && index > 0 &&
        (units[index - 1].kind == EX_SENTENCE || units[index].goes_on) &&
        units[index - 1].passage == units[index].passage &&
        units[index - 1].paragraph == units[index].paragraph)
        (void)choose(selection, index - 1, false);
}

static bool
is_of_list(const struct ex_unit *unit)
{
    return unit->kind == EX_ITEM || unit->goes_on;
}

/* Items from first on that belong to the same list. */
static size_t
list_end(const struct ex_text *text, size_t first)
{
    size_t end = first;

    while (end < text->unit_count && is_of_list(&text->units[end]) &&
           text->units[end].passage == text->units[first].passage &&
           text->units[end].lead_in == text->units[first].lead_in)
        end++;
    return end;
}

static size_t
list_start(const struct ex_text *text, size_t item)
{
    size_t start = item;

    while (start > 0 && is_of_list(&text->units[start - 1]) &&
           text->units[start - 1].passage == text->units[item].passage &&
           text->units[start - 1].lead_in == text->units[item].lead_in)
        start--;
    return start;
}

/* Items of [start, end) that fit into an answer, from the first on. */
static size_t
list_fitting(const struct selection *selection, size_t start, size_t end)
{
    size_t words = selection->words, taken = 0;

    for (size_t i = start; i < end && taken < MAX_LIST_ITEMS; i++) {
        words += selection->chosen[i] ? 0 : selection->text->units[i].term_count;
        if (words > MAX_LIST_WORDS)
            break;
        taken++;
    }
    return taken;
}

/* The list around the item, whole or from its beginning; the item alone when it would be left out:
 * a list with a hole in it misleads. */
static void
choose_list(struct selection *selection, size_t item)
{
    size_t start = list_start(selection->text, item), end = list_end(selection->text, item);
    size_t taken = list_fitting(selection, start, end);

    if (item >= start + taken)
        return;
    for (size_t i = start; i < start + taken; i++)
        (void)choose(selection, i, true);
    selection->list_was_cut = start + taken < end;
}

/* A line right before a list introduces it when it ends in a colon, or stands on its own feet. */
static bool
introduces(const struct ex_unit *unit)
{
    return unit->is_lead_in || !points_back(unit);
}

static void
choose_item(struct selection *selection, size_t index, bool needed)
{
    const struct ex_text *text = selection->text;
    const struct ex_unit *unit = &text->units[index];

    if (!choose(selection, index, needed))
        return;
    if (unit->parent != EX_NONE)
        (void)choose(selection, unit->parent, needed);
    if (unit->lead_in != EX_NONE && introduces(&text->units[unit->lead_in]))
        (void)choose(selection, unit->lead_in, needed);
    if (unit->is_row && unit->specific == 0)
        choose_list(selection, index); /* the question is about the table */
    if (!unit->is_row &&
        ((text->question.want == EX_WANT_STEPS && unit->matched < ITEM_SPEAKS_ALONE) ||
         (unit->lead_in != EX_NONE && text->units[unit->lead_in].matched >= unit->matched)))
        choose_list(selection, index);
}

static void
choose_unit(struct selection *selection, size_t index, bool needed)
{
    const struct ex_text *text = selection->text;
    const struct ex_unit *unit = &text->units[index];
    bool followed = index + 1 < text->unit_count && unit[1].passage == unit->passage;

    if (unit->kind == EX_ITEM) {
        choose_item(selection, index, needed);
        return;
    }
    if (unit->is_lead_in && !followed)
        return; /* it introduces what is not here */
    choose_with_antecedent(selection, index, needed);
    if (!unit->is_lead_in || !selection->chosen[index])
        return;
    if (unit[1].kind == EX_ITEM)
        choose_list(selection, index + 1);
    else
        (void)choose(selection, index + 1, false);
}

static bool
is_candidate(const struct ex_unit *unit)
{
    return unit->kind != EX_HEADING && !unit->duplicate && unit->evidence > 0;
}

/* The score with what the best unit says for those near it: an answer should be of one piece. */
static void
prefer_one_piece(struct ex_text *text, size_t best)
{
    for (size_t i = 0; i < text->unit_count; i++) {
        if (text->units[i].passage != text->units[best].passage)
            text->units[i].score -= OTHER_PASSAGE;
        else if (i + 1 == best || i == best + 1)
            text->units[i].score += NEXT_TO_BEST;
    }
}

static bool
carries_evidence(const struct ex_text *text, const struct ex_unit *unit)
{
    if (unit->matched < MIN_MATCHED && unit->headed < MIN_EVIDENCE)
        return false;
    return unit->evidence >=
           (text->passage_cover[unit->passage] >= COVERED || text->request->confidence >= SURE
                ? MIN_EVIDENCE_SURE
                : MIN_EVIDENCE);
}

/* Of those that carry evidence: form alone may give another the highest score. */
static size_t
first_choice(const struct ex_text *text)
{
    size_t best = EX_NONE;

    for (size_t i = 0; i < text->unit_count; i++) {
        const struct ex_unit *unit = &text->units[i];

        if (is_candidate(unit) && carries_evidence(text, unit) &&
            (best == EX_NONE || unit->score > text->units[best].score))
            best = i;
    }
    return best;
}

static size_t
best_unit(const struct ex_text *text, const bool *tried)
{
    size_t best = EX_NONE;

    for (size_t i = 0; i < text->unit_count; i++) {
        if (!tried[i] && is_candidate(&text->units[i]) &&
            (best == EX_NONE || text->units[i].score > text->units[best].score))
            best = i;
    }
    return best;
}

/* What a colon promises did not fit. */
static bool
introduces_nothing(const struct selection *selection, size_t index)
{
    const struct ex_text *text = selection->text;

    if (!text->units[index].is_lead_in || selection->sentences <= 1)
        return false;
    for (size_t i = index + 1; i < text->unit_count; i++) {
        if (selection->chosen[i] && (i == index + 1 || text->units[i].lead_in == index))
            return false;
    }
    return true;
}

/* Passages in the order they were first chosen, units in the order of the text. */
static void
list_choice(const struct selection *selection, struct ex_choice *choice)
{
    choice->count = 0;
    choice->list_was_cut = selection->list_was_cut;
    for (size_t order = 1; order <= selection->passages; order++) {
        for (size_t i = 0; i < selection->text->unit_count; i++) {
            const struct ex_unit *unit = &selection->text->units[i];

            if (selection->chosen[i] && selection->order_of_passage[unit->passage] == order &&
                !introduces_nothing(selection, i))
                choice->units[choice->count++] = i;
        }
    }
}

void
ex_select(struct ex_text *text, struct ex_choice *choice)
{
    struct selection *selection = ARENA_NEW(text->arena, struct selection);
    bool *tried = ARENA_NEW_N(text->arena, bool, EX_MAX_UNITS);
    size_t best = first_choice(text), next;
    double belief = 0, all = 0, best_score;

    choice->count = 0;
    selection->text = text;
    if (best == EX_NONE)
        return;
    prefer_one_piece(text, best);

    best_score = fmax(text->units[best].score, text->units[best_unit(text, tried)].score);
    for (size_t i = 0; i < text->unit_count; i++) {
        if (is_candidate(&text->units[i]))
            all += exp((text->units[i].score - best_score) / TEMPERATURE);
    }
    for (next = best; next != EX_NONE && belief < ENOUGH_BELIEF; next = best_unit(text, tried)) {
        if (best_score - text->units[next].score > MAX_BEHIND_BEST)
            break;
        tried[next] = true;
        if (text->units[next].passage != text->units[best].passage &&
            (text->units[best].specific > 0 ||
             best_score - text->units[next].score > MAX_BEHIND_ELSEWHERE))
            continue;
        belief += exp((text->units[next].score - best_score) / TEMPERATURE) / all;
        choose_unit(selection, next, next == best);
    }
    list_choice(selection, choice);
}
