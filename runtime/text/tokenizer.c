/* SPDX-License-Identifier: MIT */
#include "runtime/text/tokenizer.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/text/bpe.h"
#include "runtime/text/compose.h"
#include "runtime/text/merge.h"
#include "runtime/text/specials.h"
#include "runtime/text/split.h"
#include "runtime/text/spm.h"
#include "runtime/text/utf8.h"
#include "runtime/text/vocabulary.h"

/* Texts of tokens that end generation in addition to the file's ids. */
static const char *const known_ends[] = {
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<eos>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
};

struct qr_tokenizer {
    struct quire_allocator allocator;
    struct qr_vocabulary vocabulary; /* its form selects spm or bpe */
    struct qr_spm spm;
    struct qr_bpe bpe;
    const struct qr_split_rule *rule;
    struct qr_splitter *splitter;
    struct qr_specials always;     /* user-defined tokens */
    struct qr_specials on_request; /* user-defined, control and unknown tokens */
    int32_t bos_id, eos_id;
    bool adds_bos, adds_eos;
    bool adds_space;
    size_t bytes_max;
};

/* ---- creation -------------------------------------------------------------------------------- */

static bool is(struct quire_text text, const char *expected)
{
    return text.n == strlen(expected) && memcmp(text.data, expected, text.n) == 0;
}

static int find_form(struct quire_text model, enum qr_vocabulary_form *form,
                     struct quire_error *error)
{
    if (model.n == 0)
        return qr_error(error, QUIRE_NO_TOKENIZER, "the file has no tokenizer.ggml.model");
    if (!is(model, "gpt2") && !is(model, "llama"))
        return qr_error(error, QUIRE_NO_TOKENIZER,
                        "tokenizer.ggml.model is \"%.*s\"; expected \"gpt2\" (byte-level BPE) or "
                        "\"llama\" (SentencePiece's BPE)",
                        (int)(model.n < 64 ? model.n : 64), model.data);
    *form = is(model, "llama") ? QR_FORM_SPACES : QR_FORM_LETTERS;
    return QUIRE_OK;
}

/* An unknown name falls back to llama.cpp's default, so that ids equal llama.cpp's. */
static const struct qr_split_rule *find_rule(struct quire_text pre, struct qr_warnings *warnings)
{
    const struct qr_split_rule *rule = qr_split_rule(pre);

    if (rule) return rule;
    if (pre.n == 0)
        qr_warn(warnings, "the file has no tokenizer.ggml.pre; text is split by \"default\", which "
                          "may differ from the model's training");
    else
        qr_warn(warnings,
                "tokenizer.ggml.pre \"%.*s\" is unknown; text is split by \"default\", which may "
                "differ from the model's training",
                (int)(pre.n < 64 ? pre.n : 64), pre.data);
    return qr_split_rule((struct quire_text){"default", 7});
}

static int check_id(const struct qr_tokenizer_source *source, const char *key, int32_t id,
                    struct quire_error *error)
{
    if (id < 0 || (uint32_t)id < source->tokens_n) return QUIRE_OK;
    return qr_error(error, QUIRE_BAD_FILE,
                    "%s is %d; expected an id below %u, the number of tokens", key, (int)id,
                    source->tokens_n);
}

static int check_ids(const struct qr_tokenizer_source *source, struct quire_error *error)
{
    int status = check_id(source, "tokenizer.ggml.bos_token_id", source->bos_id, error);

    if (status == QUIRE_OK)
        status = check_id(source, "tokenizer.ggml.eos_token_id", source->eos_id, error);
    if (status == QUIRE_OK)
        status = check_id(source, "tokenizer.ggml.eot_token_id", source->eot_id, error);
    if (status == QUIRE_OK)
        status = check_id(source, "tokenizer.ggml.eom_token_id", source->eom_id, error);
    return status;
}

/* The id of a control token by its text, or QR_ID_NONE.  Some converters mark control tokens as
 * user-defined. */
static uint32_t find_control(const struct qr_vocabulary *v, const char *text)
{
    uint32_t id = qr_vocabulary_find(v, (struct quire_text){text, strlen(text)},
                                     (struct quire_text){NULL, 0});

    if (id == QR_ID_NONE) return id;
    uint8_t kind = v->tokens[id].kind;
    return kind == QR_TOKEN_CONTROL || kind == QR_TOKEN_USER ? id : QR_ID_NONE;
}

