/*
 * facts.c - the numbers, names and addresses of a sentence
 *
 * Numbers are compared by value: "1,200" is "1.200" and "9.50" is "9,5"; "thirty" is 30. Names are
 * words that begin with a capital letter where the language has no other reason for one (German
 * has), or hold several, or digits.
 */
#include <ctype.h>
#include <string.h>

#include "orchestrator/evidence.h"

#define NUMBER_MAX_LEN 24

struct fact_list {
    struct fact *facts;
    size_t count, capacity;
    struct arena *arena;
};

static void
add_fact(struct fact_list *list, struct fact fact)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->facts[i].kind == fact.kind && str_eq(list->facts[i].text, fact.text))
            return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 8;
        struct fact *facts = ARENA_NEW_N(list->arena, struct fact, capacity);

        if (list->count > 0)
            memcpy(facts, list->facts, list->count * sizeof(*facts));
        list->facts = facts;
        list->capacity = capacity;
    }
    list->facts[list->count++] = fact;
}

/* --- numbers in figures --- */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct str
without_zeros_before(struct str digits)
{
    while (digits.len > 1 && digits.ptr[0] == '0')
        digits = str_sub(digits, 1, digits.len);
    return digits;
}

static void
add_number(struct fact_list *list, struct str whole, struct str fraction)
{
    while (fraction.len > 0 && fraction.ptr[fraction.len - 1] == '0')
        fraction.len--;
    whole = without_zeros_before(whole);
    add_fact(list, (struct fact){.kind = FACT_NUMBER,
                                 .text = fraction.len == 0
                                             ? arena_str(list->arena, whole)
                                             : arena_printf(list->arena, "%.*s.%.*s",
                                                            STR_ARG(whole), STR_ARG(fraction))});
}

#define GROUPS_MAX 6

/* Digits with single '.', ',' or '\'' between: "12.03.2024" has three groups. */
struct digits {
    struct str groups[GROUPS_MAX];
    char marks[GROUPS_MAX]; /* before a group */
    size_t count;
};

static size_t
read_digits(struct str text, size_t at, struct digits *digits)
{
    digits->count = 0;
    for (;;) {
        size_t start = at;

        while (at < text.len && is_digit(text.ptr[at]))
            at++;
        digits->groups[digits->count] = str_sub(text, start, at - start);
        digits->marks[digits->count++] = start > 0 ? text.ptr[start - 1] : ' ';
        if (digits->count == GROUPS_MAX || at + 1 >= text.len || !is_digit(text.ptr[at + 1]) ||
            (text.ptr[at] != '.' && text.ptr[at] != ',' && text.ptr[at] != '\''))
            return at;
        at++;
    }
}

/* "1,200,000": groups of three after the first. */
static bool
are_thousands(const struct digits *digits, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (digits->groups[i].len != 3 || digits->marks[i] != digits->marks[1])
            return false;
    return count > 1 && digits->groups[0].len <= 3 && digits->groups[0].ptr[0] != '0';
}

static struct str
join_groups(const struct digits *digits, size_t count, struct arena *arena)
{
    struct str whole = digits->groups[0];

    for (size_t i = 1; i < count; i++)
        whole = arena_printf(arena, "%.*s%.*s", STR_ARG(whole), STR_ARG(digits->groups[i]));
    return whole;
}

static void
add_digits(struct fact_list *list, const struct digits *digits)
{
    size_t last = digits->count - 1;

    if (are_thousands(digits, digits->count)) {
        add_number(list, join_groups(digits, digits->count, list->arena), STR_EMPTY);
    } else if (digits->count == 2 ||
               (are_thousands(digits, last) && digits->marks[last] != digits->marks[1])) {
        add_number(list, join_groups(digits, last == 0 ? 1 : last, list->arena),
                   last == 0 ? STR_EMPTY : digits->groups[last]);
    } else { /* one number, or a date, or a version */
        for (size_t i = 0; i < digits->count; i++)
            add_number(list, digits->groups[i], STR_EMPTY);
    }
}

/* "2. " before a step of a list. */
static size_t
list_marker(struct str text)
{
    size_t at = 0;

    while (at < text.len && at < 3 && is_digit(text.ptr[at]))
        at++;
    return at > 0 && at + 1 < text.len && (text.ptr[at] == '.' || text.ptr[at] == ')') &&
                   text.ptr[at + 1] == ' '
               ? at + 1
               : 0;
}

