/*
 * res_webhooks.c - where providers deliver; the gateway does the work
 */
#include "api/api_private.h"

#define MAIL_MAX_BYTES ((size_t)26 * 1024 * 1024)

static enum status
receive(struct api_call *call, struct err *err)
{
    (void)err;
    gateway_handle_webhook(call->config->gateway, http_request_param(call->req, "source"),
                           call->req, call->resp);
    call->answered = true;
    return ST_OK;
}

static enum status
receive_email(struct api_call *call, struct err *err)
{
    (void)err;
    gateway_handle_webhook(call->config->gateway, STR("email"), call->req, call->resp);
    call->answered = true;
    return ST_OK;
}

static enum status
receive_email_shared(struct api_call *call, struct err *err)
{
    (void)err;
    gateway_handle_shared(call->config->gateway, STR("email"), call->req, call->resp);
    call->answered = true;
    return ST_OK;
}

static enum status
receive_telegram(struct api_call *call, struct err *err)
{
    (void)err;
    gateway_handle_shared(call->config->gateway, STR("telegram"), call->req, call->resp);
    call->answered = true;
    return ST_OK;
}

static enum status
receive_sms(struct api_call *call, struct err *err)
{
    (void)err;
    gateway_handle_shared(call->config->gateway, STR("twilio_sms"), call->req, call->resp);
    call->answered = true;
    return ST_OK;
}

/* Twilio posts forms, Meta JSON. */
static enum status
receive_whatsapp(struct api_call *call, struct err *err)
{
    struct str type = http_request_header(call->req, "Content-Type");
    bool is_form = str_starts_with(type, STR("application/x-www-form-urlencoded"));

    (void)err;
    gateway_handle_shared(call->config->gateway,
                          is_form ? STR("twilio_whatsapp") : STR("whatsapp_business"), call->req,
                          call->resp);
    call->answered = true;
    return ST_OK;
}

static enum status
receive_instagram(struct api_call *call, struct err *err)
{
    (void)err;
    gateway_handle_shared(call->config->gateway, STR("instagram"), call->req, call->resp);
    call->answered = true;
    return ST_OK;
}

const struct api_operation api_webhook_operations[] = {
    {HTTP_POST, "/webhooks/{source}/{channel_id}", "webhooks.receive", "Webhooks",
     "A provider delivers; verified by its signature", ACCESS_PROVIDER, 0, receive,
     HTTP_ROUTE_INLINE, 0, NULL, "{\"type\":\"object\"}", NULL, 200},
    {HTTP_GET, "/webhooks/{source}/{channel_id}", "webhooks.handshake", "Webhooks",
     "A provider tests the address; answered as it asks", ACCESS_PROVIDER, 0, receive,
     HTTP_ROUTE_INLINE, 0, NULL, "{\"type\":\"string\"}", NULL, 200},
    {HTTP_POST, "/webhook/telegram", "webhooks.telegram", "Webhooks",
     "The same for all bots; ?account= is the bot's id", ACCESS_PROVIDER, 0, receive_telegram,
     HTTP_ROUTE_INLINE, 0, NULL, "{\"type\":\"object\"}", "account:string:The addressed account",
     200},
    {HTTP_POST, "/webhook/sms", "webhooks.sms", "Webhooks",
     "The same for all of Twilio's numbers; ?account= is the channel's account", ACCESS_PROVIDER, 0,
     receive_sms, HTTP_ROUTE_INLINE, 0, NULL, "{\"type\":\"object\"}",
     "account:string:The addressed account", 200},
    {HTTP_POST, "/webhook/whatsapp", "webhooks.whatsapp", "Webhooks",
     "The same for WhatsApp, Meta's or Twilio's; ?account= is the channel's account: without it "
     "what Meta posts says which numbers it is for",
     ACCESS_PROVIDER, 0, receive_whatsapp, HTTP_ROUTE_INLINE, 0, NULL, "{\"type\":\"object\"}",
     "account:string:The addressed account", 200},
    {HTTP_GET, "/webhook/whatsapp", "webhooks.whatsapp_handshake", "Webhooks",
     "Meta tests the address", ACCESS_PROVIDER, 0, receive_whatsapp, HTTP_ROUTE_INLINE, 0, NULL,
     "{\"type\":\"string\"}", "account:string:The addressed account", 200},
    {HTTP_POST, "/webhook/instagram", "webhooks.instagram", "Webhooks",
     "The same for Instagram; without ?account= what Meta posts says which accounts it is for",
     ACCESS_PROVIDER, 0, receive_instagram, HTTP_ROUTE_INLINE, 0, NULL, "{\"type\":\"object\"}",
     "account:string:The addressed account", 200},
    {HTTP_GET, "/webhook/instagram", "webhooks.instagram_handshake", "Webhooks",
     "Meta tests the address", ACCESS_PROVIDER, 0, receive_instagram, HTTP_ROUTE_INLINE, 0, NULL,
     "{\"type\":\"string\"}", "account:string:The addressed account", 200},
    /* With their attachments, and so on a worker. */
    {HTTP_POST, "/webhooks/email/{channel_id}", "webhooks.email", "Webhooks",
     "A mail as Mailgun, SendGrid or Postmark deliver it", ACCESS_PROVIDER, 0, receive_email, 0,
     MAIL_MAX_BYTES, NULL, "{\"type\":\"object\"}", NULL, 200},
    {HTTP_POST, "/webhook/email", "webhooks.email_shared", "Webhooks",
     "The same for all addresses; ?account= is the address", ACCESS_PROVIDER, 0,
     receive_email_shared, 0, MAIL_MAX_BYTES, NULL, "{\"type\":\"object\"}",
     "account:string:The addressed account", 200},
    {.path = NULL},
};
