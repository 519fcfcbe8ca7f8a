/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/kv_store.h"

#define PAGES_N 3u

static const struct qr_kv_shape small_shape = {
    .type = QR_KV_F32, .layers_n = 2, .heads_n = 3, .head_dim = 8, .page_tokens = 32};

static int setup(void **state)
{
    struct qr_kv_store *store = malloc(sizeof *store);
    size_t page_bytes;
    void *base;

    if (!store || !qr_kv_shape_page_bytes(&small_shape, &page_bytes)) return -1;
    base = aligned_alloc(64, PAGES_N * page_bytes);
    if (!base) return -1;
    memset(base, 0, PAGES_N * page_bytes);
    qr_kv_store_init(store, &small_shape, base, PAGES_N);
    *state = store;
    return 0;
}

static int teardown(void **state)
{
    struct qr_kv_store *store = *state;

    free(store->base);
    free(store);
    return 0;
}

/* Goal: a page's size is exactly K and V of page_tokens tokens.
 * Method: SmolLM2's shape and others, compared with the product written out. */
static void page_bytes_is_the_product(void **state)
{
    const struct {
        struct qr_kv_shape shape;
        size_t bytes;
    } cases[] = {
        {{QR_KV_F16, 30, 3, 64, 32}, 2ul * 30 * 3 * 64 * 32 * 2},
        {{QR_KV_F32, 30, 3, 64, 32}, 2ul * 30 * 3 * 64 * 32 * 4},
        {{QR_KV_BF16, 1, 1, 8, 16}, 2ul * 1 * 1 * 8 * 16 * 2},
        {{QR_KV_Q8, 30, 3, 64, 32}, 2ul * 30 * 3 * (64 + 4) * 32},
        {{QR_KV_Q8, 1, 1, 8, 16}, 2ul * 1 * 1 * (8 + 4) * 16},
        {{QR_KV_F16, 126, 8, 128, 128}, 2ul * 126 * 8 * 128 * 128 * 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bytes = 0;
        assert_true(qr_kv_shape_page_bytes(&cases[i].shape, &bytes));
        assert_int_equal(bytes, cases[i].bytes);
    }
}

/* Goal: an invalid shape is refused, and nothing is written.
 * Method: one invalid field at a time, and a product past SIZE_MAX. */
static void impossible_shapes_are_refused(void **state)
{
    const struct qr_kv_shape shapes[] = {
        {(enum qr_kv_type)9, 1, 1, 64, 32},
        {QR_KV_F16, 0, 1, 64, 32},
        {QR_KV_F16, 1, 0, 64, 32},
        {QR_KV_F16, 1, 1, 0, 32},
        {QR_KV_F16, 1, 1, 60, 32},
        {QR_KV_F16, 1, 1, QR_HEAD_DIM_MAX + 8, 32},
        {QR_KV_F16, 1, 1, 64, 0},
        {QR_KV_F16, 1, 1, 64, 8},
        {QR_KV_F16, 1, 1, 64, 48},
        {QR_KV_F16, 1, 1, 64, 256},
        {QR_KV_F32, UINT32_MAX, UINT32_MAX, 256, 128},
    };

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        size_t bytes = 77;
        assert_false(qr_kv_shape_page_bytes(&shapes[i], &bytes));
        assert_int_equal(bytes, 77);
    }
}

/* Goal: every (page, layer, head, K or V) has its own bytes, 64-byte aligned, and together they are
 * the whole memory.
 * Method: count how many views reach each byte: every count must be one. */
static void views_tile_the_memory(void **state)
{
    struct qr_kv_store *store = *state;
    size_t all_bytes = PAGES_N * store->page_bytes;
    size_t half = small_shape.page_tokens * small_shape.head_dim * sizeof(float);
    const qr_page_id pages[] = {2, 0, 1};

    for (uint32_t layer = 0; layer < small_shape.layers_n; layer++)
        for (uint32_t head = 0; head < small_shape.heads_n; head++) {
            struct qr_kv_view view = qr_kv_store_view(store, layer, head, pages);
            assert_int_equal(view.type, QR_KV_F32);
            assert_int_equal(view.head_dim, 8);
            assert_int_equal(view.page_tokens, 32);
            assert_ptr_equal(view.pages, pages);
            for (uint32_t i = 0; i < PAGES_N; i++) {
                uint8_t *k = view.base + view.pages[i] * view.page_bytes;
                assert_int_equal((uintptr_t)k % 64, 0);
                assert_int_equal((uintptr_t)(k + view.v_offset) % 64, 0);
                for (size_t b = 0; b < half; b++) {
                    k[b]++;
                    k[view.v_offset + b]++;
                }
            }
        }
    for (size_t b = 0; b < all_bytes; b++)
        assert_int_equal(store->base[b], 1);
}

/* Goal: a copy covers every layer and head of the page, and changes no other page.
 * Method: three pages of different bytes; copy one over another. */
static void copy_is_the_whole_page(void **state)
{
    struct qr_kv_store *store = *state;

    for (uint32_t page = 0; page < PAGES_N; page++)
        for (size_t b = 0; b < store->page_bytes; b++)
            store->base[page * store->page_bytes + b] = (uint8_t)(page * 83 + b * 7);
    qr_kv_store_copy(store, 0, 2);
    for (size_t b = 0; b < store->page_bytes; b++) {
        assert_int_equal(store->base[b], (uint8_t)(2 * 83 + b * 7));
        assert_int_equal(store->base[store->page_bytes + b], (uint8_t)(83 + b * 7));
        assert_int_equal(store->base[2 * store->page_bytes + b], (uint8_t)(2 * 83 + b * 7));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_bytes_is_the_product),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test_setup_teardown(views_tile_the_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(copy_is_the_whole_page, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
