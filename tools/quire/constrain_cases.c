/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/quire/answer.h"
#include "tools/quire/constrain.h"

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* ---- the line's own text -------------------------------------------------------------------- */

/* Values are taken from the line as they are written there: a parser would change numbers of more
 * than 64 bits and refuse NUL in a key.  jansson has read the line, or all of it but those. */

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1]) at++;
    return *at ? at + 1 : at;
}

/* Past the value that begins at `at`. */
static const char *skip_value(const char *at)
{
    size_t depth = 0;

    do {
        at = skip_space(at);
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if ((*at == '}' || *at == ']') && depth) {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
            continue; /* a value follows, or depth is above 0 */
        } else {
            at += strcspn(at, ",:]} \t\r\n");
        }
        at = skip_space(at);
    } while (*at && depth);
    return at;
}

/* The value of a key of the object that begins at `object`; data NULL: there is none. */
static struct quire_text member(const char *object, const char *key)
{
    const size_t key_n = strlen(key);
    const char *at = skip_space(object);

    if (*at != '{') return (struct quire_text){NULL, 0};
    for (at = skip_space(at + 1); *at == '"';) {
        const char *name = at + 1, *value = skip_space(skip_string(at));
        if (*value == ':') value = skip_space(value + 1);
        const char *end = skip_value(value);
        if (strncmp(name, key, key_n) == 0 && name[key_n] == '"')
            return (struct quire_text){value, (size_t)(end - value)};
        at = *end == ',' ? skip_space(end + 1) : end;
    }
    return (struct quire_text){NULL, 0};
}

/* ---- texts as Python writes them ------------------------------------------------------------ */

