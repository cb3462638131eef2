/*
 * container_test.c - archives and mails made by the test, and the documents found in them
 */
#include "extract/format_test_support.h"

#include <gmime/gmime.h>
#include <stdlib.h>
#include <string.h>

#include "knowledge/archive_test_support.h"
#include "extract/members.h"

#define MEMBER_MAX ((size_t)64 * 1024)

/* max_output bounds what all members unpack to. */
static void
check_bytes(const char *name, const char *type, struct str bytes, size_t max_output,
            const char *want)
{
    struct format_input input = {
        .bytes = bytes, .max_memory_bytes = 16 * MB, .max_member_bytes = MEMBER_MAX};
    const struct format *format = container_find(str_from_c(type));
    struct document document;
    struct buf printed;
    struct err err;
    enum status st;

    assert_non_null(format);
    buf_init(&printed, MB);
    document_init(&document, max_output);
    st = format->read(&input, &document, &err);
    print_frames(document_finish(&document, st, &err), &printed);
    buf_append_byte(&printed, '\0');
    if (strcmp(printed.ptr, want) != 0)
        fail_msg("%s: got\n%swant\n%s", name, printed.ptr, want);
    document_deinit(&document);
    buf_deinit(&printed);
}

static void
check_packed(const char *name, enum pack_kind kind, const struct packed_file *files, size_t count,
             const char *want)
{
    static const char *const types[] = {"application/zip", "application/zip", "application/x-tar",
                                        "application/gzip"};
    struct str bytes = pack(kind, files, count);

    check_bytes(name, types[kind], bytes, MB, want);
    free((char *)(uintptr_t)bytes.ptr);
}

/* --- archives --- */

static void
files_become_members(void **state)
{
    static const struct packed_file files[] = {
        {"./prices.md", "# Prices\n", 0}, {"docs\\old/menu.txt", "Soup", 0},
        {"docs/logo.png", "\x89PNG", 0},  {".hidden/note.md", "no", 0},
        {"__MACOSX/prices.md", "no", 0},  {"caf\xc3\xa9.txt", "open", 0},
    };
    static const char want[] = "M prices.md\nB # Prices\\n\nM docs/old/menu.txt\nB Soup\n"
                               "M caf\xc3\xa9.txt\nB open\n";

    (void)state;
    check_packed("zip", PACK_ZIP, files, COUNT(files), want);
    check_packed("tar", PACK_TAR, files, COUNT(files), want);
    check_packed("tar.gz", PACK_TAR_GZ, files, COUNT(files), want);
}

static void
a_bad_member_fails_alone(void **state)
{
    static const struct packed_file files[] = {
        {"../../etc/passwd.txt", "x", 0},    {"/etc/shadow.txt", "x", 0}, {"C:\\boot.txt", "x", 0},
        {"a/../../b.txt", "x", 0},           {"link.txt", NULL, 0},       {"empty.txt", "", 0},
        {"zeros.txt", NULL, MEMBER_MAX + 1}, {"good.txt", "Words", 0},
    };
    static const char want[] = "M ../../etc/passwd.txt\nF Its path leads out of the archive.\n"
                               "M etc/shadow.txt\nF Its path leads out of the archive.\n"
                               "M C:/boot.txt\nF Its path leads out of the archive.\n"
                               "M a/../../b.txt\nF Its path leads out of the archive.\n"
                               "M link.txt\nF It is a link, not a document.\n"
                               "M empty.txt\nF The document is empty.\n"
                               "M zeros.txt\nF Unpacked it is larger than a document may be.\n"
                               "M good.txt\nB Words\n";

    (void)state;
    check_packed("zip", PACK_ZIP, files, COUNT(files), want);
    check_packed("tar.gz", PACK_TAR_GZ, files, COUNT(files), want);
}

static void
a_broken_member_leaves_the_others(void **state)
{
    static const struct packed_file files[] = {
        {"first.txt", "The first document of the three in here.", 0},
        {"second.txt", "The second second second document document of the three in here.", 0},
        {"third.txt", "The third document of the three in here.", 0},
    };
    struct str bytes = pack(PACK_ZIP, files, COUNT(files));
    ptrdiff_t at = str_find(bytes, STR("second.txt"));

    (void)state;
    assert_true(at > 0);
    memset((char *)(uintptr_t)bytes.ptr + at + 30, 0xff, 16);
    check_bytes("broken", "application/zip", bytes, MB,
                "M first.txt\nB The first document of the three in here.\n"
                "M second.txt\nF It is damaged: it cannot be unpacked.\n"
                "M third.txt\nB The third document of the three in here.\n");
    free((char *)(uintptr_t)bytes.ptr);
}

