/* SPDX-License-Identifier: MIT */
/* sampler_settings -- the table of sampler settings: the numbers that control how a token is drawn.
 *
 * Each row of the table is used by
 *   quire_request_defaults, quire_submit     default and range (engine/settings.c, submit.c)
 *   struct qr_sampling                       what the sampler reads (engine/sampling.h)
 *   a request's body                         JSON name, range and default (server/params.c)
 *   quire generate, quire chat               options, their help, the body that they send
 *   quire_model_sampling                     key in a model's file (engine/recommended.c)
 *   docs/fields.md                           a test compares its rows with the table
 * Only the field in struct quire_request is written by hand, so that quire.h is readable.
 *
 * Thread: any.   Memory: static. */
#ifndef QR_BASE_SAMPLER_SETTINGS_H
#define QR_BASE_SAMPLER_SETTINGS_H

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"

/* The lower end of a range. */
enum qr_sampler_bound {
    QR_SAMPLER_FROM,       /* included */
    QR_SAMPLER_ABOVE,      /* excluded */
    QR_SAMPLER_ABOVE_OR_0, /* excluded, but for quire_submit 0 means: not set */
};

/* X(type, name, default, bound, least, most, key, argument, meaning).
 * type: REAL (float) or INTEGER (int32_t).  name: of the field in struct quire_request and in JSON;
 * with dashes, of the option.  key: a model file's general.sampling.KEY recommends a value; NULL:
 * files have no such key.  argument: the value's name in --help. */
#define QR_SAMPLER_SETTINGS(X)                                                                     \
    X(REAL, temperature, 1, FROM, 0, FLT_MAX, "temp", "T", "0 takes the most likely token")        \
    X(REAL, top_p, 1, ABOVE, 0, 1, "top_p", "P",                                                   \
      "keep the most likely tokens with this total probability")                                   \
    X(INTEGER, top_k, 0, FROM, -1, INT32_MAX, "top_k", "K",                                        \
      "keep this many of the most likely tokens; 0 and -1 keep all")                               \
    X(REAL, min_p, 0, FROM, 0, 1, "min_p", "P",                                                    \
      "drop tokens below this share of the most likely token's probability")                       \
    X(REAL, repetition_penalty, 1, ABOVE_OR_0, 0, FLT_MAX, "penalty_repeat", "P",                  \
      "above 1, makes tokens of the prompt and the answer less likely")                            \
    X(REAL, presence_penalty, 0, FROM, -QR_PENALTY_MAX, QR_PENALTY_MAX, NULL, "P",                 \
      "subtracted from the logit of each token that was generated")                                \
    X(REAL, frequency_penalty, 0, FROM, -QR_PENALTY_MAX, QR_PENALTY_MAX, NULL, "P",                \
      "subtracted once for each time that the token was generated")

enum qr_sampler_setting_id {
#define QR_SAMPLER_ID(type, name, ...) QR_SAMPLER_##name,
    QR_SAMPLER_SETTINGS(QR_SAMPLER_ID)
#undef QR_SAMPLER_ID
        QR_SAMPLER_SETTINGS_N
};

struct qr_sampler_setting {
    const char *name;
    const char *key, *argument, *meaning;
    bool integer;
    enum qr_sampler_bound bound;
    double normal, least, most; /* normal: the default */
    size_t offset;              /* in struct quire_request */
};

extern const struct qr_sampler_setting qr_sampler_settings[QR_SAMPLER_SETTINGS_N];

double qr_sampler_setting_get(const struct qr_sampler_setting *setting,
                              const struct quire_request *request);
/* The value must be within the range.  A REAL above 0 stays above 0 as a float. */
void qr_sampler_setting_set(const struct qr_sampler_setting *setting, struct quire_request *request,
                            double value);
/* Whether a value is within the range.  NaN is not. */
bool qr_sampler_setting_accepts(const struct qr_sampler_setting *setting, double value);
/* Writes the range in words: "more than 0 and at most 1". */
#define QR_SAMPLER_RANGE_MAX 64u
void qr_sampler_setting_range(const struct qr_sampler_setting *setting,
                              char text[QR_SAMPLER_RANGE_MAX]);

#endif
