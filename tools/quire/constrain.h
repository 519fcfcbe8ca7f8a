/* SPDX-License-Identifier: MIT */
/* constrain -- what a grammar allows: MaskBench's figures over many schemas, or one text explained.
 *
 * A case is a line of JSON: name, schema, tests: [{valid, data}].  The text of an instance is as
 * Python's json.dumps(data, ensure_ascii=False) writes it.  It is split into the model's tokens;
 * before each of them the mask is made, timed, and must allow it; at the end the text may end.
 *
 * Thread: the main one.   Memory: malloc. */
#ifndef QR_QUIRE_CONSTRAIN_H
#define QR_QUIRE_CONSTRAIN_H

#include <stdio.h>

#include "runtime/quire.h"
#include "tools/client/failure.h"

/* Microseconds. */
struct qr_mask_times {
    double *all;
    size_t n, room;
};

struct qr_constrain_figures {
    uint64_t schemas;
    uint64_t passing;            /* every valid instance accepted, every other one refused */
    uint64_t compile_error;      /* refused by name */
    uint64_t validation_error;   /* a valid instance was refused */
    uint64_t invalidation_error; /* an invalid one was accepted, whatever else */
    uint64_t tokens;
    struct qr_mask_times masks;       /* one each token */
    struct qr_mask_times first_masks; /* one each schema: compiling and the first mask */
};

/* Reads cases to the end of `in`.  failures: NULL, or where each schema that does not pass is
 * named.  False: why says which line is no case. */
bool qr_constrain_cases(quire_model *model, FILE *in, FILE *failures,
                        struct qr_constrain_figures *figures, struct qr_failure *why);
void qr_constrain_figures_free(struct qr_constrain_figures *figures);
/* As a table, or as JSON. */
bool qr_constrain_print(struct qr_constrain_figures *figures, bool json, FILE *out);

#endif
