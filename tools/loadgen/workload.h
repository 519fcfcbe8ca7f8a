/* SPDX-License-Identifier: MIT */
/* workload -- what is sent: prompts and lengths, drawn from a seed or read from a file.
 *
 * Random prompts are token ids, so that their lengths are exact; they are drawn from the middle
 * seven eighths of the vocabulary, because published tokenizers keep their special tokens at
 * either end.  /v1/chat/completions takes no ids: there a prompt is made of common short words,
 * about a token each, and the server's usage tells the length.
 *
 * In multi-turn a conversation's next prompt is everything said so far and input_n new tokens; its
 * ids (or texts) come from the answers, which the caller appends.
 *
 * Thread: one.   Memory: malloc. */
#ifndef QR_LOADGEN_WORKLOAD_H
#define QR_LOADGEN_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/loadgen/arrivals.h"
#include "tools/loadgen/settings.h"

/* One request.  Its prompt is one of: ids, a text, messages as JSON. */
struct qr_job {
    int32_t *ids; /* [ids_n]: what is new in this turn */
    size_t ids_n;
    char *text;
    char *messages; /* a JSON array */
    uint32_t output_n;
    uint32_t conversation;
    uint32_t turn;
};

/* What has been said in a conversation so far. */
struct qr_history {
    int32_t *ids;
    size_t ids_n, ids_room;
    char *messages; /* "{...},{...}": the inside of a JSON array */
    size_t messages_n, messages_room;
    bool broken; /* a turn of it has failed */
};

struct qr_workload {
    struct qr_job *jobs; /* [jobs_n]; a conversation's turns stand one after another */
    size_t jobs_n;
    uint32_t turns_n;             /* of a conversation; 1 but in multi-turn */
    struct qr_history *histories; /* [conversations_n], in multi-turn only */
    size_t conversations_n;
    int32_t *prefix;
    size_t prefix_n;
};

/* vocab_n: ids are below it.  count: requests (the settings' own number, or warm-ups). */
bool qr_workload_create(struct qr_workload *w, const struct qr_load_settings *s, uint32_t vocab_n,
                        uint32_t count, uint64_t seed, struct qr_failure *why);
void qr_workload_destroy(struct qr_workload *w);

/* The request's body.  NULL: no memory; otherwise free(). */
char *qr_workload_body(const struct qr_workload *w, size_t job, const struct qr_load_settings *s,
                       const char *model, size_t *body_n);
/* Prompt tokens of a job, as far as they are known here; 0: only the server knows. */
uint32_t qr_workload_input_n(const struct qr_workload *w, size_t job);
/* Puts a finished turn into its conversation: prompt, then answer (ids or text).  ids_n 0 with
 * output_n tokens generated: the server does not tell ids, so as many are drawn from r, which
 * keeps the lengths. */
bool qr_workload_answer(struct qr_workload *w, size_t job, const int32_t *ids, size_t ids_n,
                        uint32_t output_n, const char *text, uint32_t vocab_n, struct qr_random *r);

/* Reads prompts from a file into jobs (rows are used again from the top if they are too few). */
bool qr_dataset_read(struct qr_workload *w, const struct qr_load_settings *s, uint32_t count,
                     struct qr_failure *why);

int32_t qr_workload_draw(struct qr_random *r, uint32_t vocab_n);

#endif
