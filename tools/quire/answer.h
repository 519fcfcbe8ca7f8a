/* SPDX-License-Identifier: MIT */
/* answer -- one generation, streamed, from a model in this process or from a server.
 *
 * Thread: the main one.   Memory: malloc. */
#ifndef QR_QUIRE_ANSWER_H
#define QR_QUIRE_ANSWER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/sampler_settings.h"
#include "tools/quire/source.h"

/* A sampler setting as an option.  Its name and help are made from the table of settings. */
struct qr_answer_setting {
    double real;
    int64_t integer;
    bool given;
    bool differs; /* `real` is a default that is not the API's */
    char name[32];
    char help[192];
};

/* How tokens are chosen. */
struct qr_answer_sampling {
    uint32_t max_tokens; /* the context may hold fewer */
    uint32_t min_tokens;
    struct qr_answer_setting settings[QR_SAMPLER_SETTINGS_N];
    int64_t seed;
    bool seeded, ignore_eos;
    struct qr_option_list stop;
};

/* Whether a request must name a setting: otherwise the engine or the server applies its default.
 * recommended: the model's file recommends settings, which replace the defaults here. */
bool qr_answer_setting_is_sent(const struct qr_answer_setting *setting, bool recommended);

#define QR_SAMPLING_OPTIONS_N (6 + QR_SAMPLER_SETTINGS_N)
/* Fills table[QR_SAMPLING_OPTIONS_N] with options that write into *s, and *s with defaults. */
void qr_answer_sampling_options(struct qr_option *table, struct qr_answer_sampling *s,
                                uint32_t max_tokens, const char *max_tokens_help);

struct qr_chat_turn {
    const char *role;
    char *content;
};

/* One of ids, text and turns. */
struct qr_ask {
    const int32_t *ids;
    size_t ids_n;
    const char *text;
    size_t text_n;
    const struct qr_chat_turn *turns;
    size_t turns_n;
    const struct qr_answer_sampling *sampling;
    bool wants_ids;                                        /* a server sends ids only if asked */
    void (*piece)(void *user, const char *text, size_t n); /* text as it comes; may be NULL */
    void *user;
};

struct qr_answer {
    char *text; /* a NUL follows it */
    size_t text_n, text_room;
    int32_t *ids;
    size_t ids_n, ids_room;
    char finish[16]; /* "stop", "length", "cancelled" */
    uint32_t prompt_n, completion_n, cached_n;
    double first_s, total_s; /* after the start */
};

/* False: *why says what failed, and the answer holds what had arrived.  In both cases free it with
 * qr_answer_free. */
bool qr_answer_get(const struct qr_source *source, const struct qr_ask *ask,
                   struct qr_answer *answer, struct qr_failure *why);
void qr_answer_free(struct qr_answer *answer);

/* The two ways to get an answer, and what they share. */
bool qr_answer_local(const struct qr_source *source, const struct qr_ask *ask,
                     struct qr_answer *answer, struct qr_failure *why);
bool qr_answer_remote(const struct qr_source *source, const struct qr_ask *ask,
                      struct qr_answer *answer, struct qr_failure *why);
bool qr_answer_add_text(struct qr_answer *answer, const char *text, size_t n);
bool qr_answer_add_id(struct qr_answer *answer, int32_t id);

/* Text to ids, with the model in this process.  The caller frees *ids with free(). */
bool qr_answer_tokenize(quire_model *model, struct quire_text text, unsigned flags, int32_t **ids,
                        size_t *ids_n, struct qr_failure *why);

/* Set by SIGINT after qr_answer_watch_interrupts.  The running generation ends as "cancelled". */
extern volatile sig_atomic_t qr_answer_interrupted;
void qr_answer_watch_interrupts(void);

#endif
