/* SPDX-License-Identifier: MIT */
#include "runtime/engine/stop.h"

#include <assert.h>
#include <string.h>

/* fallback[i]: the longest proper prefix of text[0, i] that also ends it. */
static void make_fallback(uint16_t *fallback, const struct quire_text *string)
{
    uint16_t length = 0;

    fallback[0] = 0;
    for (size_t i = 1; i < string->n; i++) {
        while (length && string->data[i] != string->data[length])
            length = fallback[length - 1];
        if (string->data[i] == string->data[length]) length++;
        fallback[i] = length;
    }
}

/* Takes one byte.  True: string i ends here. */
static bool follow(struct qr_stop *stop, uint32_t i, char byte)
{
    const struct quire_text *string = &stop->strings[i];
    const uint16_t *fallback = stop->fallback[i];
    uint16_t matched = stop->matched[i];

    while (matched && string->data[matched] != byte)
        matched = fallback[matched - 1];
    if (string->data[matched] == byte) matched++;

    bool whole = matched == string->n;
    stop->matched[i] = whole ? fallback[matched - 1] : matched;
    return whole;
}

size_t qr_stop_bytes(size_t bytes_n, size_t delta_max)
{
    return bytes_n * (sizeof(uint16_t) + 1) + QR_STOP_BYTES_MAX + delta_max;
}

void qr_stop_init(struct qr_stop *stop, void *memory, const struct quire_text *strings,
                  size_t strings_n, size_t delta_max)
{
    uint16_t *fallback = memory;
    size_t bytes_n = 0;

    assert(strings_n <= QR_STOP_STRINGS_MAX);
    memset(stop, 0, sizeof *stop);
    for (size_t i = 0; i < strings_n; i++)
        bytes_n += strings[i].n;
    char *bytes = (char *)(fallback + bytes_n);
    for (size_t i = 0; i < strings_n; i++) {
        assert(strings[i].n > 0 && strings[i].n <= QR_STOP_BYTES_MAX);
        memcpy(bytes, strings[i].data, strings[i].n);
        stop->strings[i] = (struct quire_text){bytes, strings[i].n};
        make_fallback(fallback, &stop->strings[i]);
        stop->fallback[i] = fallback;
        bytes += strings[i].n;
        fallback += strings[i].n;
    }
    stop->strings_n = (uint32_t)strings_n;
    stop->held = bytes;
    stop->held_max = QR_STOP_BYTES_MAX + delta_max;
}

int qr_stop_push(struct qr_stop *stop, const char *text, size_t text_n, bool armed,
                 struct quire_text *certain)
{
    memmove(stop->held, stop->held + stop->begin, stop->end - stop->begin);
    stop->end -= stop->begin;
    stop->begin = 0;
    assert(stop->end + text_n <= stop->held_max);
    for (size_t t = 0; t < text_n; t++) {
        stop->held[stop->end++] = text[t];
        for (uint32_t i = 0; i < stop->strings_n; i++) {
            if (!follow(stop, i, text[t]) || !armed) continue;
            stop->begin = stop->end; /* the match and what follows it are not part of the text */
            *certain = (struct quire_text){stop->held, stop->end - stop->strings[i].n};
            return (int)i;
        }
    }
    size_t hold = 0;
    for (uint32_t i = 0; i < stop->strings_n; i++)
        if (stop->matched[i] > hold) hold = stop->matched[i];
    assert(hold <= stop->end);
    stop->begin = stop->end - hold;
    *certain = (struct quire_text){stop->held, stop->begin};
    return -1;
}

struct quire_text qr_stop_flush(struct qr_stop *stop)
{
    struct quire_text held = {stop->held + stop->begin, stop->end - stop->begin};

    stop->begin = stop->end;
    return held;
}
