/* SPDX-License-Identifier: MIT */
/* choice -- one answer to one prompt: what the engine has produced and the server has not sent.
 *
 * A request with p prompts and n has p * n choices; choice i of prompt p has index p * n + i.
 * Without streaming a choice collects the whole answer.  With streaming it collects one delta, is
 * written as one SSE event, and is cleared.
 *
 * Thread: the loop's; init may be on a worker.   Memory: the server's allocator. */
#ifndef QR_SERVER_CHOICE_H
#define QR_SERVER_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/server/buffer.h"
#include "runtime/server/message.h"
#include "runtime/server/params.h"
#include "runtime/server/prompt.h"

struct qr_generation;

/* Buffers of a delta: text, token ids, logprobs of completions (tokens, values, tops, offsets) and
 * of chat (content).  Except for text they hold JSON without the brackets of its list or object. */
#define QR_CHOICE_DELTA_BUFFERS(X) X(text) X(ids) X(tokens) X(values) X(tops) X(offsets) X(content)
/* Buffers that live as long as the choice: vLLM's prompt_logprobs, and the stop string found. */
#define QR_CHOICE_BUFFERS(X) QR_CHOICE_DELTA_BUFFERS(X) X(prompt_logprobs) X(stop)

struct qr_generation_choice {
    struct qr_generation *generation;
    const struct qr_params *params;
    const struct qr_prompt *prompt;
    const quire_model *model;
    const struct quire_model_info *info;
    uint32_t index;
    quire_id id;       /* of the prompt's request; 0: not in the engine */
    bool ended;        /* the engine has sent its last event */
    bool opened;       /* its first SSE event has been sent */
    bool stopped;      /* the server has ended it: its one call is complete */
    bool closed;       /* its last SSE event has been sent */
    uint32_t tokens_n; /* in the delta's buffers */
#define QR_CHOICE_FIELD(name) struct qr_buffer name;
    QR_CHOICE_BUFFERS(QR_CHOICE_FIELD)
#undef QR_CHOICE_FIELD
    struct qr_message message; /* of chat and its like, instead of text */
    struct qr_buffer scores;   /* chat's logprobs of all its tokens, where an answer repeats them */
    uint64_t characters;       /* of the text so far: the next text_offset */
    int finish;                /* enum quire_finish, once ended */
    int32_t stop_id;
    struct quire_usage usage;
};

/* The other fields must be zero. */
void qr_choice_init(struct qr_generation_choice *choice, const struct quire_allocator *memory);
void qr_choice_deinit(struct qr_generation_choice *choice);
/* Empties what a delta holds, after it has been written. */
void qr_choice_clear_delta(struct qr_generation_choice *choice);
/* True if a buffer ran out of memory. */
bool qr_choice_failed(const struct qr_generation_choice *choice);

/* Writes "stop", "length", "tool_calls" or "abort" in quotes, or null before the end. */
void qr_choice_put_finish(const struct qr_generation_choice *choice, struct qr_buffer *out);
/* Writes the stop string in quotes, the id from stop_token_ids that ended the choice, or null. */
void qr_choice_put_stop_reason(const struct qr_generation_choice *choice, struct qr_buffer *out);

#endif
