/*
 * sentences.c - sentence borders
 *
 * Text is first cut into blocks at blank lines, list items and table rows, because ICU knows no
 * lists and takes every line end for a sentence's. Within a block line ends are spaces. ICU then
 * breaks too often, never too rarely: after an abbreviation, an initial, an ordinal. Those borders
 * are taken back here; where an abbreviation may well end the sentence ("in the U.S. The army"),
 * the next word decides.
 */
#include "text/text_private.h"

#include <string.h>

/* A full stop after these does not end a sentence. Lower case. */
static const char *const abbreviations[] = {
    "adj",   "approx", "apt",  "asst", "aufl", "ave",   "av",   "bd",   "bde",   "bldg", "blvd",
    "brig",  "bzgl",   "bzw",  "ca",   "capt", "cf",    "chap", "col",  "comdr", "cmdr", "dept",
    "depto", "dipl",   "div",  "doc",  "dott", "dr",    "dra",  "ed",   "eds",   "ej",   "eng",
    "ev",    "evtl",   "exc",  "fa",   "fig",  "figs",  "fr",   "geb",  "gem",   "gen",  "ggf",
    "gov",   "hl",     "hon",  "hr",   "hrn",  "hrsg",  "ing",  "inkl", "jh",    "jhdt", "kap",
    "lic",   "lt",     "lda",  "ldo",  "maj",  "max",   "mevr", "mgr",  "mind",  "mio",  "mlle",
    "mm",    "mme",    "mr",   "mrd",  "mrs",  "ms",    "mt",   "nr",   "núm",   "num",  "obs",
    "op",    "pag",    "pág",  "para", "prof", "profa", "pvt",  "ref",  "rep",   "resp", "rev",
    "rt",    "sen",    "sg",   "sgt",  "sog",  "sr",    "sra",  "srta", "sta",   "ste",  "stk",
    "str",   "supt",   "tel",  "tél",  "tlf",  "u",     "ud",   "uds",  "univ",  "usf",  "vgl",
    "viz",   "vol",    "vols", "vs",   "zool", "zzgl",  "bspw", "dhr",  "bijv",  "drs",  "ir",
    "sig",   "sigg",   "avv",  "es",   "т",    "г",     "ул",   "см",   "им",    "рис",  "стр",
    NULL,
};

/* The same, only where a number follows: "No. 5", "p. 12", "Art. 3". */
static const char *const number_abbreviations[] = {
    "abs",  "art", "arts", "aug", "bl",  "dec", "feb", "jan", "jul", "jun", "kl",
    "mar",  "nos", "no",   "nov", "oct", "okt", "par", "pp",  "p",   "s",   "sec",
    "sect", "sep", "sept", "tab", "ver", "v",   "z",   "f",   "ff",  "n",   NULL,
};

/* After these a sentence may end: it does when the next word begins sentences. */
static const char *const ending_abbreviations[] = {
    "al",  "bros", "co",  "corp", "esq", "etc", "inc",  "jr",  "llc",
    "ltd", "st",   "usw", "u.a",  "a.m", "p.m", "ph.d", "e.g", "i.e",
    "z.b", "d.h",  "o.ä", "u.s",  "u.k", "b.v", "n.v",  "s.a", NULL,
};

/* Words that begin sentences and hardly ever names. Lower case. */
static const char *const starters[] = {
    "a",     "after", "also",  "although", "an",    "and",  "as",   "at",      "because", "before",
    "but",   "by",    "can",   "das",      "der",   "die",  "do",   "ein",     "eine",    "el",
    "er",    "es",    "for",   "from",     "he",    "her",  "his",  "how",     "however", "i",
    "ich",   "if",    "il",    "in",       "is",    "it",   "its",  "la",      "le",      "les",
    "los",   "many",  "most",  "my",       "no",    "not",  "on",   "or",      "our",     "please",
    "she",   "sie",   "since", "so",       "some",  "such", "that", "the",     "their",   "then",
    "there", "these", "they",  "this",     "those", "to",   "un",   "under",   "une",     "we",
    "what",  "when",  "where", "while",    "who",   "why",  "wir",  "with",    "yes",     "you",
    "your",  "het",   "een",   "de",       "o",     "os",   "as",   "however", NULL,
};

