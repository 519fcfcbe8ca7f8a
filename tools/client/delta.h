/* SPDX-License-Identifier: MIT */
/* delta -- one event of a streamed completion or chat completion, in OpenAI's shape.
 *
 * A chat stream begins with an event that only announces the role: it has a choice but no token.
 * Thread: any.   Memory: the delta owns its JSON; its pointers are valid until release. */
#ifndef QR_CLIENT_DELTA_H
#define QR_CLIENT_DELTA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qr_delta {
    json_t *json;
    bool done;        /* "[DONE]": the stream's end */
    bool has_token;   /* a choice with text, or with its end */
    const char *text; /* "" where there is none */
    size_t text_n;
    const char *finish;      /* finish_reason, NULL: not yet */
    const json_t *token_ids; /* an array, NULL: not told */
    bool has_usage;
    uint32_t prompt_n, completion_n, cached_n;
    const char *error; /* the sentence of an error in mid-stream, NULL: none */
};

/* False: data is not a JSON object, and there is nothing to release. */
bool qr_delta_read(struct qr_delta *out, const char *data, size_t data_n);
void qr_delta_release(struct qr_delta *out);

#endif
