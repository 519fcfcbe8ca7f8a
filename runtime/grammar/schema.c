/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/schema.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/grammar/pattern.h"
#include "runtime/grammar/schema_parts.h"

#define CONJUNCTIONS_MAX 20000u

/* ---- what went wrong, where ----------------------------------------------------------------- */

struct document_place {
    const json_t *value;
    const char *key; /* of value in its parent; NULL: index */
    size_t index, parent;
};

/* The path of `wanted` within the document, as "/properties/a/items"; "" for the document. */
static void find_path(const json_t *root, const json_t *wanted, char *path, size_t size)
{
    size_t n = 1, capacity = 64, found = SIZE_MAX;
    struct document_place *all = malloc(capacity * sizeof *all);

    path[0] = 0;
    if (!all) return;
    all[0] = (struct document_place){.value = root, .parent = SIZE_MAX};
    for (size_t i = 0; i < n && found == SIZE_MAX; i++) {
        const json_t *v = all[i].value;
        if (v == wanted) {
            found = i;
            break;
        }
        void *it = json_is_object(v) ? json_object_iter((json_t *)(uintptr_t)v) : NULL;
        for (size_t j = 0; it || (json_is_array(v) && j < json_array_size(v)); j++) {
            if (n == capacity) {
                struct document_place *grown = realloc(all, 2 * capacity * sizeof *all);
                if (!grown) goto done;
                all = grown;
                capacity *= 2;
            }
            all[n++] = (struct document_place){.value = it ? json_object_iter_value(it)
                                                           : json_array_get(v, j),
                                               .key = it ? json_object_iter_key(it) : NULL,
                                               .index = j,
                                               .parent = i};
            if (it) it = json_object_iter_next((json_t *)(uintptr_t)v, it);
        }
    }
    if (found != SIZE_MAX) {
        size_t chain[64], chain_n = 0, at = 0;
        for (; all[found].parent != SIZE_MAX && chain_n < 64; found = all[found].parent)
            chain[chain_n++] = found;
        while (chain_n-- > 0 && at + 1 < size) {
            const struct document_place *p = &all[chain[chain_n]];
            int used = p->key ? snprintf(path + at, size - at, "/%s", p->key)
                              : snprintf(path + at, size - at, "/%zu", p->index);
            at += used > 0 ? (size_t)used : 0;
        }
    }
done:
    free(all);
}

void qr_schema_refuse(struct qr_schema *s, const json_t *schema, const char *keyword,
                      const char *format, ...)
{
    char path[96], text[160];
    va_list list;

    if (s->failed) return;
    s->failed = true;
    find_path(s->root, schema, path, sizeof path);
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    qr_error_field(s->error, QUIRE_UNSUPPORTED, "schema", "%s/%s: %s", path, keyword, text);
}

/* ---- demands -------------------------------------------------------------------------------- */

void qr_demand_add(struct qr_schema *s, struct qr_demands *d, struct qr_demand demand)
{
    if (demand.kind == QR_DEMAND_SCHEMA && json_is_true(demand.a)) return;
    for (size_t i = 0; i < d->n; i++)
        if (memcmp(&d->all[i], &demand, sizeof demand) == 0) return;
    if (QR_RESERVE(s->budget, d, all, d->n + 1)) d->all[d->n++] = demand;
}

void qr_demands_free(struct qr_schema *s, struct qr_demands *d)
{
    qr_array_free(s->budget, d->all);
    s->budget->bytes_left += d->all_capacity * sizeof *d->all;
    *d = (struct qr_demands){0};
}

const json_t *qr_schema_name(struct qr_schema *s, const char *text)
{
    json_t *made = (json_t *)(uintptr_t)s->made, *name = json_object_get(made, text);

    if (!name && json_object_set_new(made, text, json_string(text)) == 0)
        name = json_object_get(made, text);
    if (!name) s->budget->failed = s->budget->no_memory = true;
    return name;
}

static int compare_demands(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct qr_demand));
}

