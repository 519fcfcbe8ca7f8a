/* SPDX-License-Identifier: MIT */
#include "runtime/parse/value.h"

#include <string.h>

#include "runtime/parse/scan.h"

#define DEPTH_MAX 8u /* of nested schemas and references */

static uint8_t type_named(const char *name)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } types[] = {{"string", QR_VALUE_STRING},   {"number", QR_VALUE_NUMBER},
                 {"integer", QR_VALUE_INTEGER}, {"boolean", QR_VALUE_BOOLEAN},
                 {"null", QR_VALUE_NULL},       {"array", QR_VALUE_ARRAY},
                 {"object", QR_VALUE_OBJECT}};

    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (!strcmp(name, types[i].name)) return types[i].bit;
    return 0;
}

static uint8_t type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return QR_VALUE_OBJECT;
    case JSON_ARRAY: return QR_VALUE_ARRAY;
    case JSON_STRING: return QR_VALUE_STRING;
    case JSON_INTEGER: return QR_VALUE_INTEGER;
    case JSON_REAL: return QR_VALUE_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE: return QR_VALUE_BOOLEAN;
    case JSON_NULL: return QR_VALUE_NULL;
    }
    return 0;
}

static const json_t *find(const json_t *root, const char *ref)
{
    char name[256];

    if (!strcmp(ref, "#")) return root;
    if (strncmp(ref, "#/", 2)) return NULL;
    for (const char *at = ref + 2; root && *at;) {
        size_t n = strcspn(at, "/");
        if (n >= sizeof name) return NULL;
        memcpy(name, at, n);
        name[n] = 0;
        root = json_object_get(root, name);
        at += n + (at[n] == '/');
    }
    return root;
}

const json_t *qr_value_schema(const json_t *root, const json_t *schema)
{
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        const json_t *ref = json_object_get(schema, "$ref");
        if (!json_is_string(ref)) return schema;
        schema = find(root, json_string_value(ref));
    }
    return NULL;
}

static uint8_t types_of(const json_t *root, const json_t *schema, unsigned depth)
{
    static const char *const lists[] = {"anyOf", "oneOf", "allOf"};
    const json_t *type, *item;
    uint8_t types = 0;
    size_t i;

    schema = qr_value_schema(root, schema);
    type = json_object_get(schema, "type");
    if (depth == 0) return 0;
    if (json_is_string(type)) return type_named(json_string_value(type));
    json_array_foreach(type, i, item) types |= type_named(json_string_value(item));
    if (types) return types;
    if (json_object_get(schema, "const")) return type_of(json_object_get(schema, "const"));
    json_array_foreach(json_object_get(schema, "enum"), i, item) types |= type_of(item);
    if (types) return types;
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        json_array_foreach(json_object_get(schema, lists[l]), i, item) types |=
            types_of(root, item, depth - 1);
    return types;
}

uint8_t qr_value_types(const json_t *root, const json_t *schema)
{
    return types_of(root, schema, DEPTH_MAX);
}

/* The type of the JSON value that the text is; 0: it is not JSON. */
static uint8_t type_of_text(struct quire_text text)
{
    struct qr_scan s;
    bool integer = true;

    qr_scan_begin(&s);
    for (size_t i = 0; i < text.n; i++) {
        enum qr_scan_result result = qr_scan_push(&s, (uint8_t)text.data[i]);
        if (result == QR_SCAN_BROKEN || (result != QR_SCAN_MORE && i + 1 < text.n)) return 0;
        integer = integer && !strchr(".eE", text.data[i]);
    }
    if (!text.n || !qr_scan_is_whole(&s)) return 0;
    switch (text.data[0]) {
    case '{': return QR_VALUE_OBJECT;
    case '[': return QR_VALUE_ARRAY;
    case '"': return QR_VALUE_STRING;
    case 't':
    case 'f': return QR_VALUE_BOOLEAN;
    case 'n': return QR_VALUE_NULL;
    default: return integer ? QR_VALUE_INTEGER : QR_VALUE_NUMBER;
    }
}

bool qr_value_is_json(uint8_t types, struct quire_text text)
{
    const uint8_t type = type_of_text(text);

    if (types & QR_VALUE_NUMBER) types |= QR_VALUE_INTEGER;
    return type && (!(types & QR_VALUE_STRING) || (types & type & ~QR_VALUE_STRING));
}
