/* SPDX-License-Identifier: MIT */
/* process -- runs a program of the build folder and keeps its output.
 *
 * Thread: one.   Memory: process_free frees a result. */
#ifndef QR_TESTS_SUPPORT_PROCESS_H
#define QR_TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

struct process_result {
    int code;        /* exit status; 128 + signal */
    char *out, *err; /* end in a NUL */
    size_t out_n;
};

/* False: the program is not built. */
bool process_built(const char *program);
/* Runs a program with this input and waits for its end.  arguments ends with NULL; arguments[0] is
 * the program's name in the build folder. */
struct process_result process_run(const char *const *arguments, const char *input, size_t input_n);
void process_free(struct process_result *result);

#endif
