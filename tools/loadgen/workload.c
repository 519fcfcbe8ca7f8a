/* SPDX-License-Identifier: MIT */
#include "tools/loadgen/workload.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t qr_workload_draw(struct qr_random *r, uint32_t vocab_n)
{
    assert(vocab_n >= 16);
    return (int32_t)qr_random_range(r, vocab_n / 16, vocab_n - vocab_n / 16 - 1);
}

/* As in vLLM: the lower bound is rounded down, the upper one up, and both are at least 1. */
static uint32_t draw_length(struct qr_random *r, uint32_t length, double ratio)
{
    double low = floor(length * (1 - ratio)), high = ceil(length * (1 + ratio));
    return qr_random_range(r, low < 1 ? 1 : (uint32_t)low, high < 1 ? 1 : (uint32_t)high);
}

static int32_t *draw_ids(struct qr_random *r, size_t n, uint32_t vocab_n)
{
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    for (size_t i = 0; ids && i < n; i++)
        ids[i] = qr_workload_draw(r, vocab_n);
    return ids;
}

static char *draw_text(struct qr_random *r, size_t words_n)
{
    static const char *const words[] = {"time",  "year", "people", "way",    "day",  "man",
                                        "work",  "life", "child",  "world",  "hand", "part",
                                        "place", "case", "week",   "company"};
    char *text = malloc(words_n * 8 + 1), *p = text;
    for (size_t i = 0; text && i < words_n; i++)
        p += sprintf(p, "%s%s", i ? " " : "", words[qr_random_range(r, 0, 15)]);
    if (text) *p = 0;
    return text;
}

static bool draw_jobs(struct qr_workload *w, const struct qr_load_settings *s, uint32_t vocab_n,
                      uint64_t seed)
{
    struct qr_random r;
    qr_random_seed(&r, (uint64_t)s->seed); /* warm-ups have the same prefix */
    if (!s->chat && s->prefix_n) {
        w->prefix = draw_ids(&r, s->prefix_n, vocab_n);
        if (!w->prefix) return false;
        w->prefix_n = s->prefix_n;
    }
    char *chat_prefix = s->chat && s->prefix_n ? draw_text(&r, s->prefix_n) : NULL;
    if (s->chat && s->prefix_n && !chat_prefix) return false;
    qr_random_seed(&r, seed);
    bool ok = true;
    for (size_t i = 0; i < w->jobs_n && ok; i++) {
        struct qr_job *job = &w->jobs[i];
        uint32_t input_n = draw_length(&r, s->input_n, s->range_ratio);
        job->output_n = draw_length(&r, s->output_n, s->range_ratio);
        job->conversation = (uint32_t)(i / w->turns_n);
        job->turn = (uint32_t)(i % w->turns_n);
        if (!s->chat) {
            job->ids = draw_ids(&r, input_n, vocab_n);
            job->ids_n = input_n;
            ok = job->ids != NULL;
            continue;
        }
        char *own = draw_text(&r, input_n);
        if (own && chat_prefix && job->turn == 0) {
            size_t n = strlen(chat_prefix) + strlen(own) + 2;
            job->text = malloc(n);
            if (job->text) snprintf(job->text, n, "%s %s", chat_prefix, own);
            free(own);
        } else {
            job->text = own;
        }
        ok = job->text != NULL;
    }
    free(chat_prefix);
    return ok;
}

bool qr_workload_create(struct qr_workload *w, const struct qr_load_settings *s, uint32_t vocab_n,
                        uint32_t count, uint64_t seed, struct qr_failure *why)
{
    *w = (struct qr_workload){.turns_n = 1};
    if (s->workload == QR_WORKLOAD_FILE) {
        if (qr_dataset_read(w, s, count, why)) return true;
        qr_workload_destroy(w);
        return false;
    }
    w->jobs = calloc(count, sizeof *w->jobs);
    w->jobs_n = w->jobs ? count : 0;
    bool ok = w->jobs != NULL;
    if (s->workload == QR_WORKLOAD_MULTI_TURN) {
        w->turns_n = s->turns_n;
        w->conversations_n = (count + s->turns_n - 1) / s->turns_n;
        w->histories = calloc(w->conversations_n, sizeof *w->histories);
        ok = ok && w->histories;
        if (!w->histories) w->conversations_n = 0;
    }
    if (ok && draw_jobs(w, s, vocab_n, seed)) return true;
    qr_workload_destroy(w);
    return qr_failed(why, "out of memory for %u prompts", count);
}

void qr_workload_destroy(struct qr_workload *w)
{
    for (size_t i = 0; i < w->jobs_n; i++) {
        free(w->jobs[i].ids);
        free(w->jobs[i].text);
        free(w->jobs[i].messages);
    }
    for (size_t i = 0; i < w->conversations_n; i++) {
        free(w->histories[i].ids);
        free(w->histories[i].messages);
    }
    free(w->jobs);
    free(w->histories);
    free(w->prefix);
    *w = (struct qr_workload){0};
}

uint32_t qr_workload_input_n(const struct qr_workload *w, size_t index)
{
    const struct qr_job *job = &w->jobs[index];
    if (!job->ids) return 0;
    size_t before = w->histories ? w->histories[job->conversation].ids_n : 0;
    return (uint32_t)(w->prefix_n + before + job->ids_n);
}

/* ---- bodies ------------------------------------------------------------------------- */

