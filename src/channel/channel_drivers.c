/*
 * channel_drivers.c - the providers that Parley speaks with
 */
#include "channel/channel_driver.h"

const struct channel_driver *const channel_drivers_built_in[] = {
    &channel_driver_instagram,       &channel_driver_email,
    &channel_driver_slack,           &channel_driver_teams,
    &channel_driver_telegram,        &channel_driver_twilio_sms,
    &channel_driver_twilio_whatsapp, &channel_driver_web,
    &channel_driver_whatsapp,        NULL,
};
