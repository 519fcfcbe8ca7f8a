/* SPDX-License-Identifier: MIT */
/* sort -- a stable merge sort of values by their keys. */
#include <string.h>

#include "runtime/template/render.h"

/* Sorts [n] pairs by their keys, stable; `room` is as large. */
void qr_sort_pairs(struct qr_run *run, struct qr_pair *pairs, size_t n, bool reverse)
{
    struct qr_pair *room = qr_run_alloc_array(run, n, sizeof *room);

    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = from + width < n ? from + width : n;
            size_t end = middle + width < n ? middle + width : n;
            size_t a = from, b = middle;
            for (size_t i = from; i < end; i++) {
                bool second = a == middle;
                if (!second && b < end) {
                    int order = qr_value_compare(run, "<", pairs[b].key, pairs[a].key);
                    second = reverse ? order == 1 : order == -1;
                }
                room[i] = pairs[second ? b++ : a++];
            }
        }
        memcpy(pairs, room, n * sizeof *pairs);
        qr_run_charge(run, n);
    }
}
