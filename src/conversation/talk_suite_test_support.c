/*
 * talk_suite_test_support.c - see the header
 */
#include "conversation/talk_suite_test_support.h"

#include <stdlib.h>
#include <string.h>

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

int
talk_set_up(void **state)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    struct pgsql_database database;

    assert_non_null(talk);
    if (server.pid > 0) {
        pgsql_database_make(&server, &database);
        (void)setenv("PARLEY_TEST_DATABASE_URL", database.url, 1);
    }
    talk_open(talk, "fake", "{}", NULL);
    *state = talk;
    return 0;
}

int
talk_tear_down(void **state)
{
    talk_close(*state);
    free(*state);
    return 0;
}

bool
talk_suite_begin(int argc, char **argv, const char *name)
{
    if (argc < 2 || strcmp(argv[1], "pgsql") != 0 || pgsql_server_start(&server))
        return true;
    (void)fprintf(stderr, "%s: skipped, because PostgreSQL is not installed\n", name);
    return false;
}

void
talk_suite_end(void)
{
    if (server.pid > 0)
        pgsql_server_stop(&server);
}

bool
talk_is_on_server(void)
{
    return server.pid > 0;
}
