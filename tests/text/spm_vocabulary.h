/* SPDX-License-Identifier: MIT */
/* spm_vocabulary -- a small SentencePiece vocabulary in memory for the tests: byte tokens, special
 * tokens of every kind, and a few pieces.
 *
 * Thread: one.   Memory: the struct's own. */
#ifndef QR_TESTS_TEXT_SPM_VOCABULARY_H
#define QR_TESTS_TEXT_SPM_VOCABULARY_H

#include <stdio.h>
#include <string.h>

#include "runtime/text/tokenizer.h"

#define SPM_TOKENS_MAX 512

struct spm_vocabulary {
    char bytes[256][8];
    struct quire_text tokens[SPM_TOKENS_MAX];
    int32_t kinds[SPM_TOKENS_MAX];
    float scores[SPM_TOKENS_MAX];
    struct qr_tokenizer_source source;
};

enum { SPM_UNK, SPM_BOS, SPM_EOS, SPM_BYTES }; /* ids; the byte tokens begin at SPM_BYTES */

static inline struct quire_text spm_text(const char *string)
{
    return (struct quire_text){.data = string, .n = strlen(string)};
}

static inline int32_t spm_add(struct spm_vocabulary *v, const char *text, int32_t kind, float score)
{
    uint32_t id = v->source.tokens_n++;

    v->tokens[id] = spm_text(text);
    v->kinds[id] = kind;
    v->scores[id] = score;
    return (int32_t)id;
}

/* Adds the special and the byte tokens. */
static inline void spm_vocabulary_begin(struct spm_vocabulary *v)
{
    memset(v, 0, sizeof *v);
    v->source = (struct qr_tokenizer_source){.model = {"llama", 5},
                                             .tokens = v->tokens,
                                             .kinds = v->kinds,
                                             .scores = v->scores,
                                             .bos_id = SPM_BOS,
                                             .eos_id = SPM_EOS,
                                             .eot_id = -1,
                                             .eom_id = -1,
                                             .add_bos = -1,
                                             .add_eos = -1,
                                             .add_space_prefix = -1};
    spm_add(v, "<unk>", QR_TOKEN_UNKNOWN, 0);
    spm_add(v, "<s>", QR_TOKEN_CONTROL, 0);
    spm_add(v, "</s>", QR_TOKEN_CONTROL, 0);
    for (unsigned byte = 0; byte < 256; byte++) {
        snprintf(v->bytes[byte], sizeof v->bytes[byte], "<0x%02X>", byte);
        spm_add(v, v->bytes[byte], QR_TOKEN_BYTE, 0);
    }
}

/* Also adds pieces: words of a, b and c, the space, longer characters, and user-defined tokens. */
static inline void spm_vocabulary_init(struct spm_vocabulary *v)
{
    static const char *const pieces[] = {"▁",  "a",  "b",   "c",   "é",  "中", "ab", "▁a",  "bc",
                                         "▁▁", "aa", "abc", "cab", "éa", "aé", "ba", "▁▁▁▁"};

    spm_vocabulary_begin(v);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        spm_add(v, pieces[i], QR_TOKEN_NORMAL, -(float)(i * 7 % 5)); /* some scores are equal */
    spm_add(v, "<tool>", QR_TOKEN_USER, -1000);
    spm_add(v, "\n\n", QR_TOKEN_USER, -1000);
    spm_add(v, "[PAD]", QR_TOKEN_UNUSED, 0);
}

#endif
