/* SPDX-License-Identifier: MIT */
#include "runtime/base/phases.h"

#include <assert.h>

#include "runtime/base/machine.h"

const char *qr_phase_text(enum qr_phase phase)
{
    static const char *const texts[] = {
#define QR_PHASE_TEXT(name, text) text,
        QR_PHASE_MAP(QR_PHASE_TEXT)
#undef QR_PHASE_TEXT
    };

    assert(phase < QR_PHASES_N);
    return texts[phase];
}

void qr_phases_begin(struct qr_phases *p, enum qr_phase phase)
{
    p->now = phase;
    p->since_ns = qr_clock_ns();
    p->waited_ns = 0;
}

void qr_phases_switch(struct qr_phases *p, enum qr_phase phase)
{
    uint64_t now = qr_clock_ns();

    p->times[p->now].ns += now - p->since_ns;
    p->times[p->now].wait_ns += p->waited_ns;
    p->waited_ns = 0;
    p->now = phase;
    p->since_ns = now;
}
