/*
 * robots.c - robots.txt line by line, and the patterns of its rules
 */
#include "knowledge/robots.h"

#include <string.h>

#include "base/buf.h"

/* A longer pattern is cut: what it forbids then is more, what it allows is not taken. */
#define PATTERN_MAX_BYTES ((size_t)1000)
#define DELAY_MAX_S 86400.0

struct robots_rule {
    struct str pattern; /* as normal() has it */
    bool allows;
};

/* A file's groups in one pass: rules of ours, and of "*" for when there are none of ours. */
struct reading {
    struct str token;
    struct arena *arena;
    struct robots ours, others;
    size_t our_capacity, other_capacity;
    bool is_ours, is_others; /* what the group that is read belongs to */
    bool found_ours;         /* a group that names us */
    bool after_rule;         /* the next user-agent line begins a group */
};

/* RFC 9309, section 2.2.2: compared as octets, with what need not be encoded decoded and what must
 * be, encoded. */
static struct str
normal(struct str text, struct arena *arena)
{
    static const char hex[] = "0123456789ABCDEF";
    struct buf out;
    struct str result;

    buf_init(&out, 3 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        const char *high = NULL, *low = NULL;

        if (c == '%' && i + 2 < text.len) {
            high = memchr(hex, text.ptr[i + 1] & (text.ptr[i + 1] >= 'a' ? ~0x20 : ~0), 16);
            low = memchr(hex, text.ptr[i + 2] & (text.ptr[i + 2] >= 'a' ? ~0x20 : ~0), 16);
        }
        if (high != NULL && low != NULL) {
            unsigned value = (unsigned)((high - hex) * 16 + (low - hex));
            bool plain = (value >= '0' && value <= '9') ||
                         ((value | 0x20) >= 'a' && (value | 0x20) <= 'z') || value == '-' ||
                         value == '.' || value == '_' || value == '~';

            i += 2;
            if (plain) {
                buf_append_byte(&out, (char)value);
                continue;
            }
            c = (unsigned char)value;
        } else if (c > 0x20 && c < 0x7f) {
            buf_append_byte(&out, (char)c);
            continue;
        }
        buf_append_byte(&out, '%');
        buf_append_byte(&out, hex[c >> 4]);
        buf_append_byte(&out, hex[c & 15]);
    }
    result = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return result;
}

static void
add_rule(struct robots *robots, size_t *capacity, struct str pattern, bool allows,
         struct arena *arena)
{
    if (robots->rule_count == *capacity) {
        size_t grown_capacity = 2 * *capacity + 16;
        struct robots_rule *grown = ARENA_NEW_N(arena, struct robots_rule, grown_capacity);

        if (robots->rule_count > 0)
            memcpy(grown, robots->rules, robots->rule_count * sizeof(*grown));
        robots->rules = grown;
        *capacity = grown_capacity;
    }
    robots->rules[robots->rule_count++] = (struct robots_rule){pattern, allows};
}

static void
read_agent(struct reading *reading, struct str value)
{
    size_t len = 0;

    if (reading->after_rule)
        reading->is_ours = reading->is_others = reading->after_rule = false;
    while (len < value.len && (((value.ptr[len] | 0x20) >= 'a' && (value.ptr[len] | 0x20) <= 'z') ||
                               value.ptr[len] == '-' || value.ptr[len] == '_'))
        len++;
    if (value.len > 0 && value.ptr[0] == '*')
        reading->is_others = true;
    else if (str_eq_nocase(str_sub(value, 0, len), reading->token))
        reading->is_ours = reading->found_ours = true;
}

static void
read_rule(struct reading *reading, struct str value, bool allows)
{
    bool is_cut = value.len > PATTERN_MAX_BYTES;
    struct str pattern;

    reading->after_rule = true;
    if (value.len == 0 || (is_cut && allows) || (!reading->is_ours && !reading->is_others))
        return;
    pattern = normal(str_sub(value, 0, PATTERN_MAX_BYTES), reading->arena);
    if (reading->is_ours)
        add_rule(&reading->ours, &reading->our_capacity, pattern, allows, reading->arena);
    if (reading->is_others)
        add_rule(&reading->others, &reading->other_capacity, pattern, allows, reading->arena);
}

