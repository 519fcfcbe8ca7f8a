/* SPDX-License-Identifier: MIT */
/* model_handle -- the parts of a quire_model: the file, the chosen kernels, the weights, and, if
 * the file has them, the tokenizer and the chat templates.
 *
 * Thread: any.  Constant after quire_model_open, but for the grammars, which have locks.
 * Memory: the allocator of quire_model_open. */
#ifndef QR_ENGINE_MODEL_HANDLE_H
#define QR_ENGINE_MODEL_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "runtime/base/warnings.h"
#include "runtime/grammar/cache.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model.h"
#include "runtime/quire.h"
#include "runtime/template/chat.h"
#include "runtime/text/tokenizer.h"

#define QR_CHAT_TOKENS_MAX 7u

struct quire_model {
    struct quire_allocator allocator;
    struct qr_gguf file;
    bool file_open;
    struct qr_kernels kernels;
    struct qr_model *weights;
    struct qr_tokenizer *tokenizer;   /* NULL: not supported, and note says why */
    struct qr_template *chat;         /* NULL: unusable, and template_note says why */
    struct qr_template *chat_tools;   /* replaces chat if a conversation has tools; may be NULL */
    char *chat_source, *tools_source; /* the texts of the two, each with a final NUL; may be NULL */
    struct qr_chat_token special[QR_CHAT_TOKENS_MAX]; /* [special_n], by their names in templates */
    uint32_t special_n;
    int32_t bos_id, eos_id;
    int32_t *ends; /* [ends_n] ascending: ids that end generation */
    uint32_t ends_n;
    char name[256];
    char note[320];          /* why there is no tokenizer; "": there is a tokenizer */
    char template_note[320]; /* why there is no template, or that ChatML replaces it; may be "" */
    struct qr_warnings warnings;
    pthread_mutex_t grammar_lock;                     /* of grammar_vocabulary */
    struct qr_grammar_vocabulary *grammar_vocabulary; /* NULL before the first grammar */
    struct qr_grammar_cache grammars;                 /* has a lock of its own */
};

/* vocabulary.c: opens the tokenizer and collects the ends.  Call after the weights are loaded or
 * refused. */
int qr_model_open_text(quire_model *model, struct quire_error *error);

/* templates.c: opens the chat template: the given one, or the file's if given is NULL, or else the
 * fallback.  A fault in a given template is an error; a fault in the file's is a note. */
int qr_model_open_templates(quire_model *model, const char *given, struct quire_error *error);
/* Reports unsupported parts of the file's templates to refusals->tell, which is not NULL. */
void qr_model_tell_templates(const quire_model *model, const struct qr_refusals *refusals);

/* grammars.c: the grammar in a public one.  NULL: it was compiled for another model. */
struct qr_grammar *qr_grammar_of(const quire_grammar *grammar, const quire_model *model);
/* grammars.c: counts grammars that were compiled, and found in the cache. */
void qr_grammars_count(const quire_model *model, struct quire_stats *stats);

bool qr_model_is_end(const quire_model *model, int32_t id);

#endif
