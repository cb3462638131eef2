/*
 * extractive_score.c - what the question asks for, and how much each unit says to it
 *
 * A unit's score is the share of the question's weight that it holds itself, plus parts for what
 * its headings and neighbours hold, for words that stand together as in the question, for something
 * new of the wanted kind (a number, a date, a name), and for the passage's rank. Rarity is counted
 * among the units at hand: a word that all of them hold tells none apart.
 */
#include "model/drivers/extractive.h"

#include <math.h>

/* Found by coordinate search over labelled questions on encyclopedia paragraphs, then rounded. */
#define PART_FUZZY 0.7       /* a word of the same family */
#define PART_MEANT 0.70      /* a word that means about the same */
#define PART_HEADING 1.0     /* found in title or headings only */
#define PART_PREVIOUS 0.45   /* found in the unit before only */
#define PART_LEAD_IN 0.6     /* found in the line that introduces the list */
#define PART_NEXT 0.25       /* found in the unit after only */
#define BONUS_TOGETHER 0.12  /* all neighbours in the question are neighbours in the unit */
#define BONUS_WANTED 0.20    /* something new of the wanted kind */
#define BONUS_LEAD 0.10      /* first unit under a heading that the question names */
#define BONUS_DEFINES 0.20   /* begins with what is to be explained */
#define TAKEN_FRAGMENT 0.15  /* a few words without a verb: a link, a name */
#define TAKEN_LONE_ITEM 0.05 /* an item whose list nothing introduces */
#define TAKEN_ECHO 0.40      /* a question, or nothing that was not in the question */
#define FRAGMENT_WORDS 6
#define DEFINING_WORDS 5
#define PART_PASSAGE 0.30 /* of the score, times the passage's place */
#define MIN_WEIGHT 0.15
#define SAID_AGAIN 1.5
#define PART_NOT_SHOWN 0.3   /* of an address that is asked for: it is spoken of */
#define BONUS_LABEL 0.20     /* of what is asked, in front of an item's colon */
#define TAKEN_OTHER_ROW 0.25 /* another row of the table is about what is asked */
#define BONUS_ROW 0.10       /* it is the row about what is asked */
#define SUBJECT_SHARE 0.9

static bool
has_digit(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] >= '0' && word.ptr[i] <= '9')
            return true;
    }
    return false;
}

/* --- the question --- */

static void
add_term(struct ex_question *question, const struct text_asked *asked, size_t position,
         double share)
{
    struct ex_question_term *added;

    if (question->term_count >= EX_MAX_TERMS)
        return;
    for (size_t i = 0; i < question->term_count; i++) {
        if (asked->term.len > 0 && str_eq(question->terms[i].stem, asked->term)) {
            if (question->terms[i].share == share) /* said again: it matters more */
                question->terms[i].share *= SAID_AGAIN;
            return;
        }
    }
    added = &question->terms[question->term_count++];
    *added = (struct ex_question_term){.stem = asked->term,
                                       .hash = str_hash(asked->term),
                                       .related = asked->related,
                                       .related_count = asked->related_count,
                                       .weight = 1,
                                       .share = share,
                                       .is_aspect = asked->is_aspect,
                                       .is_own = asked->is_own,
                                       .has_digit = has_digit(asked->term),
                                       .position = position};
    for (size_t i = 0; i < asked->related_count; i++)
        added->related_hashes[i] = str_hash(asked->related[i]);
}

/* "Email" of "your email address" asks for the same as the side that the phrase is. */
static void
read_contact(struct ex_question *question, const struct str *words, size_t count)
{
    question->contact = ex_contact_asked(words, count);
    for (size_t q = 0; q < question->term_count && question->contact != EX_CONTACT_NONE; q++) {
        size_t at = question->terms[q].position;

        if (at < count && ex_contact_asked(&words[at], 1) == question->contact)
            question->terms[q].is_own = true;
    }
}

