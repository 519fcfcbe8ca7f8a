/* SPDX-License-Identifier: MIT */
/* bench -- rates of a model on this machine, through quire.h alone, beside the machine's limits.
 *
 * Every request is submitted with token ids, greedy, past end of sequence, and timed by its
 * events.  As vLLM and llama-batched-bench do:
 *   prefill   prompt tokens / time until all have their first token, one token generated each
 *   decode    tokens after all have their first one / the time that those took
 *   wall      from the first submit to the last end
 * A share is what is measured over what the tighter of two limits would allow by arithmetic alone:
 * two operations a weight and token (the output head for sampled tokens only), and every weight
 * read once a step.  Attention is not in it.
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
    uint32_t prompt_n; /* tokens of each, prefix_n included */
    uint32_t prefix_n; /* tokens that all begin with */
    uint32_t generate_n;
    uint64_t seed; /* of the prompts */
};

#define QR_BENCH_PHASES_MAX 32

/* What the engine's profile says of a stretch of a batch. */
struct qr_stretch {
    uint64_t steps_n;
    struct quire_phase phases[QR_BENCH_PHASES_MAX];
    size_t phases_n; /* 0: the engine does not profile */
};

struct qr_batch_times {
    double first_s;                  /* until the first of all has its first token */
    double all_first_s;              /* until all have */
    double wall_s;                   /* until all have ended */
    uint64_t tokens_after;           /* generated after all_first_s */
    double full_s;                   /* from all_first_s until the first of them ended */
    uint64_t tokens_full;            /* generated in it */
    struct qr_stretch prefill, full; /* until all_first_s; in full_s */
};

bool qr_batch_run(quire_engine *engine, uint32_t vocab_n, const struct qr_batch *batch,
                  struct qr_batch_times *times, struct qr_failure *why);

/* Runs one prompt, the generated ids into out[0..generate_n). */
bool qr_batch_ids(quire_engine *engine, const int32_t *prompt, uint32_t prompt_n,
                  uint32_t generate_n, int32_t *out, struct qr_failure *why);

/* Ids in the middle seven eighths of the vocabulary, where no special tokens are. */
void qr_batch_draw(uint64_t seed, uint32_t vocab_n, int32_t *ids, uint32_t n);

/* ---- shares ----------------------------------------------------------------------------- */

/* What a token costs by arithmetic alone. */
struct qr_cost {
    double body_ops;      /* of every token */
    double head_ops;      /* of a sampled one */
    double bytes;         /* of a step */
    double ops;           /* limit for this model's weights, a second */
    double read;          /* limit, bytes a second */
    const char *ops_name; /* "int8" or "fp32" */
};

void qr_cost_of(struct qr_cost *cost, const struct quire_model_info *info,
                const struct quire_limits *limits);

/* The least seconds that the limits leave for so many tokens, of them so many sampled, in so many
 * steps; *bound (may be NULL) names the limit that decides. */
double qr_cost_seconds(const struct qr_cost *cost, double tokens_n, double sampled_n,
                       double steps_n, const char **bound);

/* ---- limits ----------------------------------------------------------------------------- */

/* Of several measurements in one run. */
struct qr_bench_limits {
    struct quire_limits best;    /* core_to_core_ns: the least, 0: none was measured */
    double core_to_core_most_ns; /* another than the least where the state changed meanwhile */
};

/* A limit is what the machine can do, whoever else is on it meanwhile: of each the best counts. */
void qr_bench_keep_limits(struct qr_bench_limits *kept, const struct quire_limits *now);

/* "45", "45-250" or "none", into text (QR_NUMBER_ROOM bytes). */
const char *qr_bench_format_distance(char *text, const struct qr_bench_limits *limits);

/* ---- rows of the table ------------------------------------------------------------------ */

#define QR_BENCH_RUNS_MAX 64

struct qr_bench_row {
    char key[40];   /* "decode_8" */
    char title[56]; /* "decode, 8 sequences" */
    bool is_time;   /* seconds: less is better; else tokens a second */
    double values[QR_BENCH_RUNS_MAX];
    uint32_t values_n;
    double core_to_core_ns;              /* measured before it; 0: not */
    double full[QR_BENCH_RUNS_MAX];      /* decode: while the whole batch ran */
    double tokens_n, sampled_n, steps_n; /* the work behind the limit; 0: there is none */
    double limit;                        /* the value that the limits allow; 0: none */
    const char *bound;                   /* the limit that decides */
};

/* Fills limit and bound from the row's work. */
void qr_bench_settle(struct qr_bench_row *row, const struct qr_cost *cost);
double qr_bench_best(const struct qr_bench_row *row);
double qr_bench_median(const struct qr_bench_row *row);
/* Measured over allowed, 0 where there is no limit. */
double qr_bench_share(const struct qr_bench_row *row, double value);

/* The best of a row's runs, by its phases. */
struct qr_bench_profile {
    char title[24]; /* "decode 8" */
    double rate;
    struct qr_stretch stretch;
};

/* The comparison with and without a KV cache. */
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
/* A column for each profile: microseconds a step and share, by phase. */
void qr_bench_print_profile(const struct qr_bench_profile *profiles, size_t n);
struct json_t *qr_bench_profile_json(const struct qr_bench_profile *profiles, size_t n);
void qr_bench_print_limits(const struct qr_bench_limits *limits, uint32_t threads, bool json);

#endif
