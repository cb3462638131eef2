/*
 * imap_fuzz.c - any bytes as what an IMAP server says
 *
 * In pieces of the first byte's size and at once the same responses must be framed; what is read of
 * each lies within it.
 */
#include <assert.h>

#include "net/imap_reader.h"

#define MAX_BYTES ((size_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
assert_within(struct str part, struct str whole)
{
    assert(part.len == 0 ||
           (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static void
check_response(struct str bytes)
{
    struct imap_response r;
    struct imap_fetched fetched = {.uid = 0};
    enum status st;
    struct err err;
    uint32_t uid;

    if (imap_response_read(bytes, &r, &err) != ST_OK)
        return;
    assert((r.kind == IMAP_TAGGED) == (r.tag.len > 0));
    assert(r.kind != IMAP_TAGGED || r.condition != IMAP_NONE);
    assert(r.kind != IMAP_UNTAGGED || r.condition != IMAP_NONE || r.name.len > 0);
    assert_within(r.tag, bytes);
    assert_within(r.code, bytes);
    assert_within(r.text, bytes);
    assert_within(r.name, bytes);
    assert_within(r.rest, bytes);
    (void)imap_code_number(r.code, "UIDVALIDITY", &uid);
    struct str rest = r.rest;
    while (imap_search_next(&rest, &uid, &st))
        assert(uid > 0);
    struct str name;
    bool is_sent;
    if (imap_list_read(r.rest, &is_sent, &name, &err) == ST_OK)
        assert_within(name, bytes);
    if (imap_fetch_read(r.rest, &fetched, &err) == ST_OK) {
        assert(fetched.size_bytes >= 0);
        assert_within(fetched.body, bytes);
    }
}

/* The length of the first response, as the bytes come: 0 when it is none. */
static size_t
frame(struct str bytes, size_t piece)
{
    struct imap_framing framing = {.line_at = 0};
    size_t length = 0;
    struct err err;

    for (size_t got = piece; length == 0; got += piece) {
        if (imap_frame(str_sub(bytes, 0, got), MAX_BYTES, &framing, &length, &err) != ST_OK)
            return 0;
        if (got >= bytes.len)
            break;
    }
    return length;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 2 * MAX_BYTES)
        return 0;
    struct str rest = str_of((const char *)data + 1, size - 1);
    size_t piece = (size_t)data[0] + 1, length;

    while ((length = frame(rest, rest.len == 0 ? 1 : rest.len)) > 0) {
        assert(length <= rest.len && length <= MAX_BYTES);
        assert(frame(rest, piece) == length);
        check_response(str_sub(rest, 0, length));
        rest = str_sub(rest, length, rest.len);
    }
    return 0;
}
