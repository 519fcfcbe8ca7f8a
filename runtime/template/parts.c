/* SPDX-License-Identifier: MIT */
/* parts -- decides whether a template expects a message's content as a list of parts.
 *
 * The rule is vLLM's (vllm/entrypoints/chat_utils.py, _detect_content_format).  A template does if
 * it loops over m.content or m['content'], where m is the variable of a loop over `messages` or
 * over a variable set from `messages`.  Filters, tests and slices are ignored, and so are scopes.
 */
#include <string.h>

#include "runtime/template/compiled.h"

/* Names of variables that hold the messages, or one of them. */
struct names {
    struct qr_value *all;
    size_t n, capacity;
};

struct parts_search {
    struct qr_run *run;
    struct names lists, messages;
    bool changed, found;
};

static bool is_named(const struct names *names, struct qr_value name)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct qr_value known = names->all[i];
        if (known.n == name.n && memcmp(known.as.text, name.as.text, name.n) == 0) return true;
    }
    return false;
}

static void add_name(struct parts_search *s, struct names *names, struct qr_value name)
{
    qr_run_charge(s->run, names->n);
    if (is_named(names, name)) return;
    if (names->n == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 8;
        struct qr_value *all = qr_run_alloc_array(s->run, capacity, sizeof *all);
        if (names->n) memcpy(all, names->all, names->n * sizeof *all);
        names->all = all;
        names->capacity = capacity;
    }
    names->all[names->n++] = name;
    s->changed = true;
}

/* The node inside filters, tests and slices. */
static const struct qr_node *bare(const struct qr_node *node)
{
    while (node && (node->kind == QR_N_FILTER || node->kind == QR_N_TEST ||
                    (node->kind == QR_N_ITEM && node->kids[1]->kind == QR_N_SLICE)))
        node = node->kids[0];
    return node;
}

static bool is_variable(const struct qr_node *node, const struct names *names)
{
    return node && node->kind == QR_N_NAME && is_named(names, node->value);
}

/* message.content or message['content']. */
static bool is_content(const struct qr_node *node, const struct names *names)
{
    if (!node || (node->kind != QR_N_ATTR && node->kind != QR_N_ITEM)) return false;
    if (!is_variable(node->kids[0], names)) return false;
    if (node->kind == QR_N_ATTR) return qr_value_is_text(node->value, "content");
    return node->kids[1]->kind == QR_N_CONST && qr_value_is_text(node->kids[1]->value, "content");
}

static void look(struct parts_search *s, const struct qr_node *node)
{
    for (; node; node = node->next) {
        const struct qr_node *target = node->kids[0], *what = bare(node->kids[1]);
        qr_run_charge(s->run, 0);
        if (node->kind == QR_N_SET && target->kind == QR_N_NAME && is_variable(what, &s->lists))
            add_name(s, &s->lists, target->value);
        if (node->kind == QR_N_FOR) {
            if (target->kind == QR_N_NAME && is_variable(what, &s->lists))
                add_name(s, &s->messages, target->value);
            s->found = s->found || is_content(what, &s->messages);
        }
        for (unsigned i = 0; i < QR_NODE_KIDS; i++) /* recursion is bounded by the height */
            look(s, node->kids[i]);
    }
}

bool qr_parts_detect(struct qr_run *run, const struct qr_node *root)
{
    struct parts_search s = {.run = run};

    add_name(&s, &s.lists, QR_VALUE_LITERAL("messages"));
    while (s.changed && !s.found) {
        s.changed = false;
        look(&s, root);
    }
    return s.found;
}
