/*
 * terms.c - what the index counts instead of words
 */
#include "text/text_private.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

struct term_list {
    struct text_tools *tools;
    struct str text;
    enum text_language_id language;
    struct sb_stemmer *stemmer;
    struct arena *arena;
    struct text_term *terms;
    size_t count, capacity;
};

static void
term_add(struct term_list *list, struct str term, struct text_span span, bool is_stop_word)
{
    if (term.len == 0)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct text_term *grown = ARENA_NEW_N(list->arena, struct text_term, capacity);

        if (list->count > 0)
            memcpy(grown, list->terms, list->count * sizeof(*grown));
        list->terms = grown;
        list->capacity = capacity;
    }
    list->terms[list->count++] =
        (struct text_term){arena_str(list->arena, term), span, is_stop_word};
}

static bool
has_digit(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (text_is_digit(s.ptr[i]))
            return true;
    return false;
}

/* "1,000,000" is "1000000"; "3.50" and "1,5" stay. Changes s in place. */
static struct str
without_grouping(struct str s, char *bytes)
{
    size_t length = 0;

    for (size_t i = 0; i < s.len; i++) {
        bool groups = s.ptr[i] == ',' && i + 3 < s.len && text_is_digit(s.ptr[i + 1]) &&
                      text_is_digit(s.ptr[i + 2]) && text_is_digit(s.ptr[i + 3]) &&
                      (i + 4 == s.len || !text_is_digit(s.ptr[i + 4]));

        if (!groups)
            bytes[length++] = s.ptr[i];
    }
    return str_of(bytes, length);
}

/* Spanish and Portuguese are often typed without accents, and these endings are the ones by which
 * their stemmers know a noun: "informacion" is to meet "informaciones". */
static struct str
with_usual_accent(struct str word, enum text_language_id language, char *bytes)
{
    static const struct {
        enum text_language_id language;
        struct str typed, meant;
    } endings[] = {
        {LANG_ES, STR_INIT("cion"), STR_INIT("ción")},
        {LANG_ES, STR_INIT("sion"), STR_INIT("sión")},
        {LANG_PT, STR_INIT("cao"), STR_INIT("ção")},
        {LANG_PT, STR_INIT("coes"), STR_INIT("ções")},
    };

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t stem_len = word.len - endings[i].typed.len;

        if (endings[i].language != language || word.len < endings[i].typed.len + 3 ||
            !str_ends_with(word, endings[i].typed))
            continue;
        memmove(bytes, word.ptr, stem_len);
        memcpy(bytes + stem_len, endings[i].meant.ptr, endings[i].meant.len);
        return str_of(bytes, stem_len + endings[i].meant.len);
    }
    return word;
}

/* term_bytes has room for TEXT_FOLD_MAX. */
static struct str
make_term(struct term_list *list, struct str word, char *term_bytes, bool *is_stop_out)
{
    char folded_bytes[TEXT_FOLD_MAX];
    struct str folded = text_fold_case(word, list->language, folded_bytes);
    struct str plain = text_fold_accents(folded, list->language, term_bytes);
    bool is_stop = list->language != LANG_NONE &&
                   (text_stop_word_languages(plain) & (1u << list->language)) != 0;

    *is_stop_out = is_stop;
    if (has_digit(folded))
        return without_grouping(plain, term_bytes);
    if (list->stemmer != NULL && !is_stop) { /* half of all words are, and nobody looks for them */
        const sb_symbol *stem;

        folded = with_usual_accent(folded, list->language, folded_bytes);
        stem = sb_stemmer_stem(list->stemmer, (const sb_symbol *)folded.ptr, (int)folded.len);
        folded = str_of((const char *)stem, (size_t)sb_stemmer_length(list->stemmer));
        plain = text_fold_accents(folded, list->language, term_bytes);
    }
    return plain;
}

/* Where the word is kept if it is: a place for each by FNV-1a. */
static struct text_known_word *
place_of_word(struct term_list *list, struct str word)
{
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)(list->language + 1);

    for (size_t i = 0; i < word.len; i++)
        hash = (hash ^ (unsigned char)word.ptr[i]) * UINT32_C(16777619);
    return &list->tools->known[(hash ^ (hash >> 15)) % TEXT_KNOWN_WORDS];
}

