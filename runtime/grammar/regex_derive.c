/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "runtime/grammar/regex_nodes.h"

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
    return qr_rx_node_make(pool, (struct qr_rx_node){.kind = QR_RX_KIND_MULTIPLE,
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
    const struct qr_rx_node n = *qr_rx_at(pool, a);
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
        const struct qr_rx_node n = *qr_rx_at(pool, a);
        if (n.kind != QR_RX_KIND_CAT) return qr_rx_or(pool, all, qr_rx_derive(pool, a, byte));
        qr_rx d = qr_rx_derive(pool, n.a, byte);
        all = qr_rx_or(pool, all, qr_rx_cat(pool, d, n.b));
        if (!qr_rx_at(pool, n.a)->nullable || pool->budget->failed) return all;
        a = n.b;
    }
}

static qr_rx derive_operands(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const enum qr_rx_kind kind = qr_rx_at(pool, a)->kind;
    struct qr_operands o = {0};

    for (;; a = qr_rx_at(pool, a)->b) {
        bool more = qr_rx_at(pool, a)->kind == kind;
        qr_rx d = qr_rx_derive(pool, more ? qr_rx_at(pool, a)->a : a, byte);
        if (d == (kind == QR_RX_KIND_OR ? QR_RX_ALL : QR_RX_NONE)) {
            qr_operands_free(pool, &o);
            return d;
        }
        if (d != QR_RX_NONE || kind == QR_RX_KIND_AND) qr_operands_push(pool, &o, kind, d);
        if (!more || pool->budget->failed) break;
    }
    qr_rx result = qr_rx_combine(pool, &o, kind);
    qr_operands_free(pool, &o);
    return result;
}

qr_rx qr_rx_derive(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const struct qr_rx_node n = *qr_rx_at(pool, a);

    if (!pay(pool, 1)) return QR_RX_NONE;
    switch ((enum qr_rx_kind)n.kind) {
    case QR_RX_KIND_NONE:
    case QR_RX_KIND_EMPTY: return QR_RX_NONE;
    case QR_RX_KIND_SET: return qr_byte_set_has(&pool->sets[n.a], byte) ? QR_RX_EMPTY : QR_RX_NONE;
    case QR_RX_KIND_CAT:
    case QR_RX_KIND_OR:
    case QR_RX_KIND_AND: {
        qr_rx known;
        if (find_move(pool, a, byte, &known)) return known;
        known =
            n.kind == QR_RX_KIND_CAT ? derive_cat(pool, a, byte) : derive_operands(pool, a, byte);
        keep_move(pool, a, byte, known);
        return known;
    }
    case QR_RX_KIND_NOT: return qr_rx_not(pool, qr_rx_derive(pool, n.a, byte));
    case QR_RX_KIND_REPEAT: {
        qr_rx d = qr_rx_derive(pool, n.a, byte);
        if (d == QR_RX_NONE) return d;
        uint32_t max = n.max == QR_RX_UNBOUNDED ? n.max : n.max - 1;
        return qr_rx_cat(pool, d, qr_rx_repeat(pool, n.a, n.min ? n.min - 1 : 0, max));
    }
    case QR_RX_KIND_MULTIPLE: return derive_multiple(pool, a, byte);
    }
    return QR_RX_NONE;
}

bool qr_rx_matches(struct qr_rx_pool *pool, qr_rx a, const char *text, size_t n)
{
    for (size_t i = 0; i < n && a != QR_RX_NONE; i++)
        a = qr_rx_derive(pool, a, (uint8_t)text[i]);
    return qr_rx_at(pool, a)->nullable;
}

/* Recursion follows the nesting of groups; sequences and alternatives are loops. */
qr_rx qr_rx_before(struct qr_rx_pool *pool, qr_rx a, uint8_t byte)
{
    const struct qr_rx_node n = *qr_rx_at(pool, a);
    struct qr_operands o = {0};
    qr_rx all = QR_RX_NONE;

    if (!pay(pool, 1)) return QR_RX_NONE;
    switch ((enum qr_rx_kind)n.kind) {
    case QR_RX_KIND_SET: return qr_byte_set_has(&pool->sets[n.a], byte) ? QR_RX_EMPTY : QR_RX_NONE;
    case QR_RX_KIND_REPEAT: {
        uint32_t max = n.max == QR_RX_UNBOUNDED ? n.max : n.max - 1;
        return qr_rx_cat(pool, qr_rx_repeat(pool, n.a, n.min ? n.min - 1 : 0, max),
                         qr_rx_before(pool, n.a, byte));
    }
    case QR_RX_KIND_OR:
        qr_operands_push(pool, &o, QR_RX_KIND_OR, a);
        for (size_t i = 0; i < o.n; i++)
            all = qr_rx_or(pool, all, qr_rx_before(pool, o.all[i], byte));
        break;
    case QR_RX_KIND_CAT: { /* from the last part back, as long as those after it may be empty */
        qr_operands_push(pool, &o, QR_RX_KIND_CAT, a);
        size_t i = o.n;
        bool empty_after = true;
        while (i-- > 0 && empty_after) {
            qr_rx one = qr_rx_before(pool, o.all[i], byte);
            for (size_t j = i; j-- > 0 && one != QR_RX_NONE;)
                one = qr_rx_cat(pool, o.all[j], one);
            all = qr_rx_or(pool, all, one);
            empty_after = qr_rx_at(pool, o.all[i])->nullable;
        }
        break;
    }
    default: return QR_RX_NONE;
    }
    qr_operands_free(pool, &o);
    return all;
}

