/*
 * question_test.c - what questions ask about
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/question_private.h"

#define MAX_WORDS 8

struct wanted_word {
    const char *term; /* "" of a side */
    double least_share, most_share;
    const char *related; /* one that must be there, or NULL */
};

static const struct {
    const char *language, *question;
    struct wanted_word words[MAX_WORDS];
} cases[] = {
    {"en",
     "How much is a puncture repair?",
     {{"punctur", 1, 1, NULL}, {"repair", 1, 1, "fix"}, {"", .3, .7, "€"}}},
    {"en",
     "What does it cost to hire a bike?",
     {{"cost", .3, .7, "$"}, {"hire", 1, 1, "rental"}, {"bike", 1, 1, "bicycl"}}},
    {"en", "Can I bring back a helmet?", {{"bring", .1, 1, "return"}, {"helmet", 1, 1, NULL}}},
    {"en",
     "I would like to know about opening hours",
     {{"like", 0, .3, NULL},
      {"know", 0, .3, NULL},
      {"open", 1, 1, "hour"},
      {"hour", .3, 1, "open"}}},
    {"en", "Do you sell unicycles?", {{"sell", 0, .3, NULL}, {"unicycl", 1, 1, NULL}}},
    {"en", "Where are you?", {{"", 1, 1, "address"}}},
    {"en", "Where is your shop?", {{"shop", .1, .3, "store"}, {"", 1, 1, "address"}}},
    {"en",
     "Do you repair shop windows?",
     {{"repair", 1, 1, NULL}, {"shop", 1, 1, NULL}, {"window", 1, 1, NULL}}},
    {"en", "When are you open?", {{"open", 1, 1, "hour"}}},
    {"en", "return policy", {{"return", 1, 1, "refund"}, {"polici", 0, .3, NULL}}},
    {"en", "do you have vouchers", {{"voucher", 1, 1, "gift"}}},
    {"de", "Was kostet die Reparatur?", {{"kostet", .3, .7, "€"}, {"reparatur", 1, 1, "wartung"}}},
    {"fr", "Combien coûte la location?", {{"cout", .3, .7, "€"}, {"locat", 1, 1, "lou"}}},
    {"es", "¿Cuánto cuesta el alquiler?", {{"cuest", .3, .7, "€"}, {"alquil", 1, 1, NULL}}},
    {"ru",
     "Сколько стоит ремонт?",
     {{"скольк", 1, 1, NULL}, {"сто", 1, 1, NULL}, {"ремонт", 1, 1, NULL}}},
    {"en", "the and of", {{NULL, 0, 0, NULL}}},
    {"", "", {{NULL, 0, 0, NULL}}},
};

static bool
has_related(const struct text_asked *asked, const char *term)
{
    for (size_t i = 0; i < asked->related_count; i++)
        if (str_eq_c(asked->related[i], term))
            return true;
    return false;
}

static void
test_questions(void **state)
{
    struct arena *arena = arena_create((size_t)1 << 20);

    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct text_asked *asked;
        size_t count = text_question(str_from_c(cases[c].question), str_from_c(cases[c].language),
                                     arena, &asked);
        size_t wanted = 0;

        for (; wanted < MAX_WORDS && cases[c].words[wanted].term != NULL; wanted++) {
            const struct wanted_word *word = &cases[c].words[wanted];

            if (wanted >= count)
                fail_msg("%s: no '%s'", cases[c].question, word->term);
            if (!str_eq_c(asked[wanted].term, word->term))
                fail_msg("%s: word %zu is '%.*s', not '%s'", cases[c].question, wanted,
                         STR_ARG(asked[wanted].term), word->term);
            if (asked[wanted].share < word->least_share || asked[wanted].share > word->most_share)
                fail_msg("%s: '%s' weighs %.2f", cases[c].question, word->term,
                         asked[wanted].share);
            if (word->related != NULL && !has_related(&asked[wanted], word->related))
                fail_msg("%s: '%s' does not lead to '%s'", cases[c].question, word->term,
                         word->related);
        }
        if (count != wanted)
            fail_msg("%s: %zu words, not %zu", cases[c].question, count, wanted);
        arena_reset(arena);
    }
    arena_destroy(&arena);
}

