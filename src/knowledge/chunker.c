/*
 * chunker.c - sections, units, passages
 *
 * Pieces of the document -> sections (a heading and what stands under it) -> units that are not cut
 * (a sentence, an item, a row, a line) -> passages packed from whole units. All are ranges of one
 * text, so that every passage can be cited by its place.
 */
#include "knowledge/chunker.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "knowledge/chunk_units.h"
#include "text/text.h"

/* A section below this shares a passage with its neighbours. */
#define SMALL_SECTION_WORDS 70
/* A rest below this is not worth a passage: the one before may grow by it. */
#define TAIL_WORDS 50
/* Short sentences alone are repeated no oftener than usual ones. */
#define OVERLAP_SENTENCE_WORDS 20
/* Below this the words do not tell the language better than the whole document does. */
#define LANGUAGE_MIN_WORDS 60
#define LANGUAGE_SAMPLE_BYTES 65536
#define SCRATCH_MAX_BYTES ((size_t)1024 * 1024 * 1024)

struct section {
    size_t heading_piece; /* SIZE_MAX: before the first heading */
    unsigned level;       /* 0: before the first heading */
    struct str path[7];   /* [0] title, [1..6] headings; empty where there is none */
    unsigned group;       /* which top-level heading it stands under */
    size_t first_unit, unit_count;
    size_t words;
};

struct chunker {
    const struct plain_document *document;
    struct str language;       /* declared, or empty */
    struct str whole_language; /* guessed from the document */
    size_t words;              /* wanted of a passage */
    size_t overlap;            /* of these, at most, the passage before had */
    struct arena *arena;
    struct unit *units;
    struct section *sections;
    size_t section_count;
    struct chunk *chunks;
    size_t count, capacity;
};

static struct str
slice(const struct chunker *chunker, size_t start, size_t end)
{
    return str_sub(chunker->document->text, start, end - start);
}

/* --- sections --- */

static unsigned
top_level(const struct plain_document *document)
{
    unsigned top = 7;

    for (size_t i = 0; i < document->piece_count; i++) {
        if (document->pieces[i].kind == EXTRACT_HEADING && document->pieces[i].level < top)
            top = document->pieces[i].level;
    }
    return top;
}

static void
begin_section(struct chunker *chunker, size_t piece_index, unsigned top)
{
    const struct plain_piece *piece = &chunker->document->pieces[piece_index];
    struct section *section = &chunker->sections[chunker->section_count];

    *section = section[-1]; /* its path so far */
    section->heading_piece = piece_index;
    section->level = piece->level;
    section->group += piece->level <= top;
    section->unit_count = section->words = 0;
    for (unsigned level = piece->level; level <= 6; level++)
        section->path[level] = STR_EMPTY;
    section->path[piece->level] = slice(chunker, piece->start, piece->end);
    chunker->section_count++;
}

static void
find_sections(struct chunker *chunker)
{
    const struct plain_document *document = chunker->document;
    unsigned top = top_level(document);
    struct unit_reader reader = {.document = document,
                                 .words = chunker->words,
                                 .arena = chunker->arena,
                                 .scratch = arena_create(SCRATCH_MAX_BYTES)};
    size_t headings = 0;

    for (size_t i = 0; i < document->piece_count; i++)
        headings += document->pieces[i].kind == EXTRACT_HEADING;
    chunker->sections = ARENA_NEW_N(chunker->arena, struct section, headings + 1);
    chunker->sections[0] = (struct section){.heading_piece = SIZE_MAX, .path = {document->title}};
    chunker->section_count = 1;
    for (size_t i = 0; i < document->piece_count; i++) {
        struct section *section;
        size_t before = reader.count;

        if (document->pieces[i].kind == EXTRACT_HEADING) {
            begin_section(chunker, i, top);
            reader.previous = NULL;
            continue;
        }
        section = &chunker->sections[chunker->section_count - 1];
        if (section->unit_count == 0)
            section->first_unit = before;
        unit_reader_add(&reader, &document->pieces[i]);
        section->unit_count += reader.count - before;
        for (size_t u = before; u < reader.count; u++)
            section->words += reader.units[u].words;
    }
    chunker->units = reader.units;
    arena_destroy(&reader.scratch);
}

/* The path that all of these sections share. The title is no part of it, also when it is a heading.
 */
