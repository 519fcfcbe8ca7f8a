/* SPDX-License-Identifier: MIT */
/* Files on disk.  A model may be split into several files (llama-gguf-split,
 * NAME-00001-of-00003.gguf).  The caller names the first, which holds the keys; the tensors of all
 * are joined. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/gguf.h"

#define SUFFIX_BYTES   20u /* "-00001-of-00003.gguf" */
#define SUFFIX_ROOM    40u /* for any two numbers */
#define SHOWN_NAME_MAX 64

/* Maps the file.  *bytes: NULL if it is empty. */
static int map_fd(int fd, const char *path, const uint8_t **bytes, size_t *bytes_n,
                  struct quire_error *error)
{
    struct stat info;

    *bytes = NULL;
    *bytes_n = 0;
    if (fstat(fd, &info) != 0)
        return qr_error(error, QUIRE_SYSTEM, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return qr_error(error, QUIRE_BAD_FILE, "%s: is not a regular file, expected a GGUF file",
                        path);
    if (info.st_size == 0) return QUIRE_OK;
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return qr_error(error, QUIRE_SYSTEM, "%s: cannot be mapped: %s", path, strerror(errno));
    *bytes = map;
    *bytes_n = (size_t)info.st_size;
    return QUIRE_OK;
}

static int map_file(const char *path, const uint8_t **bytes, size_t *bytes_n,
                    struct quire_error *error)
{
    /* O_NONBLOCK: do not wait for a fifo's writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) return qr_error(error, QUIRE_SYSTEM, "%s: %s", path, strerror(errno));
    int status = map_fd(fd, path, bytes, bytes_n, error);
    (void)close(fd);
    return status;
}

static int open_one(struct qr_gguf *g, const char *path, const struct quire_allocator *allocator,
                    struct quire_error *error)
{
    const uint8_t *bytes = NULL;
    size_t bytes_n = 0;

    *g = (struct qr_gguf){.allocator = *allocator};
    int status = map_file(path, &bytes, &bytes_n, error);
    if (status) return status;
    status = qr_gguf_parse(g, bytes, bytes_n, path, allocator, error);
    if (status) {
        if (bytes) (void)munmap((void *)(uintptr_t)bytes, bytes_n);
        return status;
    }
    g->mapped = true;
    return QUIRE_OK;
}

/* ---- parts ---------------------------------------------------------------------------------- */

static void suffix_of(char suffix[SUFFIX_ROOM], uint32_t no, uint32_t count)
{
    (void)snprintf(suffix, SUFFIX_ROOM, "-%05" PRIu32 "-of-%05" PRIu32 ".gguf", no + 1, count);
}

/* A part's own keys must say that it is part `no` of `count`. */
static int check_part(const struct qr_gguf *g, const char *path, uint32_t no, uint32_t count,
                      struct quire_error *error)
{
    uint32_t said_no, said_count;

    if (!qr_gguf_u32(g, "split.no", &said_no) || !qr_gguf_u32(g, "split.count", &said_count))
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: split.no or split.count is missing, expected part %" PRIu32
                        " of %" PRIu32,
                        path, no + 1, count);
    if (said_no != no || said_count != count)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: is part %" PRIu64 " of %" PRIu32 " by its keys, expected part %" PRIu32
                        " of %" PRIu32,
                        path, (uint64_t)said_no + 1, said_count, no + 1, count);
    return QUIRE_OK;
}

/* The first part's name and keys must agree.  The other parts' names differ in the last
 * SUFFIX_BYTES. */
static int check_first(const struct qr_gguf *g, const char *path, uint32_t count,
                       struct quire_error *error)
{
    const size_t n = strlen(path);
    char expected[SUFFIX_ROOM];
    uint32_t no;

    if (count > QR_GGUF_PARTS_MAX)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: split.count is %" PRIu32 ", expected at most %u", path, count,
                        QR_GGUF_PARTS_MAX);
    if (qr_gguf_u32(g, "split.no", &no) && no != 0)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: is part %" PRIu64 " of %" PRIu32
                        ", expected the first: name the file that ends in -00001-of-%05" PRIu32
                        ".gguf",
                        path, (uint64_t)no + 1, count, count);
    suffix_of(expected, 0, count);
    if (n < SUFFIX_BYTES || strcmp(path + n - SUFFIX_BYTES, expected) != 0)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: is the first of %" PRIu32
                        " parts, expected a name that ends in %s, by "
                        "which the others are found",
                        path, count, expected);
    return check_part(g, path, 0, count, error);
}

