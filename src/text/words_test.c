/*
 * words_test.c - words, terms, languages
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include "text/text_private.h"

static struct str
join_words(struct str text, struct arena *arena)
{
    struct buf buf;
    struct text_span *spans;
    size_t count = text_words(text, arena, &spans);
    struct str joined;

    buf_init(&buf, 1 << 16);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(&buf, '|');
        buf_append(&buf, str_sub(text, spans[i].start, spans[i].end - spans[i].start));
    }
    joined = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return joined;
}

/* Stop words in brackets. */
static struct str
join_terms(struct str text, const char *language, struct arena *arena)
{
    struct buf buf;
    struct text_term *terms;
    size_t count = text_terms(text, str_from_c(language), arena, &terms);
    struct str joined;

    buf_init(&buf, 1 << 16);
    for (size_t i = 0; i < count; i++) {
        assert_true(terms[i].span.start < terms[i].span.end && terms[i].span.end <= text.len);
        buf_printf(&buf, terms[i].is_stop_word ? "%s(%.*s)" : "%s%.*s", i > 0 ? " " : "",
                   STR_ARG(terms[i].term));
    }
    joined = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return joined;
}

static const struct {
    const char *text, *want;
} word_cases[] = {
    {"", ""},
    {"--- ... !!", ""},
    {"Hello, world!", "Hello|world"},
    {"don't stop", "don't|stop"},
    {"state-of-the-art 3.50 1,000 x", "state|of|the|art|3.50|1,000|x"},
    {"snake_case __ _ @ me@example.com", "snake_case|me@example.com"},
    {"Zoë’s café", "Zoë’s|café"},
    {"cafe\xcc\x81 x", "cafe\xcc\x81|x"}, /* combining acute */
    {"你好世界", "你好|世界"},
    {"مرحبا بالعالم", "مرحبا|بالعالم"},
    {"ok 👍🏽👩‍👩‍👧 yes", "ok|yes"},
    {"สวัสดีครับ", "สวัสดี|ครับ"},
};

static void
test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(word_cases) / sizeof(word_cases[0]); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str got = join_words(str_from_c(word_cases[i].text), arena);

        if (!str_eq_c(got, word_cases[i].want))
            fail_msg("'%s': '%.*s'", word_cases[i].text, STR_ARG(got));
        arena_destroy(&arena);
    }
}

/* The short way for ASCII gives what ICU gives: the same text with one other letter behind it. */
static void
test_ascii_words_are_icu_words(void **state)
{
    static const char alphabet[] = "aB1._',;:- \n/@";
    uint64_t seed = 42;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct arena *arena = arena_create(1 << 20);
        char text[24];
        size_t length = 12;
        struct text_span *fast, *icu;
        size_t fast_count, icu_count;

        for (size_t i = 0; i < length; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            text[i] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
        }
        memcpy(text + length, " \xc3\xa9", 3);
        fast_count = text_words(str_of(text, length), arena, &fast);
        icu_count = text_words(str_of(text, length + 3), arena, &icu) - 1;
        if (fast_count != icu_count)
            fail_msg("'%.12s': %zu words, ICU has %zu", text, fast_count, icu_count);
        for (size_t i = 0; i < fast_count; i++)
            if (fast[i].start != icu[i].start || fast[i].end != icu[i].end)
                fail_msg("'%.12s': word %zu differs", text, i);
        arena_destroy(&arena);
    }
}

static const struct {
    const char *language, *text, *want;
} term_cases[] = {
    {"en", "The running dogs' connections", "(the) run dog connect"},
    {"en", "I don't know, it’s Zoë's", "(i) (dont) know (its) zoe"},
    {"en", "U.S. rules vs. us", "us rule vs (us)"},
    {"en", "1,000,000 people paid 3.50 for mp3", "1000000 peopl paid 3.50 (for) mp3"},
    {"en", "me@example.com end.Next snake_case", "(me) exampl com end next snake case"},
    {"de", "Die Häuser der Straße", "(die) haus (der) strass"},
    {"fr", "L'homme qu’il a aimé", "homm (il) (a) aim"},
    {"es", "informacion informaciones información", "inform inform inform"},
    {"it", "dell'acqua", "acqua"},
    {"pt", "informações informacao", "inform inform"},
    {"nl", "de boeken van het meisje", "(de) boek (van) (het) meisj"},
    {"sv", "hästarna är här", "häst (är) (här)"},
    {"tr", "ISLAK İstanbul", "ıslak istanbul"},
    {"ru", "ещё книги о чём", "(еще) книг (о) (чем)"},
    {"ar", "الكتاب كِتَابٌ", "كتاب كتاب"},
    {"", "Running Café", "running cafe"},
    {"xx", "ＦＵＬＬ ﬁne", "full fine"},
    {"zh", "我爱北京", "我爱 爱北 北京"},
    {"zh", "人", "人"},
    {"ja", "東京タワーへ", "東京 京タ タワ ワー ーへ"},
    {"ko", "한국어는 쉽다", "한국 국어 어는 쉽다"},
    {"en", "iPhone 15 用户 guide", "iphon 15 用户 guid"},
};

