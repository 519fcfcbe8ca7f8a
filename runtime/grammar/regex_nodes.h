/* SPDX-License-Identifier: MIT */
/* regex_nodes -- what a node of an expression is, for the two files that make and derive them.
 *
 *     regex.c           nodes, constructors, UTF-8
 *     regex_derive.c    multiples, derivatives, classes of bytes, searches
 *
 * Thread: one at a time.   Memory: the pool's arrays, within its budget. */
#ifndef QR_GRAMMAR_REGEX_NODES_H
#define QR_GRAMMAR_REGEX_NODES_H

#include "runtime/grammar/regex.h"

enum qr_rx_kind {
    QR_RX_KIND_NONE,
    QR_RX_KIND_EMPTY,
    QR_RX_KIND_SET,
    QR_RX_KIND_CAT,
    QR_RX_KIND_OR,
    QR_RX_KIND_AND,
    QR_RX_KIND_NOT,
    QR_RX_KIND_REPEAT,
    QR_RX_KIND_MULTIPLE
};

/* What a search for a text has found. */
enum { QR_FOUND_NOTHING, QR_FOUND_TEXT, QR_FOUND_NO_TEXT };

struct qr_rx_node {
    uint8_t kind;
    bool nullable;
    bool plain;     /* no AND, NOT or MULTIPLE in it: if it is not NONE it matches something */
    uint8_t found;  /* of qr_rx_is_empty */
    uint32_t next;  /* in its bucket */
    uint32_t least; /* bytes of its shortest text: a lower bound */
    union {
        struct {
            uint32_t a, b;     /* SET: a is the set's index */
            uint32_t min, max; /* REPEAT */
        };
        struct {
            uint64_t divisor;
            uint32_t remainder, place; /* place: see derive_multiple */
        };
    };
};

#define QR_RX_LAST UINT32_MAX

struct qr_rx_move {
    qr_rx from, to; /* from NONE: free */
    uint8_t byte;
};

/* A growing list of operands. */
struct qr_operands {
    qr_rx *all;
    size_t n, all_capacity;
};

static inline const struct qr_rx_node *qr_rx_at(const struct qr_rx_pool *pool, qr_rx a)
{
    return &pool->nodes[a];
}

/* The id of an equal node, or of a new one. */
qr_rx qr_rx_node_make(struct qr_rx_pool *pool, struct qr_rx_node n);

void qr_operands_free(struct qr_rx_pool *pool, struct qr_operands *o);
/* Adds the operands of nested nodes of one kind, which nest to the right. */
void qr_operands_push(struct qr_rx_pool *pool, struct qr_operands *o, enum qr_rx_kind kind,
                      qr_rx a);
/* OR or AND of operands: sorted, without duplicates, units left out. */
qr_rx qr_rx_combine(struct qr_rx_pool *pool, struct qr_operands *o, enum qr_rx_kind kind);

#endif
