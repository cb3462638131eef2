/*
 * extract_fuzz_support.h - a document's whole way from bytes to passages, for the fuzzer of each
 * format
 */
#ifndef PARLEY_TESTS_EXTRACT_FUZZ_SUPPORT_H
#define PARLEY_TESTS_EXTRACT_FUZZ_SUPPORT_H

#include <assert.h>

#include "extract/format.h"
#include "knowledge/chunker.h"
#include "knowledge/extract_answer.h"

#define FUZZ_MB ((size_t)1024 * 1024)

/* Checked frames hold labels of one line, or none; what a reader writes is also clean. */
static inline void
fuzz_labels(const struct extracted *extracted, bool is_clean)
{
    const struct str labels[] = {extracted->category, extracted->tone, extracted->date};

    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        assert(labels[i].len <= EXTRACT_LABEL_MAX_LEN && str_is_utf8(labels[i]));
        for (size_t c = 0; is_clean && c < labels[i].len; c++)
            assert((unsigned char)labels[i].ptr[c] >= 0x20 && labels[i].ptr[c] != 0x7f);
    }
}

static inline void
fuzz_passages(const struct extracted *extracted, struct arena *arena)
{
    struct plain_document document;
    struct chunk *chunks;
    const struct chunk_settings settings = {.words = CHUNK_LEAST_WORDS +
                                                     extracted->block_count % 2 * 100,
                                            .overlap = extracted->block_count % 3 * 50};
    size_t count;
    struct err err;

    if (plain_document_make(extracted, arena, &document, &err) != ST_OK)
        return;
    assert(str_is_utf8(document.text));
    if (chunk_document(&document, STR(""), &settings, arena, &chunks, &count, &err) != ST_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        size_t len = chunks[i].end - chunks[i].start;

        assert(chunks[i].start < chunks[i].end && chunks[i].end <= document.text.len);
        assert(str_is_utf8(chunks[i].text) && str_is_utf8(chunks[i].heading_path));
        assert(str_ends_with(chunks[i].text, str_sub(document.text, chunks[i].start, len)));
        assert(chunk_word_count(chunks[i].text) <= 2 * chunk_max_words(settings.words));
    }
}

/* What the reader writes is always what the protocol says, whatever it was given. */
static inline void
fuzz_reader(const struct format *format, const uint8_t *data, size_t size)
{
    struct format_input input = {.bytes = str_of((const char *)data, size),
                                 .max_memory_bytes = 64 * FUZZ_MB,
                                 .max_member_bytes = FUZZ_MB};
    struct arena *arena = arena_create(512 * FUZZ_MB);
    struct extracted extracted;
    struct document document;
    struct err err = {.code = ST_OK};
    enum status st;
    struct str answer;

    document_init(&document, 16 * FUZZ_MB);
    st = format->read(&input, &document, &err);
    if (st == ST_OK && document.block_count == 0 && document.member_count == 0)
        st = err_set(&err, ST_INVALID, "No text was found in it.");
    answer = document_finish(&document, st, &err);
    assert(extract_answer_is_complete(answer));
    assert(extract_answer_read(answer, arena, &extracted, &err) == st);
    if (st == ST_OK)
        fuzz_labels(&extracted, true);
    if (st == ST_OK && extracted.block_count > 0)
        fuzz_passages(&extracted, arena);
    document_deinit(&document);
    arena_destroy(&arena);
}

static inline void
fuzz_format(const char *content_type, const uint8_t *data, size_t size)
{
    fuzz_reader(format_find(str_from_c(content_type)), data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
