/* SPDX-License-Identifier: MIT */
#include "tools/client/terminal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/client/numbers.h"

#define REDRAW_S 0.1
#define PLAIN_S  5.0
#define BAR_N    24u

bool qr_terminal_is(FILE *file)
{
    return isatty(fileno(file)) == 1;
}

unsigned qr_terminal_width(FILE *file)
{
    struct winsize size;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

unsigned qr_terminal_height(FILE *file)
{
    struct winsize size;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
    return 24;
}

double qr_clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void qr_progress_line(char *line, size_t line_n, const struct qr_progress_view *v)
{
    static const char end[] = "] ";
    char bar[128] = "", time_text[QR_NUMBER_ROOM];
    if (v->bar_n) {
        unsigned bar_n =
            v->bar_n < sizeof bar - 1 - sizeof end ? v->bar_n : sizeof bar - 1 - sizeof end;
        uint64_t done = v->done < v->total ? v->done : v->total;
        uint64_t full = v->total ? done * bar_n / v->total : bar_n;
        bar[0] = '[';
        memset(bar + 1, '#', full);
        memset(bar + 1 + full, '.', bar_n - full);
        memcpy(bar + 1 + bar_n, end, sizeof end);
    }
    snprintf(line, line_n, "%s %s%" PRIu64 "/%" PRIu64 ", %s%s%s", v->title, bar, v->done, v->total,
             qr_numbers_format_seconds(time_text, v->elapsed_s), v->note[0] ? ", " : "", v->note);
    if (v->width < line_n) line[v->width] = 0;
}

void qr_progress_begin(struct qr_progress *p, FILE *out, const char *title, uint64_t total)
{
    *p = (struct qr_progress){.out = out, .title = title, .total = total};
    if (!out) return;
    p->in_place = qr_terminal_is(out);
    p->began_s = qr_clock_s();
    p->shown_s = p->in_place ? 0 : p->began_s;
    p->shown = UINT64_MAX;
}

static void draw(struct qr_progress *p, uint64_t done, const char *note, double now_s, bool last)
{
    char line[512];
    unsigned width = p->in_place ? qr_terminal_width(p->out) : (unsigned)sizeof line;
    const struct qr_progress_view view = {
        .width = p->in_place && width > 1 ? width - 1 : width,
        .bar_n = p->in_place ? BAR_N : 0,
        .title = p->title,
        .note = note,
        .done = done,
        .total = p->total,
        .elapsed_s = now_s - p->began_s,
    };
    qr_progress_line(line, sizeof line, &view);
    if (p->in_place)
        fprintf(p->out, "\r%s\x1b[K%s", line, last ? "\n" : "");
    else
        fprintf(p->out, "%s\n", line);
    fflush(p->out);
    p->shown_s = now_s;
    p->shown = done;
}

void qr_progress_show(struct qr_progress *p, uint64_t done, const char *note)
{
    if (!p->out) return;
    double now_s = qr_clock_s();
    if (now_s - p->shown_s < (p->in_place ? REDRAW_S : PLAIN_S)) return;
    draw(p, done, note, now_s, false);
}

void qr_progress_end(struct qr_progress *p, uint64_t done, const char *note)
{
    if (!p->out) return;
    draw(p, done, note, qr_clock_s(), true);
    p->out = NULL;
}
