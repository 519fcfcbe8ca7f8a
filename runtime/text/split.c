/* SPDX-License-Identifier: MIT */
#include "runtime/text/split.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* ---- the rules ------------------------------------------------------------------------------- */

/* Unicode's White_Space.  PCRE2's \s also has U+180E, which Unicode 6.3 removed from the class. */
#define WHITE "\\p{Z}\\t-\\r\\x{85}"

/* GPT-2's pattern.  Source: openai/gpt-2, encoder.py. */
#define GPT2                                                                                       \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WHITE "\\p{L}\\p{N}]+"                      \
    "|[" WHITE "]+(?![^" WHITE "])|[" WHITE "]+"

/* Parts that the patterns since cl100k share: contractions in either case, words, and signs with
 * the newlines that follow. */
#define SUFFIX      "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS(more) " ?[^" WHITE "\\p{L}\\p{N}]+[\\r\\n" more "]*"
#define SPACES      "[" WHITE "]*[\\r\\n]+|[" WHITE "]+(?![^" WHITE "])|[" WHITE "]+"

/* Llama 3's and Qwen 2's.  Sources: their tokenizer.json. */
#define LLAMA3 SUFFIX "|" WORD "|\\p{N}{1,3}|" SIGNS("") "|" SPACES
#define QWEN2  SUFFIX "|" WORD "|\\p{N}|" SIGNS("") "|" SPACES

/* Words are also cut between a small letter and a capital.  Sources: Mistral's
 * tekken_240718.json, GPT-4o's in OpenAI's tiktoken. */
#define CAPITALS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALL    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASES(suffix)                                                                              \
    "[^\\r\\n\\p{L}\\p{N}]?" CAPITALS "*" SMALL "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" CAPITALS      \
    "+" SMALL "*" suffix
#define TEKKEN CASES("") "|\\p{N}|" SIGNS("/") "|" SPACES
#define GPT4O  CASES(SUFFIX "?") "|\\p{N}{1,3}|" SIGNS("/") "|" SPACES

/* Seed-Coder's: Qwen 2's, except that signs do not take newlines.  Source: its tokenizer.json. */
#define SEED SUFFIX "|" WORD "|\\p{N}| ?[^" WHITE "\\p{L}\\p{N}\\r\\n]+|" SPACES

/* BLOOM's words; Viking also cuts digits.  Source: their tokenizer.json. */
#define BLOOM " ?[^(" WHITE "|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"

/* DeepSeek LLM's and Coder's stages.  Source: their tokenizer.json, as in llama.cpp. */
#define DEEPSEEK_LETTERS                                                                           \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"                       \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                 \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"                 \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}"                 \
    "\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}"         \
    "\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}"                           \
    "\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}"                 \
    "\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}"          \
    "\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"                  \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"         \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}"                  \
    "\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}"                 \
    "\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}"                 \
    "\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"         \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define DEEPSEEK_SIGNS                                                                             \
    "[" WHITE "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}"                 \
    "\\x{3000}-\\x{3002}]+"
#define DEEPSEEK_HAN "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

/* Names as in llama.cpp; the first of a row is printed.  If llama.cpp only approximates the model's
 * pattern, the row has the model's. */
