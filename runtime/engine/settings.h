/* SPDX-License-Identifier: MIT */
/* settings -- reads and writes the public structs that begin with their own size.
 *
 * The caller's struct may be older (shorter) or newer (longer) than this library's.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_ENGINE_SETTINGS_H
#define QR_ENGINE_SETTINGS_H

#include <stddef.h>

#include "runtime/quire.h"

/* Copies the caller's struct over `to`, which holds the defaults and to_bytes.  QUIRE_INVALID: no
 * struct, or a size that no version had; QUIRE_UNSUPPORTED: something is set in fields that this
 * library does not know. */
int qr_settings_read(void *to, size_t to_bytes, const void *from, struct quire_error *error);

/* Copies as much of `from` as the caller's struct has room for, leaving its size as it is. */
void qr_settings_write(void *to, const void *from, size_t from_bytes);

#endif
