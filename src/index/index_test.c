/*
 * index_test.c - what is found, what is not, and what deleting leaves: nothing
 *
 *   index_test            candidates from the database
 *   index_test qdrant     from the double of Qdrant, which is brought into step before each
 * question index_test real       from the server at QDRANT_URL
 */
#include <stdio.h>

#include "base/testing.h"
#include "index/index_test_sql.h"
#include "index/index_test_support.h"

struct delete_work {
    struct source_id source;
    int64_t version;
};

static enum status
delete_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct delete_work *work = arg;

    return index_delete(tx, work->source, work->version, err);
}

static void
delete_version(struct fixture *fixture, size_t source, int64_t version)
{
    struct delete_work work = {fixture->sources[source], version};
    struct err err = {0};

    assert_int_equal(store_run(fixture->store, &fixture->scope, "test_delete", STORE_RELAXED,
                               delete_work, &work, &err),
                     ST_OK);
}

static struct index_result
search(struct fixture *fixture, const char *text)
{
    return search_as(fixture, &fixture->scope, (struct index_query){.text = str_from_c(text)});
}

/* Chunk 0: no hit. */
static void
assert_first(struct fixture *fixture, const char *question, int64_t chunk)
{
    struct index_result result = search(fixture, question);
    int64_t first = result.count == 0 ? 0 : result.hits[0].chunk_id;

    if (first != chunk)
        fail_msg("'%s': chunk %lld, not %lld", question, (long long)first, (long long)chunk);
}

