/*
 * docx.c - Word documents: headings by style or outline level, lists, tables, footnotes
 *
 * WordprocessingML (ECMA-376 part 1, 17). Deleted, moved away and hidden text is left out, and so
 * are headers and footers, which repeat on every page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extract/flow.h"
#include "extract/office.h"

#define MAX_STYLES 4096
#define MAX_LISTS 4096
#define LIST_LEVELS 9
#define MAX_BASED_ON 16
#define NO_OUTLINE 9 /* body text, as the format says */
#define MAX_NESTED_PARAGRAPHS 8
#define TITLE_LEVEL 1

struct style {
    char id[OFFICE_ID_MAX], based_on[OFFICE_ID_MAX];
    unsigned heading; /* 1..9; 0: none of its own */
    bool is_title;
    int64_t list_id; /* 0: none of its own */
    unsigned list_level;
};

/* One abstract definition, or one list that uses a definition and counts. */
struct list_format {
    int64_t id;
    bool is_bullet[LIST_LEVELS];
    unsigned start[LIST_LEVELS];
};

struct list {
    int64_t id, format_id;
    unsigned next[LIST_LEVELS]; /* 0: not begun */
};

struct paragraph {
    const struct style *style;
    unsigned outline;
    bool has_list;
    int64_t list_id;
    unsigned list_level;
};

struct docx {
    struct document *document;
    struct flow flow;
    struct style *styles;
    struct list_format *formats;
    struct list *lists;
    size_t style_count, format_count, list_count;
    unsigned level; /* of the list format that is being read */

    struct paragraph paragraphs[MAX_NESTED_PARAGRAPHS];
    unsigned paragraph_depth;
    unsigned skip_depth; /* inside of what is left out */
    bool in_run, in_text, in_list_properties, is_hidden;
    bool head_row, table_has_head;
    unsigned rows, span;
};

static int64_t
number_of(struct str text, int64_t or_else)
{
    int64_t value;

    return str_to_i64(text, &value) ? value : or_else;
}

static bool
is_on(struct str value)
{
    return !(str_eq_c(value, "0") || str_eq_c(value, "false") || str_eq_c(value, "off") ||
             str_eq_c(value, "none"));
}

/* --- styles.xml --- */

static unsigned
heading_of_name(struct str name)
{
    if (name.len != 9 || !str_eq_nocase(str_sub(name, 0, 8), STR("heading ")) ||
        name.ptr[8] < '1' || name.ptr[8] > '9')
        return 0;
    return (unsigned)(name.ptr[8] - '0');
}

static void
on_style_start(void *arg, struct str name, const char **attributes)
{
    struct docx *docx = arg;
    struct str value = xml_attribute(attributes, "val");
    struct style *style = docx->style_count == 0 ? NULL : &docx->styles[docx->style_count - 1];

    if (str_eq_c(name, "style") && docx->style_count < MAX_STYLES) {
        style = &docx->styles[docx->style_count++];
        *style = (struct style){.heading = 0};
        (void)office_keep(xml_attribute(attributes, "styleId"), style->id, sizeof(style->id));
    } else if (str_eq_c(name, "lang") && style == NULL) {
        document_language(docx->document, value);
    } else if (style == NULL) {
        return;
    } else if (str_eq_c(name, "name")) {
        style->heading = heading_of_name(value);
        style->is_title = str_eq_nocase(value, STR("title"));
    } else if (str_eq_c(name, "basedOn")) {
        (void)office_keep(value, style->based_on, sizeof(style->based_on));
    } else if (str_eq_c(name, "outlineLvl") && style->heading == 0) {
        int64_t outline = number_of(value, NO_OUTLINE);

        style->heading = outline >= 0 && outline < NO_OUTLINE ? (unsigned)outline + 1 : 0;
    } else if (str_eq_c(name, "numId")) {
        style->list_id = number_of(value, 0);
    } else if (str_eq_c(name, "ilvl")) {
        style->list_level = (unsigned)number_of(value, 0) % LIST_LEVELS;
    }
}

