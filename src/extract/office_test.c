/*
 * office_test.c - office formats, tables and JSON: what becomes of each kind of content, and what
 * is refused
 */
#include "extract/format_test_support.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "extract/xlsx_cell.h"
#include "extract/zip_archive.h"

#define OFFICE "application/vnd.openxmlformats-officedocument."
#define DOCX OFFICE "wordprocessingml.document"
#define PPTX OFFICE "presentationml.presentation"
#define XLSX OFFICE "spreadsheetml.sheet"
#define ODT "application/vnd.oasis.opendocument.text"
#define W " xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'"
#define P " xmlns:p='urn:p' xmlns:a='urn:a' xmlns:r='http://schemas.example/relationships'"
#define S " xmlns='urn:s' xmlns:r='http://schemas.example/relationships'"
#define O " xmlns:office='urn:o' xmlns:text='urn:t' xmlns:table='urn:tb'"
#define RELS "<Relationships xmlns='urn:rels'>"

struct part {
    const char *name, *text;
};

/* A ZIP archive of the parts, on the heap. */
static struct str
pack(const struct part *parts, const char *password)
{
    zip_error_t error;
    zip_source_t *source;
    zip_stat_t stat;
    zip_t *zip;
    char *bytes;

    zip_error_init(&error);
    source = zip_source_buffer_create(NULL, 0, 0, &error);
    assert_non_null(source);
    zip_source_keep(source);
    zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
    assert_non_null(zip);
    for (; parts->name != NULL; parts++) {
        zip_int64_t at = zip_file_add(
            zip, parts->name, zip_source_buffer(zip, parts->text, strlen(parts->text), 0), 0);

        assert_true(at >= 0);
        if (password != NULL)
            assert_int_equal(
                zip_file_set_encryption(zip, (zip_uint64_t)at, ZIP_EM_AES_256, password), 0);
    }
    assert_int_equal(zip_close(zip), 0);
    assert_int_equal(zip_source_stat(source, &stat), 0);
    bytes = malloc(stat.size);
    assert_non_null(bytes);
    assert_int_equal(zip_source_open(source), 0);
    assert_int_equal(zip_source_read(source, bytes, stat.size), stat.size);
    zip_source_close(source);
    zip_source_free(source);
    return str_of(bytes, stat.size);
}

static void
check_parts(const char *name, const char *content_type, const struct part *parts, const char *want)
{
    struct str bytes = pack(parts, NULL);

    check_document(name, content_type, bytes, want);
    free((char *)(uintptr_t)bytes.ptr);
}