static size_t put_code(char *out, uint32_t code)
{
    if (code < 0x80) return (size_t)(out[0] = (char)code, 1);
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

static uint32_t hex4(const char *at)
{
    char digits[5] = {0};

    memcpy(digits, at, 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* An escape \uXXXX, with its second half; what has to be escaped stays so. */
static size_t put_escape(char *out, const char **at)
{
    static const char codes[] = "\n\r\t\f\b\"\\", letters[] = "nrtfb\"\\";
    uint32_t code = hex4(*at + 2), low;
    const char *known = code ? strchr(codes, (int)code) : NULL;

    *at += 6;
    if (known && code < 0x80) {
        memcpy(out, (char[]){'\\', letters[known - codes]}, 2);
        return 2;
    }
    if (code >= 0xd800 && code < 0xdc00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            return put_code(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    if (code >= 0x20 && (code < 0xd800 || code >= 0xe000)) return put_code(out, code);
    memcpy(out, *at - 6, 6);
    return 6;
}

/* Items apart by ", " and keys by ": ", characters as themselves, numbers as they are written.
 * Never longer than twice the value.  NULL: no memory. */
static char *python_text(struct quire_text value, size_t *n)
{
    const char *at = value.data, *end = value.data + value.n;
    char *text = malloc(2 * value.n + 8), *out = text;
    bool inside = false;

    if (!text) return NULL;
    while (at < end) {
        if (inside && at[0] == '\\' && at[1] == 'u' && end - at >= 6) {
            out += put_escape(out, &at);
        } else if (inside && at[0] == '\\') {
            if (at[1] != '/') *out++ = '\\';
            *out++ = at[1];
            at += 2;
        } else if (!inside && strchr(" \t\r\n", *at)) {
            at++;
        } else {
            if (*at == '"') inside = !inside;
            *out++ = *at;
            if (!inside && (*at == ',' || *at == ':')) *out++ = ' ';
            at++;
        }
    }
    *n = (size_t)(out - text);
    return text;
}

/* ---- one case ------------------------------------------------------------------------------- */

struct constrain_bench {
    quire_model *model;
    struct qr_constrain_figures *figures;
    FILE *failures;
    uint64_t *bits;
    struct qr_failure *why;
    const char *name; /* of the schema */
    bool sentencepiece;
};

static bool add_time(struct qr_mask_times *times, double us)
{
    if (times->n == times->room) {
        size_t room = 2 * times->room + 1024;
        double *grown = realloc(times->all, room * sizeof *grown);
        if (!grown) return false;
        times->all = grown;
        times->room = room;
    }
    times->all[times->n++] = us;
    return true;
}

/* Whether the grammar accepts the tokens and the text may end; *at: how many it accepted. */
static bool accepts(struct constrain_bench *b, quire_grammar *grammar, const int32_t *ids,
                    size_t ids_n, size_t *at)
{
    quire_matcher *m;
    bool may_end = false, ok = true;

    *at = 0;
    if (quire_matcher_create(grammar, &m)) return false;
    for (; ok && *at < ids_n; *at += ok) {
        const uint32_t id = (uint32_t)ids[*at];
        double begin = now_us();
        ok = quire_matcher_mask(m, b->bits, NULL) == QUIRE_OK;
        (void)add_time(&b->figures->masks, now_us() - begin);
        b->figures->tokens++;
        ok = ok && (b->bits[id >> 6] >> (id & 63) & 1) &&
             quire_matcher_accept(m, (int32_t)id) == QUIRE_OK;
    }
    ok = ok && quire_matcher_mask(m, b->bits, &may_end) == QUIRE_OK && may_end;
    quire_matcher_free(m);
    return ok;
}

/* The tokens of a text that goes on.  SentencePiece begins a text with a space, so a newline, which
 * is a token of its own, is put before it and dropped with what it begins with.  text has room for
 * one byte more. */
static bool tokenize(struct constrain_bench *b, char *text, size_t text_n, int32_t **ids,
                     size_t *ids_n)
{
    size_t skip = 0;

    if (b->sentencepiece) {
        memmove(text + 1, text, text_n);
        text[0] = '\n';
    }
    const struct quire_text whole = {text, text_n + b->sentencepiece};
    if (!qr_answer_tokenize(b->model, whole, 0, ids, ids_n, b->why)) return false;
    for (bool found = !b->sentencepiece; !found && skip < *ids_n; skip++) {
        char one;
        size_t n;
        found = quire_detokenize(b->model, *ids + skip, 1, 0, &one, 1, &n) == QUIRE_OK && n == 1 &&
                one == '\n';
    }
    *ids_n -= skip;
    memmove(*ids, *ids + skip, *ids_n * sizeof **ids);
    return true;
}

enum case_verdict { PASSING, VALID_REFUSED, INVALID_ACCEPTED, NO_MEMORY };

static enum case_verdict try_instance(struct constrain_bench *b, quire_grammar *grammar,
                                      size_t index, const char *test)
{
    const struct quire_text said = member(test, "valid"), data = member(test, "data");
    const bool valid = said.n && said.data[0] == 't';
    int32_t *ids;
    size_t text_n, ids_n, at;
    char *text = data.n ? python_text(data, &text_n) : NULL;

    if (!text || !tokenize(b, text, text_n, &ids, &ids_n)) {
        if (!text) (void)qr_failed(b->why, "%s: test %zu has no data", b->name, index);
        free(text);
        return NO_MEMORY;
    }
    const bool ok = accepts(b, grammar, ids, ids_n, &at);
    free(ids);
    free(text);
    if (ok == valid) return PASSING;
    if (b->failures)
        fprintf(b->failures, "%s: %s at token %zu of %zu in test %zu\n", b->name,
                valid ? "validation error" : "invalidation error", at, ids_n, index);
    return valid ? VALID_REFUSED : INVALID_ACCEPTED;
}

/* *grammar NULL: the schema was refused. */
static bool compile(struct constrain_bench *b, struct quire_text schema, quire_grammar **grammar)
{
    struct quire_grammar_settings settings;
    struct quire_error error;
    quire_matcher *m = NULL;

    quire_grammar_settings_defaults(&settings);
    settings.json_schema = schema;
    const double begin = now_us();
    int status = quire_grammar_compile(b->model, &settings, grammar, &error);
    if (status) {
        b->figures->compile_error++;
        if (b->failures) fprintf(b->failures, "%s: compile error: %s\n", b->name, error.text);
        return status != QUIRE_NO_MEMORY || qr_failed(b->why, "out of memory");
    }
    if (!quire_matcher_create(*grammar, &m)) (void)quire_matcher_mask(m, b->bits, NULL);
    const double us = now_us() - begin;
    quire_matcher_free(m);
    return add_time(&b->figures->first_masks, us) || qr_failed(b->why, "out of memory");
}

static bool run_case(struct constrain_bench *b, const char *line)
{
    const struct quire_text tests = member(line, "tests");
    enum case_verdict worst = PASSING;
    quire_grammar *grammar = NULL;

    b->figures->schemas++;
    bool ok = compile(b, member(line, "schema"), &grammar);
    const char *at = tests.n ? skip_space(tests.data + 1) : "";
    for (size_t i = 0; grammar && *at == '{' && worst != NO_MEMORY; i++) {
        enum case_verdict v = try_instance(b, grammar, i, at);
        if (v > worst) worst = v;
        at = skip_value(at);
        if (*at == ',') at = skip_space(at + 1);
    }
    b->figures->passing += grammar && worst == PASSING;
    b->figures->validation_error += worst == VALID_REFUSED;
    b->figures->invalidation_error += worst == INVALID_ACCEPTED;
    quire_grammar_free(grammar);
    return ok && worst != NO_MEMORY;
}

/* Whether a line is a case; its name is copied. */
static bool check_case(struct constrain_bench *b, const char *line, size_t n, char *name,
                       size_t name_size, uint64_t number)
{
    json_error_t error;
    json_t *one = json_loadb(line, n, JSON_ALLOW_NUL, &error);
    const bool read = one || json_error_code(&error) == json_error_numeric_overflow ||
                      json_error_code(&error) == json_error_null_byte_in_key;
    const struct quire_text given = member(line, "name"), tests = member(line, "tests");

    json_decref(one);
    snprintf(name, name_size, "%.*s", given.n > 2 ? (int)given.n - 2 : 0,
             given.n > 2 ? given.data + 1 : "");
    if (!read) return qr_failed(b->why, "line %" PRIu64 " is no case: %s", number, error.text);
    if (!member(line, "schema").n || (tests.n && tests.data[0] != '['))
        return qr_failed(b->why, "line %" PRIu64 " is no case: expected a schema and a list, tests",
                         number);
    return true;
}

bool qr_constrain_cases(quire_model *model, FILE *in, FILE *failures,
                        struct qr_constrain_figures *figures, struct qr_failure *why)
{
    struct quire_model_info info = {.size = sizeof info};
    struct quire_grammar_settings settings;
    quire_grammar *grammar = NULL;
    char *line = NULL;
    size_t room = 0;
    bool ok = true;

    *figures = (struct qr_constrain_figures){0};
    quire_model_info(model, &info);
    struct constrain_bench b = {
        .model = model, .figures = figures, .failures = failures, .why = why};
    b.sentencepiece = info.tokenizer_split && strcmp(info.tokenizer_split, "none") == 0;
    b.bits = calloc((info.vocab_n + 63) / 64, sizeof *b.bits);
    if (!b.bits) return qr_failed(why, "out of memory");
    /* the vocabulary is prepared with the first grammar */
    quire_grammar_settings_defaults(&settings);
    settings.regex = (struct quire_text){"x", 1};
    struct quire_error error;
    if (quire_grammar_compile(model, &settings, &grammar, &error))
        ok = qr_failed(why, "%s", error.text);
    quire_grammar_free(grammar);
    for (uint64_t number = 1; ok; number++) {
        ssize_t n = getline(&line, &room, in);
        if (n < 0) break;
        if ((size_t)n == strspn(line, " \t\r\n")) continue;
        char name[200];
        b.name = name;
        ok = check_case(&b, line, (size_t)n, name, sizeof name, number) && run_case(&b, line);
    }
    free(line);
    free(b.bits);
    return ok;
}

/* ---- figures -------------------------------------------------------------------------------- */

void qr_constrain_figures_free(struct qr_constrain_figures *figures)
{
    free(figures->masks.all);
    free(figures->first_masks.all);
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static const struct {
    const char *name;
    double share;
} shares[] = {{"p50", 0.5}, {"p75", 0.75}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1}};
#define SHARES_N (sizeof shares / sizeof shares[0])

/* The mean, then the shares. */
static void sum_up(struct qr_mask_times *times, double out[1 + SHARES_N])
{
    double sum = 0;

    if (times->n) qsort(times->all, times->n, sizeof *times->all, compare_times);
    for (size_t i = 0; i < times->n; i++)
        sum += times->all[i];
    out[0] = times->n ? sum / (double)times->n : 0;
    for (size_t i = 0; i < SHARES_N; i++) {
        size_t at = (size_t)(shares[i].share * (double)times->n);
        out[1 + i] = times->n ? times->all[at < times->n ? at : times->n - 1] : 0;
    }
}

static json_t *times_json(const double *values)
{
    json_t *object = json_pack("{s:f}", "avg", values[0]);

    for (size_t i = 0; i < SHARES_N; i++)
        json_object_set_new(object, shares[i].name, json_real(values[1 + i]));
    return object;
}

bool qr_constrain_print(struct qr_constrain_figures *f, bool json, FILE *out)
{
    double masks[1 + SHARES_N], first[1 + SHARES_N];

    sum_up(&f->masks, masks);
    sum_up(&f->first_masks, first);
    if (json) {
        json_t *all = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "schemas",
                                (json_int_t)f->schemas, "passing", (json_int_t)f->passing,
                                "compile_error", (json_int_t)f->compile_error, "validation_error",
                                (json_int_t)f->validation_error, "invalidation_error",
                                (json_int_t)f->invalidation_error, "tokens", (json_int_t)f->tokens,
                                "tbm_us", times_json(masks), "ttfm_us", times_json(first));
        bool ok = all && json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
        fputc('\n', out);
        json_decref(all);
        return ok;
    }
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"passing", f->passing},
                  {"compile error", f->compile_error},
                  {"validation error", f->validation_error},
                  {"invalidation error", f->invalidation_error}};
    fprintf(out, "%-20s %8" PRIu64 "\n", "schemas", f->schemas);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        fprintf(out, "%-20s %8" PRIu64 "  %5.1f %%\n", counts[i].name, counts[i].n,
                f->schemas ? 100.0 * (double)counts[i].n / (double)f->schemas : 0);
    fprintf(out, "%-20s %8" PRIu64 "\n\n%-20s %8s", "tokens", f->tokens, "microseconds", "avg");
    for (size_t i = 0; i < SHARES_N; i++)
        fprintf(out, " %8s", shares[i].name);
    for (size_t row = 0; row < 2; row++) {
        fprintf(out, "\n%-20s", row ? "first mask" : "mask");
        for (size_t i = 0; i < 1 + SHARES_N; i++)
            fprintf(out, " %8.1f", row ? first[i] : masks[i]);
    }
    fputc('\n', out);
    return true;
}
