/* SPDX-License-Identifier: MIT */
/* Masks: the tokens that may come next. */
#include <stdlib.h>

#include "grammar/compiled.h"

#define VOCAB_N 600u

struct vocabulary {
    struct qr_budget budget;
    struct qr_trie trie;
    struct qr_token_bytes tokens[VOCAB_N];
    char bytes[VOCAB_N][40];
};

/* Every byte, then texts of one to forty bytes of what JSON is made of, some of them broken UTF-8,
 * some twice, some without bytes. */
static void make_vocabulary(struct vocabulary *v)
{
    static const char *const parts[] = {"\"",   "a",  "bc", "1",    "0", ", ",   "{",
                                        "}",    ":",  " ",  "[",    "]", "null", "\xc3\xa9",
                                        "\xc3", "\\", "n",  "name", "\n"};
    unsigned seed = 11;
    v->budget = (struct qr_budget){.allocator = qr_allocator((struct quire_allocator){0}),
                                   .bytes_left = (size_t)64 << 20};
    for (uint32_t id = 0; id < VOCAB_N; id++) {
        size_t n = 0;
        if (id < 256) {
            v->bytes[id][n++] = (char)id;
        } else if (id % 50) {
            uint32_t parts_n = 1 + (uint32_t)rand_r(&seed) % 9;
            for (uint32_t i = 0; i < parts_n && n < 34; i++) {
                const char *part = parts[(size_t)rand_r(&seed) % (sizeof parts / sizeof parts[0])];
                memcpy(v->bytes[id] + n, part, strlen(part));
                n += strlen(part);
            }
        }
        v->tokens[id] = (struct qr_token_bytes){v->bytes[id], n};
    }
    assert_true(qr_trie_init(&v->trie, v->tokens, VOCAB_N, &v->budget));
}

static const char *const schemas[] = {
    "true",
    "{\"type\":\"string\",\"maxLength\":9}",
    "{\"type\":\"string\",\"pattern\":\"^[a-c]+$\"}",
    "{\"type\":\"number\",\"maximum\":100}",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"a\":{\"type\":"
    "\"integer\"}}}",
    "{\"enum\":[\"abc\",\"a\",10,null]}",
    "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"const\":\"n\"},{\"type\":"
    "\"null\"}]}}",
};

/* Goal: a token's bit is set if and only if the matcher accepts its bytes.
 * Method: along seeded random texts of several schemas, each mask against every token tried by
 *         itself; the vocabulary has tokens of every band, broken characters and duplicates. */
static void a_mask_is_each_token_tried(void **state)
{
    (void)state;
    static struct vocabulary v;
    unsigned seed = 5;
    make_vocabulary(&v);
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        struct compiled c;
        compiled_schema(&c, schemas[i], NULL);
        assert_int_equal(c.status, QUIRE_OK);
        for (int walk = 0; walk < 12; walk++) {
            struct qr_matcher m;
            struct qr_mask_cache cache = {0};
            assert_true(qr_matcher_init(&m, &c.rules, &c.budget));
            for (int n = 0; n < 12; n++) {
                uint64_t bits[(VOCAB_N + 63) / 64];
                uint32_t allowed[VOCAB_N], allowed_n = 0;
                assert_true(qr_trie_mask(&v.trie, &m, &cache, bits));
                for (uint32_t id = 0; id < VOCAB_N; id++) {
                    bool set = bits[id / 64] >> id % 64 & 1;
                    bool accepted = v.tokens[id].n > 0 &&
                                    qr_matcher_accept(&m, v.tokens[id].bytes, v.tokens[id].n);
                    if (accepted) qr_matcher_rollback(&m, 1);
                    assert_int_equal(set, accepted);
                    if (set) allowed[allowed_n++] = id;
                }
                if (allowed_n == 0) break;
                uint32_t id = allowed[(uint32_t)rand_r(&seed) % allowed_n];
                assert_true(qr_matcher_accept(&m, v.tokens[id].bytes, v.tokens[id].n));
            }
            qr_array_free(&c.budget, cache.masks);
            qr_matcher_deinit(&m);
        }
        assert_false(c.budget.failed);
        compiled_end(&c);
    }
    qr_trie_deinit(&v.trie, &v.budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_mask_is_each_token_tried)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
