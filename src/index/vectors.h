/*
 * vectors.h - an organization's vectors in memory, and the nearest of them; for src/index/ alone
 *
 * A view is what one generation has: batches, each loaded once and shared by the views that have
 * it. Views never change; whoever scans holds one. When the generation that a transaction sees is
 * newer than the kept view, one thread reads what is new and the others wait for it.
 */
#ifndef PARLEY_INDEX_VECTORS_H
#define PARLEY_INDEX_VECTORS_H

#include "index/index_private.h"

struct vector_view;

/* chunk_count: of the organization, in the transaction. NULL in view_out: there are more than may
 * be kept. Another thread's view may be of a later moment than the transaction: then is_later_out.
 * Unref the view. */
MUST_USE enum status vectors_acquire(struct index_vectors *vectors, struct store_tx *tx,
                                     int64_t chunk_count, struct vector_view **view_out,
                                     bool *is_later_out, struct err *err);
void vector_view_unref(struct vector_view **view); /* accepts NULL */

#define VECTOR_NO_GROUP SIZE_MAX
/* Whether each of the passages that may be seen has a vector; chunk_count: of those, in the
 * transaction. Of what may not be seen nothing counts. */
bool vector_view_is_complete(const struct vector_view *view, bool is_later, const size_t *group_of,
                             size_t group_count, int64_t chunk_count);
/* group_of[id] for partition ids below group_count: the group that candidates of the partition
 * belong to, or VECTOR_NO_GROUP for one that is left out; of the others allowed alone (NULL: all).
 * Scores are cosines, of bytes. */
void vector_view_scan(const struct index_vectors *vectors, const struct vector_view *view,
                      const float *question, const size_t *group_of, size_t group_count,
                      const struct chunk_set *allowed, struct candidate_heap *nearest);

struct str vectors_encoder(const struct index_vectors *vectors);
unsigned vectors_dimension(const struct index_vectors *vectors);

#endif
