/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu.h"

static const char *const names[] = {"scalar",     "avx2", "avx512",     "avx512vnni",
                                    "avx512bf16", "neon", "neondotprod"};
#define NAMES_N (sizeof names / sizeof names[0])

/* Goal: every level's name and flags convert into each other.
 * Method: convert each name to flags and back. */
static void names_and_flags_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES_N; i++) {
        unsigned flags = ~0u;
        assert_true(qr_cpu_level_flags(names[i], &flags));
        assert_string_equal(qr_cpu_level_name(flags), names[i]);
    }
}

/* Goal: a level contains all lower levels of its family.
 * Method: each x86 level's flags are those of the level before and one more. */
static void a_level_contains_those_below(void **state)
{
    (void)state;
    unsigned below = 0, flags;
    for (size_t i = 1; i <= 4; i++) {
        assert_true(qr_cpu_level_flags(names[i], &flags));
        assert_int_equal(flags & below, below);
        assert_int_equal(__builtin_popcount(flags), i);
        below = flags;
    }
}

/* Goal: an unknown name is refused and changes nothing.
 * Method: near misses. */
static void unknown_name_is_refused(void **state)
{
    static const char *const wrong[] = {"", "AVX2", "avx", "avx5122", "sse2"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned flags = 123;
        assert_false(qr_cpu_level_flags(wrong[i], &flags));
        assert_int_equal(flags, 123);
    }
}

/* Goal: this machine's flags are those of exactly one level, and the compiler's runtime agrees.
 * Method: convert the flags to a name and back; compare with __builtin_cpu_supports. */
static void machine_is_one_level(void **state)
{
    unsigned here = qr_cpu_flags(), flags = ~0u;
    (void)state;
    assert_true(qr_cpu_level_flags(qr_cpu_level_name(here), &flags));
    assert_int_equal(flags, here);
#if defined(__x86_64__)
    if (here & QR_CPU_AVX2)
        assert_true(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    if (here & QR_CPU_AVX512) {
        assert_true(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"));
        assert_true(__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
        assert_int_equal(!!(here & QR_CPU_AVX512VNNI), !!__builtin_cpu_supports("avx512vnni"));
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_flags_agree),
        cmocka_unit_test(a_level_contains_those_below),
        cmocka_unit_test(unknown_name_is_refused),
        cmocka_unit_test(machine_is_one_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