static void
test_finds(void **state)
{
    static const struct {
        const char *question;
        int64_t chunk;
    } cases[] = {
        {"When are you open on weekdays?", 1},
        {"can I return my bicycle", 2},
        {"How long do REPAIRS take?", 3},
        {"what is the deductible for theft", 4},
        {"payment of claims", 5},
        {"What are your opening hours?", 1}, /* only the heading says hours */
        {"insurence polisy", 4},             /* misspelled */
        {"reciept", 2},                      /* letters changed places */
        {"return bicicle", 2},
        {"quantum chromodynamics", 0},
        {"what is the", 0}, /* nothing but stop words */
        {"", 0},
        {"?!", 0},
    };
    struct fixture *fixture = *state;

    put_shop(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_first(fixture, cases[i].question, cases[i].chunk);
}

static void
test_synonyms(void **state)
{
    static const struct {
        const char *name, *synonyms, *question;
        int64_t chunk;
    } cases[] = {
        {"none", "", "velocipede excess", 0},
        {"both ways", "deductible, excess\n", "What is the excess?", 4},
        {"by stem", "month, moon\n", "in how many moons", 5},
        {"of several groups", "kayak, canoe\nconstable, police\n", "a constable's note", 5},
        {"a group without the word", "kayak, canoe\n", "a constable's note", 0},
        {"the own word counts more", "police, receipt\n", "receipt", 2},
    };
    struct fixture *fixture = *state;

    put_shop(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct index_result result =
            search_as(fixture, &fixture->scope,
                      (struct index_query){.text = str_from_c(cases[i].question),
                                           .synonyms = str_from_c(cases[i].synonyms)});

        print_message("           %s\n", cases[i].name);
        assert_int_equal(result.count == 0 ? 0 : result.hits[0].chunk_id, cases[i].chunk);
    }
}

static void
test_synonyms_are_checked(void **state)
{
    static const struct {
        const char *group;
        enum status want;
    } cases[] = {
        {"pram, buggy, stroller", ST_OK},
        {"straße,rue", ST_OK},
        {"pram", ST_INVALID},
        {"", ST_INVALID},
        {"pram, ", ST_INVALID},
        {"flat tyre, puncture", ST_OK},
        {"RMA, return merchandise authorization", ST_OK},
        {"e-bike, pedal electric cycle-machine", ST_OK},
        {"pram, a carriage for small babies", ST_INVALID},
        {"自行车, bicycle", ST_OK},
        {"pram, !", ST_INVALID},
        {"a\nb, c", ST_INVALID},
        {"a,b,c,d,e,f,g,h,i,j,k,l", ST_OK},
        {"a,b,c,d,e,f,g,h,i,j,k,l,m", ST_INVALID},
        {"\xff, a", ST_INVALID},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (index_synonyms_check(str_from_c(cases[i].group), &err) != cases[i].want)
            fail_msg("\"%s\"", cases[i].group);
}

static void
test_hit_says_where_and_why(void **state)
{
    struct fixture *fixture = *state;
    struct index_result result;
    const struct index_hit *hit;
    double weights = 0;
    struct str best;

    put_shop(fixture);
    result = search_as(fixture, &fixture->scope,
                       (struct index_query){.text = STR("return a bicycle on Mars"),
                                            .limit = 2,
                                            .want_best_sentence = true});
    assert_int_equal(result.count, 2);
    assert_int_equal(result.chunks_searched, 5);
    hit = &result.hits[0];
    assert_int_equal(hit->chunk_id, 2);
    assert_true(id_eq(&hit->source_id.id, &fixture->sources[0].id));
    assert_int_equal(hit->version, 1);
    assert_true(str_eq(hit->title, STR("Shop guide")));
    assert_true(str_eq(hit->heading_path, STR("Returns")));
    assert_true(str_eq(hit->language, STR("en")));
    assert_int_equal(hit->start_char, 100);
    assert_int_equal(hit->end_char, 200);
    best = str_sub(hit->text, hit->best_sentence.start,
                   hit->best_sentence.end - hit->best_sentence.start);
    assert_true(str_eq(best, STR("You can return a bicycle within thirty days.")));
    assert_true(hit->score > result.hits[1].score);
    assert_true(hit->coverage > 0.3 && hit->coverage < 1);
    assert_int_equal(hit->evidence_count, 3);
    for (size_t i = 0; i < hit->evidence_count; i++)
        weights += hit->evidence[i].weight;
    assert_true(weights > 0.999 && weights < 1.001);
    assert_true(str_eq(hit->evidence[2].word, STR("Mars")));
    assert_int_equal(hit->evidence[0].matches, 3); /* once in the text, twice for the heading */
    assert_int_equal(hit->evidence[2].matches, 0);
}

static void
test_nearness_decides_between_equal_bags(void **state)
{
    struct fixture *fixture = *state;
    const struct index_entry entries[] = {
        entry(fixture, 1, 0, "", "",
              "Gift wrapped. Nobody in our small town had thought of such paper before this card."),
        entry(fixture, 2, 0, "", "",
              "Paper wrapped. Nobody in our small town had thought of such before this gift card."),
    };

    assert_int_equal(put(fixture, entries, 2, ST_OK), ST_OK);
    assert_first(fixture, "gift card", 2);
    assert_first(fixture, "wrapped paper", 2);
    assert_first(fixture, "gift wrapped", 1);
}

/* --- who may see what --- */

static void
test_filters_are_applied_before_scoring(void **state)
{
    struct fixture *fixture = *state;
    struct index_query query = {.text = STR("vacation policy")};
    struct index_entry entries[4];
    struct index_result customer, staff, brand;
    double before;

    for (size_t i = 0; i < 4; i++)
        entries[i] = entry(fixture, (int64_t)i + 1, i % 3, "", "", "The vacation policy is short.");
    entries[1].audience = STR("staff");
    entries[2].brand_id = fixture->brand;
    entries[3].brand_id = fixture->other_brand;
    assert_int_equal(put(fixture, entries, 4, ST_OK), ST_OK);

    query.brand_id = fixture->brand;
    customer = search_as(fixture, &fixture->scope, query);
    assert_int_equal(customer.count, 2);
    assert_int_equal(customer.chunks_searched, 2);
    assert_int_equal(customer.hits[0].chunk_id, 1);
    assert_int_equal(customer.hits[1].chunk_id, 3);
    before = customer.hits[0].score;

    query.for_staff = true;
    staff = search_as(fixture, &fixture->scope, query);
    assert_int_equal(staff.count, 3);
    query = (struct index_query){.text = STR("vacation policy")};
    brand = search_as(fixture, &fixture->scope, query);
    assert_int_equal(brand.count, 3);

    /* Not even the statistics tell a customer what staff can read. */
    for (size_t i = 0; i < 4; i++) {
        entries[i].chunk_id += 10;
        entries[i].audience = STR("staff");
    }
    assert_int_equal(put(fixture, entries, 4, ST_OK), ST_OK);
    query.brand_id = fixture->brand;
    customer = search_as(fixture, &fixture->scope, query);
    assert_int_equal(customer.count, 2);
    assert_true(customer.hits[0].score == before);
}

static void
test_other_organization_finds_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct index_result result;

    put_shop(fixture);
    result = search_as(fixture, &fixture->other, (struct index_query){.text = STR("bicycle")});
    assert_int_equal(result.count, 0);
    assert_int_equal(result.chunks_searched, 0);
    assert_true(result.confidence == 0);
}

/* --- nothing stale --- */

static enum status
count_left(struct store_tx *tx, void *arg, struct err *err)
{
    struct store_rows *rows;
    int64_t *left = arg;
    enum status st = store_query_one(tx, &SQL_TEST_LEFT, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    for (int i = 0; i < 3; i++)
        left[i] = store_col_int(rows, i);
    return store_rows_close(&rows, err);
}

static void
assert_empty(struct fixture *fixture)
{
    int64_t left[3] = {-1, -1, -1};
    struct err err = {0};

    assert_int_equal(
        store_read(fixture->store, &fixture->scope, "test_left", count_left, left, &err), ST_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(left[i], 0);
}

static void
test_delete_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;

    put_shop(fixture);
    delete_version(fixture, 0, 2); /* there is none: nothing changes */
    assert_first(fixture, "bicycle makes noise", 3);
    delete_version(fixture, 0, 1);
    assert_first(fixture, "noise", 0);
    assert_first(fixture, "return bicycle", 4); /* in a title of the other source */
    delete_version(fixture, 1, 0);
    assert_empty(fixture);
}

static void
test_new_version_replaces_old(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry old = entry(fixture, 1, 0, "Prices", "", "A ticket is ten euros.");
    struct index_entry new = entry(fixture, 2, 0, "Prices", "", "A ticket is twelve dollars.");

    new.version = 2;
    assert_int_equal(put(fixture, &old, 1, ST_OK), ST_OK);
    assert_int_equal(put(fixture, &new, 1, ST_OK), ST_OK);
    delete_version(fixture, 0, 1);
    assert_first(fixture, "ticket dollars", 2);
    assert_first(fixture, "ten", 0);
    delete_version(fixture, 0, 0);
    assert_empty(fixture);
}

static void
test_rolled_back_put_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry one = entry(fixture, 1, 0, "Prices", "", "A ticket is ten euros.");

    assert_int_equal(put(fixture, &one, 1, ST_CONFLICT), ST_CONFLICT);
    assert_first(fixture, "ticket", 0);
    assert_empty(fixture);
    assert_int_equal(put(fixture, &one, 1, ST_OK), ST_OK);
    assert_first(fixture, "ticket", 1);
}

static void
test_refusals(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry one = entry(fixture, 1, 0, "Prices", "", "A ticket is ten euros.");
    struct index_query query = {.text = STR("x")};
    struct index_result result;

    one.audience = STR("public");
    assert_int_equal(put(fixture, &one, 1, ST_OK), ST_INVALID);
    one.audience = STR("staff");
    one.title = STR("\xff");
    assert_int_equal(put(fixture, &one, 1, ST_OK), ST_INVALID);
    assert_int_equal(ask(fixture, &fixture->scope, &query, &result), ST_INVALID);
    query.limit = INDEX_MAX_HITS + 1;
    assert_int_equal(ask(fixture, &fixture->scope, &query, &result), ST_INVALID);
    query.limit = 1;
    query.text = STR("\xff");
    assert_int_equal(ask(fixture, &fixture->scope, &query, &result), ST_INVALID);
}

/* --- languages --- */

static void
test_languages_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry entries[] = {
        entry(fixture, 1, 0, "", "", "The invoices are sent monthly by post."),
        entry(fixture, 2, 0, "", "",
              "Die Reisekostenabrechnung wird im Monat nach der Reise eingereicht."),
        entry(fixture, 3, 1, "", "", "Las habitaciones tienen vista al mar."),
        entry(fixture, 4, 1, "", "", "退货须在三十天内办理。"),
        entry(fixture, 5, 2, "", "", "يمكنك إرجاع الدراجة خلال ثلاثين يوما."),
    };
    static const char *const languages[] = {"en", "de", "es", "zh", "ar"};

    for (size_t i = 0; i < 5; i++)
        entries[i].language = str_from_c(languages[i]);
    assert_int_equal(put(fixture, entries, 5, ST_OK), ST_OK);
    assert_first(fixture, "When is an invoice sent?", 1);
    assert_first(fixture, "Wann muss ich Reisekosten einreichen?", 2);
    assert_first(fixture, "Reisekosten", 2); /* begins the compound */
    assert_first(fixture, "¿Qué vista tiene la habitación?", 3);
    assert_first(fixture, "habitacion", 3);
    assert_first(fixture, "怎么退货？", 4);
    assert_first(fixture, "كيف يمكنني إرجاع دراجة", 5);
}