static const struct style *
find_style(const struct docx *docx, struct str id)
{
    for (size_t i = 0; id.len > 0 && i < docx->style_count; i++) {
        if (str_eq_c(id, docx->styles[i].id))
            return &docx->styles[i];
    }
    return NULL;
}

static const struct style *
parent_of(const struct docx *docx, const struct style *style)
{
    return find_style(docx, str_from_c(style->based_on));
}

/* --- numbering.xml --- */

static void
on_numbering_start(void *arg, struct str name, const char **attributes)
{
    struct docx *docx = arg;
    struct str value = xml_attribute(attributes, "val");
    struct list_format *format =
        docx->format_count == 0 ? NULL : &docx->formats[docx->format_count - 1];
    struct list *list = docx->list_count == 0 ? NULL : &docx->lists[docx->list_count - 1];

    if (str_eq_c(name, "abstractNum") && docx->format_count < MAX_LISTS) {
        format = &docx->formats[docx->format_count++];
        *format =
            (struct list_format){.id = number_of(xml_attribute(attributes, "abstractNumId"), -1)};
    } else if (str_eq_c(name, "num") && docx->list_count < MAX_LISTS) {
        list = &docx->lists[docx->list_count++];
        *list =
            (struct list){.id = number_of(xml_attribute(attributes, "numId"), 0), .format_id = -1};
    } else if (str_eq_c(name, "abstractNumId") && list != NULL) {
        list->format_id = number_of(value, -1);
    } else if (str_eq_c(name, "lvl")) {
        docx->level = (unsigned)number_of(xml_attribute(attributes, "ilvl"), 0) % LIST_LEVELS;
    } else if (list != NULL || format == NULL) {
        return; /* lists come after the formats; what they override is not looked at */
    } else if (str_eq_c(name, "numFmt")) {
        format->is_bullet[docx->level] = str_eq_c(value, "bullet") || str_eq_c(value, "none");
    } else if (str_eq_c(name, "start")) {
        format->start[docx->level] = (unsigned)number_of(value, 1) & 0xffff;
    }
}

static struct list *
find_list(struct docx *docx, int64_t id)
{
    for (size_t i = 0; i < docx->list_count; i++) {
        if (docx->lists[i].id == id)
            return &docx->lists[i];
    }
    return NULL;
}

/* Writes the item's marker: its number where the list counts, else a dash. */
static void
put_marker(struct docx *docx, int64_t list_id, unsigned level, struct buf *out)
{
    struct list *list = find_list(docx, list_id);
    const struct list_format *format = NULL;

    for (size_t i = 0; list != NULL && i < docx->format_count; i++) {
        if (docx->formats[i].id == list->format_id)
            format = &docx->formats[i];
    }
    if (format == NULL || format->is_bullet[level]) {
        buf_append_c(out, "- ");
        return;
    }
    if (list->next[level] == 0)
        list->next[level] = format->start[level] == 0 ? 1 : format->start[level];
    for (unsigned deeper = level + 1; deeper < LIST_LEVELS; deeper++)
        list->next[deeper] = 0;
    buf_printf(out, "%u. ", list->next[level]++);
}

/* --- the text --- */

struct role {
    unsigned heading;
    bool is_title;
    int64_t list_id;
    unsigned list_level;
};

/* A paragraph's own words come before its style's, and those before what that is based on. */
static struct role
role_of(const struct docx *docx, const struct paragraph *paragraph)
{
    struct role role = {.list_id = paragraph->list_id, .list_level = paragraph->list_level};
    const struct style *style = paragraph->style;
    bool has_list = paragraph->has_list;

    if (paragraph->outline < NO_OUTLINE)
        role.heading = paragraph->outline + 1;
    for (unsigned i = 0; style != NULL && i < MAX_BASED_ON; i++) {
        if (role.heading == 0)
            role.heading = style->heading;
        role.is_title |= style->is_title;
        if (!has_list && style->list_id != 0) {
            role.list_id = style->list_id;
            role.list_level = style->list_level;
            has_list = true;
        }
        style = parent_of(docx, style);
    }
    if (role.is_title && role.heading == 0)
        role.heading = TITLE_LEVEL;
    return role;
}

