/*
 * app_settings.c - every setting of the server, in one table
 */
#include "app/app.h"

static const struct setting server_settings[] = {
    {.key = "data.folder",
     .kind = SETTING_TEXT,
     .default_value = "data",
     .help = "Where everything is kept: one database file per organization and control.db. With "
             "database.url only uploads on their way."},
    {.key = "data.key_file",
     .kind = SETTING_TEXT,
     .help = "File with the keys that seal credentials, outside of every database. Unset: the data "
             "folder's name with .key behind it. Whoever has both can read all credentials: back "
             "them up apart."},
    {.key = "data.max_open_organizations",
     .kind = SETTING_INT,
     .default_value = "128",
     .min = 8,
     .max = 4096,
     .help = "Database files kept open at once."},

    {.key = "database.url",
     .kind = SETTING_SECRET,
     .default_value = "",
     .help = "PostgreSQL 15 or later instead of database files: postgresql://role@host/database, "
             "with sslmode, sslrootcert, sslcert and sslkey as libpq knows them. The role must own "
             "no tables. Unset: files in the data folder."},
    {.key = "database.migration_url",
     .kind = SETTING_SECRET,
     .default_value = "",
     .help = "The same database as the role that owns its tables; only parley migrate uses it."},
    {.key = "database.pool_size",
     .kind = SETTING_INT,
     .default_value = "16",
     .min = 2,
     .max = 1000,
     .help = "Connections to PostgreSQL at once."},
    {.key = "database.statement_timeout",
     .kind = SETTING_DURATION,
     .default_value = "30s",
     .min = 1000,
     .max = 3600000,
     .help = "A statement that takes longer is ended, and its transaction undone."},
    {.key = "database.connect_timeout",
     .kind = SETTING_DURATION,
     .default_value = "5s",
     .min = 2000,
     .max = 60000,
     .help = "A connection that takes longer to make is given up, in whole seconds."},
    {.key = "blob.folder",
     .kind = SETTING_TEXT,
     .help = "Where uploaded documents are kept, a file each; of this installation alone. Several "
             "processes may share it. Unset: blobs in the data folder."},

    {.key = "serve.roles",
     .kind = SETTING_TEXT,
     .default_value = "gateway,api,worker,scheduler",
     .help = "What this process does: gateway (webhooks, web chat, polling), api (/v1, widget), "
             "worker (answers, deliveries, documents), scheduler (what is due by time). With "
             "database.url any number of processes share the work; with files one does it all."},

    {.key = "http.listen",
     .kind = SETTING_TEXT,
     .default_value = "127.0.0.1:8080",
     .help = "Address and port to listen on; port 0 picks a free one. Behind a proxy keep it on "
             "127.0.0.1."},
    {.key = "http.public_url",
     .kind = SETTING_TEXT,
     .help = "The https address under which providers reach this server. Unset: channels that "
             "can are polled instead, so that a laptop serves a real bot."},
    {.key = "http.tls_certificate",
     .kind = SETTING_TEXT,
     .help = "PEM file with the certificate chain; read again when it changes."},
    {.key = "http.tls_key", .kind = SETTING_TEXT, .help = "PEM file with its private key."},
    {.key = "http.trusted_proxies",
     .kind = SETTING_TEXT,
     .default_value = "",
     .help = "Addresses or networks, separated by commas, whose X-Forwarded-For is believed."},
    {.key = "http.metrics_token",
     .kind = SETTING_SECRET,
     .default_value = "",
     .help = "Whoever shows it as a bearer token may read /metrics. Unset: only this machine may."},
    {.key = "http.epoll_threads",
     .kind = SETTING_INT,
     .default_value = "2",
     .min = 1,
     .max = 64,
     .help = "Threads that parse HTTP and hold idle streams."},
    {.key = "http.workers",
     .kind = SETTING_INT,
     .default_value = "32",
     .min = 2,
     .max = 512,
     .help = "Threads that run request handlers."},
    {.key = "http.max_connections",
     .kind = SETTING_INT,
     .default_value = "16384",
     .min = 16,
     .max = 1000000,
     .help = "Open connections, event streams among them."},
    {.key = "http.max_connections_per_address",
     .kind = SETTING_INT,
     .default_value = "0",
     .max = 1000000,
     .help = "The same from one address; 0 for no limit. Leave 0 behind a proxy."},
    {.key = "http.idle_timeout",
     .kind = SETTING_DURATION,
     .default_value = "75s",
     .min = 1000,
     .max = 3600000,
     .help = "Idle connections and half-sent requests are closed after this."},
    {.key = "http.max_body",
     .kind = SETTING_SIZE,
     .default_value = "4MB",
     .min = 1024,
     .max = 1073741824,
     .help = "Largest request body, uploads aside."},
    {.key = "http.max_upload",
     .kind = SETTING_SIZE,
     .default_value = "16MB",
     .min = 1024,
     .max = 1073741824,
     .help = "Largest document that can be uploaded."},

    {.key = "log.level",
     .kind = SETTING_CHOICE,
     .default_value = "info",
     .choices = "debug|info|warn|error",
     .help = "What is written to the log."},

    {.key = "limits.organization_per_minute",
     .kind = SETTING_INT,
     .default_value = "60000",
     .max = 100000000,
     .help = "Webhook requests of one organization; 0 for no limit."},
    {.key = "limits.channel_per_minute",
     .kind = SETTING_INT,
     .default_value = "30000",
     .max = 100000000,
     .help = "Webhook requests of one channel; 0 for no limit."},
    {.key = "limits.sender_per_minute",
     .kind = SETTING_INT,
     .default_value = "120",
     .max = 100000000,
     .help = "Messages of one person on one channel; 0 for no limit."},
    {.key = "limits.staff_per_minute",
     .kind = SETTING_INT,
     .default_value = "1000",
     .max = 100000000,
     .help = "API requests of one key of the team; 0 for no limit."},
    {.key = "limits.external_per_minute",
     .kind = SETTING_INT,
     .default_value = "100",
     .max = 100000000,
     .help = "API requests of one key that may only ask questions, and of one visitor of the web "
             "chat; 0 for no limit."},

    {.key = "limits.shared",
     .kind = SETTING_CHOICE,
     .default_value = "local",
     .choices = "local|pgsql|redis",
     .help = "Where rates are counted: each process for itself, or together in PostgreSQL "
             "(database.url) or Redis (redis.addresses). A process that is not answered within 5 "
             "ms gives its share alone."},
    {.key = "model.driver",
     .kind = SETTING_CHOICE,
     .default_value = "extractive",
     .choices = "extractive|openai_chat",
     .help = "Who writes answers: extractive quotes the documents and needs nothing else; "
             "openai_chat asks any OpenAI-compatible server."},
    {.key = "model.base_url",
     .kind = SETTING_TEXT,
     .default_value = "https://api.openai.com/v1",
     .help = "Address of the OpenAI-compatible server, with its version part."},
    {.key = "model.name",
     .kind = SETTING_TEXT,
     .default_value = "",
     .help = "Model to ask for, as that server calls it."},
    {.key = "model.api_key",
     .kind = SETTING_SECRET,
     .default_value = "",
     .help = "Its API key. Better in PARLEY_MODEL_API_KEY than in a file."},
    {.key = "model.timeout",
     .kind = SETTING_DURATION,
     .default_value = "60s",
     .min = 1000,
     .max = 600000,
     .help = "An answer that takes longer is given up for the next model."},
    {.key = "model.allow_private_address",
     .kind = SETTING_BOOL,
     .default_value = "false",
     .help = "Lets the model's server be on this machine or in a private network."},

    {.key = "answer.workers",
     .kind = SETTING_INT,
     .default_value = "8",
     .min = 1,
     .max = 256,
     .help = "Conversations answered at the same time."},
    {.key = "answer.history",
     .kind = SETTING_INT,
     .default_value = "12",
     .max = 100,
     .help = "Earlier messages that the model sees."},
    {.key = "answer.passages",
     .kind = SETTING_INT,
     .default_value = "6",
     .min = 1,
     .max = 20,
     .help = "Passages of the documents that the model sees."},
    {.key = "send.workers",
     .kind = SETTING_INT,
     .default_value = "16",
     .min = 1,
     .max = 256,
     .help = "Messages handed to providers at the same time."},
    {.key = "send.allow_private_addresses",
     .kind = SETTING_BOOL,
     .default_value = "false",
     .help = "Lets channels call servers on this machine or in a private network: for tests and "
             "for providers that you host."},
    {.key = "media.max_size",
     .kind = SETTING_SIZE,
     .default_value = "25MB",
     .min = 1,
     .max = 1073741824,
     .help = "Attachments that arrive are fetched and kept up to this size; larger ones are named, "
             "and left with the provider."},
    {.key = "media.types",
     .kind = SETTING_TEXT,
     .default_value = "image/*, audio/*, video/*, text/*, application/*",
     .help = "Types of attachments that are kept; a star at the end stands for anything. Empty: "
             "all."},
    {.key = "media.clamav",
     .kind = SETTING_TEXT,
     .default_value = "",
     .help = "host:port of ClamAV's clamd, or the path of its socket: attachments that arrive are "
             "kept only when it calls them clean. Empty: they are not scanned."},
    {.key = "poll.channels",
     .kind = SETTING_INT,
     .default_value = "32",
     .max = 512,
     .help = "Mailboxes, and bots where no public address is set, that may be polled at once."},
    {.key = "ingest.workers",
     .kind = SETTING_INT,
     .default_value = "1",
     .min = 1,
     .max = 64,
     .help = "Documents read at the same time."},
    {.key = "ingest.extractor",
     .kind = SETTING_TEXT,
     .help = "Path of parley-extract. Unset: beside this program."},

    {.key = "queue.lease",
     .kind = SETTING_DURATION,
     .default_value = "2m",
     .min = 1000,
     .max = 3600000,
     .help = "A job whose worker fell silent is given to another after this."},
    {.key = "queue.sweep",
     .kind = SETTING_DURATION,
     .default_value = "30s",
     .min = 100,
     .max = 3600000,
     .help = "How often leases that ran out and lost wake-ups are looked for."},
    {.key = "queue.retention",
     .kind = SETTING_DURATION,
     .default_value = "14d",
     .min = 3600000,
     .max = INT64_C(31536000000),
     .help = "Dead letters are kept this long."},
    {.key = "retention.events",
     .kind = SETTING_DURATION,
     .default_value = "90d",
     .min = INT64_C(691200000),
     .max = INT64_C(315360000000),
     .help = "What channels report beside messages (reactions, edits, states, what is unknown) and "
             "reports of messages that were not sent from here are kept this long. Longer than "
             "any provider repeats itself."},
    {.key = "retention.quarantine",
     .kind = SETTING_DURATION,
     .default_value = "30d",
     .min = 3600000,
     .max = INT64_C(315360000000),
     .help = "Webhooks that were genuine and could not be read are kept this long."},
    {.key = "queue.transport",
     .kind = SETTING_CHOICE,
     .default_value = "auto",
     .choices = "auto|local|pgsql|redis",
     .help = "How processes tell each other of new work: local is enough for one; pgsql needs "
             "database.url, redis needs redis.addresses; auto is pgsql with database.url, else "
             "local."},
    {.key = "live.transport",
     .kind = SETTING_CHOICE,
     .default_value = "auto",
     .choices = "auto|local|pgsql|redis",
     .help = "How events reach browsers that are connected to another process: local does not; "
             "pgsql needs database.url, redis needs redis.addresses; auto is pgsql with "
             "database.url, else local."},
    {.key = "redis.addresses",
     .kind = SETTING_SECRET,
     .default_value = "",
     .help = "Redis servers, tried in turn until one is a primary, separated by commas: "
             "redis://user:password@host:port/database, or rediss:// for TLS."},
    {.key = "redis.ca_file",
     .kind = SETTING_TEXT,
     .help = "PEM file with the authorities that rediss:// servers are checked against. Unset: "
             "the system's."},
    {.key = "stop.deadline",
     .kind = SETTING_DURATION,
     .default_value = "10s",
     .min = 100,
     .max = 600000,
     .help = "How long running work may finish when the server is stopped."},
    {.key = "stop.announce",
     .kind = SETTING_DURATION,
     .default_value = "0s",
     .max = 600000,
     .help = "How long before that /readyz says 503 while requests are still served, so that a "
             "load balancer looks elsewhere first."},
    {.key = NULL},
};

const struct setting *const app_settings[] = {server_settings, NULL};

/* A driver's servers, and the setting that says where they are. */
static enum status
need(const struct settings *settings, const char *key, struct str driver, const char *address_key,
     struct str *addresses_out, struct err *err)
{
    *addresses_out = settings_text(settings, address_key);
    if (addresses_out->len > 0)
        return ST_OK;
    return err_set(err, ST_INVALID, "%s = %.*s needs %s", key, STR_ARG(driver), address_key);
}

enum status
app_shared_driver(const struct settings *settings, const char *key, struct app_shared *shared_out,
                  struct err *err)
{
    struct str driver = settings_text(settings, key);

    if (str_eq_c(driver, "auto"))
        driver = app_uses_server(settings) ? STR("pgsql") : STR("local");
    *shared_out = (struct app_shared){.driver = driver};
    if (str_eq_c(driver, "pgsql"))
        return need(settings, key, driver, "database.url", &shared_out->addresses, err);
    shared_out->ca_file = settings_text(settings, "redis.ca_file");
    if (str_eq_c(driver, "redis"))
        return need(settings, key, driver, "redis.addresses", &shared_out->addresses, err);
    return ST_OK;
}
