/* SPDX-License-Identifier: MIT */
/* structured -- the request fields that hold an answer to a form, compiled to a grammar.
 *
 * OpenAI's response_format, vLLM's structured_outputs and its older guided_* fields, llama.cpp's
 * json_schema and grammar.  At most one of them may ask for something.
 *
 * Thread: any.   Memory: the model's allocator for the grammar, the buffer's for texts. */
#ifndef QR_SERVER_STRUCTURED_H
#define QR_SERVER_STRUCTURED_H

#include "runtime/server/errors.h"
#include "runtime/server/json.h"

/* Whether a body may have one of the fields: compiling may take long, so a worker does it. */
bool qr_structured_may_ask(const char *body, size_t body_n);

/* What may come before the form, and instead of it. */
struct qr_structured_frame {
    const char *open, *close; /* markers of reasoning before the form; NULL: none */
    bool opened;              /* the prompt has the opening one */
    const char *calls;        /* structural tag of calls that may come instead; NULL: none */
};

/* The form binds the final answer: what the frame names may come before or instead.
 * *grammar is NULL where no field asks for anything; else the caller's, freed by
 * quire_grammar_free. */
bool qr_structured_read(const struct qr_json *body, const quire_model *model,
                        const struct quire_allocator *allocator,
                        const struct qr_structured_frame *frame, quire_grammar **grammar,
                        struct qr_api_failure *failure);
/* True if a field asks for a form. */
bool qr_structured_asks(const struct qr_json *body);

/* Compiles with undeclared properties refused; a schema that needs them, such as one that requires
 * an undeclared property, is compiled as it is.  quire_grammar_compile's status and error. */
int qr_structured_compile_closed(const quire_model *model,
                                 const struct quire_grammar_settings *settings,
                                 quire_grammar **grammar, struct quire_error *error);

#endif
