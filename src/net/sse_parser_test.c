/*
 * sse_parser_test.c - every rule of the event stream format, cut at every byte
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those four first */
#include <cmocka.h>

#include <string.h>

#include "net/sse_parser.h"

struct seen {
    struct buf text; /* "event|data|id;" for each */
    unsigned stop_after;
    unsigned count;
};

static bool
on_event(const struct sse_event *event, void *context)
{
    struct seen *seen = context;

    buf_append(&seen->text, event->event);
    buf_append_byte(&seen->text, '|');
    buf_append(&seen->text, event->data);
    buf_append_byte(&seen->text, '|');
    buf_append(&seen->text, event->id);
    buf_append_byte(&seen->text, ';');
    seen->count++;
    return seen->stop_after == 0 || seen->count < seen->stop_after;
}

static const struct {
    const char *name;
    struct str input;
    const char *want;
} rows[] = {
    {"plain", STR_INIT("data: a\n\n"), "|a|;"},
    {"no space", STR_INIT("data:a\n\n"), "|a|;"},
    {"one space only", STR_INIT("data:  a \n\n"), "| a |;"},
    {"cr lf", STR_INIT("data: a\r\n\r\n"), "|a|;"},
    {"cr", STR_INIT("data: a\r\rdata: b\r\r"), "|a|;|b|;"},
    {"mixed ends", STR_INIT("data: a\rdata: b\r\ndata: c\n\n"), "|a\nb\nc|;"},
    {"several lines", STR_INIT("data: a\ndata: b\n\n"), "|a\nb|;"},
    {"empty line in data", STR_INIT("data: a\ndata:\ndata: b\n\n"), "|a\n\nb|;"},
    {"field without colon", STR_INIT("data\n\n"), "||;"},
    {"two without colon", STR_INIT("data\ndata\n\n"), "|\n|;"},
    {"event", STR_INIT("event: x\ndata: a\n\ndata: b\n\n"), "x|a|;|b|;"},
    {"event twice: the last", STR_INIT("event: x\nevent: y\ndata: a\n\n"), "y|a|;"},
    {"event without data", STR_INIT("event: x\n\ndata: b\n\n"), "|b|;"},
    {"id stays", STR_INIT("id: 1\ndata: a\n\ndata: b\n\n"), "|a|1;|b|1;"},
    {"id without data stays", STR_INIT("id: 1\n\ndata: b\n\n"), "|b|1;"},
    {"id emptied", STR_INIT("id: 1\ndata: a\n\nid\ndata: b\n\n"), "|a|1;|b|;"},
    {"id with NUL", STR_INIT("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"), "|a|1;|b|1;"},
    {"comment", STR_INIT(": hello\ndata: a\n:\n\n"), "|a|;"},
    {"unknown field", STR_INIT("date: x\nretry: 10\nDATA: y\ndata: a\n\n"), "|a|;"},
    {"colon in value", STR_INIT("data: a:b: c\n\n"), "|a:b: c|;"},
    {"space before name is another name", STR_INIT(" data: a\n\ndata: b\n\n"), "|b|;"},
    {"byte order mark",
     STR_INIT("\xEF\xBB\xBF"
              "data: a\n\n"),
     "|a|;"},
    {"byte order mark later",
     STR_INIT("data: a\n\n\xEF\xBB\xBF"
              "data: b\n\n"),
     "|a|;"},
    {"unfinished", STR_INIT("data: a\n\ndata: b\n"), "|a|;"},
    {"blank lines", STR_INIT("\n\n\r\n\rdata: a\n\n\n\n"), "|a|;"},
    {"utf-8", STR_INIT("data: \xC3\xA9\xE2\x82\xAC\n\n"), "|\xC3\xA9\xE2\x82\xAC|;"},
    {"done mark", STR_INIT("data: {\"a\":1}\n\ndata: [DONE]\n\n"), "|{\"a\":1}|;|[DONE]|;"},
};

static void
run(struct str input, size_t cut, size_t cut2, unsigned stop_after, const char *want,
    const char *name)
{
    struct seen seen = {.stop_after = stop_after};
    struct sse_parser parser;
    struct err err;

    buf_init(&seen.text, 65536);
    sse_parser_init(&parser, 1024, on_event, &seen);
    assert_int_equal(sse_parser_push(&parser, str_sub(input, 0, cut), &err), ST_OK);
    assert_int_equal(sse_parser_push(&parser, str_sub(input, cut, cut2 - cut), &err), ST_OK);
    assert_int_equal(sse_parser_push(&parser, str_sub(input, cut2, input.len), &err), ST_OK);
    if (!str_eq_c(buf_str(&seen.text), want))
        fail_msg("%s cut at %zu and %zu: %.*s", name, cut, cut2, STR_ARG(buf_str(&seen.text)));
    sse_parser_deinit(&parser);
    buf_deinit(&seen.text);
}

static void
test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t cut = 0; cut <= rows[i].input.len; cut++)
            for (size_t cut2 = cut; cut2 <= rows[i].input.len; cut2++)
                run(rows[i].input, cut, cut2, 0, rows[i].want, rows[i].name);
}

static void
test_stop(void **state)
{
    struct str input = STR("data: a\n\ndata: b\n\ndata: c\n\n");

    (void)state;
    for (size_t cut = 0; cut <= input.len; cut++)
        run(input, cut, cut, 2, "|a|;|b|;", "stop");
}

static void
test_limits(void **state)
{
    static const struct {
        const char *name;
        size_t data_bytes;
        bool as_one_line;
        enum status want;
    } limits[] = {
        {"fits", 99, true, ST_OK},
        {"one line too long", 101, true, ST_TOO_LARGE},
        {"endless line", 5000, true, ST_TOO_LARGE},
        {"many lines", 200, false, ST_TOO_LARGE},
        {"few lines", 40, false, ST_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct seen seen = {0};
        struct sse_parser parser;
        struct err err;
        enum status st = ST_OK;

        buf_init(&seen.text, 65536);
        sse_parser_init(&parser, 100, on_event, &seen);
        if (limits[i].as_one_line)
            st = sse_parser_push(&parser, STR("data:"), &err);
        for (size_t n = 0; n < limits[i].data_bytes && st == ST_OK; n++)
            st = sse_parser_push(&parser, limits[i].as_one_line ? STR("x") : STR("data:x\n"), &err);
        if (st == ST_OK)
            st = sse_parser_push(&parser, STR("\n\n"), &err);
        if (st != limits[i].want)
            fail_msg("%s: %s", limits[i].name, status_name(st));
        assert_int_equal(seen.count, st == ST_OK ? 1 : 0);
        sse_parser_deinit(&parser);
        buf_deinit(&seen.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