static struct str
common_path(const struct chunker *chunker, size_t first, size_t count, unsigned *depth_out)
{
    const struct section *sections = &chunker->sections[first];
    struct buf path;
    struct str result;
    unsigned depth = 6;

    for (size_t i = 1; i < count; i++) {
        for (unsigned level = 0; level <= depth; level++) {
            if (str_eq(sections[i].path[level], sections[0].path[level]))
                continue;
            depth = level - 1; /* [0], the title, is the same for all */
            break;
        }
    }
    buf_init(&path, 8192);
    for (unsigned level = 1; level <= depth; level++) {
        struct str part = sections[0].path[level];

        if (part.len == 0 || str_eq(part, sections[0].path[0]))
            continue;
        if (path.len > 0)
            buf_append_c(&path, " > ");
        for (size_t i = 0; i < part.len; i++)
            buf_append_byte(&path, part.ptr[i] == '\n' ? ' ' : part.ptr[i]);
    }
    result = arena_str(chunker->arena, buf_str(&path));
    buf_deinit(&path);
    *depth_out = depth;
    return result;
}

/* --- passages --- */

static struct str
language_of(const struct chunker *chunker, struct str text)
{
    struct str guess;

    if (chunker->language.len > 0)
        return chunker->language;
    if (chunk_word_count(text) < LANGUAGE_MIN_WORDS)
        return chunker->whole_language;
    guess = text_language(text);
    return guess.len > 0 ? guess : chunker->whole_language;
}

