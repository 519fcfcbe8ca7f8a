/* SPDX-License-Identifier: MIT */
/* vocabulary -- opens the tokenizer that the file describes, and collects the ids that end
 * generation.  An unsupported tokenizer is not an error: the model then serves ids only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/engine/model_handle.h"

#define TOKENS "tokenizer.ggml.tokens"
#define KINDS  "tokenizer.ggml.token_type"
#define MERGES "tokenizer.ggml.merges"
#define SCORES "tokenizer.ggml.scores"

/* The size of the vocabulary.  If the weights were refused, the number of tokens in the file. */
static uint32_t vocabulary_n(const quire_model *model)
{
    const struct qr_gguf_key *tokens = qr_gguf_find(&model->file, TOKENS);

    if (model->weights) return qr_model_shape(model->weights)->vocab_n;
    return tokens && tokens->count < QR_VOCAB_MAX ? (uint32_t)tokens->count : QR_VOCAB_MAX;
}

/* Reads a special token's id; -1: the file has no such key.  An id outside the vocabulary is
 * refused. */
static int read_id(const quire_model *model, const char *key, int32_t *id,
                   struct quire_error *error)
{
    uint32_t value, vocab_n = vocabulary_n(model);

    *id = -1;
    if (!qr_gguf_u32(&model->file, key, &value)) return QUIRE_OK;
    if (value == UINT32_MAX) return QUIRE_OK; /* some converters write this for "none" */
    if (value >= vocab_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s is %" PRIu32 ", but the vocabulary has %" PRIu32 " tokens", key, value,
                        vocab_n);
    *id = (int32_t)value;
    return QUIRE_OK;
}

/* Reads an array of strings as texts that point into the file.  *texts is NULL if the key is
 * missing. */
static int read_texts(const quire_model *model, const char *name, struct quire_text **texts,
                      uint32_t *texts_n, struct quire_error *error)
{
    const struct qr_gguf_key *key = qr_gguf_find(&model->file, name);
    size_t cursor = 0;

    *texts = NULL;
    *texts_n = 0;
    if (!key) return QUIRE_OK;
    if (key->kind != QR_GGUF_ARRAY || key->element != QR_GGUF_STRING)
        return qr_error(error, QUIRE_BAD_FILE, "%s is not an array of strings", name);
    if (key->count > UINT32_MAX / 2)
        return qr_error(error, QUIRE_BAD_FILE, "%s has %" PRIu64 " elements", name, key->count);
    *texts = qr_alloc_zero(&model->allocator, (size_t)key->count, sizeof **texts);
    if (!*texts) return qr_error(error, QUIRE_NO_MEMORY, "no memory for %s", name);
    while (*texts_n < key->count && qr_gguf_next_string(key, &cursor, &(*texts)[*texts_n]))
        (*texts_n)++;
    return QUIRE_OK;
}

static int read_kinds(const quire_model *model, uint32_t tokens_n, int32_t **kinds,
                      struct quire_error *error)
{
    const struct qr_gguf_key *key = qr_gguf_find(&model->file, KINDS);

    *kinds = NULL;
    if (!key) return QUIRE_OK;
    if (key->kind != QR_GGUF_ARRAY || key->count < tokens_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        KINDS " has %" PRIu64 " elements for %" PRIu32 " tokens", key->count,
                        tokens_n);
    *kinds = qr_alloc_zero(&model->allocator, tokens_n, sizeof **kinds);
    if (!*kinds) return qr_error(error, QUIRE_NO_MEMORY, "no memory for " KINDS);
    for (uint32_t i = 0; i < tokens_n; i++)
        if (!qr_gguf_element_i32(key, i, &(*kinds)[i]))
            return qr_error(error, QUIRE_BAD_FILE, KINDS " is not an array of integers");
    return QUIRE_OK;
}

static int read_scores(const quire_model *model, uint32_t tokens_n, float **scores,
                       struct quire_error *error)
{
    const struct qr_gguf_key *key = qr_gguf_find(&model->file, SCORES);

    *scores = NULL;
    if (!key) return QUIRE_OK;
    if (key->kind != QR_GGUF_ARRAY || key->count < tokens_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        SCORES " has %" PRIu64 " elements for %" PRIu32 " tokens", key->count,
                        tokens_n);
    *scores = qr_alloc_zero(&model->allocator, tokens_n, sizeof **scores);
    if (!*scores) return qr_error(error, QUIRE_NO_MEMORY, "no memory for " SCORES);
    for (uint32_t i = 0; i < tokens_n; i++)
        if (!qr_gguf_element_f32(key, i, &(*scores)[i]))
            return qr_error(error, QUIRE_BAD_FILE, SCORES " is not an array of floats");
    return QUIRE_OK;
}

