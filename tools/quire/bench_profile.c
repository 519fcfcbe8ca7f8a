/* SPDX-License-Identifier: MIT */
/* The time of each phase of a step: one column of the table for each measured row. */
#include <jansson.h>
#include <stdio.h>

#include "tools/quire/bench.h"

static double sum_ns(const struct qr_stretch *s, bool waits)
{
    double sum = 0;
    for (size_t i = 0; i < s->phases_n; i++)
        sum += (double)(waits ? s->phases[i].wait_ns : s->phases[i].ns);
    return sum;
}

static void print_cell(const struct qr_stretch *s, double ns)
{
    printf(" %9.1f %4.1f %%", ns / (double)s->steps_n / 1e3, 100 * ns / sum_ns(s, false));
}

/* The engine defines the phases, so all rows have the same ones. */
void qr_bench_print_profile(const struct qr_bench_profile *profiles, size_t n)
{
    if (!n) return;
    printf("\n  %-26s", "us a step");
    for (size_t i = 0; i < n; i++)
        printf(" %16s", profiles[i].title);
    putchar('\n');
    for (size_t phase = 0; phase < profiles[0].stretch.phases_n; phase++) {
        printf("  %-26s", profiles[0].stretch.phases[phase].name);
        for (size_t i = 0; i < n; i++)
            print_cell(&profiles[i].stretch, (double)profiles[i].stretch.phases[phase].ns);
        putchar('\n');
    }
    printf("  %-26s", "all");
    for (size_t i = 0; i < n; i++)
        print_cell(&profiles[i].stretch, sum_ns(&profiles[i].stretch, false));
    printf("\n  %-26s", "waiting for threads");
    for (size_t i = 0; i < n; i++)
        print_cell(&profiles[i].stretch, sum_ns(&profiles[i].stretch, true));
    putchar('\n');
}

json_t *qr_bench_profile_json(const struct qr_bench_profile *profiles, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct qr_stretch *s = &profiles[i].stretch;
        double steps_n = (double)s->steps_n;
        json_t *phases = json_array();
        for (size_t phase = 0; phase < s->phases_n; phase++)
            json_array_append_new(phases,
                                  json_pack("{s:s, s:f, s:f}", "name", s->phases[phase].name, "us",
                                            (double)s->phases[phase].ns / steps_n / 1e3, "wait_us",
                                            (double)s->phases[phase].wait_ns / steps_n / 1e3));
        json_array_append_new(all, json_pack("{s:s, s:f, s:o}", "title", profiles[i].title, "steps",
                                             steps_n, "phases", phases));
    }
    return all;
}
