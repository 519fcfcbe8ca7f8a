/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/error.h"
#include "runtime/base/machine.h"
#include "runtime/base/memory.h"

/* An allocator that counts live allocations. */
static void *counted(void *context, void *memory, size_t bytes)
{
    int *out = context;

    if (memory && bytes == 0) --*out;
    if (!memory && bytes) ++*out;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, bytes);
}

/* Goal: all memory comes from the caller's allocator and goes back to it.
 * Method: a counting allocator around each kind of allocation. */
static void memory_comes_from_the_callers_allocator(void **state)
{
    int out = 0;
    const struct quire_allocator a =
        qr_allocator((struct quire_allocator){.resize = counted, .context = &out});

    (void)state;
    void *plain = qr_alloc(&a, 10);
    unsigned char *zero = qr_alloc_zero(&a, 10, 10);
    void *aligned = qr_alloc_aligned(&a, 1000);
    assert_int_equal(out, 3);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0);
    plain = qr_realloc(&a, plain, 100);
    assert_non_null(plain);
    qr_free(&a, plain);
    qr_free(&a, zero);
    qr_free_aligned(&a, aligned);
    qr_free(&a, NULL);
    qr_free_aligned(&a, NULL);
    assert_int_equal(out, 0);
}

/* Goal: sizes that wrap are refused before anything is allocated.
 * Method: products and sums around SIZE_MAX. */
static void sizes_that_wrap_are_refused(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_region region;
    size_t n;

    (void)state;
    assert_false(qr_mul(SIZE_MAX / 2, 3, &n));
    assert_true(qr_mul(SIZE_MAX / 2, 2, &n));
    assert_false(qr_add_size(SIZE_MAX, 1, &n));
    assert_null(qr_alloc_zero(&a, SIZE_MAX / 2, 3));
    assert_null(qr_alloc_aligned(&a, SIZE_MAX - 8));
    assert_false(qr_region_create(&region, SIZE_MAX - 100));
    assert_null(region.base);
}

/* Goal: a region is zero, writable to its end, and aligned to a huge page.
 * Method: write its first and last byte. */
static void a_region_is_zero_and_whole(void **state)
{
    struct qr_region region;

    (void)state;
    assert_true(qr_region_create(&region, 5000000));
    assert_true(region.bytes >= 5000000);
    assert_int_equal((uintptr_t)region.base % (2u << 20), 0);
    unsigned char *bytes = region.base;
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[region.bytes - 1], 0);
    bytes[0] = bytes[region.bytes - 1] = 1;
    qr_region_destroy(&region);
    assert_null(region.base);
    qr_region_destroy(&region);
}

/* Goal: an error's text is one line that fits, even if it quotes control characters.
 * Method: a quoted name with a newline and an escape, and a text that is too long. */
static void an_error_is_one_line(void **state)
{
    struct quire_error error;
    char longer[1000];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(qr_error_field(&error, QUIRE_INVALID, "top_p", "%s", "a\nb\033[1m"),
                     QUIRE_INVALID);
    assert_string_equal(error.text, "a?b?[1m");
    assert_string_equal(error.field, "top_p");
    assert_int_equal(qr_error(&error, QUIRE_SYSTEM, "%s", longer), QUIRE_SYSTEM);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_string_equal(error.field, "");
    assert_int_equal(qr_error(NULL, QUIRE_SYSTEM, "no place for it"), QUIRE_SYSTEM);
    qr_error_clear(&error);
    assert_int_equal(error.status, QUIRE_OK);
}

/* Goal: the machine's figures are plausible.
 * Method: expect at least one core, and more memory than this test needs. */
static void the_machine_has_a_core_and_memory(void **state)
{
    (void)state;
    assert_in_range(qr_cores_available(), 1, 4096);
    assert_true(qr_memory_available() > (1u << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_from_the_callers_allocator),
        cmocka_unit_test(sizes_that_wrap_are_refused),
        cmocka_unit_test(a_region_is_zero_and_whole),
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(the_machine_has_a_core_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
