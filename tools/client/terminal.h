/* SPDX-License-Identifier: MIT */
/* terminal -- whether a file is a terminal, the size of its window, and a progress bar.
 *
 * On a terminal the bar is drawn in place, at most ten times a second.  In a pipe or a file it is a
 * plain line every five seconds, so that a log stays readable.
 *
 * Thread: one.   Memory: the caller's. */
#ifndef QR_CLIENT_TERMINAL_H
#define QR_CLIENT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

bool qr_terminal_is(FILE *file);
/* Columns; 80 if unknown. */
unsigned qr_terminal_width(FILE *file);
/* Lines; 24 if unknown. */
unsigned qr_terminal_height(FILE *file);

struct qr_progress {
    FILE *out; /* NULL: nothing is shown */
    const char *title;
    uint64_t total;
    bool in_place;
    double began_s, shown_s;
    uint64_t shown; /* the count in the last line */
};

/* Seconds of the monotonic clock. */
double qr_clock_s(void);

void qr_progress_begin(struct qr_progress *p, FILE *out, const char *title, uint64_t total);
/* note: a few words after the count, such as a rate; "": none. */
void qr_progress_show(struct qr_progress *p, uint64_t done, const char *note);
/* Shows the last count and ends the line. */
void qr_progress_end(struct qr_progress *p, uint64_t done, const char *note);

struct qr_progress_view {
    unsigned width; /* columns of the line */
    unsigned bar_n; /* columns of the bar; 0: no bar */
    const char *title, *note;
    uint64_t done, total;
    double elapsed_s;
};
/* Writes one line without newline: title, bar, count, time, note. */
void qr_progress_line(char *line, size_t line_n, const struct qr_progress_view *view);

#endif
