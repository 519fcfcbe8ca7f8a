/* SPDX-License-Identifier: MIT */
/* settings -- reads and writes public structs that begin with their own size.
 *
 * The caller's struct may be older (shorter) or newer (longer) than the library's.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_ENGINE_SETTINGS_H
#define QR_ENGINE_SETTINGS_H

#include <stddef.h>

#include "runtime/quire.h"

/* Copies the caller's struct over `to`, a struct of to_bytes bytes with the defaults.
 * QUIRE_INVALID: `from` is NULL or its size is impossible.  QUIRE_UNSUPPORTED: a field is set that
 * this library does not know. */
int qr_settings_read(void *to, size_t to_bytes, const void *from, struct quire_error *error);

/* Copies as much of `from` as the caller's struct has room for.  Its size does not change. */
void qr_settings_write(void *to, const void *from, size_t from_bytes);

#endif
