/* SPDX-License-Identifier: MIT */
/* run -- what one compile or one render may use: memory, steps, depth; and the way out of it.
 *
 * A template is foreign input.  Whatever it does is paid for here: every node that is evaluated
 * and every few bytes that are looked at are a step, every value lies in the arena, every nested
 * call is a level.  A run that has used up one of them ends with an error that says which.
 *
 * Errors leave by longjmp from qr_run_fail to qr_run_guarded.  Between the two lies
 * nothing but code of this folder, whose memory is all the arena's, so nothing is lost on the way.
 *
 * Thread: one run belongs to one thread.   Memory: the allocator's, freed at once at the end.
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
    struct qr_arena_block *blocks; /* the newest first; it is the one in use */
    size_t bytes, bytes_max;
    uint64_t steps, steps_max;
    uint32_t depth;
    const char *text_end; /* where the text ends that may be continued */
    uint32_t line;        /* of the template, where the run is */
    jmp_buf out;          /* set by qr_run_guarded */
    struct quire_error *error;
    int status; /* after a failure */
};

void qr_run_init(struct qr_run *run, const struct quire_allocator *memory, size_t bytes_max,
                 uint64_t steps_max, struct quire_error *error);
void qr_run_deinit(struct qr_run *run);

/* Runs `work`, in the "C" locale.  What it returned through qr_run_fail, or QUIRE_OK. */
int qr_run_guarded(struct qr_run *run, void (*work)(void *data), void *data);

/* Ends the run with "chat template, line N: " and the sentence. */
_Noreturn __attribute__((format(printf, 2, 3))) void qr_run_fail(struct qr_run *run,
                                                                 const char *format, ...);
/* Ends it with the text as it is: what raise_exception says. */
_Noreturn void qr_run_raise(struct qr_run *run, struct quire_text text);

/* Pays for looking at n bytes or elements. */
void qr_run_charge(struct qr_run *run, size_t n);
/* Around whatever calls itself. */
void qr_run_enter(struct qr_run *run);
void qr_run_leave(struct qr_run *run);

/* Never NULL; 16-byte aligned; not zeroed.  Lives until the run's end. */
void *qr_run_alloc(struct qr_run *run, size_t bytes);
void *qr_run_alloc_array(struct qr_run *run, size_t n, size_t bytes);
/* Room for a text of n bytes that may be continued. */
char *qr_run_alloc_text(struct qr_run *run, size_t n);
/* Room for n more bytes right behind a text that ends at `end`, if that is where the last text
 * ended and nothing was taken since.  So text that is built piece by piece is not copied each time;
 * the shorter text stays what it was. */
bool qr_run_continue(struct qr_run *run, const char *end, size_t n);

#endif
