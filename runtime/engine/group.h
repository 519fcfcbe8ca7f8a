/* SPDX-License-Identifier: MIT */
/* group -- the choices of one request: one computes the prompt for all, and a ranking picks some.
 *
 *     leader -> attached -> attached        until the prompt is computed; then each goes on alone
 *
 * Until the prompt is computed the first choice that has not ended is the leader.  The others are
 * attached to it, as their sequences are in the scheduler.
 *
 * Ranking (best_of more than n): events are held until all choices have ended.  Then the n choices
 * with the highest sum of logprobs are returned, and only they count in the usage.  vLLM did the
 * same (RequestOutput.from_seq_group, until 0.8): by cumulative logprob, not divided by the length.
 *
 * Thread: the engine's.  quire_submit builds the chain before the engine thread sees it.
 * Memory: a ranking is from the engine's allocator, and is freed when the last choice ends. */
#ifndef QR_ENGINE_GROUP_H
#define QR_ENGINE_GROUP_H

#include "runtime/engine/engine.h"

struct qr_ranking {
    uint32_t n;     /* choices to return */
    uint32_t all_n; /* choices to generate */
    uint32_t live_n;
    struct qr_request *ended; /* linked by fresh_next */
};

/* To visit a request and all that are attached to it:
 * for (r = leader; r; r = r->attached). */

/* Removes a choice that ended before the prompt was computed.  If it was the leader, the next one
 * becomes the leader.  r->attached stays, so a walk along the chain can go on from it. */
void qr_group_leave(struct qr_request *r);
/* Ends the chain, because the prompt is computed. */
void qr_group_part(struct qr_request *leader);

/* False: no memory. */
bool qr_ranking_begin(struct qr_request *leader, uint32_t n, uint32_t all_n,
                      const struct quire_allocator *allocator);
/* A choice has its terminal event.  After the last one, the best are published and the others
 * dropped at the end of the turn. */
void qr_ranking_end(quire_engine *e, struct qr_request *r);

#endif
