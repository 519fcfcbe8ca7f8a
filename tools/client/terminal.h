/* SPDX-License-Identifier: MIT */
/* terminal -- is somebody looking, how wide is the window, and a bar that shows how far things are.
 *
 * On a terminal the bar is redrawn in place ten times a second at the most; in a pipe or a file it
 * is a plain line now and then, so that a log stays readable.
 *
 * Thread: one.   Memory: the caller's. */
#ifndef QR_CLIENT_TERMINAL_H
#define QR_CLIENT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

bool qr_terminal_is(FILE *file);
/* Columns; 80 where it cannot be told. */
unsigned qr_terminal_width(FILE *file);
/* Lines; 24 where it cannot be told. */
unsigned qr_terminal_height(FILE *file);

struct qr_progress {
    FILE *out; /* NULL: nothing is shown */
    const char *title;
    uint64_t total;
    bool in_place;
    double began_s, shown_s;
    uint64_t shown; /* what the last line said */
};

/* Seconds of a clock that never steps. */
double qr_clock_s(void);

void qr_progress_begin(struct qr_progress *p, FILE *out, const char *title, uint64_t total);
/* note: a few words behind the count, such as a rate; "" for none. */
void qr_progress_show(struct qr_progress *p, uint64_t done, const char *note);
/* Shows the end and leaves the line. */
void qr_progress_end(struct qr_progress *p, uint64_t done, const char *note);

/* One line of the bar, at most width columns, without newline: title, bar, count, time, note.
 * bar_n columns of bar; 0: none. */
void qr_progress_line(char *line, size_t line_n, unsigned width, unsigned bar_n, const char *title,
                      uint64_t done, uint64_t total, double elapsed_s, const char *note);

#endif
