/* SPDX-License-Identifier: MIT */
/* group -- the choices of one request: who computes the prompt for all, and which are given out.
 *
 * Until the prompt is computed the first choice that has not ended leads, and the others are
 * attached to it, as their sequences are in the scheduler.  Then each is on its own.
 *
 * Ranking (best_of more than n): events are kept until all choices have ended, then the n with the
 * highest sum of logprobs are given out.  vLLM ranks so (RequestOutput.from_seq_group, until 0.8:
 * by cumulative logprob, not divided by the length), and counts only those in the usage.
 *
 * Thread: the engine's.  quire_submit links the choices and begins the ranking before it pushes the
 * request into the inbox.
 * Memory: a ranking comes from the engine's allocator, and is freed when its last choice has ended.
 */
#ifndef QR_ENGINE_GROUP_H
#define QR_ENGINE_GROUP_H

#include "runtime/engine/engine.h"

struct qr_ranking {
    uint32_t n;     /* to be given out */
    uint32_t all_n; /* generated */
    uint32_t live_n;
    struct qr_request *ended; /* by fresh_next */
};

/* The chain of a request and all attached to it, itself first, whether they have ended or not:
 * for (r = leader; r; r = r->attached). */

/* A choice has ended before the prompt was computed: it leaves its chain, or hands it on.  Who
 * walks the chain from it still finds the rest. */
void qr_group_leave(struct qr_request *r);
/* The prompt is computed: no request is attached any more. */
void qr_group_part(struct qr_request *leader);

/* False: no memory. */
bool qr_ranking_begin(struct qr_request *leader, uint32_t n, uint32_t all_n,
                      const struct quire_allocator *allocator);
/* One choice has its terminal event.  At the last one the best are published, the others dropped
 * at the end of the turn. */
void qr_ranking_end(quire_engine *e, struct qr_request *r);

#endif
