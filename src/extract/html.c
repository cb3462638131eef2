/*
 * html.c - HTML through gumbo's tree
 *
 * gumbo asks its allocator without looking at the answer, so a full arena leaves by longjmp: all
 * that gumbo holds lives in that arena, and nothing else is held across the call. The tree is never
 * given to gumbo_destroy_output, which recurses, and it is walked by parent links: depth costs no
 * stack.
 */
#include "extract/html.h"

#include <gumbo.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "extract/charset.h"
#include "extract/format.h"
#include "knowledge/extract_links.h"

/* gumbo looks through all open elements at many tags: time grows with the square of the depth. */
#define MAX_DEPTH 4000
/* Lists deeper than this all count as this deep. */
#define MAX_LIST_DEPTH 16
#define BLOCK_MAX_BYTES ((size_t)16 * 1024 * 1024)

/* --- parsing --- */

struct tree_memory {
    struct arena *arena;
    jmp_buf full;
};

static void *
tree_alloc(void *userdata, size_t size)
{
    struct tree_memory *memory = userdata;
    void *p = arena_try_alloc(memory->arena, size == 0 ? 1 : size);

    if (p == NULL)
        longjmp(memory->full, 1);
    return p;
}

static void
tree_free(void *userdata, void *p)
{
    (void)userdata;
    (void)p;
}

static GumboOutput *
parse_tree(struct str html, struct tree_memory *memory)
{
    GumboOptions options = kGumboDefaultOptions;

    options.allocator = tree_alloc;
    options.deallocator = tree_free;
    options.userdata = memory;
    options.max_errors = 0;
    if (setjmp(memory->full) != 0)
        return NULL;
    return gumbo_parse_with_options(&options, html.ptr, html.len);
}

/* Elements that a parser closes by itself, or that never hold anything: they do not nest. */
static bool
tag_nests(const char *name, size_t len)
{
    static const char *const flat[] = {"p",   "li",   "td",     "th",    "tr",    "dt",    "dd",
                                       "br",  "hr",   "img",    "input", "meta",  "link",  "option",
                                       "col", "area", "source", "wbr",   "embed", "tbody", "thead"};

    for (size_t i = 0; i < sizeof(flat) / sizeof(flat[0]); i++) {
        if (strlen(flat[i]) == len && strncasecmp(flat[i], name, len) == 0)
            return false;
    }
    return true;
}

/* An upper guess of the nesting, from the tags alone: refuses a bomb before gumbo spends time on
 * it. */
static bool
is_too_deep(struct str html)
{
    size_t depth = 0;

    for (size_t i = 0; i + 1 < html.len; i++) {
        bool closing;
        size_t start, end;

        if (html.ptr[i] != '<')
            continue;
        closing = html.ptr[i + 1] == '/';
        start = i + 1 + closing;
        for (end = start; end < html.len && end - start < 20; end++) {
            if (!((html.ptr[end] | 0x20) >= 'a' && (html.ptr[end] | 0x20) <= 'z') &&
                !(html.ptr[end] >= '0' && html.ptr[end] <= '9'))
                break;
        }
        if (end == start || !tag_nests(html.ptr + start, end - start))
            continue;
        if (closing)
            depth -= depth > 0;
        else if (++depth > MAX_DEPTH)
            return true;
        i = end - 1;
    }
    return false;
}

/* --- what elements are --- */

enum role {
    ROLE_INLINE,
    ROLE_BLOCK,
    ROLE_SKIP, /* with all that is in it */
    ROLE_HEADING,
    ROLE_LIST,
    ROLE_ITEM,
    ROLE_PRE,
    ROLE_TABLE,
    ROLE_ROW,
    ROLE_CELL,
    ROLE_BREAK,
    ROLE_PICTURE
};

