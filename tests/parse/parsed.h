/* SPDX-License-Identifier: MIT */
/* parsed -- a model's text fed to a reader in pieces, and the message that its deltas make.
 *
 * Thread: the test's.   Memory: malloc. */
#ifndef TESTS_PARSE_PARSED_H
#define TESTS_PARSE_PARSED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/base/memory.h"
#include "runtime/parse/parse.h"

#define PARSED_CALLS_MAX 400

struct parsed_text {
    char *data;
    size_t n;
};

struct parsed {
    struct parsed_text content, reasoning;
    struct {
        struct parsed_text id, name, arguments;
    } calls[PARSED_CALLS_MAX];
    uint32_t calls_n, deltas_n;
    bool in_call; /* no content came since the last call began */
    const char *finish_reason;
};

static inline void parsed_append(struct parsed_text *to, struct quire_text text)
{
    to->data = realloc(to->data, to->n + text.n + 1);
    assert_non_null(to->data);
    memcpy(to->data + to->n, text.data, text.n);
    to->n += text.n;
    to->data[to->n] = 0;
}

static inline bool parsed_is_utf8(struct quire_text text)
{
    json_t *s = json_stringn(text.data, text.n);
    bool ok = s != NULL;
    json_decref(s);
    return ok;
}

/* Checks the order of deltas that parse.h promises. */
static inline void parsed_put(void *context, const struct qr_parse_delta *delta)
{
    struct parsed *p = context;

    p->deltas_n++;
    assert_true(delta->text.n > 0);
    assert_true(parsed_is_utf8(delta->text));
    switch (delta->kind) {
    case QR_PARSE_CONTENT:
        parsed_append(&p->content, delta->text);
        p->in_call = false;
        break;
    case QR_PARSE_REASONING:
        parsed_append(&p->reasoning, delta->text);
        p->in_call = false;
        break;
    case QR_PARSE_CALL:
        assert_int_equal(delta->call, p->calls_n);
        assert_true(p->calls_n < PARSED_CALLS_MAX);
        assert_true(delta->id.n > 0);
        parsed_append(&p->calls[p->calls_n].id, delta->id);
        parsed_append(&p->calls[p->calls_n++].name, delta->text);
        p->in_call = true;
        break;
    case QR_PARSE_ARGUMENTS:
        assert_true(p->in_call);
        assert_int_equal(delta->call, p->calls_n - 1);
        parsed_append(&p->calls[delta->call].arguments, delta->text);
        break;
    }
}

static inline void parsed_free(struct parsed *p)
{
    free(p->content.data);
    free(p->reasoning.data);
    for (uint32_t i = 0; i < p->calls_n; i++) {
        free(p->calls[i].id.data);
        free(p->calls[i].name.data);
        free(p->calls[i].arguments.data);
    }
    *p = (struct parsed){0};
}

/* The text, first `cut` bytes of it, then pieces of `piece` bytes. */
static inline void parsed_run(struct parsed *p, struct qr_parse_settings settings, const char *text,
                              size_t n, size_t cut, size_t piece, enum qr_parse_stop stop)
{
    const struct quire_allocator memory = qr_allocator((struct quire_allocator){0});

    *p = (struct parsed){0};
    settings.put = parsed_put;
    settings.context = p;
    struct qr_parse_reader *r = qr_parse_create(&settings, &memory);
    assert_non_null(r);
    if (cut > n) cut = n;
    assert_true(qr_parse_push(r, text, cut));
    for (size_t i = cut; i < n; i += piece)
        assert_true(qr_parse_push(r, text + i, n - i < piece ? n - i : piece));
    assert_true(qr_parse_end(r, stop));
    p->finish_reason = qr_parse_finish_reason(r);
    assert_int_equal(qr_parse_calls_n(r), p->calls_n);
    qr_parse_destroy(r);
}

/* The texts are equal; NULL is empty. */
static inline bool parsed_same(const struct parsed_text *a, const struct parsed_text *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->data, b->data, a->n) == 0);
}

static inline bool parsed_equal(const struct parsed *a, const struct parsed *b)
{
    if (!parsed_same(&a->content, &b->content) || !parsed_same(&a->reasoning, &b->reasoning) ||
        a->calls_n != b->calls_n || strcmp(a->finish_reason, b->finish_reason))
        return false;
    for (uint32_t i = 0; i < a->calls_n; i++)
        if (!parsed_same(&a->calls[i].id, &b->calls[i].id) ||
            !parsed_same(&a->calls[i].name, &b->calls[i].name) ||
            !parsed_same(&a->calls[i].arguments, &b->calls[i].arguments))
            return false;
    return true;
}

/* ---- a family with the three tools of the cases --------------------------------------------- */

/* {"family", tools} ready to be run; the tools' schemas are the caller's. */
static inline struct qr_parse_settings parsed_settings(const char *family,
                                                       const struct qr_parse_tool *tools, size_t n)
{
    struct qr_parse_settings settings = {
        .family = qr_parse_family_find(family), .tools = tools, .tools_n = n};
    assert_non_null(settings.family);
    return settings;
}

#endif
