/* SPDX-License-Identifier: MIT */
/* top -- what `quire top` knows of a server, and how it is drawn.
 *
 *     text of /metrics -> sample;   two samples -> figures;   sample and figures -> frame or JSON
 *
 * A sample is one reading; figures are what has happened between two of them, so they are about
 * now, not about the server's whole life.
 *
 * Thread: any.   Memory: the caller's; a frame's is fixed.
 * Source of the text: Prometheus' "Exposition formats", of which only what quired writes is read.
 */
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

/* quired's names; the counters are since its start. */
struct qr_top_sample {
    double running, waiting;
    double pages_free, pages_cached, pages_held, pages_shared; /* shared are among the held */
    double prompt_tokens, generated_tokens, recomputed_tokens;
    double prefix_queries, prefix_hits; /* in tokens */
    double preemptions, evictions, copies;
    double stopped, at_length; /* finished requests */
    struct qr_top_total ttft_s, itl_s, step_s, step_tokens;
};

/* Reads the text of /metrics.  Names that top does not use are read over.  False: a line that is
 * no metric, or a metric that is missing, twice there, negative or no number; why says which. */
bool qr_top_read(struct qr_top_sample *sample, const char *text, size_t text_n,
                 struct qr_failure *why);

/* Between two samples.  A figure of nothing (no token, no lookup) is NAN. */
struct qr_top_figures {
    double seconds;                               /* between the two; 0: there are no figures yet */
    double prefill, generation, prompt, requests; /* a second; prefill: tokens computed for prompts,
                                                     prompt: those of admitted requests */
    double hit_rate;                              /* of prompt tokens looked up, 0 to 1 */
    double preemptions, recomputed, evictions, copies;
    double ttft_s, itl_s, step_s, step_tokens; /* means */
    double first_tokens, gaps, steps;          /* what they are means of */
};

/* False: a counter went back, so the server has been started anew: no figures. */
bool qr_top_compare(struct qr_top_figures *figures, const struct qr_top_sample *before,
                    const struct qr_top_sample *after, double seconds);

/* The map: states in the order in which they are drawn. */
enum qr_top_state { QR_TOP_SHARED, QR_TOP_HELD, QR_TOP_CACHED, QR_TOP_FREE, QR_TOP_STATES_N };

/* Shares out at most room cells (a cell a page where that is enough) in proportion to the pages.
 * Every state that has pages has a cell.  room is QR_TOP_STATES_N or more.  Returns their sum. */
uint32_t qr_top_cells(const struct qr_top_sample *sample, uint32_t room,
                      uint32_t cells[QR_TOP_STATES_N]);

#define QR_TOP_LINE_MAX    512
#define QR_TOP_LINES_MAX   64
#define QR_TOP_COLUMNS_MIN 8

struct qr_top_frame {
    uint32_t columns, rows; /* the room; from QR_TOP_COLUMNS_MIN and 1 */
    bool colours;
    char lines[QR_TOP_LINES_MAX][QR_TOP_LINE_MAX];
    uint32_t lines_n;
};

/* Draws into columns x rows: no line is wider, and there are no more of them. */
void qr_top_draw(struct qr_top_frame *frame, const char *server, const struct qr_top_sample *sample,
                 const struct qr_top_figures *figures);

/* The same as an object; NULL: no memory. */
json_t *qr_top_json(const char *server, const struct qr_top_sample *sample,
                    const struct qr_top_figures *figures);

#endif
