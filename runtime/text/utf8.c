/* SPDX-License-Identifier: MIT */
#include "runtime/text/utf8.h"

#include <string.h>

/* The length of the character that a lead byte begins, and the range of its second byte. */
struct lead {
    uint8_t bytes_n; /* 0: not a lead byte */
    uint8_t low, high;
};

static struct lead lead_of(uint8_t byte)
{
    if (byte < 0x80) return (struct lead){1, 0, 0};
    if (byte < 0xc2) return (struct lead){0, 0, 0};
    if (byte < 0xe0) return (struct lead){2, 0x80, 0xbf};
    if (byte == 0xe0) return (struct lead){3, 0xa0, 0xbf};
    if (byte == 0xed) return (struct lead){3, 0x80, 0x9f};
    if (byte < 0xf0) return (struct lead){3, 0x80, 0xbf};
    if (byte == 0xf0) return (struct lead){4, 0x90, 0xbf};
    if (byte < 0xf4) return (struct lead){4, 0x80, 0xbf};
    if (byte == 0xf4) return (struct lead){4, 0x80, 0x8f};
    return (struct lead){0, 0, 0};
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

static bool is_surrogate(const uint8_t *s, size_t n)
{
    return n >= 3 && s[0] == 0xed && s[1] >= 0xa0 && is_tail(s[1]) && is_tail(s[2]);
}

size_t qr_utf8_character(const char *text, size_t text_n)
{
    const uint8_t *s = (const uint8_t *)text;

    if (text_n == 0) return 0;
    struct lead lead = lead_of(s[0]);
    if (lead.bytes_n <= 1) return lead.bytes_n;
    if (lead.bytes_n > text_n || s[1] < lead.low || s[1] > lead.high) return 0;
    for (size_t i = 2; i < lead.bytes_n; i++)
        if (!is_tail(s[i])) return 0;
    return lead.bytes_n;
}

size_t qr_utf8_valid(const char *text, size_t text_n)
{
    size_t at = 0;

    while (at < text_n) {
        uint64_t eight;
        if (text_n - at >= sizeof eight) {
            memcpy(&eight, text + at, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                at += sizeof eight;
                continue;
            }
        }
        size_t n = qr_utf8_character(text + at, text_n - at);
        if (n == 0) break;
        at += n;
    }
    return at;
}

bool qr_utf8_continues(const uint8_t *held, uint32_t held_n, uint8_t byte, bool *complete)
{
    struct lead lead = lead_of(held_n ? held[0] : byte);

    *complete = lead.bytes_n == held_n + 1;
    if (held_n == 0) return lead.bytes_n > 0;
    if (held_n == 1) return byte >= lead.low && byte <= lead.high;
    return is_tail(byte);
}

size_t qr_utf8_repaired_n(const char *text, size_t text_n)
{
    size_t repaired_n = 0;

    for (size_t at = 0; at < text_n;) {
        size_t n = qr_utf8_character(text + at, text_n - at);
        if (n == 0 && is_surrogate((const uint8_t *)text + at, text_n - at)) n = 3;
        repaired_n += n ? n : QR_UTF8_REPLACEMENT_N;
        at += n ? n : 1;
    }
    return repaired_n;
}

void qr_utf8_repair(const char *text, size_t text_n, char *bytes, char *subject)
{
    for (size_t at = 0; at < text_n;) {
        size_t n = qr_utf8_character(text + at, text_n - at);
        if (n > 0) {
            memcpy(bytes, text + at, n);
            memcpy(subject, text + at, n);
            bytes += n;
            subject += n;
            at += n;
            continue;
        }
        bool surrogate = is_surrogate((const uint8_t *)text + at, text_n - at);
        memcpy(bytes, surrogate ? text + at : QR_UTF8_REPLACEMENT, QR_UTF8_REPLACEMENT_N);
        memcpy(subject, QR_UTF8_REPLACEMENT, QR_UTF8_REPLACEMENT_N);
        bytes += QR_UTF8_REPLACEMENT_N;
        subject += QR_UTF8_REPLACEMENT_N;
        at += surrogate ? 3 : 1;
    }
}
