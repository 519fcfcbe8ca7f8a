/* SPDX-License-Identifier: MIT */
/* reader -- what the files of the parser share: the reader, its text state, and calls on the way.
 *
 * A state takes one byte.  A state that is not sure to be within a call is tentative: the reader
 * keeps what it took, from the marker on, as raw text.  Then one of two follows:
 *
 *     qr_parse_call_header   the call is certain: raw text and the space before it are dropped
 *     qr_parse_no_call       the marker is text, and what followed it is read again as text
 *
 * At most QR_PARSE_AGAIN_MAX bytes are read again after a marker, and each time at least the
 * marker's first byte is done with, so the time is linear in the text.
 *
 * Thread: one at a time.   Memory: the reader's allocator. */
#ifndef QR_PARSE_READER_H
#define QR_PARSE_READER_H

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/parse/family.h"
#include "runtime/parse/parse.h"
#include "runtime/parse/scan.h"

#define QR_PARSE_MARKERS_MAX 40u
#define QR_PARSE_MATCH_MAX   96u /* longer than any marker */
#define QR_PARSE_SPACE_MAX   4096u
#define QR_PARSE_AGAIN_MAX   256u
#define QR_PARSE_NAME_MAX    256u /* OpenAI's limit is 64 */

/* Bytes that are kept. */
struct qr_held {
    char *data;
    size_t n, capacity;
};

struct qr_parse_state {
    void (*step)(struct qr_parse_reader *r, uint8_t byte);
    /* The text ends in this state.  Leaves the text state, or qr_parse_state_end. */
    void (*end)(struct qr_parse_reader *r);
};

enum qr_marker_action {
    QR_MARKER_OPEN,      /* a call may begin; number: which of the family's opens */
    QR_MARKER_SECTION,   /* around calls: dropped */
    QR_MARKER_CALL_END,  /* dropped after a call */
    QR_MARKER_THINK,     /* number: which pair */
    QR_MARKER_THINK_END, /* number: which pair */
    QR_MARKER_ANSWER,    /* around content: dropped at its beginning */
    QR_MARKER_ANSWER_END /* dropped after that */
};

struct qr_marker {
    const char *text;
    uint8_t n, action, number;
};

/* How arguments arrive, see call.c. */
enum qr_arguments_mode {
    QR_ARGUMENTS_START,
    QR_ARGUMENTS_RAW,    /* JSON as the model writes it */
    QR_ARGUMENTS_NULL,   /* null, or a word that begins so */
    QR_ARGUMENTS_QUOTED, /* in a string, nothing but space so far */
    QR_ARGUMENTS_UNWRAP, /* a string that holds an object */
    QR_ARGUMENTS_STRING  /* any other string */
};

/* Decodes the inside of a JSON string. */
struct qr_unescape {
    uint8_t state;       /* 0; 1: after a backslash; 2 to 5: hex digits of \u */
    uint32_t code, high; /* high: a surrogate that waits for its other half, or 0 */
};

/* A call on the way. */
struct qr_parse_call {
    bool header;                        /* was sent */
    bool known;                         /* the name must be a tool's: there is no marker */
    bool muted;                         /* not the first, and one only is asked for */
    bool any;                           /* arguments were sent */
    struct qr_held name, id, arguments; /* arguments: those before the header */
    enum qr_arguments_mode mode;
    struct qr_scan scan, inner; /* the value; what its string holds */
    struct qr_unescape unescape;
    struct qr_held lead; /* the string's beginning */
};

/* json.c */
struct qr_parse_json {
    uint8_t state, key;
    bool list, envelope;
    bool tags;            /* <function= may come instead */
    uint8_t nested;       /* objects within the call's object: "function" */
    bool name, arguments; /* were there */
    struct qr_held word;
    struct qr_scan scan;
    struct qr_unescape unescape;
};

/* tags.c */
struct qr_parse_tags {
    const struct qr_tags_syntax *syntax;
    uint8_t state, types;
    bool begun;           /* bytes of the value came */
    bool text;            /* the value is a string, and is delivered as it comes */
    const json_t *schema; /* the tool's, or NULL */
    struct qr_held key, value, tail;
};

