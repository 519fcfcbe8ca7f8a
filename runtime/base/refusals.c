/* SPDX-License-Identifier: MIT */
#include "runtime/base/refusals.h"

/* Whether the file is at fault.  Then the next check may find another fault. */
static bool is_about_the_file(int status)
{
    return status == QUIRE_BAD_FILE || status == QUIRE_UNSUPPORTED;
}

int qr_refused(struct qr_refusals *refusals, int status)
{
    if (status == QUIRE_OK) return QUIRE_OK;
    if (refusals->status == QUIRE_OK) {
        refusals->status = status;
        if (refusals->first) *refusals->first = refusals->last;
    }
    if (!refusals->tell || !is_about_the_file(status)) return status;
    refusals->tell(refusals->context, refusals->last.text);
    return QUIRE_OK;
}
