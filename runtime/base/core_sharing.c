/* SPDX-License-Identifier: MIT */
#include "runtime/base/core_sharing.h"

void qr_core_sharing_begin(struct qr_core_sharing *t, uint64_t now_ns, uint64_t had_ns)
{
    t->looked_ns = now_ns;
    t->had_ns = had_ns;
    t->again = false;
}

bool qr_core_sharing_over(struct qr_core_sharing *t, uint64_t now_ns, uint64_t (*had)(void))
{
    if (t->until_ns > now_ns) {
        if (now_ns - t->work_ns < QR_SHARING_WORK_NS) return false;
        t->work_ns = now_ns + QR_SHARING_AWAY_NS;
        return true;
    }
    if (t->until_ns) { /* time away is not missing */
        bool again = now_ns - t->until_ns < QR_SHARING_NS;
        t->until_ns = 0;
        qr_core_sharing_begin(t, now_ns, had());
        t->again = again;
        return false;
    }
    const uint64_t passed = now_ns - t->looked_ns;
    if (passed < (t->again ? QR_SHARING_AGAIN_NS : QR_SHARING_LOOK_NS)) return false;
    const uint64_t had_ns = had();
    const uint64_t got = had_ns - t->had_ns;
    qr_core_sharing_begin(t, now_ns, had_ns);
    if (got + passed / QR_SHARING_MISSING_SHARE < passed) {
        t->until_ns = now_ns + QR_SHARING_NS;
        t->work_ns = now_ns;
    }
    return false;
}
