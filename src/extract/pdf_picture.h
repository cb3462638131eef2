/*
 * pdf_picture.h - pages that are pictures, drawn by Poppler and read by Tesseract
 *
 * Part of parley-extract-ocr alone: Tesseract brings many libraries and a language's data, which no
 * document with text in it should wait for. Everything is loaded before the sandbox closes.
 * Threads: one (the environment must hold OMP_THREAD_LIMIT=1: a second one would be killed).
 * Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_PDF_PICTURE_H
#define PARLEY_EXTRACT_PDF_PICTURE_H

#include "extract/pdf.h"

struct picture_reader;

/* languages: as Tesseract names them, "eng+deu". cpu_ms: of the process; pages that it does not
 * reach stay unread. Never NULL: where a language is missing every read says so. */
struct picture_reader *picture_reader_open(const char *languages, int64_t cpu_ms);
/* For format_input.eye, as long as the reader. */
struct pdf_eye *picture_reader_eye(struct picture_reader *reader);
void picture_reader_close(struct picture_reader **reader);

#endif
