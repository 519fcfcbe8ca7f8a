/* SPDX-License-Identifier: MIT */
#include "runtime/template/missing.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/template/compiled.h"

struct listener {
    void (*tell)(void *context, const char *sentence);
    void *context;
};

static void say(const struct listener *l, const struct qr_node *node, const char *what)
{
    char sentence[128];
    const int shown = node->value.n < 64 ? (int)node->value.n : 64;

    (void)snprintf(sentence, sizeof sentence, "line %" PRIu32 ": there is no %s '%.*s'", node->line,
                   what, shown, node->value.as.text);
    l->tell(l->context, sentence);
}

static void look(const struct listener *l, const struct qr_node *node)
{
    for (; node; node = node->next) {
        if (node->kind == QR_N_FILTER && !qr_filter_find(node->value) &&
            !qr_list_filter_find(node->value))
            say(l, node, "filter");
        if (node->kind == QR_N_TEST && !qr_test_find(node->value)) say(l, node, "test");
        for (unsigned i = 0; i < QR_NODE_KIDS; i++) /* recursion is bounded by the height */
            look(l, node->kids[i]);
    }
}

void qr_template_missing(const struct qr_template *t,
                         void (*tell)(void *context, const char *sentence), void *context)
{
    const struct listener listener = {.tell = tell, .context = context};

    look(&listener, t->root);
}