static void
add_figures(struct fact_list *list, struct str text, bool is_claim)
{
    size_t at = is_claim ? list_marker(text) : 0;

    while (at < text.len) {
        struct digits digits;
        size_t start = at;

        if (!is_digit(text.ptr[at])) {
            at++;
            continue;
        }
        at = read_digits(text, at, &digits);
        /* "9:00" is what "9 am" says. */
        if (is_claim && start > 0 && text.ptr[start - 1] == ':' && str_eq_c(digits.groups[0], "00"))
            continue;
        add_digits(list, &digits);
    }
}

/* --- numbers in words --- */

struct number_word {
    char language[3];
    char word[12];
    unsigned value;
};
static const struct number_word number_words[] = {
    {"en", "one", 1},       {"en", "two", 2},       {"en", "three", 3},    {"en", "four", 4},
    {"en", "five", 5},      {"en", "six", 6},       {"en", "seven", 7},    {"en", "eight", 8},
    {"en", "nine", 9},      {"en", "ten", 10},      {"en", "eleven", 11},  {"en", "twelve", 12},
    {"en", "fourteen", 14}, {"en", "fifteen", 15},  {"en", "twenty", 20},  {"en", "thirty", 30},
    {"en", "forty", 40},    {"en", "fifty", 50},    {"en", "sixty", 60},   {"en", "ninety", 90},
    {"de", "ein", 1},       {"de", "eine", 1},      {"de", "zwei", 2},     {"de", "drei", 3},
    {"de", "vier", 4},      {"de", "fünf", 5},      {"de", "sechs", 6},    {"de", "sieben", 7},
    {"de", "acht", 8},      {"de", "neun", 9},      {"de", "zehn", 10},    {"de", "elf", 11},
    {"de", "zwölf", 12},    {"de", "vierzehn", 14}, {"de", "zwanzig", 20}, {"de", "dreißig", 30},
    {"de", "vierzig", 40},  {"de", "fünfzig", 50},  {"de", "sechzig", 60}, {"de", "neunzig", 90},
    {"fr", "un", 1},        {"fr", "une", 1},       {"fr", "deux", 2},     {"fr", "trois", 3},
    {"fr", "quatre", 4},    {"fr", "cinq", 5},      {"fr", "six", 6},      {"fr", "sept", 7},
    {"fr", "huit", 8},      {"fr", "neuf", 9},      {"fr", "dix", 10},     {"fr", "onze", 11},
    {"fr", "douze", 12},    {"fr", "quinze", 15},   {"fr", "vingt", 20},   {"fr", "trente", 30},
    {"es", "un", 1},        {"es", "una", 1},       {"es", "dos", 2},      {"es", "tres", 3},
    {"es", "cuatro", 4},    {"es", "cinco", 5},     {"es", "seis", 6},     {"es", "siete", 7},
    {"es", "ocho", 8},      {"es", "nueve", 9},     {"es", "diez", 10},    {"es", "once", 11},
    {"es", "doce", 12},     {"es", "quince", 15},   {"es", "veinte", 20},  {"es", "treinta", 30},
};

static void
add_number_words(struct fact_list *list, struct str text, struct str language,
                 const struct text_term *terms, size_t count, bool is_claim)
{
    for (size_t i = 0; i < count; i++) {
        struct str word =
            str_sub(text, terms[i].span.start, terms[i].span.end - terms[i].span.start);

        for (size_t n = 0; n < sizeof(number_words) / sizeof(number_words[0]); n++) {
            const struct number_word *row = &number_words[n];

            /* One is seldom a number in a sentence. The first byte spares comparing most words. */
            if (word.len == 0 || ((word.ptr[0] ^ row->word[0]) & ~0x20) != 0 ||
                (is_claim && row->value == 1) || !str_eq_c(language, row->language) ||
                !str_eq_nocase(word, str_from_c(row->word)))
                continue;
            add_fact(list, (struct fact){.kind = FACT_NUMBER,
                                         .text = arena_printf(list->arena, "%u", row->value)});
        }
    }
}

