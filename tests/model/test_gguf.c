/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf_writer.h"
#include "runtime/base/memory.h"

static struct quire_allocator allocator;
static struct quire_error error;

/* A small file with every kind of value and two tensors. */
static void write_small(struct gguf_writer *w)
{
    const uint64_t dims[2] = {8, 2};
    const float floats[16] = {1, 2, 3};
    const uint8_t blocks[34] = {0};
    const int32_t kinds[3] = {1, -2, 3};
    const int64_t far = -5000000000;
    const double half = 0.5;
    const uint8_t byte = 200;

    gguf_writer_init(w);
    gguf_writer_string(w, "general.architecture", "llama");
    gguf_writer_u32(w, "a.u32", 4000000000u);
    gguf_writer_f32(w, "a.f32", 1.5f);
    gguf_writer_bool(w, "a.bool", true);
    gguf_writer_key(w, "a.i64", QR_GGUF_I64, &far, sizeof far);
    gguf_writer_key(w, "a.f64", QR_GGUF_F64, &half, sizeof half);
    gguf_writer_key(w, "a.u8", QR_GGUF_U8, &byte, 1);
    gguf_writer_array(w, "a.kinds", QR_GGUF_I32, 3, kinds, sizeof kinds);
    gguf_writer_array(w, "a.scores", QR_GGUF_F32, 16, floats, sizeof floats);
    gguf_writer_array(w, "a.texts", QR_GGUF_STRING, 2, "\2\0\0\0\0\0\0\0hi\0\0\0\0\0\0\0\0", 18);
    gguf_writer_tensor(w, "b.weight", QR_TYPE_F32, dims, 2, floats, sizeof floats);
    gguf_writer_tensor(w, "a.weight", QR_TYPE_Q8_0, (const uint64_t[]){32}, 1, blocks,
                       sizeof blocks);
}

static int parse(struct qr_gguf *g, const void *bytes, size_t n)
{
    memset(&error, 0, sizeof error);
    return qr_gguf_parse(g, bytes, n, "small.gguf", &allocator, &error);
}

static int parse_writer(struct qr_gguf *g, struct gguf_writer *w)
{
    size_t n;
    const uint8_t *bytes = gguf_writer_finish(w, &n);

    return parse(g, bytes, n);
}

/* Expects a refusal whose text contains the words, and frees the writer. */
static void expect_refused(struct gguf_writer *w, int status, const char *words)
{
    struct qr_gguf g;

    assert_int_equal(parse_writer(&g, w), status);
    if (!strstr(error.text, words)) fail_msg("'%s' does not say '%s'", error.text, words);
    gguf_writer_free(w);
}

/* Goal: every kind of value and tensor is read as it was written.
 * Method: write one of each, read them all. */
