/* SPDX-License-Identifier: MIT */
#include "runtime/engine/request.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/memory.h"

/* Room for generated ids in the request's own allocation: enough for most answers. */
#define GENERATED_INSIDE_MAX 512u

/* Hands out parts of one allocation; with base NULL it only counts. */
struct layout_counter {
    char *base;
    size_t used;
};

static void *part(struct layout_counter *parts, size_t bytes)
{
    size_t at = (parts->used + 7) & ~(size_t)7;

    parts->used = at + bytes;
    return parts->base ? parts->base + at : NULL;
}

static size_t stop_bytes_n(const struct quire_request *from)
{
    size_t n = 0;

    for (size_t i = 0; i < from->stop_n; i++)
        n += from->stop[i].n;
    return n;
}

/* Lays out the request and its parts at `base`, and returns their size.  With base NULL it only
 * counts. */
static size_t lay_out(char *base, const struct quire_request *from,
                      const struct qr_tokenizer *tokenizer)
{
    struct layout_counter parts = {base, 0};
    struct qr_request *r = part(&parts, sizeof *r);
    size_t room = tokenizer ? qr_detokenizer_room(tokenizer) : 0;
    int32_t *stop_ids = part(&parts, from->stop_ids_n * sizeof *stop_ids);
    struct qr_restriction restriction = {
        .allowed = part(&parts, qr_restriction_words(from) * sizeof(uint64_t)),
        .bans = part(&parts, qr_restriction_bans_ids(from) * sizeof(int32_t)),
        .bans_ends = part(&parts, from->bans_n * sizeof(uint32_t)),
    };
    int32_t *shown_ids = part(&parts, from->shown_ids_n * sizeof *shown_ids);
    struct quire_logit_bias *bias = part(&parts, from->logit_bias_n * sizeof *bias);
    uint32_t inside =
        from->max_tokens < GENERATED_INSIDE_MAX ? from->max_tokens : GENERATED_INSIDE_MAX;
    int32_t *prompt = part(&parts, (from->prompt_n + inside) * sizeof *prompt);
    char *tail = part(&parts, room + (from->stop_n ? QR_STOP_BYTES_MAX : 0));
    void *stop = from->stop_n ? part(&parts, qr_stop_bytes(stop_bytes_n(from), room)) : NULL;

    if (!base) return parts.used;
    memset(r, 0, sizeof *r);
    if (from->prompt_n) memcpy(prompt, from->prompt, from->prompt_n * sizeof *prompt);
    if (from->stop_ids_n) memcpy(stop_ids, from->stop_ids, from->stop_ids_n * sizeof *stop_ids);
    if (from->shown_ids_n)
        memcpy(shown_ids, from->shown_ids, from->shown_ids_n * sizeof *shown_ids);
    if (from->logit_bias_n) memcpy(bias, from->logit_bias, from->logit_bias_n * sizeof *bias);
    r->prompt = prompt;
    qr_restriction_init(&restriction, from);
    r->restriction = restriction;
    r->stop_ids = stop_ids;
    r->shown_ids = shown_ids;
    r->sampling.bias = bias;
    r->generated = prompt + from->prompt_n;
    r->generated_max = inside;
    r->tail = tail;
    if (from->stop_n) qr_stop_init(&r->stop, stop, from->stop, from->stop_n, room);
    return parts.used;
}

struct qr_request *qr_request_create(const struct quire_request *from, struct qr_grammar *grammar,
                                     const struct qr_tokenizer *tokenizer,
                                     const struct quire_allocator *allocator)
{
    struct qr_request *r = qr_alloc(allocator, lay_out(NULL, from, tokenizer));

    if (!r) return NULL;
    lay_out((char *)r, from, tokenizer);
    r->user = from->user;
    r->prompt_n = (uint32_t)from->prompt_n;
    r->max_tokens = from->max_tokens;
    r->min_tokens = from->min_tokens;
    r->flags = from->flags;
    r->priority = from->priority;
    r->stop_ids_n = (uint32_t)from->stop_ids_n;
    r->shown_ids_n = (uint32_t)from->shown_ids_n;
    r->sampling = (struct qr_sampling){.seed = from->seed,
                                       .logprobs = from->logprobs,
                                       .bias = r->sampling.bias,
                                       .bias_n = (uint32_t)from->logit_bias_n,
#define COPY(type, name, ...) .name = from->name,
                                       QR_SAMPLER_SETTINGS(COPY)
#undef COPY
    };
    r->seq = QR_SEQ_NONE;
    atomic_init(&r->cancelled, false);
    if (tokenizer) qr_detokenizer_init(&r->detokenizer, tokenizer, 0);
    if (grammar && !qr_constraint_init(&r->constraint, grammar)) {
        qr_free(allocator, r);
        return NULL;
    }
    return r;
}

bool qr_request_continue(struct qr_request *r, const struct qr_request *parent,
                         const struct quire_allocator *allocator)
{
    uint32_t inside = r->max_tokens < GENERATED_INSIDE_MAX ? r->max_tokens : GENERATED_INSIDE_MAX;
    uint32_t prompt_n = parent->prompt_n + parent->generated_n;
    int32_t *tokens = qr_alloc(allocator, ((size_t)prompt_n + inside) * sizeof *tokens);

    if (!tokens) return false;
    memcpy(tokens, parent->prompt, prompt_n * sizeof *tokens);
    r->prompt = r->grown = tokens;
    r->prompt_n = prompt_n;
    r->generated = tokens + prompt_n;
    r->generated_max = inside;
    r->salt = parent->salt;
    return true;
}

static void free_events(struct qr_request *r, struct qr_event_node *node,
                        const struct quire_allocator *allocator)
{
    while (node) {
        struct qr_event_node *next = node->next;
        if (node != &r->terminal) qr_free(allocator, node);
        node = next;
    }
}

void qr_request_destroy(struct qr_request *r, const struct quire_allocator *allocator)
{
    free_events(r, r->fresh, allocator);
    free_events(r, r->events, allocator);
    qr_constraint_deinit(&r->constraint);
    qr_free(allocator, r->grown);
    qr_free(allocator, r);
}

bool qr_request_append(struct qr_request *r, int32_t token, const struct quire_allocator *allocator)
{
    assert(r->generated_n < r->max_tokens);
    if (r->generated_n == r->generated_max) {
        uint32_t more = r->generated_max * 2 < r->max_tokens ? r->generated_max * 2 : r->max_tokens;
        size_t known_n = (size_t)r->prompt_n + r->generated_n;
        int32_t *grown =
            qr_realloc(allocator, r->grown, ((size_t)r->prompt_n + more) * sizeof *grown);
        if (!grown) return false;
        if (!r->grown) memcpy(grown, r->prompt, known_n * sizeof *grown);
        r->prompt = r->grown = grown;
        r->generated = grown + r->prompt_n;
        r->generated_max = more;
    }
    r->generated[r->generated_n++] = token;
    return true;
}
