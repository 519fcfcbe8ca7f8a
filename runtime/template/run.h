/* SPDX-License-Identifier: MIT */
/* run -- the limits of one compile or one render: memory, steps and depth.
 *
 * A template is untrusted input, so it runs on a budget.  Each evaluated node and every 32 bytes
 * read are a step.  Each value takes memory from the arena.  Each nested call is a level.  A run
 * that exceeds a limit ends with an error that names the limit.
 *
 *     qr_run_init -> qr_run_guarded -> work ... qr_run_deinit
 *                        ^              |
 *                        +-- longjmp ---+  qr_run_fail, qr_run_raise, out of memory
 *
 * The longjmp skips only frames of this folder.  They own no memory outside the arena, so it
 * leaks nothing.
 *
 * Thread: one run belongs to one thread.   Memory: an arena from the allocator, freed by deinit.
 * Invariant: bytes <= bytes_max, steps <= steps_max, depth <= QR_TEMPLATE_DEPTH_MAX. */
#ifndef QR_TEMPLATE_RUN_H
#define QR_TEMPLATE_RUN_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"

struct qr_arena_block;

struct qr_run {
    const struct quire_allocator *memory;
    struct qr_arena_block *blocks; /* the newest is first and in use */
    size_t bytes, bytes_max;
    uint64_t steps, steps_max;
    uint32_t depth;
    const char *text_end; /* end of the last text, which qr_run_continue may extend */
    uint32_t line;        /* current line of the template, for errors */
    jmp_buf out;          /* set by qr_run_guarded */
    struct quire_error *error;
    int status; /* after a failure */
};

void qr_run_init(struct qr_run *run, const struct quire_allocator *memory, size_t bytes_max,
                 uint64_t steps_max, struct quire_error *error);
void qr_run_deinit(struct qr_run *run);

/* Calls work(data) in the "C" locale.  Returns QUIRE_OK or the status of the failure. */
int qr_run_guarded(struct qr_run *run, void (*work)(void *data), void *data);

/* Ends the run with the error "chat template, line N: ...". */
_Noreturn __attribute__((format(printf, 2, 3))) void qr_run_fail(struct qr_run *run,
                                                                 const char *format, ...);
/* Ends the run with the text itself as the error, for raise_exception. */
_Noreturn void qr_run_raise(struct qr_run *run, struct quire_text text);

/* Counts the steps for reading n bytes or elements. */
void qr_run_charge(struct qr_run *run, size_t n);
/* Called around each recursion. */
void qr_run_enter(struct qr_run *run);
void qr_run_leave(struct qr_run *run);

/* Never NULL; 16-byte aligned; not zeroed.  Valid until qr_run_deinit. */
void *qr_run_alloc(struct qr_run *run, size_t bytes);
void *qr_run_alloc_array(struct qr_run *run, size_t n, size_t bytes);
/* Memory for a text of n bytes that qr_run_continue may extend. */
char *qr_run_alloc_text(struct qr_run *run, size_t n);
/* Extends the text that ends at `end` by n bytes in place.  False if it is not the last text or if
 * another allocation followed it.  Repeated concatenation thus avoids a copy each time; the
 * shorter text stays valid. */
bool qr_run_continue(struct qr_run *run, const char *end, size_t n);

#endif