/* Each way of asking leads to the words of its row. */
static void
test_every_way_of_asking_leads_on(void **state)
{
    struct arena *arena = arena_create((size_t)1 << 24);

    (void)state;
    for (size_t i = 0; i < question_row_count; i++) {
        struct str rest = str_from_c(question_rows[i].asks), phrase;

        while (question_rows[i].asks != NULL && str_split(&rest, ' ', &phrase)) {
            char spaced[64];
            struct text_asked *asked;
            size_t count, led = 0;

            assert_true(phrase.len < sizeof(spaced));
            for (size_t b = 0; b < phrase.len; b++)
                spaced[b] = phrase.ptr[b] == '_' ? ' ' : phrase.ptr[b];
            count = text_question(str_of(spaced, phrase.len), str_from_c(question_rows[i].language),
                                  arena, &asked);
            for (size_t a = 0; a < count; a++)
                led += asked[a].related_count;
            if (led == 0)
                fail_msg("%s: '%.*s' leads nowhere", question_rows[i].language, STR_ARG(phrase));
            arena_reset(arena);
        }
    }
    arena_destroy(&arena);
}

static void
test_follow_ups(void **state)
{
    static const struct {
        const char *language, *question;
        bool follows;
    } questions[] = {
        {"en", "And for a week?", true},
        {"en", "and on Sundays?", true},
        {"en", "What about a helmet?", true},
        {"en", "How long does that take?", true},
        {"en", "what does it cost?", true},
        {"de", "Und am Sonntag?", true},
        {"fr", "Et le dimanche ?", true},
        {"es", "¿Y los domingos?", true},
        {"en", "Are you open on Mondays?", false},
        {"en", "Does it hurt the warranty?", false},
        {"en", "How much is a puncture repair and how long does it take?", false},
        {"en", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        if (text_is_follow_up(str_from_c(questions[i].question),
                              str_from_c(questions[i].language)) != questions[i].follows)
            fail_msg("%s: %s", questions[i].question,
                     questions[i].follows ? "stands alone" : "leans on another");
}

static void
test_own_cases(void **state)
{
    static const struct {
        const char *language, *question;
        bool own;
    } questions[] = {
        {"en", "Why was my card payment declined?", true},
        {"en", "my parcel still hasn't arrived", true},
        {"en", "I do not know how to set up namespaces", false},
        {"en", "I'm not quite sure what we pay for a lift", false},
        {"en", "I don't know why my parcel hasn't arrived", true},
        {"en", "What happens if I don't collect my bike?", false},
        {"en", "Is my battery still under warranty?", false},
        {"en", "My payment is still pending", true},
        {"en", "Why are e-bikes not sent abroad?", false},
        {"en", "Can I return my bike without a receipt?", false},
        {"de", "Warum ist mein Rad noch nicht fertig?", true},
        {"de", "Was passiert, wenn ich nicht komme?", false},
        {"de", "Ich weiß nicht, wie ich mein Konto anlege", false},
        {"fr", "Pourquoi mon colis n'est pas arrivé ?", true},
        {"fr", "Je ne sais pas comment rendre mon vélo", false},
        {"es", "¿Por qué no ha llegado mi pedido?", true},
        {"", "why is my bike not ready", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        if (text_is_own_case(str_from_c(questions[i].question),
                             str_from_c(questions[i].language)) != questions[i].own)
            fail_msg("%s: %s", questions[i].question,
                     questions[i].own ? "is one's own case" : "holds for everybody");
}

static void
test_of_organization(void **state)
{
    static const struct {
        const char *language, *question;
        bool is;
    } questions[] = {
        {"en", "where can I find you", true},
        {"en", "What's your address?", true},
        {"en", "give me your address please", true},
        {"en", "what is your email", true},
        {"en", "Phone numbers, please", true},
        {"en", "When is your shop open?", true},
        {"en", "What is the address of the workshop?", false},
        {"en", "What does a chain cost?", false},
        {"en", "How do I change my address at the bank?", false},
        {"de", "Wo seid ihr?", true},
        {"de", "Was kostet eine Kette?", false},
        {"fr", "Quelle heure ?", true},
        {"", "Where are you?", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        if (text_is_of_organization(str_from_c(questions[i].question),
                                    str_from_c(questions[i].language)) != questions[i].is)
            fail_msg("%s: %s", questions[i].question,
                     questions[i].is ? "is about the organization" : "has a subject");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),       cmocka_unit_test(test_every_way_of_asking_leads_on),
        cmocka_unit_test(test_follow_ups),      cmocka_unit_test(test_own_cases),
        cmocka_unit_test(test_of_organization),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
