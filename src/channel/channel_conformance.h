/*
 * channel_conformance.h - what every channel driver must do alike, as one suite
 *
 * A driver's test fills one struct and calls channel_conformance_run, which asserts (cmocka). A new
 * provider's driver is done when it passes here, and has tables of its own payloads and errors.
 */
#ifndef PARLEY_CHANNEL_CHANNEL_CONFORMANCE_H
#define PARLEY_CHANNEL_CHANNEL_CONFORMANCE_H

#include "channel/channel_test_support.h"

struct conformance_outcome {
    const char *name;
    struct test_answer answer;
    enum status want;
};

struct conformance_proof {
    const char *target; /* "/hook", with a query where the proof stands there */
    struct http_header headers[4];
    size_t header_count;
    struct str body; /* with the proof in it, where the provider puts it there; empty: as it is */
};

struct channel_conformance {
    const struct channel_driver *driver;
    const char *settings;          /* JSON object; "%u" where the provider's port belongs */
    const char *credentials;       /* JSON object, complete */
    const char *other_credentials; /* of another account of the same provider */
    /* What a person must give; the driver makes the rest. credentials itself: it makes nothing. */
    const char *bare_credentials;
    const char *unsafe_credentials;  /* lacks the secret: must neither open nor verify */
    const char *account;             /* that check_spec derives; "" for none */
    const char *secret;              /* a part of the credentials that must appear nowhere */
    const char *const *bad_settings; /* objects that check_spec refuses; NULL ends */
    const char *const *bad_credentials;
    /* Makes a proof for body. forge: 0 valid, 1.. ways to be wrong; false when there are no more.
     */
    bool (*prove)(const struct channel_record *record, struct test_env *env, struct str body,
                  int forge, struct conformance_proof *proof_out);
    const char *message, *other_message; /* two messages of one person */
    bool is_form;           /* bodies are no JSON: a cut one may be another valid one */
    const char *event;      /* an event; NULL: the driver has none */
    const char *unknown;    /* of a kind we do not know; NULL: such input is invalid */
    const char *chat;       /* external chat id to send to; "%u" as in settings */
    void *context;          /* becomes test_env.context, for prove */
    size_t max_units;       /* of a part; 0: no limit */
    unsigned provider_port; /* of the test's own provider, which speaks no HTTP; else 0 */
    /* Of drivers that call a provider: */
    struct test_answer provider_ok;             /* status 0: it calls none */
    const struct conformance_outcome *outcomes; /* of one send; name NULL ends */
};

void channel_conformance_run(const struct channel_conformance *suite);

#endif
