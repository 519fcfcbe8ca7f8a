/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "tools/client/numbers.h"
#include "tools/quire/top.h"

/* Letters make the map readable without colours.  The colours are ECMA-48 sequences. */
static const struct {
    char letter;
    const char *name, *means, *colour;
} states[QR_TOP_STATES_N] = {
    {'@', "shared", "  by several sequences", "\x1b[30;45m"},
    {'#', "held", "  by one sequence", "\x1b[30;44m"},
    {'+', "cached", "  by none, kept for their prefix", "\x1b[30;42m"},
    {'.', "free", "", "\x1b[90m"},
};

#define PLAIN       "\x1b[0m"
#define RUNNING     '>'
#define WAITING     ':'
#define MAP_COLUMNS 128u /* a line must also hold its colours, within QR_TOP_LINE_MAX */
#define MAP_ROWS    16u
#define OTHER_ROWS  15u /* lines of a frame besides the map */

static void counts_of(const struct qr_top_sample *s, double counts[QR_TOP_STATES_N])
{
    counts[QR_TOP_SHARED] = s->pages_shared;
    counts[QR_TOP_HELD] = s->pages_held - s->pages_shared;
    counts[QR_TOP_CACHED] = s->pages_cached;
    counts[QR_TOP_FREE] = s->pages_free;
}

static double pages_of(const struct qr_top_sample *s)
{
    return s->pages_held + s->pages_cached + s->pages_free;
}

/* Largest-remainder method.  A state with pages but no cell then takes one from the largest. */
uint32_t qr_top_cells(const struct qr_top_sample *sample, uint32_t room,
                      uint32_t cells[QR_TOP_STATES_N])
{
    double counts[QR_TOP_STATES_N], left[QR_TOP_STATES_N], all = pages_of(sample);
    assert(room >= QR_TOP_STATES_N);
    uint32_t cells_n = all < room ? (uint32_t)all : room, given_n = 0;
    counts_of(sample, counts);
    for (int i = 0; i < QR_TOP_STATES_N; i++) {
        double exact = all > 0 ? counts[i] / all * cells_n : 0;
        /* Without the 1e-9, 3 / 7 * 7 may round down to 2. */
        cells[i] = (uint32_t)(exact + 1e-9);
        left[i] = exact - cells[i];
        given_n += cells[i];
    }
    for (; given_n < cells_n; given_n++) {
        int most = 0;
        for (int i = 1; i < QR_TOP_STATES_N; i++)
            if (left[i] > left[most]) most = i;
        cells[most]++;
        left[most] -= 1;
    }
    for (int i = 0; i < QR_TOP_STATES_N && cells_n >= QR_TOP_STATES_N; i++) {
        if (counts[i] <= 0 || cells[i] > 0) continue;
        int most = 0;
        for (int k = 1; k < QR_TOP_STATES_N; k++)
            if (cells[k] > cells[most]) most = k;
        cells[most]--;
        cells[i]++;
    }
    return cells_n;
}

__attribute__((format(printf, 2, 3))) static void put(struct qr_top_frame *frame,
                                                      const char *format, ...)
{
    if (frame->lines_n == frame->rows || frame->lines_n == QR_TOP_LINES_MAX) return;
    char *line = frame->lines[frame->lines_n++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, QR_TOP_LINE_MAX, format, arguments);
    va_end(arguments);
    if (frame->columns < QR_TOP_LINE_MAX) line[frame->columns] = 0;
}

/* Colours n columns of a line from `at`.  Nothing left of `at + n` may have a colour yet. */
static void paint(struct qr_top_frame *frame, uint32_t line, size_t at, size_t n,
                  const char *colour)
{
    if (!frame->colours || line >= frame->lines_n) return;
    char *text = frame->lines[line];
    size_t text_n = strlen(text), colour_n = strlen(colour), plain_n = strlen(PLAIN);
    if (at + n > text_n || text_n + colour_n + plain_n >= QR_TOP_LINE_MAX) return;
    memmove(text + at + n + colour_n + plain_n, text + at + n, text_n - at - n + 1);
    memcpy(text + at + n + colour_n, PLAIN, plain_n);
    memmove(text + at + colour_n, text + at, n);
    memcpy(text + at, colour, colour_n);
}

