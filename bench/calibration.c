/*
 * calibration.c - is what was said true as often as it was said? By the product's own figures
 *
 *   calibration BINS < samples
 * A sample is a line [confidence, right, weight], such as [0.8, true, 0.01]. Prints one JSON
 * object:
 * {"error": expected calibration error, "bins": [[weight, said, true], ...]}.
 */
#include <stdio.h>
#include <stdlib.h>

#include "eval/metrics.h"
#include "text/json.h"

static void
fail(const char *what)
{
    (void)fprintf(stderr, "calibration: %s\n", what);
    exit(2);
}

static void
add(struct eval_calibration *calibration, struct str line)
{
    json_auto_t *sample = NULL;
    const json_t *right;
    struct err err;

    if (json_parse(str_trim(line), &sample, &err) != ST_OK)
        fail(err.detail);
    right = json_array_get(sample, 1);
    if (json_array_size(sample) != 3 || !json_is_number(json_array_get(sample, 0)) ||
        !json_is_boolean(right) || !json_is_number(json_array_get(sample, 2)))
        fail("a sample is [confidence, right, weight]");
    eval_calibration_add(calibration, json_number_value(json_array_get(sample, 0)),
                         json_is_true(right), json_number_value(json_array_get(sample, 2)));
}

int
main(int argc, char **argv)
{
    struct eval_calibration calibration = {.bin_count = 0};
    json_auto_t *result = json_object();
    json_t *bins = json_array();
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int64_t count;

    if (argc != 2 || !str_to_i64(str_from_c(argv[1]), &count) || count < 1 || count > EVAL_BINS_MAX)
        fail("how many bins?");
    calibration.bin_count = (unsigned)count;
    while ((length = getline(&line, &capacity, stdin)) > 0)
        add(&calibration, str_of(line, (size_t)length));
    free(line);
    for (unsigned i = 0; i < calibration.bin_count; i++) {
        const struct eval_bin *bin = &calibration.bins[i];

        if (bin->weight > 0)
            json_array_append_new(bins, json_pack("[f,f,f]", bin->weight, bin->said / bin->weight,
                                                  bin->right / bin->weight));
    }
    json_set_double(result, "error", eval_calibration_error(&calibration));
    json_set(result, "bins", bins);
    (void)json_dumpf(result, stdout, JSON_COMPACT);
    (void)putchar('\n');
    return 0;
}
