/* SPDX-License-Identifier: MIT */
#include "runtime/engine/sampler.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A banned logit.  It is finite, so that the mass of a block with only banned tokens is exactly 0.
 */
#define BANNED (-1e30f)

/* The kernel sums the mass of so many ids at once.  Then one block is searched for the drawn id. */
#define MASS_BLOCK      512u
#define MASS_BLOCKS_MAX (QR_VOCAB_MAX / MASS_BLOCK)

/* Values that are compared together when few of them matter. */
#define SCAN 16u

/* top_p first collects tokens of at least (1 - top_p) / LIKELY_N, which nearly always suffice. */
#define LIKELY_N 2048.0f

/* ---- draws -------------------------------------------------------------------------------- */

uint64_t qr_draw(uint64_t key, uint64_t counter)
{
    uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};

    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return (uint64_t)c[1] << 32 | c[0];
}

/* [0, 1), 53 bits */
static double uniform(uint64_t seed, uint64_t index)
{
    return (double)(qr_draw(seed, index) >> 11) * 0x1p-53;
}

/* ---- drawing from the best ---------------------------------------------------------------- */

/* Candidates: best[0, n) in any order, and their weights, exp(value - the best value). */

static bool comes_before(struct qr_scored a, struct qr_scored b)
{
    return a.value > b.value || (a.value == b.value && a.index < b.index);
}

/* Whether any of SCAN values is at least `cut`.  The loop has a constant length, so that compilers
 * vectorise it. */
static bool any_at_least(const float *row, float cut)
{
    unsigned any = 0;

    for (uint32_t i = 0; i < SCAN; i++)
        any |= row[i] >= cut;
    return any != 0;
}

/* Collects every value that is at least `cut`. */
static uint32_t collect(const float *row, uint32_t vocab_n, float cut, struct qr_scored *best)
{
    uint32_t n = 0;

    for (uint32_t begin = 0; begin < vocab_n; begin += SCAN) {
        uint32_t end = vocab_n - begin < SCAN ? vocab_n : begin + SCAN;
        if (end - begin == SCAN && !any_at_least(row + begin, cut)) continue;
        for (uint32_t i = begin; i < end; i++)
            if (row[i] >= cut) best[n++] = (struct qr_scored){row[i], i};
    }
    return n;
}

/* out may be row. */
static void scale_row(float *out, const float *row, uint32_t vocab_n, float scale)
{
    uint32_t whole = vocab_n / SCAN * SCAN;

    for (uint32_t begin = 0; begin < whole; begin += SCAN) {
        float values[SCAN];
        for (uint32_t i = 0; i < SCAN; i++)
            values[i] = row[begin + i] * scale;
        memcpy(out + begin, values, sizeof values);
    }
    for (uint32_t i = whole; i < vocab_n; i++)
        out[i] = row[i] * scale;
}

static void weigh(const struct qr_scored *best, uint32_t n, float top, float *weights)
{
    for (uint32_t i = 0; i < n; i++)
        weights[i] = (float)exp((double)(best[i].value - top));
}

static double sum_of(const float *weights, uint32_t begin, uint32_t end)
{
    double sum = 0.0;

    for (uint32_t i = begin; i < end; i++)
        sum += (double)weights[i];
    return sum;
}

static void swap(struct qr_scored *best, float *weights, uint32_t a, uint32_t b)
{
    struct qr_scored held = best[a];
    float weight = weights[a];

    best[a] = best[b];
    weights[a] = weights[b];
    best[b] = held;
    weights[b] = weight;
}

/* Takes the median of three as pivot.  Moves all values that come before the pivot to its front,
 * and returns the pivot's index. */
static uint32_t partition(struct qr_scored *best, float *weights, uint32_t begin, uint32_t end)
{
    uint32_t middle = begin + (end - begin) / 2, last = end - 1, at = begin;

    if (comes_before(best[middle], best[begin])) swap(best, weights, middle, begin);
    if (comes_before(best[last], best[begin])) swap(best, weights, last, begin);
    if (comes_before(best[middle], best[last])) swap(best, weights, middle, last);
    for (uint32_t i = begin; i < last; i++)
        if (comes_before(best[i], best[last])) swap(best, weights, i, at++);
    swap(best, weights, at, last);
    return at;
}

/* Quickselect by mass: moves the best values that together have the wanted mass to the front, and
 * returns their number.  Returns n if the sum falls short by rounding. */
static uint32_t select_mass(struct qr_scored *best, float *weights, uint32_t n, double wanted)
{
    uint32_t begin = 0, end = n;

    while (begin < end) {
        uint32_t at = partition(best, weights, begin, end);
        double before = sum_of(weights, begin, at);
        if (before >= wanted) {
            end = at;
            continue;
        }
        wanted -= before + (double)weights[at];
        begin = at + 1;
        if (wanted <= 0.0) return begin;
    }
    return end;
}

