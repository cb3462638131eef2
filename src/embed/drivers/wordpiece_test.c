/*
 * wordpiece_test.c - tables of texts and the pieces they become
 */
#include "base/testing.h"

#include "base/buf.h"
#include "embed/drivers/wordpiece_test_support.h"

static struct small_vocabulary small;

static int
set_up(void **state)
{
    struct err err;

    (void)state;
    return small_vocabulary_init(&small, STR(SMALL_VOCABULARY), &err) == ST_OK ? 0 : -1;
}

/* The pieces, parted by spaces. */
static void
pieces_of(struct str text, size_t max, struct buf *out)
{
    uint32_t tokens[256];
    size_t count = wordpiece_tokens(&small.wordpiece, text, tokens, max);

    buf_clear(out);
    assert_in_range(count, 2, max);
    for (size_t i = 0; i < count; i++) {
        uint32_t start = small.offsets[tokens[i]];

        assert_true(tokens[i] < small.wordpiece.count);
        if (i > 0)
            buf_append_c(out, " ");
        buf_append(out, str_of(small.bytes + start, small.offsets[tokens[i] + 1] - start));
    }
}

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_texts(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"words", "the shop", "[CLS] the shop [SEP]"},
        {"case", "The SHOP", "[CLS] the shop [SEP]"},
        {"the longest piece first", "shopping shops", "[CLS] shop ##ping shop ##s [SEP]"},
        {"a part unknown: all of it is", "shopx", "[CLS] [UNK] [SEP]"},
        {"an unknown word among others", "the zebra shop", "[CLS] the [UNK] shop [SEP]"},
        {"punctuation", "open, the shop?!", "[CLS] open , the shop ? ! [SEP]"},
        {"punctuation inside", "shop's", "[CLS] shop ' [UNK] [SEP]"},
        {"signs that are symbols elsewhere", "$a", "[CLS] $ a [SEP]"},
        {"a sign of money is part of its word", "\xe2\x82\xac", "[CLS] \xe2\x82\xac [SEP]"},
        {"accents", "Caf\xc3\xa9", "[CLS] cafe [SEP]"},
        {"accents taken apart already", "cafe\xcc\x81", "[CLS] cafe [SEP]"},
        {"no case folding",
         "Stra\xc3\x9f"
         "e",
         "[CLS] stra\xc3\x9f"
         "e [SEP]"},
        {"ideographs stand alone", "\xe6\x97\xa5\xe6\x9c\xac",
         "[CLS] \xe6\x97\xa5 \xe6\x9c\xac [SEP]"},
        {"a letter that comes apart", "\xd0\x99", "[CLS] \xd0\xb8 [SEP]"},
        {"no final sigma", "\xce\xa3\xce\xa3", "[CLS] \xcf\x83 ##\xcf\x83 [SEP]"},
        {"a dotted capital", "\xc4\xb0i", "[CLS] i ##i [SEP]"},
        {"white space of all kinds", "the\t\n\r\xc2\xa0\xe3\x80\x80shop", "[CLS] the shop [SEP]"},
        {"a line separator", "the\xe2\x80\xa8shop", "[CLS] the shop [SEP]"},
        {"control and format characters go", "sh\x01o\xe2\x80\x8bp\x7f", "[CLS] shop [SEP]"},
        {"U+FFFD goes", "\xef\xbf\xbdshop", "[CLS] shop [SEP]"},
        {"names of marks are text", "[SEP]", "[CLS] [ se ##p ] [SEP]"},
        {"nothing", "", "[CLS] [SEP]"},
        {"only marks", "\xcc\x81\xcc\x81", "[CLS] [SEP]"},
        {"digits", "24", "[CLS] 2 ##4 [SEP]"},
        {"101 letters", A50 A50 "a", "[CLS] [UNK] [SEP]"},
    };
    struct buf got;

    (void)state;
    buf_init(&got, 4096);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pieces_of(str_from_c(cases[i].text), 256, &got);
        if (!str_eq_c(buf_str(&got), cases[i].want))
            fail_msg("%s: got \"%.*s\", want \"%s\"", cases[i].name, STR_ARG(buf_str(&got)),
                     cases[i].want);
    }
    buf_deinit(&got);
}

/* 100 letters are a word still. */
static void
test_longest_word(void **state)
{
    uint32_t tokens[256];

    (void)state;
    assert_int_equal(wordpiece_tokens(&small.wordpiece, STR(A50 A50), tokens, 256), 102);
}

static void
test_cut_at_the_end(void **state)
{
    struct buf got;

    (void)state;
    buf_init(&got, 4096);
    pieces_of(STR("the shop opened the shop"), 5, &got);
    ASSERT_STR(buf_str(&got), "[CLS] the shop open [SEP]");
    pieces_of(STR("the shop"), 2, &got);
    ASSERT_STR(buf_str(&got), "[CLS] [SEP]");
    pieces_of(STR("the shop"), 4, &got);
    ASSERT_STR(buf_str(&got), "[CLS] the shop [SEP]");
    buf_deinit(&got);
}

static void
test_bad_vocabularies(void **state)
{
    static const char *const texts[] = {
        "[CLS]\n[SEP]\na\n",           "[UNK]\n[SEP]\na\n",          "[UNK]\n[CLS]\na\n",
        "[UNK]\n[CLS]\n[SEP]\na\na\n", "[UNK]\n[CLS]\n[SEP]\n\na\n",
    };
    struct small_vocabulary bad;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (small_vocabulary_init(&bad, str_from_c(texts[i]), &err) != ST_INVALID)
            fail_msg("accepted: %s", texts[i]);
    }
}

/* What a damaged file may hold is found before it is used. */
static void
test_damage_is_found(void **state)
{
    struct err err;

    (void)state;
    for (size_t i = 0; i < 7; i++) {
        struct small_vocabulary bad;

        ASSERT_OK(small_vocabulary_init(&bad, STR(SMALL_VOCABULARY), &err), &err);
        ASSERT_OK(wordpiece_check(&bad.wordpiece, SMALL_MAX_BYTES, &err), &err);
        switch (i) {
        case 0:
            bad.offsets[3] = 2000;
            break;
        case 1:
            bad.offsets[bad.wordpiece.count] = SMALL_MAX_BYTES + 1;
            break;
        case 2:
            bad.slots[5] = bad.wordpiece.count + 1;
            break;
        case 3: /* a full table would be searched for ever */
            for (size_t slot = 0; slot < bad.wordpiece.slot_count; slot++)
                bad.slots[slot] = 1;
            break;
        case 4:
            bad.wordpiece.unknown = bad.wordpiece.count;
            break;
        case 5:
            bad.wordpiece.slot_count *= 2;
            break;
        default:
            bad.wordpiece.count = 0;
        }
        assert_int_equal(wordpiece_check(&bad.wordpiece, SMALL_MAX_BYTES, &err), ST_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),           cmocka_unit_test(test_longest_word),
        cmocka_unit_test(test_cut_at_the_end),  cmocka_unit_test(test_bad_vocabularies),
        cmocka_unit_test(test_damage_is_found),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