static void mark_ends(struct qr_vocabulary *v, const struct qr_tokenizer_source *source)
{
    const int32_t ids[] = {source->eos_id, source->eot_id, source->eom_id};

    for (size_t i = 0; i < sizeof known_ends / sizeof known_ends[0]; i++) {
        uint32_t id = find_control(v, known_ends[i]);
        if (id != QR_ID_NONE) v->tokens[id].ends = true;
    }
    /* gpt-oss: <|end|> ends a message, and another one follows; the answer ends with the others. */
    uint32_t end = find_control(v, "<|end|>");
    if (end != QR_ID_NONE && find_control(v, "<|return|>") != QR_ID_NONE &&
        find_control(v, "<|call|>") != QR_ID_NONE)
        v->tokens[end].ends = false;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (ids[i] >= 0) v->tokens[ids[i]].ends = true;
}

static int fill_bpe(struct qr_tokenizer *t, const struct qr_tokenizer_source *source,
                    struct qr_warnings *warnings, struct quire_error *error)
{
    t->rule = find_rule(source->pre, warnings);
    int status = qr_bpe_init(&t->bpe, &t->vocabulary, source->merges, source->merges_n,
                             &t->allocator, error);
    if (status != QUIRE_OK) return status;
    return qr_splitter_create(&t->splitter, t->rule, true, &t->allocator, error);
}

static bool or_default(int says, bool otherwise)
{
    return says < 0 ? otherwise : says > 0;
}

static int fill(struct qr_tokenizer *t, const struct qr_tokenizer_source *source,
                enum qr_vocabulary_form form, struct qr_warnings *warnings,
                struct quire_error *error)
{
    const struct quire_allocator *allocator = &t->allocator;
    bool spm = form == QR_FORM_SPACES;

    int status = qr_vocabulary_init(&t->vocabulary, form, source->tokens, source->kinds,
                                    source->tokens_n, allocator, error);
    if (status != QUIRE_OK) return status;
    status = spm ? qr_spm_init(&t->spm, &t->vocabulary, source->scores, allocator, error)
                 : fill_bpe(t, source, warnings, error);
    if (status != QUIRE_OK) return status;

    const unsigned always = 1u << QR_TOKEN_USER;
    const unsigned on_request = always | 1u << QR_TOKEN_CONTROL | 1u << QR_TOKEN_UNKNOWN;
    if (!qr_specials_init(&t->always, &t->vocabulary, always, allocator) ||
        !qr_specials_init(&t->on_request, &t->vocabulary, on_request, allocator))
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for the special tokens");
    mark_ends(&t->vocabulary, source);
    for (uint32_t id = 0; id < t->vocabulary.tokens_n; id++) {
        size_t n = qr_token_bytes(&t->vocabulary, &t->vocabulary.tokens[id], NULL);
        if (n > t->bytes_max) t->bytes_max = n;
    }
    t->bos_id = source->bos_id;
    t->eos_id = source->eos_id;
    t->adds_bos = t->bos_id >= 0 && or_default(source->add_bos, spm || t->rule->adds_bos);
    t->adds_eos = t->eos_id >= 0 && or_default(source->add_eos, false);
    t->adds_space = spm && or_default(source->add_space_prefix, true);
    return QUIRE_OK;
}

int qr_tokenizer_create(struct qr_tokenizer **tokenizer, const struct qr_tokenizer_source *source,
                        const struct quire_allocator *allocator, struct qr_warnings *warnings,
                        struct quire_error *error)
{
    enum qr_vocabulary_form form = QR_FORM_LETTERS;

    *tokenizer = NULL;
    qr_error_clear(error);
    int status = find_form(source->model, &form, error);
    if (status != QUIRE_OK) return status;
    status = check_ids(source, error);
    if (status != QUIRE_OK) return status;
    struct quire_allocator own = qr_allocator(*allocator);
    struct qr_tokenizer *t = qr_alloc_zero(&own, 1, sizeof *t);
    if (!t) return qr_error(error, QUIRE_NO_MEMORY, "no memory for a tokenizer");
    t->allocator = own;
    status = fill(t, source, form, warnings, error);
    if (status != QUIRE_OK) {
        qr_tokenizer_destroy(t);
        return status;
    }
    *tokenizer = t;
    return QUIRE_OK;
}