static const struct qr_split_rule rules[] = {
    {.names = {"gpt-2", "gpt2", "phi-2", "olmo", "jais", "exaone4", "mpt", "trillion",
               "granite-docling", "gigachat", "mellum", "a.x-4.0", "jina-es", "jina-de",
               "jina-v2-es", "jina-v2-de"},
     .stages = {{GPT2, false}}},
    {.names = {"smollm", "starcoder", "refact", "codeshell", "command-r", "exaone", "minerva-7b"},
     .stages = {{"\\p{N}", true}, {GPT2, false}}},
    {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
               "lfm2"},
     .stages = {{LLAMA3, false}},
     .ignore_merges = true,
     .adds_bos = true},
    {.names = {"smaug-bpe", "dbrx", "glm4", "chatglm-bpe"}, .stages = {{LLAMA3, false}}},
    {.names = {"qwen2"}, .stages = {{QWEN2, false}}, .composes = true},
    {.names = {"deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "kormo", "grok-2"},
     .stages = {{QWEN2, false}}},
    {.names = {"tekken"}, .stages = {{TEKKEN, false}}, .ignore_merges = true, .adds_bos = true},
    {.names = {"gpt-4o", "llama4"}, .stages = {{GPT4O, false}}},
    {.names = {"deepseek-llm"},
     .stages = {{"[\\r\\n]", true},
                {"[" WHITE "]?[" DEEPSEEK_LETTERS "]+", false},
                {DEEPSEEK_SIGNS, false},
                {"[" WHITE "]+$", false},
                {DEEPSEEK_HAN, false},
                {"\\p{N}+", false}}},
    {.names = {"deepseek-coder"},
     .stages = {{"[\\r\\n]", true},
                {"[" WHITE "]?\\p{L}+", false},
                {"[" WHITE "]?\\p{P}+", false},
                {DEEPSEEK_HAN, false},
                {"\\p{N}", true}}},
    {.names = {"seed-coder"}, .stages = {{SEED, false}}},
    {.names = {"viking"}, .stages = {{BLOOM, false}, {"\\p{N}", true}}},
    /* llama.cpp's, for files without a name. */
    {.names = {"default"},
     .stages = {{"[\\p{P}$+<=>^~|]+", true},
                {GPT2, false},
                {"\\p{N}+", false},
                {"[0-9][0-9][0-9]", true}}},
};

const struct qr_split_rule *qr_split_rule(struct quire_text name)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        for (size_t k = 0; k < QR_SPLIT_NAMES_MAX && rules[i].names[k]; k++) {
            const char *known = rules[i].names[k];
            if (strlen(known) == name.n && memcmp(known, name.data, name.n) == 0) return &rules[i];
        }
    }
    return NULL;
}

/* ---- patterns -------------------------------------------------------------------------------- */

struct stage {
    pcre2_code *code;
    bool whole;
};

struct qr_splitter {
    struct quire_allocator allocator;
    pcre2_general_context *general;
    struct stage stages[QR_SPLIT_STAGES_MAX];
    unsigned stages_n;
};

static void *pcre2_take(size_t bytes, void *allocator)
{
    return qr_alloc(allocator, bytes);
}

static void pcre2_give(void *memory, void *allocator)
{
    qr_free(allocator, memory);
}

static int compile(struct qr_splitter *s, const struct qr_split_stage *stage, bool jit,
                   struct quire_error *error)
{
    int number;
    PCRE2_SIZE offset;

    pcre2_compile_context *context = pcre2_compile_context_create(s->general);
    if (!context) return qr_error(error, QUIRE_NO_MEMORY, "no memory for a split pattern");
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)stage->pattern, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP, &number, &offset, context);
    pcre2_compile_context_free(context);
    if (!code && number == PCRE2_ERROR_HEAP_FAILED)
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for a split pattern");
    if (!code)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "PCRE2 refuses the split pattern \"%.80s\": error %d at byte %zu",
                        stage->pattern, number, (size_t)offset);
    /* The JIT fails if the system forbids executable memory; then the interpreter matches. */
    if (jit) (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    s->stages[s->stages_n++] = (struct stage){.code = code, .whole = stage->whole};
    return QUIRE_OK;
}

int qr_splitter_create(struct qr_splitter **splitter, const struct qr_split_rule *rule, bool jit,
                       const struct quire_allocator *allocator, struct quire_error *error)
{
    *splitter = NULL;
    struct qr_splitter *s = qr_alloc_zero(allocator, 1, sizeof *s);
    if (!s) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the split patterns");
    s->allocator = *allocator;
    s->general = pcre2_general_context_create(pcre2_take, pcre2_give, &s->allocator);
    if (!s->general) {
        qr_splitter_destroy(s);
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for the split patterns");
    }
    for (unsigned i = 0; i < QR_SPLIT_STAGES_MAX && rule->stages[i].pattern; i++) {
        int status = compile(s, &rule->stages[i], jit, error);
        if (status != QUIRE_OK) {
            qr_splitter_destroy(s);
            return status;
        }
    }
    *splitter = s;
    return QUIRE_OK;
}

