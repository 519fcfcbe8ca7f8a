/* SPDX-License-Identifier: MIT */
/* phases -- where a step's time goes, as the thread that leads it sees it.
 *
 * One phase is always current; entering another ends it, so every nanosecond belongs to exactly
 * one. Of a phase's time the part spent waiting for other threads' pieces is counted by itself:
 * what that is more than nothing is work badly shared out, or a core that was lost.
 *
 * The best token of a plainly greedy row is found in the output head's phase, where its logits are;
 * sampling is what is done with rows of logits that were written.
 *
 * Off until asked for: a clock read a phase is half a percent of a step of one row.
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
    uint64_t wait_ns; /* part of ns: for other threads */
};

struct qr_phases {
    bool on;
    enum qr_phase now;
    uint64_t since_ns;
    uint64_t waited_ns; /* what the team adds to; moved to the phase when it ends */
    struct qr_phase_time times[QR_PHASES_N];
};

const char *qr_phase_text(enum qr_phase phase);

/* Begins with a phase: what passed before belongs to none. */
void qr_phases_begin(struct qr_phases *p, enum qr_phase phase);
void qr_phases_switch(struct qr_phases *p, enum qr_phase phase);

static inline void qr_phases_enter(struct qr_phases *p, enum qr_phase phase)
{
    if (p->on) qr_phases_switch(p, phase);
}

#endif