/* What is not listed is ROLE_INLINE. The title is taken from <head> before the walk. */
static const unsigned char role_by_tag[GUMBO_TAG_LAST + 1] = {
    [GUMBO_TAG_HEAD] = ROLE_SKIP,        [GUMBO_TAG_SCRIPT] = ROLE_SKIP,
    [GUMBO_TAG_STYLE] = ROLE_SKIP,       [GUMBO_TAG_TEMPLATE] = ROLE_SKIP,
    [GUMBO_TAG_NOSCRIPT] = ROLE_SKIP,    [GUMBO_TAG_NOFRAMES] = ROLE_SKIP,
    [GUMBO_TAG_NAV] = ROLE_SKIP,         [GUMBO_TAG_IFRAME] = ROLE_SKIP,
    [GUMBO_TAG_OBJECT] = ROLE_SKIP,      [GUMBO_TAG_EMBED] = ROLE_SKIP,
    [GUMBO_TAG_SVG] = ROLE_SKIP,         [GUMBO_TAG_CANVAS] = ROLE_SKIP,
    [GUMBO_TAG_AUDIO] = ROLE_SKIP,       [GUMBO_TAG_VIDEO] = ROLE_SKIP,
    [GUMBO_TAG_MAP] = ROLE_SKIP,         [GUMBO_TAG_SELECT] = ROLE_SKIP,
    [GUMBO_TAG_DATALIST] = ROLE_SKIP,    [GUMBO_TAG_TEXTAREA] = ROLE_SKIP,
    [GUMBO_TAG_INPUT] = ROLE_SKIP,       [GUMBO_TAG_H1] = ROLE_HEADING,
    [GUMBO_TAG_H2] = ROLE_HEADING,       [GUMBO_TAG_H3] = ROLE_HEADING,
    [GUMBO_TAG_H4] = ROLE_HEADING,       [GUMBO_TAG_H5] = ROLE_HEADING,
    [GUMBO_TAG_H6] = ROLE_HEADING,       [GUMBO_TAG_UL] = ROLE_LIST,
    [GUMBO_TAG_OL] = ROLE_LIST,          [GUMBO_TAG_MENU] = ROLE_LIST,
    [GUMBO_TAG_DIR] = ROLE_LIST,         [GUMBO_TAG_LI] = ROLE_ITEM,
    [GUMBO_TAG_DD] = ROLE_ITEM,          [GUMBO_TAG_PRE] = ROLE_PRE,
    [GUMBO_TAG_LISTING] = ROLE_PRE,      [GUMBO_TAG_XMP] = ROLE_PRE,
    [GUMBO_TAG_PLAINTEXT] = ROLE_PRE,    [GUMBO_TAG_TABLE] = ROLE_TABLE,
    [GUMBO_TAG_TR] = ROLE_ROW,           [GUMBO_TAG_TD] = ROLE_CELL,
    [GUMBO_TAG_TH] = ROLE_CELL,          [GUMBO_TAG_BR] = ROLE_BREAK,
    [GUMBO_TAG_IMG] = ROLE_PICTURE,      [GUMBO_TAG_ADDRESS] = ROLE_BLOCK,
    [GUMBO_TAG_ARTICLE] = ROLE_BLOCK,    [GUMBO_TAG_ASIDE] = ROLE_BLOCK,
    [GUMBO_TAG_BLOCKQUOTE] = ROLE_BLOCK, [GUMBO_TAG_BODY] = ROLE_BLOCK,
    [GUMBO_TAG_CAPTION] = ROLE_BLOCK,    [GUMBO_TAG_CENTER] = ROLE_BLOCK,
    [GUMBO_TAG_DETAILS] = ROLE_BLOCK,    [GUMBO_TAG_DIV] = ROLE_BLOCK,
    [GUMBO_TAG_DL] = ROLE_BLOCK,         [GUMBO_TAG_DT] = ROLE_BLOCK,
    [GUMBO_TAG_FIELDSET] = ROLE_BLOCK,   [GUMBO_TAG_FIGCAPTION] = ROLE_BLOCK,
    [GUMBO_TAG_FIGURE] = ROLE_BLOCK,     [GUMBO_TAG_FOOTER] = ROLE_BLOCK,
    [GUMBO_TAG_FORM] = ROLE_BLOCK,       [GUMBO_TAG_HEADER] = ROLE_BLOCK,
    [GUMBO_TAG_HGROUP] = ROLE_BLOCK,     [GUMBO_TAG_HR] = ROLE_BLOCK,
    [GUMBO_TAG_HTML] = ROLE_BLOCK,       [GUMBO_TAG_LEGEND] = ROLE_BLOCK,
    [GUMBO_TAG_MAIN] = ROLE_BLOCK,       [GUMBO_TAG_P] = ROLE_BLOCK,
    [GUMBO_TAG_SECTION] = ROLE_BLOCK,    [GUMBO_TAG_SUMMARY] = ROLE_BLOCK,
    [GUMBO_TAG_TBODY] = ROLE_BLOCK,      [GUMBO_TAG_TFOOT] = ROLE_BLOCK,
    [GUMBO_TAG_THEAD] = ROLE_BLOCK,
};

