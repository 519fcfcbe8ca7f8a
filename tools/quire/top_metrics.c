/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/bytes.h"
#include "tools/client/options.h"
#include "tools/quire/top.h"

/* Series as quired writes them, and the field of each. */
static const struct {
    const char *series;
    size_t at;
} wanted[] = {
#define FIELD(name) offsetof(struct qr_top_sample, name)
    {"quire_num_requests_running", FIELD(running)},
    {"quire_num_requests_waiting", FIELD(waiting)},
    {"quire_pages{state=\"free\"}", FIELD(pages_free)},
    {"quire_pages{state=\"cached\"}", FIELD(pages_cached)},
    {"quire_pages{state=\"held\"}", FIELD(pages_held)},
    {"quire_pages{state=\"shared\"}", FIELD(pages_shared)},
    {"quire_prompt_tokens_total", FIELD(prompt_tokens)},
    {"quire_generation_tokens_total", FIELD(generated_tokens)},
    {"quire_preempted_tokens_recomputed_total", FIELD(recomputed_tokens)},
    {"quire_prefix_cache_queries_total", FIELD(prefix_queries)},
    {"quire_prefix_cache_hits_total", FIELD(prefix_hits)},
    {"quire_num_preemptions_total", FIELD(preemptions)},
    {"quire_page_evictions_total", FIELD(evictions)},
    {"quire_page_copies_total", FIELD(copies)},
    {"quire_request_success_total{finished_reason=\"stop\"}", FIELD(stopped)},
    {"quire_request_success_total{finished_reason=\"length\"}", FIELD(at_length)},
    {"quire_time_to_first_token_seconds_sum", FIELD(ttft_s.sum)},
    {"quire_time_to_first_token_seconds_count", FIELD(ttft_s.count)},
    {"quire_inter_token_latency_seconds_sum", FIELD(itl_s.sum)},
    {"quire_inter_token_latency_seconds_count", FIELD(itl_s.count)},
    {"quire_step_seconds_sum", FIELD(step_s.sum)},
    {"quire_step_seconds_count", FIELD(step_s.count)},
    {"quire_iteration_tokens_sum", FIELD(step_tokens.sum)},
    {"quire_iteration_tokens_count", FIELD(step_tokens.count)},
#undef FIELD
};

#define WANTED_N  (sizeof wanted / sizeof *wanted)
#define VALUE_MAX 63
#define MOST      9e15 /* doubles up to this hold every whole number */

static bool is_name(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    return letter || (!first && c >= '0' && c <= '9');
}

/* The length of `name` or `name{label="value",...}` at the beginning of a line; 0: malformed. */
static size_t series_length(const char *line, size_t n)
{
    size_t i = 0;
    while (i < n && is_name(line[i], i == 0))
        i++;
    if (i == 0 || i == n || line[i] != '{') return i;
    do {
        size_t begin = ++i;
        while (i < n && is_name(line[i], i == begin))
            i++;
        if (i == begin || n - i < 2 || line[i] != '=' || line[i + 1] != '"') return 0;
        for (i += 2; i < n && line[i] != '"'; i++)
            if (line[i] == '\\') i++;
        if (i++ >= n) return 0;
    } while (i < n && line[i] == ',');
    return i < n && line[i] == '}' ? i + 1 : 0;
}

