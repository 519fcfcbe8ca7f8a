/* SPDX-License-Identifier: MIT */
/* out_of_memory -- creates and uses a tokenizer while each allocation fails, one a run.
 *
 * Thread: one. */
#ifndef QR_TESTS_TEXT_OUT_OF_MEMORY_H
#define QR_TESTS_TEXT_OUT_OF_MEMORY_H

#include "runtime/text/tokenizer.h"
#include "support/failing.h"

/* Creates a tokenizer and encodes the text; fails the first allocation, then the second, and so on.
 * Each failure must be an error and leak nothing.  created_n, encoded_n: the least allocations. */
static inline void every_allocation_may_fail(const struct qr_tokenizer_source *source,
                                             const char *text, size_t text_n, long created_n,
                                             long encoded_n)
{
    struct failing f = {0, 0};
    const struct quire_allocator allocator = {failing_resize, &f};
    struct qr_tokenizer *t = NULL;
    struct quire_error error;
    int status = QUIRE_NO_MEMORY;
    size_t n;
    long tries;

    for (tries = 0; !t; tries++) {
        f.left = tries;
        status = qr_tokenizer_create(&t, source, &allocator, NULL, &error);
        assert_int_equal(status, t ? QUIRE_OK : QUIRE_NO_MEMORY);
        if (!t) assert_int_equal(f.held, 0);
    }
    assert_true(tries > created_n);
    const long held = f.held;
    status = QUIRE_NO_MEMORY;
    for (tries = 0; status == QUIRE_NO_MEMORY; tries++) {
        f.left = tries;
        status = qr_tokenizer_encode(t, text, text_n, 0, NULL, 0, &n);
        assert_int_equal(f.held, held);
    }
    assert_int_equal(status, QUIRE_BUFFER_SMALL);
    assert_true(tries > encoded_n);
    qr_tokenizer_destroy(t);
    assert_int_equal(f.held, 0);
}

#endif
