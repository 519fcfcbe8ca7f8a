/* SPDX-License-Identifier: MIT */
/* compiled -- a schema or pattern with all that matching it takes, for the grammar tests.
 *
 * Thread: the test's.   Memory: malloc. */
#ifndef TESTS_GRAMMAR_COMPILED_H
#define TESTS_GRAMMAR_COMPILED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/grammar/pattern.h"
#include "runtime/grammar/schema.h"
#include "runtime/grammar/trie.h"

struct compiled {
    struct qr_budget budget;
    struct qr_rx_pool pool;
    struct qr_lexer lexer;
    struct qr_rules rules;
    struct quire_error error;
    int status;
};

static inline void compiled_begin(struct compiled *c, size_t bytes_max, uint64_t steps_max)
{
    *c = (struct compiled){.budget = {.allocator = qr_allocator((struct quire_allocator){0}),
                                      .bytes_left = bytes_max}};
    c->lexer.pool = &c->pool;
    c->rules = (struct qr_rules){.budget = &c->budget, .lexer = &c->lexer};
    assert_true(qr_rx_pool_init(&c->pool, &c->budget, steps_max));
}

static inline void compiled_schema(struct compiled *c, const char *schema, const char *whitespace)
{
    const struct qr_schema_settings settings = {.whitespace = whitespace};

    compiled_begin(c, (size_t)64 << 20, 20000000);
    c->status = qr_schema_compile(&c->rules, schema, strlen(schema), &settings, &c->error);
}

static inline void compiled_end(struct compiled *c)
{
    qr_rules_deinit(&c->rules);
    qr_lexer_deinit(&c->lexer);
    qr_rx_pool_deinit(&c->pool);
}

/* Whether the whole text is one of the grammar's; *at: how many bytes were accepted. */
static inline bool compiled_accepts(struct compiled *c, const char *text, size_t *at)
{
    struct qr_matcher m;
    size_t n = strlen(text);

    assert_true(qr_matcher_init(&m, &c->rules, &c->budget));
    for (*at = 0; *at < n && qr_matcher_accept(&m, text + *at, 1);)
        ++*at;
    bool whole = *at == n && qr_matcher_may_end(&m);
    qr_matcher_deinit(&m);
    assert_false(c->budget.failed);
    return whole;
}

#endif
