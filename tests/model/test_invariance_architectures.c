/* SPDX-License-Identifier: MIT */
/* The checks of test_invariance.c for every architecture, with packed and float weights and every
 * type of keys and values. */
#include "architectures.h"
#include "invariant.h"

static void expect_invariant_architectures(enum qr_type type, enum qr_kv_type kv_type)
{
    for (size_t i = 0; i < ARCHITECTURES_N; i++) {
        uint8_t *bytes;
        print_message("  %s\n", architectures[i]);
        struct rig_settings settings = architectures_open(architectures[i], type, &bytes);
        settings.kv_type = kv_type;
        invariant_expect(settings);
        free(bytes);
    }
}

/* Goal: in no architecture do other rows, chunks, threads or pages change a row's bits.
 * Method: invariant_expect with each, for each type of keys and values, longer than a window. */
static void same_bits_with_every_architecture(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARCHITECTURES_KV_N; i++)
        expect_invariant_architectures(QR_TYPE_Q8_0, architectures_kv_types[i]);
}

static void same_bits_with_float_weights(void **state)
{
    (void)state;
    expect_invariant_architectures(QR_TYPE_F16, QR_KV_F16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_with_every_architecture),
        cmocka_unit_test(same_bits_with_float_weights),
    };

    return cmocka_run_group_tests_name("model/invariance_architectures", tests, NULL, NULL);
}