static void
test_terms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(term_cases) / sizeof(term_cases[0]); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str got = join_terms(str_from_c(term_cases[i].text), term_cases[i].language, arena);

        if (!str_eq_c(got, term_cases[i].want))
            fail_msg("%s '%s': '%.*s'", term_cases[i].language, term_cases[i].text, STR_ARG(got));
        arena_destroy(&arena);
    }
}

static void
test_a_long_word_is_cut(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct text_term *terms;
    char text[3000];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(text_terms(str_of(text, sizeof(text)), STR("en"), arena, &terms), 1);
    assert_true(terms[0].term.len > 0 && terms[0].term.len <= TEXT_FOLD_MAX);
    /* One character that becomes 18: U+FDFA. */
    for (size_t i = 0; i < sizeof(text); i += 3)
        memcpy(text + i, "\xef\xb7\xba", 3);
    assert_true(text_terms(str_of(text, sizeof(text)), STR("ar"), arena, &terms) >= 1);
    assert_true(str_is_utf8(terms[0].term));
    arena_destroy(&arena);
}

static const struct {
    const char *text, *want;
} language_cases[] = {
    {"How do I reset my password?", "en"},
    {"Where is my order", "en"},
    {"Wie kann ich mein Passwort ändern?", "de"},
    {"Comment puis-je changer mon mot de passe ?", "fr"},
    {"¿Cómo puedo cambiar mi contraseña?", "es"},
    {"Como posso mudar a minha senha?", "pt"},
    {"Come posso cambiare la mia password?", "it"},
    {"Hoe kan ik mijn wachtwoord wijzigen?", "nl"},
    {"Hur kan jag byta mitt lösenord?", "sv"},
    {"Jak mogę zmienić hasło?", "pl"},
    {"Şifremi nasıl değiştirebilirim?", "tr"},
    {"Как мне изменить пароль?", "ru"},
    {"Як мені змінити пароль?", "uk"},
    {"如何更改密码？", "zh"},
    {"パスワードを変更するには？", "ja"},
    {"비밀번호를 어떻게 바꾸나요?", "ko"},
    {"كيف أغير كلمة المرور؟", "ar"},
    {"چگونه رمز عبورم را تغییر دهم؟", "fa"},
    {"Πώς αλλάζω τον κωδικό μου;", "el"},
    {"איך אני משנה סיסמה?", "he"},
    {"VPN 4.2", ""},
    {"", ""},
    {"👍", ""},
};

static void
test_language(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(language_cases) / sizeof(language_cases[0]); i++) {
        struct str got = text_language(str_from_c(language_cases[i].text));

        if (!str_eq_c(got, language_cases[i].want))
            fail_msg("'%s': '%.*s'", language_cases[i].text, STR_ARG(got));
    }
}

static void
test_language_table_is_in_order(void **state)
{
    (void)state;
    for (int id = 0; id < LANG_COUNT; id++) {
        const struct text_language_row *row = text_language_row((enum text_language_id)id);

        assert_non_null(row->code);
        assert_non_null(row->stop_words);
        assert_int_equal(text_language_find(str_from_c(row->code)), id);
        if (row->stemmer != NULL)
            assert_non_null(text_tools_stemmer(text_tools_get(), (enum text_language_id)id));
    }
    assert_int_equal(text_language_find(STR("nb")), LANG_NO);
    assert_int_equal(text_language_find(STR("xx")), LANG_NONE);
}

/* Gives how often a result was wrong: an assertion holds in the test's own thread only. */
static void *
use_tools(void *arg)
{
    struct arena *arena = arena_create(1 << 20);
    struct text_span *spans;
    unsigned *wrong = arg;

    for (int i = 0; i < 100; i++) {
        arena_reset(arena);
        *wrong += !str_eq_c(text_language(STR("Wie kann ich das ändern?")), "de");
        *wrong += text_sentences(STR("Eins ist größer. Zwei."), arena, &spans) != 2;
    }
    arena_destroy(&arena);
    return NULL;
}

static void
test_each_thread_has_its_tools(void **state)
{
    pthread_t threads[4];
    unsigned wrong[4] = {0};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_tools, &wrong[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_ascii_words_are_icu_words),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_a_long_word_is_cut),
        cmocka_unit_test(test_language),
        cmocka_unit_test(test_language_table_is_in_order),
        cmocka_unit_test(test_each_thread_has_its_tools),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
