/*
 * channel_table.c - the drivers' capabilities as a table, and why the rest is refused
 *
 * A cell is the driver's own bit. Each that is missing has a reason here, and each reason is of one
 * that is missing: the test looks at both.
 */
#include "channel/channel_table.h"

#include "channel/channel_driver.h"
#include "text/json.h"

static const struct {
    const char *title;
    unsigned caps; /* one of them is enough */
} columns[] = {
    {"typing", CHANNEL_CAN_TYPE},
    {"words as they come", CHANNEL_GROWS | CHANNEL_SHOWS_DRAFTS | CHANNEL_STREAMS},
    {"files in", CHANNEL_HAS_MEDIA | CHANNEL_CARRIES_MEDIA},
    {"files out", CHANNEL_SENDS_MEDIA},
    {"buttons", CHANNEL_SENDS_BUTTONS},
    {"templates", CHANNEL_SENDS_TEMPLATES},
    {"delivery states", CHANNEL_REPORTS_DELIVERY | CHANNEL_LOCAL},
    {"asked for lost sends", CHANNEL_FINDS | CHANNEL_LOCAL},
    {"without a public address", CHANNEL_CAN_POLL | CHANNEL_LOCAL},
    {"registers its webhook", CHANNEL_CAN_REGISTER | CHANNEL_LOCAL},
};

static const struct {
    const char *source;
    unsigned caps; /* of a column */
    const char *why;
} refusals[] = {
    {"instagram", CHANNEL_GROWS, "a message cannot be changed once it is sent"},
    {"instagram", CHANNEL_SENDS_TEMPLATES, "none exist; outside the window a person is asked"},
    {"instagram", CHANNEL_FINDS, "sends carry no reference of ours"},
    {"instagram", CHANNEL_CAN_POLL, "Meta delivers to a public address alone"},
    {"instagram", CHANNEL_CAN_REGISTER, "the address is typed into the app's dashboard"},
    {"email", CHANNEL_CAN_TYPE, "mail has no such sign"},
    {"email", CHANNEL_GROWS, "a mail that has left cannot be changed"},
    {"email", CHANNEL_SENDS_BUTTONS, "mail clients run no scripts; a numbered list is sent"},
    {"email", CHANNEL_SENDS_TEMPLATES, "mail needs none"},
    {"email", CHANNEL_CAN_REGISTER, "the address is given to the service that parses mails"},
    {"slack", CHANNEL_SENDS_TEMPLATES, "Slack needs none: there is no window"},
    {"slack", CHANNEL_REPORTS_DELIVERY, "Slack tells nothing of delivery or reading"},
    {"slack", CHANNEL_CAN_POLL, "the Events API delivers to a public address"},
    {"slack", CHANNEL_CAN_REGISTER, "the address is pasted into the app's page"},
    {"teams", CHANNEL_SENDS_TEMPLATES, "Teams needs none: there is no window"},
    {"teams", CHANNEL_FINDS, "the connector cannot be asked for what was sent"},
    {"teams", CHANNEL_CAN_POLL, "the Bot Service delivers to a public address alone"},
    {"teams", CHANNEL_CAN_REGISTER, "the address is pasted into the bot's configuration"},
    {"telegram", CHANNEL_SENDS_TEMPLATES, "Telegram needs none: there is no window"},
    {"telegram", CHANNEL_REPORTS_DELIVERY, "bots are not told"},
    {"telegram", CHANNEL_FINDS, "a bot cannot read what a chat has"},
    {"twilio_sms", CHANNEL_CAN_TYPE, "a text message has no such sign"},
    {"twilio_sms", CHANNEL_GROWS, "a text message cannot be changed"},
    {"twilio_sms", CHANNEL_SENDS_BUTTONS, "a numbered list is sent"},
    {"twilio_sms", CHANNEL_FINDS, "not asked: its status callback carries our reference"},
    {"twilio_sms", CHANNEL_CAN_POLL, "Twilio delivers to a public address alone"},
    {"twilio_whatsapp", CHANNEL_GROWS, "a message cannot be changed once it is sent"},
    {"twilio_whatsapp", CHANNEL_SENDS_BUTTONS,
     "Twilio has them in templates alone; a numbered list is sent"},
    {"twilio_whatsapp", CHANNEL_FINDS, "not asked: its status callback carries our reference"},
    {"twilio_whatsapp", CHANNEL_CAN_POLL, "Twilio delivers to a public address alone"},
    {"twilio_whatsapp", CHANNEL_CAN_REGISTER, "the address is set at the sender in the console"},
    {"web", CHANNEL_CAN_TYPE, "the widget shows it by itself"},
    {"web", CHANNEL_HAS_MEDIA, "visitors send no files"},
    {"web", CHANNEL_SENDS_MEDIA, "not through a provider: the widget fetches what staff sends"},
    {"web", CHANNEL_SENDS_BUTTONS, "the widget shows text; a numbered list is sent"},
    {"web", CHANNEL_SENDS_TEMPLATES, "the web chat needs none"},
    {"whatsapp_business", CHANNEL_GROWS, "a message cannot be changed once it is sent"},
    {"whatsapp_business", CHANNEL_FINDS, "not asked: its reports carry our reference"},
    {"whatsapp_business", CHANNEL_CAN_POLL, "Meta delivers to a public address alone"},
};