void qr_tokenizer_destroy(struct qr_tokenizer *t)
{
    if (!t) return;
    struct quire_allocator allocator = t->allocator;
    qr_specials_deinit(&t->on_request, &allocator);
    qr_specials_deinit(&t->always, &allocator);
    qr_splitter_destroy(t->splitter);
    qr_bpe_deinit(&t->bpe, &allocator);
    qr_spm_deinit(&t->spm, &allocator);
    qr_vocabulary_deinit(&t->vocabulary, &allocator);
    qr_free(&allocator, t);
}

/* ---- text to ids ----------------------------------------------------------------------------- */

/* State of one call. */
struct encoding {
    const struct qr_tokenizer *t;
    struct qr_merge_scratch merging;
    struct qr_split_scratch splitting; /* byte-level BPE only */
    char *made;                        /* the repaired text, or memory for the escaped text */
    struct qr_ids out;
    const char *bytes; /* the current part between special tokens */
};

static int encode_piece(void *context, size_t begin, size_t end)
{
    struct encoding *e = context;
    const struct qr_tokenizer *t = e->t;
    struct quire_text piece = {e->bytes + begin, end - begin};

    if (t->rule->ignore_merges && piece.n <= t->bytes_max) {
        uint32_t id = qr_vocabulary_find_bytes(&t->vocabulary, piece);
        if (id != QR_ID_NONE) {
            qr_ids_add(&e->out, id);
            return QUIRE_OK;
        }
    }
    return qr_bpe_encode(&t->bpe, &e->merging, piece.data, piece.n, &e->out);
}

static int encode_pieces(struct encoding *e, const char *bytes, const char *subject, size_t n)
{
    e->bytes = bytes;
    return qr_split(e->t->splitter, &e->splitting, subject, n, encode_piece, e);
}

/* The two readings of a text (utf8.h).  They point into the text, or into *made, which the caller
 * frees. */
struct readings {
    const char *bytes, *subject;
    size_t n;
};

static bool read_text(const struct qr_tokenizer *t, const char *text, size_t text_n,
                      struct readings *r, char **made)
{
    *r = (struct readings){.bytes = text, .subject = text, .n = text_n};
    if (qr_utf8_valid(text, text_n) == text_n) return true;
    r->n = qr_utf8_repaired_n(text, text_n);
    *made = r->n <= SIZE_MAX / 2 ? qr_alloc(&t->allocator, 2 * r->n) : NULL;
    if (!*made) return false;
    qr_utf8_repair(text, text_n, *made, *made + r->n);
    r->bytes = *made;
    r->subject = *made + r->n;
    return true;
}

/* Composing keeps surrogate halves, so the composed text again has two readings. */
static int encode_composed(struct encoding *e, const char *bytes, size_t n)
{
    const struct qr_tokenizer *t = e->t;
    char *composed, *made = NULL;
    struct readings r;
    size_t composed_n;
    int status = QUIRE_NO_MEMORY;

    if (!qr_compose(bytes, n, &t->allocator, &composed, &composed_n)) return status;
    if (read_text(t, composed, composed_n, &r, &made))
        status = encode_pieces(e, r.bytes, r.subject, r.n);
    qr_free(&t->allocator, made);
    qr_free(&t->allocator, composed);
    return status;
}

/* Encodes text without special tokens.  bytes and subject: its two readings, see utf8.h. */
static int encode_plain(struct encoding *e, const char *bytes, const char *subject, size_t n)
{
    const struct qr_tokenizer *t = e->t;

    if (t->vocabulary.form == QR_FORM_SPACES) {
        /* Each part begins the text or comes after a special token. */
        size_t escaped_n = qr_spm_escape(bytes, n, t->adds_space, e->made);
        return qr_spm_encode(&t->spm, &e->merging, e->made, escaped_n, &e->out);
    }
    if (t->rule->composes && !qr_compose_is_needless(bytes, n)) return encode_composed(e, bytes, n);
    return encode_pieces(e, bytes, subject, n);
}

