/*
 * channel_bench_bodies.h - one message as each provider delivers it, for channel_bench.c
 */
#ifndef PARLEY_BENCH_CHANNEL_BENCH_BODIES_H
#define PARLEY_BENCH_CHANNEL_BENCH_BODIES_H

#define APP "11111111-2222-4333-8444-555555555555"
#define SERVICE "https://smba.trafficmanager.net/emea/99999999-0000-4000-8000-000000000001/"
#define TEXT "Good morning, what does a puncture repair cost, and is the shop open on Saturday?"

#define SLACK_BODY                                                                                 \
    "{\"token\":\"x\",\"team_id\":\"T0000000001\",\"context_team_id\":\"T0000000001\","            \
    "\"api_app_id\":\"A0000000001\",\"event\":{\"type\":\"message\",\"user\":\"U0000000001\","     \
    "\"ts\":\"1700000000.000100\",\"client_msg_id\":\"0193d1f2-a7b8-4c1e-9f3a-5b6c7d8e9f00\","     \
    "\"text\":\"" TEXT "\",\"team\":\"T0000000001\",\"blocks\":[{\"type\":\"rich_text\","          \
    "\"block_id\":\"b1\",\"elements\":[{\"type\":\"rich_text_section\",\"elements\":[{\"type\":"   \
    "\"text\",\"text\":\"" TEXT "\"}]}]}],\"channel\":\"D0000000001\",\"event_ts\":"               \
    "\"1700000000.000100\",\"channel_type\":\"im\"},\"type\":\"event_callback\",\"event_id\":"     \
    "\"Ev0000000001\",\"event_time\":1700000000,\"authorizations\":[{\"enterprise_id\":null,"      \
    "\"team_id\":\"T0000000001\",\"user_id\":\"U0000000002\",\"is_bot\":true,"                     \
    "\"is_enterprise_install\":false}],\"is_ext_shared_channel\":false}"
#define POSTMARK_BODY                                                                              \
    "{\"FromName\":\"Ada Lee\",\"MessageStream\":\"inbound\",\"From\":\"ada@example.org\","        \
    "\"FromFull\":{\"Email\":\"ada@example.org\",\"Name\":\"Ada "                                  \
    "Lee\",\"MailboxHash\":\"\"},\"To\":"                                                          \
    "\"support@shop.example\",\"ToFull\":[{\"Email\":\"support@shop.example\",\"Name\":\"\","      \
    "\"MailboxHash\":\"\"}],\"Cc\":\"\",\"CcFull\":[],\"Bcc\":\"\",\"OriginalRecipient\":"         \
    "\"support@shop.example\",\"Subject\":\"A puncture\",\"MessageID\":"                           \
    "\"22c74902-a0c1-4511-804f-341342852c90\",\"ReplyTo\":\"\",\"Date\":"                          \
    "\"Fri, 20 Nov 2026 09:30:00 +0100\",\"Headers\":[{\"Name\":\"Message-ID\",\"Value\":"         \
    "\"<m1@example.org>\"},{\"Name\":\"MIME-Version\",\"Value\":\"1.0\"},{\"Name\":"               \
    "\"Return-Path\",\"Value\":\"<ada@example.org>\"}],\"TextBody\":\"" TEXT                       \
    "\\n\\nAda\",\"HtmlBody\":\"\",\"StrippedTextReply\":\"\",\"Tag\":\"\",\"Attachments\":[]}"
#define WHATSAPP_BODY                                                                              \
    "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"102030405060708\","            \
    "\"changes\":"                                                                                 \
    "[{\"value\":{\"messaging_product\":\"whatsapp\",\"metadata\":{\"display_phone_number\":"      \
    "\"15551230000\",\"phone_number_id\":\"200100300400500\"},\"contacts\":[{\"profile\":{"        \
    "\"name\":"                                                                                    \
    "\"Ada Lee\"},\"wa_id\":\"15557654321\",\"user_id\":\"US.10020030040050060070\"}],"            \
    "\"messages\":[{\"from\":\"15557654321\",\"from_user_id\":\"US.10020030040050060070\",\"id\":" \
    "\"wamid.HBgLMTU1NTc2NTQzMjEVAgASGBQzQTAwMDAwMDAwMDAwMDAwMDAwMAA=\",\"timestamp\":"            \
    "\"1750000000\",\"text\":{\"body\":\"" TEXT                                                    \
    "\"},\"type\":\"text\"}]},\"field\":\"messages\"}]}]}"
