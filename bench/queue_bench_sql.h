/*
 * queue_bench_sql.h - the statement of the yardstick
 */
#ifndef PARLEY_BENCH_QUEUE_BENCH_SQL_H
#define PARLEY_BENCH_QUEUE_BENCH_SQL_H

#include "store/store.h"

static const struct store_sql SQL_ROW = {
    .name = "bench_row",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at)"
            " VALUES ($1, 'bench', $2, '{\"n\":1}', 0)",
};

#endif
