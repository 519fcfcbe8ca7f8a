/* SPDX-License-Identifier: MIT */
/* pattern -- regular expressions as people write them, to expressions over bytes.
 *
 * The dialect is what ECMA-262 and Rust's regex have in common: alternatives, groups, classes,
 * quantifiers (lazy ones match the same texts), anchors, \d \w \s (ASCII but for \s), \p{L}, \xHH,
 * \uHHHH, \u{H}.  What a regular language cannot say, and what is not supported, is refused by
 * name: references to groups, look-ahead and look-behind, \b, inline flags.
 *
 * Thread: one at a time.   Memory: the pool's. */
#ifndef QR_GRAMMAR_PATTERN_H
#define QR_GRAMMAR_PATTERN_H

#include "runtime/grammar/charset.h"

struct qr_pattern_error {
    size_t at;             /* byte offset */
    const char *complaint; /* a phrase: "look-ahead is not supported" */
};

/* text: UTF-8.  search: the pattern may match anywhere within a text, as JSON Schema's does;
 * otherwise it is the whole text.  False: *error says why, or pool->budget has failed. */
bool qr_pattern_compile(struct qr_rx_pool *pool, const char *text, size_t n,
                        enum qr_writing writing, bool search, qr_rx *rx,
                        struct qr_pattern_error *error);

#endif