static char *put_ids(char *p, const int32_t *ids, size_t n, bool *first)
{
    for (size_t i = 0; i < n; i++) {
        p += sprintf(p, "%s%d", *first ? "" : ",", ids[i]);
        *first = false;
    }
    return p;
}

/* {"role":...,"content":...} as JSON text. */
static char *message_json(const char *role, const char *content)
{
    json_t *message = json_pack("{s:s, s:s}", "role", role, "content", content);
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    return text;
}

/* The prompt or messages member of the body, with its key. */
static char *prompt_json(const struct qr_workload *w, const struct qr_job *job, bool chat,
                         size_t *n)
{
    const struct qr_history *h = w->histories ? &w->histories[job->conversation] : NULL;
    char *out = NULL;
    if (job->ids) {
        size_t ids_n = w->prefix_n + (h ? h->ids_n : 0) + job->ids_n;
        out = malloc(ids_n * 12 + 32);
        if (!out) return NULL;
        char *p = out + sprintf(out, "\"prompt\":[");
        bool first = true;
        p = put_ids(p, w->prefix, w->prefix_n, &first);
        if (h) p = put_ids(p, h->ids, h->ids_n, &first);
        p = put_ids(p, job->ids, job->ids_n, &first);
        p += sprintf(p, "]");
        *n = (size_t)(p - out);
        return out;
    }
    char *own = NULL;
    if (!job->messages) {
        json_t *text = chat ? NULL : json_string(job->text);
        own = chat ? message_json("user", job->text)
                   : json_dumps(text, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(text);
        if (!own) return NULL;
    }
    size_t room = 64 + (own ? strlen(own) : strlen(job->messages)) + (h ? h->messages_n : 0);
    out = malloc(room);
    if (out && job->messages)
        *n = (size_t)snprintf(out, room, "\"messages\":%s", job->messages);
    else if (out && chat)
        *n = (size_t)snprintf(out, room, "\"messages\":[%s%s%s]",
                              h && h->messages_n ? h->messages : "", h && h->messages_n ? "," : "",
                              own);
    else if (out)
        *n = (size_t)snprintf(out, room, "\"prompt\":%s", own);
    free(own);
    return out;
}

char *qr_workload_body(const struct qr_workload *w, size_t index, const struct qr_load_settings *s,
                       const char *model, size_t *body_n)
{
    const struct qr_job *job = &w->jobs[index];
    size_t prompt_n = 0;
    char *prompt = prompt_json(w, job, s->chat, &prompt_n);
    json_t *name = json_string(model);
    char *model_text = name ? json_dumps(name, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(name);
    size_t room = prompt_n + (model_text ? strlen(model_text) : 0) + 320;
    char *body = prompt && model_text ? malloc(room) : NULL;
    if (body) {
        int n = snprintf(body, room,
                         "{\"model\":%s,%s,\"%s\":%u,\"temperature\":%.9g,\"stream\":true,"
                         "\"stream_options\":{\"include_usage\":true}%s%s}",
                         model_text, prompt, s->chat ? "max_completion_tokens" : "max_tokens",
                         job->output_n, s->temperature, s->ignore_eos ? ",\"ignore_eos\":true" : "",
                         w->histories && !s->chat ? ",\"return_token_ids\":true" : "");
        *body_n = (size_t)n;
        assert(*body_n < room);
    }
    free(prompt);
    free(model_text);
    return body;
}

/* ---- conversations ------------------------------------------------------------------ */

static bool append_ids(struct qr_history *h, const int32_t *ids, size_t n)
{
    if (h->ids_n + n > h->ids_room) {
        size_t room = (h->ids_n + n) * 2;
        int32_t *grown = realloc(h->ids, room * sizeof *grown);
        if (!grown) return false;
        h->ids = grown;
        h->ids_room = room;
    }
    if (n) memcpy(h->ids + h->ids_n, ids, n * sizeof *ids);
    h->ids_n += n;
    return true;
}

static bool append_message(struct qr_history *h, const char *role, const char *content)
{
    char *text = message_json(role, content);
    if (!text) return false;
    size_t n = strlen(text);
    bool ok = true;
    if (h->messages_n + n + 2 > h->messages_room) {
        size_t room = (h->messages_n + n + 2) * 2;
        char *grown = realloc(h->messages, room);
        ok = grown != NULL;
        if (ok) {
            h->messages = grown;
            h->messages_room = room;
        }
    }
    if (ok)
        h->messages_n +=
            (size_t)sprintf(h->messages + h->messages_n, "%s%s", h->messages_n ? "," : "", text);
    free(text);
    return ok;
}

bool qr_workload_answer(struct qr_workload *w, size_t index, const struct qr_turn_answer *answer,
                        uint32_t vocab_n, struct qr_random *r)
{
    const struct qr_job *job = &w->jobs[index];
    assert(w->histories);
    struct qr_history *h = &w->histories[job->conversation];
    if (!job->ids)
        return append_message(h, "user", job->text) && append_message(h, "assistant", answer->text);
    if (!append_ids(h, job->ids, job->ids_n) || !append_ids(h, answer->ids, answer->ids_n))
        return false;
    for (uint32_t i = 0; !answer->ids_n && i < answer->output_n; i++) {
        int32_t id = qr_workload_draw(r, vocab_n);
        if (!append_ids(h, &id, 1)) return false;
    }
    return true;
}
