/*
 * events_test_sql.h - what tests of events look at and change behind their back
 */
#ifndef PARLEY_EVENTS_EVENTS_TEST_SQL_H
#define PARLEY_EVENTS_EVENTS_TEST_SQL_H

#include "store/store.h"

static const struct store_sql SQL_TEST_EVENT_COUNT = {
    .name = "test_event_count",
    .text = "SELECT (SELECT count(*) FROM event WHERE organization_id = $1), "
            "(SELECT count(*) FROM event_delivery WHERE organization_id = $1), "
            "(SELECT count(*) FROM job WHERE organization_id = $1 AND topic = 'events')"};

/* Whatever looks at an endpoint from now on fails. */
static const struct store_sql SQL_TEST_HIDE_ENDPOINTS = {
    .name = "test_hide_endpoints",
    .text = "ALTER TABLE event_endpoint RENAME TO hidden_endpoint",
    .without_organization = true};

static const struct store_sql SQL_TEST_SHOW_ENDPOINTS = {
    .name = "test_show_endpoints",
    .text = "ALTER TABLE hidden_endpoint RENAME TO event_endpoint",
    .without_organization = true};

#endif
