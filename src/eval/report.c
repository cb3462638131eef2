/*
 * report.c - puts style, script and data into the page
 */
#include "eval/report.h"

#include <stdlib.h>

#include "base/embedded.h"
#include "eval/results.h"

extern const struct embedded_file eval_page[];

/* What each figure means stands beside the data. */
static json_t *
legend_json(void)
{
    json_t *list = json_array();

    for (const struct eval_figure *figure = eval_figures; figure->name != NULL; figure++) {
        json_t *entry = json_object();

        json_set_str(entry, "name", str_from_c(figure->name));
        json_set_str(entry, "title", str_from_c(figure->title));
        json_set_str(entry, "what", str_from_c(figure->what));
        json_set_bool(entry, "at_most", figure->at_most);
        json_set_bool(entry, "in_ms", figure->in_ms);
        json_array_append_new(list, entry);
    }
    return list;
}

/* JSON inside of <script>: "<" is written as an escape, so that nothing ends the element. */
static int
append_data(const char *bytes, size_t size, void *context)
{
    struct buf *out = context;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] == '<')
            buf_append_c(out, "\\u003c");
        else
            buf_append_byte(out, bytes[i]);
    return out->failed ? -1 : 0;
}

enum status
eval_report_write(const json_t *results, const json_t *comparison, struct buf *out, struct err *err)
{
    struct str page = embedded_find(eval_page, STR("report.html")), rest = page;
    json_auto_t *data = json_object();

    json_object_set(data, "results", (json_t *)(uintptr_t)results);
    if (comparison != NULL)
        json_object_set(data, "comparison", (json_t *)(uintptr_t)comparison);
    json_set(data, "legend", legend_json());
    while (rest.len > 0) {
        ptrdiff_t open = str_find(rest, STR("{{")), close = str_find(rest, STR("}}"));
        struct str name;

        if (open < 0 || close < open) {
            buf_append(out, rest);
            break;
        }
        buf_append(out, str_sub(rest, 0, (size_t)open));
        name = str_sub(rest, (size_t)open + 2, (size_t)(close - open) - 2);
        if (str_eq_c(name, "data"))
            (void)!json_dump_callback(data, append_data, out, JSON_COMPACT);
        else
            buf_append(out, embedded_find(eval_page, name));
        rest = str_sub(rest, (size_t)close + 2, rest.len);
    }
    return buf_check(out, err);
}