void
ex_question_read(struct ex_question *question, struct str text, struct arena *arena)
{
    struct text_term *folded;
    struct text_asked *asked;
    size_t folded_count = text_terms(text, STR_EMPTY, arena, &folded);
    size_t count = text_question(text, question->language, arena, &asked);
    struct str *words = ARENA_NEW_N(arena, struct str, folded_count + 1);
    size_t at, used, word = 0, full = 0;
    double own = 0;

    for (size_t i = 0; i < folded_count; i++)
        words[i] = folded[i].term;
    question->want = ex_words_want(question->language, words, folded_count, &at, &used);

    for (size_t i = 0; i < count; i++) {
        double share = asked[i].share;

        if (asked[i].term.len > 0) {
            /* The two lists differ where a word gives several terms: match them by place. */
            while (word < folded_count && folded[word].span.start < asked[i].span.start)
                word++;
            if (used > 0 && word >= at && word < at + used)
                share = fmin(share, asked[i].is_aspect ? 0.5 : 0.25);
            else if (word < folded_count && ex_words_is_form(words[word]))
                share = fmin(share, 0.35);
        }
        add_term(question, &asked[i], word, share);
        full += share == 1;
        own = fmax(own, asked[i].is_own ? asked[i].share : 0);
    }
    if (own > 0)
        read_contact(question, words, folded_count);
    if (own == 1 && question->contact == EX_CONTACT_NONE && question->want == EX_WANT_PLACE)
        question->contact = EX_CONTACT_ADDRESS; /* "where are you" */
    /* "What is the height of the tower in Paris?" asks for more than a definition. */
    if (question->want == EX_WANT_DEFINITION && full > 3)
        question->want = EX_WANT_ANY;
}

/* --- matching --- */

static bool
is_meant(const struct ex_question_term *wanted, struct str term, uint64_t hash)
{
    for (size_t i = 0; i < wanted->related_count; i++) {
        if (wanted->related_hashes[i] == hash && str_eq(wanted->related[i], term))
            return true;
    }
    return false;
}

/* Words of one family that the stemmer keeps apart: "invas" and "invad", "Pakete" in "Paketdienst".
 */
static bool
is_related(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len, longer = a.len + b.len - shorter, same = 0;

    if (shorter < 4 || longer - shorter > 5)
        return false;
    while (same < shorter && a.ptr[same] == b.ptr[same])
        same++;
    return same >= 4 && same * 5 >= shorter * 4 && same * 2 > longer;
}

static double
match_in(const struct ex_question_term *wanted, const struct text_term *terms,
         const uint64_t *hashes, size_t count, size_t *at_out)
{
    double best = 0;

    for (size_t i = 0; i < count; i++) {
        if (hashes[i] == wanted->hash && str_eq(terms[i].term, wanted->stem)) {
            *at_out = i;
            return 1;
        }
        if (best < PART_MEANT && is_meant(wanted, terms[i].term, hashes[i])) {
            *at_out = i;
            best = PART_MEANT;
        }
        if (best == 0 && !wanted->has_digit && !terms[i].is_stop_word &&
            is_related(terms[i].term, wanted->stem)) {
            *at_out = i;
            best = PART_FUZZY;
        }
    }
    return best;
}

/* How well each of the question's terms is found in the unit, and where. */
struct unit_match {
    double found[EX_MAX_TERMS];
    size_t at[EX_MAX_TERMS];
};

/* An address is what looks like one, rather than what speaks of one. */
static void
match_contact(const struct ex_question *question, const struct ex_unit *unit,
              struct unit_match *match)
{
    size_t at = ex_contact_at(unit, question->contact);

    for (size_t q = 0; q < question->term_count; q++) {
        if (!question->terms[q].is_own)
            continue;
        match->found[q] = at == EX_NONE ? match->found[q] * PART_NOT_SHOWN : 1;
        match->at[q] = at == EX_NONE ? match->at[q] : at;
    }
}

static void
match_unit(const struct ex_question *question, const struct ex_unit *unit, struct unit_match *match)
{
    for (size_t q = 0; q < question->term_count; q++) {
        match->at[q] = EX_NONE;
        match->found[q] = match_in(&question->terms[q], unit->terms, unit->hashes, unit->term_count,
                                   &match->at[q]);
    }
    if (question->contact != EX_CONTACT_NONE && unit->kind != EX_HEADING)
        match_contact(question, unit, match);
}

static void
weigh_terms(struct ex_text *text, const struct unit_match *matches)
{
    struct ex_question *question = &text->question;
    double units = 0;

    for (size_t i = 0; i < text->unit_count; i++)
        units += text->units[i].kind != EX_HEADING;
    question->total_weight = 0;
    for (size_t q = 0; q < question->term_count; q++) {
        double holding = 0;

        for (size_t i = 0; i < text->unit_count; i++) {
            if (text->units[i].kind != EX_HEADING && matches[i].found[q] >= PART_MEANT)
                holding++;
        }
        question->terms[q].weight = fmax(
            log(1 + (units - holding + 0.5) / (holding + 0.5)) / log(2 * units + 2), MIN_WEIGHT);
        question->total_weight += question->terms[q].weight * question->terms[q].share;
    }
}