static int encode_text(struct encoding *e, const char *bytes, const char *subject, size_t n,
                       unsigned flags)
{
    const struct qr_tokenizer *t = e->t;
    const struct qr_specials *specials = flags & QUIRE_TEXT_SPECIAL ? &t->on_request : &t->always;
    bool bos = (flags & QUIRE_TEXT_BOS) && t->adds_bos;
    uint32_t last = QR_ID_NONE; /* the special token at the end of the text, if any */

    for (size_t at = 0; at < n || bos;) {
        size_t special_at = n;
        uint32_t id = QR_ID_NONE;
        bool found = qr_specials_next(specials, bytes, n, at, &special_at, &id);
        if (bos && !(found && special_at == 0 && id == (uint32_t)t->bos_id))
            qr_ids_add(&e->out, (uint32_t)t->bos_id);
        bos = false;
        if (special_at > at) {
            int status = encode_plain(e, bytes + at, subject + at, special_at - at);
            if (status != QUIRE_OK) return status;
        }
        if (found) qr_ids_add(&e->out, id);
        last = id;
        at = special_at + (found ? t->vocabulary.tokens[id].text_n : 0);
    }
    if ((flags & QUIRE_TEXT_EOS) && t->adds_eos && last != (uint32_t)t->eos_id)
        qr_ids_add(&e->out, (uint32_t)t->eos_id);
    return QUIRE_OK;
}

/* Byte-level BPE: invalid UTF-8 is repaired first. */
static int encode_bpe(struct encoding *e, const char *text, size_t text_n, unsigned flags)
{
    const struct qr_tokenizer *t = e->t;
    struct readings r;

    if (!read_text(t, text, text_n, &r, &e->made)) return QUIRE_NO_MEMORY;
    if (!qr_split_scratch_init(&e->splitting, t->splitter)) return QUIRE_NO_MEMORY;
    int status = encode_text(e, r.bytes, r.subject, r.n, flags);
    qr_split_scratch_deinit(&e->splitting);
    return status;
}

static int encode_spm(struct encoding *e, const char *text, size_t text_n, unsigned flags)
{
    e->made = qr_alloc(&e->t->allocator, qr_spm_escape(text, text_n, true, NULL));
    if (!e->made) return QUIRE_NO_MEMORY;
    return encode_text(e, text, text, text_n, flags);
}

int qr_tokenizer_encode(const struct qr_tokenizer *t, const char *text, size_t text_n,
                        unsigned flags, int32_t *ids, size_t capacity, size_t *ids_n)
{
    struct encoding e = {.t = t,
                         .merging = {.allocator = &t->allocator},
                         .out = {.ids = ids, .capacity = ids ? capacity : 0}};

    *ids_n = 0;
    int status = t->vocabulary.form == QR_FORM_SPACES ? encode_spm(&e, text, text_n, flags)
                                                      : encode_bpe(&e, text, text_n, flags);
    qr_merge_scratch_deinit(&e.merging);
    qr_free(&t->allocator, e.made);
    if (status != QUIRE_OK) return status;
    *ids_n = e.out.n;
    return e.out.n > capacity ? QUIRE_BUFFER_SMALL : QUIRE_OK;
}

/* ---- ids to text ----------------------------------------------------------------------------- */

/* Drops the space that encoding added in front of a text. */
static void leave_space_out(struct qr_token *token)
{
    if (token->kind != QR_TOKEN_NORMAL || token->text_n < QR_SPACE_MARK_N ||
        memcmp(token->text, QR_SPACE_MARK, QR_SPACE_MARK_N) != 0)
        return;
    token->text += QR_SPACE_MARK_N;
    token->text_n -= (uint32_t)QR_SPACE_MARK_N;
}

int qr_tokenizer_decode(const struct qr_tokenizer *t, const int32_t *ids, size_t ids_n,
                        unsigned flags, char *text, size_t capacity, size_t *text_n)
{
    size_t n = 0;

    *text_n = 0;
    for (size_t i = 0; i < ids_n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= t->vocabulary.tokens_n) return QUIRE_INVALID;
    bool begins = (flags & QUIRE_TEXT_BEGIN) && t->adds_space;
    for (size_t i = 0; i < ids_n; i++) {
        struct qr_token token = t->vocabulary.tokens[ids[i]];
        if (qr_token_is_hidden(&t->vocabulary, &token) && !(flags & QUIRE_TEXT_SPECIAL)) continue;
        if (begins) leave_space_out(&token);
        begins = false;
        size_t bytes = qr_token_bytes(&t->vocabulary, &token, NULL);
        if (n + bytes <= capacity) qr_token_bytes(&t->vocabulary, &token, text ? text + n : NULL);
        n += bytes;
    }
    *text_n = n;
    return n > capacity ? QUIRE_BUFFER_SMALL : QUIRE_OK;
}