/* Columns of the map's and the batch's rows. */
static uint32_t width_of(const struct qr_top_frame *frame)
{
    return frame->columns < MAP_COLUMNS + 2 ? frame->columns - 2 : MAP_COLUMNS;
}

static void draw_map(struct qr_top_frame *frame, const struct qr_top_sample *sample)
{
    char number[QR_NUMBER_ROOM];
    double all = pages_of(sample);
    uint32_t width = width_of(frame);
    uint32_t height = frame->rows > OTHER_ROWS ? frame->rows - OTHER_ROWS : 1;
    if (height > MAP_ROWS) height = MAP_ROWS;
    uint32_t cells[QR_TOP_STATES_N], cells_n = qr_top_cells(sample, width * height, cells);
    if (cells_n < all)
        put(frame, "pages  %s, %.3g to a cell", qr_numbers_format_count(number, (uint64_t)all),
            all / cells_n);
    else
        put(frame, "pages  %s, one to a cell", qr_numbers_format_count(number, (uint64_t)all));
    int state = 0;
    uint32_t drawn_n = 0; /* of this state */
    for (uint32_t at = 0; at < cells_n; at += width) {
        char row[MAP_COLUMNS + 1];
        uint32_t starts[QR_TOP_STATES_N] = {0}, lengths[QR_TOP_STATES_N] = {0}, n = 0;
        for (; n < width && at + n < cells_n; n++, drawn_n++) {
            while (drawn_n == cells[state]) {
                state++;
                drawn_n = 0;
            }
            if (!lengths[state]++) starts[state] = n;
            row[n] = states[state].letter;
        }
        row[n] = 0;
        put(frame, "  %s", row);
        for (int i = QR_TOP_STATES_N - 1; i >= 0;
             i--) /* from the right, so that `starts` stay valid */
            if (lengths[i])
                paint(frame, frame->lines_n - 1, starts[i] + 2, lengths[i], states[i].colour);
    }
    double counts[QR_TOP_STATES_N];
    counts_of(sample, counts);
    for (int i = 0; i < QR_TOP_STATES_N; i++) {
        uint32_t line = frame->lines_n;
        put(frame, "  %c %-7s %10s  %5.1f %%%s", states[i].letter, states[i].name,
            qr_numbers_format_count(number, (uint64_t)counts[i]),
            all > 0 ? 100 * counts[i] / all : 0, states[i].means);
        paint(frame, line, 2, 1, states[i].colour);
    }
}

/* One row: a cell for each running request, then for each waiting one; in proportion if they do not
 * fit. */
static void draw_batch(struct qr_top_frame *frame, const struct qr_top_sample *s)
{
    char row[MAP_COLUMNS + 1];
    double all = s->running + s->waiting;
    uint32_t width = width_of(frame), cells_n = all < width ? (uint32_t)all : width;
    uint32_t running_n = all > 0 ? (uint32_t)(s->running / all * cells_n + 0.5) : 0;
    uint32_t line = frame->lines_n;
    if (cells_n && running_n == 0 && s->running > 0) running_n = 1;
    if (cells_n && running_n == cells_n && s->waiting > 0) running_n--;
    memset(row, RUNNING, running_n);
    memset(row + running_n, WAITING, cells_n - running_n);
    row[cells_n] = 0;
    put(frame, "  %s", row);
    if (cells_n > running_n) paint(frame, line, 2 + running_n, cells_n - running_n, "\x1b[30;43m");
    if (running_n) paint(frame, line, 2, running_n, "\x1b[30;46m");
}

/* "-" if there is no figure. */
static const char *rate(char *text, const struct qr_top_figures *f, double value)
{
    if (f->seconds > 0 && !isnan(value)) return qr_numbers_format_rate(text, value);
    return strcpy(text, "-");
}

static const char *amount(char *text, const struct qr_top_figures *f, double value)
{
    if (f->seconds > 0) return qr_numbers_format_count(text, (uint64_t)value);
    return strcpy(text, "-");
}

static const char *seconds(char *text, const struct qr_top_figures *f, double value)
{
    if (f->seconds > 0 && !isnan(value)) return qr_numbers_format_seconds(text, value);
    return strcpy(text, "-");
}

