/* SPDX-License-Identifier: MIT */
/* parser -- builds the tree of a template from its tokens.
 *
 * The grammar is jinja2 3.1's (parser.py) without inheritance, includes and recursive loops, which
 * chat templates do not use.  It adds break and continue (loopcontrols) and transformers'
 * {% generation %}.
 *
 *     {% if a %}x{% else %}{{ b + 1 }}{% endif %}
 *
 *     IF  kids[0] --> NAME a
 *         kids[1] --> TEXT x
 *         kids[2] --> PRINT --> BINARY + --> NAME b, CONST 1
 *
 * Thread: any, after parsing.   Memory: the arena of the run that parsed it.
 * Invariant: no node is higher than QR_TEMPLATE_HEIGHT_MAX, so recursion over a tree is bounded. */
#ifndef QR_TEMPLATE_PARSER_H
#define QR_TEMPLATE_PARSER_H

#include "runtime/template/lexer.h"

/* The comment lists the node's kids in order.  Each kid is NULL or the first of a list linked by
 * `next`. */
enum qr_node_kind {
    /* expressions */
    QR_N_CONST,   /* value */
    QR_N_NAME,    /* value: the name */
    QR_N_LIST,    /* items */
    QR_N_TUPLE,   /* items */
    QR_N_DICT,    /* a list: key, value, key, value ... */
    QR_N_COND,    /* test, then, else or NULL */
    QR_N_OR,      /* left, right */
    QR_N_AND,     /* left, right */
    QR_N_NOT,     /* operand */
    QR_N_NEG,     /* operand */
    QR_N_POS,     /* operand */
    QR_N_BINARY,  /* op; left, right */
    QR_N_CONCAT,  /* operands of ~ */
    QR_N_COMPARE, /* first, OPERANDs */
    QR_N_OPERAND, /* op; operand */
    QR_N_ATTR,    /* value: the name; object */
    QR_N_ITEM,    /* object, key or SLICE */
    QR_N_SLICE,   /* from, to, step; each may be NULL */
    QR_N_CALL,    /* callee, arguments */
    QR_N_KEYWORD, /* value: the name; argument */
    QR_N_STAR,    /* a list of arguments */
    QR_N_STARS,   /* a dict of arguments */
    QR_N_FILTER,  /* value: the name; input or NULL, arguments */
    QR_N_TEST,    /* value: the name; input, arguments */
    QR_N_NSREF,   /* as a target only; value: the attribute; the namespace's NAME */
    /* statements */
    QR_N_TEXT,         /* value */
    QR_N_PRINT,        /* expression */
    QR_N_IF,           /* test, body, else; a single IF as else is an elif */
    QR_N_FOR,          /* target, iterable, filter, body, else */
    QR_N_SET,          /* target, expression */
    QR_N_SET_BLOCK,    /* target, filter or NULL, body */
    QR_N_MACRO,        /* value: the name; PARAMs, body */
    QR_N_PARAM,        /* value: the name; default or NULL */
    QR_N_CALL_BLOCK,   /* call, PARAMs, body */
    QR_N_FILTER_BLOCK, /* filter, body */
    QR_N_WITH,         /* a list: target, value, target, value ...; body */
    QR_N_SCOPE,        /* body: {% generation %} */
    QR_N_BREAK,
    QR_N_CONTINUE
};

/* The op of a MACRO: the special variables that its body uses.  A macro accepts surplus arguments
 * only if its body names varargs or kwargs. */
enum { QR_USES_VARARGS = 1, QR_USES_KWARGS = 2, QR_USES_CALLER = 4 };

#define QR_NODE_KIDS 5

struct qr_node {
    uint8_t kind; /* enum qr_node_kind */
    uint8_t op;   /* enum qr_op */
    uint16_t height;
    uint32_t line;
    struct qr_value value;
    const struct qr_node *kids[QR_NODE_KIDS];
    struct qr_node *next;
};

/* The template's statements; NULL for an empty template.  A syntax error ends the run. */
const struct qr_node *qr_parse(struct qr_run *run, struct quire_text source);

#endif