static double
term_part(const struct ex_question *question, size_t q)
{
    return question->total_weight == 0
               ? 0
               : question->terms[q].weight * question->terms[q].share / question->total_weight;
}

/* --- something of the wanted kind --- */

static bool
is_in_question(const struct ex_question *question, const struct text_term *term, uint64_t hash)
{
    for (size_t q = 0; q < question->term_count; q++) {
        if (question->terms[q].hash == hash && str_eq(question->terms[q].stem, term->term))
            return true;
    }
    return false;
}

static bool
looks_like_year(struct str word)
{
    int64_t year;

    return (word.len == 4 || (word.len == 5 && word.ptr[4] == 's')) &&
           str_to_i64(str_sub(word, 0, 4), &year) && year >= 1000 && year <= 2199;
}

static bool
is_wanted(enum ex_want want, const struct ex_unit *unit, size_t at)
{
    struct str word = ex_unit_word(unit, at);
    bool digit = has_digit(word);

    switch (want) {
    case EX_WANT_NUMBER:
        return digit || ex_words_is_number(word);
    case EX_WANT_DATE:
        return looks_like_year(word) || (digit && word.len <= 2) || ex_words_is_date(word);
    case EX_WANT_PERSON:
    case EX_WANT_PLACE:
        return at > 0 && ex_words_begins_with_capital(word) && !digit;
    case EX_WANT_REASON:
        return ex_words_is_reason(word);
    case EX_WANT_STEPS:
    case EX_WANT_DEFINITION:
    case EX_WANT_ANY:
        break;
    }
    return false;
}

static bool
holds_wanted(const struct ex_question *question, const struct ex_unit *unit)
{
    for (size_t i = 0; i < unit->term_count; i++) {
        if (is_wanted(question->want, unit, i) &&
            !is_in_question(question, &unit->terms[i], unit->hashes[i]))
            return true;
    }
    return false;
}

/* --- scoring --- */

/* Share of neighbouring term pairs of the question that are near each other in the unit. */
static double
togetherness(const struct ex_question *question, const struct unit_match *match)
{
    double found = 0, all = 0;

    for (size_t q = 0; q + 1 < question->term_count; q++) {
        double part = (term_part(question, q) + term_part(question, q + 1)) / 2;
        size_t a = match->at[q], b = match->at[q + 1];

        if (question->terms[q + 1].position - question->terms[q].position > 3)
            continue;
        all += part;
        if (match->found[q] > 0 && match->found[q + 1] > 0 && (a < b ? b - a : a - b) <= 4)
            found += part;
    }
    return all == 0 ? 0 : found / all;
}

/* Title and heading path of a passage as a unit that only matching sees. */
static void
match_heading_path(struct ex_text *text, size_t passage, struct unit_match *match)
{
    const struct model_passage *source = &text->request->passages[passage];
    struct ex_unit heading = {0};

    heading.text = arena_printf(text->arena, "%.*s\n%.*s", STR_ARG(str_sub(source->title, 0, 500)),
                                STR_ARG(str_sub(source->heading_path, 0, 500)));
    heading.text.len = str_utf8_valid_prefix(heading.text);
    heading.term_count =
        text_terms(heading.text, text->question.language, text->arena, &heading.terms);
    heading.hashes = ARENA_NEW_N(text->arena, uint64_t, heading.term_count + 1);
    for (size_t i = 0; i < heading.term_count; i++)
        heading.hashes[i] = str_hash(heading.terms[i].term);
    match_unit(&text->question, &heading, match);
}

/* The passage's place among all, 0..1: by its score where scores differ, else by rank. */
static double
passage_place(const struct model_request *request, size_t passage)
{
    double top = request->passages[0].score, own = request->passages[passage].score;
    double by_rank = 1.0 / (1.0 + 0.35 * (double)passage);

    if (top <= 0 || own < 0)
        return by_rank;
    return 0.5 * by_rank + 0.5 * fmin(own / top, 1);
}

static bool
is_neighbour(const struct ex_text *text, size_t unit, size_t other)
{
    return other < text->unit_count && text->units[other].passage == text->units[unit].passage &&
           text->units[other].kind != EX_HEADING;
}

