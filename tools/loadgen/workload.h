/* SPDX-License-Identifier: MIT */
/* workload -- the prompts and lengths of a run, drawn from a seed or read from a file.
 *
 * Random prompts are token ids, so that their lengths are exact.  They are drawn from the middle
 * seven eighths of the vocabulary, because published tokenizers have their special tokens at its
 * ends.  /v1/chat/completions takes no ids, so its prompts are short common words of about one
 * token each.  The server's usage then reports their length.
 *
 * In multi-turn a conversation's next prompt is all earlier prompts and answers, and input_n new
 * tokens.  The caller appends each answer.
 *
 * Thread: one.   Memory: malloc. */
#ifndef QR_LOADGEN_WORKLOAD_H
#define QR_LOADGEN_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/loadgen/arrivals.h"
#include "tools/loadgen/settings.h"

/* One request.  Its prompt is ids, a text or messages. */
struct qr_job {
    int32_t *ids; /* [ids_n]: the new ids of this turn */
    size_t ids_n;
    char *text;
    char *messages; /* a JSON array */
    uint32_t output_n;
    uint32_t conversation;
    uint32_t turn;
};

/* The prompts and answers of a conversation so far. */
struct qr_history {
    int32_t *ids;
    size_t ids_n, ids_room;
    char *messages; /* "{...},{...}": elements of a JSON array */
    size_t messages_n, messages_room;
};

struct qr_workload {
    struct qr_job *jobs; /* [jobs_n]; a conversation's turns follow each other */
    size_t jobs_n;
    uint32_t turns_n;             /* of a conversation; 1 except in multi-turn */
    struct qr_history *histories; /* [conversations_n], in multi-turn only */
    size_t conversations_n;
    int32_t *prefix;
    size_t prefix_n;
};

/* vocab_n: ids are below it.  count: the number of requests. */
bool qr_workload_create(struct qr_workload *w, const struct qr_load_settings *s, uint32_t vocab_n,
                        uint32_t count, uint64_t seed, struct qr_failure *why);
void qr_workload_destroy(struct qr_workload *w);

/* The request's body, which the caller frees.  NULL: no memory. */
char *qr_workload_body(const struct qr_workload *w, size_t job, const struct qr_load_settings *s,
                       const char *model, size_t *body_n);
/* Prompt tokens of a job; 0: unknown before the server reports them. */
uint32_t qr_workload_input_n(const struct qr_workload *w, size_t job);
struct qr_turn_answer {
    const int32_t *ids; /* [ids_n]; ids_n 0: the server sends none */
    size_t ids_n;
    uint32_t output_n; /* tokens generated */
    const char *text;
};
/* Appends a finished turn, prompt and answer, to its conversation.  If the server sends no ids,
 * output_n ids are drawn from r, so that lengths stay exact.  False: no memory. */
bool qr_workload_answer(struct qr_workload *w, size_t job, const struct qr_turn_answer *answer,
                        uint32_t vocab_n, struct qr_random *r);

/* Reads the prompts of a file into jobs.  If there are fewer than count, they repeat. */
bool qr_dataset_read(struct qr_workload *w, const struct qr_load_settings *s, uint32_t count,
                     struct qr_failure *why);

int32_t qr_workload_draw(struct qr_random *r, uint32_t vocab_n);

#endif
