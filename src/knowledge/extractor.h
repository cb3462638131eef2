/*
 * extractor.h - the server's side of parley-extract: one sandboxed process a document
 *
 * The process gets the document on a socket and answers on a pipe (extract_protocol.h). It is
 * killed when it is slower or its answer larger than allowed; what it dies of becomes a sentence
 * for whoever uploaded the document. Nothing it answers is believed before it was checked: frames,
 * lengths, UTF-8. Threads: shared; each call has a process of its own. Blocks: extractor_run, until
 * the deadline.
 */
#ifndef PARLEY_KNOWLEDGE_EXTRACTOR_H
#define PARLEY_KNOWLEDGE_EXTRACTOR_H

#include "base/arena.h"
#include "knowledge/extract_protocol.h"

struct extractor;

struct extractor_config {
    const char *path;        /* of parley-extract; NULL or "": beside this program */
    size_t max_input_bytes;  /* 0: 16 MB */
    size_t max_output_bytes; /* 0: 32 MB */
    size_t max_memory_bytes; /* of the process, beside input and output; 0: 512 MB */
    int64_t deadline_ms;     /* 0: 30 s */
    unsigned cpu_seconds;    /* of processor time a document; 0: 20 */
    /* Of pages that are pictures, as Tesseract names them: "eng+deu"; NULL or "": they are not
     * read.
     */
    const char *ocr_languages;
    unsigned ocr_seconds; /* of processor time a document; 0: 600 */
};

/* ST_NOT_FOUND: no such program. */
MUST_USE enum status extractor_open(const struct extractor_config *config,
                                    struct extractor **extractor_out, struct err *err);
void extractor_close(struct extractor **extractor);
const char *extractor_path(const struct extractor *extractor);

struct extract_block {
    enum extract_frame_kind kind; /* a block's: heading, paragraph, list item, table row, code */
    unsigned level;
    unsigned page; /* 0: the format has no pages */
    struct str text;
};

/* A document within the document. */
struct extract_member {
    struct str path;    /* not empty, without control characters */
    struct str bytes;   /* empty when it failed */
    struct str failure; /* why it cannot be read; empty when it can */
};

struct extracted {
    struct str title, language, charset; /* empty when not said; charset only when not UTF-8 */
    struct str category, tone, date;     /* as the document says; empty when not, unchecked else */
    struct extract_block *blocks;
    size_t block_count;  /* at least 1, unless there are members */
    struct str pictures; /* pages that are pictures which nobody read: "3-7, 9" */
    struct str note;     /* a sentence on what could not be read of it; empty: nothing */
    struct extract_member *members;
    size_t member_count;
};

/* All of extracted_out is in the arena. ST_INVALID, ST_TOO_LARGE: the document is at fault and the
 * public text says why in a sentence. ST_UNAVAILABLE: we are; later it may work. */
MUST_USE enum status extractor_run(const struct extractor *extractor, struct str content_type,
                                   struct str content, struct arena *arena,
                                   struct extracted *extracted_out, struct err *err);

#endif
