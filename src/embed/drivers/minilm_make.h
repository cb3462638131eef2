/*
 * minilm_make.h - makes our weights' file of the published ones, once
 *
 *   model.safetensors, config.json, vocab.txt -> floats in panels -> ranges of some sentences ->
 * bytes
 *
 * A byte weight is w * s / column_scale, where s evens out what a column of input reaches and how
 * large its weights are (Xiao et al., "SmoothQuant"); the input is multiplied by 1 / s before it
 * becomes bytes. The ranges come from running sentences of our own through the floats. Blocks: on
 * files, and computes for some seconds.
 */
#ifndef PARLEY_EMBED_DRIVERS_MINILM_MAKE_H
#define PARLEY_EMBED_DRIVERS_MINILM_MAKE_H

#include "base/err.h"

/* Reads folder's three files and writes file, whole or not at all. ST_NOT_FOUND: one of them is not
 * there. ST_INVALID: they are no MiniLM with heads of 32. ST_UNAVAILABLE: file cannot be written.
 */
MUST_USE enum status minilm_make(const char *folder, const char *file, struct err *err);

#endif