static void
docx(void **state)
{
    static const struct part parts[] = {
        {"word/styles.xml",
         "<w:styles" W "><w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val='de-DE'/></w:rPr>"
         "</w:rPrDefault></w:docDefaults>"
         "<w:style w:type='paragraph' w:styleId='T'><w:name w:val='Title'/></w:style>"
         "<w:style w:type='paragraph' w:styleId='H'><w:name w:val='heading 1'/></w:style>"
         "<w:style w:type='paragraph' w:styleId='Mine'><w:name w:val='Mine'/>"
         "<w:basedOn w:val='H'/></w:style></w:styles>"},
        {"word/numbering.xml",
         "<w:numbering" W "><w:abstractNum w:abstractNumId='4'><w:lvl w:ilvl='0'>"
         "<w:start w:val='3'/><w:numFmt w:val='decimal'/></w:lvl><w:lvl w:ilvl='1'>"
         "<w:numFmt w:val='bullet'/></w:lvl></w:abstractNum>"
         "<w:num w:numId='9'><w:abstractNumId w:val='4'/></w:num></w:numbering>"},
        {"word/document.xml",
         "<w:document" W " xmlns:mc='urn:mc'><w:body>"
         "<w:p><w:pPr><w:pStyle w:val='T'/></w:pPr><w:r><w:t>Guide</w:t></w:r></w:p>"
         "<w:p><w:pPr><w:pStyle w:val='Mine'/></w:pPr><w:r><w:t>Bikes</w:t></w:r></w:p>"
         "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:r><w:t>Old </w:t></w:r>"
         "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:rPr><w:vanish/></w:rPr>"
         "<w:t>hidden</w:t></w:r><w:r><w:t xml:space='preserve'>and </w:t><w:tab/><w:t>new</w:t>"
         "<w:br/><w:t>line</w:t></w:r></w:p>"
         "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='9'/></w:numPr></w:pPr>"
         "<w:r><w:t>three</w:t></w:r></w:p>"
         "<w:p><w:pPr><w:numPr><w:ilvl w:val='1'/><w:numId w:val='9'/></w:numPr></w:pPr>"
         "<w:r><w:t>deeper</w:t></w:r></w:p>"
         "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='9'/></w:numPr></w:pPr>"
         "<w:r><w:t>four</w:t></w:r></w:p>"
         "<w:p><w:pPr><w:outlineLvl w:val='1'/></w:pPr><w:r><w:t>Prices</w:t></w:r></w:p>"
         "<w:tbl><w:tblPr><w:tblLook w:firstRow='1'/></w:tblPr>"
         "<w:tr><w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr><w:p><w:r><w:t>Wide</w:t></w:r></w:p>"
         "</w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p><w:p><w:r><w:t>b</w:t></w:r>"
         "</w:p></w:tc><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>in</w:t></w:r></w:p></w:tc></w:tr>"
         "</w:tbl><w:p/></w:tc></w:tr></w:tbl>"
         "<w:p><w:r><w:t>Box: </w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p>"
         "<w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Choice><mc:Fallback><w:p><w:r>"
         "<w:t>again</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:r></w:p>"
         "</w:body></w:document>"},
        {"word/footnotes.xml", "<w:footnotes" W "><w:footnote><w:p><w:r><w:t>A note.</w:t></w:r>"
                               "</w:p></w:footnote></w:footnotes>"},
        {"docProps/core.xml", "<c xmlns:d='urn:dc'><d:title>Junk.doc</d:title>"
                              "<category>Shop</category><created>2025-01-02T03:04:05Z</created>"
                              "<modified>2026-05-01T10:00:00Z</modified></c>"},
        {NULL, NULL}};

    (void)state;
    check_parts("docx", DOCX, parts,
                "L de-DE\nT Guide\nH1 Guide\nH1 Bikes\nP Old and  new\\nline\n"
                "I1 3. three\nI2 - deeper\nI1 4. four\nH2 Prices\nR1 Wide|Wide\nR a b|in\n"
                "P Box:\nP boxed\nP A note.\nG Shop\nD 2026-05-01T10:00:00Z\n");
}

static void
pptx(void **state)
{
    static const struct part parts[] = {
        {"ppt/presentation.xml", "<p:presentation" P "><p:sldIdLst><p:sldId id='2' r:id='r2'/>"
                                 "<p:sldId id='1' r:id='r1'/><p:sldId id='3' r:id='r3'/>"
                                 "</p:sldIdLst></p:presentation>"},
        {"ppt/_rels/presentation.xml.rels",
         RELS "<Relationship Id='r1' Target='slides/slide1.xml'/>"
              "<Relationship Id='r2' Target='/ppt/slides/slide2.xml'/>"
              "<Relationship Id='r3' Target='slides/slide3.xml'/></Relationships>"},
        {"ppt/slides/slide1.xml",
         "<p:sld" P "><p:sp><p:nvPr><p:ph type='title'/></p:nvPr><p:txBody><a:p><a:r><a:t>Plan"
         "</a:t></a:r></a:p></p:txBody></p:sp><p:sp><p:nvPr><p:ph idx='1'/></p:nvPr><p:txBody>"
         "<a:p><a:r><a:t>Buy</a:t></a:r></a:p><a:p><a:pPr lvl='1'/><a:r><a:t>bread</a:t></a:r>"
         "</a:p></p:txBody></p:sp><a:tbl><a:tblPr firstRow='1'/><a:tr><a:tc><a:txBody><a:p><a:r>"
         "<a:t>k</a:t></a:r></a:p></a:txBody></a:tc><a:tc/></a:tr><a:tr><a:tc><a:txBody><a:p><a:r>"
         "<a:t>1</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>2</a:t></a:r>"
         "</a:p></a:txBody></a:tc></a:tr></a:tbl></p:sld>"},
        {"ppt/slides/slide2.xml",
         "<p:sld" P "><p:sp><p:nvPr><p:ph type='ctrTitle'/></p:nvPr><a:p>"
         "<a:r><a:t>Year</a:t></a:r><a:br/><a:r><a:t>2026</a:t></a:r></a:p>"
         "</p:sp></p:sld>"},
        {"ppt/slides/slide3.xml",
         "<p:sld show='0'" P "><p:sp><a:p><a:r><a:t>secret</a:t></a:r></a:p></p:sp></p:sld>"},
        {NULL, NULL}};

    (void)state;
    check_parts("pptx", PPTX, parts,
                "N 1\nT Year 2026\nH1 Year 2026\nN 2\nH1 Plan\nI1 - Buy\nI2 - bread\nR1 k|\n"
                "R 1|2\nN 3\n");
}

