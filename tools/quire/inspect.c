/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/gguf.h"
#include "tools/client/bytes.h"
#include "tools/client/numbers.h"
#include "tools/quire/command.h"
#include "tools/quire/source.h"

static const char usage[] =
    "Usage: quire inspect [options] FILE.gguf\n\n"
    "Prints what a GGUF file holds, the memory that serving it takes, and what in it quire does\n"
    "not support.  Exit status 3: the file is not well-formed GGUF.\n";

#define SHOWN_MAX     20 /* unsupported things in the table */
#define TOKEN_KINDS_N 7
#define TYPES_MAX     64

/* Values of tokenizer.ggml.token_type, and of enum quire_kv_type. */
static const char *const kind_names[TOKEN_KINDS_N] = {
    "other", "normal", "unknown", "control", "user-defined", "unused", "byte"};
static const char *const kv_names[] = {"f16", "f32", "bf16", "q8"};

struct type_sum {
    uint32_t type;
    uint32_t tensors_n;
    uint64_t values_n, bytes;
};

struct inspect {
    bool json, keys, no_load;
    const char *path;
    struct qr_gguf file;
    char architecture[64];
    struct type_sum types[TYPES_MAX];
    size_t types_n;
    json_t *unsupported; /* sentences */
    json_t *noted;       /* the same as keys: a file may have one for each of 65,536 tensors */
    bool loaded, has_tokenizer, has_template;
    char cpu_level[32];
    uint64_t weights_bytes;
    uint32_t token_kinds[TOKEN_KINDS_N]; /* tokens of each kind; unknown kinds count as 0 */
    uint64_t kv_bytes[QUIRE_KV_Q8 + 1]; /* bytes of a token, by type; 0: not supported or unknown */
    json_t *out;                        /* the JSON output, in order */
};

/* Adds a sentence to `unsupported`, once.  It may quote names that are not UTF-8. */
static void note(void *context, const char *sentence)
{
    struct inspect *in = context;
    char text[320];
    snprintf(text, sizeof text, "%s", sentence);
    json_t *json = json_string(text);
    for (char *c = text; !json && *c; c++)
        if (*c & 0x80) *c = '?';
    if (!json) json = json_string(text);
    if (!json_object_get(in->noted, text)) json_array_append(in->unsupported, json);
    json_object_set_new(in->noted, text, json);
}

static json_t *text_json(struct quire_text text)
{
    json_t *json = json_stringn(text.data, text.n);
    return json ? json : json_string("(not UTF-8)");
}

/* The parser's allocator. */
static void *resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

/* A scalar's value, or an array's length. */
static json_t *value_json(const struct qr_gguf *g, const struct qr_gguf_key *key)
{
    char name[QR_GGUF_NAME_MAX + 1];
    struct quire_text text;
    double number;
    bool truth;
    snprintf(name, sizeof name, "%.*s", (int)key->name.n, key->name.data);
    switch (key->kind) {
    case QR_GGUF_ARRAY: return json_sprintf("array of %" PRIu64, key->count);
    case QR_GGUF_STRING: return qr_gguf_string(g, name, &text) ? text_json(text) : json_null();
    case QR_GGUF_BOOL: return qr_gguf_bool(g, name, &truth) ? json_boolean(truth) : json_null();
    case QR_GGUF_F32:
    case QR_GGUF_F64: return qr_gguf_f64(g, name, &number) ? json_real(number) : json_null();
    default: return qr_gguf_f64(g, name, &number) ? json_integer((json_int_t)number) : json_null();
    }
}

static bool starts_with(struct quire_text text, const char *prefix)
{
    return qr_bytes_begin(text.data, text.n, prefix);
}

/* An object of the keys that begin with a prefix, without it. */
static json_t *keys_json(const struct inspect *in, const char *prefix)
{
    json_t *list = json_object();
    const size_t prefix_n = strlen(prefix);
    for (uint32_t i = 0; i < in->file.keys_n; i++) {
        const struct qr_gguf_key *key = &in->file.keys[i];
        if (!starts_with(key->name, prefix)) continue;
        json_object_setn_new(list, key->name.data + prefix_n, key->name.n - prefix_n,
                             value_json(&in->file, key));
    }
    return list;
}

static void add_hyperparameters(struct inspect *in)
{
    char prefix[sizeof in->architecture + 1];
    snprintf(prefix, sizeof prefix, "%s.", in->architecture);
    json_object_set_new(in->out, "hyperparameters", keys_json(in, prefix));
    json_object_set_new(in->out, "sampling", keys_json(in, "general.sampling."));
}