/* A German, Dutch or Nordic ordinal stands before these: "am 5. Mai". Lower case. */
static const char *const after_ordinals[] = {
    "januar",      "jänner",       "februar",   "märz",    "april",    "mai",      "juni",
    "juli",        "august",       "september", "oktober", "november", "dezember", "quartal",
    "jahrhundert", "jahrhunderts", "klasse",    "platz",   "stock",    "auflage",  "kapitel",
    "juli",        "desember",     "december",  "mars",    "maj",      "marts",    "januari",
    "februari",    "klass",        "sajandi",   "század",  NULL,
};

/* The white-space-delimited token that ends at end, without opening brackets and quotes. */
static struct str
token_before(struct str text, size_t end)
{
    size_t start = end;

    while (start > 0 && !text_is_space(text.ptr[start - 1]))
        start--;
    while (start < end && memchr("([{\"'", text.ptr[start], 5) != NULL)
        start++;
    return str_sub(text, start, end - start);
}

static struct str
word_after(struct str text, size_t start)
{
    size_t end;

    while (start < text.len &&
           (text_is_space(text.ptr[start]) || memchr("([{\"'", text.ptr[start], 5) != NULL))
        start++;
    end = start;
    while (end < text.len && !text_is_space(text.ptr[end]) &&
           memchr(",;:.!?)]}\"'", text.ptr[end], 11) == NULL)
        end++;
    return str_sub(text, start, end - start);
}

static bool
is_number(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!text_is_digit(s.ptr[i]))
            return false;
    return s.len > 0;
}

/* One character, or several single ones with full stops: "J", "É", "U.S", "z.B". */
static bool
is_initials(struct str s)
{
    size_t in_part = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.') {
            if (in_part != 1)
                return false;
            in_part = 0;
        } else if (((unsigned char)s.ptr[i] & 0xc0) != 0x80) {
            if (!text_is_letter(s.ptr[i]) && (unsigned char)s.ptr[i] < 0x80)
                return false;
            in_part++;
        }
    }
    return in_part == 1;
}

/* Is the border at `at`, found by ICU in the sentence that began at start, none? */
static bool
border_is_false(struct str text, size_t start, size_t at)
{
    size_t end = at;
    struct str token, next;

    while (end > start && text_is_space(text.ptr[end - 1]))
        end--;
    if (end == at && at < text.len && end > start && memchr(".!?", text.ptr[end - 1], 3) != NULL)
        return text_is_letter(text.ptr[at]) || text_is_digit(text.ptr[at]) ||
               memchr("=&/_-", text.ptr[at], 5) != NULL; /* inside an address or a version */
    if (end == start || text.ptr[end - 1] != '.')
        return false;
    token = token_before(text, end - 1);
    next = word_after(text, at);
    if (token.len == 0 || next.len == 0)
        return false;
    if (token.ptr == text.ptr + start && (is_number(token) || is_initials(token)))
        return true; /* "1. First step" */
    if (str_is_one_of(token, abbreviations))
        return true;
    if (text_is_digit(next.ptr[0]) && str_is_one_of(token, number_abbreviations))
        return true;
    if (is_number(token))
        return token.len <= 2 && str_is_one_of(next, after_ordinals);
    if (is_initials(token) || str_is_one_of(token, ending_abbreviations))
        return !str_is_one_of(next, starters);
    return false;
}

static void
add_trimmed(struct str text, size_t start, size_t end, size_t offset, struct text_span_list *list)
{
    while (start < end && text_is_space(text.ptr[start]))
        start++;
    while (end > start && text_is_space(text.ptr[end - 1]))
        end--;
    if (start < end)
        text_span_add(list, offset + start, offset + end);
}

