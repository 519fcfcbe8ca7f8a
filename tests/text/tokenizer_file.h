/* SPDX-License-Identifier: MIT */
/* tokenizer_file -- loads a tokenizer from a GGUF file for the tests.
 *
 * Thread: one.   Memory: malloc. */
#ifndef QR_TESTS_TEXT_TOKENIZER_FILE_H
#define QR_TESTS_TEXT_TOKENIZER_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/memory.h"
#include "runtime/model/gguf.h"
#include "runtime/text/tokenizer.h"

struct tokenizer_file {
    struct qr_gguf gguf;
    struct quire_text *tokens;
    struct quire_text *merges;
    int32_t *kinds;
    float *scores;
    struct qr_tokenizer_source source;
    struct qr_tokenizer *tokenizer;
};

static struct quire_text *tokenizer_file_texts(const struct qr_gguf *g, const char *name,
                                               uint32_t *n)
{
    const struct qr_gguf_key *array = qr_gguf_find(g, name);
    struct quire_text *texts = calloc(array ? array->count + 1 : 1, sizeof *texts);
    size_t cursor = 0;

    for (*n = 0; array && qr_gguf_next_string(array, &cursor, &texts[*n]);)
        ++*n;
    return texts;
}

/* False if the file or its tokenizer cannot be opened; prints the reason to stderr. */
static inline bool tokenizer_file_open(struct tokenizer_file *f, const char *path)
{
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    struct quire_error error;
    uint32_t id;
    bool flag;

    memset(f, 0, sizeof *f);
    if (qr_gguf_open(&f->gguf, path, &allocator, &error) != QUIRE_OK) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return false;
    }
    const struct qr_gguf *g = &f->gguf;
    struct qr_tokenizer_source *s = &f->source;
    qr_gguf_string(g, "tokenizer.ggml.model", &s->model);
    qr_gguf_string(g, "tokenizer.ggml.pre", &s->pre);
    s->tokens = f->tokens = tokenizer_file_texts(g, "tokenizer.ggml.tokens", &s->tokens_n);
    s->merges = f->merges = tokenizer_file_texts(g, "tokenizer.ggml.merges", &s->merges_n);
    f->kinds = calloc(s->tokens_n + 1, sizeof *f->kinds);
    const struct qr_gguf_key *kinds = qr_gguf_find(g, "tokenizer.ggml.token_type");
    for (uint32_t i = 0; kinds && i < s->tokens_n; i++)
        qr_gguf_element_i32(kinds, i, &f->kinds[i]);
    s->kinds = kinds ? f->kinds : NULL;
    s->bos_id = qr_gguf_u32(g, "tokenizer.ggml.bos_token_id", &id) ? (int32_t)id : -1;
    s->eos_id = qr_gguf_u32(g, "tokenizer.ggml.eos_token_id", &id) ? (int32_t)id : -1;
    s->eot_id = qr_gguf_u32(g, "tokenizer.ggml.eot_token_id", &id) ? (int32_t)id : -1;
    s->eom_id = qr_gguf_u32(g, "tokenizer.ggml.eom_token_id", &id) ? (int32_t)id : -1;
    f->scores = calloc(s->tokens_n + 1, sizeof *f->scores);
    const struct qr_gguf_key *scores = qr_gguf_find(g, "tokenizer.ggml.scores");
    for (uint32_t i = 0; scores && i < s->tokens_n; i++)
        qr_gguf_element_f32(scores, i, &f->scores[i]);
    s->scores = scores ? f->scores : NULL;
    s->add_bos = qr_gguf_bool(g, "tokenizer.ggml.add_bos_token", &flag) ? flag : -1;
    s->add_eos = qr_gguf_bool(g, "tokenizer.ggml.add_eos_token", &flag) ? flag : -1;
    s->add_space_prefix = qr_gguf_bool(g, "tokenizer.ggml.add_space_prefix", &flag) ? flag : -1;
    if (qr_tokenizer_create(&f->tokenizer, s, &allocator, NULL, &error) != QUIRE_OK) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return false;
    }
    return true;
}

static inline void tokenizer_file_close(struct tokenizer_file *f)
{
    qr_tokenizer_destroy(f->tokenizer);
    qr_gguf_close(&f->gguf);
    free(f->tokens);
    free(f->merges);
    free(f->kinds);
    free(f->scores);
    memset(f, 0, sizeof *f);
}

/* SmolLM2's file: QUIRE_MODEL, else in the user's cache.  Prints a note and returns NULL if it is
 * missing. */
static inline const char *tokenizer_file_smollm2(void)
{
    static char path[4096];
    const char *model = getenv("QUIRE_MODEL"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (model)
        snprintf(path, sizeof path, "%s", model);
    else
        snprintf(path, sizeof path, "%s%s/quire/SmolLM2-135M-Instruct.Q4_1.gguf",
                 cache ? cache : (home ? home : ""), cache ? "" : "/.cache");
    if (access(path, R_OK) == 0) return path;
    printf("skipped: SmolLM2's file is not at %s (tools/quickstart brings it; QUIRE_MODEL names "
           "another place)\n",
           path);
    return NULL;
}

#endif
