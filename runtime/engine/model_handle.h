/* SPDX-License-Identifier: MIT */
/* model_handle -- what a quire_model is made of: the file, the kernels chosen, the weights, and
 * the text side if there is one.
 *
 * Thread: any; constant once opened.   Memory: the allocator of quire_model_open. */
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
    struct qr_tokenizer *tokenizer;   /* NULL: none, and note says why */
    struct qr_template *chat;         /* NULL: none, and template_note says why */
    struct qr_template *chat_tools;   /* used instead where there are tools; NULL: chat is */
    char *chat_source, *tools_source; /* the texts of the two, NUL at their ends; NULL: none */
    struct qr_chat_token special[QR_CHAT_TOKENS_MAX]; /* [special_n], what templates call them */
    uint32_t special_n;
    int32_t bos_id, eos_id;
    int32_t *ends; /* [ends_n] ascending: ids at which generation ends */
    uint32_t ends_n;
    char name[256];
    char note[320];          /* why there is no tokenizer; "" : there is one */
    char template_note[320]; /* "" : nothing to say */
    struct qr_warnings warnings;
    pthread_mutex_t grammar_lock; /* of the next, which is made with the first grammar */
    struct qr_grammar_vocabulary *grammar_vocabulary;
    struct qr_grammar_cache grammars; /* has a lock of its own */
};

/* vocabulary.c: the text side and the ends, from the file; the weights are loaded, unless they were
 * refused and the rest is only looked at. */
int qr_model_open_text(quire_model *model, struct quire_error *error);

/* templates.c: the chat template, the given one (NULL: the file's) or the fallback.  A given one
 * that is broken is an error, the file's is a note. */
int qr_model_open_templates(quire_model *model, const char *given, struct quire_error *error);
/* What of the file's own templates is not supported, by refusals->tell, which is there. */
void qr_model_tell_templates(const quire_model *model, const struct qr_refusals *refusals);

/* grammars.c: what a public grammar holds; NULL: it was compiled for another model. */
struct qr_grammar *qr_grammar_of(const quire_grammar *grammar, const quire_model *model);
/* grammars.c: how many were compiled, and found compiled. */
void qr_grammars_count(const quire_model *model, struct quire_stats *stats);

bool qr_model_is_end(const quire_model *model, int32_t id);

#endif
