/* SPDX-License-Identifier: MIT */
/* values -- converts JSON to struct quire_value for the template tests.  All memory is valid until
 * values_free. */
#ifndef TESTS_TEMPLATE_VALUES_H
#define TESTS_TEMPLATE_VALUES_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/quire.h"

static void **values_kept;
static size_t values_kept_n;

static inline void *values_keep(size_t n, size_t bytes)
{
    values_kept = realloc(values_kept, (values_kept_n + 1) * sizeof *values_kept);
    void *memory = calloc(n ? n : 1, bytes);
    if (!values_kept || !memory) abort();
    values_kept[values_kept_n++] = memory;
    return memory;
}

static inline void values_free(void)
{
    while (values_kept_n)
        free(values_kept[--values_kept_n]);
    free(values_kept);
    values_kept = NULL;
}

static inline struct quire_value values_of(const json_t *json)
{
    struct quire_value value = {.kind = QUIRE_VALUE_NONE};
    struct quire_value *items;
    struct quire_text *keys;
    const char *key;
    json_t *one;
    size_t i = 0;

    switch (json_typeof(json)) {
    case JSON_NULL: break;
    case JSON_TRUE:
    case JSON_FALSE:
        value.kind = QUIRE_VALUE_BOOL;
        value.as.truth = json_is_true(json);
        break;
    case JSON_INTEGER:
        value.kind = QUIRE_VALUE_INTEGER;
        value.as.integer = json_integer_value(json);
        break;
    case JSON_REAL:
        value.kind = QUIRE_VALUE_REAL;
        value.as.real = json_real_value(json);
        break;
    case JSON_STRING:
        value.kind = QUIRE_VALUE_TEXT;
        value.as.text = (struct quire_text){json_string_value(json), json_string_length(json)};
        break;
    case JSON_ARRAY:
        value.kind = QUIRE_VALUE_LIST;
        value.n = json_array_size(json);
        value.as.items = items = values_keep(value.n, sizeof *items);
        json_array_foreach(json, i, one) items[i] = values_of(one);
        break;
    case JSON_OBJECT:
        value.kind = QUIRE_VALUE_MAP;
        value.n = json_object_size(json);
        value.as.items = items = values_keep(value.n, sizeof *items);
        value.keys = keys = values_keep(value.n, sizeof *keys);
        json_object_foreach((json_t *)(uintptr_t)json, key, one)
        {
            keys[i] = (struct quire_text){key, strlen(key)};
            items[i++] = values_of(one);
        }
        break;
    }
    return value;
}

static inline json_t *values_load(const char *name)
{
    char path[1024];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%s/templates/%s", QUIRE_TEST_DATA, name);
    json_t *json = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!json) fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
    return json;
}

static inline struct quire_text values_file(const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/templates/%s", QUIRE_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (!file) return (struct quire_text){0};
    char *data = values_keep(1 << 18, 1);
    size_t n = fread(data, 1, 1 << 18, file);
    fclose(file);
    return (struct quire_text){data, n};
}

#endif