static void
finish_paragraph(struct docx *docx)
{
    const struct paragraph *paragraph = &docx->paragraphs[docx->paragraph_depth - 1];
    struct role role = role_of(docx, paragraph);
    struct flow *flow = &docx->flow;
    struct str text = str_trim(buf_str(&flow->paragraph));
    struct buf marker;

    if (role.is_title)
        document_title(docx->document, text);
    if (role.heading > 0) {
        flow_end_paragraph(flow, EXTRACT_HEADING, role.heading > 6 ? 6 : role.heading);
        return;
    }
    if (role.list_id == 0 || text.len == 0) {
        flow_end_paragraph(flow, EXTRACT_PARAGRAPH, 0);
        return;
    }
    buf_init(&marker, 32);
    put_marker(docx, role.list_id, role.list_level, &marker);
    flow_end_item(flow, buf_str(&marker), role.list_level + 1);
    buf_deinit(&marker);
}

/* A text box stands inside of a paragraph: what came before it is one of its own. */
static void
begin_paragraph(struct docx *docx)
{
    if (docx->paragraph_depth > 0)
        finish_paragraph(docx);
    if (docx->paragraph_depth < MAX_NESTED_PARAGRAPHS)
        docx->paragraph_depth++;
    docx->paragraphs[docx->paragraph_depth - 1] = (struct paragraph){.outline = NO_OUTLINE};
}

static void
end_paragraph(struct docx *docx)
{
    if (docx->paragraph_depth == 0)
        return;
    finish_paragraph(docx);
    docx->paragraph_depth--;
}

static void
on_properties(struct docx *docx, struct str name, const char **attributes)
{
    struct paragraph *paragraph = &docx->paragraphs[docx->paragraph_depth - 1];
    struct str value = xml_attribute(attributes, "val");

    if (str_eq_c(name, "pStyle")) {
        paragraph->style = find_style(docx, value);
    } else if (str_eq_c(name, "outlineLvl")) {
        int64_t outline = number_of(value, NO_OUTLINE);

        paragraph->outline = outline >= 0 && outline < NO_OUTLINE ? (unsigned)outline : NO_OUTLINE;
    } else if (str_eq_c(name, "numId")) {
        paragraph->has_list = true; /* 0 takes the style's list away */
        paragraph->list_id = number_of(value, 0);
    } else if (str_eq_c(name, "ilvl")) {
        paragraph->list_level = (unsigned)number_of(value, 0) % LIST_LEVELS;
    }
}

static void
on_run(struct docx *docx, struct str name, const char **attributes)
{
    if (str_eq_c(name, "t"))
        docx->in_text = true;
    else if (str_eq_c(name, "vanish"))
        docx->is_hidden = is_on(xml_attribute(attributes, "val"));
    else if (docx->is_hidden)
        return;
    else if (str_eq_c(name, "tab"))
        flow_text(&docx->flow, STR(" "));
    else if (str_eq_c(name, "br") || str_eq_c(name, "cr"))
        flow_text(&docx->flow, STR("\n"));
    else if (str_eq_c(name, "noBreakHyphen"))
        flow_text(&docx->flow, STR("-"));
}

static void
on_table(struct docx *docx, struct str name, const char **attributes)
{
    bool outer = docx->flow.table_depth <= 1;

    if (str_eq_c(name, "tbl")) {
        if (docx->flow.table_depth == 0) {
            docx->rows = 0;
            docx->table_has_head = false;
        }
        flow_begin_table(&docx->flow);
    } else if (str_eq_c(name, "tblLook") && outer) {
        docx->table_has_head = str_eq_c(xml_attribute(attributes, "firstRow"), "1");
    } else if (str_eq_c(name, "tr") && outer) {
        docx->head_row = docx->table_has_head && docx->rows == 0;
        docx->rows++;
    } else if (str_eq_c(name, "tblHeader") && outer) {
        docx->head_row = is_on(xml_attribute(attributes, "val"));
    } else if (str_eq_c(name, "tc") && outer) {
        docx->span = 1;
    } else if (str_eq_c(name, "gridSpan") && outer) {
        docx->span = (unsigned)number_of(xml_attribute(attributes, "val"), 1) & 0xff;
    }
}

