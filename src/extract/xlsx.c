/*
 * xlsx.c - sheets as tables: each sheet's name a heading, its first row the column heads
 *
 * SpreadsheetML (ECMA-376 part 1, 18). Formulas give the result that was saved with them; hidden
 * sheets are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "extract/flow.h"
#include "extract/office.h"
#include "extract/xlsx_cell.h"

#define MAX_SHEETS 1000
#define MAX_FORMATS 4096
#define MAX_COLUMN 256
#define SHEET_NAME_MAX 256

struct sheet {
    char name[SHEET_NAME_MAX], relation[OFFICE_ID_MAX];
};

struct format_code {
    int64_t id;
    enum xlsx_format format;
};

struct xlsx {
    struct document *document;
    struct flow flow;
    struct sheet *sheets;
    size_t sheet_count;
    bool base_1904;

    struct format_code *codes; /* the workbook's own */
    enum xlsx_format *formats; /* of each cell style */
    size_t code_count, format_count;
    bool in_cell_styles;

    struct arena *arena; /* shared strings */
    struct str *strings;
    size_t string_count, string_capacity;
    struct buf text; /* of the string or cell that is open */
    bool in_text, in_phonetic, too_large;

    char cell_type; /* s shared, i inline, b boolean, n number, t text (a formula's, an error) */
    enum xlsx_format cell_format;
    unsigned next_column, rows;
};

/* --- workbook.xml --- */

static void
on_workbook_start(void *arg, struct str name, const char **attributes)
{
    struct xlsx *xlsx = arg;
    struct sheet *sheet = &xlsx->sheets[xlsx->sheet_count];

    if (str_eq_c(name, "workbookPr")) {
        struct str value = xml_attribute(attributes, "date1904");

        xlsx->base_1904 = str_eq_c(value, "1") || str_eq_c(value, "true");
    }
    if (!str_eq_c(name, "sheet") || xlsx->sheet_count >= MAX_SHEETS - 1)
        return;
    if (xml_attribute(attributes, "state").len > 0 &&
        !str_eq_c(xml_attribute(attributes, "state"), "visible"))
        return;
    (void)office_keep(xml_attribute(attributes, "name"), sheet->name, sizeof(sheet->name));
    if (office_keep(xml_attribute_of(attributes, "/relationships", "id"), sheet->relation,
                    sizeof(sheet->relation)))
        xlsx->sheet_count++;
}

/* --- styles.xml --- */

static enum xlsx_format
format_of_id(const struct xlsx *xlsx, int64_t id)
{
    for (size_t i = 0; i < xlsx->code_count; i++) {
        if (xlsx->codes[i].id == id)
            return xlsx->codes[i].format;
    }
    return xlsx_format_built_in(id);
}

static void
on_style_start(void *arg, struct str name, const char **attributes)
{
    struct xlsx *xlsx = arg;
    int64_t id = 0;

    if (str_eq_c(name, "cellXfs"))
        xlsx->in_cell_styles = true;
    if (!str_to_i64(xml_attribute(attributes, "numFmtId"), &id))
        id = 0;
    if (str_eq_c(name, "numFmt") && xlsx->code_count < MAX_FORMATS)
        xlsx->codes[xlsx->code_count++] =
            (struct format_code){id, xlsx_format_of_code(xml_attribute(attributes, "formatCode"))};
    else if (str_eq_c(name, "xf") && xlsx->in_cell_styles && xlsx->format_count < MAX_FORMATS)
        xlsx->formats[xlsx->format_count++] = format_of_id(xlsx, id);
}

static void
on_style_end(void *arg, struct str name)
{
    struct xlsx *xlsx = arg;

    if (str_eq_c(name, "cellXfs"))
        xlsx->in_cell_styles = false;
}

/* --- sharedStrings.xml --- */

static void
on_string_start(void *arg, struct str name, const char **attributes)
{
    struct xlsx *xlsx = arg;

    (void)attributes;
    if (str_eq_c(name, "si"))
        buf_clear(&xlsx->text);
    else if (str_eq_c(name, "rPh"))
        xlsx->in_phonetic = true; /* how a name is said, not what is written */
    else if (str_eq_c(name, "t"))
        xlsx->in_text = !xlsx->in_phonetic;
}

