/*
 * pgsql_many.c - the asks of many works as one run of a statement: arrays of their values, and
 * whose row is which
 *
 * An array in binary is a head of five numbers of 32 bits (dimensions, whether there are NULLs, the
 * elements' type, their count, the first one's index), then for each element its length and bytes:
 * array_send in PostgreSQL's sources. The head is written last.
 */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_types.h"

#define HEAD_BYTES 20
/* Memory that a large batch has left is given back. */
#define KEPT_BYTES ((size_t)256 * 1024)

static const struct {
    Oid element, array;
} arrays[] = {
    {PGSQL_TEXT, PGSQL_TEXT_ARRAY},
    {PGSQL_INT8, PGSQL_INT8_ARRAY},
    {PGSQL_BYTEA, PGSQL_BYTEA_ARRAY},
    {PGSQL_FLOAT8, PGSQL_FLOAT8_ARRAY},
};

Oid
pgsql_type_of(const struct store_value *value)
{
    switch (value->kind) {
    case STORE_INT:
        return PGSQL_INT8;
    case STORE_TEXT:
        return PGSQL_TEXT;
    case STORE_BLOB:
        return PGSQL_BYTEA;
    case STORE_REAL:
        return PGSQL_FLOAT8;
    case STORE_NULL:
        break;
    }
    return 0;
}

struct pgsql_gathered *
pgsql_gathered_create(void)
{
    struct pgsql_gathered *gathered = calloc(1, sizeof(*gathered));

    if (gathered == NULL)
        abort();
    for (unsigned i = 0; i < PGSQL_PARAMETERS_MAX; i++)
        buf_init(&gathered->columns[i], INT32_MAX);
    return gathered;
}

void
pgsql_gathered_destroy(struct pgsql_gathered **gathered)
{
    if (*gathered == NULL)
        return;
    for (unsigned i = 0; i < PGSQL_PARAMETERS_MAX; i++)
        buf_deinit(&(*gathered)->columns[i]);
    free(*gathered);
    *gathered = NULL;
}

void
pgsql_gathered_clear(struct pgsql_gathered *gathered)
{
    gathered->count = gathered->asks = 0;
    for (unsigned i = 0; i < PGSQL_PARAMETERS_MAX; i++) {
        gathered->types[i] = 0;
        gathered->nulls[i] = false;
        if (gathered->columns[i].capacity > KEPT_BYTES) {
            buf_deinit(&gathered->columns[i]);
            buf_init(&gathered->columns[i], INT32_MAX);
        }
        buf_clear(&gathered->columns[i]);
    }
}

bool
pgsql_gathered_fits(const struct pgsql_gathered *gathered, const struct store_value *values,
                    unsigned count)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        Oid type = pgsql_type_of(&values[i]);

        if (type != 0 && gathered->types[i] != 0 && type != gathered->types[i])
            return false;
        bytes += gathered->columns[i].len + values[i].bytes.len;
    }
    return bytes < INT32_MAX / 2;
}

static void
append_32(struct buf *buf, uint32_t number)
{
    uint32_t bits = htobe32(number);

    buf_append(buf, str_of((const char *)&bits, sizeof(bits)));
}

static void
add_element(struct buf *column, const struct store_value *value)
{
    uint64_t bits = (uint64_t)value->integer;
    struct str bytes = str_of((const char *)&bits, sizeof(bits));

    if (value->kind == STORE_NULL) {
        append_32(column, UINT32_MAX);
        return;
    }
    if (value->kind == STORE_REAL)
        memcpy(&bits, &value->real, sizeof(bits));
    bits = htobe64(bits);
    if (value->kind == STORE_TEXT || value->kind == STORE_BLOB)
        bytes = value->bytes;
    append_32(column, (uint32_t)bytes.len);
    buf_append(column, bytes);
}

void
pgsql_gathered_add(struct pgsql_gathered *gathered, const struct store_value *values,
                   unsigned count)
{
    static const char head[HEAD_BYTES];

    for (unsigned i = 0; i < count; i++) {
        Oid type = pgsql_type_of(&values[i]);

        if (gathered->columns[i].len == 0)
            buf_append(&gathered->columns[i], str_of(head, sizeof(head)));
        add_element(&gathered->columns[i], &values[i]);
        gathered->nulls[i] = gathered->nulls[i] || type == 0;
        if (type != 0)
            gathered->types[i] = type;
        if (gathered->columns[i].failed) /* no memory: as everywhere */
            abort();
    }
    gathered->count++;
}

Oid
pgsql_gathered_type(const struct pgsql_gathered *gathered, unsigned parameter)
{
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        if (arrays[i].element == gathered->types[parameter])
            return arrays[i].array;
    return 0;
}

struct str
pgsql_gathered_array(struct pgsql_gathered *gathered, unsigned parameter, Oid array_type)
{
    uint32_t head[HEAD_BYTES / sizeof(uint32_t)] = {htobe32(1),
                                                    htobe32(gathered->nulls[parameter] ? 1 : 0), 0,
                                                    htobe32(gathered->count), htobe32(1)};

    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        if (arrays[i].array == array_type)
            head[2] = htobe32(arrays[i].element);
    memcpy(gathered->columns[parameter].ptr, head, sizeof(head));
    return buf_str(&gathered->columns[parameter]);
}

void
pgsql_share_rows(struct pgsql_asked *asked, unsigned count)
{
    for (int row = 0; row < PQntuples(asked[0].answer); row++) {
        int64_t element = pgsql_value_int(asked[0].answer, row, 0);
        int64_t at = (element < count ? element : count) - 1; /* or before, where some only write */

        while (at >= 0 && asked[at].element > element)
            at--;
        assert(at >= 0);
        if (asked[at].element == element) {
            assert(asked[at].row < 0);
            asked[at].row = row;
        }
    }
}
