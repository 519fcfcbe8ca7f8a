/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/regex.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum kind { NONE, EMPTY, SET, CAT, OR, AND, NOT, REPEAT, MULTIPLE };

/* What a search for a text has found. */
enum { UNKNOWN, SOME_TEXT, NO_TEXT };

struct qr_rx_node {
    uint8_t kind;
    bool nullable;
    bool plain;     /* no AND, NOT or MULTIPLE in it: if it is not NONE it matches something */
    uint8_t found;  /* of qr_rx_is_empty */
    uint32_t next;  /* in its bucket */
    uint32_t least; /* bytes of its shortest text: a lower bound */
    union {
        struct {
            uint32_t a, b;     /* SET: a is the set's index */
            uint32_t min, max; /* REPEAT */
        };
        struct {
            uint64_t divisor;
            uint32_t remainder, place; /* place: see derive_multiple */
        };
    };
};

#define NO_NODE UINT32_MAX

struct qr_rx_move {
    qr_rx from, to; /* from NONE: free */
    uint8_t byte;
};

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
    switch ((enum kind)n->kind) {
    case NONE: return UINT32_MAX / 2;
    case CAT: return add_bounded(pool->nodes[n->a].least, pool->nodes[n->b].least);
    case OR: a = pool->nodes[n->a].least, b = pool->nodes[n->b].least; return a < b ? a : b;
    case AND: a = pool->nodes[n->a].least, b = pool->nodes[n->b].least; return a > b ? a : b;
    case REPEAT:
        times = (uint64_t)pool->nodes[n->a].least * n->min;
        return times > UINT32_MAX / 4 ? UINT32_MAX / 2 : (uint32_t)times;
    default: return 1;
    }
}

