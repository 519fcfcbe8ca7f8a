/* SPDX-License-Identifier: MIT */
/* templates -- opens the file's chat templates, and names special tokens as templates do.  A fault
 * in the file's template is not an error: the model then renders no conversations, and its note
 * says why. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/engine/model_handle.h"
#include "runtime/template/missing.h"

/* Adds the token with the id that `key` gives, if the file has it. */
static void name_token(quire_model *model, const char *key, const char *name)
{
    const struct qr_gguf_key *tokens = qr_gguf_find(&model->file, "tokenizer.ggml.tokens");
    size_t cursor = 0;
    uint32_t id;
    struct quire_text text;

    if (!tokens || tokens->kind != QR_GGUF_ARRAY || tokens->element != QR_GGUF_STRING) return;
    if (!qr_gguf_u32(&model->file, key, &id) || id >= tokens->count) return;
    for (uint32_t i = 0; i <= id; i++)
        if (!qr_gguf_next_string(tokens, &cursor, &text)) return;
    model->special[model->special_n++] = (struct qr_chat_token){.name = name, .text = text};
}

/* The tokens of transformers' special_tokens_map that the file has.  The texts point into the file.
 */
static void name_tokens(quire_model *model)
{
    static const struct {
        const char *key, *name;
    } known[QR_CHAT_TOKENS_MAX] = {
        {"tokenizer.ggml.bos_token_id", "bos_token"},
        {"tokenizer.ggml.eos_token_id", "eos_token"},
        {"tokenizer.ggml.unknown_token_id", "unk_token"},
        {"tokenizer.ggml.padding_token_id", "pad_token"},
        {"tokenizer.ggml.seperator_token_id", "sep_token"}, /* sic: GGUF's spelling */
        {"tokenizer.ggml.cls_token_id", "cls_token"},
        {"tokenizer.ggml.mask_token_id", "mask_token"},
    };

    for (size_t i = 0; i < QR_CHAT_TOKENS_MAX; i++)
        name_token(model, known[i].key, known[i].name);
}

/* Opens a template of the file.  A fault in it becomes the note. */
static int open_one(quire_model *model, struct qr_template **out, struct quire_text source,
                    struct quire_error *error)
{
    struct quire_error why = {0};
    int status = qr_template_create(out, source, &model->allocator, &why);

    if (status == QUIRE_NO_MEMORY) {
        if (error) *error = why;
        return status;
    }
    if (status) (void)snprintf(model->template_note, sizeof model->template_note, "%s", why.text);
    return QUIRE_OK;
}

/* Copies the source of a template in use, for callers that show it or recognise its family. */
static int keep_source(const quire_model *model, char **out, struct quire_text source,
                       struct quire_error *error)
{
    *out = qr_alloc(&model->allocator, source.n + 1);
    if (!*out) return qr_error(error, QUIRE_NO_MEMORY, "no memory for a template");
    memcpy(*out, source.data, source.n);
    (*out)[source.n] = '\0';
    return QUIRE_OK;
}

int qr_model_open_templates(quire_model *model, const char *given, struct quire_error *error)
{
    struct quire_text source;

    name_tokens(model);
    if (given) {
        source = (struct quire_text){.data = given, .n = strlen(given)};
        int status = qr_template_create(&model->chat, source, &model->allocator, error);
        if (!status) return keep_source(model, &model->chat_source, source, error);
        if (status == QUIRE_INVALID && error)
            (void)snprintf(error->field, sizeof error->field, "chat_template");
        return status;
    }
    if (!model->tokenizer) return QUIRE_OK; /* a rendered text could not be tokenized */
    if (!qr_gguf_string(&model->file, "tokenizer.chat_template", &source)) {
        (void)snprintf(model->template_note, sizeof model->template_note,
                       "the file has no chat template; ChatML is used");
        source = qr_chat_fallback;
    }
    int status = open_one(model, &model->chat, source, error);
    if (!status && model->chat) status = keep_source(model, &model->chat_source, source, error);
    if (!status && qr_gguf_string(&model->file, "tokenizer.chat_template.tool_use", &source))
        status = open_one(model, &model->chat_tools, source, error);
    if (!status && model->chat_tools)
        status = keep_source(model, &model->tools_source, source, error);
    return status;
}

/* ---- unsupported parts of templates ------------------------------------------------------- */

struct named {
    const char *key;
    const struct qr_refusals *refusals;
};

static void tell_of(void *context, const char *sentence)
{
    const struct named *named = context;
    char whole[320];

    (void)snprintf(whole, sizeof whole, "%s: %s", named->key, sentence);
    named->refusals->tell(named->refusals->context, whole);
}

void qr_model_tell_templates(const quire_model *model, const struct qr_refusals *refusals)
{
    static const char *const keys[] = {"tokenizer.chat_template",
                                       "tokenizer.chat_template.tool_use"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct named named = {.key = keys[i], .refusals = refusals};
        struct quire_error why = {0};
        struct quire_text source;
        struct qr_template *t;
        if (!qr_gguf_string(&model->file, keys[i], &source)) continue;
        if (qr_template_create(&t, source, &model->allocator, &why))
            tell_of(&named, why.text);
        else
            qr_template_missing(t, tell_of, &named);
        qr_template_destroy(t);
    }
}
