/* SPDX-License-Identifier: MIT */
#include "tools/quire/command.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX ((size_t)1 << 30)

bool qr_command_read(const struct qr_command_syntax *syntax, int argc, char **argv,
                     struct qr_arguments *arguments, int *code)
{
    struct qr_failure why = {""};
    *arguments = (struct qr_arguments){.items = calloc((size_t)argc, sizeof *arguments->items)};
    if (!arguments->items) {
        qr_failed(&why, "out of memory");
        *code = qr_command_fail(QR_EXIT_FAILED, &why);
        return false;
    }
    switch (
        qr_options_read(syntax->options, syntax->options_n, argc - 1, argv + 1, arguments, &why)) {
    case QR_OPTIONS_OK: return true;
    case QR_OPTIONS_HELP:
        fputs(syntax->usage, stdout);
        qr_options_help(stdout, syntax->options, syntax->options_n);
        *code = QR_EXIT_FINE;
        break;
    case QR_OPTIONS_BAD: *code = qr_command_fail(QR_EXIT_USAGE, &why); break;
    }
    free(arguments->items);
    arguments->items = NULL;
    return false;
}

int qr_command_fail(enum qr_exit code, const struct qr_failure *why)
{
    fprintf(stderr, "quire: %s\n", why->text);
    return (int)code;
}

bool qr_command_read_input(char **text, size_t *text_n, struct qr_failure *why)
{
    size_t room = 1u << 16, n = 0;
    char *bytes = malloc(room);
    while (bytes) {
        n += fread(bytes + n, 1, room - n - 1, stdin);
        if (n < room - 1) break;
        char *grown = room < INPUT_MAX ? realloc(bytes, room * 2) : NULL;
        if (!grown) {
            free(bytes);
            bytes = NULL;
            break;
        }
        bytes = grown;
        room *= 2;
    }
    if (!bytes) return qr_failed(why, "standard input does not fit into memory");
    bytes[n] = 0;
    *text = bytes;
    *text_n = n;
    return true;
}
