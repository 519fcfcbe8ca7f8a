/* SPDX-License-Identifier: MIT */
/* open -- quire_model_open: kernels, file, weights, tokenizer, templates. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/base/team.h"
#include "runtime/engine/model_handle.h"
#include "runtime/engine/settings.h"

static int choose_kernels(quire_model *model, const char *level, struct quire_error *error)
{
    unsigned has = qr_cpu_flags(), flags = has;

    if (level) {
        if (!qr_cpu_level_flags(level, &flags))
            return qr_error_field(error, QUIRE_INVALID, "cpu_level",
                                  "'%.32s' is not an instruction set level; expected scalar, avx2, "
                                  "avx512, avx512vnni or avx512bf16",
                                  level);
        if (flags & ~has)
            return qr_error_field(error, QUIRE_UNSUPPORTED, "cpu_level",
                                  "this machine has no %s; its best level is %s", level,
                                  qr_cpu_level_name(has));
    }
    qr_kernels_init(&model->kernels, flags);
    return QUIRE_OK;
}

static void name_model(quire_model *model, const char *path)
{
    struct quire_text name = {0};
    const char *slash = strrchr(path, '/');

    if (qr_gguf_string(&model->file, "general.name", &name) && name.n) {
        if (name.n > sizeof model->name - 1) name.n = sizeof model->name - 1;
        memcpy(model->name, name.data, name.n);
    } else {
        (void)snprintf(model->name, sizeof model->name, "%s", slash ? slash + 1 : path);
    }
}

static int load_weights(quire_model *model, const struct quire_model_settings *settings,
                        struct qr_refusals *refusals)
{
    struct qr_team *team = qr_team_create(&model->allocator, settings->threads);

    if (!team)
        return qr_error(&refusals->last, QUIRE_NO_MEMORY,
                        "cannot load the model: no memory or no threads");
    const struct qr_model_source source = {.file = &model->file,
                                           .kernels = &model->kernels,
                                           .team = team,
                                           .window = settings->sliding_window,
                                           .allocator = &model->allocator};
    int status = qr_model_load(&model->weights, &source, refusals);
    qr_team_destroy(team);
    return refusals->tell ? QUIRE_OK : status;
}

/* Reports why there is no tokenizer, and what the templates lack. */
static void tell_of_text(const quire_model *model, const struct qr_refusals *refusals)
{
    char sentence[sizeof model->note + 16];

    if (!refusals->tell) return;
    (void)snprintf(sentence, sizeof sentence, "tokenizer: %s", model->note);
    if (model->note[0]) refusals->tell(refusals->context, sentence);
    qr_model_tell_templates(model, refusals);
}

/* The weights, then the tokenizer, then the templates. */
static int open_parts(quire_model *model, const struct quire_model_settings *settings,
                      struct qr_refusals *refusals)
{
    int status = qr_refused(refusals, load_weights(model, settings, refusals));

    if (!status) status = qr_refused(refusals, qr_model_open_text(model, &refusals->last));
    if (!status)
        status = qr_refused(
            refusals, qr_model_open_templates(model, settings->chat_template, &refusals->last));
    if (!status) tell_of_text(model, refusals);
    return status ? status : refusals->status;
}

int quire_model_open(const struct quire_model_settings *given, quire_model **out,
                     struct quire_error *error)
{
    struct quire_model_settings settings;
    int status;

    qr_error_clear(error);
    if (!out)
        return qr_error(error, QUIRE_INVALID, "model is NULL; expected a place for the result");
    *out = NULL;
    quire_model_settings_defaults(&settings);
    status = qr_settings_read(&settings, sizeof settings, given, error);
    if (status) return status;
    if (!settings.path || !*settings.path)
        return qr_error_field(error, QUIRE_INVALID, "path", "no model file is named");