static void
keep_string(struct xlsx *xlsx)
{
    struct err ignored;

    if (xlsx->string_count == xlsx->string_capacity) {
        size_t capacity = xlsx->string_capacity == 0 ? 1024 : 2 * xlsx->string_capacity;

        xlsx->strings = reallocarray(xlsx->strings, capacity, sizeof(*xlsx->strings));
        if (xlsx->strings == NULL)
            abort();
        xlsx->string_capacity = capacity;
    }
    if (xlsx->text.failed || arena_try_str(xlsx->arena, buf_str(&xlsx->text),
                                           &xlsx->strings[xlsx->string_count], &ignored) != ST_OK)
        xlsx->too_large = true;
    else
        xlsx->string_count++;
}

static void
on_string_end(void *arg, struct str name)
{
    struct xlsx *xlsx = arg;

    if (str_eq_c(name, "rPh"))
        xlsx->in_phonetic = false;
    else if (str_eq_c(name, "t"))
        xlsx->in_text = false;
    else if (str_eq_c(name, "si") && !xlsx->too_large)
        keep_string(xlsx);
}

static void
on_text(void *arg, struct str text)
{
    struct xlsx *xlsx = arg;

    if (xlsx->in_text)
        buf_append(&xlsx->text, text);
}

/* --- a sheet --- */

/* "AB12" is column 27, counted from 0; MAX_COLUMN when it is too far right to be read. */
static unsigned
column_of(struct str reference, unsigned or_else)
{
    unsigned column = 0;
    size_t i = 0;

    for (; i < reference.len && i < 3 && reference.ptr[i] >= 'A' && reference.ptr[i] <= 'Z'; i++)
        column = column * 26 + (unsigned)(reference.ptr[i] - 'A') + 1;
    if (i == 0)
        return or_else;
    return column > MAX_COLUMN ? MAX_COLUMN : column - 1;
}

static void
begin_cell(struct xlsx *xlsx, const char **attributes)
{
    struct str type = xml_attribute(attributes, "t");
    unsigned column = column_of(xml_attribute(attributes, "r"), xlsx->next_column);
    int64_t style = 0;

    for (; xlsx->next_column < column; xlsx->next_column++)
        flow_end_cell(&xlsx->flow, 1);
    xlsx->next_column = column + 1;
    xlsx->cell_type = 'n';
    if (str_eq_c(type, "s"))
        xlsx->cell_type = 's';
    else if (str_eq_c(type, "inlineStr"))
        xlsx->cell_type = 'i';
    else if (str_eq_c(type, "b"))
        xlsx->cell_type = 'b';
    else if (type.len > 0 && !str_eq_c(type, "n"))
        xlsx->cell_type = 't';
    if (!str_to_i64(xml_attribute(attributes, "s"), &style) || style < 0 ||
        style >= (int64_t)xlsx->format_count)
        xlsx->cell_format = XLSX_PLAIN;
    else
        xlsx->cell_format = xlsx->formats[style];
    buf_clear(&xlsx->text);
}

static void
end_cell(struct xlsx *xlsx)
{
    struct str value = buf_str(&xlsx->text);
    int64_t index;

    if (xlsx->text.failed)
        xlsx->too_large = true;
    else if (xlsx->cell_type == 's' && str_to_i64(str_trim(value), &index) && index >= 0 &&
             index < (int64_t)xlsx->string_count)
        flow_text(&xlsx->flow, xlsx->strings[index]);
    else if (xlsx->cell_type == 'b')
        flow_text(&xlsx->flow, str_eq_c(value, "1") ? STR("TRUE") : STR("FALSE"));
    else if (xlsx->cell_type == 'n' && value.len > 0)
        xlsx_cell_write(&xlsx->flow.paragraph, value, xlsx->cell_format, xlsx->base_1904);
    else if (xlsx->cell_type != 's')
        flow_text(&xlsx->flow, value);
    flow_end_cell(&xlsx->flow, 1);
}

static void
on_sheet_start(void *arg, struct str name, const char **attributes)
{
    struct xlsx *xlsx = arg;

    if (str_eq_c(name, "row"))
        xlsx->next_column = 0;
    else if (str_eq_c(name, "c"))
        begin_cell(xlsx, attributes);
    else if (str_eq_c(name, "v") || (str_eq_c(name, "t") && xlsx->cell_type == 'i'))
        xlsx->in_text = true;
}