size_t
numbers_of(struct str sentence, struct str whole, struct str language,
           const struct text_term *terms, size_t term_count, struct arena *arena,
           struct fact **numbers_out)
{
    struct fact_list list = {.arena = arena};

    add_figures(&list, sentence, false);
    add_number_words(&list, whole, language, terms, term_count, false);
    *numbers_out = list.facts;
    return list.count;
}

/* --- names --- */

/* Of ASCII and the Latin letters of two bytes with the same capitals. */
static bool
is_capital_at(struct str text, size_t at)
{
    unsigned char c = (unsigned char)text.ptr[at];

    if (c == 0xc3 && at + 1 < text.len)
        return (unsigned char)text.ptr[at + 1] < 0x9f;
    return c >= 'A' && c <= 'Z';
}

/* Begins the sentence, or something like one: after a colon, a dash, an opening quote. */
static bool
begins_something(struct str text, size_t at)
{
    while (at > 0 &&
           (text.ptr[at - 1] == ' ' || text.ptr[at - 1] == '*' || text.ptr[at - 1] == '_'))
        at--;
    return at == 0 || strchr(".:!?-\"'(\n", text.ptr[at - 1]) != NULL ||
           ((unsigned char)text.ptr[at - 1] >= 0x80 && at >= 3);
}

static bool
is_name(struct str text, struct text_span span, bool capitals_are_names)
{
    unsigned capitals = 0;
    bool digits = false, letters = false;

    for (size_t i = span.start; i < span.end; i++) {
        capitals += is_capital_at(text, i);
        digits |= is_digit(text.ptr[i]);
        letters |= isalpha((unsigned char)text.ptr[i]) != 0;
    }
    if (digits)
        return letters && capitals > 0; /* "B2B", "iPhone5"; not "5pm" */
    if (capitals > 1)
        return true;
    return capitals_are_names && capitals == 1 && is_capital_at(text, span.start) &&
           !begins_something(text, span.start);
}

static void
add_names(struct fact_list *list, struct str text, struct str language,
          const struct text_term *terms, size_t count)
{
    bool capitals_are_names = !str_eq_c(language, "de");

    for (size_t i = 0; i < count; i++)
        if (!terms[i].is_stop_word && is_name(text, terms[i].span, capitals_are_names))
            add_fact(list, (struct fact){.kind = FACT_NAME,
                                         .text = str_sub(text, terms[i].span.start,
                                                         terms[i].span.end - terms[i].span.start),
                                         .term = terms[i].term});
}

/* --- addresses --- */

/* "example.org/login", "a@b.example": a dot between letters, and a last part like a domain's. */
static bool
is_address(struct str word)
{
    size_t label = 0, dots = 0, i;

    if (str_find(word, STR("://")) >= 0 || str_find(word, STR("@")) > 0)
        return true;
    for (i = 0; i < word.len && word.ptr[i] != '/'; i++) {
        if (word.ptr[i] == '.' && label > 0) {
            dots++;
            label = 0;
        } else if (isalpha((unsigned char)word.ptr[i]) ||
                   (dots == 0 && isalnum((unsigned char)word.ptr[i])) || word.ptr[i] == '-') {
            label++;
        } else {
            return false;
        }
    }
    return dots > 0 && label >= 2;
}

static bool
ends_word(char c)
{
    return strchr(" \t\n()[]<>\"'`*,;!?|", c) != NULL;
}

static void
add_addresses(struct fact_list *list, struct str text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t start = at;
        struct str word;

        while (at < text.len && !ends_word(text.ptr[at]))
            at++;
        word = str_sub(text, start, at - start);
        while (word.len > 0 && strchr(".:", word.ptr[word.len - 1]) != NULL)
            word.len--;
        if (word.len > 3 && is_address(word))
            add_fact(list, (struct fact){.kind = FACT_ADDRESS, .text = word});
        at++;
    }
}

size_t
facts_of(struct str sentence, struct str language, const struct text_term *terms, size_t term_count,
         struct arena *arena, struct fact **facts_out)
{
    struct fact_list list = {.arena = arena};

    add_figures(&list, sentence, true);
    add_number_words(&list, sentence, language, terms, term_count, true);
    add_names(&list, sentence, language, terms, term_count);
    add_addresses(&list, sentence);
    *facts_out = list.facts;
    return list.count;
}
