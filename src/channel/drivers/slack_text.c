/*
 * slack_text.c - mrkdwn: what people wrote, as plain words; what we write, as Slack shows it
 *
 * In Slack's text '&', '<' and '>' are escaped, and what stands between '<' and '>' is a token:
 * <@U1|name> a person, <#C1|name> a channel, <!here> or <!subteam^S1|@name> a group, else an
 * address with or without a label.
 */
#include "channel/drivers/slack.h"

#include <string.h>

#include "base/buf.h"
#include "channel/markup.h"

#define TEXT_MAX_BYTES ((size_t)256 * 1024)

/* --- reading --- */

static void
append_unescaped(struct buf *out, struct str text)
{
    static const struct {
        struct str escape;
        char plain;
    } escapes[] = {{STR_INIT("&amp;"), '&'}, {STR_INIT("&lt;"), '<'}, {STR_INIT("&gt;"), '>'}};

    for (size_t i = 0; i < text.len;) {
        struct str rest = str_sub(text, i, text.len);
        size_t k = 0;

        while (k < 3 && !str_starts_with(rest, escapes[k].escape))
            k++;
        buf_append_byte(out, k < 3 ? escapes[k].plain : text.ptr[i]);
        i += k < 3 ? escapes[k].escape.len : 1;
    }
}

static void
append_address(struct buf *out, struct str url, struct str label)
{
    struct str bare = str_starts_with(url, STR("mailto:")) ? str_sub(url, 7, url.len)
                      : str_starts_with(url, STR("tel:"))  ? str_sub(url, 4, url.len)
                                                           : url;

    if (label.len > 0 && !str_eq(label, bare) && !str_eq(label, url)) {
        append_unescaped(out, label);
        buf_append_c(out, " (");
        append_unescaped(out, bare);
        buf_append_c(out, ")");
    } else {
        append_unescaped(out, bare);
    }
}

static void
append_token(struct buf *out, struct str token, struct str ours, bool *mentions_us)
{
    struct str label = token, target;

    (void)str_split(&label, '|', &target);
    if (target.len > 1 && target.ptr[0] == '@') {
        struct str user = str_sub(target, 1, target.len);

        if (ours.len > 0 && str_eq(user, ours)) {
            *mentions_us = true;
            return;
        }
        buf_append_byte(out, '@');
        append_unescaped(out, label.len > 0 ? label : user);
    } else if (target.len > 1 && target.ptr[0] == '#') {
        buf_append_byte(out, '#');
        append_unescaped(out, label.len > 0 ? label : str_sub(target, 1, target.len));
    } else if (target.len > 1 && target.ptr[0] == '!') {
        if (label.len == 0 || label.ptr[0] != '@')
            buf_append_byte(out, '@');
        append_unescaped(out, label.len > 0 ? label : str_sub(target, 1, target.len));
    } else {
        append_address(out, target, label);
    }
}

struct str
slack_text_read(struct str text, struct str ours, struct arena *arena, bool *mentions_us_out)
{
    struct buf out;
    struct err ignored;

    *mentions_us_out = false;
    buf_init(&out, TEXT_MAX_BYTES);
    while (text.len > 0) {
        ptrdiff_t open = str_find_byte(text, '<');
        struct str before = open < 0 ? text : str_sub(text, 0, (size_t)open);
        struct str rest = str_sub(text, before.len, text.len);
        ptrdiff_t close = str_find_byte(rest, '>');

        append_unescaped(&out, before);
        if (close < 2) { /* no token: as it stands */
            append_unescaped(&out, rest);
            break;
        }
        append_token(&out, str_sub(rest, 1, (size_t)close - 1), ours, mentions_us_out);
        text = str_sub(rest, (size_t)close + 1, rest.len);
    }
    struct str read = STR_EMPTY;
    if (buf_check(&out, &ignored) == ST_OK)
        (void)!arena_try_str(arena, str_trim(buf_str(&out)), &read, &ignored);
    buf_deinit(&out);
    return read;
}

/* --- writing --- */

static void
escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '&')
            buf_append_c(out, "&amp;");
        else if (text.ptr[i] == '<')
            buf_append_c(out, "&lt;");
        else if (text.ptr[i] == '>')
            buf_append_c(out, "&gt;");
        else
            buf_append_byte(out, text.ptr[i]);
    }
}

/* '|' would end the address. */
static void
link_open(struct buf *out, struct str url)
{
    struct str rest = url, piece;
    bool is_first = true;

    buf_append_byte(out, '<');
    while (str_split(&rest, '|', &piece)) {
        if (!is_first)
            buf_append_c(out, "%7C");
        escape(out, piece);
        is_first = false;
    }
    buf_append_byte(out, '|');
}

static void
link_close(struct buf *out, struct str url)
{
    (void)url;
    buf_append_byte(out, '>');
}

const struct markup_style slack_mrkdwn = {
    .bold = {"*", "*"},
    .italic = {"_", "_"},
    .code = {"`", "`"},
    .bullet = "\xe2\x80\xa2 ",
    .text = escape,
    .link_open = link_open,
    .link_close = link_close,
};
