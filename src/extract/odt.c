/*
 * odt.c - OpenDocument text: headings by outline level, lists, tables, notes
 *
 * OpenDocument 1.3 part 3, content.xml and meta.xml. Deleted passages that are kept for review, and
 * annotations, are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "extract/flow.h"
#include "extract/office.h"

#define MAX_LIST_DEPTH 9
#define MAX_SPACES 64

struct odt {
    struct document *document;
    struct flow flow;
    unsigned skip_depth;
    unsigned heading; /* level of the open heading; 0: none */
    unsigned list_depth, head_rows_depth;
    unsigned paragraph_depth;
    bool item_begins; /* the next paragraph is the first of its item */
    unsigned columns; /* of the open cell */
    struct buf meta;
    bool is_encrypted;
    char meta_kind; /* t title, l language, m last changed, c made, 0 none of them */
    struct buf made;
};

static int64_t
count_of(const char **attributes, const char *name, int64_t max)
{
    int64_t count;

    if (!str_to_i64(xml_attribute(attributes, name), &count) || count < 1)
        return 1;
    return count < max ? count : max;
}

static bool
is_left_out(struct str name)
{
    return str_eq_c(name, "tracked-changes") || str_eq_c(name, "annotation") ||
           str_eq_c(name, "forms") || str_eq_c(name, "note-citation");
}

static void
on_inline(struct odt *odt, struct str name, const char **attributes)
{
    if (str_eq_c(name, "s")) {
        for (int64_t i = count_of(attributes, "c", MAX_SPACES); i > 0; i--)
            flow_text(&odt->flow, STR(" "));
    } else if (str_eq_c(name, "tab")) {
        flow_text(&odt->flow, STR(" "));
    } else if (str_eq_c(name, "line-break")) {
        flow_text(&odt->flow, STR("\n"));
    }
}

/* A note or a frame stands inside of a paragraph: what came before it ends there. */
static void
end_paragraph(struct odt *odt)
{
    struct flow *flow = &odt->flow;
    struct str text = str_trim(buf_str(&flow->paragraph));

    if (odt->heading > 0) {
        flow_end_paragraph(flow, EXTRACT_HEADING, odt->heading);
        return;
    }
    if (odt->list_depth == 0 || flow->table_depth > 0 || !odt->item_begins || text.len == 0) {
        flow_end_paragraph(flow, EXTRACT_PARAGRAPH, 0);
        return;
    }
    odt->item_begins = false;
    flow_end_item(flow, STR("- "),
                  odt->list_depth > MAX_LIST_DEPTH ? MAX_LIST_DEPTH : odt->list_depth);
}

static void
on_start(void *arg, struct str name, const char **attributes)
{
    struct odt *odt = arg;

    if (odt->skip_depth > 0 || is_left_out(name)) {
        odt->skip_depth++;
    } else if (str_eq_c(name, "p") || str_eq_c(name, "h")) {
        if (odt->paragraph_depth++ > 0)
            end_paragraph(odt);
        odt->heading = str_eq_c(name, "h") ? (unsigned)count_of(attributes, "outline-level", 6) : 0;
    } else if (str_eq_c(name, "list")) {
        odt->list_depth++;
    } else if (str_eq_c(name, "list-item") || str_eq_c(name, "list-header")) {
        odt->item_begins = true;
    } else if (str_eq_c(name, "table")) {
        flow_begin_table(&odt->flow);
    } else if (str_eq_c(name, "table-header-rows")) {
        odt->head_rows_depth++;
    } else if (str_eq_c(name, "table-cell") && odt->flow.table_depth == 1) {
        odt->columns = (unsigned)count_of(attributes, "number-columns-repeated", 256);
    } else if (str_eq_c(name, "covered-table-cell") && odt->flow.table_depth == 1) {
        odt->columns = (unsigned)count_of(attributes, "number-columns-repeated", 256);
    } else if (odt->paragraph_depth > 0) {
        on_inline(odt, name, attributes);
    }
}

