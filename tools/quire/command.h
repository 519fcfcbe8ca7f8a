/* SPDX-License-Identifier: MIT */
/* command -- the subcommands of `quire`, and the exit codes that they share.
 *
 * Thread: the main one. */
#ifndef QR_QUIRE_COMMAND_H
#define QR_QUIRE_COMMAND_H

#include "tools/client/failure.h"
#include "tools/client/options.h"

enum qr_exit {
    QR_EXIT_FINE = 0,
    QR_EXIT_FAILED = 1, /* while running */
    QR_EXIT_USAGE = 2,
    QR_EXIT_MODEL = 3 /* a model that cannot be loaded */
};

/* argv[0] is the subcommand's name. */
typedef int qr_command_fn(int argc, char **argv);
qr_command_fn qr_command_generate, qr_command_chat, qr_command_tokenize, qr_command_detokenize,
    qr_command_inspect, qr_command_bench, qr_command_top;

/* Reads a subcommand's options and arguments (allocated: free()).  Prints help (usage, then the
 * table) or the mistake.  True: go on; false: leave with *code. */
bool qr_command_read(const char *usage, const struct qr_option *options, size_t options_n, int argc,
                     char **argv, const char ***arguments, size_t *arguments_n, int *code);

/* Prints "quire: why" and returns the code. */
int qr_command_fail(enum qr_exit code, const struct qr_failure *why);

/* All of standard input, ended by a NUL not counted; free(). */
bool qr_command_read_input(char **text, size_t *text_n, struct qr_failure *why);

#endif
