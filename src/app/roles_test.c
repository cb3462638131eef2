/*
 * roles_test.c - words to bits and back
 */
#include "app/roles.h"
#include "base/testing.h"

static void
test_words(void **state)
{
    static const struct {
        const char *words;
        unsigned want; /* 0: refused */
        const char *formatted;
    } table[] = {
        {"gateway,api,worker,scheduler", ROLES_ALL, "gateway,api,worker,scheduler"},
        {"worker", ROLE_WORKER, "worker"},
        {" worker , gateway ", ROLE_WORKER | ROLE_GATEWAY, "gateway,worker"},
        {"api,api", ROLE_API, "api"},
        {"", 0, ""},
        {"worker,", 0, ""},
        {",worker", 0, ""},
        {"workers", 0, ""},
        {"worker gateway", 0, ""},
        {"WORKER", 0, ""},
        {"a-word-that-is-much-longer-than-any-role-could-ever-be", 0, ""},
    };
    struct arena *arena = arena_create(4096);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        unsigned roles = 0;
        struct err err;
        enum status st = roles_parse(str_from_c(table[i].words), &roles, &err);

        if (table[i].want == 0) {
            assert_int_equal(st, ST_INVALID);
            continue;
        }
        ASSERT_OK(st, &err);
        assert_int_equal(roles, table[i].want);
        assert_true(str_eq_c(roles_format(roles, arena), table[i].formatted));
    }
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
