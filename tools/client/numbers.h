/* SPDX-License-Identifier: MIT */
/* numbers -- statistics of samples, and numbers formatted for people.
 *
 * Definitions are numpy's, as in vLLM's report: std divides by n, percentiles interpolate linearly
 * between neighbours.  Without samples every figure is 0.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_CLIENT_NUMBERS_H
#define QR_CLIENT_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

double qr_numbers_mean(const double *values, size_t n);
double qr_numbers_std(const double *values, size_t n);
/* values in ascending order (qr_numbers_sort), p in [0, 100]. */
double qr_numbers_percentile(const double *values, size_t n, double p);
void qr_numbers_sort(double *values, size_t n);

#define QR_NUMBER_ROOM 48

/* Each writes into text (QR_NUMBER_ROOM bytes) and returns it. */
const char *qr_numbers_format_count(char *text, uint64_t n);     /* 1234567: "1,234,567" */
const char *qr_numbers_format_bytes(char *text, uint64_t bytes); /* "93.8 MiB" */
const char *qr_numbers_format_rate(char *text, double rate);     /* "0.12", "12.3", "1,234" */
const char *qr_numbers_format_seconds(char *text, double s); /* "12.3 ms", "1.23 s", "2 min 05 s" */

#endif