static void
on_sheet_end(void *arg, struct str name)
{
    struct xlsx *xlsx = arg;
    size_t before = xlsx->document->block_count;

    if (str_eq_c(name, "v") || str_eq_c(name, "t")) {
        xlsx->in_text = false;
    } else if (str_eq_c(name, "c")) {
        end_cell(xlsx);
    } else if (str_eq_c(name, "row")) {
        flow_end_row(&xlsx->flow, xlsx->rows == 0);
        xlsx->rows += xlsx->document->block_count > before;
    }
}

static enum status
read_sheet(struct xlsx *xlsx, struct office *office, const struct sheet *sheet, const char *part,
           struct err *err)
{
    static const struct xml_handler handler = {on_sheet_start, on_sheet_end, on_text};
    enum status st;

    xlsx->rows = 0;
    document_block(xlsx->document, EXTRACT_HEADING, 1, str_from_c(sheet->name));
    flow_begin_table(&xlsx->flow);
    st = office_read_optional(office, str_from_c(part), &handler, xlsx, err);
    flow_end_table(&xlsx->flow);
    if (st == ST_OK && xlsx->too_large)
        st = err_set(err, ST_TOO_LARGE, "It holds more text than is allowed.");
    return st == ST_OK ? flow_check(&xlsx->flow, err) : st;
}

/* --- the workbook --- */

static enum status
read_beside(struct xlsx *xlsx, struct office *office, const char *name,
            const struct xml_handler *handler, struct err *err)
{
    char path[OFFICE_PATH_MAX];

    if (!office_beside_main(office, name, path))
        return ST_OK;
    return office_read_optional(office, str_from_c(path), handler, xlsx, err);
}

static enum status
read_workbook(struct xlsx *xlsx, struct office *office, struct err *err)
{
    static const struct xml_handler workbook = {.start = on_workbook_start};
    static const struct xml_handler styles = {.start = on_style_start, .end = on_style_end};
    static const struct xml_handler strings = {on_string_start, on_string_end, on_text};
    struct office_relations relations;
    enum status st = office_read(office, str_from_c(office->main), &workbook, xlsx, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_INVALID, "It is no workbook, or a part of it is missing.");
    if (st == ST_OK)
        st = read_beside(xlsx, office, "styles.xml", &styles, err);
    if (st == ST_OK)
        st = read_beside(xlsx, office, "sharedStrings.xml", &strings, err);
    if (st == ST_OK && xlsx->too_large)
        st = err_set(err, ST_TOO_LARGE, "It holds more text than is allowed.");
    if (st != ST_OK)
        return st;
    st = office_relations_read(office, &relations, err);
    for (size_t i = 0; st == ST_OK && i < xlsx->sheet_count; i++) {
        const char *part = office_relation_target(&relations, str_from_c(xlsx->sheets[i].relation));

        if (part != NULL)
            st = read_sheet(xlsx, office, &xlsx->sheets[i], part, err);
    }
    office_relations_deinit(&relations);
    return st == ST_OK ? office_read_properties(office, xlsx->document, err) : st;
}

enum status
format_read_xlsx(const struct format_input *input, struct document *document, struct err *err)
{
    struct xlsx xlsx = {.document = document};
    struct office office;
    enum status st = office_open(input, "xl/workbook.xml", &office, err);

    if (st != ST_OK)
        return st;
    xlsx.sheets = calloc(MAX_SHEETS, sizeof(*xlsx.sheets));
    xlsx.codes = calloc(MAX_FORMATS, sizeof(*xlsx.codes));
    xlsx.formats = calloc(MAX_FORMATS, sizeof(*xlsx.formats));
    if (xlsx.sheets == NULL || xlsx.codes == NULL || xlsx.formats == NULL)
        abort();
    xlsx.arena = arena_create(input->max_memory_bytes);
    buf_init(&xlsx.text, input->max_memory_bytes);
    flow_init(&xlsx.flow, document, input->max_memory_bytes);
    st = read_workbook(&xlsx, &office, err);
    flow_deinit(&xlsx.flow);
    buf_deinit(&xlsx.text);
    arena_destroy(&xlsx.arena);
    free(xlsx.strings);
    free(xlsx.formats);
    free(xlsx.codes);
    free(xlsx.sheets);
    office_close(&office);
    return st;
}
