/* SPDX-License-Identifier: MIT */
/* lexer -- a template's text as tokens, with white space taken away where tags ask for it.
 *
 * As jinja2's lexer (3.1) with the settings of transformers: trim_blocks and lstrip_blocks on, one
 * newline at the very end dropped, line ends of any kind are \n.
 *
 * Thread: the run's.   Memory: the run's; texts without escapes point into the source. */
#ifndef QR_TEMPLATE_LEXER_H
#define QR_TEMPLATE_LEXER_H

#include "runtime/template/run.h"
#include "runtime/template/value.h"

enum qr_lexer_token_kind {
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

struct qr_lexer_token {
    enum qr_lexer_token_kind kind;
    enum qr_op op;
    uint32_t line;
    struct qr_value value; /* of data, names, texts and numbers */
    const char *at;        /* in the source, for messages */
    size_t at_n;
};

struct qr_lexer {
    struct qr_run *run;
    const char *text; /* [n], line ends normalised */
    size_t n, at;
    uint32_t line;
    enum { QR_IN_DATA, QR_IN_BLOCK, QR_IN_PRINT } state;
    bool line_starting; /* nothing but a newline stands before `at` */
    char open[64];      /* brackets: }} inside of braces ends nothing */
    uint32_t open_n;
};

/* `text` has to live as long as the tokens do. */
void qr_lexer_init(struct qr_lexer *lexer, struct qr_run *run, struct quire_text source);
struct qr_lexer_token qr_lexer_next(struct qr_lexer *lexer);

#endif
