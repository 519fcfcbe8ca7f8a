/* SPDX-License-Identifier: MIT */
/* top -- reads a server's metrics for `quire top` and draws them.
 *
 *     text of /metrics -> sample;   two samples -> figures;   sample and figures -> frame or JSON
 *
 * A sample is one reading.  Figures are the changes between two samples, so they describe the last
 * interval and not the server's whole life.
 *
 * Thread: any.   Memory: the caller's; a frame has a fixed size.
 * Source: Prometheus, "Exposition formats".  Only the part that quired writes is read. */
#ifndef QR_QUIRE_TOP_H
#define QR_QUIRE_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/client/failure.h"

/* A histogram's sum and count. */
struct qr_top_total {
    double sum, count;
};

/* Named like quired's metrics.  Counters count from the server's start. */
struct qr_top_sample {
    double running, waiting;
    double pages_free, pages_cached, pages_held, pages_shared; /* held includes shared */
    double prompt_tokens, generated_tokens, recomputed_tokens;
    double prefix_queries, prefix_hits; /* in tokens */
    double preemptions, evictions, copies;
    double stopped, at_length; /* finished requests */
    struct qr_top_total ttft_s, itl_s, step_s, step_tokens;
};

/* Reads the text of /metrics and ignores metrics that top does not use.  False: a line is
 * malformed, or a metric is missing, repeated, negative or not a number; why says which. */
bool qr_top_read(struct qr_top_sample *sample, const char *text, size_t text_n,
                 struct qr_failure *why);

/* Changes between two samples.  A mean or rate without a base (no token, no lookup) is NAN. */
struct qr_top_figures {
    double seconds;                               /* between the samples; 0: no figures yet */
    double prefill, generation, prompt, requests; /* a second; prefill: computed prompt tokens,
                                                     prompt: prompt tokens of admitted requests */
    double hit_rate;                              /* share of the prompt tokens looked up, 0 to 1 */
    double preemptions, recomputed, evictions, copies;
    double ttft_s, itl_s, step_s, step_tokens; /* means */
    double first_tokens, gaps, steps;          /* how many values the means are of */
};

/* False, without figures: a counter decreased, so the server was restarted. */
bool qr_top_compare(struct qr_top_figures *figures, const struct qr_top_sample *before,
                    const struct qr_top_sample *after, double seconds);

/* States of pages, in the order of the map. */
enum qr_top_state { QR_TOP_SHARED, QR_TOP_HELD, QR_TOP_CACHED, QR_TOP_FREE, QR_TOP_STATES_N };

/* Divides at most `room` cells among the states in proportion to their pages; one cell a page if
 * there is room.  Every state with pages has a cell.  room >= QR_TOP_STATES_N.  Returns the cells'
 * sum. */
uint32_t qr_top_cells(const struct qr_top_sample *sample, uint32_t room,
                      uint32_t cells[QR_TOP_STATES_N]);

#define QR_TOP_LINE_MAX    512
#define QR_TOP_LINES_MAX   64
#define QR_TOP_COLUMNS_MIN 8

struct qr_top_frame {
    uint32_t columns, rows; /* of the window; at least QR_TOP_COLUMNS_MIN and 1 */
    bool colours;
    char lines[QR_TOP_LINES_MAX][QR_TOP_LINE_MAX];
    uint32_t lines_n;
};

/* Draws a frame of at most frame->rows lines and frame->columns columns. */
void qr_top_draw(struct qr_top_frame *frame, const char *server, const struct qr_top_sample *sample,
                 const struct qr_top_figures *figures);

/* The same as a JSON object.  NULL: no memory. */
json_t *qr_top_json(const char *server, const struct qr_top_sample *sample,
                    const struct qr_top_figures *figures);

#endif
