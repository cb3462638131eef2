/*
 * extractive_test.c - answers that read well: what is chosen, joined, cited, cleaned, refused
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "model/drivers/extractive.h"

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define MAX_PASSAGES 4

struct given {
    const char *title, *heading_path, *text;
};

struct expectation {
    const char *name, *language, *question;
    struct given passages[MAX_PASSAGES];
    const char *want;    /* the whole answer, or NULL */
    const char *holds;   /* or a part of it */
    const char *without; /* and what it must not hold */
};

static struct str
answer(const struct expectation *given, double confidence, struct arena *arena,
       struct model_reply *reply)
{
    struct model_passage passages[MAX_PASSAGES];
    struct model_request request = {.question = str_from_c(given->question),
                                    .language = str_from_c(given->language),
                                    .passages = passages,
                                    .confidence = confidence,
                                    .min_confidence = 0.3,
                                    .deadline_ms = 1000};
    struct model_env env = {.clock = clock_system()};
    json_t *config = json_pack("{s:s}", "driver", "extractive");
    struct model *model;
    struct err err;

    for (size_t i = 0; i < MAX_PASSAGES && given->passages[i].text != NULL; i++) {
        passages[i] = (struct model_passage){
            str_from_c(given->passages[i].title), str_from_c(given->passages[i].heading_path),
            str_from_c(given->passages[i].text), 10.0 - 2 * (double)i};
        request.passage_count++;
    }
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, reply, &err), ST_OK);
    model_close(&model);
    json_decref(config);
    return reply->text;
}

static void
check(const struct expectation *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_create(ARENA_BYTES);
        struct model_reply reply;
        struct str text = answer(&cases[i], 0.9, arena, &reply);

        if (reply.no_answer || (cases[i].want != NULL && !str_eq_c(text, cases[i].want)) ||
            (cases[i].holds != NULL && str_find(text, str_from_c(cases[i].holds)) < 0) ||
            (cases[i].without != NULL && str_find(text, str_from_c(cases[i].without)) >= 0))
            fail_msg("%s: \"%.*s\"", cases[i].name, STR_ARG(text));
        arena_destroy(&arena);
    }
}

#define SHOP                                                                                       \
    {                                                                                              \
        "Shop", "Shop > Opening hours",                                                            \
            "The shop is in the old mill by the river. On weekdays it opens at eight in the "      \
            "morning. On "                                                                         \
            "Saturday the shop opens at nine and closes at noon. Parking is free for customers."   \
    }
#define BIKES                                                                                      \
    {                                                                                              \
        "Bicycles", "Repairs",                                                                     \
            "A repair usually takes three days. Anna Berger founded the workshop in 1987. Spare "  \
            "parts "                                                                               \
            "come from Utrecht."                                                                   \
    }

