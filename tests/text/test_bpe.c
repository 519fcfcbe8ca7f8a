/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/text/bpe.h"
#include "text/tiny_vocabulary.h"

struct fixture {
    struct tiny_vocabulary tiny;
    struct quire_allocator allocator;
    struct qr_vocabulary vocabulary;
    struct qr_bpe bpe;
    struct qr_merge_scratch scratch;
};

static int open_bpe(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct qr_tokenizer_source *s = &f->tiny.source;

    tiny_vocabulary_init(&f->tiny, "gpt-2");
    f->allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    f->scratch.allocator = &f->allocator;
    if (qr_vocabulary_init(&f->vocabulary, QR_FORM_LETTERS, s->tokens, s->kinds, s->tokens_n,
                           &f->allocator, NULL) ||
        qr_bpe_init(&f->bpe, &f->vocabulary, s->merges, s->merges_n, &f->allocator, NULL))
        return -1;
    *state = f;
    return 0;
}

static int close_bpe(void **state)
{
    struct fixture *f = *state;

    qr_merge_scratch_deinit(&f->scratch);
    qr_bpe_deinit(&f->bpe, &f->allocator);
    qr_vocabulary_deinit(&f->vocabulary, &f->allocator);
    free(f);
    return 0;
}

/* The definition: merge the pair of lowest rank, the leftmost of equals, found by comparing texts.
 */
static size_t merge_plainly(const struct fixture *f, const char *piece, size_t n, int32_t *ids)
{
    struct quire_text texts[256];
    char letters[512];
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        texts[i] = (struct quire_text){letters + at,
                                       qr_vocabulary_letter((uint8_t)piece[i], letters + at)};
        at += texts[i].n;
    }
    for (;;) {
        size_t best = n, best_rank = f->tiny.source.merges_n;
        for (size_t i = 0; i + 1 < n; i++) {
            for (size_t rank = 0; rank < best_rank; rank++) {
                struct quire_text merge = f->tiny.merges[rank];
                if (merge.n == texts[i].n + 1 + texts[i + 1].n &&
                    memcmp(merge.data, texts[i].data, texts[i].n) == 0 &&
                    merge.data[texts[i].n] == ' ' &&
                    memcmp(merge.data + texts[i].n + 1, texts[i + 1].data, texts[i + 1].n) == 0) {
                    best = i;
                    best_rank = rank;
                }
            }
        }
        if (best == n) break;
        texts[best].n += texts[best + 1].n;
        n--;
        memmove(texts + best + 1, texts + best + 2, (n - best - 1) * sizeof texts[0]);
    }
    for (size_t i = 0; i < n; i++)
        ids[i] =
            (int32_t)qr_vocabulary_find(&f->vocabulary, texts[i], (struct quire_text){NULL, 0});
    return n;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

/* Goal: short and long pieces merge as defined.
 * Method: random pieces of 1 to 200 bytes with competing merges, compared with a plain
 *         implementation. */
static void pieces_merge_as_defined(void **state)
{
    struct fixture *f = *state;
    static const char alphabet[] = "aaaabbbcc \n12\xf0\x9f\xc3\xa9z";
    uint32_t seed = 1;

    for (int round = 0; round < 3000; round++) {
        char piece[200];
        int32_t ids[200], expected[200];
        size_t n = 1 + next_random(&seed) % sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = alphabet[next_random(&seed) % (sizeof alphabet - 1)];
        struct qr_ids out = {.ids = ids, .capacity = 200};
        assert_int_equal(qr_bpe_encode(&f->bpe, &f->scratch, piece, n, &out), QUIRE_OK);
        size_t expected_n = merge_plainly(f, piece, n, expected);
        assert_int_equal(out.n, expected_n);
        assert_memory_equal(ids, expected, expected_n * sizeof ids[0]);
    }
}

/* Goal: a long piece takes a bounded number of queue entries, so O(n log n) steps.
 * Method: 100,000 bytes in which most pairs merge.  One entry a byte and two a merge are at most
 *         3 n. */