/* --- many --- */

static void
test_many_blocks_agree_with_their_chunks(void **state)
{
    struct fixture *fixture = *state;
    static char texts[300][80];
    struct index_entry entries[300];
    struct index_result result;

    /* Ids over four blocks, put in two rounds with ids in between. */
    for (size_t round = 0; round < 2; round++) {
        size_t count = 0;

        for (size_t i = round; i < 300; i += 2) {
            (void)snprintf(texts[i], sizeof(texts[i]), "common word and special%zu item%zu", i,
                           i % 7);
            entries[count] = entry(fixture, (int64_t)(i * 50 + 1), i % 3, "", "", texts[i]);
            count++;
        }
        assert_int_equal(put(fixture, entries, count, ST_OK), ST_OK);
    }
    result = search(fixture, "common");
    assert_int_equal(result.count, 10);
    assert_int_equal(result.chunks_searched, 300);
    for (size_t i = 0; i < 10; i++) /* all alike: the order is that of the ids */
        if (fixture->engine == NULL)
            assert_int_equal(result.hits[i].chunk_id, i * 50 + 1);
        else if (i > 0) /* of those that an engine has chosen among equals */
            assert_true(result.hits[i].chunk_id > result.hits[i - 1].chunk_id);
    assert_first(fixture, "special299", 299 * 50 + 1);
    delete_version(fixture, 2, 0);
    assert_first(fixture, "special299", 0);
    assert_first(fixture, "special298", 298 * 50 + 1);
    delete_version(fixture, 1, 0);
    delete_version(fixture, 0, 0);
    assert_empty(fixture);
}

