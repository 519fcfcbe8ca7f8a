/* SPDX-License-Identifier: MIT */
/* params -- reads and checks the fields of a request's body.
 *
 * null means the default.  An unknown field is ignored.  A wrong type or a value out of range is a
 * 400 that names the field.
 *
 * Thread: any.   Memory: the caller's struct; texts point into the body's document. */
#ifndef QR_SERVER_PARAMS_H
#define QR_SERVER_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"

enum qr_endpoint { QR_COMPLETIONS, QR_CHAT };

/* Bounds of the fields that depend on the model and the engine. */
struct qr_model_limits {
    uint32_t vocab_n;
    uint32_t context_max; /* tokens a sequence may have: the context's, and the pages' */
    uint32_t prompts_max; /* requests that the queue takes at once */
    /* The sampler settings of requests that name none; size 0: the API's. */
    struct quire_request defaults;
};

/* A body's fields.  The request is what quire_submit gets, but for the prompt, max_tokens where the
 * body has none, PROMPT_LOGPROBS, the caller's identity and salt, and the grammar.  It points into
 * this struct and into the body's document: the struct stays where it is. */
struct qr_params {
    struct quire_request request;
    bool has_max_tokens;
    bool wants_rest;      /* max_tokens is -1: the rest of the context */
    bool cuts_max_tokens; /* more than fits is cut, not refused; set by the caller */
    bool stream;
    bool include_usage;
    bool echo;
    bool return_token_ids;
    bool continuous_usage;   /* usage with every event of a stream */
    bool includes_stop;      /* the text ends with the stop string that ended it */
    bool names_ids;          /* logprobs call tokens "token_id:7" */
    int32_t logprobs;        /* -1: none; request.logprobs serves these two */
    int32_t prompt_logprobs; /* -1: none */
    struct quire_logit_bias logit_bias[QR_LOGIT_BIAS_MAX];
    struct quire_text stop[QR_STOP_STRINGS_MAX];
    int32_t stop_ids[QR_STOP_IDS_MAX];
};

bool qr_params_read(const struct qr_json *body, enum qr_endpoint endpoint,
                    const struct qr_model_limits *limits, struct qr_params *params,
                    struct qr_api_failure *failure);

/* Sets *max_tokens for a prompt of prompt_n tokens: the body's value, or the endpoint's default cut
 * to the room after the prompt.  False: the prompt, or the body's value, does not fit. */
bool qr_params_max_tokens(const struct qr_params *params, enum qr_endpoint endpoint,
                          const struct qr_model_limits *limits, size_t prompt_n,
                          uint32_t *max_tokens, struct qr_api_failure *failure);

/* ---- single fields, for the other endpoints: an absent field leaves *out unchanged ---- */

bool qr_field_bool(const struct qr_json *body, const char *name, bool *out,
                   struct qr_api_failure *failure);
bool qr_field_integer(const struct qr_json *body, const char *name, int64_t least, int64_t most,
                      int64_t *out, struct qr_api_failure *failure);
bool qr_field_string(const struct qr_json *body, const char *name, struct quire_text *out,
                     struct qr_api_failure *failure);

#endif