static enum role
role_of_tag(GumboTag tag)
{
    return (enum role)role_by_tag[tag];
}

static struct str
attribute(const GumboNode *node, const char *name)
{
    const GumboAttribute *found = gumbo_get_attribute(&node->v.element.attributes, name);

    return found == NULL ? STR_EMPTY : str_from_c(found->value);
}

static bool
style_hides(struct str style)
{
    static const char *const hiding[] = {"display:none", "visibility:hidden"};
    char compact[256];
    size_t len = 0;

    for (size_t i = 0; i < style.len && len < sizeof(compact); i++) {
        char c = style.ptr[i];

        if (c > ' ')
            compact[len++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    for (size_t i = 0; i < sizeof(hiding) / sizeof(hiding[0]); i++) {
        if (str_find(str_of(compact, len), str_from_c(hiding[i])) >= 0)
            return true;
    }
    return false;
}

static bool
is_hidden(const GumboNode *node)
{
    return gumbo_get_attribute(&node->v.element.attributes, "hidden") != NULL ||
           str_eq_nocase(attribute(node, "aria-hidden"), STR("true")) ||
           str_eq_nocase(attribute(node, "role"), STR("navigation")) ||
           style_hides(attribute(node, "style"));
}

static bool
is_element(const GumboNode *node)
{
    return node->type == GUMBO_NODE_ELEMENT || node->type == GUMBO_NODE_TEMPLATE;
}

static enum role
role_of(const GumboNode *node)
{
    if (!is_element(node))
        return ROLE_INLINE;
    return is_hidden(node) ? ROLE_SKIP : role_of_tag(node->v.element.tag);
}

/* --- walking --- */

static const GumboVector *
children_of(const GumboNode *node)
{
    if (node->type == GUMBO_NODE_DOCUMENT)
        return &node->v.document.children;
    return is_element(node) ? &node->v.element.children : NULL;
}

/* The node after this one and its children, within root; NULL at the end. on_leave (may be NULL) is
 * told of every element whose end is passed, this one included. */
static const GumboNode *
next_after(const GumboNode *node, const GumboNode *root,
           void (*on_leave)(const GumboNode *node, void *context), void *context)
{
    for (; node != NULL; node = node->parent) {
        const GumboVector *siblings;

        if (on_leave != NULL)
            on_leave(node, context);
        if (node == root)
            return NULL;
        siblings = children_of(node->parent);
        if (node->index_within_parent + 1 < siblings->length)
            return siblings->data[node->index_within_parent + 1];
    }
    return NULL;
}

static const GumboNode *
next_of(const GumboNode *node, const GumboNode *root)
{
    const GumboVector *children = children_of(node);

    if (children != NULL && children->length > 0)
        return children->data[0];
    return next_after(node, root, NULL, NULL);
}

struct list_level {
    bool ordered;
    unsigned number;
};

struct walk {
    struct document *document;
    struct buf text; /* of the block being gathered; of the whole row inside a table */
    bool space_pending;
    unsigned pre_depth;
    unsigned heading; /* level, 0 outside */
    unsigned list_depth;
    struct list_level lists[MAX_LIST_DEPTH];
    char marker[16];        /* of an item whose text has not begun; "" else */
    const GumboNode *table; /* the data table we are in, or NULL */
    const GumboNode *row;
    unsigned cells, head_cells;
    size_t scan_budget; /* nodes that telling layout tables apart may still look at */
};

static void
flush(struct walk *walk)
{
    struct str text = buf_str(&walk->text);

    walk->space_pending = false;
    if (walk->row != NULL || str_trim(text).len == 0) {
        if (walk->row == NULL)
            buf_clear(&walk->text);
        else
            walk->space_pending = true; /* a border inside a cell is a space */
        return;
    }
    if (walk->text.failed)
        walk->document->out.failed = true;
    if (walk->heading != 0)
        document_block(walk->document, EXTRACT_HEADING, walk->heading, text);
    else if (walk->pre_depth > 0)
        document_block(walk->document, EXTRACT_CODE, 0, text);
    else if (walk->marker[0] != '\0')
        document_block(walk->document, EXTRACT_LIST_ITEM,
                       walk->list_depth == 0 ? 1 : walk->list_depth, text);
    else
        document_block(walk->document, EXTRACT_PARAGRAPH, 0, text);
    walk->marker[0] = '\0';
    buf_clear(&walk->text);
}

static void
begin_text(struct walk *walk)
{
    if (walk->text.len == 0 && walk->marker[0] != '\0' && walk->heading == 0 &&
        walk->pre_depth == 0 && walk->row == NULL)
        buf_append_c(&walk->text, walk->marker);
    else if (walk->space_pending && walk->text.len > 0 &&
             strchr(" \n\t", walk->text.ptr[walk->text.len - 1]) == NULL)
        buf_append_byte(&walk->text, ' ');
    walk->space_pending = false;
}

static void
add_text(struct walk *walk, struct str text)
{
    if (walk->pre_depth > 0 && walk->row == NULL) {
        buf_append(&walk->text, text);
        return;
    }
    while (text.len > 0) {
        size_t len = 0;

        while (len < text.len && strchr(" \t\r\n\f", text.ptr[len]) == NULL)
            len++;
        if (len > 0) {
            begin_text(walk);
            buf_append(&walk->text, str_sub(text, 0, len));
        }
        if (len < text.len) {
            walk->space_pending = true;
            len++;
        }
        text = str_sub(text, len, text.len);
    }
}

/* A table that holds headings or tables lays out the page: its cells are blocks like any other. */
static bool
is_data_table(struct walk *walk, const GumboNode *table)
{
    for (const GumboNode *node = next_of(table, table); node != NULL; node = next_of(node, table)) {
        if (walk->scan_budget == 0)
            return false;
        walk->scan_budget--;
        if (is_element(node) && (node->v.element.tag == GUMBO_TAG_TABLE ||
                                 role_of_tag(node->v.element.tag) == ROLE_HEADING))
            return false;
    }
    return true;
}

static void
enter_list(struct walk *walk, const GumboNode *node)
{
    int64_t start = 1;

    flush(walk);
    if (walk->list_depth < MAX_LIST_DEPTH) {
        struct list_level *level = &walk->lists[walk->list_depth];

        if (!str_to_i64(attribute(node, "start"), &start) || start < 0 || start > 1000000)
            start = 1;
        *level = (struct list_level){node->v.element.tag == GUMBO_TAG_OL, (unsigned)start};
    }
    walk->list_depth++;
}

static void
enter_item(struct walk *walk)
{
    struct list_level *level = NULL;

    flush(walk);
    if (walk->list_depth > 0 && walk->list_depth <= MAX_LIST_DEPTH)
        level = &walk->lists[walk->list_depth - 1];
    if (level != NULL && level->ordered)
        snprintf(walk->marker, sizeof(walk->marker), "%u. ", level->number++);
    else
        snprintf(walk->marker, sizeof(walk->marker), "- ");
}

static void
enter_cell(struct walk *walk, const GumboNode *node)
{
    if (walk->row == NULL) {
        flush(walk);
        return;
    }
    walk->space_pending = false;
    if (walk->cells++ > 0)
        buf_append_byte(&walk->text, '\t');
    walk->head_cells += node->v.element.tag == GUMBO_TAG_TH;
}

static void
enter(struct walk *walk, const GumboNode *node, enum role role)
{
    switch (role) {
    case ROLE_HEADING:
        flush(walk);
        walk->marker[0] = '\0';
        if (walk->row == NULL)
            walk->heading = (unsigned)(node->v.element.tag - GUMBO_TAG_H1) + 1;
        break;
    case ROLE_LIST:
        enter_list(walk, node);
        break;
    case ROLE_ITEM:
        enter_item(walk);
        break;
    case ROLE_PRE:
        flush(walk);
        walk->pre_depth++;
        break;
    case ROLE_TABLE:
        flush(walk);
        if (walk->table == NULL && is_data_table(walk, node))
            walk->table = node;
        break;
    case ROLE_ROW:
        flush(walk);
        if (walk->table != NULL) {
            walk->row = node;
            walk->cells = walk->head_cells = 0;
        }
        break;
    case ROLE_CELL:
        enter_cell(walk, node);
        break;
    case ROLE_BREAK:
        if (walk->text.len > 0 && walk->row == NULL && walk->heading == 0)
            buf_append_byte(&walk->text, '\n');
        walk->space_pending = walk->row != NULL || walk->heading != 0;
        break;
    case ROLE_PICTURE:
        add_text(walk, attribute(node, "alt"));
        break;
    case ROLE_BLOCK:
        flush(walk);
        break;
    case ROLE_INLINE:
    case ROLE_SKIP:
        break;
    }
}

static bool
in_table_head(const GumboNode *row)
{
    return row->parent != NULL && is_element(row->parent) &&
           row->parent->v.element.tag == GUMBO_TAG_THEAD;
}

static void
leave_row(struct walk *walk)
{
    bool is_head = in_table_head(walk->row) || (walk->cells > 1 && walk->head_cells == walk->cells);

    walk->row = NULL;
    walk->space_pending = false;
    if (walk->text.failed)
        walk->document->out.failed = true;
    document_block(walk->document, EXTRACT_TABLE_ROW, is_head, buf_str(&walk->text));
    buf_clear(&walk->text);
}

static void
leave(const GumboNode *node, void *context)
{
    struct walk *walk = context;
    enum role role = role_of(node);

    if (role == ROLE_INLINE || role == ROLE_SKIP || role == ROLE_BREAK || role == ROLE_PICTURE)
        return;
    if (node == walk->row) {
        leave_row(walk);
        return;
    }
    flush(walk);
    if (role == ROLE_HEADING)
        walk->heading = 0;
    else if (role == ROLE_LIST)
        walk->list_depth--;
    else if (role == ROLE_ITEM)
        walk->marker[0] = '\0';
    else if (role == ROLE_PRE)
        walk->pre_depth--;
    else if (node == walk->table)
        walk->table = NULL;
}

static void
walk_tree(struct walk *walk, const GumboNode *root)
{
    const GumboNode *node = root;

    while (node != NULL) {
        enum role role = role_of(node);
        const GumboVector *children = children_of(node);

        if (role == ROLE_SKIP) {
            node = next_after(node, root, leave, walk);
            continue;
        }
        if (node->type == GUMBO_NODE_TEXT || node->type == GUMBO_NODE_WHITESPACE ||
            node->type == GUMBO_NODE_CDATA)
            add_text(walk, str_from_c(node->v.text.text));
        else if (is_element(node))
            enter(walk, node, role);
        if (children != NULL && children->length > 0)
            node = children->data[0];
        else
            node = next_after(node, root, leave, walk);
    }
    flush(walk);
}

/* --- the title --- */

static void
append_node_text(const GumboNode *root, struct buf *out)
{
    for (const GumboNode *node = next_of(root, root); node != NULL; node = next_of(node, root)) {
        if (node->type == GUMBO_NODE_TEXT || node->type == GUMBO_NODE_WHITESPACE)
            buf_append_c(out, node->v.text.text);
    }
}

/* A page's only h1 names it better than <title>, which adds the site's name. */
static void
take_title(struct document *document, const GumboNode *root)
{
    const GumboNode *title = NULL;
    const GumboNode *h1 = NULL;
    unsigned h1_count = 0;
    struct buf text, words;
    struct str rest, word;

    for (const GumboNode *node = root; node != NULL; node = next_of(node, root)) {
        if (!is_element(node))
            continue;
        if (node->v.element.tag == GUMBO_TAG_TITLE && title == NULL &&
            node->v.element.tag_namespace == GUMBO_NAMESPACE_HTML)
            title = node;
        if (node->v.element.tag == GUMBO_TAG_H1 && h1_count++ == 0)
            h1 = node;
    }
    if (h1_count == 1)
        title = h1;
    if (title == NULL)
        return;
    buf_init(&text, 4096);
    buf_init(&words, 4096);
    append_node_text(title, &text);
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\t\r\n\f", text.ptr[i]) != NULL)
            text.ptr[i] = ' ';
    }
    rest = buf_str(&text);
    while (str_split(&rest, ' ', &word)) {
        if (word.len == 0)
            continue;
        if (words.len > 0)
            buf_append_byte(&words, ' ');
        buf_append(&words, word);
    }
    document_title(document, buf_str(&words));
    buf_deinit(&text);
    buf_deinit(&words);
}

/* --- labels --- */

static const GumboNode *
head_of(const GumboNode *html)
{
    const GumboVector *children = children_of(html);

    for (unsigned i = 0; children != NULL && i < children->length; i++) {
        const GumboNode *child = children->data[i];

        if (is_element(child) && child->v.element.tag == GUMBO_TAG_HEAD)
            return child;
    }
    return NULL;
}

/* Of the head alone: what stands further down may be the words of others than the page's author. */
static void
take_labels(struct document *document, const GumboNode *head)
{
    for (const GumboNode *node = head; node != NULL; node = next_of(node, head)) {
        struct str name, content;

        if (!is_element(node) || node->v.element.tag != GUMBO_TAG_META)
            continue;
        name = attribute(node, "property");
        if (name.len == 0)
            name = attribute(node, "name");
        content = attribute(node, "content");
        if (str_eq_nocase(name, STR("article:section")))
            document_label(document, EXTRACT_CATEGORY, content);
        else if (str_eq_nocase(name, STR("date")) ||
                 str_eq_nocase(name, STR("article:published_time")))
            document_label(document, EXTRACT_DATE, content);
    }
}

static void
read_tree(const GumboOutput *tree, size_t html_len, struct document *document)
{
    struct walk walk = {.document = document, .scan_budget = 4 * html_len + 1000};

    buf_init(&walk.text, BLOCK_MAX_BYTES);
    document_language(document, attribute(tree->root, "lang"));
    take_title(document, tree->root);
    take_labels(document, head_of(tree->root));
    walk_tree(&walk, tree->root);
    buf_deinit(&walk.text);
}

typedef void (*tree_reader)(const GumboOutput *tree, size_t html_len, struct document *document);

static enum status
read_with(tree_reader read, struct str utf8, size_t max_memory_bytes, struct document *document,
          struct err *err)
{
    struct tree_memory memory = {.arena = NULL};
    GumboOutput *tree;
    enum status st = ST_OK;

    if (utf8.len > UINT32_MAX / 2 || is_too_deep(utf8))
        return err_set(err, ST_TOO_LARGE, "Its elements are nested too deeply to be a page.");
    memory.arena = arena_create(max_memory_bytes);
    tree = parse_tree(utf8.ptr == NULL ? STR("") : utf8, &memory);
    if (tree == NULL)
        st = err_set(err, ST_TOO_LARGE, "It has too many elements to be read.");
    else
        read(tree, utf8.len, document);
    arena_destroy(&memory.arena);
    return st == ST_OK ? document_check(document, err) : st;
}

enum status
html_read(struct str utf8, size_t max_memory_bytes, struct document *document, struct err *err)
{
    return read_with(read_tree, utf8, max_memory_bytes, document, err);
}

/* --- what it names --- */

static bool
has_word(struct str words, struct str wanted)
{
    struct str word;

    while (str_split(&words, ' ', &word))
        if (str_eq_nocase(str_trim(word), wanted))
            return true;
    return false;
}

static void
append_wish(const GumboNode *node, struct buf *robots)
{
    struct str name = attribute(node, "name");

    if (!str_eq_nocase(name, STR("robots")) && !str_eq_nocase(name, STR("parley")))
        return;
    if (robots->len > sizeof(LINKS_ROBOTS) - 1)
        buf_append_byte(robots, ',');
    buf_append(robots, attribute(node, "content"));
}

static void
read_links(const GumboOutput *tree, size_t html_len, struct document *document)
{
    const GumboNode *base = NULL;
    struct buf robots;
    size_t count = 0;

    (void)html_len;
    buf_init(&robots, 1024);
    buf_append_c(&robots, LINKS_ROBOTS);
    for (const GumboNode *node = tree->root; node != NULL; node = next_of(node, tree->root)) {
        if (is_element(node) && node->v.element.tag == GUMBO_TAG_META)
            append_wish(node, &robots);
        else if (is_element(node) && node->v.element.tag == GUMBO_TAG_BASE && base == NULL)
            base = node;
    }
    document_block(document, EXTRACT_HEADING, LINKS_LEVEL_ROBOTS, buf_str(&robots));
    if (base != NULL)
        document_block(document, EXTRACT_HEADING, LINKS_LEVEL_BASE, attribute(base, "href"));
    for (const GumboNode *node = tree->root; node != NULL && count < LINKS_MAX;
         node = next_of(node, tree->root)) {
        if (!is_element(node) || node->v.element.tag != GUMBO_TAG_A ||
            has_word(attribute(node, "rel"), STR("nofollow")))
            continue;
        document_block(document, EXTRACT_PARAGRAPH, 0, attribute(node, "href"));
        count++;
    }
    buf_deinit(&robots);
}

/* --- the format --- */

/* charset=... within the first kilobyte: <meta charset> or <meta http-equiv>. */
static struct str
declared_charset(struct str bytes)
{
    struct str head = str_sub(bytes, 0, 1024);

    for (size_t i = 0; i + 8 < head.len; i++) {
        size_t start, end;

        if (strncasecmp(head.ptr + i, "charset=", 8) != 0)
            continue;
        for (start = i + 8; start < head.len && strchr("\"' ", head.ptr[start]) != NULL; start++)
            continue;
        for (end = start; end < head.len && strchr("\"' />;", head.ptr[end]) == NULL; end++)
            continue;
        return str_sub(head, start, end - start);
    }
    return STR_EMPTY;
}

static enum status
read_bytes(const struct format_input *input, tree_reader read, struct document *document,
           struct err *err)
{
    struct buf scratch;
    struct str text;
    const char *charset = "utf-8";
    enum status st;

    buf_init(&scratch, 3 * input->bytes.len + 16);
    st = charset_to_utf8(input->bytes,
                         input->charset.len > 0 ? input->charset : declared_charset(input->bytes),
                         &scratch, &text, &charset, err);
    if (st == ST_OK && strcmp(charset, "utf-8") != 0)
        document_charset(document, str_from_c(charset));
    if (st == ST_OK)
        st = read_with(read, text, input->max_memory_bytes, document, err);
    buf_deinit(&scratch);
    return st;
}

enum status
format_read_html(const struct format_input *input, struct document *document, struct err *err)
{
    return read_bytes(input, read_tree, document, err);
}

enum status
format_read_html_links(const struct format_input *input, struct document *document, struct err *err)
{
    return read_bytes(input, read_links, document, err);
}
