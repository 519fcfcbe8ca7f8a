/* SPDX-License-Identifier: MIT */
/* arenas_main -- the program's memory: one jemalloc arena each for the engine, i/o and the model.
 * So none fragments another, and each one's use can be measured.
 *
 * Sanitizer builds have an allocator of their own: without jemalloc all memory comes from malloc,
 * and there are no figures.
 *
 * Thread: any, after qr_arenas_init.   Memory: static. */
#ifndef QR_SERVER_ARENAS_MAIN_H
#define QR_SERVER_ARENAS_MAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"
#include "runtime/server/state.h"

enum qr_arena { QR_ARENA_ENGINE, QR_ARENA_IO, QR_ARENA_MODEL, QR_ARENAS_N };

/* Creates the arenas and sets the i/o arena as allocator of libuv and the JSON reader.  Call it
 * before either is used.  False: out of memory. */
bool qr_arenas_init(void);

struct quire_allocator qr_arena_allocator(enum qr_arena arena);

/* Writes bytes in use by arena and jemalloc's totals by state, to [QR_MEMORY_FIGURES_MAX].  Returns
 * how many were written. */
size_t qr_arena_figures(struct qr_memory_figure *figures);

#endif
