/* SPDX-License-Identifier: MIT */
#include "runtime/template/run.h"

#include <assert.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"

#define ALIGN       16u
#define BLOCK_BYTES ((size_t)16 << 10)
#define STEP_BYTES  32u /* reading these costs about as much as evaluating a node */

struct qr_arena_block {
    struct qr_arena_block *older;
    size_t capacity, used; /* bytes after the header */
};

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static char *block_memory(struct qr_arena_block *block)
{
    return (char *)block + aligned(sizeof *block);
}

void qr_run_init(struct qr_run *run, const struct quire_allocator *memory, size_t bytes_max,
                 uint64_t steps_max, struct quire_error *error)
{
    memset(run, 0, sizeof *run);
    run->memory = memory;
    run->bytes_max = bytes_max;
    run->steps_max = steps_max;
    run->error = error;
    run->line = 1;
}

void qr_run_deinit(struct qr_run *run)
{
    while (run->blocks) {
        struct qr_arena_block *older = run->blocks->older;
        qr_free(run->memory, run->blocks);
        run->blocks = older;
    }
}

static int guarded(struct qr_run *run, void (*work)(void *data), void *data)
{
    if (setjmp(run->out)) return run->status;
    work(data);
    return QUIRE_OK;
}

int qr_run_guarded(struct qr_run *run, void (*work)(void *data), void *data)
{
    /* Numbers use a decimal point in every host locale.  uselocale affects this thread only. */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = plain ? uselocale(plain) : (locale_t)0;
    int status = guarded(run, work, data);

    if (plain) {
        (void)uselocale(before);
        freelocale(plain);
    }
    return status;
}

/* ---- failing --------------------------------------------------------------------------------- */

_Noreturn static void leave(struct qr_run *run, int status)
{
    run->status = status;
    longjmp(run->out, 1);
}

void qr_run_fail(struct qr_run *run, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    leave(run, qr_error_field(run->error, QUIRE_INVALID, "messages", "chat template, line %u: %s",
                              (unsigned)run->line, text));
}

void qr_run_raise(struct qr_run *run, struct quire_text text)
{
    leave(run, qr_error_field(run->error, QUIRE_INVALID, "messages", "%.*s",
                              (int)(text.n < 4096 ? text.n : 4096), text.n ? text.data : ""));
}

void qr_run_charge(struct qr_run *run, size_t n)
{
    uint64_t steps = 1 + n / STEP_BYTES;

    if (steps > run->steps_max - run->steps)
        qr_run_fail(run, "the template takes more than %llu steps",
                    (unsigned long long)run->steps_max);
    run->steps += steps;
}

void qr_run_enter(struct qr_run *run)
{
    if (run->depth >= QR_TEMPLATE_DEPTH_MAX)
        qr_run_fail(run, "calls or values are nested deeper than %u levels", QR_TEMPLATE_DEPTH_MAX);
    run->depth++;
}

void qr_run_leave(struct qr_run *run)
{
    assert(run->depth > 0);
    run->depth--;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void take_block(struct qr_run *run, size_t bytes)
{
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;

    /* Each block is at least a quarter of the total, so their number stays small. */
    if (capacity < run->bytes / 4) capacity = run->bytes / 4;
    if (capacity > run->bytes_max - run->bytes) capacity = run->bytes_max - run->bytes;
    if (capacity < bytes)
        qr_run_fail(run, "the template takes more than %zu MiB of memory", run->bytes_max >> 20);
    struct qr_arena_block *block = qr_alloc(run->memory, aligned(sizeof *block) + capacity);
    if (!block) leave(run, qr_error(run->error, QUIRE_NO_MEMORY, "no memory for a chat template"));
    *block = (struct qr_arena_block){.older = run->blocks, .capacity = capacity};
    run->blocks = block;
    run->bytes += capacity;
}

void *qr_run_alloc(struct qr_run *run, size_t bytes)
{
    if (bytes > run->bytes_max)
        qr_run_fail(run, "the template takes more than %zu MiB of memory", run->bytes_max >> 20);
    size_t wanted = aligned(bytes ? bytes : 1);
    if (!run->blocks || wanted > run->blocks->capacity - run->blocks->used) take_block(run, wanted);
    char *memory = block_memory(run->blocks) + run->blocks->used;
    run->blocks->used += wanted;
    return memory;
}

void *qr_run_alloc_array(struct qr_run *run, size_t n, size_t bytes)
{
    size_t all;

    if (!qr_mul(n, bytes, &all)) all = SIZE_MAX;
    return qr_run_alloc(run, all);
}

char *qr_run_alloc_text(struct qr_run *run, size_t n)
{
    /* Allocates twice the size and returns half, so that the block has space to extend the text. */
    bool twice = n < run->bytes_max / 4;
    char *text = qr_run_alloc(run, twice ? n * 2 : n);

    if (twice) run->blocks->used -= aligned(n ? n * 2 : 1) - aligned(n ? n : 1);
    run->text_end = text + n;
    return text;
}

bool qr_run_continue(struct qr_run *run, const char *end, size_t n)
{
    struct qr_arena_block *block = run->blocks;

    if (!block || !end || end != run->text_end) return false;
    const char *memory = block_memory(block);
    /* `end` may lie in another block, so the addresses are compared as integers. */
    uintptr_t at = (uintptr_t)end - (uintptr_t)memory;
    if (at > block->used || aligned(at) != block->used || n > block->capacity - at) return false;
    block->used = aligned(at + n) <= block->capacity ? aligned(at + n) : block->capacity;
    run->text_end = end + n;
    return true;
}
