/*
 * api_reader.c - audiences against the scopes and roles of a key
 */
#include "api/api_reader.h"

struct knowledge_reader
api_reader_of(const struct api_call *call)
{
    return (struct knowledge_reader){(call->principal.scopes & SCOPE_QUERY_STAFF) != 0,
                                     call->principal.roles};
}

bool
api_may_read(const struct api_call *call, struct str audience)
{
    const struct knowledge_reader reader = api_reader_of(call);

    return index_audience_may_read(audience, reader.for_staff, reader.roles);
}

enum status
api_check_audience(struct api_call *call, struct str text, struct err *err)
{
    struct str audience;
    enum status st =
        text.len == 0 ? ST_OK : index_audience_parse(text, call->arena, &audience, err);

    if (st != ST_OK || text.len == 0 || api_may_read(call, audience))
        return st;
    st = err_set(err, ST_DENIED, "this key could not read it: it lacks query:staff or the role");
    http_respond_err_status(call->req, call->resp, 403, err);
    call->answered = true;
    return st;
}
