/* SPDX-License-Identifier: MIT */
#include "runtime/parse/scan.h"

#include <string.h>

void qr_scan_begin(struct qr_scan *s)
{
    s->state = QR_SCAN_VALUE;
    s->depth = 0;
    s->key = false;
}

static bool in_object(const struct qr_scan *s)
{
    return s->objects[(s->depth - 1) / 64] >> ((s->depth - 1) % 64) & 1;
}

static enum qr_scan_result open_container(struct qr_scan *s, bool object)
{
    if (s->depth == QR_PARSE_DEPTH_MAX) return QR_SCAN_BROKEN;
    uint64_t bit = UINT64_C(1) << (s->depth % 64), *word = &s->objects[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    s->state = object ? QR_SCAN_KEY_OR_END : QR_SCAN_VALUE_OR_END;
    return QR_SCAN_MORE;
}

static enum qr_scan_result value_ended(struct qr_scan *s)
{
    s->state = QR_SCAN_COMMA_OR_END;
    return s->depth ? QR_SCAN_MORE : QR_SCAN_END;
}

static enum qr_scan_result close_container(struct qr_scan *s, uint8_t byte)
{
    if (s->depth == 0 || in_object(s) != (byte == '}')) return QR_SCAN_BROKEN;
    s->depth--;
    return value_ended(s);
}

static enum qr_scan_result begin_value(struct qr_scan *s, uint8_t byte)
{
    switch (byte) {
    case '{': return open_container(s, true);
    case '[': return open_container(s, false);
    case '"':
        s->state = QR_SCAN_STRING;
        s->key = false;
        return QR_SCAN_MORE;
    case '-': s->state = QR_SCAN_MINUS; return QR_SCAN_MORE;
    case '0': s->state = QR_SCAN_ZERO; return QR_SCAN_MORE;
    case 't': s->literal = "true"; break;
    case 'f': s->literal = "false"; break;
    case 'n': s->literal = "null"; break;
    default:
        if (byte < '1' || byte > '9') return QR_SCAN_BROKEN;
        s->state = QR_SCAN_INTEGER;
        return QR_SCAN_MORE;
    }
    s->at = 1;
    s->state = QR_SCAN_LITERAL;
    return QR_SCAN_MORE;
}

static enum qr_scan_result between(struct qr_scan *s, uint8_t byte)
{
    if (qr_is_space(byte)) return QR_SCAN_MORE;
    switch (s->state) {
    case QR_SCAN_VALUE_OR_END:
        if (byte == ']') return close_container(s, byte);
        return begin_value(s, byte);
    case QR_SCAN_KEY_OR_END:
        if (byte == '}') return close_container(s, byte);
        /* fallthrough */
    case QR_SCAN_KEY:
        if (byte != '"') return QR_SCAN_BROKEN;
        s->state = QR_SCAN_STRING;
        s->key = true;
        return QR_SCAN_MORE;
    case QR_SCAN_COLON:
        s->state = QR_SCAN_VALUE;
        return byte == ':' ? QR_SCAN_MORE : QR_SCAN_BROKEN;
    case QR_SCAN_COMMA_OR_END:
        if (byte == '}' || byte == ']') return close_container(s, byte);
        if (byte != ',' || s->depth == 0) return QR_SCAN_BROKEN;
        s->state = in_object(s) ? QR_SCAN_KEY : QR_SCAN_VALUE;
        return QR_SCAN_MORE;
    default: return begin_value(s, byte);
    }
}

/* A number's next state, or -1: the byte is not a part of it. */
static int number_next(uint8_t state, uint8_t byte)
{
    bool digit = byte >= '0' && byte <= '9', e = byte == 'e' || byte == 'E';

    switch (state) {
    case QR_SCAN_MINUS: return byte == '0' ? QR_SCAN_ZERO : digit ? QR_SCAN_INTEGER : -1;
    case QR_SCAN_ZERO: return byte == '.' ? QR_SCAN_POINT : e ? QR_SCAN_E : -1;
    case QR_SCAN_INTEGER:
        return digit ? QR_SCAN_INTEGER : byte == '.' ? QR_SCAN_POINT : e ? QR_SCAN_E : -1;
    case QR_SCAN_POINT: return digit ? QR_SCAN_FRACTION : -1;
    case QR_SCAN_FRACTION: return digit ? QR_SCAN_FRACTION : e ? QR_SCAN_E : -1;
    case QR_SCAN_E:
        return digit ? QR_SCAN_EXPONENT : byte == '+' || byte == '-' ? QR_SCAN_SIGN : -1;
    default: return digit ? QR_SCAN_EXPONENT : -1;
    }
}

static bool number_is_whole(uint8_t state)
{
    return state == QR_SCAN_ZERO || state == QR_SCAN_INTEGER || state == QR_SCAN_FRACTION ||
           state == QR_SCAN_EXPONENT;
}

enum qr_scan_result qr_scan_push(struct qr_scan *s, uint8_t byte)
{
    if (s->state < QR_SCAN_STRING) return between(s, byte);
    if (s->state == QR_SCAN_STRING) {
        if (byte == '\\') s->state = QR_SCAN_ESCAPE;
        if (byte != '"') return QR_SCAN_MORE;
        if (!s->key) return value_ended(s);
        s->state = QR_SCAN_COLON;
        return QR_SCAN_MORE;
    }
    if (s->state == QR_SCAN_ESCAPE) {
        s->state = QR_SCAN_STRING;
        return QR_SCAN_MORE;
    }
    if (s->state == QR_SCAN_LITERAL) {
        if (byte != (uint8_t)s->literal[s->at]) return QR_SCAN_BROKEN;
        return s->literal[++s->at] ? QR_SCAN_MORE : value_ended(s);
    }
    int next = number_next(s->state, byte);
    if (next >= 0) {
        s->state = (uint8_t)next;
        return QR_SCAN_MORE;
    }
    if (!number_is_whole(s->state)) return QR_SCAN_BROKEN;
    if (value_ended(s) == QR_SCAN_END) return QR_SCAN_BEFORE;
    return between(s, byte);
}

bool qr_scan_is_whole(const struct qr_scan *s)
{
    return s->depth == 0 && (s->state == QR_SCAN_COMMA_OR_END ||
                             (s->state > QR_SCAN_LITERAL && number_is_whole(s->state)));
}