static void
xlsx(void **state)
{
    static const struct part parts[] = {
        {"xl/workbook.xml",
         "<workbook" S "><sheets><sheet name='Prices' r:id='a'/><sheet name='Old' state='hidden' "
         "r:id='b'/></sheets></workbook>"},
        {"xl/_rels/workbook.xml.rels",
         RELS "<Relationship Id='a' Target='worksheets/sheet1.xml'/>"
              "<Relationship Id='b' Target='worksheets/sheet2.xml'/></Relationships>"},
        {"xl/styles.xml",
         "<styleSheet" S "><numFmts><numFmt numFmtId='170' formatCode='dd/mm/yyyy\\ hh:mm'/>"
         "</numFmts><cellStyleXfs><xf numFmtId='14'/></cellStyleXfs><cellXfs><xf numFmtId='0'/>"
         "<xf numFmtId='14'/><xf numFmtId='170'/><xf numFmtId='10'/></cellXfs></styleSheet>"},
        {"xl/sharedStrings.xml", "<sst" S "><si><t>Item</t></si><si><r><t>Cargo </t></r><r><t>bike"
                                 "</t></r><rPh><t>said</t></rPh></si></sst>"},
        {"xl/worksheets/sheet1.xml",
         "<worksheet" S "><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='C1' "
         "t='inlineStr'><is><t>From</t></is></c></row><row r='2'/><row r='3'><c r='A3' t='s'><v>1"
         "</v></c><c r='B3'><f>1+1</f><v>19.899999999999999</v></c><c r='C3' s='1'><v>46082</v></c>"
         "<c r='D3' s='2'><v>46082.520833333336</v></c><c r='E3' s='3'><v>0.07</v></c><c r='F3' "
         "t='b'><v>1</v></c><c r='G3' t='s'><v>99</v></c></row></sheetData></worksheet>"},
        {"xl/worksheets/sheet2.xml",
         "<worksheet" S "><sheetData><row><c><v>7</v></c></row></sheetData></worksheet>"},
        {NULL, NULL}};

    (void)state;
    check_parts("xlsx", XLSX, parts,
                "H1 Prices\nR1 Item||From\n"
                "R Cargo bike|19.9|2026-03-01|2026-03-01 12:30|7%|TRUE|\n");
}

static void
numbers_of_sheets(void **state)
{
    static const struct {
        const char *code;
        enum xlsx_format format;
    } codes[] = {{"General", XLSX_PLAIN},
                 {"0.00", XLSX_PLAIN},
                 {"0%", XLSX_PERCENT},
                 {"yyyy-mm-dd", XLSX_DATE},
                 {"[$-409]h:mm AM/PM", XLSX_TIME},
                 {"[h]:mm:ss", XLSX_TIME},
                 {"\"day\" 0", XLSX_PLAIN},
                 {"dd.mm.yy hh:mm;@", XLSX_DATE_TIME},
                 {"#,##0\\ \"days\"", XLSX_PLAIN}};
    static const struct {
        const char *value;
        enum xlsx_format format;
        bool base_1904;
        const char *want;
    } cells[] = {
        {"1", XLSX_DATE, false, "1900-01-01"},     {"59", XLSX_DATE, false, "1900-02-28"},
        {"61", XLSX_DATE, false, "1900-03-01"},    {"45351", XLSX_DATE, false, "2024-02-29"},
        {"0", XLSX_DATE, true, "1904-01-01"},      {"0.5", XLSX_TIME, false, "12:00"},
        {"0.99999999", XLSX_TIME, false, "00:00"}, {"-1", XLSX_DATE, false, "-1"},
        {"1e300", XLSX_DATE, false, "1e+300"},     {"abc", XLSX_DATE, false, "abc"},
        {"0.125", XLSX_PERCENT, false, "12.5%"}};

    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (xlsx_format_of_code(str_from_c(codes[i].code)) != codes[i].format)
            fail_msg("%s", codes[i].code);
    }
    for (size_t i = 0; i < COUNT(cells); i++) {
        struct buf out;

        buf_init(&out, 100);
        xlsx_cell_write(&out, str_from_c(cells[i].value), cells[i].format, cells[i].base_1904);
        ASSERT_STR(buf_str(&out), cells[i].want);
        buf_deinit(&out);
    }
}

