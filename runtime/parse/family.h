/* SPDX-License-Identifier: MIT */
/* family -- the rows of the tables of families and of reasoning markers.
 *
 * Thread: any.   Memory: constant. */
#ifndef QR_PARSE_FAMILY_H
#define QR_PARSE_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/parse/families.h"

struct qr_parse_reader;

#define QR_PARSE_PAIRS_MAX 3u

struct qr_parse_reasoning {
    const char *name;
    const char *aliases; /* other names, with a space between */
    struct {
        const char *open, *close;
    } pairs[QR_PARSE_PAIRS_MAX];
    const char *answer[3];     /* markers that begin the answer: dropped at its beginning */
    const char *answer_end[3]; /* dropped after one of those */
};

/* What begins a call without a marker, at the beginning of the content: bits. */
enum { QR_BARE_OBJECT = 1, QR_BARE_LIST = 2, QR_BARE_PYTHON = 4, QR_BARE_ENVELOPE = 8 };

/* A call's marker within reasoning that is not closed: */
enum qr_parse_inside {
    QR_INSIDE_ENDS, /* ends the reasoning: it is a control token, or the model was taught so */
    QR_INSIDE_WAITS /* is reasoning if the block is closed later, else a call */
};

/* How a forced call is written.  In these texts ~ is a little white space, and # a number. */
enum qr_parse_form_kind {
    QR_FORM_JSON,  /* arguments are an object */
    QR_FORM_TAGS,  /* key KEY key_end VALUE value_end, for each parameter */
    QR_FORM_PYTHON /* KEY=VALUE, for each parameter */
};

struct qr_parse_form {
    enum qr_parse_form_kind kind;
    const char *open;              /* before the first call; NULL: nothing, as below */
    const char *before, *name_end; /* around the name */
    const char *key, *key_end, *value_end;
    const char *json_end; /* in place of key_end where the value is JSON; NULL: the same */
    const char *after;    /* after the arguments */
    const char *between;  /* calls, literally */
    const char *close;    /* after the last call */
    bool single;          /* an answer has one call */
    bool bare;            /* no marker: nothing to wait for */
};

struct qr_parse_family {
    const char *name;
    const char *aliases;
    const char *shown[4];     /* strings that a template of the family has, all of them; none: never
                                 recognised */
    const char *reasoning;    /* name of its row; NULL: none */
    const char *opens[6];     /* markers that begin a call */
    const char *sections[14]; /* markers around calls */
    const char *inner[8];     /* markers within a call or a message */
    const char *ends[6];      /* markers after a call */
    const struct qr_parse_form *form;
    uint8_t bare;   /* QR_BARE_ bits */
    uint8_t inside; /* enum qr_parse_inside */
    /* After opens[open] was read: to the tentative state qr_parse_try.  NULL: no calls. */
    void (*begin)(struct qr_parse_reader *r, unsigned open);
    /* Before the first byte, where it is not the text state. */
    void (*start)(struct qr_parse_reader *r);
};

extern const struct qr_parse_family qr_parse_families[];
extern const size_t qr_parse_families_n;
extern const struct qr_parse_reasoning qr_parse_reasonings[];
extern const size_t qr_parse_reasonings_n;

#endif