static int32_t draw_weighted(const struct qr_scored *best, const float *weights, uint32_t n,
                             double at)
{
    double wanted = at * sum_of(weights, 0, n), sum = 0.0;

    for (uint32_t i = 0; i < n; i++) {
        sum += (double)weights[i];
        if (sum > wanted) return (int32_t)best[i].index;
    }
    return (int32_t)best[n - 1].index;
}

static bool limits_k(const struct qr_sampling *s, uint32_t vocab_n)
{
    return s->top_k > 0 && (uint32_t)s->top_k < vocab_n;
}

/* Draws with top_k or min_p or both, and then perhaps top_p. */
static int32_t draw_limited(const struct qr_sampler *sampler, const struct qr_sampling *s,
                            const float *scaled, double at)
{
    const struct qr_row_kernels *kernels = sampler->kernels;
    const struct qr_sampler_scratch *scratch = sampler->scratch;
    const uint32_t vocab_n = sampler->vocab_n;
    struct qr_scored *best = scratch->best;
    float least = logf(s->min_p); /* -infinity: min_p is off */
    uint32_t first = kernels->argmax(scaled, vocab_n);
    float top = scaled[first];
    uint32_t n = 0;

    if (limits_k(s, vocab_n)) {
        kernels->topk(scaled, vocab_n, (uint32_t)s->top_k, best);
        while (n < (uint32_t)s->top_k && best[n].value >= top + least)
            n++;
    } else {
        n = collect(scaled, vocab_n, top + least, best);
    }
    if (!n) return (int32_t)first; /* not a number */
    weigh(best, n, top, scratch->weights);
    if (s->top_p < 1.0f) {
        double wanted = (double)s->top_p * sum_of(scratch->weights, 0, n);
        n = select_mass(best, scratch->weights, n, wanted);
    }
    return draw_weighted(best, scratch->weights, n, at);
}

/* Draws with top_p alone.  Tokens with less than (1 - top_p) / vocab_n each have less than 1 -
 * top_p together, so they are not needed.  Usually the tokens above a much higher mark suffice. */
static int32_t draw_top_p(const struct qr_sampler *sampler, float top_p, const float *scaled,
                          double at)
{
    const struct qr_row_kernels *kernels = sampler->kernels;
    const struct qr_sampler_scratch *scratch = sampler->scratch;
    const uint32_t vocab_n = sampler->vocab_n;
    struct qr_scored *best = scratch->best;
    float all = kernels->logsumexp(scaled, vocab_n);
    uint32_t first = kernels->argmax(scaled, vocab_n);
    float top = scaled[first];
    double wanted = (double)top_p * exp((double)all - (double)top);
    float marks[] = {all + logf((1.0f - top_p) / LIKELY_N),
                     all + logf((1.0f - top_p) / (float)vocab_n)};

    for (int i = marks[0] > marks[1] ? 0 : 1; i < 2; i++) {
        uint32_t n = collect(scaled, vocab_n, marks[i] < top ? marks[i] : top, best);
        if (!n) break; /* not a number */
        weigh(best, n, top, scratch->weights);
        if (i == 0 && sum_of(scratch->weights, 0, n) < wanted) continue;
        n = select_mass(best, scratch->weights, n, wanted);
        return draw_weighted(best, scratch->weights, n, at);
    }
    return (int32_t)first;
}

/* ---- drawing from all --------------------------------------------------------------------- */

/* Draws in the order of ids: finds the block by the blocks' masses, then the id in the block. */
static int32_t draw_all(const struct qr_sampler *sampler, const float *scaled, double at)
{
    const struct qr_row_kernels *kernels = sampler->kernels;
    const uint32_t vocab_n = sampler->vocab_n;
    float logs[MASS_BLOCKS_MAX];
    uint32_t blocks_n = (vocab_n + MASS_BLOCK - 1) / MASS_BLOCK;
    double top = -INFINITY, mass = 0.0, sum = 0.0;

    for (uint32_t b = 0; b < blocks_n; b++) {
        uint32_t begin = b * MASS_BLOCK;
        uint32_t n = vocab_n - begin < MASS_BLOCK ? vocab_n - begin : MASS_BLOCK;
        logs[b] = kernels->logsumexp(scaled + begin, n);
        if ((double)logs[b] > top) top = (double)logs[b];
    }
    for (uint32_t b = 0; b < blocks_n; b++)
        mass += exp((double)logs[b] - top);
    if (!isfinite(mass)) return (int32_t)kernels->argmax(scaled, vocab_n); /* NaN or infinities */

    uint32_t block = 0, last = 0;
    for (; block < blocks_n; block++) {
        double more = exp((double)logs[block] - top);
        if (more > 0.0) last = block;
        if (sum + more > at * mass) break;
        sum += more;
    }
    if (block == blocks_n) { /* by rounding, the sum never exceeded the mark */
        block = last;
        sum -= exp((double)logs[block] - top);
    }
    uint32_t begin = block * MASS_BLOCK;
    uint32_t end = vocab_n - begin < MASS_BLOCK ? vocab_n : begin + MASS_BLOCK;
    uint32_t chosen = begin;
    for (uint32_t i = begin; i < end; i++) {
        double more = exp((double)scaled[i] - top);
        if (more > 0.0) chosen = i;
        sum += more;
        if (sum > at * mass) break;
    }
    return (int32_t)chosen;
}

