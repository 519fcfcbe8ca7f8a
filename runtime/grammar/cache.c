/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/cache.h"

#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"

bool qr_grammar_cache_init(struct qr_grammar_cache *cache, const struct quire_allocator *allocator)
{
    *cache = (struct qr_grammar_cache){.allocator = *allocator};
    return pthread_mutex_init(&cache->lock, NULL) == 0;
}

static void drop(struct qr_grammar_cache *cache, struct qr_grammar_cache_entry *entry)
{
    qr_free(&cache->allocator, entry->key);
    qr_grammar_drop(entry->grammar);
    *entry = (struct qr_grammar_cache_entry){0};
}

void qr_grammar_cache_deinit(struct qr_grammar_cache *cache)
{
    for (uint32_t i = 0; i < QR_GRAMMAR_CACHE_N; i++)
        drop(cache, &cache->entries[i]);
    (void)pthread_mutex_destroy(&cache->lock);
}

/* ---- sources as bytes ----------------------------------------------------------------------- */

/* Appends to key, or counts for key NULL. */
static size_t put(char *key, size_t at, const void *bytes, size_t n)
{
    if (key && n) memcpy(key + at, bytes, n);
    return at + n;
}

static size_t put_text(char *key, size_t at, const char *text, size_t n)
{
    at = put(key, at, &n, sizeof n);
    return put(key, at, text, n);
}

static size_t put_source(char *key, const struct qr_grammar_source *source, size_t bytes_max)
{
    const char *whitespace = source->settings.whitespace;
    const size_t head[] = {source->kind, source->settings.no_additional_properties, bytes_max,
                           whitespace != NULL, source->choices_n};
    size_t at = put(key, 0, head, sizeof head);

    at = put_text(key, at, whitespace, whitespace ? strlen(whitespace) : 0);
    at = put_text(key, at, source->text.data, source->text.n);
    for (size_t i = 0; i < source->choices_n; i++)
        at = put_text(key, at, source->choices[i].data, source->choices[i].n);
    return at;
}

/* ---- entries -------------------------------------------------------------------------------- */

static size_t bytes_of(const struct qr_grammar_cache_entry *entry)
{
    return entry->key ? entry->key_n + qr_grammar_bytes(entry->grammar) : 0;
}

/* Under the lock.  NULL: it is not there. */
static struct qr_grammar_cache_entry *find(struct qr_grammar_cache *cache, const char *key,
                                           size_t key_n)
{
    for (uint32_t i = 0; i < QR_GRAMMAR_CACHE_N; i++) {
        struct qr_grammar_cache_entry *e = &cache->entries[i];
        if (e->key && e->key_n == key_n && memcmp(e->key, key, key_n) == 0) return e;
    }
    return NULL;
}

/* Under the lock: an entry that is free, with room for more bytes in the others.  NULL: they are
 * too many for the cache. */
static struct qr_grammar_cache_entry *make_room(struct qr_grammar_cache *cache, size_t bytes)
{
    if (bytes > QR_GRAMMAR_CACHE_BYTES) return NULL;
    for (;;) {
        struct qr_grammar_cache_entry *free_entry = NULL, *oldest = NULL;
        size_t all = bytes;
        for (uint32_t i = 0; i < QR_GRAMMAR_CACHE_N; i++) {
            struct qr_grammar_cache_entry *e = &cache->entries[i];
            all += bytes_of(e);
            if (!e->key)
                free_entry = e;
            else if (!oldest || e->used < oldest->used)
                oldest = e;
        }
        if (free_entry && all <= QR_GRAMMAR_CACHE_BYTES) return free_entry;
        drop(cache, oldest);
    }
}

/* Keeps a share of the grammar, and the key.  False: it does not, and the key is the caller's. */
static bool keep(struct qr_grammar_cache *cache, char *key, size_t key_n,
                 struct qr_grammar *grammar)
{
    struct qr_grammar_cache_entry *entry = find(cache, key, key_n);

    if (entry) drop(cache, entry);
    entry = make_room(cache, key_n + qr_grammar_bytes(grammar));
    if (entry)
        *entry =
            (struct qr_grammar_cache_entry){key, key_n, qr_grammar_share(grammar), ++cache->uses};
    return entry != NULL;
}

int qr_grammar_cache_get(struct qr_grammar_cache *cache, struct qr_grammar **grammar,
                         const struct qr_grammar_source *source,
                         const struct qr_grammar_vocabulary *vocabulary, size_t bytes_max,
                         struct quire_error *error)
{
    const size_t key_n = put_source(NULL, source, bytes_max);
    char *key = qr_alloc(&cache->allocator, key_n);

    *grammar = NULL;
    if (!key) return qr_error(error, QUIRE_NO_MEMORY, "cannot compile a grammar: out of memory");
    (void)put_source(key, source, bytes_max);
    (void)pthread_mutex_lock(&cache->lock);
    struct qr_grammar_cache_entry *entry = find(cache, key, key_n);
    if (entry && qr_grammar_bytes(entry->grammar) <= bytes_max / 2) {
        *grammar = qr_grammar_share(entry->grammar);
        entry->used = ++cache->uses;
        cache->hits++;
    } else {
        cache->misses++;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    int status = QUIRE_OK;
    if (!*grammar) {
        status =
            qr_grammar_create(grammar, source, vocabulary, bytes_max, &cache->allocator, error);
        (void)pthread_mutex_lock(&cache->lock);
        if (!status && keep(cache, key, key_n, *grammar)) key = NULL;
        (void)pthread_mutex_unlock(&cache->lock);
    }
    qr_free(&cache->allocator, key);
    return status;
}
