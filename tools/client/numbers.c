/* SPDX-License-Identifier: MIT */
#include "tools/client/numbers.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double qr_numbers_mean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : 0;
}

double qr_numbers_std(const double *values, size_t n)
{
    double mean = qr_numbers_mean(values, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return n ? sqrt(sum / (double)n) : 0;
}

double qr_numbers_percentile(const double *values, size_t n, double p)
{
    assert(p >= 0 && p <= 100);
    if (!n) return 0;
    double at = p / 100 * (double)(n - 1);
    size_t below = (size_t)floor(at);
    size_t above = below + 1 < n ? below + 1 : below;
    return values[below] + (values[above] - values[below]) * (at - (double)below);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void qr_numbers_sort(double *values, size_t n)
{
    if (n) qsort(values, n, sizeof *values, ascending);
}

const char *qr_numbers_format_count(char *text, uint64_t n)
{
    char digits[24];
    int digits_n = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *p = text;
    for (int i = 0; i < digits_n; i++) {
        if (i && (digits_n - i) % 3 == 0) *p++ = ',';
        *p++ = digits[i];
    }
    *p = 0;
    return text;
}

const char *qr_numbers_format_bytes(char *text, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t unit = 0;
    while (v >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        v /= 1024;
        unit++;
    }
    snprintf(text, QR_NUMBER_ROOM, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
    return text;
}

const char *qr_numbers_format_rate(char *text, double rate)
{
    if (!(rate >= 0) || rate > 1e18)
        snprintf(text, QR_NUMBER_ROOM, "%g", rate);
    else if (rate >= 999.5)
        qr_numbers_format_count(text, (uint64_t)(rate + 0.5));
    else
        snprintf(text, QR_NUMBER_ROOM,
                 rate >= 99.95   ? "%.0f"
                 : rate >= 9.995 ? "%.1f"
                                 : "%.2f",
                 rate);
    return text;
}

const char *qr_numbers_format_seconds(char *text, double s)
{
    if (s < 0.9995)
        snprintf(text, QR_NUMBER_ROOM,
                 s < 0.00995  ? "%.2f ms"
                 : s < 0.0995 ? "%.1f ms"
                              : "%.0f ms",
                 s * 1e3);
    else if (s < 99.95)
        snprintf(text, QR_NUMBER_ROOM, s < 9.995 ? "%.2f s" : "%.1f s", s);
    else
        snprintf(text, QR_NUMBER_ROOM, "%d min %02d s", (int)(s + 0.5) / 60, (int)(s + 0.5) % 60);
    return text;
}