qr_rx qr_rx_without(struct qr_rx_pool *pool, qr_rx a, uint8_t first, uint8_t second)
{
    const struct qr_rx_node n = *qr_rx_at(pool, a);
    struct qr_operands o = {0};
    qr_rx all = n.kind == QR_RX_KIND_OR ? QR_RX_NONE : QR_RX_EMPTY;

    if (!pay(pool, 1)) return QR_RX_NONE;
    switch ((enum qr_rx_kind)n.kind) {
    case QR_RX_KIND_SET: {
        struct qr_byte_set set = pool->sets[n.a];
        set.bits[first >> 6] &= ~(UINT64_C(1) << (first & 63));
        set.bits[second >> 6] &= ~(UINT64_C(1) << (second & 63));
        return qr_rx_set(pool, &set);
    }
    case QR_RX_KIND_REPEAT:
        return qr_rx_repeat(pool, qr_rx_without(pool, n.a, first, second), n.min, n.max);
    case QR_RX_KIND_OR:
    case QR_RX_KIND_CAT:
        qr_operands_push(pool, &o, (enum qr_rx_kind)n.kind, a);
        for (size_t i = o.n; i-- > 0;) {
            qr_rx one = qr_rx_without(pool, o.all[i], first, second);
            all = n.kind == QR_RX_KIND_OR ? qr_rx_or(pool, all, one) : qr_rx_cat(pool, one, all);
        }
        qr_operands_free(pool, &o);
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
    const struct qr_rx_node *n = qr_rx_at(pool, a);

    return (n->plain && n->kind != QR_RX_KIND_NONE) || n->nullable || n->found == QR_FOUND_TEXT;
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
            if (d == QR_RX_NONE || qr_rx_at(pool, d)->found == QR_FOUND_NO_TEXT ||
                s->seen[seen_at(s, d)])
                continue;
            uint32_t rank = qr_rx_at(pool, d)->least;
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
    if (qr_rx_at(pool, a)->found == QR_FOUND_NO_TEXT) return true;
    uint32_t end = search_text(pool, &s, a);
    if (!pool->budget->failed) {
        for (size_t i = 0; i < s.n && end == UINT32_MAX; i++)
            pool->nodes[s.all[i].rx].found = QR_FOUND_NO_TEXT;
        for (uint32_t i = end; i != UINT32_MAX; i = s.all[i].from)
            pool->nodes[s.all[i].rx].found = QR_FOUND_TEXT;
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
    const struct qr_rx_node n = *qr_rx_at(pool, a);
    struct qr_operands o = {0};
    uint32_t reach;

    switch ((enum qr_rx_kind)n.kind) {
    case QR_RX_KIND_NOT: return n.a == QR_RX_NONE ? QR_RX_UNBOUNDED : 0;
    case QR_RX_KIND_CAT:
        return qr_rx_at(pool, n.a)->kind == QR_RX_KIND_REPEAT ? qr_rx_reach(pool, n.a, chars) : 0;
    case QR_RX_KIND_REPEAT:
        if (!qr_rx_is_empty(pool, qr_rx_and(pool, chars, qr_rx_not(pool, n.a)))) return 0;
        return n.max;
    case QR_RX_KIND_OR:
    case QR_RX_KIND_AND:
        qr_operands_push(pool, &o, (enum qr_rx_kind)n.kind, a);
        reach = n.kind == QR_RX_KIND_OR ? 0 : QR_RX_UNBOUNDED;
        for (size_t i = 0; i < o.n; i++) {
            uint32_t one = qr_rx_reach(pool, o.all[i], chars);
            if (n.kind == QR_RX_KIND_OR ? one > reach : one < reach) reach = one;
        }
        qr_operands_free(pool, &o);
        return reach;
    default: return 0;
    }
}
