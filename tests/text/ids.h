/* SPDX-License-Identifier: MIT */
/* ids -- asserts the ids of a text.
 *
 * Include after cmocka.h. */
#ifndef QR_TESTS_TEXT_IDS_H
#define QR_TESTS_TEXT_IDS_H

#include <string.h>

#include "runtime/text/tokenizer.h"

static void assert_ids(const struct qr_tokenizer *t, const char *text, unsigned flags,
                       const int32_t *expected, size_t expected_n)
{
    int32_t ids[64];
    size_t n;

    assert_int_equal(qr_tokenizer_encode(t, text, strlen(text), flags, ids, 64, &n), QUIRE_OK);
    assert_int_equal(n, expected_n);
    assert_memory_equal(ids, expected, n * sizeof ids[0]);
}

#define ASSERT_IDS(t, text, flags, ...)                                                            \
    assert_ids(t, text, flags, (const int32_t[]){__VA_ARGS__},                                     \
               sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

#endif
