/* SPDX-License-Identifier: MIT */
/* scan -- follows one JSON value byte by byte: where it ends, and whether it is still JSON.
 *
 * Two liberties: control characters within strings are allowed, and so is any escape.
 *
 * Thread: one at a time.   Memory: the caller's. */
#ifndef QR_PARSE_SCAN_H
#define QR_PARSE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#define QR_PARSE_DEPTH_MAX 512u /* Python's json module reads about 1,000 */

enum qr_scan_state {
    QR_SCAN_VALUE,
    QR_SCAN_VALUE_OR_END, /* after [ */
    QR_SCAN_KEY_OR_END,   /* after { */
    QR_SCAN_KEY,          /* after , in an object */
    QR_SCAN_COLON,
    QR_SCAN_COMMA_OR_END,
    QR_SCAN_STRING,
    QR_SCAN_ESCAPE,
    QR_SCAN_LITERAL,
    QR_SCAN_MINUS,
    QR_SCAN_ZERO,
    QR_SCAN_INTEGER,
    QR_SCAN_POINT,
    QR_SCAN_FRACTION,
    QR_SCAN_E,
    QR_SCAN_SIGN,
    QR_SCAN_EXPONENT
};

struct qr_scan {
    uint8_t state; /* enum qr_scan_state */
    bool key;      /* the string is a key */
    uint8_t at;    /* in literal */
    const char *literal;
    uint32_t depth;
    uint64_t objects[QR_PARSE_DEPTH_MAX / 64]; /* bit d: the container at depth d is an object */
};

enum qr_scan_result {
    QR_SCAN_MORE,
    QR_SCAN_END,    /* the byte is the value's last */
    QR_SCAN_BEFORE, /* the value, a number, ended before this byte */
    QR_SCAN_BROKEN  /* no JSON */
};

void qr_scan_begin(struct qr_scan *s);
enum qr_scan_result qr_scan_push(struct qr_scan *s, uint8_t byte);
/* The text ends here: is the value whole? */
bool qr_scan_is_whole(const struct qr_scan *s);

static inline bool qr_scan_in_string(const struct qr_scan *s)
{
    return s->state == QR_SCAN_STRING || s->state == QR_SCAN_ESCAPE;
}

static inline bool qr_is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

#endif
