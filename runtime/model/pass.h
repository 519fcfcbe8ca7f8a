/* SPDX-License-Identifier: MIT */
/* pass -- runs the stages of a forward pass over the team, and decides their barriers.
 *
 * With few rows a stage runs at once, and the next one begins when all its items are done.  With
 * many rows each thread owns a partition of the rows through all layers.  Then the runner collects
 * the stages and runs them together, so that each thread goes from stage to stage by itself and
 * waits only where a stage reads rows of other threads:
 *
 *     stage     reads            thread 0             thread 1
 *     norm      own rows         |=norm=|             |==norm==|
 *     q, k, v   own rows         |==qkv==|            |===qkv===|
 *     store     own rows         |=store=|.........   |==store==|
 *               ------------------------------------------------ barrier
 *     attend    its sequences    |===attend===|       |==attend==|
 *     output    own rows         |=output=|           |==output==|
 *
 * A stage says which rows it reads and writes.  The runner derives from that whether the stage has
 * a barrier; no stage asks for one.  The runner knows no layer, no attention and no model.
 *
 * Thread: its engine's.   Memory: the caller's, fixed at init.
 * Invariant: between begin and end every stage that was added has run, or is in the chain. */
#ifndef QR_MODEL_PASS_H
#define QR_MODEL_PASS_H

#include "runtime/base/phases.h"
#include "runtime/base/team.h"

/* Rows that a stage reads or writes. */
enum qr_rows_of {
    QR_ROWS_OWN, /* an item of a partition: rows of that partition only */
    QR_ROWS_SEQ, /* also keys and values of other rows of the same sequences.  They are in pages,
                    where a step writes each layer's once */
    QR_ROWS_ANY  /* rows of any partition */
};

#define QR_WORK_BYTES 256u

/* One stage. */
struct qr_work {
    qr_team_fn *fn;
    const void *work; /* [work_bytes], copied */
    size_t work_bytes;
    uint32_t items_n; /* 0: the stage is skipped */
    uint32_t grain;   /* as qr_stage's */
    enum qr_rows_of reads;
    enum qr_rows_of writes; /* QR_ROWS_OWN or QR_ROWS_ANY */
    enum qr_phase phase;
    uint64_t cost;       /* about, in multiply-adds: the team is woken only if it is worth that */
    const uint8_t *next; /* what the stage after this reads first, for a hint to the memory; NULL */
    size_t next_bytes;
};

struct qr_pass {
    struct qr_team *team;
    uint32_t threads_n;
    size_t scratch_bytes;
    uint8_t *scratch;         /* [threads_n][scratch_bytes] */
    struct qr_chain *chain;   /* the stages that were collected and not yet run */
    struct qr_phases *phases; /* NULL: not profiled */
    bool owned;               /* threads own rows: stages are collected */
    bool shared;              /* another process uses a thread's core: a barrier at every stage */
};

/* scratch_bytes: what any stage needs of a thread's scratch. */
size_t qr_pass_bytes(uint32_t threads_n, size_t scratch_bytes);
void qr_pass_init(struct qr_pass *p, void *memory, struct qr_team *team, size_t scratch_bytes);

/* From now on threads own rows, or they do not.  The stages before have run when it returns. */
void qr_pass_begin(struct qr_pass *p, bool owned);
/* All stages have run when it returns. */
void qr_pass_end(struct qr_pass *p);

/* Adds a stage.  It runs now, or with others later. */
void qr_pass_run(struct qr_pass *p, const struct qr_work *work);
/* Runs fn on the caller when all stages before have run, and returns when it has. */
void qr_pass_run_alone(struct qr_pass *p, enum qr_phase phase, void (*fn)(void *work), void *work);

static inline void *qr_pass_scratch(const struct qr_pass *p, uint32_t thread)
{
    return p->scratch + thread * p->scratch_bytes;
}

#endif
