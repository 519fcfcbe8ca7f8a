/* SPDX-License-Identifier: MIT */
#include "runtime/model/layout.h"

#include "runtime/base/memory.h"

void *qr_layout_place(struct qr_layout *l, size_t n, size_t bytes)
{
    size_t at = l->bytes;

    if (!qr_mul(n, bytes, &bytes) || bytes > SIZE_MAX - QR_CACHE_LINE ||
        !qr_add_size(at, qr_whole_lines(bytes), &l->bytes)) {
        l->bytes = SIZE_MAX;
        return NULL;
    }
    return l->base ? l->base + at : NULL;
}
