/* SPDX-License-Identifier: MIT */
/* params -- a request body's fields, checked.
 *
 * null is the default, a field that is not named here is ignored, one that is named but not built
 * yet is refused unless it says what happens anyway, and a wrong type or range names the field.
 *
 * Thread: any.   Memory: stop strings point into the document. */
#ifndef QR_SERVER_PARAMS_H
#define QR_SERVER_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"

enum qr_endpoint { QR_COMPLETIONS, QR_CHAT };

/* What the fields are held against. */
struct qr_model_limits {
    uint32_t vocab_n;
    uint32_t context_max; /* tokens a sequence may have: the context's, and the pages' */
    uint32_t prompts_max; /* requests that the queue takes at once */
};

struct qr_params {
    float temperature; /* 0: greedy */
    float top_p;
    float min_p;
    int32_t top_k; /* 0: off */
    float repetition_penalty;
    float frequency_penalty;
    float presence_penalty;
    struct quire_logit_bias logit_bias[QR_LOGIT_BIAS_MAX];
    uint32_t logit_bias_n;
    bool seeded;
    uint64_t seed;
    bool has_max_tokens;
    uint32_t max_tokens;
    uint32_t min_tokens;
    uint32_t n;
    uint32_t best_of; /* at least n */
    bool stream;
    bool include_usage;
    bool echo;
    bool ignore_eos;
    bool return_token_ids;
    int32_t logprobs;        /* -1: none */
    int32_t prompt_logprobs; /* -1: none */
    struct quire_text stop[QR_STOP_STRINGS_MAX];
    uint32_t stop_n;
    int32_t stop_ids[QR_STOP_IDS_MAX];
    uint32_t stop_ids_n;
    struct quire_text cache_salt; /* in the body; n = 0: none */
    int32_t priority;
    struct quire_text user; /* in the body; n = 0: none */
};

bool qr_params_read(const struct qr_json *body, enum qr_endpoint endpoint,
                    const struct qr_model_limits *limits, struct qr_params *params,
                    struct qr_api_failure *failure);

/* How many tokens a prompt of prompt_n may be followed by: what was asked, or the default cut to
 * what fits.  False: it does not fit. */
bool qr_params_max_tokens(const struct qr_params *params, enum qr_endpoint endpoint,
                          const struct qr_model_limits *limits, size_t prompt_n,
                          uint32_t *max_tokens, struct qr_api_failure *failure);

/* ---- single fields, for the other endpoints: absent leaves *out as it is ------------------ */

bool qr_field_bool(const struct qr_json *body, const char *name, bool *out,
                   struct qr_api_failure *failure);
bool qr_field_integer(const struct qr_json *body, const char *name, int64_t least, int64_t most,
                      int64_t *out, struct qr_api_failure *failure);
bool qr_field_string(const struct qr_json *body, const char *name, struct quire_text *out,
                     struct qr_api_failure *failure);

#endif
