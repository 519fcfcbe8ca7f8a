/* SPDX-License-Identifier: MIT */
/* sampling -- the sampler settings of one request.
 *
 * Thread: any; constant from quire_submit on, but `allowed`, which a step sets in a copy.
 * Memory: in the request, with the biases. */
#ifndef QR_ENGINE_SAMPLING_H
#define QR_ENGINE_SAMPLING_H

#include <stdint.h>

#include "runtime/base/sampler_settings.h"
#include "runtime/quire.h"

struct qr_sampling {
    /* float temperature, top_p ...; int32_t top_k: as in struct quire_request */
#define QR_SAMPLING_REAL                   float
#define QR_SAMPLING_INTEGER                int32_t
#define QR_SAMPLING_FIELD(type, name, ...) QR_SAMPLING_##type name;
    QR_SAMPLER_SETTINGS(QR_SAMPLING_FIELD)
#undef QR_SAMPLING_FIELD
    uint64_t seed;
    int32_t logprobs; /* the number of alternatives; -1: no logprobs */
    const struct quire_logit_bias *bias;
    uint32_t bias_n;
    const uint64_t *allowed; /* [(vocab_n + 63) / 64] bits: tokens that may be drawn; NULL: all */
};

#endif
