/*
 * pptx.c - slides in their order: the title as heading, outline as list items, tables
 *
 * PresentationML and DrawingML (ECMA-376 part 1, 19 and 21). Notes and hidden slides are left out:
 * they are for whoever speaks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extract/flow.h"
#include "extract/office.h"

#define MAX_SLIDES 5000
#define MAX_LIST_DEPTH 9

struct slide_list {
    char (*ids)[OFFICE_ID_MAX];
    size_t count;
};

struct slide {
    struct flow flow;
    struct document *document;
    unsigned number;
    bool is_hidden, in_text, is_title, is_body, first_row_is_head;
    bool has_no_bullet;
    unsigned depth, rows;
};

/* --- which slides --- */

static void
on_presentation_start(void *arg, struct str name, const char **attributes)
{
    struct slide_list *list = arg;

    if (str_eq_c(name, "sldId") && list->count < MAX_SLIDES &&
        office_keep(xml_attribute_of(attributes, "/relationships", "id"), list->ids[list->count],
                    OFFICE_ID_MAX))
        list->count++;
}

/* --- one slide --- */

static void
on_slide_start(void *arg, struct str name, const char **attributes)
{
    struct slide *slide = arg;

    if (str_eq_c(name, "sld")) {
        slide->is_hidden = str_eq_c(xml_attribute(attributes, "show"), "0");
    } else if (str_eq_c(name, "sp")) {
        slide->is_title = slide->is_body = false;
    } else if (str_eq_c(name, "ph")) {
        struct str type = xml_attribute(attributes, "type");

        slide->is_title = str_eq_c(type, "title") || str_eq_c(type, "ctrTitle");
        slide->is_body = type.len == 0 || str_eq_c(type, "body") || str_eq_c(type, "obj");
    } else if (str_eq_c(name, "p")) {
        slide->depth = 0;
        slide->has_no_bullet = false;
    } else if (str_eq_c(name, "pPr")) {
        int64_t level = 0;

        if (str_to_i64(xml_attribute(attributes, "lvl"), &level) && level > 0)
            slide->depth = level < MAX_LIST_DEPTH ? (unsigned)level : MAX_LIST_DEPTH - 1;
    } else if (str_eq_c(name, "buNone")) {
        slide->has_no_bullet = true;
    } else if (str_eq_c(name, "t")) {
        slide->in_text = true;
    } else if (str_eq_c(name, "br")) {
        flow_text(&slide->flow, slide->is_title ? STR(" ") : STR("\n"));
    } else if (str_eq_c(name, "tbl")) {
        slide->rows = 0;
        slide->first_row_is_head = false;
        flow_begin_table(&slide->flow);
    } else if (str_eq_c(name, "tblPr")) {
        slide->first_row_is_head = str_eq_c(xml_attribute(attributes, "firstRow"), "1");
    }
}

static void
end_paragraph(struct slide *slide)
{
    struct str text = str_trim(buf_str(&slide->flow.paragraph));

    if (slide->flow.table_depth == 0 && slide->is_title) {
        if (slide->number == 1)
            document_title(slide->document, text);
        flow_end_paragraph(&slide->flow, EXTRACT_HEADING, 1);
        return;
    }
    if (slide->flow.table_depth > 0 || !slide->is_body || slide->has_no_bullet || text.len == 0) {
        flow_end_paragraph(&slide->flow, EXTRACT_PARAGRAPH, 0);
        return;
    }
    flow_end_item(&slide->flow, STR("- "), slide->depth + 1);
}

static void
on_slide_end(void *arg, struct str name)
{
    struct slide *slide = arg;

    if (str_eq_c(name, "t"))
        slide->in_text = false;
    else if (str_eq_c(name, "p"))
        end_paragraph(slide);
    else if (str_eq_c(name, "tc"))
        flow_end_cell(&slide->flow, 1);
    else if (str_eq_c(name, "tr"))
        flow_end_row(&slide->flow, slide->first_row_is_head && slide->rows++ == 0);
    else if (str_eq_c(name, "tbl"))
        flow_end_table(&slide->flow);
}

static void
on_slide_text(void *arg, struct str text)
{
    struct slide *slide = arg;

    if (slide->in_text && !slide->is_hidden)
        flow_text(&slide->flow, text);
}

static enum status
read_slides(struct office *office, const struct slide_list *list, struct document *document,
            size_t max_bytes, struct err *err)
{
    static const struct xml_handler handler = {on_slide_start, on_slide_end, on_slide_text};
    struct office_relations relations;
    enum status st = office_relations_read(office, &relations, err);

    for (size_t i = 0; st == ST_OK && i < list->count; i++) {
        const char *part = office_relation_target(&relations, str_from_c(list->ids[i]));
        struct slide slide = {.document = document, .number = (unsigned)i + 1};

        if (part == NULL)
            continue;
        flow_init(&slide.flow, document, max_bytes);
        document_page(document, slide.number);
        st = office_read_optional(office, str_from_c(part), &handler, &slide, err);
        if (st == ST_OK)
            st = flow_check(&slide.flow, err);
        flow_deinit(&slide.flow);
    }
    office_relations_deinit(&relations);
    return st;
}

enum status
format_read_pptx(const struct format_input *input, struct document *document, struct err *err)
{
    static const struct xml_handler handler = {.start = on_presentation_start};
    struct slide_list list = {NULL, 0};
    struct office office;
    enum status st = office_open(input, "ppt/presentation.xml", &office, err);

    if (st != ST_OK)
        return st;
    list.ids = calloc(MAX_SLIDES, sizeof(*list.ids));
    if (list.ids == NULL)
        abort();
    st = office_read(&office, str_from_c(office.main), &handler, &list, err);
    if (st == ST_OK)
        st = read_slides(&office, &list, document, input->max_memory_bytes, err);
    if (st == ST_OK)
        st = office_read_properties(&office, document, err);
    if (st == ST_NOT_FOUND)
        st = err_set(err, ST_INVALID, "It is no presentation, or a part of it is missing.");
    free(list.ids);
    office_close(&office);
    return st;
}
