/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/array.h"

#include <string.h>

void *qr_array_reserve(struct qr_budget *budget, void *array, size_t *capacity, size_t n,
                       size_t size)
{
    size_t bytes, wanted = *capacity ? *capacity : 16;

    if (n <= *capacity) return array;
    while (wanted < n)
        wanted += wanted / 2;
    if (budget->failed || !qr_mul(wanted, size, &bytes) ||
        bytes - *capacity * size > budget->bytes_left) {
        budget->failed = true;
        return array;
    }
    void *grown = qr_realloc(&budget->allocator, array, bytes);
    if (!grown) {
        budget->failed = budget->no_memory = true;
        return array;
    }
    budget->bytes_left -= bytes - *capacity * size;
    *capacity = wanted;
    return grown;
}

void qr_array_free(struct qr_budget *budget, void *array)
{
    qr_free(&budget->allocator, array);
}
