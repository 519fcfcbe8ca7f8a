/* SPDX-License-Identifier: MIT */
/* x86/attention_tiles -- calls scores_of and values_of with constants: the compiler makes one copy
 * of them for each type and each number of queries, panels and columns.
 *
 * Included once by attention_body.h.
 *
 * Thread: any.   Memory: the caller's scratch. */

INLINE void scores_panels(const enum qr_kv_type type, const uint32_t qn, uint32_t pn,
                          const struct qr_attention_score_tile *t)
{
    for (uint32_t at = 0, n; at < pn; at += n) {
        n = pn - at;
        if (n >= 4 && TILE_PANELS >= 4) {
            n = 4;
            scores_of(type, qn, 4, t, at);
        } else if (n >= 2) {
            n = 2;
            scores_of(type, qn, 2, t, at);
        } else {
            scores_of(type, qn, 1, t, at);
        }
    }
}

INLINE void scores_queries(const enum qr_kv_type type, uint32_t qn, uint32_t pn,
                           const struct qr_attention_score_tile *t)
{
    if (qn == 1)
        scores_panels(type, 1, pn, t);
    else if (qn == 2)
        scores_panels(type, 2, pn, t);
    else if (qn == 3)
        scores_panels(type, 3, pn, t);
#if TILE_QUERIES == 6
    else if (qn == 4)
        scores_panels(type, 4, pn, t);
    else if (qn == 5)
        scores_panels(type, 5, pn, t);
    else
        scores_panels(type, 6, pn, t);
#endif
}

static void scores_tile(enum qr_kv_type type, uint32_t qn, uint32_t pn,
                        const struct qr_attention_score_tile *t)
{
#if TILE_Q8
    (void)type;
    scores_queries(QR_KV_Q8, qn, pn, t);
#else
    if (type == QR_KV_F16)
        scores_queries(QR_KV_F16, qn, pn, t);
    else if (type == QR_KV_BF16)
        scores_queries(QR_KV_BF16, qn, pn, t);
    else
        scores_queries(QR_KV_F32, qn, pn, t);
#endif
}

INLINE void values_columns(const enum qr_kv_type type, const uint32_t qn,
                           const struct qr_attention_value_tile *t)
{
    for (uint32_t at = 0, n; at < t->head_dim; at += n) {
        uint32_t left = t->head_dim - at;

        n = left >= TILE_COLUMNS ? TILE_COLUMNS : left >= 32 ? 32 : left >= 16 ? 16 : 8;
#if TILE_COLUMNS == 64
        if (n == 64)
            values_of(type, qn, 64, at, t);
        else
#endif
            if (n == 32)
            values_of(type, qn, 32, at, t);
        else if (n == 16)
            values_of(type, qn, 16, at, t);
        else
            values_of(type, qn, 8, at, t);
    }
}

INLINE void values_queries(const enum qr_kv_type type, uint32_t qn,
                           const struct qr_attention_value_tile *t)
{
    if (qn == 1)
        values_columns(type, 1, t);
    else if (qn == 2)
        values_columns(type, 2, t);
    else if (qn == 3)
        values_columns(type, 3, t);
#if TILE_QUERIES == 6
    else if (qn == 4)
        values_columns(type, 4, t);
    else if (qn == 5)
        values_columns(type, 5, t);
    else
        values_columns(type, 6, t);
#endif
}

static void values_tile(enum qr_kv_type type, uint32_t qn, const struct qr_attention_value_tile *t)
{
#if TILE_Q8
    (void)type;
    values_queries(QR_KV_Q8, qn, t);
#else
    if (type == QR_KV_F16)
        values_queries(QR_KV_F16, qn, t);
    else if (type == QR_KV_BF16)
        values_queries(QR_KV_BF16, qn, t);
    else
        values_queries(QR_KV_F32, qn, t);
#endif
}