/* How many pieces begin there or before. */
static size_t
pieces_until(const struct plain_document *document, size_t at)
{
    size_t low = 0, high = document->piece_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (document->pieces[middle].start <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of the last piece that begins there or before. */
static unsigned
page_at(const struct plain_document *document, size_t at)
{
    size_t count = pieces_until(document, at);

    return count == 0 ? 0 : document->pieces[count - 1].page;
}

static struct str
page_starts(const struct chunker *chunker, size_t start, size_t end)
{
    const struct plain_document *document = chunker->document;
    unsigned page = page_at(document, start);
    struct str list = STR("");

    for (size_t i = pieces_until(document, start); i < document->piece_count; i++) {
        const struct plain_piece *piece = &document->pieces[i];

        if (piece->start >= end)
            break;
        if (piece->page == page)
            continue;
        page = piece->page;
        list = arena_printf(chunker->arena, "%.*s%s%zu:%u", STR_ARG(list), list.len > 0 ? " " : "",
                            piece->start - start, page);
    }
    return list;
}

/* lead: start and end of the words that lead in; none when start == end. */
static void
add_chunk(struct chunker *chunker, struct str path, size_t start, size_t end,
          const struct plain_range *lead)
{
    struct chunk *chunk;
    struct str text = slice(chunker, start, end);

    if (chunker->count == chunker->capacity) {
        size_t capacity = chunker->capacity == 0 ? 64 : 2 * chunker->capacity;
        struct chunk *grown = ARENA_NEW_N(chunker->arena, struct chunk, capacity);

        if (chunker->count > 0)
            memcpy(grown, chunker->chunks, chunker->count * sizeof(*grown));
        chunker->chunks = grown;
        chunker->capacity = capacity;
    }
    chunk = &chunker->chunks[chunker->count++];
    *chunk = (struct chunk){.heading_path = path, .text = text, .start = start, .end = end};
    if (lead != NULL && lead->start < lead->end)
        chunk->text = arena_printf(chunker->arena, "%.*s\n%.*s",
                                   STR_ARG(slice(chunker, lead->start, lead->end)), STR_ARG(text));
    chunk->language = language_of(chunker, chunk->text);
    chunk->page = page_at(chunker->document, start);
    chunk->page_starts = page_starts(chunker, start, end);
}

/* Where a passage that goes on with unit next begins: some sentences earlier. */
static size_t
overlap_from(const struct chunker *chunker, const struct unit *units, size_t first, size_t next)
{
    size_t sentences = (chunker->overlap + OVERLAP_SENTENCE_WORDS - 1) / OVERLAP_SENTENCE_WORDS;
    size_t most = chunk_max_words(chunker->words); /* a unit has no more */
    size_t from = next;
    size_t words = 0;

    if (units[next].kind != EXTRACT_PARAGRAPH)
        return next;
    while (from > first && next - from < sentences && units[from - 1].kind == EXTRACT_PARAGRAPH &&
           words + units[from - 1].words <= chunker->overlap &&
           words + units[from - 1].words + units[next].words <= most)
        words += units[--from].words;
    /* Never all of the passage before. */
    return from == first ? next : from;
}

static bool
ends_here(const struct chunker *chunker, const struct unit *unit, size_t words, size_t next_words,
          size_t rest_words)
{
    size_t most = chunk_max_words(chunker->words);

    if (words + rest_words <= most && rest_words < TAIL_WORDS)
        return false;
    if (words + next_words > most)
        return true;
    return words >= chunker->words && unit->ends_block;
}

/* One section, as many passages as it takes. */
static void
pack_section(struct chunker *chunker, size_t index)
{
    const struct section *section = &chunker->sections[index];
    const struct unit *units = &chunker->units[section->first_unit];
    unsigned depth;
    struct str path = common_path(chunker, index, 1, &depth);
    size_t first = 0; /* of the passage being packed */
    size_t words = 0;
    size_t rest = section->words;

    assert(section->unit_count == 0 || chunker->units != NULL);
    for (size_t i = 0; i < section->unit_count; i++) {
        words += units[i].words;
        rest -= units[i].words;
        if (i + 1 < section->unit_count &&
            !ends_here(chunker, &units[i], words, units[i + 1].words, rest))
            continue;
        add_chunk(chunker, path, units[first].start, units[i].end,
                  units[first].lead.end <= units[first].start && first > 0 ? &units[first].lead
                                                                           : NULL);
        if (i + 1 == section->unit_count)
            break;
        first = overlap_from(chunker, units, first, i + 1);
        words = 0;
        for (size_t u = first; u <= i; u++)
            words += units[u].words;
    }
}

/* Small sections together: what they do not share of their paths stands in the text as headings. */
static void
pack_sections(struct chunker *chunker, size_t first, size_t count)
{
    const struct section *sections = &chunker->sections[first];
    const struct section *last = &sections[count - 1];
    const struct plain_piece *pieces = chunker->document->pieces;
    unsigned depth;
    struct str path = common_path(chunker, first, count, &depth);
    size_t start, end;

    /* A heading that all share is in the path and not repeated; a bare one is all there is to say.
     */
    if (count == 1 || sections[0].level > depth)
        start = pieces[sections[0].heading_piece].start;
    else
        start = pieces[sections[0].heading_piece + 1].start; /* SIZE_MAX: of piece 0 */
    if (last->unit_count == 0)
        end = pieces[last->heading_piece].end;
    else
        end = chunker->units[last->first_unit + last->unit_count - 1].end;
    add_chunk(chunker, path, start, end, NULL);
}

/* Nothing stands under it, not even a smaller heading: then its own words are what it says. */
static bool
is_bare(const struct chunker *chunker, size_t index)
{
    const struct section *section = &chunker->sections[index];

    return section->level > 0 && section->unit_count == 0 &&
           (index + 1 == chunker->section_count ||
            chunker->sections[index + 1].level <= section->level);
}

/* How many sections from index on share one passage. */
static size_t
run_length(const struct chunker *chunker, size_t index)
{
    const struct section *sections = chunker->sections;
    size_t words = sections[index].words;
    size_t count = 1;

    if (words >= SMALL_SECTION_WORDS)
        return 1;
    while (index + count < chunker->section_count) {
        const struct section *next = &sections[index + count];

        if (next->group != sections[index].group || next->words >= SMALL_SECTION_WORDS ||
            words + next->words > chunker->words)
            break;
        words += next->words;
        count++;
    }
    /* A heading at the end that leads on to a larger section belongs there. */
    while (count > 1 && sections[index + count - 1].unit_count == 0 &&
           !is_bare(chunker, index + count - 1))
        count--;
    return count;
}

static void
pack(struct chunker *chunker)
{
    for (size_t i = 0; i < chunker->section_count;) {
        const struct section *section = &chunker->sections[i];
        size_t count;

        if (section->unit_count == 0 && !is_bare(chunker, i)) {
            size_t run = section->level == 0 ? 1 : run_length(chunker, i);

            /* Only a heading over smaller ones. */
            if (run > 1)
                pack_sections(chunker, i, run);
            i += run;
            continue;
        }
        count = run_length(chunker, i);
        if (count == 1 && section->unit_count > 0)
            pack_section(chunker, i);
        else
            pack_sections(chunker, i, count);
        i += count;
    }
    if (chunker->count == 0)
        add_chunk(chunker, STR(""), 0, chunker->document->text.len, NULL);
}

enum status
chunk_document(const struct plain_document *document, struct str language,
               const struct chunk_settings *settings, struct arena *arena,
               struct chunk **chunks_out, size_t *count_out, struct err *err)
{
    size_t half = settings->words / 2;
    struct chunker chunker = {.document = document,
                              .language = language,
                              .whole_language = STR(""),
                              .words = settings->words,
                              .overlap = settings->overlap < half ? settings->overlap : half,
                              .arena = arena};

    if (document->text.len == 0)
        return err_set(err, ST_INVALID, "No text was found in it.");
    if (language.len == 0) {
        size_t len = str_utf8_floor(document->text, LANGUAGE_SAMPLE_BYTES);

        struct str guess = text_language(str_sub(document->text, 0, len));

        if (guess.len > 0)
            chunker.whole_language = guess;
    }
    find_sections(&chunker);
    pack(&chunker);
    *chunks_out = chunker.chunks;
    *count_out = chunker.count;
    return ST_OK;
}