static void sum_types(struct inspect *in)
{
    for (uint32_t i = 0; i < in->file.tensors_n; i++) {
        const struct qr_gguf_tensor *t = &in->file.tensors[i];
        size_t k = 0;
        while (k < in->types_n && in->types[k].type != t->type)
            k++;
        if (k == TYPES_MAX) continue;
        if (k == in->types_n) in->types[in->types_n++] = (struct type_sum){.type = t->type};
        uint64_t values_n = 1;
        for (uint32_t d = 0; d < QR_GGUF_DIMS_MAX; d++)
            values_n *= d < t->dims_n ? t->dims[d] : 1;
        in->types[k].tensors_n++;
        in->types[k].values_n += values_n;
        in->types[k].bytes += t->data_n;
    }
    for (size_t a = 1; a < in->types_n; a++) /* insertion sort, largest first */
        for (size_t b = a; b && in->types[b].bytes > in->types[b - 1].bytes; b--) {
            struct type_sum swap = in->types[b];
            in->types[b] = in->types[b - 1];
            in->types[b - 1] = swap;
        }
}

static void add_types(struct inspect *in)
{
    json_t *list = json_array();
    sum_types(in);
    for (size_t i = 0; i < in->types_n; i++) {
        const struct type_sum *t = &in->types[i];
        const struct qr_type_traits *traits = qr_type_traits(t->type);
        char name[32];
        if (traits && traits->name)
            snprintf(name, sizeof name, "%s", traits->name);
        else
            snprintf(name, sizeof name, "type %u", t->type);
        bool supported = traits && traits->block_n;
        if (!supported) {
            char sentence[64];
            snprintf(sentence, sizeof sentence, "tensors of type %s", name);
            note(in, sentence);
        }
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:I, s:I, s:b}", "type", name, "tensors",
                                        (int)t->tensors_n, "values", (json_int_t)t->values_n,
                                        "bytes", (json_int_t)t->bytes, "supported", supported));
    }
    json_object_set_new(in->out, "types", list);
}

static void count_kinds(struct inspect *in, json_t *list)
{
    const struct qr_gguf_key *kinds = qr_gguf_find(&in->file, "tokenizer.ggml.token_type");
    json_t *counts = json_object();
    for (uint64_t i = 0; kinds && kinds->kind == QR_GGUF_ARRAY && i < kinds->count; i++) {
        int32_t kind = 0;
        if (!qr_gguf_element_i32(kinds, i, &kind) || kind < 0 || kind >= TOKEN_KINDS_N) kind = 0;
        in->token_kinds[kind]++;
    }
    for (size_t k = 0; k < TOKEN_KINDS_N; k++)
        if (in->token_kinds[k])
            json_object_set_new(counts, kind_names[k], json_integer(in->token_kinds[k]));
    json_object_set_new(list, "tokens_by_type", counts);
}

/* Adds the tokens that the keys tokenizer.ggml.*_token_id name, with their texts. */
static void add_special_tokens(struct inspect *in, json_t *list)
{
    static const char suffix[] = "_token_id";
    const size_t skip = strlen("tokenizer.ggml.");
    const struct qr_gguf_key *tokens = qr_gguf_find(&in->file, "tokenizer.ggml.tokens");
    json_t *special = json_object();
    for (uint32_t i = 0; i < in->file.keys_n; i++) {
        const struct qr_gguf_key *key = &in->file.keys[i];
        char name[QR_GGUF_NAME_MAX + 1];
        uint32_t id;
        size_t cursor = 0;
        struct quire_text text = {"", 0};
        snprintf(name, sizeof name, "%.*s", (int)key->name.n, key->name.data);
        if (!starts_with(key->name, "tokenizer.ggml.") || key->name.n < skip + sizeof suffix ||
            strcmp(name + key->name.n - (sizeof suffix - 1), suffix) != 0 ||
            !qr_gguf_u32(&in->file, name, &id))
            continue;
        for (uint64_t k = 0; tokens && k <= id && qr_gguf_next_string(tokens, &cursor, &text); k++)
            if (k < id) text = (struct quire_text){"", 0};
        name[key->name.n - (sizeof suffix - 1)] = 0;
        json_object_set_new(special, name + skip,
                            json_pack("{s:I, s:o}", "id", (json_int_t)id, "text", text_json(text)));
    }
    json_object_set_new(list, "special", special);
}