static void
odt(void **state)
{
    static const struct part parts[] = {
        {"meta.xml", "<m xmlns:d='urn:d'><creation-date>2025-01-02T03:04:05.5</creation-date>"
                     "<d:title>Rules</d:title><d:date>2026-05-01T10:00:00.123456789</d:date>"
                     "<d:language>fr</d:language></m>"},
        {"content.xml",
         "<office:c" O "><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
         "<text:h text:outline-level='2'>Part</text:h><text:p>A<text:s text:c='2'/>B\n"
         "c<text:line-break/>d<text:note><text:note-citation>1</text:note-citation><text:note-body>"
         "<text:p>Noted.</text:p></text:note-body></text:note></text:p>"
         "<text:list><text:list-item><text:p>one</text:p><text:p>more</text:p><text:list>"
         "<text:list-item><text:p>in</text:p></text:list-item></text:list></text:list-item>"
         "</text:list><table:table><table:table-header-rows><table:table-row><table:table-cell>"
         "<text:p>k</text:p></table:table-cell><table:table-cell><text:p>v</text:p>"
         "</table:table-cell></table:table-row></table:table-header-rows><table:table-row>"
         "<table:table-cell table:number-columns-repeated='2'><text:p>x</text:p>"
         "</table:table-cell><table:table-cell table:number-columns-repeated='16000'/>"
         "</table:table-row></table:table></office:c>"},
        {NULL, NULL}};
    static const struct part made[] = {
        {"meta.xml", "<m><creation-date>2025-01-02T03:04:05</creation-date><date>never</date></m>"},
        {"content.xml", "<office:c" O "><text:p>x</text:p></office:c>"},
        {NULL, NULL}};
    static const struct part locked[] = {
        {"META-INF/manifest.xml", "<m xmlns:e='urn:m'><e:encryption-data/></m>"},
        {"content.xml", "\x01\x02"},
        {NULL, NULL}};

    (void)state;
    check_parts(
        "odt", ODT, parts,
        "T Rules\nD 2026-05-01\nL fr\nH2 Part\nP A  B c\\nd\nP Noted.\nI1 - one\nP more\nI2 - in\n"
        "R1 k|v\nR x|x|\n");
    check_parts("never changed", ODT, made, "D 2025-01-02\nP x\n");
    check_parts("locked", ODT, locked, "X1 It is protected by a password.\n");
}

static void
csv(void **state)
{
    static const struct sample samples[] = {
        {"commas", "a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n", "R1 a|b\nR 1|x, \"y\" z\n"},
        {"semicolons", "Preis;Ort, Land\n1,5;Bonn\n", "R1 Preis|Ort, Land\nR 1,5|Bonn\n"},
        {"tabs, no end", "a\tb\n1\t", "R1 a|b\nR 1|\n"},
        {"empty lines", "\n\na,b\n\n1,2\n", "R1 a|b\nR 1|2\n"},
        {"open quote", "a,\"b\nc", "R1 a|b c\n"},
        {"old line ends", "a,b\r1,2\r", "R1 a|b\nR 1|2\n"},
        {"latin", "caf\xe9,1\n", "S windows-1252\nR1 caf\xc3\xa9|1\n"},
        {"nothing", "", ""},
    };

    (void)state;
    check_samples("text/csv", samples, COUNT(samples));
}

static void
json(void **state)
{
    static const struct sample samples[] = {
        {"members", "{\"name\":\"Shop\",\"n\":1.5,\"no\":null,\"yes\":true,\"in\":{\"a\":\"b\"}}",
         "P name: Shop\nP n: 1.5\nP yes: true\nH1 in\nP a: b\n"},
        {"records", "{\"days\":[{\"d\":\"Mon\",\"o\":9},{\"o\":10,\"x\":\"\\t1\"}]}",
         "H1 days\nR1 d|o|x\nR Mon|9|\nR |10|1\n"},
        {"questions", "[{\"question\":\"Why?\",\"answer\":\"So.\",\"tags\":[\"a\",\"b\"]}]",
         "H1 Why?\nP question: Why?\nP answer: So.\nH2 tags\nI1 - a\nI1 - b\n"},
        {"a value", "\"just text\"", "P just text\n"},
        {"broken", "{\"a\":", "X1 It is no proper JSON: line 1, column 5.\n"},
    };
    char deep[8001];

    (void)state;
    check_samples("application/json", samples, COUNT(samples));
    memset(deep, '[', 4000);
    memset(deep + 4000, ']', 4000);
    deep[8000] = '\0';
    check_document("deep", "application/json", str_from_c(deep),
                   "X1 It is no proper JSON: line 1, column 2049.\n");
}

