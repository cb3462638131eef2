/*
 * scrub_test.c - what providers say, and what may be kept of it
 */
#include "channel/scrub.h"

#include <string.h>

#include "base/testing.h"

#define TOKEN "8123456789:AAF0-secret_of_the_bot"

static void
table_of_words(void **state)
{
    static const struct {
        const char *name, *words, *text, *recipient, *want;
    } table[] = {
        {"nothing to hide", "Telegram 400: Bad Request: chat not found", "Hello you", "12345",
         "Telegram 400: Bad Request: chat not found"},
        {"token", "no method at /bot" TOKEN "/sendMessage", "", "",
         "no method at /***/sendMessage"},
        {"short secret", "secret hunter2x is wrong", "", "", "secret *** is wrong"},
        {"text quoted", "can't read \"The deposit for a cargo bike is 100 euros\" at byte 3",
         "Well. The deposit for a cargo bike is 100 euros. Yes.", "",
         "can't read \"***\" at byte 3"},
        {"part of the text", "near 'is 100 euros. Yes' of it", "The deposit is 100 euros. Yes.", "",
         "near '***' of it"},
        {"short text, whole", "bad body: Hi Ada", "Hi Ada", "", "bad body: ***"},
        {"too short to be one", "bad body: ok", "ok", "", "bad body: ok"},
        {"recipient", "The number +15551230000 is not valid", "Hello you", "+15551230000",
         "The number *** is not valid"},
        {"somebody's token", "EAAGm0PX4ZCpsBAJ7x8 and EAAGm0PX4ZCpsBAJ7x82 expired", "", "",
         "EAAGm0PX4ZCpsBAJ7x8 and *** expired"},
        {"long words are words", "messages_tab_disabled_for_this_workspace", "", "",
         "messages_tab_disabled_for_this_workspace"},
        {"lines", "one\ntwo\tthree\x7f", "", "", "one two three "},
        {"whole sequences", "quoted: \xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA9.",
         "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA8", "", "quoted: ***."},
        {"empty", "", "Hello you there", "u1", ""},
    };
    json_auto_t *credentials =
        json_pack("{s:s, s:s, s:i}", "bot_token", TOKEN, "word", "hunter2x", "number", 3);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct scrub scrub = {str_from_c(table[i].text), str_from_c(table[i].recipient),
                                    credentials};
        struct err err;

        err_set(&err, ST_INVALID, "%s", table[i].words);
        scrub_err(&scrub, &err);
        if (strcmp(err.public_text, table[i].want) != 0 || strcmp(err.detail, table[i].want) != 0)
            fail_msg("%s: \"%s\", want \"%s\"", table[i].name, err.public_text, table[i].want);
    }
}

static void
long_words_are_cut(void **state)
{
    const struct scrub scrub = {.text = STR("something else")};
    struct err err;
    char words[400];

    (void)state;
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    err_set(&err, ST_INVALID, "%s", words);
    scrub_err(&scrub, &err);
    assert_int_equal(strlen(err.detail), 240);
    assert_int_equal(strlen(err.public_text), sizeof(err.public_text) - 1);
    /* A text that hides into more than it was. */
    err_set(&err, ST_INVALID, "%s", "hi");
    scrub_err(&(struct scrub){.text = STR("hi")}, &err);
    assert_string_equal(err.detail, "hi");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_words),
        cmocka_unit_test(long_words_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
