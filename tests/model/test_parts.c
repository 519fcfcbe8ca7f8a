/* SPDX-License-Identifier: MIT */
/* A model that is split into several files: opening it by the first, and wrong parts. */
#include <sys/stat.h>
#include <unistd.h>

#include "among.h"
#include "gguf_writer.h"

#define WHOLE   QUIRE_TEST_DATA "/architectures/llama-linear.gguf"
#define PARTS_N 3u
#define TOKENS  20u

static struct quire_allocator allocator;
static struct qr_gguf whole;
static char folder[] = "/tmp/quire-test-parts-XXXXXX";

/* What a part's keys say, and which tensors it holds. */
struct part {
    uint32_t no, count, tensors_count;
    uint32_t begin, end;
    bool keys; /* the model's */
};

static const char *path_of(uint32_t no, uint32_t count)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/m-%05u-of-%05u.gguf", folder, no + 1, count);
    return path;
}

static void write_part(const char *path, const struct part *part)
{
    struct gguf_writer w;
    char name[QR_GGUF_NAME_MAX + 1];
    size_t n;

    gguf_writer_init(&w);
    if (part->keys)
        for (uint32_t i = 0; i < whole.keys_n; i++)
            gguf_writer_copy_key(&w, &whole.keys[i]);
    const uint16_t no = (uint16_t)part->no;
    const uint16_t count = (uint16_t)part->count;
    gguf_writer_key(&w, "split.no", QR_GGUF_U16, &no, sizeof no);
    gguf_writer_key(&w, "split.count", QR_GGUF_U16, &count, sizeof count);
    gguf_writer_key(&w, "split.tensors.count", QR_GGUF_I32, &part->tensors_count, 4);
    for (uint32_t i = part->begin; i < part->end; i++) {
        const struct qr_gguf_tensor *t = &whole.tensors[i];
        memcpy(name, t->name.data, t->name.n);
        name[t->name.n] = '\0';
        gguf_writer_tensor(&w, name, t->type, t->dims, t->dims_n, t->data, t->data_n);
    }
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    gguf_writer_free(&w);
}

/* A third of the tensors each. */
static struct part good_part(uint32_t no)
{
    return (struct part){.no = no,
                         .count = PARTS_N,
                         .tensors_count = whole.tensors_n,
                         .begin = no * whole.tensors_n / PARTS_N,
                         .end = (no + 1) * whole.tensors_n / PARTS_N,
                         .keys = no == 0};
}

static int write_all(void **state)
{
    (void)state;
    for (uint32_t no = 0; no < PARTS_N; no++) {
        struct part part = good_part(no);
        write_part(path_of(no, PARTS_N), &part);
    }
    return 0;
}

static int begin(void **state)
{
    struct quire_error error;

    (void)state;
    allocator = qr_allocator((struct quire_allocator){0});
    assert_non_null(mkdtemp(folder));
    return qr_gguf_open(&whole, WHOLE, &allocator, &error);
}

static int end(void **state)
{
    (void)state;
    qr_gguf_close(&whole);
    for (uint32_t no = 0; no < PARTS_N; no++)
        (void)unlink(path_of(no, PARTS_N));
    return rmdir(folder);
}

static void expect_refused(const char *path, int status, const char *words, const char *more)
{
    struct quire_error error = {0};
    struct qr_gguf g;

    assert_int_equal(qr_gguf_open(&g, path, &allocator, &error), status);
    if (!strstr(error.text, words) || !strstr(error.text, more))
        fail_msg("'%s' does not say '%s' and '%s'", error.text, words, more);
    qr_gguf_close(&g);
}

/* Goal: the parts together have the same tensors, bytes and bits as the whole file.
 * Method: open the first; compare the logits with the whole file's. */
static void parts_are_the_whole(void **state)
{
    struct rig_settings settings = {.path = WHOLE};
    float *logits[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rig r;
        if (i) settings.path = path_of(0, PARTS_N);
        rig_open(&r, &settings);
        assert_int_equal(r.file.tensors_n, whole.tensors_n);
        if (i) assert_int_equal(r.file.parts_n, PARTS_N - 1);
        if (i) assert_true(r.file.all_bytes_n > whole.bytes_n);
        int32_t *tokens = among_tokens(3, TOKENS, r.vocab_n);
        logits[i] = malloc((size_t)TOKENS * r.vocab_n * sizeof(float));
        assert_non_null(logits[i]);
        rig_run(&r, 0, tokens, TOKENS, logits[i]);
        if (i) among_expect_same(logits[0], logits[1], TOKENS, r.vocab_n, "in parts");
        free(tokens);
        rig_close(&r);
    }
    free(logits[0]);
    free(logits[1]);
}

/* Goal: a missing or foreign part is named, with what was expected.
 * Method: change one thing at a time. */
static void wrong_parts_are_named(void **state)
{
    char other[160];
    struct part part;

    (void)state;
    expect_refused(path_of(1, PARTS_N), QUIRE_BAD_FILE, "is part 2 of 3",
                   "name the file that ends in -00001-of-00003.gguf");

    (void)snprintf(other, sizeof other, "%s/renamed.gguf", folder);
    assert_int_equal(link(path_of(0, PARTS_N), other), 0);
    expect_refused(other, QUIRE_BAD_FILE, "the first of 3 parts", "ends in -00001-of-00003.gguf");
    assert_int_equal(unlink(other), 0);

    part = good_part(2);
    part.no = 1;
    write_part(path_of(2, PARTS_N), &part);
    expect_refused(path_of(0, PARTS_N), QUIRE_BAD_FILE, "m-00003-of-00003.gguf: is part 2 of 3",
                   "expected part 3 of 3");
    part.no = 2;
    part.count = 4;
    write_part(path_of(2, PARTS_N), &part);
    expect_refused(path_of(0, PARTS_N), QUIRE_BAD_FILE, "is part 3 of 4", "expected part 3 of 3");

    part = good_part(2);
    part.end--;
    write_part(path_of(2, PARTS_N), &part);
    expect_refused(path_of(0, PARTS_N), QUIRE_BAD_FILE, "split.tensors.count is 34",
                   "hold 33 tensors");
    part.begin--;
    part.end = good_part(2).end - 1;
    write_part(path_of(2, PARTS_N), &part);
    expect_refused(path_of(0, PARTS_N), QUIRE_BAD_FILE, "is in two parts", "expected once");

    assert_int_equal(unlink(path_of(2, PARTS_N)), 0);
    expect_refused(path_of(0, PARTS_N), QUIRE_SYSTEM, "m-00003-of-00003.gguf", "No such file");
    FILE *file = fopen(path_of(2, PARTS_N), "wb");
    assert_non_null(file);
    assert_int_equal(fputs("GGUX and something that is no model", file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    expect_refused(path_of(0, PARTS_N), QUIRE_BAD_FILE, "m-00003-of-00003.gguf", "magic");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(parts_are_the_whole, write_all),
        cmocka_unit_test_setup(wrong_parts_are_named, write_all),
    };

    return cmocka_run_group_tests_name("model/parts", tests, begin, end);
}
