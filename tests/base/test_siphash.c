/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/siphash.h"

static const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

/* Goal: the hash is SipHash-2-4 with 128 bits.
 * Method: the first two vectors of the authors' reference: key 00 01 .. 0f, no byte and byte 00. */
static void hashes_are_the_references(void **state)
{
    const uint64_t empty[2] = {0xe6a825ba047f81a3u, 0x930255c71472f66du};
    const uint64_t zero[2] = {0x44af996bd8c187dau, 0x45fc229b11597634u};
    uint64_t out[2];

    (void)state;
    qr_siphash128(key, "", 0, out);
    assert_memory_equal(out, empty, sizeof out);
    qr_siphash128(key, "\0", 1, out);
    assert_memory_equal(out, zero, sizeof out);
}

/* Goal: the hash depends on every byte, on the length and on the key.
 * Method: texts of 0 to 39 zero bytes, with one bit set in each byte, and with another key.  All
 * hashes differ. */
static void every_bit_counts(void **state)
{
    enum { MOST = 40 };
    static uint64_t seen[MOST * (MOST + 3)][2];
    const uint64_t other[2] = {key[0], key[1] ^ 1};
    uint8_t text[MOST] = {0};
    size_t n = 0;

    (void)state;
    for (size_t length = 0; length < MOST; length++) {
        qr_siphash128(key, text, length, seen[n++]);
        qr_siphash128(other, text, length, seen[n++]);
        for (size_t i = 0; i < length; i++) {
            text[i] = 0x80;
            qr_siphash128(key, text, length, seen[n++]);
            text[i] = 0;
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            for (int half = 0; half < 2; half++)
                assert_true(seen[i][half] != seen[j][half]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_the_references),
        cmocka_unit_test(every_bit_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