static void
term_of_word(struct term_list *list, struct text_span span)
{
    char term_bytes[TEXT_FOLD_MAX];
    struct str word = str_sub(list->text, span.start, span.end - span.start), term;
    struct text_known_word *known = NULL;
    bool is_stop;

    if (word.len > 0 && word.len <= TEXT_KNOWN_BYTES) {
        known = place_of_word(list, word);
        if (known->language == list->language &&
            str_eq(str_of(known->word, known->word_len), word)) {
            term_add(list, str_of(known->term, known->term_len), span, known->is_stop_word);
            return;
        }
    }
    term = make_term(list, word, term_bytes, &is_stop);
    if (known != NULL && term.len <= TEXT_KNOWN_BYTES) {
        *known = (struct text_known_word){.word_len = (uint8_t)word.len,
                                          .term_len = (uint8_t)term.len,
                                          .language = (int8_t)list->language,
                                          .is_stop_word = is_stop};
        memcpy(known->word, word.ptr, word.len);
        memcpy(known->term, term.ptr, term.len);
    }
    term_add(list, term, span, is_stop);
}

/* "U.S", "u.s.a": the parts between full stops are single letters. */
static bool
is_acronym(struct str word)
{
    if (word.len < 3 || word.len % 2 == 0)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (i % 2 == 0 ? !text_is_letter(word.ptr[i]) : word.ptr[i] != '.')
            return false;
    return true;
}

static void
term_of_acronym(struct term_list *list, struct text_span span)
{
    char bytes[TEXT_FOLD_MAX];
    size_t length = 0;

    for (size_t i = span.start; i < span.end && length < TEXT_FOLD_MAX; i += 2)
        bytes[length++] = (char)(list->text.ptr[i] | 0x20);
    term_add(list, str_of(bytes, length), span, false);
}

/* The length of an elided form with its apostrophe in front ("l'" of "l'eau"), or 0. */
static size_t
elision_length(struct term_list *list, struct str word)
{
    const char *elisions =
        list->language == LANG_NONE ? NULL : text_language_row(list->language)->elisions;
    struct str rest = str_from_c(elisions), form;

    while (elisions != NULL && str_split(&rest, ' ', &form)) {
        struct str tail = str_sub(word, form.len, word.len);

        if (form.len >= word.len || !str_eq_nocase(str_sub(word, 0, form.len), form))
            continue;
        if (tail.len > 1 && tail.ptr[0] == '\'')
            return form.len + 1;
        if (tail.len > 3 && str_starts_with(tail, STR("’")))
            return form.len + 3;
    }
    return 0;
}

/* ICU keeps "me@example.com", "end.Next" and "snake_case" whole; people search for the parts. */
static void
terms_of_word(struct term_list *list, struct text_span span)
{
    struct str word = str_sub(list->text, span.start, span.end - span.start);
    size_t part = span.start;

    if (is_acronym(word)) {
        term_of_acronym(list, span);
        return;
    }
    for (size_t i = span.start; i <= span.end; i++) {
        char c = i < span.end ? list->text.ptr[i] : '_';
        bool between_digits = c == '.' && i > span.start && text_is_digit(list->text.ptr[i - 1]);

        if (i < span.end && ((c != '.' && c != '_' && c != '@') || between_digits))
            continue;
        if (i > part)
            term_of_word(list,
                         (struct text_span){
                             part + elision_length(list, str_sub(list->text, part, i - part)), i});
        part = i + 1;
    }
}

static bool
is_written_without_spaces(struct str text, size_t at, bool *is_hangul)
{
    UErrorCode code = U_ZERO_ERROR;
    int32_t i = (int32_t)at;
    UChar32 c;
    UScriptCode script;

    *is_hangul = false;
    if ((unsigned char)text.ptr[at] < 0xe1)
        return false;
    U8_NEXT(text.ptr, i, (int32_t)text.len, c);
    if (c == 0x30fc) /* the long vowel mark belongs to no script */
        return true;
    script = uscript_getScript(c, &code);
    *is_hangul = script == USCRIPT_HANGUL;
    return *is_hangul || script == USCRIPT_HAN || script == USCRIPT_HIRAGANA ||
           script == USCRIPT_KATAKANA;
}

