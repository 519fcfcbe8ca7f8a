/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/loadgen/workload.h"

#define FILE_MAX (1u << 30) /* ShareGPT's whole file is 670 MB */

static char *read_file(const char *path, size_t *n, struct qr_failure *why)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        qr_failed(why, "cannot open %s", path);
        return NULL;
    }
    char *bytes = NULL;
    size_t room = 0;
    *n = 0;
    for (;;) {
        if (*n + 1 >= room) {
            size_t wanted = room ? room * 2 : 1u << 16;
            char *grown = wanted <= 2 * (size_t)FILE_MAX ? realloc(bytes, wanted) : NULL;
            if (!grown) break;
            bytes = grown;
            room = wanted;
        }
        size_t got = fread(bytes + *n, 1, room - *n - 1, file);
        *n += got;
        if (!got) {
            bool bad = ferror(file);
            fclose(file);
            bytes[*n] = 0;
            if (!bad) return bytes;
            qr_failed(why, "cannot read %s", path);
            free(bytes);
            return NULL;
        }
    }
    fclose(file);
    free(bytes);
    qr_failed(why, "%s does not fit into memory", path);
    return NULL;
}

/* Ids from a JSON array of numbers.  NULL: it has something else, or no memory. */
static int32_t *ids_of(const json_t *array, size_t *n)
{
    *n = json_array_size(array);
    int32_t *ids = *n ? malloc(*n * sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < *n; i++) {
        const json_t *item = json_array_get(array, i);
        json_int_t v = json_integer_value(item);
        if (!json_is_integer(item) || v < 0 || v > INT32_MAX) {
            free(ids);
            return NULL;
        }
        ids[i] = (int32_t)v;
    }
    return ids;
}

static uint32_t wanted_tokens(const json_t *row, uint32_t otherwise)
{
    static const char *const keys[] = {"output_tokens", "max_tokens", "output_len"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        json_int_t v = json_integer_value(json_object_get(row, keys[k]));
        if (v > 0 && v < 1000000) return (uint32_t)v;
    }
    return otherwise;
}

/* Reads a row of JSON.  False: it has no prompt that the endpoint takes. */
static bool job_of(struct qr_job *job, const json_t *row, const struct qr_load_settings *s)
{
    job->output_n = wanted_tokens(row, s->output_n);
    const json_t *prompt = json_object_get(row, "prompt");
    const json_t *messages = json_object_get(row, "messages");
    const json_t *talk = json_object_get(row, "conversations"); /* ShareGPT */
    if (json_is_string(row)) prompt = row;
    if (json_array_size(talk)) prompt = json_object_get(json_array_get(talk, 0), "value");
    if (json_is_array(messages) && s->chat) {
        job->messages = json_dumps(messages, JSON_COMPACT);
        return job->messages != NULL;
    }
    if (json_is_string(prompt)) {
        job->text = strdup(json_string_value(prompt));
        return job->text && job->text[0];
    }
    if (json_is_array(prompt) && !s->chat) {
        job->ids = ids_of(prompt, &job->ids_n);
        return job->ids != NULL;
    }
    return false;
}

static bool copy_job(struct qr_job *to, const struct qr_job *from)
{
    *to = *from;
    to->ids = from->ids ? malloc(from->ids_n * sizeof *to->ids) : NULL;
    if (to->ids) memcpy(to->ids, from->ids, from->ids_n * sizeof *to->ids);
    to->text = from->text ? strdup(from->text) : NULL;
    to->messages = from->messages ? strdup(from->messages) : NULL;
    return !from->ids == !to->ids && !from->text == !to->text && !from->messages == !to->messages;
}

static bool bad_row(const struct qr_load_settings *s, size_t row, struct qr_failure *why)
{
    return qr_failed(
        why,
        "%s, row %zu has no prompt for --endpoint %s; expected \"prompt\" (a text%s), %s"
        "or ShareGPT's \"conversations\"",
        s->dataset_path, row + 1, s->chat ? "chat" : "completions", s->chat ? "" : " or token ids",
        s->chat ? "\"messages\" " : "");
}

static bool read_array(struct qr_workload *w, const json_t *array, const struct qr_load_settings *s,
                       uint32_t count, struct qr_failure *why)
{
    for (size_t i = 0; i < json_array_size(array) && w->jobs_n < count; i++)
        if (!job_of(&w->jobs[w->jobs_n++], json_array_get(array, i), s)) return bad_row(s, i, why);
    return true;
}

static bool read_lines(struct qr_workload *w, char *bytes, size_t n,
                       const struct qr_load_settings *s, uint32_t count, struct qr_failure *why)
{
    size_t row = 0;
    for (char *line = bytes; line < bytes + n && w->jobs_n < count; row++) {
        char *end = memchr(line, '\n', (size_t)(bytes + n - line));
        if (!end) end = bytes + n;
        size_t line_n = (size_t)(end - line);
        while (line_n && (line[line_n - 1] == '\r' || line[line_n - 1] == ' '))
            line_n--;
        if (line_n) {
            struct qr_job *job = &w->jobs[w->jobs_n++];
            if (line[0] == '{') {
                json_t *json = json_loadb(line, line_n, 0, NULL);
                bool ok = json && job_of(job, json, s);
                json_decref(json);
                if (!ok) return bad_row(s, row, why);
            } else {
                job->output_n = s->output_n;
                job->text = strndup(line, line_n);
                if (!job->text) return qr_failed(why, "out of memory");
            }
        }
        line = end + 1;
    }
    return true;
}

bool qr_dataset_read(struct qr_workload *w, const struct qr_load_settings *s, uint32_t count,
                     struct qr_failure *why)
{
    size_t n;
    char *bytes = read_file(s->dataset_path, &n, why);
    if (!bytes) return false;
    w->jobs = calloc(count, sizeof *w->jobs);
    if (!w->jobs) {
        free(bytes);
        return qr_failed(why, "out of memory for %u prompts", count);
    }
    json_t *array = bytes[strspn(bytes, " \t\r\n")] == '[' ? json_loadb(bytes, n, 0, NULL) : NULL;
    bool ok = json_is_array(array) ? read_array(w, array, s, count, why)
                                   : read_lines(w, bytes, n, s, count, why);
    json_decref(array);
    free(bytes);
    if (!ok) return false;
    if (!w->jobs_n) return qr_failed(why, "%s has no prompts", s->dataset_path);
    for (size_t rows_n = w->jobs_n; w->jobs_n < count; w->jobs_n++)
        if (!copy_job(&w->jobs[w->jobs_n], &w->jobs[w->jobs_n % rows_n])) {
            w->jobs_n++;
            return qr_failed(why, "out of memory for %u prompts", count);
        }
    for (size_t i = 0; i < w->jobs_n; i++)
        w->jobs[i].conversation = (uint32_t)i;
    return true;
}
