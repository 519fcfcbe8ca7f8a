/* SPDX-License-Identifier: MIT */
/* split -- cuts text into the pieces within which tokens are merged, as tokenizer.ggml.pre says.
 *
 * A rule is a few patterns applied in order: the first cuts the text into what it matches and
 * what lies between, the next cuts each of these, seen alone, and so on.  Nothing is lost.
 *
 * The patterns are PCRE2's, compiled by its JIT where the system allows it; where not, or where
 * the JIT's stack is too small, its interpreter gives the same answer.
 *
 * Thread: any once created.   Memory: the allocator given; matching memory is a call's own. */
#ifndef QR_TEXT_SPLIT_H
#define QR_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

#define QR_SPLIT_STAGES_MAX 6u
#define QR_SPLIT_NAMES_MAX  16u

struct qr_split_stage {
    const char *pattern;
    bool whole; /* what it matches is a piece already: no later pattern can cut it */
};

/* What a pre-tokenizer's name stands for. */
struct qr_split_rule {
    const char *names[QR_SPLIT_NAMES_MAX];             /* NULL after the last */
    struct qr_split_stage stages[QR_SPLIT_STAGES_MAX]; /* pattern NULL after the last */
    bool ignore_merges;                                /* a piece that is a token is taken whole */
    bool adds_bos;                                     /* unless the file says otherwise */
    bool composes;                                     /* text is composed first (compose.h) */
};

/* NULL: the name is not known. */
const struct qr_split_rule *qr_split_rule(struct quire_text name);

struct qr_splitter;

/* jit false: the interpreter only.  QUIRE_NO_MEMORY. */
int qr_splitter_create(struct qr_splitter **splitter, const struct qr_split_rule *rule, bool jit,
                       const struct quire_allocator *allocator, struct quire_error *error);
void qr_splitter_destroy(struct qr_splitter *splitter); /* NULL is allowed */

/* Called with each piece [begin, end), in order.  Anything but QUIRE_OK ends the splitting. */
typedef int qr_piece_fn(void *context, size_t begin, size_t end);

/* One call's matching memory. */
struct qr_split_scratch {
    void *match_data;
    void *match_context;
};

/* False: no memory, and nothing to deinit. */
bool qr_split_scratch_init(struct qr_split_scratch *scratch, const struct qr_splitter *splitter);
void qr_split_scratch_deinit(struct qr_split_scratch *scratch);

/* text is valid UTF-8.  What fn returned, or QUIRE_NO_MEMORY. */
int qr_split(const struct qr_splitter *splitter, struct qr_split_scratch *scratch, const char *text,
             size_t text_n, qr_piece_fn *fn, void *context);

#endif
