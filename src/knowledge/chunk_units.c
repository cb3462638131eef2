/*
 * chunk_units.c - sentences of a paragraph, whole items and rows, lines of code
 */
#include "knowledge/chunk_units.h"

#include <string.h>

#include "knowledge/chunker.h"
#include "text/text.h"

/* A sentence longer than this does not lead in; it is the text. */
#define LEAD_MAX_WORDS 40

/* --- counting --- */

/* A twelfth of a word: letters of scripts without spaces count as parts of one. */
#define WORD 12
#define CJK_LETTER 8
#define THAI_LETTER 3

static size_t
letter_weight(uint32_t c)
{
    if (c >= 0x0e00 && c <= 0x109f && (c <= 0x0eff || c >= 0x1000))
        return THAI_LETTER; /* Thai, Lao, Burmese */
    if ((c >= 0x2e80 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) || c >= 0x20000)
        return CJK_LETTER;
    return 0;
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

size_t
chunk_word_count(struct str text)
{
    size_t weight = 0;
    bool in_word = false;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 0x80) {
            bool space = is_space((char)c);
            bool mark = c == '|' || c == '-'; /* of rows and items, when alone */

            if (!space && !in_word && !(mark && (i + 1 == text.len || is_space(text.ptr[i + 1]))))
                weight += WORD;
            in_word = !space;
        } else if ((c & 0xf0) == 0xe0 && i + 2 < text.len) {
            uint32_t point = (uint32_t)(c & 0x0f) << 12 |
                             (uint32_t)((unsigned char)text.ptr[i + 1] & 0x3f) << 6 |
                             ((unsigned char)text.ptr[i + 2] & 0x3f);
            size_t letter = letter_weight(point);

            weight += letter > 0 ? letter : in_word ? 0 : WORD;
            in_word = letter == 0;
            i += 2;
        } else if (c >= 0xc0) {
            weight += in_word ? 0 : WORD;
            in_word = true;
        }
    }
    return (weight + WORD - 1) / WORD;
}

/* --- units --- */

static void
add_unit(struct unit_reader *reader, enum extract_frame_kind kind, size_t start, size_t end,
         size_t words)
{
    if (reader->count == reader->capacity) {
        size_t capacity = reader->capacity == 0 ? 256 : 2 * reader->capacity;
        struct unit *grown = ARENA_NEW_N(reader->arena, struct unit, capacity);

        if (reader->count > 0)
            memcpy(grown, reader->units, reader->count * sizeof(*grown));
        reader->units = grown;
        reader->capacity = capacity;
    }
    reader->units[reader->count++] = (struct unit){
        .kind = kind, .start = start, .end = end, .words = words, .lead = reader->lead};
}

/* No sentence is this long: cut at a space, or in a text without spaces at any character. */
static size_t
cut_point(struct str text, size_t wanted)
{
    size_t words = 0;
    size_t cut = 0;

    for (size_t i = 0; i < text.len;) {
        size_t next = i + 1;
        size_t piece;

        while (next < text.len && next - i < 200 && !is_space(text.ptr[next]))
            next++;
        next = i + str_utf8_floor(str_sub(text, i, text.len), next - i);
        piece = chunk_word_count(str_sub(text, i, next - i));
        if (cut > 0 && words + piece > wanted)
            break;
        words += piece;
        cut = next;
        i = next;
    }
    return cut == 0 ? text.len : cut;
}

static void
add_range(struct unit_reader *reader, enum extract_frame_kind kind, size_t start, size_t end)
{
    struct str text = reader->document->text;
    size_t words = chunk_word_count(str_sub(text, start, end - start));

    while (words > chunk_max_words(reader->words)) {
        size_t cut = start + cut_point(str_sub(text, start, end - start), reader->words);

        if (cut >= end)
            break;
        add_unit(reader, kind, start, cut, chunk_word_count(str_sub(text, start, cut - start)));
        while (cut < end && is_space(text.ptr[cut]))
            cut++;
        start = cut;
        words = chunk_word_count(str_sub(text, start, end - start));
    }
    if (start < end)
        add_unit(reader, kind, start, end, words);
}

static void
add_sentences(struct unit_reader *reader, const struct plain_piece *piece)
{
    struct str text = str_sub(reader->document->text, piece->start, piece->end - piece->start);
    struct text_span *spans;
    size_t count;

    arena_reset(reader->scratch);
    count = text_sentences(text, reader->scratch, &spans);
    if (count == 0)
        add_range(reader, piece->kind, piece->start, piece->end);
    for (size_t i = 0; i < count; i++)
        add_range(reader, piece->kind, piece->start + spans[i].start, piece->start + spans[i].end);
}

static void
add_lines(struct unit_reader *reader, const struct plain_piece *piece)
{
    struct str rest = str_sub(reader->document->text, piece->start, piece->end - piece->start);
    struct str line;
    size_t start = piece->start;

    while (str_split(&rest, '\n', &line)) {
        if (str_trim(line).len > 0)
            add_range(reader, piece->kind, start, start + line.len);
        start += line.len + 1;
    }
}

static void
add_whole(struct unit_reader *reader, const struct plain_piece *piece)
{
    struct str text = str_sub(reader->document->text, piece->start, piece->end - piece->start);

    if (piece->kind == EXTRACT_LIST_ITEM && chunk_word_count(text) > chunk_max_words(reader->words))
        add_sentences(reader, piece);
    else
        add_range(reader, piece->kind, piece->start, piece->end);
}

/* What leads in to the list or table that begins with this piece. */
static struct plain_range
find_lead(const struct unit_reader *reader, const struct plain_piece *piece)
{
    const struct plain_range none = {0, 0};
    const struct unit *last;

    if (piece->kind == EXTRACT_TABLE_ROW && piece->level == 1)
        return (struct plain_range){piece->start, piece->end};
    if (reader->previous == NULL || reader->previous->kind != EXTRACT_PARAGRAPH ||
        reader->count == 0)
        return none;
    last = &reader->units[reader->count - 1];
    if (last->words > LEAD_MAX_WORDS)
        return none;
    return (struct plain_range){last->start, last->end};
}

void
unit_reader_add(struct unit_reader *reader, const struct plain_piece *piece)
{
    bool is_run = piece->kind == EXTRACT_LIST_ITEM || piece->kind == EXTRACT_TABLE_ROW;
    size_t before = reader->count;

    if (!is_run)
        reader->lead = (struct plain_range){0, 0};
    else if (reader->previous == NULL || reader->previous->kind != piece->kind ||
             (piece->kind == EXTRACT_TABLE_ROW && piece->level == 1))
        reader->lead = find_lead(reader, piece);
    if (is_run)
        add_whole(reader, piece);
    else if (piece->kind == EXTRACT_CODE)
        add_lines(reader, piece);
    else
        add_sentences(reader, piece);
    if (reader->count > before)
        reader->units[reader->count - 1].ends_block = true;
    reader->previous = piece;
}