static void
on_end(void *arg, struct str name)
{
    struct odt *odt = arg;

    if (odt->skip_depth > 0) {
        odt->skip_depth--;
    } else if (str_eq_c(name, "p") || str_eq_c(name, "h")) {
        end_paragraph(odt);
        odt->heading = 0;
        odt->paragraph_depth--;
    } else if (str_eq_c(name, "list")) {
        odt->list_depth--;
    } else if (str_eq_c(name, "table-cell") || str_eq_c(name, "covered-table-cell")) {
        flow_end_cell(&odt->flow, odt->columns);
    } else if (str_eq_c(name, "table-row")) {
        flow_end_row(&odt->flow, odt->head_rows_depth > 0);
    } else if (str_eq_c(name, "table-header-rows")) {
        odt->head_rows_depth--;
    } else if (str_eq_c(name, "table")) {
        flow_end_table(&odt->flow);
    }
}

static void
on_text(void *arg, struct str text)
{
    struct odt *odt = arg;

    if (odt->skip_depth > 0 || odt->paragraph_depth == 0)
        return;
    for (size_t i = 0; i < text.len; i++) { /* line ends of the file are spaces */
        bool space = text.ptr[i] == '\n' || text.ptr[i] == '\r' || text.ptr[i] == '\t';

        flow_text(&odt->flow, space ? STR(" ") : str_sub(text, i, 1));
    }
}

/* --- meta.xml --- */

static void
on_meta_start(void *arg, struct str name, const char **attributes)
{
    struct odt *odt = arg;

    (void)attributes;
    buf_clear(&odt->meta);
    odt->meta_kind = 0;
    if (str_eq_c(name, "title"))
        odt->meta_kind = 't';
    else if (str_eq_c(name, "language"))
        odt->meta_kind = 'l';
    else if (str_eq_c(name, "date"))
        odt->meta_kind = 'm';
    else if (str_eq_c(name, "creation-date"))
        odt->meta_kind = 'c';
}

static void
on_meta_end(void *arg, struct str name)
{
    struct odt *odt = arg;

    (void)name;
    if (odt->meta_kind == 't')
        document_title(odt->document, buf_str(&odt->meta));
    else if (odt->meta_kind == 'l')
        document_language(odt->document, buf_str(&odt->meta));
    else if (odt->meta_kind == 'm')
        document_label(odt->document, EXTRACT_DATE, buf_str(&odt->meta));
    else if (odt->meta_kind == 'c' && odt->made.len == 0)
        buf_append(&odt->made, buf_str(&odt->meta));
    odt->meta_kind = 0;
}

static void
on_meta_text(void *arg, struct str text)
{
    struct odt *odt = arg;

    if (odt->meta_kind != 0)
        buf_append(&odt->meta, text);
}

/* An encrypted document is an archive that can be read, of parts that cannot. */
static void
on_manifest_start(void *arg, struct str name, const char **attributes)
{
    struct odt *odt = arg;

    (void)attributes;
    odt->is_encrypted |= str_eq_c(name, "encryption-data");
}

static enum status
read_parts(struct odt *odt, struct office *office, struct err *err)
{
    static const struct xml_handler manifest = {.start = on_manifest_start};
    static const struct xml_handler meta = {on_meta_start, on_meta_end, on_meta_text};
    static const struct xml_handler content = {on_start, on_end, on_text};
    enum status st =
        office_read_optional(office, STR("META-INF/manifest.xml"), &manifest, odt, err);

    if (st == ST_OK && odt->is_encrypted)
        return err_set(err, ST_INVALID, "It is protected by a password.");
    if (st == ST_OK)
        st = office_read_optional(office, STR("meta.xml"), &meta, odt, err);
    document_label(odt->document, EXTRACT_DATE, buf_str(&odt->made)); /* unless it was changed */
    if (st == ST_OK)
        st = office_read(office, STR("content.xml"), &content, odt, err);
    if (st == ST_NOT_FOUND)
        st = err_set(err, ST_INVALID, "It is no OpenDocument text, or a part of it is missing.");
    return st == ST_OK ? flow_check(&odt->flow, err) : st;
}

enum status
format_read_odt(const struct format_input *input, struct document *document, struct err *err)
{
    struct odt odt = {.document = document};
    struct office office = {NULL, ""};
    enum status st = zip_archive_open(input->bytes, input->max_memory_bytes, &office.archive, err);

    if (st != ST_OK)
        return st;
    flow_init(&odt.flow, document, input->max_memory_bytes);
    buf_init(&odt.meta, 4096);
    buf_init(&odt.made, 4096);
    st = read_parts(&odt, &office, err);
    buf_deinit(&odt.made);
    buf_deinit(&odt.meta);
    flow_deinit(&odt.flow);
    office_close(&office);
    return st;
}
