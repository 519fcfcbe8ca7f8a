/* SPDX-License-Identifier: MIT */
/* attend -- the stages of a layer's attention.
 *
 * An item is (query tile, KV head): the tile's rows of one sequence with all query heads that share
 * the KV head.  It rotates its queries and keys, stores its keys and values in the pages, and
 * attends.  Where each sequence is one query tile, one stage does all of that (decode).  Otherwise
 * a stage before it stores all keys, since a query tile attends to keys of the others.
 *
 * With a sliding window nothing before a row's window is touched, not even a page's number: the
 * page may have been dropped.
 *
 * Thread: the engine adds stages; any thread of the team runs their items.
 * Memory: the activations', and the pages of the step's sequences. */
#ifndef QR_MODEL_ATTEND_H
#define QR_MODEL_ATTEND_H

#include "runtime/model/activations.h"

/* attended = attention over the layer's keys and values, in the form that o wants.  In the last
 * layer, rows without requested logits need only keys and values: where they are at least half, the
 * others go on without them. */
void qr_attend_layer(struct qr_activations *a, uint32_t layer);

#endif
