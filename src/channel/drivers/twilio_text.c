/*
 * twilio_text.c - what a text costs as SMS, and where it is cut
 *
 * A message is sent in the GSM 7-bit alphabet (3GPP TS 23.038) when all of it fits, 160 septets or
 * 153 in each of several segments; else as UCS-2, 70 or 67 units. Twilio's smart encoding writes
 * typographic characters as their plain ones before it counts. Segments are paid for one by one and
 * many carriers deliver no more than a few, so a text is cut at a number of them; the true limit of
 * Twilio is 1600 characters.
 */
#include "channel/drivers/twilio.h"

#include <string.h>

#include "channel/markup.h"
#include "text/text.h"

#define GSM_SINGLE 160
#define GSM_EACH 153
#define UCS2_SINGLE 70
#define UCS2_EACH 67

/* Beyond ASCII, in the basic table: one septet. */
static const uint16_t gsm_basic[] = {
    0x00a1, 0x00a3, 0x00a4, 0x00a5, 0x00a7, 0x00bf, 0x00c4, 0x00c5, 0x00c6, 0x00c7,
    0x00c9, 0x00d1, 0x00d6, 0x00d8, 0x00dc, 0x00df, 0x00e0, 0x00e4, 0x00e5, 0x00e6,
    0x00e8, 0x00e9, 0x00ec, 0x00f1, 0x00f2, 0x00f6, 0x00f8, 0x00f9, 0x00fc, 0x0393,
    0x0394, 0x0398, 0x039b, 0x039e, 0x03a0, 0x03a3, 0x03a6, 0x03a8, 0x03a9,
};

/* Ranges that smart encoding replaces, and the septets of what it writes. */
static const struct smart {
    uint16_t first, last;
    uint8_t septets;
} smart_encoded[] = {
    {0x00a0, 0x00a0, 1},                                           /* spaces */
    {0x00ab, 0x00ab, 1}, {0x00b4, 0x00b4, 1}, {0x00bb, 0x00bb, 1}, /* quotes */
    {0x2000, 0x200a, 1}, {0x200b, 0x200b, 0},                      /* spaces */
    {0x2010, 0x2015, 1},                                           /* dashes */
    {0x2018, 0x201f, 1},                                           /* quotes */
    {0x2024, 0x2024, 1}, {0x2026, 0x2026, 3},                      /* dots */
    {0x202f, 0x202f, 1}, {0x2032, 0x2033, 1}, {0x2039, 0x203a, 1},
    {0x2212, 0x2212, 1}, {0xfeff, 0xfeff, 0},
};

static size_t
septets_of_ascii(unsigned c)
{
    if (c < ' ')
        return c == '\n' || c == '\r' ? 1 : 0;
    if (c == 127 || c == '`')
        return 0;
    return strchr("^{}\\[~]|", (int)c) != NULL ? 2 : 1;
}

/* False: it is not in the alphabet. */
static bool
septets_of(unsigned c, size_t *septets_out)
{
    if (c < 128) {
        *septets_out = septets_of_ascii(c);
        return *septets_out > 0;
    }
    *septets_out = 1;
    for (size_t i = 0; i < sizeof gsm_basic / sizeof gsm_basic[0]; i++)
        if (gsm_basic[i] == c)
            return true;
    *septets_out = 2;
    if (c == 0x20ac) /* euro */
        return true;
    for (size_t i = 0; i < sizeof smart_encoded / sizeof smart_encoded[0]; i++)
        if (c >= smart_encoded[i].first && c <= smart_encoded[i].last) {
            *septets_out = smart_encoded[i].septets;
            return true;
        }
    return false;
}

/* The character that begins at *at, which moves behind it. text is UTF-8. */
static unsigned
next_character(struct str text, size_t *at)
{
    unsigned first = (unsigned char)text.ptr[(*at)++];
    unsigned c = first < 0x80   ? first
                 : first < 0xe0 ? first & 31
                 : first < 0xf0 ? first & 15
                                : first & 7;

    while (*at < text.len && ((unsigned char)text.ptr[*at] & 0xc0) == 0x80)
        c = c << 6 | ((unsigned char)text.ptr[(*at)++] & 63);
    return c;
}

bool
twilio_gsm7_len(struct str text, size_t *septets_out)
{
    size_t total = 0, septets;

    for (size_t at = 0; at < text.len;) {
        if (!septets_of(next_character(text, &at), &septets))
            return false;
        total += septets;
    }
    *septets_out = total;
    return true;
}

size_t
twilio_segments(struct str text)
{
    size_t length;
    bool is_gsm = twilio_gsm7_len(text, &length);
    size_t single = is_gsm ? GSM_SINGLE : UCS2_SINGLE, each = is_gsm ? GSM_EACH : UCS2_EACH;

    if (!is_gsm)
        length = text_utf16_len(text);
    if (length == 0)
        return 0;
    return length <= single ? 1 : (length + each - 1) / each;
}

/* Marks are counted though they are not sent: a part may come out shorter than it could be. */
size_t
twilio_sms_split(struct channel *channel, struct str text, struct arena *arena,
                 struct str **parts_out)
{
    size_t segments = twilio_of(channel)->max_segments;
    size_t gsm_max = segments == 1 ? GSM_SINGLE : segments * GSM_EACH;
    size_t ucs2_max = segments == 1 ? UCS2_SINGLE : segments * UCS2_EACH;
    struct str *wide, *parts = NULL;
    size_t wide_count = markup_split(text, gsm_max, arena, &wide), count = 0;

    /* One character beyond the alphabet halves the room of its own part alone. */
    for (size_t i = 0; i < wide_count; i++) {
        struct str *pieces = &wide[i];
        size_t piece_count = 1;

        if (twilio_segments(wide[i]) > segments)
            piece_count = markup_split(wide[i], ucs2_max, arena, &pieces);
        struct str *grown = ARENA_NEW_N(arena, struct str, count + piece_count);
        if (count > 0)
            memcpy(grown, parts, count * sizeof *grown);
        memcpy(grown + count, pieces, piece_count * sizeof *grown);
        parts = grown;
        count += piece_count;
    }
    *parts_out = parts;
    return count;
}

size_t
twilio_whatsapp_split(struct channel *channel, struct str text, struct arena *arena,
                      struct str **parts_out)
{
    (void)channel;
    return markup_split(text, TWILIO_BODY_MAX_UNITS, arena, parts_out);
}