static void
what_is_unsafe_is_refused(void **state)
{
    static const struct part entities[] = {
        {"word/document.xml", "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><x>&a;</x>"}, {NULL, NULL}};
    static const struct part broken[] = {{"word/document.xml", "<w:p"}, {NULL, NULL}};
    static const struct part other[] = {{"readme.txt", "hello"}, {NULL, NULL}};
    static const struct part climbing[] = {{"_rels/.rels",
                                            RELS "<Relationship Id='a' Type='x/officeDocument' "
                                                 "Target='../../../etc/passwd'/></Relationships>"},
                                           {NULL, NULL}};
    struct str bytes;

    (void)state;
    check_parts("entities", DOCX, entities,
                "X1 It defines entities of its own, which is not safe.\n");
    check_parts("broken", DOCX, broken, "X1 It is damaged: a part of it is no proper XML.\n");
    check_parts("other", DOCX, other, "X1 It is no Word document, or a part of it is missing.\n");
    check_parts("climbing", DOCX, climbing,
                "X1 It is no Word document, or a part of it is missing.\n");
    check_document("no archive", DOCX, STR("PK nothing"),
                   "X1 It is damaged: its parts cannot be unpacked.\n");
    check_document("old or encrypted", DOCX, STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
                   "X1 It is protected by a password, or saved in the format of before 2007.\n");
    bytes = pack(other, "pass");
    check_document("zip password", XLSX, bytes,
                   "X1 It is no workbook, or a part of it is missing.\n");
    free((char *)(uintptr_t)bytes.ptr);
}

/* 64 MB of spaces in 64 kB: the budget counts what comes out. */
static void
bomb_is_not_unpacked(void **state)
{
    size_t size = 64 * MB;
    char *spaces = malloc(size + 1);
    struct part parts[] = {{"word/document.xml", spaces}, {NULL, NULL}};
    struct str bytes;
    struct buf printed;
    struct err err;

    (void)state;
    memset(spaces, ' ', size);
    spaces[size] = '\0';
    bytes = pack(parts, NULL);
    assert_true(bytes.len < MB);
    buf_init(&printed, MB);
    assert_int_equal(read_document(DOCX, bytes, 16 * MB, MB, &printed, &err), ST_TOO_LARGE);
    ASSERT_STR(buf_str(&printed), "X2 Unpacked it is larger than is allowed.\n");
    buf_deinit(&printed);
    free((char *)(uintptr_t)bytes.ptr);
    free(spaces);
}

static void
password_of_a_part(void **state)
{
    static const struct part parts[] = {{"word/document.xml", "<x/>"}, {NULL, NULL}};
    struct str bytes = pack(parts, "pass");

    (void)state;
    check_document("password", DOCX, bytes, "X1 It is protected by a password.\n");
    free((char *)(uintptr_t)bytes.ptr);
}

/* Every prefix of an archive and every single flipped byte: an answer, never a crash. */
static void
damage_is_survived(void **state)
{
    static const struct part parts[] = {
        {"word/document.xml",
         "<w:document" W "><w:body><w:p><w:r><w:t>Words</w:t></w:r></w:p></w:body></w:document>"},
        {NULL, NULL}};
    struct str bytes = pack(parts, NULL);
    char *copy = malloc(bytes.len);

    (void)state;
    for (size_t i = 0; i < 2 * bytes.len; i++) {
        struct buf printed;
        struct err err;

        memcpy(copy, bytes.ptr, bytes.len);
        if (i >= bytes.len)
            copy[i - bytes.len] ^= 0x55;
        buf_init(&printed, MB);
        (void)!read_document(DOCX, str_of(copy, i < bytes.len ? i : bytes.len), MB, MB, &printed,
                             &err);
        assert_true(printed.len > 0);
        buf_deinit(&printed);
    }
    free(copy);
    free((char *)(uintptr_t)bytes.ptr);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docx),
        cmocka_unit_test(pptx),
        cmocka_unit_test(xlsx),
        cmocka_unit_test(numbers_of_sheets),
        cmocka_unit_test(odt),
        cmocka_unit_test(csv),
        cmocka_unit_test(json),
        cmocka_unit_test(what_is_unsafe_is_refused),
        cmocka_unit_test(bomb_is_not_unpacked),
        cmocka_unit_test(password_of_a_part),
        cmocka_unit_test(damage_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
