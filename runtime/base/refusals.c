/* SPDX-License-Identifier: MIT */
#include "runtime/base/refusals.h"

/* Whether it is about the file, so that the next check may find something else. */
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