static void
test_confidence_orders_results(void **state)
{
    struct fixture *fixture = *state;
    double whole, half, none;

    put_shop(fixture);
    whole = search(fixture, "Can I return a bicycle within thirty days?").confidence;
    half = search(fixture, "Can I return a submarine to the embassy of Portugal?").confidence;
    none = search(fixture, "How does photosynthesis work?").confidence;
    assert_true(whole >= INDEX_CONFIDENCE_ANSWER);
    assert_true(half < INDEX_CONFIDENCE_ANSWER);
    assert_true(whole > half && half >= none);
    assert_true(none == 0);
}

static enum status
health_work(struct store_tx *tx, void *arg, struct err *err)
{
    return index_get_health(tx, arg, err);
}

static void
test_health(void **state)
{
    struct fixture *fixture = *state;
    struct index_health health;
    struct err err = {0};

    put_shop(fixture);
    assert_int_equal(
        store_read(fixture->store, &fixture->scope, "test", health_work, &health, &err), ST_OK);
    assert_int_equal(health.chunks, 5);
    assert_int_equal(health.partitions, 1);
    assert_true(health.terms > 20 && health.blocks == health.terms);
    assert_true(health.bytes >= health.blocks * 3);
}

static int
run_all(struct test_qdrant *qdrant)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finds),
        TEST(test_synonyms),
        TEST(test_synonyms_are_checked),
        TEST(test_hit_says_where_and_why),
        TEST(test_nearness_decides_between_equal_bags),
        TEST(test_filters_are_applied_before_scoring),
        TEST(test_other_organization_finds_nothing),
        TEST(test_delete_leaves_nothing),
        TEST(test_new_version_replaces_old),
        TEST(test_rolled_back_put_is_not_found),
        TEST(test_refusals),
        TEST(test_languages_side_by_side),
        TEST(test_many_blocks_agree_with_their_chunks),
        TEST(test_confidence_orders_results),
        TEST(test_health),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) + index_filter_tests(qdrant) +
           index_words_tests(qdrant);
}

int
main(int argc, char **argv)
{
    struct test_qdrant qdrant;
    int failed;

    if (argc < 2)
        return run_all(NULL);
    if (!(strcmp(argv[1], "real") == 0 ? test_qdrant_real(&qdrant)
                                       : test_qdrant_start(&qdrant, NULL, NULL))) {
        (void)fprintf(stderr, "index/index_%s: skipped, because %s\n", argv[1],
                      strcmp(argv[1], "real") == 0
                          ? "scripts/qdrant.sh was not run, and QDRANT_URL is not set"
                          : "node is not installed");
        return QDRANT_SKIPPED;
    }
    failed = run_all(&qdrant);
    test_qdrant_stop(&qdrant);
    return failed;
}