/* python.c */
struct qr_parse_python {
    uint8_t state, value, quote, digits;
    bool list;    /* of calls */
    bool pending; /* a comma comes before the next item */
    bool key;     /* the string or word is a dict's key */
    uint32_t depth, code, position;
    uint64_t dicts[QR_PARSE_DEPTH_MAX / 64], tuples[QR_PARSE_DEPTH_MAX / 64];
    struct qr_held word;
};

/* harmony.c, recipients.c, named.c */
struct qr_parse_header {
    struct qr_held text;
    uint8_t state;
    bool body; /* a header within a body: it may be text */
};

struct qr_parse_reader {
    struct quire_allocator allocator;
    struct qr_parse_settings settings;
    const struct qr_parse_family *family;
    const struct qr_parse_reasoning *reasoning;
    const struct qr_parse_state *state;
    bool failed; /* no memory */
    bool calls;  /* are looked for */
    bool ending; /* within qr_parse_end */
    enum qr_parse_stop stop;

    uint8_t utf8[4], utf8_n, utf8_wanted; /* a code point on the way */
    struct qr_held out;                   /* a delta on the way */
    enum qr_parse_kind out_kind;

    /* the text state */
    struct qr_marker markers[QR_PARSE_MARKERS_MAX];
    uint32_t markers_n;
    bool begins[256]; /* some marker begins with this byte */
    char match[QR_PARSE_MATCH_MAX];
    uint32_t match_n;
    struct qr_held space;
    enum qr_parse_kind channel; /* CONTENT or REASONING */
    uint8_t pair;               /* of reasoning markers, the open one */
    bool said, thought;         /* content, reasoning was sent */
    bool reasoned;              /* there was a block of reasoning */
    bool unclosed;              /* a call ended the reasoning */
    bool wrapped;               /* within the answer's markers */
    bool after_call;            /* nothing but space since a call, or a marker around calls */
    bool call_open;             /* the last call's end marker is yet to come */

    /* a tentative state */
    bool tentative, deferred;
    struct qr_held raw;
    size_t sure; /* bytes of raw that are text if there is no call */
    struct qr_held again;
    size_t again_at;

    uint32_t calls_n;
    struct qr_parse_call call;
    struct qr_parse_json json;
    struct qr_parse_tags tags;
    struct qr_parse_python python;
    struct qr_parse_header header;
};

/* ---- reader.c ---- */

void qr_held_add(struct qr_parse_reader *r, struct qr_held *held, const void *data, size_t n);
static inline void qr_held_add_byte(struct qr_parse_reader *r, struct qr_held *held, uint8_t byte)
{
    if (held->n < held->capacity)
        held->data[held->n++] = (char)byte;
    else
        qr_held_add(r, held, &byte, 1);
}
static inline struct quire_text qr_held_text(const struct qr_held *held)
{
    return (struct quire_text){held->data ? held->data : "", held->n};
}
/* Without the space at both ends. */
struct quire_text qr_parse_trim(struct quire_text text);
bool qr_parse_is(struct quire_text text, const char *word);
/* The text ends in `suffix`. */
bool qr_parse_ends_in(struct quire_text text, const char *suffix);

void qr_parse_emit(struct qr_parse_reader *r, enum qr_parse_kind kind, const char *data, size_t n);
void qr_parse_flush(struct qr_parse_reader *r);
/* UTF-8 of a code point; returns its length. */
size_t qr_parse_encode(uint32_t code, char out[4]);

/* A tool of this name, or NULL. */
const struct qr_parse_tool *qr_parse_tool(const struct qr_parse_reader *r, struct quire_text name);
/* A tool's name; or letters, digits, _ - . : / and the bytes of other alphabets. */
bool qr_parse_is_name(const struct qr_parse_reader *r, struct quire_text name);

/* Begins a tentative state.  text [n]: the marker, which is text if there is no call. */
void qr_parse_try(struct qr_parse_reader *r, const struct qr_parse_state *state, const char *text,
                  size_t n);
/* These bytes are read before those that follow. */
void qr_parse_again(struct qr_parse_reader *r, const char *data, size_t n);
/* There is no call: raw text is text. */
void qr_parse_no_call(struct qr_parse_reader *r);

/* ---- text.c ---- */

extern const struct qr_parse_state qr_parse_state_text, qr_parse_state_end;

