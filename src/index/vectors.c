/*
 * vectors.c - which vectors are in memory: views, their batches, the limit
 */
#include "index/vectors.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "index/scan.h"

#define ORGANIZATIONS_MAX 100000
#define LOAD_MAX_BYTES ((size_t)256 << 20) /* of codes of one batch, or of the list of batches */
#define SCAN_BLOCK 256

static struct metric vector_bytes = {
    .name = "parley_index_vector_bytes",
    .help = "Memory of the sentence vectors that are kept for searching",
    .kind = METRIC_GAUGE,
};

/* Chunks of one partition, one after the other. */
struct run {
    int64_t partition_id;
    size_t start, count;
};

struct vector_batch {
    atomic_uint refs;
    int64_t batch;
    size_t count, run_count, bytes;
    struct run *runs;
    int64_t *chunk_ids;
    float *steps;
    struct scan_nearly *nearly;
    uint8_t *rows, *signs;
};

struct vector_view {
    atomic_uint refs;
    int64_t generation;
    int64_t vector_count;
    size_t batch_count, bytes;
    bool too_large;
    bool complete;                 /* every passage had a vector when it was loaded */
    struct vector_batch **batches; /* ascending */
};

struct kept {
    struct vector_view *view; /* NULL: none yet */
    bool loading;
    uint64_t used; /* the greater the later */
};

struct index_vectors {
    char *encoder_bytes;
    struct str encoder; /* of them */
    unsigned dimension;
    size_t row_bytes, max_bytes;
    const struct scan_kernel *kernel;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t loaded;
    struct map organizations; /* id -> struct kept */
    uint64_t uses;
    size_t bytes; /* of kept views; a batch that several have counts once a view */
};

static void *
allocate(size_t size, size_t alignment)
{
    void *memory = NULL;

    if (posix_memalign(&memory, alignment, size == 0 ? alignment : size) != 0)
        abort();
    return memory;
}

/* --- batches and views --- */

static void
batch_unref(struct vector_batch *batch)
{
    if (atomic_fetch_sub(&batch->refs, 1) > 1)
        return;
    free(batch->runs);
    free(batch->chunk_ids);
    free(batch->steps);
    free(batch->nearly);
    free(batch->rows);
    free(batch->signs);
    free(batch);
}

static void
view_unref(struct vector_view *view)
{
    if (view == NULL || atomic_fetch_sub(&view->refs, 1) > 1)
        return;
    for (size_t i = 0; i < view->batch_count; i++)
        batch_unref(view->batches[i]);
    free(view->batches);
    free(view);
}

void
vector_view_unref(struct vector_view **view)
{
    view_unref(*view);
    *view = NULL;
}

static int
code_compare(const void *a, const void *b)
{
    const struct index_code *left = a, *right = b;

    if (left->partition_id != right->partition_id)
        return left->partition_id < right->partition_id ? -1 : 1;
    return (left->chunk_id > right->chunk_id) - (left->chunk_id < right->chunk_id);
}

static enum status
batch_fill(const struct index_vectors *vectors, struct vector_batch *batch,
           const struct index_code *codes, size_t count, struct err *err)
{
    batch->runs = allocate(count * sizeof(*batch->runs), sizeof(void *));
    batch->chunk_ids = allocate(count * sizeof(*batch->chunk_ids), sizeof(void *));
    batch->steps = allocate(count * sizeof(*batch->steps), sizeof(void *));
    batch->nearly = allocate(count * sizeof(*batch->nearly), sizeof(void *));
    batch->rows = allocate(count * vectors->row_bytes, SCAN_ROW_ALIGNMENT);
    batch->signs = allocate(count * vectors->row_bytes / 8, SCAN_ROW_ALIGNMENT);
    batch->bytes =
        count * (vectors->row_bytes + vectors->row_bytes / 8 + sizeof(*batch->chunk_ids) +
                 sizeof(*batch->steps) + sizeof(*batch->nearly));
    for (size_t i = 0; i < count; i++) {
        struct run *run = &batch->runs[batch->run_count == 0 ? 0 : batch->run_count - 1];

        if (batch->run_count == 0 || run->partition_id != codes[i].partition_id) {
            run = &batch->runs[batch->run_count++];
            *run = (struct run){codes[i].partition_id, i, 0};
        }
        run->count++;
        batch->chunk_ids[i] = codes[i].chunk_id;
        if (!scan_row(codes[i].code, vectors->dimension, batch->rows + i * vectors->row_bytes,
                      &batch->steps[i]))
            return err_set_detail(err, ST_INTERNAL, "chunk %lld has a vector of another length",
                                  (long long)codes[i].chunk_id);
        scan_signs(batch->rows + i * vectors->row_bytes, batch->steps[i], vectors->dimension,
                   batch->signs + i * vectors->row_bytes / 8, &batch->nearly[i]);
        batch->count++;
    }
    return ST_OK;
}