static void reads_what_was_written(void **state)
{
    struct gguf_writer w;
    struct qr_gguf g;
    struct quire_text text;
    uint32_t u32;
    double f64;
    float f32;
    int32_t i32;
    bool truth;
    size_t cursor = 0;

    (void)state;
    write_small(&w);
    assert_int_equal(parse_writer(&g, &w), QUIRE_OK);
    assert_int_equal(g.version, 3);
    assert_int_equal(g.alignment, 32);
    assert_true(qr_gguf_string(&g, "general.architecture", &text));
    assert_int_equal(text.n, 5);
    assert_memory_equal(text.data, "llama", 5);
    assert_true(qr_gguf_u32(&g, "a.u32", &u32));
    assert_int_equal(u32, 4000000000u);
    assert_true(qr_gguf_u32(&g, "a.u8", &u32));
    assert_int_equal(u32, 200);
    assert_true(qr_gguf_f64(&g, "a.f32", &f64));
    assert_true(f64 == 1.5);
    assert_true(qr_gguf_f64(&g, "a.f64", &f64));
    assert_true(f64 == 0.5);
    assert_true(qr_gguf_f64(&g, "a.i64", &f64));
    assert_true(f64 == -5e9);
    assert_true(qr_gguf_bool(&g, "a.bool", &truth));
    assert_true(truth);
    assert_true(qr_gguf_element_i32(qr_gguf_find(&g, "a.kinds"), 1, &i32));
    assert_int_equal(i32, -2);
    assert_false(qr_gguf_element_i32(qr_gguf_find(&g, "a.kinds"), 3, &i32));
    assert_true(qr_gguf_element_f32(qr_gguf_find(&g, "a.scores"), 2, &f32));
    assert_true(f32 == 3);
    assert_true(qr_gguf_next_string(qr_gguf_find(&g, "a.texts"), &cursor, &text));
    assert_int_equal(text.n, 2);
    assert_memory_equal(text.data, "hi", 2);
    assert_true(qr_gguf_next_string(qr_gguf_find(&g, "a.texts"), &cursor, &text));
    assert_int_equal(text.n, 0);
    assert_false(qr_gguf_next_string(qr_gguf_find(&g, "a.texts"), &cursor, &text));

    const struct qr_gguf_tensor *t = qr_gguf_tensor(&g, "b.weight");
    assert_non_null(t);
    assert_int_equal(t->type, QR_TYPE_F32);
    assert_int_equal(t->dims[0], 8);
    assert_int_equal(t->dims[1], 2);
    assert_int_equal(t->dims[2], 1);
    assert_int_equal(t->data_n, 64);
    assert_true(((const float *)(const void *)t->data)[2] == 3);
    t = qr_gguf_tensor(&g, "a.weight");
    assert_non_null(t);
    assert_int_equal(t->data_n, 34);
    assert_int_equal((t->data - g.bytes) % 32, 0);
    qr_gguf_close(&g);
    gguf_writer_free(&w);
}

/* Goal: a typed read of an absent key or of another kind returns false.
 * Method: read each in the wrong way. */
static void typed_reads_refuse_other_kinds(void **state)
{
    struct gguf_writer w;
    struct qr_gguf g;
    struct quire_text text;
    uint32_t u32;
    double f64;
    bool truth;
    float f32;
    size_t cursor = 0;

    (void)state;
    write_small(&w);
    assert_int_equal(parse_writer(&g, &w), QUIRE_OK);
    assert_null(qr_gguf_find(&g, "a"));
    assert_null(qr_gguf_find(&g, "a.u32x"));
    assert_null(qr_gguf_tensor(&g, "c.weight"));
    assert_false(qr_gguf_u32(&g, "a.i64", &u32)); /* below zero */
    assert_false(qr_gguf_u32(&g, "a.f32", &u32));
    assert_false(qr_gguf_f64(&g, "a.bool", &f64));
    assert_false(qr_gguf_bool(&g, "a.u8", &truth));
    assert_false(qr_gguf_string(&g, "a.texts", &text));
    assert_false(qr_gguf_element_f32(qr_gguf_find(&g, "a.kinds"), 0, &f32));
    assert_false(qr_gguf_next_string(qr_gguf_find(&g, "a.kinds"), &cursor, &text));
    qr_gguf_close(&g);
    gguf_writer_free(&w);
}

/* Goal: a file cut anywhere is an error and never a crash.
 * Method: every length of a small file, each in memory of exactly that size, so that a sanitizer
 * sees a read past it. */
static void every_truncation_is_an_error(void **state)
{
    struct gguf_writer w;
    struct qr_gguf g;
    size_t n;

    (void)state;
    write_small(&w);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(parse(&g, copy, cut), QUIRE_BAD_FILE);
        assert_non_null(strstr(error.text, "small.gguf: byte "));
        free(copy);
    }
    assert_int_equal(parse(&g, bytes, n), QUIRE_OK);
    qr_gguf_close(&g);
    gguf_writer_free(&w);
}

/* Goal: no byte of a header makes the parser read outside the file.
 * Method: set every byte of a small file to a few hostile values, parse, and read all strings and
 * tensors.  The status may be either; a sanitizer sees a wrong read. */
