/* SPDX-License-Identifier: MIT */
/* compiled -- the compiled template and one render of it, shared by template.c and chat.c.
 *
 * Thread: any.   Memory: the run's arena. */
#ifndef QR_TEMPLATE_COMPILED_H
#define QR_TEMPLATE_COMPILED_H

#include "runtime/template/render.h"
#include "runtime/template/template.h"

struct qr_template {
    struct quire_allocator memory;
    struct qr_run run; /* its arena holds the tree */
    const struct qr_node *root;
    bool wants_parts;
};

/* One render.  `bind` sets the variables in r->scope.  After the template has run, `end` (may be
 * NULL) reads the whole output and returns how many bytes of it to keep. */
struct qr_template_job {
    const struct qr_template *t;
    void (*bind)(struct qr_render *r, const void *data);
    size_t (*end)(struct qr_render *r, const struct qr_template_output *out, const void *data);
    const void *data;
    int64_t now_s;
};
int qr_template_run(const struct qr_template_job *job, char *text, size_t capacity, size_t *text_n,
                    struct quire_error *error);

/* Convert a caller's value; `where` names it in the error about a malformed one. */
struct qr_value qr_value_from(struct qr_render *r, const struct quire_value *value,
                              const char *where);
struct qr_value qr_value_text_from(struct qr_render *r, struct quire_text text, const char *where);

/* parts.c: whether the template iterates over contents, by vLLM's rule. */
bool qr_parts_detect(struct qr_run *run, const struct qr_node *root);

#endif