static void
a_bad_archive_is_refused(void **state)
{
    static const struct packed_file files[] = {{"a.txt", "Words", 0}, {"b.txt", "Words", 0}};
    static const struct packed_file pictures[] = {{"a.png", "Words", 0}};
    static const struct packed_file bombs[] = {{"a.txt", NULL, 60000}, {"b.txt", NULL, 60000}};
    struct str bytes = pack(PACK_TAR_GZ, files, COUNT(files));

    (void)state;
    check_bytes("short", "application/gzip", str_sub(bytes, 0, bytes.len - 20), MB,
                "X1 It is damaged, or no ZIP, tar or tar.gz archive.\n");
    free((char *)(uintptr_t)bytes.ptr);
    bytes = pack(PACK_TAR, files, COUNT(files));
    check_bytes("torn between", "application/x-tar", str_sub(bytes, 0, 1100), MB,
                "X1 The archive is damaged: its members cannot be listed.\n");
    check_bytes("torn within", "application/x-tar", str_sub(bytes, 0, 1540), MB,
                "X1 The archive is damaged: not all of it can be unpacked.\n");
    free((char *)(uintptr_t)bytes.ptr);
    check_bytes("text", "application/zip", STR("Only words."), MB,
                "X1 It is damaged, or no ZIP, tar or tar.gz archive.\n");
    check_packed("locked", PACK_ZIP_LOCKED, files, COUNT(files),
                 "X1 It is protected by a password.\n");
    check_packed("pictures", PACK_ZIP, pictures, COUNT(pictures),
                 "X1 It holds no document of a type that can be read.\n");
    bytes = pack(PACK_ZIP, bombs, COUNT(bombs));
    check_bytes("bomb", "application/zip", bytes, 100000,
                "X2 Unpacked it is larger than is allowed.\n");
    free((char *)(uintptr_t)bytes.ptr);
}

/* Wrapped in so many archives. */
static struct str
nest(unsigned times)
{
    const struct packed_file innermost = {"deep.txt", "Words", 0};
    struct str bytes = pack(PACK_TAR, &innermost, 1);

    for (unsigned i = 1; i < times; i++) {
        const struct packed_file inner = {i == 1 ? "in.tar" : "in.zip", bytes.ptr, bytes.len};
        struct str outer = pack(PACK_ZIP, &inner, 1);

        free((char *)(uintptr_t)bytes.ptr);
        bytes = outer;
    }
    return bytes;
}

static void
archives_in_archives_are_bounded(void **state)
{
    struct str two = nest(2), many = nest(6);

    (void)state;
    check_bytes("two", "application/zip", two, MB, "M in.tar/deep.txt\nB Words\n");
    check_bytes("many", "application/zip", many, MB, "X1 It lies within too many archives.\n");
    free((char *)(uintptr_t)two.ptr);
    free((char *)(uintptr_t)many.ptr);
}

/* --- mail --- */

static const struct sample mails[] = {
    {"plain",
     "From: \"Ann\" <ann@example.org>\r\nTo: shop@example.org\r\nSubject: =?ISO-8859-1?Q?Caf=E9?="
     "\r\nDate: Tue, 02 Jun 2026 10:00:00 +0200\r\nContent-Type: text/plain; charset=iso-8859-1"
     "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nThe caf=E9 opens at nine.\r\n",
     "T Caf\xc3\xa9\n"
     "P From: Ann <ann@example.org>\\nTo: shop@example.org\\nDate: 2026-06-02 10:00 +0200\n"
     "D 2026-06-02T10:00:00+02:00\nP The caf\xc3\xa9 opens at nine.\n"},
    {"HTML",
     "From: a@example.org\nSubject: Offer\nContent-Type: text/html; charset=utf-8\n\n"
     "<h1>Prices</h1><ul><li>Tea 2</li></ul>",
     "T Offer\nP From: a@example.org\nH1 Prices\nI1 - Tea 2\n"},
    {"attachments",
     "From: a@example.org\nSubject: Files\nMIME-Version: 1.0\n"
     "Content-Type: multipart/mixed; boundary=x\n\n--x\n"
     "Content-Type: multipart/alternative; boundary=y\n\n"
     "--y\nContent-Type: text/plain\n\nSee the file.\n"
     "--y\nContent-Type: text/html\n\n<p>See the <b>file</b>.</p>\n--y--\n"
     "--x\nContent-Type: text/csv; name=prices.csv\nContent-Transfer-Encoding: base64\n"
     "Content-Disposition: attachment\n\nYSxiCg==\n"
     "--x\nContent-Type: text/csv; name=prices.csv\nContent-Disposition: attachment\n\nc,d\n"
     "--x\nContent-Type: image/png; name=a.png\nContent-Disposition: attachment\n\nx\n"
     "--x\nContent-Type: text/plain; name=\"../up.txt\"\n\nx\n"
     "--x\nContent-Type: message/rfc822\n\nFrom: b@example.org\nSubject: Old\n"
     "Content-Type: text/plain\n\nBefore.\n--x--\n",
     "T Files\nP From: a@example.org\nP See the file.\n"
     "M prices.csv\nB a,b\\n\nM 6-prices.csv\nB c,d\n"
     "M ../up.txt\nF Its path leads out of the archive.\n"
     "M message.eml\nB From: b@example.org\\nSubject: Old\\nContent-Type: text/plain\\n\\n"
     "Before.\n"},
    {"no mail", "\x01\x02 only bytes", "X1 It is no mail: it begins with no header.\n"},
};

static void
mails_have_text_and_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mails); i++)
        check_bytes(mails[i].name, "message/rfc822", str_from_c(mails[i].input), MB, mails[i].want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_become_members),
        cmocka_unit_test(a_bad_member_fails_alone),
        cmocka_unit_test(a_broken_member_leaves_the_others),
        cmocka_unit_test(a_bad_archive_is_refused),
        cmocka_unit_test(archives_in_archives_are_bounded),
        cmocka_unit_test(mails_have_text_and_members),
    };

    members_use_utf8();
    g_mime_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
