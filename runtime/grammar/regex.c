/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/regex_nodes.h"

/* ---- nodes ---------------------------------------------------------------------------------- */

static uint32_t hash_of(const struct qr_rx_node *n)
{
    uint64_t h = (uint64_t)n->kind * UINT64_C(0x9e3779b97f4a7c15);

    h = (h ^ n->divisor) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 32) ^ ((uint64_t)n->remainder << 32 | n->place)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)(h ^ (h >> 29));
}

static bool rehash(struct qr_rx_pool *pool)
{
    size_t n = pool->buckets_n ? 2 * pool->buckets_n : 1024;

    if (!QR_RESERVE(pool->budget, pool, buckets, n)) return false;
    pool->buckets_n = n;
    memset(pool->buckets, 0xff, n * sizeof *pool->buckets);
    for (uint32_t i = 0; i < pool->nodes_n; i++) {
        uint32_t *bucket = &pool->buckets[hash_of(&pool->nodes[i]) & (n - 1)];
        pool->nodes[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

static inline uint32_t add_bounded(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX / 4 || b > UINT32_MAX / 4 ? UINT32_MAX / 2 : a + b;
}

static uint32_t least_of(const struct qr_rx_pool *pool, const struct qr_rx_node *n)
{
    uint32_t a, b;
    uint64_t times;

    if (n->nullable) return 0;
    switch ((enum qr_rx_kind)n->kind) {
    case QR_RX_KIND_NONE: return UINT32_MAX / 2;
    case QR_RX_KIND_CAT: return add_bounded(pool->nodes[n->a].least, pool->nodes[n->b].least);
    case QR_RX_KIND_OR:
        a = pool->nodes[n->a].least, b = pool->nodes[n->b].least;
        return a < b ? a : b;
    case QR_RX_KIND_AND:
        a = pool->nodes[n->a].least, b = pool->nodes[n->b].least;
        return a > b ? a : b;
    case QR_RX_KIND_REPEAT:
        times = (uint64_t)pool->nodes[n->a].least * n->min;
        return times > UINT32_MAX / 4 ? UINT32_MAX / 2 : (uint32_t)times;
    default: return 1;
    }
}

qr_rx qr_rx_node_make(struct qr_rx_pool *pool, struct qr_rx_node n)
{
    uint32_t hash = hash_of(&n);

    for (uint32_t i = pool->buckets[hash & (pool->buckets_n - 1)]; i != QR_RX_LAST;
         i = pool->nodes[i].next) {
        const struct qr_rx_node *o = &pool->nodes[i];
        if (o->kind == n.kind && o->divisor == n.divisor && o->remainder == n.remainder &&
            o->place == n.place)
            return i;
    }
    if (!QR_RESERVE(pool->budget, pool, nodes, pool->nodes_n + 1)) return QR_RX_NONE;
    n.least = least_of(pool, &n);
    n.next = pool->buckets[hash & (pool->buckets_n - 1)];
    pool->buckets[hash & (pool->buckets_n - 1)] = (uint32_t)pool->nodes_n;
    pool->nodes[pool->nodes_n++] = n;
    if (pool->nodes_n > pool->buckets_n && !rehash(pool)) return QR_RX_NONE;
    return (qr_rx)(pool->nodes_n - 1);
}

bool qr_rx_pool_init(struct qr_rx_pool *pool, struct qr_budget *budget, uint64_t steps_max)
{
    *pool = (struct qr_rx_pool){.budget = budget, .steps_left = steps_max};
    if (!rehash(pool)) return false;
    qr_rx none = qr_rx_node_make(pool, (struct qr_rx_node){.kind = QR_RX_KIND_NONE, .plain = true});
    qr_rx empty = qr_rx_node_make(
        pool, (struct qr_rx_node){.kind = QR_RX_KIND_EMPTY, .plain = true, .nullable = true});
    qr_rx all = qr_rx_node_make(
        pool,
        (struct qr_rx_node){.kind = QR_RX_KIND_NOT, .nullable = true, .found = QR_FOUND_TEXT});
    return !budget->failed && none == QR_RX_NONE && empty == QR_RX_EMPTY && all == QR_RX_ALL;
}

void qr_rx_pool_deinit(struct qr_rx_pool *pool)
{
    qr_array_free(pool->budget, pool->nodes);
    qr_array_free(pool->budget, pool->sets);
    qr_array_free(pool->budget, pool->buckets);
    qr_array_free(pool->budget, pool->moves);
}

bool qr_rx_nullable(const struct qr_rx_pool *pool, qr_rx a)
{
    return qr_rx_at(pool, a)->nullable;
}

/* ---- constructors --------------------------------------------------------------------------- */

qr_rx qr_rx_set(struct qr_rx_pool *pool, const struct qr_byte_set *set)
{
    size_t i = 0;

    if (!(set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3])) return QR_RX_NONE;
    while (i < pool->sets_n && memcmp(&pool->sets[i], set, sizeof *set) != 0)
        i++;
    if (i == pool->sets_n) {
        if (!QR_RESERVE(pool->budget, pool, sets, pool->sets_n + 1)) return QR_RX_NONE;
        pool->sets[pool->sets_n++] = *set;
    }
    return qr_rx_node_make(
        pool, (struct qr_rx_node){.kind = QR_RX_KIND_SET, .plain = true, .a = (uint32_t)i});
}

qr_rx qr_rx_byte(struct qr_rx_pool *pool, uint8_t byte)
{
    struct qr_byte_set set = {0};

    qr_byte_set_add(&set, byte, byte);
    return qr_rx_set(pool, &set);
}

qr_rx qr_rx_bytes(struct qr_rx_pool *pool, const char *bytes, size_t n)
{
    qr_rx all = QR_RX_EMPTY;

    while (n-- > 0)
        all = qr_rx_cat(pool, qr_rx_byte(pool, (uint8_t)bytes[n]), all);
    return all;
}

qr_rx qr_rx_text(struct qr_rx_pool *pool, const char *text)
{
    return qr_rx_bytes(pool, text, strlen(text));
}

void qr_operands_free(struct qr_rx_pool *pool, struct qr_operands *o)
{
    qr_array_free(pool->budget, o->all);
    pool->budget->bytes_left += o->all_capacity * sizeof *o->all;
}

void qr_operands_push(struct qr_rx_pool *pool, struct qr_operands *o, enum qr_rx_kind kind, qr_rx a)
{
    for (;; a = qr_rx_at(pool, a)->b) {
        bool more = qr_rx_at(pool, a)->kind == kind;
        if (!QR_RESERVE(pool->budget, o, all, o->n + 1)) return;
        o->all[o->n++] = more ? qr_rx_at(pool, a)->a : a;
        if (!more) return;
    }
}

static qr_rx cat_node(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    return qr_rx_node_make(
        pool,
        (struct qr_rx_node){.kind = QR_RX_KIND_CAT,
                            .plain = qr_rx_at(pool, a)->plain && qr_rx_at(pool, b)->plain,
                            .nullable = qr_rx_at(pool, a)->nullable && qr_rx_at(pool, b)->nullable,
                            .a = a,
                            .b = b});
}

qr_rx qr_rx_cat(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    struct qr_operands o = {0};

    if (a == QR_RX_NONE || b == QR_RX_NONE) return QR_RX_NONE;
    if (a == QR_RX_EMPTY) return b;
    if (b == QR_RX_EMPTY) return a;
    if (a == QR_RX_ALL && b == QR_RX_ALL) return a;
    if (qr_rx_at(pool, a)->kind != QR_RX_KIND_CAT) return cat_node(pool, a, b);
    qr_operands_push(pool, &o, QR_RX_KIND_CAT, a);
    while (o.n-- > 0)
        b = cat_node(pool, o.all[o.n], b);
    qr_operands_free(pool, &o);
    return pool->budget->failed ? QR_RX_NONE : b;
}

static int compare_ids(const void *a, const void *b)
{
    qr_rx x = *(const qr_rx *)a, y = *(const qr_rx *)b;

    return x < y ? -1 : x > y;
}

/* All sets among the operands become one: their union, or their intersection. */
static void join_sets(struct qr_rx_pool *pool, struct qr_operands *o, enum qr_rx_kind kind)
{
    struct qr_byte_set set = {0};
    size_t sets_n = 0, kept = 0;

    for (size_t i = 0; i < o->n; i++)
        sets_n += qr_rx_at(pool, o->all[i])->kind == QR_RX_KIND_SET;
    if (sets_n < 2) return;
    if (kind == QR_RX_KIND_AND) memset(&set, 0xff, sizeof set);
    for (size_t i = 0; i < o->n; i++) {
        const struct qr_rx_node *n = qr_rx_at(pool, o->all[i]);
        if (n->kind != QR_RX_KIND_SET) {
            o->all[kept++] = o->all[i];
            continue;
        }
        for (size_t w = 0; w < 4; w++) {
            uint64_t bits = pool->sets[n->a].bits[w];
            set.bits[w] = kind == QR_RX_KIND_AND ? set.bits[w] & bits : set.bits[w] | bits;
        }
    }
    o->all[kept++] = qr_rx_set(pool, &set);
    o->n = kept;
}

qr_rx qr_rx_combine(struct qr_rx_pool *pool, struct qr_operands *o, enum qr_rx_kind kind)
{
    const qr_rx unit = kind == QR_RX_KIND_OR ? QR_RX_NONE : QR_RX_ALL;
    const qr_rx zero = kind == QR_RX_KIND_OR ? QR_RX_ALL : QR_RX_NONE;
    qr_rx result = unit;
    size_t kept = 0;

    join_sets(pool, o, kind);
    if (o->n) qsort(o->all, o->n, sizeof *o->all, compare_ids);
    for (size_t i = 0; i < o->n; i++) {
        if (o->all[i] == zero) return zero;
        if (o->all[i] == unit || (kept && o->all[kept - 1] == o->all[i])) continue;
        o->all[kept++] = o->all[i];
    }
    if (kind == QR_RX_KIND_OR) { /* drop the empty text if an operand matches it already */
        bool nullable = false;
        for (size_t i = 0; i < kept; i++)
            nullable =
                nullable || (o->all[i] != QR_RX_EMPTY && qr_rx_at(pool, o->all[i])->nullable);
        if (nullable && kept && o->all[0] == QR_RX_EMPTY) {
            memmove(o->all, o->all + 1, (kept - 1) * sizeof *o->all);
            kept--;
        }
    }
    for (size_t i = kept; i-- > 0;) {
        qr_rx a = o->all[i], b = result;
        if (i + 1 == kept) {
            result = a;
            continue;
        }
        bool nullable = kind == QR_RX_KIND_OR
                            ? qr_rx_at(pool, a)->nullable || qr_rx_at(pool, b)->nullable
                            : qr_rx_at(pool, a)->nullable && qr_rx_at(pool, b)->nullable;
        bool plain = kind == QR_RX_KIND_OR && qr_rx_at(pool, a)->plain && qr_rx_at(pool, b)->plain;
        result = qr_rx_node_make(
            pool, (struct qr_rx_node){
                      .kind = (uint8_t)kind, .plain = plain, .nullable = nullable, .a = a, .b = b});
    }
    return result;
}

static qr_rx combine_two(struct qr_rx_pool *pool, enum qr_rx_kind kind, qr_rx a, qr_rx b)
{
    struct qr_operands o = {0};

    qr_operands_push(pool, &o, kind, a);
    qr_operands_push(pool, &o, kind, b);
    qr_rx result = qr_rx_combine(pool, &o, kind);
    qr_operands_free(pool, &o);
    return pool->budget->failed ? QR_RX_NONE : result;
}

qr_rx qr_rx_or(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    if (a == b || b == QR_RX_NONE) return a;
    if (a == QR_RX_NONE) return b;
    return combine_two(pool, QR_RX_KIND_OR, a, b);
}

qr_rx qr_rx_and(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    if (a == b || b == QR_RX_ALL) return a;
    if (a == QR_RX_ALL) return b;
    if (a == QR_RX_NONE || b == QR_RX_NONE) return QR_RX_NONE;
    return combine_two(pool, QR_RX_KIND_AND, a, b);
}

qr_rx qr_rx_any_of(struct qr_rx_pool *pool, qr_rx *all, size_t n)
{
    struct qr_operands o = {0};

    for (size_t i = 0; i < n; i++)
        qr_operands_push(pool, &o, QR_RX_KIND_OR, all[i]);
    qr_rx result = qr_rx_combine(pool, &o, QR_RX_KIND_OR);
    qr_operands_free(pool, &o);
    return pool->budget->failed ? QR_RX_NONE : result;
}

qr_rx qr_rx_not(struct qr_rx_pool *pool, qr_rx a)
{
    if (a == QR_RX_NONE) return QR_RX_ALL;
    if (a == QR_RX_ALL) return QR_RX_NONE;
    if (qr_rx_at(pool, a)->kind == QR_RX_KIND_NOT) return qr_rx_at(pool, a)->a;
    return qr_rx_node_make(pool, (struct qr_rx_node){.kind = QR_RX_KIND_NOT,
                                                     .nullable = !qr_rx_at(pool, a)->nullable,
                                                     .a = a});
}

qr_rx qr_rx_repeat(struct qr_rx_pool *pool, qr_rx a, uint32_t min, uint32_t max)
{
    assert(min <= max);
    if (a == QR_RX_NONE) return min ? QR_RX_NONE : QR_RX_EMPTY;
    if (max == 0 || a == QR_RX_EMPTY) return QR_RX_EMPTY;
    if (max == 1) return min ? a : qr_rx_or(pool, a, QR_RX_EMPTY);
    if (qr_rx_at(pool, a)->nullable) min = 0; /* fewer are as good as empty ones */
    if (a == QR_RX_ALL) return a;
    const struct qr_rx_node *n = qr_rx_at(pool, a);
    if (n->kind == QR_RX_KIND_REPEAT && n->min == 0 && n->max == QR_RX_UNBOUNDED && min <= 1)
        return a;
    return qr_rx_node_make(pool, (struct qr_rx_node){.kind = QR_RX_KIND_REPEAT,
                                                     .plain = n->plain,
                                                     .nullable = min == 0,
                                                     .a = a,
                                                     .min = min,
                                                     .max = max});
}

qr_rx qr_rx_optional(struct qr_rx_pool *pool, qr_rx a)
{
    return qr_rx_repeat(pool, a, 0, 1);
}

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

static qr_rx byte_range(struct qr_rx_pool *pool, uint8_t first, uint8_t last)
{
    struct qr_byte_set set = {0};

    qr_byte_set_add(&set, first, last);
    return qr_rx_set(pool, &set);
}

static uint32_t encode(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    uint32_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (uint32_t i = n; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(lead[n] | code);
    return n;
}

/* One range of code points with the same number of bytes, cut where continuation bytes run over
 * their whole range: at most 2 n - 1 pieces, each a product of byte ranges. */
static qr_rx chars_of_length(struct qr_rx_pool *pool, uint32_t first, uint32_t last)
{
    qr_rx all = QR_RX_NONE;

    while (first <= last) {
        uint8_t from[4], to[4];
        uint32_t end = last;
        for (uint32_t shift = 18; shift > 0; shift -= 6) {
            uint32_t mask = (UINT32_C(1) << shift) - 1;
            if (first >> shift == end >> shift) continue;
            if (first & mask)
                end = first | mask; /* up to the border of this byte */
            else if ((end & mask) != mask)
                end = (end & ~mask) - 1; /* whole ones only */
        }
        uint32_t n = encode(first, from);
        encode(end, to);
        qr_rx one = QR_RX_EMPTY;
        for (uint32_t i = n; i-- > 0;)
            one = qr_rx_cat(pool, byte_range(pool, from[i], to[i]), one);
        all = qr_rx_or(pool, all, one);
        if (end == last) break;
        first = end + 1;
    }
    return all;
}

qr_rx qr_rx_chars(struct qr_rx_pool *pool, const struct qr_code_range *ranges, size_t n)
{
    static const struct qr_code_range lengths[] = {
        {0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    qr_rx all = QR_RX_NONE;

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
            uint32_t first =
                ranges[i].first > lengths[j].first ? ranges[i].first : lengths[j].first;
            uint32_t last = ranges[i].last < lengths[j].last ? ranges[i].last : lengths[j].last;
            if (first <= last) all = qr_rx_or(pool, all, chars_of_length(pool, first, last));
        }
    }
    return all;
}