static bool rehash(struct qr_schema *s)
{
    size_t n = s->buckets_n ? 2 * s->buckets_n : 256;

    if (!QR_RESERVE(s->budget, s, buckets, n)) return false;
    s->buckets_n = n;
    memset(s->buckets, 0xff, n * sizeof *s->buckets);
    for (uint32_t i = 0; i < s->conjunctions_n; i++) {
        uint32_t *bucket = &s->buckets[s->conjunctions[i].hash & (n - 1)];
        s->conjunctions[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

qr_symbol qr_schema_symbol(struct qr_schema *s, const struct qr_demands *d)
{
    uint64_t h = d->n;

    if (s->conjunctions_n >= CONJUNCTIONS_MAX) s->budget->failed = true;
    if (s->conjunctions_n + 1 > s->buckets_n && !rehash(s)) return QR_SYMBOL_NONE;
    if (!QR_RESERVE(s->budget, s, demands, s->demands_n + 2 * d->n + 1) ||
        !QR_RESERVE(s->budget, s, conjunctions, s->conjunctions_n + 1))
        return QR_SYMBOL_NONE;
    struct qr_demand *sorted = s->demands + s->demands_n;
    if (d->n) {
        memcpy(sorted, d->all, d->n * sizeof *sorted);
        qsort(sorted, d->n, sizeof *sorted, compare_demands);
    }
    for (size_t i = 0; i < d->n * sizeof *sorted / 8; i++) {
        uint64_t word;
        memcpy(&word, (const char *)sorted + 8 * i, 8);
        h = (h ^ (h >> 31) ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    }
    uint32_t hash = (uint32_t)(h >> 32);
    for (uint32_t i = s->buckets[hash & (s->buckets_n - 1)]; i != UINT32_MAX;
         i = s->conjunctions[i].next) {
        const struct qr_conjunction *c = &s->conjunctions[i];
        if (c->hash == hash && c->demands_n == d->n &&
            (d->n == 0 || memcmp(s->demands + c->demands, sorted, d->n * sizeof *sorted) == 0))
            return QR_SYMBOL(QR_SYMBOL_RULES, c->nonterminal);
    }
    if (d->n) memcpy(sorted + d->n, d->all, d->n * sizeof *sorted);
    uint32_t *bucket = &s->buckets[hash & (s->buckets_n - 1)];
    struct qr_conjunction *c = &s->conjunctions[s->conjunctions_n];
    *c = (struct qr_conjunction){.demands = (uint32_t)s->demands_n,
                                 .demands_n = (uint32_t)d->n,
                                 .nonterminal = qr_rules_nonterminal(s->rules),
                                 .hash = hash,
                                 .next = *bucket};
    *bucket = (uint32_t)s->conjunctions_n++;
    s->demands_n += 2 * d->n;
    return QR_SYMBOL(QR_SYMBOL_RULES, c->nonterminal);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* The rules of the next conjunction that has none. */
static void make_rules(struct qr_schema *s)
{
    const struct qr_conjunction c = s->conjunctions[s->done_n++];
    struct qr_demands d = {0};
    struct qr_alternatives alternatives = {0};

    for (uint32_t i = 0; i < c.demands_n; i++)
        qr_demand_add(s, &d, s->demands[c.demands + c.demands_n + i]);
    qr_schema_expand(s, &d, &alternatives);
    for (size_t i = 0; i < alternatives.n && !s->failed && !s->budget->failed; i++) {
        if (alternatives.n == 1) {
            qr_schema_value(s, c.nonterminal, &alternatives.all[i]);
            break;
        }
        qr_symbol one = qr_schema_symbol(s, &alternatives.all[i]);
        if (one != QR_SYMBOL(QR_SYMBOL_RULES, c.nonterminal))
            qr_rules_add(s->rules, c.nonterminal, &one, 1);
    }
    qr_alternatives_free(s, &alternatives);
    qr_demands_free(s, &d);
}

static bool make_space(struct qr_schema *s)
{
    struct qr_rx_pool *pool = s->pool;
    const char *pattern = s->settings->whitespace;
    struct qr_pattern_error error;

    s->space = QR_RX_EMPTY;
    if (!pattern) {
        qr_rx lines = qr_rx_repeat(pool, qr_rx_byte(pool, '\n'), 1, 2);
        qr_rx blanks = qr_rx_repeat(pool, qr_rx_byte(pool, ' '), 0, 20);
        s->space = qr_rx_or(pool, qr_rx_optional(pool, qr_rx_byte(pool, ' ')),
                            qr_rx_cat(pool, lines, blanks));
    } else if (*pattern && !qr_pattern_compile(pool, pattern, strlen(pattern), QR_WRITING_PLAIN,
                                               false, &s->space, &error)) {
        qr_error_field(s->error, QUIRE_INVALID, "whitespace_pattern", "%s at byte %zu",
                       error.complaint, error.at);
        return false;
    }
    s->comma = qr_rx_cat(pool, s->space, qr_rx_cat(pool, qr_rx_byte(pool, ','), s->space));
    s->colon = qr_rx_cat(pool, s->space, qr_rx_cat(pool, qr_rx_byte(pool, ':'), s->space));
    s->quote = qr_rx_byte(pool, '"');
    s->any_char = qr_any_char(pool, QR_WRITING_JSON);
    s->any_text = qr_rx_repeat(pool, s->any_char, 0, QR_RX_UNBOUNDED);
    struct qr_charset all = {0};
    qr_charset_add(s->budget, &all, 0, QR_CODE_MAX);
    s->plain_text =
        qr_rx_repeat(pool, qr_charset_write(pool, &all, QR_WRITING_JSON), 0, QR_RX_UNBOUNDED);
    qr_charset_free(s->budget, &all);
    return !s->budget->failed;
}

/* Integers that fit no int64 are read as doubles. */
static json_t *parse(const char *text, size_t n, struct quire_error *error)
{
    json_error_t what;
    json_t *root = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &what);

    if (!root && json_error_code(&what) == json_error_numeric_overflow)
        root =
            json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &what);
    if (!root)
        qr_error_field(error, QUIRE_INVALID, "schema", "the schema is not JSON: %s (line %d)",
                       what.text, what.line);
    return root;
}

/* Makes the rules of the whole document. */
static qr_symbol make_all(struct qr_schema *s)
{
    struct qr_demands whole = {0};

    const char *dialect = json_string_value(json_object_get(s->root, "$schema"));
    s->siblings = !dialect || !(strstr(dialect, "draft-03") || strstr(dialect, "draft-04") ||
                                strstr(dialect, "draft-06") || strstr(dialect, "draft-07"));
    if (!s->made) s->budget->failed = s->budget->no_memory = true;
    if (!rehash(s) || !make_space(s)) return QR_SYMBOL_NONE;
    qr_demand_add(s, &whole, qr_demand_schema(s->root));
    qr_symbol start = qr_schema_symbol(s, &whole);
    while (s->done_n < s->conjunctions_n && !s->failed && !s->budget->failed)
        make_rules(s);
    qr_demands_free(s, &whole);
    return start;
}

qr_symbol qr_schema_add(struct qr_rules *rules, const json_t *root,
                        const struct qr_schema_settings *settings, int *status,
                        struct quire_error *error)
{
    struct quire_error own = {.status = QUIRE_OK};
    struct qr_schema s = {.rules = rules,
                          .pool = rules->lexer->pool,
                          .budget = rules->budget,
                          .root = root,
                          .made = json_object(),
                          .settings = settings,
                          .error = error ? error : &own,
                          .steps_left = 1000000};
    qr_symbol start = QR_SYMBOL_NONE;

    *status = QUIRE_OK;
    s.error->status = QUIRE_OK;
    if (json_is_object(root) || json_is_boolean(root))
        start = make_all(&s);
    else
        qr_error_field(s.error, QUIRE_INVALID, "schema", "a schema is an object or a boolean");
    *status = s.error->status;
    if (s.budget->failed)
        *status = qr_error_field(
            error, s.budget->no_memory ? QUIRE_NO_MEMORY : QUIRE_UNSUPPORTED, "schema",
            s.budget->no_memory ? "out of memory" : "the schema is too large to be compiled");
    QR_RELEASE(s.budget, &s, demands);
    QR_RELEASE(s.budget, &s, conjunctions);
    QR_RELEASE(s.budget, &s, buckets);
    json_decref((json_t *)(uintptr_t)s.made);
    return start;
}

int qr_schema_compile(struct qr_rules *rules, const char *text, size_t n,
                      const struct qr_schema_settings *settings, struct quire_error *error)
{
    json_t *root = parse(text, n, error);
    int status;

    if (!root) return QUIRE_INVALID;
    qr_symbol start = qr_schema_add(rules, root, settings, &status, error);
    json_decref(root);
    if (!status && !qr_rules_end(rules, QR_SYMBOL_NUMBER(start)))
        status = qr_error_field(error, QUIRE_UNSUPPORTED, "schema",
                                rules->budget->failed ? "the schema is too large to be compiled"
                                                      : "no value satisfies the schema");
    return status;
}
