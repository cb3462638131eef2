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

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_forms_are_spelled_out)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
