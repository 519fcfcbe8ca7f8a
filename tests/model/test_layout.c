/* SPDX-License-Identifier: MIT */
/* Arrays in one block of memory. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/model/layout.h"

#define ARRAYS 3u

/* Arrays of 5, 0 and 64 bytes. */
static void place_all(struct qr_layout *l, uint8_t *arrays[ARRAYS])
{
    arrays[0] = qr_layout_place(l, 5, 1);
    arrays[1] = qr_layout_place(l, 0, 8);
    arrays[2] = qr_layout_place(l, 16, 4);
}

/* Goal: measuring and filling in give the same size; arrays begin at cache lines and do not
 * overlap. Method: the same arrays twice. */
static void arrays_are_placed_as_they_were_measured(void **state)
{
    alignas(QR_CACHE_LINE) static uint8_t memory[2 * QR_CACHE_LINE];
    struct qr_layout measured = {0}, placed = {.base = memory};
    uint8_t *arrays[ARRAYS];

    (void)state;
    place_all(&measured, arrays);
    for (uint32_t i = 0; i < ARRAYS; i++)
        assert_null(arrays[i]);
    assert_int_equal(measured.bytes, sizeof memory);
    place_all(&placed, arrays);
    assert_int_equal(placed.bytes, measured.bytes);
    assert_ptr_equal(arrays[0], memory);
    assert_ptr_equal(arrays[2], memory + QR_CACHE_LINE);
}

/* Goal: a size past what memory can address is not taken for a small one.
 * Method: a product, a rounding and a sum that overflow, each followed by a small array. */
static void too_large_stays_too_large(void **state)
{
    const size_t n[3][2] = {{SIZE_MAX / 2, 1}, {SIZE_MAX / 4, 1}, {SIZE_MAX / 8, SIZE_MAX / 8}};
    struct qr_layout l;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        l = (struct qr_layout){0};
        assert_null(qr_layout_place(&l, n[i][0], i == 1 ? 4 : 7));
        assert_null(qr_layout_place(&l, n[i][1], 7));
        assert_null(qr_layout_place(&l, 1, 64));
        assert_true(l.bytes == SIZE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_placed_as_they_were_measured),
        cmocka_unit_test(too_large_stays_too_large),
    };

    return cmocka_run_group_tests_name("model/layout", tests, NULL, NULL);
}