/* Sentences of one block, whose line ends are spaces. */
static void
sentences_of_block(struct str block, size_t offset, struct text_span_list *list)
{
    struct text_tools *tools = text_tools_get();
    size_t start = 0;
    int32_t at;

    text_tools_start(tools, tools->sentences, block);
    (void)ubrk_first(tools->sentences);
    while ((at = ubrk_next(tools->sentences)) != UBRK_DONE) {
        if ((size_t)at < block.len && border_is_false(block, start, (size_t)at))
            continue;
        add_trimmed(block, start, (size_t)at, offset, list);
        start = (size_t)at;
    }
}

/* Does the line begin a block of its own: bullet, numbered item, heading, table row, quote? */
static bool
line_is_item(struct str line)
{
    size_t i = 0;

    while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'))
        i++;
    line = str_sub(line, i, line.len - i);
    if (line.len < 2)
        return false;
    if (line.ptr[0] == '|' || line.ptr[0] == '#' || line.ptr[0] == '>')
        return true;
    if (str_starts_with(line, STR("•")) || str_starts_with(line, STR("–")) ||
        str_starts_with(line, STR("·")))
        return true;
    if (line.ptr[0] == '-' || line.ptr[0] == '*' || line.ptr[0] == '+')
        return text_is_space(line.ptr[1]);
    for (i = 0; i < line.len && i < 3 && text_is_digit(line.ptr[i]); i++)
        ;
    if (i == 0 && text_is_letter(line.ptr[0]))
        i = 1; /* "a) " */
    else if (i > 0 && i + 1 < line.len && line.ptr[i] == '.')
        return text_is_space(line.ptr[i + 1]);
    return i > 0 && i + 1 < line.len && line.ptr[i] == ')' && text_is_space(line.ptr[i + 1]);
}

static bool
line_is_blank(struct str line)
{
    return str_trim(line).len == 0;
}

/* Headings and table rows do not go on in the next line. */
static bool
line_stands_alone(struct str line)
{
    line = str_trim(line);
    return line.len > 0 && (line.ptr[0] == '|' || line.ptr[0] == '#');
}

static void
flush_block(struct str text, size_t start, size_t end, struct text_span_list *list)
{
    struct str block = str_sub(text, start, end - start);

    if (line_is_blank(block))
        return;
    if (memchr(block.ptr, '\n', block.len) != NULL) {
        char *copy = ARENA_NEW_N(list->arena, char, block.len);

        for (size_t i = 0; i < block.len; i++)
            copy[i] = block.ptr[i] == '\n' || block.ptr[i] == '\r' ? ' ' : block.ptr[i];
        block.ptr = copy;
    }
    sentences_of_block(block, start, list);
}

static size_t
cut_sentences(struct str text, struct arena *arena, struct text_span **spans_out)
{
    struct text_span_list list = {.arena = arena};
    size_t block = 0, line_start = 0;

    while (line_start < text.len) {
        struct str rest = str_sub(text, line_start, text.len - line_start);
        ptrdiff_t length = str_find_byte(rest, '\n');
        size_t line_end = length < 0 ? text.len : line_start + (size_t)length;
        struct str line = str_sub(text, line_start, line_end - line_start);

        if (line_start > block && (line_is_blank(line) || line_is_item(line))) {
            flush_block(text, block, line_start, &list);
            block = line_start;
        }
        line_start = line_end < text.len ? line_end + 1 : text.len;
        if (line_stands_alone(line)) {
            flush_block(text, block, line_start, &list);
            block = line_start;
        }
    }
    if (block < text.len)
        flush_block(text, block, text.len, &list);
    *spans_out = list.spans;
    return list.count;
}

size_t
text_sentences(struct str text, struct arena *arena, struct text_span **spans_out)
{
    size_t count, len;
    void *known;

    if (text_known_get(TEXT_READ_SENTENCES, text, arena, &known, &len)) {
        *spans_out = known;
        return len / sizeof(**spans_out);
    }
    count = cut_sentences(text, arena, spans_out);
    if (text_known_wants(TEXT_READ_SENTENCES, text))
        text_known_put(TEXT_READ_SENTENCES, text, *spans_out, count * sizeof(**spans_out));
    return count;
}
