/*
 * language.c - which language is this? Script first, then the function words
 *
 * A word that several languages share counts for each of them by its share; letters that only some
 * languages have count as much as a word. Good for a chat message of four words, which statistics
 * of letter groups are not.
 */
#include "text/text_private.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#define LANGUAGE_LOOK_BYTES 2000
/* Evidence, in words that only one language has, below which nothing is said. */
#define LANGUAGE_MIN_SCORE 0.9
/* By how much the best must lead the second. */
#define LANGUAGE_MIN_LEAD 1.15

static const struct {
    const char *letters;
    uint32_t languages;
} letter_hints[] = {
    {"ß", 1u << LANG_DE},       {"ñ¿¡", 1u << LANG_ES},
    {"ãõ", 1u << LANG_PT},      {"øæ", 1u << LANG_DA | 1u << LANG_NO},
    {"ąęłśćźż", 1u << LANG_PL}, {"ěřů", 1u << LANG_CS},
    {"őű", 1u << LANG_HU},      {"ğşı", 1u << LANG_TR},
    {"țșăţ", 1u << LANG_RO},    {"œ", 1u << LANG_FR},
    {"ыэё", 1u << LANG_RU},     {"іїєґ", 1u << LANG_UK},
};

struct script_count {
    unsigned latin, cyrillic, greek, arabic, hebrew, han, kana, hangul, thai, devanagari;
    unsigned persian; /* letters that Arabic does not have */
};

static void
count_scripts(struct str text, struct script_count *count)
{
    for (int32_t i = 0; (size_t)i < text.len;) {
        UErrorCode code = U_ZERO_ERROR;
        UChar32 c;

        U8_NEXT(text.ptr, i, (int32_t)text.len, c);
        if (c < 0x80) {
            count->latin += c > 0 && text_is_letter((char)c);
            continue;
        }
        if (c == 0x067e || c == 0x0686 || c == 0x0698 || c == 0x06af || c == 0x06cc || c == 0x06a9)
            count->persian++;
        switch (uscript_getScript(c, &code)) {
        case USCRIPT_LATIN:
            count->latin++;
            break;
        case USCRIPT_CYRILLIC:
            count->cyrillic++;
            break;
        case USCRIPT_GREEK:
            count->greek++;
            break;
        case USCRIPT_ARABIC:
            count->arabic++;
            break;
        case USCRIPT_HEBREW:
            count->hebrew++;
            break;
        case USCRIPT_HAN:
            count->han += 3; /* a character is a word */
            break;
        case USCRIPT_HIRAGANA:
        case USCRIPT_KATAKANA:
            count->kana += 2;
            break;
        case USCRIPT_HANGUL:
            count->hangul += 2;
            break;
        case USCRIPT_THAI:
            count->thai++;
            break;
        case USCRIPT_DEVANAGARI:
            count->devanagari++;
            break;
        default:
            break;
        }
    }
}

/* The language that the script alone tells, or NULL. */
static const char *
language_of_script(const struct script_count *n)
{
    unsigned cjk = n->han + n->kana;
    unsigned letters = n->latin + n->cyrillic + n->greek + n->arabic + n->hebrew + cjk + n->hangul +
                       n->thai + n->devanagari;
    unsigned half = letters / 2;

    if (letters == 0)
        return NULL;
    if (n->hangul > half)
        return "ko";
    if (cjk > half)
        return n->kana * 8 > n->han ? "ja" : "zh";
    if (n->greek > half)
        return "el";
    if (n->hebrew > half)
        return "he";
    if (n->thai > half)
        return "th";
    if (n->devanagari > half)
        return "hi";
    if (n->arabic > half)
        return n->persian * 12 > n->arabic ? "fa" : "ar";
    return NULL;
}

static void
add_evidence(uint32_t languages, double weight, double score[LANG_COUNT])
{
    unsigned shared = (unsigned)__builtin_popcount(languages);

    for (int id = 0; id < LANG_COUNT; id++)
        if ((languages & (1u << id)) != 0)
            score[id] += weight / (double)shared;
}

static void
count_words(struct str text, struct arena *arena, double score[LANG_COUNT])
{
    struct text_span *words;
    size_t count = text_words(text, arena, &words);

    for (size_t i = 0; i < count; i++) {
        struct str word = str_sub(text, words[i].start, words[i].end - words[i].start);
        char folded[TEXT_FOLD_MAX], kept[TEXT_FOLD_MAX];
        struct str plain = text_fold(word, LANG_NONE, folded);
        struct str accented = text_fold(word, LANG_SV, kept);
        uint32_t languages = text_stop_word_languages(plain) | text_stop_word_languages(accented);

        /* A single letter is as often a name of something as a word. */
        add_evidence(languages, word.len == 1 ? 0.3 : 1.0, score);
    }
}

static void
count_letters(struct str text, double score[LANG_COUNT])
{
    if (text_is_ascii(text)) /* all the letters that hint at a language are beyond it */
        return;
    for (size_t hint = 0; hint < sizeof(letter_hints) / sizeof(letter_hints[0]); hint++) {
        struct str letters = str_from_c(letter_hints[hint].letters);
        bool found = false;

        for (int32_t i = 0, start = 0; (size_t)i < letters.len && !found; start = i) {
            U8_FWD_1(letters.ptr, i, (int32_t)letters.len);
            found = str_find(text, str_sub(letters, (size_t)start, (size_t)(i - start))) >= 0;
        }
        if (found)
            add_evidence(letter_hints[hint].languages, 1.0, score);
    }
}

static const char *
guess_language(struct str text, struct arena *arena)
{
    struct script_count scripts = {0};
    double score[LANG_COUNT] = {0};
    int best = 0, second = -1;
    const char *by_script;

    count_scripts(text, &scripts);
    by_script = language_of_script(&scripts);
    if (by_script != NULL)
        return by_script;

    count_words(text, arena, score);
    count_letters(text, score);
    for (int id = 1; id < LANG_COUNT; id++)
        if (score[id] > score[best])
            best = id;
    for (int id = 0; id < LANG_COUNT; id++)
        if (id != best && (second < 0 || score[id] > score[second]))
            second = id;
    if (score[best] < LANGUAGE_MIN_SCORE || score[best] < score[second] * LANGUAGE_MIN_LEAD)
        return "";
    return text_language_row((enum text_language_id)best)->code;
}

struct str
text_language(struct str text)
{
    struct arena *arena = arena_create(LANGUAGE_LOOK_BYTES * 64);
    const char *code; /* of a table */
    void *known;
    size_t len;

    text = str_sub(text, 0, str_utf8_floor(text, LANGUAGE_LOOK_BYTES));
    if (text_known_get(TEXT_READ_LANGUAGE, text, arena, &known, &len)) {
        memcpy(&code, known, sizeof(code));
    } else {
        code = guess_language(text, arena);
        if (text_known_wants(TEXT_READ_LANGUAGE, text))
            text_known_put(TEXT_READ_LANGUAGE, text, &code, sizeof(code));
    }
    arena_destroy(&arena);
    return str_from_c(code);
}
