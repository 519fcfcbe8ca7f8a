/* SPDX-License-Identifier: MIT */
/* tools -- a chat request's tools: which may be called, which must be, and how the answer is read.
 *
 *   fields: tools, tool_choice, parallel_tool_calls
 *
 * A call that must come is forced by a grammar of the family's own format.  It has only declared
 * arguments, even if a tool's parameters do not say `additionalProperties`: false.  A model whose
 * template knows no tools is forced by an envelope, and a note in its system message says so; calls
 * and their results are then shown as text.
 *
 * Thread: any one.   Memory: the allocator's; texts and schemas point into the document. */
#ifndef QR_SERVER_TOOLS_H
#define QR_SERVER_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/parse/parse.h"
#include "runtime/server/buffer.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"
#include "runtime/server/state.h"

enum qr_tool_choice { QR_TOOLS_NONE, QR_TOOLS_AUTO, QR_TOOLS_REQUIRED };

struct qr_tools {
    const struct quire_allocator *memory;
    struct qr_parse_tool *all; /* [all_n] of the request */
    size_t all_n;
    struct qr_parse_tool *callable; /* [n] that tool_choice allows */
    size_t n;
    enum qr_tool_choice choice;
    bool named;    /* tool_choice names one function */
    bool single;   /* parallel_tool_calls is false */
    bool strict;   /* one of callable is strict */
    bool envelope; /* forced calls are envelopes */
    bool rewrites; /* the conversation must show tools and calls as text */
};

void qr_tools_init(struct qr_tools *tools, const struct quire_allocator *memory);
void qr_tools_deinit(struct qr_tools *tools);
/* Reads and checks the fields of a chat body. */
bool qr_tools_read(struct qr_tools *tools, const struct qr_server *server,
                   const struct qr_json *body, struct qr_api_failure *failure);
/* For a template that knows no tools (`rewrites`): the body with the tools as a note in its system
 * message, calls as envelopes and results as the user's text.  To be freed; NULL: no memory. */
struct qr_json *qr_tools_rewrite(const struct qr_json *body, const struct quire_allocator *memory);

/* The structural tag that holds the answer to calls, to be freed; *tag is NULL where it is free.
 * instead: of calls that may come instead of something else, without reasoning before.
 * prompt_tail: the end of the rendered prompt, which may have opened the reasoning. */
bool qr_tools_force(const struct qr_tools *tools, const struct qr_server *server,
                    struct quire_text prompt_tail, bool instead, char **tag,
                    struct qr_api_failure *failure);
/* How a choice's text is read.  False: as it is, all of it content. */
bool qr_tools_reader(const struct qr_tools *tools, const struct qr_server *server,
                     struct quire_text prompt_tail, uint64_t seed,
                     struct qr_parse_settings *settings);

#endif