static enum status
batch_load(const struct index_vectors *vectors, struct store_tx *tx, int64_t number,
           struct arena *scratch, struct vector_batch **batch_out, struct err *err)
{
    struct vector_batch *batch = calloc(1, sizeof(*batch));
    struct index_code *codes = NULL;
    size_t count = 0;
    enum status st;

    if (batch == NULL)
        abort();
    atomic_init(&batch->refs, 1);
    batch->batch = number;
    arena_reset(scratch);
    st = index_driver_of(tx)->code_list(tx, number, scratch, &codes, &count, err);
    if (st == ST_OK && count > 0) {
        qsort(codes, count, sizeof(*codes), code_compare);
        st = batch_fill(vectors, batch, codes, count, err);
    }
    if (st != ST_OK) {
        batch_unref(batch);
        return st;
    }
    *batch_out = batch;
    return ST_OK;
}

/* The old view's, when it has it; both lists ascend. */
static struct vector_batch *
batch_known(const struct vector_view *old, int64_t number, size_t *at)
{
    if (old == NULL)
        return NULL;
    while (*at < old->batch_count && old->batches[*at]->batch < number)
        (*at)++;
    if (*at == old->batch_count || old->batches[*at]->batch != number)
        return NULL;
    atomic_fetch_add(&old->batches[*at]->refs, 1);
    return old->batches[*at];
}

static enum status
view_fill(const struct index_vectors *vectors, struct store_tx *tx, const struct vector_view *old,
          struct vector_view *view, struct err *err)
{
    struct arena *lists = arena_create(LOAD_MAX_BYTES), *scratch = arena_create(LOAD_MAX_BYTES);
    struct index_batch *batches = NULL;
    size_t count = 0, at = 0;
    enum status st =
        index_driver_of(tx)->batch_list(tx, vectors->encoder, lists, &batches, &count, err);

    for (size_t i = 0; st == ST_OK && i < count; i++)
        view->vector_count += batches[i].chunk_count;
    view->too_large = (size_t)view->vector_count > vectors->max_bytes / vectors->row_bytes;
    if (st == ST_OK && !view->too_large) {
        view->batches = allocate(count * sizeof(struct vector_batch *), sizeof(void *));
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            struct vector_batch *batch = batch_known(old, batches[i].batch, &at);

            if (batch == NULL)
                st = batch_load(vectors, tx, batches[i].batch, scratch, &batch, err);
            if (st != ST_OK)
                break;
            view->batches[view->batch_count++] = batch;
            view->bytes += batch->bytes;
        }
    }
    arena_destroy(&scratch);
    arena_destroy(&lists);
    return st;
}

static enum status
view_load(const struct index_vectors *vectors, struct store_tx *tx, struct str organization,
          const struct vector_view *old, int64_t generation, struct vector_view **view_out,
          struct err *err)
{
    struct vector_view *view = calloc(1, sizeof(*view));
    enum status st;

    if (view == NULL)
        abort();
    atomic_init(&view->refs, 1);
    view->generation = generation;
    st = view_fill(vectors, tx, old, view, err);
    if (st != ST_OK) {
        view_unref(view);
        return st;
    }
    if (view->too_large && (old == NULL || !old->too_large))
        LOG(LOG_WARN, "index.vectors_too_large", log_str("organization_id", organization),
            log_int("vectors", view->vector_count));
    *view_out = view;
    return ST_OK;
}

/* --- what is kept --- */

enum status
index_vectors_create(const struct index_vectors_config *config, struct index_vectors **vectors_out,
                     struct err *err)
{
    const struct scan_kernel *kernel =
        config->kernel == NULL ? scan_kernel_best() : scan_kernel_find(str_from_c(config->kernel));
    struct index_vectors *vectors;

    *vectors_out = NULL;
    if (kernel == NULL)
        return err_set(err, ST_INVALID, "no kernel \"%s\" on this processor", config->kernel);
    vectors = calloc(1, sizeof(*vectors));
    if (vectors == NULL)
        abort();
    vectors->encoder_bytes = calloc(1, config->encoder.len + 1);
    if (vectors->encoder_bytes == NULL)
        abort();
    memcpy(vectors->encoder_bytes, config->encoder.ptr, config->encoder.len);
    vectors->encoder = str_of(vectors->encoder_bytes, config->encoder.len);
    vectors->dimension = config->dimension;
    vectors->row_bytes = scan_row_bytes(config->dimension);
    vectors->max_bytes = config->max_bytes;
    vectors->kernel = kernel;
    pthread_mutex_init(&vectors->lock, NULL);
    pthread_cond_init(&vectors->loaded, NULL);
    map_init(&vectors->organizations, ORGANIZATIONS_MAX);
    *vectors_out = vectors;
    return ST_OK;
}

