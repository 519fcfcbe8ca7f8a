/* SPDX-License-Identifier: MIT */
#include "tools/client/options.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/bytes.h"

bool qr_options_parse_real(const char *text, double *value)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || *end || isnan(v) || (errno == ERANGE && fabs(v) > 1)) return false;
    *value = v;
    return true;
}

bool qr_options_parse_bytes(const char *text, uint64_t *bytes)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || !(v >= 0)) return false;
    double unit = 1;
    switch (*end) {
    case 'k':
    case 'K': unit = 1024.0; break;
    case 'm':
    case 'M': unit = 1024.0 * 1024; break;
    case 'g':
    case 'G': unit = 1024.0 * 1024 * 1024; break;
    case 't':
    case 'T': unit = 1024.0 * 1024 * 1024 * 1024; break;
    default: break;
    }
    if (unit > 1) end++;
    if (*end == 'i' && unit > 1) end++;
    if (*end == 'B' || *end == 'b') end++;
    if (*end || v * unit >= 9e18) return false;
    *bytes = (uint64_t)(v * unit);
    return true;
}

bool qr_options_parse_ids(const char *text, int32_t **ids, size_t *ids_n, struct qr_failure *why)
{
    size_t room = strlen(text) / 2 + 1; /* an id takes a digit and a separator */
    int32_t *out = malloc(room * sizeof *out);
    if (!out) return qr_failed(why, "out of memory");
    size_t n = 0;
    for (const char *p = text; *p;) {
        if (strchr(" \t\r\n,[]", *p)) {
            p++;
            continue;
        }
        char *end;
        errno = 0;
        long v = strtol(p, &end, 10);
        if (end == p || errno || v < 0 || v > INT32_MAX || (*end && !strchr(" \t\r\n,]", *end))) {
            free(out);
            return qr_failed(why, "'%.20s' is not a token id; expected a number from 0 to %d", p,
                             INT32_MAX);
        }
        assert(n < room);
        out[n++] = (int32_t)v;
        p = end;
    }
    *ids = out;
    *ids_n = n;
    return true;
}

static const struct qr_option *find(const struct qr_option *options, size_t n, const char *name,
                                    size_t name_n)
{
    for (size_t i = 0; i < n; i++) {
        if (options[i].kind == QR_OPTION_HEADING) continue;
        if (qr_bytes_are(name, name_n, options[i].name)) return &options[i];
    }
    return NULL;
}

/* A number's range: the option's own, or its kind's. */
static void range(const struct qr_option *o, double *min, double *max)
{
    *min = o->min;
    *max = o->max;
    if (*min == 0 && *max == 0) {
        *min = o->kind == QR_OPTION_COUNT ? 0 : -HUGE_VAL;
        *max = o->kind == QR_OPTION_COUNT ? UINT32_MAX : HUGE_VAL;
    }
}

static bool number(const struct qr_option *o, const char *text, struct qr_failure *why)
{
    double v, min, max;
    range(o, &min, &max);
    bool whole = o->kind != QR_OPTION_REAL;
    if (!qr_options_parse_real(text, &v) || (whole && (v != floor(v) || fabs(v) > 9e15)))
        return qr_failed(why, "--%s takes a %snumber, not '%.40s'", o->name, whole ? "whole " : "",
                         text);
    if (v < min || v > max) {
        if (max == HUGE_VAL)
            return qr_failed(why, "--%s takes a number from %.15g, not %.40s", o->name, min, text);
        return qr_failed(why, "--%s takes a number from %.15g to %.15g, not %.40s", o->name, min,
                         max, text);
    }
    if (o->kind == QR_OPTION_COUNT)
        *(uint32_t *)o->value = (uint32_t)v;
    else if (o->kind == QR_OPTION_SIGNED)
        *(int64_t *)o->value = (int64_t)v;
    else
        *(double *)o->value = v;
    return true;
}

static bool append(const struct qr_option *o, const char *text, struct qr_failure *why)
{
    struct qr_option_list *list = o->value;
    if (list->items_n == QR_OPTION_ITEMS_MAX)
        return qr_failed(why, "--%s may be given at most %d times", o->name, QR_OPTION_ITEMS_MAX);
    list->items[list->items_n++] = text;
    return true;
}

static bool set(const struct qr_option *o, const char *text, struct qr_failure *why)
{
    switch (o->kind) {
    case QR_OPTION_TEXT: *(const char **)o->value = text; return true;
    case QR_OPTION_LIST:
    case QR_OPTION_MANY: return append(o, text, why);
    case QR_OPTION_BYTES:
        if (!qr_options_parse_bytes(text, o->value))
            return qr_failed(why, "--%s takes a size like 512M or 4G, not '%.40s'", o->name, text);
        return true;
    default: return number(o, text, why);
    }
}

enum qr_options_result qr_options_read(const struct qr_option *options, size_t options_n, int argc,
                                       char **argv, struct qr_arguments *arguments,
                                       struct qr_failure *why)
{
    arguments->n = 0;
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (ended || word[0] != '-' || !word[1]) { /* "-" alone is an argument: standard input */
            arguments->items[arguments->n++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            ended = true;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) return QR_OPTIONS_HELP;
        const char *name = word + (word[1] == '-' ? 2 : 1);
        const char *equals = strchr(name, '=');
        size_t name_n = equals ? (size_t)(equals - name) : strlen(name);
        const struct qr_option *o = word[1] == '-' ? find(options, options_n, name, name_n) : NULL;
        if (!o) {
            qr_failed(why, "unknown option %.60s (--help lists them)", word);
            return QR_OPTIONS_BAD;
        }
        if (o->given) *o->given = true;
        if (o->kind == QR_OPTION_FLAG) {
            if (equals) {
                qr_failed(why, "--%s takes no value", o->name);
                return QR_OPTIONS_BAD;
            }
            *(bool *)o->value = true;
            continue;
        }
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value) {
            qr_failed(why, "--%s needs a value: %s", o->name, o->argument);
            return QR_OPTIONS_BAD;
        }
        if (!set(o, value, why)) return QR_OPTIONS_BAD;
        while (o->kind == QR_OPTION_MANY && i + 1 < argc && argv[i + 1][0] != '-')
            if (!set(o, argv[++i], why)) return QR_OPTIONS_BAD;
    }
    return QR_OPTIONS_OK;
}

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

/* Prints a word, on a new line of the help column if it does not fit.  Returns the column. */
static int put_word(FILE *out, int column, const char *word, size_t word_n)
{
    if (column > HELP_COLUMN && column + 1 + (int)word_n > HELP_WIDTH)
        column = fprintf(out, "\n%*s", HELP_COLUMN, "") - 1;
    else if (column > HELP_COLUMN)
        column += fprintf(out, " ");
    return column + fprintf(out, "%.*s", (int)word_n, word);
}

void qr_options_help(FILE *out, const struct qr_option *options, size_t options_n)
{
    for (size_t i = 0; i < options_n; i++) {
        const struct qr_option *o = &options[i];
        if (o->kind == QR_OPTION_HEADING) {
            fprintf(out, "\n%s\n", o->help);
            continue;
        }
        int column = fprintf(out, "  --%s%s%s", o->name, o->argument ? " " : "",
                             o->argument ? o->argument : "");
        if (column >= HELP_COLUMN) column = fprintf(out, "\n") - 1;
        column += fprintf(out, "%*s", HELP_COLUMN - column, "");
        for (const char *p = o->help; *p; p += *p == ' ') {
            size_t word_n = strcspn(p, " ");
            column = put_word(out, column, p, word_n);
            p += word_n;
        }
        fputc('\n', out);
    }
}
