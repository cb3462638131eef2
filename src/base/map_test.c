/*
 * map_test.c - the map against a plain array, the maximum, odd keys
 */
#include <stdio.h>

#include "base/id.h"
#include "base/map.h"
#include "base/testing.h"

#define KEYS 500
#define STEPS 100000

/* Random puts and removals; an array beside the map says what must come back. */
static void
agrees_with_an_array(void **state)
{
    static int values[KEYS];
    void *want[KEYS] = {NULL};
    size_t count = 0;
    struct map map;
    struct err err;

    (void)state;
    map_init(&map, KEYS);
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = random_below(KEYS);
        char text[16];
        struct str key;
        void *replaced;

        (void)snprintf(text, sizeof(text), "key-%u", i);
        key = str_from_c(text);
        assert_ptr_equal(map_find(&map, key), want[i]);
        /* Growing and shrinking in turns, so that the table is dense and thin. */
        if (random_below(100) < (step / 5000 % 2 == 0 ? 70U : 30U)) {
            void *value = &values[random_below(KEYS)];

            ASSERT_OK(map_put(&map, key, value, &replaced, &err), &err);
            assert_ptr_equal(replaced, want[i]);
            count += want[i] == NULL;
            want[i] = value;
        } else {
            assert_ptr_equal(map_remove(&map, key), want[i]);
            count -= want[i] != NULL;
            want[i] = NULL;
        }
        assert_int_equal(map.count, count);
    }
    map_deinit(&map);
}

static void
foreach_meets_each_once(void **state)
{
    unsigned char seen[100] = {0};
    struct map_entry *entry;
    struct map map;
    struct err err;

    (void)state;
    map_init(&map, 100);
    MAP_FOREACH (&map, entry) {
        fail_msg("an empty map has no entry");
    }
    for (size_t i = 0; i < 100; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%zu", i);
        ASSERT_OK(map_put(&map, str_from_c(text), &seen[i], NULL, &err), &err);
    }
    MAP_FOREACH (&map, entry) {
        unsigned char *mark = entry->value;
        int64_t number;

        assert_true(str_to_i64(entry->key, &number));
        assert_ptr_equal(mark, &seen[number]);
        (*mark)++;
    }
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    map_deinit(&map);
}

static void
the_maximum_holds(void **state)
{
    int value;
    int other;
    void *replaced;
    struct map map;
    struct err err;

    (void)state;
    map_init(&map, 2);
    ASSERT_OK(map_put(&map, STR("a"), &value, &replaced, &err), &err);
    ASSERT_OK(map_put(&map, STR("b"), &value, &replaced, &err), &err);
    assert_int_equal(map_put(&map, STR("c"), &value, &replaced, &err), ST_TOO_LARGE);
    assert_null(map_find(&map, STR("c")));
    ASSERT_OK(map_put(&map, STR("a"), &other, &replaced, &err), &err);
    assert_ptr_equal(replaced, &value);
    assert_ptr_equal(map_remove(&map, STR("b")), &value);
    ASSERT_OK(map_put(&map, STR("c"), &value, &replaced, &err), &err);
    map_deinit(&map);
    assert_null(map_find(&map, STR("a")));
    assert_null(map_remove(&map, STR("a")));
    map_deinit(&map);
}

static void
keys_are_any_bytes_and_copied(void **state)
{
    char key[] = "key";
    int values[4];
    struct map map;
    struct err err;

    (void)state;
    map_init(&map, 10);
    ASSERT_OK(map_put(&map, STR_EMPTY, &values[0], NULL, &err), &err);
    ASSERT_OK(map_put(&map, STR("\0"), &values[1], NULL, &err), &err);
    ASSERT_OK(map_put(&map, STR("a\0b"), &values[2], NULL, &err), &err);
    ASSERT_OK(map_put(&map, str_from_c(key), &values[3], NULL, &err), &err);
    key[0] = 'K';
    assert_ptr_equal(map_find(&map, STR("")), &values[0]);
    assert_ptr_equal(map_find(&map, STR("\0")), &values[1]);
    assert_ptr_equal(map_find(&map, STR("a\0b")), &values[2]);
    assert_ptr_equal(map_find(&map, STR("key")), &values[3]);
    assert_null(map_find(&map, STR("Key")));
    assert_null(map_find(&map, STR("a")));
    map_deinit(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(foreach_meets_each_once),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(keys_are_any_bytes_and_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
