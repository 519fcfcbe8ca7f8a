/* SPDX-License-Identifier: MIT */
/* x86/attention_tiles -- from a tile's numbers of queries, panels and columns and its type to the
 * constants that scores_of and values_of are made for.
 *
 * Included once by attention_body.h.   Thread: any.   Memory: the caller's scratch. */

INLINE void scores_panels(const enum qr_kv_type type, const uint32_t qn, uint32_t pn,
                          const uint8_t *const *keys, const uint8_t *const *ahead,
                          const struct qr_attention_queries *q, uint32_t head_dim, float *p)
{
    for (uint32_t done = 0, n; done < pn; done += n) {
        const uint8_t *const *next = ahead + done;

        n = pn - done;
        if (n >= 4 && TILE_PANELS >= 4) {
            n = 4;
            scores_of(type, qn, 4, keys + done, next, q, head_dim, p + done * QR_KV_PANEL);
        } else if (n >= 2) {
            n = 2;
            scores_of(type, qn, 2, keys + done, next, q, head_dim, p + done * QR_KV_PANEL);
        } else {
            scores_of(type, qn, 1, keys + done, next, q, head_dim, p + done * QR_KV_PANEL);
        }
    }
}

INLINE void scores_queries(const enum qr_kv_type type, uint32_t qn, uint32_t pn,
                           const uint8_t *const *keys, const uint8_t *const *ahead,
                           const struct qr_attention_queries *q, uint32_t head_dim, float *p)
{
    if (qn == 1)
        scores_panels(type, 1, pn, keys, ahead, q, head_dim, p);
    else if (qn == 2)
        scores_panels(type, 2, pn, keys, ahead, q, head_dim, p);
    else if (qn == 3)
        scores_panels(type, 3, pn, keys, ahead, q, head_dim, p);
#if TILE_QUERIES == 6
    else if (qn == 4)
        scores_panels(type, 4, pn, keys, ahead, q, head_dim, p);
    else if (qn == 5)
        scores_panels(type, 5, pn, keys, ahead, q, head_dim, p);
    else
        scores_panels(type, 6, pn, keys, ahead, q, head_dim, p);
#endif
}

static void scores_tile(enum qr_kv_type type, uint32_t qn, uint32_t pn, const uint8_t *const *keys,
                        const uint8_t *const *ahead, const struct qr_attention_queries *q,
                        uint32_t head_dim, float *p)
{
#if TILE_Q8
    (void)type;
    scores_queries(QR_KV_Q8, qn, pn, keys, ahead, q, head_dim, p);
#else
    if (type == QR_KV_F16)
        scores_queries(QR_KV_F16, qn, pn, keys, ahead, q, head_dim, p);
    else if (type == QR_KV_BF16)
        scores_queries(QR_KV_BF16, qn, pn, keys, ahead, q, head_dim, p);
    else
        scores_queries(QR_KV_F32, qn, pn, keys, ahead, q, head_dim, p);
#endif
}

INLINE void values_columns(const enum qr_kv_type type, const uint32_t qn,
                           const uint8_t *const *values, const uint8_t *const *ahead,
                           uint32_t begin, uint32_t end, const float *p, uint32_t head_dim,
                           float *o)
{
    for (uint32_t at = 0, n; at < head_dim; at += n, o += n) {
        uint32_t left = head_dim - at;

        n = left >= TILE_COLUMNS ? TILE_COLUMNS : left >= 32 ? 32 : left >= 16 ? 16 : 8;
#if TILE_COLUMNS == 64
        if (n == 64)
            values_of(type, qn, 64, at, values, ahead, begin, end, p, head_dim, o);
        else
#endif
            if (n == 32)
            values_of(type, qn, 32, at, values, ahead, begin, end, p, head_dim, o);
        else if (n == 16)
            values_of(type, qn, 16, at, values, ahead, begin, end, p, head_dim, o);
        else
            values_of(type, qn, 8, at, values, ahead, begin, end, p, head_dim, o);
    }
}

INLINE void values_queries(const enum qr_kv_type type, uint32_t qn, const uint8_t *const *values,
                           const uint8_t *const *ahead, uint32_t begin, uint32_t end,
                           const float *p, uint32_t head_dim, float *o)
{
    if (qn == 1)
        values_columns(type, 1, values, ahead, begin, end, p, head_dim, o);
    else if (qn == 2)
        values_columns(type, 2, values, ahead, begin, end, p, head_dim, o);
    else if (qn == 3)
        values_columns(type, 3, values, ahead, begin, end, p, head_dim, o);
#if TILE_QUERIES == 6
    else if (qn == 4)
        values_columns(type, 4, values, ahead, begin, end, p, head_dim, o);
    else if (qn == 5)
        values_columns(type, 5, values, ahead, begin, end, p, head_dim, o);
    else
        values_columns(type, 6, values, ahead, begin, end, p, head_dim, o);
#endif
}

static void values_tile(enum qr_kv_type type, uint32_t qn, const uint8_t *const *values,
                        const uint8_t *const *ahead, uint32_t begin, uint32_t end, const float *p,
                        uint32_t head_dim, float *o)
{
#if TILE_Q8
    (void)type;
    values_queries(QR_KV_Q8, qn, values, ahead, begin, end, p, head_dim, o);
#else
    if (type == QR_KV_F16)
        values_queries(QR_KV_F16, qn, values, ahead, begin, end, p, head_dim, o);
    else if (type == QR_KV_BF16)
        values_queries(QR_KV_BF16, qn, values, ahead, begin, end, p, head_dim, o);
    else
        values_queries(QR_KV_F32, qn, values, ahead, begin, end, p, head_dim, o);
#endif
}
