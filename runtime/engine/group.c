/* SPDX-License-Identifier: MIT */
#include "runtime/engine/group.h"

#include <assert.h>
#include <math.h>

void qr_group_leave(struct qr_request *r)
{
    struct qr_request *first = r->attached;

    if (r->leader) {
        struct qr_request *before = r->leader;
        while (before->attached != r)
            before = before->attached;
        before->attached = first;
        r->leader = NULL;
        return;
    }
    for (struct qr_request *next = first; next; next = next->attached)
        next->leader = next == first ? NULL : first;
}

void qr_group_part(struct qr_request *leader)
{
    while (leader) {
        struct qr_request *next = leader->attached;
        leader->attached = NULL;
        leader->leader = NULL;
        leader = next;
    }
}

bool qr_ranking_begin(struct qr_request *leader, uint32_t n, uint32_t all_n,
                      const struct quire_allocator *allocator)
{
    struct qr_ranking *ranking = qr_alloc(allocator, sizeof *ranking);

    if (!ranking) return false;
    *ranking = (struct qr_ranking){.n = n, .all_n = all_n, .live_n = all_n};
    for (struct qr_request *r = leader; r; r = r->attached) {
        r->ranking = ranking;
        r->logprobs_hidden = r->sampling.logprobs < 0;
        if (r->logprobs_hidden) r->sampling.logprobs = 0;
    }
    return true;
}

/* Whether a ranks before b.  Failed choices rank last; of equal choices the earlier ranks first. */
static bool better(const struct qr_request *a, const struct qr_request *b)
{
    bool a_failed = a->terminal.event.kind == QUIRE_EVENT_ERROR;
    bool b_failed = b->terminal.event.kind == QUIRE_EVENT_ERROR;

    if (a_failed != b_failed) return b_failed;
    if (a->logprob_sum != b->logprob_sum) return a->logprob_sum > b->logprob_sum;
    return a->choice < b->choice;
}

/* Removes the best choice from the list. */
static struct qr_request *take_best(struct qr_request **list)
{
    struct qr_request **best = list, *taken;

    for (struct qr_request **link = &(*list)->fresh_next; *link; link = &(*link)->fresh_next)
        if (better(*link, *best)) best = link;
    taken = *best;
    *best = taken->fresh_next;
    return taken;
}

void qr_ranking_end(quire_engine *e, struct qr_request *r)
{
    struct qr_ranking *ranking = r->ranking;

    assert(r->ended && ranking->live_n > 0);
    r->fresh_next = ranking->ended;
    ranking->ended = r;
    if (--ranking->live_n > 0) return;
    for (uint32_t i = 0; i < ranking->all_n; i++) {
        struct qr_request *best = take_best(&ranking->ended);
        struct qr_request **list = i < ranking->n ? &e->fresh : &e->dropped;

        best->ranking = NULL;
        for (struct qr_event_node *node = best->fresh; node; node = node->next)
            node->event.choice = i;
        best->fresh_next = *list;
        *list = best;
    }
    assert(!ranking->ended);
    qr_free(&e->allocator, ranking);
}
