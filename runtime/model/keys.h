/* SPDX-License-Identifier: MIT */
/* keys -- hyperparameters by their names in a file, which all begin with the architecture's:
 * "llama.block_count" is "block_count" here.
 *
 * Every key under the architecture's name is in one of two tables: read, or
 * allowed only with the value that changes nothing.  Any other is refused by its name: a file may
 * ask for what is not done, but it is never ignored.  Names: the GGUF specification, and what
 * llama.cpp's converters write.
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
    struct quire_error *error;  /* the refusals' last */
    char name[QR_KEY_NAME_MAX]; /* in full, of the last that was asked for */
};

/* Refuses by name each that is not known in this architecture, or not done. */
int qr_keys_check(struct qr_keys *k);

/* The full name, and the key or NULL. */
const char *qr_keys_name(struct qr_keys *k, const char *rest);
const struct qr_gguf_key *qr_keys_find(struct qr_keys *k, const char *rest);

/* An integer from least to most. */
int qr_keys_count(struct qr_keys *k, const char *rest, uint32_t least, uint32_t most,
                  uint32_t *value);
int qr_keys_count_or(struct qr_keys *k, const char *rest, uint32_t least, uint32_t most,
                     uint32_t otherwise, uint32_t *value);
/* A number from least to most. */
int qr_keys_number_or(struct qr_keys *k, const char *rest, double least, double most,
                      double otherwise, double *value);

#endif
