/*
 * members_test.c - archives and mails: their documents come, change, fail alone and go
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "knowledge/archive_test_support.h"
#include "knowledge/knowledge_test_support.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *extractor_path;

static struct upload_result
upload_packed(struct shop *shop, enum pack_kind kind, const struct packed_file *files, size_t count,
              const char *audience)
{
    struct str bytes = pack(kind, files, count);
    struct upload_result result =
        upload_for(shop, kind == PACK_TAR_GZ ? STR("pack.tar.gz") : STR("pack.zip"), bytes,
                   str_from_c(audience));

    free((char *)(uintptr_t)bytes.ptr);
    wait_idle(shop);
    return result;
}

static struct source
find_source(struct shop *shop, const char *name)
{
    struct source *sources;
    size_t count;
    struct err err;

    ASSERT_OK(source_list(shop->knowledge, shop->bed.scopes[0], NULL, (struct source_id){{""}}, 100,
                          shop->arena, &sources, &count, &err),
              &err);
    for (size_t i = 0; i < count; i++)
        if (str_eq_c(sources[i].name, name))
            return sources[i];
    return (struct source){.name = STR("")};
}

static void
members_come_change_and_go(void **state)
{
    static const struct packed_file first[] = {{"tea.md", "# Tea\n\nSencha costs five.", 0},
                                               {"old/soup.txt", "Minestrone on Mondays.", 0},
                                               {"../up.txt", "Evil words.", 0},
                                               {"a.png", "x", 0}};
    static const struct packed_file second[] = {{"tea.md", "# Tea\n\nSencha costs seven.", 0}};
    struct upload_result result, again;
    struct source tea, archive, bad;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_packed(&shop, PACK_ZIP, first, COUNT(first), "");
    archive = get_source(&shop, result.source_id);
    ASSERT_STR(archive.status, "done");
    assert_int_equal(archive.chunk_count, 0);
    tea = find_source(&shop, "pack.zip/tea.md");
    ASSERT_STR(tea.kind, "member");
    assert_string_equal(tea.parent_id.id.text, result.source_id.id.text);
    ASSERT_STR(tea.status, "done");
    bad = find_source(&shop, "pack.zip/../up.txt");
    ASSERT_STR(bad.status, "failed");
    ASSERT_STR(bad.error, "Its path leads out of the archive.");
    assert_int_equal(hits(&shop, "sencha"), 1);
    assert_int_equal(hits(&shop, "minestrone"), 1);
    assert_int_equal(hits(&shop, "evil"), 0);
    assert_int_equal(find_source(&shop, "pack.zip/a.png").name.len, 0);

    again = upload_packed(&shop, PACK_ZIP, second, COUNT(second), "");
    assert_string_equal(again.source_id.id.text, result.source_id.id.text);
    assert_int_equal(find_source(&shop, "pack.zip/tea.md").last_version, 2);
    assert_int_equal(hits(&shop, "seven"), 1);
    assert_int_equal(hits(&shop, "minestrone"), 0);
    assert_int_equal(find_source(&shop, "pack.zip/old/soup.txt").name.len, 0);
    assert_int_equal(find_source(&shop, "pack.zip/../up.txt").name.len, 0);

    ASSERT_OK(knowledge_delete(shop.knowledge, shop.bed.scopes[0], result.source_id, &err), &err);
    assert_int_equal(hits(&shop, "sencha"), 0);
    assert_int_equal(find_source(&shop, "pack.zip/tea.md").name.len, 0);
    wait_idle(&shop);
    close_shop(&shop);
}

static void
an_audience_made_narrower_counts_at_once(void **state)
{
    static const struct packed_file files[] = {{"tea.md", "Sencha costs five.", 0}};
    struct str bytes = pack(PACK_ZIP, files, COUNT(files));
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload_packed(&shop, PACK_ZIP, files, COUNT(files), "customer");
    assert_int_equal(hits(&shop, "sencha"), 1);
    queue_workers_stop(&shop.workers, WAIT_MS);
    (void)upload_for(&shop, STR("pack.zip"), bytes, STR("staff"));
    assert_int_equal(hits(&shop, "sencha"), 0); /* before any worker ran */
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "sencha"), 0);
    assert_int_equal(search_as(&shop, 0, "sencha", true).result.count, 1);
    ASSERT_STR(find_source(&shop, "pack.zip/tea.md").audience, "staff");
    free((char *)(uintptr_t)bytes.ptr);
    close_shop(&shop);
}

