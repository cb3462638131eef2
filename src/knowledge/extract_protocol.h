/*
 * extract_protocol.h - what parley-extract is told and what it answers
 *
 *   parley-extract <content-type> <max-input> <max-output> <max-memory> <max-cpu-seconds>
 *
 * All four limits are bytes or seconds in decimal. The document is what stands on standard input
 * until its end. Before its first byte is read the process locks itself into the sandbox of
 * sandbox.h. The answer on standard output is the 4 bytes of EXTRACT_MAGIC, then frames:
 *
 *   kind (1 byte)  level (1 byte)  length (4 bytes, least significant first)  text (length bytes)
 *
 * Text is valid UTF-8 without NUL, but for EXTRACT_MEMBER_BYTES. Frames come in the order of the
 * document. Exactly one EXTRACT_END or EXTRACT_FAILED is the last frame and nothing follows it: an
 * answer that stops earlier comes from a helper that died. A kind the reader does not know is an
 * error, never skipped: helper and server are built from the same tree. Formats to come add kinds,
 * not variants of these. Exit status 0 after any complete answer, 64 when the arguments are wrong.
 */
#ifndef PARLEY_KNOWLEDGE_EXTRACT_PROTOCOL_H
#define PARLEY_KNOWLEDGE_EXTRACT_PROTOCOL_H

#define EXTRACT_MAGIC "PXT1"
#define EXTRACT_MAGIC_LEN 4
#define EXTRACT_FRAME_HEAD_LEN 6

enum extract_frame_kind {
    /* About the whole document; each at most once, anywhere before the end. */
    EXTRACT_TITLE = 'T',    /* what the document calls itself */
    EXTRACT_LANGUAGE = 'L', /* what it declares: "en", "pt-BR" */
    EXTRACT_CHARSET = 'S',  /* only when it was not UTF-8: "windows-1252", "utf-16le" */
    /* What it says of itself, on one line: 1 to EXTRACT_LABEL_MAX_LEN bytes. */
    EXTRACT_CATEGORY = 'G', /* what it is about; the first of several */
    EXTRACT_TONE = 'O',     /* how it speaks */
    EXTRACT_DATE = 'D',     /* its own date: "2026-05-01", or RFC 3339 */

    /* Pages that are pictures which nobody read: "3-7, 9", at most EXTRACT_PICTURES_MAX_LEN; a
     * document of nothing else has no blocks. */
    EXTRACT_PICTURES = 'U',

    EXTRACT_PAGE = 'N', /* the blocks after it begin on this page; text: its number, from 1 */

    /* Blocks. Lines inside a text are parted by LF. */
    EXTRACT_HEADING = 'H',   /* level 1..6 */
    EXTRACT_PARAGRAPH = 'P', /* level 0 */
    EXTRACT_LIST_ITEM =
        'I', /* level: depth from 1; the text begins with its marker, "- " or "3. " */
    EXTRACT_TABLE_ROW = 'R', /* level 1: column heads, else 0; cells parted by TAB */
    EXTRACT_CODE = 'C',      /* level 0; white space as it stood */

    /* A document within this one, by its path there; then what it holds, or why it has nothing. */
    EXTRACT_MEMBER = 'M',        /* text: the path, parted by '/', at most EXTRACT_PATH_MAX_LEN */
    EXTRACT_MEMBER_BYTES = 'B',  /* any bytes */
    EXTRACT_MEMBER_FAILED = 'F', /* text: a sentence, as of EXTRACT_FAILED */

    EXTRACT_END = 'E',   /* text: the number of blocks, in decimal */
    EXTRACT_FAILED = 'X' /* level: enum extract_failure; text: a sentence for whoever uploaded it */
};

enum extract_failure {
    EXTRACT_FAILED_UNREADABLE = 1, /* the document is at fault */
    EXTRACT_FAILED_TOO_LARGE = 2,  /* it, or what becomes of it, passes a limit */
    EXTRACT_FAILED_INTERNAL = 3    /* the helper is at fault */
};

/* The longest sentence of EXTRACT_FAILED, in bytes. */
#define EXTRACT_FAILED_MAX_LEN 150
/* The longest path of a member: with an archive's name before it, still a document's name. */
#define EXTRACT_PATH_MAX_LEN 200
#define EXTRACT_PICTURES_MAX_LEN 60
/* The longest label of a document (src/knowledge/labels.c). */
#define EXTRACT_LABEL_MAX_LEN 100

#endif
