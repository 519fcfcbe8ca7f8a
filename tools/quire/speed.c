/* SPDX-License-Identifier: MIT */
#include "tools/quire/speed.h"

#include <stdio.h>
#include <string.h>

#include "tools/client/numbers.h"

void qr_speed_print(const struct qr_answer *a, uint32_t max_tokens)
{
    char first[QR_NUMBER_ROOM], rate[QR_NUMBER_ROOM];
    double decode_s = a->total_s - a->first_s;
    fprintf(stderr, "[%u prompt tokens", a->prompt_n);
    if (a->cached_n) fprintf(stderr, " (%u cached)", a->cached_n);
    fprintf(stderr, ", first token after %s; %u tokens",
            qr_numbers_format_seconds(first, a->first_s), a->completion_n);
    if (a->completion_n > 1 && decode_s > 0)
        fprintf(stderr, " at %s tok/s",
                qr_numbers_format_rate(rate, (a->completion_n - 1) / decode_s));
    fprintf(stderr, "; %s", a->finish);
    if (!strcmp(a->finish, "length") && a->completion_n >= max_tokens)
        fprintf(stderr, ": --max-tokens %u", max_tokens);
    else if (!strcmp(a->finish, "length"))
        fprintf(stderr, ": the context is full");
    fprintf(stderr, "]\n");
}
