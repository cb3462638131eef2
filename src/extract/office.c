/*
 * office.c - opening packages, following relationships
 */
#include "extract/office.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RELATIONS 20000

bool
office_keep(struct str text, char *out, size_t size)
{
    bool fits = text.len < size && (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL);

    if (fits && text.len > 0)
        memcpy(out, text.ptr, text.len);
    out[fits ? text.len : 0] = '\0';
    return fits;
}

enum status
office_read(struct office *office, struct str name, const struct xml_handler *handler, void *arg,
            struct err *err)
{
    struct buf part;
    enum status st;

    buf_init(&part, (size_t)1 << 30); /* the archive's budget is the limit */
    st = zip_archive_read(office->archive, name, &part, err);
    if (st == ST_OK)
        st = xml_read(buf_str(&part), handler, arg, err);
    buf_deinit(&part);
    return st;
}

enum status
office_read_optional(struct office *office, struct str name, const struct xml_handler *handler,
                     void *arg, struct err *err)
{
    enum status st = office_read(office, name, handler, arg, err);

    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* --- relationships --- */

struct relations_reading {
    struct office_relations *relations;
    const char *folder; /* of the part whose relationships these are, with its slash */
    const char *wanted_type_end;
    size_t capacity;
};

/* "../a/b" climbs out of the folder, "/a/b" begins at the root. */
static bool
resolve(const char *folder, struct str target, char *out)
{
    size_t folder_len = strlen(folder);

    if (str_starts_with(target, STR("/")))
        return office_keep(str_sub(target, 1, target.len), out, OFFICE_PATH_MAX);
    while (str_starts_with(target, STR("../"))) {
        target = str_sub(target, 3, target.len);
        if (folder_len > 0)
            folder_len--;
        while (folder_len > 0 && folder[folder_len - 1] != '/')
            folder_len--;
    }
    if (folder_len + target.len >= OFFICE_PATH_MAX)
        return false;
    memcpy(out, folder, folder_len);
    return office_keep(target, out + folder_len, OFFICE_PATH_MAX - folder_len);
}

static void
on_relation(void *arg, struct str name, const char **attributes)
{
    struct relations_reading *reading = arg;
    struct office_relations *relations = reading->relations;
    struct office_relation relation = {"", ""};

    if (!str_eq_c(name, "Relationship") || relations->count >= MAX_RELATIONS ||
        str_eq_c(xml_attribute(attributes, "TargetMode"), "External") ||
        !str_ends_with(xml_attribute(attributes, "Type"), str_from_c(reading->wanted_type_end)) ||
        !office_keep(xml_attribute(attributes, "Id"), relation.id, sizeof(relation.id)) ||
        !resolve(reading->folder, xml_attribute(attributes, "Target"), relation.target))
        return;
    if (relations->count == reading->capacity) {
        reading->capacity = reading->capacity == 0 ? 16 : 2 * reading->capacity;
        relations->items = reallocarray(relations->items, reading->capacity, sizeof(relation));
        if (relations->items == NULL)
            abort();
    }
    relations->items[relations->count++] = relation;
}

static enum status
read_relations(struct office *office, struct str part, const char *folder, const char *type_end,
               struct office_relations *out, struct err *err)
{
    static const struct xml_handler handler = {.start = on_relation};
    struct relations_reading reading = {
        .relations = out, .folder = folder, .wanted_type_end = type_end};

    *out = (struct office_relations){NULL, 0};
    return office_read_optional(office, part, &handler, &reading, err);
}

void
office_relations_deinit(struct office_relations *relations)
{
    free(relations->items);
    *relations = (struct office_relations){NULL, 0};
}

const char *
office_relation_target(const struct office_relations *relations, struct str id)
{
    for (size_t i = 0; i < relations->count; i++) {
        if (str_eq_c(id, relations->items[i].id))
            return relations->items[i].target;
    }
    return NULL;
}

static size_t
folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

enum status
office_relations_read(struct office *office, struct office_relations *out, struct err *err)
{
    char folder[OFFICE_PATH_MAX], part[2 * OFFICE_PATH_MAX + 16];
    size_t len = folder_len(office->main);

    memcpy(folder, office->main, len);
    folder[len] = '\0';
    snprintf(part, sizeof(part), "%s_rels/%s.rels", folder, office->main + len);
    return read_relations(office, str_from_c(part), folder, "", out, err);
}

bool
office_beside_main(const struct office *office, const char *name, char *path_out)
{
    size_t len = folder_len(office->main);

    if (len + strlen(name) >= OFFICE_PATH_MAX)
        return false;
    memcpy(path_out, office->main, len);
    memcpy(path_out + len, name, strlen(name) + 1);
    return true;
}

/* --- the package --- */

enum status
office_open(const struct format_input *input, const char *main, struct office *office_out,
            struct err *err)
{
    struct office_relations relations;
    struct office office = {NULL, ""};
    enum status st;

    *office_out = office;
    /* An encrypted package is no archive but an OLE file that hides one; so is a file of before
     * 2007. */
    if (str_starts_with(input->bytes, STR("\xd0\xcf\x11\xe0")))
        return err_set(err, ST_INVALID,
                       "It is protected by a password, or saved in the format of before 2007.");
    st = zip_archive_open(input->bytes, input->max_memory_bytes, &office.archive, err);
    if (st != ST_OK)
        return st;
    st = read_relations(&office, STR("_rels/.rels"), "", "/officeDocument", &relations, err);
    if (st == ST_OK)
        (void)office_keep(str_from_c(relations.count > 0 ? relations.items[0].target : main),
                          office.main, sizeof(office.main));
    office_relations_deinit(&relations);
    if (st != ST_OK) {
        office_close(&office);
        return st;
    }
    *office_out = office;
    return ST_OK;
}

void
office_close(struct office *office)
{
    zip_archive_close(&office->archive);
}

/* --- properties --- */

struct properties {
    struct buf title, language, category, modified, created;
    struct buf *into; /* NULL: in neither */
};

static void
on_property(void *arg, struct str name, const char **attributes)
{
    struct properties *properties = arg;

    (void)attributes;
    properties->into = NULL;
    if (str_eq_c(name, "title"))
        properties->into = &properties->title;
    else if (str_eq_c(name, "language"))
        properties->into = &properties->language;
    else if (str_eq_c(name, "category"))
        properties->into = &properties->category;
    else if (str_eq_c(name, "modified"))
        properties->into = &properties->modified;
    else if (str_eq_c(name, "created"))
        properties->into = &properties->created;
}

static void
on_property_end(void *arg, struct str name)
{
    struct properties *properties = arg;

    (void)name;
    properties->into = NULL;
}

static void
on_property_text(void *arg, struct str text)
{
    struct properties *properties = arg;

    if (properties->into != NULL)
        buf_append(properties->into, text);
}

enum status
office_read_properties(struct office *office, struct document *document, struct err *err)
{
    static const struct xml_handler handler = {on_property, on_property_end, on_property_text};
    struct properties properties = {.into = NULL};
    enum status st;

    buf_init(&properties.title, 4096);
    buf_init(&properties.language, 64);
    buf_init(&properties.category, 4096);
    buf_init(&properties.modified, 64);
    buf_init(&properties.created, 64);
    st = office_read_optional(office, STR("docProps/core.xml"), &handler, &properties, err);
    if (st == ST_OK) {
        document_title(document, buf_str(&properties.title));
        document_language(document, buf_str(&properties.language));
        document_label(document, EXTRACT_CATEGORY, buf_str(&properties.category));
        document_label(document, EXTRACT_DATE, buf_str(&properties.modified));
        document_label(document, EXTRACT_DATE, buf_str(&properties.created));
    }
    buf_deinit(&properties.title);
    buf_deinit(&properties.language);
    buf_deinit(&properties.category);
    buf_deinit(&properties.modified);
    buf_deinit(&properties.created);
    return st;
}
