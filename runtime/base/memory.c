/* SPDX-License-Identifier: MIT */
#include "runtime/base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64u

static void *malloc_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, bytes);
}

struct quire_allocator qr_allocator(struct quire_allocator from)
{
    if (!from.resize) from = (struct quire_allocator){.resize = malloc_resize};
    return from;
}

void *qr_alloc(const struct quire_allocator *a, size_t bytes)
{
    return a->resize(a->context, NULL, bytes ? bytes : 1);
}

void *qr_alloc_zero(const struct quire_allocator *a, size_t n, size_t bytes)
{
    size_t all;

    if (!qr_mul(n, bytes, &all)) return NULL;
    void *memory = qr_alloc(a, all);
    if (memory) memset(memory, 0, all);
    return memory;
}

void *qr_realloc(const struct quire_allocator *a, void *memory, size_t bytes)
{
    return a->resize(a->context, memory, bytes ? bytes : 1);
}

void qr_free(const struct quire_allocator *a, void *memory)
{
    if (memory) (void)a->resize(a->context, memory, 0);
}

/* The allocator's own address is stored directly before the aligned address. */
void *qr_alloc_aligned(const struct quire_allocator *a, size_t bytes)
{
    size_t all;

    if (!qr_add_size(bytes, ALIGNMENT + sizeof(void *), &all)) return NULL;
    char *memory = qr_alloc(a, all);
    if (!memory) return NULL;
    uintptr_t address = (uintptr_t)memory + sizeof(void *);
    address = (address + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    ((void **)address)[-1] = memory;
    return (void *)address;
}

void qr_free_aligned(const struct quire_allocator *a, void *memory)
{
    if (memory) qr_free(a, ((void **)memory)[-1]);
}

bool qr_mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

bool qr_add_size(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

bool qr_region_create(struct qr_region *region, size_t bytes)
{
    *region = (struct qr_region){0};
    if (bytes == 0) bytes = 1;
    /* A region aligned to a huge page can consist of huge pages from its first byte.  So map more
     * than is needed and unmap both ends. */
    size_t all;
    if (!qr_add_size(bytes, QR_REGION_PIECE - 1, &bytes)) return false;
    bytes &= ~(QR_REGION_PIECE - 1);
    if (!qr_add_size(bytes, QR_REGION_PIECE, &all)) return false;
    void *map =
        mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return false;
    uintptr_t start = (uintptr_t)map;
    uintptr_t base = (start + QR_REGION_PIECE - 1) & ~(uintptr_t)(QR_REGION_PIECE - 1);
    if (base > start) (void)munmap(map, base - start);
    size_t tail = start + all - (base + bytes);
    if (tail) (void)munmap((void *)(base + bytes), tail);
    (void)madvise((void *)base, bytes, MADV_HUGEPAGE); /* a hint: the kernel may ignore it */
    *region = (struct qr_region){.base = (void *)base, .bytes = bytes};
    return true;
}

void qr_region_fill(const struct qr_region *region, size_t begin, size_t end)
{
    assert(begin <= end && end <= region->bytes);
    assert(begin % QR_REGION_PIECE == 0 && end % QR_REGION_PIECE == 0);
#ifdef MADV_POPULATE_WRITE /* Linux 5.14 */
    (void)madvise((uint8_t *)region->base + begin, end - begin, MADV_POPULATE_WRITE);
#endif
}

void qr_region_destroy(struct qr_region *region)
{
    if (region->base) {
        int failed = munmap(region->base, region->bytes);
        assert(!failed);
        (void)failed;
    }
    *region = (struct qr_region){0};
}