static qr_rx node(struct qr_rx_pool *pool, struct qr_rx_node n)
{
    uint32_t hash = hash_of(&n);

    for (uint32_t i = pool->buckets[hash & (pool->buckets_n - 1)]; i != NO_NODE;
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

static inline const struct qr_rx_node *at(const struct qr_rx_pool *pool, qr_rx a)
{
    return &pool->nodes[a];
}

bool qr_rx_pool_init(struct qr_rx_pool *pool, struct qr_budget *budget, uint64_t steps_max)
{
    *pool = (struct qr_rx_pool){.budget = budget, .steps_left = steps_max};
    if (!rehash(pool)) return false;
    qr_rx none = node(pool, (struct qr_rx_node){.kind = NONE, .plain = true});
    qr_rx empty = node(pool, (struct qr_rx_node){.kind = EMPTY, .plain = true, .nullable = true});
    qr_rx all = node(pool, (struct qr_rx_node){.kind = NOT, .nullable = true, .found = SOME_TEXT});
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
    return at(pool, a)->nullable;
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
    return node(pool, (struct qr_rx_node){.kind = SET, .plain = true, .a = (uint32_t)i});
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

/* A growing list of operands. */
struct operands {
    qr_rx *all;
    size_t n, all_capacity;
};

static void operands_free(struct qr_rx_pool *pool, struct operands *o)
{
    qr_array_free(pool->budget, o->all);
    pool->budget->bytes_left += o->all_capacity * sizeof *o->all;
}

/* The operands of nested nodes of one kind, which nest to the right. */
static void push_operands(struct qr_rx_pool *pool, struct operands *o, enum kind kind, qr_rx a)
{
    for (;; a = at(pool, a)->b) {
        bool more = at(pool, a)->kind == kind;
        if (!QR_RESERVE(pool->budget, o, all, o->n + 1)) return;
        o->all[o->n++] = more ? at(pool, a)->a : a;
        if (!more) return;
    }
}

static qr_rx cat_node(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    return node(pool,
                (struct qr_rx_node){.kind = CAT,
                                    .plain = at(pool, a)->plain && at(pool, b)->plain,
                                    .nullable = at(pool, a)->nullable && at(pool, b)->nullable,
                                    .a = a,
                                    .b = b});
}

qr_rx qr_rx_cat(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    struct operands o = {0};

    if (a == QR_RX_NONE || b == QR_RX_NONE) return QR_RX_NONE;
    if (a == QR_RX_EMPTY) return b;
    if (b == QR_RX_EMPTY) return a;
    if (a == QR_RX_ALL && b == QR_RX_ALL) return a;
    if (at(pool, a)->kind != CAT) return cat_node(pool, a, b);
    push_operands(pool, &o, CAT, a);
    while (o.n-- > 0)
        b = cat_node(pool, o.all[o.n], b);
    operands_free(pool, &o);
    return pool->budget->failed ? QR_RX_NONE : b;
}

static int compare_ids(const void *a, const void *b)
{
    qr_rx x = *(const qr_rx *)a, y = *(const qr_rx *)b;

    return x < y ? -1 : x > y;
}

/* All sets among the operands become one: their union, or their intersection. */
static void join_sets(struct qr_rx_pool *pool, struct operands *o, enum kind kind)
{
    struct qr_byte_set set = {0};
    size_t sets_n = 0, kept = 0;

    for (size_t i = 0; i < o->n; i++)
        sets_n += at(pool, o->all[i])->kind == SET;
    if (sets_n < 2) return;
    if (kind == AND) memset(&set, 0xff, sizeof set);
    for (size_t i = 0; i < o->n; i++) {
        const struct qr_rx_node *n = at(pool, o->all[i]);
        if (n->kind != SET) {
            o->all[kept++] = o->all[i];
            continue;
        }
        for (size_t w = 0; w < 4; w++) {
            uint64_t bits = pool->sets[n->a].bits[w];
            set.bits[w] = kind == AND ? set.bits[w] & bits : set.bits[w] | bits;
        }
    }
    o->all[kept++] = qr_rx_set(pool, &set);
    o->n = kept;
}

/* OR or AND of operands: sorted, without duplicates, units left out. */
static qr_rx combine(struct qr_rx_pool *pool, struct operands *o, enum kind kind)
{
    const qr_rx unit = kind == OR ? QR_RX_NONE : QR_RX_ALL;
    const qr_rx zero = kind == OR ? QR_RX_ALL : QR_RX_NONE;
    qr_rx result = unit;
    size_t kept = 0;

    join_sets(pool, o, kind);
    if (o->n) qsort(o->all, o->n, sizeof *o->all, compare_ids);
    for (size_t i = 0; i < o->n; i++) {
        if (o->all[i] == zero) return zero;
        if (o->all[i] == unit || (kept && o->all[kept - 1] == o->all[i])) continue;
        o->all[kept++] = o->all[i];
    }
    if (kind == OR) { /* drop the empty text if an operand matches it already */
        bool nullable = false;
        for (size_t i = 0; i < kept; i++)
            nullable = nullable || (o->all[i] != QR_RX_EMPTY && at(pool, o->all[i])->nullable);
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
        bool nullable = kind == OR ? at(pool, a)->nullable || at(pool, b)->nullable
                                   : at(pool, a)->nullable && at(pool, b)->nullable;
        bool plain = kind == OR && at(pool, a)->plain && at(pool, b)->plain;
        result = node(
            pool, (struct qr_rx_node){
                      .kind = (uint8_t)kind, .plain = plain, .nullable = nullable, .a = a, .b = b});
    }
    return result;
}

static qr_rx combine_two(struct qr_rx_pool *pool, enum kind kind, qr_rx a, qr_rx b)
{
    struct operands o = {0};

    push_operands(pool, &o, kind, a);
    push_operands(pool, &o, kind, b);
    qr_rx result = combine(pool, &o, kind);
    operands_free(pool, &o);
    return pool->budget->failed ? QR_RX_NONE : result;
}

qr_rx qr_rx_or(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    if (a == b || b == QR_RX_NONE) return a;
    if (a == QR_RX_NONE) return b;
    return combine_two(pool, OR, a, b);
}

qr_rx qr_rx_and(struct qr_rx_pool *pool, qr_rx a, qr_rx b)
{
    if (a == b || b == QR_RX_ALL) return a;
    if (a == QR_RX_ALL) return b;
    if (a == QR_RX_NONE || b == QR_RX_NONE) return QR_RX_NONE;
    return combine_two(pool, AND, a, b);
}

qr_rx qr_rx_any_of(struct qr_rx_pool *pool, qr_rx *all, size_t n)
{
    struct operands o = {0};

    for (size_t i = 0; i < n; i++)
        push_operands(pool, &o, OR, all[i]);
    qr_rx result = combine(pool, &o, OR);
    operands_free(pool, &o);
    return pool->budget->failed ? QR_RX_NONE : result;
}

qr_rx qr_rx_not(struct qr_rx_pool *pool, qr_rx a)
{
    if (a == QR_RX_NONE) return QR_RX_ALL;
    if (a == QR_RX_ALL) return QR_RX_NONE;
    if (at(pool, a)->kind == NOT) return at(pool, a)->a;
    return node(pool, (struct qr_rx_node){.kind = NOT, .nullable = !at(pool, a)->nullable, .a = a});
}

qr_rx qr_rx_repeat(struct qr_rx_pool *pool, qr_rx a, uint32_t min, uint32_t max)
{
    assert(min <= max);
    if (a == QR_RX_NONE) return min ? QR_RX_NONE : QR_RX_EMPTY;
    if (max == 0 || a == QR_RX_EMPTY) return QR_RX_EMPTY;
    if (max == 1) return min ? a : qr_rx_or(pool, a, QR_RX_EMPTY);
    if (at(pool, a)->nullable) min = 0; /* fewer are as good as empty ones */
    if (a == QR_RX_ALL) return a;
    const struct qr_rx_node *n = at(pool, a);
    if (n->kind == REPEAT && n->min == 0 && n->max == QR_RX_UNBOUNDED && min <= 1) return a;
    return node(pool, (struct qr_rx_node){.kind = REPEAT,
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

/* ---- multiples ------------------------------------------------------------------------------ */

/* place: 0 before the first digit, 1 within the whole part (with the digits of the fraction that
 * may follow in the bits above), 2 after the point before a digit, 3 within the fraction. */
enum { PLACE_FIRST, PLACE_WHOLE, PLACE_POINT, PLACE_FRACTION };
#define PLACE(what, digits) ((uint32_t)(what) | (uint32_t)(digits) << 2)

static qr_rx multiple(struct qr_rx_pool *pool, uint64_t divisor, uint64_t remainder, uint32_t place)
{
    uint32_t what = place & 3, digits = place >> 2;
    uint64_t scaled = remainder;

    for (uint32_t i = 0; i < digits; i++)
        scaled = scaled * 10 % divisor;
    bool whole = what == PLACE_WHOLE || what == PLACE_FRACTION;
    pool->multiples = true;
    return node(pool, (struct qr_rx_node){.kind = MULTIPLE,
                                          .nullable = whole && scaled == 0,
                                          .divisor = divisor,
                                          .remainder = (uint32_t)remainder,
                                          .place = place});
}

qr_rx qr_rx_multiple(struct qr_rx_pool *pool, uint64_t divisor, uint32_t scale)
{
    assert(divisor > 0 && divisor <= UINT32_MAX && scale <= 18);
    return multiple(pool, divisor, 0, PLACE(PLACE_FIRST, scale));
}

static qr_rx derive_multiple(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const struct qr_rx_node n = *at(pool, a);
    uint32_t what = n.place & 3, digits = n.place >> 2;

    if (byte == '.')
        return what == PLACE_WHOLE && digits
                   ? multiple(pool, n.divisor, n.remainder, PLACE(PLACE_POINT, digits))
                   : QR_RX_NONE;
    if (byte < '0' || byte > '9') return QR_RX_NONE;
    uint64_t digit = byte - '0';
    if (what == PLACE_FIRST || what == PLACE_WHOLE)
        return multiple(pool, n.divisor, (n.remainder * UINT64_C(10) + digit) % n.divisor,
                        PLACE(PLACE_WHOLE, digits));
    if (digits == 0) /* what is past the scale must be zeros */
        return digit == 0 ? multiple(pool, n.divisor, n.remainder, PLACE(PLACE_FRACTION, 0))
                          : QR_RX_NONE;
    return multiple(pool, n.divisor, (n.remainder * UINT64_C(10) + digit) % n.divisor,
                    PLACE(PLACE_FRACTION, digits - 1));
}

/* ---- derivatives ---------------------------------------------------------------------------- */

static bool pay(struct qr_rx_pool *pool, uint64_t steps)
{
    if (pool->steps_left < steps) {
        pool->budget->failed = true;
        return false;
    }
    pool->steps_left -= steps;
    return true;
}

static size_t move_at(const struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    size_t at = ((uint64_t)a << 8 | byte) * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    for (at &= pool->moves_size - 1;; at = (at + 1) & (pool->moves_size - 1)) {
        const struct qr_rx_move *move = &pool->moves[at];
        if (move->from == QR_RX_NONE || (move->from == a && move->byte == byte)) return at;
    }
}

static bool find_move(const struct qr_rx_pool *pool, qr_rx a, uint8_t byte, qr_rx *to)
{
    if (pool->moves_size == 0) return false;
    const struct qr_rx_move *move = &pool->moves[move_at(pool, a, byte)];
    *to = move->to;
    return move->from != QR_RX_NONE;
}

static void keep_move(struct qr_rx_pool *pool, qr_rx a, uint8_t byte, qr_rx to)
{
    if (pool->budget->failed) return;
    if (2 * (pool->moves_n + 1) > pool->moves_size) {
        struct qr_rx_pool old = *pool;
        pool->moves = NULL;
        pool->moves_capacity = 0;
        size_t size = old.moves_size ? 2 * old.moves_size : 4096;
        if (!QR_RESERVE(pool->budget, pool, moves, size)) {
            *pool = old;
            return;
        }
        pool->moves_size = size;
        memset(pool->moves, 0, size * sizeof *pool->moves);
        for (size_t i = 0; i < old.moves_size; i++)
            if (old.moves[i].from != QR_RX_NONE)
                pool->moves[move_at(pool, old.moves[i].from, old.moves[i].byte)] = old.moves[i];
        qr_array_free(pool->budget, old.moves);
        pool->budget->bytes_left += old.moves_capacity * sizeof *old.moves;
    }
    pool->moves[move_at(pool, a, byte)] = (struct qr_rx_move){a, to, byte};
    pool->moves_n++;
}

/* d(a b c) = d(a) b c | d(b) c where a may be empty | ... */
static qr_rx derive_cat(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    qr_rx all = QR_RX_NONE;

    for (;;) {
        const struct qr_rx_node n = *at(pool, a);
        if (n.kind != CAT) return qr_rx_or(pool, all, qr_rx_derive(pool, a, byte));
        qr_rx d = qr_rx_derive(pool, n.a, byte);
        all = qr_rx_or(pool, all, qr_rx_cat(pool, d, n.b));
        if (!at(pool, n.a)->nullable || pool->budget->failed) return all;
        a = n.b;
    }
}

static qr_rx derive_operands(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const enum kind kind = at(pool, a)->kind;
    struct operands o = {0};

    for (;; a = at(pool, a)->b) {
        bool more = at(pool, a)->kind == kind;
        qr_rx d = qr_rx_derive(pool, more ? at(pool, a)->a : a, byte);
        if (d == (kind == OR ? QR_RX_ALL : QR_RX_NONE)) {
            operands_free(pool, &o);
            return d;
        }
        if (d != QR_RX_NONE || kind == AND) push_operands(pool, &o, kind, d);
        if (!more || pool->budget->failed) break;
    }
    qr_rx result = combine(pool, &o, kind);
    operands_free(pool, &o);
    return result;
}

qr_rx qr_rx_derive(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const struct qr_rx_node n = *at(pool, a);

    if (!pay(pool, 1)) return QR_RX_NONE;
    switch ((enum kind)n.kind) {
    case NONE:
    case EMPTY: return QR_RX_NONE;
    case SET: return qr_byte_set_has(&pool->sets[n.a], byte) ? QR_RX_EMPTY : QR_RX_NONE;
    case CAT:
    case OR:
    case AND: {
        qr_rx known;
        if (find_move(pool, a, byte, &known)) return known;
        known = n.kind == CAT ? derive_cat(pool, a, byte) : derive_operands(pool, a, byte);
        keep_move(pool, a, byte, known);
        return known;
    }
    case NOT: return qr_rx_not(pool, qr_rx_derive(pool, n.a, byte));
    case REPEAT: {
        qr_rx d = qr_rx_derive(pool, n.a, byte);
        if (d == QR_RX_NONE) return d;
        uint32_t max = n.max == QR_RX_UNBOUNDED ? n.max : n.max - 1;
        return qr_rx_cat(pool, d, qr_rx_repeat(pool, n.a, n.min ? n.min - 1 : 0, max));
    }
    case MULTIPLE: return derive_multiple(pool, a, byte);
    }
    return QR_RX_NONE;
}

bool qr_rx_matches(struct qr_rx_pool *pool, qr_rx a, const char *text, size_t n)
{
    for (size_t i = 0; i < n && a != QR_RX_NONE; i++)
        a = qr_rx_derive(pool, a, (uint8_t)text[i]);
    return at(pool, a)->nullable;
}

/* Recursion follows the nesting of groups; sequences and alternatives are loops. */
qr_rx qr_rx_before(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const struct qr_rx_node n = *at(pool, a);
    struct operands o = {0};
    qr_rx all = QR_RX_NONE;

    if (!pay(pool, 1)) return QR_RX_NONE;
    switch ((enum kind)n.kind) {
    case SET: return qr_byte_set_has(&pool->sets[n.a], byte) ? QR_RX_EMPTY : QR_RX_NONE;
    case REPEAT: {
        uint32_t max = n.max == QR_RX_UNBOUNDED ? n.max : n.max - 1;
        return qr_rx_cat(pool, qr_rx_repeat(pool, n.a, n.min ? n.min - 1 : 0, max),
                         qr_rx_before(pool, n.a, byte));
    }
    case OR:
        push_operands(pool, &o, OR, a);
        for (size_t i = 0; i < o.n; i++)
            all = qr_rx_or(pool, all, qr_rx_before(pool, o.all[i], byte));
        break;
    case CAT: { /* from the last part back, as long as those after it may be empty */
        push_operands(pool, &o, CAT, a);
        size_t i = o.n;
        bool empty_after = true;
        while (i-- > 0 && empty_after) {
            qr_rx one = qr_rx_before(pool, o.all[i], byte);
            for (size_t j = i; j-- > 0 && one != QR_RX_NONE;)
                one = qr_rx_cat(pool, o.all[j], one);
            all = qr_rx_or(pool, all, one);
            empty_after = at(pool, o.all[i])->nullable;
        }
        break;
    }
    default: return QR_RX_NONE;
    }
    operands_free(pool, &o);
    return all;
}

qr_rx qr_rx_without(struct qr_rx_pool *pool, qr_rx a, uint8_t first, uint8_t second)
{
    const struct qr_rx_node n = *at(pool, a);
    struct operands o = {0};
    qr_rx all = n.kind == OR ? QR_RX_NONE : QR_RX_EMPTY;

    if (!pay(pool, 1)) return QR_RX_NONE;
    switch ((enum kind)n.kind) {
    case SET: {
        struct qr_byte_set set = pool->sets[n.a];
        set.bits[first >> 6] &= ~(UINT64_C(1) << (first & 63));
        set.bits[second >> 6] &= ~(UINT64_C(1) << (second & 63));
        return qr_rx_set(pool, &set);
    }
    case REPEAT: return qr_rx_repeat(pool, qr_rx_without(pool, n.a, first, second), n.min, n.max);
    case OR:
    case CAT:
        push_operands(pool, &o, (enum kind)n.kind, a);
        for (size_t i = o.n; i-- > 0;) {
            qr_rx one = qr_rx_without(pool, o.all[i], first, second);
            all = n.kind == OR ? qr_rx_or(pool, all, one) : qr_rx_cat(pool, one, all);
        }
        operands_free(pool, &o);
        return all;
    default: return a;
    }
}

uint32_t qr_rx_classes(const struct qr_rx_pool *pool, uint8_t class_of[256])
{
    uint32_t classes_n = 1;
    const bool multiples = pool->multiples;

    memset(class_of, 0, 256);
    for (size_t s = 0; s < pool->sets_n + (multiples ? 11 : 0); s++) {
        struct qr_byte_set set = {0};
        uint16_t split[256];
        if (s < pool->sets_n)
            set = pool->sets[s];
        else
            qr_byte_set_add(&set, s == pool->sets_n ? '.' : (uint8_t)('0' + s - pool->sets_n - 1),
                            s == pool->sets_n ? '.' : (uint8_t)('0' + s - pool->sets_n - 1));
        memset(split, 0, sizeof split);
        uint32_t old_n = classes_n;
        bool outside[256] = {false};
        for (uint32_t b = 0; b < 256; b++)
            if (!qr_byte_set_has(&set, (uint8_t)b)) outside[class_of[b]] = true;
        for (uint32_t b = 0; b < 256; b++) {
            uint8_t c = class_of[b];
            if (!qr_byte_set_has(&set, (uint8_t)b) || !outside[c] || c >= old_n) continue;
            if (!split[c]) split[c] = (uint16_t)classes_n++;
            class_of[b] = (uint8_t)split[c];
        }
    }
    return classes_n;
}

/* ---- emptiness ------------------------------------------------------------------------------ */

/* What a search has come to, and from where. */
struct found {
    qr_rx rx;
    uint32_t from, depth, next; /* next: of those with the same estimate */
};

struct text_search {
    struct found *all;
    size_t n, all_capacity;
    uint32_t *seen; /* a hash table of indices + 1 */
    size_t seen_size, seen_capacity;
};

#define ESTIMATES 64u

static bool is_some(const struct qr_rx_pool *pool, qr_rx a)
{
    const struct qr_rx_node *n = at(pool, a);

    return (n->plain && n->kind != NONE) || n->nullable || n->found == SOME_TEXT;
}

/* The slot of an expression: empty, or holding it. */
static size_t seen_at(const struct text_search *s, qr_rx a)
{
    size_t slot = a * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (s->seen_size - 1);

    while (s->seen[slot] && s->all[s->seen[slot] - 1].rx != a)
        slot = (slot + 1) & (s->seen_size - 1);
    return slot;
}

static bool search_add(struct qr_rx_pool *pool, struct text_search *s, struct found f)
{
    if (2 * (s->n + 1) > s->seen_size) {
        size_t size = s->seen_size ? 2 * s->seen_size : 64;
        if (!QR_RESERVE(pool->budget, s, seen, size)) return false;
        s->seen_size = size;
        memset(s->seen, 0, size * sizeof *s->seen);
        for (size_t i = 0; i < s->n; i++)
            s->seen[seen_at(s, s->all[i].rx)] = (uint32_t)i + 1;
    }
    if (!QR_RESERVE(pool->budget, s, all, s->n + 1)) return false;
    s->all[s->n] = f;
    size_t slot = seen_at(s, f.rx);
    s->seen[slot] = (uint32_t)++s->n;
    return true;
}

/* Classes of bytes for searches, made anew when there are more sets. */
static void know_classes(struct qr_rx_pool *pool)
{
    if (pool->classes_n && pool->known_sets_n == pool->sets_n &&
        pool->known_multiples == pool->multiples)
        return;
    pool->classes_n = qr_rx_classes(pool, pool->class_of);
    for (uint32_t b = 256; b-- > 0;)
        pool->byte_of[pool->class_of[b]] = (uint8_t)b;
    pool->known_sets_n = pool->sets_n;
    pool->known_multiples = pool->multiples;
}

/* The derivatives of what looks nearest to the end of a text first, until one is certain to match
 * something.  Returns its index, or UINT32_MAX: there is none, or the pool is out of steps. */
static uint32_t search_text(struct qr_rx_pool *pool, struct text_search *s, qr_rx a)
{
    uint32_t heads[ESTIMATES];

    know_classes(pool);
    memset(heads, 0xff, sizeof heads);
    if (!search_add(pool, s, (struct found){a, UINT32_MAX, 0, UINT32_MAX})) return UINT32_MAX;
    heads[0] = 0;
    for (uint32_t estimate = 0; estimate < ESTIMATES;) {
        uint32_t i = heads[estimate];
        if (i == UINT32_MAX) {
            estimate++;
            continue;
        }
        heads[estimate] = s->all[i].next;
        for (uint32_t c = 0; c < pool->classes_n; c++) {
            qr_rx d = qr_rx_derive(pool, s->all[i].rx, pool->byte_of[c]);
            if (pool->budget->failed) return UINT32_MAX;
            if (d == QR_RX_NONE || at(pool, d)->found == NO_TEXT || s->seen[seen_at(s, d)])
                continue;
            uint32_t rank = at(pool, d)->least;
            if (rank >= ESTIMATES) rank = ESTIMATES - 1;
            if (!search_add(pool, s, (struct found){d, i, s->all[i].depth + 1, heads[rank]}))
                return UINT32_MAX;
            if (is_some(pool, d)) return (uint32_t)s->n - 1;
            heads[rank] = (uint32_t)s->n - 1;
            if (rank < estimate) estimate = rank;
        }
    }
    return UINT32_MAX;
}

bool qr_rx_is_empty(struct qr_rx_pool *pool, qr_rx a)
{
    struct text_search s = {0};

    if (a == QR_RX_NONE) return true;
    if (is_some(pool, a)) return false;
    if (at(pool, a)->found == NO_TEXT) return true;
    uint32_t end = search_text(pool, &s, a);
    if (!pool->budget->failed) {
        for (size_t i = 0; i < s.n && end == UINT32_MAX; i++)
            pool->nodes[s.all[i].rx].found = NO_TEXT;
        for (uint32_t i = end; i != UINT32_MAX; i = s.all[i].from)
            pool->nodes[s.all[i].rx].found = SOME_TEXT;
    }
    qr_array_free(pool->budget, s.all);
    qr_array_free(pool->budget, s.seen);
    pool->budget->bytes_left += s.all_capacity * sizeof *s.all + s.seen_capacity * sizeof *s.seen;
    return end == UINT32_MAX && !pool->budget->failed;
}

/* ---- reach ---------------------------------------------------------------------------------- */

/* Recursion follows the nesting of AND and OR, which are kept flat. */
uint32_t qr_rx_reach(struct qr_rx_pool *pool, qr_rx a, qr_rx chars)
{
    const struct qr_rx_node n = *at(pool, a);
    struct operands o = {0};
    uint32_t reach;

    switch ((enum kind)n.kind) {
    case NOT: return n.a == QR_RX_NONE ? QR_RX_UNBOUNDED : 0;
    case CAT: return at(pool, n.a)->kind == REPEAT ? qr_rx_reach(pool, n.a, chars) : 0;
    case REPEAT:
        if (!qr_rx_is_empty(pool, qr_rx_and(pool, chars, qr_rx_not(pool, n.a)))) return 0;
        return n.max;
    case OR:
    case AND:
        push_operands(pool, &o, (enum kind)n.kind, a);
        reach = n.kind == OR ? 0 : QR_RX_UNBOUNDED;
        for (size_t i = 0; i < o.n; i++) {
            uint32_t one = qr_rx_reach(pool, o.all[i], chars);
            if (n.kind == OR ? one > reach : one < reach) reach = one;
        }
        operands_free(pool, &o);
        return reach;
    default: return 0;
    }
}
