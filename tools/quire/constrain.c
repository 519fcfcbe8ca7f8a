/* SPDX-License-Identifier: MIT */
#include "tools/quire/constrain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/quire/command.h"
#include "tools/quire/source.h"

static const char usage[] =
    "Usage: quire constrain [options] [CASES.jsonl | -]\n"
    "       quire constrain [options] --schema FILE [TEXT | -]\n\n"
    "Without --schema, --grammar or --regex: reads cases (JSON lines: name, schema, tests: "
    "[{valid,\n"
    "data}]), compares what the model's grammars accept with `valid`, and times each token's "
    "mask.\n"
    "With one of them: says up to which byte the grammar accepts a text, what it expected there, "
    "or\n"
    "why it refuses the schema.  Exit status 1: the text is not accepted, or an instance is not\n"
    "accepted or refused as it says.\n";

struct constrain {
    struct qr_source_options where;
    const char *schema, *grammar, *regex;
    bool json, failures;
};

static size_t table(struct qr_option *o, struct constrain *c)
{
    const struct qr_option own[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Grammar and output:", 0, 0, NULL},
        {QR_OPTION_TEXT, "schema", &c->schema, "FILE", "explain a text by this JSON Schema", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "grammar", &c->grammar, "FILE", "explain a text by this grammar (GBNF)", 0,
         0, NULL},
        {QR_OPTION_TEXT, "regex", &c->regex, "PATTERN", "explain a text by this regular expression",
         0, 0, NULL},
        {QR_OPTION_FLAG, "failures", &c->failures, NULL,
         "name each schema that does not pass on standard error", 0, 0, NULL},
        {QR_OPTION_FLAG, "json", &c->json, NULL, "print JSON", 0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };

    memcpy(o, own, sizeof own);
    return sizeof own / sizeof *own +
           qr_source_options(o + sizeof own / sizeof *own, &c->where, false);
}

static char *read_file(const char *path, size_t *n, struct qr_failure *why)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t room = 0;

    *n = 0;
    if (!file) {
        (void)qr_failed(why, "%s: %s", path, strerror(errno));
        return NULL;
    }
    for (size_t got = 1; got; *n += got) {
        if (*n + 65536 > room) {
            room = 2 * room + 65536;
            char *grown = realloc(text, room);
            if (!grown) break;
            text = grown;
        }
        got = fread(text + *n, 1, 65536, file);
    }
    if (!text || ferror(file)) (void)qr_failed(why, "%s cannot be read", path);
    fclose(file);
    return text;
}

/* ---- one text ------------------------------------------------------------------------------- */

static void print_byte(unsigned byte)
{
    if (byte >= 0x20 && byte < 0x7f)
        printf(byte == '\'' ? "\"%c\"" : "'%c'", (int)byte);
    else if (byte == '\n')
        printf("a newline");
    else
        printf("byte 0x%02x", byte);
}

/* "'a' to 'z', '"' or the end" */
static void print_expected(const uint64_t bits[4], bool may_end)
{
    bool first = true;

    printf("expected ");
    for (unsigned b = 0; b < 256; b++) {
        unsigned begin = b;
        if (!(bits[b >> 6] >> (b & 63) & 1)) continue;
        while (b + 1 < 256 && bits[(b + 1) >> 6] >> ((b + 1) & 63) & 1)
            b++;
        if (!first) printf(", ");
        first = false;
        print_byte(begin);
        if (b > begin) printf(b > begin + 1 ? " to " : ", ");
        if (b > begin) print_byte(b);
    }
    printf("%s\n", !may_end ? "" : first ? "the end of the text" : ", or the end of the text");
}

/* The line of the text that a byte is in, up to it. */
static void print_context(const char *text, size_t at)
{
    size_t begin = at;

    while (begin > 0 && at - begin < 60 && text[begin - 1] != '\n')
        begin--;
    while (begin < at && ((unsigned char)text[begin] & 0xc0) == 0x80)
        begin++;
    printf("after: %.*s\n", (int)(at - begin), text + begin);
}

static bool explain(quire_grammar *grammar, const char *text, size_t n, bool *whole,
                    struct qr_failure *why)
{
    quire_matcher *m;
    uint64_t bits[4] = {0};
    size_t at;

