/* SPDX-License-Identifier: MIT */
/* phases -- where a step's time goes, timed on thread 0.
 *
 * One phase is always current, and entering another ends it.  So every nanosecond belongs to
 * exactly one phase.  A phase also counts how long the thread waited for items of other threads.  A
 * long wait means that the work was divided badly or that a thread lost its core.
 *
 * The best token of a plainly greedy row is found in the output head's phase.  The sampling phase
 * handles rows with written logits only.
 *
 * Off by default, because each phase reads the clock.
 *
 * Thread: the engine's.   Memory: the caller's. */
#ifndef QR_BASE_PHASES_H
#define QR_BASE_PHASES_H

#include <stdbool.h>
#include <stdint.h>

#define QR_PHASE_MAP(X)                                                                            \
    X(INBOX, "inbox, cancels")                                                                     \
    X(PLAN, "plan")                                                                                \
    X(PREFAULT, "memory for new pages")                                                            \
    X(EMBED, "embedding, first norm")                                                              \
    X(NORM, "norms, quantising")                                                                   \
    X(QKV, "q, k, v")                                                                              \
    X(STORE, "rope, keys and values")                                                              \
    X(ATTEND, "attention")                                                                         \
    X(OUTPUT, "attention output")                                                                  \
    X(GATE_UP, "gate, up, activation")                                                             \
    X(DOWN, "down")                                                                                \
    X(HEAD, "output head")                                                                         \
    X(SAMPLE, "sampling")                                                                          \
    X(ANSWER, "text, stops, events")                                                               \
    X(COMMIT, "commit")                                                                            \
    X(PUBLISH, "figures, publishing")

enum qr_phase {
#define QR_PHASE_ENUM(name, text) QR_PHASE_##name,
    QR_PHASE_MAP(QR_PHASE_ENUM)
#undef QR_PHASE_ENUM
        QR_PHASES_N
};

struct qr_phase_time {
    uint64_t ns;
    uint64_t wait_ns; /* part of ns: waiting for other threads */
};

struct qr_phases {
    bool on;
    enum qr_phase now;
    uint64_t since_ns;
    uint64_t waited_ns; /* the team adds to it; counted for the phase when it ends */
    struct qr_phase_time times[QR_PHASES_N];
};

const char *qr_phase_text(enum qr_phase phase);

/* Begins with a phase.  Time before it belongs to no phase. */
void qr_phases_begin(struct qr_phases *p, enum qr_phase phase);
void qr_phases_switch(struct qr_phases *p, enum qr_phase phase);

static inline void qr_phases_enter(struct qr_phases *p, enum qr_phase phase)
{
    if (p->on) qr_phases_switch(p, phase);
}

#endif
