/*
 * front_matter.h - the "---" head that site generators put before Markdown, and their template tags
 *
 * Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_FRONT_MATTER_H
#define PARLEY_EXTRACT_FRONT_MATTER_H

#include "base/buf.h"

struct front_matter {
    bool present;
    struct str title, language; /* borrowed from the text, as those below; empty when not said */
    struct str category, tone, date; /* a list's first item */
    struct str rest;                 /* what follows the head; all of the text when there is none */
};

/* text is UTF-8. A head is "---" on the first line up to a line "---" or "..."; of its keys are
 * read: title, lang or language, category or categories, tone, date. */
void front_matter_read(struct str text, struct front_matter *head_out);

/* Appends text without the generator's template tags: {% … %}, {{ … }}, {# … #} and comment blocks
 * go; a tag within a line that names plain words ({% link_to "people-ops" %}) leaves those words;
 * fenced code stays as it is. */
void template_tags_strip(struct str text, struct buf *out);

#endif