    struct quire_allocator allocator = qr_allocator(settings.allocator);
    quire_model *model = qr_alloc_zero(&allocator, 1, sizeof *model);
    if (!model) return qr_error(error, QUIRE_NO_MEMORY, "no memory to open %s", settings.path);
    model->allocator = allocator;
    bool locks = pthread_mutex_init(&model->grammar_lock, NULL) == 0;
    if (!locks || !qr_grammar_cache_init(&model->grammars, &allocator)) {
        if (locks) (void)pthread_mutex_destroy(&model->grammar_lock);
        qr_free(&allocator, model);
        return qr_error(error, QUIRE_NO_MEMORY, "no memory to open %s", settings.path);
    }

    status = choose_kernels(model, settings.cpu_level, error);
    if (status) goto fail;
    status = qr_gguf_open(&model->file, settings.path, &allocator, error);
    if (status) goto fail;
    model->file_open = true;
    struct qr_refusals refusals = {
        .first = error, .tell = settings.unsupported, .context = settings.unsupported_context};
    status = open_parts(model, &settings, &refusals);
    if (status) goto fail;
    name_model(model, settings.path);
    *out = model;
    return QUIRE_OK;

fail:
    quire_model_close(model);
    return status;
}

void quire_model_close(quire_model *model)
{
    if (!model) return;
    qr_template_destroy(model->chat);
    qr_free(&model->allocator, model->chat_source);
    qr_free(&model->allocator, model->tools_source);
    qr_template_destroy(model->chat_tools);
    qr_grammar_cache_deinit(&model->grammars);
    if (model->grammar_vocabulary) {
        qr_grammar_vocabulary_deinit(model->grammar_vocabulary);
        qr_free(&model->allocator, model->grammar_vocabulary);
    }
    (void)pthread_mutex_destroy(&model->grammar_lock);
    qr_tokenizer_destroy(model->tokenizer);
    qr_model_unload(model->weights);
    if (model->file_open) qr_gguf_close(&model->file);
    struct quire_allocator allocator = model->allocator;
    qr_free(&allocator, model->ends);
    qr_free(&allocator, model);
}

void quire_model_info(const quire_model *model, struct quire_model_info *out)
{
    struct quire_model_info info = {0};

    if (!model) return;
    const struct qr_model_shape *shape = qr_model_shape(model->weights);
    info.name = model->name;
    info.architecture = qr_model_architecture(model->weights);
    info.cpu_level = qr_cpu_level_name(model->kernels.cpu_flags);
    info.layers_n = shape->layers_n;
    info.width = shape->width;
    info.heads_n = shape->heads_n;
    info.kv_heads_n = shape->kv_heads_n;
    info.head_dim = shape->head_dim;
    info.vocab_n = shape->vocab_n;
    info.context_max = shape->context_max;
    info.file_bytes = model->file.all_bytes_n;
    info.weights_bytes = qr_model_weights_bytes(model->weights);
    info.weights_n = qr_model_weights_n(model->weights, &info.head_weights_n);
    info.bos_id = model->bos_id;
    info.eos_id = model->eos_id;
    info.has_tokenizer = model->tokenizer != NULL;
    info.adds_bos = model->tokenizer && qr_tokenizer_adds_bos(model->tokenizer);
    info.has_template = model->chat != NULL;
    info.template_note = model->template_note[0] ? model->template_note : NULL;
    info.tokenizer_note = model->note[0] ? model->note : NULL;
    info.sliding_window = shape->sliding_window;
    info.adds_eos = model->tokenizer && qr_tokenizer_adds_eos(model->tokenizer);
    info.tokenizer_split = model->tokenizer ? qr_tokenizer_split_name(model->tokenizer) : NULL;
    info.chat_template = model->chat_source;
    info.tools_template = model->tools_source;
    qr_settings_write(out, &info, sizeof info);
}

const char *quire_model_warning(const quire_model *model, uint32_t index)
{
    return model && index < model->warnings.n ? model->warnings.texts[index] : NULL;
}
