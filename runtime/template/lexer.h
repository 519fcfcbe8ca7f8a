/* SPDX-License-Identifier: MIT */
/* lexer -- splits a template into tokens and removes the white space that its tags trim.
 *
 * It follows jinja2 3.1 with the settings of transformers: trim_blocks and lstrip_blocks are on,
 * one newline at the end of the source is dropped, and \r\n and \r become \n.
 *
 *     DATA --"{%"--> BLOCK --"%}"--> DATA
 *     DATA --"{{"--> PRINT --"}}"--> DATA     comments and raw blocks stay in DATA
 *
 * Thread: the run's.   Memory: the run's arena; a string without escapes points into the source. */
#ifndef QR_TEMPLATE_LEXER_H
#define QR_TEMPLATE_LEXER_H

#include "runtime/template/run.h"
#include "runtime/template/value.h"

enum qr_template_token_kind {
    QR_T_END,
    QR_T_DATA,      /* text between tags */
    QR_T_BLOCK,     /* {% */
    QR_T_BLOCK_END, /* %} */
    QR_T_PRINT,     /* {{ */
    QR_T_PRINT_END, /* }} */
    QR_T_NAME,
    QR_T_STRING,
    QR_T_INTEGER,
    QR_T_FLOAT,
    QR_T_OP
};

enum qr_op {
    QR_OP_NONE,
    QR_OP_ADD,
    QR_OP_SUB,
    QR_OP_MUL,
    QR_OP_DIV,
    QR_OP_FLOORDIV,
    QR_OP_MOD,
    QR_OP_POW,
    QR_OP_EQ,
    QR_OP_NE,
    QR_OP_LT,
    QR_OP_LE,
    QR_OP_GT,
    QR_OP_GE,
    QR_OP_IN,
    QR_OP_NOT_IN,
    QR_OP_TILDE,
    QR_OP_PIPE,
    QR_OP_DOT,
    QR_OP_COMMA,
    QR_OP_COLON,
    QR_OP_SEMICOLON,
    QR_OP_ASSIGN,
    QR_OP_LPAREN,
    QR_OP_RPAREN,
    QR_OP_LBRACKET,
    QR_OP_RBRACKET,
    QR_OP_LBRACE,
    QR_OP_RBRACE
};

struct qr_template_token {
    enum qr_template_token_kind kind;
    enum qr_op op;
    uint32_t line;
    struct qr_value value; /* of data, names, strings and numbers */
    const char *at;        /* source text, for errors */
    size_t at_n;
};

struct qr_template_lexer {
    struct qr_run *run;
    const char *text; /* [n], line ends normalised */
    size_t n, at;
    uint32_t line;
    enum { QR_IN_DATA, QR_IN_BLOCK, QR_IN_PRINT } state;
    bool line_starting; /* a newline precedes `at` */
    char open[64];      /* expected closing brackets: }} inside braces does not end the tag */
    uint32_t open_n;
};

/* Copies the source into the run's arena, which the tokens point into. */
void qr_template_lexer_init(struct qr_template_lexer *lexer, struct qr_run *run,
                            struct quire_text source);
struct qr_template_token qr_template_lexer_next(struct qr_template_lexer *lexer);

#endif
