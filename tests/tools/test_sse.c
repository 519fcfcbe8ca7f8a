/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tools/client/delta.h"
#include "tools/client/sse.h"

struct seen {
    char text[512]; /* events, each preceded by '|' */
    size_t n, events_n;
};

static void on_event(void *user, const char *data, size_t n)
{
    struct seen *seen = user;
    assert_int_equal(data[n], 0);
    assert_true(seen->n + n + 2 < sizeof seen->text);
    seen->text[seen->n++] = '|';
    memcpy(seen->text + seen->n, data, n);
    seen->n += n;
    seen->text[seen->n] = 0;
    seen->events_n++;
}

static struct seen feed(const char *bytes, size_t n, size_t first, size_t second)
{
    struct seen seen = {0};
    struct qr_sse sse;
    qr_sse_init(&sse, on_event, &seen);
    assert_true(qr_sse_feed(&sse, bytes, first));
    assert_true(qr_sse_feed(&sse, bytes + first, second - first));
    assert_true(qr_sse_feed(&sse, bytes + second, n - second));
    qr_sse_deinit(&sse);
    return seen;
}

/* Goal: the events of a stream do not depend on where it is cut.
 * Method: a stream with every line end, comments, fields and joined data, cut at every pair of
 *         positions. */
static void cuts_do_not_matter(void **state)
{
    (void)state;
    const char stream[] = "\xef\xbb\xbf"
                          ": hello\r\n\r\n"
                          "data: {\"a\":1}\n\n"
                          "event: x\rid: 7\rdata:two\r\r"
                          "data: one\r\ndata: more\r\n\r\n"
                          "data\n\n"
                          "database: no\n\n"
                          "data: [DONE]\n\n"
                          "data: never ended";
    const char expected[] = "|{\"a\":1}|two|one\nmore||[DONE]";
    size_t n = sizeof stream - 1;
    for (size_t a = 0; a <= n; a++)
        for (size_t b = a; b <= n; b++) {
            struct seen seen = feed(stream, n, a, b);
            assert_string_equal(seen.text, expected);
            assert_int_equal(seen.events_n, 5);
        }
}

/* Goal: an event without an end takes bounded memory.
 * Method: more than the limit without a newline. */
static void endless_events_are_refused(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct qr_sse sse;
    char block[65536];
    memset(block, 'a', sizeof block);
    qr_sse_init(&sse, on_event, &seen);
    size_t fed = 0;
    while (qr_sse_feed(&sse, block, sizeof block)) {
        fed += sizeof block;
        assert_true(fed <= QR_SSE_EVENT_MAX);
    }
    assert_false(qr_sse_feed(&sse, "\n\n", 2));
    assert_int_equal(seen.events_n, 0);
    qr_sse_deinit(&sse);
}

static struct qr_delta read_chunk(const char *json)
{
    struct qr_delta chunk;
    assert_true(qr_delta_read(&chunk, json, strlen(json)));
    return chunk;
}

/* Goal: an event with text or a finish reason counts as a token; the role event of a chat does not.
 * Method: events of both endpoints. */
static void chunks_with_tokens_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
        bool token;
    } cases[] = {
        {"{\"choices\":[{\"text\":\"hi\",\"finish_reason\":null}]}", "hi", true},
        {"{\"choices\":[{\"text\":\"\"}]}", "", true},
        {"{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}", "", false},
        {"{\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}", "", false},
        {"{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}]}", "a", true},
        {"{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}", "b", true},
        {"{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", "", true},
        {"{\"choices\":[]}", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct qr_delta chunk = read_chunk(cases[i].json);
        assert_int_equal(chunk.has_token, cases[i].token);
        assert_string_equal(chunk.text, cases[i].text);
        assert_false(chunk.done);
        assert_null(chunk.error);
        qr_delta_release(&chunk);
    }
}

/* Goal: usage, ids, errors, NULs in text and the end are parsed.
 * Method: one event of each. */
static void everything_else_in_a_chunk_is_read(void **state)
{
    (void)state;
    struct qr_delta c = read_chunk("{\"choices\":[],\"usage\":{\"prompt_tokens\":5,"
                                   "\"completion_tokens\":6,\"prompt_tokens_details\":"
                                   "{\"cached_tokens\":4}}}");
    assert_true(c.has_usage);
    assert_int_equal(c.prompt_n, 5);
    assert_int_equal(c.completion_n, 6);
    assert_int_equal(c.cached_n, 4);
    qr_delta_release(&c);
    c = read_chunk("{\"choices\":[{\"text\":\"a\\u0000b\",\"token_ids\":[7,8]}],\"usage\":null}");
    assert_false(c.has_usage);
    assert_int_equal(c.text_n, 3);
    assert_int_equal(json_array_size(c.token_ids), 2);
    qr_delta_release(&c);
    c = read_chunk("{\"error\":{\"message\":\"no\"}}");
    assert_string_equal(c.error, "no");
    qr_delta_release(&c);
    c = read_chunk("[DONE] ");
    assert_true(c.done);
    qr_delta_release(&c);
    assert_false(qr_delta_read(&c, "{", 1));
    assert_false(qr_delta_read(&c, "[]", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(endless_events_are_refused),
        cmocka_unit_test(chunks_with_tokens_are_told_apart),
        cmocka_unit_test(everything_else_in_a_chunk_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