/* ---- facts ----------------------------------------------------------------------------------- */

bool qr_tokenizer_adds_bos(const struct qr_tokenizer *t)
{
    return t->adds_bos;
}

bool qr_tokenizer_adds_eos(const struct qr_tokenizer *t)
{
    return t->adds_eos;
}

const char *qr_tokenizer_split_name(const struct qr_tokenizer *t)
{
    return t->rule ? t->rule->names[0] : "none";
}

uint32_t qr_tokenizer_vocab_n(const struct qr_tokenizer *t)
{
    return t->vocabulary.tokens_n;
}

bool qr_tokenizer_is_end(const struct qr_tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->vocabulary.tokens_n && t->vocabulary.tokens[id].ends;
}

int32_t qr_tokenizer_find(const struct qr_tokenizer *t, struct quire_text token)
{
    uint32_t id = qr_vocabulary_find(&t->vocabulary, token, (struct quire_text){NULL, 0});

    return id == QR_ID_NONE ? -1 : (int32_t)id;
}

size_t qr_tokenizer_token_bytes(const struct qr_tokenizer *t, uint32_t id, char *out)
{
    const struct qr_token *token = &t->vocabulary.tokens[id];

    if (qr_token_is_hidden(&t->vocabulary, token) || token->ends) return 0;
    return qr_token_bytes(&t->vocabulary, token, out);
}

size_t qr_tokenizer_shown_bytes(const struct qr_tokenizer *t, uint32_t id, char *out)
{
    return qr_token_bytes(&t->vocabulary, &t->vocabulary.tokens[id], out);
}

size_t qr_tokenizer_token_bytes_max(const struct qr_tokenizer *t)
{
    return t->bytes_max;
}

/* ---- streaming ------------------------------------------------------------------------------- */

void qr_detokenizer_init(struct qr_detokenizer *d, const struct qr_tokenizer *t, unsigned flags)
{
    *d = (struct qr_detokenizer){.tokenizer = t, .flags = flags};
}

size_t qr_detokenizer_room(const struct qr_tokenizer *t)
{
    /* Each byte, held or new, is emitted once or as one U+FFFD. */
    return (t->bytes_max + sizeof(((struct qr_detokenizer *)0)->held)) * QR_UTF8_REPLACEMENT_N;
}

static size_t replace_held(struct qr_detokenizer *d, char *out)
{
    d->held_n = 0;
    memcpy(out, QR_UTF8_REPLACEMENT, QR_UTF8_REPLACEMENT_N);
    return QR_UTF8_REPLACEMENT_N;
}

/* Adds one byte.  If it does not continue the held bytes, these are replaced by U+FFFD first. */
static size_t push_byte(struct qr_detokenizer *d, uint8_t byte, char *out)
{
    size_t n = 0;
    bool complete;

    bool fits = qr_utf8_continues(d->held, d->held_n, byte, &complete);
    if (!fits && d->held_n > 0) {
        n = replace_held(d, out);
        fits = qr_utf8_continues(d->held, 0, byte, &complete);
    }
    if (!fits) return n + replace_held(d, out + n);
    d->held[d->held_n++] = byte;
    if (complete) {
        memcpy(out + n, d->held, d->held_n);
        n += d->held_n;
        d->held_n = 0;
    }
    return n;
}

size_t qr_detokenizer_push(struct qr_detokenizer *d, int32_t id, char *out)
{
    const struct qr_vocabulary *v = &d->tokenizer->vocabulary;

    assert(id >= 0 && (uint32_t)id < v->tokens_n);
    const struct qr_token *token = &v->tokens[id];
    if (qr_token_is_hidden(v, token) && !(d->flags & QUIRE_TEXT_SPECIAL)) return 0;
    /* The token's bytes are placed at the end of `out`; each is read before output reaches it. */
    size_t bytes_n = qr_token_bytes(v, token, NULL);
    char *bytes = out + qr_detokenizer_room(d->tokenizer) - bytes_n;
    qr_token_bytes(v, token, bytes);
    size_t n = 0;
    for (size_t i = 0; i < bytes_n; i++)
        n += push_byte(d, (uint8_t)bytes[i], out + n);
    return n;
}

size_t qr_detokenizer_flush(struct qr_detokenizer *d, char *out)
{
    return d->held_n ? replace_held(d, out) : 0;
}