static void add_tokenizer(struct inspect *in)
{
    json_t *list = json_object();
    const char *const prefix = "tokenizer.";
    for (uint32_t i = 0; i < in->file.keys_n; i++) {
        const struct qr_gguf_key *key = &in->file.keys[i];
        if (!starts_with(key->name, prefix) || starts_with(key->name, "tokenizer.chat_template"))
            continue;
        size_t skip = strlen(prefix);
        if (starts_with(key->name, "tokenizer.ggml.")) skip = strlen("tokenizer.ggml.");
        json_object_setn_new(list, key->name.data + skip, key->name.n - skip,
                             value_json(&in->file, key));
    }
    count_kinds(in, list);
    add_special_tokens(in, list);
    json_object_set_new(in->out, "tokenizer", list);
    struct quire_text text;
    bool present = qr_gguf_string(&in->file, "tokenizer.chat_template", &text);
    json_t *template =
        json_pack("{s:b, s:I}", "present", present, "bytes", (json_int_t)(present ? text.n : 0));
    json_object_set_new(in->out, "chat_template", template);
}

static bool hyperparameter(const struct inspect *in, const char *name, uint32_t *value)
{
    char key[160];
    snprintf(key, sizeof key, "%s.%s", in->architecture, name);
    return qr_gguf_u32(&in->file, key, value);
}

/* Computes the bytes of a token from the header, for a model that is not loaded. */
static void estimate_kv(struct inspect *in)
{
    uint32_t layers_n, heads_n, kv_heads_n, width, k_n, v_n;
    if (!hyperparameter(in, "block_count", &layers_n) ||
        !hyperparameter(in, "attention.head_count", &heads_n) ||
        !hyperparameter(in, "embedding_length", &width) || !heads_n)
        return;
    if (!hyperparameter(in, "attention.head_count_kv", &kv_heads_n)) kv_heads_n = heads_n;
    if (!hyperparameter(in, "attention.key_length", &k_n)) k_n = width / heads_n;
    if (!hyperparameter(in, "attention.value_length", &v_n)) v_n = width / heads_n;
    uint64_t values_n = (uint64_t)layers_n * kv_heads_n * ((uint64_t)k_n + v_n);
    in->kv_bytes[QUIRE_KV_F16] = in->kv_bytes[QUIRE_KV_BF16] = values_n * 2;
    in->kv_bytes[QUIRE_KV_F32] = values_n * 4;
    /* int8 values, and one scale for each head's vector */
    in->kv_bytes[QUIRE_KV_Q8] = values_n + (uint64_t)layers_n * kv_heads_n * 2 * sizeof(float);
}

static void add_kv(struct inspect *in)
{
    json_t *list = json_object();
    if (!in->loaded) estimate_kv(in);
    for (size_t k = 0; k < sizeof kv_names / sizeof *kv_names; k++)
        if (in->kv_bytes[k])
            json_object_set_new(list, kv_names[k], json_integer((json_int_t)in->kv_bytes[k]));
    json_object_set_new(in->out, "kv_bytes_per_token", list);
}

/* The loader decides what can be served and reports the reasons through note. */
static void try_to_load(struct inspect *in)
{
    struct qr_source_options options = {
        .sliding_window = QR_WINDOW_UNSAID, .unsupported = note, .unsupported_context = in};
    struct qr_failure why = {""};
    quire_model *model = NULL;
    if (qr_source_open_model(&model, &options, in->path, &why) != QR_EXIT_FINE) {
        note(in, why.text); /* adds a reason that is about this machine; others are known already */
        return;
    }
    struct quire_model_info info = {.size = sizeof info};
    quire_model_info(model, &info);
    in->loaded = true;
    in->has_tokenizer = info.has_tokenizer;
    in->has_template = info.has_template;
    in->weights_bytes = info.weights_bytes;
    snprintf(in->cpu_level, sizeof in->cpu_level, "%s", info.cpu_level);
    for (uint32_t k = 0; k < sizeof kv_names / sizeof *kv_names; k++)
        in->kv_bytes[k] = quire_model_kv_token_bytes(model, k);
    json_t *tokenizer = json_object_get(in->out, "tokenizer"), *warnings = json_array();
    if (info.tokenizer_split) {
        json_object_set_new(tokenizer, "split_in_use", json_string(info.tokenizer_split));
        json_object_set_new(tokenizer, "adds_bos", json_boolean(info.adds_bos));
        json_object_set_new(tokenizer, "adds_eos", json_boolean(info.adds_eos));
    }
    const char *warning;
    for (uint32_t i = 0; (warning = quire_model_warning(model, i)); i++)
        json_array_append_new(warnings, json_string(warning));
    json_object_set_new(in->out, "warnings", warnings);
    quire_model_close(model);
}