static void a_long_piece_adds_few_heap_entries(void **state)
{
    struct fixture *f = *state;
    const size_t n = 100000;
    char *piece = malloc(n);
    int32_t *ids = malloc(n * sizeof *ids);

    for (size_t i = 0; i < n; i++)
        piece[i] = "aaab"[i % 4];
    struct qr_ids out = {.ids = ids, .capacity = n};
    f->scratch.queued = 0;
    assert_int_equal(qr_bpe_encode(&f->bpe, &f->scratch, piece, n, &out), QUIRE_OK);
    assert_true(out.n <= n / 2);
    assert_true(f->scratch.queued >= n / 2 && f->scratch.queued <= 3 * n);
    free(piece);
    free(ids);
}

/* Goal: a file with many copies of one merge loads in linear time.
 * Method: 400,000 copies of the first merge before the others; a search past all earlier copies
 *         would take 80 billion steps. */
static void copies_of_a_merge_cost_nothing(void **state)
{
    struct fixture *f = *state;
    const uint32_t copies = 400000;
    const struct qr_tokenizer_source *s = &f->tiny.source;
    struct quire_text *merges = malloc((copies + s->merges_n) * sizeof *merges);
    struct qr_bpe bpe;
    int32_t id;
    struct qr_ids out = {.ids = &id, .capacity = 1};

    for (uint32_t i = 0; i < copies; i++)
        merges[i] = s->merges[0];
    memcpy(merges + copies, s->merges, s->merges_n * sizeof *merges);
    assert_int_equal(
        qr_bpe_init(&bpe, &f->vocabulary, merges, copies + s->merges_n, &f->allocator, NULL),
        QUIRE_OK);
    assert_int_equal(qr_bpe_encode(&bpe, &f->scratch, "abc", 3, &out), QUIRE_OK);
    assert_int_equal(out.n, 1);
    qr_bpe_deinit(&bpe, &f->allocator);
    free(merges);
}

/* Goal: ids that do not fit are counted and not written.
 * Method: capacity 0, and 1 with a guard after it. */
static void what_does_not_fit_is_counted(void **state)
{
    struct fixture *f = *state;
    int32_t ids[2] = {-7, -7};
    struct qr_ids none = {.ids = NULL, .capacity = 0}, one = {.ids = ids, .capacity = 1};

    assert_int_equal(qr_bpe_encode(&f->bpe, &f->scratch, "xyz", 3, &none), QUIRE_OK);
    assert_int_equal(none.n, 3);
    assert_int_equal(qr_bpe_encode(&f->bpe, &f->scratch, "xyz", 3, &one), QUIRE_OK);
    assert_int_equal(one.n, 3);
    assert_int_equal(ids[0], 'x');
    assert_int_equal(ids[1], -7);
}

static void *refuse(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)memory;
    (void)bytes;
    return NULL;
}

/* Goal: out of memory is a status for a long piece; a short piece needs no memory.
 * Method: an allocator that always refuses. */
static void no_memory_is_a_status(void **state)
{
    struct fixture *f = *state;
    struct quire_allocator none = {refuse, NULL};
    struct qr_merge_scratch scratch = {.allocator = &none};
    char piece[QR_MERGE_SHORT + 1];
    struct qr_ids out = {.ids = NULL, .capacity = 0};

    memset(piece, 'a', sizeof piece);
    assert_int_equal(qr_bpe_encode(&f->bpe, &scratch, piece, sizeof piece, &out), QUIRE_NO_MEMORY);
    assert_int_equal(qr_bpe_encode(&f->bpe, &scratch, piece, QR_MERGE_SHORT, &out), QUIRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_merge_as_defined, open_bpe, close_bpe),
        cmocka_unit_test_setup_teardown(a_long_piece_adds_few_heap_entries, open_bpe, close_bpe),
        cmocka_unit_test_setup_teardown(copies_of_a_merge_cost_nothing, open_bpe, close_bpe),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_counted, open_bpe, close_bpe),
        cmocka_unit_test_setup_teardown(no_memory_is_a_status, open_bpe, close_bpe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