void
index_vectors_destroy(struct index_vectors **vectors_ref)
{
    struct index_vectors *vectors = *vectors_ref;
    struct map_entry *entry;

    if (vectors == NULL)
        return;
    *vectors_ref = NULL;
    MAP_FOREACH (&vectors->organizations, entry) {
        struct kept *kept = entry->value;

        view_unref(kept->view);
        free(kept);
    }
    map_deinit(&vectors->organizations);
    pthread_cond_destroy(&vectors->loaded);
    pthread_mutex_destroy(&vectors->lock);
    free(vectors->encoder_bytes);
    free(vectors);
}

size_t
index_vectors_bytes(struct index_vectors *vectors)
{
    size_t bytes;

    pthread_mutex_lock(&vectors->lock);
    bytes = vectors->bytes;
    pthread_mutex_unlock(&vectors->lock);
    return bytes;
}

struct str
vectors_encoder(const struct index_vectors *vectors)
{
    return vectors->encoder;
}

unsigned
vectors_dimension(const struct index_vectors *vectors)
{
    return vectors->dimension;
}

/* Locked. What was searched longest ago goes first; the one that was just loaded stays. */
static void
make_room(struct index_vectors *vectors, const struct kept *newest)
{
    while (vectors->bytes > vectors->max_bytes) {
        struct kept *oldest = NULL;
        struct map_entry *entry;

        MAP_FOREACH (&vectors->organizations, entry) {
            struct kept *kept = entry->value;

            if (kept != newest && kept->view != NULL && kept->view->bytes > 0 &&
                (oldest == NULL || kept->used < oldest->used))
                oldest = kept;
        }
        if (oldest == NULL)
            return;
        vectors->bytes -= oldest->view->bytes;
        view_unref(oldest->view);
        oldest->view = NULL;
    }
}

/* Locked. NULL: there is no room for another organization. */
static struct kept *
find_kept(struct index_vectors *vectors, struct str organization, struct err *err)
{
    struct kept *kept = map_find(&vectors->organizations, organization);
    void *replaced;

    if (kept != NULL)
        return kept;
    kept = calloc(1, sizeof(*kept));
    if (kept == NULL)
        abort();
    if (map_put(&vectors->organizations, organization, kept, &replaced, err) == ST_OK)
        return kept;
    free(kept);
    return NULL;
}

/* Locked. Waits while another loads. Gives a reference to what is kept, or NULL; is_due_out: it is
 * not new enough, and the caller is to load. */
static struct vector_view *
await_view(struct index_vectors *vectors, struct kept *kept, int64_t generation, bool *is_due_out)
{
    while (kept->loading)
        pthread_cond_wait(&vectors->loaded, &vectors->lock);
    kept->used = ++vectors->uses;
    if (kept->view != NULL)
        atomic_fetch_add(&kept->view->refs, 1);
    *is_due_out = kept->view == NULL || kept->view->generation < generation;
    kept->loading = *is_due_out;
    return kept->view;
}

