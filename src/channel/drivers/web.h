/*
 * web.h - private: reading a web chat's POST once the visitor is known
 */
#ifndef PARLEY_CHANNEL_DRIVERS_WEB_H
#define PARLEY_CHANNEL_DRIVERS_WEB_H

#include "channel/channel_driver.h"

/* visitor: proven before. Errors as channel_parse promises. */
enum status web_parse_body(struct channel *channel, struct str visitor, struct str body,
                           struct inbound_batch *batch, struct err *err);

#endif
