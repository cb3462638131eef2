/*
 * sentences_test.c - where sentences end, and where they only seem to
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "text/text.h"

#define MAX_WANT 8

static const struct {
    const char *name;
    const char *text;
    const char *want[MAX_WANT];
} cases[] = {
    {"two", "One is here. Two is there.", {"One is here.", "Two is there."}},
    {"no full stop", "just words", {"just words"}},
    {"white space only", " \n\t ", {NULL}},
    {"title",
     "Dr. Smith met Mrs. Jones. They talked.",
     {"Dr. Smith met Mrs. Jones.", "They talked."}},
    {"e.g.", "Use a card, e.g. Visa. It works.", {"Use a card, e.g. Visa.", "It works."}},
    {"number", "See No. 5 for it. Then go.", {"See No. 5 for it.", "Then go."}},
    {"a plain no", "I said no. Then I left.", {"I said no.", "Then I left."}},
    {"initials",
     "J. R. R. Tolkien wrote it. We read it.",
     {"J. R. R. Tolkien wrote it.", "We read it."}},
    {"decimals",
     "It costs 3.50 euros. Version 2.0 is out.",
     {"It costs 3.50 euros.", "Version 2.0 is out."}},
    {"U.S. inside", "The U.S. Army came. All left.", {"The U.S. Army came.", "All left."}},
    {"U.S. at the end",
     "He lives in the U.S. The army left.",
     {"He lives in the U.S.", "The army left."}},
    {"p.m. at the end",
     "We close at 5 p.m. Please come early.",
     {"We close at 5 p.m.", "Please come early."}},
    {"company", "Acme Inc. Limited sold it. Fine.", {"Acme Inc. Limited sold it.", "Fine."}},
    {"German",
     "Das gilt z. B. am 5. Mai 2024. Danach nicht, vgl. Abs. 3 und Nr. 7.",
     {"Das gilt z. B. am 5. Mai 2024.", "Danach nicht, vgl. Abs. 3 und Nr. 7."}},
    {"French",
     "M. Dupont vit ici. Où est Mme. Roux ?",
     {"M. Dupont vit ici.", "Où est Mme. Roux ?"}},
    {"Spanish", "¿Dónde está el Sr. García? Aquí no.", {"¿Dónde está el Sr. García?", "Aquí no."}},
    {"address",
     "Go to example.com/a?B=1 now. Thanks.",
     {"Go to example.com/a?B=1 now.", "Thanks."}},
    {"quoted", "She said \"Stop.\" Then she left.", {"She said \"Stop.\"", "Then she left."}},
    {"line end is no border",
     "A line that goes\non here. Next one.",
     {"A line that goes\non here.", "Next one."}},
    {"paragraph",
     "A heading\n\nThe text begins. And ends",
     {"A heading", "The text begins.", "And ends"}},
    {"list",
     "You need:\n- a form\n- two photos\n1. Fill it in.\n2. Send it",
     {"You need:", "- a form", "- two photos", "1. Fill it in.", "2. Send it"}},
    {"table", "| a | b |\n| 1 | 2 |\nAfter it.", {"| a | b |", "| 1 | 2 |", "After it."}},
    {"heading", "# Title\nText follows.", {"# Title", "Text follows."}},
    {"Chinese", "你好。我很好！你呢？", {"你好。", "我很好！", "你呢？"}},
    {"Arabic", "أين المتجر؟ هو هنا.", {"أين المتجر؟", "هو هنا."}},
    {"emoji", "Great! 🎉 Thanks 👍🏽. Bye", {"Great!", "🎉 Thanks 👍🏽.", "Bye"}},
    {"carriage returns", "One.\r\n\r\nTwo.", {"One.", "Two."}},
};

static void
test_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str text = str_from_c(cases[i].text);
        struct text_span *spans = NULL;
        size_t count = text_sentences(text, arena, &spans), want = 0;

        while (want < MAX_WANT && cases[i].want[want] != NULL)
            want++;
        for (size_t s = 0; s < count && s < want; s++) {
            struct str sentence = str_sub(text, spans[s].start, spans[s].end - spans[s].start);

            if (!str_eq_c(sentence, cases[i].want[s]))
                fail_msg("%s: sentence %zu is '%.*s'", cases[i].name, s, STR_ARG(sentence));
        }
        if (count != want)
            fail_msg("%s: %zu sentences, not %zu", cases[i].name, count, want);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sentences)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
