/* SPDX-License-Identifier: MIT */
/* attention -- softmax(q K^T) V over the keys and values of pages.
 *
 * The part of a page that belongs to one layer and one KV head (cache/kv_store.h says where in the
 * page it is), for pages of 32 tokens:
 *
 *     base + page id * page_bytes         + v_offset
 *     v                                   v
 *     +-----------------+-----------------+-----------------+-----------------+
 *     | K of tokens     | K of tokens     | V of tokens     | V of tokens     |
 *     | 0 to 15         | 16 to 31        | 0 to 15         | 16 to 31        |
 *     +-----------------+-----------------+-----------------+-----------------+
 *
 *     a panel of K, [head_dim][16]               a panel of V, [16][head_dim]
 *         token   0   1   2  ..  15                      d =   0   1   2  ..  head_dim - 1
 *     d = 0     | k | k | k | .. | k |           token 0     | v | v | v | .. | v |
 *     d = 1     | k | k | k | .. | k |           token 1     | v | v | v | .. | v |
 *       ..      |        ..          |             ..        |        ..          |
 *                                                token 15    | v | v | v | .. | v |
 *
 * One vector load of K covers 16 keys, so that no sum runs across lanes.  A panel has 16 tokens for
 * every page size: neither code nor bits depend on the page size.  Types: f32, f16, bf16 (stored as
 * 16-bit words), and q8: int8 with one scale a token after each panel (attention_q8.h).  Sums are
 * f32; the dot product of a q8 score is int32.
 *
 * Order of operations.  It makes a row's bits depend on its query and its keys only:
 *   1. The query is scaled by log2(e) / sqrt(head_dim); a weight is p = 2^(s - m).  q8: the scaled
 *      query is quantised as keys are.
 *   2. Keys are grouped in spans of 256 at absolute positions.  Each span is computed
 *      independently: a score s is one fma chain over head_dim; m is the span's greatest score; the
 *      sum of weights l has 16 lanes (key mod 16) that one fixed tree adds; the weighted values o
 *      are one fma chain a column over the span's keys.  q8: a score is the exact integer sum, as
 *      float, times (the key's scale * the query's scale); o's weights are p * the value's scale.
 *   3. Spans are merged in order:
 *      m' = max(m, mb);  l' = l 2^(m - m') + lb 2^(mb - m');  o' = o 2^(m - m') + ob 2^(mb - m').
 * A key that the row does not see is left out by selection: it adds exactly 0, even if it is NaN.
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
/* Queries (rows times heads) that go over a span together.  64 queries and their sums fit the L2
 * with the span's keys and values, which come from memory once for all of them. */
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

/* Writes the key and the value (head_dim f32 each, the key already rotated) of the token at
 * `position`.  f16 and bf16 round to nearest even; a value beyond f16's range becomes infinity. */
#define QR_KV_PUT_FN(name)                                                                         \
    void name(const struct qr_kv_view *kv, uint32_t position, const float *key, const float *value)
typedef QR_KV_PUT_FN(qr_kv_put_fn);

/* rows_n consecutive tokens of one sequence, the first at `position`.  Row r sees the keys
 * [0, position + r], or with window > 0 only the last `window` of them. */
struct qr_attention_rows {
    const float *q; /* [rows_n][group_n][head_dim], rows q_stride apart; rotated, not yet scaled */
    size_t q_stride;
    float *out; /* the same shape, rows out_stride apart */
    size_t out_stride;
    uint32_t rows_n; /* at most QR_ATTENTION_ROWS_MAX */
    uint32_t position;
    uint32_t group_n; /* at most QR_GROUP_MAX */
    uint32_t window;  /* 0: none */
    void *scratch;    /* qr_attention_scratch_bytes(), the calling thread's own */
    /* summed_n > 0 (one row, no window): partial holds the merged result of the row's first
     * summed_n spans, and attend continues after them. */
    uint32_t summed_n;
    const void *partial;
    /* [QR_PREFETCH_PANELS] panels that will be read after these rows' panels; prefetch hints only.
     * NULL: not known. */
    const uint8_t *const *next;
};
#define QR_ATTENTION_ROWS_MAX 32u
#define QR_PREFETCH_PANELS    16u /* from the panel in use to the panel that is prefetched */

/* The panel of K into which put writes the key at `position`. */
const uint8_t *qr_attention_written(const struct qr_kv_view *kv, uint32_t position);
/* Where put writes the value at `position`.  *bytes: its bytes, without an int8 value's scale. */
const uint8_t *qr_attention_value(const struct qr_kv_view *kv, uint32_t position, size_t *bytes);
/* Lists the first panels, at most panels_n, that a row at `position` reads after its first summed_n
 * spans, in attend's order.  Returns their number. */
uint32_t qr_attention_first(const struct qr_kv_view *kv, uint32_t position, uint32_t window,
                            uint32_t summed_n, const uint8_t **panels, uint32_t panels_n);
size_t qr_attention_scratch_bytes(void);

#define QR_ATTEND_FN(name) void name(const struct qr_kv_view *kv, const struct qr_attention_rows *a)
typedef QR_ATTEND_FN(qr_attend_fn);

/* One long sequence spread over threads, rows_n = 1.  attend_spans computes the spans
 * [span_begin, span_end) and leaves span b's result at
 * partial + b * qr_attention_partial_bytes(group_n, head_dim), for any span_begin.  Afterwards one
 * thread calls attend_merge, which merges all position / 256 + 1 spans in order into out.  Spans
 * before a window may be left out.  The result equals attend's bit for bit. */
size_t qr_attention_partial_bytes(uint32_t group_n, uint32_t head_dim);
#define QR_ATTEND_SPANS_FN(name)                                                                   \
    void name(const struct qr_kv_view *kv, const struct qr_attention_rows *a, uint32_t span_begin, \
              uint32_t span_end, void *partial)
typedef QR_ATTEND_SPANS_FN(qr_attend_spans_fn);
#define QR_ATTEND_MERGE_FN(name)                                                                   \
    void name(const struct qr_kv_view *kv, const struct qr_attention_rows *a, uint32_t spans_n,    \
              const void *partial)
typedef QR_ATTEND_MERGE_FN(qr_attend_merge_fn);

/* Rows of several sequences, one token each, over spans that all of them share (the same pages) and
 * see whole ("cascade"): keys and values are loaded and converted once for all rows.  The spans
 * [span_begin, span_end) are merged in order into partials[r], which holds the result of row r's
 * first span_begin spans (nothing if span_begin is 0) in the form of one span.  attend continues
 * from there (summed_n, partial).  The result equals each row's own attend bit for bit. */
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