static const char *percent(char *text, bool known, double share)
{
    snprintf(text, QR_NUMBER_ROOM, known ? "%.1f %%" : "-", 100 * share);
    return text;
}

void qr_top_draw(struct qr_top_frame *frame, const char *server, const struct qr_top_sample *s,
                 const struct qr_top_figures *f)
{
    char a[QR_NUMBER_ROOM], b[QR_NUMBER_ROOM], c[QR_NUMBER_ROOM], d[QR_NUMBER_ROOM];
    bool now = f->seconds > 0;
    assert(frame->rows > 0 && frame->columns >= QR_TOP_COLUMNS_MIN);
    frame->lines_n = 0;
    if (now)
        put(frame, "quire top  %s, the last %s", server, qr_numbers_format_seconds(a, f->seconds));
    else
        put(frame, "quire top  %s, rates with the next reading", server);
    put(frame, "%s", "");
    draw_map(frame, s);
    put(frame, "%s", "");
    put(frame, "batch    running %s %c, waiting %s %c, finished %s a second",
        qr_numbers_format_count(a, (uint64_t)s->running), RUNNING,
        qr_numbers_format_count(b, (uint64_t)s->waiting), WAITING, rate(c, f, f->requests));
    draw_batch(frame, s);
    put(frame, "tokens/s prefill %s, generation %s; in admitted prompts %s", rate(a, f, f->prefill),
        rate(b, f, f->generation), rate(c, f, f->prompt));
    put(frame, "prefix   hits %s; since the start %s",
        percent(a, now && !isnan(f->hit_rate), f->hit_rate),
        percent(b, s->prefix_queries > 0, s->prefix_hits / s->prefix_queries));
    put(frame, "pressure preemptions %s, tokens recomputed %s, evictions %s, copies %s",
        amount(a, f, f->preemptions), amount(b, f, f->recomputed), amount(c, f, f->evictions),
        amount(d, f, f->copies));
    char e[QR_NUMBER_ROOM], g[QR_NUMBER_ROOM];
    put(frame, "latency  TTFT %s (%s), ITL %s (%s)", seconds(a, f, f->ttft_s),
        amount(b, f, f->first_tokens), seconds(c, f, f->itl_s), amount(d, f, f->gaps));
    put(frame, "step     %s (%s), %s tokens", seconds(e, f, f->step_s), amount(g, f, f->steps),
        rate(a, f, f->step_tokens));
}

/* null if there is no figure, because JSON has no NaN. */
static json_t *figure(const struct qr_top_figures *f, double value)
{
    return f->seconds > 0 && !isnan(value) ? json_real(value) : json_null();
}

json_t *qr_top_json(const char *server, const struct qr_top_sample *s,
                    const struct qr_top_figures *f)
{
    json_t *pages =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "all", (json_int_t)pages_of(s), "free",
                  (json_int_t)s->pages_free, "cached", (json_int_t)s->pages_cached, "held",
                  (json_int_t)s->pages_held, "shared", (json_int_t)s->pages_shared);
    json_t *requests = json_pack("{s:I, s:I, s:o}", "running", (json_int_t)s->running, "waiting",
                                 (json_int_t)s->waiting, "finished_per_s", figure(f, f->requests));
    json_t *tokens =
        json_pack("{s:o, s:o, s:o}", "prefill_per_s", figure(f, f->prefill), "generation_per_s",
                  figure(f, f->generation), "prompt_per_s", figure(f, f->prompt));
    json_t *pressure = json_pack("{s:o, s:o, s:o, s:o}", "preemptions", figure(f, f->preemptions),
                                 "tokens_recomputed", figure(f, f->recomputed), "evictions",
                                 figure(f, f->evictions), "copies", figure(f, f->copies));
    json_t *means = json_pack("{s:o, s:o, s:o, s:o}", "ttft_s", figure(f, f->ttft_s), "itl_s",
                              figure(f, f->itl_s), "step_s", figure(f, f->step_s), "step_tokens",
                              figure(f, f->step_tokens));
    return json_pack("{s:s, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "server", server, "interval_s",
                     f->seconds, "pages", pages, "requests", requests, "tokens", tokens,
                     "prefix_hit_rate", figure(f, f->hit_rate), "pressure", pressure, "means",
                     means);
}