/* "X is ...": all that is asked about stands among the first words. */
static bool
defines(const struct ex_question *question, const struct ex_unit *unit,
        const struct unit_match *match)
{
    if (unit->kind == EX_ITEM && unit->term_count <= FRAGMENT_WORDS)
        return false;
    for (size_t q = 0; q < question->term_count; q++) {
        if (question->terms[q].share == 1 &&
            (match->found[q] == 0 || match->at[q] >= DEFINING_WORDS))
            return false;
    }
    return question->term_count > 0;
}

/* It says the question over again: no word with a meaning that was not asked. */
static bool
tells_nothing_new(const struct ex_question *question, const struct ex_unit *unit)
{
    for (size_t i = 0; i < unit->term_count; i++) {
        if (!unit->terms[i].is_stop_word &&
            !is_in_question(question, &unit->terms[i], unit->hashes[i]))
            return false;
    }
    return true;
}

/* "Cargo bike: 55 € a day": share of the question in front of the colon. */
static double
label_share(const struct ex_question *question, const struct ex_unit *unit,
            const struct unit_match *own)
{
    ptrdiff_t colon = unit->kind == EX_ITEM ? str_find(unit->text, STR(": ")) : -1;
    double found = 0;

    for (size_t q = 0; q < question->term_count && colon > 0; q++) {
        if (own->found[q] > 0 && unit->terms[own->at[q]].span.end <= (size_t)colon)
            found += term_part(question, q) * own->found[q];
    }
    return found;
}

static bool
is_fragment(const struct ex_unit *unit)
{
    char last = unit->text.ptr[unit->text.len - 1];

    return unit->term_count < FRAGMENT_WORDS && last != '.' && last != '!' &&
           (unsigned char)last < 0x80;
}

/* What the form of unit and question say, beyond the words they share. */
static double
form_bonus(const struct ex_text *text, const struct ex_unit *unit, const struct unit_match *own,
           double heading_found)
{
    const struct ex_question *question = &text->question;
    double bonus = 0;

    if (unit->has_wanted)
        bonus += BONUS_WANTED;
    bonus += BONUS_LABEL * label_share(question, unit, own);
    if (question->want == EX_WANT_DEFINITION && defines(question, unit, own))
        bonus += BONUS_DEFINES;
    /* Steps are given in lists: where heading or lead-in speak of what is to be done. */
    if (question->want == EX_WANT_STEPS && unit->kind == EX_ITEM && !unit->is_row)
        bonus += BONUS_WANTED * heading_found;
    if (unit->kind == EX_ITEM && is_fragment(unit))
        bonus -= TAKEN_FRAGMENT;
    if (unit->kind == EX_ITEM && unit->lead_in == EX_NONE && !unit->is_row)
        bonus -= TAKEN_LONE_ITEM;
    if (tells_nothing_new(question, unit) || unit->text.ptr[unit->text.len - 1] == '?')
        bonus -= TAKEN_ECHO;
    /* A sentence of a few words rarely answers alone. */
    if (unit->kind == EX_SENTENCE && unit->term_count < 5)
        bonus -= 0.1;
    return bonus;
}

static void
score_unit(struct ex_text *text, size_t index, const struct unit_match *matches,
           const struct unit_match *heading_paths)
{
    const struct ex_question *question = &text->question;
    struct ex_unit *unit = &text->units[index];
    const struct unit_match *own = &matches[index], *path = &heading_paths[unit->passage];
    bool after_previous = index > 0 && is_neighbour(text, index, index - 1);
    bool before_next = is_neighbour(text, index, index + 1);
    bool first_under_heading =
        unit->heading == index - 1 || index == 0 || text->units[index - 1].passage != unit->passage;
    double heading_found = 0;

    unit->matched = 0;
    unit->evidence = 0;
    for (size_t q = 0; q < question->term_count; q++) {
        double part = term_part(question, q), found = own->found[q], context = 0, heading;

        if (question->contact != EX_CONTACT_NONE && question->terms[q].is_own) {
            unit->matched += part * found;
            unit->evidence += part * found;
            continue;
        }
        heading = path->found[q];
        if (unit->heading != EX_NONE)
            heading = fmax(heading, matches[unit->heading].found[q]);
        if (unit->lead_in != EX_NONE) {
            context = fmax(context, PART_LEAD_IN * matches[unit->lead_in].found[q]);
            heading = fmax(heading, matches[unit->lead_in].found[q]);
        }
        context = fmax(context, PART_HEADING * heading);
        if (after_previous)
            context = fmax(context, PART_PREVIOUS * matches[index - 1].found[q]);
        if (before_next)
            context = fmax(context, PART_NEXT * matches[index + 1].found[q]);
        unit->matched += part * found;
        unit->evidence += part * fmax(found, context);
        heading_found += part * heading;
    }
    unit->headed = heading_found;
    unit->has_wanted = holds_wanted(question, unit);
    unit->score = unit->evidence + BONUS_TOGETHER * togetherness(question, own) * unit->matched;
    unit->score += form_bonus(text, unit, own, heading_found);
    if (first_under_heading)
        unit->score += BONUS_LEAD * heading_found;
    unit->score += PART_PASSAGE * passage_place(text->request, unit->passage);
}

