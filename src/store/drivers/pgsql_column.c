/*
 * pgsql_column.c - values as the server sends them in binary: big-endian numbers, raw bytes
 */
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_types.h"

static uint16_t
read_16(const char *bytes)
{
    uint16_t value;

    memcpy(&value, bytes, sizeof(value));
    return be16toh(value);
}

static uint32_t
read_32(const char *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return be32toh(value);
}

static uint64_t
read_64(const char *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

/* count, weight, sign, scale, then digits to the base of 10000, the first worth 10000^weight. */
static double
numeric_value(const char *bytes)
{
    int count = read_16(bytes);
    int weight = (int16_t)read_16(bytes + 2);
    bool negative = read_16(bytes + 4) == 0x4000;
    double value = 0;

    for (int i = 0; i < count; i++)
        value += read_16(bytes + 8 + 2 * i) * pow(10000, weight - i);
    return negative ? -value : value;
}

/* Of what sum() gives of whole numbers: exact, where a double is not. */
static int64_t
numeric_int(const char *bytes)
{
    int count = read_16(bytes);
    int weight = (int16_t)read_16(bytes + 2);
    bool negative = read_16(bytes + 4) == 0x4000;
    int64_t value = 0;

    if (weight > 3) /* 10^16 and more: as far as it fits */
        return (int64_t)numeric_value(bytes);
    for (int i = 0; i <= weight; i++)
        value = value * 10000 + (i < count ? read_16(bytes + 8 + 2 * i) : 0);
    return negative ? -value : value;
}

double
pgsql_value_real(const PGresult *result, int row, int column)
{
    const char *bytes = PQgetvalue(result, row, column);
    uint64_t bits;
    double real;

    if (PQgetisnull(result, row, column))
        return 0;
    if (PQftype(result, column) == PGSQL_NUMERIC)
        return numeric_value(bytes);
    if (PQftype(result, column) != PGSQL_FLOAT8)
        return (double)pgsql_value_int(result, row, column);
    bits = read_64(bytes);
    memcpy(&real, &bits, sizeof(real));
    return real;
}

int64_t
pgsql_value_int(const PGresult *result, int row, int column)
{
    const char *bytes = PQgetvalue(result, row, column);
    int64_t value = 0;

    if (PQgetisnull(result, row, column))
        return 0;
    switch (PQftype(result, column)) {
    case PGSQL_BOOL:
        return bytes[0] != 0;
    case PGSQL_INT2:
        return (int16_t)read_16(bytes);
    case PGSQL_INT4:
        return (int32_t)read_32(bytes);
    case PGSQL_INT8:
        return (int64_t)read_64(bytes);
    case PGSQL_NUMERIC:
        return numeric_int(bytes);
    case PGSQL_FLOAT8:
        return (int64_t)pgsql_value_real(result, row, column);
    default: /* a text that may be a number, as SQLite reads it */
        (void)str_to_i64(str_of(bytes, (size_t)PQgetlength(result, row, column)), &value);
        return value;
    }
}

struct str
pgsql_value_text(const PGresult *result, int row, int column, char number[32])
{
    int len = 0;

    if (PQgetisnull(result, row, column))
        return STR_EMPTY;
    switch (PQftype(result, column)) {
    case PGSQL_BOOL:
    case PGSQL_INT2:
    case PGSQL_INT4:
    case PGSQL_INT8:
    case PGSQL_NUMERIC:
        len = snprintf(number, 32, "%lld", (long long)pgsql_value_int(result, row, column));
        return str_of(number, (size_t)len);
    case PGSQL_FLOAT8:
        len = snprintf(number, 32, "%.17g", pgsql_value_real(result, row, column));
        return str_of(number, (size_t)len);
    default:
        return str_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
    }
}