static void collect(struct inspect *in)
{
    struct quire_text text = {"", 0};
    qr_gguf_string(&in->file, "general.architecture", &text);
    snprintf(in->architecture, sizeof in->architecture, "%.*s", (int)text.n, text.data);
    in->out = json_object();
    in->unsupported = json_array();
    in->noted = json_object();
    json_object_set_new(in->out, "file", json_string(in->path));
    json_object_set_new(in->out, "file_bytes", json_integer((json_int_t)in->file.all_bytes_n));
    json_object_set_new(in->out, "gguf_version", json_integer(in->file.version));
    json_object_set_new(in->out, "architecture", json_string(in->architecture));
    if (qr_gguf_string(&in->file, "general.name", &text))
        json_object_set_new(in->out, "name", text_json(text));
    add_hyperparameters(in);
    json_object_set_new(in->out, "tensors", json_integer(in->file.tensors_n));
    add_types(in);
    add_tokenizer(in);
    if (in->keys) {
        json_t *keys = json_object();
        for (uint32_t i = 0; i < in->file.keys_n; i++)
            json_object_setn_new(keys, in->file.keys[i].name.data, in->file.keys[i].name.n,
                                 value_json(&in->file, &in->file.keys[i]));
        json_object_set_new(in->out, "keys", keys);
    }
    if (!in->no_load) {
        try_to_load(in);
        json_object_set_new(in->out, "served", json_boolean(in->loaded));
    }
    add_kv(in);
    if (in->loaded) {
        json_object_set_new(in->out, "weights_bytes_resident",
                            json_integer((json_int_t)in->weights_bytes));
        json_object_set_new(in->out, "kernels", json_string(in->cpu_level));
        json_object_set_new(in->out, "text", json_boolean(in->has_tokenizer));
        json_object_set_new(in->out, "chat", json_boolean(in->has_template));
    }
    json_object_set_new(in->out, "unsupported", in->unsupported);
}

/* ---- the table ---------------------------------------------------------------------- */

