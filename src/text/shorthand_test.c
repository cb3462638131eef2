/*
 * shorthand_test.c - chats' short forms and the words that they stand for
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/testing.h"
#include "text/text.h"

static void
short_forms_are_spelled_out(void **state)
{
    static const struct {
        const char *language, *text, *want;
    } rows[] = {
        {"en", "r u open on sunday?", "are you open on sunday?"},
        {"en", "Pls tell me ur opening hrs", "please tell me your opening hours"},
        {"en", "wheres ur shop, thx", "where is your shop, thanks"},
        {"en", "Can u fix it b4 thurs?", "Can you fix it before thursday?"},
        {"en", "Who is in HR? Is the R package yours?", "Who is in HR? Is the R package yours?"},
        {"en", "WHERE R U?", "WHERE are you?"},
        {"en", "Are you open?", "Are you open?"},
        {"en", "uranium, hrsg, u2", "uranium, hrsg, u2"},
        {"en", "", ""},
        {"de", "gibts auch ne Garantie u Ersatz?", "gibt es auch eine Garantie und Ersatz?"},
        {"de", "r u open", "r und open"},
        {"fr", "bjr, vs êtes dispo pr un rdv ?",
         "bonjour, vous êtes disponible pr un rendez-vous ?"},
        {"es", "xfa, dnd están?", "por favor, dónde están?"},
        {"nl", "Kunt u mij helpen?", "Kunt u mij helpen?"},
        {"", "r u open?", "r u open?"},
    };
    struct arena *arena = arena_create((size_t)1 << 20);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ASSERT_STR(text_spell_out(str_from_c(rows[i].text), str_from_c(rows[i].language), arena),
                   rows[i].want);
        arena_reset(arena);
    }
    arena_destroy(&arena);
}

static void
everyday_words_are_meant(void **state)
{
    static const struct {
        const char *language, *word, *want;
    } rows[] = {
        {"en", "opning", "opening"},
        {"en", "Garantee", "guarantee"},
        {"en", "telefone", "telephone"},
        {"en", "locatd", "located"},
        {"en", "guarantee", ""},
        {"en", "adress", "address"},
        {"en", "derailleur", ""},
        {"en", "zopening", ""},
        {"en", "open", ""},
        {"en", "opn", ""},
        {"en", "4pening", ""},
        {"en", "shert", ""},
        {"en", "monts", "month"},
        {"en", "", ""},
        {"de", "Garanti", "garantie"},
        {"de", "Lieferng", "liefern"},
        {"fr", "livraisn", "livraison"},
        {"es", "devolucin", "devolución"},
        {"nl", "opning", ""},
        {"", "opning", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ASSERT_STR(text_everyday(str_from_c(rows[i].word), str_from_c(rows[i].language)),
                   rows[i].want);
}

static void
distances(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned max, want;
    } rows[] = {
        {"recipt", "receipt", 2, 1}, {"repiar", "repair", 2, 1},
        {"same", "same", 1, 0},      {"", "ab", 2, 2},
        {"abc", "", 2, 3},           {"kitten", "sitting", 3, 3},
        {"kitten", "sitting", 2, 3}, {"shop", "workshop", 2, 3},
        {"ca", "abc", 3, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str a = str_from_c(rows[i].a), b = str_from_c(rows[i].b);

        assert_int_equal(text_distance(a, b, rows[i].max), rows[i].want);
        assert_int_equal(text_distance(b, a, rows[i].max), rows[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_forms_are_spelled_out),
        cmocka_unit_test(everyday_words_are_meant),
        cmocka_unit_test(distances),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
