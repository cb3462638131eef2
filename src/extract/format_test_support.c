/*
 * format_test_support.c - frames as lines
 */
#include "extract/format_test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The frames, one a line: kind, level where not 0, text with its line ends as "\n", tabs as "|". */
void
print_frames(struct str bytes, struct buf *out)
{
    assert_true(str_starts_with(bytes, STR(EXTRACT_MAGIC)));
    bytes = str_sub(bytes, EXTRACT_MAGIC_LEN, bytes.len);
    while (bytes.len > 0) {
        const unsigned char *head = (const unsigned char *)bytes.ptr;
        struct str text;
        size_t len;

        assert_true(bytes.len >= EXTRACT_FRAME_HEAD_LEN);
        len = head[2] | (size_t)head[3] << 8 | (size_t)head[4] << 16 | (size_t)head[5] << 24;
        assert_true(bytes.len >= EXTRACT_FRAME_HEAD_LEN + len);
        text = str_sub(bytes, EXTRACT_FRAME_HEAD_LEN, len);
        assert_true(str_is_utf8(text));
        if (head[0] != EXTRACT_END) {
            buf_append_byte(out, (char)head[0]);
            if (head[1] != 0)
                buf_append_byte(out, (char)('0' + head[1]));
            buf_append_byte(out, ' ');
            for (size_t i = 0; i < len; i++) {
                if (text.ptr[i] == '\n')
                    buf_append_c(out, "\\n");
                else
                    buf_append_byte(out, text.ptr[i] == '\t' ? '|' : text.ptr[i]);
            }
            buf_append_byte(out, '\n');
        }
        bytes = str_sub(bytes, EXTRACT_FRAME_HEAD_LEN + len, bytes.len);
    }
}

enum status
read_document(const char *content_type, struct str bytes, size_t max_memory, size_t max_output,
              struct buf *printed, struct err *err)
{
    const struct format *format = format_find(str_from_c(content_type));
    struct format_input input = {.bytes = bytes, .max_memory_bytes = max_memory};
    struct document document;
    enum status st;

    assert_non_null(format);
    document_init(&document, max_output);
    st = format->read(&input, &document, err);
    print_frames(document_finish(&document, st, err), printed);
    document_deinit(&document);
    return st;
}

void
check_document(const char *name, const char *content_type, struct str bytes, const char *want)
{
    struct buf printed;
    struct err err;

    buf_init(&printed, MB);
    (void)!read_document(content_type, bytes, 16 * MB, MB, &printed, &err);
    buf_append_byte(&printed, '\0');
    if (strcmp(printed.ptr, want) != 0)
        fail_msg("%s: got\n%swant\n%s", name, printed.ptr, want);
    buf_deinit(&printed);
}

void
check_samples(const char *content_type, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_document(samples[i].name, content_type, str_from_c(samples[i].input),
                       samples[i].want);
}
