/* SPDX-License-Identifier: MIT */
/* options -- reads a command line by a table, and prints its help from the same table.
 *
 * `--name value` and `--name=value` mean the same.  `--` ends the options.  Other words are
 * arguments, in order.  A value out of its range is an error that names the option, what was given
 * and what was expected.
 *
 * Thread: any.   Memory: the caller's; texts point into argv. */
#ifndef QR_CLIENT_OPTIONS_H
#define QR_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/client/failure.h"

enum qr_option_kind {
    QR_OPTION_HEADING, /* a line of the help, not an option */
    QR_OPTION_FLAG,    /* bool: true if given */
    QR_OPTION_TEXT,    /* const char * */
    QR_OPTION_COUNT,   /* uint32_t in [min, max] */
    QR_OPTION_SIGNED,  /* int64_t in [min, max] */
    QR_OPTION_REAL,    /* double in [min, max]; "inf" is a number */
    QR_OPTION_BYTES,   /* uint64_t: 512M, 4G; K, M and G are powers of 1,024 */
    QR_OPTION_LIST,    /* struct qr_option_list: may be repeated */
    QR_OPTION_MANY     /* the same, and takes all words up to the next option */
};

#define QR_OPTION_ITEMS_MAX 64

struct qr_option_list {
    const char *items[QR_OPTION_ITEMS_MAX];
    size_t items_n;
};

struct qr_option {
    enum qr_option_kind kind;
    const char *name;     /* without the dashes */
    void *value;          /* its type depends on kind */
    const char *argument; /* the value's name in the help */
    const char *help;     /* one line; qr_options_help folds it */
    double min, max;      /* both 0: the range of the kind */
    bool *given;          /* set if the option was given; may be NULL */
};

enum qr_options_result { QR_OPTIONS_OK, QR_OPTIONS_HELP, QR_OPTIONS_BAD };

/* The words of a command line that are not options. */
struct qr_arguments {
    const char **items; /* the caller's; room for argc */
    size_t n;
};

/* Reads argv[0..argc).  QR_OPTIONS_HELP: --help or -h was given. */
enum qr_options_result qr_options_read(const struct qr_option *options, size_t options_n, int argc,
                                       char **argv, struct qr_arguments *arguments,
                                       struct qr_failure *why);

/* Prints the table as help, in two columns of 80. */
void qr_options_help(FILE *out, const struct qr_option *options, size_t options_n);

/* Converts "512M" to bytes, "1e3" to a number, "3,5 7" or "[3, 5, 7]" to ids (the caller frees
 * them).  False: the text is malformed. */
bool qr_options_parse_bytes(const char *text, uint64_t *bytes);
bool qr_options_parse_real(const char *text, double *value);
bool qr_options_parse_ids(const char *text, int32_t **ids, size_t *ids_n, struct qr_failure *why);

#endif