static void row(const char *name, const json_t *value)
{
    if (json_is_string(value))
        printf("  %-36s %.160s\n", name, json_string_value(value));
    else if (json_is_boolean(value))
        printf("  %-36s %s\n", name, json_is_true(value) ? "yes" : "no");
    else if (json_is_real(value))
        printf("  %-36s %g\n", name, json_real_value(value));
    else if (json_is_integer(value))
        printf("  %-36s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
}

static void rows(const char *heading, json_t *object)
{
    const char *key;
    json_t *value;
    printf("\n%s\n", heading);
    json_object_foreach(object, key, value) row(key, value);
}

static void print_types(const struct inspect *in)
{
    char count[QR_NUMBER_ROOM], bytes[QR_NUMBER_ROOM];
    printf("\nTensors: %u\n  %-10s %8s %16s %12s\n", in->file.tensors_n, "type", "tensors",
           "values", "size");
    for (size_t i = 0; i < in->types_n; i++) {
        const json_t *t = json_array_get(json_object_get(in->out, "types"), i);
        printf("  %-10s %8u %16s %12s%s\n", json_string_value(json_object_get(t, "type")),
               in->types[i].tensors_n, qr_numbers_format_count(count, in->types[i].values_n),
               qr_numbers_format_bytes(bytes, in->types[i].bytes),
               json_is_true(json_object_get(t, "supported")) ? "" : "  not supported");
    }
}

static void print_tokenizer(const struct inspect *in)
{
    const json_t *tokenizer = json_object_get(in->out, "tokenizer");
    const char *name;
    json_t *value;
    rows("Tokenizer", json_object_get(in->out, "tokenizer"));
    for (size_t k = 0; k < TOKEN_KINDS_N; k++)
        if (in->token_kinds[k])
            printf("  %-36s %u %s\n", "of them", in->token_kinds[k], kind_names[k]);
    json_object_foreach(json_object_get(tokenizer, "special"), name, value)
        printf("  %-36s %" JSON_INTEGER_FORMAT " %.80s\n", name,
               json_integer_value(json_object_get(value, "id")),
               json_string_value(json_object_get(value, "text")));
}

static void print_serving(const struct inspect *in)
{
    char bytes[QR_NUMBER_ROOM];
    const json_t *warning, *sentence;
    size_t i;
    printf("\nServing\n");
    for (size_t k = 0; k < sizeof kv_names / sizeof *kv_names; k++)
        if (in->kv_bytes[k])
            printf("  %-36s %s as %s\n", "keys and values of a token",
                   qr_numbers_format_bytes(bytes, in->kv_bytes[k]), kv_names[k]);
    if (in->loaded)
        printf("  %-36s %s, %s kernels\n", "weights in memory",
               qr_numbers_format_bytes(bytes, in->weights_bytes), in->cpu_level);
    if (!in->no_load) printf("  %-36s %s\n", "can be served", in->loaded ? "yes" : "no");
    json_array_foreach(json_object_get(in->out, "warnings"), i, warning)
        printf("  %-36s %s\n", i ? "" : "warnings", json_string_value(warning));
    json_array_foreach(in->unsupported, i, sentence) if (i < SHOWN_MAX)
        printf("  %-36s %s\n", i ? "" : "not supported", json_string_value(sentence));
    if (i > SHOWN_MAX) printf("  %-36s and %zu more: --json has them all\n", "", i - SHOWN_MAX);
}

static void print(const struct inspect *in)
{
    char a[QR_NUMBER_ROOM];
    const char *name = json_string_value(json_object_get(in->out, "name"));
    printf("%s\n  %-36s %s\n", in->path, "name", name ? name : "(none)");
    printf("  %-36s %s\n", "architecture", in->architecture[0] ? in->architecture : "(none)");
    printf("  %-36s %s, GGUF v%u\n", "file", qr_numbers_format_bytes(a, in->file.all_bytes_n),
           in->file.version);
    rows("Hyperparameters", json_object_get(in->out, "hyperparameters"));
    json_t *sampling = json_object_get(in->out, "sampling");
    if (json_object_size(sampling)) rows("Recommended sampling", sampling);
    print_types(in);
    print_tokenizer(in);
    const json_t *template = json_object_get(in->out, "chat_template");
    if (json_is_true(json_object_get(template, "present")))
        printf("  %-36s %" JSON_INTEGER_FORMAT " bytes%s\n", "chat template",
               json_integer_value(json_object_get(template, "bytes")),
               !in->loaded        ? ""
               : in->has_template ? ""
                                  : ", broken");
    else
        printf("  %-36s none\n", "chat template");
    if (in->keys) rows("Keys", json_object_get(in->out, "keys"));
    print_serving(in);
}

int qr_command_inspect(int argc, char **argv)
{
    struct inspect in = {0};
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Input and output:", 0, 0, NULL},
        {QR_OPTION_FLAG, "json", &in.json, NULL, "print JSON", 0, 0, NULL},
        {QR_OPTION_FLAG, "keys", &in.keys, NULL, "also print every key of the file", 0, 0, NULL},
        {QR_OPTION_FLAG, "no-load", &in.no_load, NULL,
         "read the header only; do not load the model", 0, 0, NULL},
        {QR_OPTION_TEXT, "model", &in.path, "FILE",
         "the file; the same as the argument (default: $QUIRE_MODEL)", 0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    const struct qr_command_syntax syntax = {usage, options, sizeof options / sizeof *options};
    struct qr_arguments arguments;
    int code;
    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    struct qr_failure why = {""};
    if (arguments.n && !in.path) in.path = arguments.items[0];
    if (!in.path) in.path = getenv("QUIRE_MODEL");
    if (!in.path || arguments.n > 1) {
        free(arguments.items);
        qr_failed(&why, "inspect takes one file: quire inspect FILE.gguf");
        return qr_command_fail(QR_EXIT_USAGE, &why);
    }
    const struct quire_allocator allocator = {.resize = resize};
    struct quire_error error = {0};
    int status = qr_gguf_open(&in.file, in.path, &allocator, &error);
    if (status != QUIRE_OK) {
        qr_failed(&why, "%s", error.text[0] ? error.text : quire_status_text(status));
        free(arguments.items);
        return qr_command_fail(QR_EXIT_MODEL, &why);
    }
    collect(&in);
    if (in.json) {
        json_dumpf(in.out, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        print(&in);
    }
    json_decref(in.out);
    json_decref(in.noted);
    qr_gguf_close(&in.file);
    free(arguments.items);
    return QR_EXIT_FINE;
}
