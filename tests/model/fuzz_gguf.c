/* SPDX-License-Identifier: MIT */
/* Fuzzes the GGUF parser and the loader.  The loader goes on after the first refusal. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void listen(void *context, const char *sentence)
{
    (void)context;
    if (!sentence[0]) abort();
}

/* Loading any file ends with a model or with an error text. */
static void load(const struct qr_gguf *g, const struct quire_allocator *allocator)
{
    static struct qr_team *team;
    static struct qr_kernels kernels;
    struct quire_error error = {0};
    struct qr_refusals refusals = {.first = &error, .tell = listen};
    struct qr_model *model;

    if (!team) team = qr_team_create(allocator, 1);
    if (!team) abort();
    qr_kernels_init(&kernels, 0);
    const struct qr_model_source source = {
        .file = g, .kernels = &kernels, .team = team, .allocator = allocator};
    int status = qr_model_load(&model, &source, &refusals);
    if (!status != !!model || status != error.status) abort();
    qr_model_unload(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_text text;
    struct quire_error error;
    struct qr_gguf g;
    volatile uint8_t sink = 0;

    if (qr_gguf_parse(&g, data, size, "fuzz", &allocator, &error) != QUIRE_OK) {
        if (error.status == QUIRE_OK || !error.text[0]) abort();
        return 0;
    }
    for (uint32_t i = 0; i < g.keys_n; i++) {
        const struct qr_gguf_key *key = &g.keys[i];
        float f32;
        int32_t i32;
        if (key->data_n) sink = key->data[0] ^ key->data[key->data_n - 1];
        if (key->count) (void)qr_gguf_element_f32(key, key->count - 1, &f32);
        if (key->count) (void)qr_gguf_element_i32(key, key->count - 1, &i32);
        for (size_t cursor = 0; qr_gguf_next_string(key, &cursor, &text);)
            if (text.n) sink = (uint8_t)text.data[text.n - 1];
    }
    for (uint32_t i = 0; i < g.tensors_n; i++) {
        const struct qr_gguf_tensor *t = &g.tensors[i];
        if (t->data_n) sink = t->data[0] ^ t->data[t->data_n - 1];
    }
    (void)sink;
    load(&g, &allocator);
    qr_gguf_close(&g);
    return 0;
}
