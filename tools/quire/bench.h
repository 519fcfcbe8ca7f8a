/* SPDX-License-Identifier: MIT */
/* bench -- measures a model's rates through quire.h, and compares them with the machine's limits.
 *
 * Every request has token ids, is greedy, and continues past the end of sequence.  Times are those
 * of its events.  Definitions, as in vLLM and llama-batched-bench:
 *
 *     prefill   prompt tokens / time until every request has its first token; one token each
 *     decode    tokens after every request has its first one / the time that they took
 *     wall      from the first submit to the last end
 *
 * A share is the measured rate over the rate that the tighter of two limits allows.  The limits
 * count two operations for each weight and token (the output head for sampled tokens only), and
 * one read of every weight in a step.  They leave out attention.
 *
 * Thread: the main one.   Memory: malloc. */
#ifndef QR_QUIRE_BENCH_H
#define QR_QUIRE_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "tools/client/failure.h"

/* Requests submitted together. */
struct qr_batch {
    uint32_t requests_n;
    uint32_t prompt_n; /* tokens of each prompt, including prefix_n */
    uint32_t prefix_n; /* tokens of the prefix that all prompts share */
    uint32_t generate_n;
    uint64_t seed; /* of the prompts */
};

#define QR_BENCH_PHASES_MAX 32

/* The engine's profile over a stretch of a batch. */
struct qr_stretch {
    uint64_t steps_n;
    struct quire_phase phases[QR_BENCH_PHASES_MAX];
    size_t phases_n; /* 0: the engine does not profile */
};

struct qr_batch_times {
    double first_s;                  /* until one request has its first token */
    double all_first_s;              /* until every request has its first token */
    double wall_s;                   /* until every request has ended */
    uint64_t tokens_after;           /* generated after all_first_s */
    double full_s;                   /* from all_first_s until a request ended */
    uint64_t tokens_full;            /* generated during full_s */
    struct qr_stretch prefill, full; /* before all_first_s; during full_s */
};

bool qr_batch_run(quire_engine *engine, uint32_t vocab_n, const struct qr_batch *batch,
                  struct qr_batch_times *times, struct qr_failure *why);

/* Runs one prompt and writes the generated ids into out[0..generate_n). */
bool qr_batch_ids(quire_engine *engine, const int32_t *prompt, uint32_t prompt_n,
                  uint32_t generate_n, int32_t *out, struct qr_failure *why);

/* Draws ids from the middle seven eighths of the vocabulary, which have no special tokens. */
void qr_batch_draw(uint64_t seed, uint32_t vocab_n, int32_t *ids, uint32_t n);

/* ---- shares ------------------------------------------------------------------------- */

/* A model's work by arithmetic, and the limits that apply to it. */
struct qr_cost {
    double body_ops;      /* operations of every token */
    double head_ops;      /* further operations of a sampled token */
    double bytes;         /* bytes that a step reads */
    double ops;           /* limit for this model's weights, operations a second */
    double read;          /* limit, bytes a second */
    const char *ops_name; /* "int8" or "fp32" */
};

void qr_cost_of(struct qr_cost *cost, const struct quire_model_info *info,
                const struct quire_limits *limits);

/* The shortest time that the limits allow for tokens_n tokens, sampled_n of them sampled, in
 * steps_n steps.  *bound (may be NULL) names the limit that decides. */
double qr_cost_seconds(const struct qr_cost *cost, double tokens_n, double sampled_n,
                       double steps_n, const char **bound);

/* ---- limits ------------------------------------------------------------------------- */

/* The limits of one run, measured several times. */
struct qr_bench_limits {
    struct quire_limits best;    /* core_to_core_ns: the minimum; 0: not measured */
    double core_to_core_most_ns; /* the maximum */
};

/* Keeps the best of each limit: other work on the machine can only lower a measurement. */
void qr_bench_keep_limits(struct qr_bench_limits *kept, const struct quire_limits *now);

/* Writes "45" or "45-250" into text (QR_NUMBER_ROOM bytes) and returns it, or returns "none". */
const char *qr_bench_format_distance(char *text, const struct qr_bench_limits *limits);

/* ---- rows of the table -------------------------------------------------------------- */

#define QR_BENCH_RUNS_MAX 64

struct qr_bench_row {
    char key[40];   /* "decode_8" */
    char title[56]; /* "decode, 8 sequences" */
    bool is_time;   /* values are seconds; otherwise tokens a second */
    double values[QR_BENCH_RUNS_MAX];
    uint32_t values_n;
    double core_to_core_ns;              /* measured before the row; 0: not measured */
    double full[QR_BENCH_RUNS_MAX];      /* decode: the rate while the whole batch ran */
    double tokens_n, sampled_n, steps_n; /* the work for qr_cost_seconds; 0: no limit applies */
    double limit;                        /* the value that the limits allow; 0: none */
    const char *bound;                   /* the limit that decides */
};

/* Fills limit and bound from the row's work. */
void qr_bench_settle(struct qr_bench_row *row, const struct qr_cost *cost);
double qr_bench_best(const struct qr_bench_row *row);
double qr_bench_median(const struct qr_bench_row *row);
/* The share of the limit that a value reaches; 0 without a limit. */
double qr_bench_share(const struct qr_bench_row *row, double value);

/* The phases of a row's best run. */
struct qr_bench_profile {
    char title[24]; /* "decode 8" */
    double rate;
    struct qr_stretch stretch;
};

/* Times of generating tokens_n tokens with and without a KV cache. */
struct qr_cache_row {
    uint32_t tokens_n;
    double with_s, without_s; /* 0: not measured */
};

struct qr_bench_report {
    struct quire_model_info info;
    struct qr_bench_limits limits;
    uint32_t threads, runs_n;
    struct qr_bench_row *rows;
    size_t rows_n;
    struct qr_cache_row *cache;
    size_t cache_n;
    struct qr_bench_profile *profiles;
    size_t profiles_n;
};

void qr_bench_print(const struct qr_bench_report *report);
bool qr_bench_print_json(const struct qr_bench_report *report);
/* Prints a column for each profile: microseconds a step and their share, by phase. */
void qr_bench_print_profile(const struct qr_bench_profile *profiles, size_t n);
struct json_t *qr_bench_profile_json(const struct qr_bench_profile *profiles, size_t n);
void qr_bench_print_limits(const struct qr_bench_limits *limits, uint32_t threads, bool json);

#endif