void qr_splitter_destroy(struct qr_splitter *s)
{
    if (!s) return;
    for (unsigned i = 0; i < s->stages_n; i++)
        pcre2_code_free(s->stages[i].code);
    pcre2_general_context_free(s->general);
    struct quire_allocator allocator = s->allocator;
    qr_free(&allocator, s);
}

/* ---- splitting ------------------------------------------------------------------------------- */

bool qr_split_scratch_init(struct qr_split_scratch *scratch, const struct qr_splitter *splitter)
{
    pcre2_match_data *data = pcre2_match_data_create(1, splitter->general);
    pcre2_match_context *context = pcre2_match_context_create(splitter->general);

    if (!data || !context) {
        pcre2_match_data_free(data);
        pcre2_match_context_free(context);
        return false;
    }
    /* The patterns take linear time, but a run of a million spaces takes a million steps in one
     * match.  PCRE2's limits would make such text fail. */
    pcre2_set_match_limit(context, UINT32_MAX);
    pcre2_set_depth_limit(context, UINT32_MAX);
    pcre2_set_heap_limit(context, UINT32_MAX);
    *scratch = (struct qr_split_scratch){.match_data = data, .match_context = context};
    return true;
}

void qr_split_scratch_deinit(struct qr_split_scratch *scratch)
{
    pcre2_match_data_free(scratch->match_data);
    pcre2_match_context_free(scratch->match_context);
    *scratch = (struct qr_split_scratch){0};
}

struct run {
    const struct qr_splitter *splitter;
    struct qr_split_scratch *scratch;
    qr_piece_fn *fn;
    void *context;
};

/* A part of the whole text, in which it begins at `offset`. */
struct text_part {
    const char *text; /* [n] */
    size_t n, offset;
};

/* Finds the next match at or after `at`.  1: found, 0: none, or a negative status. */
static int match(const struct run *run, const pcre2_code *code, const struct text_part *part,
                 size_t at, size_t *begin, size_t *end)
{
    pcre2_match_data *data = run->scratch->match_data;
    pcre2_match_context *context = run->scratch->match_context;
    PCRE2_SPTR text = (PCRE2_SPTR)part->text;
    uint32_t options = PCRE2_NO_UTF_CHECK;

    int rc = pcre2_match(code, text, part->n, at, options, data, context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, text, part->n, at, options | PCRE2_NO_JIT, data, context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc < 0) return QUIRE_NO_MEMORY; /* no other error: limits are off, the text is valid */
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(data);
    *begin = ovector[0];
    *end = ovector[1];
    assert(*begin >= at && *end > *begin && *end <= part->n);
    return 1;
}

static int split_stage(const struct run *run, unsigned stage_index, const struct text_part *part);

/* Passes part[begin, end) to the next stage, or to the caller if it is a piece. */
static int hand_on(const struct run *run, unsigned stage_index, const struct text_part *part,
                   size_t begin, size_t end, bool whole)
{
    const struct text_part next = {part->text + begin, end - begin, part->offset + begin};

    if (whole || stage_index + 1 == run->splitter->stages_n)
        return run->fn(run->context, next.offset, next.offset + next.n);
    return split_stage(run, stage_index + 1, &next);
}

/* Cuts a part by one stage.  Recursion depth: the stages. */
static int split_stage(const struct run *run, unsigned stage_index, const struct text_part *part)
{
    const struct stage *stage = &run->splitter->stages[stage_index];

    for (size_t at = 0; at < part->n;) {
        size_t begin = part->n, end = part->n;
        int found = match(run, stage->code, part, at, &begin, &end);
        if (found < 0) return found;
        int status = QUIRE_OK;
        if (begin > at) status = hand_on(run, stage_index, part, at, begin, false);
        if (status == QUIRE_OK && found)
            status = hand_on(run, stage_index, part, begin, end, stage->whole);
        if (status != QUIRE_OK) return status;
        at = end;
    }
    return QUIRE_OK;
}

int qr_split(const struct qr_splitter *splitter, struct qr_split_scratch *scratch, const char *text,
             size_t text_n, qr_piece_fn *fn, void *context)
{
    struct run run = {.splitter = splitter, .scratch = scratch, .fn = fn, .context = context};

    return split_stage(&run, 0, &(struct text_part){.text = text, .n = text_n});
}
