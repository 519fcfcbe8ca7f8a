/* SPDX-License-Identifier: MIT */
/* sim_state -- the state of the simulation's model: limits, sequences and counts. */
#ifndef QR_TESTS_SCHEDULER_SIM_STATE_H
#define QR_TESTS_SCHEDULER_SIM_STATE_H

#include "sim_fair_queue.h"
#include "world.h"

#define SIM_SEQS_MAX   64u
#define SIM_TOKENS_MAX 256u
#define SIM_PRIORITIES 5u
#define SIM_CLIENTS    4u
#define SIM_USERS      3u

static const int32_t sim_priorities[SIM_PRIORITIES] = {0, 7, -1, INT32_MIN, INT32_MAX};

/* A sequence's tokens, and for each a hash of the salt and all tokens up to it. */
struct sim_text {
    const int32_t *first; /* tokens */
    struct qr_prefix_salt salt;
    bool fresh;
    int32_t tokens[SIM_TOKENS_MAX];
    uint32_t pasts[SIM_TOKENS_MAX];
};

struct sim_seq {
    bool live;
    bool was_running; /* before the plan */
    bool runs;        /* by this account */
    bool ran;         /* was ever admitted, or forked */
    uint64_t serial;  /* counts up with each accepted submit */
    uint64_t place;   /* counts up with each first admission */
    int32_t priority;
    uint32_t client;
    uint32_t user_node;         /* sim_fair_queue.h's */
    uint32_t growth_n, older_n; /* bounds of its preemptions: see sim_bound_preemptions */
    uint32_t known_n;
    uint32_t computed_n;
    uint32_t planned_n; /* tokens of this step */
    uint32_t most_n;    /* of a waiting one: tokens that the tree had before the plan */
    uint32_t ends_at;   /* ends when so many tokens are computed */
    uint32_t tokens_max;
    uint32_t preemptions_n;
    uint32_t leader;    /* ATTACHED: its leader; else QR_SEQ_NONE */
    uint32_t copies_n;  /* copies of its last page that it may still make after forks */
    qr_page_id last;    /* the page that its last token is in, since `ran` */
    uint64_t stamps_as; /* without a prefix tree: the serial in its stamps */
    struct sim_text *text;
};

/* Service of a client in one priority, and how far it was ahead of each other client at least and
 * at most while both waited all the time. */
struct sim_service {
    int64_t got;
    int64_t ahead_min[SIM_CLIENTS], ahead_max[SIM_CLIENTS];
    bool both[SIM_CLIENTS];
};

struct sim_counts {
    uint64_t steps, submitted, refused, cancelled, finished, preemptions, readmissions, promised;
    uint64_t hits, resumed, copies, evictions, waits, takeovers, backlogged, cut;
    uint64_t groups, attached_ends, promoted, forks, queued_forks, fork_copies, left;
    uint64_t exact, exact_holes, oversized;
};

enum { SIM_SKIP_CALLS = 1, SIM_SKIP_STEP = 2 };

struct sim {
    uint64_t seed, random;
    const uint8_t *bytes; /* NULL: choices come from the seed */
    size_t bytes_n;
    bool over; /* no byte is left */
    uint64_t turn;
    const uint8_t *skips; /* of each turn: what is left out; NULL: nothing */
    bool trace;           /* prints what it does */
    bool planted;         /* a preemption counts as a failure: for tests of sim_shorten.h */
    uint32_t group_left;  /* submits of a group to come: */
    uint32_t group;       /* its text */
    uint32_t group_in;

    struct qr_scheduler_limits limits;
    uint32_t pages_n, page_tokens;
    uint32_t window; /* 0: none */
    struct qr_step_budget budget;
    uint32_t submit_in, cancel_in, stop_in, fork_in; /* one turn in so many */
    uint32_t priorities_n, clients_n, users_n;       /* that there are */
    struct world world, twin;
    bool has_twin; /* a second scheduler with the same calls must plan the same */
    bool has_tree;

    struct sim_seq seqs[SIM_SEQS_MAX];
    uint64_t serials_n, places_n;
    struct sim_fair_queue fair;
    struct sim_service service[SIM_PRIORITIES][SIM_CLIENTS];
    uint64_t first_serial, first_deadline; /* the step by which the first must have ended */
    bool waited;                           /* in the last plan `waiter` waited for `leader` */
    uint64_t waiter, leader;
    struct sim_counts n;
};

#define SIM_CHECK(sim, condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) sim_fail(sim, #condition, __FILE__, __LINE__);                           \
    } while (0)

static void sim_fail(const struct sim *sim, const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
    qr_scheduler_dump(sim->world.scheduler, stderr);
    abort();
}

#endif