/* Locked. Keeps a view, if there is one, and lets the others go on. */
static void
install(struct index_vectors *vectors, struct kept *kept, struct vector_view *view)
{
    if (view != NULL) {
        struct vector_view *before = kept->view;

        vectors->bytes += view->bytes - (before == NULL ? 0 : before->bytes);
        atomic_fetch_add(&view->refs, 1);
        kept->view = view;
        view_unref(before);
        make_room(vectors, kept);
        metric_set(&vector_bytes, (double)vectors->bytes, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    }
    kept->loading = false;
    pthread_cond_broadcast(&vectors->loaded);
}

static size_t
group_of_run(const struct run *run, const size_t *group_of, size_t group_count)
{
    return run->partition_id >= 0 && (size_t)run->partition_id < group_count
               ? group_of[run->partition_id]
               : VECTOR_NO_GROUP;
}

/* A passage without a vector would stand behind all others. What is put without one changes no
 * generation, so that of the same generation the counts tell. */
bool
vector_view_is_complete(const struct vector_view *view, bool is_later, const size_t *group_of,
                        size_t group_count, int64_t chunk_count)
{
    int64_t vectors = 0;

    if (is_later)
        return view->complete;
    for (size_t b = 0; b < view->batch_count; b++)
        for (size_t r = 0; r < view->batches[b]->run_count; r++)
            if (group_of_run(&view->batches[b]->runs[r], group_of, group_count) != VECTOR_NO_GROUP)
                vectors += (int64_t)view->batches[b]->runs[r].count;
    return vectors == chunk_count;
}

enum status
vectors_acquire(struct index_vectors *vectors, struct store_tx *tx, int64_t chunk_count,
                struct vector_view **view_out, bool *is_later_out, struct err *err)
{
    const struct organization_id id = tenant_scope_organization(store_tx_scope(tx));
    struct vector_view *view, *old = NULL;
    struct kept *kept;
    int64_t generation = 0;
    bool is_due = false;
    enum status st = index_driver_of(tx)->generation_get(tx, &generation, err);

    *view_out = NULL;
    if (st != ST_OK)
        return st;
    pthread_mutex_lock(&vectors->lock);
    kept = find_kept(vectors, ID_STR(id), err);
    view = kept == NULL ? NULL : await_view(vectors, kept, generation, &is_due);
    pthread_mutex_unlock(&vectors->lock);
    if (kept == NULL)
        return err_wrap(err, "keep an organization's vectors");
    if (is_due) {
        old = view;
        view = NULL;
        st = view_load(vectors, tx, ID_STR(id), old, generation, &view, err);
        if (view != NULL)
            view->complete = view->vector_count == chunk_count;
        pthread_mutex_lock(&vectors->lock);
        install(vectors, kept, view);
        pthread_mutex_unlock(&vectors->lock);
        view_unref(old);
    }
    if (view != NULL && view->too_large)
        vector_view_unref(&view);
    *is_later_out = view != NULL && view->generation != generation;
    *view_out = view;
    return st;
}

/* --- scanning --- */

static bool
has_any(const struct chunk_set *allowed, const int64_t *chunk_ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (chunk_set_has(allowed, chunk_ids[i]))
            return true;
    return false;
}

/* What the runs of one scan have in common. */
struct scan_asked {
    const int8_t *bytes;
    int32_t total; /* of bytes */
    float step;
    const struct chunk_set *allowed;
    struct candidate_heap *nearest;
};

/* By the bits first; of what may still be among the nearest, by the bytes. */
static void
scan_block(const struct index_vectors *vectors, const struct vector_batch *batch, size_t first,
           size_t count, const struct scan_asked *question, size_t group)
{
    struct candidate_heap *nearest = question->nearest;
    const struct scan_nearly *nearly = &batch->nearly[first];
    float least = nearest->count < nearest->max ? -INFINITY : (float)nearest->items[0].score;
    int32_t sums[SCAN_BLOCK];
    uint8_t is_open[SCAN_BLOCK];

    if (!has_any(question->allowed, batch->chunk_ids + first, count))
        return;
    vectors->kernel->signs(question->bytes, batch->signs + first * vectors->row_bytes / 8,
                           vectors->row_bytes, count, sums);
    for (size_t i = 0; i < count; i++) /* compilers make several at a time of it */
        is_open[i] = (float)(2 * sums[i] - question->total) * question->step * nearly[i].stretch +
                         nearly[i].slack >=
                     least;
    for (size_t i = 0; i < count; i++) {
        float cosine;
        int32_t sum;

        if (!is_open[i] || !chunk_set_has(question->allowed, batch->chunk_ids[first + i]))
            continue;
        vectors->kernel->sums(question->bytes, batch->rows + (first + i) * vectors->row_bytes,
                              vectors->row_bytes, 1, &sum);
        cosine = (float)sum * batch->steps[first + i] * question->step;
        if (nearest->count < nearest->max || (double)cosine >= nearest->items[0].score)
            candidate_offer(nearest, batch->chunk_ids[first + i], (double)cosine, group);
    }
}

void
vector_view_scan(const struct index_vectors *vectors, const struct vector_view *view,
                 const float *question, const size_t *group_of, size_t group_count,
                 const struct chunk_set *allowed, struct candidate_heap *nearest)
{
    int8_t *bytes = allocate(vectors->row_bytes, SCAN_ROW_ALIGNMENT);
    struct scan_asked asked = {.bytes = bytes, .allowed = allowed, .nearest = nearest};

    scan_question(question, vectors->dimension, bytes, &asked.step);
    for (size_t i = 0; i < vectors->row_bytes; i++)
        asked.total += bytes[i];
    for (size_t b = 0; b < view->batch_count; b++) {
        const struct vector_batch *batch = view->batches[b];

        for (size_t r = 0; r < batch->run_count; r++) {
            const struct run *run = &batch->runs[r];
            size_t group = group_of_run(run, group_of, group_count);

            if (group == VECTOR_NO_GROUP)
                continue;
            for (size_t at = 0; at < run->count; at += SCAN_BLOCK)
                scan_block(vectors, batch, run->start + at,
                           run->count - at < SCAN_BLOCK ? run->count - at : SCAN_BLOCK, &asked,
                           group);
        }
    }
    free(bytes);
}
