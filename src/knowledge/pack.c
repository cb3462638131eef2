/*
 * pack.c - the manifest of a brand pack, read in the sandbox like everything that is uploaded
 */
#include "knowledge/content_type.h"
#include "knowledge/knowledge_private.h"

#define PACK_ARENA_MAX_BYTES ((size_t)256 * 1024 * 1024)

/* "brand.json" or "acme/brand.json". */
bool
pack_is_manifest(struct str path)
{
    ptrdiff_t slash = str_find_byte(path, '/');
    struct str rest = slash < 0 ? path : str_sub(path, (size_t)slash + 1, path.len);

    return str_eq_c(rest, PACK_MANIFEST);
}

static enum status
find_manifest(const struct extracted *extracted, struct arena *arena, struct str *manifest_out,
              struct err *err)
{
    for (size_t i = 0; i < extracted->member_count; i++) {
        const struct extract_member *member = &extracted->members[i];

        if (!pack_is_manifest(member->path))
            continue;
        if (member->failure.len > 0)
            return err_set(err, ST_INVALID, PACK_MANIFEST ": %.*s", STR_ARG(member->failure));
        *manifest_out = arena_str(arena, member->bytes);
        return ST_OK;
    }
    return err_set(err, ST_INVALID, "The archive has no " PACK_MANIFEST " at its root.");
}

enum status
pack_manifest_read(struct knowledge *knowledge, struct str content_type, const char *file,
                   struct arena *arena, struct str *manifest_out, struct err *err)
{
    struct arena *work = arena_create(PACK_ARENA_MAX_BYTES);
    struct buf content;
    struct extracted extracted;
    enum status st;

    buf_init(&content, knowledge->max_document_bytes + 65536);
    st = document_file_read(file, knowledge->max_document_bytes, &content, err);
    if (st == ST_OK && content.len > knowledge->max_document_bytes)
        st = err_set(err, ST_TOO_LARGE, "The pack is larger than %zu MB.",
                     knowledge->max_document_bytes >> 20);
    if (st == ST_OK && !content_type_is_container(content_type))
        st = err_set(err, ST_INVALID,
                     "A brand pack is an archive: pack.zip, pack.tar, pack.tar.gz.");
    if (st == ST_OK)
        st = extractor_run(knowledge->extractor, content_type, buf_str(&content), work, &extracted,
                           err);
    if (st == ST_OK)
        st = find_manifest(&extracted, arena, manifest_out, err);
    buf_deinit(&content);
    arena_destroy(&work);
    return st;
}