static int open_parts(struct qr_gguf *g, const char *path, uint32_t count,
                      struct quire_error *error)
{
    const size_t stem_n = strlen(path) - SUFFIX_BYTES;
    char suffix[SUFFIX_ROOM];

    g->parts = qr_alloc_zero(&g->allocator, count - 1, sizeof g->parts[0]);
    char *name = qr_alloc(&g->allocator, strlen(path) + 1);
    int status = QUIRE_OK;

    if (!g->parts || !name)
        status =
            qr_error(error, QUIRE_NO_MEMORY, "%s: no memory for %" PRIu32 " parts", path, count);
    if (!status) memcpy(name, path, strlen(path) + 1);
    for (uint32_t no = 1; no < count && !status; no++) {
        struct qr_gguf *part = &g->parts[no - 1];
        suffix_of(suffix, no, count);
        memcpy(name + stem_n, suffix, SUFFIX_BYTES);
        status = open_one(part, name, &g->allocator, error);
        if (status) break;
        g->parts_n++;
        g->all_bytes_n += part->bytes_n;
        status = check_part(part, name, no, count, error);
    }
    qr_free(&g->allocator, name);
    return status;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct quire_text *x = &((const struct qr_gguf_tensor *)a)->name;
    const struct quire_text *y = &((const struct qr_gguf_tensor *)b)->name;
    int order = memcmp(x->data, y->data, x->n < y->n ? x->n : y->n);

    if (order) return order;
    return (x->n > y->n) - (x->n < y->n);
}

/* Adds the tensors of all parts to the first one's table. */
static int join_tensors(struct qr_gguf *g, const char *path, struct quire_error *error)
{
    uint64_t all = g->tensors_n;
    uint32_t said;

    for (uint32_t i = 0; i < g->parts_n; i++)
        all += g->parts[i].tensors_n;
    if (qr_gguf_u32(g, "split.tensors.count", &said) && said != all)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: split.tensors.count is %" PRIu32 ", but its parts hold %" PRIu64
                        " tensors",
                        path, said, all);
    if (all > QR_GGUF_TENSORS_MAX)
        return qr_error(error, QUIRE_BAD_FILE,
                        "%s: its parts hold %" PRIu64 " tensors, expected at most %u", path, all,
                        QR_GGUF_TENSORS_MAX);
    struct qr_gguf_tensor *tensors =
        qr_realloc(&g->allocator, g->tensors, (size_t)all * sizeof tensors[0]);
    if (!tensors)
        return qr_error(error, QUIRE_NO_MEMORY, "%s: no memory for %" PRIu64 " tensors", path, all);
    g->tensors = tensors;
    for (uint32_t i = 0; i < g->parts_n; i++) {
        memcpy(tensors + g->tensors_n, g->parts[i].tensors,
               g->parts[i].tensors_n * sizeof tensors[0]);
        g->tensors_n += g->parts[i].tensors_n;
    }
    qsort(tensors, g->tensors_n, sizeof tensors[0], compare_tensors);
    for (uint32_t i = 1; i < g->tensors_n; i++) {
        const struct quire_text *name = &tensors[i].name;
        if (compare_tensors(&tensors[i - 1], &tensors[i]) == 0)
            return qr_error(error, QUIRE_BAD_FILE,
                            "%s: tensor '%.*s' is in two parts, expected once", path,
                            name->n < SHOWN_NAME_MAX ? (int)name->n : SHOWN_NAME_MAX, name->data);
    }
    return QUIRE_OK;
}

/* ---- the whole ------------------------------------------------------------------------------ */

int qr_gguf_open(struct qr_gguf *g, const char *path, const struct quire_allocator *allocator,
                 struct quire_error *error)
{
    uint32_t count;
    int status = open_one(g, path, allocator, error);

    if (status || !qr_gguf_u32(g, "split.count", &count) || count < 2) return status;
    status = check_first(g, path, count, error);
    if (!status) status = open_parts(g, path, count, error);
    if (!status) status = join_tensors(g, path, error);
    if (status) qr_gguf_close(g);
    return status;
}
