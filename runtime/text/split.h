/* SPDX-License-Identifier: MIT */
/* split -- cuts text into pieces by the pre-tokenizer named in tokenizer.ggml.pre.  Merging never
 * crosses the border of a piece.
 *
 * A rule has up to six patterns.  The first cuts the text into its matches and the text between
 * them; the next cuts each of these parts on its own; and so on.  No byte is dropped.
 *
 *     "it's 12"  --\p{N}-->  "it's " | "1" | "2"  --GPT-2-->  "it" "'s" " " "1" "2"
 *
 * PCRE2 matches the patterns with its JIT.  If the system forbids executable memory, or the JIT's
 * stack is too small, PCRE2's interpreter gives the same result.
 *
 * Thread: any after creation.   Memory: the allocator's; each call has its own scratch. */
#ifndef QR_TEXT_SPLIT_H
#define QR_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

#define QR_SPLIT_STAGES_MAX 6u
#define QR_SPLIT_NAMES_MAX  16u

struct qr_split_stage {
    const char *pattern;
    bool whole; /* a match is final: later patterns do not cut it */
};

/* The rule of one or more pre-tokenizer names. */
struct qr_split_rule {
    const char *names[QR_SPLIT_NAMES_MAX];             /* NULL after the last */
    struct qr_split_stage stages[QR_SPLIT_STAGES_MAX]; /* pattern NULL after the last */
    bool ignore_merges;                                /* a piece that is a token is not merged */
    bool adds_bos;                                     /* the default if the file does not say */
    bool composes;                                     /* normalise text first (compose.h) */
};

/* NULL if the name is unknown. */
const struct qr_split_rule *qr_split_rule(struct quire_text name);

struct qr_splitter;

/* jit false: the interpreter only.  QUIRE_NO_MEMORY. */
int qr_splitter_create(struct qr_splitter **splitter, const struct qr_split_rule *rule, bool jit,
                       const struct quire_allocator *allocator, struct quire_error *error);
void qr_splitter_destroy(struct qr_splitter *splitter); /* NULL is allowed */

/* Called for each piece [begin, end), in order.  A status other than QUIRE_OK ends the splitting.
 */
typedef int qr_piece_fn(void *context, size_t begin, size_t end);

/* Matching memory of one call. */
struct qr_split_scratch {
    void *match_data;
    void *match_context;
};

/* False: out of memory; then there is nothing to deinit. */
bool qr_split_scratch_init(struct qr_split_scratch *scratch, const struct qr_splitter *splitter);
void qr_split_scratch_deinit(struct qr_split_scratch *scratch);

/* text must be valid UTF-8.  Returns the status of fn, or QUIRE_NO_MEMORY. */
int qr_split(const struct qr_splitter *splitter, struct qr_split_scratch *scratch, const char *text,
             size_t text_n, qr_piece_fn *fn, void *context);

#endif
