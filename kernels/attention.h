/* SPDX-License-Identifier: MIT */
/* attention -- softmax(q K^T) V over keys and values where they lie in their pages.
 *
 * A head's part of a page (one layer, one KV head; cache/kv_store.h says where it is) is
 *     K in panels of 16 tokens, each [head_dim][16]: one vector meets 16 keys;
 *     V in panels of 16 tokens, each [16][head_dim].
 * A panel is 16 tokens whatever the page size, so neither code nor bits depend on it.  Types: f32,
 * f16, and bf16 stored as plain [head_dim][16] words; q8: K [head_dim/4][16][4] and V int8, each
 * panel followed by a scale a token (attention_q8.h).  Sums are f32; a q8 score's is int32.
 *
 * Order, which makes a row's bits independent of everything but its own keys: the query is scaled
 * by log2(e) / sqrt(head_dim) and p = 2^(s - m).  Keys go in spans of 256 at absolute positions.
 * A span stands alone: a score is one fma chain over head_dim; the span's maximum m; p; the sum
 * l in 16 lanes (key mod 16) and one fixed tree; o one fma chain a value over the span's keys,
 * from its first.  Spans are then merged in order:
 *     m' = max(m, mb);  l' = l 2^(m - m') + lb 2^(mb - m');  o' = o 2^(m - m') + ob 2^(mb - m').
 * A masked key is left out by selection: it adds exactly 0, even where the page holds NaN.
 * q8: the scaled query is quantised as keys are; a score is the exact sum of products, as float,
 * times (key's scale * query's scale); o's weights are p * value's scale, l's are p.
 *
 * Thread: any.   Memory: the caller's, 64-byte aligned. */
#ifndef QR_KERNELS_ATTENTION_H
#define QR_KERNELS_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#define QR_KV_PANEL     16u  /* tokens in a panel */
#define QR_KV_SPAN      256u /* tokens in a softmax span */
#define QR_HEAD_DIM_MAX 256u
#define QR_GROUP_MAX    16u /* query heads to a KV head */
/* Queries (rows times heads) that go over a span together: 64 and their sums stay in the
 * second-level cache beside the span's keys and values, which come from memory once for them. */
#define QR_ATTENTION_QUERIES 64u

enum qr_kv_type { QR_KV_F32, QR_KV_F16, QR_KV_BF16, QR_KV_Q8 };
#define QR_KV_TYPES_N 4

/* Bytes of one panel of K (and the same of V). head_dim is a multiple of 8. */
size_t qr_kv_panel_bytes(enum qr_kv_type type, uint32_t head_dim);

/* One KV head of one sequence in one layer, as its page table names it. */
struct qr_kv_view {
    enum qr_kv_type type;
    uint32_t head_dim;
    uint32_t page_tokens; /* a multiple of 16 */
    size_t page_bytes;
    uint8_t *base;         /* page 0's K of this layer and head */
    size_t v_offset;       /* from a page's K to its V */
    const uint32_t *pages; /* [ceil(length / page_tokens)] */
};

/* Writes token `position`'s key and value (head_dim f32 each, key already rotated). f16 and bf16
 * round to the nearest even; past f16's range is infinity. */
#define QR_KV_PUT_FN(name)                                                                         \
    void name(const struct qr_kv_view *kv, uint32_t position, const float *key, const float *value)
typedef QR_KV_PUT_FN(qr_kv_put_fn);

/* rows_n consecutive tokens of a sequence, the first at `position`; row r sees the keys
 * [0, position + r], or with window > 0 only the last `window` of them.
 * q: row r's group_n query heads of this KV head at q + r * q_stride, [group_n][head_dim], already
 * rotated, not yet scaled.  out: the same shape and its own stride.
 * scratch: qr_attention_scratch_bytes(), one a thread. */