#define TEAMS_BODY                                                                                 \
    "{\"text\":\"" TEXT "\",\"textFormat\":\"plain\",\"attachments\":[{\"contentType\":"           \
    "\"text/html\",\"content\":\"<div>" TEXT "</div>\"}],\"type\":\"message\",\"timestamp\":"      \
    "\"2026-01-01T10:00:00.1234567Z\",\"localTimestamp\":\"2026-01-01T11:00:00.1234567+01:00\","   \
    "\"id\":\"1700000000001\",\"channelId\":\"msteams\",\"serviceUrl\":\"" SERVICE                 \
    "\",\"from\":{\"id\":\"29:1AdaLee00000000000000000000000000000000000000000000000000\","        \
    "\"name\":\"Ada Lee\",\"aadObjectId\":\"0a0a0a0a-0000-4000-8000-000000000002\"},"              \
    "\"conversation\":{\"conversationType\":\"personal\",\"tenantId\":"                            \
    "\"99999999-0000-4000-8000-000000000001\",\"id\":"                                             \
    "\"a:1personal0000000000000000000000000000000000000000000000000000000000000000000000000\"},"   \
    "\"recipient\":{\"id\":\"28:" APP "\",\"name\":\"Harbour\"},\"entities\":[{\"locale\":"        \
    "\"en-US\",\"country\":\"US\",\"platform\":\"Windows\",\"timezone\":\"Europe/Berlin\","        \
    "\"type\":\"clientInfo\"}],\"channelData\":{\"tenant\":{\"id\":"                               \
    "\"99999999-0000-4000-8000-000000000001\"}},\"locale\":\"en-US\",\"localTimezone\":"           \
    "\"Europe/Berlin\"}"
#define SMS_BODY                                                                                   \
    "ToCountry=US&ToState=CA&SmsMessageSid=SM00000000000000000000000000000001&NumMedia=0&ToCity=&" \
    "FromZip=94103&SmsSid=SM00000000000000000000000000000001&FromState=CA&SmsStatus=received&"     \
    "FromCity=SAN+FRANCISCO&Body=Good+morning%2C+what+does+a+puncture+repair+cost%2C+and+is+the+"  \
    "shop+open+on+Saturday%3F&FromCountry=US&To=%2B15551230000&ToZip=&NumSegments=1&"              \
    "MessageSid=SM00000000000000000000000000000001&AccountSid=AC0123456789abcdef0123456789abcdef&" \
    "From=%2B15557654321&ApiVersion=2010-04-01"

/* The fields of the proof are added to it. */
#define MAILGUN_MAIL                                                                               \
    "recipient=support%40shop.example&sender=ada%40example.org&from=Ada+Lee+%3Cada%40example.org"  \
    "%3E&subject=A+puncture&message-headers=%5B%5B%22From%22%2C%22Ada+Lee+%3Cada%40example.org%"   \
    "3E%22%5D%2C%5B%22To%22%2C%22support%40shop.example%22%5D%2C%5B%22Subject%22%2C%22A+puncture"  \
    "%22%5D%2C%5B%22Message-Id%22%2C%22%3Cm1%40example.org%3E%22%5D%2C%5B%22Mime-Version%22%2C%22" \
    "1.0%22%5D%5D&body-plain=Good+morning%2C+what+does+a+puncture+repair+cost%2C+and+is+the+shop+" \
    "open+on+Saturday%3F%0D%0A%0D%0AAda&stripped-text=Good+morning&attachment-count=0"

#define SENDGRID_TYPE "multipart/form-data; boundary=xYzZY"
#define SENDGRID_FIELD(name, value)                                                                \
    "--xYzZY\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define SENDGRID_MAIL(text)                                                                        \
    SENDGRID_FIELD("headers", "From: Ada Lee <ada@example.org>\nTo: support@shop.example\n"        \
                              "Subject: A puncture\nMessage-ID: <m1@example.org>\n"                \
                              "MIME-Version: 1.0")                                                 \
    SENDGRID_FIELD("from", "Ada Lee <ada@example.org>")                                            \
    SENDGRID_FIELD("to", "support@shop.example")                                                   \
    SENDGRID_FIELD("subject", "A puncture")                                                        \
    SENDGRID_FIELD("text", text)                                                                   \
    SENDGRID_FIELD("charsets", "{\"text\":\"utf-8\"}") "--xYzZY--\r\n"

#endif
