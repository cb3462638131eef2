/*
 * safetensors.c - the table, and bounds for every tensor
 */
#include "embed/drivers/safetensors.h"

#include <math.h>
#include <string.h>

#include "text/json.h"

#define LENGTH_BYTES ((size_t)8)
#define MAX_TABLE_BYTES ((uint64_t)16 * 1024 * 1024)
#define MAX_SIDE INT64_C(100000000)

enum status
safetensors_open(struct str bytes, struct safetensors *tensors_out, struct err *err)
{
    uint64_t length = 0;
    enum status st;

    *tensors_out = (struct safetensors){.bytes = bytes};
    for (size_t i = 0; i < LENGTH_BYTES && i < bytes.len; i++)
        length |= (uint64_t)(uint8_t)bytes.ptr[i] << (8 * i);
    if (bytes.len < LENGTH_BYTES || length > MAX_TABLE_BYTES || length > bytes.len - LENGTH_BYTES)
        return err_set(err, ST_INVALID, "the weights are not in the form safetensors");
    tensors_out->data_start = LENGTH_BYTES + (size_t)length;
    st = json_parse(str_trim(str_sub(bytes, LENGTH_BYTES, (size_t)length)), &tensors_out->table,
                    err);
    if (st == ST_OK && !json_is_object(tensors_out->table))
        st = err_set(err, ST_INVALID, "it is no object");
    if (st != ST_OK) {
        safetensors_close(tensors_out);
        return err_wrap(err, "the weights' table");
    }
    return ST_OK;
}

void
safetensors_close(struct safetensors *tensors)
{
    json_decref(tensors->table);
    *tensors = (struct safetensors){0};
}

bool
safetensors_has(const struct safetensors *tensors, const char *name)
{
    return json_get_object(tensors->table, name) != NULL;
}

static int64_t
item(const json_t *array, size_t index)
{
    const json_t *value = json_array_get(array, index);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

enum status
safetensors_shape(const struct safetensors *tensors, const char *name, size_t *rows_out,
                  size_t *columns_out, struct err *err)
{
    const json_t *entry = json_get_object(tensors->table, name);
    const json_t *shape = json_get_array(entry, "shape");
    int64_t rows = item(shape, 0), columns = json_array_size(shape) == 2 ? item(shape, 1) : 0;

    if (entry == NULL)
        return err_set(err, ST_INVALID, "the weights have no %s", name);
    if (json_array_size(shape) < 1 || json_array_size(shape) > 2 || rows < 1 || rows > MAX_SIDE ||
        columns < 0 || columns > MAX_SIDE)
        return err_set(err, ST_INVALID, "%s has no shape of one or two sides", name);
    *rows_out = (size_t)rows;
    *columns_out = (size_t)columns;
    return ST_OK;
}

enum status
safetensors_get(const struct safetensors *tensors, const char *name, size_t rows, size_t columns,
                const char **numbers_out, struct err *err)
{
    const json_t *entry = json_get_object(tensors->table, name);
    const json_t *offsets = json_get_array(entry, "data_offsets");
    size_t found_rows, found_columns, count = columns == 0 ? rows : rows * columns;
    int64_t begin = item(offsets, 0), end = item(offsets, 1);
    size_t data_bytes = tensors->bytes.len - tensors->data_start;
    enum status st = safetensors_shape(tensors, name, &found_rows, &found_columns, err);

    if (st != ST_OK)
        return st;
    if (found_rows != rows || found_columns != columns)
        return err_set(err, ST_INVALID, "%s is %zu by %zu, not %zu by %zu", name, found_rows,
                       found_columns, rows, columns);
    if (!str_eq(json_get_str(entry, "dtype"), STR("F32")))
        return err_set(err, ST_INVALID, "%s is not in float32", name);
    if (begin < 0 || end < begin || (uint64_t)end > data_bytes ||
        (size_t)(end - begin) != count * sizeof(float))
        return err_set(err, ST_INVALID, "%s does not lie within the data", name);
    *numbers_out = tensors->bytes.ptr + tensors->data_start + begin;
    for (size_t i = 0; i < count; i++) {
        float number;

        memcpy(&number, *numbers_out + i * sizeof(float), sizeof(number));
        if (!isfinite(number))
            return err_set(err, ST_INVALID, "%s holds a number that is none", name);
    }
    return ST_OK;
}
