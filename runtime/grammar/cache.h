/* SPDX-License-Identifier: MIT */
/* cache -- compiled grammars by their source, for the next request with the same one.
 *
 *     get(source) --> found: share it
 *                 \-> not found, or it has grown: compile it without the lock, keep it
 *
 * A source is equal to another if every byte of it is: kind, texts and settings.  The grammar used
 * longest ago is dropped where the entries or their bytes are too many; requests that use it keep
 * it.  A grammar's lexer grows as texts are matched, so one that has used half of its bytes is
 * compiled anew.  Two threads that compile one source at once both compile it, and one copy is
 * kept.
 *
 * Thread: any.   Memory: the allocator's. */
#ifndef QR_GRAMMAR_CACHE_H
#define QR_GRAMMAR_CACHE_H

#include <pthread.h>

#include "runtime/grammar/grammar.h"

#define QR_GRAMMAR_CACHE_N     64u
#define QR_GRAMMAR_CACHE_BYTES ((size_t)256 << 20) /* of grammars and their sources */

struct qr_grammar_cache_entry {
    char *key; /* NULL: free */
    size_t key_n;
    struct qr_grammar *grammar; /* a share */
    uint64_t used;              /* when: of the cache's `uses` */
};

struct qr_grammar_cache {
    pthread_mutex_t lock;
    struct quire_allocator allocator;
    struct qr_grammar_cache_entry entries[QR_GRAMMAR_CACHE_N];
    uint64_t uses;
    uint64_t hits, misses;
};

bool qr_grammar_cache_init(struct qr_grammar_cache *cache, const struct quire_allocator *allocator);
void qr_grammar_cache_deinit(struct qr_grammar_cache *cache);

/* As qr_grammar_create: *grammar is a share of the caller's. */
int qr_grammar_cache_get(struct qr_grammar_cache *cache, struct qr_grammar **grammar,
                         const struct qr_grammar_source *source,
                         const struct qr_grammar_vocabulary *vocabulary, size_t bytes_max,
                         struct quire_error *error);

#endif
