/* SPDX-License-Identifier: MIT */
/* sampling -- what one request says about drawing its tokens.
 *
 * Thread: constant from quire_submit on.   Memory: in the request, bias included. */
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
    int32_t logprobs; /* -1: none; else the number of alternatives */
    const struct quire_logit_bias *bias;
    uint32_t bias_n;
    const uint64_t *allowed; /* [(vocab_n + 63) / 64] bits: tokens that may be drawn; NULL: all */
};

#endif
