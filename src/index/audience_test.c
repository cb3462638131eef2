/*
 * audience_test.c - who may read what: tables
 */
#include "base/testing.h"

#include "index/index.h"

static void
test_parsing(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"customer", "customer"},
        {"staff", "staff"},
        {"staff:hr", "staff:hr"},
        {"staff:hr,finance,hr", "staff:finance,hr"},
        {"staff: hr , 2nd-line", "staff:2nd-line,hr"},
        {"", NULL},
        {"public", NULL},
        {"Staff", NULL},
        {"staff ", NULL},
        {"staff:", NULL},
        {"staff:hr,", NULL},
        {"staff:,hr", NULL},
        {"staff:HR", NULL},
        {"staff:h r", NULL},
        {"staff:*", NULL},
        {"staff:-x", NULL},
        {"staff:h|r", NULL},
        {"customer,staff", NULL},
        {"staff:a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", NULL},
        {"staff:a123456789012345678901234567890123456789x", NULL},
    };
    struct arena *arena = arena_create((size_t)65536);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str audience;
        struct err err;
        enum status st = index_audience_parse(str_from_c(rows[i].text), arena, &audience, &err);

        if (rows[i].want == NULL ? st != ST_INVALID
                                 : st != ST_OK || !str_eq_c(audience, rows[i].want))
            fail_msg("\"%s\"", rows[i].text);
    }
    arena_destroy(&arena);
}

static void
test_reading(void **state)
{
    static const struct {
        const char *audience;
        bool for_staff;
        const char *roles;
        bool want;
    } rows[] = {
        {"customer", false, "", true},
        {"customer", true, "hr", true},
        {"staff", false, "", false},
        {"staff", false, "*", false},
        {"staff", true, "", true},
        {"staff:hr", false, "hr", false},
        {"staff:hr", true, "", false},
        {"staff:hr", true, "hr", true},
        {"staff:hr", true, "finance hr", true},
        {"staff:hr", true, "h", false},
        {"staff:hr", true, "hr2", false},
        {"staff:finance,hr", true, "finance", true},
        {"staff:finance,hr", true, "hr", true},
        {"staff:finance,hr", true, "sales", false},
        {"staff:hr", true, "*", true},
        {"", true, "*", false},
        {"else", true, "*", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (index_audience_may_read(str_from_c(rows[i].audience), rows[i].for_staff,
                                    str_from_c(rows[i].roles)) != rows[i].want)
            fail_msg("%s, %d, \"%s\"", rows[i].audience, rows[i].for_staff, rows[i].roles);
}

/* wide includes narrow exactly if whoever may read narrow may read wide. */
static void
test_including(void **state)
{
    static const char *const audiences[] = {"customer",  "staff",       "staff:a", "staff:b",
                                            "staff:a,b", "staff:a,b,c", "staff:c"};
    static const char *const roles[] = {"", "a", "b", "c"};
    const size_t count = sizeof(audiences) / sizeof(audiences[0]);

    (void)state;
    for (size_t w = 0; w < count; w++)
        for (size_t n = 0; n < count; n++) {
            const struct str wide = str_from_c(audiences[w]), narrow = str_from_c(audiences[n]);
            bool want = true;

            for (size_t reader = 0; reader <= 4; reader++) {
                const bool for_staff = reader > 0;
                const struct str has = str_from_c(for_staff ? roles[reader - 1] : "");

                want &= !index_audience_may_read(narrow, for_staff, has) ||
                        index_audience_may_read(wide, for_staff, has);
            }
            if (index_audience_includes(wide, narrow) != want)
                fail_msg("%s, %s", audiences[w], audiences[n]);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parsing),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_including),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