/* Not of the RFC; many say it, in seconds. */
static void
read_delay(struct reading *reading, struct str value)
{
    double seconds;

    reading->after_rule = true;
    if (!str_to_double(value, &seconds) || seconds < 0)
        return;
    if (seconds > DELAY_MAX_S)
        seconds = DELAY_MAX_S;
    if (reading->is_ours)
        reading->ours.delay_ms = (int64_t)(seconds * 1000);
    if (reading->is_others)
        reading->others.delay_ms = (int64_t)(seconds * 1000);
}

static void
read_line(struct reading *reading, struct str line)
{
    ptrdiff_t comment = str_find_byte(line, '#');
    struct str key;

    if (comment >= 0)
        line = str_sub(line, 0, (size_t)comment);
    if (str_find_byte(line, ':') < 0 || !str_split(&line, ':', &key))
        return;
    key = str_trim(key);
    line = str_trim(line);
    if (str_eq_nocase(key, STR("user-agent")))
        read_agent(reading, line);
    else if (str_eq_nocase(key, STR("allow")))
        read_rule(reading, line, true);
    else if (str_eq_nocase(key, STR("disallow")))
        read_rule(reading, line, false);
    else if (str_eq_nocase(key, STR("crawl-delay")))
        read_delay(reading, line);
}

void
robots_parse(struct str text, struct str token, struct arena *arena, struct robots *robots_out)
{
    struct reading reading = {
        .token = token, .arena = arena, .ours = {.delay_ms = -1}, .others = {.delay_ms = -1}};
    size_t start = 0;

    text = str_sub(text, 0, ROBOTS_MAX_BYTES);
    if (str_starts_with(text, STR("\xef\xbb\xbf")))
        start = 3;
    for (size_t i = start; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] != '\n' && text.ptr[i] != '\r')
            continue;
        read_line(&reading, str_sub(text, start, i - start));
        start = i + 1;
    }
    *robots_out = reading.found_ours ? reading.ours : reading.others;
}

/* A star is tried again one byte further; one before another never has to be. */
static bool
matches(struct str pattern, struct str target)
{
    bool anchored = str_ends_with(pattern, STR("$"));
    size_t p = 0, t = 0, star = SIZE_MAX, star_t = 0;

    if (anchored)
        pattern.len--;
    for (;;) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_t = t;
        } else if (p == pattern.len && (!anchored || t == target.len)) {
            return true;
        } else if (p < pattern.len && t < target.len && pattern.ptr[p] == target.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX && star_t < target.len) {
            p = star + 1;
            t = ++star_t;
        } else {
            return false;
        }
    }
}

bool
robots_allow(const struct robots *robots, struct str target, struct arena *arena)
{
    const struct robots_rule *best = NULL;

    if (str_eq(target, STR("/robots.txt")))
        return true;
    target = normal(target, arena);
    for (size_t i = 0; i < robots->rule_count; i++) {
        const struct robots_rule *rule = &robots->rules[i];

        if (best != NULL && (rule->pattern.len < best->pattern.len ||
                             (rule->pattern.len == best->pattern.len && !rule->allows)))
            continue;
        if (matches(rule->pattern, target))
            best = rule;
    }
    return best == NULL || best->allows;
}

void
robots_wish_read(struct str directives, struct robots_wish *wish)
{
    struct str word;

    while (str_split(&directives, ',', &word)) {
        word = str_trim(word);
        wish->no_index |= str_eq_nocase(word, STR("noindex")) || str_eq_nocase(word, STR("none"));
        wish->no_follow |= str_eq_nocase(word, STR("nofollow")) || str_eq_nocase(word, STR("none"));
    }
}

void
robots_header_read(struct str lines, struct str token, struct robots_wish *wish)
{
    struct str line;

    while (str_split(&lines, '\n', &line)) {
        struct str rest = line, name;
        ptrdiff_t colon = str_find_byte(line, ':'), comma = str_find_byte(line, ',');

        if (colon >= 0 && (comma < 0 || colon < comma) && str_split(&rest, ':', &name)) {
            name = str_trim(name);
            if (str_eq_nocase(name, token))
                line = rest;
            else if (!str_eq_nocase(name, STR("unavailable_after")))
                continue;
        }
        robots_wish_read(line, wish);
    }
}