/* Overlapping pairs of the run's characters; a run of one is itself. */
static void
terms_of_run(struct term_list *list, struct text_span run)
{
    int32_t first = (int32_t)run.start, second, end;
    bool paired = false;

    while ((size_t)first < run.end) {
        char bytes[TEXT_FOLD_MAX];
        struct text_span span;

        second = first;
        U8_FWD_1(list->text.ptr, second, (int32_t)run.end);
        end = second;
        if ((size_t)second < run.end)
            U8_FWD_1(list->text.ptr, end, (int32_t)run.end);
        else if (paired)
            break;
        paired = true;
        span = (struct text_span){(size_t)first, (size_t)end};
        term_add(
            list,
            text_fold(str_sub(list->text, span.start, span.end - span.start), LANG_NONE, bytes),
            span, false);
        first = second;
    }
}

/* The sign of an amount is a term: "12 €", "$5", "15 %". What asks for a price finds it. */
static void
term_of_money(struct term_list *list, size_t start, size_t end)
{
    static const struct str signs[] = {STR_INIT("€"), STR_INIT("$"), STR_INIT("£"), STR_INIT("¥"),
                                       STR_INIT("%")};

    if (end == start + 1 && list->text.ptr[start] == ' ') /* between most words */
        return;
    for (size_t at = start; at < end; at++)
        for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
            struct str sign = signs[i];
            bool after = start > 0 && at <= start + 2 && text_is_digit(list->text.ptr[start - 1]);
            bool before =
                at + sign.len == end && end < list->text.len && text_is_digit(list->text.ptr[end]);

            if ((after || before) && str_starts_with(str_sub(list->text, at, end - at), sign))
                term_add(list, sign, (struct text_span){at, at + sign.len}, false);
        }
}

static size_t
make_terms(struct str text, enum text_language_id language, struct arena *arena,
           struct text_term **terms_out)
{
    struct term_list list = {
        .tools = text_tools_get(), .text = text, .language = language, .arena = arena};
    struct text_span *words;
    size_t count = text_words(text, arena, &words), between = 0;

    list.stemmer = text_tools_stemmer(list.tools, list.language);
    for (size_t i = 0; i < count;) {
        struct text_span span = words[i++];
        bool is_hangul, next_is_hangul;

        term_of_money(&list, between, span.start);
        between = span.end;

        if (!is_written_without_spaces(text, span.start, &is_hangul)) {
            terms_of_word(&list, span);
            continue;
        }
        while (!is_hangul && i < count && words[i].start == span.end &&
               is_written_without_spaces(text, words[i].start, &next_is_hangul) && !next_is_hangul)
            span.end = words[i++].end;
        between = span.end;
        terms_of_run(&list, span);
    }
    term_of_money(&list, between, text.len);
    *terms_out = list.terms;
    return list.count;
}

/* --- of texts that came before --- */

/* Behind the terms stand their bytes, in their order. */
struct packed_terms {
    size_t count;
    struct text_term terms[];
};

static void
keep_terms(struct str text, enum text_language_id language, const struct text_term *terms,
           size_t count, struct arena *arena)
{
    size_t len = sizeof(struct packed_terms) + count * sizeof(*terms), at = len;
    struct packed_terms *packed;

    for (size_t i = 0; i < count; i++)
        len += terms[i].term.len;
    packed = arena_alloc(arena, len);
    packed->count = count;
    if (count > 0)
        memcpy(packed->terms, terms, count * sizeof(*terms));
    for (size_t i = 0; i < count; i++) {
        memcpy((char *)packed + at, terms[i].term.ptr, terms[i].term.len);
        at += terms[i].term.len;
    }
    text_known_put((int)language, text, packed, len);
}

static size_t
unpack_terms(struct packed_terms *packed, struct text_term **terms_out)
{
    const char *at = (const char *)&packed->terms[packed->count];

    for (size_t i = 0; i < packed->count; i++) {
        packed->terms[i].term.ptr = at;
        at += packed->terms[i].term.len;
    }
    *terms_out = packed->terms;
    return packed->count;
}

size_t
text_terms(struct str text, struct str language, struct arena *arena, struct text_term **terms_out)
{
    enum text_language_id id = text_language_find(language);
    size_t count, len;
    void *known;

    if (text_known_get((int)id, text, arena, &known, &len))
        return unpack_terms(known, terms_out);
    count = make_terms(text, id, arena, terms_out);
    if (text_known_wants((int)id, text))
        keep_terms(text, id, *terms_out, count, arena);
    return count;
}