struct qr_attention_rows {
    const float *q;
    size_t q_stride;
    float *out;
    size_t out_stride;
    uint32_t rows_n; /* at most QR_ATTENTION_ROWS_MAX */
    uint32_t position;
    uint32_t group_n; /* at most QR_GROUP_MAX */
    uint32_t window;  /* 0: none */
    void *scratch;
    /* Where summed_n > 0 (one row, no window): the row's first summed_n spans stand summed in
     * partial, and attend goes on behind them. */
    uint32_t summed_n;
    const void *partial;
    /* [QR_PREFETCH_PANELS] panels that will be read after these rows', for a hint to the memory
     * while the last of these are worked on.  NULL: not known. */
    const uint8_t *const *next;
};
#define QR_ATTENTION_ROWS_MAX 32u
#define QR_PREFETCH_PANELS    16u /* panels between the one that is called for and the one in use */

/* The panel into which put writes the key at `position`. */
const uint8_t *qr_attention_written(const struct qr_kv_view *kv, uint32_t position);
/* Where put writes the value at `position`, and how many bytes that is, int8 without its scale. */
const uint8_t *qr_attention_value(const struct qr_kv_view *kv, uint32_t position, size_t *bytes);
/* The panels, at most panels_n, that a row at `position` reads first, behind its first summed_n
 * spans, in the order in which attend reads them; returns how many they are. */
uint32_t qr_attention_first(const struct qr_kv_view *kv, uint32_t position, uint32_t window,
                            uint32_t summed_n, const uint8_t **panels, uint32_t panels_n);
size_t qr_attention_scratch_bytes(void);

#define QR_ATTEND_FN(name) void name(const struct qr_kv_view *kv, const struct qr_attention_rows *a)
typedef QR_ATTEND_FN(qr_attend_fn);

/* For one long sequence spread over threads: the spans [span_begin, span_end) only, each left
 * in partial (span b's at b times qr_attention_partial_bytes(group_n, head_dim), whatever
 * span_begin; for rows_n = 1), then all position / 256 + 1 merged in order by one thread into out.
 * Spans before a window may be left out.  Equal, bit for bit, to attend. */
size_t qr_attention_partial_bytes(uint32_t group_n, uint32_t head_dim);
#define QR_ATTEND_SPANS_FN(name)                                                                   \
    void name(const struct qr_kv_view *kv, const struct qr_attention_rows *a, uint32_t span_begin, \
              uint32_t span_end, void *partial)
typedef QR_ATTEND_SPANS_FN(qr_attend_spans_fn);
#define QR_ATTEND_MERGE_FN(name)                                                                   \
    void name(const struct qr_kv_view *kv, const struct qr_attention_rows *a, uint32_t spans_n,    \
              const void *partial)
typedef QR_ATTEND_MERGE_FN(qr_attend_merge_fn);

/* Rows of several sequences, a token of each, over whole spans that are the same pages for all of
 * them and that each sees whole ("cascade"): keys and values are loaded and converted once for all.
 * Row r's spans [span_begin, span_end) are merged in order onto partials[r], which holds its
 * first span_begin spans (nothing, if that is 0), one span's place; attend goes on from there.
 * Equal, bit for bit, to each row by itself. */
struct qr_attention_shared {
    const float *const *q; /* [rows_n]: [group_n][head_dim], rotated, not yet scaled */
    void *const *partials; /* [rows_n]: each qr_attention_partial_bytes() */
    uint32_t rows_n;       /* rows_n * group_n is at most QR_ATTENTION_QUERIES */
    uint32_t group_n;
    void *scratch;
    const uint8_t *const *next; /* as in qr_attention_rows */
};
#define QR_ATTEND_SHARED_FN(name)                                                                  \
    void name(const struct qr_kv_view *kv, const struct qr_attention_shared *a,                    \
              uint32_t span_begin, uint32_t span_end)
typedef QR_ATTEND_SHARED_FN(qr_attend_shared_fn);

struct qr_attention_kernels {
    qr_kv_put_fn *put;
    qr_attend_fn *attend;
    qr_attend_shared_fn *attend_shared;
    qr_attend_spans_fn *attend_spans;
    qr_attend_merge_fn *attend_merge;
};
void qr_attention_init(struct qr_attention_kernels *k, unsigned cpu_flags);

#endif
