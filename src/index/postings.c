/*
 * postings.c - reading and writing the index's bytes
 */
#include "index/postings.h"

#include <string.h>

#define VARINT_MAX_BYTES 5

static unsigned char *
varint_write(unsigned char *at, uint32_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

/* NULL at damage. */
static inline const unsigned char *
varint_read(const unsigned char *at, const unsigned char *end, uint32_t *value_out)
{
    uint32_t value = 0;

    for (unsigned shift = 0; at < end && shift < 7 * VARINT_MAX_BYTES; shift += 7) {
        unsigned char byte = *at++;

        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value_out = value;
            return at;
        }
    }
    return NULL;
}

void
postings_reader_init(struct postings_reader *reader, struct str bytes)
{
    *reader = (struct postings_reader){.at = (const unsigned char *)bytes.ptr,
                                       .end = (const unsigned char *)bytes.ptr + bytes.len};
}

bool
postings_next(struct postings_reader *reader, struct posting *posting_out)
{
    uint32_t delta;
    const unsigned char *at = reader->at;

    if (at == reader->end || reader->damaged)
        return false;
    at = varint_read(at, reader->end, &delta);
    if (at != NULL)
        at = varint_read(at, reader->end, &posting_out->frequency);
    if (at != NULL)
        at = varint_read(at, reader->end, &posting_out->length);
    if (at == NULL || delta >= POSTINGS_BLOCK_CHUNKS ||
        reader->next_offset + delta >= POSTINGS_BLOCK_CHUNKS) {
        reader->damaged = true;
        return false;
    }
    posting_out->offset = reader->next_offset + delta;
    reader->next_offset = posting_out->offset + 1;
    reader->at = at;
    return true;
}

struct postings_writer {
    unsigned char *start, *at;
    uint32_t next_offset;
    size_t count;
};

static void
postings_write(struct postings_writer *writer, const struct posting *posting)
{
    writer->at = varint_write(writer->at, posting->offset - writer->next_offset);
    writer->at = varint_write(writer->at, posting->frequency);
    writer->at = varint_write(writer->at, posting->length);
    writer->next_offset = posting->offset + 1;
    writer->count++;
}

enum status
postings_change(struct str bytes, const struct posting *change, size_t count, bool removing,
                struct arena *arena, struct str *bytes_out, size_t *count_out, struct err *err)
{
    size_t room = bytes.len + (count + 1) * 3 * VARINT_MAX_BYTES, i = 0;
    struct postings_reader reader;
    struct postings_writer writer = {0};
    struct posting old;

    writer.start = writer.at = ARENA_NEW_N(arena, unsigned char, room);
    postings_reader_init(&reader, bytes);
    while (postings_next(&reader, &old)) {
        while (!removing && i < count && change[i].offset < old.offset)
            postings_write(&writer, &change[i++]);
        if (i < count && change[i].offset == old.offset) {
            if (!removing)
                return err_set(err, ST_CONFLICT, "the passage is in the index already");
            i++;
            continue;
        }
        postings_write(&writer, &old);
    }
    if (reader.damaged)
        return err_set_detail(err, ST_INTERNAL, "damaged postings");
    while (!removing && i < count)
        postings_write(&writer, &change[i++]);
    if (i < count)
        return err_set_detail(err, ST_INTERNAL, "a posting to be removed is not there");
    *bytes_out = str_of((const char *)writer.start, (size_t)(writer.at - writer.start));
    *count_out = writer.count;
    return ST_OK;
}

static void
append_varint(struct buf *bytes, uint32_t value)
{
    unsigned char room[VARINT_MAX_BYTES];
    unsigned char *end = varint_write(room, value);

    buf_append(bytes, str_of((const char *)room, (size_t)(end - room)));
}

void
chunk_terms_append(struct buf *bytes, const struct chunk_term *term, const uint32_t *places)
{
    uint32_t before = 0;

    append_varint(bytes, (uint32_t)term->term.len);
    buf_append(bytes, term->term);
    append_varint(bytes, term->frequency);
    append_varint(bytes, term->place_count);
    for (uint32_t i = 0; i < term->place_count; i++) {
        append_varint(bytes, places[i] - before);
        before = places[i];
    }
}

bool
chunk_terms_next(struct str *bytes, struct chunk_term *term_out)
{
    const unsigned char *at = (const unsigned char *)bytes->ptr;
    const unsigned char *end = at + bytes->len, *places;
    uint32_t length, ignored;

    if (bytes->len == 0)
        return false;
    at = varint_read(at, end, &length);
    if (at == NULL || length > (size_t)(end - at))
        return false;
    term_out->term = str_of((const char *)at, length);
    at = varint_read(at + length, end, &term_out->frequency);
    if (at != NULL)
        at = varint_read(at, end, &term_out->place_count);
    places = at;
    for (uint32_t i = 0; at != NULL && i < term_out->place_count; i++)
        at = varint_read(at, end, &ignored);
    if (at == NULL)
        return false;
    term_out->places = str_of((const char *)places, (size_t)(at - places));
    *bytes = str_of((const char *)at, (size_t)(end - at));
    return true;
}

size_t
chunk_term_places(const struct chunk_term *term, uint32_t *places, size_t max)
{
    const unsigned char *at = (const unsigned char *)term->places.ptr;
    const unsigned char *end = at + term->places.len;
    uint32_t place = 0, delta;
    size_t count = 0;

    while (count < max && at != NULL && at < end) {
        at = varint_read(at, end, &delta);
        if (at == NULL)
            break;
        place += delta;
        places[count++] = place;
    }
    return count;
}