    if (quire_grammar_match(grammar, text, n, &at, whole) || quire_matcher_create(grammar, &m))
        return qr_failed(why, "out of memory");
    if (*whole) {
        printf("accepted: all %zu bytes\n", n);
    } else {
        bool may_end = false;
        size_t end;
        int status = quire_matcher_accept_text(m, text, at);
        if (!status) status = quire_matcher_bytes(m, bits);
        if (!status) status = quire_grammar_match(grammar, text, at, &end, &may_end);
        if (status) {
            quire_matcher_free(m);
            return qr_failed(why, "%s", quire_status_text(status));
        }
        printf("accepted: %zu of %zu bytes; %s\n", at, n,
               at < n ? "the next one is refused" : "the text is not complete");
        print_context(text, at);
        if (at < n) {
            printf("found ");
            print_byte((unsigned char)text[at]);
            putchar('\n');
        }
        print_expected(bits, may_end);
    }
    quire_matcher_free(m);
    return true;
}

static int explain_text(quire_model *model, const struct constrain *c, const char *argument,
                        struct qr_failure *why)
{
    struct quire_grammar_settings settings;
    struct quire_error error;
    quire_grammar *grammar = NULL;
    char *source = NULL, *text = NULL;
    size_t source_n = 0, text_n = 0;
    bool ok = true, whole = false;

    quire_grammar_settings_defaults(&settings);
    if (!c->regex) {
        source = read_file(c->schema ? c->schema : c->grammar, &source_n, why);
        ok = source != NULL;
    }
    struct quire_text given = {source, source_n};
    if (c->schema) settings.json_schema = given;
    if (c->grammar) settings.gbnf = given;
    if (c->regex) settings.regex = (struct quire_text){c->regex, strlen(c->regex)};
    if (ok && quire_grammar_compile(model, &settings, &grammar, &error))
        ok = qr_failed(why, "refused: %s", error.text);
    if (ok && argument && strcmp(argument, "-") != 0)
        ok = explain(grammar, argument, strlen(argument), &whole, why);
    else if (ok)
        ok = qr_command_read_input(&text, &text_n, why) &&
             explain(grammar, text, text_n, &whole, why);
    quire_grammar_free(grammar);
    free(source);
    free(text);
    if (!ok) return QR_EXIT_FAILED;
    why->text[0] = 0;
    return whole ? QR_EXIT_FINE : QR_EXIT_FAILED;
}

/* ---- cases ---------------------------------------------------------------------------------- */

static int run_cases(quire_model *model, const struct constrain *c, const char *path,
                     struct qr_failure *why)
{
    struct qr_constrain_figures figures;
    const bool from_input = !path || strcmp(path, "-") == 0;
    FILE *in = from_input ? stdin : fopen(path, "rb");

    if (!in) {
        (void)qr_failed(why, "%s: %s", path, strerror(errno));
        return QR_EXIT_FAILED;
    }
    bool ok = qr_constrain_cases(model, in, c->failures ? stderr : NULL, &figures, why);
    if (ok && !qr_constrain_print(&figures, c->json, stdout)) ok = qr_failed(why, "out of memory");
    const bool clean = figures.validation_error + figures.invalidation_error == 0;
    qr_constrain_figures_free(&figures);
    if (!from_input) fclose(in);
    return ok && clean ? QR_EXIT_FINE : QR_EXIT_FAILED;
}

int qr_command_constrain(int argc, char **argv)
{
    struct constrain c = {0};
    struct qr_option options[7 + QR_SOURCE_OPTIONS_N];
    const struct qr_command_syntax syntax = {usage, options, table(options, &c)};
    struct qr_failure why = {""};
    struct qr_arguments arguments;
    struct qr_source source;
    int code;

    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    const size_t arguments_n = arguments.n;
    const char *argument = arguments_n ? arguments.items[0] : NULL;
    free(arguments.items);
    if (arguments_n > 1 || !!c.schema + !!c.grammar + !!c.regex > 1) {
        (void)qr_failed(&why, "%s",
                        arguments_n > 1 ? "more than one argument; expected one file or text"
                                        : "expected one of --schema, --grammar and --regex");
        return qr_command_fail(QR_EXIT_USAGE, &why);
    }
    code = qr_source_open(&source, &c.where, false, &why);
    if (code == QR_EXIT_FINE) {
        code = c.schema || c.grammar || c.regex ? explain_text(source.model, &c, argument, &why)
                                                : run_cases(source.model, &c, argument, &why);
        qr_source_close(&source);
    }
    return code == QR_EXIT_FINE || !why.text[0] ? code : qr_command_fail((enum qr_exit)code, &why);
}