/* Reads a line that is not a comment. */
static bool read_line(struct qr_top_sample *sample, bool *seen, const char *line, size_t n,
                      struct qr_failure *why)
{
    char text[VALUE_MAX + 1];
    double value;
    size_t series_n = series_length(line, n), value_n = n - series_n;
    if (series_n == 0 || value_n < 2 || line[series_n] != ' ' || value_n - 1 > VALUE_MAX)
        return qr_failed(why, "'%.*s' is not a metric; expected a name and a value",
                         (int)(n < 80 ? n : 80), line);
    value_n--;
    memcpy(text, line + series_n + 1, value_n);
    text[value_n] = 0;
    bool number = strlen(text) == value_n && qr_options_parse_real(text, &value);
    if (!number && strcmp(text, "NaN") != 0)
        return qr_failed(why, "%.*s: '%s' is not a number", (int)series_n, line, text);
    for (size_t k = 0; k < WANTED_N; k++) {
        if (!qr_bytes_are(line, series_n, wanted[k].series)) continue;
        if (seen[k]) return qr_failed(why, "%s occurs twice", wanted[k].series);
        if (!number || !(value >= 0) || value > MOST)
            return qr_failed(why, "%s is %s; expected a number from 0 to %g", wanted[k].series,
                             text, MOST);
        seen[k] = true;
        memcpy((char *)sample + wanted[k].at, &value, sizeof value);
    }
    return true;
}

bool qr_top_read(struct qr_top_sample *sample, const char *text, size_t text_n,
                 struct qr_failure *why)
{
    bool seen[WANTED_N] = {false};
    const char *const end = text + text_n;
    /* The table fills the sample, whose fields are all doubles. */
    static_assert(sizeof *sample == WANTED_N * sizeof(double), "a field without a metric");
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        if (!newline) return qr_failed(why, "the last line has no newline: the text is cut");
        size_t n = (size_t)(newline - text);
        if (n && text[0] != '#' && !read_line(sample, seen, text, n, why)) return false;
        text = newline + 1;
    }
    for (size_t k = 0; k < WANTED_N; k++)
        if (!seen[k]) return qr_failed(why, "%s is missing: is this quired?", wanted[k].series);
    if (sample->pages_shared > sample->pages_held)
        return qr_failed(why,
                         "%g pages are shared, but %g are held; held pages include shared ones",
                         sample->pages_shared, sample->pages_held);
    return true;
}

static double per(double amount, double of)
{
    return of > 0 ? amount / of : NAN;
}

static double mean(const struct qr_top_total *before, const struct qr_top_total *after)
{
    return per(after->sum - before->sum, after->count - before->count);
}

bool qr_top_compare(struct qr_top_figures *figures, const struct qr_top_sample *before,
                    const struct qr_top_sample *after, double seconds)
{
    *figures = (struct qr_top_figures){0};
    assert(seconds > 0);
#define DELTA(name) (after->name - before->name)
    if (DELTA(prompt_tokens) < 0 || DELTA(generated_tokens) < 0 || DELTA(prefix_queries) < 0 ||
        DELTA(step_s.count) < 0 || DELTA(ttft_s.count) < 0 || DELTA(itl_s.count) < 0 ||
        DELTA(stopped) + DELTA(at_length) < 0)
        return false;
    /* A step's tokens are prompt tokens, and one for each decoding sequence.  Each generated token
     * is the result of one such token, except a request's first: its prompt's last token gives it.
     */
    double prefill = DELTA(step_tokens.sum) - DELTA(generated_tokens) + DELTA(ttft_s.count);
    *figures = (struct qr_top_figures){
        .seconds = seconds,
        .prefill = prefill > 0 ? prefill / seconds : 0,
        .generation = DELTA(generated_tokens) / seconds,
        .prompt = DELTA(prompt_tokens) / seconds,
        .requests = (DELTA(stopped) + DELTA(at_length)) / seconds,
        .hit_rate = per(DELTA(prefix_hits), DELTA(prefix_queries)),
        .preemptions = DELTA(preemptions),
        .recomputed = DELTA(recomputed_tokens),
        .evictions = DELTA(evictions),
        .copies = DELTA(copies),
        .ttft_s = mean(&before->ttft_s, &after->ttft_s),
        .itl_s = mean(&before->itl_s, &after->itl_s),
        .step_s = mean(&before->step_s, &after->step_s),
        .step_tokens = mean(&before->step_tokens, &after->step_tokens),
        .first_tokens = DELTA(ttft_s.count),
        .gaps = DELTA(itl_s.count),
        .steps = DELTA(step_s.count),
    };
#undef DELTA
    return true;
}