void qr_parse_text_init(struct qr_parse_reader *r);
/* A byte of text; no marker is looked for. */
void qr_parse_text_put(struct qr_parse_reader *r, uint8_t byte);
/* To the text state; it takes the byte. */
void qr_parse_text(struct qr_parse_reader *r, uint8_t byte);
/* A marker that is complete: its index.  -1: the byte is held, or was released with others. */
int qr_parse_match(struct qr_parse_reader *r, const struct qr_marker *markers, size_t n,
                   uint64_t enabled, uint8_t byte,
                   void (*release)(struct qr_parse_reader *r, uint8_t byte));
/* Gives back what qr_parse_match holds. */
void qr_parse_match_release(struct qr_parse_reader *r,
                            void (*release)(struct qr_parse_reader *r, uint8_t byte));

/* ---- call.c ---- */

/* Forgets the call before. */
void qr_parse_call_begin(struct qr_parse_reader *r);
/* Sends the header.  False: there is no name, or it has to be a tool's and is not. */
bool qr_parse_call_header(struct qr_parse_reader *r);
/* Arguments, as they are delivered. */
void qr_parse_call_put(struct qr_parse_reader *r, const char *data, size_t n);
void qr_parse_call_puts(struct qr_parse_reader *r, const char *text);
/* The same, as the inside of a JSON string. */
void qr_parse_call_put_escaped(struct qr_parse_reader *r, uint8_t byte);
/* JSON as it is, with control characters of strings escaped. */
void qr_parse_call_put_json(struct qr_parse_reader *r, struct quire_text json);
/* The call is complete. */
void qr_parse_call_end(struct qr_parse_reader *r);
/* The text ended within the call, after its header was sent. */
void qr_parse_call_cut(struct qr_parse_reader *r);
/* The text ended in a tentative state.  name: the call's name is complete.  What was cut after its
 * marker is no text: markup does not leak. */
void qr_parse_call_cut_early(struct qr_parse_reader *r, bool name);

/* JSON arguments as the model writes them, byte by byte. */
void qr_parse_arguments_begin(struct qr_parse_reader *r);
enum qr_scan_result qr_parse_arguments_push(struct qr_parse_reader *r, uint8_t byte);

void qr_unescape_begin(struct qr_unescape *u);
/* One byte of a string's inside; out gets up to 6 bytes, returns how many. */
size_t qr_unescape_push(struct qr_unescape *u, uint8_t byte, char out[8]);

/* Arguments that are no JSON after all, from this byte on: everything up to an end marker is their
 * text. */
void qr_parse_call_broken(struct qr_parse_reader *r, uint8_t byte);

/* ---- the syntaxes ---- */

/* The begin functions of families: see struct qr_parse_family. */

/* json.c: objects, or a list of them. */
void qr_parse_json_begin(struct qr_parse_reader *r, unsigned open);
/* opens[0] ends in the list's bracket; after others as above. */
void qr_parse_json_list_begin(struct qr_parse_reader *r, unsigned open);
/* Objects, or tags. */
void qr_parse_hermes_begin(struct qr_parse_reader *r, unsigned open);
/* tags.c */
void qr_parse_tags_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_glm_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_minimax_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_dsml32_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_dsml4_begin(struct qr_parse_reader *r, unsigned open);
/* named.c: a name in front of JSON arguments. */
void qr_parse_mistral_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_functionary_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_deepseek_begin(struct qr_parse_reader *r, unsigned open);
void qr_parse_kimi_begin(struct qr_parse_reader *r, unsigned open);
/* Raw code up to the end: the argument of a tool named python. */
void qr_parse_code_begin(struct qr_parse_reader *r);
/* python.c: after a [, from this byte on. */
void qr_parse_python_list(struct qr_parse_reader *r, uint8_t byte);
/* What Llama 3 writes after its Python tag: an object, f.call(k=v), f(k=v), or code. */
void qr_parse_python_tag_begin(struct qr_parse_reader *r, unsigned open);
/* harmony.c, recipients.c */
void qr_parse_harmony_start(struct qr_parse_reader *r);
void qr_parse_recipients_start(struct qr_parse_reader *r);
void qr_parse_recipients_begin(struct qr_parse_reader *r, unsigned open);
/* A { or [ that is the content's first byte. */
void qr_parse_json_bare(struct qr_parse_reader *r, uint8_t byte);

#endif
