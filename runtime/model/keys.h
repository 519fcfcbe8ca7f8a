/* SPDX-License-Identifier: MIT */
/* keys -- hyperparameters by their names in a file, without the architecture's name before them:
 * "llama.block_count" is "block_count" here.
 *
 *     a key under the architecture's name        then
 *     in the first table                         is read
 *     in the second, with its neutral value      changes nothing
 *     in the second, with another value          is refused: quire lacks the feature
 *     in neither                                 is refused: it may mean anything
 *
 * Names: the GGUF specification, and what llama.cpp's converters write.
 *
 * Thread: any.   Memory: none of its own. */
#ifndef QR_MODEL_KEYS_H
#define QR_MODEL_KEYS_H

#include "runtime/model/architecture.h"

#define QR_KEY_NAME_MAX 96u

struct qr_keys {
    const struct qr_gguf *file;
    const struct qr_architecture *architecture;
    struct qr_refusals *refusals;
    struct quire_error *error;  /* refusals->last */
    char name[QR_KEY_NAME_MAX]; /* the last key's full name */
};

/* Refuses by name each key that is unknown in this architecture or not supported. */
int qr_keys_check(struct qr_keys *k);

/* name: without the architecture's.  The full name; the key or NULL. */
const char *qr_keys_name(struct qr_keys *k, const char *name);
const struct qr_gguf_key *qr_keys_find(struct qr_keys *k, const char *name);

/* An integer from least to most; `otherwise` where the key is absent. */
int qr_keys_count(struct qr_keys *k, const char *name, uint32_t least, uint32_t most,
                  uint32_t *value);
int qr_keys_count_or(struct qr_keys *k, const char *name, uint32_t least, uint32_t most,
                     uint32_t otherwise, uint32_t *value);
/* A number from least to most; `otherwise` where the key is absent. */
int qr_keys_number_or(struct qr_keys *k, const char *name, double least, double most,
                      double otherwise, double *value);

#endif