static bool
is_left_out(struct str name)
{
    return str_eq_c(name, "Fallback") || str_eq_c(name, "moveFrom") || str_eq_c(name, "del");
}

static void
on_text_start(void *arg, struct str name, const char **attributes)
{
    struct docx *docx = arg;

    if (docx->skip_depth > 0 || is_left_out(name)) {
        docx->skip_depth++;
        return;
    }
    if (str_eq_c(name, "p")) {
        begin_paragraph(docx);
    } else if (str_eq_c(name, "r")) {
        docx->in_run = true;
        docx->is_hidden = false;
    } else if (docx->in_run) {
        on_run(docx, name, attributes);
    } else {
        if (docx->paragraph_depth > 0)
            on_properties(docx, name, attributes);
        on_table(docx, name, attributes);
    }
}

static void
on_text_end(void *arg, struct str name)
{
    struct docx *docx = arg;

    if (docx->skip_depth > 0) {
        docx->skip_depth--;
        return;
    }
    if (str_eq_c(name, "t"))
        docx->in_text = false;
    else if (str_eq_c(name, "r"))
        docx->in_run = false;
    else if (str_eq_c(name, "p"))
        end_paragraph(docx);
    else if (str_eq_c(name, "tc"))
        flow_end_cell(&docx->flow, docx->span);
    else if (str_eq_c(name, "tr"))
        flow_end_row(&docx->flow, docx->head_row);
    else if (str_eq_c(name, "tbl"))
        flow_end_table(&docx->flow);
}

static void
on_text(void *arg, struct str text)
{
    struct docx *docx = arg;

    if (docx->skip_depth == 0 && docx->in_text && !docx->is_hidden)
        flow_text(&docx->flow, text);
}

static enum status
read_part(struct docx *docx, struct office *office, const char *name,
          void (*start)(void *, struct str, const char **), struct err *err)
{
    struct xml_handler handler = {.start = start};
    char path[OFFICE_PATH_MAX];

    if (start == on_text_start)
        handler = (struct xml_handler){on_text_start, on_text_end, on_text};
    if (!office_beside_main(office, name, path))
        return ST_OK;
    return office_read_optional(office, str_from_c(path), &handler, docx, err);
}

static enum status
read_document(struct docx *docx, struct office *office, struct err *err)
{
    static const struct xml_handler handler = {on_text_start, on_text_end, on_text};
    enum status st = read_part(docx, office, "styles.xml", on_style_start, err);

    if (st == ST_OK)
        st = read_part(docx, office, "numbering.xml", on_numbering_start, err);
    if (st == ST_OK)
        st = office_read(office, str_from_c(office->main), &handler, docx, err);
    if (st == ST_OK)
        st = read_part(docx, office, "footnotes.xml", on_text_start, err);
    if (st == ST_OK)
        st = office_read_properties(office, docx->document, err);
    if (st == ST_NOT_FOUND)
        st = err_set(err, ST_INVALID, "It is no Word document, or a part of it is missing.");
    return st == ST_OK ? flow_check(&docx->flow, err) : st;
}

enum status
format_read_docx(const struct format_input *input, struct document *document, struct err *err)
{
    struct docx docx = {.document = document};
    struct office office;
    enum status st = office_open(input, "word/document.xml", &office, err);

    if (st != ST_OK)
        return st;
    docx.styles = calloc(MAX_STYLES, sizeof(*docx.styles));
    docx.formats = calloc(MAX_LISTS, sizeof(*docx.formats));
    docx.lists = calloc(MAX_LISTS, sizeof(*docx.lists));
    if (docx.styles == NULL || docx.formats == NULL || docx.lists == NULL)
        abort();
    flow_init(&docx.flow, document, input->max_memory_bytes);
    st = read_document(&docx, &office, err);
    flow_deinit(&docx.flow);
    free(docx.styles);
    free(docx.formats);
    free(docx.lists);
    office_close(&office);
    return st;
}