/* 1, 0, or -1: the file does not say. */
static int read_flag(const quire_model *model, const char *name)
{
    bool flag;

    return qr_gguf_bool(&model->file, name, &flag) ? flag : -1;
}

/* The arrays of a tokenizer.  The caller frees them. */
struct arrays {
    struct quire_text *tokens, *merges;
    int32_t *kinds;
    float *scores;
};

static int read_arrays(const quire_model *model, struct qr_tokenizer_source *source,
                       struct arrays *arrays, struct quire_error *error)
{
    uint32_t vocab_n = vocabulary_n(model);

    int status = read_texts(model, TOKENS, &arrays->tokens, &source->tokens_n, error);
    if (!status) status = read_kinds(model, source->tokens_n, &arrays->kinds, error);
    if (!status) status = read_scores(model, source->tokens_n, &arrays->scores, error);
    if (!status) status = read_texts(model, MERGES, &arrays->merges, &source->merges_n, error);
    if (!status && source->tokens_n > vocab_n)
        status = qr_error(error, QUIRE_BAD_FILE,
                          TOKENS " has %" PRIu32 " tokens, but the embedding %" PRIu32 " rows",
                          source->tokens_n, vocab_n);
    source->tokens = arrays->tokens;
    source->kinds = arrays->kinds;
    source->scores = arrays->scores;
    source->merges = arrays->merges;
    return status;
}

/* Opens the tokenizer.  If it is not supported, there is a note instead. */
static int open_tokenizer(quire_model *model, struct qr_tokenizer_source *source,
                          struct quire_error *error)
{
    struct arrays arrays = {0};
    struct quire_error why = {0};

    (void)qr_gguf_string(&model->file, "tokenizer.ggml.model", &source->model);
    (void)qr_gguf_string(&model->file, "tokenizer.ggml.pre", &source->pre);
    source->add_bos = read_flag(model, "tokenizer.ggml.add_bos_token");
    source->add_eos = read_flag(model, "tokenizer.ggml.add_eos_token");
    source->add_space_prefix = read_flag(model, "tokenizer.ggml.add_space_prefix");

    int status = read_arrays(model, source, &arrays, error);
    if (!status) {
        if (!source->tokens_n)
            status = qr_error(&why, QUIRE_NO_TOKENIZER, "the file has no " TOKENS);
        else
            status = qr_tokenizer_create(&model->tokenizer, source, &model->allocator,
                                         &model->warnings, &why);
        (void)snprintf(model->note, sizeof model->note, "%s", why.text);
        if (status == QUIRE_NO_TOKENIZER)
            status = QUIRE_OK;
        else if (status && error)
            *error = why;
    }
    qr_free(&model->allocator, arrays.tokens);
    qr_free(&model->allocator, arrays.kinds);
    qr_free(&model->allocator, arrays.scores);
    qr_free(&model->allocator, arrays.merges);
    return status;
}

static bool ends_here(const quire_model *model, const struct qr_tokenizer_source *source,
                      int32_t id)
{
    if (id == source->eos_id || id == source->eot_id || id == source->eom_id) return true;
    return model->tokenizer && (uint32_t)id < source->tokens_n &&
           qr_tokenizer_is_end(model->tokenizer, id);
}

static int collect_ends(quire_model *model, const struct qr_tokenizer_source *source,
                        struct quire_error *error)
{
    int32_t vocab_n = (int32_t)vocabulary_n(model);

    for (int32_t id = 0; id < vocab_n; id++)
        model->ends_n += ends_here(model, source, id);
    model->ends = qr_alloc(&model->allocator, model->ends_n * sizeof *model->ends);
    if (!model->ends) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the end tokens");
    uint32_t n = 0;
    for (int32_t id = 0; id < vocab_n; id++)
        if (ends_here(model, source, id)) model->ends[n++] = id;
    return QUIRE_OK;
}

int qr_model_open_text(quire_model *model, struct quire_error *error)
{
    struct qr_tokenizer_source source = {0};
    int status;

    status = read_id(model, "tokenizer.ggml.bos_token_id", &source.bos_id, error);
    if (!status) status = read_id(model, "tokenizer.ggml.eos_token_id", &source.eos_id, error);
    if (!status) status = read_id(model, "tokenizer.ggml.eot_token_id", &source.eot_id, error);
    if (!status) status = read_id(model, "tokenizer.ggml.eom_token_id", &source.eom_id, error);
    if (!status) status = open_tokenizer(model, &source, error);
    if (!status) status = collect_ends(model, &source, error);
    if (status) return status;
    model->bos_id = source.bos_id;
    model->eos_id = source.eos_id;
    return QUIRE_OK;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

bool qr_model_is_end(const quire_model *model, int32_t id)
{
    return bsearch(&id, model->ends, model->ends_n, sizeof id, compare_ids) != NULL;
}
