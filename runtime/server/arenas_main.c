/* SPDX-License-Identifier: MIT */
#include "runtime/server/arenas_main.h"

#include <stdint.h>
#include <stdio.h>
#include <uv.h>

#include "runtime/server/json.h"

#if QUIRE_WITH_JEMALLOC

#include <jemalloc/jemalloc.h>

/* mallocx's flags of each arena.  jemalloc's automatic thread caches would mix the arenas' memory,
 * so they are off. */
static int arena_flags[QR_ARENAS_N];
static unsigned arena_ids[QR_ARENAS_N];

static void *resize(void *context, void *memory, size_t bytes)
{
    const int flags = *(const int *)context;
    if (bytes == 0) {
        if (memory) dallocx(memory, flags);
        return NULL;
    }
    return memory ? rallocx(memory, bytes, flags) : mallocx(bytes, flags);
}

static void *io_malloc(size_t bytes)
{
    return mallocx(bytes ? bytes : 1, arena_flags[QR_ARENA_IO]);
}

static void io_free(void *memory)
{
    if (memory) dallocx(memory, arena_flags[QR_ARENA_IO]);
}

static void *io_realloc(void *memory, size_t bytes)
{
    if (!memory) return io_malloc(bytes);
    return rallocx(memory, bytes ? bytes : 1, arena_flags[QR_ARENA_IO]);
}

static void *io_calloc(size_t n, size_t bytes)
{
    size_t all;
    if (__builtin_mul_overflow(n, bytes, &all)) return NULL;
    return mallocx(all ? all : 1, arena_flags[QR_ARENA_IO] | MALLOCX_ZERO);
}

bool qr_arenas_init(void)
{
    for (int i = 0; i < QR_ARENAS_N; i++) {
        size_t n = sizeof arena_ids[i];
        if (mallctl("arenas.create", &arena_ids[i], &n, NULL, 0) != 0) return false;
        arena_flags[i] = (int)MALLOCX_ARENA(arena_ids[i]) | MALLOCX_TCACHE_NONE;
    }
    qr_json_set_memory(io_malloc, io_free);
    return uv_replace_allocator(io_malloc, io_realloc, io_calloc, io_free) == 0;
}

struct quire_allocator qr_arena_allocator(enum qr_arena arena)
{
    return (struct quire_allocator){.resize = resize, .context = &arena_flags[arena]};
}

static uint64_t figure(const char *name)
{
    size_t value = 0, n = sizeof value;
    return mallctl(name, &value, &n, NULL, 0) == 0 ? value : 0;
}

static uint64_t arena_figure(enum qr_arena arena, const char *what)
{
    char name[64];
    (void)snprintf(name, sizeof name, "stats.arenas.%u.%s", arena_ids[arena], what);
    return figure(name);
}

size_t qr_arena_figures(struct qr_memory_figure *figures)
{
    static const char *const arenas[QR_ARENAS_N] = {
        [QR_ARENA_ENGINE] = "engine", [QR_ARENA_IO] = "io", [QR_ARENA_MODEL] = "model"};
    static const char *const states[] = {"allocated", "active",   "resident",
                                         "mapped",    "retained", "metadata"};
    uint64_t epoch = 1;
    size_t n = 0;
    /* Writing the epoch makes jemalloc take a new snapshot of its statistics. */
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    for (int i = 0; i < QR_ARENAS_N; i++) {
        figures[n++] = (struct qr_memory_figure){
            arenas[i], arena_figure((enum qr_arena)i, "small.allocated") +
                           arena_figure((enum qr_arena)i, "large.allocated")};
    }
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "stats.%s", states[i]);
        figures[n++] = (struct qr_memory_figure){states[i], figure(name)};
    }
    return n;
}

#else

bool qr_arenas_init(void)
{
    return true;
}

struct quire_allocator qr_arena_allocator(enum qr_arena arena)
{
    (void)arena;
    return (struct quire_allocator){.resize = NULL, .context = NULL};
}

size_t qr_arena_figures(struct qr_memory_figure *figures)
{
    (void)figures;
    return 0;
}

#endif