static void
test_chooses(void **state)
{
    static const struct expectation cases[] = {
        {"a time",
         "en",
         "When does the shop open on Saturday?",
         {SHOP, BIKES},
         NULL,
         "On Saturday the shop opens at nine and closes at noon.",
         "Utrecht"},
        {"a person",
         "en",
         "Who founded the workshop?",
         {SHOP, BIKES},
         NULL,
         "Anna Berger founded the workshop in 1987. [2]",
         "Parking"},
        {"evidence before form",
         "en",
         "In which year did the guild revise the almanac?",
         {{"Chronicle", "", "The guild met in the hall. The bridge was built in 1911."}, SHOP},
         NULL,
         "The guild met in the hall.",
         NULL},
        {"a number",
         "en",
         "How many days does a repair take?",
         {BIKES, SHOP},
         NULL,
         "A repair usually takes three days.",
         NULL},
        {"the sentence that 'it' needs comes along",
         "en",
         "How long is the guarantee valid?",
         {{"Guarantee", "",
           "Every bicycle is sold with a paper. It says for how long the guarantee "
           "is valid: two years. Please keep the receipt in a safe place at home."}},
         NULL,
         "Every bicycle is sold with a paper. It says for how long the guarantee is valid: two "
         "years.",
         NULL},
        {"a definition",
         "en",
         "What is a derailleur?",
         {{"Glossary", "",
           "Many parts of a bicycle wear out, among them the derailleur. A derailleur is the part "
           "that moves the chain from one gear to another. Buy a new one every few years."}},
         NULL,
         "A derailleur is the part that moves the chain from one gear to another.",
         NULL},
        {"a sentence twice in overlapping passages is said once",
         "en",
         "Where do spare parts come from?",
         {BIKES, {"Bicycles", "Repairs", "Spare parts come from Utrecht. We order on Mondays."}},
         NULL,
         "Spare parts come from Utrecht.",
         "Spare parts come from Utrecht. [1] Spare"},
        {"a question in the text is not the answer",
         "en",
         "How do I return a bicycle?",
         {{"Questions", "",
           "How do I return a bicycle?\n\nBring it to the counter within two weeks and show the "
           "receipt."}},
         "Bring it to the counter within two weeks and show the receipt. [1]",
         NULL,
         NULL},
        {"a short line without full stop",
         "en",
         "What are the opening hours?",
         {{"Opening hours", "", "Open daily from 9 to 5"}},
         "Open daily from 9 to 5. [1]",
         NULL,
         NULL},
    };

    (void)state;
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_lists(void **state)
{
    static const struct expectation cases[] = {
        {"steps with their lead-in",
         "en",
         "How do I apply for a refund?",
         {{"Refunds", "",
           "To apply for a refund:\n\n1. Open your account page.\n1. Choose the "
           "order.\n1. Press the button."}},
         "To apply for a refund:\n1. Open your account page.\n2. Choose the order.\n3. Press the "
         "button. [1]",
         NULL,
         NULL},
        {"a list without lead-in stands under its heading",
         "en",
         "How do I apply for a refund?",
         {{"Refunds", "Shop > How to apply for a refund",
           "- Open your account page.\n- Choose the order.\n- Press the button."}},
         "How to apply for a refund:\n- Open your account page.\n- Choose the order.\n- Press the "
         "button. [1]",
         NULL,
         NULL},
        {"one item that speaks for itself",
         "en",
         "What does express delivery cost?",
         {{"Delivery", "",
           "These are our prices:\n\n- Letters cost one euro.\n- Express delivery "
           "costs nine euros.\n- Pallets are sent on request."}},
         NULL,
         "These are our prices:\n- Express delivery costs nine euros. [1]",
         "Pallets"},
        {"nested items",
         "en",
         "What must I bring to the course?",
         {{"Course", "",
           "What you must bring to the course:\n\n- A helmet\n  - with a light\n- "
           "Gloves"}},
         "What you must bring to the course:\n- A helmet\n  - with a light\n- Gloves [1]",
         NULL,
         NULL},
        {"a long item is not taken whole",
         "en",
         "When does the team meet?",
         {{"Team", "Rituals",
           "- Wednesdays: the team meets for an hour at eleven. The leads share reminders, "
           "announcements and updates of the projects at that time, which takes some minutes. "
           "People "
           "then take turns in presenting what they learned, or in leading a conversation with the "
           "wider group.\n- Fridays: everybody writes a short report."}},
         NULL,
         "Wednesdays: the team meets for an hour at eleven.",
         "wider group"},
    };

    (void)state;
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_tables(void **state)
{
    static const struct expectation cases[] = {
        {"a table row",
         "en",
         "What does a large box cost?",
         {{"Boxes", "Prices of boxes",
           "| size | price | weight |\n|---|---|---|\n| small box | 3 "
           "euros | 2 kg |\n| large box | 7 euros | 20 kg |"}},
         NULL,
         "large box: price 7 euros, weight 20 kg. [1]",
         NULL},
        {"a table without rules, one row",
         "en",
         "Are you open on Sundays?",
         {{"Hours", "Opening hours",
           "Day | Shop | Workshop\nMonday | closed | closed\nTuesday to Friday | 9 to 18 | 8 to "
           "17\nSunday | closed, rental desk only 10 to 17 | closed"}},
         NULL,
         "Sunday: shop closed, rental desk only 10 to 17; workshop closed. [1]",
         "Monday"},
        {"a table, whole",
         "en",
         "What are your opening hours?",
         {{"Hours", "Opening hours",
           "Day | Shop | Workshop\nMonday | closed | closed\nTuesday to Friday | 9 to 18 | 8 to "
           "17\nSunday | closed | closed"}},
         NULL,
         "- Monday: shop closed, workshop closed\n- Tuesday to Friday: shop 9 to 18, workshop 8 to "
         "17\n- Sunday: shop closed, workshop closed [1]",
         NULL},
    };

    (void)state;
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

#define PRIVACY                                                                                    \
    {                                                                                              \
        "Privacy", "What we keep",                                                                 \
            "- Purchases: your name and address.\n- Newsletter: your e-mail address, until you "   \
            "unsubscribe.\n- Repairs: your telephone number."                                      \
    }

/* By their looks: the words stand where they are spoken of. */
static void
test_contacts(void **state)
{
    static const struct expectation cases[] = {
        {"a street with its number",
         "en",
         "What's your address?",
         {PRIVACY, {"Us", "How to get here", "We are at 14 Ropewalk Quay. Tram 3 stops there."}},
         "We are at 14 Ropewalk Quay. [2]",
         NULL,
         NULL},
        {"where it is",
         "en",
         "where can I find you",
         {{"Us", "The house", "We are at 14 Ropewalk Quay. We mend bikes."}},
         "We are at 14 Ropewalk Quay. [1]",
         NULL,
         NULL},
        {"the number behind the street",
         "de",
         "Wie ist eure Adresse?",
         {{"Datenschutz", "", "Wir speichern Ihren Namen und Ihre Adresse."},
          {"Anfahrt", "", "Sie finden uns in der Hafenstraße 14. Die Bahn hält davor."}},
         NULL,
         "Hafenstraße 14",
         "Ihren Namen"},
        {"a tram's number is none of a house",
         "en",
         "What's your address?",
         {{"Getting here", "", "Take tram 7 or 10 to Postplatz, which is near."},
          {"Us", "", "Lindenstrasse 12, 01067 Dresden."}},
         "Lindenstrasse 12, 01067 Dresden. [2]",
         NULL,
         NULL},
        {"a mail address",
         "en",
         "what is your email address",
         {PRIVACY, {"Us", "", "Write to hello@harbour.example. We answer within a day."}},
         NULL,
         "hello@harbour.example",
         "Newsletter"},
        {"a telephone number",
         "en",
         "What is your phone number?",
         {PRIVACY, {"Us", "", "The shop has 0555 01 42. The desk opens at 9:00."}},
         "The shop has 0555 01 42. [2]",
         NULL,
         NULL},
        {"when none is shown, what is said",
         "en",
         "What's your address?",
         {{"Us", "Address", "Our address stands on every receipt. We have been here since 1962."}},
         NULL,
         "Our address stands on every receipt.",
         NULL},
        {"the customer's own",
         "en",
         "How do I change my address?",
         {{"Us", "", "The shop is at 14 Ropewalk Quay."},
          {"Account", "", "To change your address, write to us."}},
         NULL,
         "To change your address",
         "Ropewalk"},
    };

    (void)state;
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_languages(void **state)
{
    static const struct expectation cases[] = {
        {"German",
         "de",
         "Wann öffnet der Laden am Samstag?",
         {{"Laden", "",
           "Der Laden liegt am Fluss in der alten Mühle. Am Samstag öffnet der Laden um "
           "neun Uhr und schließt um zwölf. Parkplätze sind für Kunden kostenlos."}},
         NULL,
         "Am Samstag öffnet der Laden um neun Uhr",
         NULL},
        {"French",
         "fr",
         "Combien coûte la livraison ?",
         {{"Livraison", "",
           "Nous livrons dans toute la France avec un transporteur local. La "
           "livraison coûte neuf euros par colis. Les retours sont gratuits "
           "pendant deux semaines."}},
         NULL,
         "La livraison coûte neuf euros par colis.",
         NULL},
        {"Spanish",
         "es",
         "¿Quién fundó el taller?",
         {{"Taller", "",
           "El taller está en el centro de la ciudad. Ana Torres fundó el taller en "
           "1987. Las piezas vienen de Valencia todos los lunes."}},
         NULL,
         "Ana Torres fundó el taller en 1987.",
         NULL},
        {"Japanese, which knows no spaces",
         "ja",
         "返品の期限はいつですか",
         {{"返品", "",
           "送料は全国一律五百円です。返品の期限は商品到着後十四日です。営業時間は九時からです。"}},
         NULL,
         "返品の期限は商品到着後十四日です。",
         NULL},
        {"Arabic",
         "ar",
         "متى يفتح المتجر يوم السبت؟",
         {{"المتجر", "",
           "يقع المتجر قرب النهر. يفتح المتجر يوم السبت في الساعة التاسعة. الوقوف مجاني "
           "للزبائن."}},
         NULL,
         "يفتح المتجر يوم السبت في الساعة التاسعة.",
         NULL},
    };

    (void)state;
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_says_that_it_does_not_know(void **state)
{
    static const struct {
        const char *language, *question, *begin;
    } cases[] = {
        {"en", "Who won the chess championship?", "I could not find"},
        {"de", "Wer gewann die Schachmeisterschaft?", "In den Dokumenten"},
        {"fr", "Qui a gagné le championnat d'échecs ?", "Je n’ai pas trouvé"},
        {"es", "¿Quién ganó el campeonato de ajedrez?", "No he encontrado"},
        {"it", "Chi ha vinto il campionato di scacchi?", "Non ho trovato"},
        {"pt-BR", "Quem ganhou o campeonato de xadrez?", "Não encontrei"},
        {"nl", "Wie won het schaakkampioenschap?", "Ik heb het antwoord"},
        {"fi", "Kuka voitti shakkimestaruuden?", "I could not find"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct expectation given = {.language = cases[i].language,
                                    .question = cases[i].question,
                                    .passages = {SHOP, BIKES}};
        struct arena *arena = arena_create(ARENA_BYTES);
        struct model_reply reply;
        struct str text = answer(&given, 0.9, arena, &reply);

        if (!reply.no_answer || !str_starts_with(text, str_from_c(cases[i].begin)) ||
            str_find(text, STR("[")) >= 0)
            fail_msg("%s: %.*s", cases[i].language, STR_ARG(text));
        arena_destroy(&arena);
    }
}

/* Little of the question is in the words: enough where finding is sure, too little where it is not.
 */
static void
test_asks_less_of_words_where_finding_is_sure(void **state)
{
    struct expectation given = {
        .language = "en",
        .question = "From what does harbour rowing derive?",
        .passages = {
            {"Sports", "",
             "Harbour races grew out of the ferrymen's daily crossings. Ten towns hold one "
             "every summer."}}};
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_reply reply;

    (void)state;
    (void)answer(&given, 0.9, arena, &reply);
    assert_false(reply.no_answer);
    (void)answer(&given, 0.5, arena, &reply);
    assert_true(reply.no_answer);
    arena_destroy(&arena);
}

static void
test_keeps_to_confidence(void **state)
{
    struct expectation given = {
        .language = "en", .question = "When does the shop open on Saturday?", .passages = {SHOP}};
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_reply reply;

    (void)state;
    (void)answer(&given, 0.29, arena, &reply);
    assert_true(reply.no_answer);
    (void)answer(&given, 0.31, arena, &reply);
    assert_false(reply.no_answer);
    arena_destroy(&arena);
}

static void
test_cleans(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"See [the form](https://x.example/a_(b)) now", "See the form now"},
        {"See [the form][1] now", "See the form now"},
        {"An ![icon](i.png) image", "An image"},
        {"It fell in 1999.[3] Then rose.[4, 5]", "It fell in 1999. Then rose."},
        {"a modern[vague] thing", "a modern thing"},
        {"He said [the boss] left", "He said [the boss] left"},
        {"**Bold** and _thin_ and `code` and ~~gone~~", "Bold and thin and code and gone"},
        {"snake_case and 2 * 3 * 4", "snake_case and 2 * 3 * 4"},
        {"a<br>b <b>c</b> <https://x.example>", "a b c https://x.example"},
        {"2 < 3 and 4 <5", "2 < 3 and 4 <5"},
        {"{% include x %}text{{ y }}{: .class}", "text"},
        {"1\\. not a list \\_a\\_", "1. not a list _a_"},
        {"spaces   here .", "spaces here."},
        {"open [bracket", "open [bracket"},
        {"[[x]](y)", "[x]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        struct str cleaned;

        buf_init(&out, 4096);
        ex_clean_inline(str_from_c(cases[i].in), &out);
        cleaned = ex_clean_spaces(out.ptr, out.len);
        if (!str_eq_c(cleaned, cases[i].want))
            fail_msg("%s: \"%.*s\"", cases[i].in, STR_ARG(cleaned));
        buf_deinit(&out);
    }
}

static void
test_reads_questions(void **state)
{
    static const struct {
        const char *language, *question;
        enum ex_want want;
    } cases[] = {
        {"en", "Who came first?", EX_WANT_PERSON},
        {"en", "Where did the comment come from?", EX_WANT_PLACE},
        {"en", "In what year was it built?", EX_WANT_DATE},
        {"en", "How many people live there?", EX_WANT_NUMBER},
        {"en", "Why is the sky blue?", EX_WANT_REASON},
        {"en", "How do I reset it?", EX_WANT_STEPS},
        {"en", "What is a derailleur?", EX_WANT_DEFINITION},
        {"en", "What is the oldest bridge over the river near Prague?", EX_WANT_ANY},
        {"en", "Tell me about bridges", EX_WANT_ANY},
        {"de", "Wie viele Brücken gibt es?", EX_WANT_NUMBER},
        {"de", "Wer baute die Brücke?", EX_WANT_PERSON},
        {"fr", "Combien de ponts y a-t-il ?", EX_WANT_NUMBER},
        {"es", "¿Dónde está el puente?", EX_WANT_PLACE},
        {"it", "Quando fu costruito il ponte?", EX_WANT_DATE},
        {"pt", "Quem construiu a ponte?", EX_WANT_PERSON},
        {"nl", "Hoeveel bruggen zijn er?", EX_WANT_NUMBER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(ARENA_BYTES);
        struct ex_question question = {.language = str_from_c(cases[i].language)};

        ex_question_read(&question, str_from_c(cases[i].question), arena);
        if (question.want != cases[i].want)
            fail_msg("%s: %d", cases[i].question, (int)question.want);
        arena_destroy(&arena);
    }
}

/* A passage far over every limit is cut, not refused, and the answer stays within its budget. */
static void
test_stays_within_limits(void **state)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_passage passages[20];
    struct model_request request = {.question = STR("Where is the golden key hidden?"),
                                    .passages = passages,
                                    .passage_count = 20,
                                    .confidence = 1,
                                    .deadline_ms = 1000};
    struct model_env env = {.clock = clock_system()};
    json_t *config = json_pack("{s:s}", "driver", "extractive");
    struct model_reply reply;
    struct model *model;
    struct text_span *spans;
    struct buf text;
    struct err err;

    (void)state;
    buf_init(&text, ARENA_BYTES);
    for (size_t i = 0; i < 20000; i++)
        buf_append_c(&text,
                     i % 7 == 0 ? "The golden key is hidden well, they say.\n- " : "key. A ");
    for (size_t i = 0; i < 20; i++)
        passages[i] = (struct model_passage){STR("Key"), STR(""), buf_str(&text), 1};
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_OK);
    assert_true(text_words(reply.text, arena, &spans) <= 200);
    model_close(&model);
    json_decref(config);
    buf_deinit(&text);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chooses),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_contacts),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_says_that_it_does_not_know),
        cmocka_unit_test(test_asks_less_of_words_where_finding_is_sure),
        cmocka_unit_test(test_keeps_to_confidence),
        cmocka_unit_test(test_cleans),
        cmocka_unit_test(test_reads_questions),
        cmocka_unit_test(test_stays_within_limits),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