/* ---- public ------------------------------------------------------------------------------- */

static void add_logprobs(const struct qr_sampler *sampler, const struct qr_sampling *s,
                         const float *logits, struct qr_choice *choice)
{
    const struct qr_row_kernels *kernels = sampler->kernels;
    struct qr_scored *best = sampler->scratch->best;
    const uint32_t vocab_n = sampler->vocab_n;

    choice->logprob = NAN;
    choice->top_n = 0;
    if (s->logprobs < 0) return;

    float all = kernels->logsumexp(logits, vocab_n);
    uint32_t n = (uint32_t)s->logprobs < vocab_n ? (uint32_t)s->logprobs : vocab_n;
    choice->logprob = logits[choice->token] - all;
    if (!n) return;
    kernels->topk(logits, vocab_n, n, best);
    for (uint32_t i = 0; i < n; i++)
        choice->top[i] = (struct quire_logprob){(int32_t)best[i].index, best[i].value - all};
    choice->top_n = n;
}

static int32_t draw(const struct qr_sampler *sampler, const struct qr_sampling *s, const float *row,
                    uint64_t index)
{
    const uint32_t vocab_n = sampler->vocab_n;
    float *scratch = sampler->scratch->row; /* row may be in it already */

    if (s->temperature < QR_GREEDY_BELOW) return (int32_t)sampler->kernels->argmax(row, vocab_n);

    double at = uniform(s->seed, index);
    const float *scaled = row;
    if (s->temperature != 1.0f) {
        scale_row(scratch, row, vocab_n, 1.0f / s->temperature);
        scaled = scratch;
    }
    if (limits_k(s, vocab_n) || s->min_p > 0.0f) return draw_limited(sampler, s, scaled, at);
    if (s->top_p < 1.0f) return draw_top_p(sampler, s->top_p, scaled, at);
    return draw_all(sampler, scaled, at);
}

static void keep_allowed(const uint64_t *allowed, float *row, uint32_t vocab_n)
{
    for (uint32_t begin = 0; begin < vocab_n; begin += 64) {
        uint32_t n = vocab_n - begin < 64 ? vocab_n - begin : 64;
        uint64_t word = allowed[begin / 64];
        for (uint32_t i = 0; word != UINT64_MAX && i < n; i++)
            row[begin + i] = word >> i & 1 ? row[begin + i] : BANNED;
    }
}

/* The row as scratch->row, where it can be changed: copied there unless it already is. */
static float *own_row(const struct qr_sampler *sampler, const float **row)
{
    float *own = sampler->scratch->row;

    if (*row != own) memcpy(own, *row, sampler->vocab_n * sizeof *own);
    *row = own;
    return own;
}

static void ban(const struct qr_sampler *sampler, const float **row, const int32_t *ids, uint32_t n)
{
    if (!n) return;
    float *own = own_row(sampler, row);
    for (uint32_t i = 0; i < n; i++)
        own[ids[i]] = BANNED;
}

void qr_sample(const struct qr_sampler *sampler, const struct qr_sampling *sampling,
               const float *logits, const struct qr_known *known, const struct qr_banned *banned,
               struct qr_choice *choice)
{
    const float *row = logits;

    if (qr_penalties_any(sampling))
        qr_penalize(sampling, known, own_row(sampler, &row), sampler->scratch->counts);
    if (banned) {
        ban(sampler, &row, banned->stops, banned->stops_n);
        ban(sampler, &row, banned->ends, banned->ends_n);
    }
    if (sampling->allowed)
        keep_allowed(sampling->allowed, own_row(sampler, &row), sampler->vocab_n);
    choice->token = draw(sampler, sampling, row, known->tokens_n - known->prompt_n);
    assert(choice->token >= 0 && (uint32_t)choice->token < sampler->vocab_n);
    add_logprobs(sampler, sampling, logits, choice);
}

bool qr_sample_plainly_greedy(const struct qr_sampling *sampling, const struct qr_banned *banned)
{
    if (banned->stops_n || banned->ends_n) return false;
    return sampling->temperature < QR_GREEDY_BELOW && sampling->logprobs < 0 &&
           !sampling->allowed && !qr_penalties_any(sampling);
}

void qr_sample_best(uint32_t best, struct qr_choice *choice)
{
    choice->token = (int32_t)best;
    choice->logprob = NAN;
    choice->top_n = 0;
}

void qr_score(const struct qr_sampler *sampler, const struct qr_sampling *sampling,
              const float *logits, int32_t token, struct qr_choice *choice)
{
    choice->token = token;
    add_logprobs(sampler, sampling, logits, choice);
}