static void
labels_reach_the_members(void **state)
{
    static const struct packed_file files[] = {{"tea.md", "Sencha costs five.", 0}};
    const struct source_change change = {.audience = STR("staff"),
                                         .labels = {.category = STR("drinks")}};
    struct upload_result result;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_packed(&shop, PACK_ZIP, files, COUNT(files), "customer");
    assert_int_equal(hits(&shop, "sencha"), 1);
    ASSERT_OK(knowledge_update(shop.knowledge, shop.bed.scopes[0], result.source_id, &change, &err),
              &err);
    assert_int_equal(hits(&shop, "sencha"), 0);
    ASSERT_STR(find_source(&shop, "pack.zip/tea.md").audience, "staff");
    ASSERT_STR(find_source(&shop, "pack.zip/tea.md").category, "drinks");
    close_shop(&shop);
}

static void
a_bad_archive_keeps_what_was_there(void **state)
{
    static const struct packed_file files[] = {{"tea.md", "Sencha costs five.", 0}};
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload_packed(&shop, PACK_ZIP, files, COUNT(files), "");
    result = upload_packed(&shop, PACK_ZIP_LOCKED, files, COUNT(files), "");
    ASSERT_STR(get_source(&shop, result.source_id).status, "failed");
    ASSERT_STR(get_source(&shop, result.source_id).error, "It is protected by a password.");
    assert_int_equal(hits(&shop, "sencha"), 1);
    close_shop(&shop);
}

static void
a_mail_and_its_attachments(void **state)
{
    static const char mail[] =
        "From: ann@example.org\nSubject: Opening hours\nMIME-Version: 1.0\n"
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\n"
        "We open at nine on Wednesdays.\n--x\nContent-Type: text/csv; name=tea.csv\n\n"
        "tea,price\nsencha,5\n--x--\n";
    static const struct packed_file files[] = {{"mails/hours.eml", mail, 0}};
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload(&shop, "hours.eml", mail);
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "wednesdays"), 1);
    assert_int_equal(hits(&shop, "sencha"), 1);
    ASSERT_STR(find_source(&shop, "hours.eml").title, "Opening hours");
    ASSERT_STR(find_source(&shop, "hours.eml/tea.csv").status, "done");

    /* In an archive it is still one mail with one attachment. */
    (void)upload_packed(&shop, PACK_TAR_GZ, files, COUNT(files), "");
    ASSERT_STR(find_source(&shop, "pack.tar.gz/mails/hours.eml").title, "Opening hours");
    ASSERT_STR(find_source(&shop, "pack.tar.gz/mails/hours.eml/tea.csv").status, "done");
    assert_int_equal(hits(&shop, "sencha"), 2);
    close_shop(&shop);
}

static void
a_folder_waits_for_what_archives_hold(void **state)
{
    static const struct packed_file files[] = {
        {"tea.md", "Sencha costs five.", 0}, {"bad.pdf", "no", 0}, {"soup.md", "Minestrone.", 0}};
    struct str bytes = pack(PACK_ZIP, files, COUNT(files));
    char folder[] = "/tmp/parley-members-XXXXXX", path[64];
    struct folder_spec spec = {.wait = true};
    struct folder_progress totals;
    struct shop shop;
    struct err err;
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/pack.zip", folder);
    file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
    open_shop(&shop, extractor_path);
    start_workers(&shop);
    spec.path = folder;
    ASSERT_OK(knowledge_ingest_folder(shop.knowledge, shop.bed.scopes[0], &spec, NULL, NULL,
                                      &totals, &err),
              &err);
    assert_int_equal(totals.found, 4);
    assert_int_equal(totals.done, 3);
    assert_int_equal(totals.failed, 1);
    assert_int_equal(hits(&shop, "minestrone"), 1);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(folder), 0);
    free((char *)(uintptr_t)bytes.ptr);
    queue_workers_stop(&shop.workers, WAIT_MS);
    close_shop(&shop);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_change_and_go),
        cmocka_unit_test(an_audience_made_narrower_counts_at_once),
        cmocka_unit_test(labels_reach_the_members),
        cmocka_unit_test(a_bad_archive_keeps_what_was_there),
        cmocka_unit_test(a_mail_and_its_attachments),
        cmocka_unit_test(a_folder_waits_for_what_archives_hold),
    };

    assert_int_equal(argc, 2);
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
