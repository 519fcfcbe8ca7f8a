/* SPDX-License-Identifier: MIT */
/* delta -- one event of a streamed completion or chat completion, in OpenAI's shape.
 *
 * A chat stream begins with an event that only announces the role: it has a choice but no token.
 *
 * Thread: any.   Memory: the delta owns its JSON; its pointers are valid until release. */
#ifndef QR_CLIENT_DELTA_H
#define QR_CLIENT_DELTA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qr_delta {
    json_t *json;
    bool done;        /* the event is "[DONE]", the stream's end */
    bool has_token;   /* a choice with text or with a finish reason */
    const char *text; /* "" without text */
    size_t text_n;
    const char *finish;      /* finish_reason; NULL: not finished */
    const json_t *token_ids; /* an array; NULL: the server sent none */
    bool has_usage;
    uint32_t prompt_n, completion_n, cached_n;
    const char *error; /* the text of an error inside the stream; NULL: none */
};

/* False: data is not a JSON object, and nothing needs a release. */
bool qr_delta_read(struct qr_delta *out, const char *data, size_t data_n);
void qr_delta_release(struct qr_delta *out);

#endif