#define COLUMNS (sizeof columns / sizeof columns[0])
#define REFUSALS (sizeof refusals / sizeof refusals[0])

static void
write_driver(const struct channel_driver *driver, struct buf *out)
{
    buf_append_c(out, "| `");
    buf_append_c(out, driver->source);
    buf_append_c(out, "` |");
    for (size_t i = 0; i < COLUMNS; i++)
        buf_append_c(out, (driver->caps & columns[i].caps) != 0 ? " yes |" : " - |");
    buf_append_byte(out, '\n');
}

/* Why the driver has none of the column; NULL: nothing is said. */
static const char *
find_reason(const struct channel_driver *driver, unsigned caps)
{
    for (size_t i = 0; i < REFUSALS; i++)
        if (str_eq_c(str_from_c(driver->source), refusals[i].source) &&
            (refusals[i].caps & caps) != 0)
            return refusals[i].why;
    return NULL;
}

void
channel_table_write(struct buf *out)
{
    const struct channel_driver *driver;

    buf_append_c(out, "| channel |");
    for (size_t i = 0; i < COLUMNS; i++) {
        buf_append_byte(out, ' ');
        buf_append_c(out, columns[i].title);
        buf_append_c(out, " |");
    }
    buf_append_c(out, "\n|---|");
    for (size_t i = 0; i < COLUMNS; i++)
        buf_append_c(out, "---|");
    buf_append_byte(out, '\n');
    for (size_t i = 0; (driver = channel_drivers_built_in[i]) != NULL; i++)
        write_driver(driver, out);
    buf_append_c(out, "\n| refused | | why |\n|---|---|---|\n");
    for (size_t i = 0; (driver = channel_drivers_built_in[i]) != NULL; i++)
        for (size_t j = 0; j < COLUMNS; j++) {
            const char *why = find_reason(driver, columns[j].caps);

            if (why == NULL)
                continue;
            buf_append_c(out, "| `");
            buf_append_c(out, driver->source);
            buf_append_c(out, "` | ");
            buf_append_c(out, columns[j].title);
            buf_append_c(out, " | ");
            buf_append_c(out, why);
            buf_append_c(out, " |\n");
        }
}

json_t *
channel_table_as_json(void)
{
    json_t *list = json_array();
    const struct channel_driver *driver;

    for (size_t i = 0; (driver = channel_drivers_built_in[i]) != NULL; i++) {
        json_t *capabilities = json_object(), *refused = json_object();

        for (size_t j = 0; j < COLUMNS; j++) {
            const char *why = find_reason(driver, columns[j].caps);

            json_set_bool(capabilities, columns[j].title, (driver->caps & columns[j].caps) != 0);
            if (why != NULL)
                json_set_str(refused, columns[j].title, str_from_c(why));
        }
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "source", driver->source,
                                              "capabilities", capabilities, "refused", refused));
    }
    return list;
}
