/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/matcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- one row -------------------------------------------------------------------------------- */

static inline uint32_t mix(uint32_t a, uint32_t b)
{
    uint64_t h = ((uint64_t)a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

/* Room for twice as many items of a row. */
static bool grow_seen(struct qr_matcher *m, size_t row_items)
{
    size_t n = m->seen_n ? 2 * m->seen_n : 64;

    if (!QR_RESERVE(m->budget, m, seen, n)) return false;
    m->seen_n = n;
    memset(m->seen, 0, n * sizeof *m->seen);
    for (size_t i = m->items_n - row_items; i < m->items_n; i++) {
        const struct qr_item *item = &m->items[i];
        size_t at = mix(item->place, item->origin) & (n - 1);
        while (m->seen[at].stamp == m->stamp)
            at = (at + 1) & (n - 1);
        m->seen[at] = (struct qr_seen){m->stamp, item->place, item->origin};
    }
    return true;
}

/* Adds an item to the row being made, which began at item `begin`, unless it is there. */
static void add_item(struct qr_matcher *m, size_t begin, uint32_t place, uint32_t origin)
{
    size_t row_items = m->items_n - begin;

    if (2 * row_items >= m->seen_n && !grow_seen(m, row_items)) return;
    size_t at = mix(place, origin) & (m->seen_n - 1);
    for (; m->seen[at].stamp == m->stamp; at = (at + 1) & (m->seen_n - 1))
        if (m->seen[at].place == place && m->seen[at].origin == origin) return;
    if (!QR_RESERVE(m->budget, m, items, m->items_n + 1)) return;
    m->seen[at] = (struct qr_seen){m->stamp, place, origin};
    m->items[m->items_n++] =
        (struct qr_item){.next = m->rules->body[place], .place = place, .origin = origin};
}

static int compare_items(const void *a, const void *b)
{
    const struct qr_item *x = a, *y = b;

    if (x->next != y->next) return x->next < y->next ? -1 : 1;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return x->origin < y->origin ? -1 : x->origin > y->origin;
}

/* The first of a row's items whose next symbol is not before `next`. */
static uint32_t find_items(const struct qr_matcher *m, uint32_t row, qr_symbol next)
{
    uint32_t low = m->rows[row].items, high = low + m->rows[row].items_n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (m->items[middle].next < next)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Every item of `row` that waits for `symbol` moves past it, into the row being made. */
static void advance(struct qr_matcher *m, size_t begin, uint32_t row, qr_symbol symbol)
{
    uint32_t end = m->rows[row].items + m->rows[row].items_n;

    for (uint32_t i = find_items(m, row, symbol); i < end && m->items[i].next == symbol; i++)
        add_item(m, begin, m->items[i].place + 1, m->items[i].origin);
}

static void predict(struct qr_matcher *m, size_t begin, uint32_t nonterminal, uint32_t row)
{
    const struct qr_rules *r = m->rules;

    if (m->predicted[nonterminal] == m->stamp) return;
    m->predicted[nonterminal] = m->stamp;
    for (uint32_t i = r->first[nonterminal]; i < r->first[nonterminal + 1]; i++)
        add_item(m, begin, r->rules[i].body, row);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Predicts and completes until nothing is new; then the row's items are sorted and the lexer's
 * state is known. */
static void close_row(struct qr_matcher *m, uint32_t row)
{
    struct qr_row *self = &m->rows[row];
    const size_t begin = self->items;
    size_t expected_n = 0;

    for (size_t i = begin; i < m->items_n && !m->budget->failed; i++) {
        const struct qr_item item = m->items[i];
        uint32_t number = QR_SYMBOL_NUMBER(item.next);
        switch (QR_SYMBOL_KIND(item.next)) {
        case QR_SYMBOL_LEXEME:
            if (m->expected_at[number] == m->stamp) break;
            m->expected_at[number] = m->stamp;
            m->expected[expected_n++] = number;
            break;
        case QR_SYMBOL_RULES:
            predict(m, begin, number, row);
            if (m->rules->nullable[number]) add_item(m, begin, item.place + 1, item.origin);
            break;
        default:
            if (number == m->rules->start && item.origin == 0) self->accepting = true;
            /* what began here is empty: its place was passed as it was predicted */
            if (item.origin != row)
                advance(m, begin, item.origin, QR_SYMBOL(QR_SYMBOL_RULES, number));
        }
    }
    self->items_n = (uint32_t)(m->items_n - begin);
    if (self->items_n) qsort(m->items + begin, self->items_n, sizeof *m->items, compare_items);
    if (expected_n) qsort(m->expected, expected_n, sizeof *m->expected, compare_numbers);
    self->state = qr_lexer_start(m->rules->lexer, m->expected, expected_n);
}

static bool rehash(struct qr_matcher *m)
{
    size_t n = m->buckets_n ? 2 * m->buckets_n : 64;

    if (!QR_RESERVE(m->budget, m, buckets, n)) return false;
    m->buckets_n = n;
    memset(m->buckets, 0xff, n * sizeof *m->buckets);
    for (uint32_t i = 0; i < m->rows_n; i++) {
        uint32_t *bucket = &m->buckets[m->rows[i].hash & (n - 1)];
        m->rows[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

/* The row that the sources (each a row and, as state, a lexeme) lead to: one that is there, or a
 * new one.  No sources: the first row.  QR_ROW_NONE: no memory. */
static uint32_t row_of(struct qr_matcher *m, const struct qr_thread *sources, size_t n)
{
    uint32_t hash = (uint32_t)n;

    for (size_t i = 0; i < n; i++)
        hash = mix(mix(hash, sources[i].row), sources[i].state);
    for (uint32_t i = m->buckets[hash & (m->buckets_n - 1)]; i != QR_ROW_NONE;
         i = m->rows[i].next) {
        const struct qr_row *row = &m->rows[i];
        if (row->hash == hash && row->sources_n == n &&
            (n == 0 || memcmp(m->sources + row->sources, sources, n * sizeof *sources) == 0))
            return i;
    }
    if (m->rows_n + 1 > m->buckets_n && !rehash(m)) return QR_ROW_NONE;
    if (!QR_RESERVE(m->budget, m, rows, m->rows_n + 1) ||
        !QR_RESERVE(m->budget, m, sources, m->sources_n + n + 1))
        return QR_ROW_NONE;
    uint32_t row = (uint32_t)m->rows_n;
    m->rows[row] = (struct qr_row){.items = (uint32_t)m->items_n,
                                   .sources = (uint32_t)m->sources_n,
                                   .sources_n = (uint32_t)n,
                                   .serial = ++m->serials_n,
                                   .hash = hash};
    size_t begin = m->items_n;
    m->stamp++;
    if (n == 0) predict(m, begin, m->rules->start, row);
    for (size_t i = 0; i < n; i++)
        advance(m, begin, sources[i].row, QR_SYMBOL(QR_SYMBOL_LEXEME, sources[i].state));
    close_row(m, row);
    if (m->budget->failed) {
        m->items_n = begin;
        return QR_ROW_NONE;
    }
    if (n) memcpy(m->sources + m->sources_n, sources, n * sizeof *sources);
    m->sources_n += n;
    m->rows[row].next = m->buckets[hash & (m->buckets_n - 1)];
    m->buckets[hash & (m->buckets_n - 1)] = row;
    m->rows_n++;
    return row;
}

/* Forgets the rows from n on: later ones are at the heads of their buckets. */
static void cut_rows(struct qr_matcher *m, size_t n)
{
    while (m->rows_n > n) {
        const struct qr_row *row = &m->rows[--m->rows_n];
        m->buckets[row->hash & (m->buckets_n - 1)] = row->next;
        m->items_n = row->items;
        m->sources_n = row->sources;
    }
}

/* ---- frames --------------------------------------------------------------------------------- */

bool qr_matcher_push(struct qr_matcher *m, uint8_t byte)
{
    struct qr_lexer *lexer = m->rules->lexer;
    const struct qr_frame from = *qr_matcher_top(m);
    struct qr_frame to = {.threads = (uint32_t)m->threads_n, .row = QR_ROW_NONE};
    struct qr_thread few[8], *sources = few;
    size_t sources_n = 0;

    if (!QR_RESERVE(m->budget, m, threads, m->threads_n + from.threads_n + 1) ||
        !QR_RESERVE(m->budget, m, frames, m->frames_n + 1))
        return false;
    for (uint32_t i = 0; i < from.threads_n; i++) {
        struct qr_thread t = m->threads[from.threads + i];
        t.state = qr_lexer_next(lexer, t.state, byte);
        if (t.state == QR_LEX_DEAD) continue;
        m->threads[to.threads + to.threads_n++] = t;
        const struct qr_lex_state *state = &lexer->states[t.state];
        for (uint32_t j = 0; j < state->accepts_n; j++, sources_n++) {
            if (sources_n == 8) { /* rare: more ways to come here than fit */
                sources = qr_alloc(&m->budget->allocator, 4096 * sizeof *sources);
                if (!sources) m->budget->failed = m->budget->no_memory = true;
                if (!sources) return false;
                memcpy(sources, few, sizeof few);
            } else if (sources_n == 4096) {
                m->budget->failed = true;
                break;
            }
            sources[sources_n] = (struct qr_thread){t.row, lexer->accepts[state->accepts + j]};
        }
    }
    if (sources_n && !m->budget->failed) to.row = row_of(m, sources, sources_n);
    if (sources != few) qr_free(&m->budget->allocator, sources);
    if (m->budget->failed) return false;
    if (to.row != QR_ROW_NONE && m->rows[to.row].state != QR_LEX_DEAD)
        m->threads[to.threads + to.threads_n++] = (struct qr_thread){to.row, m->rows[to.row].state};
    if (to.threads_n == 0 && !(to.row != QR_ROW_NONE && m->rows[to.row].accepting)) return false;
    m->threads_n += to.threads_n;
    m->frames[m->frames_n++] = to;
    return true;
}

bool qr_matcher_push_thread(struct qr_matcher *m, struct qr_thread thread)
{
    if (!QR_RESERVE(m->budget, m, threads, m->threads_n + 1) ||
        !QR_RESERVE(m->budget, m, frames, m->frames_n + 1))
        return false;
    m->frames[m->frames_n++] =
        (struct qr_frame){.threads = (uint32_t)m->threads_n, .threads_n = 1, .row = QR_ROW_NONE};
    m->threads[m->threads_n++] = thread;
    return true;
}

void qr_matcher_pop(struct qr_matcher *m, size_t n)
{
    assert(m->frames_n - n > m->tokens_n);
    m->frames_n -= n;
    const struct qr_frame *top = qr_matcher_top(m);
    m->threads_n = top->threads + top->threads_n;
}

/* Forgets the rows that no frame of an accepted token needs. */
static void forget_rows(struct qr_matcher *m)
{
    uint32_t last = 0;

    for (size_t i = 0; i < m->threads_n; i++)
        if (m->threads[i].row > last) last = m->threads[i].row;
    for (size_t i = 0; i < m->frames_n; i++)
        if (m->frames[i].row != QR_ROW_NONE && m->frames[i].row > last) last = m->frames[i].row;
    cut_rows(m, last + 1);
}

/* The oldest frame goes. */
static void forget_frame(struct qr_matcher *m)
{
    uint32_t n = m->frames[0].threads_n;

    memmove(m->threads, m->threads + n, (m->threads_n - n) * sizeof *m->threads);
    memmove(m->frames, m->frames + 1, (m->frames_n - 1) * sizeof *m->frames);
    m->threads_n -= n;
    m->frames_n--;
    m->tokens_n--;
    for (size_t i = 0; i < m->frames_n; i++)
        m->frames[i].threads -= n;
}

bool qr_matcher_accept(struct qr_matcher *m, const char *bytes, size_t n)
{
    const size_t base = m->tokens_n;

    assert(m->frames_n == base + 1);
    for (size_t i = 0; i < n; i++) {
        if (qr_matcher_push(m, (uint8_t)bytes[i])) continue;
        qr_matcher_pop(m, m->frames_n - base - 1);
        return false;
    }
    if (n == 0) { /* an empty token: the same frame once more */
        const struct qr_frame top = *qr_matcher_top(m);
        if (!QR_RESERVE(m->budget, m, threads, m->threads_n + top.threads_n) ||
            !QR_RESERVE(m->budget, m, frames, m->frames_n + 1))
            return false;
        memmove(m->threads + m->threads_n, m->threads + top.threads,
                top.threads_n * sizeof *m->threads);
        m->frames[m->frames_n++] =
            (struct qr_frame){(uint32_t)m->threads_n, top.threads_n, top.row};
        m->threads_n += top.threads_n;
    }
    /* the last frame follows the one before the token */
    struct qr_frame last = *qr_matcher_top(m);
    uint32_t to = m->frames[base].threads + m->frames[base].threads_n;
    memmove(m->threads + to, m->threads + last.threads, last.threads_n * sizeof *m->threads);
    last.threads = to;
    m->frames[base + 1] = last;
    m->frames_n = base + 2;
    m->threads_n = to + last.threads_n;
    m->tokens_n++;
    if (m->tokens_n > QR_MATCHER_BACK_MAX) forget_frame(m);
    forget_rows(m);
    return true;
}

void qr_matcher_rollback(struct qr_matcher *m, uint32_t n)
{
    assert(m->frames_n == m->tokens_n + 1 && n <= m->tokens_n);
    m->tokens_n -= n;
    qr_matcher_pop(m, n);
    forget_rows(m);
}

bool qr_matcher_may_go_on(const struct qr_matcher *m)
{
    return qr_matcher_top(m)->threads_n > 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

bool qr_matcher_init(struct qr_matcher *m, const struct qr_rules *rules, struct qr_budget *budget)
{
    const size_t lexemes_n = rules->lexer->lexemes_n + 1;

    *m = (struct qr_matcher){.rules = rules, .budget = budget};
    if (!QR_RESERVE(budget, m, predicted, (size_t)rules->nonterminals_n + 1) ||
        !QR_RESERVE(budget, m, expected, lexemes_n) ||
        !QR_RESERVE(budget, m, expected_at, lexemes_n) || !QR_RESERVE(budget, m, frames, 1) ||
        !QR_RESERVE(budget, m, threads, 1) || !rehash(m))
        goto fail;
    memset(m->predicted, 0, ((size_t)rules->nonterminals_n + 1) * sizeof *m->predicted);
    memset(m->expected_at, 0, lexemes_n * sizeof *m->expected_at);
    uint32_t row = row_of(m, NULL, 0);
    if (row == QR_ROW_NONE) goto fail;
    m->frames[m->frames_n++] = (struct qr_frame){.row = row};
    if (m->rows[row].state != QR_LEX_DEAD) {
        m->threads[m->threads_n++] = (struct qr_thread){row, m->rows[row].state};
        m->frames[0].threads_n = 1;
    }
    return true;
fail:
    qr_matcher_deinit(m);
    return false;
}

void qr_matcher_deinit(struct qr_matcher *m)
{
    QR_RELEASE(m->budget, m, rows);
    QR_RELEASE(m->budget, m, items);
    QR_RELEASE(m->budget, m, sources);
    QR_RELEASE(m->budget, m, threads);
    QR_RELEASE(m->budget, m, frames);
    QR_RELEASE(m->budget, m, buckets);
    QR_RELEASE(m->budget, m, seen);
    QR_RELEASE(m->budget, m, predicted);
    QR_RELEASE(m->budget, m, expected);
    QR_RELEASE(m->budget, m, expected_at);
    *m = (struct qr_matcher){.rules = m->rules, .budget = m->budget};
}

bool qr_matcher_copy(struct qr_matcher *to, const struct qr_matcher *from)
{
    if (!qr_matcher_init(to, from->rules, from->budget)) return false;
    if (!QR_RESERVE(to->budget, to, rows, from->rows_n) ||
        !QR_RESERVE(to->budget, to, items, from->items_n) ||
        !QR_RESERVE(to->budget, to, sources, from->sources_n + 1) ||
        !QR_RESERVE(to->budget, to, threads, from->threads_n + 1) ||
        !QR_RESERVE(to->budget, to, frames, from->frames_n)) {
        qr_matcher_deinit(to);
        return false;
    }
    memcpy(to->rows, from->rows, from->rows_n * sizeof *to->rows);
    memcpy(to->items, from->items, from->items_n * sizeof *to->items);
    if (from->sources_n) memcpy(to->sources, from->sources, from->sources_n * sizeof *to->sources);
    memcpy(to->threads, from->threads, from->threads_n * sizeof *to->threads);
    memcpy(to->frames, from->frames, from->frames_n * sizeof *to->frames);
    to->rows_n = from->rows_n;
    to->items_n = from->items_n;
    to->sources_n = from->sources_n;
    to->threads_n = from->threads_n;
    to->frames_n = from->frames_n;
    to->tokens_n = from->tokens_n;
    to->serials_n = from->serials_n;
    to->buckets_n = 0;
    while (to->buckets_n < to->rows_n + 1)
        if (!rehash(to)) {
            qr_matcher_deinit(to);
            return false;
        }
    return true;
}
