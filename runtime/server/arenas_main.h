/* SPDX-License-Identifier: MIT */
/* arenas_main -- the program's memory: three arenas of jemalloc, one for the engine, one for i/o,
 * one for the model, so that none fragments another and each has a figure.
 *
 * Built without jemalloc (sanitizers bring an allocator of their own) everything comes from
 * malloc, and there are no figures.
 *
 * Thread: any, after qr_arenas_init.   Memory: static. */
#ifndef QR_SERVER_ARENAS_MAIN_H
#define QR_SERVER_ARENAS_MAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"
#include "runtime/server/state.h"

enum qr_arena { QR_ARENA_ENGINE, QR_ARENA_IO, QR_ARENA_MODEL, QR_ARENAS_N };

/* Makes the arenas, and gives the one for i/o to the event loop and the JSON reader: before
 * either is used.  False: there is no memory. */
bool qr_arenas_init(void);

struct quire_allocator qr_arena_allocator(enum qr_arena arena);

/* Bytes in use by arena, and the whole allocator's by state; [QR_MEMORY_FIGURES_MAX]. */
size_t qr_arena_figures(struct qr_memory_figure *figures);

#endif