static size_t
table_end(const struct ex_text *text, size_t start)
{
    size_t end = start;

    while (end < text->unit_count && text->units[end].is_row &&
           text->units[end].passage == text->units[start].passage)
        end++;
    return end;
}

/* Of a table the rows that are about the subject: a word that most rows have tells none apart. */
static void
compare_rows(struct ex_text *text, size_t start, size_t end, const struct unit_match *matches)
{
    const struct ex_question *question = &text->question;
    double most = 0;

    for (size_t q = 0; q < question->term_count; q++) {
        size_t holding = 0;

        if (question->terms[q].is_aspect || question->terms[q].share < SUBJECT_SHARE)
            continue;
        for (size_t i = start; i < end; i++)
            holding += matches[i].found[q] > 0;
        for (size_t i = start; i < end && holding * 2 <= end - start; i++)
            text->units[i].specific += term_part(question, q) * matches[i].found[q];
    }
    for (size_t i = start; i < end; i++)
        most = fmax(most, text->units[i].specific);
    for (size_t i = start; i < end; i++) {
        if (text->units[i].specific < most)
            text->units[i].score -= TAKEN_OTHER_ROW;
        else if (most > 0)
            text->units[i].score += BONUS_ROW;
    }
}

static void
sum_passage(struct ex_text *text, size_t passage, const struct unit_match *matches,
            const struct unit_match *heading_path)
{
    text->passage_cover[passage] = 0;
    for (size_t q = 0; q < text->question.term_count; q++) {
        double part = term_part(&text->question, q), found = heading_path->found[q];

        for (size_t i = 0; i < text->unit_count; i++) {
            if (text->units[i].passage == passage)
                found = fmax(found, matches[i].found[q]);
        }
        text->passage_cover[passage] += part * found;
    }
}

/* Overlapping chunks repeat sentences: the first stays. */
static void
mark_duplicates(struct ex_text *text)
{
    for (size_t i = 0; i < text->unit_count; i++) {
        for (size_t j = 0; j < i && !text->units[i].duplicate; j++) {
            if (str_eq(text->units[i].text, text->units[j].text))
                text->units[i].duplicate = true;
        }
    }
}

/* The address that is asked for, or what else. */
static bool
is_shown(const struct ex_text *text)
{
    for (size_t i = 0; i < text->unit_count; i++)
        if (ex_contact_at(&text->units[i], text->question.contact) != EX_NONE)
            return true;
    return false;
}

void
ex_score(struct ex_text *text)
{
    struct unit_match *matches = ARENA_NEW_N(text->arena, struct unit_match, text->unit_count + 1);
    struct unit_match *paths = ARENA_NEW_N(text->arena, struct unit_match, EX_MAX_PASSAGES);

    if (!is_shown(text))
        text->question.contact = EX_CONTACT_NONE;
    for (size_t i = 0; i < text->unit_count; i++)
        match_unit(&text->question, &text->units[i], &matches[i]);
    weigh_terms(text, matches);
    for (size_t p = 0; p < text->passage_count; p++) {
        match_heading_path(text, p, &paths[p]);
        sum_passage(text, p, matches, &paths[p]);
    }
    for (size_t i = 0; i < text->unit_count; i++) {
        if (text->units[i].kind != EX_HEADING)
            score_unit(text, i, matches, paths);
    }
    for (size_t i = 0, end; i<text->unit_count; i = end> i ? end : i + 1) {
        end = table_end(text, i);
        if (end > i)
            compare_rows(text, i, end, matches);
    }
    mark_duplicates(text);
}