static void hostile_bytes_never_crash(void **state)
{
    const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct gguf_writer w;
    struct quire_text text;
    struct qr_gguf g;
    size_t n;

    (void)state;
    write_small(&w);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < sizeof values; j++) {
            memcpy(copy, bytes, n);
            copy[i] = values[j];
            if (parse(&g, copy, n) != QUIRE_OK) continue;
            for (uint32_t k = 0; k < g.keys_n; k++)
                for (size_t cursor = 0; qr_gguf_next_string(&g.keys[k], &cursor, &text);)
                    assert_true((const uint8_t *)text.data + text.n <= copy + n);
            for (uint32_t k = 0; k < g.tensors_n; k++)
                assert_true(!g.tensors[k].data ||
                            g.tensors[k].data + g.tensors[k].data_n <= copy + n);
            qr_gguf_close(&g);
        }
    }
    free(copy);
    gguf_writer_free(&w);
}

/* Goal: a file that is not GGUF, or of another version, is refused by name.
 * Method: other magics, both byte orders, versions 1 and 4. */
static void other_formats_are_named(void **state)
{
    const struct {
        uint32_t version;
        int status;
        const char *words;
    } versions[] = {
        {1, QUIRE_UNSUPPORTED, "byte 4: GGUF version 1, expected 2 or 3"},
        {4, QUIRE_UNSUPPORTED, "byte 4: GGUF version 4, expected 2 or 3"},
        {0, QUIRE_UNSUPPORTED, "byte 4: GGUF version 0"},
        {0x03000000, QUIRE_UNSUPPORTED, "byte 4: a big-endian GGUF file"},
    };
    struct gguf_writer w;
    struct qr_gguf g;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        write_small(&w);
        w.version = versions[i].version;
        expect_refused(&w, versions[i].status, versions[i].words);
    }
    write_small(&w);
    w.version = 2;
    assert_int_equal(parse_writer(&g, &w), QUIRE_OK);
    qr_gguf_close(&g);
    (void)gguf_writer_finish(&w, &n);
    memcpy(w.file.data, "PK\3\4", 4);
    assert_int_equal(parse(&g, w.file.data, n), QUIRE_BAD_FILE);
    assert_non_null(
        strstr(error.text, "byte 0: begins with 0x504b0304, expected the magic 'GGUF'"));
    gguf_writer_free(&w);
}

/* Goal: counts that the file cannot hold are refused before memory is allocated.
 * Method: counts of 2^64 - 1, one above the limit, and one more than the bytes allow. */
static void hostile_counts_are_refused(void **state)
{
    const uint64_t counts[] = {UINT64_MAX, (uint64_t)1 << 63, QR_GGUF_KEYS_MAX + 1, 60000};
    struct gguf_writer w;

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        write_small(&w);
        w.keys_n = counts[i];
        expect_refused(&w, QUIRE_BAD_FILE, "byte 16: the number of keys is ");
        write_small(&w);
        w.tensors_n = counts[i];
        expect_refused(&w, QUIRE_BAD_FILE, "byte 8: the number of tensors is ");
    }
}

/* Goal: lengths inside values are checked against the file's size.
 * Method: names, strings and arrays longer than the file, up to lengths that overflow. */
static void hostile_lengths_are_refused(void **state)
{
    struct gguf_writer w;

    (void)state;
    gguf_writer_init(&w);
    gguf_put_u64(&w.keys, UINT64_MAX);
    gguf_put(&w.keys, "name, kind, value", 17);
    w.keys_n = 1;
    expect_refused(&w, QUIRE_BAD_FILE, "byte 24: a key's name is 18446744073709551615 bytes long");

    gguf_writer_init(&w);
    gguf_writer_array(&w, "a", QR_GGUF_STRING, UINT64_MAX, "\0\0\0\0\0\0\0\0", 8);
    expect_refused(&w, QUIRE_BAD_FILE, "an array of 18446744073709551615 strings");

    gguf_writer_init(&w);
    gguf_writer_array(&w, "a", QR_GGUF_STRING, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    expect_refused(&w, QUIRE_BAD_FILE, "a string takes 18446744073709551615 bytes");

    gguf_writer_init(&w); /* 2^61 values of 8 bytes: the product is 0 */
    gguf_writer_array(&w, "a", QR_GGUF_U64, (uint64_t)1 << 61, "12345678", 8);
    expect_refused(&w, QUIRE_BAD_FILE, "2305843009213693952 values of 8 bytes");

    gguf_writer_init(&w);
    gguf_writer_key(&w, "a", 13, "1234", 4);
    expect_refused(&w, QUIRE_BAD_FILE, "a value's type is 13, expected 0 to 12");

    gguf_writer_init(&w);
    gguf_writer_array(&w, "a", QR_GGUF_ARRAY, 1, "1234567890123456", 16);
    expect_refused(&w, QUIRE_BAD_FILE, "key 'a' is an array of arrays");

    gguf_writer_init(&w);
    gguf_writer_key(&w, "a", QR_GGUF_BOOL, "\2", 1);
    expect_refused(&w, QUIRE_BAD_FILE, "a bool is 2, expected 0 or 1");
}

/* Goal: a name that occurs twice is refused: no one could say which counts.
 * Method: a key and a tensor written twice. */
static void duplicates_are_refused(void **state)
{
    const float floats[16] = {0};
    struct gguf_writer w;

    (void)state;
    write_small(&w);
    gguf_writer_u32(&w, "a.u32", 1);
    expect_refused(&w, QUIRE_BAD_FILE, "key 'a.u32' occurs twice");
    write_small(&w);
    gguf_writer_tensor(&w, "a.weight", QR_TYPE_F32, (const uint64_t[]){16}, 1, floats, 64);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 'a.weight' occurs twice");
}

static void info(struct gguf_writer *w, uint32_t type, const uint64_t *dims, uint32_t dims_n,
                 uint64_t offset)
{
    write_small(w);
    gguf_writer_info(w, (struct quire_text){.data = "t", .n = 1}, type, dims, dims_n, offset);
}

/* Goal: shapes and offsets that overflow or point outside the file are refused.
 * Method: one tensor for each. */
static void hostile_tensors_are_refused(void **state)
{
    const uint64_t huge = (uint64_t)1 << 32;
    struct gguf_writer w;

    (void)state;
    info(&w, QR_TYPE_F32, (const uint64_t[]){4, 1, 1, 1, 1}, 5, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' has 5 dimensions, expected 1 to 4");
    info(&w, QR_TYPE_F32, NULL, 0, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' has 0 dimensions");
    info(&w, QR_TYPE_F32, (const uint64_t[]){4, 0}, 2, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' has dimension 1 of 0");
    info(&w, QR_TYPE_F32, (const uint64_t[]){huge, huge}, 2, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' has dimension 1 of 4294967296");
    info(&w, QR_TYPE_F32, (const uint64_t[]){huge, huge / 2}, 2, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' has 9223372036854775808 blocks of 4 bytes");
    info(&w, QR_TYPE_Q8_0, (const uint64_t[]){33}, 1, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "type Q8_0 has rows of 33, expected a multiple of 32");
    info(&w, QR_TYPE_F32, (const uint64_t[]){1}, 1, 8);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' is at offset 8, expected a multiple of 32");
    info(&w, QR_TYPE_F32, (const uint64_t[]){1}, 1, (uint64_t)1 << 40);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' is at offset 1099511627776");
    info(&w, QR_TYPE_F32, (const uint64_t[]){1}, 1, 128);
    expect_refused(&w, QUIRE_BAD_FILE,
                   "tensor 't' is at offset 128, the file has 98 bytes of data");
    info(&w, QR_TYPE_F32, (const uint64_t[]){1000}, 1, 0);
    expect_refused(&w, QUIRE_BAD_FILE, "tensor 't' has 1000 blocks of 4 bytes at offset 0");
}

/* Goal: a tensor of an unknown type is listed without data.
 * Method: a type number above ggml's, with dimensions too large for any file. */
static void unknown_types_have_no_data(void **state)
{
    struct gguf_writer w;
    struct qr_gguf g;

    (void)state;
    info(&w, 9999, (const uint64_t[]){(uint64_t)1 << 40}, 1, 0);
    assert_int_equal(parse_writer(&g, &w), QUIRE_OK);
    assert_int_equal(qr_gguf_tensor(&g, "t")->type, 9999);
    assert_null(qr_gguf_tensor(&g, "t")->data);
    assert_int_equal(qr_gguf_tensor(&g, "t")->data_n, 0);
    qr_gguf_close(&g);
    gguf_writer_free(&w);
}

/* Goal: the file's alignment is used, and checked.
 * Method: 64 moves the data; 0, 12, 4 and a string are refused. */
static void alignment_is_checked(void **state)
{
    const float floats[4] = {7};
    const uint32_t bad[] = {0, 12, 4, 1u << 21};
    struct gguf_writer w;
    struct qr_gguf g;

    (void)state;
    gguf_writer_init(&w);
    w.alignment = 64;
    gguf_writer_u32(&w, "general.alignment", 64);
    gguf_writer_tensor(&w, "t", QR_TYPE_F32, (const uint64_t[]){4}, 1, floats, sizeof floats);
    assert_int_equal(parse_writer(&g, &w), QUIRE_OK);
    assert_int_equal(g.alignment, 64);
    assert_int_equal((g.tensors[0].data - g.bytes) % 64, 0);
    assert_memory_equal(g.tensors[0].data, floats, sizeof floats);
    qr_gguf_close(&g);
    gguf_writer_free(&w);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_small(&w);
        gguf_writer_u32(&w, "general.alignment", bad[i]);
        expect_refused(&w, QUIRE_BAD_FILE, "expected a power of two from 8 to");
    }
    write_small(&w);
    gguf_writer_string(&w, "general.alignment", "32");
    expect_refused(&w, QUIRE_BAD_FILE, "general.alignment is of type 8, expected 4");
}

static void *no_memory(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)memory;
    (void)bytes;
    return NULL;
}

/* Goal: running out of memory is a status.
 * Method: an allocator that returns NULL. */
static void no_memory_is_a_status(void **state)
{
    struct quire_allocator none = {.resize = no_memory};
    struct gguf_writer w;
    struct qr_gguf g;
    size_t n;

    (void)state;
    write_small(&w);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    assert_int_equal(qr_gguf_parse(&g, bytes, n, "small.gguf", &none, &error), QUIRE_NO_MEMORY);
    gguf_writer_free(&w);
}

/* Goal: a good file on disk opens; a missing one, an empty one and a folder are refused by name.
 * Method: write to a temporary file. */
static void opens_files(void **state)
{
    char path[] = "/tmp/quire-test-gguf-XXXXXX";
    struct gguf_writer w;
    struct qr_gguf g;
    size_t n;

    (void)state;
    write_small(&w);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(qr_gguf_open(&g, path, &allocator, &error), QUIRE_BAD_FILE);
    assert_non_null(strstr(error.text, "the file has 0 bytes, a GGUF header has 24"));
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(qr_gguf_open(&g, path, &allocator, &error), QUIRE_OK);
    assert_true(g.mapped);
    assert_int_equal(g.bytes_n, n);
    assert_memory_equal(g.bytes, bytes, n);
    qr_gguf_close(&g);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(qr_gguf_open(&g, path, &allocator, &error), QUIRE_SYSTEM);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(qr_gguf_open(&g, "/tmp", &allocator, &error), QUIRE_BAD_FILE);
    assert_non_null(strstr(error.text, "is not a regular file"));
    gguf_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(typed_reads_refuse_other_kinds),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(hostile_bytes_never_crash),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(hostile_counts_are_refused),
        cmocka_unit_test(hostile_lengths_are_refused),
        cmocka_unit_test(duplicates_are_refused),
        cmocka_unit_test(hostile_tensors_are_refused),
        cmocka_unit_test(unknown_types_have_no_data),
        cmocka_unit_test(alignment_is_checked),
        cmocka_unit_test(no_memory_is_a_status),
        cmocka_unit_test(opens_files),
    };

    allocator = qr_allocator((struct quire_allocator){0});
    return cmocka_run_group_tests_name("model/gguf", tests, NULL, NULL);
}
